//! What buildx is told: word lists, made of values, run elsewhere. Pure. No word ever carries a secret.

use std::path::{Path, PathBuf};

use super::builder::BuildRequest;
use super::registry::is_loopback;
use super::settings::Cache;
use super::tags;
use crate::sys::environment::Variables;

/// The proxy settings that Docker hands to every build without keeping them in the image.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

/// What of our environment a child may see: how to reach the engine, the network, and a place for files.
const INHERITED: [&str; 8] = [
    "PATH",
    "TMPDIR",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What the cache of GitHub Actions is reached with; handed over for `cache: gha` only.
const GHA: [&str; 4] =
    ["ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_CACHE_SERVICE_V2"];

/// One run of `buildx build`.
#[derive(Debug, Clone, Copy)]
pub struct BuildCall<'a> {
    /// What is built.
    pub request: &'a BuildRequest,
    /// The tags to push.
    pub tags: &'a [String],
    /// Where buildx writes the digest.
    pub metadata: &'a Path,
    /// Ids of secrets and the files that hold their values.
    pub secrets: &'a [(String, PathBuf)],
    /// The container builder; the daemon's own when absent.
    pub builder: Option<&'a str>,
    /// Our environment; only which proxies are set matters.
    pub variables: &'a Variables,
}

/// The arguments of `buildx build`.
pub fn build(call: &BuildCall<'_>) -> Vec<String> {
    let mut words = Words::of(&["build", "--progress", "plain", "--push"]);
    words.pair("--metadata-file", call.metadata.display());
    words.pair("--file", call.request.dockerfile().display());
    if let Some(builder) = call.builder {
        words.pair("--builder", builder);
    }
    for tag in call.tags {
        words.pair("--tag", call.request.repository.tagged(tag));
    }
    source(&mut words, call);
    labels(&mut words, call.request);
    cache(&mut words, call.request);
    provenance(&mut words, call);
    words.0.push(call.request.context().display().to_string());
    words.0
}

fn source(words: &mut Words, call: &BuildCall<'_>) {
    let settings = &call.request.settings;
    if let Some(target) = &settings.target {
        words.pair("--target", target);
    }
    if !settings.platforms.is_empty() {
        words.pair("--platform", settings.platforms.join(","));
    }
    for (name, value) in &settings.args {
        words.pair("--build-arg", format!("{name}={value}"));
    }
    // Without a value, buildx takes it from its environment: a proxy's password is in no process list.
    for proxy in PROXIES.iter().filter(|name| is_set(call.variables, name)) {
        words.pair("--build-arg", proxy);
    }
    for (id, file) in call.secrets {
        words.pair("--secret", format!("id={id},{}", csv(&format!("src={}", file.display()))));
    }
}

fn labels(words: &mut Words, request: &BuildRequest) {
    let mut labels = request.settings.labels.clone();
    let mut default = |name: &str, value: &str| {
        labels.entry(format!("org.opencontainers.image.{name}")).or_insert_with(|| value.to_owned());
    };
    default("revision", &request.commit);
    if let Some(source) = &request.source {
        default("source", source);
    }
    for (name, value) in labels {
        words.pair("--label", format!("{name}={value}"));
    }
}

/// A cache that cannot be written costs time, not the release: hence `ignore-error`.
fn cache(words: &mut Words, request: &BuildRequest) {
    let at = |tag: &str| format!("type=registry,ref={}", request.repository.tagged(tag));
    match request.settings.cache {
        Cache::None => {}
        Cache::Inline => {
            if let Some(tag) = request.branch.as_deref().and_then(tags::of_branch) {
                words.pair("--cache-from", at(&tag));
            }
            words.pair("--cache-to", "type=inline");
        }
        Cache::Registry => {
            words.pair("--cache-from", at(tags::CACHE));
            // ECR takes a cache only as an image manifest of OCI types.
            let how = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true";
            words.pair("--cache-to", format!("{},{how}", at(tags::CACHE)));
        }
        Cache::Gha => {
            let scope = csv(&format!("scope={}", request.service));
            words.pair("--cache-from", format!("type=gha,{scope}"));
            words.pair("--cache-to", format!("type=gha,mode=max,ignore-error=true,{scope}"));
        }
    }
}

/// The daemon's own builder refuses a wish it cannot fulfil, but attaches what it can when nothing is said.
fn provenance(words: &mut Words, call: &BuildCall<'_>) {
    match (call.request.settings.provenance, call.builder) {
        (Some(false), _) => words.0.push("--provenance=false".into()),
        (_, Some(_)) => words.pair("--provenance", "mode=max"),
        _ => {}
    }
}

/// The arguments of `buildx create` for a container builder. One that pushes to this machine's loopback shares
/// its network. Proxies go along unless they hold a password, since every process can read these words.
pub fn create(name: &str, request: &BuildRequest, variables: &Variables) -> Vec<String> {
    let mut words = Words::of(&["create", "--driver", "docker-container"]);
    words.pair("--name", name);
    if is_loopback(&request.repository.registry) {
        words.pair("--driver-opt", "network=host");
    }
    for proxy in PROXIES.iter().filter(|name| is_set(variables, name)) {
        let value = &variables[*proxy];
        if !value.contains('@') {
            words.pair("--driver-opt", csv(&format!("env.{proxy}={value}")));
        }
    }
    words.0
}

/// The arguments that remove a container builder and all it keeps.
pub fn remove(name: &str) -> Vec<String> {
    Words::of(&["rm", "--force", name]).0
}

/// The whole environment of buildx. `home` is the private folder with the login.
pub fn environment(variables: &Variables, home: &Path, cache: Cache) -> Variables {
    let gha = if cache == Cache::Gha { &GHA[..] } else { &[] };
    let names = INHERITED.iter().chain(&PROXIES).chain(gha);
    let mut seen: Variables = names
        .filter_map(|name| Some(((*name).to_owned(), variables.get(*name)?.clone())))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let home = home.display().to_string();
    for (name, value) in [
        ("HOME", home.as_str()),
        ("DOCKER_CONFIG", &home),
        ("BUILDX_METADATA_PROVENANCE", "disabled"),
        ("BUILDX_GIT_INFO", "false"),
        ("NO_COLOR", "1"),
    ] {
        seen.insert(name.into(), value.into());
    }
    seen
}

fn is_set(variables: &Variables, name: &str) -> bool {
    variables.get(name).is_some_and(|value| !value.is_empty())
}

/// A field of the comma-separated values that buildx reads, quoted where it must be.
fn csv(field: &str) -> String {
    if field.contains([',', '"', '\n', ' ']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

struct Words(Vec<String>);

impl Words {
    fn of(words: &[&str]) -> Self {
        Self(words.iter().map(|word| (*word).to_owned()).collect())
    }

    fn pair(&mut self, option: &str, value: impl ToString) {
        self.0.extend([option.to_owned(), value.to_string()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(yaml: &str) -> BuildRequest {
        BuildRequest {
            service: "backend".into(),
            repository: "r.example/acme/backend".parse().unwrap(),
            workspace: "/w".into(),
            settings: serde_saphyr::from_str(yaml).unwrap(),
            commit: "c0ffee0".into(),
            branch: Some("feature/x".into()),
            source: Some("https://github.com/acme/backend".into()),
        }
    }

    fn line(yaml: &str, builder: Option<&str>, variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let call = BuildCall {
            request: &request(yaml),
            tags: &["sha-c0ffee0".into(), "main".into()],
            metadata: Path::new("/p/m.json"),
            secrets: &[("npm".into(), "/p/secrets/npm".into()), ("odd".into(), "/p/a,b".into())],
            builder,
            variables: &variables,
        };
        build(&call).join(" ")
    }

    /// The words that `yaml` adds to or takes from those of an empty block.
    fn difference(yaml: &str, builder: Option<&str>) -> String {
        let (plain, line) = (line("{}", None, &[]), line(yaml, builder, &[]));
        let plain: Vec<_> = plain.split(' ').collect();
        line.split(' ').filter(|word| !plain.contains(word)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_empty_block_is_the_shortest_call() {
        insta::assert_snapshot!(line("{}", None, &[]), @r#"build --progress plain --push --metadata-file /p/m.json --file /w/./Dockerfile --tag r.example/acme/backend:sha-c0ffee0 --tag r.example/acme/backend:main --secret id=npm,src=/p/secrets/npm --secret id=odd,"src=/p/a,b" --label org.opencontainers.image.revision=c0ffee0 --label org.opencontainers.image.source=https://github.com/acme/backend /w/."#);
    }

    #[test]
    fn every_setting_has_its_words() {
        let cache = "type=registry,ref=r.example/acme/backend";
        for (yaml, builder, expected) in [
            ("target: prod", None, "--target prod".to_owned()),
            ("platforms: [linux/amd64]", None, "--platform linux/amd64".into()),
            ("args: { A: 'b', B: 'c=d' }", None, "--build-arg A=b --build-arg B=c=d".into()),
            ("dockerfile: x/Dockerfile", None, "/w/./x/Dockerfile".into()),
            ("context: app", None, "/w/app/Dockerfile /w/app".into()),
            ("labels: { a: b }", None, "a=b".into()),
            (
                "labels: { org.opencontainers.image.revision: x }",
                None,
                "org.opencontainers.image.revision=x".into(),
            ),
            ("provenance: false", None, "--provenance=false".into()),
            ("provenance: true", Some("rs"), "--builder rs --provenance mode=max".into()),
            ("cache: inline", None, format!("--cache-from {cache}:feature-x --cache-to type=inline")),
            (
                "{ cache: registry, provenance: false }",
                Some("rs"),
                format!(
                    "--builder rs --cache-from {cache}:build-cache --cache-to {cache}:build-cache,mode=max,\
                     image-manifest=true,oci-mediatypes=true,ignore-error=true --provenance=false"
                ),
            ),
            (
                "cache: gha",
                Some("rs"),
                "--builder rs --cache-from type=gha,scope=backend --cache-to \
                 type=gha,mode=max,ignore-error=true,scope=backend --provenance mode=max"
                    .into(),
            ),
        ] {
            assert_eq!(difference(yaml, builder), expected, "{yaml}");
        }
    }

    #[test]
    fn a_proxy_is_named_and_its_address_stays_out_of_the_words() {
        let proxy = ("HTTPS_PROXY", "http://user:hunter2@proxy:3128");
        let line = line("{}", None, &[proxy, ("HTTP_PROXY", "")]);
        assert!(line.contains("--build-arg HTTPS_PROXY ") && !line.contains("hunter2"), "{line}");
        assert!(!line.contains("HTTP_PROXY="), "{line}");
    }

    #[test]
    fn a_container_builder_reaches_loopback_and_the_proxy() {
        let mut local = request("{}");
        local.repository = "127.0.0.1:5000/app".parse().unwrap();
        let variables: Variables = [
            ("HTTP_PROXY".to_owned(), "http://user:hunter2@proxy:3128".to_owned()),
            ("NO_PROXY".to_owned(), "a,b".to_owned()),
        ]
        .into();
        let words = create("rs", &local, &variables).join(" ");
        insta::assert_snapshot!(words, @r#"create --driver docker-container --name rs --driver-opt network=host --driver-opt "env.NO_PROXY=a,b""#);
        assert!(!create("rs", &request("{}"), &Variables::new()).contains(&"--driver-opt".to_owned()));
    }

    #[test]
    fn a_context_is_never_an_option_or_standard_input() {
        for (workspace, context) in [("", "-"), ("", "--push"), (".", "-")] {
            let mut odd = request("{}");
            (odd.workspace, odd.settings.context) = (workspace.into(), context.into());
            assert!(odd.context().display().to_string().starts_with("./"), "{workspace} {context}");
        }
    }

    #[test]
    fn a_child_sees_only_what_it_needs() {
        let ours: Variables =
            ["PATH", "AWS_SECRET_ACCESS_KEY", "ACTIONS_RUNTIME_TOKEN", "DOCKER_HOST", "INPUT_SET"]
                .into_iter()
                .map(|name| (name.to_owned(), "x".to_owned()))
                .collect();
        let names =
            |cache| environment(&ours, Path::new("/p"), cache).into_keys().collect::<Vec<_>>().join(" ");
        let always =
            "BUILDX_GIT_INFO BUILDX_METADATA_PROVENANCE DOCKER_CONFIG DOCKER_HOST HOME NO_COLOR PATH";
        assert_eq!(names(Cache::Registry), always);
        assert_eq!(names(Cache::Gha), format!("ACTIONS_RUNTIME_TOKEN {always}"));
    }
}

//! The arguments of buildx. Pure. No argument ever contains a secret.

use std::path::{Path, PathBuf};

use super::builder::BuildRequest;
use super::builder_network::PROXY_VARIABLES;
use super::gha_cache::{GHA_CACHE_VARIABLES, GhaCache};
use super::settings::Cache;
use super::tags;
use crate::release::is_loopback;
use crate::sys::environment::Variables;

/// Variables that a child may see: for the engine, the network, and temporary files.
const INHERITED_VARIABLES: [&str; 8] = [
    "PATH",
    "TMPDIR",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// One run of `buildx build`.
#[derive(Debug, Clone, Copy)]
pub struct BuildCall<'a> {
    /// The build request.
    pub request: &'a BuildRequest,
    /// The tags to push.
    pub tags: &'a [String],
    /// Where buildx writes the digest.
    pub metadata_file: &'a Path,
    /// Ids of secrets and the files that hold their values.
    pub secrets: &'a [(String, PathBuf)],
    /// The container builder; the daemon's own if absent.
    pub builder: Option<&'a str>,
    /// The environment of buildx; used only to see which proxies and which cache of GitHub Actions there are.
    pub variables: &'a Variables,
}

/// The arguments of `buildx build`.
pub fn build_arguments(call: &BuildCall<'_>) -> Vec<String> {
    let mut words = ArgumentList::from_words(&["build", "--progress", "plain", "--push"]);
    words.push_option("--metadata-file", call.metadata_file.display());
    words.push_option("--file", call.request.dockerfile().display());
    if let Some(builder) = call.builder {
        words.push_option("--builder", builder);
    }
    for tag in call.tags {
        words.push_option("--tag", call.request.repository.with_tag(tag));
    }
    add_source(&mut words, call);
    add_labels(&mut words, call.request);
    add_cache(&mut words, call);
    add_provenance(&mut words, call);
    words.0.push(call.request.context().display().to_string());
    words.0
}

fn add_source(words: &mut ArgumentList, call: &BuildCall<'_>) {
    let settings = &call.request.settings;
    if settings.pull {
        words.0.push("--pull".into());
    }
    if settings.no_cache {
        words.0.push("--no-cache".into());
    }
    if let Some(target) = &settings.target {
        words.push_option("--target", target);
    }
    if !settings.platforms.is_empty() {
        words.push_option("--platform", settings.platforms.join(","));
    }
    for (name, value) in &settings.args {
        words.push_option("--build-arg", format!("{name}={value}"));
    }
    // Without a value, buildx reads it from its environment: a proxy's password is in no process list.
    for proxy in PROXY_VARIABLES.iter().filter(|name| is_set(call.variables, name)) {
        words.push_option("--build-arg", proxy);
    }
    for (id, file) in call.secrets {
        words.push_option("--secret", format!("id={id},{}", csv_field(&format!("src={}", file.display()))));
    }
}

fn add_labels(words: &mut ArgumentList, request: &BuildRequest) {
    let mut labels = request.settings.labels.clone();
    let mut default = |name: &str, value: &str| {
        labels.entry(format!("org.opencontainers.image.{name}")).or_insert_with(|| value.to_owned());
    };
    default("revision", &request.commit);
    if let Some(source) = &request.source {
        default("source", source);
    }
    for (name, value) in labels {
        words.push_option("--label", format!("{name}={value}"));
    }
}

/// A cache that cannot be written costs time, but does not fail the release: hence `ignore-error`.
fn add_cache(words: &mut ArgumentList, call: &BuildCall<'_>) {
    let request = call.request;
    let at = |tag: &str| format!("type=registry,ref={}", request.repository.with_tag(tag));
    match request.settings.cache {
        Cache::None => {}
        Cache::Inline => {
            if let Some(tag) = request.branch_tag() {
                words.push_option("--cache-from", at(&tag));
            }
            words.push_option("--cache-to", "type=inline");
        }
        Cache::Registry => {
            let tag = tags::cache_tag(request.tag_suffix.as_deref());
            words.push_option("--cache-from", at(&tag));
            // ECR accepts a cache only as an image manifest of OCI types.
            let how = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true";
            words.push_option("--cache-to", format!("{},{how}", at(&tag)));
        }
        Cache::Gha => {
            let service = GhaCache::from_variables(call.variables);
            if matches!(service, GhaCache::Unavailable(_)) {
                return;
            }
            let (scope, how) = (csv_field(&format!("scope={}", request.service)), service.attributes());
            words.push_option("--cache-from", format!("type=gha,{scope}{how}"));
            words.push_option("--cache-to", format!("type=gha,mode=max,ignore-error=true,{scope}{how}"));
        }
    }
}

/// The daemon's own builder rejects attestations it does not support, but adds the supported ones by default.
fn add_provenance(words: &mut ArgumentList, call: &BuildCall<'_>) {
    match (call.request.settings.provenance, call.builder) {
        (Some(false), _) => words.0.push("--provenance=false".into()),
        (_, Some(_)) => words.push_option("--provenance", "mode=max"),
        _ => {}
    }
}

/// The arguments of `buildx create` for a container builder. One that pushes to the loopback interface shares
/// the host's network. Proxies with a password are passed in another way, since every process can read arguments.
pub fn create_builder_arguments(name: &str, request: &BuildRequest, variables: &Variables) -> Vec<String> {
    let mut words = ArgumentList::from_words(&["create", "--driver", "docker-container"]);
    words.push_option("--name", name);
    if is_loopback(&request.repository.registry) {
        words.push_option("--driver-opt", "network=host");
    }
    for proxy in PROXY_VARIABLES.iter().filter(|name| is_set(variables, name)) {
        let value = &variables[*proxy];
        if !value.contains('@') {
            words.push_option("--driver-opt", csv_field(&format!("env.{proxy}={value}")));
        }
    }
    words.0
}

/// The arguments that remove a container builder and its cache.
pub fn remove_builder_arguments(name: &str) -> Vec<String> {
    ArgumentList::from_words(&["rm", "--force", name]).0
}

/// The whole environment of buildx. `home` is the private folder with the login.
pub fn child_environment(variables: &Variables, home: &Path, cache: Cache) -> Variables {
    let gha = if cache == Cache::Gha { &GHA_CACHE_VARIABLES[..] } else { &[] };
    let names = INHERITED_VARIABLES.iter().chain(&PROXY_VARIABLES).chain(gha);
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

/// A field of buildx's comma-separated values, quoted if necessary.
fn csv_field(field: &str) -> String {
    if field.contains([',', '"', '\n', ' ']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

struct ArgumentList(Vec<String>);

impl ArgumentList {
    fn from_words(words: &[&str]) -> Self {
        Self(words.iter().map(|word| (*word).to_owned()).collect())
    }

    fn push_option(&mut self, option: &str, value: impl ToString) {
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
            tag_suffix: None,
            source: Some("https://github.com/acme/backend".into()),
        }
    }

    fn command_line(yaml: &str, builder: Option<&str>, variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let call = BuildCall {
            request: &request(yaml),
            tags: &["sha-c0ffee0".into(), "main".into()],
            metadata_file: Path::new("/p/m.json"),
            secrets: &[("npm".into(), "/p/secrets/npm".into()), ("odd".into(), "/p/a,b".into())],
            builder,
            variables: &variables,
        };
        build_arguments(&call).join(" ")
    }

    /// The arguments that `yaml` adds to or removes from those of an empty block.
    fn difference(yaml: &str, builder: Option<&str>) -> String {
        let (plain, line) = (command_line("{}", None, &[]), command_line(yaml, builder, &[]));
        let plain: Vec<_> = plain.split(' ').collect();
        line.split(' ').filter(|word| !plain.contains(word)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn empty_build_block_gives_the_shortest_command() {
        insta::assert_snapshot!(command_line("{}", None, &[]), @r#"build --progress plain --push --metadata-file /p/m.json --file /w/./Dockerfile --tag r.example/acme/backend:sha-c0ffee0 --tag r.example/acme/backend:main --secret id=npm,src=/p/secrets/npm --secret id=odd,"src=/p/a,b" --label org.opencontainers.image.revision=c0ffee0 --label org.opencontainers.image.source=https://github.com/acme/backend /w/."#);
    }

    #[test]
    fn every_build_setting_has_its_arguments() {
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
                "{ cache: gha, pull: true, no-cache: true }",
                Some("rs"),
                "--builder rs --pull --no-cache --provenance mode=max".into(),
            ),
        ] {
            assert_eq!(difference(yaml, builder), expected, "{yaml}");
        }
    }

    #[test]
    fn cache_of_github_actions_is_that_of_the_job() {
        let (token, url) =
            (("ACTIONS_RUNTIME_TOKEN", "t0ken"), ("ACTIONS_RESULTS_URL", "https://r.example/"));
        let line =
            command_line("cache: gha", Some("rs"), &[token, url, ("ACTIONS_CACHE_SERVICE_V2", "True")]);
        let service = "url=https://r.example/,url_v2=https://r.example/,version=2";
        assert!(line.contains(&format!("--cache-from type=gha,scope=backend,{service} ")), "{line}");
        assert!(
            line.contains(&format!("type=gha,mode=max,ignore-error=true,scope=backend,{service} ")),
            "{line}"
        );
        assert!(!line.contains("t0ken"), "{line}");
    }

    #[test]
    fn services_of_one_repository_have_caches_of_their_own() {
        let mut own = request("cache: registry");
        own.tag_suffix = Some("web".into());
        let call = BuildCall {
            request: &own,
            tags: &[],
            metadata_file: Path::new("/p/m.json"),
            secrets: &[],
            builder: None,
            variables: &Variables::new(),
        };
        let line = build_arguments(&call).join(" ");
        assert_eq!(line.matches(":build-cache-web").count(), 2, "{line}");
    }

    #[test]
    fn proxy_is_named_without_its_value() {
        let proxy = ("HTTPS_PROXY", "http://user:hunter2@proxy:3128");
        let line = command_line("{}", None, &[proxy, ("HTTP_PROXY", "")]);
        assert!(line.contains("--build-arg HTTPS_PROXY ") && !line.contains("hunter2"), "{line}");
        assert!(!line.contains("HTTP_PROXY="), "{line}");
    }

    #[test]
    fn container_builder_can_use_loopback_and_the_proxy() {
        let mut local = request("{}");
        local.repository = "127.0.0.1:5000/app".parse().unwrap();
        let variables: Variables = [
            ("HTTP_PROXY".to_owned(), "http://user:hunter2@proxy:3128".to_owned()),
            ("NO_PROXY".to_owned(), "a,b".to_owned()),
        ]
        .into();
        let words = create_builder_arguments("rs", &local, &variables).join(" ");
        insta::assert_snapshot!(words, @r#"create --driver docker-container --name rs --driver-opt network=host --driver-opt "env.NO_PROXY=a,b""#);
        assert!(
            !create_builder_arguments("rs", &request("{}"), &Variables::new())
                .contains(&"--driver-opt".to_owned())
        );
    }

    #[test]
    fn context_is_never_an_option_or_standard_input() {
        for (workspace, context) in [("", "-"), ("", "--push"), (".", "-")] {
            let mut odd = request("{}");
            (odd.workspace, odd.settings.context) = (workspace.into(), context.into());
            assert!(odd.context().display().to_string().starts_with("./"), "{workspace} {context}");
        }
    }

    #[test]
    fn child_gets_only_the_allowed_variables() {
        let ours: Variables =
            ["PATH", "AWS_SECRET_ACCESS_KEY", "ACTIONS_RUNTIME_TOKEN", "DOCKER_HOST", "INPUT_SET"]
                .into_iter()
                .map(|name| (name.to_owned(), "x".to_owned()))
                .collect();
        let names = |cache| {
            child_environment(&ours, Path::new("/p"), cache).into_keys().collect::<Vec<_>>().join(" ")
        };
        let always =
            "BUILDX_GIT_INFO BUILDX_METADATA_PROVENANCE DOCKER_CONFIG DOCKER_HOST HOME NO_COLOR PATH";
        assert_eq!(names(Cache::Registry), always);
        assert_eq!(names(Cache::Gha), format!("ACTIONS_RUNTIME_TOKEN {always}"));
    }
}

//! The order of calls, with a script in place of buildx and an in-memory registry.

use super::*;
use crate::image::registry::{ImageInfo, LoginSource, RegistryLogin};
use crate::image::registry_logins::RegistryLogins;
use crate::sys::http::HttpClient;

/// An in-memory registry.
#[derive(Default)]
struct FakeRegistry {
    tags: RefCell<Vec<(String, Digest)>>,
    logins: RefCell<u32>,
    /// A digest that was pushed and can be found.
    pushed: RefCell<Option<Digest>>,
    /// A tag that another run pushes right after it was looked up.
    late: RefCell<Option<(String, Digest)>>,
    /// Immutable tags.
    fixed: Vec<String>,
    /// How many reads are refused, as by a registry that has no such repository yet.
    refused_reads: RefCell<u32>,
}

impl FakeRegistry {
    fn holder(&self, tag: &str) -> Option<Digest> {
        self.tags.borrow().iter().rev().find(|(other, _)| other == tag).map(|(_, digest)| digest.clone())
    }
}

#[async_trait(?Send)]
impl LoginSource for FakeRegistry {
    async fn login(&self) -> Result<Option<RegistryLogin>, Problem> {
        *self.logins.borrow_mut() += 1;
        let password = format!("hunter{}", self.logins.borrow());
        let (server, username) = ("r.example".into(), "AWS".into());
        Ok(Some(RegistryLogin { server, username, password, expires_at: None }))
    }
}

#[async_trait(?Send)]
impl Registry for FakeRegistry {
    async fn find(&self, image: &ImageRef) -> Result<Option<ImageInfo>, Problem> {
        let refused = *self.refused_reads.borrow();
        if refused > 0 {
            self.refused_reads.replace(refused - 1);
            return Err(Problem::error(Code::RegistryLoginFailed, "It is not there yet."));
        }
        let digest = match (&image.digest, &image.tag) {
            (Some(digest), _) => self.pushed.borrow().clone().filter(|pushed| pushed == digest),
            (None, tag) => self.holder(tag.as_deref().unwrap_or_default()),
        };
        self.tags.borrow_mut().extend(self.late.take());
        Ok(digest.map(|digest| ImageInfo { digest, platforms: vec![] }))
    }

    async fn tag(&self, image: &ImageRef, tag: &str) -> Result<(), Problem> {
        let digest = image.digest.clone().unwrap();
        if self.fixed.contains(&tag.to_owned()) && self.holder(tag).is_some_and(|held| held != digest) {
            return Err(Problem::error(Code::TagImmutable, "It may not move."));
        }
        self.tags.borrow_mut().push((tag.into(), digest));
        Ok(())
    }
}

/// A folder with a `docker-buildx` of this shell text and a source, and what is needed to use them.
struct BuildxFixture {
    folder: tempfile::TempDir,
    registry: Rc<FakeRegistry>,
    masked: Rc<RefCell<Vec<String>>>,
    log: Vec<String>,
    /// Logins for base images.
    access: RegistryAccess,
    /// Variables of our environment, besides those that every build has.
    variables: Variables,
}

fn digest_of(byte: &str) -> Digest {
    format!("sha256:{}", byte.repeat(32)).parse().unwrap()
}

impl BuildxFixture {
    /// In `script`, `push` writes the metadata of a digest that the registry has, and `count` counts the runs.
    fn new(script: &str, shelf: FakeRegistry) -> Self {
        let folder = disk::private_folder().unwrap();
        let pushed = digest_of("ab");
        let prelude = format!(
            "cd '{}'\necho \"$*\" >> calls\n\
             push() {{ while [ \"$1\" != --metadata-file ]; do shift; done\n\
             echo '{{\"containerimage.digest\":\"{pushed}\"}}' > \"$2\"; }}\n\
             count() {{ echo x >> runs; test $(wc -l < runs) -ge $1; }}\n",
            folder.path().display()
        );
        disk::write(&folder.path().join("script"), format!("{prelude}{script}\n").as_bytes()).unwrap();
        let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/src/image/stand_in.sh");
        std::os::unix::fs::symlink(stand_in, folder.path().join("docker-buildx")).unwrap();
        disk::write(&folder.path().join("app/Dockerfile"), b"FROM scratch\nRUN a\n").unwrap();
        shelf.pushed.replace(Some(pushed));
        Self {
            folder,
            registry: Rc::new(shelf),
            masked: Rc::default(),
            log: Vec::new(),
            access: RegistryAccess { http: HttpClient::direct(), logins: RegistryLogins::default() },
            variables: Variables::new(),
        }
    }

    async fn build(&mut self, settings: &str) -> Result<BuildOutput, Problem> {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        let mut variables = self.variables.clone();
        variables.extend([("PATH".to_owned(), path), ("NPM".to_owned(), "s3cret".to_owned())]);
        let masked = Rc::clone(&self.masked);
        let mask = Rc::new(move |secret: &str| masked.borrow_mut().push(secret.to_owned()));
        let registry = Rc::clone(&self.registry) as Rc<dyn Registry>;
        let buildx = Buildx::new(variables, registry, self.access.clone(), mask);
        let request = BuildRequest {
            service: "app".into(),
            repository: "r.example/acme/app".parse().unwrap(),
            workspace: self.folder.path().into(),
            settings: serde_saphyr::from_str(&format!("{{ context: app, {settings} }}")).unwrap(),
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            branch: Some("main".into()),
            tag_suffix: None,
            source: None,
        };
        let log = &mut self.log;
        buildx.build(&request, &mut |line| log.push(line.to_owned())).await
    }

    fn calls(&self) -> Vec<String> {
        let text = disk::read_text(&self.folder.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn image_is_built_pushed_verified_and_tagged() {
    let mut bench = BuildxFixture::new("push \"$@\"; echo done >&2", FakeRegistry::default());
    let built = bench.build("").await.unwrap();
    assert_eq!(built.image.to_string(), format!("r.example/acme/app@{}", digest_of("ab")));
    assert!(!built.reused && built.tags[0].starts_with("tree-"));
    assert_eq!(built.tags[1..], ["sha-0123456", "main"]);
    assert_eq!(bench.log, ["done"]);
    assert_eq!(*bench.masked.borrow(), ["hunter1", "QVdTOmh1bnRlcjE="]);
    assert!(bench.calls()[0].contains(&format!("--tag r.example/acme/app:{}", built.tags[0])));
}

#[tokio::test(start_paused = true)]
async fn same_source_is_not_built_again() {
    let mut bench = BuildxFixture::new("push \"$@\"", FakeRegistry::default());
    let first = bench.build("").await.unwrap();
    bench.registry.tags.borrow_mut().push((first.tags[0].clone(), digest_of("ab")));
    let second = bench.build("").await.unwrap();
    assert_eq!((second.reused, second.image, bench.calls().len()), (true, first.image, 1));
}

#[tokio::test(start_paused = true)]
async fn secrets_are_in_no_argument_and_no_child_environment() {
    let mut bench = BuildxFixture::new(
        "push \"$@\"; env > seen; cat \"$DOCKER_CONFIG/secret-0\" > value",
        FakeRegistry::default(),
    );
    bench.build("secrets: [NPM]").await.unwrap();
    let read = |name: &str| disk::read_text(&bench.folder.path().join(name)).unwrap();
    assert_eq!(read("value"), "s3cret");
    assert!(!read("seen").contains("s3cret") && !read("calls").contains("s3cret"));
    assert!(bench.masked.borrow().contains(&"s3cret".to_owned()));
}

/// Creates a builder as buildx does, and keeps what a build gets.
const CONTAINER_BUILDER: &str = "case $1 in\n\
    create) while [ $1 != --name ]; do shift; done\n\
      mkdir -p \"$DOCKER_CONFIG/buildx/instances\"\n\
      echo '{\"Name\":\"x\",\"Nodes\":[{\"Name\":\"x0\",\"DriverOpts\":null}]}' > \"$DOCKER_CONFIG/buildx/instances/$2\";;\n\
    build) push \"$@\"; env > seen; cat \"$DOCKER_CONFIG\"/buildx/instances/* > instance\n\
      cat \"$DOCKER_CONFIG/buildx/buildkitd.default.toml\" > config; cat \"$SSL_CERT_FILE\" > bundle;;\n\
    esac";

#[tokio::test(start_paused = true)]
async fn proxy_and_authorities_reach_buildx_and_the_container_builder() {
    use base64::Engine as _;
    let mut bench = BuildxFixture::new(CONTAINER_BUILDER, FakeRegistry::default());
    let der = include_bytes!("../../tests/fixtures/certificates/long.der");
    let encoded = base64::engine::general_purpose::STANDARD.encode(der);
    let file = bench.folder.path().join("corporate.pem");
    let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
    disk::write(&file, pem.as_bytes()).unwrap();
    bench.variables.extend([
        ("ALL_PROXY".to_owned(), "http://user:hunter2@proxy.example:3128".to_owned()),
        ("NO_PROXY".to_owned(), "r.example".to_owned()),
        ("NODE_EXTRA_CA_CERTS".to_owned(), file.display().to_string()),
    ]);
    bench.build("cache: registry").await.unwrap();
    let read = |name: &str| disk::read_text(&bench.folder.path().join(name)).unwrap();
    let proxies = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"];
    for name in proxies {
        assert!(read("seen").contains(&format!("{name}=http://user:hunter2@proxy.example:3128\n")), "{name}");
        assert!(read("instance").contains(&format!("\"env.{name}\":\"http://user:hunter2@")), "{name}");
    }
    let calls = bench.calls().join("\n");
    assert!(calls.contains("--driver-opt env.NO_PROXY=r.example") && !calls.contains("hunter2"), "{calls}");
    assert!(calls.contains("--build-arg HTTPS_PROXY --build-arg NO_PROXY"), "{calls}");
    assert!(read("bundle").replace('\n', "").contains(&encoded));
    assert!(
        read("config").contains("[registry.\"docker.io\"]")
            && read("config").contains("[registry.\"r.example\"]")
    );
}

const BUSY: &str = "count 3 && push \"$@\" && exit 0\n\
    printf '#9 ERROR: 503 Service Unavailable\\n > pushing x:1 with docker:\\nERROR: 503 Service Unavailable\\n' >&2; exit 1";

#[tokio::test(start_paused = true)]
async fn busy_registry_is_retried() {
    let mut bench = BuildxFixture::new(BUSY, FakeRegistry::default());
    bench.build("").await.unwrap();
    assert_eq!(bench.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn registry_that_stays_busy_fails_the_build() {
    let mut bench = BuildxFixture::new(&BUSY.replace("count 3", "count 99"), FakeRegistry::default());
    let problem = bench.build("").await.unwrap_err();
    assert_eq!((problem.code, bench.calls().len()), (Code::PushFailed, 5));
}

#[tokio::test(start_paused = true)]
async fn same_source_pushed_concurrently_is_reused() {
    let failing = "echo \"$*\" | sed 's/.*:tree-/tree-/; s/ .*//' > tag; printf '#5 ERROR: x\\n > exporting to image:\\n\
                   ERROR: failed to push x: 400 Bad Request\\n' >&2; exit 1";
    let mut bench = BuildxFixture::new(failing, FakeRegistry::default());
    assert_eq!(bench.build("").await.unwrap_err().code, Code::PushFailed);
    let tag = disk::read_text(&bench.folder.path().join("tag")).unwrap().trim().to_owned();
    // Found at the second read only: the first one precedes the build.
    bench.registry.late.replace(Some((tag, digest_of("cd"))));
    let built = bench.build("").await.unwrap();
    assert_eq!((built.reused, built.image.digest), (true, Some(digest_of("cd"))));
    assert_eq!(bench.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn rejected_login_is_renewed_once() {
    let refused = "printf '#9 ERROR: x\\n > pushing x:1 with docker:\\nERROR: denied: Your authorization token has \
                   expired.\\n' >&2; exit 1";
    let mut bench = BuildxFixture::new(
        &format!(
            "        grep -q QVdTOmh1bnRlcjI= \"$DOCKER_CONFIG/config.json\" && push \"$@\" && exit 0\n{refused}"
        ),
        FakeRegistry::default(),
    );
    bench.build("").await.unwrap();
    assert_eq!((*bench.registry.logins.borrow(), bench.calls().len()), (2, 2));

    let mut bench = BuildxFixture::new(refused, FakeRegistry::default());
    assert_eq!(bench.build("").await.unwrap_err().code, Code::RegistryLoginFailed);
    assert_eq!((*bench.registry.logins.borrow(), bench.calls().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn push_without_image_in_the_registry_fails() {
    let mut bench = BuildxFixture::new("push \"$@\"", FakeRegistry::default());
    bench.registry.pushed.replace(Some(digest_of("cd")));
    assert_eq!(bench.build("").await.unwrap_err().code, Code::PushFailed);
    assert!(bench.registry.tags.borrow().is_empty(), "an unproven image got a name");
}

#[tokio::test(start_paused = true)]
async fn immutable_commit_tag_fails_and_immutable_branch_tag_is_a_notice() {
    let taken = |tag: &str| FakeRegistry {
        fixed: vec![tag.into()],
        tags: RefCell::new(vec![(tag.into(), digest_of("cd"))]),
        ..FakeRegistry::default()
    };
    let problem = BuildxFixture::new("push \"$@\"", taken("sha-0123456")).build("").await.unwrap_err();
    assert_eq!(problem.code, Code::TagImmutable);
    let built = BuildxFixture::new("push \"$@\"", taken("main")).build("").await.unwrap();
    assert_eq!((built.tags.len(), built.notices[0].severity), (2, Severity::Notice));
}

#[tokio::test(start_paused = true)]
async fn container_builder_is_created_used_and_removed_even_when_the_build_fails() {
    for (end, good) in [("push \"$@\"", true), ("exit 1", false)] {
        let script = format!("case $1 in build) {end};; esac");
        let mut bench = BuildxFixture::new(&script, FakeRegistry::default());
        assert_eq!(bench.build("cache: registry").await.is_ok(), good);
        let calls = bench.calls();
        let name = calls[0].split_whitespace().find(|word| word.starts_with("roadstead-")).unwrap();
        assert!(calls[1].contains(&format!("--builder {name}")), "{calls:?}");
        assert_eq!(calls[2], format!("rm --force {name}"));
    }
}

#[tokio::test]
async fn interrupted_build_leaves_no_builder() {
    let bench = BuildxFixture::new("case $1 in build) exec sleep 60;; esac", FakeRegistry::default());
    let path = format!("{}:/usr/bin:/bin", bench.folder.path().display());
    let buildx = Buildx::new(
        [("PATH".to_owned(), path)].into(),
        Rc::clone(&bench.registry) as Rc<dyn Registry>,
        bench.access.clone(),
        Rc::new(|_: &str| ()),
    );
    let request = BuildRequest {
        service: "app".into(),
        repository: "r.example/acme/app".parse().unwrap(),
        workspace: bench.folder.path().into(),
        settings: serde_saphyr::from_str("{ context: app, cache: gha }").unwrap(),
        commit: "0123456".into(),
        branch: None,
        tag_suffix: None,
        source: None,
    };
    let mut quiet = |_: &str| ();
    let build = buildx.build(&request, &mut quiet);
    assert!(tokio::time::timeout(Duration::from_millis(300), build).await.is_err());
    buildx.clean_up().await;
    assert!(bench.calls().last().unwrap().starts_with("rm --force roadstead-"), "{:?}", bench.calls());
}

#[test]
fn buildx_is_found_on_the_path_or_as_a_plugin_and_never_in_the_current_folder() {
    let variables: Variables =
        [("PATH".to_owned(), ".::/a:/b".to_owned()), ("HOME".to_owned(), "/h".to_owned())].into();
    let at = |there: &'static str| find_buildx(&variables, move |path| path.starts_with(there));
    assert_eq!(at("/b").as_deref(), Some("/b/docker-buildx"));
    assert_eq!(at("/h").as_deref(), Some("/h/.docker/cli-plugins/docker-buildx"));
    assert_eq!(at("/usr/lib").as_deref(), Some("/usr/lib/docker/cli-plugins/docker-buildx"));
    assert_eq!(at("docker-buildx"), None);
}

/// A source that starts from `r.example/base:1`, which the registry has with this digest.
fn with_base(byte: &str) -> FakeRegistry {
    FakeRegistry { tags: RefCell::new(vec![("1".into(), digest_of(byte))]), ..FakeRegistry::default() }
}

fn base_fixture(byte: &str) -> BuildxFixture {
    let bench = BuildxFixture::new("push \"$@\"", with_base(byte));
    let dockerfile = b"ARG V=1\nFROM r.example/base:$V\n";
    disk::write(&bench.folder.path().join("app/Dockerfile"), dockerfile).unwrap();
    bench
}

#[tokio::test(start_paused = true)]
async fn newer_base_image_is_noticed_with_pull_and_not_without() {
    let tag = async |byte: &str, settings: &str| {
        let mut bench = base_fixture(byte);
        let built = bench.build(settings).await.unwrap();
        (built.tags[0].clone(), bench.calls()[0].clone())
    };
    let (old, call) = tag("ab", "pull: true").await;
    assert_ne!(old, tag("cd", "pull: true").await.0);
    assert_eq!(old, tag("ab", "pull: true").await.0);
    assert!(call.contains(" --pull "), "{call}");
    assert_eq!(tag("ab", "").await.0, tag("cd", "").await.0);
    assert_ne!(tag("ab", "").await.0, old);
}

#[tokio::test(start_paused = true)]
async fn base_image_that_cannot_be_read_leads_to_a_build() {
    let mut bench = base_fixture("ab");
    bench.registry.tags.borrow_mut().clear();
    let first = bench.build("pull: true").await.unwrap();
    bench.registry.tags.borrow_mut().push((first.tags[0].clone(), digest_of("ab")));
    let second = bench.build("pull: true").await.unwrap();
    assert!(
        !second.reused && bench.log.iter().any(|line| line.contains("is not in its registry")),
        "{:?}",
        bench.log
    );
}

#[tokio::test(start_paused = true)]
async fn no_cache_builds_every_time() {
    let mut bench = BuildxFixture::new("push \"$@\"", FakeRegistry::default());
    let first = bench.build("no-cache: true").await.unwrap();
    bench.registry.tags.borrow_mut().push((first.tags[0].clone(), digest_of("ab")));
    let second = bench.build("no-cache: true").await.unwrap();
    assert_eq!((second.reused, bench.calls().len()), (false, 2));
    assert!(bench.calls()[1].contains(" --no-cache "), "{:?}", bench.calls());
}

#[tokio::test(start_paused = true)]
async fn commit_tag_of_an_image_that_is_built_again_may_be_immutable() {
    let shelf = FakeRegistry {
        fixed: vec!["sha-0123456".into()],
        tags: RefCell::new(vec![("sha-0123456".into(), digest_of("cd"))]),
        ..FakeRegistry::default()
    };
    let built = BuildxFixture::new("push \"$@\"", shelf).build("no-cache: true").await.unwrap();
    assert_eq!((built.tags.len(), built.notices[0].code), (2, Code::TagImmutable));
}

#[tokio::test(start_paused = true)]
async fn release_tags_are_moved_without_a_push() {
    let mut bench = BuildxFixture::new("push \"$@\"", FakeRegistry::default());
    let built = bench.build("tags: ['v1.2.3+4', main, stable]").await.unwrap();
    assert_eq!(built.tags[1..], ["sha-0123456", "main", "v1.2.3-4", "stable"]);
    assert_eq!((bench.calls().len(), bench.registry.holder("stable")), (1, Some(digest_of("ab"))));

    let taken = FakeRegistry {
        fixed: vec!["v1".into()],
        tags: RefCell::new(vec![("v1".into(), digest_of("cd"))]),
        ..FakeRegistry::default()
    };
    let built = BuildxFixture::new("push \"$@\"", taken).build("tags: [v1]").await.unwrap();
    let notice = &built.notices[0];
    assert_eq!((built.tags.len(), notice.code, notice.severity), (3, Code::TagImmutable, Severity::Warning));
    assert!(notice.help.contains("released by its digest"), "{notice}");
}

#[tokio::test(start_paused = true)]
async fn unavailable_cache_of_github_actions_is_told() {
    let mut bench = BuildxFixture::new("case $1 in build) push \"$@\";; esac", FakeRegistry::default());
    let built = bench.build("cache: gha").await.unwrap();
    assert_eq!(built.notices.iter().map(|notice| notice.code).collect::<Vec<_>>(), [Code::CacheUnavailable]);
    bench.variables.extend([
        ("ACTIONS_RUNTIME_TOKEN".to_owned(), "t".to_owned()),
        ("ACTIONS_RESULTS_URL".to_owned(), "https://r.example/".to_owned()),
    ]);
    assert_eq!(bench.build("cache: gha").await.unwrap().notices, []);
}

#[tokio::test(start_paused = true)]
async fn logins_for_base_images_reach_buildx_and_are_masked_and_gone() {
    let mut bench = BuildxFixture::new(
        "push \"$@\"; cat \"$DOCKER_CONFIG/config.json\" > seen; echo $DOCKER_CONFIG > home",
        FakeRegistry::default(),
    );
    let login = |server: &str| RegistryLogin {
        server: server.into(),
        username: "ann".into(),
        password: "p4ss".into(),
        expires_at: None,
    };
    bench.access.logins = RegistryLogins::default().with(login("docker.io")).with(login("r.example"));
    bench.build("").await.unwrap();
    let read = |name: &str| disk::read_text(&bench.folder.path().join(name)).unwrap();
    let seen: serde_json::Value = serde_json::from_str(&read("seen")).unwrap();
    assert_eq!(seen["auths"]["https://index.docker.io/v1/"]["auth"], login("x").basic_auth());
    assert_eq!(
        seen["auths"]["r.example"]["auth"], "QVdTOmh1bnRlcjE=",
        "the login of the registry itself wins"
    );
    assert!(bench.masked.borrow().contains(&"p4ss".to_owned()));
    assert!(!std::path::Path::new(read("home").trim()).exists());
}

#[tokio::test(start_paused = true)]
async fn repository_that_its_first_push_creates_is_pushed_to() {
    let shelf = FakeRegistry { refused_reads: RefCell::new(1), ..FakeRegistry::default() };
    let mut bench = BuildxFixture::new("push \"$@\"", shelf);
    assert!(bench.build("").await.is_ok());
    assert!(bench.log[0].contains("It is not there yet."), "{:?}", bench.log);
}

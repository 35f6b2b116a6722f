//! The order of calls, with a script in place of buildx and a registry of values.

use super::*;
use crate::image::registry::{Found, Login};

/// A registry that knows what it was told.
#[derive(Default)]
struct Shelf {
    tags: RefCell<Vec<(String, Digest)>>,
    logins: RefCell<u32>,
    /// A digest that was pushed and is to be found.
    pushed: RefCell<Option<Digest>>,
    /// A tag that somebody else puts right after it was looked for.
    late: RefCell<Option<(String, Digest)>>,
    /// Tags that may not move.
    fixed: Vec<String>,
}

impl Shelf {
    fn holder(&self, tag: &str) -> Option<Digest> {
        self.tags.borrow().iter().rev().find(|(other, _)| other == tag).map(|(_, digest)| digest.clone())
    }
}

#[async_trait(?Send)]
impl Registry for Shelf {
    async fn login(&self) -> Result<Login, Problem> {
        *self.logins.borrow_mut() += 1;
        let password = format!("hunter{}", self.logins.borrow());
        Ok(Login { server: "r.example".into(), username: "AWS".into(), password, expires: None })
    }

    async fn find(&self, image: &ImageRef) -> Result<Option<Found>, Problem> {
        let digest = match (&image.digest, &image.tag) {
            (Some(digest), _) => self.pushed.borrow().clone().filter(|pushed| pushed == digest),
            (None, tag) => self.holder(tag.as_deref().unwrap_or_default()),
        };
        self.tags.borrow_mut().extend(self.late.take());
        Ok(digest.map(|digest| Found { digest, platforms: vec![] }))
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
struct Bench {
    folder: tempfile::TempDir,
    shelf: Rc<Shelf>,
    masked: Rc<RefCell<Vec<String>>>,
    log: Vec<String>,
}

fn digest_of(byte: &str) -> Digest {
    format!("sha256:{}", byte.repeat(32)).parse().unwrap()
}

impl Bench {
    /// In `script`, `push` writes the metadata of a digest that the registry has, and `count` counts the runs.
    fn new(script: &str, shelf: Shelf) -> Self {
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
        Self { folder, shelf: Rc::new(shelf), masked: Rc::default(), log: Vec::new() }
    }

    async fn build(&mut self, settings: &str) -> Result<Built, Problem> {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        let variables = [("PATH".to_owned(), path), ("NPM".to_owned(), "s3cret".to_owned())].into();
        let masked = Rc::clone(&self.masked);
        let mask = Rc::new(move |secret: &str| masked.borrow_mut().push(secret.to_owned()));
        let buildx = Buildx::new(variables, Rc::clone(&self.shelf) as Rc<dyn Registry>, mask);
        let request = BuildRequest {
            service: "app".into(),
            repository: "r.example/acme/app".parse().unwrap(),
            workspace: self.folder.path().into(),
            settings: serde_saphyr::from_str(&format!("{{ context: app, {settings} }}")).unwrap(),
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            branch: Some("main".into()),
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
async fn an_image_is_built_pushed_proven_and_named() {
    let mut bench = Bench::new("push \"$@\"; echo done >&2", Shelf::default());
    let built = bench.build("").await.unwrap();
    assert_eq!(built.image.to_string(), format!("r.example/acme/app@{}", digest_of("ab")));
    assert!(!built.reused && built.tags[0].starts_with("tree-"));
    assert_eq!(built.tags[1..], ["sha-0123456", "main"]);
    assert_eq!(bench.log, ["done"]);
    assert_eq!(*bench.masked.borrow(), ["hunter1", "QVdTOmh1bnRlcjE="]);
    assert!(bench.calls()[0].contains(&format!("--tag r.example/acme/app:{}", built.tags[0])));
}

#[tokio::test(start_paused = true)]
async fn the_same_source_is_not_built_again() {
    let mut bench = Bench::new("push \"$@\"", Shelf::default());
    let first = bench.build("").await.unwrap();
    bench.shelf.tags.borrow_mut().push((first.tags[0].clone(), digest_of("ab")));
    let second = bench.build("").await.unwrap();
    assert_eq!((second.reused, second.image, bench.calls().len()), (true, first.image, 1));
}

#[tokio::test(start_paused = true)]
async fn secrets_are_in_no_argument_and_no_child_environment() {
    let mut bench =
        Bench::new("push \"$@\"; env > seen; cat \"$DOCKER_CONFIG/secret-0\" > value", Shelf::default());
    bench.build("secrets: [NPM]").await.unwrap();
    let read = |name: &str| disk::read_text(&bench.folder.path().join(name)).unwrap();
    assert_eq!(read("value"), "s3cret");
    assert!(!read("seen").contains("s3cret") && !read("calls").contains("s3cret"));
    assert!(bench.masked.borrow().contains(&"s3cret".to_owned()));
}

const BUSY: &str = "count 3 && push \"$@\" && exit 0\n\
    printf '#9 ERROR: 503 Service Unavailable\\n > pushing x:1 with docker:\\nERROR: 503 Service Unavailable\\n' >&2; exit 1";

#[tokio::test(start_paused = true)]
async fn a_busy_registry_is_tried_again() {
    let mut bench = Bench::new(BUSY, Shelf::default());
    bench.build("").await.unwrap();
    assert_eq!(bench.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_stays_busy_is_given_up() {
    let mut bench = Bench::new(&BUSY.replace("count 3", "count 99"), Shelf::default());
    let problem = bench.build("").await.unwrap_err();
    assert_eq!((problem.code, bench.calls().len()), (Code::PushFailed, 5));
}

#[tokio::test(start_paused = true)]
async fn the_same_source_pushed_by_somebody_else_meanwhile_is_as_good() {
    let failing = "echo \"$*\" | sed 's/.*:tree-/tree-/; s/ .*//' > tag; printf '#5 ERROR: x\\n > exporting to image:\\n\
                   ERROR: failed to push x: 400 Bad Request\\n' >&2; exit 1";
    let mut bench = Bench::new(failing, Shelf::default());
    assert_eq!(bench.build("").await.unwrap_err().code, Code::PushFailed);
    let tag = disk::read_text(&bench.folder.path().join("tag")).unwrap().trim().to_owned();
    // Found at the second look only: the first is before the build.
    bench.shelf.late.replace(Some((tag, digest_of("cd"))));
    let built = bench.build("").await.unwrap();
    assert_eq!((built.reused, built.image.digest), (true, Some(digest_of("cd"))));
    assert_eq!(bench.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_renewed_once() {
    let refused = "printf '#9 ERROR: x\\n > pushing x:1 with docker:\\nERROR: denied: Your authorization token has \
                   expired.\\n' >&2; exit 1";
    let mut bench = Bench::new(
        &format!(
            "        grep -q QVdTOmh1bnRlcjI= \"$DOCKER_CONFIG/config.json\" && push \"$@\" && exit 0\n{refused}"
        ),
        Shelf::default(),
    );
    bench.build("").await.unwrap();
    assert_eq!((*bench.shelf.logins.borrow(), bench.calls().len()), (2, 2));

    let mut bench = Bench::new(refused, Shelf::default());
    assert_eq!(bench.build("").await.unwrap_err().code, Code::RegistryLoginFailed);
    assert_eq!((*bench.shelf.logins.borrow(), bench.calls().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_push_that_the_registry_does_not_know_is_a_failure() {
    let mut bench = Bench::new("push \"$@\"", Shelf::default());
    bench.shelf.pushed.replace(Some(digest_of("cd")));
    assert_eq!(bench.build("").await.unwrap_err().code, Code::PushFailed);
    assert!(bench.shelf.tags.borrow().is_empty(), "an unproven image got a name");
}

#[tokio::test(start_paused = true)]
async fn a_commit_tag_that_may_not_move_fails_and_a_branch_tag_is_a_notice() {
    let taken = |tag: &str| Shelf {
        fixed: vec![tag.into()],
        tags: RefCell::new(vec![(tag.into(), digest_of("cd"))]),
        ..Shelf::default()
    };
    let problem = Bench::new("push \"$@\"", taken("sha-0123456")).build("").await.unwrap_err();
    assert_eq!(problem.code, Code::TagImmutable);
    let built = Bench::new("push \"$@\"", taken("main")).build("").await.unwrap();
    assert_eq!((built.tags.len(), built.notices[0].severity), (2, Severity::Notice));
}

#[tokio::test(start_paused = true)]
async fn a_container_builder_is_made_used_and_removed_also_when_the_build_fails() {
    for (end, good) in [("push \"$@\"", true), ("exit 1", false)] {
        let script = format!("case $1 in build) {end};; esac");
        let mut bench = Bench::new(&script, Shelf::default());
        assert_eq!(bench.build("cache: registry").await.is_ok(), good);
        let calls = bench.calls();
        let name = calls[0].split_whitespace().find(|word| word.starts_with("roadstead-")).unwrap();
        assert!(calls[1].contains(&format!("--builder {name}")), "{calls:?}");
        assert_eq!(calls[2], format!("rm --force {name}"));
    }
}

#[tokio::test]
async fn a_build_that_was_cut_short_leaves_no_builder() {
    let bench = Bench::new("case $1 in build) exec sleep 60;; esac", Shelf::default());
    let path = format!("{}:/usr/bin:/bin", bench.folder.path().display());
    let buildx = Buildx::new(
        [("PATH".to_owned(), path)].into(),
        Rc::clone(&bench.shelf) as Rc<dyn Registry>,
        Rc::new(|_: &str| ()),
    );
    let request = BuildRequest {
        service: "app".into(),
        repository: "r.example/acme/app".parse().unwrap(),
        workspace: bench.folder.path().into(),
        settings: serde_saphyr::from_str("{ context: app, cache: gha }").unwrap(),
        commit: "0123456".into(),
        branch: None,
        source: None,
    };
    let mut quiet = |_: &str| ();
    let build = buildx.build(&request, &mut quiet);
    assert!(tokio::time::timeout(Duration::from_millis(300), build).await.is_err());
    buildx.close().await;
    assert!(bench.calls().last().unwrap().starts_with("rm --force roadstead-"), "{:?}", bench.calls());
}

#[test]
fn buildx_is_found_on_the_path_or_as_a_plugin_and_never_in_the_current_folder() {
    let variables: Variables =
        [("PATH".to_owned(), ".::/a:/b".to_owned()), ("HOME".to_owned(), "/h".to_owned())].into();
    let at = |there: &'static str| program(&variables, move |path| path.starts_with(there));
    assert_eq!(at("/b").as_deref(), Some("/b/docker-buildx"));
    assert_eq!(at("/h").as_deref(), Some("/h/.docker/cli-plugins/docker-buildx"));
    assert_eq!(at("/usr/lib").as_deref(), Some("/usr/lib/docker/cli-plugins/docker-buildx"));
    assert_eq!(at("docker-buildx"), None);
}

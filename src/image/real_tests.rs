//! With a real engine, a real buildx and a real registry, which `scripts/test container` sets up; hence the feature:
//! `ROADSTEAD_REAL_REGISTRY=127.0.0.1:5077 ROADSTEAD_REAL_PASSWORD=… cargo test --features real-engine --lib real_`.

use std::cell::RefCell;
use std::rc::Rc;

use async_trait::async_trait;

use super::*;
use crate::problem::{Code, Problem};
use crate::release::ImageRef;
use crate::sys::environment::{Variables, variables};
use crate::sys::http::{HttpClient, Method, Request};

const BYTES: &str = "application/octet-stream";

struct OptionalLogin {
    server: String,
    password: String,
}

#[async_trait(?Send)]
impl LoginSource for OptionalLogin {
    async fn login(&self) -> Result<Option<RegistryLogin>, Problem> {
        let (server, password) = (self.server.clone(), self.password.clone());
        Ok(Some(RegistryLogin { server, username: "AWS".into(), password, expires_at: None }))
    }
}

/// The registry to use, a builder with `password` for it, and where its log goes.
fn real(password: Option<&str>, more: &[(&str, &str)]) -> (ImageRef, Rc<OciRegistry>, Buildx) {
    let mut variables: Variables = variables();
    variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let server = variables["ROADSTEAD_REAL_REGISTRY"].clone();
    let password = password.map_or_else(|| variables["ROADSTEAD_REAL_PASSWORD"].clone(), str::to_owned);
    let image = format!("{server}/acme/hello-{:x}", fastrand::u32(..)).parse().unwrap();
    let registry =
        Rc::new(OciRegistry::new(Rc::new(OptionalLogin { server, password }), HttpClient::direct()));
    let access = RegistryAccess { http: HttpClient::direct(), logins: RegistryLogins::default() };
    let own = Rc::clone(&registry) as Rc<dyn Registry>;
    let buildx = Buildx::new(variables, own, access, Rc::new(|_: &str| ()));
    (image, registry, buildx)
}

fn request(repository: &ImageRef, settings: &str) -> BuildRequest {
    BuildRequest {
        service: "hello".into(),
        repository: repository.clone(),
        workspace: env!("CARGO_MANIFEST_DIR").into(),
        settings: serde_saphyr::from_str(settings).unwrap(),
        commit: "0123456789abcdef0123456789abcdef01234567".into(),
        branch: Some("feature/x".into()),
        tag_suffix: None,
        source: Some("https://github.com/acme/hello".into()),
    }
}

#[tokio::test]
async fn real_hello_is_built_pushed_found_and_not_built_again() {
    let (repository, registry, buildx) = real(None, &[]);
    let request = request(&repository, "{ context: examples/hello, args: { VERSION: one }, cache: inline }");
    let log = RefCell::new(Vec::new());
    let built = buildx.build(&request, &mut |line| log.borrow_mut().push(line.to_owned())).await.unwrap();
    assert!(!built.reused, "{:?}", log.borrow());
    for tag in ["sha-0123456", "feature-x"] {
        let found = registry.find(&repository.with_tag(tag)).await.unwrap().unwrap();
        assert_eq!(
            (Some(found.digest), found.platforms),
            (built.image.digest.clone(), vec!["linux/amd64".into()])
        );
    }
    let again = buildx.build(&request, &mut |_| ()).await.unwrap();
    assert_eq!((again.reused, again.image), (true, built.image));
}

#[tokio::test]
async fn real_secrets_reach_the_build_and_nothing_else() {
    let folder = crate::sys::disk::private_folder().unwrap();
    let dockerfile =
        b"FROM debian:trixie-slim\nRUN --mount=type=secret,id=npm,required=true wc -c /run/secrets/npm\n";
    crate::sys::disk::write(&folder.path().join("Dockerfile"), dockerfile).unwrap();
    let (repository, _, buildx) = real(None, &[("NPM", "s3cret-of-the-build")]);
    let settings = format!("{{ context: {}, secrets: ['id=npm,env=NPM'] }}", folder.path().display());
    let log = RefCell::new(String::new());
    buildx
        .build(&request(&repository, &settings), &mut |line| log.borrow_mut().push_str(line))
        .await
        .unwrap();
    assert!(
        log.borrow().contains("19 /run/secrets/npm") || log.borrow().contains("CACHED"),
        "{}",
        log.borrow()
    );
    assert!(!log.borrow().contains("s3cret-of-the-build"), "{}", log.borrow());
}

#[tokio::test]
async fn real_failures_are_named() {
    let folder = crate::sys::disk::private_folder().unwrap();
    let context = folder.path().display().to_string();
    let failing = async |dockerfile: &str, more: &[(&str, &str)], password: Option<&str>| {
        crate::sys::disk::write(&folder.path().join("Dockerfile"), dockerfile.as_bytes()).unwrap();
        let (repository, _, buildx) = real(password, more);
        let request = request(&repository, &format!("context: {context}"));
        let problem = buildx.build(&request, &mut |_| ()).await.unwrap_err();
        (problem.code, problem.location.map(|at| at.line))
    };
    let base = "FROM debian:trixie-slim\n";
    assert_eq!(
        failing(&format!("{base}\nRUN echo a && \\\n  false\n"), &[], None).await,
        (Code::BuildFailed, Some(3))
    );
    assert_eq!(failing(&format!("{base}COPYX a b\n"), &[], None).await, (Code::BuildFailed, Some(2)));
    assert_eq!(failing(&format!("{base}COPY no /no\n"), &[], None).await, (Code::BuildFailed, Some(2)));
    let nowhere = ("DOCKER_HOST", "unix:///nowhere.sock");
    assert_eq!(failing(base, &[nowhere], None).await, (Code::DockerUnavailable, None));
    assert_eq!(failing(base, &[], Some("wrong")).await, (Code::RegistryLoginFailed, None));
}

/// Needs an engine that has `moby/buildkit:buildx-stable-1` and a base image `base/debian:trixie-slim` in the registry.
#[tokio::test]
async fn real_container_builder_exports_a_cache_and_two_platforms_and_is_gone_afterwards() {
    let folder = crate::sys::disk::private_folder().unwrap();
    let (repository, registry, buildx) = real(None, &[]);
    let base = format!("{}/base/debian:trixie-slim", repository.registry);
    let context = folder.path().display();
    for (from, settings, platforms) in [
        (base.as_str(), "cache: registry", vec!["linux/amd64"]),
        ("scratch", "platforms: [linux/amd64, linux/arm64]", vec!["linux/amd64", "linux/arm64"]),
    ] {
        let dockerfile = format!("FROM {from}\nCOPY Dockerfile /\n");
        crate::sys::disk::write(&folder.path().join("Dockerfile"), dockerfile.as_bytes()).unwrap();
        let request = request(&repository, &format!("{{ context: {context}, {settings} }}"));
        let log = RefCell::new(Vec::new());
        let built = buildx.build(&request, &mut |line| log.borrow_mut().push(line.to_owned())).await;
        let built = built.unwrap_or_else(|problem| unreachable!("{problem}\n{}", log.borrow().join("\n")));
        assert_eq!(registry.find(&built.image).await.unwrap().unwrap().platforms, platforms);
    }
    assert!(registry.find(&repository.with_tag(tags::CACHE_TAG)).await.unwrap().is_some());
}

/// The registry under its other name is another registry: there layers are sent; in the same one they are mounted.
#[tokio::test]
async fn real_images_are_copied_by_digest_mounted_or_sent() {
    let (repository, registry, _) = real(None, &[]);
    let logins = || Rc::clone(&registry) as Rc<dyn Registry>;
    let depot = |place: &ImageRef| RepositoryClient::new(HttpClient::direct(), place, logins());
    let digest = seed(&repository, &registry.login().await.unwrap().unwrap().basic_auth()).await;
    let from = depot(&repository);
    let other: ImageRef = repository.to_string().replace("127.0.0.1", "localhost").parse().unwrap();
    for (place, expected) in [(&repository, (2, 0)), (&other, (0, 2))] {
        let name = format!("{}-of-{}", place.repository, place.registry.replace([':', '.'], "-"));
        let to = depot(&ImageRef { repository: name, ..place.clone() });
        let copied = copy_image(&from, &to, &digest, &|_| ()).await.unwrap();
        assert_eq!((copied.mounted, copied.sent), expected);
        assert_eq!(copy_image(&from, &to, &digest, &|_| ()).await.unwrap(), CopySummary::default());
        assert_eq!(to.manifest(&digest).await.unwrap().unwrap().digest, digest);
    }
}

/// An image with a layer of 20 MB, and its digest.
async fn seed(repository: &ImageRef, basic: &str) -> crate::release::Digest {
    let (web, authorization) = (HttpClient::direct(), format!("Basic {basic}"));
    let base = format!("http://{}/v2/{}", repository.registry, repository.repository);
    let send = async |method, url: &str, kind: &str, body| {
        let mut request = Request::new(method, url).header("authorization", &authorization);
        request = request.header("content-type", kind);
        request.body = body;
        web.send(request, std::time::Duration::from_secs(30)).await.unwrap()
    };
    let mut entries = Vec::new();
    for bytes in [br#"{"architecture":"amd64","os":"linux"}"#.to_vec(), vec![b'x'; 20 << 20]] {
        let (digest, size) = (image_manifest::sha256_digest(&bytes).unwrap(), bytes.len());
        let begun = send(Method::POST, &format!("{base}/blobs/uploads/"), BYTES, Vec::new()).await;
        let place = format!("{}&digest={digest}", begun.header("location").unwrap());
        assert_eq!(send(Method::PUT, &place, BYTES, bytes).await.status, 201);
        let kind = if entries.is_empty() { "config.v1+json" } else { "layer.v1.tar" };
        let kind = format!("application/vnd.oci.image.{kind}");
        entries.push(serde_json::json!({ "mediaType": kind, "digest": digest, "size": size }));
    }
    let kind = metadata::MANIFEST_TYPES[2];
    let manifest = serde_json::json!({ "schemaVersion": 2, "mediaType": kind, "config": entries[0], "layers": [entries[1]] });
    let text = manifest.to_string().into_bytes();
    let digest = image_manifest::sha256_digest(&text).unwrap();
    assert_eq!(send(Method::PUT, &format!("{base}/manifests/{digest}"), kind, text).await.status, 201);
    digest
}

//! Against a registry of a few lines on loopback; the real one is in the ignored test of `real_tests`.

use std::cell::RefCell;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

struct FixedLogin;

#[async_trait(?Send)]
impl Registry for FixedLogin {
    async fn login(&self) -> Result<RegistryLogin, Problem> {
        let server = "127.0.0.1".to_owned();
        Ok(RegistryLogin { server, username: "AWS".into(), password: "hunter2".into(), expires_at: None })
    }

    async fn find(&self, _: &ImageRef) -> Result<Option<ImageInfo>, Problem> {
        unreachable!("only the login is asked of it")
    }

    async fn tag(&self, _: &ImageRef, _: &str) -> Result<(), Problem> {
        unreachable!("only the login is asked of it")
    }
}

const MANIFEST: &str = r#"{"manifests":[{"platform":{"os":"linux","architecture":"arm64"}}]}"#;

fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// Serves `responses` one by one while `work` runs, and returns the requests with the result of `work`.
async fn with_server<T>(
    responses: Vec<String>,
    work: impl AsyncFnOnce(OciRegistry, ImageRef) -> T,
) -> (Vec<String>, T) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let image: ImageRef = format!("{}/acme/app:1", listener.local_addr().unwrap()).parse().unwrap();
    let requests = RefCell::new(Vec::new());
    let serve = async {
        for response in responses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 8192];
            let count = stream.read(&mut buffer).await.unwrap();
            requests.borrow_mut().push(String::from_utf8_lossy(&buffer[..count]).into_owned());
            stream.write_all(response.as_bytes()).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let distribution = OciRegistry::new(Rc::new(FixedLogin), HttpClient::direct());
    let result =
        tokio::select! { result = work(distribution, image) => result, () = serve => unreachable!() };
    (requests.into_inner(), result)
}

#[tokio::test]
async fn image_is_found_by_the_digest_of_its_bytes() {
    let (requests, found) =
        with_server(vec![response("200 OK", MANIFEST)], async |registry, image| registry.find(&image).await)
            .await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.digest.as_str(), format!("sha256:{}", hex::encode(Sha256::digest(MANIFEST))));
    assert_eq!(found.platforms, ["linux/arm64"]);
    assert!(requests[0].starts_with("GET /v2/acme/app/manifests/1 "), "{requests:?}");
    assert!(requests[0].contains("authorization: Basic QVdTOmh1bnRlcjI="), "{requests:?}");
}

#[tokio::test]
async fn content_with_wrong_digest_is_rejected() {
    let pinned = async |registry: OciRegistry, image: ImageRef| {
        let digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        registry.find(&image.with_digest(digest)).await.map_err(|problem| problem.code)
    };
    assert_eq!(with_server(vec![response("200 OK", MANIFEST)], pinned).await.1, Err(Code::DigestMismatch));
}

#[tokio::test]
async fn missing_forbidden_and_failing_are_distinguished() {
    let find = async |registry: OciRegistry, image: ImageRef| {
        registry.find(&image).await.map(|found| found.is_some()).map_err(|problem| problem.code)
    };
    for (status, expected) in [
        ("404 Not Found", Ok(false)),
        ("403 Forbidden", Err(Code::RegistryLoginFailed)),
        ("400 Bad Request", Err(Code::ProviderError)),
    ] {
        assert_eq!(with_server(vec![response(status, "{}")], find).await.1, expected, "{status}");
    }
}

#[tokio::test]
async fn busy_registry_is_retried() {
    let responses = vec![response("503 Service Unavailable", ""), response("200 OK", MANIFEST)];
    let (requests, found) = with_server(responses, async |registry, image| registry.find(&image).await).await;
    assert!(found.unwrap().is_some());
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn immutable_tag_is_accepted_for_the_same_image_only() {
    let fixed = || response("400 Bad Request", "the tag is immutable");
    let tag = async |registry: OciRegistry, image: ImageRef| {
        registry.tag(&image, "main").await.map_err(|problem| problem.code)
    };
    let other = r#"{"manifests":[]}"#;
    let responses = |holder: &str| vec![response("200 OK", MANIFEST), fixed(), response("200 OK", holder)];
    assert_eq!(with_server(responses(MANIFEST), tag).await.1, Ok(()));
    let (requests, result) = with_server(responses(other), tag).await;
    assert_eq!(result, Err(Code::TagImmutable));
    assert!(requests[1].starts_with("PUT /v2/acme/app/manifests/main "), "{requests:?}");
}

#[tokio::test]
async fn rejected_login_is_renewed_once() {
    let refused = || response("401 Unauthorized", "");
    let find = async |registry: OciRegistry, image: ImageRef| {
        registry.find(&image).await.map(|found| found.is_some()).map_err(|problem| problem.code)
    };
    assert_eq!(with_server(vec![refused(), response("200 OK", MANIFEST)], find).await.1, Ok(true));
    assert_eq!(with_server(vec![refused(), refused()], find).await.1, Err(Code::RegistryLoginFailed));
}

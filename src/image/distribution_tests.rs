//! Against a registry of a few lines on loopback; the real one is in the ignored test of `real_tests`.

use std::cell::RefCell;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

struct Fixed;

#[async_trait(?Send)]
impl Registry for Fixed {
    async fn login(&self) -> Result<Login, Problem> {
        let server = "127.0.0.1".to_owned();
        Ok(Login { server, username: "AWS".into(), password: "hunter2".into(), expires: None })
    }

    async fn find(&self, _: &ImageRef) -> Result<Option<Found>, Problem> {
        unreachable!("only the login is asked of it")
    }

    async fn tag(&self, _: &ImageRef, _: &str) -> Result<(), Problem> {
        unreachable!("only the login is asked of it")
    }
}

const MANIFEST: &str = r#"{"manifests":[{"platform":{"os":"linux","architecture":"arm64"}}]}"#;

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// Serves `answers` one by one while `work` runs, and returns the requests with what `work` returned.
async fn served<T>(
    answers: Vec<String>,
    work: impl AsyncFnOnce(Distribution, ImageRef) -> T,
) -> (Vec<String>, T) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let image: ImageRef = format!("{}/acme/app:1", listener.local_addr().unwrap()).parse().unwrap();
    let requests = RefCell::new(Vec::new());
    let serve = async {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 8192];
            let count = stream.read(&mut buffer).await.unwrap();
            requests.borrow_mut().push(String::from_utf8_lossy(&buffer[..count]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let distribution = Distribution::new(Rc::new(Fixed), Web::new());
    let result =
        tokio::select! { result = work(distribution, image) => result, () = serve => unreachable!() };
    (requests.into_inner(), result)
}

#[tokio::test]
async fn an_image_is_found_by_what_its_bytes_are() {
    let (requests, found) =
        served(vec![answer("200 OK", MANIFEST)], async |registry, image| registry.find(&image).await).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.digest.as_str(), format!("sha256:{}", hex::encode(Sha256::digest(MANIFEST))));
    assert_eq!(found.platforms, ["linux/arm64"]);
    assert!(requests[0].starts_with("GET /v2/acme/app/manifests/1 "), "{requests:?}");
    assert!(requests[0].contains("authorization: Basic QVdTOmh1bnRlcjI="), "{requests:?}");
}

#[tokio::test]
async fn other_content_than_the_digest_says_is_refused() {
    let pinned = async |registry: Distribution, image: ImageRef| {
        let digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        registry.find(&image.pinned(digest)).await.map_err(|problem| problem.code)
    };
    assert_eq!(served(vec![answer("200 OK", MANIFEST)], pinned).await.1, Err(Code::DigestMismatch));
}

#[tokio::test]
async fn missing_refused_and_broken_are_three_things() {
    let find = async |registry: Distribution, image: ImageRef| {
        registry.find(&image).await.map(|found| found.is_some()).map_err(|problem| problem.code)
    };
    for (status, expected) in [
        ("404 Not Found", Ok(false)),
        ("403 Forbidden", Err(Code::RegistryLoginFailed)),
        ("400 Bad Request", Err(Code::ProviderError)),
    ] {
        assert_eq!(served(vec![answer(status, "{}")], find).await.1, expected, "{status}");
    }
}

#[tokio::test]
async fn a_busy_registry_is_asked_again() {
    let answers = vec![answer("503 Service Unavailable", ""), answer("200 OK", MANIFEST)];
    let (requests, found) = served(answers, async |registry, image| registry.find(&image).await).await;
    assert!(found.unwrap().is_some());
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn a_tag_that_may_not_move_is_fine_by_the_same_image_only() {
    let fixed = || answer("400 Bad Request", "the tag is immutable");
    let tag = async |registry: Distribution, image: ImageRef| {
        registry.tag(&image, "main").await.map_err(|problem| problem.code)
    };
    let other = r#"{"manifests":[]}"#;
    let answers = |holder: &str| vec![answer("200 OK", MANIFEST), fixed(), answer("200 OK", holder)];
    assert_eq!(served(answers(MANIFEST), tag).await.1, Ok(()));
    let (requests, result) = served(answers(other), tag).await;
    assert_eq!(result, Err(Code::TagImmutable));
    assert!(requests[1].starts_with("PUT /v2/acme/app/manifests/main "), "{requests:?}");
}

#[tokio::test]
async fn a_refused_login_is_renewed_once() {
    let refused = || answer("401 Unauthorized", "");
    let find = async |registry: Distribution, image: ImageRef| {
        registry.find(&image).await.map(|found| found.is_some()).map_err(|problem| problem.code)
    };
    assert_eq!(served(vec![refused(), answer("200 OK", MANIFEST)], find).await.1, Ok(true));
    assert_eq!(served(vec![refused(), refused()], find).await.1, Err(Code::RegistryLoginFailed));
}

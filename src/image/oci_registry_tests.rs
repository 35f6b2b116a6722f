//! Against a registry of a few lines on loopback; the real one is in the ignored test of `real_tests`.

use std::cell::RefCell;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::image::registry_logins::{RegistryAccess, RegistryLogins};

/// A login of this user.
struct FixedLogin(&'static str);

#[async_trait(?Send)]
impl LoginSource for FixedLogin {
    async fn login(&self) -> Result<Option<RegistryLogin>, Problem> {
        let (server, password) = ("127.0.0.1".to_owned(), "hunter2".into());
        Ok(Some(RegistryLogin { server, username: self.0.into(), password, expires_at: None }))
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
    let distribution = OciRegistry::new(Rc::new(FixedLogin("AWS")), HttpClient::direct());
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

/// A response that demands a token of the service at `realm`.
fn token_demand(realm: &str, scope: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm=\"{realm}\",service=\"s\",scope=\"{scope}\"\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    )
}

/// Serves `answer` for each request that it gives a response for, as registry and as token service, with a login of `user`.
async fn with_token_service<T>(
    user: Option<&'static str>,
    answer: impl Fn(&str, &str) -> String,
    work: impl AsyncFnOnce(OciRegistry, ImageRef) -> T,
) -> (Vec<String>, T) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let image: ImageRef = format!("{host}/acme/app:1").parse().unwrap();
    let requests = RefCell::new(Vec::new());
    let serve = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 8192];
            let count = stream.read(&mut buffer).await.unwrap();
            let request = String::from_utf8_lossy(&buffer[..count]).into_owned();
            stream.write_all(answer(&host, &request).as_bytes()).await.unwrap();
            requests.borrow_mut().push(request);
        }
    };
    let login = user.map(|user| RegistryLogin {
        server: host.clone(),
        username: user.into(),
        password: "hunter2".into(),
        expires_at: None,
    });
    let logins = login.into_iter().fold(RegistryLogins::default(), RegistryLogins::with);
    let registry = OciRegistry::new(
        RegistryAccess { http: HttpClient::direct(), logins }.login_source(&host),
        HttpClient::direct(),
    );
    let result = tokio::select! { result = work(registry, image) => result, () = serve => unreachable!() };
    (requests.into_inner(), result)
}

/// A registry like GHCR and Docker Hub: everything needs a token, which a service gives for a login and a scope.
fn token_registry(host: &str, request: &str) -> String {
    let scope = if request.starts_with("PUT") { "pull,push" } else { "pull" };
    let token = scope.replace(',', "-");
    if request.starts_with("GET /token?service=s&scope=repository%3Aacme%2Fapp%3Apull%2Cpush ") {
        return response("200 OK", r#"{"token":"pull-push"}"#);
    }
    if request.starts_with("GET /token?service=s&scope=repository%3Aacme%2Fapp%3Apull ") {
        return response("200 OK", r#"{"access_token":"pull"}"#);
    }
    let has_token = request.contains(&format!("authorization: Bearer {token}\r"))
        || request.contains("authorization: Bearer pull-push\r");
    match (has_token, request.starts_with("PUT")) {
        (false, _) => token_demand(&format!("http://{host}/token"), &format!("repository:acme/app:{scope}")),
        (true, true) => response("201 Created", ""),
        (true, false) => response("200 OK", MANIFEST),
    }
}

#[tokio::test]
async fn registry_that_demands_a_token_gets_one_for_each_scope() {
    let (requests, result) = with_token_service(Some("ann"), token_registry, async |registry, image| {
        let found = registry.find(&image).await.unwrap().unwrap();
        registry.find(&image).await.unwrap().unwrap();
        registry.tag(&image.with_digest(found.digest), "v1").await
    })
    .await;
    result.unwrap();
    let lines: Vec<&str> = requests.iter().map(|request| request.lines().next().unwrap()).collect();
    let paths: Vec<String> = lines
        .iter()
        .map(|line| line.replace("/v2/acme/app/manifests/", "").replace(" HTTP/1.1", ""))
        .collect();
    assert_eq!(paths.len(), 8, "{paths:?}");
    // The login goes to the token service alone, and only when it is asked for.
    for request in &requests {
        let is_token = request.starts_with("GET /token");
        assert_eq!(request.contains("authorization: Basic YW5uOmh1bnRlcjI="), is_token, "{request}");
    }
}

#[tokio::test]
async fn registry_with_passwords_gets_the_login_when_it_asks() {
    let basic = |_: &str, request: &str| match request.contains("authorization: Basic YW5uOmh1bnRlcjI=") {
        true => response("200 OK", MANIFEST),
        false => "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n\
                  connection: close\r\n\r\n"
            .into(),
    };
    let find = async |registry: OciRegistry, image: ImageRef| {
        registry.find(&image).await.map(|found| found.is_some())
    };
    let (requests, found) = with_token_service(Some("ann"), basic, find).await;
    assert_eq!((found, requests.len()), (Ok(true), 2));
    let (requests, found) = with_token_service(None, basic, find).await;
    assert_eq!((found.map_err(|problem| problem.code), requests.len()), (Err(Code::RegistryLoginFailed), 1));
    let (requests, found) = with_token_service(Some("bob"), basic, find).await;
    assert_eq!(found.map_err(|problem| problem.code), Err(Code::RegistryLoginFailed));
    assert!(requests.len() <= 3, "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn rejections_of_registries_say_what_to_do() {
    let tagged = async |registry: OciRegistry, image: ImageRef| {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(MANIFEST))).parse().unwrap();
        registry.tag(&image.with_digest(digest), "v1").await.map_err(|problem| problem.to_string())
    };
    for (status, expected) in [
        ("403 Forbidden", "does not allow this login"),
        ("404 Not Found", "does not exist. Create it"),
        ("429 Too Many Requests", "limits requests"),
    ] {
        let answer = move |_: &str, request: &str| match request.starts_with("PUT") {
            true => response(status, "SENTINEL"),
            false if request.contains("manifests/v1") => response("404 Not Found", ""),
            false => response("200 OK", MANIFEST),
        };
        let (_, result) = with_token_service(Some("ann"), answer, tagged).await;
        let problem = result.unwrap_err();
        assert!(problem.contains(expected) && !problem.contains("SENTINEL"), "{status}: {problem}");
    }
}

#[tokio::test]
async fn login_is_not_sent_to_a_token_service_without_tls() {
    let answer = |_: &str, _: &str| token_demand("http://tokens.example/t", "repository:acme/app:pull");
    let find = async |registry: OciRegistry, image: ImageRef| {
        registry.find(&image).await.map(|found| found.is_some())
    };
    let (requests, found) = with_token_service(Some("ann"), answer, find).await;
    let problem = found.unwrap_err();
    assert!(problem.sentence.contains("not HTTPS") && requests.len() == 1, "{problem} {requests:?}");
}

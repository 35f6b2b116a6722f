//! What is sent, what is rejected before it, and how long bodies may be.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient as SmithyHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::*;

/// Responds to every request with 418, a header and the given body, and records the request.
#[derive(Debug, Clone, Default)]
struct Pot(Arc<Mutex<Vec<HttpRequest>>>, Vec<u8>);

impl SmithyHttpClient for Pot {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Pot {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.lock().unwrap().push(request);
        let body = self.1.clone();
        HttpConnectorFuture::new(async move {
            if body == b"never" {
                std::future::pending::<()>().await;
            }
            let response = http::Response::builder().status(418).header("X-Kind", "tea");
            Ok(HttpResponse::try_from(response.body(SdkBody::from(body)).unwrap()).unwrap())
        })
    }
}

fn pot(body: impl Into<Vec<u8>>) -> (HttpClient, Pot) {
    let pot = Pot(Arc::default(), body.into());
    (HttpClient::new(SharedHttpClient::new(pot.clone())), pot)
}

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn send_method_headers_and_body_arrive() {
    let (web, pot) = pot("short and stout");
    let request = Request::new(Method::PUT, "https://pot.example/a?b=c").header("authorization", "Bearer x");
    let response = web.send(request.json(b"{}".to_vec()), PATIENCE).await.unwrap();
    assert_eq!((response.status, response.header("x-kind")), (418, Some("tea")));
    assert_eq!(response.body, b"short and stout");
    let asked = &pot.0.lock().unwrap()[0];
    assert_eq!((asked.method(), asked.uri()), ("PUT", "https://pot.example/a?b=c"));
    let header = |name| asked.headers().get(name);
    assert_eq!(header("authorization"), Some("Bearer x"));
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("user-agent"), Some(USER_AGENT_VALUE));
    assert_eq!(asked.body().bytes(), Some(&b"{}"[..]));
}

#[tokio::test(start_paused = true)]
async fn send_invalid_header_is_rejected_before_sending() {
    let (web, pot) = pot("");
    for value in ["sec\nret: 1", "sec\rret", "sec\u{0}ret", "sec\tret", "secr\u{85}et", "secr\u{fc}t"] {
        let request = Request::get("https://pot.example/").header("authorization", value);
        let why = web.send(request, PATIENCE).await.unwrap_err().to_string();
        assert!(why.contains("authorization") && !why.contains("sec"), "{why}");
    }
    let request = Request::get("https://pot.example/").header("a b", "x");
    assert!(web.send(request, PATIENCE).await.is_err());
    assert_eq!(pot.0.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn send_credential_over_plain_http_is_rejected_before_sending() {
    let (web, pot) = pot("");
    for url in ["http://pot.example/", "http://127.evil.example/", "http://127.0.0.1@pot.example/"] {
        let request = Request::get(url).header("Authorization", "Bearer SENTINEL");
        let why = web.send(request, PATIENCE).await.unwrap_err().to_string();
        assert!(why.contains("over https only") && !why.contains("SENTINEL"), "{why}");
    }
    assert_eq!(pot.0.lock().unwrap().len(), 0);
    for url in ["https://pot.example/", "http://127.0.0.1:80/", "http://localhost/", "http://[::1]/"] {
        let request = Request::get(url).header("authorization", "Bearer x");
        assert!(web.send(request, PATIENCE).await.is_ok(), "{url}");
    }
    assert!(web.get("http://pot.example/", PATIENCE).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn send_without_response_or_with_too_long_body_is_error() {
    let (web, _) = pot("never");
    let before = tokio::time::Instant::now();
    assert_eq!(
        web.get("https://pot.example/", PATIENCE).await.unwrap_err().to_string(),
        "no response within 5 s"
    );
    assert_eq!(before.elapsed(), PATIENCE);
    let (web, _) = pot(vec![b'x'; MAX_BODY_BYTES + 1]);
    assert_eq!(
        web.get("https://pot.example/", PATIENCE).await.unwrap_err().to_string(),
        "length limit exceeded"
    );
}

#[tokio::test(start_paused = true)]
async fn send_head_long_body_is_truncated() {
    let (web, _) = pot(vec![b'x'; MAX_BODY_BYTES + 1]);
    let response = web.send_head(Request::get("https://pot.example/"), PATIENCE, 1000).await.unwrap();
    assert_eq!((response.status, response.body), (418, vec![b'x'; 1000]));
}

#[test]
fn url_is_split_into_origin_and_path() {
    for (url, origin, path) in [
        ("https://x.example/a?b=c#d", "https://x.example", "/a?b=c"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80", "/"),
        ("http://x?a=/b", "http://x", "/?a=/b"),
    ] {
        assert_eq!(split_url(url), Ok((origin.to_owned(), path.to_owned())));
    }
    assert!(split_url("x.example").is_err());
}

#[test]
fn json_error_text_does_not_quote() {
    let of = |text: &str| json_error_text(&serde_json::from_str::<Vec<u8>>(text).unwrap_err());
    assert_eq!(of(r#"["SENTINEL"]"#), "a value has another type than expected (line 1, column 11)");
    assert_eq!(of("SENTINEL"), "it is not JSON (line 1, column 1)");
    assert_eq!(of("[1"), "it ends too early (line 1, column 2)");
}

#[test]
fn request_debug_hides_url_headers_and_body() {
    let request = Request::get("https://x.example/?key=SENTINEL").header("authorization", "SENTINEL");
    assert!(!format!("{:?}", request.json(b"SENTINEL".to_vec())).contains("SENTINEL"));
}

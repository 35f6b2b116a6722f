//! HTTP through the HTTP client of the run, so that there is one TLS stack and a rehearsal stays inside. One try and no
//! redirect: what an address answers is what is judged. Nothing is logged: headers and bodies may hold secrets. Bodies too
//! large to be held are passed on as they come: [`Stream`].

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use http::header::USER_AGENT;
use http_body_util::{BodyExt as _, Limited};

pub use http::Method;

/// The largest answer that is read, in bytes.
pub const LARGEST: usize = 64 << 20;
/// What we call ourselves.
pub const AGENT: &str = concat!("roadstead/", env!("CARGO_PKG_VERSION"));

/// A body that is read, or sent, piece by piece.
pub type Stream = SdkBody;

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Opened {
    /// HTTP status.
    pub status: u16,
    /// Names, in small letters, and values, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body; of any size.
    pub body: Stream,
}

/// The client.
#[derive(Debug, Clone)]
pub struct Web {
    http: SharedHttpClient,
}

/// What is asked.
#[derive(Clone)]
pub struct Request {
    /// GET, POST and so on.
    pub method: Method,
    /// Absolute address.
    pub url: String,
    /// Names and values. A value of anything but visible ASCII and spaces is refused before anything is sent.
    pub headers: Vec<(String, String)>,
    /// The body; may be empty.
    pub body: Vec<u8>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names, in small letters, and values, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A plain GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A request without headers and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives the body, which is JSON.
    pub fn json(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("content-type", "application/json")
    }
}

impl Answer {
    /// The first header of this name, given in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Web {
    /// Asks through `http`.
    pub fn new(http: SharedHttpClient) -> Self {
        Self { http }
    }

    /// One try to read `url` within `patience`. An error says, in words, why there was no answer.
    pub async fn get(&self, url: &str, patience: Duration) -> Result<Answer, String> {
        self.ask(Request::get(url), patience).await
    }

    /// One try within `patience`. An error says, in words, why there was no whole answer; the request may have arrived
    /// all the same.
    pub async fn ask(&self, request: Request, patience: Duration) -> Result<Answer, String> {
        in_time(patience, async {
            let opened = self.open(request, None).await?;
            let body = Limited::new(opened.body, LARGEST).collect().await.map_err(|error| said(&*error))?;
            Ok(Answer { status: opened.status, headers: opened.headers, body: body.to_bytes().to_vec() })
        })
        .await
    }

    /// As [`Web::ask`], but of the body no more than about `most` bytes are read: what comes after them is left.
    pub async fn glance(&self, request: Request, patience: Duration, most: usize) -> Result<Answer, String> {
        in_time(patience, async {
            let mut begun = self.open(request, None).await?;
            let mut body = Vec::new();
            while body.len() < most
                && let Some(frame) = begun.body.frame().await
            {
                let frame = frame.map_err(|error| said(&*error))?;
                body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            }
            body.truncate(most);
            Ok(Answer { status: begun.status, headers: begun.headers, body })
        })
        .await
    }

    /// One try, without a bound in time: whoever asks has to set one. `body`, where there is one, is sent in place of the
    /// request's own, and the answer's is left to be read. Errors as of [`Web::ask`].
    pub async fn open(&self, request: Request, body: Option<Stream>) -> Result<Opened, String> {
        let (origin, path) = split(&request.url)?;
        valid(&request)?;
        let operation = Operation::builder()
            .service_name("Web")
            .operation_name("Ask")
            .http_client(self.http.clone())
            .endpoint_url(&origin)
            .no_auth()
            .no_retry()
            .sleep_impl(TokioSleep::new())
            .timeout_config(TimeoutConfig::disabled())
            .serializer(serialized)
            .deserializer_impl::<Opened, std::io::Error>(Begin)
            .build();
        operation.invoke((path, request, body)).await.map_err(|error| said(&error))
    }
}

async fn in_time(
    patience: Duration,
    work: impl Future<Output = Result<Answer, String>>,
) -> Result<Answer, String> {
    let late = || format!("no answer in {} s", patience.as_secs_f64());
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(late()))
}

/// Refuses headers that would not stay headers, without repeating them: a value may be a secret.
fn valid(request: &Request) -> Result<(), String> {
    let refused = request.headers.iter().find(|(name, value)| {
        http::HeaderName::from_bytes(name.as_bytes()).is_err()
            || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    });
    refused.map_or(Ok(()), |(name, _)| {
        Err(format!("the header {:?} has characters that no header has", name.to_lowercase()))
    })
}

/// The request as the client wants it: the origin is the client's own business.
fn serialized((path, request, stream): (String, Request, Option<Stream>)) -> Result<HttpRequest, BoxError> {
    let mut built = http::Request::builder().method(request.method).uri(path);
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(USER_AGENT.as_str())) {
        built = built.header(USER_AGENT, AGENT);
    }
    for (name, value) in &request.headers {
        built = built.header(name, value);
    }
    let own = || if request.body.is_empty() { SdkBody::empty() } else { SdkBody::from(request.body) };
    let body = stream.unwrap_or_else(own);
    Ok(HttpRequest::try_from(built.body(body)?)?)
}

/// Takes the body unread: the client itself would read one of any size.
#[derive(Debug)]
struct Begin;

impl DeserializeResponse for Begin {
    fn deserialize_streaming(
        &self,
        response: &mut HttpResponse,
    ) -> Option<Result<Output, OrchestratorError<Error>>> {
        let headers = response.headers().iter().map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers = headers.collect();
        let (status, body) = (response.status().as_u16(), response.take_body());
        Some(Ok(Output::erase(Opened { status, headers, body })))
    }

    fn deserialize_nonstreaming(&self, _: &HttpResponse) -> Result<Output, OrchestratorError<Error>> {
        Err(OrchestratorError::other("the body was read by somebody else"))
    }
}

/// Origin and path with query of an address: the client joins them by itself.
fn split(url: &str) -> Result<(String, String), String> {
    let wrong = || "it is no address of HTTP".to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((format!("{scheme}://{host}"), format!("{slash}{path}")))
}

/// What an error and its causes say, each once.
pub fn said(error: &(dyn StdError + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !words.iter().any(|known| known.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    words.join(": ")
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

    use super::*;

    /// Answers everything with 418, a header and the given body, and keeps what it was asked.
    #[derive(Debug, Clone, Default)]
    struct Pot(Arc<Mutex<Vec<HttpRequest>>>, Vec<u8>);

    impl HttpClient for Pot {
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

    fn pot(body: impl Into<Vec<u8>>) -> (Web, Pot) {
        let pot = Pot(Arc::default(), body.into());
        (Web::new(SharedHttpClient::new(pot.clone())), pot)
    }

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn method_headers_and_body_go_out_and_come_back() {
        let (web, pot) = pot("short and stout");
        let request =
            Request::new(Method::PUT, "https://pot.example/a?b=c").header("authorization", "Bearer x");
        let answer = web.ask(request.json(b"{}".to_vec()), PATIENCE).await.unwrap();
        assert_eq!((answer.status, answer.header("x-kind")), (418, Some("tea")));
        assert_eq!(answer.body, b"short and stout");
        let asked = &pot.0.lock().unwrap()[0];
        assert_eq!((asked.method(), asked.uri()), ("PUT", "https://pot.example/a?b=c"));
        let header = |name| asked.headers().get(name);
        assert_eq!(header("authorization"), Some("Bearer x"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("user-agent"), Some(AGENT));
        assert_eq!(asked.body().bytes(), Some(&b"{}"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_that_would_not_stay_one_is_refused_before_anything_is_sent() {
        let (web, pot) = pot("");
        for value in ["sec\nret: 1", "sec\rret", "sec\u{0}ret", "sec\tret", "secr\u{85}et", "secr\u{fc}t"] {
            let request = Request::get("https://pot.example/").header("authorization", value);
            let why = web.ask(request, PATIENCE).await.unwrap_err();
            assert!(why.contains("authorization") && !why.contains("sec"), "{why}");
        }
        let request = Request::get("https://pot.example/").header("a b", "x");
        assert!(web.ask(request, PATIENCE).await.is_err());
        assert_eq!(pot.0.lock().unwrap().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_a_flood_are_no_answers() {
        let (web, _) = pot("never");
        let before = tokio::time::Instant::now();
        assert_eq!(web.get("https://pot.example/", PATIENCE).await.unwrap_err(), "no answer in 5 s");
        assert_eq!(before.elapsed(), PATIENCE);
        let (web, _) = pot(vec![b'x'; LARGEST + 1]);
        assert_eq!(web.get("https://pot.example/", PATIENCE).await.unwrap_err(), "length limit exceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn a_glance_leaves_what_is_too_much() {
        let (web, _) = pot(vec![b'x'; LARGEST + 1]);
        let answer = web.glance(Request::get("https://pot.example/"), PATIENCE, 1000).await.unwrap();
        assert_eq!((answer.status, answer.body), (418, vec![b'x'; 1000]));
    }

    #[test]
    fn an_address_is_split_into_origin_and_path() {
        for (url, origin, path) in [
            ("https://x.example/a?b=c#d", "https://x.example", "/a?b=c"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80", "/"),
            ("http://x?a=/b", "http://x", "/?a=/b"),
        ] {
            assert_eq!(split(url), Ok((origin.to_owned(), path.to_owned())));
        }
        assert!(split("x.example").is_err());
    }

    #[test]
    fn a_request_does_not_show_what_it_carries() {
        let request = Request::get("https://x.example/?key=SENTINEL").header("authorization", "SENTINEL");
        assert!(!format!("{:?}", request.json(b"SENTINEL".to_vec())).contains("SENTINEL"));
    }
}

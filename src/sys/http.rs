//! HTTP through the HTTP client of the run, so that there is one TLS stack and a rehearsal makes no real request. One
//! attempt and no redirect: the response itself is checked. Nothing is logged: headers and bodies may contain secrets.
//! Bodies too large for memory are streamed: [`Stream`].

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
use http::header::{AUTHORIZATION, USER_AGENT};
use http_body_util::{BodyExt as _, Limited};

use crate::release::may_receive_credentials;

pub use http::Method;

pub use super::request_error::{RequestError, error_text};

/// The maximum response that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 64 << 20;
/// The user agent.
pub const USER_AGENT_VALUE: &str = concat!("roadstead/", env!("CARGO_PKG_VERSION"));

/// A body that is read, or sent, in chunks.
pub type BodyStream = SdkBody;

/// A response whose body is not read yet.
#[derive(Debug)]
pub struct OpenResponse {
    /// HTTP status.
    pub status: u16,
    /// Names, in lower case, and values, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body, of any size.
    pub body: BodyStream,
}

/// The client.
#[derive(Debug, Clone)]
pub struct HttpClient {
    http: SharedHttpClient,
}

/// A request.
#[derive(Clone)]
pub struct Request {
    /// GET, POST and so on.
    pub method: Method,
    /// Absolute URL.
    pub url: String,
    /// Names and values. A value with anything but visible ASCII and spaces is rejected before anything is sent.
    pub headers: Vec<(String, String)>,
    /// The body; may be empty.
    pub body: Vec<u8>,
}

/// A response, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Names, in lower case, and values, in the order received.
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

    fn has_credentials(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(AUTHORIZATION.as_str()))
    }

    /// Sets the body, which is JSON.
    pub fn json(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("content-type", "application/json")
    }
}

impl Response {
    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, bytes that are not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl HttpClient {
    /// A client that sends through `http`.
    pub fn new(http: SharedHttpClient) -> Self {
        Self { http }
    }

    /// A client without proxies.
    #[cfg(test)]
    pub(crate) fn direct() -> Self {
        Self::new(super::network::Network::default().client())
    }

    /// One attempt to read `url` within `timeout`. An error is the reason why there was no response.
    pub async fn get(&self, url: &str, timeout: Duration) -> Result<Response, RequestError> {
        self.send(Request::get(url), timeout).await
    }

    /// One attempt within `timeout`. An error is the reason why there was no complete response; the request may have
    /// arrived anyway.
    pub async fn send(&self, request: Request, timeout: Duration) -> Result<Response, RequestError> {
        with_timeout(timeout, async {
            let opened = self.send_streaming(request, None).await?;
            let body = Limited::new(opened.body, MAX_BODY_BYTES)
                .collect()
                .await
                .map_err(|error| RequestError::from_error(&*error))?;
            Ok(Response { status: opened.status, headers: opened.headers, body: body.to_bytes().to_vec() })
        })
        .await
    }

    /// As [`HttpClient::send`], but at most about `most` bytes of the body are read.
    pub async fn send_head(
        &self,
        request: Request,
        timeout: Duration,
        most: usize,
    ) -> Result<Response, RequestError> {
        with_timeout(timeout, async {
            let mut begun = self.send_streaming(request, None).await?;
            let mut body = Vec::new();
            while body.len() < most
                && let Some(frame) = begun.body.frame().await
            {
                let frame = frame.map_err(|error| RequestError::from_error(&*error))?;
                body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            }
            body.truncate(most);
            Ok(Response { status: begun.status, headers: begun.headers, body })
        })
        .await
    }

    /// One attempt without a time limit: the caller has to set one. `body`, if there is one, is sent instead of the
    /// request's own, and the response's body is left to be read. Errors as in [`HttpClient::send`].
    pub async fn send_streaming(
        &self,
        request: Request,
        body: Option<BodyStream>,
    ) -> Result<OpenResponse, RequestError> {
        let (origin, path) = split_url(&request.url)?;
        validate_headers(&request)?;
        if request.has_credentials() {
            require_confidential(&request.url)?;
        }
        let operation = Operation::builder()
            .service_name("Web")
            .operation_name("Ask")
            .http_client(self.http.clone())
            .endpoint_url(&origin)
            .no_auth()
            .no_retry()
            .sleep_impl(TokioSleep::new())
            .timeout_config(TimeoutConfig::disabled())
            .serializer(build_http_request)
            .deserializer_impl::<OpenResponse, std::io::Error>(UnreadBodyDeserializer)
            .build();
        operation.invoke((path, request, body)).await.map_err(|error| RequestError::from_error(&error))
    }
}

async fn with_timeout(
    timeout: Duration,
    work: impl Future<Output = Result<Response, RequestError>>,
) -> Result<Response, RequestError> {
    let late = || RequestError::from(format!("no response within {} s", timeout.as_secs_f64()));
    tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| Err(late()))
}

/// Rejects a URL to which a credential must not be sent.
pub fn require_confidential(url: &str) -> Result<(), String> {
    let refused = || "a credential is sent over https only, or over http to this machine".to_owned();
    may_receive_credentials(url).then_some(()).ok_or_else(refused)
}

/// Rejects invalid headers without repeating them: a value may be a secret.
fn validate_headers(request: &Request) -> Result<(), String> {
    let refused = request.headers.iter().find(|(name, value)| {
        http::HeaderName::from_bytes(name.as_bytes()).is_err()
            || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    });
    refused.map_or(Ok(()), |(name, _)| {
        Err(format!(
            "the header {:?} contains characters that are not allowed in a header",
            name.to_lowercase()
        ))
    })
}

/// The request in the client's form: the origin is separate.
fn build_http_request(
    (path, request, stream): (String, Request, Option<BodyStream>),
) -> Result<HttpRequest, BoxError> {
    let mut built = http::Request::builder().method(request.method).uri(path);
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(USER_AGENT.as_str())) {
        built = built.header(USER_AGENT, USER_AGENT_VALUE);
    }
    for (name, value) in &request.headers {
        built = built.header(name, value);
    }
    let own = || if request.body.is_empty() { SdkBody::empty() } else { SdkBody::from(request.body) };
    let body = stream.unwrap_or_else(own);
    Ok(HttpRequest::try_from(built.body(body)?)?)
}

/// Takes the body unread: the client would read a body of any size.
#[derive(Debug)]
struct UnreadBodyDeserializer;

impl DeserializeResponse for UnreadBodyDeserializer {
    fn deserialize_streaming(
        &self,
        response: &mut HttpResponse,
    ) -> Option<Result<Output, OrchestratorError<Error>>> {
        let headers = response.headers().iter().map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers = headers.collect();
        let (status, body) = (response.status().as_u16(), response.take_body());
        Some(Ok(Output::erase(OpenResponse { status, headers, body })))
    }

    fn deserialize_nonstreaming(&self, _: &HttpResponse) -> Result<Output, OrchestratorError<Error>> {
        Err(OrchestratorError::other("the body was read already"))
    }
}

/// Origin and path with query of a URL: the client joins them.
fn split_url(url: &str) -> Result<(String, String), String> {
    let wrong = || "it is not a URL of HTTP".to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((format!("{scheme}://{host}"), format!("{slash}{path}")))
}

/// Where and in which way a text is not the expected JSON. The parser's own message may quote the text.
pub fn json_error_text(error: &serde_json::Error) -> String {
    let (kind, line, column) = (error.classify(), error.line(), error.column());
    let what = match kind {
        serde_json::error::Category::Io => "it could not be read",
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Data => "a value has another type than expected",
        serde_json::error::Category::Eof => "it ends too early",
    };
    format!("{what} (line {line}, column {column})")
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! The GitHub client: octocrab over the HTTP client of the run. Its own transport, retries and errors are not used:
//! they would bypass a rehearsal, repeat writes at once, and lose GitHub's messages.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderValue, Method};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use octocrab::service::middleware::auth_header::AuthHeaderLayer;
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use serde_json::{Value, json};
use tower_service::Service;

use super::addresses::Addresses;
use super::error::ApiError;
use super::reply::{self, Access, GraphqlError, ambiguous};
use crate::retry::{self, Jitter, RetryPolicy, SendError, WriteError};
use crate::sys::http::{HttpClient, Request, RequestError, Response};

/// Timeout of one attempt. GitHub itself stops after ten seconds; a large commit takes time to send.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

impl RetryPolicy {
    /// For records and leases, which are worth seconds.
    pub(super) const SHORT: Self =
        read_policy(SHORT_TIMEOUT, &[Duration::from_millis(400), Duration::from_millis(1500)]);
}

/// Time limit of one request for a record or a lease.
pub(super) const SHORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit of a read with its retries, and the backoff between them before jitter.
pub(super) const fn read_policy(deadline: Duration, backoff: &'static [Duration]) -> RetryPolicy {
    RetryPolicy::with_backoff(backoff, Jitter::Around).within(deadline)
}

/// A request of the REST API.
#[derive(Debug, Clone)]
pub struct ApiRequest {
    method: Method,
    route: String,
    body: Option<Value>,
}

impl ApiRequest {
    /// A GET of a route such as `/repos/acme/shop`.
    pub fn get(route: impl Into<String>) -> Self {
        Self { method: Method::GET, route: route.into(), body: None }
    }

    /// Another method, with a body.
    pub fn with_body(method: Method, route: impl Into<String>, body: Value) -> Self {
        Self { method, route: route.into(), body: Some(body) }
    }

    /// Another method, without a body.
    pub fn without_body(method: Method, route: impl Into<String>) -> Self {
        Self { method, route: route.into(), body: None }
    }
}

/// GitHub, for one token.
pub struct Client {
    client: Octocrab,
    addresses: Addresses,
    /// Rate limit hits since the last success.
    rate_limit_hits: Cell<u32>,
}

impl Client {
    /// Must be called inside a runtime. An error if a URL is not valid, or the token has characters that no token has.
    pub fn new(http: SharedHttpClient, addresses: &Addresses, token: &str) -> Result<Self, String> {
        let (api, graphql) = addresses.uris()?;
        let visible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| visible);
        let mut header = header.ok_or("the token is empty or has characters that no token has")?;
        header.set_sensitive(true);
        let Ok(client) = OctocrabBuilder::new_empty()
            .with_service(OctocrabTransport(HttpClient::new(http)))
            .with_layer(&AuthHeaderLayer::new(Some(header), api, graphql))
            .with_auth(AuthState::None)
            .build();
        Ok(Self { client, addresses: addresses.clone(), rate_limit_hits: Cell::new(0) })
    }

    /// The URLs of this GitHub.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Sends a request until there is a response. For idempotent requests.
    pub async fn get(&self, request: &ApiRequest, policy: RetryPolicy) -> Result<Value, ApiError> {
        with_retries(policy, async || {
            self.send_and_classify(
                request,
                |response, rate_limit_hits| reply::parse_rest(response, Access::Read, rate_limit_hits),
                Access::Read,
            )
            .await
        })
        .await
    }

    /// Sends a request once. For requests that must not happen twice.
    pub async fn send_once(&self, request: &ApiRequest) -> Result<Value, ApiError> {
        self.send_and_classify(
            request,
            |response, rate_limit_hits| reply::parse_rest(response, Access::Write, rate_limit_hits),
            Access::Write,
        )
        .await
    }

    /// Sends a GraphQL query until there is a response.
    pub async fn query(
        &self,
        document: &str,
        variables: Value,
        policy: RetryPolicy,
    ) -> Result<(Value, Vec<GraphqlError>), ApiError> {
        let request = graphql_request(document, variables);
        with_retries(policy, async || {
            let reply = self
                .send_and_classify(
                    &request,
                    |response, rate_limit_hits| reply::parse_graphql(response, Access::Read, rate_limit_hits),
                    Access::Read,
                )
                .await?;
            // A server error has status 200 here.
            let errors = reply.1.iter().map(|error| reply::classify(error, Access::Read));
            match errors.into_iter().find(|error| matches!(error, ApiError::Transient(_))) {
                Some(transient) => Err(transient),
                None => Ok(reply),
            }
        })
        .await
    }

    /// Sends a mutation once. Any GraphQL error is an error.
    pub async fn mutate(&self, document: &str, variables: Value) -> Result<Value, ApiError> {
        let request = graphql_request(document, variables);
        let (data, errors) = self
            .send_and_classify(
                &request,
                |response, rate_limit_hits| reply::parse_graphql(response, Access::Write, rate_limit_hits),
                Access::Write,
            )
            .await?;
        errors.first().map_or(Ok(data), |error| Err(reply::classify(error, Access::Write)))
    }

    async fn send_and_classify<T>(
        &self,
        request: &ApiRequest,
        parse: impl Fn(&Response, u32) -> Result<T, ApiError>,
        access: Access,
    ) -> Result<T, ApiError> {
        let response = self.send_attempt(request).await.map_err(|error| match error {
            RequestError::NotConnected(failure) => ApiError::NotConnected(failure),
            RequestError::NoResponse(why) => ambiguous(access, why),
        })?;
        let parsed = parse(&response, self.rate_limit_hits.get());
        self.rate_limit_hits.set(match &parsed {
            Err(ApiError::RateLimited { .. }) => self.rate_limit_hits.get().saturating_add(1),
            Ok(_) => 0,
            Err(_) => self.rate_limit_hits.get(),
        });
        parsed
    }

    /// One attempt. An error is the reason why there is no complete response.
    async fn send_attempt(&self, wanted: &ApiRequest) -> Result<Response, RequestError> {
        let ApiRequest { method, route, body } = wanted;
        let url = match route.as_str() {
            GRAPHQL => self.addresses.graphql.clone(),
            route => format!("{}{route}", self.addresses.api),
        };
        let request = ::http::Request::builder()
            .method(method.clone())
            .uri(url)
            .header("accept", "application/vnd.github+json");
        let request =
            self.client.build_request(request, body.as_ref()).map_err(|error| root_cause(&error))?;
        let response = self.client.execute(request).await.map_err(|error| root_cause(&error))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| root_cause(&error))?.to_bytes().to_vec();
        Ok(Response { status: parts.status.as_u16(), headers: text_headers(&parts.headers), body })
    }
}

/// A placeholder for the GraphQL URL, which is not always below the REST URL.
const GRAPHQL: &str = "graphql";

fn graphql_request(document: &str, variables: Value) -> ApiRequest {
    ApiRequest::with_body(Method::POST, GRAPHQL, json!({ "query": document, "variables": variables }))
}

/// Repeats a read while its error is transient. The deadline cancels an attempt in progress.
async fn with_retries<T>(
    policy: RetryPolicy,
    read: impl AsyncFn() -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let repeated = retry::idempotent(&policy, async || {
        read().await.map_err(|error| match error {
            ApiError::Transient(_) => SendError::transient(error),
            other => SendError::rejected(other),
        })
    });
    let repeated = async { repeated.await.map_err(WriteError::into_error) };
    let late = || Err(ApiError::Transient(format!("no response within {} s", policy.deadline.as_secs())));
    tokio::time::timeout(policy.deadline, repeated).await.unwrap_or_else(|_| late())
}

/// The last error in a chain: that of the transport, without octocrab's wrapping.
fn root_cause(error: &octocrab::Error) -> RequestError {
    let chain = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let last = chain.last();
    match last.and_then(|error| error.downcast_ref()) {
        Some(TransportError(error)) => error.clone(),
        None => last.map_or_else(|| error.to_string(), ToString::to_string).into(),
    }
}

/// Headers with text values.
fn text_headers(headers: &::http::HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&::http::HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

/// The HTTP client of the run, in octocrab's interface.
#[derive(Clone)]
struct OctocrabTransport(HttpClient);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct TransportError(RequestError);

fn transport_error(error: &dyn std::error::Error) -> TransportError {
    TransportError(error.to_string().into())
}

type ResponseFuture =
    Pin<Box<dyn Future<Output = Result<::http::Response<Full<Bytes>>, TransportError>> + Send>>;

impl Service<::http::Request<OctoBody>> for OctocrabTransport {
    type Response = ::http::Response<Full<Bytes>>;
    type Error = TransportError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ::http::Request<OctoBody>) -> ResponseFuture {
        let http = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| transport_error(&error))?.to_bytes().to_vec();
            // The client sets the content length.
            let headers =
                text_headers(&parts.headers).into_iter().filter(|(name, _)| name != "content-length");
            let request = Request {
                method: parts.method,
                url: parts.uri.to_string(),
                headers: headers.collect(),
                body,
            };
            let answer = http.send(request, ATTEMPT_TIMEOUT).await.map_err(TransportError)?;
            let mut response = ::http::Response::builder().status(answer.status);
            for (name, value) in answer.headers {
                response = response.header(name, value);
            }
            response.body(Full::from(answer.body)).map_err(|error| transport_error(&error))
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

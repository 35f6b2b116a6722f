//! The wire: HTTP requests in the protocols of AWS, GitHub, Argo CD and Kubernetes to calls, answers to HTTP responses. No behaviour
//! of any service lives here, and nothing here opens a socket.

pub mod argocd;
pub mod cbor;
pub mod credential_scope;
pub mod github;
mod github_routes;
pub mod json;
pub mod kubernetes;
pub mod plain_http;
pub mod query;
pub mod registry;
mod rest_json;
pub mod shapes;
mod upload_pack;
pub mod xml;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::Value;

use super::request::{Delivery, ServiceCall, ServiceError, ServiceResult};

/// What answers calls: the emulator, or a stand-in in a test.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one call. May take time (of the virtual clock) before it does.
    fn handle(&self, call: ServiceCall) -> impl Future<Output = Delivery> + Send;

    /// What was asked so far, oldest first, as a JSON list.
    fn call_log(&self) -> Value {
        Value::Array(Vec::new())
    }
}

/// How a request was spoken, and so how its answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// AWS JSON 1.0.
    Json10,
    /// AWS JSON 1.1.
    Json11,
    /// AWS query: a form in, XML out.
    Query,
    /// Smithy RPC v2 with CBOR.
    Cbor,
    /// Argo CD's API.
    Argocd,
    /// The API of Kubernetes.
    Kubernetes,
    /// Amazon EKS.
    Eks,
    /// A registry of images, by the distribution specification.
    Registry,
    /// AWS REST-JSON.
    RestJson,
    /// A plain GET: JSON for an object, the bytes themselves for a string.
    PlainHttp,
    /// One of GitHub's APIs.
    GitHub(github::GitHubStyle),
}

/// A request, read.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedRequest {
    /// How the answer must be written.
    pub protocol: Protocol,
    /// The request.
    pub call: ServiceCall,
    /// `http://host:port` by which the client reached the cloud: links in answers begin with it.
    pub origin: String,
}

/// What the transport does with a request.
#[derive(Debug)]
pub enum TransportReply {
    /// Send this.
    Respond(Response<Bytes>),
    /// Break the connection.
    Disconnect,
    /// Never answer.
    NoReply,
}

/// Request ids: unique within one transport and the same in every run, because runs must be repeatable.
#[derive(Debug, Clone, Default)]
pub struct RequestIds(Arc<AtomicU64>);

impl RequestIds {
    /// The next id, in the form AWS uses.
    pub fn next_id(&self) -> String {
        let n = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{:08x}-0000-4000-8000-{:012x}", n >> 48, n & 0xffff_ffff_ffff)
    }
}

/// Reads a request, has it answered, and writes the answer.
pub async fn handle_request<A: Handler>(
    cloud: &A,
    ids: &RequestIds,
    request: &Request<Bytes>,
) -> TransportReply {
    let id = ids.next_id();
    let spoken = match parse_request(request) {
        Ok(spoken) => spoken,
        Err((protocol, refusal)) => return TransportReply::Respond(write_error(protocol, &refusal, &id)),
    };
    match cloud.handle(spoken.call.clone()).await {
        Delivery::Reply(answer) => TransportReply::Respond(write_response(&spoken, answer, &id)),
        Delivery::ConnectionLost => TransportReply::Disconnect,
        Delivery::NoReply => TransportReply::NoReply,
        Delivery::Page(page) => TransportReply::Respond(write_page(page)),
    }
}

/// A web page in the place of an answer, whatever the protocol.
fn write_page(page: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(page));
    set_header(response.headers_mut(), "content-type", "text/html; charset=utf-8");
    response
}

/// Reads a request. An error carries the protocol in which to say so.
pub fn parse_request(request: &Request<Bytes>) -> Result<ParsedRequest, (Protocol, ServiceError)> {
    let protocol = detect_protocol(request);
    let read = match protocol {
        Protocol::Json10 | Protocol::Json11 => json::parse_request(request.headers(), request.body()),
        Protocol::Query => query::parse_request(request.body()),
        Protocol::Cbor => cbor::parse_request(request.uri().path(), request.body()),
        Protocol::Argocd => argocd::parse_request(request),
        Protocol::Kubernetes => kubernetes::parse_request(request),
        Protocol::Eks => Ok(kubernetes::parse_eks_request(request)),
        Protocol::Registry => registry::parse_request(request),
        Protocol::RestJson => rest_json::parse_request(request),
        Protocol::PlainHttp => plain_http::parse_request(request),
        Protocol::GitHub(style) => github::parse_request(style, request),
    };
    let named = read.map_err(|refusal| (protocol, refusal))?;
    let scope = credential_scope::from_request(request);
    let access_key = match named.service.as_str() {
        "github" => github::request_token(request),
        "registry" => registry::request_password(request),
        _ => scope.access_key,
    };
    let call = ServiceCall {
        // A target that is not in the table is named by the scope it was signed for.
        service: if named.service.is_empty() { scope.service } else { named.service },
        operation: named.operation,
        input: named.input,
        region: scope.region,
        access_key,
    };
    Ok(ParsedRequest { protocol, call, origin: request_origin(request) })
}

/// Service, operation and input: what a codec finds in a request, before its signature is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedCall {
    /// Signing name of the service; empty when the protocol's own name for it is unknown.
    pub service: String,
    /// Operation in the model's spelling.
    pub operation: String,
    /// Members in the model's spelling.
    pub input: Value,
}

/// Writes an answer in the protocol of its request.
pub fn write_response(spoken: &ParsedRequest, answer: ServiceResult, id: &str) -> Response<Bytes> {
    if let Protocol::GitHub(style) = spoken.protocol {
        return github::write_response(style, spoken, answer, id);
    }
    if let (Protocol::Kubernetes, Ok(value)) = (spoken.protocol, &answer) {
        return kubernetes::write_response(&spoken.call.operation, value);
    }
    let value = match answer {
        Ok(value) => shapes::without_nulls(shapes::with_links(&spoken.call, &spoken.origin, value)),
        Err(refusal) => return write_error(spoken.protocol, &refusal, id),
    };
    if spoken.protocol == Protocol::Registry {
        return registry::write_response(&value);
    }
    if spoken.protocol == Protocol::RestJson {
        let empty = build_response(StatusCode::OK, Protocol::RestJson, Vec::new(), id);
        return rest_json::write_response(&spoken.call.operation, value, empty);
    }
    let body = match spoken.protocol {
        Protocol::Json10 | Protocol::Json11 => json::write_body(&value),
        Protocol::Query => xml::write_body(&spoken.call.service, &spoken.call.operation, &value, id),
        Protocol::Cbor => cbor::write_body(&value),
        Protocol::Argocd => argocd::write_body(&spoken.call.operation, &value),
        Protocol::RestJson | Protocol::Eks | Protocol::Kubernetes => json::write_body(&value),
        Protocol::PlainHttp | Protocol::Registry | Protocol::GitHub(_) => plain_http::write_body(&value),
    };
    build_response(StatusCode::OK, spoken.protocol, body, id)
}

/// Writes an error in a protocol.
pub fn write_error(protocol: Protocol, refusal: &ServiceError, id: &str) -> Response<Bytes> {
    if let Protocol::GitHub(style) = protocol {
        return github::write_error(style, refusal, id);
    }
    if protocol == Protocol::Registry {
        return registry::write_error(refusal);
    }
    if protocol == Protocol::Kubernetes {
        return kubernetes::write_error(refusal);
    }
    let body = match protocol {
        Protocol::PlainHttp if refusal.code == plain_http::HTTP_RESPONSE => {
            refusal.message.clone().into_bytes()
        }
        Protocol::Json10 | Protocol::Json11 => json::write_error(refusal),
        Protocol::PlainHttp | Protocol::Registry | Protocol::Kubernetes | Protocol::GitHub(_) => {
            json::write_error(refusal)
        }
        Protocol::Argocd => argocd::write_error(refusal),
        Protocol::RestJson | Protocol::Eks => rest_json::write_error(refusal),
        Protocol::Query => xml::write_error(refusal, id),
        Protocol::Cbor => cbor::write_error(refusal),
    };
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = build_response(status, protocol, body, id);
    if protocol == Protocol::Argocd && (502..=504).contains(&refusal.status) {
        set_header(response.headers_mut(), "content-type", "text/html");
    }
    if refusal.code == plain_http::HTTP_RESPONSE {
        for (name, value) in refusal.details.iter().flat_map(|more| &more.headers) {
            if let Ok(name) = http::HeaderName::from_bytes(name.as_bytes()) {
                response.headers_mut().extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
            }
        }
        return response;
    }
    if !matches!(protocol, Protocol::Query | Protocol::Argocd) {
        set_header(response.headers_mut(), "x-amzn-errortype", &refusal.code);
    }
    if protocol == Protocol::Cbor {
        // CloudWatch spoke query before: it repeats its errors in those words.
        let fault = if refusal.status < 500 { "Sender" } else { "Receiver" };
        set_header(response.headers_mut(), "x-amzn-query-error", &format!("{};{fault}", refusal.code));
    }
    response
}

fn build_response(status: StatusCode, protocol: Protocol, body: Vec<u8>, id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let kind = match protocol {
        Protocol::Json10 => "application/x-amz-json-1.0",
        Protocol::Json11 => "application/x-amz-json-1.1",
        Protocol::Query => "text/xml",
        Protocol::Cbor => "application/cbor",
        Protocol::PlainHttp
        | Protocol::RestJson
        | Protocol::Eks
        | Protocol::Kubernetes
        | Protocol::Argocd
        | Protocol::Registry
        | Protocol::GitHub(_) => "application/json",
    };
    set_header(response.headers_mut(), "content-type", kind);
    if protocol != Protocol::Argocd {
        set_header(response.headers_mut(), "x-amzn-requestid", id);
    }
    if protocol == Protocol::Cbor {
        set_header(response.headers_mut(), "smithy-protocol", "rpc-v2-cbor");
    }
    response
}

fn set_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn detect_protocol(request: &Request<Bytes>) -> Protocol {
    let kind = header_text(request.headers(), "content-type");
    if argocd::is_argocd_path(request.uri().path()) {
        Protocol::Argocd
    } else if kubernetes::is_kubernetes_path(request.uri().path()) {
        Protocol::Kubernetes
    } else if kubernetes::is_eks_path(&credential_scope::from_request(request).service, request.uri().path())
    {
        Protocol::Eks
    } else if registry::is_registry_path(request.uri().path()) {
        Protocol::Registry
    } else if let Some(style) = github::detect_style(request) {
        Protocol::GitHub(style)
    } else if rest_json::is_rest_service(&credential_scope::from_request(request).service) {
        Protocol::RestJson
    } else if request.method() == Method::GET || plain_http::is_webhook(request) {
        Protocol::PlainHttp
    } else if request.uri().path().starts_with(cbor::PREFIX) {
        Protocol::Cbor
    } else if header_text(request.headers(), "x-amz-target").is_empty() {
        Protocol::Query
    } else if kind.starts_with("application/x-amz-json-1.0") {
        Protocol::Json10
    } else {
        Protocol::Json11
    }
}

fn request_origin(request: &Request<Bytes>) -> String {
    let host = header_text(request.headers(), "host");
    let host = request.uri().authority().map_or(host, |authority| authority.as_str());
    format!("http://{}", if host.is_empty() { "cloud.invalid" } else { host })
}

/// A header's text; empty when absent or not ASCII.
fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A request that the wire itself cannot read.
fn malformed_request(why: impl std::fmt::Display) -> ServiceError {
    ServiceError::new("SerializationException", why.to_string())
}

//! The wire: HTTP requests in the protocols of AWS, GitHub and Argo CD to calls, answers to HTTP responses. No behaviour
//! of any service lives here, and nothing here opens a socket.

pub mod argocd;
pub mod cbor;
pub mod get;
pub mod github;
pub mod json;
pub mod query;
pub mod registry;
mod rest;
mod routes;
pub mod scope;
pub mod shapes;
pub mod xml;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::Value;

use super::call::{Answer, Call, Delivery, Refusal};

/// What answers calls: the embedded cloud, or a stand-in in a test.
pub trait Answerer: Clone + Send + Sync + 'static {
    /// Answers one call. May take time (of the virtual clock) before it does.
    fn answer(&self, call: Call) -> impl Future<Output = Delivery> + Send;

    /// What was asked so far, oldest first, as a JSON list.
    fn log(&self) -> Value {
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
    /// A registry of images, by the distribution specification.
    Registry,
    /// AWS REST-JSON.
    Rest,
    /// A plain GET: JSON for an object, the bytes themselves for a string.
    Get,
    /// One of GitHub's APIs.
    GitHub(github::Style),
}

/// A request, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    /// How the answer must be written.
    pub protocol: Protocol,
    /// What was asked for.
    pub call: Call,
    /// `http://host:port` by which the client reached the cloud: links in answers begin with it.
    pub origin: String,
}

/// What the transport does with a request.
#[derive(Debug)]
pub enum Exchange {
    /// Send this.
    Respond(Response<Bytes>),
    /// Break the connection.
    Lost,
    /// Never answer.
    Silence,
}

/// Request ids: unique within one transport and the same in every run, because runs must be repeatable.
#[derive(Debug, Clone, Default)]
pub struct RequestIds(Arc<AtomicU64>);

impl RequestIds {
    /// The next id, in the form AWS uses.
    pub fn next(&self) -> String {
        let n = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{:08x}-0000-4000-8000-{:012x}", n >> 48, n & 0xffff_ffff_ffff)
    }
}

/// Reads a request, has it answered, and writes the answer.
pub async fn exchange<A: Answerer>(cloud: &A, ids: &RequestIds, request: &Request<Bytes>) -> Exchange {
    let id = ids.next();
    let spoken = match read(request) {
        Ok(spoken) => spoken,
        Err((protocol, refusal)) => return Exchange::Respond(refuse(protocol, &refusal, &id)),
    };
    match cloud.answer(spoken.call.clone()).await {
        Delivery::Answer(answer) => Exchange::Respond(write(&spoken, answer, &id)),
        Delivery::Lost => Exchange::Lost,
        Delivery::Silence => Exchange::Silence,
    }
}

/// Reads a request. An error carries the protocol in which to say so.
pub fn read(request: &Request<Bytes>) -> Result<Spoken, (Protocol, Refusal)> {
    let protocol = protocol(request);
    let read = match protocol {
        Protocol::Json10 | Protocol::Json11 => json::read(request.headers(), request.body()),
        Protocol::Query => query::read(request.body()),
        Protocol::Cbor => cbor::read(request.uri().path(), request.body()),
        Protocol::Argocd => argocd::read(request),
        Protocol::Registry => registry::read(request),
        Protocol::Rest => rest::read(request),
        Protocol::Get => get::read(request),
        Protocol::GitHub(style) => github::read(style, request),
    };
    let named = read.map_err(|refusal| (protocol, refusal))?;
    let scope = scope::of(request);
    let access_key = match named.service.as_str() {
        "github" => github::token(request),
        "registry" => registry::password(request),
        _ => scope.access_key,
    };
    let call = Call {
        // A target that is not in the table is named by the scope it was signed for.
        service: if named.service.is_empty() { scope.service } else { named.service },
        operation: named.operation,
        input: named.input,
        region: scope.region,
        access_key,
    };
    Ok(Spoken { protocol, call, origin: origin(request) })
}

/// Service, operation and input: what a codec finds in a request, before its signature is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Signing name of the service; empty when the protocol's own name for it is unknown.
    pub service: String,
    /// Operation in the model's spelling.
    pub operation: String,
    /// Members in the model's spelling.
    pub input: Value,
}

/// Writes an answer in the protocol of its request.
pub fn write(spoken: &Spoken, answer: Answer, id: &str) -> Response<Bytes> {
    if let Protocol::GitHub(style) = spoken.protocol {
        return github::write(style, spoken, answer, id);
    }
    let value = match answer {
        Ok(value) => shapes::without_nulls(shapes::with_links(&spoken.call, &spoken.origin, value)),
        Err(refusal) => return refuse(spoken.protocol, &refusal, id),
    };
    if spoken.protocol == Protocol::Registry {
        return registry::write(&value);
    }
    if spoken.protocol == Protocol::Rest {
        let empty = respond(StatusCode::OK, Protocol::Rest, Vec::new(), id);
        return rest::write(&spoken.call.operation, value, empty);
    }
    let body = match spoken.protocol {
        Protocol::Json10 | Protocol::Json11 => json::write(&value),
        Protocol::Query => xml::write(&spoken.call.service, &spoken.call.operation, &value, id),
        Protocol::Cbor => cbor::write(&value),
        Protocol::Argocd | Protocol::Rest => json::write(&value),
        Protocol::Get | Protocol::Registry | Protocol::GitHub(_) => get::write(&value),
    };
    respond(StatusCode::OK, spoken.protocol, body, id)
}

/// Writes an error in a protocol.
pub fn refuse(protocol: Protocol, refusal: &Refusal, id: &str) -> Response<Bytes> {
    if let Protocol::GitHub(style) = protocol {
        return github::refuse(style, refusal, id);
    }
    if protocol == Protocol::Registry {
        return registry::refuse(refusal);
    }
    let body = match protocol {
        Protocol::Get if refusal.code == get::ANSWERED => refusal.message.clone().into_bytes(),
        Protocol::Json10 | Protocol::Json11 => json::refuse(refusal),
        Protocol::Get | Protocol::Registry | Protocol::GitHub(_) => json::refuse(refusal),
        Protocol::Argocd => argocd::refuse(refusal),
        Protocol::Rest => rest::refuse(refusal),
        Protocol::Query => xml::refuse(refusal, id),
        Protocol::Cbor => cbor::refuse(refusal),
    };
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, protocol, body, id);
    if protocol == Protocol::Argocd && (502..=504).contains(&refusal.status) {
        set(response.headers_mut(), "content-type", "text/html");
    }
    if refusal.code == get::ANSWERED {
        for (name, value) in refusal.more.iter().flat_map(|more| &more.headers) {
            if let Ok(name) = http::HeaderName::from_bytes(name.as_bytes()) {
                response.headers_mut().extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
            }
        }
        return response;
    }
    if !matches!(protocol, Protocol::Query | Protocol::Argocd) {
        set(response.headers_mut(), "x-amzn-errortype", &refusal.code);
    }
    if protocol == Protocol::Cbor {
        // CloudWatch spoke query before: it repeats its errors in those words.
        let fault = if refusal.status < 500 { "Sender" } else { "Receiver" };
        set(response.headers_mut(), "x-amzn-query-error", &format!("{};{fault}", refusal.code));
    }
    response
}

fn respond(status: StatusCode, protocol: Protocol, body: Vec<u8>, id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let kind = match protocol {
        Protocol::Json10 => "application/x-amz-json-1.0",
        Protocol::Json11 => "application/x-amz-json-1.1",
        Protocol::Query => "text/xml",
        Protocol::Cbor => "application/cbor",
        Protocol::Get | Protocol::Rest | Protocol::Argocd | Protocol::Registry | Protocol::GitHub(_) => {
            "application/json"
        }
    };
    set(response.headers_mut(), "content-type", kind);
    if protocol != Protocol::Argocd {
        set(response.headers_mut(), "x-amzn-requestid", id);
    }
    if protocol == Protocol::Cbor {
        set(response.headers_mut(), "smithy-protocol", "rpc-v2-cbor");
    }
    response
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn protocol(request: &Request<Bytes>) -> Protocol {
    let kind = header(request.headers(), "content-type");
    if argocd::is(request.uri().path()) {
        Protocol::Argocd
    } else if registry::is(request.uri().path()) {
        Protocol::Registry
    } else if let Some(style) = github::style(request) {
        Protocol::GitHub(style)
    } else if rest::is(&scope::of(request).service) {
        Protocol::Rest
    } else if request.method() == Method::GET || get::is_hook(request) {
        Protocol::Get
    } else if request.uri().path().starts_with(cbor::PREFIX) {
        Protocol::Cbor
    } else if header(request.headers(), "x-amz-target").is_empty() {
        Protocol::Query
    } else if kind.starts_with("application/x-amz-json-1.0") {
        Protocol::Json10
    } else {
        Protocol::Json11
    }
}

fn origin(request: &Request<Bytes>) -> String {
    let host = header(request.headers(), "host");
    let host = request.uri().authority().map_or(host, |authority| authority.as_str());
    format!("http://{}", if host.is_empty() { "cloud.invalid" } else { host })
}

/// A header's text; empty when absent or not ASCII.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A request that the wire itself cannot read.
fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::new("SerializationException", why.to_string())
}

//! The API of Kubernetes over JSON: `/api/v1/namespaces/…` and `/apis/GROUP/VERSION/…` on any host; and the one operation of EKS.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Map, Value, json};

use super::{ParsedCall, header_text};
use crate::kubernetes::responses::PLAIN_TEXT;
use crate::kubernetes::service::status_json;
use crate::request::ServiceError;

/// Whether a request is for an API server.
pub(super) fn is_kubernetes_path(path: &str) -> bool {
    let groups = [
        "apps",
        "batch",
        "authorization.k8s.io",
        "authentication.k8s.io",
        "autoscaling",
        "policy",
        "discovery.k8s.io",
        "gateway.networking.k8s.io",
    ];
    let group = path.strip_prefix("/apis/").and_then(|rest| rest.split('/').next());
    path.starts_with("/api/v1/namespaces/") || group.is_some_and(|group| groups.contains(&group))
}

/// Whether a request is DescribeCluster of EKS, by its path and the service that it was signed for.
pub(super) fn is_eks_path(service: &str, path: &str) -> bool {
    service == "eks" && path.starts_with("/clusters/")
}

/// Reads a request of EKS.
pub(super) fn parse_eks_request(request: &Request<Bytes>) -> ParsedCall {
    let name = request.uri().path().trim_start_matches("/clusters/");
    let operation =
        if name.contains('/') || request.method() != Method::GET { "Unknown" } else { "DescribeCluster" };
    ParsedCall { service: "eks".into(), operation: operation.into(), input: json!({ "name": name }) }
}

/// Reads a request: the operation is the verb and the resource, as audit logs and rules name them.
pub(super) fn parse_request(request: &Request<Bytes>) -> Result<ParsedCall, ServiceError> {
    let path = ResourcePath::parse(request.uri().path());
    let query = request.uri().query().unwrap_or_default();
    let query: Map<String, Value> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), json!(value)))
        .collect();
    let verb = match (request.method(), path.name.is_empty()) {
        (&Method::GET, true) => "list",
        (&Method::GET, false) => "get",
        (&Method::POST, _) => "create",
        (&Method::PATCH, _) => "patch",
        (&Method::PUT, _) => "update",
        (&Method::DELETE, _) => "delete",
        _ => {
            return Err(ServiceError::with_status(
                405,
                "MethodNotAllowed",
                "the server does not allow this method",
            ));
        }
    };
    let kind = header_text(request.headers(), "content-type");
    if verb == "patch" && kind != "application/json-patch+json" {
        let words = "415: Unsupported Media Type";
        return Err(ServiceError::with_status(415, "UnsupportedMediaType", words));
    }
    let body = match request.body().is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(request.body())
            .map_err(|error| ServiceError::with_status(400, "BadRequest", error.to_string()))?,
    };
    let host = header_text(request.headers(), "host");
    let host = request.uri().authority().map_or(host, |authority| authority.as_str());
    let bearer = header_text(request.headers(), "authorization").strip_prefix("Bearer ").unwrap_or_default();
    let dry = if query.get("dryRun").is_some() { "/dry-run" } else { "" };
    let sub = if path.subresource.is_empty() { String::new() } else { format!("/{}", path.subresource) };
    let operation = format!("{verb}/{}{sub}{dry}", path.resource);
    let input = json!({
        "verb": verb, "group": path.group, "namespace": path.namespace, "resource": path.resource, "name": path.name,
        "subresource": path.subresource, "query": query, "body": body, "host": host, "bearer": bearer,
    });
    Ok(ParsedCall { service: "kubernetes".into(), operation, input })
}

/// The parts of a path.
#[derive(Default)]
struct ResourcePath {
    group: String,
    namespace: String,
    resource: String,
    name: String,
    subresource: String,
}

impl ResourcePath {
    fn parse(path: &str) -> Self {
        let parts: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(percent_decode).collect();
        let mut rest = parts.into_iter();
        let group = match rest.next().as_deref() {
            Some("apis") => rest.next().unwrap_or_default(),
            _ => String::new(),
        };
        let mut rest = rest.skip(1).peekable();
        let namespace = match rest.peek().map(String::as_str) {
            Some("namespaces") => rest.nth(1).unwrap_or_default(),
            _ => String::new(),
        };
        let mut next = || rest.next().unwrap_or_default();
        Self { group, namespace, resource: next(), name: next(), subresource: next() }
    }
}

fn percent_decode(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// An answer: JSON without members that are null, or the lines of a log as text.
pub(super) fn write_response(operation: &str, value: &Value) -> Response<Bytes> {
    let (body, kind) = match value {
        Value::String(text) => (text.clone().into_bytes(), "text/plain"),
        other => (without_nulls(other).to_string().into_bytes(), "application/json"),
    };
    let status = if operation.starts_with("create/") { 201 } else { 200 };
    build_response(status, body, kind)
}

/// What Go leaves out.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// An error: a `Status`, but some are plain text.
pub(super) fn write_error(refusal: &ServiceError) -> Response<Bytes> {
    let ServiceError { status, code, message, .. } = refusal;
    if code == PLAIN_TEXT {
        let words = if *status == 429 { "Too many requests, please try again later.\n" } else { message };
        let mut response = build_response(*status, words.as_bytes().to_vec(), "text/plain; charset=utf-8");
        if *status == 429 {
            super::set_header(response.headers_mut(), "retry-after", "1");
        }
        return response;
    }
    build_response(*status, status_json(*status, code, message).to_string().into_bytes(), "application/json")
}

fn build_response(status: u16, body: Vec<u8>, kind: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    super::set_header(response.headers_mut(), "content-type", kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_verb_and_resource() {
        let parse = |method: &str, uri: &str| {
            let request = Request::builder().method(method).uri(uri).header("authorization", "Bearer t");
            let parsed = parse_request(&request.body(Bytes::new()).unwrap()).unwrap();
            (parsed.operation, parsed.input["namespace"].clone(), parsed.input["name"].clone())
        };
        let deployment = "https://k/apis/apps/v1/namespaces/shop/deployments";
        assert_eq!(
            parse("GET", &format!("{deployment}/api")),
            ("get/deployments".into(), json!("shop"), json!("api"))
        );
        assert_eq!(parse("GET", deployment).0, "list/deployments");
        let log = "https://k/api/v1/namespaces/shop/pods/api-1/log?previous=true";
        assert_eq!(parse("GET", log), ("get/pods/log".into(), json!("shop"), json!("api-1")));
        let review = "https://k/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        assert_eq!(parse("POST", review).0, "create/selfsubjectaccessreviews");
        assert!(is_kubernetes_path("/apis/apps/v1/namespaces/x/deployments"));
        assert!(!is_kubernetes_path("/api/v1/applications/web") && !is_kubernetes_path("/apis/other/v1"));
    }
}

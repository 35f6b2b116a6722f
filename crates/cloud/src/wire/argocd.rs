//! Argo CD's API over JSON, as its gRPC gateway speaks it: `/api/v1/applications…` on any host.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Map, Value, json};

use super::{ParsedCall, header_text};
use crate::request::ServiceError;

/// Where the paths begin; an Argo CD below a root path has something before it.
const ROOT: &str = "/api/v1/applications";
/// Where it is asked what a token may do.
const CAN_I: &str = "/api/v1/account/can-i/";

/// Whether a request is for Argo CD.
pub(super) fn is_argocd_path(path: &str) -> bool {
    path_below_root(path).is_some() || path.contains(CAN_I)
}

/// What follows the root.
fn path_below_root(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once(ROOT)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/'))
}

/// Reads a request: names and query parameters as members, the body's over them, and who asks.
pub(super) fn parse_request(request: &Request<Bytes>) -> Result<ParsedCall, ServiceError> {
    if let Some((_, asked)) = request.uri().path().split_once(CAN_I) {
        return Ok(parse_can_i(request, asked));
    }
    let rest = path_below_root(request.uri().path()).unwrap_or_default();
    let parts: Vec<String> = rest.split('/').filter(|part| !part.is_empty()).map(percent_decode).collect();
    let words: Vec<&str> = parts.iter().map(String::as_str).collect();
    let operation = match (request.method(), words.as_slice()) {
        (&Method::GET, []) => "ListApplications",
        (&Method::GET, [_]) => "GetApplication",
        (&Method::GET, [_, "resource-tree"]) => "ResourceTree",
        (&Method::GET, [_, "managed-resources"]) => "ManagedResources",
        (&Method::GET, [_, "syncwindows"]) => "GetApplicationSyncWindows",
        (&Method::GET, [_, "logs"]) => "PodLogs",
        (&Method::GET, [_, "events"]) => "ListResourceEvents",
        (&Method::GET, [_, "resource"]) => "GetResource",
        (&Method::POST, [_, "sync"]) => "SyncApplication",
        (&Method::DELETE, [_, "operation"]) => "TerminateOperation",
        // What is not modelled is refused by the service, in words that name it.
        (method, [_, rest @ ..]) => &format!("{method} {}", rest.join("/")),
        (method, []) => method.as_str(),
    };
    let mut input = parse_members(request)?;
    if let Some(name) = parts.first() {
        input.insert("name".into(), json!(name));
    }
    input.insert("bearer".into(), json!(bearer_token(request)));
    Ok(ParsedCall { service: "argocd".into(), operation: operation.into(), input: Value::Object(input) })
}

fn bearer_token(request: &Request<Bytes>) -> &str {
    let value = header_text(request.headers(), "authorization");
    value.strip_prefix("Bearer ").unwrap_or_default().trim()
}

/// `RESOURCE/ACTION/SUBRESOURCE`, of which the last has slashes of its own.
fn parse_can_i(request: &Request<Bytes>, asked: &str) -> ParsedCall {
    let mut parts = asked.splitn(3, '/').map(percent_decode);
    let mut next = || parts.next().unwrap_or_default();
    let input = json!({
        "resource": next(), "action": next(), "subresource": next(), "bearer": bearer_token(request),
    });
    ParsedCall { service: "argocd".into(), operation: "CanI".into(), input }
}

fn percent_decode(part: &str) -> String {
    // A path part with no `&`, `=` or `+` in it reads as a form's name does.
    let escaped = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(escaped.as_bytes()).next().map_or(String::new(), |(name, _)| name.into_owned())
}

fn parse_members(request: &Request<Bytes>) -> Result<Map<String, Value>, ServiceError> {
    let query = request.uri().query().unwrap_or_default();
    let mut input: Map<String, Value> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), json!(value)))
        .collect();
    if request.method() == Method::GET {
        return Ok(input);
    }
    let kind = header_text(request.headers(), "content-type");
    if !kind.starts_with("application/json") {
        // Since 2.5 against forged requests of browsers.
        return Err(ServiceError::with_status(415, "InvalidArgument", "Invalid content type"));
    }
    if request.body().is_empty() {
        return Ok(input);
    }
    match serde_json::from_slice(request.body()) {
        Ok(Value::Object(body)) => input.extend(body),
        Ok(_) => return Err(ServiceError::new("InvalidArgument", "json: cannot unmarshal into the request")),
        Err(error) => return Err(ServiceError::new("InvalidArgument", error.to_string())),
    }
    Ok(input)
}

/// An answer; logs are a stream of objects, one a line.
pub(super) fn write_body(operation: &str, value: &Value) -> Vec<u8> {
    match (operation, value["stream"].as_array()) {
        ("PodLogs", Some(entries)) => entries
            .iter()
            .map(|entry| format!("{}\n", json!({ "result": entry })))
            .collect::<String>()
            .into_bytes(),
        _ => super::json::write_body(value),
    }
}

/// An error as the gateway writes it; one of what stands before Argo CD is no JSON.
pub(super) fn write_error(refusal: &ServiceError) -> Vec<u8> {
    if (502..=504).contains(&refusal.status) {
        let words = &refusal.message;
        return format!(
            "<html><head><title>{words}</title></head><body><center><h1>{words}</h1></center></body></html>\n"
        )
        .into_bytes();
    }
    if refusal.status == 415 {
        return refusal.message.clone().into_bytes();
    }
    let message = &refusal.message;
    json!({ "error": message, "code": grpc_code(&refusal.code), "message": message }).to_string().into_bytes()
}

/// The number of a gRPC code.
fn grpc_code(code: &str) -> u8 {
    match code {
        "InvalidArgument" => 3,
        "NotFound" => 5,
        "PermissionDenied" => 7,
        "ResourceExhausted" => 8,
        "FailedPrecondition" => 9,
        "NotModelled" => 12,
        "Unauthenticated" => 16,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, uri: &str, body: &str) -> Result<ParsedCall, ServiceError> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", "Bearer t0ken")
            .header("content-type", "application/json");
        parse_request(&request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
    }

    #[test]
    fn paths_name_operations_and_members_come_from_path_query_and_body() {
        let named = parse("GET", "http://h/api/v1/applications/web?refresh=normal&appNamespace=team%2Da", "")
            .unwrap();
        assert_eq!(named.operation, "GetApplication");
        let wanted =
            json!({ "refresh": "normal", "appNamespace": "team-a", "name": "web", "bearer": "t0ken" });
        assert_eq!(named.input, wanted);
        let named =
            parse("POST", "http://h/argocd/api/v1/applications/web/sync", r#"{"dryRun":true}"#).unwrap();
        assert_eq!((named.operation.as_str(), &named.input["dryRun"]), ("SyncApplication", &json!(true)));
        let named = parse("GET", "http://h/api/v1/applications/a%20b/resource-tree", "").unwrap();
        assert_eq!(named.input["name"], "a b");
        assert_eq!(parse("PATCH", "http://h/api/v1/applications/web", "").unwrap().operation, "PATCH ");
        assert!(!is_argocd_path("/api/v1/applicationsets") && !is_argocd_path("/graphql"));
    }

    #[test]
    fn a_body_that_is_no_json_is_refused() {
        assert_eq!(
            parse("POST", "http://h/api/v1/applications/web/sync", "{").unwrap_err().code,
            "InvalidArgument"
        );
        let plain = Request::builder().method("POST").uri("http://h/api/v1/applications/web/sync");
        assert_eq!(parse_request(&plain.body(Bytes::from_static(b"{}")).unwrap()).unwrap_err().status, 415);
    }

    #[test]
    fn errors_have_the_shape_of_the_gateway() {
        let denied = ServiceError::with_status(403, "PermissionDenied", "permission denied");
        let body: Value = serde_json::from_slice(&write_error(&denied)).unwrap();
        assert_eq!(body, json!({ "error": "permission denied", "code": 7, "message": "permission denied" }));
        let away = ServiceError::with_status(502, "BadGateway", "502 Bad Gateway");
        assert!(write_error(&away).starts_with(b"<html>"));
    }
}

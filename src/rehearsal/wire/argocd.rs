//! Argo CD's API over JSON, as its gRPC gateway speaks it: `/api/v1/applications…` on any host.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Map, Value, json};

use super::{Named, header};
use crate::rehearsal::call::Refusal;

/// Where the paths begin; an Argo CD below a root path has something before it.
const ROOT: &str = "/api/v1/applications";

/// Whether a request is for Argo CD.
pub(super) fn is(path: &str) -> bool {
    below(path).is_some()
}

/// What follows the root.
fn below(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once(ROOT)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/'))
}

/// Reads a request: names and query parameters as members, the body's over them, and who asks.
pub(super) fn read(request: &Request<Bytes>) -> Result<Named, Refusal> {
    let rest = below(request.uri().path()).unwrap_or_default();
    let parts: Vec<String> = rest.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let words: Vec<&str> = parts.iter().map(String::as_str).collect();
    let operation = match (request.method(), words.as_slice()) {
        (&Method::GET, []) => "ListApplications",
        (&Method::GET, [_]) => "GetApplication",
        (&Method::GET, [_, "resource-tree"]) => "ResourceTree",
        (&Method::GET, [_, "events"]) => "ListResourceEvents",
        (&Method::GET, [_, "resource"]) => "GetResource",
        (&Method::POST, [_, "sync"]) => "SyncApplication",
        (&Method::DELETE, [_, "operation"]) => "TerminateOperation",
        // What is not modelled is refused by the service, in words that name it.
        (method, [_, rest @ ..]) => &format!("{method} {}", rest.join("/")),
        (method, []) => method.as_str(),
    };
    let mut input = members(request)?;
    if let Some(name) = parts.first() {
        input.insert("name".into(), json!(name));
    }
    let bearer = header(request.headers(), "authorization").strip_prefix("Bearer ").unwrap_or_default();
    input.insert("bearer".into(), json!(bearer.trim()));
    Ok(Named { service: "argocd".into(), operation: operation.into(), input: Value::Object(input) })
}

fn decoded(part: &str) -> String {
    // A path part with no `&`, `=` or `+` in it reads as a form's name does.
    let escaped = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(escaped.as_bytes()).next().map_or(String::new(), |(name, _)| name.into_owned())
}

fn members(request: &Request<Bytes>) -> Result<Map<String, Value>, Refusal> {
    let query = request.uri().query().unwrap_or_default();
    let mut input: Map<String, Value> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), json!(value)))
        .collect();
    if request.method() != Method::POST || request.body().is_empty() {
        return Ok(input);
    }
    let kind = header(request.headers(), "content-type");
    if !kind.starts_with("application/json") {
        // Since 2.5 against forged requests of browsers.
        return Err(Refusal::of(415, "InvalidArgument", "Invalid content type"));
    }
    match serde_json::from_slice(request.body()) {
        Ok(Value::Object(body)) => input.extend(body),
        Ok(_) => return Err(Refusal::new("InvalidArgument", "json: cannot unmarshal into the request")),
        Err(error) => return Err(Refusal::new("InvalidArgument", error.to_string())),
    }
    Ok(input)
}

/// An error as the gateway writes it; one of what stands before Argo CD is no JSON.
pub(super) fn refuse(refusal: &Refusal) -> Vec<u8> {
    if (502..=504).contains(&refusal.status) {
        let words = &refusal.message;
        return format!(
            "<html><head><title>{words}</title></head><body><center><h1>{words}</h1></center></body></html>\n"
        )
        .into_bytes();
    }
    let message = &refusal.message;
    json!({ "error": message, "code": number(&refusal.code), "message": message }).to_string().into_bytes()
}

/// The number of a gRPC code.
fn number(code: &str) -> u8 {
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

    fn ask(method: &str, uri: &str, body: &str) -> Result<Named, Refusal> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", "Bearer t0ken")
            .header("content-type", "application/json");
        read(&request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
    }

    #[test]
    fn paths_name_operations_and_members_come_from_path_query_and_body() {
        let named =
            ask("GET", "http://h/api/v1/applications/web?refresh=normal&appNamespace=team%2Da", "").unwrap();
        assert_eq!(named.operation, "GetApplication");
        let wanted =
            json!({ "refresh": "normal", "appNamespace": "team-a", "name": "web", "bearer": "t0ken" });
        assert_eq!(named.input, wanted);
        let named =
            ask("POST", "http://h/argocd/api/v1/applications/web/sync", r#"{"dryRun":true}"#).unwrap();
        assert_eq!((named.operation.as_str(), &named.input["dryRun"]), ("SyncApplication", &json!(true)));
        let named = ask("GET", "http://h/api/v1/applications/a%20b/resource-tree", "").unwrap();
        assert_eq!(named.input["name"], "a b");
        assert_eq!(ask("PATCH", "http://h/api/v1/applications/web", "").unwrap().operation, "PATCH ");
        assert!(!is("/api/v1/applicationsets") && !is("/graphql"));
    }

    #[test]
    fn a_body_that_is_no_json_is_refused() {
        assert_eq!(
            ask("POST", "http://h/api/v1/applications/web/sync", "{").unwrap_err().code,
            "InvalidArgument"
        );
        let plain = Request::builder().method("POST").uri("http://h/api/v1/applications/web/sync");
        assert_eq!(read(&plain.body(Bytes::from_static(b"{}")).unwrap()).unwrap_err().status, 415);
    }

    #[test]
    fn errors_have_the_shape_of_the_gateway() {
        let denied = Refusal::of(403, "PermissionDenied", "permission denied");
        let body: Value = serde_json::from_slice(&refuse(&denied)).unwrap();
        assert_eq!(body, json!({ "error": "permission denied", "code": 7, "message": "permission denied" }));
        let away = Refusal::of(502, "BadGateway", "502 Bad Gateway");
        assert!(refuse(&away).starts_with(b"<html>"));
    }
}

//! GitHub's two APIs on any host, by path: a request to a call, an answer to a response in GitHub's shapes. What `git` asks
//! is read and written in `upload_pack`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graphql_parser::query::{Definition, OperationDefinition, Selection, parse_query};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{ParsedCall, ParsedRequest, github_routes, header_text, set_header, upload_pack};
use crate::request::{ServiceCall, ServiceError, ServiceResult};

/// How a request to GitHub was spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GitHubStyle {
    /// Below `/api`, as on a GitHub Enterprise Server.
    pub is_enterprise: bool,
    /// By GraphQL.
    pub is_graphql: bool,
    /// The client accepts the file itself, not JSON about it.
    pub is_raw: bool,
}

/// The style of a request, when it is for GitHub.
pub(super) fn detect_style(request: &Request<Bytes>) -> Option<GitHubStyle> {
    let path = request.uri().path();
    let enterprise = path.starts_with("/api/v3/") || path == "/api/graphql";
    let graphql = matches!(path, "/graphql" | "/api/graphql") && request.method() == Method::POST;
    let rest = path.strip_prefix("/api/v3").unwrap_or(path);
    let ours = graphql || rest.starts_with("/repos/") || split_git_path(path).is_some();
    let accept = header_text(request.headers(), "accept");
    let raw = accept.contains(".raw");
    ours.then_some(GitHubStyle { is_enterprise: enterprise, is_graphql: graphql, is_raw: raw })
}

/// `/acme/manifests.git/info/refs` is a repository and a path in it.
fn split_git_path(path: &str) -> Option<(&str, &str)> {
    let (repository, file) = path.strip_prefix('/')?.split_once(".git/")?;
    (repository.split('/').count() == 2).then_some((repository, file))
}

/// The token of a request, however it is given.
pub(super) fn request_token(request: &Request<Bytes>) -> Option<String> {
    let authorization = header_text(request.headers(), "authorization");
    let (kind, token) = authorization.split_once(' ')?;
    match kind.to_lowercase().as_str() {
        "bearer" | "token" => Some(token.trim().into()),
        // Git gives the token as the password of any user.
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(token.trim()).ok()?).ok()?;
            pair.split_once(':').map(|(_, password)| password.to_owned())
        }
        _ => None,
    }
}

/// Reads a request.
pub(super) fn parse_request(
    style: GitHubStyle,
    request: &Request<Bytes>,
) -> Result<ParsedCall, ServiceError> {
    let path = request.uri().path();
    if style.is_graphql {
        return parse_graphql(request.body());
    }
    if let Some((repository, file)) = split_git_path(path) {
        return upload_pack::parse_request(repository, file, request);
    }
    let path = path.strip_prefix("/api/v3").unwrap_or(path);
    let Some((operation, mut input)) = github_routes::find_operation(request.method().as_str(), path) else {
        return Err(ServiceError::with_status(
            501,
            "NotModelled",
            format!("the embedded cloud does not model {} {path}", request.method()),
        ));
    };
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        let counts = ["page", "per_page"].contains(&name.as_ref());
        let value = if counts { github_routes::parse_number(&value) } else { value.into_owned().into() };
        input.insert(name.into_owned(), value);
    }
    input.extend(parse_body(request.body())?);
    Ok(ParsedCall { service: "github".into(), operation: operation.into(), input: Value::Object(input) })
}

fn parse_body(bytes: &Bytes) -> Result<Map<String, Value>, ServiceError> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(bytes)
        .map_err(|_| ServiceError::with_status(400, "BadRequest", "Problems parsing JSON"))
}

fn parse_graphql(bytes: &Bytes) -> Result<ParsedCall, ServiceError> {
    let input = parse_body(bytes)?;
    let document = input.get("query").and_then(Value::as_str);
    let Some(document) = document else {
        return Err(ServiceError::with_status(
            400,
            "BadRequest",
            "A query attribute must be specified and must be a string.",
        ));
    };
    let named = input.get("operationName").and_then(Value::as_str);
    let operation = graphql_operation(document, named).unwrap_or_else(|| "graphql".into());
    Ok(ParsedCall { service: "github".into(), operation, input: Value::Object(input) })
}

/// The field of a mutation, or `graphql/` and the name of a query. What cannot be read is left to the service to say.
fn graphql_operation(document: &str, named: Option<&str>) -> Option<String> {
    let document = parse_query::<String>(document).ok()?;
    let mut operations = document.definitions.iter().filter_map(|definition| match definition {
        Definition::Operation(operation) => Some(operation),
        Definition::Fragment(_) => None,
    });
    let name = |operation: &OperationDefinition<'_, String>| match operation {
        OperationDefinition::Query(query) => query.name.clone(),
        OperationDefinition::Mutation(mutation) => mutation.name.clone(),
        _ => None,
    };
    let chosen = operations.find(|operation| named.is_none() || name(operation).as_deref() == named)?;
    match chosen {
        OperationDefinition::Mutation(mutation) => {
            mutation.selection_set.items.iter().find_map(|selection| match selection {
                Selection::Field(field) => Some(field.name.clone()),
                _ => None,
            })
        }
        other => Some(name(other).map_or_else(|| "graphql".into(), |name| format!("graphql/{name}"))),
    }
}

/// Writes an answer.
pub(super) fn write_response(
    style: GitHubStyle,
    spoken: &ParsedRequest,
    answer: ServiceResult,
    id: &str,
) -> Response<Bytes> {
    if upload_pack::is_git_operation(&spoken.call.operation) {
        return write_git_response(&spoken.call, answer, id);
    }
    let mut value = match answer {
        Ok(value) => value,
        Err(refusal) if style.is_graphql && refusal.status == 200 => {
            graphql_errors(&spoken.call.operation, &refusal)
        }
        Err(refusal) => return write_error(style, &refusal, id),
    };
    let enveloped = value.get("status").is_some_and(Value::is_u64) && value.get("body").is_some();
    let (status, headers, mut body) = match enveloped {
        true => (
            value["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200),
            value["headers"].take(),
            value["body"].take(),
        ),
        false => (200, Value::Null, value),
    };
    rewrite_links("", &mut body, style, &spoken.origin);
    let pairs = headers.as_object().into_iter().flatten();
    let headers: Vec<(String, String)> = pairs
        .map(|(name, value)| {
            (name.clone(), rewrite_link(value.as_str().unwrap_or_default(), style, &spoken.origin))
        })
        .collect();
    let (kind, bytes) = encode_body(style, &body);
    build_response(status, bytes, kind, &headers, id)
}

/// An answer to `git`: packets, or a text with a status.
fn write_git_response(call: &ServiceCall, answer: ServiceResult, id: &str) -> Response<Bytes> {
    let no_cache = ("cache-control".to_owned(), "no-cache".to_owned());
    let (status, (kind, body), mut headers) = match answer {
        Ok(value) => (200, upload_pack::write_body(call, &value["body"]), Vec::new()),
        Err(refusal) if refusal.status == 200 => {
            (200, upload_pack::write_error(call, &refusal.message), Vec::new())
        }
        Err(refusal) => {
            let text = ("text/plain", refusal.message.into_bytes());
            (refusal.status, text, refusal.details.map_or_else(Vec::new, |more| more.headers))
        }
    };
    headers.push(no_cache);
    build_response(status, body, kind, &headers, id)
}

/// A mutation that failed: HTTP 200 and no data.
fn graphql_errors(operation: &str, refusal: &ServiceError) -> Value {
    let more = refusal.details.clone().unwrap_or_default();
    let mut error = Map::new();
    if !refusal.code.is_empty() {
        error.insert("type".into(), refusal.code.clone().into());
    }
    error.extend(more.members);
    error.insert("message".into(), refusal.message.clone().into());
    let headers: Map<String, Value> =
        more.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    let mut body = json!({ "errors": [error] });
    // A document that is refused as a whole has no data at all.
    if body["errors"][0].get("extensions").is_none() && !operation.starts_with("graphql") {
        let path = body["errors"][0].get("path").cloned().unwrap_or_else(|| json!([operation]));
        body["data"] = json!({ path[0].as_str().unwrap_or(operation): null });
        body["errors"][0]["path"] = path;
    }
    json!({ "status": 200, "headers": headers, "body": body })
}

fn encode_body(style: GitHubStyle, body: &Value) -> (&'static str, Vec<u8>) {
    let content = |member: &str| {
        let text = body.get(member)?.as_str()?.replace('\n', "");
        STANDARD.decode(text).ok()
    };
    let encoded = body.get("encoding").and_then(Value::as_str) == Some("base64");
    if let Some(bytes) = (style.is_raw && encoded).then(|| content("content")).flatten() {
        return ("application/vnd.github.raw+json; charset=utf-8", bytes);
    }
    let nothing = body.is_null();
    ("application/json; charset=utf-8", if nothing { Vec::new() } else { body.to_string().into_bytes() })
}

/// Writes an error.
pub(super) fn write_error(_: GitHubStyle, refusal: &ServiceError, id: &str) -> Response<Bytes> {
    let more = refusal.details.clone().unwrap_or_default();
    let mut body = Map::new();
    body.insert("message".into(), refusal.message.clone().into());
    body.extend(more.members);
    body.entry("documentation_url").or_insert("https://docs.github.com/rest".into());
    body.insert("status".into(), refusal.status.to_string().into());
    let body = Value::Object(body).to_string().into_bytes();
    build_response(refusal.status, body, "application/json; charset=utf-8", &more.headers, id)
}

fn build_response(
    status: u16,
    body: Vec<u8>,
    kind: &str,
    headers: &[(String, String)],
    id: &str,
) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status != 204 {
        set_header(response.headers_mut(), "content-type", kind);
    }
    set_header(response.headers_mut(), "x-github-request-id", id);
    set_header(response.headers_mut(), "x-github-media-type", "github.v3; format=json");
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

const API_ORIGIN: &str = "https://api.github.com";
const SITE_ORIGIN: &str = "https://github.com";

/// Links lead to where the client came from, unless that is where they lead already.
fn rewrite_links(name: &str, value: &mut Value, style: GitHubStyle, origin: &str) {
    let is_link = name.to_lowercase().ends_with("url") || ["href", "self", "git", "html"].contains(&name);
    match value {
        Value::String(text) if is_link => *text = rewrite_link(text, style, origin),
        Value::Object(members) => {
            members.iter_mut().for_each(|(name, value)| rewrite_links(name, value, style, origin));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| rewrite_links(name, value, style, origin)),
        _ => {}
    }
}

fn rewrite_link(text: &str, style: GitHubStyle, origin: &str) -> String {
    if origin.ends_with("://api.github.com") {
        return text.to_owned();
    }
    let api = if style.is_enterprise { format!("{origin}/api/v3") } else { origin.to_owned() };
    text.replace(API_ORIGIN, &api).replace(SITE_ORIGIN, origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, uri: &str, body: &str) -> Result<ParsedCall, ServiceError> {
        let request =
            Request::builder().method(method).uri(uri).body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        parse_request(detect_style(&request).unwrap(), &request)
    }

    #[test]
    fn paths_queries_and_bodies_become_the_input() {
        let named = parse(
            "PATCH",
            "https://h/api/v3/repos/acme/m/git/refs/heads/a/b?page=1&x=1",
            r#"{"force":false}"#,
        )
        .unwrap();
        assert_eq!(named.operation, "git/update-ref");
        let wanted =
            json!({ "owner": "acme", "repo": "m", "ref": "heads/a/b", "page": 1, "x": "1", "force": false });
        assert_eq!(named.input, wanted);
    }

    #[test]
    fn graphql_is_named_by_what_it_does() {
        let of = |query: &str| {
            let body = json!({ "query": query }).to_string();
            parse("POST", "https://api.github.com/graphql", &body).unwrap().operation
        };
        assert_eq!(
            of("mutation M($i: X!) { made: createCommitOnBranch(input: $i) { commit { oid } } }"),
            "createCommitOnBranch"
        );
        assert_eq!(of("query Snapshot { viewer { login } }"), "graphql/Snapshot");
        assert_eq!(of("{ viewer { login } }"), "graphql");
        assert_eq!(of("query {"), "graphql");
    }

    #[test]
    fn other_requests_are_not_githubs() {
        for (method, uri) in [
            ("POST", "http://x/"),
            ("GET", "http://x/health"),
            ("GET", "http://x/graphql"),
            ("GET", "http://x/a.git"),
        ] {
            let request = Request::builder().method(method).uri(uri).body(Bytes::new()).unwrap();
            assert_eq!(detect_style(&request), None, "{method} {uri}");
        }
        let error = parse("GET", "https://api.github.com/repos/a/b/stars", "").unwrap_err();
        assert_eq!((error.status, error.code.as_str()), (501, "NotModelled"));
    }
}

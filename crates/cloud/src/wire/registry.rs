//! The registry of images on the wire: the distribution specification's paths to calls, answers to its statuses and headers.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{ParsedCall, header_text};
use crate::request::ServiceError;

/// Whether a path is one of a registry.
pub(super) fn is_registry_path(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// The password of a request; the user is always `AWS`.
pub(super) fn request_password(request: &Request<Bytes>) -> Option<String> {
    let basic = header_text(request.headers(), "authorization").strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(basic).ok()?).ok()?;
    text.strip_prefix("AWS:").map(str::to_owned)
}

/// Reads a request. What is pushed must be text: the embedded registry keeps nothing else.
pub(super) fn parse_request(request: &Request<Bytes>) -> Result<ParsedCall, ServiceError> {
    let (operation, mut input) = parse_operation(request).ok_or_else(unsupported_error)?;
    input.extend(parse_registry_host(request));
    let text = || String::from_utf8(request.body().to_vec());
    if !request.body().is_empty() {
        let words = "the embedded registry keeps text only";
        input.insert(
            "body".into(),
            text().map_err(|_| ServiceError::with_status(415, "UNSUPPORTED", words))?.into(),
        );
    }
    let kind = header_text(request.headers(), "content-type");
    if operation == "PutManifest" {
        input.insert("mediaType".into(), kind.into());
    }
    Ok(ParsedCall { service: "registry".into(), operation: operation.into(), input: Value::Object(input) })
}

fn unsupported_error() -> ServiceError {
    ServiceError::with_status(404, "UNSUPPORTED", "The operation is unsupported.")
}

/// Account and region of the registry, where the host names them.
fn parse_registry_host(request: &Request<Bytes>) -> Map<String, Value> {
    let host = header_text(request.headers(), "host");
    let host = request.uri().authority().map_or(host, |authority| authority.as_str());
    let mut found = Map::new();
    if let [account, "dkr", "ecr", region, ..] = host.split('.').collect::<Vec<_>>().as_slice() {
        found.insert("registryId".into(), (*account).into());
        found.insert("registryRegion".into(), (*region).into());
    }
    found
}

fn parse_operation(request: &Request<Bytes>) -> Option<(&'static str, Map<String, Value>)> {
    let rest = request.uri().path().strip_prefix("/v2")?.trim_start_matches('/');
    let mut input = Map::new();
    if rest.is_empty() {
        return Some(("GetBase", input));
    }
    let query = request.uri().query().unwrap_or_default();
    let query = |name: &str| {
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    };
    let head = request.method() == Method::HEAD;
    let reads = head || request.method() == Method::GET;
    let mut set = |name: &str, value: &str| input.insert(name.into(), value.into());
    if let Some((name, reference)) = rest.split_once("/manifests/") {
        set("repositoryName", name);
        set("reference", reference);
        let operation = if reads { "GetManifest" } else { "PutManifest" };
        return (reads || request.method() == Method::PUT).then_some((operation, input));
    }
    let (name, blob) = rest.split_once("/blobs/")?;
    set("repositoryName", name);
    if let Some(upload) = blob.strip_prefix("uploads/") {
        for member in ["mount", "from", "digest"] {
            query(member).map(|value| set(member, &value));
        }
        set("uploadId", upload);
        let operation = match *request.method() {
            Method::POST if input.contains_key("mount") => "MountBlob",
            Method::POST => "InitiateBlobUpload",
            Method::PATCH => "UploadBlobChunk",
            Method::PUT => "CompleteBlobUpload",
            _ => return None,
        };
        return Some((operation, input));
    }
    set("digest", blob);
    reads.then_some((if head { "GetBlobHead" } else { "GetBlob" }, input))
}

/// Status, headers and body as the service says them.
pub(super) fn write_response(value: &Value) -> Response<Bytes> {
    let body = value["body"].as_str().unwrap_or_default().to_owned();
    let status = value["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    let none = Map::new();
    build_response(status, value["headers"].as_object().unwrap_or(&none), body)
}

/// An error as the specification words it.
pub(super) fn write_error(refusal: &ServiceError) -> Response<Bytes> {
    let body = json!({ "errors": [{ "code": refusal.code, "message": refusal.message }] });
    let mut headers = Map::new();
    headers.insert("content-type".into(), "application/json".into());
    if refusal.status == 401 {
        headers.insert("www-authenticate".into(), "Basic realm=\"ECR\",service=\"ecr.amazonaws.com\"".into());
    }
    build_response(refusal.status, &headers, body.to_string())
}

fn build_response(status: u16, headers: &Map<String, Value>, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if let (Ok(name), Some(value)) = (name, value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, uri: &str) -> Result<ParsedCall, ServiceError> {
        parse_request(&Request::builder().method(method).uri(uri).body(Bytes::new()).unwrap())
    }

    #[test]
    fn paths_are_operations_of_the_registry_that_the_host_names() {
        let host = "https://111111111111.dkr.ecr.eu-west-1.amazonaws.com/v2";
        let mount = format!("{host}/a/b/blobs/uploads/?mount=sha256:1&from=c/d");
        for (method, uri, operation) in [
            ("GET", format!("{host}/"), "GetBase"),
            ("HEAD", format!("{host}/a/b/manifests/v1"), "GetManifest"),
            ("PUT", format!("{host}/a/b/manifests/v1"), "PutManifest"),
            ("HEAD", format!("{host}/a/b/blobs/sha256:1"), "GetBlobHead"),
            ("GET", format!("{host}/a/b/blobs/sha256:1"), "GetBlob"),
            ("POST", format!("{host}/a/b/blobs/uploads/"), "InitiateBlobUpload"),
            ("POST", mount.clone(), "MountBlob"),
            ("PATCH", format!("{host}/a/b/blobs/uploads/7"), "UploadBlobChunk"),
            ("PUT", format!("{host}/a/b/blobs/uploads/7?digest=sha256:1"), "CompleteBlobUpload"),
        ] {
            assert_eq!(parse(method, &uri).unwrap().operation, operation, "{method} {uri}");
        }
        let input = parse("POST", &mount).unwrap().input;
        assert_eq!(
            input,
            json!({ "repositoryName": "a/b", "mount": "sha256:1", "from": "c/d", "uploadId": "",
                    "registryId": "111111111111", "registryRegion": "eu-west-1" })
        );
        assert_eq!(parse("DELETE", &mount).unwrap_err().status, 404);
    }

    #[test]
    fn the_password_is_that_of_the_user_aws() {
        let with = |basic: &str| {
            let basic = format!("Basic {}", STANDARD.encode(basic));
            request_password(&Request::builder().header("authorization", basic).body(Bytes::new()).unwrap())
        };
        assert_eq!(with("AWS:secret").as_deref(), Some("secret"));
        assert_eq!(with("ann:secret"), None);
    }
}

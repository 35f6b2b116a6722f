//! The plain requests: the runner's OIDC token endpoint, the download link of an ECR layer, and, for any other path, what
//! stands behind a load balancer.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Map, Value, json};

use super::{ParsedCall, header_text};
use crate::request::ServiceError;

/// Path of the runner's token endpoint: `ACTIONS_ID_TOKEN_REQUEST_URL` is this with a query string.
pub const OIDC_PATH: &str = "/oidc/token";
/// Links from GetDownloadUrlForLayer begin so; repository and digest follow.
pub const LAYER_PATH: &str = "/ecr-layer/";

/// What an address answers with another status than 200, or with headers: the message is the body.
pub const HTTP_RESPONSE: &str = "Answered";

/// Whether a request is JSON posted to an address that belongs to nobody else here: neither signed for AWS nor one of its
/// protocols.
pub(super) fn is_webhook(request: &Request<Bytes>) -> bool {
    let headers = request.headers();
    request.method() == Method::POST
        && header_text(headers, "content-type").starts_with("application/json")
        && header_text(headers, "x-amz-target").is_empty()
        && !header_text(headers, "authorization").starts_with("AWS4-")
        && !request.uri().path().starts_with(super::cbor::PREFIX)
}

/// What was posted, with the headers that are about it.
fn parse_webhook(request: &Request<Bytes>) -> ParsedCall {
    let about = |name: &str| name.starts_with("x-") || name == "content-type" || name == "user-agent";
    let headers: Map<String, Value> = request
        .headers()
        .iter()
        .filter(|(name, _)| about(name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let mut input = parse_address(request);
    input["headers"] = headers.into();
    input["body"] = String::from_utf8_lossy(request.body()).into();
    ParsedCall { service: "web".into(), operation: "Post".into(), input }
}

/// Reads a GET, or what is posted to a webhook.
pub(super) fn parse_request(request: &Request<Bytes>) -> Result<ParsedCall, ServiceError> {
    if request.method() == Method::POST {
        return Ok(parse_webhook(request));
    }
    let path = request.uri().path();
    if path == OIDC_PATH {
        return Ok(ParsedCall {
            service: "oidc".into(),
            operation: "GetIdToken".into(),
            input: parse_token_request(request),
        });
    }
    let layer = path.strip_prefix(LAYER_PATH).and_then(|rest| rest.rsplit_once('/'));
    let Some((repository, digest)) = layer else {
        return Ok(ParsedCall {
            service: "web".into(),
            operation: "Get".into(),
            input: parse_address(request),
        });
    };
    let mut input = json!({ "repositoryName": repository, "layerDigest": digest });
    let query = request.uri().query().unwrap_or_default();
    let owner = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "owner");
    if let Some((account, region)) = owner.as_ref().and_then(|(_, owner)| owner.split_once('.')) {
        input["registryId"] = account.into();
        input["registryRegion"] = region.into();
    }
    Ok(ParsedCall { service: "ecr".into(), operation: "GetLayer".into(), input })
}

/// The destination of a request: its host, its port, and the path.
fn parse_address(request: &Request<Bytes>) -> Value {
    let host = header_text(request.headers(), "host");
    let host = request.uri().authority().map_or(host, |authority| authority.as_str());
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    json!({ "host": name, "port": port.parse::<u16>().ok(), "path": request.uri().path() })
}

fn parse_token_request(request: &Request<Bytes>) -> Value {
    let query = request.uri().query().unwrap_or_default();
    let audience = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "audience").last();
    let bearer = header_text(request.headers(), "authorization").strip_prefix("Bearer ").unwrap_or_default();
    json!({ "audience": audience.map(|(_, value)| value), "bearer": bearer })
}

/// An object as JSON; a string as its own bytes.
pub(super) fn write_body(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(uri: &str) -> Result<ParsedCall, ServiceError> {
        parse_request(
            &Request::builder().uri(uri).header("authorization", "Bearer abc").body(Bytes::new()).unwrap(),
        )
    }

    #[test]
    fn the_token_endpoint_takes_audience_and_bearer() {
        let named = get("http://x/oidc/token?api-version=2&audience=sts.amazonaws.com").unwrap();
        assert_eq!(named.service, "oidc");
        assert_eq!(named.input, json!({ "audience": "sts.amazonaws.com", "bearer": "abc" }));
    }

    #[test]
    fn a_layer_link_names_a_repository_with_slashes_and_a_digest() {
        let named = get("http://x/ecr-layer/acme/backend/sha256:00?X-Amz-Expires=3600").unwrap();
        assert_eq!(named.input, json!({ "repositoryName": "acme/backend", "layerDigest": "sha256:00" }));
        let named = get("http://x/ecr-layer/a/sha256:00?owner=222222222222.eu-west-1").unwrap();
        assert_eq!(
            (&named.input["registryId"], &named.input["registryRegion"]),
            (&json!("222222222222"), &json!("eu-west-1"))
        );
    }

    #[test]
    fn other_paths_are_web_requests() {
        let named = get("https://shop.example:8443/health?x=1").unwrap();
        assert_eq!(named.service, "web");
        assert_eq!(named.input, json!({ "host": "shop.example", "port": 8443, "path": "/health" }));
    }
}

//! The plain requests: the runner's OIDC token endpoint, the download link of an ECR layer, and, for any other path, what
//! stands behind a load balancer.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Map, Value, json};

use super::{Named, header};
use crate::rehearsal::call::Refusal;

/// Path of the runner's token endpoint: `ACTIONS_ID_TOKEN_REQUEST_URL` is this with a query string.
pub const OIDC_PATH: &str = "/oidc/token";
/// Links from GetDownloadUrlForLayer begin so; repository and digest follow.
pub const LAYER_PATH: &str = "/ecr-layer/";

/// What an address answers with another status than 200, or with headers: the message is the body.
pub const ANSWERED: &str = "Answered";

/// Whether a request is JSON posted to an address that belongs to nobody else here: neither signed for AWS nor one of its
/// protocols.
pub(super) fn is_hook(request: &Request<Bytes>) -> bool {
    let headers = request.headers();
    request.method() == Method::POST
        && header(headers, "content-type").starts_with("application/json")
        && header(headers, "x-amz-target").is_empty()
        && !header(headers, "authorization").starts_with("AWS4-")
        && !request.uri().path().starts_with(super::cbor::PREFIX)
}

/// What was posted, with the headers that are about it.
fn posted(request: &Request<Bytes>) -> Named {
    let about = |name: &str| name.starts_with("x-") || name == "content-type" || name == "user-agent";
    let headers: Map<String, Value> = request
        .headers()
        .iter()
        .filter(|(name, _)| about(name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let mut input = visit(request);
    input["headers"] = headers.into();
    input["body"] = String::from_utf8_lossy(request.body()).into();
    Named { service: "web".into(), operation: "Post".into(), input }
}

/// Reads a GET, or what is posted to a webhook.
pub(super) fn read(request: &Request<Bytes>) -> Result<Named, Refusal> {
    if request.method() == Method::POST {
        return Ok(posted(request));
    }
    let path = request.uri().path();
    if path == OIDC_PATH {
        return Ok(Named { service: "oidc".into(), operation: "GetIdToken".into(), input: token(request) });
    }
    let layer = path.strip_prefix(LAYER_PATH).and_then(|rest| rest.rsplit_once('/'));
    let Some((repository, digest)) = layer else {
        return Ok(Named { service: "web".into(), operation: "Get".into(), input: visit(request) });
    };
    let mut input = json!({ "repositoryName": repository, "layerDigest": digest });
    let query = request.uri().query().unwrap_or_default();
    let owner = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "owner");
    if let Some((account, region)) = owner.as_ref().and_then(|(_, owner)| owner.split_once('.')) {
        input["registryId"] = account.into();
        input["registryRegion"] = region.into();
    }
    Ok(Named { service: "ecr".into(), operation: "GetLayer".into(), input })
}

/// Where a visitor goes: the host that is asked for, its port, and the path.
fn visit(request: &Request<Bytes>) -> Value {
    let host = header(request.headers(), "host");
    let host = request.uri().authority().map_or(host, |authority| authority.as_str());
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    json!({ "host": name, "port": port.parse::<u16>().ok(), "path": request.uri().path() })
}

fn token(request: &Request<Bytes>) -> Value {
    let query = request.uri().query().unwrap_or_default();
    let audience = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "audience").last();
    let bearer = header(request.headers(), "authorization").strip_prefix("Bearer ").unwrap_or_default();
    json!({ "audience": audience.map(|(_, value)| value), "bearer": bearer })
}

/// An object as JSON; a string as its own bytes.
pub(super) fn write(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(uri: &str) -> Result<Named, Refusal> {
        read(&Request::builder().uri(uri).header("authorization", "Bearer abc").body(Bytes::new()).unwrap())
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
    fn anything_else_is_a_visit() {
        let named = get("https://shop.example:8443/health?x=1").unwrap();
        assert_eq!(named.service, "web");
        assert_eq!(named.input, json!({ "host": "shop.example", "port": 8443, "path": "/health" }));
    }
}

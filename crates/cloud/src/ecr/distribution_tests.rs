//! The embedded registry as a client of images meets it, request by request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::image_factory::sha256_digest;
use crate::cloud::Cloud;
use crate::request::ServiceCall;
use crate::scenario::Scenario;
use crate::wire::{self, RequestIds, TransportReply};

const OWN: &str = "222222222222.dkr.ecr.eu-west-1.amazonaws.com";
const OTHER: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
const WORLD: &str = "
account: \"222222222222\"
repositories: { acme/web: { images: [{ tags: [v1] }] }, acme/api: {}, acme/fixed: { immutable: true, images: [{ tags: [v1] }, { tags: [v2] }] } }
registries:
  - { account: \"111111111111\", region: eu-west-1, repositories: { acme/web: { readers: [\"222222222222\"], images: [{ tags: [v9] }] }, acme/own: { images: [{ tags: [v1] }] } } }
";

struct RegistryClient {
    cloud: Cloud,
    password: String,
}

struct RegistryResponse {
    status: u16,
    headers: http::HeaderMap,
    body: String,
}

impl RegistryResponse {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl RegistryClient {
    async fn new(more: &str) -> Self {
        let cloud = Cloud::new(Scenario::parse(&format!("{WORLD}{more}")).unwrap(), 1);
        let call = ServiceCall {
            service: "ecr".into(),
            operation: "GetAuthorizationToken".into(),
            input: Value::Null,
            region: "eu-west-1".into(),
            access_key: None,
        };
        let crate::request::Delivery::Reply(Ok(token)) = cloud.handle(call).await else { panic!("no token") };
        let data = &token["authorizationData"][0];
        assert_eq!(data["proxyEndpoint"], format!("https://{OWN}"));
        let login = STANDARD.decode(data["authorizationToken"].as_str().unwrap()).unwrap();
        let password = String::from_utf8(login).unwrap().strip_prefix("AWS:").unwrap().to_owned();
        Self { cloud, password }
    }

    async fn send(&self, method: &str, url: &str, kind: &str, body: &str) -> RegistryResponse {
        let basic = STANDARD.encode(format!("AWS:{}", self.password));
        let request = Request::builder().method(method).uri(url).header("content-type", kind);
        let request = request.header("authorization", format!("Basic {basic}"));
        let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        match wire::handle_request(&self.cloud, &RequestIds::default(), &request).await {
            TransportReply::Respond(response) => {
                let (parts, body) = response.into_parts();
                let body = String::from_utf8(body.to_vec()).unwrap();
                RegistryResponse { status: parts.status.as_u16(), headers: parts.headers, body }
            }
            other => panic!("{other:?}"),
        }
    }

    async fn send_to(&self, method: &str, host: &str, path: &str) -> RegistryResponse {
        self.send(method, &format!("https://{host}/v2/{path}"), "", "").await
    }
}

#[tokio::test(start_paused = true)]
async fn a_manifest_is_read_by_tag_and_by_the_digest_of_its_bytes() {
    let client = RegistryClient::new("").await;
    let by_tag = client.send_to("GET", OWN, "acme/web/manifests/v1").await;
    let name = by_tag.header("docker-content-digest").to_owned();
    assert_eq!((by_tag.status, &name), (200, &sha256_digest(&by_tag.body)));
    let by_digest = client.send_to("HEAD", OWN, &format!("acme/web/manifests/{name}")).await;
    assert_eq!(by_digest.header("content-type"), "application/vnd.oci.image.manifest.v1+json");
    let missing = client.send_to("GET", OWN, "acme/web/manifests/v2").await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "MANIFEST_UNKNOWN"));
    let missing = client.send_to("GET", OWN, "acme/nothing/manifests/v2").await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "NAME_UNKNOWN"));
}

#[tokio::test(start_paused = true)]
async fn missing_or_expired_password_is_unauthorized() {
    let mut client = RegistryClient::new("").await;
    assert_eq!(client.send_to("GET", OWN, "").await.status, 200);
    tokio::time::advance(std::time::Duration::from_secs(12 * 3600)).await;
    assert_eq!(client.send_to("GET", OWN, "").await.status, 401);
    client.password = "guessed".into();
    let refused = client.send_to("GET", OWN, "acme/web/manifests/v1").await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "UNAUTHORIZED"));
}

#[tokio::test(start_paused = true)]
async fn the_registry_of_another_account_lets_readers_pull_and_nobody_push() {
    let client = RegistryClient::new("").await;
    let pulled = client.send_to("GET", OTHER, "acme/web/manifests/v9").await;
    let manifest: Value = serde_json::from_str(&pulled.body).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let sent_on = client.send_to("GET", OTHER, &format!("acme/web/blobs/{layer}")).await;
    assert_eq!(sent_on.status, 307);
    let bytes = client.send("GET", sent_on.header("location"), "", "").await;
    assert_eq!((bytes.status, sha256_digest(&bytes.body)), (200, layer));
    for (method, path) in [
        ("POST", "acme/web/blobs/uploads/"),
        ("GET", "acme/own/manifests/v1"),
        ("PUT", "acme/web/manifests/v1"),
    ] {
        let refused = client.send_to(method, OTHER, path).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "DENIED"), "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn blob_upload_in_chunks_or_whole_is_stored_only_with_matching_digest() {
    let client = RegistryClient::new("").await;
    let place = async || {
        let begun = client.send_to("POST", OWN, "acme/api/blobs/uploads/").await;
        assert_eq!(begun.status, 202);
        format!("https://{OWN}{}", begun.header("location"))
    };
    let (whole, name) = ("a layer", sha256_digest("a layer"));
    let at = place().await;
    assert_eq!(client.send("PATCH", &at, "", "a la").await.status, 202);
    assert_eq!(client.send("PUT", &format!("{at}?digest={name}"), "", "yer").await.status, 201);
    assert_eq!(
        client.send("PUT", &format!("{at}?digest={name}"), "", whole).await.code(),
        "BLOB_UPLOAD_UNKNOWN"
    );
    let at = place().await;
    let other = sha256_digest("another");
    let refused = client.send("PUT", &format!("{at}?digest={other}"), "", whole).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "DIGEST_INVALID"));
    for (digest, status) in [(name, 200), (other, 404)] {
        assert_eq!(client.send_to("HEAD", OWN, &format!("acme/api/blobs/{digest}")).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn manifest_needs_its_blobs_and_immutable_tag_does_not_move() {
    let client = RegistryClient::new("").await;
    let source = client.send_to("GET", OWN, "acme/web/manifests/v1").await;
    let kind = source.header("content-type");
    let at = |path: &str| format!("https://{OWN}/v2/{path}");
    let refused = client.send("PUT", &at("acme/api/manifests/v1"), kind, &source.body).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "MANIFEST_BLOB_UNKNOWN"));
    let again = client.send("PUT", &at("acme/web/manifests/v1"), kind, &source.body).await;
    assert_eq!(
        (again.status, again.header("docker-content-digest")),
        (201, sha256_digest(&source.body).as_str())
    );
    let fixed = client.send_to("GET", OWN, "acme/fixed/manifests/v1").await;
    let moved = client.send("PUT", &at("acme/fixed/manifests/v2"), kind, &fixed.body).await;
    assert_eq!((moved.status, moved.code().as_str()), (400, "TAG_INVALID"));
    assert!(moved.body.contains("immutable"), "{}", moved.body);
}

/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html>: off unless the account turns it on.
#[tokio::test(start_paused = true)]
async fn a_layer_is_mounted_where_the_account_allows_it_and_else_has_to_be_sent() {
    for (more, status) in [("", 202), ("blob-mounting: true\n", 201)] {
        let client = RegistryClient::new(more).await;
        let source = client.send_to("GET", OWN, "acme/web/manifests/v1").await;
        let manifest: Value = serde_json::from_str(&source.body).unwrap();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        let path = format!("acme/api/blobs/uploads/?mount={layer}&from=acme/web");
        assert_eq!(client.send_to("POST", OWN, &path).await.status, status);
        let there = client.send_to("HEAD", OWN, &format!("acme/api/blobs/{layer}")).await.status;
        assert_eq!(there == 200, status == 201);
    }
}

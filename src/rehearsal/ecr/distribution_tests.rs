//! The embedded registry as a client of images meets it, request by request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::make::digest;
use crate::rehearsal::call::Call;
use crate::rehearsal::cloud::Cloud;
use crate::rehearsal::scenario::Scenario;
use crate::rehearsal::wire::{self, Exchange, RequestIds};

const OWN: &str = "222222222222.dkr.ecr.eu-west-1.amazonaws.com";
const OTHER: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
const WORLD: &str = "
account: \"222222222222\"
repositories: { acme/web: { images: [{ tags: [v1] }] }, acme/api: {}, acme/fixed: { immutable: true, images: [{ tags: [v1] }, { tags: [v2] }] } }
registries:
  - { account: \"111111111111\", region: eu-west-1, repositories: { acme/web: { readers: [\"222222222222\"], images: [{ tags: [v9] }] }, acme/own: { images: [{ tags: [v1] }] } } }
";

struct Client {
    cloud: Cloud,
    password: String,
}

struct Got {
    status: u16,
    headers: http::HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    async fn new(more: &str) -> Self {
        let cloud = Cloud::new(Scenario::parse(&format!("{WORLD}{more}")).unwrap(), 1);
        let call = Call {
            service: "ecr".into(),
            operation: "GetAuthorizationToken".into(),
            input: Value::Null,
            region: "eu-west-1".into(),
            access_key: None,
        };
        let crate::rehearsal::call::Delivery::Answer(Ok(token)) = cloud.answer(call).await else {
            panic!("no token")
        };
        let data = &token["authorizationData"][0];
        assert_eq!(data["proxyEndpoint"], format!("https://{OWN}"));
        let login = STANDARD.decode(data["authorizationToken"].as_str().unwrap()).unwrap();
        let password = String::from_utf8(login).unwrap().strip_prefix("AWS:").unwrap().to_owned();
        Self { cloud, password }
    }

    async fn ask(&self, method: &str, url: &str, kind: &str, body: &str) -> Got {
        let basic = STANDARD.encode(format!("AWS:{}", self.password));
        let request = Request::builder().method(method).uri(url).header("content-type", kind);
        let request = request.header("authorization", format!("Basic {basic}"));
        let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        match wire::exchange(&self.cloud, &RequestIds::default(), &request).await {
            Exchange::Respond(response) => {
                let (parts, body) = response.into_parts();
                let body = String::from_utf8(body.to_vec()).unwrap();
                Got { status: parts.status.as_u16(), headers: parts.headers, body }
            }
            other => panic!("{other:?}"),
        }
    }

    async fn on(&self, method: &str, host: &str, path: &str) -> Got {
        self.ask(method, &format!("https://{host}/v2/{path}"), "", "").await
    }
}

#[tokio::test(start_paused = true)]
async fn a_manifest_is_read_by_tag_and_by_the_digest_of_its_bytes() {
    let client = Client::new("").await;
    let by_tag = client.on("GET", OWN, "acme/web/manifests/v1").await;
    let name = by_tag.header("docker-content-digest").to_owned();
    assert_eq!((by_tag.status, &name), (200, &digest(&by_tag.body)));
    let by_digest = client.on("HEAD", OWN, &format!("acme/web/manifests/{name}")).await;
    assert_eq!(by_digest.header("content-type"), "application/vnd.oci.image.manifest.v1+json");
    let missing = client.on("GET", OWN, "acme/web/manifests/v2").await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "MANIFEST_UNKNOWN"));
    let missing = client.on("GET", OWN, "acme/nothing/manifests/v2").await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "NAME_UNKNOWN"));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_let_in_without_a_password_that_still_holds() {
    let mut client = Client::new("").await;
    assert_eq!(client.on("GET", OWN, "").await.status, 200);
    tokio::time::advance(std::time::Duration::from_secs(12 * 3600)).await;
    assert_eq!(client.on("GET", OWN, "").await.status, 401);
    client.password = "guessed".into();
    let refused = client.on("GET", OWN, "acme/web/manifests/v1").await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "UNAUTHORIZED"));
}

#[tokio::test(start_paused = true)]
async fn the_registry_of_another_account_lets_readers_pull_and_nobody_push() {
    let client = Client::new("").await;
    let pulled = client.on("GET", OTHER, "acme/web/manifests/v9").await;
    let manifest: Value = serde_json::from_str(&pulled.body).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let sent_on = client.on("GET", OTHER, &format!("acme/web/blobs/{layer}")).await;
    assert_eq!(sent_on.status, 307);
    let bytes = client.ask("GET", sent_on.header("location"), "", "").await;
    assert_eq!((bytes.status, digest(&bytes.body)), (200, layer));
    for (method, path) in [
        ("POST", "acme/web/blobs/uploads/"),
        ("GET", "acme/own/manifests/v1"),
        ("PUT", "acme/web/manifests/v1"),
    ] {
        let refused = client.on(method, OTHER, path).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "DENIED"), "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_is_sent_in_pieces_or_whole_and_kept_only_when_it_is_what_its_digest_says() {
    let client = Client::new("").await;
    let place = async || {
        let begun = client.on("POST", OWN, "acme/api/blobs/uploads/").await;
        assert_eq!(begun.status, 202);
        format!("https://{OWN}{}", begun.header("location"))
    };
    let (whole, name) = ("a layer", digest("a layer"));
    let at = place().await;
    assert_eq!(client.ask("PATCH", &at, "", "a la").await.status, 202);
    assert_eq!(client.ask("PUT", &format!("{at}?digest={name}"), "", "yer").await.status, 201);
    assert_eq!(
        client.ask("PUT", &format!("{at}?digest={name}"), "", whole).await.code(),
        "BLOB_UPLOAD_UNKNOWN"
    );
    let at = place().await;
    let other = digest("another");
    let refused = client.ask("PUT", &format!("{at}?digest={other}"), "", whole).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "DIGEST_INVALID"));
    for (digest, status) in [(name, 200), (other, 404)] {
        assert_eq!(client.on("HEAD", OWN, &format!("acme/api/blobs/{digest}")).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_manifest_is_taken_when_its_parts_are_there_and_a_fixed_tag_does_not_move() {
    let client = Client::new("").await;
    let source = client.on("GET", OWN, "acme/web/manifests/v1").await;
    let kind = source.header("content-type");
    let at = |path: &str| format!("https://{OWN}/v2/{path}");
    let refused = client.ask("PUT", &at("acme/api/manifests/v1"), kind, &source.body).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "MANIFEST_BLOB_UNKNOWN"));
    let again = client.ask("PUT", &at("acme/web/manifests/v1"), kind, &source.body).await;
    assert_eq!((again.status, again.header("docker-content-digest")), (201, digest(&source.body).as_str()));
    let fixed = client.on("GET", OWN, "acme/fixed/manifests/v1").await;
    let moved = client.ask("PUT", &at("acme/fixed/manifests/v2"), kind, &fixed.body).await;
    assert_eq!((moved.status, moved.code().as_str()), (400, "TAG_INVALID"));
    assert!(moved.body.contains("immutable"), "{}", moved.body);
}

/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html>: off unless the account turns it on.
#[tokio::test(start_paused = true)]
async fn a_layer_is_mounted_where_the_account_allows_it_and_else_has_to_be_sent() {
    for (more, status) in [("", 202), ("blob-mounting: true\n", 201)] {
        let client = Client::new(more).await;
        let source = client.on("GET", OWN, "acme/web/manifests/v1").await;
        let manifest: Value = serde_json::from_str(&source.body).unwrap();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        let path = format!("acme/api/blobs/uploads/?mount={layer}&from=acme/web");
        assert_eq!(client.on("POST", OWN, &path).await.status, status);
        let there = client.on("HEAD", OWN, &format!("acme/api/blobs/{layer}")).await.status;
        assert_eq!(there == 200, status == 201);
    }
}

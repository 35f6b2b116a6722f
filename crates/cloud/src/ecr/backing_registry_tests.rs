//! The cloud over a registry: a small one of our own, on loopback, that knows as much of the protocol as is asked of it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::image_factory::{BuiltImage, MANIFEST, build_image};
use crate::cloud::Cloud;
use crate::ecr::scenario::RepositorySetting;
use crate::request::{Delivery, ServiceCall, ServiceResult};
use crate::scenario::Scenario;
use crate::world::BackingRegistry;

/// Path below `/v2/` to media type and text.
type StoredContent = Arc<Mutex<BTreeMap<String, (String, String)>>>;

async fn respond(
    held: StoredContent,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().trim_start_matches("/v2/").to_owned();
    let mut response = Response::new(Full::default());
    // `u:p`
    if request.headers().get("authorization").is_none_or(|value| value != "Basic dTpw") {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    } else if request.method() == Method::PUT {
        let kind = request.headers()["content-type"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        held.lock().unwrap().insert(path, (kind, String::from_utf8(body.to_vec()).unwrap()));
        *response.status_mut() = StatusCode::CREATED;
    } else if let Some((kind, text)) = held.lock().unwrap().get(&path) {
        response.headers_mut().insert("content-type", kind.parse().unwrap());
        *response.body_mut() = Full::new(Bytes::from(text.clone()));
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// A registry that holds nothing yet, and where it listens.
async fn start_registry() -> (StoredContent, String) {
    let held = StoredContent::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = held.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let held = served.clone();
            let service = service_fn(move |request| respond(held.clone(), request));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (held, address)
}

fn cloud_with_registry(endpoint: &str, password: &str) -> Cloud {
    let registry =
        BackingRegistry { endpoint: endpoint.into(), username: "u".into(), password: password.into() };
    let repositories = [("hello".to_owned(), RepositorySetting::default())].into();
    Cloud::new_server(Scenario { registry: Some(registry), repositories, ..Scenario::default() }, 1, 1.0)
}

/// As `docker push` does: blobs, manifests by digest, and the tag.
fn push_image(held: &StoredContent, made: &BuiltImage, tag: &str) {
    let mut held = held.lock().unwrap();
    for (digest, blob) in &made.blobs {
        held.insert(format!("hello/blobs/{digest}"), ("application/octet-stream".into(), blob.clone()));
    }
    for image in &made.images {
        let entry = (image.media_type.clone(), image.manifest.clone());
        held.insert(format!("hello/manifests/{}", image.digest), entry.clone());
        held.insert(format!("hello/manifests/{tag}"), entry);
    }
    let tags = json!({ "name": "hello", "tags": [tag] }).to_string();
    held.insert("hello/tags/list".into(), ("application/json".into(), tags));
}

async fn call_ecr(cloud: &Cloud, operation: &str, more: Value) -> ServiceResult {
    let mut input = json!({ "repositoryName": "hello" });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (service, operation) = ("ecr".into(), operation.into());
    match cloud
        .handle(ServiceCall { service, operation, input, region: String::new(), access_key: None })
        .await
    {
        Delivery::Reply(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pushed_image_is_visible_and_new_tag_reaches_the_real_registry() {
    let (held, endpoint) = start_registry().await;
    let cloud = cloud_with_registry(&endpoint, "p");
    assert_eq!(call_ecr(&cloud, "DescribeImages", json!({})).await.unwrap()["imageDetails"], json!([]));

    let made = build_image(&["linux/amd64", "linux/arm64"], "1");
    push_image(&held, &made, "v1");
    let seen = call_ecr(&cloud, "DescribeImages", json!({})).await.unwrap();
    assert_eq!(seen["imageDetails"].as_array().unwrap().len(), 3, "{seen}");
    let found =
        call_ecr(&cloud, "BatchGetImage", json!({ "imageIds": [{ "imageTag": "v1" }] })).await.unwrap();
    let manifest = &found["images"][0]["imageManifest"];
    assert_eq!(manifest, &json!(made.images[2].manifest));

    let retag = json!({ "imageManifest": manifest, "imageTag": "prod" });
    call_ecr(&cloud, "PutImage", retag.clone()).await.unwrap();
    assert_eq!(held.lock().unwrap()["hello/manifests/prod"].1, made.images[2].manifest);
    let host = cloud.read(super::registry_host);
    assert_eq!(host, endpoint);
}

#[tokio::test]
async fn an_image_that_no_tag_names_is_found_by_its_digest() {
    let (held, endpoint) = start_registry().await;
    let made = build_image(&["linux/amd64"], "1");
    let image = &made.images[0];
    let path = format!("hello/manifests/{}", image.digest);
    held.lock().unwrap().insert(path, (MANIFEST.into(), image.manifest.clone()));
    let cloud = cloud_with_registry(&format!("http://{endpoint}/"), "p");
    let ids = json!({ "imageIds": [{ "imageDigest": image.digest }] });
    let answer = call_ecr(&cloud, "DescribeImages", ids).await.unwrap();
    assert_eq!(answer["imageDetails"][0]["imageManifestMediaType"], MANIFEST);
    let gone = json!({ "imageIds": [{ "imageDigest": super::image_factory::sha256_digest("x") }] });
    assert_eq!(call_ecr(&cloud, "DescribeImages", gone).await.unwrap_err().code, "ImageNotFoundException");
}

#[tokio::test]
async fn a_registry_that_refuses_or_is_elsewhere_is_named_in_the_error() {
    let (_held, endpoint) = start_registry().await;
    let refused =
        call_ecr(&cloud_with_registry(&endpoint, "wrong"), "DescribeImages", json!({})).await.unwrap_err();
    let words = format!("The registry at {endpoint}: answered hello/tags/list with 401 Unauthorized");
    assert_eq!((refused.status, refused.message), (500, words));
    let elsewhere =
        call_ecr(&cloud_with_registry("192.0.2.1:443", "p"), "DescribeImages", json!({})).await.unwrap_err();
    assert_eq!(elsewhere.message, "The registry at 192.0.2.1:443: it is not on a loopback address");
}

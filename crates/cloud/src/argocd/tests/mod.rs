//! Argo CD over HTTP requests, in virtual time. Helpers only.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

mod api_errors;
mod canaries;
mod failures;
mod syncs;

use crate::cloud::Cloud;
use crate::scenario::Scenario;
use crate::wire::{RequestIds, TransportReply, handle_request};

const FILE: &str = "apps/web/kustomization.yaml";

/// A world with one application `web` that follows `acme/manifests`, as `app` says besides, and these faults.
fn start_with_app(app: &str, faults: &str) -> Cloud {
    start_with(&format!("{{ name: web, {SOURCE}, {app} }}"), "", faults)
}

const SOURCE: &str =
    "sources: [{ repository: acme/manifests, branch: main, files: [apps/web/kustomization.yaml] }]";

/// The same with the application and the rest of `argocd` in full.
fn start_with(application: &str, rest: &str, faults: &str) -> Cloud {
    let file = "images: [{ name: acme/web, newTag: v1 }]";
    let text = format!(
        "github: {{ repositories: [{{ name: acme/manifests, files: {{ {FILE}: '{file}' }} }}] }}\n\
         argocd: {{ applications: [{application}], {rest} }}\nfaults: {faults}\n"
    );
    Cloud::new(Scenario::parse(&text).unwrap(), 7)
}

fn commit_tag(cloud: &Cloud, tag: &str) -> String {
    commit_file(cloud, &format!("images:\n  - name: acme/web\n    newTag: {tag}\n"))
}

/// Commits the file with this text, and gives the commit.
fn commit_file(cloud: &Cloud, text: &str) -> String {
    let changes = [(FILE, Some(text.as_bytes()))];
    cloud
        .change(|world, now| {
            world.github.push_commit("acme/manifests", "main", "somebody", "change", &changes, now)
        })
        .unwrap()
}

/// Status and body of a request with a token.
async fn send_request(cloud: &Cloud, method: &str, path: &str, body: &str) -> (u16, String) {
    let request = Request::builder()
        .method(method)
        .uri(format!("https://argocd.acme.dev/api/v1/applications{path}"))
        .header("authorization", "Bearer t0ken")
        .header("content-type", "application/json");
    let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    match handle_request(cloud, &RequestIds::default(), &request).await {
        TransportReply::Respond(response) => {
            (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

async fn get_json(cloud: &Cloud, path: &str) -> Value {
    let (status, body) = send_request(cloud, "GET", path, "").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn get_app(cloud: &Cloud) -> Value {
    get_json(cloud, "/web").await
}

async fn refresh_app(cloud: &Cloud) -> Value {
    get_json(cloud, "/web?refresh=normal").await
}

fn str_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Sync status, health and revision.
fn sync_health_revision(app: &Value) -> (String, String, String) {
    ["/status/sync/status", "/status/health/status", "/status/sync/revision"]
        .map(|pointer| str_at(app, pointer).to_owned())
        .into()
}

async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The application once `done`, looked at each second; it must come within `most` seconds.
async fn wait_until(cloud: &Cloud, most: u64, done: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..most {
        let seen = get_app(cloud).await;
        if done(&seen) {
            return seen;
        }
        sleep(1).await;
    }
    panic!("not within {most} s: {}", get_app(cloud).await["status"]);
}

async fn wait_until_healthy(cloud: &Cloud, commit: &str, most: u64) -> Value {
    let wanted = ("Synced".to_owned(), "Healthy".to_owned(), commit.to_owned());
    wait_until(cloud, most, |app| sync_health_revision(app) == wanted).await
}

/// Nodes of the tree of this kind.
async fn tree_nodes(cloud: &Cloud, kind: &str) -> Vec<Value> {
    let tree = get_json(cloud, "/web/resource-tree").await;
    tree["nodes"].as_array().unwrap().iter().filter(|node| node["kind"] == kind).cloned().collect()
}

//! A mock GitHub for tests that returns the given responses in order, and records the requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::branch::BranchClient;
use super::snapshot::blob_oid;
use super::{Addresses, Edit, FileChange, FileMode, RunRepository};

/// One response.
#[derive(Debug, Clone)]
pub(crate) enum MockReply {
    Response(u16, Vec<(&'static str, String)>, String),
    /// The connection breaks.
    ConnectionReset,
    /// No response ever.
    NoResponse,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedRequest {
    pub(crate) call: String,
    pub(crate) body: Value,
    pub(crate) token: Option<String>,
    pub(crate) elapsed: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct MockGitHub {
    replies: Arc<Mutex<VecDeque<MockReply>>>,
    asked: Arc<Mutex<Vec<ReceivedRequest>>>,
    started: Instant,
}

/// A response of the REST API.
pub(crate) fn rest_reply(status: u16, body: Value) -> MockReply {
    MockReply::Response(status, Vec::new(), body.to_string())
}

/// A response of the GraphQL API.
pub(crate) fn graphql_reply(data: Value) -> MockReply {
    rest_reply(200, json!({ "data": data }))
}

/// A GraphQL error without data.
pub(crate) fn graphql_error_reply(kind: &str, message: &str) -> MockReply {
    rest_reply(200, json!({"data": null, "errors": [{"type": kind, "message": message, "path": ["x"]}]}))
}

/// A branch with files as `f0`, `f1` and so on.
pub(crate) fn branch_reply(name: &str, head: &str, texts: &[&str]) -> MockReply {
    let mut commit = json!({ "oid": head });
    for (index, text) in texts.iter().enumerate() {
        commit[format!("f{index}")] = json!({"mode": 0o100_644, "type": "blob", "object": {
            "oid": blob_oid(text.as_bytes()), "byteSize": text.len(), "text": text,
        }});
    }
    let reference = json!({"name": name, "refUpdateRule": null, "target": commit});
    graphql_reply(json!({"repository": {"isArchived": false, "viewerPermission": "WRITE", "ref": reference}}))
}

/// The response to a successful commit.
pub(crate) fn commit_reply(oid: &str) -> MockReply {
    graphql_reply(json!({"createCommitOnBranch": {"commit": {"oid": oid}}}))
}

impl MockGitHub {
    /// A branch client with these responses. Inside a runtime with paused time.
    pub(crate) fn branch_client(replies: Vec<MockReply>) -> (BranchClient, Self) {
        Self::branch_client_at(&Addresses::from_api_url("https://api.github.com"), replies)
    }

    /// The repository `acme/shop` with these responses. Inside a runtime with paused time.
    pub(crate) fn run_repository(replies: Vec<MockReply>) -> (RunRepository, Self) {
        let (http, script) = Self::http_client(replies);
        let addresses = Addresses::from_api_url("https://api.github.com");
        (RunRepository::new(http, &addresses, "t0ken", "acme/shop").unwrap(), script)
    }

    fn with_replies(replies: Vec<MockReply>) -> Self {
        let replies = Arc::new(Mutex::new(replies.into()));
        Self { replies, asked: Arc::default(), started: Instant::now() }
    }

    pub(crate) fn branch_client_at(addresses: &Addresses, replies: Vec<MockReply>) -> (BranchClient, Self) {
        let (http, script) = Self::http_client(replies);
        (BranchClient::new(http, addresses, "t0ken").unwrap(), script)
    }

    /// A client with these responses.
    pub(crate) fn http_client(replies: Vec<MockReply>) -> (SharedHttpClient, Self) {
        let script = Self::with_replies(replies);
        (SharedHttpClient::new(script.clone()), script)
    }

    pub(crate) fn asked(&self) -> Vec<ReceivedRequest> {
        self.asked.lock().unwrap().clone()
    }

    /// Methods and URLs without the origin, in order; all responses must have been used.
    pub(crate) fn calls(&self) -> Vec<String> {
        assert_eq!(self.replies.lock().unwrap().len(), 0, "answers are left: {:#?}", self.asked());
        self.asked().into_iter().map(|asked| asked.call.replace("https://api.github.com", "")).collect()
    }
}

impl HttpClient for MockGitHub {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for MockGitHub {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        self.asked.lock().unwrap().push(ReceivedRequest {
            call: format!("{} {}", request.method(), request.uri()),
            body: serde_json::from_slice(body).unwrap_or_default(),
            token: request.headers().get("authorization").map(str::to_owned),
            elapsed: self.started.elapsed(),
        });
        let reply = self.replies.lock().unwrap().pop_front();
        HttpConnectorFuture::new(async move {
            let (status, headers, body) = match reply.expect("more was asked than is answered") {
                MockReply::Response(status, headers, body) => (status, headers, body),
                MockReply::ConnectionReset => {
                    return Err(ConnectorError::io("connection reset by peer".into()));
                }
                MockReply::NoResponse => std::future::pending().await,
            };
            let mut response = http::Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(HttpResponse::try_from(response.body(SdkBody::from(body)).unwrap()).unwrap())
        })
    }
}

/// An edit of one file.
pub(crate) fn edit(text: &str) -> Edit {
    Edit {
        headline: "Deploy".into(),
        body: "Roadstead-Service: production/x".into(),
        changes: vec![FileChange { path: "a.yaml".into(), bytes: text.into(), mode: FileMode::Regular }],
    }
}

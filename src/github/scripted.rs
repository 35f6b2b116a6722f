//! A GitHub for tests that answers what it was told to, in that order, and keeps what it was asked.

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

use super::hub::Hub;
use super::snapshot::blob_oid;
use super::{Addresses, Edit, FileChange, Mode, Project};

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Said(u16, Vec<(&'static str, String)>, String),
    /// The connection breaks.
    Lost,
    /// Nothing ever comes.
    Silence,
}

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) call: String,
    pub(crate) body: Value,
    pub(crate) token: Option<String>,
    pub(crate) at: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    began: Instant,
}

/// The answer to a question of the REST API.
pub(crate) fn rest(status: u16, body: Value) -> Reply {
    Reply::Said(status, Vec::new(), body.to_string())
}

/// The answer to a question of GraphQL.
pub(crate) fn data(data: Value) -> Reply {
    rest(200, json!({ "data": data }))
}

/// A complaint without data.
pub(crate) fn complaint(kind: &str, message: &str) -> Reply {
    rest(200, json!({"data": null, "errors": [{"type": kind, "message": message, "path": ["x"]}]}))
}

/// A branch with files as `f0`, `f1` and so on.
pub(crate) fn branch(name: &str, head: &str, texts: &[&str]) -> Reply {
    let mut commit = json!({ "oid": head });
    for (index, text) in texts.iter().enumerate() {
        commit[format!("f{index}")] = json!({"mode": 0o100_644, "type": "blob", "object": {
            "oid": blob_oid(text.as_bytes()), "byteSize": text.len(), "text": text,
        }});
    }
    let reference = json!({"name": name, "refUpdateRule": null, "target": commit});
    data(json!({"repository": {"isArchived": false, "viewerPermission": "WRITE", "ref": reference}}))
}

/// The answer to a commit that landed.
pub(crate) fn committed(oid: &str) -> Reply {
    data(json!({"createCommitOnBranch": {"commit": {"oid": oid}}}))
}

impl Script {
    /// A hub that is answered so. Inside a runtime with paused time.
    pub(crate) fn hub(replies: Vec<Reply>) -> (Hub, Self) {
        Self::at(&Addresses::of("https://api.github.com"), replies)
    }

    /// The repository `acme/shop`, answered so. Inside a runtime with paused time.
    pub(crate) fn project(replies: Vec<Reply>) -> (Project, Self) {
        let (http, script) = Self::http(replies);
        let addresses = Addresses::of("https://api.github.com");
        (Project::new(http, &addresses, "t0ken", "acme/shop").unwrap(), script)
    }

    fn of(replies: Vec<Reply>) -> Self {
        let replies = Arc::new(Mutex::new(replies.into()));
        Self { replies, asked: Arc::default(), began: Instant::now() }
    }

    pub(crate) fn at(addresses: &Addresses, replies: Vec<Reply>) -> (Hub, Self) {
        let (http, script) = Self::http(replies);
        (Hub::new(http, addresses, "t0ken").unwrap(), script)
    }

    /// A client that is answered so.
    pub(crate) fn http(replies: Vec<Reply>) -> (SharedHttpClient, Self) {
        let script = Self::of(replies);
        (SharedHttpClient::new(script.clone()), script)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Methods and addresses without the origin, in order; all answers must have been used.
    pub(crate) fn calls(&self) -> Vec<String> {
        assert_eq!(self.replies.lock().unwrap().len(), 0, "answers are left: {:#?}", self.asked());
        self.asked().into_iter().map(|asked| asked.call.replace("https://api.github.com", "")).collect()
    }
}

impl HttpClient for Script {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        self.asked.lock().unwrap().push(Asked {
            call: format!("{} {}", request.method(), request.uri()),
            body: serde_json::from_slice(body).unwrap_or_default(),
            token: request.headers().get("authorization").map(str::to_owned),
            at: self.began.elapsed(),
        });
        let reply = self.replies.lock().unwrap().pop_front();
        HttpConnectorFuture::new(async move {
            let (status, headers, body) = match reply.expect("more was asked than is answered") {
                Reply::Said(status, headers, body) => (status, headers, body),
                Reply::Lost => return Err(ConnectorError::io("connection reset by peer".into())),
                Reply::Silence => std::future::pending().await,
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
        changes: vec![FileChange { path: "a.yaml".into(), bytes: text.into(), mode: Mode::Plain }],
    }
}

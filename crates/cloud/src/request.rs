//! One request to the cloud and its answer, free of any wire protocol.

use serde_json::{Map, Value};

/// The call of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceCall {
    /// The signing name of the service: `ecs`, `ecr`, `sts`, `elasticloadbalancing`, `monitoring`, `logs`, `iam`,
    /// or `oidc` for the runner's token endpoint, `web` for what stands behind a load balancer, `registry` for the
    /// registry of images itself, or `github`.
    pub service: String,
    /// Operation in the service model's spelling, such as `DescribeServices`; GitHub's as in its OpenAPI description, such
    /// as `git/create-ref`, the field of a GraphQL mutation, or `graphql` and the name of a query.
    pub operation: String,
    /// Members in the service model's spelling, whatever the protocol was.
    pub input: Value,
    /// Region from the credential scope; empty when the request is not signed.
    pub region: String,
    /// Access key id from the credential scope, GitHub's token, the password for a registry; `None` when the request is
    /// not signed.
    pub access_key: Option<String>,
}

/// An error in AWS's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// HTTP status.
    pub status: u16,
    /// Error code without a namespace, such as `ClusterNotFoundException`.
    pub code: String,
    /// The message.
    pub message: String,
    /// What GitHub adds to some errors.
    pub details: Option<Box<ErrorDetails>>,
}

/// What some errors carry beside their message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorDetails {
    /// Headers of the response.
    pub headers: Vec<(String, String)>,
    /// Members of its body.
    pub members: Map<String, Value>,
}

impl ServiceError {
    /// A refusal with HTTP status 400.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self::with_status(400, code, message)
    }

    /// A refusal.
    pub fn with_status(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), details: None }
    }
}

/// Members in the service model's spelling (timestamps as epoch seconds, a JSON number), or an error.
pub type ServiceResult = Result<Value, ServiceError>;

/// What happens to the answer on its way back.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// The client gets it.
    Reply(ServiceResult),
    /// The connection breaks: the change may have been made, the client cannot know.
    ConnectionLost,
    /// Nothing ever comes back.
    NoReply,
    /// A web page of something in between comes back, with status 200.
    Page(String),
}

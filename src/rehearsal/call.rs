//! One request to the cloud and its answer, free of any wire protocol.

use serde_json::Value;

/// What a client asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The signing name of the service: `ecs`, `ecr`, `sts`, `elasticloadbalancing`, `monitoring`, `logs`, `iam`,
    /// or `oidc` for the runner's token endpoint, or `web` for what stands behind a load balancer.
    pub service: String,
    /// Operation in the service model's spelling, such as `DescribeServices`.
    pub operation: String,
    /// Members in the service model's spelling, whatever the protocol was.
    pub input: Value,
    /// Region from the credential scope; empty when the request is not signed.
    pub region: String,
    /// Access key id from the credential scope; `None` when the request is not signed.
    pub access_key: Option<String>,
}

/// An error in AWS's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Error code without a namespace, such as `ClusterNotFoundException`.
    pub code: String,
    /// The message.
    pub message: String,
}

impl Refusal {
    /// A refusal with HTTP status 400.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.into(), message: message.into() }
    }
}

/// Members in the service model's spelling (timestamps as epoch seconds, a JSON number), or an error.
pub type Answer = Result<Value, Refusal>;

/// What happens to the answer on its way back.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// The client gets it.
    Answer(Answer),
    /// The connection breaks: the change may have been made, the client cannot know.
    Lost,
    /// Nothing ever comes back.
    Silence,
}

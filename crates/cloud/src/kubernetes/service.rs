//! Kubernetes as a service of the cloud: what the shared part of the cloud asks of it.

use serde_json::{Value, json};

use super::{api, builtin, seed};
use crate::builtin::Builtin;
use crate::faults::Fault;
use crate::request::{ServiceCall, ServiceResult};
use crate::scenario::Scenario;
use crate::service::{DeniedCall, ErrorCode, ErrorCodes, Service, ServiceProtocol};
use crate::world::World;

/// What the API server calls the errors that every service has.
static ERRORS: ErrorCodes = ErrorCodes {
    internal: ErrorCode {
        status: 500,
        code: "InternalError",
        message: "Internal error occurred: etcdserver: request timed out",
    },
    ..ErrorCodes::AWS_JSON.with_throttled(429, "Text").with_denied(403, "Forbidden")
};

/// The API servers of clusters, and the controllers and nodes behind them.
pub struct Kubernetes;

impl Service for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Own
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn validate(&self, scenario: &Scenario) -> Result<(), String> {
        scenario.kubernetes.validate()
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, began: f64) {
        seed::seed(world, &scenario.kubernetes.clusters, began);
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        api::answer_call(world, call, now)
    }

    fn is_mutating(&self, operation: &str) -> bool {
        let is_read = operation.starts_with("get/") || operation.starts_with("list/");
        !is_read && !operation.contains("/selfsubject") && !operation.ends_with("/dry-run")
    }

    /// Its rights are those of the cluster, and not of IAM.
    fn required_actions(&self, _call: &ServiceCall) -> Vec<String> {
        Vec::new()
    }

    fn denial_message(&self, _denied: &DeniedCall<'_>) -> String {
        "Forbidden".into()
    }

    fn fault_time(&self, fault: &Fault) -> Option<f64> {
        match fault {
            Fault::KubernetesImageSet(change) => Some(change.at),
            Fault::KubernetesPaused(change) => Some(change.at),
            Fault::KubernetesScaled(change) => Some(change.at),
            _ => None,
        }
    }

    fn apply_fault(&self, world: &mut World, fault: &Fault, now: f64) {
        api::apply_outside_change(world, fault, now);
    }

    fn scenarios(&self) -> &'static [Builtin] {
        builtin::SCENARIOS
    }
}

/// An error as the API server writes it: a `Status`.
pub fn status_json(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code,
    })
}

//! Argo CD as a service of the cloud: what the shared part of the cloud asks of it.

use super::state::ArgoCdApp;
use super::{answer_call, builtin, find_application, responses, seed};
use crate::builtin::Builtin;
use crate::input::str_field;
use crate::request::{Delivery, ServiceCall, ServiceResult};
use crate::scenario::Scenario;
use crate::service::{DeniedCall, ErrorCode, ErrorCodes, Service, ServiceProtocol};
use crate::world::World;

/// What Argo CD calls the errors that every service has. When it fails, its proxy answers.
static ERRORS: ErrorCodes = ErrorCodes {
    internal: ErrorCode { status: 502, code: "BadGateway", message: "502 Bad Gateway" },
    ..ErrorCodes::AWS_JSON.with_throttled(429, "ResourceExhausted").with_denied(403, "PermissionDenied")
};

/// Argo CD's API server, and the cluster behind it.
pub struct ArgoCd;

impl Service for ArgoCd {
    fn name(&self) -> &'static str {
        "argocd"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Own
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn validate(&self, scenario: &Scenario) -> Result<(), String> {
        scenario.argocd.validate()
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, began: f64) {
        seed::seed(world, &scenario.argocd, began);
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        answer_call(world, call, now)
    }

    fn is_mutating(&self, operation: &str) -> bool {
        !["List", "Get", "ResourceTree", "ManagedResources", "CanI", "PodLogs"]
            .iter()
            .any(|start| operation.starts_with(start))
    }

    fn denial_message(&self, _denied: &DeniedCall<'_>) -> String {
        "permission denied".into()
    }

    fn answer_due_at(&self, world: &World, call: &ServiceCall, delivery: &Delivery) -> Option<f64> {
        response_due_at(world, call, delivery)
    }

    fn delayed_answer(&self, world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
        delayed_response(world, call, now)
    }

    fn scenarios(&self) -> &'static [Builtin] {
        builtin::SCENARIOS
    }
}

/// Until when the answer of a call has to wait, epoch seconds: for the requested refresh that its answer shows
/// as pending.
fn response_due_at(world: &World, call: &ServiceCall, delivery: &Delivery) -> Option<f64> {
    let Delivery::Reply(Ok(answer)) = delivery else { return None };
    if call.operation != "GetApplication" || str_field(&call.input, "refresh").is_empty() {
        return None;
    }
    answer["metadata"]["annotations"].get(responses::REFRESH_ANNOTATION)?;
    let place = ArgoCdApp::find_index(
        &world.argocd,
        str_field(&call.input, "name"),
        str_field(&call.input, "appNamespace"),
    )?;
    world.argocd.apps[place].refresh.as_ref().map(|(_, at)| *at)
}

/// The answer of a call that has waited.
fn delayed_response(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    let place = find_application(world, &call.input)?;
    Ok(responses::application_json(&world.argocd, &world.argocd.apps[place], now))
}

//! The update that leads from the observed to the requested state. Pure: nothing here is sent.
//!
//! A rollout's `ids` on ECS are `[deployment id ecs-svc/…, service deployment ARN]`, the second absent until AWS
//! reports it; `["rollback", ARN]` for the rollback of a service deployment; empty if nothing was changed.

use serde_json::{Map, Value, json};

use super::read::{EcsService, ServiceDeployment, version_from_arn};
use super::rollout::deployment_configuration;
use super::rollout::ecs_strategy;
use super::staged::ObservedPrimary;
use crate::release::{Rollout, ShiftKind, TrafficPlan, TrafficShift};

/// First id of a rollout that is the rollback of another one.
pub const ROLLBACK_ID: &str = "rollback";

/// A service, its last service deployment, and the rollback version of that one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceState {
    /// The service.
    pub service: EcsService,
    /// Its service deployment in progress or last one, if AWS returns it.
    pub last_deployment: Option<ServiceDeployment>,
    /// The task definition that a rollback of it leads to, if that is certain.
    pub rollback_definition: Option<String>,
    /// The task definition that it brought in; read only if it started after the plan was made.
    pub deployed_definition: Option<String>,
}

/// A shift, and what its plan was made for.
#[derive(Debug, Clone, Copy)]
pub struct ShiftRequest<'s> {
    /// The version that this run deploys, also if the shift rolls back to another one.
    pub staged: &'s str,
    /// The shift.
    pub shift: &'s TrafficShift,
    /// The PRIMARY deployment of the plan: a newer one of another version is not replaced.
    pub since: Option<&'s ObservedPrimary>,
}

/// The call to make.
#[derive(Debug, Clone, PartialEq)]
pub enum UpdatePlan {
    /// None: the service has the version, or is rolling it out in this rollout.
    NoOp(Rollout),
    /// UpdateService.
    Update(ServiceUpdate),
    /// StopServiceDeployment with a rollback.
    StopAndRollBack {
        /// The service deployment.
        arn: String,
    },
    /// None: a newer deployment took over, and it must not be changed.
    Superseded(String),
    /// None: ECS has no strategy for such a traffic plan.
    Unsupported,
}

/// An UpdateService that starts a service deployment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceUpdate {
    /// Task definition ARN.
    pub definition: String,
    /// Whether to start a new deployment even of the same definition.
    pub force: bool,
    /// The deployment configuration to set: for the traffic plan, or to restore the original one.
    pub configuration: Option<Value>,
}

impl ServiceUpdate {
    /// The members to send.
    pub fn request_body(&self) -> Map<String, Value> {
        let mut all = Map::from_iter([("taskDefinition".to_owned(), json!(self.definition))]);
        all.extend(self.force.then(|| ("forceNewDeployment".to_owned(), json!(true))));
        all.extend(self.configuration.clone().map(|set| ("deploymentConfiguration".to_owned(), set)));
        all
    }
}

/// A rolling update to `definition`: settings left by an earlier traffic plan are restored in the same call, or the
/// deployment would be paused at our hook with nobody to continue it.
pub fn rolling_update(service: &EcsService, definition: &str, force: bool) -> ServiceUpdate {
    let configuration = deployment_configuration::restored(&service.raw["deploymentConfiguration"]);
    ServiceUpdate { definition: definition.to_owned(), force, configuration }
}

/// Decides the call for a shift that may have been requested before.
pub fn plan_shift(state: &ServiceState, request: &ShiftRequest<'_>) -> UpdatePlan {
    match (&request.shift.kind, request.since) {
        (ShiftKind::Start { .. }, Some(since)) => {
            if let Some(rollout) = requested_before(state, &request.shift.version.id, since) {
                return UpdatePlan::NoOp(rollout);
            }
            if let Some(newer) = newer_deployment(state, since) {
                return UpdatePlan::Superseded(newer);
            }
        }
        (ShiftKind::RollBack(None), _) if is_foreign(state, request) => {
            return UpdatePlan::Superseded(newest_deployment_id(state));
        }
        _ => {}
    }
    plan_update(state, request.shift)
}

/// The rollout of `definition` that started after `since`: an earlier request for it did happen. ECS may have rolled it
/// back in the meantime.
fn requested_before(state: &ServiceState, definition: &str, since: &ObservedPrimary) -> Option<Rollout> {
    if newer_deployment(state, since).is_some()
        && state.service.primary().is_some_and(|primary| primary.definition == definition)
    {
        return Some(shown_rollout(&state.service, definition));
    }
    let ended = state.last_deployment.as_ref().filter(|last| since.is_older_than(last))?;
    let started = state.service.deployments.iter().find(|it| it.definition == definition);
    let version = version_from_arn(definition);
    (state.deployed_definition.as_deref() == Some(definition)).then(|| Rollout {
        version: version.id,
        label: version.label,
        ids: vec![started.map(|it| it.id.clone()).unwrap_or_default(), ended.arn.clone()],
    })
}

/// The deployment that started after `since`, by its id.
fn newer_deployment(state: &ServiceState, since: &ObservedPrimary) -> Option<String> {
    let primary = state.service.primary()?;
    (primary.id != since.id && primary.created_at > since.created_at).then(|| primary.id.clone())
}

/// Whether a rollback without a known rollout would replace the version of somebody else: neither ours nor the one to
/// return to.
fn is_foreign(state: &ServiceState, request: &ShiftRequest<'_>) -> bool {
    let known = [request.staged, request.shift.version.id.as_str()];
    request.staged != request.shift.version.id && !known.contains(&state.service.definition.as_str())
}

/// The rollout of `definition` that started after `before` was read.
pub fn started_since(state: &ServiceState, before: &EcsService, definition: &str) -> Option<Rollout> {
    let since = ObservedPrimary::from_service(before)?;
    let now = &state.service;
    let is_primary = now.primary().is_some_and(|it| it.id != since.id && it.definition == definition);
    if is_primary && now.definition == definition {
        return Some(rollout_after_update(before, now, definition));
    }
    requested_before(state, definition, &since)
}

/// Decides the call for `split`.
pub fn plan_update(state: &ServiceState, split: &TrafficShift) -> UpdatePlan {
    match &split.kind {
        ShiftKind::RollBack(Some(ours)) => plan_rollback(state, ours, split),
        ShiftKind::Start { plan, force } => match start_update(state, &split.version.id, plan, *force) {
            Some(update) if *force => UpdatePlan::Update(update),
            Some(update) => plan_forward(state, split, update),
            None => UpdatePlan::Unsupported,
        },
        ShiftKind::RollBack(None) | ShiftKind::Continue(_) => {
            plan_forward(state, split, rolling_update(&state.service, &split.version.id, false))
        }
    }
}

/// The update that starts a traffic plan; `None` for one that ECS does not support.
fn start_update(
    state: &ServiceState,
    wanted: &str,
    plan: &TrafficPlan,
    force: bool,
) -> Option<ServiceUpdate> {
    if plan.is_in_place() {
        return Some(rolling_update(&state.service, wanted, force));
    }
    let configuration = deployment_configuration::start_configuration(
        &state.service.raw["deploymentConfiguration"],
        plan,
        wanted,
    )?;
    Some(ServiceUpdate { definition: wanted.to_owned(), force, configuration: Some(configuration) })
}

fn plan_forward(state: &ServiceState, split: &TrafficShift, update: ServiceUpdate) -> UpdatePlan {
    let wanted = &split.version.id;
    match &state.last_deployment {
        Some(current) if current.is_rolling_back() && state.rollback_definition.as_ref() == Some(wanted) => {
            UpdatePlan::NoOp(rollback_requested(split, &current.arn))
        }
        Some(current) if current.is_in_flight() && state.rollback_definition.as_ref() == Some(wanted) => {
            UpdatePlan::StopAndRollBack { arn: current.arn.clone() }
        }
        _ if state.service.definition == *wanted => UpdatePlan::NoOp(current_rollout(state, split)),
        _ => UpdatePlan::Update(update),
    }
}

fn plan_rollback(state: &ServiceState, ours: &Rollout, split: &TrafficShift) -> UpdatePlan {
    let wanted = &split.version.id;
    let update = |force| UpdatePlan::Update(rolling_update(&state.service, wanted, force));
    if !is_last_deployment(state, ours) {
        return if state.service.definition == *wanted {
            UpdatePlan::NoOp(current_rollout(state, split))
        } else {
            UpdatePlan::Superseded(newest_deployment_id(state))
        };
    }
    match &state.last_deployment {
        Some(current) if current.is_rolling_back() => {
            UpdatePlan::NoOp(rollback_requested(split, &current.arn))
        }
        Some(current) if current.is_in_flight() && state.rollback_definition.as_ref() == Some(wanted) => {
            UpdatePlan::StopAndRollBack { arn: current.arn.clone() }
        }
        // A staged deployment keeps all of the old version until its end: stopping it is the fastest rollback.
        Some(current)
            if current.is_in_flight() && ecs_strategy::uses_ecs_strategy(current, &state.service) =>
        {
            UpdatePlan::StopAndRollBack { arn: current.arn.clone() }
        }
        Some(current) if current.is_in_flight() => update(false),
        _ if state.service.definition != *wanted => update(false),
        // The same definition was started again and failed without a rollback: only a new deployment is left.
        Some(current) if current.status == "STOPPED" => update(true),
        _ => UpdatePlan::NoOp(current_rollout(state, split)),
    }
}

/// Whether the service's last rollout is `ours` (by service deployment, else by deployment id).
fn is_last_deployment(state: &ServiceState, ours: &Rollout) -> bool {
    let by_arn = match (&state.last_deployment, ours.ids.get(1)) {
        (Some(current), Some(arn)) => Some(current.arn == *arn),
        _ => None,
    };
    let by_id = || state.service.primary().is_some_and(|primary| ours.ids.first() == Some(&primary.id));
    by_arn.unwrap_or_else(by_id)
}

fn newest_deployment_id(state: &ServiceState) -> String {
    let primary = || state.service.primary().map(|primary| primary.id.clone()).unwrap_or_default();
    state.last_deployment.as_ref().map_or_else(primary, |current| current.arn.clone())
}

/// The rollout that is the rollback of `arn`.
pub fn rollback_requested(split: &TrafficShift, arn: &str) -> Rollout {
    let ids = vec![ROLLBACK_ID.to_owned(), arn.to_owned()];
    Rollout { version: split.version.id.clone(), label: split.version.label.clone(), ids }
}

/// The version is the service's desired one already: in progress by the last deployment, or complete.
fn current_rollout(state: &ServiceState, split: &TrafficShift) -> Rollout {
    let rollout = shown_rollout(&state.service, &split.version.id);
    let there = state.service.primary().is_some_and(|primary| primary.rollout_state == "COMPLETED");
    if there { Rollout { ids: Vec::new(), ..rollout } } else { rollout }
}

/// The service's current rollout of `definition`: its PRIMARY deployment and its service deployment.
pub fn shown_rollout(service: &EcsService, definition: &str) -> Rollout {
    let primary = service.primary().filter(|primary| primary.definition == definition);
    let ids = primary.map_or_else(Vec::new, |primary| {
        std::iter::once(primary.id.clone()).chain(service.service_deployment_arn.clone()).collect()
    });
    let version = version_from_arn(definition);
    Rollout { version: version.id, label: version.label, ids }
}

/// The response of UpdateService as a rollout; the service deployment is left out while the response still shows the
/// one from `before`.
pub fn rollout_after_update(before: &EcsService, after: &EcsService, definition: &str) -> Rollout {
    let moved = before.primary().map(|p| &p.id) != after.primary().map(|p| &p.id);
    let lags = moved && before.service_deployment_arn == after.service_deployment_arn;
    let shown =
        if lags { EcsService { service_deployment_arn: None, ..after.clone() } } else { after.clone() };
    shown_rollout(&shown, definition)
}

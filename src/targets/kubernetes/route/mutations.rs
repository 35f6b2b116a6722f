//! The changes of a routed workload: the canary and its Service, the weights of the route, and their removal. Each is sent again only
//! after reading whether the first attempt happened. No weight is given to a Service without ready endpoints.

use std::time::Duration;

use serde_json::Value;

use super::super::error::{ApiError, ErrorKind};
use super::super::read::WorkloadObject;
use super::super::template::template_id;
use super::super::verdict::ExpectedRollout;
use super::super::write::StagedTemplate;
use super::RoutedWorkload;
use super::backends::{RouteSplit, read_split, rules_patch, split_rules, stable_weights, whole_rules};
use super::canary::{CanarySource, canary_replicas, canary_version, is_ours};
use super::rollout_ids::{RouteOperation, RouteRollout};
use super::state::RouteState;
use crate::problem::{Code, Problem};
use crate::release::{Rollout, ShiftKind, Staged, TrafficPlan, TrafficShift, Version};
use crate::retry::{self, Look, WriteError};
use crate::targets::aws_error::WRITE_RETRY;
use crate::targets::{ChangeError, Target};

/// How often the route is looked at until its gateways have seen that the canary is gone.
const EFFECT_LOOKS: usize = 15;
/// Between two of these looks.
const EFFECT_PAUSE: Duration = Duration::from_secs(1);

/// A rolling update of the workload; the route is as it was.
pub async fn start_rolling(
    target: &RoutedWorkload,
    staged: &Staged,
    shift: &TrafficShift,
) -> Result<RouteRollout, ChangeError> {
    end_split(target).await?;
    let member = target.main.shift(staged, shift).await?;
    Ok(RouteRollout::new(&shift.version, RouteOperation::RollingUpdate, member))
}

/// Makes the canary of a version, without traffic. What a lost run left is ended first.
pub async fn start_canary(
    target: &RoutedWorkload,
    staged: &Staged,
    plan: &TrafficPlan,
) -> Result<RouteRollout, ChangeError> {
    let state = target.read_state().await.map_err(WriteError::NotMade)?;
    give_back(target, &state).await?;
    let template = staged_template(target, staged).await.map_err(WriteError::NotMade)?;
    let before = target.read_state().await.map_err(WriteError::NotMade)?;
    let weights = stable_weights(&before.route.spec.rules, &target.names);
    let source = CanarySource {
        workload: &before.workload,
        service: &before.service,
        template: &template,
        version: &staged.version,
        replicas: canary_replicas(before.workload.spec.replicas.unwrap_or(1), plan),
        weights: &weights,
    };
    make_service(target, &source).await?;
    let made = make_deployment(target, &source).await.map_err(ChangeError::after_change)?;
    target.requested_percent.set(None);
    target.whole_since.set(None);
    let operation = RouteOperation::Canary { percent: 0, bake: plan.bake.0 };
    let member = target.canary.rollout_of(&staged.version, &made);
    Ok(RouteRollout::new(&staged.version, operation, member))
}

async fn staged_template(target: &RoutedWorkload, staged: &Staged) -> Result<Value, Problem> {
    match staged.read_handle::<StagedTemplate>() {
        Some(handle) => Ok(handle.after),
        None => target.main.load_template(&staged.version).await,
    }
}

async fn make_service(target: &RoutedWorkload, source: &CanarySource<'_>) -> Result<(), ChangeError> {
    let (client, service) = (&target.main.client, source.service(&target.names));
    retry::ambiguous(
        &WRITE_RETRY,
        async |()| client.create_service(&service).await.map(drop).map_err(ApiError::into_write_error),
        async |_| match client.service(&target.names.canary).await {
            Ok(known) if is_ours(&known.metadata, source.name()) => Ok(Look::Done(())),
            Ok(_) => Ok(Look::Stop(foreign_canary("Service", &target.names.canary))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Look::Send(())),
            Err(error) => Err(error.problem),
        },
    )
    .await
}

/// What is sent for the Deployment of the canary.
enum CanaryChange {
    Create,
    Patch(Value),
}

async fn make_deployment(
    target: &RoutedWorkload,
    source: &CanarySource<'_>,
) -> Result<WorkloadObject, ChangeError> {
    let client = &target.main.client;
    retry::ambiguous(
        &WRITE_RETRY,
        async |change: CanaryChange| {
            let made = match &change {
                CanaryChange::Create => client.create_deployment(&source.deployment(&target.names)).await,
                CanaryChange::Patch(patch) => client.patch_workload(&target.canary.name, patch, false).await,
            };
            made.and_then(|raw| client.interpret(raw)).map_err(ApiError::into_write_error)
        },
        async |_| match client.workload(&target.canary.name).await {
            Ok(raw) => {
                let known = client.interpret(raw).map_err(|error| error.problem)?;
                Ok(canary_look(target, source, known))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Look::Send(CanaryChange::Create)),
            Err(error) => Err(error.problem),
        },
    )
    .await
}

fn canary_look(
    target: &RoutedWorkload,
    source: &CanarySource<'_>,
    known: WorkloadObject,
) -> Look<CanaryChange, WorkloadObject, Problem> {
    if !is_ours(&known.metadata, source.name()) {
        return Look::Stop(foreign_canary("Deployment", &target.names.canary));
    }
    let is_same = canary_version(&known) == source.version.id
        && known.spec.replicas == Some(source.replicas)
        && template_id(&known.spec.template) == template_id(&source.template());
    match is_same {
        true => Look::Done(known),
        false => Look::Send(CanaryChange::Patch(source.patch(&known.metadata.uid))),
    }
}

/// An object of somebody else that has the name of the canary.
pub fn foreign_canary(kind: &str, name: &str) -> Problem {
    let sentence =
        format!("There is a {kind} `{name}`, which Roadstead did not make: a canary would have this name.");
    Problem::error(Code::Unsupported, sentence).help("Rename it.")
}

/// The next weight of a canary; with 100 the workload itself gets the version.
pub async fn continue_shift(
    target: &RoutedWorkload,
    staged: &Staged,
    rollout: &RouteRollout,
    percent: u8,
) -> Result<RouteRollout, ChangeError> {
    let RouteOperation::Canary { percent: before, bake } = rollout.operation else {
        return Ok(rollout.clone());
    };
    if percent == 100 {
        let kind = ShiftKind::Start { plan: TrafficPlan::in_place(), force: false };
        let whole = TrafficShift { version: rollout.version.clone(), percent: 100, kind };
        let member = target.main.shift(staged, &whole).await?;
        return Ok(RouteRollout::new(&rollout.version, RouteOperation::Promotion { bake }, member));
    }
    require_endpoints(target, &target.names.canary).await.map_err(WriteError::NotMade)?;
    let requested = target.requested_percent.replace(Some(percent)).unwrap_or(before);
    set_split(target, percent, &[split_of(before), split_of(requested)]).await?;
    let operation = RouteOperation::Canary { percent, bake };
    Ok(RouteRollout { operation, ..rollout.clone() })
}

/// The split of a canary with this weight: without traffic, the route does not name it.
pub fn split_of(percent: u8) -> RouteSplit {
    if percent == 0 { RouteSplit::Whole } else { RouteSplit::Canary(percent) }
}

/// Gives the traffic back to the workload, and its earlier version to the workload where that has changed.
pub async fn roll_back(
    target: &RoutedWorkload,
    staged: &Staged,
    version: &Version,
    ours: Option<&RouteRollout>,
) -> Result<RouteRollout, ChangeError> {
    let back = workload_roll_back(version, ours);
    let was_split = match end_split(target).await {
        // No copy of the workload is ready: it gets its earlier version first, and the traffic once a copy of that is ready.
        Err(error) if error.error().code == Code::NotHealthy => {
            target.main.shift(staged, &back).await?;
            return Err(error.after_change());
        }
        ended => ended?,
    };
    let member = target.main.shift(staged, &back).await;
    let member = member.map_err(|error| if was_split { error.after_change() } else { error })?;
    Ok(RouteRollout::new(version, RouteOperation::RollBack, member))
}

/// Gives the traffic back to the workload, where a route splits it. Whether it did.
async fn end_split(target: &RoutedWorkload) -> Result<bool, ChangeError> {
    let state = target.find_state().await.map_err(WriteError::NotMade)?;
    let split = state.filter(|state| state.split(target) != RouteSplit::Whole);
    let Some(state) = split else { return Ok(false) };
    give_back(target, &state).await.map(|()| true)
}

/// The rollback of the workload itself. A canary has not changed it, unless the answer to its promotion was lost.
pub fn workload_roll_back(version: &Version, ours: Option<&RouteRollout>) -> TrafficShift {
    let moved = ours.map(|one| match one.operation {
        RouteOperation::Canary { .. } => promotion_of(&one.version),
        RouteOperation::Promotion { .. } | RouteOperation::RollingUpdate | RouteOperation::RollBack => {
            one.member.clone()
        }
    });
    TrafficShift { version: version.clone(), percent: 100, kind: ShiftKind::RollBack(moved) }
}

/// The rollout of the workload that a lost promotion made, as far as the version tells it: no other template may be replaced.
fn promotion_of(version: &Version) -> Rollout {
    let template = version.id.rsplit_once(':').map_or(version.id.as_str(), |(_, template)| template);
    let expected = ExpectedRollout {
        uid: String::new(),
        generation: 0,
        template: template.to_owned(),
        started: None,
        images: Vec::new(),
    };
    Rollout { version: version.id.clone(), label: version.label.clone(), ids: expected.to_ids() }
}

/// Takes the canary out of the route, if its Service has others that are ready: old copies are there before traffic returns.
pub async fn give_back(target: &RoutedWorkload, state: &RouteState) -> Result<(), ChangeError> {
    if state.split(target) == RouteSplit::Whole {
        return Ok(());
    }
    require_endpoints(target, &target.names.stable).await.map_err(WriteError::NotMade)?;
    let weights = state.whole_weights();
    patch_rules(target, |rules| match read_split(rules, &target.names) {
        RouteSplit::Whole => RuleChange::Done,
        RouteSplit::Canary(_) | RouteSplit::Mixed => {
            RuleChange::To(whole_rules(rules, &target.names, &weights))
        }
    })
    .await
}

async fn require_endpoints(target: &RoutedWorkload, service: &str) -> Result<(), Problem> {
    if target.count_ready(service).await? > 0 {
        return Ok(());
    }
    let sentence = format!(
        "The Service `{service}` has no ready endpoint, so it gets no traffic. The route was not changed."
    );
    Err(Problem::error(Code::NotHealthy, sentence).help("Look at its pods."))
}

/// Gives the canary a weight, from one of these splits.
async fn set_split(target: &RoutedWorkload, percent: u8, known: &[RouteSplit]) -> Result<(), ChangeError> {
    patch_rules(target, |rules| {
        let now = read_split(rules, &target.names);
        if now == RouteSplit::Canary(percent) {
            RuleChange::Done
        } else if known.contains(&now) {
            RuleChange::To(split_rules(rules, &target.names, percent))
        } else {
            RuleChange::Refused(foreign_split(target, now))
        }
    })
    .await
}

/// The weights are not ours.
pub fn foreign_split(target: &RoutedWorkload, split: RouteSplit) -> Problem {
    let sentence =
        format!("The weights of the HTTPRoute `{}` were changed: {}.", target.names.route, split_text(split));
    Problem::error(Code::Superseded, sentence).help("Nothing was overwritten.")
}

/// A split in words.
pub fn split_text(split: RouteSplit) -> String {
    match split {
        RouteSplit::Whole => "all traffic goes to the workload".to_owned(),
        RouteSplit::Canary(percent) => format!("{percent} % of the traffic goes to the canary"),
        RouteSplit::Mixed => "its rules have different weights".to_owned(),
    }
}

/// What the rules of a route mean for a change.
enum RuleChange {
    Done,
    To(Value),
    Refused(Problem),
}

async fn patch_rules(
    target: &RoutedWorkload,
    change: impl Fn(&Value) -> RuleChange,
) -> Result<(), ChangeError> {
    let (client, name) = (&target.main.client, &target.names.route);
    retry::ambiguous(
        &WRITE_RETRY,
        async |patch: Value| {
            let patched = client.patch_route(name, &patch).await;
            patched.map(drop).map_err(super::super::mutations::swap_error)
        },
        async |_| {
            let route = client.route(name).await.map_err(|error| error.problem)?;
            let rules = &route.spec.rules;
            Ok(match change(rules) {
                RuleChange::Done => Look::Done(()),
                RuleChange::To(after) => Look::Send(rules_patch(&route.metadata.uid, rules, &after)),
                RuleChange::Refused(problem) => Look::Stop(problem),
            })
        },
    )
    .await
}

/// Removes the canary: from the route first, and its pods once the gateways have seen that.
pub async fn remove_canary(target: &RoutedWorkload, rollout: &Rollout) -> Result<(), Problem> {
    let Some(state) = target.find_state().await? else { return Ok(()) };
    if state.canary.is_some() && state.own_canary().is_none() {
        return Ok(());
    }
    if is_of_newer_run(&state, rollout) || is_split_of_others(target, &state, rollout) {
        return Ok(());
    }
    let was_split = state.split(target) != RouteSplit::Whole;
    give_back(target, &state).await.map_err(WriteError::into_error)?;
    if was_split {
        wait_until_effective(target).await;
    }
    delete_own_service(target).await?;
    let Some(own) = state.own_canary() else { return Ok(()) };
    let client = &target.main.client;
    client.delete_deployment(&target.names.canary, &own.metadata.uid).await.map_err(|error| error.problem)
}

/// A run that was lost may have made the Service alone.
async fn delete_own_service(target: &RoutedWorkload) -> Result<(), Problem> {
    let (client, name) = (&target.main.client, &target.names.canary);
    match client.service(name).await {
        Ok(known) if is_ours(&known.metadata, &target.main.name.name) => {
            client.delete_service(name).await.map_err(|error| error.problem)
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.problem),
    }
}

/// Whether the canary is another version than the one that a rollout brought: that of a run after it.
fn is_of_newer_run(state: &RouteState, rollout: &Rollout) -> bool {
    let operation = RouteRollout::parse(rollout).operation;
    let brings = matches!(operation, RouteOperation::Canary { .. } | RouteOperation::Promotion { .. });
    brings && state.own_canary().is_some_and(|own| canary_version(own) != rollout.version)
}

/// Whether somebody else set the weights of a canary: it is theirs then.
fn is_split_of_others(target: &RoutedWorkload, state: &RouteState, rollout: &Rollout) -> bool {
    let RouteOperation::Canary { percent, .. } = RouteRollout::parse(rollout).operation else { return false };
    let split = state.split(target);
    let known = [Some(0), Some(percent), target.requested_percent.get()];
    !known.into_iter().flatten().any(|one| split_of(one) == split)
}

async fn wait_until_effective(target: &RoutedWorkload) {
    for _ in 0..EFFECT_LOOKS {
        let route = target.main.client.route(&target.names.route).await;
        if route.is_ok_and(|route| route.is_effective()) {
            return;
        }
        tokio::time::sleep(EFFECT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollback_of_a_canary_replaces_no_template_but_its_own() {
        let version = |id: &str| Version { id: id.into(), label: id.into() };
        let member = Rollout { version: "api:2".into(), label: "api:2".into(), ids: Vec::new() };
        let operation = RouteOperation::Canary { percent: 10, bake: Duration::ZERO };
        let ours = RouteRollout::new(&version("api:2"), operation, member);
        let back = workload_roll_back(&version("api:1"), Some(&ours));
        let ShiftKind::RollBack(Some(moved)) = back.kind else { panic!("nothing was moved") };
        assert_eq!(ExpectedRollout::from_rollout(&moved).unwrap().template, "2");
    }
}

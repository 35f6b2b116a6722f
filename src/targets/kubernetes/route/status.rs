//! The status of a routed workload: the canary and its weight, then the workload itself.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::super::observe::template_version;
use super::RoutedWorkload;
use super::backends::RouteSplit;
use super::canary::canary_version;
use super::mutations::{split_of, split_text};
use super::rollout_ids::{RouteOperation, RouteRollout};
use super::state::RouteState;
use crate::problem::{Code, Problem};
use crate::release::{Observed, Pause, Progress, Proof, RolloutStatus, Variant, Variants, Version};
use crate::targets::Target;

/// The observed state: that of the workload. A canary that a lost run left is a remark, and is removed by the next run.
pub async fn observe(target: &RoutedWorkload) -> Result<Observed, Problem> {
    let (observed, state) = tokio::join!(target.main.observe(), target.find_state());
    let observed = observed?;
    let Some(state) = state? else { return Ok(observed) };
    let split = state.split(target);
    let needs_cleanup = split != RouteSplit::Whole || state.own_canary().is_some();
    let status = match observed.status {
        RolloutStatus::Healthy(proof) if split != RouteSplit::Whole => {
            RolloutStatus::Healthy(with_remark(proof, left_over(target, &state, split)))
        }
        other => other,
    };
    Ok(Observed { status, needs_cleanup, ..observed })
}

fn with_remark(proof: Proof, remark: Problem) -> Proof {
    let remarks = proof.remarks.into_iter().chain([remark]).collect();
    Proof { remarks, ..proof }
}

fn left_over(target: &RoutedWorkload, state: &RouteState, split: RouteSplit) -> Problem {
    let version = state.own_canary().map(canary_version).unwrap_or("another version");
    let sentence = format!(
        "A run that was lost left the canary `{}` with {version}: {}.",
        target.names.canary,
        split_text(split)
    );
    Problem::warning(Code::CleanupIncomplete, sentence)
        .help("The next run that changes something removes it.")
}

/// One poll of a rollout.
pub async fn rollout_status(
    target: &RoutedWorkload,
    rollout: &RouteRollout,
) -> Result<RolloutStatus, Problem> {
    match rollout.operation {
        RouteOperation::RollingUpdate => target.main.status(&rollout.member).await,
        RouteOperation::RollBack => {
            let (status, state) = tokio::join!(target.main.status(&rollout.member), target.find_state());
            let split = state?.map_or(RouteSplit::Whole, |state| state.split(target));
            Ok(match status? {
                RolloutStatus::Healthy(_) if split != RouteSplit::Whole => {
                    RolloutStatus::Superseded(split_text(split))
                }
                other => other,
            })
        }
        RouteOperation::Promotion { bake } => {
            let status = target.main.status(&rollout.member).await?;
            let RolloutStatus::Healthy(proof) = status else { return Ok(status) };
            let since = target.whole_since.get().unwrap_or_else(Instant::now);
            target.whole_since.set(Some(since));
            let stage = format!("baking {} with all traffic for {} s", rollout.version.label, bake.as_secs());
            Ok(match since.elapsed() >= bake {
                true => RolloutStatus::Healthy(proof),
                false => RolloutStatus::Progressing(Progress { stage, ..Progress::default() }),
            })
        }
        RouteOperation::Canary { percent, .. } => canary_status(target, rollout, percent).await,
    }
}

/// The canary: its pods as of any workload, its endpoints, and the weight that the gateways have seen.
async fn canary_status(
    target: &RoutedWorkload,
    rollout: &RouteRollout,
    percent: u8,
) -> Result<RolloutStatus, Problem> {
    let (status, state, ready) = tokio::join!(
        target.canary.status(&rollout.member),
        target.read_state(),
        target.count_ready(&target.names.canary)
    );
    let proof = match status? {
        RolloutStatus::Healthy(proof) => proof,
        other => return Ok(other),
    };
    let (state, ready) = (state?, ready?);
    let split = state.split(target);
    // A weight whose answer was lost is ours, too.
    let known = [Some(percent), target.requested_percent.get()];
    if !known.into_iter().flatten().any(|one| split_of(one) == split) {
        let route = &target.names.route;
        return Ok(RolloutStatus::Superseded(format!(
            "the weights of the HTTPRoute `{route}` were changed: {}",
            split_text(split)
        )));
    }
    let percent = if let RouteSplit::Canary(percent) = split { percent } else { 0 };
    let copies = state.canary.as_ref().and_then(|one| one.spec.replicas).unwrap_or(1);
    let waiting = |stage: &str| {
        let stage = stage.to_owned();
        RolloutStatus::Progressing(Progress {
            running: ready as u32,
            desired: copies,
            stage,
            ..Progress::default()
        })
    };
    if ready < copies as usize {
        return Ok(waiting("the endpoints of the canary are not ready"));
    }
    if percent > 0 && !state.route.is_effective() {
        return Ok(waiting("the gateway has not seen the weights"));
    }
    let evidence = format!("{}, {}", proof.evidence, split_text(split));
    let variants = Some(variants(target, rollout, &state));
    Ok(RolloutStatus::Paused(Pause { percent, evidence, variants }))
}

/// What metrics know both versions by.
fn variants(target: &RoutedWorkload, rollout: &RouteRollout, state: &RouteState) -> Variants {
    let variant = |version: Version, deployment: &str, service: &str| {
        let labels = [("deployment", deployment), ("service", service)];
        let labels: BTreeMap<String, String> =
            labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Variant { version, labels }
    };
    let serving = template_version(&target.main.name, &state.workload.spec.template);
    Variants {
        canary: variant(rollout.version.clone(), &target.names.canary, &target.names.canary),
        baseline: variant(serving, &target.main.name.name, &target.names.stable),
    }
}

//! The status of a pair: which service serves, the status of a version next to the other, and whether the weights are
//! ours.

use std::time::Duration;

use tokio::time::Instant;

use super::super::Ecs;
use super::super::batch_loader::AlarmReading;
use super::super::pair::ServicePair;
use super::super::patience::Patience;
use super::super::preflight::rules::alarm_names;
use super::super::read::{EcsDeployment, EcsService, EcsTask, version_from_arn};
use super::super::rollout::causes::{self, FailureCause};
use super::super::rollout::parallel_version;
use super::super::rollout::rollout_memory::ALARM_READ_INTERVAL;
use super::super::rollout::verdict::{self, Scale};
use super::listener_rule::{self, PairMember};
use super::mutations::{known, no_serving_member};
use super::rollout_ids::{PairOperation, PairRollout, WeightShift};
use super::state::{PairPosition, PairState};
use crate::problem::{Code, Problem};
use crate::release::{
    CompletedVersion, Failure, InFlight, Observed, Pause, Progress, Proof, Rollout, RolloutStatus, Variants,
    Version,
};
use crate::targets::{History, Target};

/// The observed state: the service with the traffic; during a stale shift, the version that it leads to.
pub async fn observe(pair: &ServicePair, state: &PairState) -> Result<Observed, Problem> {
    let basis = state.stable_member();
    let (observed, others) = tokio::join!(pair.member(basis).observe(), pair.member(basis.other()).list());
    let observed = observed?;
    // What completed on either service completed here. An unreadable history does not stop the run.
    let history = merge_histories(observed.history.clone(), others.unwrap_or_default());
    let observed = Observed { history, ..observed };
    Ok(match state.position() {
        PairPosition::Serving(side) => observe_serving(pair, state, side, observed),
        PairPosition::Shifting { new, percent } => observe_shifting(pair, state, (new, percent), observed),
        PairPosition::NoTraffic => {
            let health = RolloutStatus::Unknown(no_serving_member().sentence);
            Observed { status: health, in_flight: None, ..observed }
        }
    })
}

/// Completed versions of both services, newest first.
pub fn merge_histories(first: Vec<CompletedVersion>, second: Vec<CompletedVersion>) -> Vec<CompletedVersion> {
    let mut both = [first, second].concat();
    both.sort_by_key(|past| std::cmp::Reverse(past.completed_at));
    both
}

fn observe_serving(pair: &ServicePair, state: &PairState, side: PairMember, observed: Observed) -> Observed {
    let idle = state.service(side.other());
    let completed = idle.primary().is_some_and(|primary| primary.rollout_state == "COMPLETED");
    // A version deployed after the serving one, and without traffic, was rolled back: it is no rollback target.
    let before = completed
        && !state.is_newest_member(side.other())
        && Some(&idle.definition) != observed.version.as_ref().map(|v| &v.id);
    let previous = if before { Some(version_from_arn(&idle.definition)) } else { observed.previous };
    let in_flight = observed.in_flight.map(|flight| {
        let Rollout { version, label, ids } = flight.rollout;
        let rollout = PairRollout::new(
            &Version { id: version, label },
            pair.service_name(side),
            ids,
            PairOperation::RollingUpdate,
        )
        .to_rollout();
        InFlight { rollout, ..flight }
    });
    Observed { previous, in_flight, ..observed }
}

fn observe_shifting(
    pair: &ServicePair,
    state: &PairState,
    (new, percent): (PairMember, u8),
    observed: Observed,
) -> Observed {
    let (to, old) = (version_from_arn(&state.service(new).definition), state.service(new.other()));
    let flying = observed.in_flight.map(|flight| flight.rollout).filter(|rollout| rollout.version == to.id);
    let ids = flying.map_or_else(Vec::new, |rollout| rollout.ids);
    let shift = WeightShift { weights: None, weight: percent, bake: pair.options.bake.0 };
    let rollout =
        PairRollout::new(&to, pair.service_name(new), ids, PairOperation::Shift(shift)).to_rollout();
    let stage = format!("traffic is split: {}", state.describe_weights());
    Observed {
        version: Some(to),
        status: RolloutStatus::Progressing(Progress { desired: old.desired, stage, ..Progress::default() }),
        previous: Some(version_from_arn(&old.definition)),
        in_flight: Some(InFlight { rollout, rolling_back: false }),
        desired_count: old.desired,
        ..observed
    }
}

/// One poll of a rollout of the pair.
pub async fn rollout_status(pair: &ServicePair, moved: &PairRollout) -> Result<RolloutStatus, Problem> {
    let side = known(pair, &moved.service)?;
    let inner = Target::status(pair.member(side), &moved.member_rollout).await?;
    match (&moved.operation, inner) {
        (PairOperation::RollingUpdate, inner) => Ok(inner),
        (PairOperation::RollBack, RolloutStatus::Healthy(proof)) => rollback_status(pair, side, proof).await,
        (PairOperation::RollBack, inner) => Ok(inner),
        (PairOperation::Shift(shift), inner) => shift_status(pair, (side, shift), moved, inner).await,
    }
}

async fn rollback_status(
    pair: &ServicePair,
    side: PairMember,
    proof: Proof,
) -> Result<RolloutStatus, Problem> {
    let state = pair.read_state().await?;
    Ok(match state.weights().all_traffic_to() {
        Some(all) if all == side => RolloutStatus::Healthy(with_weight_evidence(proof, &state)),
        _ => RolloutStatus::Superseded(format!("the weights of the rule are {}", state.describe_weights())),
    })
}

fn with_weight_evidence(proof: Proof, state: &PairState) -> Proof {
    Proof { evidence: format!("{}, weights {}", proof.evidence, state.describe_weights()), ..proof }
}

async fn shift_status(
    pair: &ServicePair,
    (side, shift): (PairMember, &WeightShift),
    moved: &PairRollout,
    inner: RolloutStatus,
) -> Result<RolloutStatus, Problem> {
    let shared = shift.weight > 0 || pair.requested_weight.get().is_some_and(|asked| asked > 0);
    let proof = match inner {
        // Whatever ECS does with that service, the traffic has to be shifted back from it.
        RolloutStatus::Failed(failure)
        | RolloutStatus::Aborted(failure)
        | RolloutStatus::Missed(failure)
        | RolloutStatus::RollingBack(failure, _)
        | RolloutStatus::RolledBack(failure, _)
        | RolloutStatus::RollbackFailed(failure) => return Ok(RolloutStatus::Failed(failure)),
        RolloutStatus::Healthy(proof) => Ok(proof),
        RolloutStatus::Progressing(_) if shared => Err(inner),
        other => return Ok(other),
    };
    let state = pair.read_state().await?;
    let Some(weight) = own_weight(pair, side, shift, &state) else {
        let by =
            format!("the weights of the rule are {}, which this run did not set", state.describe_weights());
        return Ok(RolloutStatus::Superseded(by));
    };
    if (weight > 0 || proof.is_ok())
        && let Some(failure) = find_failure(pair, side, &state).await?
    {
        return Ok(RolloutStatus::Failed(failure));
    }
    let proof = match proof {
        Ok(proof) => with_weight_evidence(proof, &state),
        Err(inner) => return Ok(inner),
    };
    if weight < 100 {
        let variants = Some(variants(&state, side, pair.settings.rule.as_str()));
        return Ok(RolloutStatus::Paused(Pause { percent: weight, evidence: proof.evidence, variants }));
    }
    let since = pair.full_weight_since.get().unwrap_or_else(Instant::now);
    pair.full_weight_since.set(Some(since));
    if since.elapsed() >= shift.bake {
        return Ok(RolloutStatus::Healthy(proof));
    }
    Ok(RolloutStatus::Progressing(bake_progress(state.service(side), moved, shift.bake)))
}

/// The weight of a service, if this shift requested it.
fn own_weight(pair: &ServicePair, side: PairMember, shift: &WeightShift, state: &PairState) -> Option<u8> {
    let weight = state.weights().percent(side)?;
    let known = [Some(shift.weight), pair.requested_weight.get(), shift.next_weight()];
    known.contains(&Some(weight)).then_some(weight)
}

fn bake_progress(service: &EcsService, moved: &PairRollout, bake: Duration) -> Progress {
    let primary = service.primary();
    Progress {
        running: primary.map_or(0, |p| p.running),
        pending: primary.map_or(0, |p| p.pending),
        desired: service.desired,
        failed: primary.map_or(0, |p| p.failed),
        stage: format!("baking {} at 100 % of traffic for {} s", moved.member_rollout.label, bake.as_secs()),
        ..Progress::default()
    }
}

/// The metric labels of the two variants.
fn variants(state: &PairState, new: PairMember, rule: &str) -> Variants {
    let (groups, balancer) = (state.target_groups(), listener_rule::load_balancer_label(rule));
    let variant = |side: PairMember| {
        let group: &String = side.select(&groups);
        parallel_version::variant(&state.service(side).definition, group, balancer.clone())
    };
    Variants { canary: variant(new), baseline: variant(new.other()) }
}

/// Failures that end a rollout at once: an unhealthy target, a firing alarm, stopped tasks.
async fn find_failure(
    pair: &ServicePair,
    side: PairMember,
    state: &PairState,
) -> Result<Option<Failure>, Problem> {
    let (member, service) = (pair.member(side), state.service(side));
    if let Some(failure) = find_alarm_failure(pair, member, service).await? {
        return Ok(Some(failure));
    }
    let groups = service.target_groups.first();
    let targets = match groups {
        Some(group) => member.reader.support.target_health(group).await?,
        None => Vec::new(),
    };
    let healthy = targets.iter().filter(|target| target.state == "healthy").count();
    let unhealthy: Vec<String> = targets
        .iter()
        .filter(|target| target.state == "unhealthy")
        .map(|target| format!("{} {}", target.id, target.reason))
        .collect();
    if unhealthy.is_empty() && healthy >= service.desired as usize {
        return Ok(None);
    }
    if let Some(failure) = find_task_failure(member, service).await? {
        return Ok(Some(failure));
    }
    Ok((!unhealthy.is_empty()).then(|| {
        let sentence =
            format!("{} of {} targets of the new version are unhealthy.", unhealthy.len(), targets.len());
        let help = "Check the response of its health check.";
        Failure::permanent(
            Problem::error(Code::HealthCheckFailed, sentence).cause(unhealthy.join(", ")).help(help),
        )
    }))
}

/// The alarms of the deploy file and those of the service, which ECS monitors only until its deployment is complete.
async fn find_alarm_failure(
    pair: &ServicePair,
    member: &Ecs,
    service: &EcsService,
) -> Result<Option<Failure>, Problem> {
    let names = alarm_names(service, &member.reader.alarms);
    let due = pair.alarms_read_at.get().is_none_or(|at| at.elapsed() >= ALARM_READ_INTERVAL);
    if names.is_empty() || !due {
        return Ok(None);
    }
    pair.alarms_read_at.set(Some(Instant::now()));
    for name in names {
        let reading = member.reader.loader.alarm(&name).await?;
        if member.reader.passes_firing_alarms && is_ignored(reading.as_ref(), service) {
            continue;
        }
        if let Some(cause) = causes::from_alarm(&name, reading.as_ref().map(|one| one.state.as_str())) {
            return Ok(Some(Failure::permanent(cause.problem)));
        }
    }
    Ok(None)
}

/// Whether an alarm is missing, or fired before the new version was deployed.
fn is_ignored(reading: Option<&AlarmReading>, service: &EcsService) -> bool {
    let started = service.primary().map_or(0.0, |primary| primary.created_at);
    reading.is_none_or(|reading| reading.fired_before(started))
}

/// The failure of the service's stopped tasks, if it ends the rollout.
async fn find_task_failure(member: &Ecs, service: &EcsService) -> Result<Option<Failure>, Problem> {
    let Some(primary) = service.primary() else { return Ok(None) };
    let tasks = member.reader.stopped_tasks(|_| false).await?;
    let causes = task_causes(member, &tasks, primary).await;
    let scale = Scale { desired: service.desired, running: primary.running, ..Scale::default() };
    let Some(failure) = permanent_failure(&causes, &member.reader.settings.patience, scale) else {
        return Ok(None);
    };
    let cause = causes::root_cause(&failure, &causes);
    let rollout = Rollout { version: primary.definition.clone(), label: String::new(), ids: Vec::new() };
    let logs = match cause {
        Some(cause) => member.reader.log_tail(cause, &rollout).await,
        None => Vec::new(),
    };
    Ok(Some(Failure { logs, ..failure }))
}

/// The causes in the stopped tasks of a deployment.
async fn task_causes(member: &Ecs, tasks: &[EcsTask], deployment: &EcsDeployment) -> Vec<FailureCause> {
    if !tasks.iter().any(|task| task.started_by == deployment.id) {
        return Vec::new();
    }
    let essential = member.reader.essential_containers(&deployment.definition).await;
    causes_of_deployment(tasks, &deployment.id, &essential)
}

fn causes_of_deployment(tasks: &[EcsTask], deployment: &str, essential: &[String]) -> Vec<FailureCause> {
    let ours = tasks.iter().filter(|task| task.started_by == deployment);
    ours.filter_map(|task| causes::from_task(task, essential)).collect()
}

/// The failure that ends a deployment. Causes that can pass are judged where the rollout of the service is watched.
fn permanent_failure(causes: &[FailureCause], patience: &Patience, scale: Scale) -> Option<Failure> {
    verdict::judge(causes, patience, scale).filter(|failure| failure.permanent)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_stopped_tasks_of_this_deployment_fail_it() {
        let task = |deployment: &str, code: &str| {
            EcsTask::from_json(&json!({
                "taskArn": "arn:task/1", "startedBy": deployment, "desiredStatus": "STOPPED", "stopCode": code,
                "stoppedReason": "Essential container in task exited", "startedAt": 10, "stoppingAt": 40,
                "containers": [{"name": "app", "exitCode": 3}],
            }))
        };
        let analyze = |tasks: &[EcsTask]| {
            let causes = causes_of_deployment(tasks, "ecs-svc/2", &[]);
            let scale = Scale { desired: 2, running: 2, ..Scale::default() };
            permanent_failure(&causes, &Patience::default(), scale).map(|failure| failure.exit_code)
        };
        let ended = || task("ecs-svc/2", "EssentialContainerExited");
        assert_eq!(analyze(&[ended(), ended(), ended()]), Some(Some(3)));
        assert_eq!(analyze(&[]), None);
        let other = || task("ecs-svc/1", "EssentialContainerExited");
        assert_eq!(analyze(&[other(), other(), other()]), None);
        let stopped = || task("ecs-svc/2", "UserInitiated");
        assert_eq!(analyze(&[stopped(), stopped(), stopped()]), None);
    }
}

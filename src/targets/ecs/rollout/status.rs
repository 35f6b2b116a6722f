//! The rollout status from one poll: the decision table (aws.md §1.9). Pure; an unknown value is never success.

use super::super::read::{EcsDeployment, FiredHook, ServiceDeployment, version_from_arn};
use super::super::write::ROLLBACK_ID;
use super::ecs_strategy::{self, PauseState};
use super::parallel_version;
use super::serving_proof::{Unproven, find_proof};
use super::snapshot::Snapshot;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Progress, Proof, Rollout, RolloutStatus};

/// The status of `ours`.
pub fn rollout_status(ours: &Rollout, snapshot: &Snapshot) -> RolloutStatus {
    let returning = ours.ids.first().is_some_and(|id| id == ROLLBACK_ID);
    match &snapshot.own_deployment {
        // This rollout changed nothing: how the version came to serve is not its concern.
        Some(deployment) if ours.ids.is_empty() => match deployment.status.as_str() {
            "SUCCESSFUL" | "ROLLBACK_SUCCESSFUL" => {
                prove_serving(ours, snapshot, &format!("service deployment {}", deployment.status))
            }
            _ => status_from_service(ours, snapshot),
        },
        Some(deployment) if returning => rollback_status(deployment, ours, snapshot),
        Some(deployment) => status_from_deployment(deployment, ours, snapshot),
        None if returning => progressing_or_failed("ROLLBACK_REQUESTED", ours, snapshot),
        None => status_from_service(ours, snapshot),
    }
}

fn status_from_deployment(
    deployment: &ServiceDeployment,
    ours: &Rollout,
    snapshot: &Snapshot,
) -> RolloutStatus {
    match deployment.status.as_str() {
        "PENDING" | "IN_PROGRESS" if has_fired_alarm_or_breaker(deployment) => {
            fired_status(deployment, ours, snapshot)
        }
        "PENDING" | "IN_PROGRESS" if snapshot.top_failure.as_ref().is_some_and(|cause| cause.permanent) => {
            progressing_or_failed(&deployment.status, ours, snapshot)
        }
        "PENDING" | "IN_PROGRESS" if has_failed_hook(deployment) => {
            rolling_back_status(deployment, ours, snapshot)
        }
        "PENDING" | "IN_PROGRESS" => pause_status(deployment, ours, snapshot),
        "SUCCESSFUL"
            if deployment.traffic_weight.is_some_and(|weight| weight < 100.0)
                && uses_ecs_strategy(deployment, snapshot) =>
        {
            progressing_or_failed("SUCCESSFUL without all of the traffic", ours, snapshot)
        }
        "SUCCESSFUL" => prove_serving(ours, snapshot, "service deployment SUCCESSFUL"),
        "STOP_REQUESTED" | "STOPPED" => stopped_status(deployment, ours, snapshot),
        "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => rolling_back_status(deployment, ours, snapshot),
        "ROLLBACK_SUCCESSFUL" => RolloutStatus::RolledBack(
            deployment_failure(deployment, snapshot),
            rolled_back_version(deployment, snapshot),
        ),
        "ROLLBACK_FAILED" => RolloutStatus::RollbackFailed(rollback_failure(deployment, snapshot)),
        other => RolloutStatus::Unknown(format!("service deployment status `{other}`")),
    }
}

/// A deployment was stopped: by a newer one, by its failure detection with rollback switched off, or by somebody.
fn stopped_status(deployment: &ServiceDeployment, ours: &Rollout, snapshot: &Snapshot) -> RolloutStatus {
    match &snapshot.newer_deployment {
        Some(newer) if newer.is_of(ours) => {
            let stage = format!("{}, a newer deployment of the same version is followed", deployment.status);
            RolloutStatus::Progressing(progress(&stage, ours, snapshot))
        }
        Some(newer) => RolloutStatus::Superseded(newer.describe()),
        None if has_fired_alarm_or_breaker(deployment) => {
            RolloutStatus::Aborted(deployment_failure(deployment, snapshot))
        }
        // The newer one may not be visible yet.
        None if snapshot.is_recent => progressing_or_failed(&deployment.status, ours, snapshot),
        None => RolloutStatus::Aborted(deployment_failure(deployment, snapshot)),
    }
}

/// Failure detection of ECS fired: ECS rolls back, or stops where its rollback is switched off.
fn fired_status(deployment: &ServiceDeployment, ours: &Rollout, snapshot: &Snapshot) -> RolloutStatus {
    let is_on = |detection: &str| deployment.configuration[detection]["rollback"] != false;
    let by_breaker = deployment.circuit_breaker_triggered && is_on("deploymentCircuitBreaker");
    let by_alarm = !deployment.triggered_alarms.is_empty() && is_on("alarms");
    if by_breaker || by_alarm {
        return rolling_back_status(deployment, ours, snapshot);
    }
    RolloutStatus::Failed(deployment_failure(deployment, snapshot))
}

/// ECS rolls the deployment back.
fn rolling_back_status(deployment: &ServiceDeployment, ours: &Rollout, snapshot: &Snapshot) -> RolloutStatus {
    let progress = rollback_progress(&deployment.status, ours, snapshot);
    RolloutStatus::RollingBack(deployment_failure(deployment, snapshot), progress)
}

fn uses_ecs_strategy(deployment: &ServiceDeployment, snapshot: &Snapshot) -> bool {
    ecs_strategy::uses_ecs_strategy(deployment, &snapshot.service)
}

/// Whether AWS rolls the deployment back because of a hook: it failed or timed out.
fn has_failed_hook(deployment: &ServiceDeployment) -> bool {
    let over = |hook: &FiredHook| match hook.status.as_str() {
        "FAILED" => true,
        "TIMED_OUT" => hook.timeout_action != "CONTINUE",
        _ => false,
    };
    deployment.fired_hooks.iter().any(over)
}

/// In progress, and perhaps paused: at our hook, if the version is healthy, or at a foreign one.
fn pause_status(deployment: &ServiceDeployment, ours: &Rollout, snapshot: &Snapshot) -> RolloutStatus {
    let status = &deployment.status;
    match ecs_strategy::pause_state(deployment, &snapshot.service) {
        PauseState::NotPaused => progressing_or_failed(status, ours, snapshot),
        PauseState::AtForeignHook => {
            let mut progress = progress(status, ours, snapshot);
            progress.stage.push_str(", paused at a foreign pause hook");
            RolloutStatus::Progressing(progress)
        }
        PauseState::AtOurHook(_) => match parallel_version::pause(
            deployment,
            ecs_strategy::current_weight(deployment),
            snapshot.parallel_version.as_ref(),
        ) {
            Ok(pause) => RolloutStatus::Paused(pause),
            Err(missing) => {
                let mut progress = progress(status, ours, snapshot);
                progress.stage.push_str(&format!(", {}", missing.trim_end()));
                RolloutStatus::Progressing(progress)
            }
        },
    }
}

/// The rollback of `deployment`: success means that the version before it serves.
fn rollback_status(deployment: &ServiceDeployment, ours: &Rollout, snapshot: &Snapshot) -> RolloutStatus {
    match deployment.status.as_str() {
        "PENDING" | "IN_PROGRESS" | "STOP_REQUESTED" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => {
            progressing_or_failed(&deployment.status, ours, snapshot)
        }
        "ROLLBACK_SUCCESSFUL" => prove_serving(ours, snapshot, "service deployment ROLLBACK_SUCCESSFUL"),
        "ROLLBACK_FAILED" => RolloutStatus::RollbackFailed(rollback_failure(deployment, snapshot)),
        "SUCCESSFUL" => RolloutStatus::Missed(permanent_failure(
            Code::DeploymentStopped,
            "The rollback came too late: the deployment had completed.",
            "Roll back to the previous version.",
        )),
        "STOPPED" => stopped_status(deployment, ours, snapshot),
        other => RolloutStatus::Unknown(format!("service deployment status `{other}`")),
    }
}

/// Without a service deployment (none visible yet, or not readable): the state of the service itself.
fn status_from_service(ours: &Rollout, snapshot: &Snapshot) -> RolloutStatus {
    let Some(primary) = snapshot.service.primary() else {
        return RolloutStatus::Unknown("the service shows no PRIMARY deployment".into());
    };
    let own = match ours.ids.first() {
        Some(id) => primary.id == *id || is_same_version_again(primary, ours, snapshot),
        None => primary.definition == ours.version,
    };
    if !own {
        return status_when_replaced(primary, ours, snapshot);
    }
    match primary.rollout_state.as_str() {
        "COMPLETED" => prove_serving(ours, snapshot, "rollout COMPLETED"),
        "FAILED" => RolloutStatus::Aborted(failure_from_reason(&primary.reason, snapshot)),
        "IN_PROGRESS" => progressing_or_failed("IN_PROGRESS", ours, snapshot),
        other => RolloutStatus::Unknown(format!("rollout state `{other}`")),
    }
}

/// Whether a newer deployment of the very same version is PRIMARY: somebody forced a redeployment.
fn is_same_version_again(primary: &EcsDeployment, ours: &Rollout, snapshot: &Snapshot) -> bool {
    let failed = ours.ids.first().and_then(|id| snapshot.service.deployment(id));
    // A response that may be stale shows the deployment before ours.
    !snapshot.is_recent
        && primary.definition == ours.version
        && !primary.reason.contains("rolling back")
        && failed.is_none_or(|failed| failed.rollout_state != "FAILED")
}

/// Another deployment is PRIMARY: a stale response, ECS's own rollback, or a newer deployment.
fn status_when_replaced(primary: &EcsDeployment, ours: &Rollout, snapshot: &Snapshot) -> RolloutStatus {
    let failed = ours
        .ids
        .first()
        .and_then(|id| snapshot.service.deployment(id))
        .filter(|d| d.rollout_state == "FAILED");
    let back = failed.is_some() || primary.reason.contains("rolling back");
    if !back && snapshot.is_recent {
        return progressing_or_failed("PENDING", ours, snapshot);
    }
    if !back {
        return RolloutStatus::Superseded(primary.id.clone());
    }
    let reason = failed.map_or(&primary.reason, |deployment| &deployment.reason);
    let failure = failure_from_reason(reason, snapshot);
    if primary.rollout_state == "COMPLETED" {
        RolloutStatus::RolledBack(failure, Some(version_from_arn(&primary.definition)))
    } else {
        RolloutStatus::RollingBack(failure, rollback_progress("ROLLING BACK", ours, snapshot))
    }
}

/// In progress, unless its tasks have a permanent cause.
fn progressing_or_failed(stage: &str, ours: &Rollout, snapshot: &Snapshot) -> RolloutStatus {
    match &snapshot.top_failure {
        Some(cause) if cause.permanent && matches!(stage, "PENDING" | "IN_PROGRESS") => {
            RolloutStatus::Failed(cause.clone())
        }
        _ => RolloutStatus::Progressing(progress(stage, ours, snapshot)),
    }
}

/// The progress of the deployment that leads back, once the service shows it; the others drain.
fn rollback_progress(stage: &str, ours: &Rollout, snapshot: &Snapshot) -> Progress {
    let service = &snapshot.service;
    let primary = service.primary().filter(|it| ours.ids.first() != Some(&it.id));
    let leaving = service.deployments.iter().filter(|it| primary.is_some_and(|back| back.id != it.id));
    let labels: Vec<String> = leaving.map(|it| version_from_arn(&it.definition).label).collect();
    let drain = if labels.is_empty() { String::new() } else { format!(", draining {}", labels.join(", ")) };
    Progress {
        running: primary.map_or(0, |back| back.running),
        pending: primary.map_or(0, |back| back.pending),
        desired: service.desired,
        failed: primary.map_or(0, |back| back.failed),
        stage: format!("{stage}{drain}"),
        events: snapshot.events.clone(),
        suspected: None,
        needs_continue: false,
    }
}

fn progress(stage: &str, ours: &Rollout, snapshot: &Snapshot) -> Progress {
    if ours.ids.first().is_some_and(|id| id == ROLLBACK_ID) {
        return rollback_progress(stage, ours, snapshot);
    }
    let own = ours.ids.first().and_then(|id| snapshot.service.deployment(id));
    let stage = match &snapshot.own_deployment {
        Some(deployment) if !deployment.lifecycle_stage.is_empty() => {
            format!("{stage} {}", deployment.lifecycle_stage)
        }
        _ => stage.to_owned(),
    };
    let [_, running, pending] =
        snapshot.own_deployment.as_ref().map_or([0; 3], |deployment| deployment.task_counts);
    Progress {
        running: own.map_or(running, |d| d.running),
        pending: own.map_or(pending, |d| d.pending),
        desired: own.map_or(snapshot.service.desired, |d| d.desired),
        failed: own.map_or(0, |d| d.failed),
        stage,
        events: snapshot.events.clone(),
        suspected: snapshot.suspected_failure.clone().map(Box::new),
        needs_continue: false,
    }
}

fn has_fired_alarm_or_breaker(deployment: &ServiceDeployment) -> bool {
    deployment.circuit_breaker_triggered || !deployment.triggered_alarms.is_empty()
}

/// AWS reports success: it must be our definition, our digest, and healthy.
fn prove_serving(ours: &Rollout, snapshot: &Snapshot, says: &str) -> RolloutStatus {
    let Some(evidence) = &snapshot.evidence else {
        return RolloutStatus::Progressing(progress(&format!("{says}, not verified yet"), ours, snapshot));
    };
    match find_proof(ours, evidence, &snapshot.service) {
        Ok(proof) => {
            let evidence = format!("{says}, {}", proof.evidence);
            RolloutStatus::Healthy(Proof { evidence, ..proof })
        }
        Err(Unproven::OtherImage(sentence)) => RolloutStatus::Aborted(permanent_failure(
            Code::DigestMismatch,
            &sentence,
            "The service was changed at the same time. Deploy again.",
        )),
        Err(Unproven::NotYet(missing)) => {
            RolloutStatus::Progressing(progress(&format!("{says}, {missing}"), ours, snapshot))
        }
    }
}

fn permanent_failure(code: Code, sentence: &str, help: &str) -> Failure {
    Failure::permanent(Problem::error(code, sentence).help(help))
}

/// Why a service deployment failed: alarms, else the cause in its tasks, else the circuit breaker, else the reason.
fn deployment_failure(deployment: &ServiceDeployment, snapshot: &Snapshot) -> Failure {
    if !deployment.triggered_alarms.is_empty() {
        let names = deployment.triggered_alarms.join(", ");
        let sentence = format!("An alarm fired during the deployment: {names}.");
        return permanent_failure(Code::AlarmTriggered, &sentence, "Check the metric of the alarm.");
    }
    if let Some(cause) = &snapshot.top_failure {
        return Failure { permanent: true, ..cause.clone() };
    }
    if deployment
        .fired_hooks
        .iter()
        .any(|hook| hook.status == "TIMED_OUT" && hook.timeout_action != "CONTINUE")
    {
        let sentence = "The pause hook timed out, so ECS rolled the deployment back.";
        let help = "This happens when a run is lost during a canary. Run the job again.";
        return with_cause(
            permanent_failure(Code::DeploymentStopped, sentence, help),
            &deployment.rollback_reason,
        );
    }
    let words =
        if deployment.rollback_reason.is_empty() { &deployment.reason } else { &deployment.rollback_reason };
    if deployment.circuit_breaker_triggered {
        let help = "Check the stopped tasks of the service.";
        let found = permanent_failure(
            Code::CircuitBreaker,
            "The deployment circuit breaker of ECS ended the deployment.",
            help,
        );
        return with_cause(found, &with_task_words(words, snapshot));
    }
    failure_from_reason(words, snapshot)
}

/// A failure for which AWS only gives a reason.
fn failure_from_reason(words: &str, snapshot: &Snapshot) -> Failure {
    if let Some(cause) = &snapshot.top_failure {
        return Failure { permanent: true, ..cause.clone() };
    }
    let lower = words.to_lowercase();
    let found = if lower.contains("alarm") {
        permanent_failure(
            Code::AlarmTriggered,
            "An alarm fired during the deployment.",
            "Check the metric of the alarm.",
        )
    } else if lower.contains("circuit breaker") {
        let help = "Check the stopped tasks of the service.";
        permanent_failure(
            Code::CircuitBreaker,
            "The deployment circuit breaker of ECS ended the deployment.",
            help,
        )
    } else {
        permanent_failure(Code::DeploymentStopped, "The deployment was stopped before it completed.", "")
    };
    with_cause(found, &with_task_words(words, snapshot))
}

/// AWS's words for the end, and those for the tasks that stopped before it.
fn with_task_words(words: &str, snapshot: &Snapshot) -> String {
    let of_tasks = snapshot.suspected_failure.as_ref().and_then(|failure| failure.problem.cause.as_deref());
    let all = [words].into_iter().chain(of_tasks).filter(|words| !words.is_empty());
    all.collect::<Vec<_>>().join(" | ")
}

fn with_cause(mut failure: Failure, words: &str) -> Failure {
    failure.problem.cause = Some(words.to_owned()).filter(|words| !words.is_empty());
    failure
}

fn rollback_failure(deployment: &ServiceDeployment, snapshot: &Snapshot) -> Failure {
    let first = deployment_failure(deployment, snapshot);
    let sentence = format!("The rollback by ECS failed. It was started because: {}", first.problem.sentence);
    let mut problem = Problem::error(Code::RollbackFailed, sentence)
        .help("Manual action is required: check the service now.");
    problem.cause = first.problem.cause;
    Failure { problem, ..first }
}

/// The version that ECS rolled back to, if its revision was read.
fn rolled_back_version(
    deployment: &ServiceDeployment,
    snapshot: &Snapshot,
) -> Option<crate::release::Version> {
    let evidence = snapshot.evidence.as_ref()?;
    (deployment.rollback_revision.as_ref() == Some(&evidence.revision.arn))
        .then(|| version_from_arn(&evidence.revision.definition))
}

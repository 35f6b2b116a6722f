//! How a rollout fares, from one look: the decision table (aws.md §1.9). Pure; an unknown word is never success.

use super::beside::{self, Beside};
use super::native::{self, Pause};
use super::read::{Deployment, FiredHook, Revision, Service, ServiceDeployment, version};
use super::write::ROLLBACK;
use crate::problem::{Code, Problem};
use crate::release::{Digest, Failure, Health, Progress, Proof, Rollout};

/// What one look saw.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// The service.
    pub service: Service,
    /// The service deployment that the rollout is, where AWS shows it.
    pub ours: Option<ServiceDeployment>,
    /// A service deployment that began after ours.
    pub newer: Option<String>,
    /// What speaks for success; read when AWS says that it is over.
    pub evidence: Option<Evidence>,
    /// The new version beside the old one; read while our word is awaited.
    pub beside: Option<Beside>,
    /// What the stopped tasks and events say most.
    pub cause: Option<Failure>,
    /// The rollout began so recently that old answers are to be expected.
    pub young: bool,
    /// Lines of the service's story that are new.
    pub events: Vec<String>,
}

/// What speaks for success.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// The revision that serves.
    pub revision: Revision,
    /// The container whose digest is ours; empty when unknown.
    pub container: String,
    /// Digests that are the asked one in another form: the platform manifests of an asked index.
    pub parts: Vec<String>,
    /// Targets, when the service has target groups.
    pub targets: Option<Targets>,
}

/// The targets of a service, over its target groups; those that drain are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// The smallest number of healthy targets in any of its groups.
    pub healthy: u32,
    /// Those that are not healthy, with AWS's reason.
    pub others: Vec<String>,
}

/// Says how `ours` fares.
pub fn decide(ours: &Rollout, look: &Look) -> Health {
    let returning = ours.ids.first().is_some_and(|id| id == ROLLBACK);
    match &look.ours {
        // Nothing had to move: how the version came to serve is somebody else's story.
        Some(deployment) if ours.ids.is_empty() => match deployment.status.as_str() {
            "SUCCESSFUL" | "ROLLBACK_SUCCESSFUL" => {
                prove(ours, look, &format!("service deployment {}", deployment.status))
            }
            _ => by_service(ours, look),
        },
        Some(deployment) if returning => return_of(deployment, ours, look),
        Some(deployment) => by_deployment(deployment, ours, look),
        None if returning => waiting("ROLLBACK_REQUESTED", ours, look),
        None => by_service(ours, look),
    }
}

fn by_deployment(deployment: &ServiceDeployment, ours: &Rollout, look: &Look) -> Health {
    match deployment.status.as_str() {
        "PENDING" | "IN_PROGRESS" if fired(deployment) => Health::RollingBack(failure(deployment, look)),
        "PENDING" | "IN_PROGRESS" if look.cause.as_ref().is_some_and(|cause| cause.permanent) => {
            waiting(&deployment.status, ours, look)
        }
        "PENDING" | "IN_PROGRESS" if hook_failed(deployment) => {
            Health::RollingBack(failure(deployment, look))
        }
        "PENDING" | "IN_PROGRESS" => paused(deployment, ours, look),
        "SUCCESSFUL"
            if deployment.weight.is_some_and(|weight| weight < 100.0) && is_native(deployment, look) =>
        {
            waiting("SUCCESSFUL without all of the traffic", ours, look)
        }
        "SUCCESSFUL" => prove(ours, look, "service deployment SUCCESSFUL"),
        "STOP_REQUESTED" | "STOPPED" => match &look.newer {
            Some(newer) => Health::Superseded(newer.clone()),
            // The newer one may not be visible yet.
            None if look.young => waiting(&deployment.status, ours, look),
            None => Health::Stopped(failure(deployment, look)),
        },
        "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => Health::RollingBack(failure(deployment, look)),
        "ROLLBACK_SUCCESSFUL" => Health::RolledBack(failure(deployment, look), returned_to(deployment, look)),
        "ROLLBACK_FAILED" => Health::RollbackFailed(rollback_failed(deployment, look)),
        other => Health::Unknown(format!("service deployment status `{other}`")),
    }
}

fn is_native(deployment: &ServiceDeployment, look: &Look) -> bool {
    native::is_native(deployment, &look.service)
}

/// Whether AWS takes the deployment back because of a hook: it failed, or nobody acted on it in time.
fn hook_failed(deployment: &ServiceDeployment) -> bool {
    let over = |hook: &FiredHook| match hook.status.as_str() {
        "FAILED" => true,
        "TIMED_OUT" => hook.timeout_action != "CONTINUE",
        _ => false,
    };
    deployment.hooks.iter().any(over)
}

/// On its way, and perhaps waiting for a word: ours, when the version is healthy, or somebody else's.
fn paused(deployment: &ServiceDeployment, ours: &Rollout, look: &Look) -> Health {
    let status = &deployment.status;
    match native::pause(deployment, &look.service) {
        Pause::None => waiting(status, ours, look),
        Pause::Theirs => {
            let mut progress = progress(status, ours, look);
            progress.stage.push_str(", waits at a pause hook for a word of somebody else");
            Health::Progressing(progress)
        }
        Pause::Ours(_) => match beside::hold(deployment, native::share(deployment), look.beside.as_ref()) {
            Ok(hold) => Health::Holding(hold),
            Err(missing) => {
                let mut progress = progress(status, ours, look);
                progress.stage.push_str(&format!(", {}", missing.trim_end()));
                Health::Progressing(progress)
            }
        },
    }
}

/// A rollout that consists of taking `deployment` back: success is that the version before it serves.
fn return_of(deployment: &ServiceDeployment, ours: &Rollout, look: &Look) -> Health {
    match deployment.status.as_str() {
        "PENDING" | "IN_PROGRESS" | "STOP_REQUESTED" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => {
            waiting(&deployment.status, ours, look)
        }
        "ROLLBACK_SUCCESSFUL" => prove(ours, look, "service deployment ROLLBACK_SUCCESSFUL"),
        "ROLLBACK_FAILED" => Health::RollbackFailed(rollback_failed(deployment, look)),
        "SUCCESSFUL" => Health::Stopped(plain(
            Code::DeploymentStopped,
            "The rollback came too late: the deployment had completed.",
            "Route to the previous version.",
        )),
        "STOPPED" => match &look.newer {
            Some(newer) => Health::Superseded(newer.clone()),
            None if look.young => waiting("STOPPED", ours, look),
            None => Health::Stopped(failure(deployment, look)),
        },
        other => Health::Unknown(format!("service deployment status `{other}`")),
    }
}

/// Without a service deployment (none visible yet, or not readable): what the service itself shows.
fn by_service(ours: &Rollout, look: &Look) -> Health {
    let Some(primary) = look.service.primary() else {
        return Health::Unknown("the service shows no PRIMARY deployment".into());
    };
    let mine = match ours.ids.first() {
        Some(id) => primary.id == *id,
        None => primary.definition == ours.version,
    };
    if !mine {
        return replaced(primary, ours, look);
    }
    match primary.rollout.as_str() {
        "COMPLETED" => prove(ours, look, "rollout COMPLETED"),
        "FAILED" => Health::Stopped(worded(&primary.reason, look)),
        "IN_PROGRESS" => waiting("IN_PROGRESS", ours, look),
        other => Health::Unknown(format!("rollout state `{other}`")),
    }
}

/// Another deployment is PRIMARY: an old answer, ECS's own rollback, or somebody's newer one.
fn replaced(primary: &Deployment, ours: &Rollout, look: &Look) -> Health {
    let failed =
        ours.ids.first().and_then(|id| look.service.deployment(id)).filter(|d| d.rollout == "FAILED");
    let back = failed.is_some() || primary.reason.contains("rolling back");
    if !back && look.young {
        return waiting("PENDING", ours, look);
    }
    if !back {
        return Health::Superseded(primary.id.clone());
    }
    let words = failed.map_or(&primary.reason, |deployment| &deployment.reason);
    let why = worded(words, look);
    if primary.rollout == "COMPLETED" {
        Health::RolledBack(why, Some(version(&primary.definition)))
    } else {
        Health::RollingBack(why)
    }
}

/// Still on its way, unless its tasks say that it never arrives.
fn waiting(stage: &str, ours: &Rollout, look: &Look) -> Health {
    match &look.cause {
        Some(cause) if cause.permanent && matches!(stage, "PENDING" | "IN_PROGRESS") => {
            Health::Failing(cause.clone())
        }
        _ => Health::Progressing(progress(stage, ours, look)),
    }
}

fn progress(stage: &str, ours: &Rollout, look: &Look) -> Progress {
    let mine = ours.ids.first().and_then(|id| look.service.deployment(id));
    let stage = match &look.ours {
        Some(deployment) if !deployment.stage.is_empty() => format!("{stage} {}", deployment.stage),
        _ => stage.to_owned(),
    };
    let [_, running, pending] = look.ours.as_ref().map_or([0; 3], |deployment| deployment.tasks);
    Progress {
        running: mine.map_or(running, |d| d.running),
        pending: mine.map_or(pending, |d| d.pending),
        desired: mine.map_or(look.service.desired, |d| d.desired),
        failed: mine.map_or(0, |d| d.failed),
        stage,
        events: look.events.clone(),
    }
}

fn fired(deployment: &ServiceDeployment) -> bool {
    deployment.breaker_fired || !deployment.alarms_fired.is_empty()
}

/// AWS says that it is over and good: it must be our definition, our digest, and healthy.
fn prove(ours: &Rollout, look: &Look, says: &str) -> Health {
    let Some(evidence) = &look.evidence else {
        return Health::Progressing(progress(&format!("{says}, not proven yet"), ours, look));
    };
    if evidence.revision.definition != ours.version {
        let serves = version(&evidence.revision.definition).label;
        return mismatch(format!("The service runs {serves}, not {}.", ours.label));
    }
    for (container, image, digest) in &evidence.revision.images {
        let asked = image.split_once('@').map_or("", |(_, digest)| digest);
        let good =
            asked.is_empty() || digest.is_empty() || asked == digest || evidence.parts.contains(digest);
        if !good {
            return mismatch(format!("The container `{container}` runs {digest}, not the asked {asked}."));
        }
    }
    match &evidence.targets {
        Some(targets) if targets.healthy < look.service.desired => {
            let (healthy, desired) = (targets.healthy, look.service.desired);
            let others = targets.others.join(", ");
            let stage = format!("{says}, {healthy} of {desired} targets healthy {others}");
            Health::Progressing(progress(stage.trim_end(), ours, look))
        }
        targets => Health::Healthy(proof(ours, evidence, &look.service, says, targets.as_ref())),
    }
}

fn proof(
    ours: &Rollout,
    evidence: &Evidence,
    service: &Service,
    says: &str,
    targets: Option<&Targets>,
) -> Proof {
    let desired = service.desired;
    let tail = match targets {
        _ if desired == 0 => "no tasks are wished for".to_owned(),
        Some(targets) => format!("{} of {desired} targets healthy", targets.healthy.min(desired)),
        None => format!("{desired} tasks wished for, no load balancer to ask"),
    };
    Proof {
        version: version(&ours.version),
        digest: digest(&evidence.revision, &evidence.container),
        evidence: format!("{says}, {tail}"),
    }
}

/// The digest of the named container, or of the only one.
pub fn digest(revision: &Revision, container: &str) -> Option<Digest> {
    let named = revision.images.iter().find(|(name, _, _)| name == container);
    let only = || revision.images.first().filter(|_| revision.images.len() == 1);
    let (_, image, resolved) = named.or_else(only)?;
    // What was asked for by digest runs by that digest; a tag is what ECS resolved it to.
    let asked = image.split_once('@').map(|(_, digest)| digest);
    asked.unwrap_or(resolved).parse().ok()
}

fn mismatch(sentence: String) -> Health {
    Health::Stopped(plain(
        Code::DigestMismatch,
        &sentence,
        "Somebody changed the service at the same time; deploy again.",
    ))
}

fn plain(code: Code, sentence: &str, help: &str) -> Failure {
    Failure::permanent(Problem::error(code, sentence).help(help))
}

/// Why a service deployment did not succeed: alarms, else what its tasks say, else the breaker, else somebody.
fn failure(deployment: &ServiceDeployment, look: &Look) -> Failure {
    if !deployment.alarms_fired.is_empty() {
        let names = deployment.alarms_fired.join(", ");
        let sentence = format!("An alarm went red during the deployment: {names}.");
        return plain(Code::AlarmTriggered, &sentence, "Look at what the alarm watches.");
    }
    if let Some(cause) = &look.cause {
        return Failure { permanent: true, ..cause.clone() };
    }
    if deployment.hooks.iter().any(|hook| hook.status == "TIMED_OUT" && hook.timeout_action != "CONTINUE") {
        let sentence = "Nobody continued the deployment in time, so ECS took it back.";
        let help = "A run that dies is meant to end like this; deploy again.";
        return caused(plain(Code::DeploymentStopped, sentence, help), &deployment.rollback_reason);
    }
    let words =
        if deployment.rollback_reason.is_empty() { &deployment.reason } else { &deployment.rollback_reason };
    if deployment.breaker_fired {
        let help = "Look at the stopped tasks of the service.";
        let found = plain(Code::CircuitBreaker, "The circuit breaker of ECS gave the deployment up.", help);
        return caused(found, words);
    }
    worded(words, look)
}

/// A failure of which AWS only gives words.
fn worded(words: &str, look: &Look) -> Failure {
    if let Some(cause) = &look.cause {
        return Failure { permanent: true, ..cause.clone() };
    }
    let lower = words.to_lowercase();
    let found = if lower.contains("alarm") {
        plain(
            Code::AlarmTriggered,
            "An alarm went red during the deployment.",
            "Look at what the alarm watches.",
        )
    } else if lower.contains("circuit breaker") {
        let help = "Look at the stopped tasks of the service.";
        plain(Code::CircuitBreaker, "The circuit breaker of ECS gave the deployment up.", help)
    } else {
        plain(Code::DeploymentStopped, "The deployment was stopped before it completed.", "")
    };
    caused(found, words)
}

fn caused(mut failure: Failure, words: &str) -> Failure {
    failure.problem.cause = Some(words.to_owned()).filter(|words| !words.is_empty());
    failure
}

fn rollback_failed(deployment: &ServiceDeployment, look: &Look) -> Failure {
    let first = failure(deployment, look);
    let sentence =
        format!("The rollback of ECS failed too. It was started because: {}", first.problem.sentence);
    let mut problem = Problem::error(Code::RollbackFailed, sentence).help("A person is needed now.");
    problem.cause = first.problem.cause;
    Failure { problem, ..first }
}

/// The version that ECS went back to, when its revision was read.
fn returned_to(deployment: &ServiceDeployment, look: &Look) -> Option<crate::release::Version> {
    let evidence = look.evidence.as_ref()?;
    (deployment.rollback.as_ref() == Some(&evidence.revision.arn))
        .then(|| version(&evidence.revision.definition))
}

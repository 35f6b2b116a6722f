//! The rollout status from one reading of a deployment: the decision table. Pure.

use super::read::{
    ConfigurationProfile, Deployment, DeploymentDetail, DeploymentEvent, EnvironmentHistory, version_number,
};
use super::write::describe_deployment;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Progress, Proof, Rollout, RolloutStatus, Version};

/// The status of `rollout`. If the deployment is over, `history` has the serving version.
pub fn rollout_status(
    rollout: &Rollout,
    profile: &ConfigurationProfile,
    detail: &DeploymentDetail,
    history: &EnvironmentHistory,
) -> RolloutStatus {
    let it = &detail.deployment;
    let forward = it.version == version_number(&rollout.version);
    match it.state.as_str() {
        "COMPLETE" if forward => completed_status(rollout, it, history),
        "COMPLETE" => RolloutStatus::Missed(Failure::permanent(completed_too_early_problem(it))),
        "ROLLING_BACK" if forward => {
            let progress = Progress { stage: "ROLLING_BACK".into(), ..Progress::default() };
            RolloutStatus::RollingBack(rollback_failure(it, &detail.events), progress)
        }
        // The requested rollback is in progress.
        "ROLLING_BACK" => {
            progressing_status("ROLLING_BACK: returning its clients to the version before".into())
        }
        "ROLLED_BACK" | "REVERTED" if forward => {
            let to = history.serving().map(|now| profile.version(&now.version));
            RolloutStatus::RolledBack(rollback_failure(it, &detail.events), to)
        }
        "ROLLED_BACK" | "REVERTED" => rolled_back_status(rollout, it, history),
        _ if it.is_advancing() => progressing_status(stage_text(it, forward)),
        other => RolloutStatus::Unknown(format!("the deployment is in the state `{other}`")),
    }
}

fn progressing_status(stage: String) -> RolloutStatus {
    RolloutStatus::Progressing(Progress { stage, ..Progress::default() })
}

fn stage_text(it: &Deployment, forward: bool) -> String {
    match (it.state.as_str(), forward) {
        (state, false) => format!("{state}: waiting for the deployment to stop"),
        ("BAKING", _) => "BAKING: at 100 % of the clients, alarms are monitored".into(),
        (state, _) => format!("{state}: {} % of the clients", it.percent),
    }
}

/// It completed: it serves, unless a newer one completed or advances.
fn completed_status(rollout: &Rollout, it: &Deployment, history: &EnvironmentHistory) -> RolloutStatus {
    match (history.newer_than(it.number), history.serving()) {
        (Some(newer), _) => RolloutStatus::Superseded(describe_deployment(newer)),
        (None, Some(now)) if now.number == it.number => RolloutStatus::Healthy(proof(rollout, it)),
        _ => RolloutStatus::Unknown("the deployment is not listed yet".into()),
    }
}

fn proof(rollout: &Rollout, it: &Deployment) -> Proof {
    let evidence =
        format!("deployment {} COMPLETE, version {} at 100 % of the clients", it.number, it.version);
    Proof { version: requested_version(rollout), digest: None, evidence, remarks: Vec::new() }
}

fn requested_version(rollout: &Rollout) -> Version {
    Version { id: rollout.version.clone(), label: rollout.label.clone() }
}

/// It was rolled back on request: healthy if the rollback version serves.
fn rolled_back_status(rollout: &Rollout, it: &Deployment, history: &EnvironmentHistory) -> RolloutStatus {
    match (history.newer_than(it.number), history.serving()) {
        (Some(newer), _) => RolloutStatus::Superseded(describe_deployment(newer)),
        (_, Some(now)) if now.version == version_number(&rollout.version) => RolloutStatus::Healthy(Proof {
            version: requested_version(rollout),
            digest: None,
            evidence: format!("deployment {} {}, version {} serves again", it.number, it.state, now.version),
            remarks: Vec::new(),
        }),
        (_, now) => {
            let serves = now.map_or("none", |now| now.version.as_str());
            RolloutStatus::Unknown(format!("version {serves} serves instead of the rollback version"))
        }
    }
}

fn completed_too_early_problem(it: &Deployment) -> Problem {
    let sentence = format!("Deployment {} completed before it could be stopped.", it.number);
    Problem::error(Code::DeploymentStopped, sentence)
}

/// Why AppConfig rolled a deployment back, from its log.
pub fn rollback_failure(it: &Deployment, events: &[DeploymentEvent]) -> Failure {
    let cause =
        events.iter().rfind(|event| event.kind == "ROLLBACK_STARTED" || event.kind == "REVERT_COMPLETED");
    let by = cause.map(|event| event.triggered_by.as_str()).unwrap_or_default();
    let number = it.number;
    let (code, sentence, help) = match by {
        "CLOUDWATCH_ALARM" => (
            Code::AlarmTriggered,
            format!("{} fired, and AppConfig rolled deployment {number} back.", alarm_name(cause)),
            "Check the metric of the alarm. The configuration before serves again.",
        ),
        "USER" => (
            Code::DeploymentStopped,
            format!("Deployment {number} was stopped by a user."),
            "Check the log of the deployment in the console, which names the account; then deploy again.",
        ),
        "INTERNAL_ERROR" => (
            Code::ProviderError,
            format!("AppConfig ended deployment {number} with an internal error."),
            "Deploy again, as AWS recommends.",
        ),
        _ => (
            Code::DeploymentStopped,
            format!("AppConfig rolled deployment {number} back."),
            "Check the extensions of the environment and the log of the deployment.",
        ),
    };
    let problem = Problem::error(code, sentence).help(help);
    Failure::permanent(match cause.map(|event| &event.description) {
        Some(words) if !words.is_empty() => problem.cause(words),
        _ => problem,
    })
}

/// The alarm in the description of an event, by its ARN.
fn alarm_name(cause: Option<&DeploymentEvent>) -> String {
    let name = cause.and_then(|event| event.description.split(":alarm:").nth(1)).map(str::trim);
    name.filter(|name| !name.is_empty()).map_or("An alarm".into(), |name| format!("The alarm `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::super::read::tests::history;
    use super::*;

    /// The newest of these deployments, as a rollout to `version`.
    fn status_text(deployments: &str, number: i32, version: &str, events: &[DeploymentEvent]) -> String {
        let history = history(deployments);
        let deployment = history.find(number).cloned().unwrap();
        let detail = DeploymentDetail { deployment, description: String::new(), events: events.to_vec() };
        let rollout = Rollout { version: version.into(), label: version.into(), ids: Vec::new() };
        let profile = ConfigurationProfile { name: "f".into(), ..ConfigurationProfile::default() };
        match rollout_status(&rollout, &profile, &detail, &history) {
            RolloutStatus::Healthy(proof) => format!("healthy {}: {}", proof.version.label, proof.evidence),
            RolloutStatus::Progressing(progress) => progress.describe(),
            RolloutStatus::RolledBack(failure, to) => {
                let to = to.map_or("nothing".into(), |to| to.label);
                format!("rolled back to {to}: {} {}", failure.problem.code, failure.problem.sentence)
            }
            RolloutStatus::RollingBack(failure, _) => format!("rolling back: {}", failure.problem.sentence),
            RolloutStatus::Superseded(by) => format!("superseded by {by}"),
            RolloutStatus::Aborted(failure) | RolloutStatus::Missed(failure) => {
                format!("stopped: {}", failure.problem.sentence)
            }
            other => format!("{other:?}"),
        }
    }

    fn event(by: &str, words: &str) -> Vec<DeploymentEvent> {
        vec![DeploymentEvent {
            kind: "ROLLBACK_STARTED".into(),
            triggered_by: by.into(),
            description: words.into(),
        }]
    }

    #[test]
    fn rollout_status_while_deploying() {
        let alarm = event(
            "CLOUDWATCH_ALARM",
            "Rollback initiated by CloudWatch Alarm: arn:aws:cloudwatch:eu-west-1:1:alarm:checkout errors",
        );
        insta::assert_snapshot!([
            status_text("1C 2D", 2, "f:2", &[]),
            status_text("1C 2C", 2, "f:2", &[]),
            status_text("1C 2C 9Dx", 2, "f:2", &[]),
            status_text("1C 2C 3D", 2, "f:2", &[]),
            status_text("1C 2b", 2, "f:2", &alarm),
            status_text("1C 2B", 2, "f:2", &alarm),
            status_text("1C 2R", 2, "f:2", &event("USER", "")),
            status_text("2B", 1, "f:2", &event("INTERNAL_ERROR", "try again")),
            status_text("1C 2B", 2, "f:2", &[]),
        ].join("\n"), @"
        DEPLOYING: 0 % of the clients
        healthy f:2: deployment 2 COMPLETE, version 2 at 100 % of the clients
        healthy f:2: deployment 2 COMPLETE, version 2 at 100 % of the clients
        superseded by deployment 3 of flags, version 3
        rolling back: The alarm `checkout errors` fired, and AppConfig rolled deployment 2 back.
        rolled back to f:1: alarm-triggered The alarm `checkout errors` fired, and AppConfig rolled deployment 2 back.
        rolled back to f:1: deployment-stopped Deployment 2 was stopped by a user.
        rolled back to nothing: provider-error AppConfig ended deployment 1 with an internal error.
        rolled back to f:1: deployment-stopped AppConfig rolled deployment 2 back.
        ");
    }

    #[test]
    fn rollout_status_while_rolling_back() {
        insta::assert_snapshot!([
            status_text("1C 2D", 2, "f:1", &[]),
            status_text("1C 2b", 2, "f:1", &[]),
            status_text("1C 2B", 2, "f:1", &[]),
            status_text("1C 2R", 2, "f:1", &[]),
            status_text("1C 2C", 2, "f:1", &[]),
            status_text("1C 2B 3D", 2, "f:1", &[]),
            status_text("1C 2B 3B", 2, "f:1", &[]),
            status_text("7C 2B", 2, "f:1", &[]),
        ].join("\n"), @r#"
        DEPLOYING: waiting for the deployment to stop
        ROLLING_BACK: returning its clients to the version before
        healthy f:1: deployment 2 ROLLED_BACK, version 1 serves again
        healthy f:1: deployment 2 REVERTED, version 1 serves again
        stopped: Deployment 2 completed before it could be stopped.
        superseded by deployment 3 of flags, version 3
        healthy f:1: deployment 2 ROLLED_BACK, version 1 serves again
        Unknown("version 7 serves instead of the rollback version")
        "#);
    }
}

//! What one look at a deployment says of a rollout: the decision table. Pure.

use super::read::{Deployment, Detail, Event, History, Profile, number};
use super::write::words;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Health, Progress, Proof, Rollout, Version};

/// Says it. Of a deployment that is over, `history` tells what serves now.
pub fn decide(rollout: &Rollout, profile: &Profile, detail: &Detail, history: &History) -> Health {
    let it = &detail.deployment;
    let forward = it.version == number(&rollout.version);
    match it.state.as_str() {
        "COMPLETE" if forward => complete(rollout, it, history),
        "COMPLETE" => Health::Stopped(Failure::permanent(too_late(it))),
        "ROLLING_BACK" if forward => Health::RollingBack(failure(it, &detail.events)),
        // That is what was asked for.
        "ROLLING_BACK" => progressing("ROLLING_BACK: its clients get the version before again".into()),
        "ROLLED_BACK" | "REVERTED" if forward => {
            let to = history.serves().map(|now| profile.version(&now.version));
            Health::RolledBack(failure(it, &detail.events), to)
        }
        "ROLLED_BACK" | "REVERTED" => returned(rollout, it, history),
        _ if it.advances() => progressing(stage(it, forward)),
        other => Health::Unknown(format!("the deployment is in the state `{other}`")),
    }
}

fn progressing(stage: String) -> Health {
    Health::Progressing(Progress { stage, ..Progress::default() })
}

fn stage(it: &Deployment, forward: bool) -> String {
    match (it.state.as_str(), forward) {
        (state, false) => format!("{state}: the request to stop it is not carried out yet"),
        ("BAKING", _) => "BAKING: all clients can get it, alarms are watched".into(),
        (state, _) => format!("{state}: {} % of the clients can get it", it.percent),
    }
}

/// It completed: it serves, unless something newer completed or is on its way.
fn complete(rollout: &Rollout, it: &Deployment, history: &History) -> Health {
    match (history.newer_than(it.number), history.serves()) {
        (Some(newer), _) => Health::Superseded(words(newer)),
        (None, Some(now)) if now.number == it.number => Health::Healthy(proof(rollout, it)),
        _ => Health::Unknown("the list of deployments does not show it yet".into()),
    }
}

fn proof(rollout: &Rollout, it: &Deployment) -> Proof {
    let evidence = format!("deployment {} COMPLETE, all clients get version {}", it.number, it.version);
    Proof { version: asked(rollout), digest: None, evidence }
}

fn asked(rollout: &Rollout) -> Version {
    Version { id: rollout.version.clone(), label: rollout.label.clone() }
}

/// It was taken back on purpose: does what was to come back serve?
fn returned(rollout: &Rollout, it: &Deployment, history: &History) -> Health {
    match (history.newer_than(it.number), history.serves()) {
        (Some(newer), _) => Health::Superseded(words(newer)),
        (_, Some(now)) if now.version == number(&rollout.version) => Health::Healthy(Proof {
            version: asked(rollout),
            digest: None,
            evidence: format!("deployment {} {}, version {} serves again", it.number, it.state, now.version),
        }),
        (_, now) => {
            let serves = now.map_or("none", |now| now.version.as_str());
            Health::Unknown(format!("version {serves} serves and not the one that was to come back"))
        }
    }
}

fn too_late(it: &Deployment) -> Problem {
    let sentence = format!("Deployment {} completed before it could be stopped.", it.number);
    Problem::error(Code::DeploymentStopped, sentence)
}

/// Why AppConfig takes a deployment back, by its log.
pub fn failure(it: &Deployment, events: &[Event]) -> Failure {
    let cause =
        events.iter().rfind(|event| event.kind == "ROLLBACK_STARTED" || event.kind == "REVERT_COMPLETED");
    let by = cause.map(|event| event.by.as_str()).unwrap_or_default();
    let number = it.number;
    let (code, sentence, help) = match by {
        "CLOUDWATCH_ALARM" => (
            Code::AlarmTriggered,
            format!("{} went red, and AppConfig rolled deployment {number} back.", alarm(cause)),
            "Look at what the alarm measures; the configuration before it serves again.",
        ),
        "USER" => (
            Code::DeploymentStopped,
            format!("Somebody stopped deployment {number}."),
            "Ask who did; the log of the deployment in the console names the account.",
        ),
        "INTERNAL_ERROR" => (
            Code::ProviderError,
            format!("AppConfig gave deployment {number} up for an error of its own."),
            "Start it again; AWS recommends just that.",
        ),
        _ => (
            Code::DeploymentStopped,
            format!("AppConfig rolled deployment {number} back."),
            "Look at the extensions of the environment and at the log of the deployment.",
        ),
    };
    let problem = Problem::error(code, sentence).help(help);
    Failure::permanent(match cause.map(|event| &event.words) {
        Some(words) if !words.is_empty() => problem.cause(words),
        _ => problem,
    })
}

/// The alarm that a log names by its ARN.
fn alarm(cause: Option<&Event>) -> String {
    let name = cause.and_then(|event| event.words.split(":alarm:").nth(1)).map(str::trim);
    name.filter(|name| !name.is_empty()).map_or("An alarm".into(), |name| format!("The alarm `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::super::read::tests::history;
    use super::*;

    /// The newest of these deployments, looked at as a movement to `version`.
    fn look(deployments: &str, number: i32, version: &str, events: &[Event]) -> String {
        let history = history(deployments);
        let deployment = history.find(number).cloned().unwrap();
        let detail = Detail { deployment, description: String::new(), events: events.to_vec() };
        let rollout = Rollout { version: version.into(), label: version.into(), ids: Vec::new() };
        let profile = Profile { name: "f".into(), ..Profile::default() };
        match decide(&rollout, &profile, &detail, &history) {
            Health::Healthy(proof) => format!("healthy {}: {}", proof.version.label, proof.evidence),
            Health::Progressing(progress) => progress.words(),
            Health::RolledBack(failure, to) => {
                let to = to.map_or("nothing".into(), |to| to.label);
                format!("rolled back to {to}: {} {}", failure.problem.code, failure.problem.sentence)
            }
            Health::RollingBack(failure) => format!("rolling back: {}", failure.problem.sentence),
            Health::Superseded(by) => format!("superseded by {by}"),
            Health::Stopped(failure) => format!("stopped: {}", failure.problem.sentence),
            other => format!("{other:?}"),
        }
    }

    fn event(by: &str, words: &str) -> Vec<Event> {
        vec![Event { kind: "ROLLBACK_STARTED".into(), by: by.into(), words: words.into() }]
    }

    #[test]
    fn a_look_on_the_way_forward() {
        let alarm = event(
            "CLOUDWATCH_ALARM",
            "Rollback initiated by CloudWatch Alarm: arn:aws:cloudwatch:eu-west-1:1:alarm:checkout errors",
        );
        insta::assert_snapshot!([
            look("1C 2D", 2, "f:2", &[]),
            look("1C 2C", 2, "f:2", &[]),
            look("1C 2C 9Dx", 2, "f:2", &[]),
            look("1C 2C 3D", 2, "f:2", &[]),
            look("1C 2b", 2, "f:2", &alarm),
            look("1C 2B", 2, "f:2", &alarm),
            look("1C 2R", 2, "f:2", &event("USER", "")),
            look("2B", 1, "f:2", &event("INTERNAL_ERROR", "try again")),
            look("1C 2B", 2, "f:2", &[]),
        ].join("\n"), @"
        DEPLOYING: 0 % of the clients can get it
        healthy f:2: deployment 2 COMPLETE, all clients get version 2
        healthy f:2: deployment 2 COMPLETE, all clients get version 2
        superseded by deployment 3 of flags, version 3
        rolling back: The alarm `checkout errors` went red, and AppConfig rolled deployment 2 back.
        rolled back to f:1: alarm-triggered The alarm `checkout errors` went red, and AppConfig rolled deployment 2 back.
        rolled back to f:1: deployment-stopped Somebody stopped deployment 2.
        rolled back to nothing: provider-error AppConfig gave deployment 1 up for an error of its own.
        rolled back to f:1: deployment-stopped AppConfig rolled deployment 2 back.
        ");
    }

    #[test]
    fn a_look_on_the_way_back() {
        insta::assert_snapshot!([
            look("1C 2D", 2, "f:1", &[]),
            look("1C 2b", 2, "f:1", &[]),
            look("1C 2B", 2, "f:1", &[]),
            look("1C 2R", 2, "f:1", &[]),
            look("1C 2C", 2, "f:1", &[]),
            look("1C 2B 3D", 2, "f:1", &[]),
            look("1C 2B 3B", 2, "f:1", &[]),
            look("7C 2B", 2, "f:1", &[]),
        ].join("\n"), @r#"
        DEPLOYING: the request to stop it is not carried out yet
        ROLLING_BACK: its clients get the version before again
        healthy f:1: deployment 2 ROLLED_BACK, version 1 serves again
        healthy f:1: deployment 2 REVERTED, version 1 serves again
        stopped: Deployment 2 completed before it could be stopped.
        superseded by deployment 3 of flags, version 3
        healthy f:1: deployment 2 ROLLED_BACK, version 1 serves again
        Unknown("version 7 serves and not the one that was to come back")
        "#);
    }
}

//! The state of an attempt and of the containers → the status of a rollout. Success is read from containers. Pure.

use crate::problem::{Code, Problem};
use crate::release::{Failure, LogLine, Pause, Progress, Proof, RolloutStatus};

use super::read::{AttemptFailure, AttemptState, ContainerState, ServerState, version};

/// The status of the rollout that an attempt is, towards the release `wanted`.
pub fn rollout_status(state: &ServerState, service: &str, attempt: u32, wanted: &str) -> RolloutStatus {
    if let Some(newest) = state.newest_attempt.filter(|newest| *newest > attempt) {
        return RolloutStatus::Superseded(format!(
            "a newer change of traffic ({newest}) was started on the server"
        ));
    }
    let Some(attempt) = state.attempt.as_ref().filter(|found| found.number == attempt) else {
        return RolloutStatus::Unknown("the server does not know this change of traffic".into());
    };
    match attempt.word() {
        "complete" if attempt.release.to_string() != wanted => RolloutStatus::Missed(missed_failure()),
        "complete" => completed_status(state, service, attempt.release),
        "rolled-back" => {
            let to = attempt.old_release.map(|number| version(service, number));
            RolloutStatus::RolledBack(attempt_failure(attempt), to)
        }
        // The backup comes before every change.
        "refused" if attempt.old_release.is_some() && attempt.state.ends_with(" backup") => {
            let to = attempt.old_release.map(|number| version(service, number));
            RolloutStatus::RolledBack(attempt_failure(attempt), to)
        }
        "back-failed" => RolloutStatus::RollbackFailed(attempt_failure(attempt)),
        "stuck" | "refused" | "lost" => RolloutStatus::Aborted(attempt_failure(attempt)),
        _ if !attempt.is_alive => RolloutStatus::Failed(lost_failure(attempt)),
        "rolling-back" => RolloutStatus::RollingBack(attempt_failure(attempt), progress(state, attempt)),
        "paused" => paused_status(state, attempt),
        _ => RolloutStatus::Progressing(progress(state, attempt)),
    }
}

/// The status of what serves, without a rollout.
pub fn serving_status(state: &ServerState, service: &str) -> RolloutStatus {
    match (state.attempt_in_flight(), state.serving_release()) {
        (Some(attempt), _) => RolloutStatus::Progressing(progress(state, attempt)),
        (None, Some(number)) => completed_status(state, service, number),
        (None, None) => RolloutStatus::Unknown("nothing was deployed here yet".into()),
    }
}

/// A release that completed: its containers say whether it serves.
fn completed_status(state: &ServerState, service: &str, number: u32) -> RolloutStatus {
    let digest = state.release(number).and_then(|release| release.facts.digest());
    let expected = |it: &&ContainerState| digest.as_ref().is_none_or(|digest| it.has_digest(digest));
    let serving = state.containers.iter().filter(expected).find(|it| it.is_healthy());
    match serving {
        Some(container) => RolloutStatus::Healthy(Proof {
            version: version(service, number),
            evidence: format!("container {} {}", container.name, container.describe()),
            digest,
            remarks: Vec::new(),
        }),
        None => RolloutStatus::NotServing(Failure::permanent(not_serving_problem(state, service))),
    }
}

fn not_serving_problem(state: &ServerState, service: &str) -> Problem {
    let sentence = format!("No healthy container of `{service}` runs with the image of its release.");
    let each = state.containers.iter().map(|it| format!("{} {}", it.name, it.describe()));
    let found: Vec<String> = each.collect();
    let cause = if found.is_empty() { "there is no container".to_owned() } else { found.join(", ") };
    Problem::error(Code::NotHealthy, sentence)
        .cause(cause)
        .help("Look at `docker ps -a` and `docker logs` on the server, and deploy again.")
}

fn paused_status(state: &ServerState, attempt: &AttemptState) -> RolloutStatus {
    let percent = attempt.state.split(' ').nth(1).and_then(|word| word.parse().ok());
    match percent {
        Some(percent) => RolloutStatus::Paused(Pause {
            percent,
            evidence: format!("the new container is healthy with {percent} % of the traffic"),
            variants: None,
        }),
        None => RolloutStatus::Progressing(progress(state, attempt)),
    }
}

fn progress(state: &ServerState, attempt: &AttemptState) -> Progress {
    let healthy = state.containers.iter().filter(|it| it.is_healthy()).count();
    let words = format!("{}, {healthy} of {} containers healthy", attempt.state, state.containers.len());
    Progress { stage: words, ..Progress::default() }
}

/// The request to go back came when the attempt had completed.
pub(super) fn missed_failure() -> Failure {
    let sentence = "The rollout had completed on the server when it was asked to go back.";
    Failure::permanent(Problem::error(Code::DeploymentStopped, sentence))
}

/// The process of the attempt ended without an end: it was killed, or the server was restarted.
fn lost_failure(attempt: &AttemptState) -> Failure {
    let sentence =
        "The change on the server was interrupted: its process was killed, or the server was restarted.";
    let problem = Problem::error(Code::DeploymentStopped, sentence)
        .cause(format!("its last state was `{}`", attempt.state))
        .help("Look at the uptime and the memory of the server, and deploy again.");
    Failure::permanent(problem)
}

fn attempt_failure(attempt: &AttemptState) -> Failure {
    let noted = attempt.failure.clone().unwrap_or_default();
    let reason = if noted.reason.is_empty() {
        attempt.state.split(' ').nth(1).unwrap_or_default().to_owned()
    } else {
        noted.reason.clone()
    };
    let logs = noted.logs.iter().map(LogLine::undated).collect();
    Failure {
        problem: failure_problem(&reason, &noted),
        exit_code: exit_code(&reason, &noted),
        logs,
        permanent: true,
    }
}

fn exit_code(reason: &str, noted: &AttemptFailure) -> Option<i64> {
    noted.exit_code.filter(|_| matches!(reason, "exited" | "restarting" | "out-of-memory"))
}

fn failure_problem(reason: &str, noted: &AttemptFailure) -> Problem {
    let code = noted.exit_code.unwrap_or_default();
    let cause = container_cause(reason, code).or_else(|| server_cause(reason));
    let (kind, sentence, help) = cause.unwrap_or_else(|| {
        let help = "Look at the containers on the server, and deploy again.";
        (Code::ProviderError, format!("The change on the server ended: {reason}."), help)
    });
    let problem = Problem::error(kind, sentence).help(help);
    if noted.health.is_empty() { problem } else { problem.cause(noted.health.join(" | ")) }
}

/// Code, sentence and help of a problem.
type Cause = (Code, String, &'static str);

/// Causes in the new container.
fn container_cause(reason: &str, code: i64) -> Option<Cause> {
    let last_lines = "Its last lines are in the summary.";
    Some(match reason {
        "unhealthy" => (
            Code::HealthCheckFailed,
            "The health check of the new container fails.".to_owned(),
            "Its last answers are the cause. Correct the application, or `healthcheck` in the Compose file.",
        ),
        "exited" => {
            (Code::ContainerExited, format!("The new container exited with code {code}."), last_lines)
        }
        "restarting" => {
            let sentence = "The new container exits and is started again and again; its last exit code was";
            (Code::ContainerExited, format!("{sentence} {code}."), last_lines)
        }
        "out-of-memory" => (
            Code::OutOfMemory,
            "The new container was killed because it ran out of memory.".to_owned(),
            "Raise its memory limit, or that of the server.",
        ),
        "timeout" => (
            Code::TimedOut,
            "The new container did not become healthy in time.".to_owned(),
            "Correct the application, or raise `compose.start-timeout`.",
        ),
        _ => return None,
    })
}

/// Causes outside of the container.
fn server_cause(reason: &str) -> Option<Cause> {
    let (kind, sentence, help) = match reason {
        "aborted" => (
            Code::DeploymentStopped,
            "The change was stopped at the request of a run.",
            "Nothing more is to be done.",
        ),
        "not-continued" => (
            Code::DeploymentStopped,
            "Nobody continued the rollout in time, so the server rolled it back.",
            "This happens when a run is lost during a canary. Run the job again.",
        ),
        "proxy" => (
            Code::ProviderError,
            "The proxy did not accept its new configuration.",
            "Run the test of the proxy on the server: its own configuration may be wrong.",
        ),
        "compose" => (
            Code::ProviderError,
            "Compose could not create the new container.",
            "The log of the attempt is on the server, in `.roadstead` of the folder.",
        ),
        "dependencies" => (
            Code::TimedOut,
            "Compose did not start the new container in time.",
            "A service that it depends on is not ready, or its image does not arrive: look at `depends_on`.",
        ),
        "network" => (
            Code::HostUnsuitable,
            "The proxy and the new container have no network in common, so the proxy cannot reach it.",
            "Put the container of the proxy on a network of the service.",
        ),
        "recovery" => (
            Code::ProviderError,
            "The engine did not answer, or the proxy could not be set right after an interrupted change, so nothing was changed.",
            "Look at the engine and the proxy on the server, and run the job again.",
        ),
        "space" => (
            Code::HostUnsuitable,
            "The server could not write a file: its disk is full.",
            "Free space on the server.",
        ),
        "backup" => (
            Code::BeforeFailed,
            "The backup on the server failed, so nothing was changed.",
            "Its last lines are in the summary.",
        ),
        _ => return None,
    };
    Some((kind, sentence.to_owned(), help))
}

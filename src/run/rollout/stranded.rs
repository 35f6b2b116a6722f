//! What a person needs who finds a service stranded: why the version that should serve does not start, what runs, which
//! versions there are, and the next command.

use std::time::Duration;

use futures::future::join_all;

use crate::problem::{Code, Problem};
use crate::release::{CompletedVersion, Diagnosis, Outcome, Version};
use crate::rollback;
use crate::run::context::RunContext;
use crate::run::service_run::ServiceRun;

/// How long the last look may take: the run has ended otherwise.
const DIAGNOSIS_TIMEOUT: Duration = Duration::from_secs(30);

/// Explains every service that is stranded because its rollback failed. Where the rollback was not requested, or its end was
/// not seen, the version before has failed nowhere, and what to do was said with that.
pub(super) async fn explain_all(ctx: &RunContext, environment: &str, services: &mut [ServiceRun]) {
    let states = join_all(services.iter().filter(|service| is_explained(service)).map(read_state)).await;
    let explained = services.iter_mut().filter(|service| is_explained(service));
    for (service, state) in explained.zip(states) {
        let next = next_step(environment, service);
        for problem in state.into_iter().chain([next]) {
            let problem = problem.for_service(service.name());
            ctx.log.problem(&problem);
            service.report.problems.push(problem);
        }
    }
}

fn is_explained(service: &ServiceRun) -> bool {
    service.report.outcome == Outcome::Stranded && service.rollout.has_no_way_back
}

/// `None` if it could not be read: then nothing is known.
async fn read_state(service: &ServiceRun) -> Option<Problem> {
    let version = service.observed.last_known_good()?;
    let reading = service.target.diagnose(version);
    let diagnosis = tokio::time::timeout(DIAGNOSIS_TIMEOUT, reading).await.ok()?.ok()??;
    Some(state_problem(version, diagnosis))
}

/// What runs, and why the version that should does not.
fn state_problem(version: &Version, diagnosis: Diagnosis) -> Problem {
    let Diagnosis { counts, failure } = diagnosis;
    let label = &version.label;
    let Some(failure) = failure else {
        let sentence = format!("State now: {counts}. No failure of {label} is to be seen there.");
        return Problem::warning(Code::RollbackFailed, sentence).help("Look at the events of the service.");
    };
    let problem = failure.problem;
    let sentence = format!("State now: {counts}. Why {label} does not start: {}", problem.sentence);
    let logs = failure.logs.iter().rev().take(MAX_LOG_LINES).rev().map(|line| line.text.as_str());
    let words: Vec<&str> = problem.cause.as_deref().into_iter().chain(logs).collect();
    let warning = Problem::warning(Code::RollbackFailed, sentence).help(problem.help);
    if words.is_empty() { warning } else { warning.cause(words.join(" | ")) }
}

/// Lines of the failed container that are shown.
const MAX_LOG_LINES: usize = 5;

/// The versions that could be returned to, and the command for it.
fn next_step(environment: &str, service: &ServiceRun) -> Problem {
    let tried = [service.observed.last_known_good(), service.report.version.as_ref()];
    let others: Vec<&CompletedVersion> = rollback::distinct_versions(&service.observed.history)
        .into_iter()
        .filter(|one| !tried.contains(&Some(&one.version)))
        .collect();
    let name = service.name();
    let options = format!("--environment {environment} --services {name}");
    let Some(newest) = others.first() else {
        let sentence = "No other version completed here, so there is none to roll back to.";
        return Problem::warning(Code::RollbackFailed, sentence)
            .help(format!("Fix the cause and deploy again. `roadstead verify {options}` shows the state."));
    };
    let labels = rollback::describe_versions(&others);
    let sentence = format!(
        "Neither of the two versions of this run is known to serve. Other versions completed here: {labels}."
    );
    Problem::warning(Code::RollbackFailed, sentence).help(format!(
        "Next: `roadstead rollback {options} --to {}`, or fix the cause first. `roadstead versions {options}` lists all versions.",
        newest.version.label
    ))
}

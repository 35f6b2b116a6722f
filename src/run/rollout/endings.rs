//! How a service ends for which nobody can say that a healthy version serves, and what is said of it.

use std::time::Duration;

use crate::problem::{Code, Problem};
use crate::release::{Failure, Progress};
use crate::run::context::RunContext;
use crate::run::progress_log::Mark;
use crate::run::rollout_state::RequestedShift;
use crate::run::service_run::ServiceRun;
use crate::strategy::Direction;

/// How long credentials may be refused while they are perhaps being renewed.
const CREDENTIALS_GRACE: Duration = Duration::from_secs(60);

/// Whether credentials have been refused for so long that renewing them surely is over: nothing can be read and
/// nothing be rolled back any more, so waiting would only delay the truth.
pub(in crate::run) fn has_lost_credentials(
    ctx: &RunContext,
    service: &mut ServiceRun,
    problem: &Problem,
) -> bool {
    if !matches!(problem.code, Code::CredentialsMissing | Code::RoleRefused) {
        return false;
    }
    let now = ctx.io.clock.elapsed();
    now >= *service.rollout.unreadable_since.get_or_insert(now) + CREDENTIALS_GRACE
}

/// Ends a service whose rollback failed, or that has nothing to roll back to.
pub(in crate::run) fn mark_stranded(ctx: &RunContext, service: &mut ServiceRun, failure: Failure) {
    let (sentence, help) = match service.observed.last_known_good() {
        Some(version) => (
            format!("The rollback of `{}` to {} did not succeed.", service.name(), version.label),
            "Look at the service now: its events say what is missing. Nothing more is done by this run.",
        ),
        None => (
            format!(
                "`{}` has no earlier version that completed, so there is nothing to roll back to.",
                service.name()
            ),
            "This was its first deployment, or none ever completed. Fix the cause and deploy again.",
        ),
    };
    let problem = Problem::error(Code::RollbackFailed, sentence).help(help);
    service.rollout.has_no_way_back = true;
    finish(ctx, service, &failure, problem);
}

/// Ends a service that the provider is still rolling back when the time is over.
pub(in crate::run) fn mark_still_rolling_back(
    ctx: &RunContext,
    service: &mut ServiceRun,
    failure: &Failure,
    progress: &Progress,
) {
    let counts = progress.describe_counts();
    let label = service.serving_label();
    let sentence = format!(
        "The time of the run is over, and `{}` is still rolling back to {label}: {counts}.",
        service.name()
    );
    let help = "The provider continues on its own. Run `operation: verify` when it has ended, and raise the input \
                `timeout` so that the next run can see the end.";
    let problem = Problem::error(Code::ChangeOutcomeUnknown, sentence).cause(progress.describe()).help(help);
    finish(ctx, service, failure, problem);
}

/// Ends a service whose rollback was not seen to end: `state` is the last that is known of it.
pub(in crate::run) fn mark_unconfirmed(
    ctx: &RunContext,
    service: &mut ServiceRun,
    failure: &Failure,
    state: &str,
) {
    let sentence = format!(
        "The rollback of `{}` to {} was requested, and its end was not seen in time.",
        service.name(),
        service.serving_label()
    );
    let help =
        "Look at the service now: the provider continues on its own. Nothing more is done by this run.";
    let problem = Problem::error(Code::ChangeOutcomeUnknown, sentence).help(help);
    let problem = if state.is_empty() { problem } else { problem.cause(state) };
    finish(ctx, service, failure, problem);
}

/// Ends a service whose last request was never found, or whose rollback never left: `last` is why.
pub(in crate::run) fn mark_unknown(
    ctx: &RunContext,
    service: &mut ServiceRun,
    request: &RequestedShift,
    last: &Problem,
) {
    let (name, label) = (service.name(), &request.shift.version.label);
    let unknown = |what| {
        format!("The {what} of `{name}` to {label} was requested, and it is not known what became of it.")
    };
    let problem = match &request.direction {
        Direction::Forward => unknown_problem(unknown("rollout"), last),
        Direction::Back(_) if request.is_in_doubt => unknown_problem(unknown("rollback"), last),
        Direction::Back(_) => not_requested_problem(name, label, last),
    };
    let failure = match &request.direction {
        Direction::Forward => Failure::permanent(problem.clone().for_service(name)),
        Direction::Back(failure) => failure.clone(),
    };
    finish(ctx, service, &failure, problem);
}

/// A rollback of which nothing left: its target could not be read, or refused it.
fn not_requested_problem(service: &str, label: &str, last: &Problem) -> Problem {
    Problem::error(
        Code::RollbackFailed,
        format!("The rollback of `{service}` to {label} could not be requested."),
    )
    .cause(last.to_string())
    .help("Look at the service now. Then run the job again with the operation `rollback`.")
}

/// A change that was requested, and of which nothing more is known.
pub(in crate::run) fn unknown_problem(sentence: String, last: &Problem) -> Problem {
    let help = "Look at the service now. Then run the job again: it reads first, and takes up a rollout that is there.";
    Problem::error(Code::ChangeOutcomeUnknown, sentence).cause(last.to_string()).help(help)
}

/// Ends a service that can neither be read nor rolled back any more.
pub(in crate::run) fn mark_unreadable(ctx: &RunContext, service: &mut ServiceRun, problem: Problem) {
    let words = "the run's AWS credentials expired: the rollout continues, and this run cannot watch it";
    ctx.log.event(Some(service.name()), Mark::Failure, words);
    let sentence = "The credentials of this run ended while it watched, and could not be renewed.";
    let help = "Look at the service now. Give `role-to-assume`: its credentials are renewed for as long as a run waits.";
    let cause = problem.cause.clone().unwrap_or(problem.sentence);
    let problem = Problem::error(problem.code, sentence).cause(cause).help(help).for_service(service.name());
    let failure = Failure::permanent(problem);
    service.finish_stranded(ctx.io.clock.now(), &failure, words);
}

fn finish(ctx: &RunContext, service: &mut ServiceRun, failure: &Failure, problem: Problem) {
    let sentence = problem.sentence.clone();
    ctx.log.event(Some(service.name()), Mark::Failure, &sentence);
    service.report.problems.push(problem.for_service(service.name()));
    service.finish_stranded(ctx.io.clock.now(), failure, &sentence);
}

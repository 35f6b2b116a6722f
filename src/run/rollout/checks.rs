//! HTTP checks while a version is watched: run for all services concurrently, then evaluated for each.

use futures::future::join_all;

use crate::config::Check;
use crate::gates::http_checker;
use crate::gates::http_checker::CheckResult;
use crate::problem::{Code, Problem, Severity};
use crate::release::RolloutStatus;
use crate::report::text::pluralize;
use crate::run::context::RunContext;
use crate::run::progress_log::Mark;
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, progress};
use crate::strategy;
use crate::strategy::{Analysis, Direction, Step};

/// The checks that belong to a step.
pub(in crate::run) fn checks_for(service: &ServiceRun, step: Option<Step>) -> &[Check] {
    match step {
        Some(Step::TestListener) => strategy::test_listener_checks(&service.declared.config.strategy),
        Some(Step::Verify | Step::VerifyReportOnly) => &service.declared.config.verify,
        _ => &[],
    }
}

/// One try of the checks of every service that stands at some and is healthy, all at the same time: one that answers
/// slowly keeps no other waiting.
pub(in crate::run) async fn run_all(
    ctx: &RunContext,
    services: &mut [ServiceRun],
    readings: &[(usize, Result<RolloutStatus, Problem>)],
) {
    let healthy = |reading: &Result<RolloutStatus, Problem>| {
        matches!(reading, Ok(RolloutStatus::Healthy(_) | RolloutStatus::Paused(_)))
    };
    let due = readings
        .iter()
        .filter(|(_, reading)| healthy(reading))
        .filter_map(|(index, _)| services.get(*index).zip(Some(*index)));
    let tries = due.filter_map(|(service, index)| {
        let forward = matches!(service.rollout.phase, Phase::Rolling(_, Direction::Forward));
        let checks = checks_for(service, service.rollout.current_step().filter(|_| forward));
        let visitor = service.sources.as_ref().filter(|_| !checks.is_empty())?.checker();
        let since = ctx.io.clock.elapsed().saturating_sub(service.rollout.step_started);
        Some(async move { (index, http_checker::check_all(visitor, checks, since).await) })
    });
    let tries: Vec<_> = tries.collect();
    if tries.is_empty() {
        return;
    }
    let Some(tried) = cancel::until_cancelled(ctx, join_all(tries)).await else { return };
    for (index, tried) in tried {
        services[index].rollout.pending_check = Some(tried);
    }
}

/// Evaluates the result of the checks for the current step.
pub(in crate::run) fn on_result(ctx: &RunContext, service: &mut ServiceRun, tried: CheckResult) {
    let step = service.rollout.current_step();
    let checks = checks_for(service, step).len();
    service.rollout.analysis_result = match (tried, step) {
        (CheckResult::Pending(why), _) => {
            progress::log_if_changed(ctx, service, &format!("the check does not hold yet: {why}"));
            Analysis::Pending(why)
        }
        (CheckResult::Fail(problem), Some(Step::TestListener)) => {
            Analysis::Fail(problem.help("No production traffic was moved to the new version by this step."))
        }
        (CheckResult::Fail(problem), Some(Step::VerifyReportOnly)) => {
            let problem =
                problem.help("The rollback is done and nothing more is changed: look at what answers there.");
            warn_failed(ctx, service, Problem { severity: Severity::Warning, ..problem });
            service.rollout.check_summary = Some("a check does not hold".into());
            Analysis::Pass
        }
        (CheckResult::Fail(problem), _) => {
            Analysis::Fail(problem.help("Look at the logs of the new version: its place found it healthy."))
        }
        (CheckResult::Pass(unseen), _) => {
            service.rollout.check_summary = (step != Some(Step::TestListener))
                .then(|| summary(checks, &unseen))
                .or(service.rollout.check_summary.take());
            unseen.iter().for_each(|what| warn_partial(service, what));
            Analysis::Pass
        }
    };
}

/// `2 checks hold`, restricted to what was checked.
pub(in crate::run) fn summary(checks: usize, unseen: &[String]) -> String {
    let verb = if checks == 1 { "holds" } else { "hold" };
    let but = if unseen.is_empty() { "" } else { ", as far as could be looked" };
    format!("{} {verb}{but}", pluralize(checks, "check"))
}

/// Reports the part of a check that was not made.
pub(in crate::run) fn warn_partial(service: &mut ServiceRun, what: &str) {
    let problem = Problem::notice(Code::CheckIncomplete, "A part of a check was not made.").cause(what);
    let problem = problem.for_service(service.declared.name.clone());
    if !service.report.problems.contains(&problem) {
        service.report.problems.push(problem);
    }
}

fn warn_failed(ctx: &RunContext, service: &mut ServiceRun, problem: Problem) {
    let problem = problem.for_service(service.name());
    ctx.log.event(Some(service.name()), Mark::Failure, &problem.to_string());
    service.report.problems.push(problem);
}

/// Says that the checks of a service were not made, because nobody here sees when its new version serves.
pub(in crate::run) fn warn_skipped(service: &mut ServiceRun) {
    if service.declared.config.verify.is_empty() {
        return;
    }
    let sentence = "The checks were not made: when the new version serves cannot be seen from here.";
    let help = "Give the service an Argo CD server to ask, or run `operation: verify` afterwards.";
    let problem = Problem::notice(Code::CheckIncomplete, sentence).help(help);
    service.report.problems.push(problem.for_service(service.declared.name.clone()));
}

//! Progress of a service, in the log and in its timeline; and how a service ends that a newer deployment took over.

use std::time::Duration;

use crate::problem::{Code, Problem};
use crate::release::{Failure, Outcome};
use crate::run::context::RunContext;
use crate::run::progress_log::Mark;
use crate::run::service_run::ServiceRun;

pub(in crate::run) fn log_if_changed(ctx: &RunContext, service: &mut ServiceRun, words: &str) {
    if service.rollout.last_progress != words {
        ctx.log.event(Some(service.name()), Mark::None, words);
        service.rollout.last_progress = words.to_owned();
    }
}

pub(in crate::run) fn log_failure(ctx: &RunContext, service: &mut ServiceRun, failure: &Failure) {
    record_event(ctx, service, Mark::Failure, &format!("failed: {}", failure.problem.sentence));
    for line in &failure.logs {
        ctx.log.untrusted(service.name(), &line.text);
    }
}

/// Ends a service that a newer deployment took over.
pub(in crate::run) fn mark_superseded(ctx: &RunContext, service: &mut ServiceRun, by: &str) {
    let sentence = format!("A newer deployment took over ({by}); it is left alone.");
    ctx.log.event(Some(service.name()), Mark::Failure, &sentence);
    service.clear_serving();
    service.report.evidence = sentence.clone();
    service.report.problems.push(
        Problem::error(Code::Superseded, sentence)
            .for_service(service.name())
            .help("Look at the run that started it."),
    );
    service.finish(ctx.io.clock.now(), Outcome::Superseded, "superseded by a newer deployment");
}

/// The same with the error of a target.
pub(in crate::run) fn mark_superseded_by(ctx: &RunContext, service: &mut ServiceRun, problem: &Problem) {
    mark_superseded(ctx, service, problem.cause.as_deref().unwrap_or("no name given"));
}

pub(in crate::run) fn with_jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.9 + 0.2 * fastrand::f64())
}

/// Logs an event and adds it to the timeline.
pub(in crate::run) fn record_event(ctx: &RunContext, service: &mut ServiceRun, mark: Mark, text: &str) {
    ctx.log.event(Some(service.name()), mark, text);
    service.report.add_timeline_entry(ctx.io.clock.now(), text);
}

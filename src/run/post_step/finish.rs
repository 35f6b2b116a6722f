//! How the report of a service ends in the post step.

use crate::release::{Outcome, RolloutStatus};
use crate::run::context::RunContext;
use crate::run::service_run::ServiceRun;

/// The report of a service by the last status that was read.
pub(super) fn finish_with_status(ctx: &RunContext, service: &mut ServiceRun, status: &RolloutStatus) {
    let now = ctx.io.clock.now();
    service.report.elapsed = ctx.io.clock.elapsed();
    match status {
        // What the step is there for is confirmed, so it ends well, although its job was cancelled.
        RolloutStatus::Healthy(proof) => {
            let back = service
                .report
                .previous_version
                .as_ref()
                .is_some_and(|version| version.id == proof.version.id);
            service.finish_succeeded(
                now,
                if back { Outcome::RolledBack } else { ctx.success_outcome() },
                proof,
            );
        }
        // What is committed is all that is known; the evidence says whether it is the rollback.
        RolloutStatus::HandedOff(handed) => service.finish_handed_off(now, handed),
        RolloutStatus::RolledBack(failure, to) => {
            service.finish_rolled_back(now, failure, to.clone());
            service.report.failure = None;
            service.report.outcome = Outcome::RolledBack;
        }
        RolloutStatus::Superseded(by) => {
            service.finish(now, Outcome::Superseded, &format!("a newer deployment took over: {by}"))
        }
        RolloutStatus::RollingBack(..) => {
            let label =
                service.report.previous_version.as_ref().map_or("the earlier version", |back| &back.label);
            let words = format!("{label} is being restored; the provider continues the rollback");
            finish_unconfirmed(service, now, words);
        }
        RolloutStatus::Progressing(_) | RolloutStatus::Paused(_) => {
            let words =
                "still moving when the time of the post step was over; the provider continues on its own";
            finish_unconfirmed(service, now, words.into());
        }
        RolloutStatus::Failed(failure)
        | RolloutStatus::Aborted(failure)
        | RolloutStatus::Missed(failure)
        | RolloutStatus::RollbackFailed(failure) => {
            service.finish_stranded(now, failure, "the rollback did not succeed");
        }
        RolloutStatus::NotServing(failure) => {
            finish_unconfirmed(service, now, failure.problem.sentence.trim_end_matches('.').to_owned())
        }
        RolloutStatus::Unknown(why) => {
            finish_unconfirmed(service, now, format!("what serves could not be read: {why}"))
        }
    }
    ctx.log.info(Some(service.name()), &service.report.evidence.clone());
}

/// Nothing is proven when the time of the post step is over.
pub(super) fn finish_unconfirmed(service: &mut ServiceRun, now: jiff::Timestamp, words: String) {
    service.clear_serving();
    service.report.evidence = words.clone();
    service.finish(now, Outcome::Cancelled, &words);
}

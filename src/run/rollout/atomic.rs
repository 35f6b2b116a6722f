//! Atomic runs: after one service failed, no other is started, and what was shifted is rolled back and confirmed. A
//! rollback is not undone.

use crate::plan::Start;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Outcome};
use crate::run::atomic_state::{first_failed, must_roll_back, reopen_one};
use crate::run::context::RunContext;
use crate::run::progress;
use crate::run::progress_log::Mark;
use crate::run::rollout::rollback;
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;

/// Ends the services that were not started, once one has failed. A rollout that an earlier attempt started is
/// resumed, and then rolled back.
pub(in crate::run) fn skip_pending(ctx: &RunContext, services: &mut [ServiceRun]) {
    let Some(culprit) = first_failed(services) else { return };
    let adopts = |service: &ServiceRun| {
        service.rollout.plan.as_ref().is_some_and(|plan| matches!(plan.start, Start::Resume(_)))
    };
    for service in
        services.iter_mut().filter(|service| service.rollout.phase == Phase::Pending && !adopts(service))
    {
        let serves = service.serving_label().to_owned();
        let words = format!("not begun because `{culprit}` failed: {serves} serves");
        ctx.log.event(Some(service.name()), Mark::Failure, &words);
        service.report.evidence = words.clone();
        service.finish(ctx.io.clock.now(), Outcome::Skipped, &words);
    }
}

/// Rolls back the other services after one failed: rollouts in progress and services already verified.
pub(in crate::run) async fn roll_back_peers(ctx: &RunContext, services: &mut [ServiceRun]) {
    let Some(culprit) = first_failed(services) else { return };
    skip_pending(ctx, services);
    for service in services.iter_mut().filter(|service| must_roll_back(service)) {
        reopen_one(service);
        let sentence = format!("Taken back because `{culprit}` failed.");
        let help =
            format!("The services of this run belong together (`atomic: true`). See why `{culprit}` failed.");
        let problem =
            Problem::error(Code::RolledBackWithPeers, sentence).help(help).for_service(service.name());
        progress::record_event(
            ctx,
            service,
            Mark::Failure,
            &format!("`{culprit}` failed, and they belong together"),
        );
        rollback::roll_back(ctx, service, Failure::permanent(problem)).await;
    }
}

//! The order of a run, and nothing else: prepare, lock, plan, admit, roll out, record, report. The core decides, adapters
//! act. A file here imports only files below it: there is no cycle.

mod ahead;
mod atomic_state;
mod cancel;
mod cleanup;
mod context;
mod coordination;
mod event;
mod guard;
mod held;
mod notify;
mod notify_settings;
mod overdue;
mod planning;
mod post_state;
mod post_step;
mod prepare;
mod progress;
mod progress_log;
mod proof;
mod record;
mod refusal;
mod registry;
mod rollback_version;
mod rollout;
mod rollout_state;
mod run_config;
mod service_run;
mod session;
mod time_budget;
mod verify;
mod versions;

use crate::action::Operation;
use crate::plan::Allowed;
use crate::release::Outcome;
use crate::report::{ActionStep, RunReport};

pub use context::{RunContext, RunEnvironment, blank_report};
use event::operation;
pub use overdue::time_limit;
pub use post_state::{SavedChanges, saved_changes};
pub use post_step::{needs_post_step, run_post_step};
use prepare::PreparedRun;
pub use progress_log::{Mark, ProgressLog};
use run_config::{EarlyExit, RefusedService};
use service_run::ServiceRun;
pub use versions::list_versions;

/// Runs the operation to its end, or to the end of its time.
pub async fn run(ctx: &RunContext) -> RunReport {
    let left = time_limit(ctx.inputs.timeout).saturating_sub(ctx.io.clock.elapsed());
    match tokio::time::timeout(left, run_and_publish(ctx)).await {
        Ok(report) => report,
        Err(_) => overdue::report(ctx),
    }
}

/// Runs the operation to its end and publishes the plan of a pull request.
async fn run_and_publish(ctx: &RunContext) -> RunReport {
    let mut report = Box::pin(run_operation(ctx)).await;
    Box::pin(record::pull_request::publish_plan(ctx, &mut report)).await;
    report
}

async fn run_operation(ctx: &RunContext) -> RunReport {
    let report = ctx.blank_report();
    if let Allowed::Nothing(reason) = event::event_decision(ctx).allowed {
        return ctx.finished_now(EarlyExit::Skipped(reason).into_report(report));
    }
    if operation(ctx) == Operation::Verify {
        return Box::pin(verify::run(ctx, report)).await;
    }
    // A build in progress gets the time to remove what it created.
    let preparing = cancel::with_grace(ctx, cancel::SHUTDOWN_GRACE, Box::pin(prepare::prepare(ctx)));
    let prepared = cancel::until_abandoned(ctx, preparing).await.flatten();
    match prepared.unwrap_or(Err(EarlyExit::Cancelled)) {
        Ok(prepared) => Box::pin(release(ctx, prepared, report)).await,
        Err(exit) => ctx.finished_now(exit.into_report(report)),
    }
}

/// Releases the services of a prepared run, or plans that.
async fn release(ctx: &RunContext, prepared: PreparedRun, mut report: RunReport) -> RunReport {
    let PreparedRun { environment, mut services, refused, problems, registry, channels, mut coordinator } =
        prepared;
    report.problems.extend(problems);
    guard::lock(ctx, coordinator.as_mut(), &mut services).await;
    planning::plan_all(ctx, &mut services);
    Box::pin(record::read_history(ctx, coordinator.as_mut(), &services)).await;
    guard::admit(ctx, coordinator.as_ref(), &mut services).await;
    rollout::execute(ctx, &environment, coordinator.as_mut(), &mut services).await;
    record::commits::load_commits(ctx, registry.as_deref(), &mut services).await;
    report.environment = Some(environment);
    let refused = refused.into_iter().map(RefusedService::into_report);
    report.services = services.into_iter().map(ServiceRun::into_report).chain(refused).collect();
    report.outcome = worst_outcome(&report);
    record::close(ctx, coordinator, &mut report).await;
    let report = ctx.finished_now(report);
    notify::send_notifications(ctx, &channels, report, ActionStep::Main).await
}

fn worst_outcome(report: &RunReport) -> Outcome {
    let outcomes = report.services.iter().map(|service| service.outcome);
    Outcome::most_severe(outcomes).unwrap_or(Outcome::Skipped)
}

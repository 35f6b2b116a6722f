//! The shell: read, plan, walk, report; walks the undo; handles cancel. The order of things, and nothing else:
//! what is decided is decided by the core, what is done is done by adapters.

mod anew;
mod announce;
mod atomic;
mod before;
mod books;
mod build;
mod checks;
mod declare;
mod evidence;
mod forecast;
mod history;
mod hold;
mod job;
mod lease;
mod lineage;
mod newest;
mod occasion;
mod onward;
mod post;
mod prepare;
mod promote;
mod publish;
mod queue;
mod record;
mod returning;
mod selection;
mod settings;
mod state;
mod teller;
mod timing;
mod transfer;
mod undo;
mod unit;
mod verify;
mod walk;
mod watch;

use crate::action::Operation;
use crate::plan::May;
use crate::release::Outcome;
use crate::report::{ActionStep, RunReport};

use books::Books;
pub use job::{Job, blank_report};
use occasion::operation;
pub use post::{post, unfinished};
pub use state::Held;
pub use teller::{Teller, Tone};
pub use unit::Unit;

/// Runs the operation that `job` asks for, to its end, whatever that is, and tells the pull request of a plan.
pub async fn run(job: &Job) -> RunReport {
    let mut report = Box::pin(run_alone(job)).await;
    Box::pin(publish::publish(job, &mut report)).await;
    report
}

async fn run_alone(job: &Job) -> RunReport {
    let mut report = job.blank_report();
    if let May::Nothing(reason) = occasion::ruling(job).may {
        report.outcome = Outcome::Skipped;
        report.reason = Some(reason);
        return job.closed(report);
    }
    if operation(job) == Operation::Verify {
        return Box::pin(verify::run(job, report)).await;
    }
    // A build that is under way gets the time to remove what it made.
    let prepared = match undo::unless_cancelled(job, undo::LAST_WORDS, prepare::prepare(job)).await {
        Some(Ok(prepared)) => prepared,
        Some(Err(stop)) => return job.closed(stop.into_report(report)),
        None => return job.closed(cancelled_early(report)),
    };
    report.environment = Some(prepared.environment.clone());
    report.problems.extend(prepared.problems);
    let mut books = match Books::open(job, &prepared.environment, prepared.session) {
        Some(Err(notice)) => {
            report.problems.push(notice);
            None
        }
        books => books.and_then(Result::ok),
    };
    let mut units = match operation(job) {
        Operation::Plan => walk::plan_only(job, books.as_mut(), prepared.units).await,
        _ => walk::deploy(job, &prepared.environment, books.as_mut(), prepared.units).await,
    };
    history::learn(job, prepared.registry.as_deref(), &mut units).await;
    report.services = units.into_iter().map(Unit::into_report).collect();
    report.outcome = Outcome::worst(report.services.iter().map(|s| s.outcome)).unwrap_or(Outcome::Skipped);
    if let Some(books) = books {
        books.close(job, &mut report).await;
    }
    Box::pin(announce::announce(job, &prepared.channels, job.closed(report), ActionStep::Main)).await
}

/// Whether an earlier version is to come back (in a plan: would). Nothing is built then, and no file of a definition read.
fn returns(job: &Job) -> bool {
    job.inputs.operation == Operation::Rollback
}

/// Whether only variables change, of what runs now: nothing is built, and no definition of the deploy file is applied.
fn sets_variables(job: &Job) -> bool {
    job.inputs.operation == Operation::SetEnv
}

/// What a run ends as when what it moved to is proven.
fn goal(job: &Job) -> Outcome {
    if returns(job) { Outcome::RolledBack } else { Outcome::Deployed }
}

fn cancelled_early(mut report: RunReport) -> RunReport {
    report.outcome = Outcome::Cancelled;
    report.reason = Some("the job was cancelled before any change; what served before serves still".into());
    report
}

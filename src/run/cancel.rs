//! Work that ends when the run is cancelled: reads are dropped, changes get time for their answer. Nothing is decided here.

use std::future::Future;
use std::time::Duration;

use crate::run::context::RunContext;
use crate::sys::signal::CancelLevel;

/// How long a request that is already on its way may take to answer after a cancel.
pub(in crate::run) const REPLY_GRACE: Duration = Duration::from_millis(1500);

/// How long the requests of a cancelled run may take: the runner kills after 10 s.
pub(in crate::run) const SHUTDOWN_GRACE: Duration = Duration::from_millis(4500);

/// Runs `work`, or drops it as soon as the run is cancelled: for reads.
pub(in crate::run) async fn until_cancelled<T>(ctx: &RunContext, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = ctx.cancel.wait_for(CancelLevel::Cancel) => None,
    }
}

/// Runs `work`; after a cancel its answer is waited for no longer than `patience`: for changes.
pub(in crate::run) async fn with_grace<T>(
    ctx: &RunContext,
    patience: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let patience = async {
        ctx.cancel.wait_for(CancelLevel::Cancel).await;
        tokio::time::sleep(patience).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = patience => None,
    }
}

pub(in crate::run) async fn until_abandoned<T>(ctx: &RunContext, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = ctx.cancel.wait_for(CancelLevel::Abandon) => None,
    }
}

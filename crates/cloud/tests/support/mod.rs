//! Virtual time, and GitHub's own descriptions as judges.

pub(crate) mod github;

/// Runs to its end on a runtime of its own, in virtual time.
pub(crate) fn run_in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

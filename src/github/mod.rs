//! GitHub's API, typed: which commits lie between two versions, what a branch holds, committing to it, and proposing.
//! Reading answers and making bodies is pure; `door` is the one way out, and `api`, `hub` and `propose` use it.

pub mod addresses;
pub mod ancestry;
pub mod api;
pub mod changes;
pub mod checks;
pub mod comments;
pub mod commit;
pub mod compact;
pub mod compare;
pub mod deployments;
pub mod door;
pub mod hub;
#[cfg(test)]
mod hub_tests;
pub mod kept;
pub mod lease;
pub mod leases;
pub mod ledger;
pub mod names;
pub mod project;
pub mod propose;
#[cfg(test)]
mod propose_tests;
pub mod pulls;
pub mod reply;
#[cfg(test)]
mod scripted;
pub mod setback;
pub mod snapshot;

use async_trait::async_trait;

use crate::problem::Problem;

pub use addresses::Addresses;
pub use ancestry::Kinship;
pub use api::Api;
pub use changes::{ChangedFile, Comparison, Relation};
pub use checks::{Check, Conclusion, Level, Remark};
pub use comments::Note;
pub use commit::{FileChange, Landed, NewCommit};
pub use compare::{Commit, History};
pub use deployments::Proven;
pub use hub::Hub;
pub use kept::Kept;
pub use lease::{Holder, Owner};
pub use ledger::{Entry, Ledger, NewDeployment, State, Status};
pub use project::Project;
pub use pulls::{Edit, Proposal, PullRequest};
pub use setback::Setback;
pub use snapshot::{File, Mode, PastCommit, Snapshot, Wanted};

/// Somebody who knows a repository's history.
#[async_trait(?Send)]
pub trait Commits {
    /// What `to` has and `from` has not, both by the hexadecimal name of a commit, of at least seven digits. Errors are
    /// notices: what is not known about the past changes nothing about a release.
    async fn between(&self, repository: &str, from: &str, to: &str) -> Result<History, Problem>;
}

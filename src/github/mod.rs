//! GitHub's API, typed: commits between two versions, the content of a branch, commits, and pull requests.
//! Parsing responses and making bodies is pure; `client` sends all requests.

pub mod addresses;
pub mod ancestry;
pub mod branch;
#[cfg(test)]
mod branch_tests;
pub mod changes;
pub mod checks;
pub mod client;
pub mod comments;
pub mod commit;
pub mod commits;
pub mod compare;
pub mod deployment_history;
mod deployment_pages;
pub mod deployments;
pub mod error;
pub mod lease;
pub mod leases;
#[cfg(test)]
mod mock;
pub mod new_deployment;
pub mod propose;
#[cfg(test)]
mod propose_tests;
pub mod pulls;
pub mod reply;
pub mod repository;
pub mod snapshot;
pub mod status_encoding;
pub mod upsert;
pub mod validate;
pub mod workflow_runs;

use async_trait::async_trait;

use crate::problem::Problem;

pub use addresses::Addresses;
pub use branch::BranchClient;
pub use changes::{ChangedFile, CommitComparison};
pub use checks::{AnnotationLevel, CheckAnnotation, CheckRun, Conclusion};
pub use comments::StickyComment;
pub use commit::{CreatedCommit, FileChange, NewCommit};
pub use commits::CommitsClient;
pub use compare::{CommitRelation, CommitSummary, ComparedCommits};
pub use deployment_history::{DeploymentHistory, RecordEnd, RecordedDeployment};
pub use error::ApiError;
pub use lease::{Holder, Owner};
pub use new_deployment::{DeploymentState, DeploymentStatus, NewDeployment};
pub use pulls::{Edit, Proposal, ProposedPullRequest};
pub use repository::RunRepository;
pub use snapshot::{FileMode, HistoryCommit, RepositoryFile, Snapshot, SnapshotQuery};
pub use upsert::Upserted;

/// The history of a repository.
#[async_trait(?Send)]
pub trait CommitHistory {
    /// The commits in `to` and not in `from`, both hexadecimal ids of at least seven digits. Errors are
    /// notices: an unknown history never affects a release.
    async fn commits_between(
        &self,
        repository: &str,
        from: &str,
        to: &str,
    ) -> Result<ComparedCommits, Problem>;
}

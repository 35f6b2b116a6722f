//! GitHub's API, typed: which commits lie between two versions. Reading answers is pure (`compare`), asking is not
//! (`api`).

pub mod api;
pub mod compare;

use async_trait::async_trait;

use crate::problem::Problem;

pub use api::Api;
pub use compare::{Commit, History};

/// Somebody who knows a repository's history.
#[async_trait(?Send)]
pub trait Commits {
    /// What `to` has and `from` has not, both by the hexadecimal name of a commit, of at least seven digits. Errors are
    /// notices: what is not known about the past changes nothing about a release.
    async fn between(&self, repository: &str, from: &str, to: &str) -> Result<History, Problem>;
}

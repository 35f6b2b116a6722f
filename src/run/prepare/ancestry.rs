//! Whether the run's commit contains others: each is asked of GitHub once, and not without end.

use std::collections::BTreeMap;

use crate::github::{ApiError, RunRepository};
use crate::problem::{Code, Problem};

/// So many commits are compared at most; each is a request.
const MAX_COMPARED: usize = 50;

/// The commits that are known to lie in the run's commit, or not to.
pub(in crate::run) struct AncestryCache<'p> {
    repository: &'p RunRepository,
    head: String,
    known: BTreeMap<String, bool>,
}

impl<'p> AncestryCache<'p> {
    /// Of the commit `head`.
    pub(in crate::run) fn new(repository: &'p RunRepository, head: &str) -> Self {
        Self { repository, head: head.to_owned(), known: BTreeMap::new() }
    }

    /// Whether `commit` is contained. One that is not in the repository any more is not. An error when GitHub could not be
    /// asked, and after too many: then it is not known.
    pub(in crate::run) async fn contains(&mut self, commit: &str) -> Result<bool, Problem> {
        if let Some(known) = self.known.get(commit) {
            return Ok(*known);
        }
        if self.known.len() >= MAX_COMPARED {
            return Err(too_many_problem());
        }
        let contained = match self.repository.compare_commits(&self.head, commit).await {
            Ok(relation) => relation.contains_base(),
            Err(ApiError::NotFound(_) | ApiError::Rejected(_)) => false,
            Err(error) => return Err(error.problem(self.repository.repository())),
        };
        self.known.insert(commit.to_owned(), contained);
        Ok(contained)
    }
}

fn too_many_problem() -> Problem {
    let sentence = format!(
        "The newest {MAX_COMPARED} proven commits are not part of this commit, and older ones were not compared."
    );
    Problem::error(Code::PromotionUnproven, sentence)
        .help("Name the proven commit or digest in the input `to` and start the workflow manually (`workflow_dispatch`).")
}

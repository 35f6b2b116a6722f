//! Whether the run's commit contains others: each is asked of GitHub once, and not without end.

use std::collections::BTreeMap;

use crate::github::{Kinship, Project, Setback};
use crate::problem::Problem;

/// So many commits are compared at most; each is a request.
const COMPARED: usize = 20;

/// The commits that are known to lie in the run's commit, or not to.
pub(super) struct Lineage<'p> {
    project: &'p Project,
    head: String,
    known: BTreeMap<String, bool>,
}

impl<'p> Lineage<'p> {
    /// Of the commit `head`.
    pub(super) fn of(project: &'p Project, head: &str) -> Self {
        Self { project, head: head.to_owned(), known: BTreeMap::new() }
    }

    /// Whether `commit` is contained. One that is not in the repository any more is not, and neither are those after too
    /// many. An error when GitHub could not be asked.
    pub(super) async fn contains(&mut self, commit: &str) -> Result<bool, Problem> {
        if let Some(known) = self.known.get(commit) {
            return Ok(*known);
        }
        if self.known.len() >= COMPARED {
            return Ok(false);
        }
        let contained = match self.project.kinship(&self.head, commit).await {
            Ok(kinship) => matches!(kinship, Kinship::Same | Kinship::Descendant),
            Err(Setback::Missing(_) | Setback::Refused(_)) => false,
            Err(setback) => return Err(setback.problem(self.project.repository())),
        };
        self.known.insert(commit.to_owned(), contained);
        Ok(contained)
    }
}

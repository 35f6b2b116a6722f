//! Pre-flight checks that ask the cluster: rights, quotas, objects that the template names, and the very patch in a dry run. They read
//! only.

use futures::future::join_all;
use serde_json::Value;

use super::error::{ApiError, ErrorKind};
use super::grants::NeededRight;
use super::read::WorkloadObject;
use super::references::{Reference, required_references};
use super::{KubernetesTarget, grants, preflight, quota, write};
use crate::problem::{Code, Problem};
use crate::release::{Observed, Release};

/// The most Secrets and ConfigMaps of a template that are looked for.
const MAX_REFERENCES: usize = 20;

impl KubernetesTarget {
    /// The problems of the rights that the token has.
    pub(super) async fn right_problems(&self) -> Vec<Problem> {
        let route = self.settings.route_names();
        let needed = grants::needed_rights(&self.name, self.has_command, route.as_ref());
        let answers = join_all(needed.iter().map(|needed| self.client.is_allowed(&needed.right))).await;
        let mut problems = Vec::new();
        for (needed, answer) in needed.iter().zip(answers) {
            match answer {
                Ok(true) => {}
                Ok(false) => {
                    problems
                        .push(preflight::missing_right(&self.as_needed(*needed), self.client.namespace()));
                }
                Err(error) => {
                    let sentence = "The rights of the token could not be checked.";
                    let problem =
                        Problem::warning(Code::PermissionUnchecked, sentence).cause(error.to_string());
                    return vec![problem];
                }
            }
        }
        problems
    }

    /// The right as this run needs it: a plan changes nothing.
    fn as_needed<'r>(&self, needed: NeededRight<'r>) -> NeededRight<'r> {
        let is_write = !matches!(needed.right.verb, "get" | "list");
        let of_release = (self.is_plan && is_write).then_some("a release needs a token with more rights");
        NeededRight { optional: needed.optional.or(of_release), ..needed }
    }

    /// Quotas without room for a rollout. Whoever may not read them is told by the check of rights.
    pub(super) async fn quota_warnings(&self, workload: &WorkloadObject) -> Vec<Problem> {
        let quotas = self.client.resource_quotas().await.unwrap_or_default();
        quota::quota_warnings(&self.name, workload, &quotas)
    }

    /// Secrets and ConfigMaps that the template needs and that do not exist. Few tokens may read Secrets: what may not be read is
    /// found by the rollout.
    pub(super) async fn missing_references(&self, template: &Value) -> Vec<Problem> {
        let named: Vec<Reference> = required_references(template).into_iter().take(MAX_REFERENCES).collect();
        let answers =
            join_all(named.iter().map(|one| self.client.has_object(one.kind.resource(), &one.name)));
        let answers = answers.await.into_iter().zip(&named);
        let missing = answers.filter(|(answer, _)| matches!(answer, Ok(false)));
        missing.map(|(_, one)| one.missing_problem(self.client.namespace())).collect()
    }

    /// What the server would say of the patch itself.
    pub(super) async fn dry_run_problem(&self, release: &Release, observed: &Observed) -> Option<Problem> {
        let after = self.wanted_template(release, &observed.definition).ok()?;
        if after == observed.definition {
            return None;
        }
        let workload = self.workload_of(observed);
        let patch = write::template_patch(&workload.metadata.uid, &observed.definition, &after);
        let error = self.client.patch_workload(&self.name, &patch, true).await.err()?;
        // Somebody changed it since it was observed: it is observed again before the change. A right is named by its own check.
        let is_raced = error.is_raced();
        if is_raced || (error.kind == ErrorKind::Forbidden && self.lacks_right_to_patch().await) {
            return None;
        }
        Some(self.refused_patch(error))
    }

    async fn lacks_right_to_patch(&self) -> bool {
        let needed = grants::needed_rights(&self.name, false, None);
        let patch = needed.iter().find(|needed| needed.right.verb == "patch");
        let Some(patch) = patch else { return false };
        matches!(self.client.is_allowed(&patch.right).await, Ok(false))
    }

    fn refused_patch(&self, error: ApiError) -> Problem {
        if !matches!(error.kind, ErrorKind::Invalid | ErrorKind::Refused | ErrorKind::Forbidden) {
            let sentence = "The change could not be tried before it is made.";
            return Problem::warning(Code::PermissionUnchecked, sentence).cause(error.to_string());
        }
        let sentence =
            format!("The API server refuses the new template of `{}`. Nothing was changed.", self.name);
        Problem::error(Code::UpdateRefused, sentence).cause(error.message).help("The message says why.")
    }
}

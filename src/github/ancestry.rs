//! Which of two commits of the run's own repository is an ancestor of the other: one request to GitHub.

use super::client::ApiRequest;
use super::compare::CommitRelation;
use super::error::ApiError;
use super::repository::RunRepository;
use super::validate;
use crate::retry::RetryPolicy;

impl RunRepository {
    /// The relation of `commit` to `other`, both hexadecimal ids. [`ApiError::NotFound`] if one of them does not
    /// exist (any more), or they have no common history.
    pub async fn compare_commits(&self, commit: &str, other: &str) -> Result<CommitRelation, ApiError> {
        let (to, from) = (validate::commit(commit), validate::commit(other));
        let (to, from) = (to.map_err(ApiError::Rejected)?, from.map_err(ApiError::Rejected)?);
        let pair = format!("{from}...{to}");
        let known = self.known_relations.borrow().get(&pair).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let request = ApiRequest::get(self.route(&format!("/compare/{pair}?per_page=1")));
        let response = self.client.get(&request, RetryPolicy::SHORT).await?;
        let relation = CommitRelation::parse(&response).map_err(ApiError::Transient)?;
        self.known_relations.borrow_mut().insert(pair, relation);
        Ok(relation)
    }

    /// Whether `branch` contains `commit`. [`ApiError::NotFound`] if the branch or the commit does not exist, or they
    /// have no common history.
    pub async fn branch_contains(&self, branch: &str, commit: &str) -> Result<bool, ApiError> {
        let name = validate::branch(branch).map_err(ApiError::Rejected)?;
        let missing = || ApiError::NotFound(format!("there is no branch `{name}`"));
        let head = self.ref_target(&format!("refs/heads/{name}")).await?.ok_or_else(missing)?;
        let relation = self.compare_commits(commit, &head).await?;
        Ok(matches!(relation, CommitRelation::Identical | CommitRelation::Behind))
    }
}

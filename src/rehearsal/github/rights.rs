//! Which permission of a token an operation needs: the `permissions:` of a workflow.
//! Source: "Permissions required for GitHub Apps" and the notes of each operation.

use serde::Deserialize;

use super::settings::Token;

/// A permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Runs of workflows.
    Actions,
    /// Check runs.
    Checks,
    /// Files, commits and refs.
    Contents,
    /// Deployments and their statuses.
    Deployments,
    /// Issues, and what is common to issues and pull requests.
    Issues,
    /// Pull requests.
    PullRequests,
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Nothing.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

/// The permissions of which one is enough for an operation; none is needed where there is none.
fn scopes(operation: &str) -> &'static [Scope] {
    match operation {
        "repos/get" => &[],
        "createCommitOnBranch" => &[Scope::Contents],
        "enablePullRequestAutoMerge" => &[Scope::PullRequests],
        "pulls/merge" => &[Scope::Contents],
        "deployments" => &[Scope::Deployments],
        _ if operation.starts_with("repos/") && operation.contains("deployment") => &[Scope::Deployments],
        _ if operation.starts_with("repos/") || operation.starts_with("git/") => &[Scope::Contents],
        _ if operation.starts_with("pulls/") => &[Scope::PullRequests],
        _ if operation.starts_with("checks/") => &[Scope::Checks],
        _ if operation.starts_with("issues/") => &[Scope::Issues, Scope::PullRequests],
        _ if operation.starts_with("actions/") => &[Scope::Actions],
        _ => &[],
    }
}

/// Whether the token's permissions let it do this. What everybody may read needs none.
pub fn allow(token: &Token, operation: &str, wanted: Right, private: bool) -> bool {
    let scopes = scopes(operation);
    let given = |scope: &Scope| token.permissions.get(scope).copied().unwrap_or(Right::Write);
    scopes.is_empty()
        || (wanted == Right::Read && !private)
        || scopes.iter().any(|scope| given(scope) >= wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_limited_is_allowed_and_the_public_is_readable() {
        let permissions =
            [(Scope::Deployments, Right::Read), (Scope::Issues, Right::None), (Scope::Actions, Right::None)];
        let token = Token { permissions: permissions.into(), ..Token::default() };
        let may = |operation: &str, wanted| allow(&token, operation, wanted, true);
        assert!(may("repos/list-deployments", Right::Read) && !may("repos/create-deployment", Right::Write));
        assert!(may("git/create-ref", Right::Write) && may("repos/get", Right::Read));
        assert!(may("issues/create-comment", Right::Write), "pull-requests is enough");
        assert!(!may("actions/get-workflow-run", Right::Read));
        assert!(allow(&token, "actions/get-workflow-run", Right::Read, false));
    }
}

//! Which permission of a token an operation needs: the `permissions:` of a workflow.
//! Source: "Permissions required for GitHub Apps" and the notes of each operation.

use schemars::JsonSchema;
use serde::Deserialize;

use super::scenario::GitHubToken;

/// A permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenScope {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionLevel {
    /// Nothing.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

/// The permissions of which one is enough for an operation; none is needed where there is none.
fn required_scopes(operation: &str) -> &'static [TokenScope] {
    match operation {
        "repos/get" => &[],
        "createCommitOnBranch" => &[TokenScope::Contents],
        "enablePullRequestAutoMerge" => &[TokenScope::PullRequests],
        "pulls/merge" => &[TokenScope::Contents],
        "deployments" => &[TokenScope::Deployments],
        _ if operation.starts_with("repos/") && operation.contains("deployment") => {
            &[TokenScope::Deployments]
        }
        _ if ["repos/", "git/", "upload-pack/"].iter().any(|start| operation.starts_with(start)) => {
            &[TokenScope::Contents]
        }
        _ if operation.starts_with("pulls/") => &[TokenScope::PullRequests],
        _ if operation.starts_with("checks/") => &[TokenScope::Checks],
        _ if operation.starts_with("issues/") => &[TokenScope::Issues, TokenScope::PullRequests],
        _ if operation.starts_with("actions/") => &[TokenScope::Actions],
        _ => &[],
    }
}

/// Whether the token's permissions let it do this. What everybody may read needs none.
pub fn is_allowed(token: &GitHubToken, operation: &str, wanted: PermissionLevel, private: bool) -> bool {
    let scopes = required_scopes(operation);
    let given = |scope: &TokenScope| token.permissions.get(scope).copied().unwrap_or(PermissionLevel::Write);
    scopes.is_empty()
        || (wanted == PermissionLevel::Read && !private)
        || scopes.iter().any(|scope| given(scope) >= wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlisted_scopes_are_allowed_and_public_repositories_readable() {
        let permissions = [
            (TokenScope::Deployments, PermissionLevel::Read),
            (TokenScope::Issues, PermissionLevel::None),
            (TokenScope::Actions, PermissionLevel::None),
        ];
        let token = GitHubToken { permissions: permissions.into(), ..GitHubToken::default() };
        let may = |operation: &str, wanted| is_allowed(&token, operation, wanted, true);
        assert!(
            may("repos/list-deployments", PermissionLevel::Read)
                && !may("repos/create-deployment", PermissionLevel::Write)
        );
        assert!(may("git/create-ref", PermissionLevel::Write) && may("repos/get", PermissionLevel::Read));
        assert!(may("issues/create-comment", PermissionLevel::Write), "pull-requests is enough");
        assert!(!may("actions/get-workflow-run", PermissionLevel::Read));
        assert!(is_allowed(&token, "actions/get-workflow-run", PermissionLevel::Read, false));
    }
}

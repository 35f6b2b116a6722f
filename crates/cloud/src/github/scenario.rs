//! The `github` block of a scenario: repositories, what protects their branches, and what tokens may do.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::deployments::ForeignDeploymentsSetting;
use super::permissions::{PermissionLevel, TokenScope};
use super::seed::CommitSetting;
use super::{comments, workflow_runs};

/// GitHub as the world begins.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GitHubSettings {
    /// Repositories.
    pub repositories: Vec<GitRepositorySetting>,
    /// What tokens are, by their text. A token that is not listed is `job-token`.
    pub tokens: BTreeMap<String, GitHubToken>,
    /// What a token is that is not listed: the workflow's own, which may write everywhere unless this says otherwise.
    pub job_token: GitHubToken,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GitRepositorySetting {
    /// Such as `acme/manifests`.
    pub name: String,
    /// The branch that the files are on.
    #[serde(default = "main")]
    pub default_branch: String,
    /// Files by path.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Paths that are executable.
    #[serde(default)]
    pub executables: Vec<String>,
    /// Symbolic links: path and target.
    #[serde(default)]
    pub symlinks: BTreeMap<String, String>,
    /// So many files more, below `filler/`.
    #[serde(default)]
    pub filler: usize,
    /// What protects branches.
    #[serde(default)]
    pub protected: Vec<BranchProtection>,
    /// Whether pull requests may be merged by GitHub once their requirements are met.
    #[serde(default)]
    pub auto_merge: bool,
    /// Nothing can be written any more.
    #[serde(default)]
    pub archived: bool,
    /// Who may not read it gets 404.
    #[serde(default)]
    pub private: bool,
    /// Commits that came after the first one, the oldest first.
    #[serde(default)]
    pub history: Vec<CommitSetting>,
    /// Runs of its workflows.
    #[serde(default)]
    pub runs: Vec<workflow_runs::WorkflowRunSetting>,
    /// Deployments that others made before the scenario begins.
    #[serde(default)]
    pub deployments: Vec<ForeignDeploymentsSetting>,
    /// Numbers of issues and pull requests that others opened.
    #[serde(default)]
    pub issues: Vec<u64>,
    /// Comments on them.
    #[serde(default)]
    pub comments: Vec<comments::CommentSetting>,
}

impl GitRepositorySetting {
    /// A repository with nothing in it.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            default_branch: main(),
            files: BTreeMap::new(),
            executables: Vec::new(),
            symlinks: BTreeMap::new(),
            filler: 0,
            protected: Vec::new(),
            auto_merge: false,
            archived: false,
            private: false,
            history: Vec::new(),
            runs: Vec::new(),
            deployments: Vec::new(),
            issues: Vec::new(),
            comments: Vec::new(),
        }
    }
}

/// What protects a branch.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BranchProtection {
    /// Its name.
    pub branch: String,
    /// Approving reviews that a pull request needs.
    #[serde(default)]
    pub required_reviews: u32,
    /// Status checks that must pass.
    #[serde(default)]
    pub required_checks: Vec<String>,
    /// Logins that may change the branch without any of it; when this is all, only they may change it.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// Seconds after which reviews and checks of a pull request are there; never when absent.
    #[serde(default)]
    pub met_after: Option<f64>,
    /// It is a repository ruleset, not a branch protection rule: GitHub refuses in other words.
    #[serde(default)]
    pub ruleset: bool,
}

/// What a token may do.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GitHubToken {
    /// Whose it is.
    #[serde(default = "bot")]
    pub login: String,
    /// What it may do.
    #[serde(default)]
    pub access: RepositoryAccess,
    /// What it may do of that, permission by permission; one that is not listed is as `access` says.
    #[serde(default)]
    pub permissions: BTreeMap<TokenScope, PermissionLevel>,
    /// Only with these repositories; with all when absent.
    #[serde(default)]
    pub repositories: Option<Vec<String>>,
    /// Requests an hour; 5000 when absent.
    #[serde(default)]
    pub hourly: Option<u32>,
}

impl Default for GitHubToken {
    fn default() -> Self {
        Self {
            login: bot(),
            access: RepositoryAccess::Write,
            permissions: BTreeMap::new(),
            repositories: None,
            hourly: None,
        }
    }
}

/// What a token may do with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RepositoryAccess {
    /// The token is not a token at all: 401.
    Invalid,
    /// Nothing: private repositories do not exist for it.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    #[default]
    Write,
}

fn main() -> String {
    "main".into()
}

/// The login of a workflow's own token.
pub fn bot() -> String {
    "github-actions[bot]".into()
}

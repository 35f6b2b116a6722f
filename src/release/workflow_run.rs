//! A run of a workflow and its jobs, as GitHub reports them: what a deployment record is bound to. All names in it are
//! untrusted text.

use jiff::Timestamp;

/// Number and attempt of a run. GitHub's run ids grow, so a larger one is a newer run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunNumber {
    /// `GITHUB_RUN_ID`.
    pub id: u64,
    /// `GITHUB_RUN_ATTEMPT`, from 1.
    pub attempt: u32,
}

/// A run of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkflowRun {
    /// The event that started it, such as `push`.
    pub event: String,
    /// Its branch, or the name of its tag; `None` if it has neither.
    pub branch: Option<String>,
    /// The commit of its code and of its workflow file.
    pub commit: String,
    /// The workflow file, such as `.github/workflows/deploy.yml`.
    pub workflow: String,
    /// The repository that its code comes from; `None` if that was deleted.
    pub head_repository: Option<String>,
    /// Whether it has ended; `None` if GitHub did not report it.
    pub has_ended: Option<bool>,
    /// The number of its last attempt.
    pub last_attempt: Option<u64>,
}

/// A job of one attempt of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowJob {
    /// Its start, on GitHub's clock.
    pub started_at: Option<Timestamp>,
    /// Its end; `None` while it runs.
    pub completed_at: Option<Timestamp>,
    /// How it ended, such as `success`; `None` while it runs.
    pub conclusion: Option<String>,
}

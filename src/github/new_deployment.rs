//! Deployments and statuses to create: their bodies. Pure. <https://docs.github.com/rest/deployments>

use serde_json::{Value, json};

use super::deployment_history::MAX_DESCRIPTION_CHARS;
use crate::release::DeploymentRecord;

/// The task of the deployments that we create: the marker by which GitHub finds them among those of others.
pub(super) const OWN_TASK: &str = "roadstead";

/// A deployment to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeployment {
    /// The commit that GitHub shows, in full.
    pub commit: String,
    /// The released services.
    pub record: DeploymentRecord,
    /// The run, by [`run_name`].
    pub run: String,
    /// For display.
    pub description: String,
}

impl NewDeployment {
    /// The body. Without these settings GitHub would merge the default branch into the commit, and wait for checks
    /// of which this job is one.
    pub fn body(&self) -> Value {
        json!({
            "ref": self.commit,
            "task": OWN_TASK,
            "auto_merge": false,
            "required_contexts": [],
            "environment": self.record.environment,
            "description": truncate(&self.description, MAX_DESCRIPTION_CHARS),
            "payload": { "roadstead": self.record, "run": self.run },
        })
    }
}

/// The status of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentState {
    /// It is in progress.
    InProgress,
    /// It was handed over and could not be verified.
    Queued,
    /// All of it serves and is verified.
    Success,
    /// It did not become healthy; the previous version serves.
    Failure,
    /// It had no effect, or the effect is not known.
    Error,
    /// A newer deployment serves.
    Inactive,
}

impl DeploymentState {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Queued => "queued",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Inactive => "inactive",
        }
    }
}

/// A status to add to a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentStatus {
    /// The state.
    pub state: DeploymentState,
    /// In words: see [`status_description`](super::deployment_history::status_description).
    pub description: String,
    /// The page of the run.
    pub log_url: Option<String>,
    /// The URL of the released service.
    pub environment_url: Option<String>,
}

impl DeploymentStatus {
    /// The description, shortened to the limit.
    pub(super) fn truncated_description(&self) -> String {
        truncate(&self.description, MAX_DESCRIPTION_CHARS)
    }

    /// The body.
    pub fn body(&self) -> Value {
        let mut body = json!({ "state": self.state.as_str(), "description": self.truncated_description() });
        for (name, value) in [("log_url", &self.log_url), ("environment_url", &self.environment_url)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    }
}

/// `text`, shortened to the given number of characters.
pub(super) fn truncate(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

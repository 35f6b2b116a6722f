//! The optional interfaces of the target, and its history.

use async_trait::async_trait;
use serde_json::Value;

use super::client::Client;
use super::facts::ReleaseFacts;
use super::{ComposeTarget, observe, one_off, parse_observed};
use crate::problem::{Code, Problem};
use crate::release::{
    CompletedVersion, Observed, Release, RollbackTarget, Staged, StartedTask, TaskCommand, TaskStatus,
    Version,
};
use crate::retry::WriteError;
use crate::targets::{ChangeError, History, OneOffTasks};

#[async_trait(?Send)]
impl History for ComposeTarget {
    async fn list(&self) -> Result<Vec<CompletedVersion>, Problem> {
        Ok(observe::completed_everywhere(&self.host_states().await?, self.service()))
    }

    async fn load(&self, version: &Version) -> Result<RollbackTarget, Problem> {
        let hosts = self.host_states().await?;
        let number = version.id.parse().ok();
        let lacking = hosts.iter().find(|host| !number.is_some_and(|number| host.state.has_release(number)));
        if let Some(host) = lacking {
            let sentence =
                format!("The release {} is no longer on the server `{}`.", version.label, host.host);
            return Err(Problem::error(Code::RollbackTargetBroken, sentence)
                .help("Name another version with `to`, or deploy its commit; `compose.keep` says how many releases stay."));
        }
        let facts = hosts.iter().find_map(|host| host.state.facts(number));
        Ok(RollbackTarget {
            version: version.clone(),
            definition: facts.map_or(Value::Null, |facts| Value::String(facts.to_string())),
            digest: facts.and_then(ReleaseFacts::digest),
        })
    }

    fn matches(&self, release: &Release, observed: &Observed, former: &RollbackTarget) -> bool {
        let former = former.definition.as_str().and_then(ReleaseFacts::parse);
        let wanted = self.wanted_facts(release, &parse_observed(observed)).ok().flatten();
        former.zip(wanted).is_some_and(|(former, wanted)| former.is_same_version(&wanted))
    }
}

impl ComposeTarget {
    /// The server on which a command runs once.
    fn task_host(&self) -> Result<&Client, Problem> {
        self.hosts.first().ok_or_else(|| Problem::error(Code::Internal, "The service has no host."))
    }
}

#[async_trait(?Send)]
impl OneOffTasks for ComposeTarget {
    async fn start(
        &self,
        staged: &Staged,
        command: &TaskCommand,
        _: &Observed,
    ) -> Result<StartedTask, ChangeError> {
        let host = self.task_host().map_err(WriteError::NotMade)?;
        one_off::start(host, &self.request("task-start"), &staged.version, command).await
    }

    async fn find(&self, owner: &str) -> Result<Option<StartedTask>, Problem> {
        one_off::find(self.task_host()?, &self.request("task-find"), owner).await
    }

    async fn status(&self, task: &StartedTask) -> Result<TaskStatus, Problem> {
        one_off::status(self.task_host()?, &self.request("task-status"), task).await
    }

    async fn stop(&self, task: &StartedTask) -> Result<(), Problem> {
        one_off::stop(self.task_host()?, &self.request("task-stop"), task).await
    }
}

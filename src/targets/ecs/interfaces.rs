//! The further interfaces of an ECS service: its history, one-off tasks, and the labels of its metrics. Sequences of calls only.

use async_trait::async_trait;

use super::{Ecs, history, one_off, read, task_definition};
use crate::problem::Problem;
use crate::release::{
    CompletedVersion, Observed, Release, RollbackTarget, Staged, StartedTask, TaskCommand, TaskStatus,
    Variant, Version,
};
use crate::targets::{ChangeError, History, MetricLabels, OneOffTasks};

#[async_trait(?Send)]
impl History for Ecs {
    async fn list(&self) -> Result<Vec<CompletedVersion>, Problem> {
        history::list_completed(&self.reader).await
    }

    async fn load(&self, version: &Version) -> Result<RollbackTarget, Problem> {
        history::load(&self.reader, version).await
    }

    fn matches(&self, release: &Release, seen: &Observed, former: &RollbackTarget) -> bool {
        let wanted = self.wanted_definition(release, seen);
        wanted.is_ok_and(|wanted| task_definition::equality::is_equal(&former.definition, &wanted))
    }
}

#[async_trait(?Send)]
impl OneOffTasks for Ecs {
    async fn start(
        &self,
        staged: &Staged,
        command: &TaskCommand,
        seen: &Observed,
    ) -> Result<StartedTask, ChangeError> {
        one_off::start(&self.reader, &staged.version, command, seen).await
    }

    async fn find(&self, owner: &str) -> Result<Option<StartedTask>, Problem> {
        one_off::find(&self.reader, owner).await
    }

    async fn status(&self, task: &StartedTask) -> Result<TaskStatus, Problem> {
        one_off::status(&self.reader, task).await
    }

    async fn stop(&self, task: &StartedTask) -> Result<(), Problem> {
        one_off::stop(&self.reader, task).await
    }
}

#[async_trait(?Send)]
impl MetricLabels for Ecs {
    async fn read(&self, seen: &Observed) -> Result<Vec<Variant>, Problem> {
        self.reader.metric_labels(&read::EcsService::from_json(&seen.raw)).await
    }
}

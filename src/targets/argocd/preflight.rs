//! What is asked of Argo CD before a commit, and what is asked of it to make way for a rollback. Sequences of calls only.

use super::ArgoCdTarget;
use super::client::Client;
use super::obstacles::{self, PlannedCommit};
use super::read::Application;
use super::sources::FollowedBranch;
use crate::problem::{Code, Problem};
use crate::release::Release;

impl ArgoCdTarget {
    /// What keeps the commit from being rolled out. What only delays a rollback does not refuse it.
    pub(super) async fn application_problems(&self, client: &Client, release: &Release) -> Vec<Problem> {
        let (application, branch) = match (client.application().await, self.branch_name().await) {
            (Ok(application), Ok(branch)) => (application, branch),
            (Err(problem), _) | (_, Err(problem)) => return vec![problem],
        };
        let name = self.settings.application.as_ref().map_or("", |name| name.as_str());
        let branch = FollowedBranch { repository: &self.writer.repository, branch: &branch };
        if self.settings.pull_request.is_enabled {
            let ignored = application.source_index(branch).is_none();
            return ignored
                .then(|| obstacles::ignores_branch(name, branch, &application))
                .into_iter()
                .collect();
        }
        let planned = PlannedCommit {
            application: name,
            branch,
            fields: &self.fields,
            image: release.image.as_ref().or(self.image_name.as_ref()),
            starts_sync: self.settings.sync,
        };
        let mut found = obstacles::find_obstacles(&application, &planned);
        found.extend(self.access_problems(client, &application, name).await);
        let is_rollback = release.rollback_to.is_some();
        let passes = |problem: &Problem| is_rollback && problem.code == Code::SyncFailed;
        found.into_iter().map(|one| if passes(&one) { one.into_warning() } else { one }).collect()
    }

    /// Sync windows, and the right to start a sync. A server that does not tell hinders nothing.
    async fn access_problems(&self, client: &Client, application: &Application, name: &str) -> Vec<Problem> {
        let by_hand = self.settings.sync;
        let may_sync = async {
            match by_hand {
                true => client.is_allowed("sync", &application.spec.project).await,
                false => None,
            }
        };
        let (windows, may_sync) = tokio::join!(client.sync_windows(), may_sync);
        let denial = windows.ok().and_then(|windows| windows.denial(by_hand));
        let denied = denial.map(|window| obstacles::denied_by_window(name, &window));
        let forbidden = (may_sync == Some(false)).then(|| obstacles::may_not_sync(name));
        denied.into_iter().chain(forbidden).collect()
    }

    /// Ends a sync of the reverted commit that fails and is retried: Argo CD starts no other one before it is over. It is
    /// an attempt: without the right `sync`, the sync ends when its retries do.
    pub(super) async fn end_failing_sync(&self, client: &Client, reverted: &str) {
        let Ok(application) = client.application().await else { return };
        let Some(operation) = &application.status.operation_state else { return };
        let is_retried = operation.is_running()
            && (operation.retry_count > 0 || operation.failed_resources().next().is_some());
        let is_ours = application.synced_revision(0).is_none_or(|revision| revision == reverted);
        if is_retried && is_ours {
            client.terminate_operation().await.ok();
        }
    }
}

/// The server is set and its token is missing.
pub(super) fn no_token_warning() -> Problem {
    Problem::warning(
        Code::CredentialsMissing,
        "`server` is set but its token is missing: the rollout will not be watched.",
    )
    .help("Set the input `argocd-token` or the variable ARGOCD_AUTH_TOKEN.")
}

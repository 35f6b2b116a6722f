//! Docker Compose on servers over SSH: a release is put beside those before it, and a transaction on each server moves traffic,
//! whether or not the run lives. Sequences of calls only.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{ChangeError, History, Limits, OneOffTasks, PullLogins, RunInfo, Target, TargetContext};
use crate::problem::{Code, Problem};
use crate::release::{
    Changes, Observed, Release, Rollout, RolloutStatus, ShiftKind, Staged, TrafficControl, TrafficShift,
    TrafficSupport,
};
use crate::retry::WriteError;

pub mod client;
pub mod compose_file;
pub mod diff;
pub mod env_file;
pub mod facts;
pub mod group_status;
pub mod hosts;
mod interfaces;
pub mod kind;
pub mod mutations;
pub mod observe;
pub mod one_off;
pub mod preflight;
pub mod proxy;
pub mod proxy_file;
pub mod read;
mod releases;
mod rollout;
pub mod rollout_ids;
pub mod set_env;
pub mod settings;
pub mod source;
pub mod status;
pub mod write;

#[cfg(test)]
mod compose_file_tests;
#[cfg(test)]
mod group_status_tests;
#[cfg(test)]
mod read_tests;
#[cfg(test)]
mod status_tests;

pub use settings::Settings;

use hosts::{HostGroup, HostState};
use read::version;
use rollout_ids::RolloutIds;
use source::ReleaseSource;
use write::ServerRequest;

/// One service of a Compose file on its servers.
pub struct ComposeTarget {
    settings: Settings,
    project: String,
    run: RunInfo,
    hosts: HostGroup,
    /// The logins of the deploy file, for the servers to pull with.
    logins: PullLogins,
    /// The files of the workspace, or why they cannot be read. A rollback needs none.
    source: Result<ReleaseSource, Vec<Problem>>,
}

impl ComposeTarget {
    /// The service with its settings. Its files are read; no connection is made.
    pub fn new(around: &TargetContext<'_>, settings: Settings) -> Self {
        let source = source::read_source(&settings, &around.workspace);
        let files = source.as_ref().map(|source| source.files.as_slice()).unwrap_or_default();
        let project = compose_file::project_name(&settings, files);
        let hosts = HostGroup::new(&around.remote_hosts, settings.hosts.remote_hosts());
        let logins = around.pull_logins.clone();
        Self { settings, project, run: around.run.clone(), hosts, logins, source }
    }

    fn request(&self, operation: &str) -> ServerRequest {
        ServerRequest::new(operation, &self.settings, &self.project)
    }

    /// The whole state of every server.
    async fn host_states(&self) -> Result<Vec<HostState>, Problem> {
        let request = self.request("observe");
        // The variables are read where they belong to the releases: `set-env` changes them.
        let request = if self.settings.env_file.is_some() { request.with_variables() } else { request };
        self.hosts.observe(&request).await
    }

    fn service(&self) -> &str {
        self.settings.service.as_str()
    }

    /// The state of an attempt on every server.
    async fn attempt_states(&self, ids: &RolloutIds) -> Result<Vec<HostState>, Problem> {
        self.hosts.attempt_states(&self.request("status"), ids).await
    }
}

/// What staging records for the attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StagedAttempt {
    ids: RolloutIds,
    /// Whether it returns to an earlier release: what a backup would keep then is what failed.
    is_rollback: bool,
}

fn parse_observed(observed: &Observed) -> Vec<HostState> {
    serde_json::from_value(observed.raw.clone()).unwrap_or_default()
}

#[async_trait(?Send)]
impl Target for ComposeTarget {
    async fn observe(&self) -> Result<Observed, Problem> {
        Ok(observe::observed(&self.host_states().await?, self.service()))
    }

    fn diff(&self, release: &Release, observed: &Observed) -> Result<Changes, Vec<Problem>> {
        let states = parse_observed(observed);
        let wanted = self.wanted_facts(release, &states)?.or_else(|| self.unbuilt_facts(release));
        let Some(wanted) = wanted else { return Ok(Changes::default()) };
        match release.env_changes.is_empty() {
            true => Ok(diff::compare(&states, &wanted)),
            false => Ok(set_env::diff(&states, &release.env_changes)),
        }
    }

    async fn preflight(&self, release: &Release, observed: &Observed) -> Vec<Problem> {
        let files = self.source.as_ref().err().filter(|_| release.creates_version());
        let states = parse_observed(observed);
        let addresses = self.settings.hosts.addresses();
        let hosts = addresses.iter().zip(&states);
        let found =
            hosts.flat_map(|(address, host)| preflight::check(&self.settings, address, &host.state, release));
        let found = files.into_iter().flatten().cloned().chain(found);
        found.map(|problem| problem.for_service(&release.service)).collect()
    }

    async fn stage(&self, release: &Release, observed: &Observed) -> Result<Staged, Problem> {
        let seen = parse_observed(observed);
        let staged = match &release.rollback_to {
            Some(former) => former.version.clone(),
            None => version(self.service(), self.create_release(release, &seen).await?),
        };
        let number = staged.id.parse().unwrap_or_default();
        let newest = seen.iter().filter_map(|host| host.state.newest_attempt).max();
        let ids = RolloutIds::next(&self.run, newest, number);
        Ok(Staged::new(staged, &StagedAttempt { ids, is_rollback: release.rollback_to.is_some() }))
    }

    async fn shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Rollout, ChangeError> {
        let handle = staged.read_handle::<StagedAttempt>();
        let own = handle.as_ref().map(|handle| handle.ids.clone());
        match &shift.kind {
            ShiftKind::Start { plan, .. } => {
                let unknown = || WriteError::NotMade(Problem::error(Code::Internal, "Nothing was staged."));
                self.start(handle.ok_or_else(unknown)?, &shift.version, plan).await
            }
            ShiftKind::Continue(rollout) => {
                let Some(ids) = RolloutIds::of(rollout).or(own) else { return Ok(rollout.clone()) };
                let is_rollback = handle.is_some_and(|handle| handle.is_rollback);
                let staged = StagedAttempt { ids, is_rollback };
                self.proceed(staged, rollout, shift.percent).await.map(|()| rollout.clone())
            }
            ShiftKind::RollBack(moved) => {
                let moved = moved.as_ref().and_then(RolloutIds::of).or(own);
                self.roll_back(moved.as_ref(), &shift.version).await
            }
        }
    }

    async fn find_shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Option<Rollout>, Problem> {
        let own = staged.read_handle::<StagedAttempt>().map(|handle| handle.ids);
        match &shift.kind {
            ShiftKind::Continue(rollout) => Ok(Some(rollout.clone())),
            ShiftKind::Start { plan, .. } => {
                let Some(ids) = own else { return Ok(None) };
                let started = self.has_started(&ids, &self.first_hosts(plan)).await?;
                Ok(started.then(|| ids.rollout(&shift.version)))
            }
            ShiftKind::RollBack(moved) => {
                let Some(moved) = moved.as_ref().and_then(RolloutIds::of).or(own) else { return Ok(None) };
                self.find_way_back(&moved, &shift.version).await
            }
        }
    }

    async fn status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        let Some(ids) = RolloutIds::of(rollout) else { return Ok(self.observe().await?.status) };
        let states = self.attempt_states(&ids).await?;
        Ok(group_status::rollout_status(&states, self.service(), &ids, &rollout.version))
    }

    fn limits(&self, _: &Observed) -> Limits {
        let missing = "The container is replaced in place: name the file of a proxy in `compose.proxy`.";
        let control = match self.settings.proxy {
            Some(_) => TrafficControl::Weighted,
            None => TrafficControl::InPlace,
        };
        let missing = (control == TrafficControl::InPlace).then(|| missing.to_owned());
        let settle = self.settings.settle.0;
        Limits {
            rollback_duration: Some(self.settings.start_timeout.0 + settle + Duration::from_secs(60)),
            ..TrafficSupport { control, missing }.into()
        }
    }

    fn history(&self) -> &dyn History {
        self
    }

    fn tasks(&self) -> Option<&dyn OneOffTasks> {
        Some(self)
    }
}

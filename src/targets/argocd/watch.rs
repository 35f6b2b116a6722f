//! Reads an application while its rollout is in progress: which reads, how often, and the memory between polls.
//! `status` interprets them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::branch_writers::BranchWriter;
use super::causes;
use super::client::Client;
use super::read::{Application, HealthStatus as Fares, ResourceStatus};
use super::rollouts;
use super::status::{self, Expected, StatusSnapshot};
use crate::problem::Problem;
use crate::release::{Failure, RolloutStatus};

/// Time between refreshes of Argo CD while it has not read our commit.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);
/// Time between reads of pods and rollouts while the application makes progress.
const DETAIL_INTERVAL: Duration = Duration::from_secs(6);

/// Memory between polls.
#[derive(Default)]
pub struct RolloutMemory {
    /// Whether commits contain ours: that never changes.
    contains_commit: BTreeMap<String, bool>,
    last_refresh: Option<Instant>,
    last_detail_read: Option<Instant>,
    synced_since: Option<Instant>,
    condition_error_since: Option<Instant>,
    out_of_sync_since: Option<Instant>,
    pod_failure: Option<(Instant, Failure)>,
    rollout_text: Option<String>,
    sync_requested: bool,
}

/// The watched application and branch.
pub struct RolloutWatch<'w> {
    /// The application.
    pub client: &'w Client,
    /// The branch of its manifests.
    pub writer: &'w BranchWriter,
    /// Its name, for messages.
    pub application: &'w str,
    /// Whether this run starts the sync.
    pub starts_sync: bool,
}

impl RolloutWatch<'_> {
    /// One poll. `commit` is the commit that must be live; `None` for any.
    pub async fn poll(
        &self,
        want: Expected<'_>,
        commit: Option<&str>,
        memory: &mut RolloutMemory,
    ) -> Result<RolloutStatus, Problem> {
        let application = self.client.application(memory.take_refresh()).await?;
        let source = application.source_index(&self.writer.repository);
        let source =
            source.ok_or_else(|| status::ignores_repository(self.application, &self.writer.repository))?;
        let compared = self.contains(commit, application.revision(source), memory).await?;
        let last = application.status.operation_state.as_ref().and_then(|state| state.revision(source));
        let synced = self.contains(commit, last, memory).await?;
        memory.update(&application, compared, synced);
        self.read_details(want, &application, compared, memory).await;
        self.start_sync(commit, &application, compared, memory).await?;
        let snapshot = StatusSnapshot {
            application: &application,
            source,
            compared_with_ours: compared,
            synced_to_ours: synced,
            synced_for: memory.synced_since.map_or(Duration::ZERO, |since| since.elapsed()),
            pod_failure: memory.pod_failure.as_ref().map(|(since, failure)| (since.elapsed(), failure)),
            condition_error_for: memory.condition_error_since.map(|since| since.elapsed()),
            out_of_sync_for: memory.out_of_sync_since.map(|since| since.elapsed()),
            rollout_text: memory.rollout_text.as_deref(),
        };
        Ok(self.with_events(status::rollout_status(want, &snapshot), &application).await)
    }

    /// Whether `revision` contains our commit.
    async fn contains(
        &self,
        commit: Option<&str>,
        revision: Option<&str>,
        memory: &mut RolloutMemory,
    ) -> Result<bool, Problem> {
        let (Some(commit), Some(revision)) = (commit, revision) else {
            return Ok(commit.is_none() && revision.is_some());
        };
        if commit == revision {
            return Ok(true);
        }
        if let Some(known) = memory.contains_commit.get(revision) {
            return Ok(*known);
        }
        let contained = self.writer.client.contains(&self.writer.repository, commit, revision).await;
        let contained = contained.map_err(|setback| setback.problem(&self.writer.repository))?;
        memory.contains_commit.insert(revision.to_owned(), contained);
        Ok(contained)
    }

    /// Pods report failures long before the application does, and rollouts report their progress.
    async fn read_details(
        &self,
        want: Expected<'_>,
        application: &Application,
        compared: bool,
        memory: &mut RolloutMemory,
    ) {
        let due = memory.last_detail_read.is_none_or(|at| at.elapsed() >= DETAIL_INTERVAL);
        let moves =
            ["Progressing", "Degraded", "Suspended"].contains(&application.status.health.status.as_str());
        if !(compared && due && moves) {
            return;
        }
        memory.last_detail_read = Some(Instant::now());
        let tree = self.client.tree().await.map(|tree| tree.nodes).unwrap_or_default();
        memory.set_pod_failure(causes::from_pods(&tree, want.image));
        let rollout = application.status.resources.iter().find(|resource| resource.kind == "Rollout");
        if let Some(rollout) = rollout {
            let live = self.client.live_manifest(rollout).await.unwrap_or_default();
            memory.rollout_text = rollouts::describe(&live);
        }
    }

    /// Starts the sync, once, if this run has to.
    async fn start_sync(
        &self,
        commit: Option<&str>,
        application: &Application,
        compared: bool,
        memory: &mut RolloutMemory,
    ) -> Result<(), Problem> {
        let wanted = self.starts_sync && compared && application.status.sync.status == "OutOfSync";
        let Some(commit) = commit.filter(|_| wanted && !memory.sync_requested) else { return Ok(()) };
        self.client.sync(commit).await?;
        memory.sync_requested = true;
        Ok(())
    }

    /// Adds the events of the failed resource to a failure.
    async fn with_events(&self, health: RolloutStatus, application: &Application) -> RolloutStatus {
        let RolloutStatus::Failed(failure) = health else { return health };
        let degraded = |resource: &&ResourceStatus| {
            resource.health.as_ref().is_some_and(|Fares { status, .. }| status == "Degraded")
        };
        let events = match application.status.resources.iter().find(degraded) {
            Some(resource) => self.client.events(resource).await.unwrap_or_default(),
            None => Vec::new(),
        };
        RolloutStatus::Failed(causes::with_events(failure, &events))
    }
}

impl RolloutMemory {
    /// Whether Argo CD should refresh now.
    fn take_refresh(&mut self) -> bool {
        let due = self.synced_since.is_none()
            && self.last_refresh.is_none_or(|at| at.elapsed() >= REFRESH_INTERVAL);
        if due {
            self.last_refresh = Some(Instant::now());
        }
        due
    }

    fn update(&mut self, application: &Application, compared: bool, synced: bool) {
        let (status, now) = (application.status.sync.status.as_str(), Instant::now());
        self.synced_since =
            if compared && status == "Synced" { self.synced_since.or(Some(now)) } else { None };
        let over = application.status.operation_state.as_ref().is_some_and(|last| last.phase == "Succeeded");
        let astray = compared && synced && over && status == "OutOfSync";
        self.out_of_sync_since = if astray { self.out_of_sync_since.or(Some(now)) } else { None };
        let broken = causes::from_conditions(&application.status.conditions).is_some();
        self.condition_error_since = if broken { self.condition_error_since.or(Some(now)) } else { None };
    }

    /// A failure counts from its first reading, and is forgotten once it is gone.
    fn set_pod_failure(&mut self, trouble: Option<Failure>) {
        let since = self.pod_failure.take().map(|(since, _)| since);
        self.pod_failure = trouble.map(|failure| (since.unwrap_or_else(Instant::now), failure));
    }
}

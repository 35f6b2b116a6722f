//! Reads an application while its rollout is in progress: which reads, how often, and the memory between polls.
//! `status` interprets them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::baseline::ApplicationBaseline;
use super::branch_writers::BranchWriter;
use super::causes;
use super::client::Client;
use super::managed::{ResourceKey, workloads_of};
use super::obstacles;
use super::read::{Application, ResourceStatus};
use super::rollouts;
use super::sources::FollowedBranch;
use super::status::{self, ApplicationDetails, Expected, StatusSnapshot};
use crate::problem::Problem;
use crate::release::{Failure, RolloutStatus};

/// Time between refreshes of Argo CD while it has not read our commit.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);
/// The same after a refresh that was not answered in time: Argo CD renders still.
const SLOW_REFRESH_INTERVAL: Duration = Duration::from_secs(60);
/// Time between reads of resources and rollouts while nothing changes.
const DETAIL_INTERVAL: Duration = Duration::from_secs(6);
/// Applications of an application that are looked at.
const MAX_CHILDREN: usize = 20;
/// Syncs that are started for one commit.
const MAX_SYNCS: u32 = 3;

/// Memory between polls.
#[derive(Default)]
pub struct RolloutMemory {
    /// Whether commits contain ours: that never changes.
    contains_commit: BTreeMap<String, bool>,
    next_refresh: Option<Instant>,
    details: Option<ApplicationDetails>,
    /// When the resources were read, and what the application was like then.
    details_read: Option<(Instant, [String; 4])>,
    synced_since: Option<Instant>,
    condition_error_since: Option<Instant>,
    out_of_sync_since: Option<Instant>,
    pod_failure: Option<(Instant, Failure)>,
    rollout_text: Option<String>,
    syncs_started: u32,
    refused_sync: Option<Failure>,
    child_applications: Vec<ResourceKey>,
    of_children: BTreeMap<String, RolloutMemory>,
}

/// The watched application and branch.
pub struct RolloutWatch<'w> {
    /// The application.
    pub client: &'w Client,
    /// The branch of its manifests.
    pub writer: &'w BranchWriter,
    /// The name of the branch.
    pub branch: &'w str,
    /// Its name, for messages.
    pub application: &'w str,
    /// Whether this run starts the sync.
    pub starts_sync: bool,
}

/// The commit that must be live, and what was true before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct WatchedCommit<'w> {
    /// The commit; `None` for any.
    pub oid: Option<&'w str>,
    /// The state before.
    pub baseline: Option<&'w ApplicationBaseline>,
}

/// One reading of the application.
struct ApplicationReading {
    application: Application,
    source: usize,
    /// Whether the compared commit contains ours, and whether that of its last sync does.
    compared: bool,
    synced: bool,
}

impl RolloutWatch<'_> {
    /// One poll: the status, and the application as it is, to compare with later. An application of applications leads to
    /// the one of them that runs the image.
    pub async fn poll(
        &self,
        want: Expected<'_>,
        commit: WatchedCommit<'_>,
        memory: &mut RolloutMemory,
    ) -> Result<(RolloutStatus, ApplicationBaseline), Problem> {
        let own = Box::pin(self.poll_application(want, commit, memory)).await?;
        for child in memory.children() {
            let client = self.client.for_application(&child.name, &child.namespace);
            let watch = RolloutWatch {
                client: &client,
                writer: self.writer,
                branch: self.branch,
                application: &child.name,
                starts_sync: false,
            };
            let memory = memory.of_children.entry(child.name.clone()).or_default();
            let polled = Box::pin(watch.poll_application(want, commit, memory)).await;
            if memory.has_workloads() {
                return polled;
            }
        }
        Ok(own)
    }

    async fn poll_application(
        &self,
        want: Expected<'_>,
        commit: WatchedCommit<'_>,
        memory: &mut RolloutMemory,
    ) -> Result<(RolloutStatus, ApplicationBaseline), Problem> {
        let reading = self.read(commit.oid, memory).await?;
        // A rollback can be proven without its commit, by what runs.
        let returns = commit.baseline.is_some_and(|before| before.returns);
        if reading.compared || (returns && memory.condition_error_since.is_some()) {
            Box::pin(self.read_details(want, &reading, memory)).await?;
        }
        memory.update(want, &reading, commit.baseline);
        self.start_sync(commit.oid, &reading, memory).await?;
        let workloads = memory.details.as_ref().map_or(&[][..], |details| details.workloads.as_slice());
        let seen = ApplicationBaseline::new(&reading.application, workloads);
        if let Some(failure) = &memory.refused_sync {
            return Ok((RolloutStatus::Failed(failure.clone()), seen));
        }
        let status = status::rollout_status(want, &memory.snapshot(&reading, commit.baseline));
        Ok((self.with_events(want, status, memory).await, seen))
    }

    async fn read(
        &self,
        commit: Option<&str>,
        memory: &mut RolloutMemory,
    ) -> Result<ApplicationReading, Problem> {
        let application = self.read_application(memory).await?;
        let branch = FollowedBranch { repository: &self.writer.repository, branch: self.branch };
        let source = application.source_index(branch);
        let source =
            source.ok_or_else(|| obstacles::ignores_branch(self.application, branch, &application))?;
        let compared = self.contains(commit, application.revision(source), memory).await?;
        let synced = self.contains(commit, application.synced_revision(source), memory).await?;
        Ok(ApplicationReading { source, compared, synced, application })
    }

    /// The application, refreshed if that is due. A refresh that takes long is not waited for: what is known is read.
    async fn read_application(&self, memory: &mut RolloutMemory) -> Result<Application, Problem> {
        let now = Instant::now();
        let due = memory.synced_since.is_none() && memory.next_refresh.is_none_or(|at| now >= at);
        if !due {
            return self.client.application().await;
        }
        let refreshed = self.client.refreshed_application().await;
        let interval = if refreshed.is_ok() { REFRESH_INTERVAL } else { SLOW_REFRESH_INTERVAL };
        let application = match refreshed {
            Ok(application) => application,
            Err(_) => self.client.application().await?,
        };
        memory.next_refresh = Some(now + interval);
        Ok(application)
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

    /// The resources of the application, when it changed or when it was not looked at for long. Pods report failures long
    /// before the application does, and rollouts report their progress.
    async fn read_details(
        &self,
        want: Expected<'_>,
        reading: &ApplicationReading,
        memory: &mut RolloutMemory,
    ) -> Result<(), Problem> {
        let now = (Instant::now(), visible_state(&reading.application, reading.source));
        let is_known =
            |(at, state): &(Instant, [String; 4])| at.elapsed() < DETAIL_INTERVAL && *state == now.1;
        if memory.details.is_some() && memory.details_read.as_ref().is_some_and(is_known) {
            return Ok(());
        }
        let (managed, tree, denied_by) =
            tokio::join!(self.client.managed_resources(), self.client.tree(), self.denial(reading));
        let (managed, tree) = (managed?, tree?);
        let workloads = workloads_of(&managed, want.image);
        memory.set_pod_failure(causes::from_pods(&tree.nodes, want.image));
        memory.rollout_text = self.rollout_text(&reading.application).await;
        memory.child_applications = child_applications(&reading.application);
        memory.details = Some(ApplicationDetails { workloads, tree, denied_by });
        memory.details_read = Some(now);
        Ok(())
    }

    /// The sync window that denies the sync for which the application waits.
    async fn denial(&self, reading: &ApplicationReading) -> Option<String> {
        let status = &reading.application.status;
        let is_idle = status.operation_state.as_ref().is_none_or(|last| !last.is_running());
        if status.sync.status != "OutOfSync" || !is_idle {
            return None;
        }
        self.client.sync_windows().await.ok()?.denial(self.starts_sync)
    }

    async fn rollout_text(&self, application: &Application) -> Option<String> {
        let moves = ["Progressing", "Degraded", "Suspended"];
        let rollout = application
            .status
            .resources
            .iter()
            .find(|resource| resource.kind == "Rollout" && moves.contains(&resource.health_status()))?;
        rollouts::describe(&self.client.live_manifest(rollout).await.unwrap_or_default())
    }

    /// Starts the sync if this run has to, and again if it was for an older commit.
    async fn start_sync(
        &self,
        commit: Option<&str>,
        reading: &ApplicationReading,
        memory: &mut RolloutMemory,
    ) -> Result<(), Problem> {
        let status = &reading.application.status;
        let is_free = status.operation_state.as_ref().is_none_or(|last| !last.is_running());
        let is_due = memory.syncs_started == 0 || (!reading.synced && memory.syncs_started < MAX_SYNCS);
        let wanted = self.starts_sync && reading.compared && status.sync.status == "OutOfSync";
        if commit.is_none() || !wanted || !is_free || !is_due {
            return Ok(());
        }
        match self.client.sync().await {
            Ok(true) => memory.syncs_started += 1,
            Ok(false) => {}
            Err(problem) => match causes::from_refused_sync(&problem) {
                Some(failure) => memory.refused_sync = Some(failure),
                None => return Err(problem),
            },
        }
        Ok(())
    }

    /// Adds warning events to a failure: of its pods, of what made them, of the workload.
    async fn with_events(
        &self,
        want: Expected<'_>,
        status: RolloutStatus,
        memory: &RolloutMemory,
    ) -> RolloutStatus {
        let (RolloutStatus::Failed(mut failure), Some(details)) = (status.clone(), &memory.details) else {
            return status;
        };
        let suspects = causes::suspects(&details.tree, &details.workloads, want.image);
        if let Some(pod) = suspects.iter().find(|node| node.kind == "Pod") {
            // A token without the right to logs leaves them out.
            failure.logs = self.client.pod_logs(pod).await.unwrap_or_default();
        }
        for node in suspects {
            let events = self.client.events(node).await.unwrap_or_default();
            if events.iter().any(|event| event.kind == "Warning") {
                failure = causes::with_events(failure, &events);
                break;
            }
        }
        RolloutStatus::Failed(failure)
    }
}

/// The applications that an application consists of.
fn child_applications(application: &Application) -> Vec<ResourceKey> {
    let all = application.status.resources.iter().map(ResourceStatus::key);
    all.filter(|key| key.kind == "Application" && key.group == "argoproj.io").take(MAX_CHILDREN).collect()
}

/// What changes when the resources of an application do.
fn visible_state(application: &Application, source: usize) -> [String; 4] {
    let status = &application.status;
    let revision = application.revision(source).unwrap_or_default().to_owned();
    let phase = status.operation_state.as_ref().map(|last| last.phase.clone());
    [status.sync.status.clone(), revision, status.health.status.clone(), phase.unwrap_or_default()]
}

impl RolloutMemory {
    fn has_workloads(&self) -> bool {
        self.details.as_ref().is_some_and(|details| !details.workloads.is_empty())
    }

    /// The applications to look at, where the application itself has no workload of the image.
    fn children(&self) -> Vec<ResourceKey> {
        if self.has_workloads() { Vec::new() } else { self.child_applications.clone() }
    }

    fn snapshot<'l>(
        &'l self,
        reading: &'l ApplicationReading,
        baseline: Option<&'l ApplicationBaseline>,
    ) -> StatusSnapshot<'l> {
        StatusSnapshot {
            application: &reading.application,
            source: reading.source,
            baseline,
            details: self.details.as_ref(),
            compared_with_ours: reading.compared,
            synced_to_ours: reading.synced,
            synced_for: self.synced_since.map_or(Duration::ZERO, |since| since.elapsed()),
            pod_failure: self.pod_failure.as_ref().map(|(since, failure)| (since.elapsed(), failure)),
            condition_error_for: self.condition_error_since.map(|since| since.elapsed()),
            out_of_sync_for: self.out_of_sync_since.map(|since| since.elapsed()),
            rollout_text: self.rollout_text.as_deref(),
        }
    }

    fn update(
        &mut self,
        want: Expected<'_>,
        reading: &ApplicationReading,
        baseline: Option<&ApplicationBaseline>,
    ) {
        let ApplicationReading { application, source, compared, synced } = reading;
        let (status, now) = (&application.status, Instant::now());
        let mut released = self.details.iter().flat_map(|details| &details.workloads);
        let is_live = released.any(|workload| workload.live_image(want.image).is_some());
        let returns = baseline.is_some_and(|before| before.returns);
        let is_settled = *compared && (status.sync.status == "Synced" || is_live || returns);
        self.synced_since = if is_settled { self.synced_since.or(Some(now)) } else { None };
        // Where a later commit is compared, being out of sync with it is no drift from ours.
        let same = application.revision(*source) == application.synced_revision(*source);
        let over = status.operation_state.as_ref().is_some_and(|last| last.phase == "Succeeded");
        let astray = *compared && *synced && over && same && status.sync.status == "OutOfSync";
        self.out_of_sync_since = if astray { self.out_of_sync_since.or(Some(now)) } else { None };
        let broken = causes::from_conditions(&status.conditions).is_some();
        self.condition_error_since = if broken { self.condition_error_since.or(Some(now)) } else { None };
    }

    /// A failure counts from its first reading, and is forgotten once it is gone.
    fn set_pod_failure(&mut self, trouble: Option<Failure>) {
        let since = self.pod_failure.take().map(|(since, _)| since);
        self.pod_failure = trouble.map(|failure| (since.unwrap_or_else(Instant::now), failure));
    }
}

//! The state of Argo CD and of what its applications run, as plain data.

use super::render::RenderedManifests;
use super::scenario::{ArgoCdAppSetting, ArgoCdSettings};
use crate::faults::TaskOutcome;

/// Argo CD.
#[derive(Debug, Clone, Default)]
pub struct ArgoCdState {
    /// What the scenario says of it.
    pub settings: ArgoCdSettings,
    /// Applications.
    pub apps: Vec<ArgoCdApp>,
    /// Time of the first requested refresh, epoch seconds.
    pub first_refresh_at: Option<f64>,
}

/// An application.
#[derive(Debug, Clone)]
pub struct ArgoCdApp {
    /// What the scenario says of it.
    pub spec: ArgoCdAppSetting,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`: every change raises it.
    pub resource_version: u64,
    /// When it was made, epoch seconds.
    pub created_at: f64,
    /// The last comparison.
    pub comparison: ComparisonResult,
    /// A requested refresh: its kind, and when it is done.
    pub refresh: Option<(String, f64)>,
    /// The running operation, else the last one.
    pub operation: Option<SyncOperation>,
    /// How many operations there were.
    pub operation_count: u64,
    /// Syncs that succeeded, oldest first.
    pub history: Vec<SyncHistoryEntry>,
    /// What was applied last; `None` before anything was.
    pub applied: Option<RenderedManifests>,
    /// Images that the world began with.
    pub initial_images: Vec<String>,
    /// What runs.
    pub workload: Workload,
    /// Health as the status shows it, and since when.
    pub health: (String, f64),
    /// Number of the next planned look at the workload: older ones are void.
    pub wake_number: u64,
}

/// What a comparison of Git with the cluster found.
#[derive(Debug, Clone, Default)]
pub struct ComparisonResult {
    /// `Synced`, `OutOfSync` or `Unknown`.
    pub status: String,
    /// Commits that were compared, one a source.
    pub revisions: Vec<String>,
    /// Manifests could not be made: the target revisions stand where commits would.
    pub is_unrenderable: bool,
    /// The workload is as its manifest.
    pub is_workload_synced: bool,
    /// Images of the manifests that were compared.
    pub images: Vec<String>,
    /// When, epoch seconds.
    pub compared_at: f64,
    /// Conditions: type, message, and since when.
    pub conditions: Vec<(String, String, f64)>,
}

/// A sync, running or ended.
#[derive(Debug, Clone)]
pub struct SyncOperation {
    /// Commits to sync to, one a source.
    pub revisions: Vec<String>,
    /// Who started it; `None` for Argo CD itself.
    pub initiated_by: Option<String>,
    /// Nothing is applied.
    pub dry_run: bool,
    /// What is no longer wanted is deleted.
    pub prune: bool,
    /// `Running`, `Succeeded`, `Failed` or `Error`.
    pub phase: String,
    /// Words to the phase.
    pub message: String,
    /// When it began, epoch seconds.
    pub started_at: f64,
    /// When it ended.
    pub finished_at: Option<f64>,
    /// How often it was tried again.
    pub retries: u32,
    /// What became of each resource.
    pub results: Vec<SyncResourceResult>,
    /// Hooks that have run.
    pub hooks_completed: usize,
    /// A sync of somebody else: it ends without changes.
    pub is_outside: bool,
}

impl SyncOperation {
    /// Whether it runs, or waits to be taken up.
    pub fn is_running(&self) -> bool {
        self.finished_at.is_none()
    }

    /// Whether the controller has taken it up: until then there is an operation, and no state of any.
    pub fn is_picked_up(&self, now: f64) -> bool {
        !self.is_running() || now >= self.started_at + 0.3
    }
}

/// One resource of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncResourceResult {
    /// API group; empty for the core.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// `Synced` or `SyncFailed`; empty for a hook.
    pub status: String,
    /// Words.
    pub message: String,
    /// `Running`, `Succeeded` or `Failed`.
    pub hook_phase: String,
    /// `PreSync`, `Sync` or `PostSync`.
    pub sync_phase: String,
    /// It is a hook.
    pub is_hook: bool,
}

/// An entry of the history.
#[derive(Debug, Clone)]
pub struct SyncHistoryEntry {
    /// Number, from 0.
    pub id: u64,
    /// Commits, one a source.
    pub revisions: Vec<String>,
    /// When the sync began.
    pub started_at: f64,
    /// When it ended.
    pub deployed_at: f64,
    /// Who started it; `None` for Argo CD itself.
    pub initiated_by: Option<String>,
}

/// A Deployment or a Rollout, and what it owns.
#[derive(Debug, Clone, Default)]
pub struct Workload {
    /// `metadata.uid`.
    pub uid: String,
    /// Replica sets, oldest first. The last one is of the current template.
    pub replica_sets: Vec<ReplicaSet>,
    /// `metadata.generation`.
    pub generation: u64,
    /// When the template last changed, epoch seconds.
    pub template_changed_at: f64,
    /// When the rollout last got on.
    pub last_progress: f64,
    /// Available pods of the current template at that time.
    pub max_available: usize,
    /// The rollout has ended well.
    pub is_complete: bool,
    /// Somebody paused it.
    pub is_paused: bool,
    /// Somebody deleted it.
    pub is_missing: bool,
    /// The canary of a Rollout.
    pub canary: CanaryState,
}

/// Where a canary stands.
#[derive(Debug, Clone, Default)]
pub struct CanaryState {
    /// Name of the stable replica set.
    pub stable_set: String,
    /// The current step; their number when all are done.
    pub step_index: usize,
    /// When the step began.
    pub step_started: f64,
    /// Why the update was aborted, and when.
    pub aborted: Option<(String, f64)>,
    /// The newest AnalysisRun.
    pub analysis: Option<AnalysisRun>,
}

/// An AnalysisRun.
#[derive(Debug, Clone)]
pub struct AnalysisRun {
    /// Its name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `Running`, `Successful` or `Failed`.
    pub phase: String,
    /// Words.
    pub message: String,
    /// When it began.
    pub started_at: f64,
    /// When its result is known.
    pub ends_at: f64,
    /// What the result will be.
    pub will_fail: bool,
}

/// A replica set.
#[derive(Debug, Clone)]
pub struct ReplicaSet {
    /// Its name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// Revision of the workload.
    pub revision: u32,
    /// Images of its template.
    pub images: Vec<String>,
    /// When it was made.
    pub created_at: f64,
    /// Its pods.
    pub pods: Vec<Pod>,
}

/// A pod.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// When it was made.
    pub created_at: f64,
    /// When its images are pulled.
    pub pulled_at: f64,
    /// When its containers run.
    pub started_at: f64,
    /// When it is ready, if ever.
    pub ready_at: f64,
    /// What becomes of it.
    pub outcome: TaskOutcome,
    /// No node has room for it.
    pub is_unschedulable: bool,
    /// When a terminating pod is removed.
    pub ends_at: Option<f64>,
}

impl ArgoCdApp {
    /// Place of the application with this name, in this namespace if one is given.
    pub fn find_index(state: &ArgoCdState, name: &str, namespace: &str) -> Option<usize> {
        state.apps.iter().position(|app| {
            let own = app.spec.argo_namespace.as_deref().unwrap_or(&state.settings.namespace);
            let wanted = if namespace.is_empty() { state.settings.namespace.as_str() } else { namespace };
            app.spec.name == name && own == wanted
        })
    }

    /// Images that were applied last.
    pub fn workload_images(&self) -> Option<&[String]> {
        self.applied.as_ref().map(|live| live.images.as_slice())
    }

    /// Whether images were synced that the world did not begin with.
    pub fn has_new_images(&self) -> bool {
        self.workload_images().is_some_and(|images| images != self.initial_images)
    }

    /// Images as admission leaves them.
    pub fn admitted_images(&self, images: &[String]) -> Vec<String> {
        images.iter().map(|image| self.admitted_image(image)).collect()
    }

    /// Whether these are the images that the world began with.
    pub fn is_initial(&self, images: &[String]) -> bool {
        images == self.initial_images || images == self.admitted_images(&self.initial_images)
    }

    fn admitted_image(&self, image: &str) -> String {
        let Some(mirror) = &self.spec.mirror else { return image.to_owned() };
        let (first, rest) = image.split_once('/').unwrap_or(("", image));
        let name = if first.contains(['.', ':']) { rest } else { image };
        format!("{mirror}/{name}")
    }

    /// Whether an operation runs.
    pub fn is_operation_running(&self) -> bool {
        self.operation.as_ref().is_some_and(SyncOperation::is_running)
    }
}

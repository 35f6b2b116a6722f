//! The state of Argo CD and of what its applications run, as plain data.

use super::render::Rendered;
use super::setting::{Application, ArgoCd};
use crate::rehearsal::faults::Fate;

/// Argo CD.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// What the scenario says of it.
    pub setting: ArgoCd,
    /// Applications.
    pub apps: Vec<App>,
    /// When a comparison first found other images than those the world began with, epoch seconds.
    pub changed: Option<f64>,
    /// When the first refresh was asked for, epoch seconds.
    pub refreshed: Option<f64>,
}

/// An application.
#[derive(Debug, Clone)]
pub struct App {
    /// What the scenario says of it.
    pub setting: Application,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`: every change raises it.
    pub version: u64,
    /// When it was made, epoch seconds.
    pub created: f64,
    /// The last comparison.
    pub compared: Comparison,
    /// A refresh that was asked for: its kind, and when it will be worked.
    pub refresh: Option<(String, f64)>,
    /// The running operation, else the last one.
    pub operation: Option<Operation>,
    /// How many operations there were.
    pub operations: u64,
    /// Syncs that succeeded, oldest first.
    pub history: Vec<Deployed>,
    /// What was applied last; `None` before anything was.
    pub live: Option<Rendered>,
    /// Images that the world began with.
    pub founding: Vec<String>,
    /// What runs.
    pub workload: Workload,
    /// Health as the status shows it, and since when.
    pub health: (String, f64),
    /// Number of the next planned look at the workload: older ones are void.
    pub wake: u64,
}

/// What a comparison of Git with the cluster found.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// `Synced`, `OutOfSync` or `Unknown`.
    pub status: String,
    /// Commits that were compared, one a source.
    pub revisions: Vec<String>,
    /// When, epoch seconds.
    pub at: f64,
    /// Conditions: type, message, and since when.
    pub conditions: Vec<(String, String, f64)>,
}

/// A sync, running or ended.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Commits to sync to, one a source.
    pub revisions: Vec<String>,
    /// Who asked for it; `None` for Argo CD itself.
    pub by: Option<String>,
    /// Nothing is applied.
    pub dry_run: bool,
    /// What is no longer wanted is deleted.
    pub prune: bool,
    /// `Running`, `Succeeded`, `Failed` or `Error`.
    pub phase: String,
    /// Words to the phase.
    pub message: String,
    /// When it began, epoch seconds.
    pub started: f64,
    /// When it ended.
    pub finished: Option<f64>,
    /// How often it was tried again.
    pub retries: u32,
    /// What became of each resource.
    pub results: Vec<SyncedResource>,
    /// Hooks that have run.
    pub hooks: usize,
    /// Somebody else's: it ends by itself and applies what is live already.
    pub foreign: bool,
}

impl Operation {
    /// Whether it runs, or waits to be taken up.
    pub fn running(&self) -> bool {
        self.finished.is_none()
    }

    /// Whether the controller has taken it up: until then there is an operation, and no state of any.
    pub fn taken_up(&self, now: f64) -> bool {
        !self.running() || now >= self.started + 0.3
    }
}

/// One resource of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncedResource {
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
    pub phase: String,
    /// `PreSync`, `Sync` or `PostSync`.
    pub stage: String,
    /// It is a hook.
    pub hook: bool,
}

/// An entry of the history.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Number, from 0.
    pub id: u64,
    /// Commits, one a source.
    pub revisions: Vec<String>,
    /// When the sync began.
    pub started: f64,
    /// When it ended.
    pub at: f64,
    /// Who asked for it; `None` for Argo CD itself.
    pub by: Option<String>,
}

/// A Deployment or a Rollout, and what it owns.
#[derive(Debug, Clone, Default)]
pub struct Workload {
    /// `metadata.uid`.
    pub uid: String,
    /// Replica sets, oldest first. The last one is of the current template.
    pub sets: Vec<ReplicaSet>,
    /// `metadata.generation`.
    pub generation: u64,
    /// When the template last changed, epoch seconds.
    pub applied: f64,
    /// When the rollout last got on.
    pub progressed: f64,
    /// Available pods of the current template at that time.
    pub reached: usize,
    /// The rollout has ended well.
    pub complete: bool,
    /// Somebody paused it.
    pub paused: bool,
    /// Somebody deleted it.
    pub missing: bool,
    /// The canary of a Rollout.
    pub canary: Canary,
}

/// Where a canary stands.
#[derive(Debug, Clone, Default)]
pub struct Canary {
    /// Name of the stable replica set.
    pub stable: String,
    /// The current step; their number when all are done.
    pub index: usize,
    /// When the step began.
    pub began: f64,
    /// Why the update was aborted, and when.
    pub aborted: Option<(String, f64)>,
    /// The newest AnalysisRun.
    pub analysis: Option<Analysis>,
}

/// An AnalysisRun.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// Its name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `Running`, `Successful` or `Failed`.
    pub phase: String,
    /// Words.
    pub message: String,
    /// When it began.
    pub began: f64,
    /// When its result is known.
    pub ends: f64,
    /// What the result will be.
    pub fails: bool,
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
    pub created: f64,
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
    pub created: f64,
    /// When its images are pulled.
    pub pulled: f64,
    /// When its containers run.
    pub started: f64,
    /// When it is ready, if ever.
    pub ready: f64,
    /// What becomes of it.
    pub fate: Fate,
    /// No node has room for it.
    pub starved: bool,
    /// When it is gone, once it was told to end.
    pub ends: Option<f64>,
}

impl App {
    /// Place of the application with this name, in this namespace if one is given.
    pub fn find(state: &State, name: &str, namespace: &str) -> Option<usize> {
        state.apps.iter().position(|app| {
            let own = app.setting.argo_namespace.as_deref().unwrap_or(&state.setting.namespace);
            let wanted = if namespace.is_empty() { state.setting.namespace.as_str() } else { namespace };
            app.setting.name == name && own == wanted
        })
    }

    /// Whether an operation runs.
    pub fn busy(&self) -> bool {
        self.operation.as_ref().is_some_and(Operation::running)
    }
}

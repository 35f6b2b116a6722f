//! Argo CD in a scenario file: its applications, what the caller's token may do, how long things take. Types only.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rng::{SecondsRange, seconds_range};

/// Argo CD.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ArgoCdSettings {
    /// Applications that are synced and healthy when the world begins.
    pub applications: Vec<ArgoCdAppSetting>,
    /// The only token that is known; any is when absent.
    pub token: Option<String>,
    /// What tokens may do with applications: `get`, `sync`, `override`, and `logs` for the logs of pods.
    pub rights: Vec<String>,
    /// Projects whose applications tokens may see; `*` is any.
    pub projects: Vec<String>,
    /// Namespace of applications that name none.
    pub namespace: String,
    /// Seconds between two looks at Git.
    pub poll: f64,
    /// Seconds that a look may come later.
    pub jitter: SecondsRange,
    /// Seconds between the request of a refresh and its end.
    pub refresh: SecondsRange,
    /// Seconds from the beginning of a sync to everything being applied.
    pub sync: SecondsRange,
}

impl Default for ArgoCdSettings {
    fn default() -> Self {
        Self {
            applications: Vec::new(),
            token: None,
            rights: vec!["get".into(), "sync".into(), "override".into(), "logs".into()],
            projects: vec!["*".into()],
            namespace: "argocd".into(),
            poll: 180.0,
            jitter: seconds_range(0.0, 60.0),
            refresh: seconds_range(0.5, 2.0),
            sync: seconds_range(2.0, 6.0),
        }
    }
}

/// An application of Argo CD, with one workload that runs every image of its files.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ArgoCdAppSetting {
    /// Its name, and the name of its workload.
    pub name: String,
    /// Its project.
    pub project: String,
    /// Namespace that it deploys to.
    pub namespace: String,
    /// Namespace of the application itself; Argo CD's own when absent.
    pub argo_namespace: Option<String>,
    /// Where its manifests are; several make a multi-source application.
    pub sources: Vec<AppSourceSetting>,
    /// Whether it has automated sync.
    pub automated: bool,
    /// Whether it reverts changes of somebody else in the cluster (`selfHeal`).
    pub self_heal: bool,
    /// Whether an automated sync deletes what is no longer wanted.
    pub prune: bool,
    /// How often a sync that fails is tried again; 5 when absent and automated, else 0, as in Argo CD.
    pub retry: Option<u32>,
    /// `Deployment`, `StatefulSet`, `CronJob`, `Rollout`, or `None` for an application of applications.
    pub workload: String,
    /// Further resources of the application.
    pub resources: Vec<AppResourceSetting>,
    /// `kustomize.images` of its source: they win over the files.
    pub image_overrides: Vec<String>,
    /// `helm.parameters` of its source, by name.
    pub helm_parameters: BTreeMap<String, String>,
    /// A registry that admission writes before the images of what is applied.
    pub mirror: Option<String>,
    /// Sync windows of its project.
    pub windows: Vec<SyncWindowSetting>,
    /// The branch that a source hydrator writes and Argo CD syncs; the source is then the dry one.
    pub hydrated_branch: Option<String>,
    /// Pods of the workload.
    pub replicas: u32,
    /// Steps of a Rollout's canary.
    pub steps: Vec<CanaryStep>,
    /// Hooks of a sync, in their order.
    pub hooks: Vec<SyncHook>,
    /// Seconds without progress after which a rollout counts as failed.
    pub progress_deadline: f64,
}

impl Default for ArgoCdAppSetting {
    fn default() -> Self {
        Self {
            name: String::new(),
            project: "default".into(),
            namespace: "default".into(),
            argo_namespace: None,
            sources: Vec::new(),
            automated: true,
            self_heal: false,
            prune: true,
            retry: None,
            workload: "Deployment".into(),
            resources: Vec::new(),
            image_overrides: Vec::new(),
            helm_parameters: BTreeMap::new(),
            mirror: None,
            windows: Vec::new(),
            hydrated_branch: None,
            replicas: 2,
            steps: Vec::new(),
            hooks: Vec::new(),
            progress_deadline: 600.0,
        }
    }
}

/// A resource beside the workload: it is as it is, unless a sync of new images changes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AppResourceSetting {
    /// Its kind.
    pub kind: String,
    /// Its API group; empty for the core.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Images that its manifest names.
    pub images: Vec<String>,
    /// Its health; a kind without one when empty.
    pub health: String,
    /// Words to its health.
    pub message: String,
    /// It is out of sync, whatever is synced.
    pub out_of_sync: bool,
    /// It is in no manifest any more, and waits to be pruned.
    pub requires_pruning: bool,
    /// Each sync fails for it, with these words.
    pub sync_error: String,
    /// Its health once images were synced that the world did not begin with.
    pub health_after: String,
    /// Words to that health.
    pub message_after: String,
}

/// A window that denies syncs.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SyncWindowSetting {
    /// Its schedule as the project has it.
    pub schedule: String,
    /// Its duration as the project has it.
    pub duration: String,
    /// Whether a sync by hand is allowed.
    pub manual_sync: bool,
    /// When it becomes active, in seconds after the world began.
    pub from: f64,
    /// When it ends, in seconds after the world began.
    pub until: f64,
}

impl Default for SyncWindowSetting {
    fn default() -> Self {
        let (schedule, duration) = ("* * * * *".into(), "1h".into());
        Self { schedule, duration, manual_sync: false, from: 0.0, until: f64::INFINITY }
    }
}

/// A place that manifests come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AppSourceSetting {
    /// `owner/name`.
    pub repository: String,
    /// `targetRevision`: a branch, a commit, or `HEAD` (when empty) for the default branch.
    pub branch: String,
    /// Files that the manifests are made from: kustomizations, values, manifests.
    pub files: Vec<String>,
    /// A chart of a Helm repository instead: `branch` is its version, and no file is read.
    pub chart: Option<String>,
}

/// One step of a canary.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CanaryStep {
    /// So many percent of the pods run the new version.
    SetWeight(u32),
    /// A pause of this number of seconds; 0 lasts until somebody promotes the Rollout.
    Pause(f64),
    /// An AnalysisRun that takes this number of seconds.
    Analysis(f64),
}

/// A hook of a sync.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SyncHook {
    /// Name of its Job.
    pub name: String,
    /// `PreSync`, `Sync` or `PostSync`.
    #[serde(default = "pre_sync")]
    pub phase: String,
    /// Seconds that it takes.
    pub seconds: f64,
}

impl ArgoCdSettings {
    /// What types cannot say. The error names the application.
    pub fn validate(&self) -> Result<(), String> {
        self.applications.iter().try_for_each(|app| {
            app.validate().map_err(|why| format!("argocd: application {}: {why}", app.name))
        })
    }
}

impl ArgoCdAppSetting {
    fn validate(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("it has no name".into());
        }
        if self.sources.is_empty() {
            return Err("it has no sources".into());
        }
        if !["Deployment", "StatefulSet", "CronJob", "Rollout", "None"].contains(&self.workload.as_str()) {
            return Err(format!(
                "workload: {} is none of Deployment, StatefulSet, CronJob, Rollout",
                self.workload
            ));
        }
        let known = |hook: &SyncHook| ["PreSync", "Sync", "PostSync"].contains(&hook.phase.as_str());
        match self.hooks.iter().find(|hook| !known(hook)) {
            Some(hook) => {
                Err(format!("hook {}: {} is none of PreSync, Sync, PostSync", hook.name, hook.phase))
            }
            None => Ok(()),
        }
    }

    /// Kind and API group of its workload.
    pub fn workload_kind(&self) -> (&str, &'static str) {
        let group = match self.workload.as_str() {
            "Rollout" => "argoproj.io",
            "CronJob" => "batch",
            _ => "apps",
        };
        (&self.workload, group)
    }

    /// Whether it has a workload of its own.
    pub fn has_workload(&self) -> bool {
        self.workload != "None"
    }

    /// Pods that it should have.
    pub fn pod_count(&self) -> usize {
        if ["CronJob", "None"].contains(&self.workload.as_str()) { 0 } else { self.replicas as usize }
    }

    /// Whether a further resource is out of sync.
    pub fn has_resource_out_of_sync(&self) -> bool {
        self.resources.iter().any(|it| it.out_of_sync || it.requires_pruning)
    }

    /// Version of the API of its workload.
    pub fn workload_version(&self) -> &'static str {
        if self.workload == "Rollout" { "v1alpha1" } else { "v1" }
    }

    /// The sync window that is active `elapsed` seconds after the world began.
    pub fn active_window(&self, elapsed: f64) -> Option<&SyncWindowSetting> {
        self.windows.iter().find(|window| elapsed >= window.from && elapsed < window.until)
    }

    /// Whether its status speaks of several revisions.
    pub fn is_multi_source(&self) -> bool {
        self.sources.len() > 1
    }

    /// How often a sync that fails is tried again.
    pub fn retry_limit(&self, automated: bool) -> u32 {
        self.retry.unwrap_or(if automated { 5 } else { 0 })
    }
}

impl AppSourceSetting {
    /// `targetRevision` as the application shows it.
    pub fn target_revision(&self) -> &str {
        if self.branch.is_empty() { "HEAD" } else { &self.branch }
    }

    /// Folder of its first file.
    pub fn first_folder(&self) -> &str {
        let first = self.files.first().map_or("", String::as_str);
        first.rsplit_once('/').map_or(".", |(folder, _)| folder)
    }

    /// Where Argo CD takes it from.
    pub fn repo_url(&self) -> String {
        match &self.chart {
            Some(_) => format!("https://charts.example/{}", self.repository),
            None => format!("https://github.com/{}.git", self.repository),
        }
    }
}

fn pre_sync() -> String {
    "PreSync".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_application_is_named_in_the_error() {
        let read = |text: &str| serde_saphyr::from_str::<ArgoCdSettings>(text).unwrap().validate();
        let source = "sources: [{ repository: acme/manifests, files: [web/values.yaml] }]";
        assert_eq!(read(&format!("applications: [{{ name: web, {source} }}]")), Ok(()));
        let error = read("applications: [{ name: web }]").unwrap_err();
        assert_eq!(error, "argocd: application web: it has no sources");
        let error = read(&format!("applications: [{{ name: web, workload: Job, {source} }}]")).unwrap_err();
        assert!(error.contains("Job is none of Deployment, StatefulSet"), "{error}");
        let error = read(&format!(
            "applications: [{{ name: web, hooks: [{{ name: x, phase: Later, seconds: 1 }}], {source} }}]"
        ));
        assert!(error.unwrap_err().contains("hook x: Later"));
    }
}

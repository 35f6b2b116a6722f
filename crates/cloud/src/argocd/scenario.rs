//! Argo CD in a scenario file: its applications, what the caller's token may do, how long things take. Types only.

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
    /// What tokens may do with applications: `get`, `sync`.
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
            rights: vec!["get".into(), "sync".into()],
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
    /// How often a sync that fails is tried again; 5 when absent and automated, else 0, as in Argo CD.
    pub retry: Option<u32>,
    /// `Deployment` or `Rollout`.
    pub workload: String,
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
            retry: None,
            workload: "Deployment".into(),
            replicas: 2,
            steps: Vec::new(),
            hooks: Vec::new(),
            progress_deadline: 600.0,
        }
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
        if !["Deployment", "Rollout"].contains(&self.workload.as_str()) {
            return Err(format!("workload: {} is none of Deployment, Rollout", self.workload));
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
        (&self.workload, if self.workload == "Rollout" { "argoproj.io" } else { "apps" })
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
        assert!(error.contains("Job is none of Deployment, Rollout"), "{error}");
        let error = read(&format!(
            "applications: [{{ name: web, hooks: [{{ name: x, phase: Later, seconds: 1 }}], {source} }}]"
        ));
        assert!(error.unwrap_err().contains("hook x: Later"));
    }
}

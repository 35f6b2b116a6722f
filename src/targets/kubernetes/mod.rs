//! Straight to a cluster of Kubernetes: the template of a Deployment, StatefulSet or DaemonSet is swapped by one patch, its rollout
//! is judged by what its pods do, and a rollback swaps the template that served back. Sequences of calls only.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{ChangeError, History, Limits, OneOffTasks, Target};
use crate::config::Service;
use crate::problem::{Code, Problem};
use crate::release::{
    Changes, CompletedVersion, Diagnosis, Observed, Release, RollbackTarget, Rollout, RolloutStatus,
    ShiftKind, Staged, StartedTask, TaskCommand, TaskStatus, TrafficControl, TrafficShift, TrafficSupport,
    Version,
};

pub mod access;
pub mod causes;
pub mod client;
pub mod error;
pub mod grants;
pub mod history;
pub mod kind;
pub mod mutations;
pub mod observe;
pub mod one_off;
pub mod preflight;
pub mod read;
pub mod settings;
pub mod status;
pub mod verdict;
#[cfg(test)]
mod verdict_tests;
pub mod write;

use client::{Client, FIELD_MANAGER};
use error::{ApiError, ErrorKind};
use mutations::{SwapState, TemplateSwap};
use observe::{DeployedContainers, observed, template_version};
use read::{WorkloadObject, template_id};
use settings::{Settings, WorkloadName};
use status::{RolloutMemory, StatusQuery, read_state, rollout_status};
use verdict::ExpectedRollout;
use write::{StagedTemplate, TemplateChange, changed_template, find_container};

/// One workload of a cluster.
pub struct KubernetesTarget {
    client: Client,
    service: String,
    name: WorkloadName,
    settings: Settings,
    /// Whether a command runs before a new version.
    has_command: bool,
    /// Variables whose values may be shown.
    shown_variables: Vec<String>,
    memories: RefCell<BTreeMap<Vec<String>, Rc<Mutex<RolloutMemory>>>>,
}

impl KubernetesTarget {
    /// The workload that the settings name.
    pub fn new(client: Client, service: &Service, settings: Settings) -> Self {
        Self {
            client,
            service: service.name.clone(),
            name: settings.workload.clone(),
            settings,
            has_command: service.config.before.is_some(),
            shown_variables: service.config.show_env.iter().map(|name| name.as_str().to_owned()).collect(),
            memories: RefCell::default(),
        }
    }

    /// The container that gets the image of the service.
    fn container(&self, template: &Value) -> Result<String, Problem> {
        find_container(template, self.settings.container.as_ref().map(|name| name.as_str()))
    }

    /// The template of a release.
    fn wanted_template(&self, release: &Release, running: &Value) -> Result<Value, Vec<Problem>> {
        if let Some(former) = &release.rollback_to {
            return Ok(former.definition.clone());
        }
        let container = self.container(running).map_err(|problem| vec![problem])?;
        let declared = self.settings.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let change = match release.env_changes.is_empty() {
            true => TemplateChange {
                image: release.image.as_ref(),
                further_images: Some(&release.container_images),
                variables: declared.collect(),
                removed: Vec::new(),
            },
            false => TemplateChange {
                variables: release
                    .env_changes
                    .iter()
                    .filter_map(|one| Some((one.name.as_str(), one.value.as_deref()?)))
                    .collect(),
                removed: release
                    .env_changes
                    .iter()
                    .filter(|one| one.value.is_none())
                    .map(|one| one.name.as_str())
                    .collect(),
                ..TemplateChange::default()
            },
        };
        changed_template(running, &container, &change)
    }

    fn workload_of(&self, observed: &Observed) -> WorkloadObject {
        serde_json::from_value(observed.raw.clone()).unwrap_or_default()
    }

    fn missing(&self, error: ApiError) -> Problem {
        if error.kind != ErrorKind::NotFound {
            return error.problem;
        }
        let namespace = self.client.namespace();
        let sentence =
            format!("There is no {} in the namespace `{namespace}` of {}.", self.name, self.client.title());
        Problem::error(Code::ServiceMissing, sentence)
            .cause(error.message)
            .help("Check `workload`, `namespace` and `cluster`. Roadstead changes workloads that exist, and creates none.")
    }

    /// The template that a shift brings into service, and the ones that it may replace.
    async fn swap_of(&self, staged: &Staged, shift: &TrafficShift) -> Result<TemplateSwap, Problem> {
        let handle: Option<StagedTemplate> = staged.read_handle();
        let known = handle.iter().flat_map(|handle| [&handle.after, &handle.before]);
        let known = known.cloned().find(|template| template_version(&self.name, template) == shift.version);
        let to = match known {
            Some(template) => template,
            None => self.load_template(&shift.version).await?,
        };
        let replaceable = match (&shift.kind, &handle) {
            (ShiftKind::RollBack(Some(rollout)), _) => {
                let of_rollout = ExpectedRollout::from_rollout(rollout).map(|expected| expected.template);
                of_rollout.into_iter().chain(handle.iter().map(|handle| template_id(&handle.after))).collect()
            }
            (ShiftKind::RollBack(None), Some(handle)) => vec![template_id(&handle.after)],
            (ShiftKind::Start { .. } | ShiftKind::Continue(_), Some(handle)) => {
                vec![template_id(&handle.before)]
            }
            (_, None) => Vec::new(),
        };
        Ok(TemplateSwap { uid: handle.map(|handle| handle.uid), replaceable, to })
    }

    async fn load_template(&self, version: &Version) -> Result<Value, Problem> {
        let state = read_state(&self.client, &self.name).await.map_err(|error| self.missing(error))?;
        let current = state.workload.spec.template.clone();
        let kept = state.revisions.iter().map(|one| one.template(self.name.kind));
        let found =
            std::iter::once(current).chain(kept).find(|one| template_version(&self.name, one) == *version);
        found.ok_or_else(|| {
            let sentence = format!("The template of {} is no longer in the cluster.", version.label);
            Problem::error(Code::RollbackTargetBroken, sentence)
                .help("Choose another version, or deploy the image again.")
        })
    }

    /// The rollout of a workload that has just got its template.
    fn rollout_of(&self, version: &Version, workload: &WorkloadObject) -> Rollout {
        let container = self.container(&workload.spec.template).ok();
        let ours = workload.metadata.managed_fields.iter().filter(|one| one.manager == FIELD_MANAGER);
        let started = ours.filter_map(|one| one.time).max();
        let expected =
            ExpectedRollout::of_workload(workload, &container.into_iter().collect::<Vec<_>>(), started);
        Rollout { version: version.id.clone(), label: version.label.clone(), ids: expected.to_ids() }
    }

    fn memory(&self, rollout: &Rollout) -> Rc<Mutex<RolloutMemory>> {
        let key = std::iter::once(&rollout.version).chain(&rollout.ids).cloned().collect();
        self.memories.borrow_mut().entry(key).or_default().clone()
    }

    fn expected(&self, rollout: &Rollout) -> Result<ExpectedRollout, Problem> {
        ExpectedRollout::from_rollout(rollout).ok_or_else(|| {
            Problem::error(
                Code::Internal,
                format!("Nothing is recorded of the rollout of {}.", rollout.label),
            )
        })
    }

    async fn look(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        let expected = self.expected(rollout)?;
        let container = expected.images.first().map(|one| one.container.clone()).unwrap_or_default();
        let deadline_seconds = self.settings.progress_deadline_seconds.map(|seconds| seconds.0);
        let query =
            StatusQuery { client: &self.client, name: &self.name, container: &container, deadline_seconds };
        let version = Version { id: rollout.version.clone(), label: rollout.label.clone() };
        let memory = self.memory(rollout);
        let mut memory = memory.lock().await;
        rollout_status(&query, &expected, &version, &mut memory).await
    }

    /// The problems of the rights that the token has.
    async fn right_problems(&self) -> Vec<Problem> {
        let needed = preflight::needed_rights(&self.name, self.has_command);
        let answers = join_all(needed.iter().map(|needed| self.client.is_allowed(&needed.right))).await;
        let mut problems = Vec::new();
        for (needed, answer) in needed.iter().zip(answers) {
            match answer {
                Ok(true) => {}
                Ok(false) => problems.push(preflight::missing_right(needed, self.client.namespace())),
                Err(error) => {
                    let sentence = "The rights of the token could not be checked.";
                    let problem =
                        Problem::warning(Code::PermissionUnchecked, sentence).cause(error.to_string());
                    return vec![problem];
                }
            }
        }
        problems
    }

    /// What the server would say of the patch itself.
    async fn dry_run_problem(&self, release: &Release, observed: &Observed) -> Option<Problem> {
        let after = self.wanted_template(release, &observed.definition).ok()?;
        if after == observed.definition {
            return None;
        }
        let workload = self.workload_of(observed);
        let patch = write::template_patch(&workload.metadata.uid, &observed.definition, &after);
        match self.client.patch_workload(&self.name, &patch, true).await {
            Ok(_) => None,
            // Somebody changed it since it was observed: it is observed again before the change.
            Err(error) if error.kind == ErrorKind::Invalid && !error.message.contains("is invalid") => None,
            Err(error)
                if matches!(error.kind, ErrorKind::Invalid | ErrorKind::Refused | ErrorKind::Forbidden) =>
            {
                let sentence = format!(
                    "The API server refuses the new template of `{}`. Nothing was changed.",
                    self.name
                );
                Some(
                    Problem::error(Code::UpdateRefused, sentence)
                        .cause(error.message)
                        .help("The message says why."),
                )
            }
            Err(error) => {
                let sentence = "The change could not be tried before it is made.";
                Some(Problem::warning(Code::PermissionUnchecked, sentence).cause(error.to_string()))
            }
        }
    }
}

#[async_trait(?Send)]
impl Target for KubernetesTarget {
    async fn observe(&self) -> Result<Observed, Problem> {
        let state = read_state(&self.client, &self.name).await.map_err(|error| self.missing(error))?;
        let main = self.container(&state.workload.spec.template).unwrap_or_default();
        Ok(observed(&self.name, state, DeployedContainers { main: &main, further: &[] }))
    }

    fn diff(&self, release: &Release, observed: &Observed) -> Result<Changes, Vec<Problem>> {
        let running = &observed.definition;
        let wanted = self.wanted_template(release, running)?;
        let container = self.container(running).unwrap_or_default();
        Ok(write::diff(running, &wanted, &container, &self.shown_variables))
    }

    async fn preflight(&self, release: &Release, observed: &Observed) -> Vec<Problem> {
        let mut problems = preflight::workload_problems(&self.name, &self.workload_of(observed));
        if release.rollback_to.is_none() {
            problems.extend(self.container(&observed.definition).err());
        }
        problems.extend(self.right_problems().await);
        problems
    }

    async fn preflight_image(&self, release: &Release, observed: &Observed) -> Vec<Problem> {
        self.dry_run_problem(release, observed).await.into_iter().collect()
    }

    /// Creates nothing: a workload has one template.
    async fn stage(&self, release: &Release, observed: &Observed) -> Result<Staged, Problem> {
        let before = observed.definition.clone();
        let after = self.wanted_template(release, &before).map_err(|mut problems| {
            let none = || Problem::error(Code::Internal, format!("`{}` has no template.", self.service));
            if problems.is_empty() { none() } else { problems.remove(0) }
        })?;
        let version = template_version(&self.name, &after);
        let uid = self.workload_of(observed).metadata.uid;
        Ok(Staged::new(version, &StagedTemplate { uid, before, after }))
    }

    async fn shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Rollout, ChangeError> {
        let swap = self.swap_of(staged, shift).await.map_err(ChangeError::NotMade)?;
        let workload = mutations::swap_template(&self.client, &self.name, &swap).await?;
        mutations::replace_stuck_pods(&self.client, &self.name, workload.metadata.generation).await;
        Ok(self.rollout_of(&shift.version, &workload))
    }

    async fn find_shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Option<Rollout>, Problem> {
        let swap = self.swap_of(staged, shift).await?;
        let raw = self.client.workload(&self.name).await.map_err(|error| self.missing(error))?;
        match swap.classify(&self.name, serde_json::from_value(raw).unwrap_or_default()) {
            SwapState::Done(workload) => Ok(Some(self.rollout_of(&shift.version, &workload))),
            SwapState::Replaceable(..) => Ok(None),
            SwapState::Replaced(problem) => Err(problem),
        }
    }

    async fn status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        self.look(rollout).await
    }

    async fn diagnose(&self, version: &Version) -> Result<Option<Diagnosis>, Problem> {
        let state = read_state(&self.client, &self.name).await.map_err(|error| self.missing(error))?;
        let revision = state.current_revision(&self.name);
        let pods = state.pods_of(&self.name, revision);
        let ready = pods.iter().filter(|pod| pod.is_ready()).count();
        let desired = state.workload.counts(self.name.kind).map_or(0, |counts| counts.desired);
        let counts = format!("{ready} of {desired} pods of {} are ready", version.label);
        let failure = causes::worst_cause(revision, &pods, false).map(|cause| cause.failure);
        Ok(Some(Diagnosis { counts, failure }))
    }

    fn limits(&self, _: &Observed) -> Limits {
        let missing = "Kubernetes replaces the pods of a workload; traffic between two versions is not split here. Remove `strategy`.";
        TrafficSupport { control: TrafficControl::InPlace, missing: Some(missing.into()) }.into()
    }

    fn history(&self) -> &dyn History {
        self
    }

    fn tasks(&self) -> Option<&dyn OneOffTasks> {
        Some(self)
    }
}

#[async_trait(?Send)]
impl History for KubernetesTarget {
    async fn list(&self) -> Result<Vec<CompletedVersion>, Problem> {
        Ok(self.observe().await?.history)
    }

    async fn load(&self, version: &Version) -> Result<RollbackTarget, Problem> {
        let definition = self.load_template(version).await?;
        let container = self.container(&definition).unwrap_or_default();
        let digest = status::serving_digest(&definition, &container, &[]);
        Ok(RollbackTarget { version: version.clone(), definition, digest })
    }

    fn matches(&self, release: &Release, observed: &Observed, former: &RollbackTarget) -> bool {
        let wanted = self.wanted_template(release, &observed.definition);
        wanted.is_ok_and(|wanted| template_id(&wanted) == template_id(&former.definition))
    }
}

#[async_trait(?Send)]
impl OneOffTasks for KubernetesTarget {
    async fn start(
        &self,
        staged: &Staged,
        command: &TaskCommand,
        _: &Observed,
    ) -> Result<StartedTask, ChangeError> {
        let template = match staged.read_handle::<StagedTemplate>() {
            Some(handle) => handle.after,
            None => self.load_template(&staged.version).await.map_err(ChangeError::NotMade)?,
        };
        let named = command.container.as_deref();
        let container =
            named.map_or_else(|| self.container(&template), |name| find_container(&template, Some(name)));
        let request = one_off::JobRequest {
            workload: &self.name,
            template: &template,
            version: &staged.version.id,
            container: &container.map_err(ChangeError::NotMade)?,
            command,
        };
        one_off::start(&self.client, &request).await
    }

    async fn find(&self, owner: &str) -> Result<Option<StartedTask>, Problem> {
        one_off::find(&self.client, owner).await
    }

    async fn status(&self, task: &StartedTask) -> Result<TaskStatus, Problem> {
        one_off::status(&self.client, task).await
    }

    async fn stop(&self, task: &StartedTask) -> Result<(), Problem> {
        one_off::stop(&self.client, task).await
    }
}

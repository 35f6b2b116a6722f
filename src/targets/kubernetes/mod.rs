//! Straight to a cluster of Kubernetes: the template of a Deployment, StatefulSet or DaemonSet is swapped by one patch, its rollout
//! is judged by what its pods do, and a rollback swaps the template that served back. Sequences of calls only.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{ChangeError, History, Kind as _, Limits, OneOffTasks, Target, further_images};
use crate::config::Service;
use crate::problem::{Code, Problem};
use crate::release::{
    Changes, CompletedVersion, Diagnosis, Failure, Observed, Release, RollbackTarget, Rollout, RolloutStatus,
    ShiftKind, Staged, StartedTask, TaskCommand, TaskStatus, TrafficControl, TrafficShift, TrafficSupport,
    Version,
};

pub mod access;
pub mod causes;
pub mod client;
pub mod cluster_checks;
pub mod error;
pub mod events;
pub mod grants;
pub mod history;
pub mod kind;
pub mod mutations;
pub mod observe;
pub mod one_off;
pub mod pod;
pub mod preflight;
pub mod quota;
pub mod read;
pub mod references;
pub mod revision;
pub mod route;
pub mod settings;
pub mod status;
pub mod stuck_pods;
pub mod template;
pub mod verdict;
#[cfg(test)]
mod verdict_tests;
pub mod write;

use client::{Client, FIELD_MANAGER};
use error::{ApiError, ErrorKind};
use kind::KubernetesKind;
use mutations::{SwapState, TemplateSwap};
use observe::{DeployedContainers, observed, template_version};
use read::WorkloadObject;
use settings::{Settings, WorkloadName};
use status::{RolloutMemory, StatusQuery, read_state, rollout_status};
use template::template_id;
use verdict::{ExpectedRollout, paused_problem};
use write::{StagedTemplate, TemplateChange, changed_template, find_container};

/// One workload of a cluster.
pub struct KubernetesTarget {
    client: Client,
    service: String,
    name: WorkloadName,
    settings: Settings,
    /// Further containers whose images are deployed.
    further: Vec<String>,
    /// Whether a command runs before a new version.
    has_command: bool,
    /// Whether nothing is changed, so that the token may lack the rights to.
    is_plan: bool,
    /// Variables whose values may be shown.
    shown_variables: Vec<String>,
    memories: RefCell<BTreeMap<Vec<String>, Rc<Mutex<RolloutMemory>>>>,
}

impl KubernetesTarget {
    /// The workload that the settings name.
    pub fn new(client: Client, service: &Service, settings: Settings, is_plan: bool) -> Self {
        Self {
            client,
            service: service.name.clone(),
            name: settings.workload.clone(),
            further: settings.images.keys().cloned().collect(),
            settings,
            has_command: service.config.before.is_some(),
            is_plan,
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

    /// The containers whose images are deployed: that of the service first.
    fn containers<'s>(&'s self, main: &'s str) -> DeployedContainers<'s> {
        DeployedContainers { main, further: &self.further }
    }

    /// What is wrong with the containers that the deploy file names, against those of the pods.
    fn container_problems(&self, template: &Value) -> Vec<Problem> {
        let main = self.container(template);
        let name = main.as_deref().ok();
        let further = self.further.iter().filter_map(|one| {
            further_images::deployed_twice(KubernetesKind::KEY, name, one)
                .or_else(|| find_container(template, Some(one)).err())
        });
        further.collect::<Vec<_>>().into_iter().chain(main.err()).collect()
    }

    fn workload_of(&self, observed: &Observed) -> WorkloadObject {
        read::read_object(observed.raw.clone()).unwrap_or_default()
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
        let is_wanted = |template: &&Value| template_version(&self.name, template) == shift.version;
        let known = handle.iter().flat_map(|handle| [&handle.after, &handle.before]).find(is_wanted);
        let to = match known.cloned() {
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
        let container = self.container(&workload.spec.template).unwrap_or_default();
        let ours = workload.metadata.managed_fields.iter().filter(|one| one.manager == FIELD_MANAGER);
        let started = ours.filter_map(|one| one.time).max();
        let expected = ExpectedRollout::of_workload(workload, &self.containers(&container).all(), started);
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
}

#[async_trait(?Send)]
impl Target for KubernetesTarget {
    async fn observe(&self) -> Result<Observed, Problem> {
        let state = read_state(&self.client, &self.name).await.map_err(|error| self.missing(error))?;
        let main = self.container(&state.workload.spec.template).unwrap_or_default();
        Ok(observed(&self.name, state, self.containers(&main)))
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
            problems.extend(self.container_problems(&observed.definition));
        }
        let template = self.wanted_template(release, &observed.definition).unwrap_or_default();
        let workload = self.workload_of(observed);
        let (rights, quotas, missing) = tokio::join!(
            self.right_problems(),
            self.quota_warnings(&workload),
            self.missing_references(&template)
        );
        problems.extend(rights.into_iter().chain(quotas).chain(missing));
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
        let workload = self.client.interpret(raw).map_err(|error| error.problem)?;
        match swap.classify(&self.name, workload) {
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
        let mut cause = causes::worst_cause(revision, &pods, false);
        if cause.as_ref().is_none_or(causes::Cause::is_unready) {
            let warnings = self.client.warnings().await.unwrap_or_default();
            let events = events::RolloutEvents { all: &warnings, started: None };
            cause = events::add_events(cause, &state.workload, &pods, &events);
        }
        let paused = state.workload.spec.paused.then(|| Failure::permanent(paused_problem(&self.name.name)));
        Ok(Some(Diagnosis { counts, failure: paused.or(cause.map(|cause| cause.failure)) }))
    }

    fn limits(&self, _: &Observed) -> Limits {
        let missing = "Kubernetes replaces the pods of a workload; traffic between two versions is not split here. Set `traffic.httproute`, or remove `strategy`.";
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

    /// The cluster keeps templates, and not whether they were ever healthy.
    fn knows_completion(&self) -> bool {
        false
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

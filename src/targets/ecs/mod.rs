//! Amazon ECS: sequences of calls only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{ChangeError, History, Limits, MetricLabels, OneOffTasks, Target};
use crate::aws::RateLimiters;
use crate::problem::{Code, Problem};
use crate::release::{
    Changes, CompletedVersion, DefinitionFile, Diagnosis, Failure, Observed, Release, Resume, RollbackTarget,
    Rollout, RolloutStatus, ShiftKind, Staged, StartedTask, TaskCommand, TaskStatus, TrafficPlan,
    TrafficShift, Variant, Version,
};

pub mod asked_ahead;
pub mod aws_clients;
pub mod batch_loader;
pub mod client;
pub mod container_images;
#[cfg(test)]
mod container_images_tests;
pub mod diagnose;
pub mod discover;
pub mod ecr_image;
pub mod error;
pub mod grants;
pub mod history;
pub mod image_config;
pub mod kind;
pub mod observe;
pub mod one_off;
pub mod pair;
pub mod patience;
pub mod permissions;
pub mod policy;
pub mod preflight;
pub mod raw_json;
pub mod read;
pub mod reader;
mod repository_credentials;
pub mod rollout;
pub mod seed;
pub mod serving;
mod setting_names;
pub mod settings;
pub mod staged;
pub mod task_definition;
pub mod write;

#[cfg(test)]
mod target_tests;
#[cfg(test)]
mod write_tests;

pub use settings::{ExpectedAccount, Settings};

use staged::StagedHandle;
use task_definition::diff::DiffScope;

/// What the ECS services of one account and region share: clients, and batched reads.
#[derive(Debug, Clone)]
pub struct SharedClients {
    loader: Rc<batch_loader::BatchLoader>,
    support: aws_clients::SupportClients,
    listener_rules: pair::client::PairClient,
}

impl SharedClients {
    /// Clients over a configuration with credentials, region, retries, time and transport.
    pub fn new(config: &SdkConfig) -> Self {
        Self::with_rate_limits(config, RateLimiters::unlimited())
    }

    /// The same with rate limits.
    pub fn with_rate_limits(config: &SdkConfig, paces: RateLimiters) -> Self {
        let support = aws_clients::SupportClients::new(config, paces.reads.clone());
        let loader = batch_loader::BatchLoader::new(client::EcsClient::new(config, paces), support.clone());
        Self { loader: Rc::new(loader), support, listener_rules: pair::client::PairClient::new(config) }
    }
}

/// The container that a command runs in once before any traffic moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandContainer {
    /// The one whose image is deployed.
    Default,
    /// The one with this name.
    Named(String),
}

impl CommandContainer {
    /// The container that the deploy file names, or the default one.
    pub fn new(name: Option<String>) -> Self {
        name.map_or(Self::Default, Self::Named)
    }
}

/// One ECS service.
#[derive(Debug)]
pub struct Ecs {
    reader: reader::ServiceReader,
    expected_account: ExpectedAccount,
    shifts_traffic: bool,
    /// The container of the command that runs once before any traffic moves.
    command: Option<CommandContainer>,
    /// The image that the inputs name by digest, to be read ahead.
    named_image: Option<String>,
    /// Names of the variables whose values a plan shows.
    shown_env: Vec<String>,
    memories: RefCell<HashMap<Vec<String>, Rc<Mutex<rollout::rollout_memory::RolloutMemory>>>>,
}

impl Ecs {
    /// The service of `settings`, in the declared account and region; `alarms` are those of the deploy file, in
    /// addition to the service's own.
    pub fn new(
        settings: Settings,
        expected_account: ExpectedAccount,
        alarms: Vec<String>,
        shared: &SharedClients,
    ) -> Self {
        let (loader, around) = (shared.loader.clone(), shared.support.clone());
        let (ahead, passes_firing_alarms) = (Rc::default(), false);
        let reader =
            reader::ServiceReader { loader, support: around, settings, alarms, passes_firing_alarms, ahead };
        Self {
            reader,
            expected_account,
            shifts_traffic: false,
            command: None,
            named_image: None,
            shown_env: Vec::new(),
            memories: RefCell::default(),
        }
    }

    /// Declares that the deploy file shifts traffic by weight: pre-flight then checks the requirements.
    #[must_use]
    pub fn with_traffic_shift(self, shifts: bool) -> Self {
        Self { shifts_traffic: shifts, ..self }
    }

    /// Says whether alarms that fired before the rollout neither stop nor fail it.
    #[must_use]
    pub fn with_firing_alarms_passed(mut self, passes: bool) -> Self {
        self.reader.passes_firing_alarms = passes;
        self
    }

    /// Says whether a command runs once with the new version, and in which container.
    #[must_use]
    pub fn with_command(self, command: Option<CommandContainer>) -> Self {
        Self { command, ..self }
    }

    /// Names the image that the inputs name by digest, to be read ahead.
    #[must_use]
    pub fn with_named_image(self, named_image: Option<String>) -> Self {
        Self { named_image, ..self }
    }

    /// Names the variables whose values a plan shows.
    #[must_use]
    pub fn with_shown_env(self, shown_env: Vec<String>) -> Self {
        Self { shown_env, ..self }
    }

    /// The container of the command must be in the definition.
    fn missing_command_container(&self, release: &Release, wanted: &Value) -> Option<Problem> {
        let Some(CommandContainer::Named(name)) = &self.command else { return None };
        let looked_up = task_definition::definition::find_container(wanted, Some(name));
        let missing = looked_up.err().filter(|_| release.creates_version())?;
        Some(missing.for_service(&release.service))
    }

    fn settings(&self) -> &Settings {
        &self.reader.settings
    }

    /// The definition that `release` registers.
    fn wanted_definition(&self, release: &Release, seen: &Observed) -> Result<Value, Vec<Problem>> {
        if let Some(former) = &release.rollback_to {
            return Ok(former.definition.clone());
        }
        let (running, container) = (&seen.definition, self.settings().container.as_deref());
        if !release.env_changes.is_empty() {
            return task_definition::set_env::with_changes(seen, container, &release.env_changes);
        }
        let base = match &release.definition {
            Some(file) => {
                task_definition::document::TaskDefinitionDocument::parse(&file.path, &file.text)
                    .map_err(|problem| vec![problem])?
                    .value
            }
            None => running.clone(),
        };
        let broken = container_images::definition_problems(&base, self.settings());
        if !broken.is_empty() {
            return Err(broken);
        }
        let image = match &release.image {
            Some(image) => Some(image.to_string()),
            // Only environment variables change: the image stays, whatever placeholder the file has.
            None => task_definition::definition::container_name(running, container)
                .and_then(|name| task_definition::definition::image(running, &name))
                .map(|image| image.to_string()),
        };
        let environment = &self.settings().environment;
        let mut wanted =
            task_definition::definition::with_image(&base, container, image.as_deref(), environment)?;
        container_images::apply_images(&mut wanted, self.settings(), release, running);
        Ok(wanted)
    }

    fn preflight_input<'a>(
        &'a self,
        release: &'a Release,
        seen: &'a Observed,
        wanted: &'a Value,
    ) -> preflight::PreflightInput<'a> {
        let former = release.rollback_to.as_ref();
        preflight::PreflightInput {
            expected_account: &self.expected_account,
            definition: wanted,
            rollback_to: former,
            observed: seen,
            shifts_traffic: self.shifts_traffic && former.is_none(),
            runs_command: self.command.is_some() && release.creates_version(),
        }
    }

    /// The shift, with the newer rollout of the same version as the one to roll back, if that was watched instead.
    async fn followed_shift(&self, shift: &TrafficShift) -> TrafficShift {
        let ShiftKind::RollBack(Some(ours)) = &shift.kind else { return shift.clone() };
        let followed = self.memory(ours).lock().await.followed.clone();
        TrafficShift { kind: ShiftKind::RollBack(followed.or_else(|| Some(ours.clone()))), ..shift.clone() }
    }

    fn shift_request<'s>(
        &self,
        staged: &'s Staged,
        shift: &'s TrafficShift,
        handle: &'s StagedHandle,
    ) -> write::ShiftRequest<'s> {
        let since = handle.primary_of(&self.settings().service);
        write::ShiftRequest { staged: &staged.version.id, shift, since }
    }

    fn memory(&self, rollout: &Rollout) -> Rc<Mutex<rollout::rollout_memory::RolloutMemory>> {
        let key = std::iter::once(rollout.version.clone()).chain(rollout.ids.clone()).collect();
        let mut watches = self.memories.borrow_mut();
        let fresh =
            || Rc::new(Mutex::new(rollout::rollout_memory::RolloutMemory::new(rollout, Instant::now())));
        watches.entry(key).or_insert_with(fresh).clone()
    }
}

/// Problems of a service's settings and task definition that need no call.
pub fn lint_service(settings: &Settings, definition: Option<&DefinitionFile>) -> Vec<Problem> {
    let declared = settings.environment.iter();
    let plain =
        declared.filter(|(name, value)| task_definition::lint_container::looks_like_secret(name, value));
    let mut found: Vec<Problem> =
        plain.map(|(name, _)| task_definition::lint_container::plain_text_secret(name)).collect();
    let further: Vec<&str> = settings.images.keys().map(String::as_str).collect();
    let of_file = |file| task_definition::lint::lint_file(file, settings.container.as_deref(), &further);
    found.extend(definition.map(of_file).unwrap_or_default());
    found
}

/// The console page of a service.
pub fn console_url(region: &str, settings: &Settings) -> String {
    let host = if region.starts_with("cn-") { "console.amazonaws.cn" } else { "console.aws.amazon.com" };
    let cluster = settings.cluster.rsplit('/').next().unwrap_or_default();
    let service = settings.service.rsplit('/').next().unwrap_or_default();
    format!("https://{region}.{host}/ecs/v2/clusters/{cluster}/services/{service}?region={region}")
}

fn failure_mut(health: &mut RolloutStatus) -> Option<&mut Failure> {
    match health {
        RolloutStatus::Failed(failure)
        | RolloutStatus::RollingBack(failure, _)
        | RolloutStatus::RolledBack(failure, _)
        | RolloutStatus::RollbackFailed(failure)
        | RolloutStatus::Aborted(failure)
        | RolloutStatus::Missed(failure) => Some(failure),
        _ => None,
    }
}

#[async_trait(?Send)]
impl Target for Ecs {
    fn limits(&self, seen: &Observed) -> Limits {
        let service = read::EcsService::from_json(&seen.raw);
        let rollback_duration = rollout::rollback_estimate::rollback_duration(&service, &seen.definition);
        let traffic = rollout::ecs_strategy::traffic_support(&service);
        Limits { rollback_duration: Some(rollback_duration), ..traffic.into() }
    }

    fn resume(&self, seen: &Observed, course: &TrafficPlan) -> Resume {
        rollout::deployment_configuration::resume(&seen.raw["deploymentConfiguration"], course)
    }

    async fn observe(&self) -> Result<Observed, Problem> {
        observe::observe(&self.reader).await
    }

    fn diff(&self, release: &Release, seen: &Observed) -> Result<Changes, Vec<Problem>> {
        let wanted = self.wanted_definition(release, seen)?;
        let container =
            task_definition::definition::container_name(&wanted, self.settings().container.as_deref());
        let container = container.unwrap_or_default();
        let scope = DiffScope { container: &container, shown_env: &self.shown_env };
        Ok(task_definition::diff::diff(&seen.definition, &wanted, scope))
    }

    async fn ask_ahead(&self) {
        let image = async {
            if let Some(image) = &self.named_image {
                preflight::read_image_ahead(&self.reader, image).await;
            }
        };
        let _ = tokio::join!(self.reader.support.caller_identity(), image);
    }

    async fn preflight(&self, release: &Release, seen: &Observed) -> Vec<Problem> {
        let wanted = match self.wanted_definition(release, seen) {
            Ok(wanted) => wanted,
            Err(problems) => return problems,
        };
        let mut found = preflight::check(&self.reader, &self.preflight_input(release, seen, &wanted)).await;
        found.extend(self.missing_command_container(release, &wanted));
        found.extend(task_definition::set_env::notices(
            &release.env_changes,
            &seen.definition,
            self.settings(),
        ));
        found.into_iter().map(|problem| problem.for_service(&release.service)).collect()
    }

    async fn preflight_image(&self, release: &Release, seen: &Observed) -> Vec<Problem> {
        // What is wrong with the definition was found before.
        let Ok(wanted) = self.wanted_definition(release, seen) else { return Vec::new() };
        let found =
            preflight::check_images(&self.reader, &self.preflight_input(release, seen, &wanted)).await;
        found.into_iter().map(|problem| problem.for_service(&release.service)).collect()
    }

    fn history(&self) -> &dyn History {
        self
    }

    fn tasks(&self) -> Option<&dyn OneOffTasks> {
        Some(self)
    }

    fn metric_labels(&self) -> Option<&dyn MetricLabels> {
        Some(self)
    }

    async fn stage(&self, release: &Release, seen: &Observed) -> Result<Staged, Problem> {
        let version = match &release.rollback_to {
            Some(former) => former.version.clone(),
            None => {
                let wanted = self.wanted_definition(release, seen).map_err(first_problem)?;
                rollout::mutations::register_definition(&self.reader, &wanted, &seen.definition).await?
            }
        };
        Ok(Staged::new(version, &StagedHandle::from_observed(&self.settings().service, seen)))
    }

    async fn shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Rollout, ChangeError> {
        match &shift.kind {
            ShiftKind::Continue(rollout) => {
                rollout::continue_deployment::continue_to(&self.reader, rollout, shift.percent).await
            }
            ShiftKind::Start { .. } | ShiftKind::RollBack(_) => {
                let handle = staged.read_handle::<StagedHandle>().unwrap_or_default();
                let shift = self.followed_shift(shift).await;
                let request = self.shift_request(staged, &shift, &handle);
                rollout::mutations::shift(&self.reader, &request).await
            }
        }
    }

    async fn find_shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Option<Rollout>, Problem> {
        if let ShiftKind::Continue(rollout) = &shift.kind {
            return Ok(Some(rollout.clone()));
        }
        let handle = staged.read_handle::<StagedHandle>().unwrap_or_default();
        let shift = self.followed_shift(shift).await;
        rollout::mutations::find_shift(&self.reader, &self.shift_request(staged, &shift, &handle)).await
    }

    async fn status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        let watch = self.memory(rollout);
        let mut watch = watch.lock().await;
        let followed = watch.followed.clone();
        let rollout = followed.as_ref().unwrap_or(rollout);
        let look = self.reader.take_snapshot(rollout, &mut watch).await?;
        let mut health = rollout::status::rollout_status(rollout, &look);
        if let RolloutStatus::Progressing(_) | RolloutStatus::RollingBack(..) = &health {
            watch.new_events.clear();
        }
        if let Some(failure) = failure_mut(&mut health) {
            if let (None, Some(cause)) = (&watch.logs, watch.root_cause(failure)) {
                let lines = self.reader.log_tail(cause, rollout).await;
                watch.logs = Some(lines);
            }
            failure.logs = watch.logs.clone().unwrap_or_default();
        }
        Ok(health)
    }

    async fn diagnose(&self, version: &Version) -> Result<Option<Diagnosis>, Problem> {
        diagnose::diagnose(&self.reader, version).await.map(Some)
    }

    /// ECS drains and stops replaced tasks itself, and rollbacks need the old revisions: only the deployment
    /// configuration is restored.
    async fn clean_up(&self, rollout: &Rollout) -> Result<(), Problem> {
        rollout::restore_settings::restore_settings(&self.reader, rollout).await
    }
}

#[async_trait(?Send)]
impl History for Ecs {
    async fn list(&self) -> Result<Vec<CompletedVersion>, Problem> {
        history::list_completed(&self.reader).await
    }

    async fn load(&self, version: &Version) -> Result<RollbackTarget, Problem> {
        history::load(&self.reader, version).await
    }

    fn matches(&self, release: &Release, seen: &Observed, former: &RollbackTarget) -> bool {
        let wanted = self.wanted_definition(release, seen);
        wanted.is_ok_and(|wanted| task_definition::equality::is_equal(&former.definition, &wanted))
    }
}

#[async_trait(?Send)]
impl OneOffTasks for Ecs {
    async fn start(
        &self,
        staged: &Staged,
        command: &TaskCommand,
        seen: &Observed,
    ) -> Result<StartedTask, ChangeError> {
        one_off::start(&self.reader, &staged.version, command, seen).await
    }

    async fn find(&self, owner: &str) -> Result<Option<StartedTask>, Problem> {
        one_off::find(&self.reader, owner).await
    }

    async fn status(&self, task: &StartedTask) -> Result<TaskStatus, Problem> {
        one_off::status(&self.reader, task).await
    }

    async fn stop(&self, task: &StartedTask) -> Result<(), Problem> {
        one_off::stop(&self.reader, task).await
    }
}

#[async_trait(?Send)]
impl MetricLabels for Ecs {
    async fn read(&self, seen: &Observed) -> Result<Vec<Variant>, Problem> {
        self.reader.metric_labels(&read::EcsService::from_json(&seen.raw)).await
    }
}

fn first_problem(problems: Vec<Problem>) -> Problem {
    let none = || Problem::error(Code::Internal, "A definition was rejected without a reason.");
    problems.into_iter().next().unwrap_or_else(none)
}

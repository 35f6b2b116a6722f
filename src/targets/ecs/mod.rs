//! Amazon ECS: order of calls only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Target;
use crate::aws::Paces;
use crate::problem::{Code, Problem};
use crate::release::{
    Ability, Arm, Changes, Course, Definition, Failure, Flight, Former, Health, Observed, OneOff,
    OneOffState, Past, Release, Rollout, Split, TaskRun, Version, Way,
};

pub mod act;
pub mod beside;
pub mod blob;
pub mod causes;
pub mod changes;
pub mod client;
pub mod configuration;
pub mod definition;
pub mod document;
pub mod grants;
pub mod image;
pub mod keys;
pub mod lint;
pub mod lint_container;
pub mod lint_depends;
pub mod lint_keys;
pub mod loader;
pub mod look;
pub mod native;
pub mod neighbours;
pub mod observe;
pub mod one_off;
pub mod one_off_read;
pub mod onward;
pub mod pair;
pub mod pair_act;
pub mod pair_checks;
pub mod pair_client;
pub mod pair_ids;
pub mod pair_look;
pub mod pair_sight;
pub mod permissions;
pub mod policy;
pub mod preflight;
pub mod preflight_rules;
pub mod raw;
pub mod read;
pub mod refusal;
pub mod retire;
pub mod rule;
pub mod settings;
pub mod settings_env;
pub mod size;
pub mod survey;
pub mod verdict;
pub mod versions;
pub mod watch;
pub mod write;

#[cfg(test)]
mod causes_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod lint_tests;
#[cfg(test)]
mod native_tests;
#[cfg(test)]
mod pair_rehearsals;
#[cfg(test)]
mod preflight_tests;
#[cfg(test)]
mod rehearsals;
#[cfg(test)]
mod verdict_tests;

pub use settings::{Declared, Settings};

/// What the ECS targets of one account and region share: clients, and reads made together.
#[derive(Debug, Clone)]
pub struct Shared {
    loader: Rc<loader::Loader>,
    around: neighbours::Neighbours,
}

impl Shared {
    /// Clients over a configuration that says credentials, region, retries, time and transport.
    pub fn new(config: &SdkConfig) -> Self {
        Self::paced(config, Paces::free())
    }

    /// The same, whose requests wait for their turn.
    pub fn paced(config: &SdkConfig, paces: Paces) -> Self {
        let around = neighbours::Neighbours::new(config, paces.reads.clone());
        let loader = loader::Loader::new(client::Client::new(config, paces), around.clone());
        Self { loader: Rc::new(loader), around }
    }
}

/// One ECS service.
#[derive(Debug)]
pub struct Ecs {
    eyes: look::Eyes,
    declared: Declared,
    shifts: bool,
    /// The command that runs once before any traffic moves: its container, where the deploy file names one.
    runs: Option<Option<String>>,
    /// The PRIMARY deployment that was observed last.
    since: RefCell<Option<read::Deployment>>,
    watches: RefCell<HashMap<Vec<String>, Rc<Mutex<watch::Watch>>>>,
}

impl Ecs {
    /// The service that `settings` name, in the account and region that are declared; `alarms` are those that the
    /// deploy file names beside those of the service itself.
    pub fn new(settings: Settings, declared: Declared, alarms: Vec<String>, shared: &Shared) -> Self {
        let (loader, around) = (shared.loader.clone(), shared.around.clone());
        let eyes = look::Eyes { loader, around, settings, alarms };
        let (since, watches) = (RefCell::default(), RefCell::default());
        Self { eyes, declared, shifts: false, runs: None, since, watches }
    }

    /// Says whether the deploy file wants traffic to be shifted in shares: pre-flight then looks at what that needs.
    #[must_use]
    pub fn shifting(self, shifts: bool) -> Self {
        Self { shifts, ..self }
    }

    /// Says that a command runs once with the new version, and in which container where the deploy file names one.
    #[must_use]
    pub fn running(self, runs: Option<Option<String>>) -> Self {
        Self { runs, ..self }
    }

    /// The container of the command must be in the definition.
    fn command_container(&self, release: &Release, wanted: &Value) -> Option<Problem> {
        let named = self.runs.as_ref().filter(|_| release.is_new())?.as_deref()?;
        let missing = definition::find_container(wanted, Some(named)).err()?;
        Some(missing.of(&release.service))
    }

    fn settings(&self) -> &Settings {
        &self.eyes.settings
    }

    /// What registering `release` would send.
    fn wanted(&self, release: &Release, seen: &Observed) -> Result<Value, Vec<Problem>> {
        if let Some(former) = &release.former {
            return Ok(former.definition.clone());
        }
        let (running, container) = (&seen.definition, self.settings().container.as_deref());
        if !release.settings.is_empty() {
            return settings_env::applied(seen, container, &release.settings);
        }
        let base = match &release.definition {
            Some(file) => {
                document::Document::read(&file.path, &file.text).map_err(|problem| vec![problem])?.value
            }
            None => running.clone(),
        };
        let image = match &release.image {
            Some(image) => Some(image.to_string()),
            // Only settings change: what runs stays, whatever placeholder the file has.
            None => definition::container_name(running, container)
                .and_then(|name| definition::image(running, &name))
                .map(|image| image.to_string()),
        };
        definition::prepare(&base, container, image.as_deref(), &self.settings().environment)
    }

    fn watch(&self, rollout: &Rollout) -> Rc<Mutex<watch::Watch>> {
        let key = std::iter::once(rollout.version.clone()).chain(rollout.ids.clone()).collect();
        let mut watches = self.watches.borrow_mut();
        let fresh = || Rc::new(Mutex::new(watch::Watch::new(rollout, Instant::now())));
        watches.entry(key).or_insert_with(fresh).clone()
    }
}

/// What can be found without a call in the block of a service and in its task definition.
pub fn findings(settings: &Settings, definition: Option<&Definition>) -> Vec<Problem> {
    let declared = settings.environment.iter();
    let plain = declared.filter(|(name, value)| lint_container::looks_secret(name, value));
    let mut found: Vec<Problem> = plain.map(|(name, _)| lint_container::in_plain_text(name)).collect();
    found.extend(definition.map(|file| lint::file(file, settings.container.as_deref())).unwrap_or_default());
    found
}

/// The console page of a service.
pub fn url(region: &str, settings: &Settings) -> String {
    let host = if region.starts_with("cn-") { "console.amazonaws.cn" } else { "console.aws.amazon.com" };
    let cluster = settings.cluster.rsplit('/').next().unwrap_or_default();
    let service = settings.service.rsplit('/').next().unwrap_or_default();
    format!("https://{region}.{host}/ecs/v2/clusters/{cluster}/services/{service}?region={region}")
}

fn failure_of(health: &mut Health) -> Option<&mut Failure> {
    match health {
        Health::Failing(failure)
        | Health::RollingBack(failure)
        | Health::RolledBack(failure, _)
        | Health::RollbackFailed(failure)
        | Health::Stopped(failure) => Some(failure),
        _ => None,
    }
}

#[async_trait(?Send)]
impl Target for Ecs {
    fn ability(&self, seen: &Observed) -> Ability {
        native::ability(&read::Service::read(&seen.raw))
    }

    fn flight(&self, seen: &Observed, course: &Course) -> Flight {
        configuration::flight(&seen.raw["deploymentConfiguration"], course)
    }

    async fn observe(&self) -> Result<Observed, Problem> {
        let seen = observe::observe(&self.eyes).await?;
        self.since.replace(read::Service::read(&seen.raw).primary().cloned());
        Ok(seen)
    }

    fn changes(&self, release: &Release, seen: &Observed) -> Result<Changes, Vec<Problem>> {
        let wanted = self.wanted(release, seen)?;
        let container = definition::container_name(&wanted, self.settings().container.as_deref());
        Ok(changes::changes(&seen.definition, &wanted, &container.unwrap_or_default()))
    }

    async fn check(&self, release: &Release, seen: &Observed) -> Vec<Problem> {
        let wanted = match self.wanted(release, seen) {
            Ok(wanted) => wanted,
            Err(problems) => return problems,
        };
        let former = release.former.as_ref();
        let shifts = self.shifts && former.is_none();
        let runs = self.runs.is_some() && release.is_new();
        let intent =
            preflight::Intent { declared: &self.declared, wanted: &wanted, former, seen, shifts, runs };
        let mut found = preflight::check(&self.eyes, &intent).await;
        found.extend(self.command_container(release, &wanted));
        found.extend(settings_env::notices(&release.settings, &seen.definition, self.settings()));
        found.into_iter().map(|problem| problem.of(&release.service)).collect()
    }

    async fn arms(&self, seen: &Observed) -> Result<Vec<Arm>, Problem> {
        self.eyes.arms(&read::Service::read(&seen.raw)).await
    }

    async fn versions(&self) -> Result<Vec<Past>, Problem> {
        versions::versions(&self.eyes).await
    }

    async fn recall(&self, version: &Version) -> Result<Former, Problem> {
        versions::recall(&self.eyes, version).await
    }

    fn equals(&self, release: &Release, seen: &Observed, former: &Former) -> bool {
        let wanted = self.wanted(release, seen);
        wanted.is_ok_and(|wanted| definition::same(&former.definition, &wanted))
    }

    async fn stage(&self, release: &Release, seen: &Observed) -> Result<Version, Problem> {
        if let Some(former) = &release.former {
            return Ok(former.version.clone());
        }
        let wanted = self.wanted(release, seen).map_err(first)?;
        act::register(&self.eyes, &wanted, &seen.definition).await
    }

    async fn route(&self, split: &Split) -> Result<Rollout, Problem> {
        match &split.way {
            Way::Onward(rollout) => onward::onward(&self.eyes, rollout, split.percent).await,
            _ => {
                let since = self.since.borrow().clone();
                act::route(&self.eyes, split, since.as_ref()).await
            }
        }
    }

    async fn probe(&self, rollout: &Rollout) -> Result<Health, Problem> {
        let watch = self.watch(rollout);
        let mut watch = watch.lock().await;
        let look = self.eyes.look(rollout, &mut watch).await?;
        let mut health = verdict::decide(rollout, &look);
        if let Health::Progressing(_) = &health {
            watch.story.clear();
        }
        if let Some(failure) = failure_of(&mut health) {
            if let (None, Some(cause)) = (&watch.logs, watch.behind(failure)) {
                let lines = self.eyes.log_tail(cause, rollout).await;
                watch.logs = Some(lines);
            }
            failure.logs = watch.logs.clone().unwrap_or_default();
        }
        Ok(health)
    }

    async fn run_once(
        &self,
        version: &Version,
        command: &OneOff,
        seen: &Observed,
    ) -> Result<TaskRun, Problem> {
        one_off::run(&self.eyes, version, command, seen).await
    }

    async fn find_once(&self, owner: &str) -> Result<Option<TaskRun>, Problem> {
        one_off::find(&self.eyes, owner).await
    }

    async fn watch_once(&self, task: &TaskRun) -> Result<OneOffState, Problem> {
        one_off::look(&self.eyes, task).await
    }

    async fn stop_once(&self, task: &TaskRun) -> Result<(), Problem> {
        one_off::stop(&self.eyes, task).await
    }

    /// ECS drains and stops what is replaced by itself, and old revisions are what rollbacks go to: only the
    /// deployment configuration is put back.
    async fn retire(&self, rollout: &Rollout) -> Result<(), Problem> {
        retire::retire(&self.eyes, rollout).await
    }
}

fn first(problems: Vec<Problem>) -> Problem {
    let none = || Problem::error(Code::Internal, "A definition was refused without a reason.");
    problems.into_iter().next().unwrap_or_else(none)
}

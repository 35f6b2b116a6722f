//! AWS AppConfig: a configuration is deployed gradually, without a build. Sequences of calls only.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ChangeError, History, Limits, RunInfo, Target, TargetContext};
use crate::config::Service;
use crate::problem::{Code, Problem};
use crate::release::{
    Changes, CompletedVersion, ContainerImages, InFlight, Observed, Progress, Proof, Release, RollbackTarget,
    Rollout, RolloutStatus, ShiftKind, Staged, TrafficControl, TrafficShift, TrafficSupport, Version,
};
use crate::retry::WriteError;

pub mod aws_error;
pub mod client;
pub mod content;
pub mod fetch;
pub mod grants;
pub mod kind;
pub mod mutations;
pub mod preflight;
pub mod read;
pub mod settings;
pub mod status;
pub mod write;

pub use settings::Settings;

use mutations::DeploymentShift;
use read::{AppConfigLocation, DeploymentDetail, EnvironmentHistory, version_number};

/// Clients and claims that the AppConfig services of a run share.
#[derive(Debug, Clone)]
pub struct SharedClients {
    client: client::Client,
    claims: Rc<preflight::EnvironmentClaims>,
}

impl SharedClients {
    /// Clients over a configuration with credentials, region, retries, time and transport.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client::Client::new(config), claims: Rc::default() }
    }
}

/// One configuration profile in one environment.
pub struct AppConfigTarget {
    service: String,
    settings: Settings,
    alarms: Vec<String>,
    account: Option<String>,
    run: RunInfo,
    shared: SharedClients,
    location_cache: RefCell<Option<Rc<AppConfigLocation>>>,
    /// Entries of each deployment's log that were already logged.
    reported_events: RefCell<BTreeMap<i32, usize>>,
}

/// What staging a version records for its deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StagedDeployment {
    /// What is written beside the deployment.
    description: String,
    /// Whether the version served before.
    is_rollback: bool,
    /// The newest deployment that the plan was made for.
    newest_observed: i32,
}

/// The observed state, as stored in [`Observed::raw`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct RawObservation {
    location: AppConfigLocation,
    history: EnvironmentHistory,
}

impl AppConfigTarget {
    /// The service with its settings.
    pub fn new(
        around: &TargetContext<'_>,
        shared: &SharedClients,
        service: &Service,
        settings: Settings,
    ) -> Self {
        Self {
            service: service.name.clone(),
            settings,
            alarms: service.config.alarms.clone(),
            account: around.expected_account.clone(),
            run: around.run.clone(),
            shared: shared.clone(),
            location_cache: RefCell::default(),
            reported_events: RefCell::default(),
        }
    }

    fn client(&self) -> &client::Client {
        &self.shared.client
    }

    /// Its resources; names are resolved once.
    async fn location(&self) -> Result<Rc<AppConfigLocation>, Problem> {
        if let Some(place) = self.location_cache.borrow().clone() {
            return Ok(place);
        }
        let place = Rc::new(fetch::fetch_location(self.client(), &self.settings).await?);
        self.location_cache.replace(Some(place.clone()));
        Ok(place)
    }

    async fn content(&self, place: &AppConfigLocation, version: &Version) -> Result<String, Problem> {
        let number = version_number(&version.id).parse().map_err(|_| unknown_version_problem(version))?;
        Ok(self.client().content(place, number).await?)
    }

    /// The deployment that this run started without a response, if there is one.
    async fn find_unanswered_start(
        &self,
        place: &AppConfigLocation,
        staged: Option<&StagedDeployment>,
        to: &Version,
    ) -> Result<Option<i32>, Problem> {
        let history = fetch::fetch_history(self.client(), place, fetch::RECENT_PAGES).await?;
        let other = history.newest().filter(|newest| newest.version != version_number(&to.id)).cloned();
        let Some(newest) = other else { return Ok(None) };
        let since = staged.map_or(0, |staged| staged.newest_observed);
        if newest.number <= since {
            return Ok(None);
        }
        // Only the deployment's description shows which run started it; on a laptop there is none.
        let Some(mark) = write::run_marker(&self.run) else {
            return Ok(staged.map(|_| newest.number));
        };
        let detail = self.client().deployment(place, newest.number).await?;
        Ok(detail.description.ends_with(&mark).then_some(newest.number))
    }

    /// The deployment that a rollback is of, if one is known to have started.
    async fn deployment_of(
        &self,
        place: &AppConfigLocation,
        staged: Option<&StagedDeployment>,
        split: &TrafficShift,
        moved: Option<&Rollout>,
    ) -> Result<Option<i32>, Problem> {
        match moved {
            Some(moved) => Ok(write::deployment_number(moved)),
            None => self.find_unanswered_start(place, staged, &split.version).await,
        }
    }

    /// What is written beside a deployment that is started.
    fn description(&self, staged: Option<&StagedDeployment>) -> String {
        let plain = || write::deployment_description(&self.run, &self.service, None);
        staged.map_or_else(plain, |handle| handle.description.clone())
    }

    /// The version with the content of a release; content of the requested version is not created again.
    async fn create_version(&self, release: &Release, seen: &Observed) -> Result<Version, Problem> {
        let Some(file) = &release.definition else { return Err(no_file()) };
        match (&seen.version, observed_text(seen)) {
            (Some(version), Some(text)) if content::is_equal(text, &file.text) => Ok(version.clone()),
            _ => mutations::create_version(self.client(), &*self.location().await?, file).await,
        }
    }

    /// The new entries of a deployment's log.
    fn new_events(&self, detail: &DeploymentDetail) -> Vec<String> {
        let mut told = self.reported_events.borrow_mut();
        let known = told.insert(detail.deployment.number, detail.events.len()).unwrap_or_default();
        detail.events.iter().skip(known).map(|event| event.description.clone()).collect()
    }
}

/// A shift, with what staging recorded for it.
fn deployment_shift<'m>(
    split: &'m TrafficShift,
    staged: Option<&StagedDeployment>,
    description: &'m str,
) -> DeploymentShift<'m> {
    DeploymentShift {
        version: &split.version,
        is_rollback: staged.is_some_and(|handle| handle.is_rollback),
        description,
        newest_known: staged.map_or(0, |handle| handle.newest_observed),
    }
}

fn unknown_version_problem(version: &Version) -> Problem {
    let sentence = format!("`{}` is not a version of a hosted configuration.", version.id);
    Problem::error(Code::VersionUnknown, sentence)
}

fn observed_text(seen: &Observed) -> Option<&str> {
    seen.definition.as_str()
}

fn parse_observed(observed: &Observed) -> RawObservation {
    serde_json::from_value(observed.raw.clone()).unwrap_or_default()
}

fn observed_status(place: &AppConfigLocation, history: &EnvironmentHistory) -> RolloutStatus {
    match (history.in_progress(), history.serving()) {
        (Some(flying), _) => {
            let stage = format!("{}: {} % of the clients", flying.state, flying.percent);
            RolloutStatus::Progressing(Progress { stage, ..Progress::default() })
        }
        (None, Some(now)) => RolloutStatus::Healthy(Proof {
            version: place.profile.version(&now.version),
            digest: None,
            evidence: format!(
                "deployment {} COMPLETE, version {} at 100 % of the clients",
                now.number, now.version
            ),
            remarks: Vec::new(),
        }),
        (None, None) => RolloutStatus::Unknown("nothing was deployed here yet".into()),
    }
}

fn in_flight(place: &AppConfigLocation, history: &EnvironmentHistory) -> Option<InFlight> {
    let flying = history.in_progress()?;
    let rollout = write::new_rollout(&place.profile.version(&flying.version), flying.number);
    Some(InFlight { rollout, rolling_back: !flying.is_advancing() })
}

/// The requested version: of the deployment in progress, else of the serving one.
fn requested_version(place: &AppConfigLocation, history: &EnvironmentHistory) -> Option<Version> {
    let advancing = history.in_progress().filter(|flying| flying.is_advancing());
    advancing.or(history.serving()).map(|one| place.profile.version(&one.version))
}

#[async_trait(?Send)]
impl Target for AppConfigTarget {
    fn limits(&self, seen: &Observed) -> Limits {
        let lacks = "AppConfig uses its own deployment strategies: name one in `appconfig.strategy` and remove `strategy`.";
        let traffic = TrafficSupport { control: TrafficControl::InPlace, missing: Some(lacks.into()) };
        let strategy = parse_observed(seen).location.strategy;
        let minutes = strategy.growth_minutes + strategy.bake_minutes;
        Limits { rollout_duration: Some(Duration::from_secs(minutes * 60)), ..traffic.into() }
    }

    fn history(&self) -> &dyn History {
        self
    }

    async fn observe(&self) -> Result<Observed, Problem> {
        let place = self.location().await?;
        let history = fetch::fetch_history(self.client(), &place, fetch::RECENT_PAGES).await?;
        let version = requested_version(&place, &history);
        let definition = match &version {
            Some(version) => Value::String(self.content(&place, version).await?),
            None => Value::Null,
        };
        let past = history.completed_versions(&place.profile);
        let previous = past.iter().find(|one| Some(&one.version) != version.as_ref());
        let seen = RawObservation { location: (*place).clone(), history: history.clone() };
        Ok(Observed {
            image: None,
            container_images: ContainerImages::new(),
            digest: None,
            status: observed_status(&place, &history),
            previous: previous.map(|one| one.version.clone()),
            in_flight: in_flight(&place, &history),
            history: past,
            desired_count: 1,
            needs_cleanup: false,
            definition,
            raw: serde_json::to_value(seen).unwrap_or_default(),
            url: Some(write::console_url(self.client().region(), &place)),
            version,
        })
    }

    fn diff(&self, release: &Release, seen: &Observed) -> Result<Changes, Vec<Problem>> {
        let to = match (&release.rollback_to, &release.definition) {
            (Some(former), _) => former.definition.as_str().unwrap_or_default(),
            (None, Some(file)) => file.text.as_str(),
            (None, None) => return Ok(Changes::default()),
        };
        Ok(content::diff(observed_text(seen), to, parse_observed(seen).location.profile.has_flags()))
    }

    async fn preflight(&self, release: &Release, seen: &Observed) -> Vec<Problem> {
        let changes = self.diff(release, seen).unwrap_or_default();
        let known = parse_observed(seen);
        let intent = preflight::PreflightRequest {
            release,
            changes: &changes,
            location: &known.location,
            history: &known.history,
            alarms: &self.alarms,
            account: self.account.as_deref(),
        };
        let found = preflight::check(self.client(), intent, &self.shared.claims).await;
        found.into_iter().map(|problem| problem.for_service(&release.service)).collect()
    }

    async fn stage(&self, release: &Release, seen: &Observed) -> Result<Staged, Problem> {
        let version = match &release.rollback_to {
            Some(former) => former.version.clone(),
            None => self.create_version(release, seen).await?,
        };
        let handle = StagedDeployment {
            description: write::deployment_description(&self.run, &self.service, release.commit.as_deref()),
            is_rollback: release.rollback_to.is_some(),
            newest_observed: parse_observed(seen).history.latest_number(),
        };
        Ok(Staged::new(version, &handle))
    }

    async fn shift(&self, staged: &Staged, split: &TrafficShift) -> Result<Rollout, ChangeError> {
        let place = self.location().await.map_err(WriteError::NotMade)?;
        let handle = staged.read_handle::<StagedDeployment>();
        let description = self.description(handle.as_ref());
        let wanted = deployment_shift(split, handle.as_ref(), &description);
        match &split.kind {
            ShiftKind::Continue(rollout) => Ok(rollout.clone()),
            ShiftKind::Start { .. } => mutations::start(self.client(), &place, wanted).await,
            ShiftKind::RollBack(moved) => {
                let moved = self.deployment_of(&place, handle.as_ref(), split, moved.as_ref()).await;
                let moved = moved.map_err(WriteError::NotMade)?;
                mutations::roll_back(self.client(), &place, wanted, moved).await
            }
        }
    }

    async fn find_shift(&self, staged: &Staged, split: &TrafficShift) -> Result<Option<Rollout>, Problem> {
        let place = self.location().await?;
        let handle = staged.read_handle::<StagedDeployment>();
        let wanted = deployment_shift(split, handle.as_ref(), "");
        let rolls_back = match &split.kind {
            ShiftKind::Continue(rollout) => return Ok(Some(rollout.clone())),
            ShiftKind::Start { .. } => None,
            ShiftKind::RollBack(moved) => {
                Some(self.deployment_of(&place, handle.as_ref(), split, moved.as_ref()).await?)
            }
        };
        mutations::find_shift(self.client(), &place, wanted, rolls_back).await
    }

    async fn status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        let place = self.location().await?;
        let Some(number) = write::deployment_number(rollout) else {
            return Ok(observed_status(
                &place,
                &fetch::fetch_history(self.client(), &place, fetch::RECENT_PAGES).await?,
            ));
        };
        let detail = self.client().deployment(&place, number).await?;
        let history = match detail.deployment.is_in_flight() {
            true => EnvironmentHistory::default(),
            false => fetch::fetch_history(self.client(), &place, fetch::RECENT_PAGES).await?,
        };
        let mut health = status::rollout_status(rollout, &place.profile, &detail, &history);
        let news = self.new_events(&detail);
        if let RolloutStatus::Progressing(progress) = &mut health {
            progress.events = news;
        }
        Ok(health)
    }
}

#[async_trait(?Send)]
impl History for AppConfigTarget {
    async fn list(&self) -> Result<Vec<CompletedVersion>, Problem> {
        let place = self.location().await?;
        Ok(fetch::fetch_history(self.client(), &place, fetch::HISTORY_PAGES)
            .await?
            .completed_versions(&place.profile))
    }

    async fn load(&self, version: &Version) -> Result<RollbackTarget, Problem> {
        let place = self.location().await?;
        let content = self.content(&place, version).await.map_err(|problem| {
            if problem.code != Code::ServiceMissing {
                return problem;
            }
            let sentence = format!("The version {} was deleted and cannot be restored.", version.label);
            Problem::error(Code::RollbackTargetBroken, sentence)
                .help("Name another version with `to`, or deploy its content as a new version.")
        })?;
        Ok(RollbackTarget { version: version.clone(), definition: Value::String(content), digest: None })
    }

    fn matches(&self, release: &Release, _: &Observed, former: &RollbackTarget) -> bool {
        let text = former.definition.as_str();
        release.definition.as_ref().zip(text).is_some_and(|(file, text)| content::is_equal(&file.text, text))
    }
}

fn no_file() -> Problem {
    Problem::error(Code::Internal, "A configuration version was requested without a file.")
}

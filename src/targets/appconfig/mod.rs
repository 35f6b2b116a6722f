//! AWS AppConfig: a configuration is deployed gradually, without a build. Order of calls only.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Origin, Place as Surroundings, Target};
use crate::config::Service;
use crate::problem::{Code, Problem};
use crate::release::{
    Ability, Arm, Changes, Definition, Former, Health, InFlight, Observed, Past, Progress, Proof, Release,
    Rollout, Split, Traffic, Version, Way,
};

pub mod act;
pub mod client;
pub mod content;
pub mod grants;
pub mod look;
pub mod preflight;
pub mod read;
pub mod refusal;
pub mod settings;
pub mod verdict;
pub mod write;

pub use settings::Settings;

use act::Move;
use read::{Detail, History, Place, number};

/// What the AppConfig targets of one run share.
#[derive(Debug, Clone)]
pub struct Shared {
    client: client::Client,
    claims: Rc<preflight::Claims>,
}

impl Shared {
    /// Clients over a configuration that says credentials, region, retries, time and transport.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client::Client::new(config), claims: Rc::default() }
    }
}

/// One configuration profile in one environment.
pub struct AppConfig {
    service: String,
    settings: Settings,
    alarms: Vec<String>,
    account: Option<String>,
    origin: Origin,
    shared: Shared,
    place: RefCell<Option<Rc<Place>>>,
    /// The newest deployment when it was observed.
    since: Cell<Option<i32>>,
    /// What was staged: what is written beside its deployment, and whether it served before.
    staged: RefCell<Option<(String, bool)>>,
    /// How many entries of a deployment's log were told.
    told: RefCell<BTreeMap<i32, usize>>,
}

/// What was seen, as it is kept beside an observation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Seen {
    place: Place,
    history: History,
}

impl AppConfig {
    /// The service as its block says.
    pub fn new(around: &Surroundings<'_>, shared: &Shared, service: &Service, settings: Settings) -> Self {
        Self {
            service: service.name.clone(),
            settings,
            alarms: service.common.alarms.clone(),
            account: around.account.clone(),
            origin: around.origin.clone(),
            shared: shared.clone(),
            place: RefCell::default(),
            since: Cell::default(),
            staged: RefCell::default(),
            told: RefCell::default(),
        }
    }

    fn client(&self) -> &client::Client {
        &self.shared.client
    }

    /// Where it is; names are looked up once.
    async fn place(&self) -> Result<Rc<Place>, Problem> {
        if let Some(place) = self.place.borrow().clone() {
            return Ok(place);
        }
        let place = Rc::new(look::place(self.client(), &self.settings).await?);
        self.place.replace(Some(place.clone()));
        Ok(place)
    }

    async fn content(&self, place: &Place, version: &Version) -> Result<String, Problem> {
        let number = number(&version.id).parse().map_err(|_| unknown(version))?;
        Ok(self.client().content(place, number).await?)
    }

    /// The deployment of this run whose start was never answered, if there is one.
    async fn unanswered(&self, place: &Place, to: &Version) -> Result<Option<i32>, Problem> {
        let history = look::history(self.client(), place, look::RECENT).await?;
        let other = history.newest().filter(|newest| newest.version != number(&to.id)).cloned();
        let Some(newest) = other else { return Ok(None) };
        if self.staged.borrow().is_some() {
            return Ok(self.since.get().filter(|since| newest.number > *since).map(|_| newest.number));
        }
        // In a process of its own, as the post step is, only what the run wrote beside it tells whose it is.
        let Some(mark) = write::mark(&self.origin) else { return Ok(None) };
        let detail = self.client().deployment(place, newest.number).await?;
        Ok(detail.description.ends_with(&mark).then_some(newest.number))
    }

    /// The lines of a deployment's log that no earlier look told.
    fn news(&self, detail: &Detail) -> Vec<String> {
        let mut told = self.told.borrow_mut();
        let known = told.insert(detail.deployment.number, detail.events.len()).unwrap_or_default();
        detail.events.iter().skip(known).map(|event| event.words.clone()).collect()
    }
}

/// What can be found without a call in the block of a service, in what stands beside it and in its file.
pub fn findings(file: &str, service: &Service, definition: Option<&Definition>) -> Vec<Problem> {
    let mut found: Vec<Problem> = definition.map(content::findings).unwrap_or_default();
    let useless = [("build", service.build.is_some()), ("repository", service.common.repository.is_some())];
    for (key, _) in useless.iter().filter(|(_, given)| *given) {
        let sentence = format!("`{key}` means nothing for a configuration: nothing is built.");
        let problem = Problem::error(Code::ConfigInvalid, sentence).help(format!("Take `{key}` out."));
        let node = service.build.as_ref().unwrap_or(&service.settings);
        found.push(problem.at(file, node.line, node.column));
    }
    found
}

fn unknown(version: &Version) -> Problem {
    let sentence = format!("`{}` is not a version of a hosted configuration.", version.id);
    Problem::error(Code::VersionUnknown, sentence)
}

fn text_of(seen: &Observed) -> Option<&str> {
    seen.definition.as_str()
}

fn seen_of(observed: &Observed) -> Seen {
    serde_json::from_value(observed.raw.clone()).unwrap_or_default()
}

fn health(place: &Place, history: &History) -> Health {
    match (history.flying(), history.serves()) {
        (Some(flying), _) => {
            let stage = format!("{}: {} % of the clients can get it", flying.state, flying.percent);
            Health::Progressing(Progress { stage, ..Progress::default() })
        }
        (None, Some(now)) => Health::Healthy(Proof {
            version: place.profile.version(&now.version),
            digest: None,
            evidence: format!("deployment {} COMPLETE, all clients get version {}", now.number, now.version),
        }),
        (None, None) => Health::Unknown("nothing was ever deployed here".into()),
    }
}

fn in_flight(place: &Place, history: &History) -> Option<InFlight> {
    let flying = history.flying()?;
    let rollout = write::rollout(&place.profile.version(&flying.version), flying.number);
    Some(InFlight { rollout, rolling_back: !flying.advances() })
}

/// The version that is wished for: that of what is on its way, else of what serves.
fn wished(place: &Place, history: &History) -> Option<Version> {
    let advancing = history.flying().filter(|flying| flying.advances());
    advancing.or(history.serves()).map(|one| place.profile.version(&one.version))
}

#[async_trait(?Send)]
impl Target for AppConfig {
    fn ability(&self, _: &Observed) -> Ability {
        let lacks = "AppConfig brings a configuration to its clients by its own deployment strategy: name that in `appconfig.strategy`, and take this `strategy` out.";
        Ability { traffic: Traffic::Whole, lacks: Some(lacks.into()) }
    }

    fn duration(&self, seen: &Observed) -> Option<Duration> {
        let strategy = seen_of(seen).place.strategy;
        Some(Duration::from_secs((strategy.minutes + strategy.bake) * 60))
    }

    async fn observe(&self) -> Result<Observed, Problem> {
        let place = self.place().await?;
        let history = look::history(self.client(), &place, look::RECENT).await?;
        self.since.set(Some(history.latest()));
        let version = wished(&place, &history);
        let definition = match &version {
            Some(version) => Value::String(self.content(&place, version).await?),
            None => Value::Null,
        };
        let past = history.past(&place.profile);
        let previous = past.iter().find(|one| Some(&one.version) != version.as_ref());
        let seen = Seen { place: (*place).clone(), history: history.clone() };
        Ok(Observed {
            image: None,
            digest: None,
            health: health(&place, &history),
            previous: previous.map(|one| one.version.clone()),
            in_flight: in_flight(&place, &history),
            history: past,
            desired: 1,
            leftover: false,
            definition,
            raw: serde_json::to_value(seen).unwrap_or_default(),
            url: Some(write::url(self.client().region(), &place)),
            version,
        })
    }

    fn changes(&self, release: &Release, seen: &Observed) -> Result<Changes, Vec<Problem>> {
        let to = match (&release.former, &release.definition) {
            (Some(former), _) => former.definition.as_str().unwrap_or_default(),
            (None, Some(file)) => file.text.as_str(),
            (None, None) => return Ok(Changes::default()),
        };
        Ok(content::changes(text_of(seen), to, seen_of(seen).place.profile.has_flags()))
    }

    async fn check(&self, release: &Release, seen: &Observed) -> Vec<Problem> {
        let changes = self.changes(release, seen).unwrap_or_default();
        let known = seen_of(seen);
        let intent = preflight::Intent {
            release,
            changes: &changes,
            place: &known.place,
            history: &known.history,
            alarms: &self.alarms,
            account: self.account.as_deref(),
        };
        let found = preflight::check(self.client(), intent, &self.shared.claims).await;
        found.into_iter().map(|problem| problem.of(&release.service)).collect()
    }

    async fn versions(&self) -> Result<Vec<Past>, Problem> {
        let place = self.place().await?;
        Ok(look::history(self.client(), &place, look::PAST).await?.past(&place.profile))
    }

    async fn recall(&self, version: &Version) -> Result<Former, Problem> {
        let place = self.place().await?;
        let content = self.content(&place, version).await.map_err(|problem| {
            if problem.code != Code::ServiceMissing {
                return problem;
            }
            let sentence = format!("The version {} was deleted and cannot come back.", version.label);
            Problem::error(Code::RollbackTargetBroken, sentence)
                .help("Name another version with `to`, or deploy its content as a new one.")
        })?;
        Ok(Former { version: version.clone(), definition: Value::String(content), digest: None })
    }

    fn equals(&self, release: &Release, _: &Observed, former: &Former) -> bool {
        let text = former.definition.as_str();
        release.definition.as_ref().zip(text).is_some_and(|(file, text)| content::same(&file.text, text))
    }

    async fn stage(&self, release: &Release, seen: &Observed) -> Result<Version, Problem> {
        let description = write::description(&self.origin, &self.service, release.commit.as_deref());
        self.staged.replace(Some((description, release.former.is_some())));
        if let Some(former) = &release.former {
            return Ok(former.version.clone());
        }
        let Some(file) = &release.definition else { return Err(no_file()) };
        // The very content that was asked for before and does not serve is not made once more.
        match (&seen.version, text_of(seen)) {
            (Some(version), Some(text)) if content::same(text, &file.text) => Ok(version.clone()),
            _ => act::create(self.client(), &*self.place().await?, file).await,
        }
    }

    async fn route(&self, split: &Split) -> Result<Rollout, Problem> {
        let place = self.place().await?;
        let staged = self.staged.borrow().clone();
        let (description, back) =
            staged.unwrap_or_else(|| (write::description(&self.origin, &self.service, None), false));
        let since = self.since.get().unwrap_or_default();
        let wanted = Move { version: &split.version, back, description: &description, since };
        match &split.way {
            Way::Onward(rollout) => Ok(rollout.clone()),
            Way::Start { .. } => act::forward(self.client(), &place, wanted).await,
            Way::Back(Some(moved)) => {
                act::backward(self.client(), &place, wanted, write::deployment_of(moved)).await
            }
            Way::Back(None) => {
                let moved = self.unanswered(&place, &split.version).await?;
                act::backward(self.client(), &place, wanted, moved).await
            }
        }
    }

    async fn probe(&self, rollout: &Rollout) -> Result<Health, Problem> {
        let place = self.place().await?;
        let Some(number) = write::deployment_of(rollout) else {
            return Ok(health(&place, &look::history(self.client(), &place, look::RECENT).await?));
        };
        let detail = self.client().deployment(&place, number).await?;
        let history = match detail.deployment.in_flight() {
            true => History::default(),
            false => look::history(self.client(), &place, look::RECENT).await?,
        };
        let mut health = verdict::decide(rollout, &place.profile, &detail, &history);
        let news = self.news(&detail);
        if let Health::Progressing(progress) = &mut health {
            progress.events = news;
        }
        Ok(health)
    }

    async fn arms(&self, _: &Observed) -> Result<Vec<Arm>, Problem> {
        Ok(Vec::new())
    }

    /// AppConfig keeps versions and deployments; nothing is made for a movement that would have to go.
    async fn retire(&self, _: &Rollout) -> Result<(), Problem> {
        Ok(())
    }
}

fn no_file() -> Problem {
    Problem::error(Code::Internal, "A configuration was to be made and there is no file.")
}

//! Docker Compose on a server over SSH: a release is put beside those before it, and a transaction on the server moves traffic,
//! whether or not the run lives. Sequences of calls only.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ChangeError, History, Limits, RunInfo, Target, TargetContext};
use crate::config::Service;
use crate::problem::{Code, Problem};
use crate::release::{
    Change, Changes, CompletedVersion, ContainerImages, HiddenChange, InFlight, Observed, Release,
    RollbackTarget, Rollout, RolloutStatus, ShiftKind, Staged, TrafficControl, TrafficPlan, TrafficShift,
    TrafficSupport, Version,
};
use crate::retry::WriteError;

pub mod client;
pub mod compose_file;
pub mod facts;
pub mod kind;
pub mod mutations;
pub mod preflight;
pub mod proxy;
pub mod read;
pub mod rollout_ids;
pub mod settings;
pub mod source;
pub mod status;
pub mod write;

#[cfg(test)]
mod compose_file_tests;
#[cfg(test)]
mod read_tests;
#[cfg(test)]
mod status_tests;

pub use settings::Settings;

use client::{Answer, Client};
use facts::ReleaseFacts;
use mutations::AttemptRequest;
use read::{AttemptState, ServerState, version};
use rollout_ids::RolloutIds;
use source::ReleaseSource;
use write::ServerRequest;

/// One service of a Compose file on one server.
pub struct ComposeTarget {
    settings: Settings,
    project: String,
    run: RunInfo,
    client: Client,
    /// The files of the workspace, or why they cannot be read. A rollback needs none.
    source: Result<ReleaseSource, Vec<Problem>>,
}

impl ComposeTarget {
    /// The service with its settings. Its files are read; no connection is made.
    pub fn new(around: &TargetContext<'_>, service: &Service, settings: Settings) -> Result<Self, Problem> {
        let no_host = || Problem::error(Code::Internal, format!("`{}` has no host.", service.name));
        let host = settings.hosts.remote_host().ok_or_else(no_host)?;
        let workspace: PathBuf = around.workspace.clone();
        let source = source::read_source(&settings, &workspace);
        let files = source.as_ref().map(|source| source.files.as_slice()).unwrap_or_default();
        let project = compose_file::project_name(&settings, files);
        let client = Client::new(around.remote_hosts.clone(), host);
        Ok(Self { settings, project, run: around.run.clone(), client, source })
    }

    /// What is wrong with the credentials of the run, as one problem.
    fn credential_problem(&self) -> Option<Problem> {
        self.client.credential_problems().into_iter().next()
    }

    fn request(&self, operation: &str) -> ServerRequest {
        ServerRequest::new(operation, &self.settings, &self.project)
    }

    fn service(&self) -> &str {
        self.settings.service.as_str()
    }

    /// The facts of the release that would serve; `None` if nothing would change.
    fn wanted_facts(&self, release: &Release) -> Result<Option<ReleaseFacts>, Vec<Problem>> {
        match &release.rollback_to {
            Some(former) => Ok(former.definition.as_str().and_then(ReleaseFacts::parse)),
            None if release.image.is_none() => Ok(None),
            None => Ok(Some(ReleaseFacts::of(release, self.source.as_ref().map_err(Clone::clone)?))),
        }
    }

    /// The status of an attempt.
    async fn attempt_state(&self, ids: &RolloutIds) -> Result<ServerState, Problem> {
        self.client.status(&self.request("status").with_attempt(ids.attempt, &ids.owner)).await
    }

    async fn start(
        &self,
        staged: StagedAttempt,
        to: &Version,
        plan: &TrafficPlan,
    ) -> Result<Rollout, ChangeError> {
        let StagedAttempt { ids, is_rollback } = staged;
        let request = self.request("start");
        let request = if is_rollback { request.without_backup() } else { request };
        mutations::start(&self.client, AttemptRequest { request, ids, version: to, plan }).await
    }

    /// An attempt that has not ended goes back by itself when it is asked to; after its end another attempt goes back.
    async fn roll_back(&self, moved: Option<&RolloutIds>, to: &Version) -> Result<Rollout, ChangeError> {
        let Some(moved) = moved else {
            return Err(WriteError::NotMade(Problem::error(
                Code::Internal,
                "It is not known what to roll back.",
            )));
        };
        let state = self.attempt_state(moved).await.map_err(WriteError::NotMade)?;
        match state.attempt.as_ref().filter(|attempt| attempt.number == moved.attempt) {
            Some(attempt) if attempt.is_alive && !attempt.has_ended() => {
                let request = self.request("abort").with_attempt(moved.attempt, &moved.owner);
                let answer = self.client.abort(&request).await.map_err(mutations::change_error)?;
                mutations::accept(answer, &moved.rollout(to))
            }
            _ => {
                let back = StagedAttempt { ids: moved.back(), is_rollback: true };
                self.start(back, to, &TrafficPlan::in_place()).await
            }
        }
    }

    /// Whether an attempt of this rollout is on the server.
    async fn find_attempt(&self, ids: &RolloutIds) -> Result<Option<AttemptState>, Problem> {
        let state = self.attempt_state(ids).await?;
        match state.attempt.filter(|attempt| attempt.number == ids.attempt) {
            Some(attempt) if attempt.owner == ids.owner => Ok(Some(attempt)),
            Some(_) => Err(mutations::refusal_problem("taken", "")),
            None => Ok(None),
        }
    }

    fn observed(&self, state: &ServerState) -> Observed {
        let number = state.attempt_in_flight().map(|attempt| attempt.release).or(state.serving_release());
        let serving = number.map(|number| version(self.service(), number));
        let past = state.completed_versions(self.service());
        let previous = past.iter().find(|one| Some(&one.version) != serving.as_ref());
        let of_serving = past.iter().find(|one| Some(&one.version) == serving.as_ref());
        let facts = number.and_then(|number| state.release(number)).map(|release| &release.facts);
        let image =
            facts.and_then(|facts| facts.image.clone()).or(of_serving.and_then(|one| one.image.clone()));
        let digest = image.as_ref().and_then(|image| image.digest.clone());
        let runs = |digest: &&crate::release::Digest| state.containers.iter().any(|it| it.has_digest(digest));
        Observed {
            container_images: ContainerImages::new(),
            digest: digest.as_ref().filter(runs).cloned(),
            image,
            status: status::serving_status(state, self.service()),
            previous: previous.map(|one| one.version.clone()),
            in_flight: self.in_flight(state),
            history: past.clone(),
            desired_count: 1,
            needs_cleanup: false,
            definition: facts.map_or(Value::Null, |facts| Value::String(facts.to_string())),
            raw: serde_json::to_value(state).unwrap_or_default(),
            url: None,
            version: serving,
        }
    }

    fn in_flight(&self, state: &ServerState) -> Option<InFlight> {
        let attempt = state.attempt_in_flight()?;
        let ids = RolloutIds { attempt: attempt.number, owner: attempt.owner.clone() };
        let rollout = ids.rollout(&version(self.service(), attempt.release));
        Some(InFlight { rollout, rolling_back: attempt.word() == "rolling-back" })
    }

    /// Puts the release on the server, unless the same one is there. Its number.
    async fn create_release(&self, release: &Release, seen: &ServerState) -> Result<u32, Problem> {
        let source = self.source.as_ref().map_err(|problems| first_problem(problems))?;
        let facts = ReleaseFacts::of(release, source);
        let same = seen.releases.iter().rev().find(|stored| stored.facts.is_same_version(&facts));
        let number = same.map_or_else(|| seen.next_release(), |stored| stored.number);
        let facts = same.map_or(facts, |stored| stored.facts.clone());
        let adopts = seen.serving.is_none() && !seen.containers.is_empty();
        let request = self.request("stage").with_release(&number.to_string());
        match self.client.stage(&request.with_new_release(&facts, source, adopts)).await {
            Ok(Answer::Accepted(_)) => Ok(number),
            Ok(Answer::Refused { reason, cause }) => Err(mutations::refusal_problem(&reason, &cause)),
            Err(error) => Err(error.to_problem()),
        }
    }
}

/// What staging records for the attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StagedAttempt {
    ids: RolloutIds,
    /// Whether it returns to an earlier release: what a backup would keep then is what failed.
    is_rollback: bool,
}

fn parse_observed(observed: &Observed) -> ServerState {
    serde_json::from_value(observed.raw.clone()).unwrap_or_default()
}

fn first_problem(problems: &[Problem]) -> Problem {
    let unknown = || Problem::error(Code::Internal, "The files of the release could not be read.");
    problems.first().cloned().unwrap_or_else(unknown)
}

#[async_trait(?Send)]
impl Target for ComposeTarget {
    async fn observe(&self) -> Result<Observed, Problem> {
        Ok(self.observed(&self.client.observe(&self.request("observe")).await?))
    }

    fn diff(&self, release: &Release, observed: &Observed) -> Result<Changes, Vec<Problem>> {
        let Some(wanted) = self.wanted_facts(release)? else { return Ok(Changes::default()) };
        let state = parse_observed(observed);
        let number = state.attempt_in_flight().map(|attempt| attempt.release).or(state.serving_release());
        let now = number.and_then(|number| state.release(number)).map(|stored| stored.facts.clone());
        let running = observed
            .image
            .as_ref()
            .filter(|_| state.attempt_in_flight().is_some() || observed.digest.is_some());
        Ok(compare(now.as_ref(), running.map(ToString::to_string), &wanted))
    }

    async fn preflight(&self, release: &Release, observed: &Observed) -> Vec<Problem> {
        let files = self.source.as_ref().err().filter(|_| release.creates_version());
        let found = preflight::check(&self.settings, &parse_observed(observed), release);
        let found = files.into_iter().flatten().cloned().chain(found);
        found.map(|problem| problem.for_service(&release.service)).collect()
    }

    async fn stage(&self, release: &Release, observed: &Observed) -> Result<Staged, Problem> {
        let seen = parse_observed(observed);
        let staged = match &release.rollback_to {
            Some(former) => former.version.clone(),
            None => version(self.service(), self.create_release(release, &seen).await?),
        };
        let number = staged.id.parse().unwrap_or_default();
        let ids = RolloutIds::next(&self.run, seen.newest_attempt, number);
        Ok(Staged::new(staged, &StagedAttempt { ids, is_rollback: release.rollback_to.is_some() }))
    }

    async fn shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Rollout, ChangeError> {
        let handle = staged.read_handle::<StagedAttempt>();
        let own = handle.as_ref().map(|handle| handle.ids.clone());
        match &shift.kind {
            ShiftKind::Start { plan, .. } => {
                let unknown = || WriteError::NotMade(Problem::error(Code::Internal, "Nothing was staged."));
                self.start(handle.ok_or_else(unknown)?, &shift.version, plan).await
            }
            ShiftKind::Continue(rollout) => {
                let ids = RolloutIds::of(rollout).or(own);
                let Some(ids) = ids else { return Ok(rollout.clone()) };
                let request = self.request("continue").with_attempt(ids.attempt, &ids.owner);
                let answer = self.client.proceed(&request.with_weight(shift.percent)).await;
                mutations::accept(answer.map_err(mutations::change_error)?, rollout)
            }
            ShiftKind::RollBack(moved) => {
                let moved = moved.as_ref().and_then(RolloutIds::of).or(own);
                self.roll_back(moved.as_ref(), &shift.version).await
            }
        }
    }

    async fn find_shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Option<Rollout>, Problem> {
        let own = staged.read_handle::<StagedAttempt>().map(|handle| handle.ids);
        let moved = match &shift.kind {
            ShiftKind::Continue(rollout) => return Ok(Some(rollout.clone())),
            ShiftKind::Start { .. } => {
                let Some(ids) = own else { return Ok(None) };
                return Ok(self.find_attempt(&ids).await?.map(|_| ids.rollout(&shift.version)));
            }
            ShiftKind::RollBack(moved) => moved.as_ref().and_then(RolloutIds::of).or(own),
        };
        let Some(moved) = moved else { return Ok(None) };
        let going_back = |attempt: &AttemptState| matches!(attempt.word(), "rolling-back" | "rolled-back");
        if self.find_attempt(&moved).await?.is_some_and(|attempt| going_back(&attempt)) {
            return Ok(Some(moved.rollout(&shift.version)));
        }
        Ok(self.find_attempt(&moved.back()).await?.map(|_| moved.back().rollout(&shift.version)))
    }

    async fn status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        match RolloutIds::of(rollout) {
            Some(ids) => Ok(status::rollout_status(
                &self.attempt_state(&ids).await?,
                self.service(),
                ids.attempt,
                &rollout.version,
            )),
            None => Ok(self.observe().await?.status),
        }
    }

    fn limits(&self, _: &Observed) -> Limits {
        let missing = "The container is replaced in place: name the file of a proxy in `compose.proxy`.";
        let control = match self.settings.proxy {
            Some(_) => TrafficControl::Weighted,
            None => TrafficControl::InPlace,
        };
        let missing = (control == TrafficControl::InPlace).then(|| missing.to_owned());
        let settle = self.settings.settle.0;
        Limits {
            rollback_duration: Some(self.settings.start_timeout.0 + settle + Duration::from_secs(60)),
            ..TrafficSupport { control, missing }.into()
        }
    }

    fn history(&self) -> &dyn History {
        self
    }
}

/// The changes between what serves and what is wanted. Contents are not shown: files can have secrets.
fn compare(now: Option<&ReleaseFacts>, running: Option<String>, wanted: &ReleaseFacts) -> Changes {
    let mut changes = Vec::new();
    let image = wanted.image.as_ref().map(ToString::to_string);
    if running != image {
        changes.push(Change::shown("image", running, image));
    }
    let (files, env) = (now.and_then(|now| now.files.as_ref()), now.and_then(|now| now.env.as_ref()));
    for (field, from, to) in [("Compose files", files, &wanted.files), ("variables", env, &wanted.env)] {
        if from != to.as_ref() {
            let hidden = HiddenChange::between(from.is_some(), to.is_some());
            changes.push(Change::hidden(field, hidden));
        }
    }
    Changes(changes)
}

#[async_trait(?Send)]
impl History for ComposeTarget {
    async fn list(&self) -> Result<Vec<CompletedVersion>, Problem> {
        let state = self.client.observe(&self.request("observe")).await?;
        Ok(state.completed_versions(self.service()))
    }

    async fn load(&self, version: &Version) -> Result<RollbackTarget, Problem> {
        let state = self.client.observe(&self.request("observe")).await?;
        let number = version.id.parse().ok();
        let stored = number.and_then(|number| state.release(number));
        let is_adopted = number == Some(0) && state.serving_release() == Some(0);
        if stored.is_none() && !is_adopted {
            let sentence = format!("The release {} is no longer on the server.", version.label);
            return Err(Problem::error(Code::RollbackTargetBroken, sentence)
                .help("Name another version with `to`, or deploy its commit; `compose.keep` says how many releases stay."));
        }
        let facts = stored.map(|stored| &stored.facts);
        Ok(RollbackTarget {
            version: version.clone(),
            definition: facts.map_or(Value::Null, |facts| Value::String(facts.to_string())),
            digest: facts.and_then(ReleaseFacts::digest),
        })
    }

    fn matches(&self, release: &Release, _: &Observed, former: &RollbackTarget) -> bool {
        let former = former.definition.as_str().and_then(ReleaseFacts::parse);
        let wanted = self.wanted_facts(release).ok().flatten();
        former.zip(wanted).is_some_and(|(former, wanted)| former.is_same_version(&wanted))
    }
}

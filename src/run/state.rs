//! What the main step leaves for the post step: which services moved where, and whether that ended.

use serde::{Deserialize, Serialize};

use crate::action::files;
use crate::problem::Problem;
use crate::release::{Rollout, Version};
use crate::sys::environment::Variables;

use super::Job;
use super::atomic;
use super::before::Saved;
use super::unit::{Phase, Unit};

const KEY: &str = "walk";

/// The runs's state, written before and after each movement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The environment.
    pub(super) environment: String,
    /// Whether they belong together: all of them, or none.
    #[serde(default)]
    pub(super) together: bool,
    /// Whether one of those that belong together failed, so that none may stay.
    #[serde(default)]
    pub(super) apart: bool,
    /// Services that were, or may have been, moved.
    pub(super) services: Vec<Moved>,
    /// What the run holds at GitHub.
    #[serde(default)]
    pub(super) held: Held,
}

/// What a run holds at GitHub until its end is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Leases that it has, or may have.
    pub(super) leases: Vec<Lease>,
    /// The record of what it releases, while that says that it is under way.
    pub(super) record: Option<Opened>,
}

/// A lease that a run has, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    /// The ref.
    pub(super) reference: String,
    /// The commit that it points to while it is ours.
    pub(super) commit: String,
}

/// A record that says that a release is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opened {
    /// GitHub's number of the deployment.
    pub(super) deployment: u64,
    /// What names the record among the statuses of a deployment that is not ours.
    pub(super) tag: Option<String>,
}

impl Held {
    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.leases.is_empty() && self.record.is_none()
    }
}

impl State {
    /// Whether something may still move, or has to be given back.
    pub(super) fn is_open(&self) -> bool {
        !self.held.is_empty() || self.services.iter().any(|moved| !moved.ended)
    }
}

/// A service that was, or may have been, moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moved {
    /// Its name in the deploy file.
    pub(super) service: String,
    /// The version that was asked for.
    pub(super) asked_for: Option<String>,
    /// The rollout; `None` where the request was sent and no answer came.
    pub(super) rollout: Option<Rollout>,
    /// Where a rollback goes.
    pub(super) back_to: Option<String>,
    /// The command that ran before, where nothing was moved yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Saved>,
    /// Whether its end is known and reported.
    pub(super) ended: bool,
}

/// Writes the state as it is now. A state that cannot be written is a warning: the deployment matters more.
pub(super) fn save(job: &Job, environment: &str, units: &[Unit]) -> Vec<Problem> {
    write(job, State { services: units.iter().filter_map(moved).collect(), ..bond(environment, units) })
}

/// Writes the state of a run that was cancelled: what was under way is for the post step to confirm.
pub(super) fn save_open(job: &Job, open: State) -> Vec<Problem> {
    write(job, open)
}

/// What is said of all services of a run, before any of them.
pub(super) fn bond(environment: &str, units: &[Unit]) -> State {
    let together = units.iter().any(|unit| unit.together);
    let apart = atomic::are_apart(units);
    State { environment: environment.to_owned(), together, apart, ..State::default() }
}

/// Writes what is held now, and all else as it was.
pub(super) fn save_held(job: &Job) -> Vec<Problem> {
    let before = job.saved.borrow().as_deref().and_then(|text| serde_json::from_str(text).ok());
    write(job, before.unwrap_or_default())
}

/// Writes a state, with what is held now.
fn write(job: &Job, state: State) -> Vec<Problem> {
    let state = State { held: job.held.borrow().clone(), ..state };
    let text = serde_json::to_string(&state).unwrap_or_default();
    if job.saved.replace(Some(text.clone())).as_ref() == Some(&text) {
        return Vec::new();
    }
    job.files.state(&[(KEY, text)])
}

pub(super) fn moved(unit: &Unit) -> Option<Moved> {
    let version = |version: &Version| version.id.clone();
    let rollout = match &unit.phase {
        Phase::Ready => return None,
        Phase::Moving(rollout, _) => Some(rollout.clone()),
        Phase::Done => unit.last.clone(),
        Phase::Asked | Phase::Before(_) => None,
    };
    let before = match &unit.phase {
        Phase::Before(command) => Some(command.saved()),
        _ => None,
    };
    Some(Moved {
        service: unit.name().to_owned(),
        asked_for: unit.report.version.as_ref().map(version),
        rollout,
        back_to: unit.seen.refuge().map(version),
        before,
        ended: unit.phase == Phase::Done && unit.settled && !unit.awaits,
    })
}

/// Whether what was written last leaves something for the post step to confirm.
pub(super) fn is_open(job: &Job) -> bool {
    let saved = job.saved.borrow();
    let state = saved.as_deref().and_then(|text| serde_json::from_str::<State>(text).ok());
    state.is_some_and(|state| state.services.iter().any(|moved| !moved.ended))
}

/// What the main step left; `None` where it never moved anything.
pub(super) fn load(variables: &Variables) -> Option<State> {
    serde_json::from_str(files::saved(variables, KEY)?).ok()
}

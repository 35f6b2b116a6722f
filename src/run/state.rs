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
    write(job, &State { services: units.iter().filter_map(moved).collect(), ..bond(environment, units) })
}

/// Writes the state of a run that was cancelled: what was under way is for the post step to confirm.
pub(super) fn save_open(job: &Job, open: State) -> Vec<Problem> {
    write(job, &open)
}

/// What is said of all services of a run, before any of them.
pub(super) fn bond(environment: &str, units: &[Unit]) -> State {
    let together = units.iter().any(|unit| unit.together);
    let apart = atomic::are_apart(units);
    State { environment: environment.to_owned(), together, apart, services: Vec::new() }
}

fn write(job: &Job, state: &State) -> Vec<Problem> {
    let text = serde_json::to_string(state).unwrap_or_default();
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

/// What the main step left; `None` where it never moved anything.
pub(super) fn load(variables: &Variables) -> Option<State> {
    serde_json::from_str(files::saved(variables, KEY)?).ok()
}

//! What the main step leaves for the post step: which services moved where, and whether that ended.

use serde::{Deserialize, Serialize};

use crate::action::files;
use crate::problem::Problem;
use crate::release::{Rollout, Version};
use crate::sys::environment::Variables;

use super::Job;
use super::unit::{Phase, Unit};

const KEY: &str = "walk";

/// The runs's state, written before and after each movement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The environment.
    pub(super) environment: String,
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
    /// Whether its end is known and reported.
    pub(super) ended: bool,
}

/// Writes the state as it is now. A state that cannot be written is a warning: the deployment matters more.
pub(super) fn save(job: &Job, environment: &str, units: &[Unit]) -> Vec<Problem> {
    let state =
        State { environment: environment.to_owned(), services: units.iter().filter_map(moved).collect() };
    write(job, &state)
}

/// Writes the state of a run that was cancelled: what was under way is for the post step to confirm.
pub(super) fn save_open(job: &Job, open: Vec<Moved>, environment: &str) -> Vec<Problem> {
    write(job, &State { environment: environment.to_owned(), services: open })
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
        Phase::Asked => None,
    };
    Some(Moved {
        service: unit.name().to_owned(),
        asked_for: unit.report.version.as_ref().map(version),
        rollout,
        back_to: unit.seen.refuge().map(version),
        ended: unit.phase == Phase::Done && unit.settled,
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

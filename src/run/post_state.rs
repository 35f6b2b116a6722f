//! The state that the main step saves for the post step: rollouts, and whether they ended.

use serde::{Deserialize, Serialize};

use crate::action::files;
use crate::github::lease;
use crate::problem::Problem;
use crate::release::{Outcome, Rollout, Staged, Version};
use crate::run::atomic_state;
use crate::run::context::RunContext;
use crate::run::held::HeldResources;
use crate::run::rollout_state::{Phase, SavedCommand};
use crate::run::service_run::ServiceRun;
use crate::strategy::Direction;
use crate::sys::environment::Variables;

const STATE_KEY: &str = "walk";

/// The state of the run, saved before and after each shift.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct PostState {
    /// The environment.
    pub(in crate::run) environment: String,
    /// Whether they belong together: all of them, or none.
    #[serde(default)]
    pub(in crate::run) atomic: bool,
    /// Whether one of those that belong together failed, so that none may stay.
    #[serde(default)]
    pub(in crate::run) broken: bool,
    /// Services whose traffic was shifted, or may have been.
    pub(in crate::run) services: Vec<ServiceState>,
    /// What the run holds at GitHub.
    #[serde(default)]
    pub(in crate::run) held: HeldResources,
    /// Number and attempt of the run that wrote it.
    #[serde(default)]
    pub(in crate::run) run: String,
}

impl PostState {
    /// Whether something may still move, or has to be given back.
    pub(in crate::run) fn is_open(&self) -> bool {
        !self.held.is_empty() || self.services.iter().any(|moved| !moved.ended)
    }

    /// Whether the run had found a failure before it was cut off.
    pub(in crate::run) fn has_failure(&self) -> bool {
        self.broken || self.services.iter().any(|moved| moved.failed)
    }
}

/// A service whose traffic was shifted, or may have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct ServiceState {
    /// Its name in the deploy file.
    pub(in crate::run) service: String,
    /// The version that was requested.
    pub(in crate::run) requested_version: Option<String>,
    /// The version that was staged, with what its target recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::run) staged: Option<Staged>,
    /// The rollout; `None` where the request was sent and no answer came.
    pub(in crate::run) rollout: Option<Rollout>,
    /// Where a rollback goes.
    pub(in crate::run) rollback_to: Option<String>,
    /// The command that runs before the rollout, if no traffic was shifted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::run) command: Option<SavedCommand>,
    /// Whether its end is known and reported.
    pub(in crate::run) ended: bool,
    /// Whether a failure was found, for which it is or was rolled back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::run) failed: bool,
}

/// Writes the state as it is now. A state that cannot be written is a warning: the deployment matters more.
pub(in crate::run) fn save(ctx: &RunContext, environment: &str, services: &[ServiceRun]) -> Vec<Problem> {
    write(ctx, current(environment, services))
}

/// The state as it is now, without what is held at GitHub.
pub(in crate::run) fn current(environment: &str, services: &[ServiceRun]) -> PostState {
    PostState {
        environment: environment.to_owned(),
        atomic: services.iter().any(|service| service.atomic),
        broken: atomic_state::is_broken(services),
        services: services.iter().filter_map(service_state).collect(),
        held: HeldResources::default(),
        run: String::new(),
    }
}

/// Writes the state of a run that has changed nothing yet.
pub(in crate::run) fn save_before_change(ctx: &RunContext, environment: &str, atomic: bool) -> Vec<Problem> {
    write(ctx, PostState { environment: environment.to_owned(), atomic, ..PostState::default() })
}

/// Writes the state of a cancelled run: the post step confirms what was in progress.
pub(in crate::run) fn save_open(ctx: &RunContext, open: PostState) -> Vec<Problem> {
    write(ctx, open)
}

/// Writes what is held now, and all else as it was.
pub(in crate::run) fn save_held(ctx: &RunContext) -> Vec<Problem> {
    let before = ctx.saved_state.borrow().as_deref().and_then(|text| serde_json::from_str(text).ok());
    write(ctx, before.unwrap_or_default())
}

/// Writes a state, with what is held now.
fn write(ctx: &RunContext, state: PostState) -> Vec<Problem> {
    let state = PostState { held: ctx.held.borrow().clone(), run: run_of(&ctx.io.variables), ..state };
    let text = serde_json::to_string(&state).unwrap_or_default();
    if ctx.saved_state.replace(Some(text.clone())).as_ref() == Some(&text) {
        return Vec::new();
    }
    ctx.files.write_state(&[(STATE_KEY, text)])
}

/// What a run changed, as far as its state says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavedChanges {
    /// Nothing.
    None,
    /// Services whose end is not known.
    InProgress,
    /// Services, and each of them ended.
    Ended,
}

impl PostState {
    fn changes(&self) -> SavedChanges {
        match self.services.iter().any(|service| !service.ended) {
            true => SavedChanges::InProgress,
            false if self.services.is_empty() => SavedChanges::None,
            false => SavedChanges::Ended,
        }
    }
}

/// What this step changed, as the state says that it wrote itself; `None` if that cannot be read.
pub fn saved_changes(written: &Variables) -> Option<SavedChanges> {
    match files::saved_state(written, STATE_KEY) {
        Some(text) => serde_json::from_str(text).ok().map(|state: PostState| state.changes()),
        None => Some(SavedChanges::None),
    }
}

/// What this run has changed until now.
pub(in crate::run) fn changes_so_far(ctx: &RunContext) -> SavedChanges {
    let saved = ctx.saved_state.borrow();
    let state = saved.as_deref().and_then(|text| serde_json::from_str::<PostState>(text).ok());
    state.map_or(SavedChanges::None, |state| state.changes())
}

fn service_state(service: &ServiceRun) -> Option<ServiceState> {
    let version = |version: &Version| version.id.clone();
    let rollout = match &service.rollout.phase {
        Phase::Pending => return None,
        Phase::Rolling(rollout, _) => Some(rollout.clone()),
        Phase::Done => service.rollout.last_rollout.clone(),
        Phase::Requested(_) => service.rollout.current_rollout().cloned(),
        Phase::RunningCommand(_) => None,
    };
    let command = match &service.rollout.phase {
        Phase::RunningCommand(command) => Some(command.to_saved()),
        _ => None,
    };
    let ended =
        service.rollout.phase == Phase::Done && service.rollout.cleaned_up && !service.rollout.awaiting_peers;
    // The runner hands the state over in one environment variable, and Linux limits those to 128 KiB: what was staged is
    // saved only as long as no rollout is known.
    let staged = service.staged.clone().filter(|_| rollout.is_none() && !ended);
    Some(ServiceState {
        service: service.name().to_owned(),
        requested_version: service.report.version.as_ref().map(version),
        staged,
        rollout,
        rollback_to: service.observed.last_known_good().map(version),
        command,
        ended,
        failed: has_failed(service),
    })
}

fn has_failed(service: &ServiceRun) -> bool {
    let is_returning = matches!(service.rollout.direction(), Some(Direction::Back(_)));
    let ended_badly =
        matches!(service.report.outcome, Outcome::Failed | Outcome::Stranded | Outcome::Inconclusive);
    is_returning || service.rollout.phase == Phase::Done && ended_badly
}

/// Whether what was written last leaves something for the post step to confirm.
pub(in crate::run) fn has_open_services(ctx: &RunContext) -> bool {
    let saved = ctx.saved_state.borrow();
    let state = saved.as_deref().and_then(|text| serde_json::from_str::<PostState>(text).ok());
    state.is_some_and(|state| state.services.iter().any(|moved| !moved.ended))
}

/// The saved state; `None` if the main step of this attempt saved none. It comes through the runner's environment, which
/// other steps of the job can write: what would reach beyond the leases of its environment is left out.
pub(in crate::run) fn load(variables: &Variables) -> Option<PostState> {
    let mut state: PostState = serde_json::from_str(files::saved_state(variables, STATE_KEY)?).ok()?;
    let PostState { environment, held, .. } = &mut state;
    held.leases.retain(|lease| lease::is_ref_of(environment, &lease.reference) && is_commit(&lease.commit));
    (state.run == run_of(variables)).then_some(state)
}

fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Number and attempt of a run, such as `7/1`.
fn run_of(variables: &Variables) -> String {
    let text = |name: &str| variables.get(name).map(String::as_str).unwrap_or_default();
    format!("{}/{}", text("GITHUB_RUN_ID"), text("GITHUB_RUN_ATTEMPT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(state: &str, attempt: &str) -> Variables {
        let pairs = [("STATE_walk", state), ("GITHUB_RUN_ID", "7"), ("GITHUB_RUN_ATTEMPT", attempt)];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn state_counts_only_for_its_own_attempt_and_environment() {
        let state = r#"{"environment": "prod", "services": [], "run": "7/1", "held": {"record": null, "leases": [
            {"reference": "refs/roadstead/lease/prod/web", "commit": "c0ffee1"},
            {"reference": "refs/roadstead/lease/prod/api", "commit": "../../x"},
            {"reference": "refs/roadstead/lease/staging/web", "commit": "c0ffee1"},
            {"reference": "refs/heads/main", "commit": "c0ffee1"}]}}"#;
        let loaded = load(&variables(state, "1")).unwrap();
        let kept: Vec<&str> = loaded.held.leases.iter().map(|lease| lease.reference.as_str()).collect();
        assert_eq!(kept, ["refs/roadstead/lease/prod/web"]);
        assert_eq!(load(&variables(state, "2")), None, "of an earlier attempt");
        assert_eq!(load(&variables(&state.replace("7/1", "8/1"), "1")), None, "of another run");
        for odd in ["", "{", "[]", r#"{"run": "7/1"}"#, r#"{"environment": 1, "services": [], "run": "7/1"}"#]
        {
            assert_eq!(load(&variables(odd, "1")), None, "{odd}");
        }
    }
}

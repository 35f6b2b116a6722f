//! The changes of a pair: starting a version on the service without traffic, and setting weights. A weight is only
//! changed from weights that this rollout knows, and verified by reading it back.

use super::super::pair::ServicePair;
use super::listener_rule::{PairMember, RuleWeights};
use super::rollout_ids::{PairOperation, PairRollout, WeightShift};
use super::state::{PairPosition, PairState};
use super::weights::set_weight;
use crate::problem::{Code, Problem};
use crate::release::{Rollout, ShiftKind, Staged, TrafficPlan, TrafficShift, Version};
use crate::retry::{self, WriteError};
use crate::targets::aws_error::WRITE_RETRY;
use crate::targets::{ChangeError, Target};

/// A rolling update of the service with the traffic; weights are unchanged.
pub async fn start_rolling(
    pair: &ServicePair,
    staged: &Staged,
    split: &TrafficShift,
) -> Result<PairRollout, ChangeError> {
    let basis = serving_member(pair).await?;
    let rolled = roll_member(pair, basis.side, staged, split).await;
    rolled.map_err(|error| basis.after_steps(error))
}

/// The member that a rollout starts from.
struct Basis {
    side: PairMember,
    /// Whether the weights were changed to get there.
    ended_shift: bool,
}

impl Basis {
    fn after_steps(&self, error: ChangeError) -> ChangeError {
        if self.ended_shift { error.after_change() } else { error }
    }
}

/// The serving member. The shift of a lost run is ended first.
async fn serving_member(pair: &ServicePair) -> Result<Basis, ChangeError> {
    match read_state(pair).await?.position() {
        PairPosition::Serving(side) => Ok(Basis { side, ended_shift: false }),
        PairPosition::Shifting { new, .. } => {
            Ok(Basis { side: end_stale_shift(pair, new.other()).await?, ended_shift: true })
        }
        PairPosition::NoTraffic => Err(WriteError::NotMade(no_serving_member())),
    }
}

/// The state before a change: without it nothing is sent.
async fn read_state(pair: &ServicePair) -> Result<PairState, ChangeError> {
    pair.read_state().await.map_err(WriteError::NotMade)
}

async fn roll_member(
    pair: &ServicePair,
    side: PairMember,
    staged: &Staged,
    split: &TrafficShift,
) -> Result<PairRollout, ChangeError> {
    let inner = pair.member(side).shift(staged, split).await?;
    Ok(member_rollout(pair, side, &split.version, inner))
}

/// A rolling update of one member, as a rollout of the pair.
pub fn member_rollout(
    pair: &ServicePair,
    side: PairMember,
    version: &Version,
    inner: Rollout,
) -> PairRollout {
    PairRollout::new(version, pair.service_name(side), inner.ids, PairOperation::RollingUpdate)
}

/// Ends the shift of a lost run: all traffic is shifted to `old`, if it has a healthy target.
async fn end_stale_shift(pair: &ServicePair, old: PairMember) -> Result<PairMember, ChangeError> {
    let state = read_state(pair).await?;
    require_healthy_target(pair, &state, old).await.map_err(WriteError::NotMade)?;
    let seen = state.weights();
    set_weight(pair, old, 100, &|weights| weights == seen).await?;
    Ok(old)
}

/// Starts the version on the service without traffic; weights are unchanged.
pub async fn start_shift(
    pair: &ServicePair,
    staged: &Staged,
    course: &TrafficPlan,
    again: bool,
) -> Result<PairRollout, ChangeError> {
    let basis = serving_member(pair).await?;
    let started = start_on_idle(pair, basis.side, staged, ShiftStart { course, again }).await;
    started.map_err(|error| basis.after_steps(error))
}

/// How a shift starts.
#[derive(Clone, Copy)]
struct ShiftStart<'s> {
    course: &'s TrafficPlan,
    /// Start again although the service has this version.
    again: bool,
}

async fn start_on_idle(
    pair: &ServicePair,
    live: PairMember,
    staged: &Staged,
    start: ShiftStart<'_>,
) -> Result<PairRollout, ChangeError> {
    let version = &staged.version;
    let (idle, state) = (live.other(), read_state(pair).await?);
    if let Some(lacks) = state.missing_requirements() {
        let sentence = "The pair of services cannot shift traffic.";
        return Err(WriteError::NotMade(Problem::error(Code::Unsupported, sentence).help(lacks)));
    }
    let missing = missing_tasks(&state, live);
    if let Some(tasks) = missing {
        scale(pair, idle, tasks, Some(&version.id)).await?;
    }
    let failed = state
        .service(idle)
        .primary()
        .is_some_and(|p| p.definition == version.id && p.rollout_state == "FAILED");
    let way = ShiftKind::Start { plan: TrafficPlan::in_place(), force: start.again || failed };
    let up = TrafficShift { version: version.clone(), percent: 100, kind: way };
    let inner = pair.member(idle).shift(staged, &up).await;
    let inner = inner.map_err(|error| if missing.is_some() { error.after_change() } else { error })?;
    pair.requested_weight.set(None);
    pair.full_weight_since.set(None);
    Ok(shift_rollout(pair, idle, version, inner, start.course))
}

/// The shift to a version that starts on `idle`, before its first weight.
pub fn shift_rollout(
    pair: &ServicePair,
    idle: PairMember,
    version: &Version,
    inner: Rollout,
    course: &TrafficPlan,
) -> PairRollout {
    let shift = WeightShift { weights: Some(course.weights.clone()), weight: 0, bake: course.bake.0 };
    PairRollout::new(version, pair.service_name(idle), inner.ids, PairOperation::Shift(shift))
}

/// The desired count for the service without traffic, if it has fewer tasks than the serving one.
pub fn missing_tasks(state: &PairState, live: PairMember) -> Option<u32> {
    let wanted = state.service(live).desired;
    (state.service(live.other()).desired < wanted).then_some(wanted)
}

/// The next weight of a shift.
pub async fn continue_shift(
    pair: &ServicePair,
    rollout: &Rollout,
    percent: u8,
) -> Result<PairRollout, ChangeError> {
    let (mut moved, mut shift) =
        match PairRollout::parse(rollout).map(|moved| (moved.operation.clone(), moved)) {
            Some((PairOperation::Shift(shift), moved)) => (moved, shift),
            _ => return Err(WriteError::NotMade(no_shift_to_continue())),
        };
    let new = known(pair, &moved.service).map_err(WriteError::NotMade)?;
    if let Some(other) = newer_deployment(&read_state(pair).await?, new, &moved) {
        return Err(WriteError::NotMade(superseded_problem(&other)));
    }
    // The last requested weight counts too: the change may have been made although its read-back failed.
    let before = pair.requested_weight.replace(Some(percent));
    let ours = |share: u8| share == shift.weight || before == Some(share);
    set_weight(pair, new, percent, &|weights| weights.percent(new).is_some_and(ours)).await?;
    shift.weight = percent;
    moved.operation = PairOperation::Shift(shift);
    Ok(moved)
}

fn no_shift_to_continue() -> Problem {
    Problem::error(Code::Internal, "There is no shift of a pair to continue.")
}

/// The deployment that replaced ours on a service.
fn newer_deployment(state: &PairState, side: PairMember, moved: &PairRollout) -> Option<String> {
    let primary = state.service(side).primary()?;
    let same = match moved.member_rollout.ids.first() {
        Some(ours) => primary.id == *ours,
        None => primary.definition == moved.member_rollout.version,
    };
    (!same).then(|| primary.id.clone())
}

/// Rolls back to a version that served before: traffic first.
pub async fn roll_back(
    pair: &ServicePair,
    staged: &Staged,
    split: &TrafficShift,
    ours: Option<PairRollout>,
) -> Result<PairRollout, ChangeError> {
    match ours.map(|moved| (moved.operation.clone(), moved)) {
        Some((PairOperation::RollingUpdate, moved)) => {
            let way = ShiftKind::RollBack(Some(moved.member_rollout.clone()));
            let back = TrafficShift { kind: way, ..split.clone() };
            roll_member(pair, member_of(pair, &moved)?, staged, &back).await
        }
        Some((PairOperation::Shift(shift), moved)) => {
            let old = member_of(pair, &moved)?.other();
            let asked = pair.requested_weight.get();
            let ours = |weights: RuleWeights| {
                let share = weights.percent(old.other());
                share.is_some_and(|share| shift.may_have_set(share) || asked == Some(share))
            };
            return_traffic(pair, Return { staged, split }, old, &ours).await
        }
        Some((PairOperation::RollBack, moved)) => {
            return_traffic(pair, Return { staged, split }, member_of(pair, &moved)?, &|_| false).await
        }
        None => roll_back_on_demand(pair, staged, split).await,
    }
}

fn member_of(pair: &ServicePair, moved: &PairRollout) -> Result<PairMember, ChangeError> {
    known(pair, &moved.service).map_err(WriteError::NotMade)
}

/// A shift back, and the version that this run brought in.
#[derive(Clone, Copy)]
struct Return<'s> {
    staged: &'s Staged,
    split: &'s TrafficShift,
}

/// Shifts all traffic to `old`, from weights that `ours` accepts, and then deploys the version on it if it is another.
async fn return_traffic(
    pair: &ServicePair,
    Return { staged, split }: Return<'_>,
    old: PairMember,
    ours: &dyn Fn(RuleWeights) -> bool,
) -> Result<PairRollout, ChangeError> {
    let state = read_state(pair).await?;
    let service = state.service(old);
    let other = service.definition != split.version.id;
    if other && state.is_newest_member(old) {
        let newer = service.primary().map_or("no name given", |primary| &primary.id);
        return Err(WriteError::NotMade(superseded_problem(newer)));
    }
    if state.weights().all_traffic_to() != Some(old) {
        require_healthy_target(pair, &state, old).await.map_err(WriteError::NotMade)?;
        set_weight(pair, old, 100, ours).await?;
    }
    let ids = if other {
        let way = ShiftKind::Start { plan: TrafficPlan::in_place(), force: false };
        let deployed = pair.member(old).shift(staged, &TrafficShift { kind: way, ..split.clone() }).await;
        deployed.map_err(WriteError::after_change)?.ids
    } else {
        Vec::new()
    };
    Ok(PairRollout::new(&split.version, pair.service_name(old), ids, PairOperation::RollBack))
}

/// A requested rollback without a rollout of ours: by weights if the version is still ready on the other service, else
/// by a rolling update of the serving one.
async fn roll_back_on_demand(
    pair: &ServicePair,
    staged: &Staged,
    split: &TrafficShift,
) -> Result<PairRollout, ChangeError> {
    let state = read_state(pair).await?;
    let runs = |side: PairMember| state.service(side).definition == split.version.id;
    let seen = state.weights();
    let (first, then) = match state.position() {
        PairPosition::Serving(side) => (side, side.other()),
        PairPosition::Shifting { new, .. } => (new.other(), new),
        PairPosition::NoTraffic => return Err(WriteError::NotMade(no_serving_member())),
    };
    let ready = state.missing_requirements().is_none()
        && runs(then)
        && require_healthy_target(pair, &state, then).await.is_ok();
    if runs(first) || ready {
        let side = if runs(first) { first } else { then };
        return return_traffic(pair, Return { staged, split }, side, &|weights| weights == seen).await;
    }
    if seen.all_traffic_to().is_some() {
        return roll_member(pair, first, staged, split).await;
    }
    let side = end_stale_shift(pair, first).await?;
    roll_member(pair, side, staged, split).await.map_err(WriteError::after_change)
}

/// A member can receive all traffic only if at least one of its targets is healthy.
async fn require_healthy_target(
    pair: &ServicePair,
    state: &PairState,
    side: PairMember,
) -> Result<(), Problem> {
    let name = pair.service_name(side);
    let targets = match state.service(side).target_groups.first() {
        Some(group) => pair.member(side).reader.support.target_health(group).await?,
        None => Vec::new(),
    };
    if targets.iter().any(|target| target.state == "healthy") {
        return Ok(());
    }
    let sentence = format!("`{name}` has no healthy target, so no traffic was shifted to it.");
    let others = targets.iter().map(|target| format!("{} {} {}", target.id, target.state, target.reason));
    let cause = match state.service(side).desired {
        0 => "it is scaled to no tasks".to_owned(),
        _ => others.collect::<Vec<_>>().join(", "),
    };
    Err(Problem::error(Code::RollbackTargetBroken, sentence).cause(cause).help(format!(
        "Raise the desired count of `{name}`, wait until it is healthy, then set the weights of the rule."
    )))
}

pub(crate) fn superseded_problem(newer: &str) -> Problem {
    Problem::error(Code::Superseded, "A newer deployment took over and was not changed.").cause(newer)
}

/// Neither service has traffic.
pub(crate) fn no_serving_member() -> Problem {
    let sentence =
        "Neither service of the pair gets traffic from the listener rule, so the serving version is unknown.";
    Problem::error(Code::Unsupported, sentence).help(
        "Forward to the target groups of both services in the rule, with weight 100 for the service that must serve and 0 for the other.",
    )
}

/// The member with the service of a rollout.
pub(crate) fn known(pair: &ServicePair, service: &str) -> Result<PairMember, Problem> {
    let unknown = || {
        let sentence = format!("The rollout is of `{service}`, which is not in the pair any more.");
        Problem::error(Code::Superseded, sentence).cause("the deploy file names other services now")
    };
    pair.find_member(service).ok_or_else(unknown)
}

/// UpdateService with a desired count. It is idempotent, so a lost response does no harm.
async fn scale(
    pair: &ServicePair,
    side: PairMember,
    tasks: u32,
    definition: Option<&str>,
) -> Result<(), ChangeError> {
    let settings = &pair.member(side).reader.settings;
    retry::idempotent(&WRITE_RETRY, async || {
        Ok(pair.client.scale(&settings.cluster, &settings.service, tasks, definition).await?)
    })
    .await
}

/// Scales the service that served before to no tasks: only while the new one has all traffic, and without a newer
/// deployment of either.
pub async fn scale_down(pair: &ServicePair, moved: &PairRollout) -> Result<(), Problem> {
    let state = pair.read_state().await?;
    let new = known(pair, &moved.service)?;
    let old = new.other();
    let done = state.weights().all_traffic_to() == Some(new)
        && state.service(new).definition == moved.member_rollout.version
        && newer_deployment(&state, new, moved).is_none()
        && !state.is_newest_member(old);
    match done && state.service(old).desired > 0 {
        true => scale(pair, old, 0, None).await.map_err(WriteError::into_error),
        false => Ok(()),
    }
}

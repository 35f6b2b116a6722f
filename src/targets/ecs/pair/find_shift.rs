//! What became of a shift of a pair whose answer is missing. Reads only: nothing is sent here.

use super::super::pair::ServicePair;
use super::mutations::{known, member_rollout, shift_rollout};
use super::rollout_ids::{PairOperation, PairRollout};
use super::state::{PairPosition, PairState};
use crate::problem::Problem;
use crate::release::{ShiftKind, Staged, TrafficPlan, TrafficShift};
use crate::targets::Target;

/// The rollout of a shift whose answer is missing; `None` while the state does not show it.
pub async fn find_shift(
    pair: &ServicePair,
    staged: &Staged,
    split: &TrafficShift,
) -> Result<Option<PairRollout>, Problem> {
    let state = pair.read_state().await?;
    let ShiftKind::Start { plan: course, .. } = &split.kind else {
        return find_rollback(pair, &state, staged, split).await;
    };
    let PairPosition::Serving(live) = state.position() else { return Ok(None) };
    let side = if course.is_in_place() { live } else { live.other() };
    let up = TrafficShift {
        kind: ShiftKind::Start { plan: TrafficPlan::in_place(), force: false },
        ..split.clone()
    };
    let inner = pair.member(side).find_shift(staged, &up).await?;
    Ok(inner.map(|inner| match course.is_in_place() {
        true => member_rollout(pair, side, &split.version, inner),
        false => shift_rollout(pair, side, &split.version, inner, course),
    }))
}

/// A rollback is there once a service with its version has all traffic.
async fn find_rollback(
    pair: &ServicePair,
    state: &PairState,
    staged: &Staged,
    split: &TrafficShift,
) -> Result<Option<PairRollout>, Problem> {
    if let ShiftKind::RollBack(Some(ours)) = &split.kind
        && let Some(PairRollout { operation: PairOperation::RollingUpdate, service, member_rollout: inner }) =
            PairRollout::parse(ours)
    {
        let side = known(pair, &service)?;
        let back = TrafficShift { kind: ShiftKind::RollBack(Some(inner)), ..split.clone() };
        let found = pair.member(side).find_shift(staged, &back).await?;
        return Ok(found.map(|inner| member_rollout(pair, side, &split.version, inner)));
    }
    let serving = state.weights().all_traffic_to();
    let returned = serving.filter(|side| state.service(*side).definition == split.version.id);
    Ok(returned.map(|side| {
        PairRollout::new(&split.version, pair.service_name(side), Vec::new(), PairOperation::RollBack)
    }))
}

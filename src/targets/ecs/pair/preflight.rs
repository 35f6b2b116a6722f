//! Problems of a pair that are known before the first change, in addition to those of its serving service.

use super::super::pair::ServicePair;
use super::super::permissions::{self, RequiredPermission};
use super::super::preflight::rules;
use super::listener_rule::PairMember;
use super::mutations::{missing_tasks, no_serving_member};
use super::state::{PairPosition, PairState};
use crate::problem::{Code, Problem};
use crate::release::{Observed, Release};

/// All problems found by reading; `basis` is the observed member.
pub async fn check(
    pair: &ServicePair,
    basis: PairMember,
    release: &Release,
    observed: &Observed,
) -> Vec<Problem> {
    let found = match pair.read_state().await {
        Err(problem) => vec![problem],
        Ok(state) if state.position() == PairPosition::NoTraffic => vec![no_serving_member()],
        // A rolling update changes weights only to end a stale shift.
        Ok(state) if !pair.options.shifts_traffic => match state.position() {
            PairPosition::Serving(_) => Vec::new(),
            _ => check_permissions(pair, &state, basis, release, observed).await,
        },
        Ok(state) => {
            let mut found = check_members(pair, &state, basis, release, observed);
            found.extend(check_permissions(pair, &state, basis, release, observed).await);
            found
        }
    };
    found.into_iter().map(|problem| problem.for_service(&release.service)).collect()
}

fn check_members(
    pair: &ServicePair,
    state: &PairState,
    basis: PairMember,
    release: &Release,
    observed: &Observed,
) -> Vec<Problem> {
    let other = state.service(basis.other());
    let mut found = rules::check_service(other, pair.service_name(basis.other()));
    found.extend(rules::check_percentages(other));
    if let Ok(wanted) = pair.member(basis).wanted_definition(release, observed) {
        found.extend(rules::check_traffic_container(other, &wanted));
    }
    if let PairPosition::Serving(live) = state.position() {
        found.extend(missing_tasks(state, live).map(|tasks| scale_up_notice(pair, state, live, tasks)));
    }
    found
}

/// The only case in which a desired count is changed.
fn scale_up_notice(pair: &ServicePair, state: &PairState, live: PairMember, tasks: u32) -> Problem {
    let (idle, has) = (pair.service_name(live.other()), state.service(live.other()).desired);
    let sentence = format!(
        "`{idle}` has a desired count of {has}, `{}` has {tasks}: it is raised to {tasks} before the new version gets traffic.",
        pair.service_name(live)
    );
    Problem::notice(Code::Unsupported, sentence)
}

async fn check_permissions(
    pair: &ServicePair,
    state: &PairState,
    basis: PairMember,
    release: &Release,
    observed: &Observed,
) -> Vec<Problem> {
    let around = &pair.member(basis).reader.support;
    let (Ok((_, caller)), Ok(wanted)) =
        (around.caller_identity().await, pair.member(basis).wanted_definition(release, observed))
    else {
        return Vec::new();
    };
    let Some(principal) = permissions::principal(&caller) else { return Vec::new() };
    let doing = permissions::PlannedActions {
        registers_definition: release.rollback_to.is_none(),
        shifts_traffic: false,
        runs_command: false,
    };
    let mut needs = permissions::required_permissions(state.service(basis.other()), &wanted, doing);
    needs.retain(|need| need.action.starts_with("ecs:"));
    let rule = pair.settings.rule.as_str().to_owned();
    needs.push(RequiredPermission { action: "elasticloadbalancing:ModifyRule", resource: rule });
    match around.simulate_permissions(&principal, needs).await {
        Ok(results) => permissions::missing_permissions(&results),
        // A failed simulation is reported once, by the check of the other service.
        Err(_) => Vec::new(),
    }
}

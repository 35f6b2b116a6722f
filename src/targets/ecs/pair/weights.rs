//! Setting a weight of the listener rule, and reading it back.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::Action;

use super::ServicePair;
use super::listener_rule::{self, PairMember, RuleWeights};
use super::state::PairState;
use crate::problem::{Code, Problem};
use crate::retry::{self, Look, SendError};
use crate::targets::ChangeError;
use crate::targets::aws_error::WRITE_RETRY;

/// Sets the weight of a member: only from weights that `from` accepts, with everything else in the rule unchanged, and
/// until a read confirms it: the response of ModifyRule proves nothing, so it counts as a lost one.
pub(super) async fn set_weight(
    pair: &ServicePair,
    side: PairMember,
    percent: u8,
    from: &dyn Fn(RuleWeights) -> bool,
) -> Result<(), ChangeError> {
    let (arn, mut is_first) = (pair.settings.rule.as_str(), true);
    retry::ambiguous(
        &WRITE_RETRY,
        async |actions: Vec<Action>| {
            // The first read comes at once: users wait for this.
            let pause = std::mem::take(&mut is_first).then_some(Duration::ZERO);
            pair.client.modify_rule(arn, actions).await?;
            let unread = SendError::ambiguous(weights_not_visible());
            Err(match pause {
                Some(pause) => unread.after(pause),
                None => unread,
            })
        },
        async |_| next_rule_actions(pair, side, percent, from).await,
    )
    .await
}

/// The actions that set the weight of a member; done if it has that weight already.
async fn next_rule_actions(
    pair: &ServicePair,
    side: PairMember,
    percent: u8,
    from: &dyn Fn(RuleWeights) -> bool,
) -> Result<Look<Vec<Action>, (), Problem>, Problem> {
    let state = pair.read_state().await?;
    let (seen, wanted) = (state.weights(), RuleWeights::with_weight(side, percent));
    if seen.percent(side) == Some(percent) {
        return Ok(Look::Done(()));
    }
    if let Some(lacks) = state.missing_requirements() {
        return Ok(Look::Stop(rule_changed_problem(&state, wanted, Some(&lacks))));
    }
    if !from(seen) {
        return Ok(Look::Stop(rule_changed_problem(&state, wanted, None)));
    }
    Ok(Look::Send(listener_rule::with_weights(&state.rule, &state.target_groups(), wanted)))
}

fn weights_not_visible() -> Problem {
    Problem::error(
        Code::ProviderError,
        "The rule does not have the requested weights after several attempts.",
    )
}

/// The rule was changed since this run set it.
fn rule_changed_problem(state: &PairState, wanted: RuleWeights, lacks: Option<&str>) -> Problem {
    let [first, second] = wanted.0;
    let cause = format!(
        "the weights of the rule are {}, which this run did not set or observe; requested: {first} and {second}{}",
        state.describe_weights(),
        lacks.map(|lacks| format!(". {lacks}")).unwrap_or_default()
    );
    Problem::error(
        Code::Superseded,
        "Another user or tool changed the listener rule; it was not changed again.",
    )
    .cause(cause)
    .help("Find the caller of ModifyRule in CloudTrail. Set the weights, or deploy again.")
}

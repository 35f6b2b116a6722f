//! The changes of a pair: bringing a version up on the service without traffic, and moving weights. A weight is only
//! changed from what this rollout knows, and only believed when it is read back.

use std::time::Duration;

use tokio::time::sleep;

use super::pair::Pair;
use super::pair_ids::{Motion, Move, Shift};
use super::pair_sight::{Sight, Stance};
use super::refusal::Refusal;
use super::rule::{self, Side, Weights};
use crate::problem::{Code, Problem};
use crate::release::{Course, Rollout, Split, Version, Way};
use crate::targets::Target;

/// Tries of one change, with growing pauses.
const TRIES: u32 = 7;

/// A rolling update of the service that has the traffic; weights stay as they are.
pub async fn roll(pair: &Pair, split: &Split) -> Result<Move, Problem> {
    let side = match pair.sight().await?.stance() {
        Stance::Live(side) => side,
        Stance::Shifting { new, .. } => settle(pair, new.other()).await?,
        Stance::Nobody => return Err(nobody()),
    };
    rolled(pair, side, split).await
}

async fn rolled(pair: &Pair, side: Side, split: &Split) -> Result<Move, Problem> {
    let inner = pair.half(side).route(split).await?;
    Ok(Move::new(&split.version, pair.name(side), inner.ids, Motion::Rolling))
}

/// Ends the shift of a run that died: all traffic goes to `old`, if that can take it.
async fn settle(pair: &Pair, old: Side) -> Result<Side, Problem> {
    let sight = pair.sight().await?;
    able(pair, &sight, old).await?;
    let seen = sight.weights();
    set(pair, old, 100, &|weights| weights == seen).await?;
    Ok(old)
}

/// The version comes up on the service without traffic; weights stay as they are.
pub async fn start(pair: &Pair, version: &Version, course: &Course, again: bool) -> Result<Move, Problem> {
    let live = match pair.sight().await?.stance() {
        Stance::Live(side) => side,
        Stance::Shifting { new, .. } => settle(pair, new.other()).await?,
        Stance::Nobody => return Err(nobody()),
    };
    let (idle, sight) = (live.other(), pair.sight().await?);
    if let Some(lacks) = sight.lacks() {
        return Err(
            Problem::error(Code::Unsupported, "The pair of services cannot shift traffic.").help(lacks)
        );
    }
    if let Some(tasks) = missing_tasks(&sight, live) {
        scale(pair, idle, tasks, Some(&version.id)).await?;
    }
    let failed =
        sight.service(idle).primary().is_some_and(|p| p.definition == version.id && p.rollout == "FAILED");
    let way = Way::Start { course: Course::whole(), again: again || failed };
    let inner = pair.half(idle).route(&Split { version: version.clone(), percent: 100, way }).await?;
    pair.asked.set(None);
    pair.full_since.set(None);
    let shift = Shift { shares: Some(course.shares.clone()), at: 0, bake: course.bake.0 };
    Ok(Move::new(version, pair.name(idle), inner.ids, Motion::Shift(shift)))
}

/// How many tasks the service without traffic must have, where it has fewer than the one that serves.
pub fn missing_tasks(sight: &Sight, live: Side) -> Option<u32> {
    let wanted = sight.service(live).desired;
    (sight.service(live.other()).desired < wanted).then_some(wanted)
}

/// The next share of a shift.
pub async fn onward(pair: &Pair, rollout: &Rollout, percent: u8) -> Result<Move, Problem> {
    let (mut moved, mut shift) = match Move::read(rollout).map(|moved| (moved.motion.clone(), moved)) {
        Some((Motion::Shift(shift), moved)) => (moved, shift),
        _ => return Err(Problem::error(Code::Internal, "There is no shift of a pair to go on with.")),
    };
    let new = known(pair, &moved.service)?;
    if let Some(other) = replaced(&pair.sight().await?, new, &moved) {
        return Err(superseded(&other));
    }
    // What was asked for last counts too: the change may have been made although its read-back failed.
    let before = pair.asked.replace(Some(percent));
    let ours = |share: u8| share == shift.at || before == Some(share);
    set(pair, new, percent, &|weights| weights.share(new).is_some_and(ours)).await?;
    shift.at = percent;
    moved.motion = Motion::Shift(shift);
    Ok(moved)
}

/// The deployment that took the place of ours on a service.
fn replaced(sight: &Sight, side: Side, moved: &Move) -> Option<String> {
    let primary = sight.service(side).primary()?;
    let same = match moved.inner.ids.first() {
        Some(ours) => primary.id == *ours,
        None => primary.definition == moved.inner.version,
    };
    (!same).then(|| primary.id.clone())
}

/// Back to a version that served before: traffic first.
pub async fn back(pair: &Pair, split: &Split, ours: Option<Move>) -> Result<Move, Problem> {
    match ours.map(|moved| (moved.motion.clone(), moved)) {
        Some((Motion::Rolling, moved)) => {
            let way = Way::Back(Some(moved.inner.clone()));
            rolled(pair, known(pair, &moved.service)?, &Split { way, ..split.clone() }).await
        }
        Some((Motion::Shift(shift), moved)) => {
            let old = known(pair, &moved.service)?.other();
            let asked = pair.asked.get();
            let ours = |weights: Weights| {
                let share = weights.share(old.other());
                share.is_some_and(|share| shift.may_have_set(share) || asked == Some(share))
            };
            returned(pair, split, old, &ours).await
        }
        Some((Motion::Back, moved)) => returned(pair, split, known(pair, &moved.service)?, &|_| false).await,
        None => demanded(pair, split).await,
    }
}

/// All traffic to `old`, from weights that `ours` accepts, and then the version on it where it is another.
async fn returned(
    pair: &Pair,
    split: &Split,
    old: Side,
    ours: &dyn Fn(Weights) -> bool,
) -> Result<Move, Problem> {
    let sight = pair.sight().await?;
    let service = sight.service(old);
    let other = service.definition != split.version.id;
    if other && sight.newer(old) {
        return Err(superseded(service.primary().map_or("no name given", |primary| &primary.id)));
    }
    if sight.weights().all_to() != Some(old) {
        able(pair, &sight, old).await?;
        set(pair, old, 100, ours).await?;
    }
    let ids = if other {
        let way = Way::Start { course: Course::whole(), again: false };
        pair.half(old).route(&Split { way, ..split.clone() }).await?.ids
    } else {
        Vec::new()
    };
    Ok(Move::new(&split.version, pair.name(old), ids, Motion::Back))
}

/// Back on demand, with no movement of ours to take back: by weights where the version still stands ready beside the
/// one that serves, else by a rolling update of the one that serves.
async fn demanded(pair: &Pair, split: &Split) -> Result<Move, Problem> {
    let sight = pair.sight().await?;
    let runs = |side: Side| sight.service(side).definition == split.version.id;
    let seen = sight.weights();
    let (first, then) = match sight.stance() {
        Stance::Live(side) => (side, side.other()),
        Stance::Shifting { new, .. } => (new.other(), new),
        Stance::Nobody => return Err(nobody()),
    };
    let ready = sight.lacks().is_none() && runs(then) && able(pair, &sight, then).await.is_ok();
    if runs(first) || ready {
        let side = if runs(first) { first } else { then };
        return returned(pair, split, side, &|weights| weights == seen).await;
    }
    let side = if seen.all_to().is_some() { first } else { settle(pair, first).await? };
    rolled(pair, side, split).await
}

/// Whether a side can take all traffic: at least one of its targets is healthy.
async fn able(pair: &Pair, sight: &Sight, side: Side) -> Result<(), Problem> {
    let name = pair.name(side);
    let targets = match sight.service(side).target_groups.first() {
        Some(group) => pair.half(side).eyes.around.targets(group).await?,
        None => Vec::new(),
    };
    if targets.iter().any(|target| target.state == "healthy") {
        return Ok(());
    }
    let sentence = format!("`{name}` has no healthy target, so no traffic is moved to it.");
    let others = targets.iter().map(|target| format!("{} {} {}", target.id, target.state, target.reason));
    let cause = match sight.service(side).desired {
        0 => "it is scaled to no tasks".to_owned(),
        _ => others.collect::<Vec<_>>().join(", "),
    };
    Err(Problem::error(Code::RollbackTargetBroken, sentence).cause(cause).help(format!(
        "Raise the desired count of `{name}`; the weights of the rule can be set when it is healthy."
    )))
}

/// Gives a side its share: only from weights that `from` accepts, with everything else in the rule as it is, and
/// until it is read back.
async fn set(pair: &Pair, side: Side, percent: u8, from: &dyn Fn(Weights) -> bool) -> Result<(), Problem> {
    let arn = pair.settings.rule.as_str();
    let (wanted, mut last) = (Weights::giving(side, percent), None);
    for attempt in 0..TRIES {
        let sight = pair.sight().await?;
        let seen = sight.weights();
        if seen.share(side) == Some(percent) {
            return Ok(());
        }
        if let Some(lacks) = sight.lacks() {
            return Err(changed(&sight, wanted, Some(&lacks)));
        }
        if !from(seen) {
            return Err(changed(&sight, wanted, None));
        }
        let actions = rule::with_weights(&sight.rule, &sight.groups(), wanted);
        match pair.client.modify_rule(arn, actions).await {
            // The first look comes at once: this is what users wait for.
            Ok(()) if attempt == 0 => continue,
            Ok(()) => {}
            Err(refusal) if passes(&refusal) => last = Some(refusal.problem),
            Err(refusal) => return Err(refusal.problem),
        }
        pause(attempt).await;
    }
    Err(last.unwrap_or_else(|| {
        Problem::error(Code::ProviderError, "The rule does not show the weights that it was given.")
    }))
}

/// The rule is not as this run left it.
fn changed(sight: &Sight, wanted: Weights, lacks: Option<&str>) -> Problem {
    let [first, second] = wanted.0;
    let cause = format!(
        "the weights of the rule are {} now, which is not what this run set or saw; they were to become {first} and {second}{}",
        sight.words(),
        lacks.map(|lacks| format!(". {lacks}")).unwrap_or_default()
    );
    Problem::error(Code::Superseded, "Somebody else changed the listener rule; it was left alone.")
        .cause(cause)
        .help("A person or another run did that: CloudTrail names who called ModifyRule. Set the weights, or deploy again.")
}

pub(super) fn superseded(newer: &str) -> Problem {
    Problem::error(Code::Superseded, "A newer deployment took over and was left alone.").cause(newer)
}

/// No service has any traffic.
pub(super) fn nobody() -> Problem {
    let sentence = "Neither service of the pair gets any traffic from the listener rule, so it is not known which one serves.";
    Problem::error(Code::Unsupported, sentence).help(
        "Let the rule forward to the target groups of both services, with weight 100 for the one that is to serve and 0 for the other.",
    )
}

/// The side of a service that a rollout names.
pub(super) fn known(pair: &Pair, service: &str) -> Result<Side, Problem> {
    let unknown = || {
        let sentence = format!("The rollout moves `{service}`, which is not in the pair any more.");
        Problem::error(Code::Superseded, sentence).cause("the deploy file names other services now")
    };
    pair.side(service).ok_or_else(unknown)
}

/// UpdateService with a number of tasks. Sending it twice is one movement for ECS, so a lost answer does no harm.
async fn scale(pair: &Pair, side: Side, tasks: u32, definition: Option<&str>) -> Result<(), Problem> {
    let settings = &pair.half(side).eyes.settings;
    let mut attempt = 0;
    loop {
        match pair.client.scale(&settings.cluster, &settings.service, tasks, definition).await {
            Ok(()) => return Ok(()),
            Err(refusal) if passes(&refusal) && attempt < TRIES => pause(attempt).await,
            Err(refusal) => return Err(refusal.problem),
        }
        attempt += 1;
    }
}

/// Takes the service that served before down to no tasks: only while the new one has all traffic, and nobody deployed to
/// either since.
pub async fn scale_down(pair: &Pair, moved: &Move) -> Result<(), Problem> {
    let sight = pair.sight().await?;
    let new = known(pair, &moved.service)?;
    let old = new.other();
    let done = sight.weights().all_to() == Some(new)
        && sight.service(new).definition == moved.inner.version
        && replaced(&sight, new, moved).is_none()
        && !sight.newer(old);
    if done && sight.service(old).desired > 0 { scale(pair, old, 0, None).await } else { Ok(()) }
}

fn passes(refusal: &Refusal) -> bool {
    refusal.unsure || refusal.throttled()
}

/// 1, 2, 4, 8, 8 … seconds, shortened at random by up to half.
async fn pause(attempt: u32) {
    let longest = 1000 << attempt.min(3);
    sleep(Duration::from_millis(fastrand::u64(longest / 2..=longest))).await;
}

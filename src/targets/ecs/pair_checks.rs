//! What can be known to go wrong with a pair before the first change, beyond what its serving service shows alone.

use super::pair::Pair;
use super::pair_act::{missing_tasks, nobody};
use super::pair_sight::{Sight, Stance};
use super::permissions::{self, Need};
use super::preflight_rules as rules;
use super::rule::Side;
use crate::problem::{Code, Problem};
use crate::release::{Observed, Release};

/// All problems that can be found by reading; `basis` is the side that was seen.
pub async fn check(pair: &Pair, basis: Side, release: &Release, seen: &Observed) -> Vec<Problem> {
    let found = match pair.sight().await {
        Err(problem) => vec![problem],
        Ok(sight) if sight.stance() == Stance::Nobody => vec![nobody()],
        // A rolling update moves weights only where it finds a shift that nobody ended.
        Ok(sight) if !pair.wish.shifts => match sight.stance() {
            Stance::Live(_) => Vec::new(),
            _ => permitted(pair, &sight, basis, release, seen).await,
        },
        Ok(sight) => {
            let mut found = both(pair, &sight, basis, release, seen);
            found.extend(permitted(pair, &sight, basis, release, seen).await);
            found
        }
    };
    found.into_iter().map(|problem| problem.of(&release.service)).collect()
}

fn both(pair: &Pair, sight: &Sight, basis: Side, release: &Release, seen: &Observed) -> Vec<Problem> {
    let other = sight.service(basis.other());
    let mut found = rules::service(other, pair.name(basis.other()));
    found.extend(rules::percentages(other));
    if let Ok(wanted) = pair.half(basis).wanted(release, seen) {
        found.extend(rules::container(other, &wanted));
    }
    if let Stance::Live(live) = sight.stance() {
        found.extend(missing_tasks(sight, live).map(|tasks| raised(pair, sight, live, tasks)));
    }
    found
}

/// The one case in which a number of tasks is written.
fn raised(pair: &Pair, sight: &Sight, live: Side, tasks: u32) -> Problem {
    let (idle, has) = (pair.name(live.other()), sight.service(live.other()).desired);
    let sentence = format!(
        "`{idle}` has a desired count of {has} and `{}` one of {tasks}: it is raised to {tasks} before the new version gets traffic.",
        pair.name(live)
    );
    Problem::notice(Code::Unsupported, sentence)
}

async fn permitted(
    pair: &Pair,
    sight: &Sight,
    basis: Side,
    release: &Release,
    seen: &Observed,
) -> Vec<Problem> {
    let around = &pair.half(basis).eyes.around;
    let (Ok((_, caller)), Ok(wanted)) = (around.caller().await, pair.half(basis).wanted(release, seen))
    else {
        return Vec::new();
    };
    let Some(principal) = permissions::principal(&caller) else { return Vec::new() };
    let doing = permissions::Doing { registers: release.former.is_none(), shifts: false, runs: false };
    let mut needs = permissions::needs(sight.service(basis.other()), &wanted, doing);
    needs.retain(|need| need.action.starts_with("ecs:"));
    let rule = pair.settings.rule.as_str().to_owned();
    needs.push(Need { action: "elasticloadbalancing:ModifyRule", resource: rule });
    match around.simulate(&principal, needs).await {
        Ok(results) => permissions::missing(&results),
        // That it could not be simulated is said once, by the check of the other service.
        Err(_) => Vec::new(),
    }
}

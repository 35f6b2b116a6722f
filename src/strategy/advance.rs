//! How far along its steps a version is, and whether it may go on: by its share, its time, and the evidence. Pure.

use std::time::Duration;

use super::steps::{Step, share};
use super::watch::{Verdict, late};
use crate::config::OnInconclusive;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Health, Proof};

/// Where a service stands on its way forward.
#[derive(Debug, Clone, PartialEq)]
pub struct Stand<'s> {
    /// All steps.
    pub steps: &'s [Step],
    /// The step under way.
    pub at: usize,
    /// How long it has been under way.
    pub here: Duration,
    /// What is known beyond the provider's own word.
    pub evidence: Evidence,
    /// The longest that a bake may be extended to.
    pub longest: Duration,
    /// What to do when the data never suffices.
    pub on_inconclusive: OnInconclusive,
}

/// What is known about a version beyond the provider's own word.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// Nothing was asked for.
    NotNeeded,
    /// Nothing speaks for it and nothing against it yet; in words.
    Awaited(String),
    /// It holds.
    Good,
    /// It does not hold: this is why.
    Bad(Problem),
}

/// What a look at a healthy version means.
pub fn advance(stand: &Stand<'_>, health: &Health, time_left: bool) -> Verdict {
    let (percent, proof) = match health {
        Health::Holding(hold) => (hold.percent, None),
        Health::Healthy(proof) => (100, Some(proof)),
        _ => return Verdict::Wait,
    };
    let reached = after_route(stand.steps, percent);
    if reached > stand.at {
        return Verdict::Onward(reached);
    }
    if !time_left && proof.is_none() {
        return Verdict::Undo(late(&format!("It had {percent} % of the traffic and was not done")));
    }
    match stand.steps.get(stand.at) {
        Some(Step::Verify) if share(stand.steps, stand.at) == Some(percent) => next(stand, proof),
        Some(Step::Test) => test(stand, proof),
        Some(Step::Bake(span)) => bake(stand, span.0, proof),
        Some(Step::Check) => check(stand, proof, time_left),
        Some(Step::Look) => look(stand, proof, time_left),
        Some(Step::Verify | Step::Stage | Step::Before | Step::Route(_)) => Verdict::Wait,
        Some(Step::Retire) | None => proof.map_or(Verdict::Wait, |proof| Verdict::Succeeded(proof.clone())),
    }
}

/// The step after the last one that gives `percent` or less, so that a lost answer loses no step.
fn after_route(steps: &[Step], percent: u8) -> usize {
    let routed = |step: &Step| matches!(step, Step::Route(share) if *share <= percent);
    steps.iter().rposition(routed).map_or(0, |at| at + 1)
}

fn next(stand: &Stand<'_>, proof: Option<&Proof>) -> Verdict {
    match (stand.steps.get(stand.at + 1), proof) {
        (None | Some(Step::Retire), Some(proof)) => Verdict::Succeeded(proof.clone()),
        (None, None) => Verdict::Wait,
        _ => Verdict::Onward(stand.at + 1),
    }
}

fn test(stand: &Stand<'_>, proof: Option<&Proof>) -> Verdict {
    match &stand.evidence {
        Evidence::Good | Evidence::NotNeeded => next(stand, proof),
        Evidence::Awaited(_) => Verdict::Wait,
        Evidence::Bad(problem) => Verdict::Undo(Failure::permanent(problem.clone())),
    }
}

/// Only a check that holds is good. What is waited for never takes the time of the way back.
fn check(stand: &Stand<'_>, proof: Option<&Proof>, time_left: bool) -> Verdict {
    match &stand.evidence {
        Evidence::Good => next(stand, proof),
        Evidence::Bad(problem) => Verdict::Undo(Failure::permanent(problem.clone())),
        Evidence::Awaited(_) | Evidence::NotNeeded if time_left => Verdict::Wait,
        Evidence::Awaited(why) => Verdict::Undo(late(why)),
        Evidence::NotNeeded => Verdict::Undo(late("Its checks were not tried")),
    }
}

/// What a check says here changes nothing: it is told by whoever tried it.
fn look(stand: &Stand<'_>, proof: Option<&Proof>, time_left: bool) -> Verdict {
    match &stand.evidence {
        Evidence::Good | Evidence::Bad(_) => next(stand, proof),
        Evidence::Awaited(_) | Evidence::NotNeeded if time_left => Verdict::Wait,
        Evidence::Awaited(_) | Evidence::NotNeeded => next(stand, proof),
    }
}

fn bake(stand: &Stand<'_>, span: Duration, proof: Option<&Proof>) -> Verdict {
    let over = stand.here >= span;
    match &stand.evidence {
        Evidence::Bad(problem) => Verdict::Undo(Failure::permanent(problem.clone())),
        Evidence::Good | Evidence::NotNeeded if over => next(stand, proof),
        Evidence::Awaited(_) if over && stand.here >= stand.longest => match stand.on_inconclusive {
            OnInconclusive::Promote => next(stand, proof),
            OnInconclusive::Rollback => Verdict::Undo(Failure::permanent(inconclusive(&stand.evidence))),
        },
        _ => Verdict::Wait,
    }
}

fn inconclusive(evidence: &Evidence) -> Problem {
    let problem = Problem::error(Code::Inconclusive, "There was too little data to judge the new version.").help(
        "Give it more traffic (`percent`), more time (`bake`, `analysis.max-window`), a wider `analysis.margin`, or requests of its own (metric `probe`).",
    );
    match evidence {
        Evidence::Awaited(why) => problem.cause(why.clone()),
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Canary, Strategy};
    use crate::release::{Hold, Version};
    use crate::strategy::steps;

    const STEPS: [Step; 7] = [
        Step::Stage,
        Step::Route(0),
        Step::Verify,
        Step::Route(10),
        Step::Verify,
        Step::Bake(crate::release::Span::minutes(15)),
        Step::Route(100),
    ];

    fn stand(at: usize, minutes: u64, evidence: Evidence) -> Stand<'static> {
        Stand {
            steps: &STEPS,
            at,
            here: Duration::from_secs(minutes * 60),
            evidence,
            longest: Duration::from_secs(30 * 60),
            on_inconclusive: OnInconclusive::Rollback,
        }
    }

    fn holding(percent: u8) -> Health {
        Health::Holding(Hold { percent, evidence: String::new(), arms: None })
    }

    fn word(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Undo(failure) => format!("undo {}", failure.problem.code.name()),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_canary_goes_on_only_with_time_and_evidence() {
        let awaited = || Evidence::Awaited("few requests".into());
        let bad = || Evidence::Bad(Problem::error(Code::CanaryFailed, "It fails more."));
        let table = [
            (stand(2, 0, Evidence::NotNeeded), 0, "Onward(3)"),
            (stand(4, 0, Evidence::NotNeeded), 0, "Wait"),
            (stand(4, 0, Evidence::NotNeeded), 10, "Onward(5)"),
            (stand(2, 0, Evidence::NotNeeded), 10, "Onward(4)"),
            (stand(5, 14, Evidence::Good), 10, "Wait"),
            (stand(5, 15, Evidence::Good), 10, "Onward(6)"),
            (stand(5, 15, Evidence::NotNeeded), 10, "Onward(6)"),
            (stand(5, 15, awaited()), 10, "Wait"),
            (stand(5, 30, awaited()), 10, "undo inconclusive"),
            (stand(5, 1, bad()), 10, "undo canary-failed"),
        ];
        for (stand, percent, expected) in table {
            assert_eq!(word(&advance(&stand, &holding(percent), true)), expected, "{stand:?} {percent}");
        }
        let promote = Stand { on_inconclusive: OnInconclusive::Promote, ..stand(5, 30, awaited()) };
        assert_eq!(word(&advance(&promote, &holding(10), true)), "Onward(6)");
        assert_eq!(word(&advance(&stand(5, 1, Evidence::Good), &holding(10), false)), "undo timed-out");
    }

    #[test]
    fn checks_are_the_last_word_forward_and_only_told_on_the_way_back() {
        let proof = Proof {
            version: Version { id: "a".into(), label: "a".into() },
            digest: None,
            evidence: String::new(),
        };
        let healthy = Health::Healthy(proof);
        let awaited = || Evidence::Awaited("it answered 500".into());
        let bad = || Evidence::Bad(Problem::error(Code::CheckFailed, "It does not hold."));
        let said = |step, evidence, time_left| {
            let plain = vec![Step::Stage, Step::Route(100), Step::Verify];
            let ended = [plain.clone(), vec![Step::Retire]].concat();
            let [plain, ended] = [plain, ended].map(|steps| {
                let steps = steps::checked(steps, step);
                let stand = Stand { steps: &steps, ..stand(3, 0, Evidence::clone(&evidence)) };
                let word = word(&advance(&stand, &healthy, time_left));
                word.split('(').next().unwrap().to_owned()
            });
            assert_eq!(plain, ended, "what is put back afterwards changes nothing");
            plain
        };
        let table = [
            (Evidence::Good, true, "Succeeded", "Succeeded"),
            (awaited(), true, "Wait", "Wait"),
            (Evidence::NotNeeded, true, "Wait", "Wait"),
            (bad(), true, "undo check-failed", "Succeeded"),
            (awaited(), false, "undo timed-out", "Succeeded"),
            (Evidence::NotNeeded, false, "undo timed-out", "Succeeded"),
        ];
        for (evidence, time_left, check, look) in table {
            assert_eq!(said(Step::Check, evidence.clone(), time_left), check, "{evidence:?}");
            assert_eq!(said(Step::Look, evidence.clone(), time_left), look, "{evidence:?}");
        }
        let steps = steps::checked(vec![Step::Route(100), Step::Verify], Step::Check);
        let verified = Stand { steps: &steps, ..stand(1, 0, Evidence::NotNeeded) };
        assert_eq!(advance(&verified, &healthy, true), Verdict::Onward(2), "health comes first");
        assert_eq!(steps::checked(Vec::new(), Step::Check), [], "where nothing is done, nothing is checked");
    }

    #[test]
    fn a_bake_with_all_traffic_comes_before_success() {
        let proof = Proof {
            version: Version { id: "a".into(), label: "a".into() },
            digest: None,
            evidence: String::new(),
        };
        let steps =
            [Step::Stage, Step::Route(100), Step::Verify, Step::Bake(crate::release::Span::minutes(3))];
        let at = |at, minutes| Stand { steps: &steps, ..stand(at, minutes, Evidence::NotNeeded) };
        let healthy = Health::Healthy(proof.clone());
        assert_eq!(advance(&at(2, 0), &healthy, true), Verdict::Onward(3));
        assert_eq!(advance(&at(3, 2), &healthy, true), Verdict::Wait);
        assert_eq!(advance(&at(3, 3), &healthy, true), Verdict::Succeeded(proof.clone()));
        let canary = steps::steps(&Strategy::Canary(Canary::default()));
        let last = Stand { steps: &canary, ..stand(canary.len() - 2, 0, Evidence::NotNeeded) };
        assert_eq!(advance(&last, &healthy, true), Verdict::Succeeded(proof));
    }
}

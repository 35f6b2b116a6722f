//! What the judge must never do, on any counts.

use proptest::prelude::*;

use super::*;

fn minute(canary: (u64, u64), baseline: (u64, u64)) -> Minute {
    let count = |(total, bad)| Some(Count { total, bad });
    Minute { canary: count(canary), baseline: count(baseline) }
}

fn series(minutes: Vec<Minute>) -> Series {
    Series { name: "5xx".into(), minutes, share: Some(0.1) }
}

fn ruled(minutes: Vec<Minute>, window_over: bool) -> Opinion {
    rule(&Settings::default(), &[series(minutes)], window_over)
}

fn healthy() -> Vec<Minute> {
    vec![minute((60, 0), (540, 1)); 30]
}

#[test]
fn a_healthy_canary_passes_at_the_end_and_not_before() {
    assert_eq!(ruled(healthy(), false).ruling, Ruling::Undecided);
    let opinion = ruled(healthy(), true);
    assert_eq!(opinion.ruling, Ruling::Pass);
    assert_eq!(
        opinion.reason,
        "5xx: with 95 % confidence the canary is no worse (limit 1.0 percentage points)"
    );
    let finding = &opinion.findings[0];
    assert_eq!((finding.minutes_used, finding.minutes_rejected, finding.rates.len()), (27, 0, 30));
    assert_eq!(finding.canary, Count { total: 1620, bad: 0 });
}

#[test]
fn a_total_failure_fails_within_two_judged_minutes() {
    let mut minutes = vec![minute((6, 6), (54, 0)); 5];
    assert_eq!(ruled(minutes.clone(), false).ruling, Ruling::Fail);
    minutes.truncate(3);
    assert_eq!(ruled(minutes, false).ruling, Ruling::Undecided, "the warm-up is not judged");
}

#[test]
fn a_worse_canary_fails_and_the_reason_has_the_numbers() {
    let opinion = ruled(vec![minute((60, 2), (540, 1)); 15], false);
    assert_eq!(opinion.ruling, Ruling::Fail);
    let reason = &opinion.reason;
    assert!(
        reason.starts_with("5xx: bad were 3.3 % of 720 requests of the canary, and 0.19 % of 6,480 "),
        "{reason}"
    );
    assert!(reason.ends_with("where 100 is needed to stop it"), "{reason}");
}

/// A burst makes the evidence weigh less. It must not turn a failure, with its small difference, into a pass.
#[test]
fn a_burst_on_top_of_a_failure_is_no_pass() {
    let canary = [4, 2, 0, 4, 6, 0, 3, 5, 1, 3, 2, 5, 5, 5, 2, 4, 1];
    let baseline = [17, 6, 6, 15, 18, 11, 13, 19, 12, 12, 23, 8, 16, 11, 19, 13, 10];
    let mut minutes: Vec<Minute> =
        canary.into_iter().zip(baseline).map(|(c, b)| minute((600, c), (5400, b))).collect();
    assert_eq!(ruled(minutes.clone(), true).ruling, Ruling::Fail);
    minutes[11].canary = Some(Count { total: 600, bad: 23 });
    let opinion = ruled(minutes, true);
    assert_eq!(opinion.ruling, Ruling::Inconclusive);
    assert!(opinion.reason.contains("the bad ones come in bursts that prove little"), "{}", opinion.reason);
    assert!(opinion.findings[0].upper_bound.unwrap() < 0.01, "the bound alone would have passed it");
}

#[test]
fn an_outage_of_both_is_nobodys_fault() {
    let mut minutes = healthy();
    minutes[10..15].fill(minute((60, 30), (540, 270)));
    assert_ne!(ruled(minutes, true).ruling, Ruling::Fail);
}

#[test]
fn swapped_arms_are_neither_good_nor_bad() {
    for canary_bad in [0, 500] {
        let opinion = ruled(vec![minute((540, canary_bad), (60, 0)); 30], true);
        assert_eq!(opinion.ruling, Ruling::Inconclusive);
        assert!(
            opinion.reason.contains("got 90.0 % of the traffic where 10.0 % was configured"),
            "{}",
            opinion.reason
        );
    }
    let none = ruled(vec![minute((0, 0), (600, 0)); 30], true);
    assert_eq!(none.ruling, Ruling::Inconclusive, "{}", none.reason);
    let probes = Series { share: None, ..series(vec![minute((60, 0), (60, 0)); 30]) };
    assert_eq!(rule(&Settings::default(), &[probes], true).ruling, Ruling::Pass);
}

#[test]
fn silence_is_not_health() {
    let mut quiet = healthy();
    quiet[27..].fill(Minute::default());
    let opinion = ruled(quiet, true);
    assert_eq!(opinion.ruling, Ruling::Inconclusive);
    assert_eq!(opinion.reason, "5xx: the counts of the last 3 minutes are missing");
    let mut gaps = healthy();
    (3..30).step_by(4).for_each(|at| gaps[at].canary = None);
    assert_eq!(ruled(gaps, true).reason, "5xx: the counts of 7 of 27 minutes are missing");
    assert_eq!(ruled(vec![Minute::default(); 30], true).reason, "5xx: no minute has counts of both versions");
    assert_eq!(rule(&Settings::default(), &[], true).ruling, Ruling::Inconclusive);
    assert_eq!(rule(&Settings::default(), &[], false).ruling, Ruling::Undecided);
}

#[test]
fn too_little_traffic_is_no_result_and_says_what_it_takes() {
    let opinion = ruled(vec![minute((6, 0), (54, 0)); 30], true);
    assert_eq!(opinion.reason, "5xx: the canary had 162 requests, and at least 268 are needed");
    assert_eq!(opinion.ruling, Ruling::Inconclusive);
}

#[test]
fn one_metric_that_fails_is_enough_and_all_must_pass() {
    let good = series(healthy());
    let bad = Series { name: "slow".into(), ..series(vec![minute((60, 30), (540, 1)); 30]) };
    let unknown = Series { name: "jobs".into(), ..series(vec![Minute::default(); 30]) };
    let of = |all: &[Series]| rule(&Settings::default(), all, true);
    assert_eq!(of(&[good.clone(), good.clone()]).ruling, Ruling::Pass);
    assert_eq!(of(&[good.clone(), unknown.clone(), bad]).ruling, Ruling::Fail);
    assert_eq!(of(&[good, unknown]).ruling, Ruling::Inconclusive);
}

#[test]
fn the_risk_is_shared_between_metrics() {
    let opinion = rule(&Settings::default(), &[series(healthy()), series(healthy())], true);
    assert!((opinion.findings[0].evidence_limit - 200.0).abs() < 1e-9);
}

#[test]
fn settings_without_sense_pass_nothing() {
    for margin in [f64::NAN, 0.0, -1.0] {
        let settings = Settings { margin, ..Settings::default() };
        assert_ne!(rule(&settings, &[series(healthy())], true).ruling, Ruling::Pass, "{margin}");
    }
    let settings = Settings { tolerance: f64::NAN, alpha: f64::NAN, ..Settings::default() };
    assert_ne!(rule(&settings, &[series(healthy())], true).ruling, Ruling::Fail);
}

fn counts() -> impl Strategy<Value = Count> {
    (0..2000_u64, 0.0..1.0_f64)
        .prop_map(|(total, share)| Count { total, bad: (total as f64 * share * share * share) as u64 })
}

fn minutes() -> impl Strategy<Value = Vec<Minute>> {
    let present = (counts(), counts()).prop_map(|(c, b)| Minute { canary: Some(c), baseline: Some(b) });
    prop::collection::vec(present, 0..40)
}

fn unsplit(minutes: Vec<Minute>) -> [Series; 1] {
    [Series { share: None, ..series(minutes) }]
}

proptest! {
    /// Bad requests instead of good ones, anywhere, never turn a failure into a pass, nor a doubt.
    #[test]
    fn more_bad_requests_never_help(minutes in minutes(), more in prop::collection::vec(0..2000_u64, 40)) {
        let settings = Settings::default();
        let before = rule(&settings, &unsplit(minutes.clone()), true).ruling;
        let mut worse = minutes;
        for (minute, more) in worse.iter_mut().zip(more) {
            let canary = minute.canary.as_mut().unwrap();
            canary.bad = (canary.bad + more).min(canary.total);
        }
        let after = rule(&settings, &unsplit(worse), true).ruling;
        prop_assert!(before != Ruling::Fail || after != Ruling::Pass, "{before:?} became {after:?}");
    }

    #[test]
    fn missing_minutes_never_pass(minutes in minutes(), missing in prop::collection::vec(0..3_u8, 40)) {
        let mut minutes = minutes;
        for (minute, what) in minutes.iter_mut().zip(&missing) {
            match what {
                0 => minute.canary = None,
                1 => minute.baseline = None,
                _ => minute.canary = Some(Count { total: 1, bad: 2 }),
            }
        }
        prop_assert_eq!(rule(&Settings::default(), &unsplit(minutes), true).ruling, Ruling::Inconclusive);
    }

    #[test]
    fn more_than_a_fifth_missing_never_passes(minutes in minutes()) {
        let mut minutes = minutes;
        minutes.iter_mut().step_by(4).for_each(|minute| minute.baseline = None);
        let settings = Settings { warm_up: 0, ..Settings::default() };
        prop_assert_ne!(rule(&settings, &unsplit(minutes), true).ruling, Ruling::Pass);
    }

    /// An open window never passes, a closed one is never left undecided, and no number is out of its range.
    #[test]
    fn every_ruling_is_of_its_time(minutes in minutes(), share in prop::option::of(0.0..1.0_f64)) {
        let series = [Series { share, ..series(minutes) }];
        let open = rule(&Settings::default(), &series, false);
        let over = rule(&Settings::default(), &series, true);
        prop_assert_ne!(open.ruling, Ruling::Pass);
        prop_assert_ne!(over.ruling, Ruling::Undecided);
        let found = &over.findings[0];
        prop_assert!(found.evidence.is_finite() && found.evidence >= 0.0 && found.dispersion >= 1.0);
        prop_assert!(found.highest_evidence >= found.evidence);
        prop_assert!(!over.reason.is_empty() && !open.reason.is_empty());
    }
}

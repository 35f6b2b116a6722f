//! What the judge must never do, for any counts.

use proptest::prelude::*;

use super::*;

fn minute(canary: (u64, u64), baseline: (u64, u64)) -> Minute {
    let count = |(total, bad)| Some(Count { total, bad });
    Minute { canary: count(canary), baseline: count(baseline) }
}

fn series(minutes: Vec<Minute>) -> MetricSeries {
    MetricSeries { name: "5xx".into(), minutes, share: Some(0.1) }
}

fn judge_series(minutes: Vec<Minute>, window_over: bool) -> Judgement {
    judge(&JudgeSettings::default(), &[series(minutes)], window_over)
}

fn healthy_minutes() -> Vec<Minute> {
    vec![minute((60, 0), (540, 1)); 30]
}

#[test]
fn healthy_canary_passes_at_the_end_only() {
    assert_eq!(judge_series(healthy_minutes(), false).verdict, Verdict::Pending);
    let judgement = judge_series(healthy_minutes(), true);
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert_eq!(
        judgement.reason,
        "5xx: with 95 % confidence the canary is no worse (limit 1.0 percentage points)"
    );
    let result = &judgement.metric_results[0];
    assert_eq!((result.minutes_used, result.minutes_rejected, result.rates.len()), (27, 0, 30));
    assert_eq!(result.canary, Count { total: 1620, bad: 0 });
}

#[test]
fn total_failure_fails_within_two_judged_minutes() {
    let mut minutes = vec![minute((6, 6), (54, 0)); 5];
    assert_eq!(judge_series(minutes.clone(), false).verdict, Verdict::Fail);
    minutes.truncate(3);
    assert_eq!(judge_series(minutes, false).verdict, Verdict::Pending, "the warm-up is not judged");
}

#[test]
fn worse_canary_fails_with_the_numbers_in_the_reason() {
    let judgement = judge_series(vec![minute((60, 2), (540, 1)); 15], false);
    assert_eq!(judgement.verdict, Verdict::Fail);
    let reason = &judgement.reason;
    assert!(
        reason.starts_with("5xx: 3.3 % of 720 requests were bad on the canary, and 0.19 % of 6,480 "),
        "{reason}"
    );
    assert!(reason.ends_with("and 100 fails the canary"), "{reason}");
}

/// A burst lowers the e-value. It must not turn a failure, with its small difference, into a pass.
#[test]
fn burst_does_not_turn_a_failure_into_a_pass() {
    let canary = [4, 2, 0, 4, 6, 0, 3, 5, 1, 3, 2, 5, 5, 5, 2, 4, 1];
    let baseline = [17, 6, 6, 15, 18, 11, 13, 19, 12, 12, 23, 8, 16, 11, 19, 13, 10];
    let mut minutes: Vec<Minute> =
        canary.into_iter().zip(baseline).map(|(c, b)| minute((600, c), (5400, b))).collect();
    assert_eq!(judge_series(minutes.clone(), true).verdict, Verdict::Fail);
    minutes[11].canary = Some(Count { total: 600, bad: 23 });
    let judgement = judge_series(minutes, true);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(
        judgement.reason.contains("the bad requests come in bursts, which count less"),
        "{}",
        judgement.reason
    );
    assert!(judgement.metric_results[0].upper_bound.unwrap() < 0.01, "the bound alone would have passed it");
}

#[test]
fn shared_outage_does_not_fail_the_canary() {
    let mut minutes = healthy_minutes();
    minutes[10..15].fill(minute((60, 30), (540, 270)));
    assert_ne!(judge_series(minutes, true).verdict, Verdict::Fail);
}

#[test]
fn swapped_variants_are_inconclusive() {
    for canary_bad in [0, 500] {
        let judgement = judge_series(vec![minute((540, canary_bad), (60, 0)); 30], true);
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        assert!(
            judgement.reason.contains("got 90.0 % of the traffic instead of the configured 10.0 %"),
            "{}",
            judgement.reason
        );
    }
    let none = judge_series(vec![minute((0, 0), (600, 0)); 30], true);
    assert_eq!(none.verdict, Verdict::Inconclusive, "{}", none.reason);
    let probes = MetricSeries { share: None, ..series(vec![minute((60, 0), (60, 0)); 30]) };
    assert_eq!(judge(&JudgeSettings::default(), &[probes], true).verdict, Verdict::Pass);
}

#[test]
fn missing_minutes_are_not_healthy() {
    let mut quiet = healthy_minutes();
    quiet[27..].fill(Minute::default());
    let judgement = judge_series(quiet, true);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert_eq!(judgement.reason, "5xx: the counts of the last 3 minutes are missing");
    let mut gaps = healthy_minutes();
    (3..30).step_by(4).for_each(|at| gaps[at].canary = None);
    assert_eq!(judge_series(gaps, true).reason, "5xx: the counts of 7 of 27 minutes are missing");
    assert_eq!(
        judge_series(vec![Minute::default(); 30], true).reason,
        "5xx: no minute has counts of both versions"
    );
    assert_eq!(judge(&JudgeSettings::default(), &[], true).verdict, Verdict::Inconclusive);
    assert_eq!(judge(&JudgeSettings::default(), &[], false).verdict, Verdict::Pending);
}

#[test]
fn too_little_traffic_is_inconclusive_with_the_required_requests() {
    let judgement = judge_series(vec![minute((6, 0), (54, 0)); 30], true);
    assert_eq!(judgement.reason, "5xx: the canary had 162 requests; at least 268 are needed");
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
}

#[test]
fn one_failing_metric_fails_and_all_must_pass() {
    let good = series(healthy_minutes());
    let bad = MetricSeries { name: "slow".into(), ..series(vec![minute((60, 30), (540, 1)); 30]) };
    let unknown = MetricSeries { name: "jobs".into(), ..series(vec![Minute::default(); 30]) };
    let of = |all: &[MetricSeries]| judge(&JudgeSettings::default(), all, true);
    assert_eq!(of(&[good.clone(), good.clone()]).verdict, Verdict::Pass);
    assert_eq!(of(&[good.clone(), unknown.clone(), bad]).verdict, Verdict::Fail);
    assert_eq!(of(&[good, unknown]).verdict, Verdict::Inconclusive);
}

#[test]
fn risk_is_divided_among_metrics() {
    let judgement =
        judge(&JudgeSettings::default(), &[series(healthy_minutes()), series(healthy_minutes())], true);
    assert!((judgement.metric_results[0].e_value_limit - 200.0).abs() < 1e-9);
}

#[test]
fn invalid_settings_pass_nothing() {
    for margin in [f64::NAN, 0.0, -1.0] {
        let settings = JudgeSettings { margin, ..JudgeSettings::default() };
        assert_ne!(judge(&settings, &[series(healthy_minutes())], true).verdict, Verdict::Pass, "{margin}");
    }
    let settings = JudgeSettings { tolerance: f64::NAN, alpha: f64::NAN, ..JudgeSettings::default() };
    assert_ne!(judge(&settings, &[series(healthy_minutes())], true).verdict, Verdict::Fail);
}

fn counts() -> impl Strategy<Value = Count> {
    (0..2000_u64, 0.0..1.0_f64)
        .prop_map(|(total, share)| Count { total, bad: (total as f64 * share * share * share) as u64 })
}

fn minutes() -> impl Strategy<Value = Vec<Minute>> {
    let present = (counts(), counts()).prop_map(|(c, b)| Minute { canary: Some(c), baseline: Some(b) });
    prop::collection::vec(present, 0..40)
}

fn without_share(minutes: Vec<Minute>) -> [MetricSeries; 1] {
    [MetricSeries { share: None, ..series(minutes) }]
}

proptest! {
    /// More bad requests in place of good ones, anywhere, never turn a failure into a pass or an undecided verdict.
    #[test]
    fn more_bad_requests_never_help(minutes in minutes(), more in prop::collection::vec(0..2000_u64, 40)) {
        let settings = JudgeSettings::default();
        let before = judge(&settings, &without_share(minutes.clone()), true).verdict;
        let mut worse = minutes;
        for (minute, more) in worse.iter_mut().zip(more) {
            let canary = minute.canary.as_mut().unwrap();
            canary.bad = (canary.bad + more).min(canary.total);
        }
        let after = judge(&settings, &without_share(worse), true).verdict;
        prop_assert!(before != Verdict::Fail || after != Verdict::Pass, "{before:?} became {after:?}");
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
        prop_assert_eq!(judge(&JudgeSettings::default(), &without_share(minutes), true).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn more_than_a_fifth_missing_never_passes(minutes in minutes()) {
        let mut minutes = minutes;
        minutes.iter_mut().step_by(4).for_each(|minute| minute.baseline = None);
        let settings = JudgeSettings { warm_up: 0, ..JudgeSettings::default() };
        prop_assert_ne!(judge(&settings, &without_share(minutes), true).verdict, Verdict::Pass);
    }

    /// An open window never passes, a closed one always has a verdict, and no number is out of its range.
    #[test]
    fn every_ruling_is_of_its_time(minutes in minutes(), share in prop::option::of(0.0..1.0_f64)) {
        let series = [MetricSeries { share, ..series(minutes) }];
        let open = judge(&JudgeSettings::default(), &series, false);
        let over = judge(&JudgeSettings::default(), &series, true);
        prop_assert_ne!(open.verdict, Verdict::Pass);
        prop_assert_ne!(over.verdict, Verdict::Pending);
        let found = &over.metric_results[0];
        prop_assert!(found.e_value.is_finite() && found.e_value >= 0.0 && found.dispersion >= 1.0);
        prop_assert!(found.max_e_value >= found.e_value);
        prop_assert!(!over.reason.is_empty() && !open.reason.is_empty());
    }
}

//! The limits on fewer runs, and the re-implemented rules against their documentation.

use super::cases::{CountPair, simulate_traffic};
use super::kayenta::kayenta;
use super::rng::Rng;
use super::rules::{argo, flagger};
use super::simulation::roadstead;
use super::*;
use crate::strategy::judge::{Count, JudgeSettings, MetricSeries, Minute, Verdict, judge, minutes_needed};

fn simulation(runs: usize, settings: JudgeSettings) -> Simulation {
    Simulation { runs, minutes: 30, seed: 20_261_120, settings, judges: vec![Judge::Roadstead] }
}

#[test]
fn judge_meets_its_limits() {
    let limits = check_limits(&run_simulation(&simulation(200, JudgeSettings::default())), 0);
    assert_eq!(limits.len(), 5);
    assert!(limits.iter().all(|limit| limit.holds), "{}", limits_table(&limits));
}

#[test]
fn careless_settings_exceed_the_limits() {
    let rash = JudgeSettings { alpha: 0.9, margin: 0.001, ..JudgeSettings::default() };
    assert!(!check_limits(&run_simulation(&simulation(40, rash)), 0)[1].holds);
    let lax = JudgeSettings { alpha: 1e-200, margin: 0.2, ..JudgeSettings::default() };
    let of_lax = check_limits(&run_simulation(&simulation(40, lax)), 0);
    assert!(!of_lax[2].holds && !of_lax[3].holds, "{}", limits_table(&of_lax));
    assert!(check_limits(&[], 0).iter().all(|limit| !limit.holds), "nothing measured holds nothing");
}

/// The forecast before a window is opened is right: four of five healthy canaries pass in that time.
#[test]
fn minutes_needed_are_enough_to_pass() {
    let settings = JudgeSettings::default();
    for (level, case) in [(TRAFFIC_LEVELS[1], &CASES[0]), (TRAFFIC_LEVELS[3], &CASES[1])] {
        let minutes = minutes_needed(&settings, level.canary, level.baseline, case.rate) as usize;
        let mut chance = Rng::new(5, 5);
        let passes = |_: &usize| {
            roadstead(&settings, &simulate_traffic(level, case, minutes, &mut chance)).verdict
                == Verdict::Pass
        };
        let passed = (0..200).filter(passes).count();
        assert!((130..190).contains(&passed), "{passed} of 200 passed in {minutes} minutes");
    }
}

#[test]
fn same_seed_gives_the_same_table() {
    let of = |seed| {
        let contest =
            Simulation { seed, judges: Judge::ALL.to_vec(), ..simulation(3, JudgeSettings::default()) };
        results_table(&run_simulation(&contest), &contest.judges)
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

/// The benchmark feeds the test a minute at a time; a run judges all minutes so far.
#[test]
fn minute_by_minute_and_whole_series_verdicts_agree() {
    let settings = JudgeSettings::default();
    for (case, stream) in CASES.iter().zip(0..) {
        let minutes = simulate_traffic(TRAFFIC_LEVELS[3], case, 30, &mut Rng::new(1, stream));
        let end = roadstead(&settings, &minutes);
        let so_far = |long: usize| {
            let minute =
                |(canary, baseline): &CountPair| Minute { canary: Some(*canary), baseline: Some(*baseline) };
            let minutes = minutes[..long].iter().map(minute).collect();
            let series = MetricSeries { name: "5xx".into(), minutes, share: None };
            judge(&settings, &[series], long == 30).verdict
        };
        assert_eq!(so_far(end.minute), end.verdict, "{}", case.name);
        assert!((1..end.minute).all(|long| so_far(long) == Verdict::Pending), "{}", case.name);
    }
}

fn minutes(canary: (u64, u64), baseline: (u64, u64), long: usize) -> Vec<CountPair> {
    let count = |(total, bad)| Count { total, bad };
    vec![(count(canary), count(baseline)); long]
}

#[test]
fn flagger_counts_a_minute_without_traffic_as_a_failed_check() {
    let end = flagger(&minutes((0, 0), (9, 0), 30), 0.99, 5);
    assert_eq!((end.verdict, end.minute), (Verdict::Fail, 5));
    assert_eq!(flagger(&minutes((100, 1), (9, 0), 30), 0.99, 5).verdict, Verdict::Pass);
    assert_eq!(flagger(&minutes((100, 2), (9, 0), 4), 0.99, 5).verdict, Verdict::Pass);
}

#[test]
fn argo_aborts_on_the_fourth_failure_and_on_the_fifth_error_in_a_row() {
    let end = argo(&minutes((100, 6), (9, 0), 30), 0.95, 3);
    assert_eq!((end.verdict, end.minute), (Verdict::Fail, 4));
    let end = argo(&minutes((0, 0), (9, 0), 30), 0.95, 3);
    assert_eq!((end.verdict, end.minute), (Verdict::Fail, 5));
    let mut broken = minutes((0, 0), (9, 0), 9);
    broken[4].0.total = 10;
    assert_eq!(argo(&broken, 0.95, 3).verdict, Verdict::Pass);
}

#[test]
fn rank_test_fails_a_clear_shift_and_passes_equal_rates() {
    let mut worse = minutes((1000, 50), (1000, 10), 30);
    for (at, (canary, baseline)) in worse.iter_mut().enumerate() {
        canary.bad += at as u64 % 7;
        baseline.bad += at as u64 % 5;
    }
    assert_eq!(kayenta(&worse).verdict, Verdict::Fail);
    let swapped: Vec<CountPair> = worse.iter().map(|(canary, baseline)| (*baseline, *canary)).collect();
    assert_eq!(kayenta(&swapped).verdict, Verdict::Pass);
    assert_eq!(kayenta(&minutes((10, 0), (10, 0), 30)).verdict, Verdict::Pass);
    assert_eq!(kayenta(&minutes((0, 0), (10, 0), 30)).verdict, Verdict::Inconclusive);
}

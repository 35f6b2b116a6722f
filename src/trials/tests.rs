//! The limits on fewer runs, and what the re-implemented rules do where their documents say it.

use super::chance::Chance;
use super::contest::roadstead;
use super::kayenta::kayenta;
use super::rules::{argo, flagger};
use super::scenario::{Pair, traffic};
use super::*;
use crate::strategy::judge::{Count, Minute, Ruling, Series, Settings, minutes_needed, rule};

fn contest(runs: usize, settings: Settings) -> Contest {
    Contest { runs, minutes: 30, seed: 20_261_120, settings, judges: vec![Judge::Roadstead] }
}

#[test]
fn the_judge_keeps_its_limits() {
    let limits = limits(&hold(&contest(200, Settings::default())), 0);
    assert_eq!(limits.len(), 5);
    assert!(limits.iter().all(|limit| limit.holds), "{}", verdicts(&limits));
}

#[test]
fn a_judge_that_takes_any_evidence_breaks_them() {
    let rash = Settings { alpha: 0.9, margin: 0.001, ..Settings::default() };
    assert!(!limits(&hold(&contest(40, rash)), 0)[1].holds);
    let lax = Settings { alpha: 1e-200, margin: 0.2, ..Settings::default() };
    let of_lax = limits(&hold(&contest(40, lax)), 0);
    assert!(!of_lax[2].holds && !of_lax[3].holds, "{}", verdicts(&of_lax));
    assert!(limits(&[], 0).iter().all(|limit| !limit.holds), "nothing measured holds nothing");
}

/// What is said before a window is opened holds in it: four of five healthy canaries pass in the time that is needed.
#[test]
fn the_time_that_is_said_to_be_needed_is_enough() {
    let settings = Settings::default();
    for (level, case) in [(LEVELS[1], &CASES[0]), (LEVELS[3], &CASES[1])] {
        let minutes = minutes_needed(&settings, level.canary, level.baseline, case.rate) as usize;
        let mut chance = Chance::new(5, 5);
        let passes = |_: &usize| {
            roadstead(&settings, &traffic(level, case, minutes, &mut chance)).ruling == Ruling::Pass
        };
        let passed = (0..200).filter(passes).count();
        assert!((130..190).contains(&passed), "{passed} of 200 passed in {minutes} minutes");
    }
}

#[test]
fn the_same_seed_gives_the_same_table() {
    let of = |seed| {
        let contest = Contest { seed, judges: Judge::ALL.to_vec(), ..contest(3, Settings::default()) };
        table(&hold(&contest), &contest.judges)
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

/// The trials judge with the ledger, a minute at a time; the walk asks `rule` with all minutes so far.
#[test]
fn the_trials_judge_as_the_walk_does() {
    let settings = Settings::default();
    for (case, stream) in CASES.iter().zip(0..) {
        let minutes = traffic(LEVELS[3], case, 30, &mut Chance::new(1, stream));
        let end = roadstead(&settings, &minutes);
        let so_far = |long: usize| {
            let minute =
                |(canary, baseline): &Pair| Minute { canary: Some(*canary), baseline: Some(*baseline) };
            let minutes = minutes[..long].iter().map(minute).collect();
            let series = Series { name: "5xx".into(), minutes, share: None };
            rule(&settings, &[series], long == 30).ruling
        };
        assert_eq!(so_far(end.minute), end.ruling, "{}", case.name);
        assert!((1..end.minute).all(|long| so_far(long) == Ruling::Undecided), "{}", case.name);
    }
}

fn minutes(canary: (u64, u64), baseline: (u64, u64), long: usize) -> Vec<Pair> {
    let count = |(total, bad)| Count { total, bad };
    vec![(count(canary), count(baseline)); long]
}

#[test]
fn flagger_counts_silence_as_a_failed_check() {
    let end = flagger(&minutes((0, 0), (9, 0), 30), 0.99, 5);
    assert_eq!((end.ruling, end.minute), (Ruling::Fail, 5));
    assert_eq!(flagger(&minutes((100, 1), (9, 0), 30), 0.99, 5).ruling, Ruling::Pass);
    assert_eq!(flagger(&minutes((100, 2), (9, 0), 4), 0.99, 5).ruling, Ruling::Pass);
}

#[test]
fn argo_aborts_on_the_fourth_failure_and_on_the_fifth_error_in_a_row() {
    let end = argo(&minutes((100, 6), (9, 0), 30), 0.95, 3);
    assert_eq!((end.ruling, end.minute), (Ruling::Fail, 4));
    let end = argo(&minutes((0, 0), (9, 0), 30), 0.95, 3);
    assert_eq!((end.ruling, end.minute), (Ruling::Fail, 5));
    let mut broken = minutes((0, 0), (9, 0), 9);
    broken[4].0.total = 10;
    assert_eq!(argo(&broken, 0.95, 3).ruling, Ruling::Pass);
}

#[test]
fn the_rank_test_finds_a_clear_shift_and_passes_what_is_alike() {
    let mut worse = minutes((1000, 50), (1000, 10), 30);
    for (at, (canary, baseline)) in worse.iter_mut().enumerate() {
        canary.bad += at as u64 % 7;
        baseline.bad += at as u64 % 5;
    }
    assert_eq!(kayenta(&worse).ruling, Ruling::Fail);
    let swapped: Vec<Pair> = worse.iter().map(|(canary, baseline)| (*baseline, *canary)).collect();
    assert_eq!(kayenta(&swapped).ruling, Ruling::Pass);
    assert_eq!(kayenta(&minutes((10, 0), (10, 0), 30)).ruling, Ruling::Pass);
    assert_eq!(kayenta(&minutes((0, 0), (10, 0), 30)).ruling, Ruling::Inconclusive);
}

//! Every judge on the same runs; how often each reached which verdict, and when.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use super::cases::{CASES, Case, CountPair, TRAFFIC_LEVELS, TrafficLevel, simulate_traffic};
use super::kayenta::kayenta;
use super::rng::Rng;
use super::rules::{argo, flagger};
use crate::strategy::judge::sequential_test::SequentialTest;
use crate::strategy::judge::{JudgeSettings, Minute, Verdict};

/// The settings of a benchmark.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// Runs per cell.
    pub runs: usize,
    /// Minutes per run.
    pub minutes: usize,
    /// The same seed gives the same table.
    pub seed: u64,
    /// Settings of our judge.
    pub settings: JudgeSettings,
    /// The judges.
    pub judges: Vec<Judge>,
}

/// A judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// The judge of this project.
    Roadstead,
    /// Success rate at least 99 %, five failed checks.
    Flagger,
    /// Success rate at least 95 %, failure limit 3.
    Argo95,
    /// Success rate at least 99 %, failure limit 3.
    Argo99,
    /// Mann-Whitney on rates by minute.
    Kayenta,
}

impl Judge {
    /// Ours first.
    pub const ALL: [Self; 5] = [Self::Roadstead, Self::Flagger, Self::Argo95, Self::Argo99, Self::Kayenta];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roadstead => "Roadstead",
            Self::Flagger => "Flagger-style 99 %, 5 checks",
            Self::Argo95 => "Argo-style 95 %, limit 3",
            Self::Argo99 => "Argo-style 99 %, limit 3",
            Self::Kayenta => "Kayenta-style rank test",
        }
    }

    /// The rank test is slow; it gets at most this many runs.
    fn max_runs(self) -> usize {
        if self == Self::Kayenta { 150 } else { usize::MAX }
    }

    fn judge_run(self, settings: &JudgeSettings, minutes: &[CountPair]) -> RunEnd {
        match self {
            Self::Roadstead => roadstead(settings, minutes),
            Self::Flagger => flagger(minutes, 0.99, 5),
            Self::Argo95 => argo(minutes, 0.95, 3),
            Self::Argo99 => argo(minutes, 0.99, 3),
            Self::Kayenta => kayenta(minutes),
        }
    }
}

/// The verdict of a judge on a run, and its minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunEnd {
    pub(super) verdict: Verdict,
    /// Its minute; the first is 1.
    pub(super) minute: usize,
}

/// Our judge is called every minute, as in a rollout.
pub(super) fn roadstead(settings: &JudgeSettings, minutes: &[CountPair]) -> RunEnd {
    let mut test = SequentialTest::new(settings, 1, None);
    for (at, (canary, baseline)) in minutes.iter().enumerate() {
        test.update(Minute { canary: Some(*canary), baseline: Some(*baseline) });
        let verdict = test.verdict(&test.statistics(), at + 1 == minutes.len());
        if verdict != Verdict::Pending {
            return RunEnd { verdict, minute: at + 1 };
        }
    }
    RunEnd { verdict: Verdict::Inconclusive, minute: minutes.len() }
}

/// The verdicts on all runs of a cell.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Runs that were judged.
    pub runs: usize,
    /// Of these, promoted.
    pub promoted_runs: usize,
    /// Of these, without a result.
    pub inconclusive_runs: usize,
    /// The minutes in which the others were rolled back, ascending.
    pub rollback_minutes: Vec<usize>,
}

impl Counts {
    fn add(&mut self, end: RunEnd) {
        self.runs += 1;
        match end.verdict {
            Verdict::Fail => self.rollback_minutes.push(end.minute),
            Verdict::Pass => self.promoted_runs += 1,
            Verdict::Inconclusive | Verdict::Pending => self.inconclusive_runs += 1,
        }
    }

    /// Fraction of runs that were rolled back.
    pub fn rollback_rate(&self) -> f64 {
        self.rate_of(self.rollback_minutes.len())
    }

    /// Fraction of runs that were promoted.
    pub fn promotion_rate(&self) -> f64 {
        self.rate_of(self.promoted_runs)
    }

    /// Fraction of runs without a result.
    pub fn inconclusive_rate(&self) -> f64 {
        self.rate_of(self.inconclusive_runs)
    }

    /// The minute by which this fraction of all runs was rolled back; none if fewer were.
    pub fn rollback_minute_of(&self, share: f64) -> Option<usize> {
        let need = (share * self.runs as f64).ceil().max(1.0) as usize;
        self.rollback_minutes.get(need - 1).copied()
    }

    /// The median minute of the rollbacks.
    pub fn median_rollback_minute(&self) -> Option<usize> {
        self.rollback_minutes.get(self.rollback_minutes.len() / 2).copied()
    }

    fn rate_of(&self, part: usize) -> f64 {
        part as f64 / self.runs.max(1) as f64
    }
}

/// One case at one level of traffic.
#[derive(Debug, Clone)]
pub struct ResultCell {
    /// The traffic level.
    pub level: TrafficLevel,
    /// The case.
    pub case: Case,
    /// By judge, in the order of the benchmark.
    pub counts: Vec<Counts>,
}

/// Runs the benchmark, on all processors. Each cell has random numbers of its own, so the table does not depend on their
/// number.
pub fn run_simulation(contest: &Simulation) -> Vec<ResultCell> {
    let cells = TRAFFIC_LEVELS.iter().flat_map(|level| CASES.iter().map(move |case| (*level, case)));
    let cells: Vec<(TrafficLevel, &Case)> = cells.collect();
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let simulate_from = &|first: usize| -> Vec<(usize, ResultCell)> {
        let own = cells.iter().enumerate().skip(first).step_by(workers);
        own.map(|(at, (level, case))| (at, simulate_cell(contest, *level, case, at as u64))).collect()
    };
    let mut results: Vec<(usize, ResultCell)> = thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|first| scope.spawn(move || simulate_from(first))).collect();
        let parts = handles.into_iter().map(|it| it.join().unwrap_or_else(|panic| resume_unwind(panic)));
        parts.flatten().collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, cell)| cell).collect()
}

fn simulate_cell(contest: &Simulation, level: TrafficLevel, case: &Case, stream: u64) -> ResultCell {
    let mut chance = Rng::new(contest.seed, stream);
    let mut tallies = vec![Counts::default(); contest.judges.len()];
    for run in 0..contest.runs {
        let minutes = simulate_traffic(level, case, contest.minutes, &mut chance);
        for (judge, tally) in contest.judges.iter().zip(&mut tallies) {
            if run < judge.max_runs() {
                tally.add(judge.judge_run(&contest.settings, &minutes));
            }
        }
    }
    tallies.iter_mut().for_each(|tally| tally.rollback_minutes.sort_unstable());
    ResultCell { level, case: *case, counts: tallies }
}

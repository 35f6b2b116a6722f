//! Every judge on the same runs; how often each came to which end, and when.

use super::chance::Chance;
use super::kayenta::kayenta;
use super::rules::{argo, flagger};
use super::scenario::{CASES, Case, LEVELS, Level, Pair, traffic};
use crate::strategy::judge::ledger::Ledger;
use crate::strategy::judge::{Minute, Ruling, Settings};

/// What is tried, and how often.
#[derive(Debug, Clone)]
pub struct Contest {
    /// Runs a cell.
    pub runs: usize,
    /// Minutes of a run.
    pub minutes: usize,
    /// The same seed gives the same table.
    pub seed: u64,
    /// Settings of our judge.
    pub settings: Settings,
    /// Who judges.
    pub judges: Vec<Judge>,
}

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// The count judge of this project.
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

    /// The rank test is slow; it gets no more runs than this.
    fn most_runs(self) -> usize {
        if self == Self::Kayenta { 150 } else { usize::MAX }
    }

    fn judge(self, settings: &Settings, minutes: &[Pair]) -> End {
        match self {
            Self::Roadstead => roadstead(settings, minutes),
            Self::Flagger => flagger(minutes, 0.99, 5),
            Self::Argo95 => argo(minutes, 0.95, 3),
            Self::Argo99 => argo(minutes, 0.99, 3),
            Self::Kayenta => kayenta(minutes),
        }
    }
}

/// How a run ended for a judge, and in which minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// What was ruled.
    pub(super) ruling: Ruling,
    /// The minute in which it was; the first is 1.
    pub(super) minute: usize,
}

/// Our judge looks every minute, as the walk does.
pub(super) fn roadstead(settings: &Settings, minutes: &[Pair]) -> End {
    let mut ledger = Ledger::new(settings, 1, None);
    for (at, (canary, baseline)) in minutes.iter().enumerate() {
        ledger.close(Minute { canary: Some(*canary), baseline: Some(*baseline) });
        let ruling = ledger.ruling(&ledger.weigh(), at + 1 == minutes.len());
        if ruling != Ruling::Undecided {
            return End { ruling, minute: at + 1 };
        }
    }
    End { ruling: Ruling::Inconclusive, minute: minutes.len() }
}

/// The ends of all runs of a cell.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Runs that were judged.
    pub runs: usize,
    /// Of these, promoted.
    pub passed: usize,
    /// Of these, without a result.
    pub inconclusive: usize,
    /// The minutes in which the others were rolled back, ascending.
    pub failed: Vec<usize>,
}

impl Tally {
    fn add(&mut self, end: End) {
        self.runs += 1;
        match end.ruling {
            Ruling::Fail => self.failed.push(end.minute),
            Ruling::Pass => self.passed += 1,
            Ruling::Inconclusive | Ruling::Undecided => self.inconclusive += 1,
        }
    }

    /// Share of runs that were rolled back.
    pub fn rolled_back(&self) -> f64 {
        self.share(self.failed.len())
    }

    /// Share of runs that were promoted.
    pub fn promoted(&self) -> f64 {
        self.share(self.passed)
    }

    /// Share of runs without a result.
    pub fn undecided(&self) -> f64 {
        self.share(self.inconclusive)
    }

    /// The minute by which this share of all runs was rolled back; none where fewer were.
    pub fn minute(&self, share: f64) -> Option<usize> {
        let need = (share * self.runs as f64).ceil().max(1.0) as usize;
        self.failed.get(need - 1).copied()
    }

    /// The median minute of the rollbacks.
    pub fn median(&self) -> Option<usize> {
        self.failed.get(self.failed.len() / 2).copied()
    }

    fn share(&self, part: usize) -> f64 {
        part as f64 / self.runs.max(1) as f64
    }
}

/// One case at one level of traffic.
#[derive(Debug, Clone)]
pub struct Cell {
    /// How much traffic.
    pub level: Level,
    /// What is the matter.
    pub case: Case,
    /// By judge, in the order of the contest.
    pub tallies: Vec<Tally>,
}

/// Holds the contest.
pub fn hold(contest: &Contest) -> Vec<Cell> {
    let cells = LEVELS.iter().flat_map(|level| CASES.iter().map(move |case| (*level, case)));
    cells.zip(0..).map(|((level, case), stream)| cell(contest, level, case, stream)).collect()
}

fn cell(contest: &Contest, level: Level, case: &Case, stream: u64) -> Cell {
    let mut chance = Chance::new(contest.seed, stream);
    let mut tallies = vec![Tally::default(); contest.judges.len()];
    for run in 0..contest.runs {
        let minutes = traffic(level, case, contest.minutes, &mut chance);
        for (judge, tally) in contest.judges.iter().zip(&mut tallies) {
            if run < judge.most_runs() {
                tally.add(judge.judge(&contest.settings, &minutes));
            }
        }
    }
    tallies.iter_mut().for_each(|tally| tally.failed.sort_unstable());
    Cell { level, case: *case, tallies }
}

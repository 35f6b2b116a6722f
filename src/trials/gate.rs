//! The limits that our judge is held to, measured on the runs of a contest.

use super::contest::{Cell, Tally};
use super::scenario::{Effect, Kind};

/// One limit, the worst cell for it, and whether it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// What is promised.
    pub promise: &'static str,
    /// What was measured, and where.
    pub measured: String,
    /// Whether the promise held.
    pub holds: bool,
}

/// Requests a minute from which on a total failure must be stopped in time.
const ENOUGH: f64 = 6.0;

/// The limits, on the tallies of the judge at this place of the contest.
pub fn limits(cells: &[Cell], judge: usize) -> Vec<Limit> {
    let worst = |kinds: &[Kind], value: fn(&Tally) -> f64| {
        let of_kind = cells.iter().filter(|cell| kinds.contains(&cell.case.kind));
        of_kind.map(|cell| (value(&cell.tallies[judge]), cell)).max_by(|(a, _), (b, _)| a.total_cmp(b))
    };
    let at_most = |promise, kinds: &[Kind], value, limit: f64| {
        let found = worst(kinds, value);
        Limit {
            promise,
            measured: found.map_or("nothing was measured".into(), |(share, cell)| {
                format!("at most {:.2} % ({})", 100.0 * share, place(cell))
            }),
            holds: found.is_some_and(|(share, _)| share <= limit),
        }
    };
    vec![
        at_most(
            "healthy canary rolled back ≤ 1 %, ordinary traffic",
            &[Kind::Healthy],
            Tally::rolled_back,
            0.01,
        ),
        at_most(
            "healthy canary rolled back ≤ 10 %, adversarial traffic",
            &[Kind::Adversarial],
            Tally::rolled_back,
            0.1,
        ),
        at_most(
            "a version worse by twice the margin promoted ≤ 1 %",
            &[Kind::Worse, Kind::Down],
            Tally::promoted,
            0.01,
        ),
        in_time(cells, judge, "all requests fail: stopped within 6 minutes in 99 % of the runs", 1.0, 0.99),
        in_time(cells, judge, "half of the requests fail: stopped within 6 minutes in the median", 0.5, 0.5),
    ]
}

/// Whether `share` of the runs in which at least `rate` of the requests fail were stopped within six minutes.
fn in_time(cells: &[Cell], judge: usize, promise: &'static str, rate: f64, share: f64) -> Limit {
    const MINUTES: usize = 6;
    let down = cells.iter().filter(|cell| {
        let worse = match cell.case.effect {
            Effect::Plus(more) => more,
            _ => 0.0,
        };
        cell.case.kind == Kind::Down && cell.level.canary >= ENOUGH && worse >= rate
    });
    let slowest = down
        .map(|cell| (cell.tallies[judge].minute(share).unwrap_or(usize::MAX), cell))
        .max_by_key(|(minute, _)| *minute);
    Limit {
        promise,
        measured: match slowest {
            None => "nothing was measured".into(),
            Some((usize::MAX, cell)) => format!("never ({})", place(cell)),
            Some((minute, cell)) => format!("by minute {minute} ({})", place(cell)),
        },
        holds: slowest.is_some_and(|(minute, _)| minute <= MINUTES),
    }
}

fn place(cell: &Cell) -> String {
    format!("{}/{} a minute, {}", cell.level.canary, cell.level.baseline, cell.case.name)
}

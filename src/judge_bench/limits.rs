//! The limits of our judge, measured on the runs of a benchmark.

use super::cases::{CanaryEffect, CaseKind};
use super::simulation::{Counts, ResultCell};

/// One limit, the worst cell for it, and whether it is met.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorLimit {
    /// The limit.
    pub requirement: &'static str,
    /// The measured value, and its cell.
    pub measured: String,
    /// Whether the limit is met.
    pub holds: bool,
}

/// Requests per minute from which on a total failure must be stopped in time.
const MIN_REQUESTS_PER_MINUTE: f64 = 6.0;

/// The limits, on the tallies of the judge at this index of the benchmark.
pub fn check_limits(cells: &[ResultCell], judge: usize) -> Vec<ErrorLimit> {
    let worst = |kinds: &[CaseKind], value: fn(&Counts) -> f64| {
        let of_kind = cells.iter().filter(|cell| kinds.contains(&cell.case.kind));
        of_kind.map(|cell| (value(&cell.counts[judge]), cell)).max_by(|(a, _), (b, _)| a.total_cmp(b))
    };
    let at_most = |promise, kinds: &[CaseKind], value, limit: f64| {
        let found = worst(kinds, value);
        ErrorLimit {
            requirement: promise,
            measured: found.map_or("nothing was measured".into(), |(share, cell)| {
                format!("at most {:.2} % ({})", 100.0 * share, cell_label(cell))
            }),
            holds: found.is_some_and(|(share, _)| share <= limit),
        }
    };
    vec![
        at_most(
            "healthy canary rolled back ≤ 1 %, ordinary traffic",
            &[CaseKind::Healthy],
            Counts::rollback_rate,
            0.01,
        ),
        at_most(
            "healthy canary rolled back ≤ 10 %, adversarial traffic",
            &[CaseKind::Adversarial],
            Counts::rollback_rate,
            0.1,
        ),
        at_most(
            "a version worse by twice the margin promoted ≤ 1 %",
            &[CaseKind::Worse, CaseKind::Down],
            Counts::promotion_rate,
            0.01,
        ),
        check_stopped_in_time(
            cells,
            judge,
            "all requests fail: stopped within 6 minutes in 99 % of the runs",
            1.0,
            0.99,
        ),
        check_stopped_in_time(
            cells,
            judge,
            "half of the requests fail: stopped within 6 minutes in the median",
            0.5,
            0.5,
        ),
    ]
}

/// Whether `share` of the runs in which at least `rate` of the requests fail were stopped within six minutes.
fn check_stopped_in_time(
    cells: &[ResultCell],
    judge: usize,
    promise: &'static str,
    rate: f64,
    share: f64,
) -> ErrorLimit {
    const MINUTES: usize = 6;
    let down = cells.iter().filter(|cell| {
        let worse = match cell.case.effect {
            CanaryEffect::Plus(more) => more,
            _ => 0.0,
        };
        cell.case.kind == CaseKind::Down && cell.level.canary >= MIN_REQUESTS_PER_MINUTE && worse >= rate
    });
    let slowest = down
        .map(|cell| (cell.counts[judge].rollback_minute_of(share).unwrap_or(usize::MAX), cell))
        .max_by_key(|(minute, _)| *minute);
    ErrorLimit {
        requirement: promise,
        measured: match slowest {
            None => "nothing was measured".into(),
            Some((usize::MAX, cell)) => format!("never ({})", cell_label(cell)),
            Some((minute, cell)) => format!("by minute {minute} ({})", cell_label(cell)),
        },
        holds: slowest.is_some_and(|(minute, _)| minute <= MINUTES),
    }
}

fn cell_label(cell: &ResultCell) -> String {
    format!("{}/{} a minute, {}", cell.level.canary, cell.level.baseline, cell.case.name)
}

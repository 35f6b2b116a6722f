//! `roadstead judge --simulate`: how often judges of canaries are wrong, as Markdown.

use super::arguments::JudgeOptions;
use crate::strategy::judge::Settings;
use crate::sys::terminal;
use crate::trials::{Contest, Judge, hold, limits, summary, table, verdicts};

/// Prints the tables; 1 where a limit is to be held and is broken.
pub(super) fn main(options: &JudgeOptions) -> u8 {
    let contest = Contest {
        runs: options.runs as usize,
        minutes: options.minutes as usize,
        seed: options.seed,
        settings: Settings::default(),
        judges: if options.gate { vec![Judge::Roadstead] } else { Judge::ALL.to_vec() },
    };
    let cells = hold(&contest);
    let limits = limits(&cells, 0);
    for part in [table(&cells, &contest.judges), summary(&cells, &contest.judges), verdicts(&limits)] {
        terminal::line(&format!("{part}\n"));
    }
    u8::from(options.gate && limits.iter().any(|limit| !limit.holds))
}

//! `roadstead judge --simulate`: error rates of canary analyses, as Markdown.

use super::arguments::JudgeOptions;
use crate::judge_bench::{
    Judge, Simulation, check_limits, limits_table, results_table, run_simulation, summary_table,
};
use crate::strategy::judge::JudgeSettings;
use crate::sys::terminal;

/// Prints the tables; returns 1 if a limit is enforced and exceeded.
pub(super) fn main(options: &JudgeOptions) -> u8 {
    let contest = Simulation {
        runs: options.runs as usize,
        minutes: options.minutes as usize,
        seed: options.seed,
        settings: JudgeSettings::default(),
        judges: if options.gate { vec![Judge::Roadstead] } else { Judge::ALL.to_vec() },
    };
    let cells = run_simulation(&contest);
    let limits = check_limits(&cells, 0);
    for part in [
        results_table(&cells, &contest.judges),
        summary_table(&cells, &contest.judges),
        limits_table(&limits),
    ] {
        terminal::stdout_line(&format!("{part}\n"));
    }
    u8::from(options.gate && limits.iter().any(|limit| !limit.holds))
}

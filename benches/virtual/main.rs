//! Figures on virtual time: detection lag, read calls, simulated deploys per second. Printed as a table for people and
//! for `scripts/bench`. `--runs N` sets how many runs each class gets (1,000), `--only WORD` takes the classes with that word, or
//! `fifty`, or `speed`.
//! What each figure means is said in docs/measurements.md.
// A benchmark is a test: it may print, and it may stop where an expectation does not hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod class;
mod oracle;
mod reads;
mod result_table;
mod run;
mod speed;

use class::CLASSES;
use result_table::ResultTable;

/// How often, and which.
struct BenchOptions {
    runs: u64,
    only: String,
}

fn main() -> std::process::ExitCode {
    let wanted = parse_options(std::env::args().skip(1));
    let mut board = ResultTable::default();
    board.print_title(&format!("Detection lag and read calls, {} virtual runs for each class", wanted.runs));
    for class in CLASSES.iter().filter(|class| class.name.contains(&wanted.only)) {
        class.measure(wanted.runs, &mut board);
    }
    if "fifty".contains(&wanted.only) {
        reads::measure_fifty_services(wanted.runs.div_ceil(20), &mut board);
    }
    if "speed".contains(&wanted.only) {
        speed::measure(wanted.runs, &mut board);
    }
    board.finish()
}

fn parse_options(mut arguments: impl Iterator<Item = String>) -> BenchOptions {
    let mut wanted = BenchOptions { runs: 1000, only: String::new() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--runs" => wanted.runs = arguments.next().and_then(|n| n.parse().ok()).expect("--runs N"),
            "--only" => wanted.only = arguments.next().expect("--only WORD"),
            // `cargo bench` says so to every benchmark.
            "--bench" => {}
            other => panic!("{other} is neither --runs N nor --only WORD"),
        }
    }
    wanted
}

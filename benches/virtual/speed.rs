//! Whole simulated deploys per second on one core: build, registry, pre-flight, rollout, proof; nothing watched.

use std::time::Duration;

use roadstead::cli::rehearse;
use roadstead::release::Outcome;

use crate::reads;
use crate::result_table::ResultTable;
use crate::run::{self, ONE_SERVICE, Recording};

/// Runs the calm scenario `runs` times on this thread, with one service; then as many services, fifty to a run.
pub(crate) fn measure(runs: u64, board: &mut ResultTable) {
    board.print_title(&format!("Simulated deploys per second on one core, {runs} runs"));
    let one = RunCost::measure_runs(runs, ONE_SERVICE);
    let rate = runs as f64 / one.cpu;
    let figure = format!("{rate:.0} /s of core, {:.0} /s of wall", runs as f64 / one.wall);
    board.print_row("whole deploys of one service", &figure, "≥ 200", rate >= 200.0);
    println!(
        "{:<40} {:.0} calls each, {:.0} µs of core a call, {:.1} virtual hours in all",
        "  of which",
        one.calls / runs as f64,
        one.cpu / one.calls * 1e6,
        one.hours
    );
    let together = RunCost::measure_runs(runs.div_ceil(50), &reads::fifty_service_config());
    let services = runs.div_ceil(50) * reads::SERVICE_COUNT as u64;
    println!(
        "{:<40} {:.0} /s of core, {:.0} calls each",
        "  of fifty services in one run",
        services as f64 / together.cpu,
        together.calls / services as f64
    );
}

/// What runs cost: seconds, calls, virtual hours.
struct RunCost {
    cpu: f64,
    wall: f64,
    calls: f64,
    hours: f64,
}

impl RunCost {
    fn measure_runs(runs: u64, config: &str) -> Self {
        let (cpu, wall) = (cpu_time(), wall_time());
        let (mut calls, mut hours) = (0, 0.0);
        for seed in 1..=runs {
            let ran =
                run::run_deploy(config, rehearse::find_source("happy").unwrap(), seed, Recording::CallsOnly);
            assert_eq!(ran.report.outcome, Outcome::Deployed, "seed {seed}");
            calls += ran.calls.len();
            hours += ran.report.elapsed().as_secs_f64() / 3600.0;
        }
        let cpu = cpu_time().saturating_sub(cpu).as_secs_f64();
        let wall = wall_time().saturating_sub(wall).as_secs_f64();
        Self { cpu, wall, calls: calls as f64, hours }
    }
}

/// Time that this process has spent on a core, as the kernel counts it: other work on the machine does not matter.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures the machine")]
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("schedstat");
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("schedstat begins with nanoseconds"))
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures the machine")]
fn wall_time() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970")
}

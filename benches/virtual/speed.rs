//! Whole simulated deploys per second on one core: build, registry, pre-flight, rollout, proof; nothing watched.

use std::time::Duration;

use roadstead::cli::rehearse;
use roadstead::release::Outcome;

use crate::figures::Board;
use crate::trial::{self, Eyes, ONE};

/// Runs the calm scenario `runs` times on this thread.
pub(crate) fn measure(runs: u64, board: &mut Board) {
    board.title(&format!("Simulated deploys per second on one core, {runs} runs"));
    let (cpu, wall) = (on_cpu(), wall_clock());
    let mut days = 0.0;
    for seed in 1..=runs {
        let ran = trial::run(ONE, rehearse::story("happy").unwrap(), seed, Eyes::Shut);
        assert_eq!(ran.report.outcome, Outcome::Deployed, "seed {seed}");
        days += ran.report.took().as_secs_f64() / 86_400.0;
    }
    let (cpu, wall) = (on_cpu().saturating_sub(cpu), wall_clock().saturating_sub(wall));
    let rate = runs as f64 / cpu.as_secs_f64();
    let figure = format!(
        "{rate:.0} /s of core ({:.0} /s of wall, {days:.1} virtual days)",
        runs as f64 / wall.as_secs_f64()
    );
    board.line("whole deploys per second", &figure, "≥ 200", rate >= 200.0);
}

/// Time that this process has spent on a core, as the kernel counts it: other work on the machine does not matter.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures the machine")]
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("schedstat");
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("schedstat begins with nanoseconds"))
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures the machine")]
fn wall_clock() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970")
}

//! Read calls of one run with fifty services.

use roadstead::cli::rehearse;
use roadstead::release::Outcome;

use crate::result_table::{ResultTable, Samples};
use crate::run::{self, BenchRun, Recording};

/// Services of the run.
pub(crate) const SERVICE_COUNT: usize = 50;

/// Fifty services of one cluster in one run: reads of all of them together, while the run waits.
pub(crate) fn measure_fifty_services(runs: u64, board: &mut ResultTable) {
    board.print_title(&format!("{SERVICE_COUNT} services in one run, {runs} virtual runs"));
    let (config, mut rates) = (fifty_service_config(), Samples::default());
    for seed in 1..=runs {
        let ran =
            run::run_deploy(&config, rehearse::find_source("happy").unwrap(), seed, Recording::CallsOnly);
        assert_eq!(ran.report.outcome, Outcome::Deployed, "seed {seed}: {:?}", ran.report.all_problems());
        let (from, to) = (ran.requested_at(), last_proven_at(&ran));
        rates.push(ran.count_reads(from, to) as f64 / (to - from));
    }
    board.print_rate("reads per second, 50 services together", &rates, 3.0);
}

/// A deploy file with all of them in one cluster.
pub(crate) fn fifty_service_config() -> String {
    let mut text = String::from(
        "environments:\n  production: { branches: [main], aws: { region: eu-west-1 } }\nservices:\n",
    );
    for number in 0..SERVICE_COUNT {
        let name = format!("service-{number:02}");
        text += &format!(
            "  {name}:\n    repository: acme/{name}\n    ecs: {{ cluster: acme, service: {name}, container: app }}\n"
        );
    }
    text
}

/// When the last service was proven.
fn last_proven_at(ran: &BenchRun) -> f64 {
    let moments = ran.report.services.iter().flat_map(|service| &service.timeline);
    let proven = moments.filter(|moment| moment.text.starts_with("proven: "));
    proven.map(|moment| moment.at.as_microsecond() as f64 / 1e6).fold(0.0, f64::max)
}

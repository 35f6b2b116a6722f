//! Read calls of one run with fifty services.

use roadstead::cli::rehearse;
use roadstead::release::Outcome;

use crate::figures::{Board, Figures};
use crate::trial::{self, Eyes, Ran};

/// Services of the run.
pub(crate) const SERVICES: usize = 50;

/// Fifty services of one cluster in one run: reads of all of them together, while the run waits.
pub(crate) fn fifty(runs: u64, board: &mut Board) {
    board.title(&format!("{SERVICES} services in one run, {runs} virtual runs"));
    let (config, mut rates) = (config(), Figures::default());
    for seed in 1..=runs {
        let ran = trial::run(&config, rehearse::story("happy").unwrap(), seed, Eyes::Shut);
        assert_eq!(ran.report.outcome, Outcome::Deployed, "seed {seed}: {:?}", ran.report.all_problems());
        let (from, to) = (ran.asked(), proven(&ran));
        rates.push(ran.reads(from, to) as f64 / (to - from));
    }
    board.rate("reads per second, 50 services together", &rates, 3.0);
}

/// A deploy file with all of them in one cluster.
pub(crate) fn config() -> String {
    let mut text = String::from(
        "environments:\n  production: { branches: [main], aws: { region: eu-west-1 } }\nservices:\n",
    );
    for number in 0..SERVICES {
        let name = format!("service-{number:02}");
        text += &format!(
            "  {name}:\n    repository: acme/{name}\n    ecs: {{ cluster: acme, service: {name}, container: app }}\n"
        );
    }
    text
}

/// When the last service was proven.
fn proven(ran: &Ran) -> f64 {
    let moments = ran.report.services.iter().flat_map(|service| &service.timeline);
    let proven = moments.filter(|moment| moment.text.starts_with("proven: "));
    proven.map(|moment| moment.at.as_microsecond() as f64 / 1e6).fold(0.0, f64::max)
}

//! Many services in one run: how often it asks, how long it takes, how long its summary is. Memory is `scripts/bench`'s.

use std::collections::BTreeSet;
use std::time::Duration;

use roadstead::cli::rehearse;
use roadstead::release::Outcome;
use roadstead::report::summary;

use crate::support::{RunResult, TestRun};

const SERVICE_COUNT: usize = 200;
/// Reads a second that one run may make, over all services.
const MAX_READS_PER_SECOND: usize = 30;

fn config(services: usize) -> String {
    let mut text = String::from(
        "environments:\n  production: { branches: [main], aws: { region: eu-west-1 } }\nservices:\n",
    );
    for number in 0..services {
        let name = format!("service-{number:03}");
        text += &format!(
            "  {name}:\n    repository: acme/{name}\n    ecs: {{ cluster: acme, service: {name}, container: app }}\n"
        );
    }
    text
}

fn run(services: usize, scenario: &str) -> RunResult {
    TestRun { config: config(services), ..TestRun::from_source(rehearse::find_source(scenario).unwrap()) }
        .run()
}

/// The largest number of reads within any second.
fn busiest_second(ran: &RunResult) -> usize {
    let reads: Vec<f64> = ran.calls.iter().filter(|call| !call.is_mutating).map(|call| call.at).collect();
    let within = |from: &f64| reads.iter().filter(|at| (*from..*from + 1.0).contains(at)).count();
    reads.iter().map(within).max().unwrap_or_default()
}

/// What a run of many services must keep to, however it ends.
fn assert_within_bounds(ran: &RunResult) {
    assert!(busiest_second(ran) <= MAX_READS_PER_SECOND, "{} reads in one second", busiest_second(ran));
    let slowest = ran.report.services.iter().map(|service| service.elapsed).max().unwrap();
    let took = ran.report.elapsed();
    assert!(took <= slowest.mul_f64(1.1), "{took:?} although the slowest service took {slowest:?}");
    let length = summary::summary(&ran.report).len();
    assert!(length < 1 << 20, "a summary of {length} bytes");
}

#[test]
fn two_hundred_services_are_released_together() {
    let ran = run(SERVICE_COUNT, "happy");
    let outcomes: BTreeSet<Outcome> = ran.report.services.iter().map(|service| service.outcome).collect();
    let problems = ran.report.all_problems();
    assert_eq!(outcomes, [Outcome::Deployed].into(), "{:?}", problems.first());
    assert_eq!(ran.report.services.len(), SERVICE_COUNT);
    assert_within_bounds(&ran);
    // AWS takes 20 registrations at once and then one a second, so three minutes of it are its own.
    assert!(ran.report.elapsed() < Duration::from_secs(480), "{:?}", ran.report.elapsed());
}

#[test]
fn two_hundred_failing_services_are_all_rolled_back() {
    let ran = run(SERVICE_COUNT, "crash-on-start");
    let outcomes: BTreeSet<Outcome> = ran.report.services.iter().map(|service| service.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed].into(), "{:?}", ran.report.all_problems().first());
    assert_within_bounds(&ran);
}

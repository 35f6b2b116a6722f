//! Rollbacks that take long: watched for as long as there is time, and described if they are not complete by then.

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;

use crate::support::{RunResult, TestRun};

/// A new version crashes, and the tasks of the version drain for `draining` seconds.
fn run(draining: u32, members: &str, timeout: &str) -> RunResult {
    let mut trial = TestRun::custom(&format!(
        "timings: {{ deregistration: {draining} }}
services: [{{ cluster: acme, name: backend, target-groups: [{{ arn: backend }}], {members} }}]
repositories: {{ backend: {{ images: [{{ tags: [v1] }}] }} }}
faults: [crash-on-start: {{ exit-code: 1, after: 3 }}]
"
    ));
    trial.inputs = RawInputs { timeout: Some(timeout.into()), ..RawInputs::default() };
    trial.run()
}

#[test]
fn rollback_is_watched_until_it_ends_within_the_timeout() {
    // Longer than the ten minutes that are kept for a rollback.
    for members in [
        "desired: 2",
        "desired: 2, deployment: { circuit-breaker: { threshold: { type: COUNT, value: 1 } } }",
    ] {
        let ran = run(700, members, "60m");
        assert_eq!(ran.report.outcome, Outcome::Failed, "{members}: {:#?}", ran.lines);
        assert_eq!(ran.report.services[0].evidence, "rolled back, confirmed: backend:1 serves");
        let elapsed = ran.report.elapsed().as_secs();
        assert!((660..1500).contains(&elapsed), "{elapsed} s");
    }
}

#[test]
fn rollback_that_still_moves_at_the_timeout_says_how_far_it_is() {
    let ran = run(9000, "desired: 4", "20m");
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    assert!(ran.problem_codes().contains(&"change-outcome-unknown"), "{:?}", ran.problem_codes());
    let evidence = &ran.report.services[0].evidence;
    assert_eq!(
        evidence,
        "The time of the run is over, and `backend` is still rolling back to backend:1: 4 of 4 run."
    );
    let problem =
        ran.report.services[0].problems.iter().find(|it| it.code.name() == "change-outcome-unknown");
    let cause = problem.and_then(|problem| problem.cause.as_deref()).unwrap_or_default();
    assert!(cause.contains("ROLLBACK_IN_PROGRESS, draining backend:"), "{cause}");
    let elapsed = ran.report.elapsed().as_secs();
    assert!((1200..1500).contains(&elapsed), "{elapsed} s");
}

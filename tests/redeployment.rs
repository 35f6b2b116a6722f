//! Service deployments that end before their version is proven: replaced by one of the same version, or stopped by ECS's
//! own failure detection.

use roadstead::release::Outcome;

use crate::support::{RunResult, TestRun};

fn run(members: &str, faults: &str) -> RunResult {
    TestRun::custom(&format!(
        "services: [{{ cluster: acme, name: backend, target-groups: [{{ arn: backend }}], {members} }}]
repositories: {{ backend: {{ images: [{{ tags: [v1] }}] }} }}
faults: [{faults}]
"
    ))
    .run()
}

fn serving_label(ran: &RunResult) -> String {
    let serves = ran.cloud.serving_state("acme", "backend").unwrap();
    serves.only_version().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
}

#[test]
fn forced_redeployment_of_our_version_is_followed_to_its_proof() {
    for at in [5, 20, 40] {
        let ran = run("desired: 2", &format!("superseding-deployment: {{ at: {at}, same-version: true }}"));
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{at}: {:#?}", ran.lines);
        assert_eq!(serving_label(&ran), "backend:2", "{at}");
        assert!(ran.problem_codes().is_empty(), "{at}: {:?}", ran.problem_codes());
    }
}

#[test]
fn forced_redeployment_of_our_version_that_fails_is_rolled_back() {
    let faults =
        "superseding-deployment: { at: 5, same-version: true }, crash-on-start: { exit-code: 3, after: 5 }";
    let ran = run("desired: 2", faults);
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert_eq!(ran.problem_codes()[0], "container-exited");
    assert_eq!(serving_label(&ran), "backend:1");
}

#[test]
fn newer_deployment_of_another_version_is_still_left_alone() {
    let ran = run("desired: 2", "superseding-deployment: { at: 20 }");
    assert_eq!(ran.report.outcome, Outcome::Superseded, "{:#?}", ran.lines);
    assert!(ran.report.services[0].evidence.contains("backend:3"), "{}", ran.report.services[0].evidence);
}

#[test]
fn fired_breaker_without_rollback_fails_at_once() {
    let breaker =
        "deployment: { circuit-breaker: { rollback: false, threshold: { type: COUNT, value: 1 } } }";
    let ran = run(breaker, "crash-on-start: { exit-code: 3, after: 1, tasks: 1 }");
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert_eq!(serving_label(&ran), "backend:1");
    let failed = ran.lines.iter().find(|line| line.contains("failed: ")).unwrap();
    // Not after the minute in which a newer deployment might still become visible.
    assert!(failed.contains(" s) ") && !failed.contains(" min "), "{failed}: {:#?}", ran.lines);
}

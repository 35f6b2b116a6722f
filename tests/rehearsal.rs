//! Whole runs on the embedded cloud: what is said, what is changed, what serves at the end.

use crate::support::{CONFIG, Trial, answered};
use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;

fn outcome(scenario: &str) -> (Outcome, Vec<&'static str>) {
    let ran = Trial::named(scenario).run();
    let codes =
        ran.report.services.iter().flat_map(|s| s.failure.iter().map(|f| f.problem.code.name())).collect();
    (ran.report.outcome, codes)
}

#[test]
fn a_release_changes_two_things_and_proves_the_rest() {
    let ran = Trial::named("happy").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.changes(), ["RegisterTaskDefinition", "UpdateService"]);
    let serving = ran.cloud.serving("acme", "backend").unwrap();
    assert!(serving.whole().unwrap().ends_with("backend:2"), "{serving:?}");
    assert_eq!(ran.report.services[0].serves.as_ref().unwrap().label, "backend:2");
}

#[test]
fn what_serves_already_is_not_deployed_again() {
    let (first, second, changes) = crate::support::virtually(async {
        let stage = Trial::named("happy").stage();
        let first = stage.run().await.outcome;
        let second = stage.run().await.outcome;
        (first, second, stage.cloud.calls().iter().filter(|c| c.mutating && c.effective).count())
    });
    assert_eq!((first, second, changes), (Outcome::Deployed, Outcome::Unchanged, 2));
}

#[test]
fn every_scenario_ends_with_the_truth() {
    let table = [
        ("image-not-found", Outcome::Failed, "image-pull-failed"),
        ("wrong-platform", Outcome::Failed, "image-pull-failed"),
        ("crash-on-start", Outcome::Failed, "container-exited"),
        ("out-of-memory", Outcome::Failed, "out-of-memory"),
        ("failing-health-check", Outcome::Failed, "health-check-failed"),
        ("secret-missing", Outcome::Failed, "resource-setup-failed"),
        ("no-capacity", Outcome::Failed, "no-capacity"),
        ("alarm-red", Outcome::Failed, "alarm-triggered"),
    ];
    for (scenario, expected, code) in table {
        assert_eq!(outcome(scenario), (expected, vec![code]), "{scenario}");
    }
}

#[test]
fn trouble_on_the_way_changes_nothing_about_the_end() {
    for scenario in
        ["throttled", "server-errors", "stale-reads", "response-lost", "slow-start", "autoscaling"]
    {
        let ran = Trial::named(scenario).run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{scenario}: {:#?}", ran.lines);
        let updates = ran.changes().iter().filter(|name| **name == "UpdateService").count();
        assert_eq!(updates, 1, "{scenario}: one change, however often it was asked for");
    }
}

/// Nothing can be read any more, so nothing is claimed: neither success nor that the old version serves.
#[test]
fn credentials_that_end_and_cannot_be_renewed_end_in_the_truth() {
    let ran = Trial::named("expired-credentials").run();
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    assert_eq!(ran.report.services[0].serves, None);
    assert_eq!(ran.codes(), ["credentials-missing"]);
    assert!(ran.report.took().as_secs() < 300, "said within minutes, not at the end of the time given");
}

#[test]
fn a_newer_deployment_is_left_alone() {
    let ran = Trial::named("superseded").run();
    assert_eq!(ran.report.outcome, Outcome::Superseded, "{:#?}", ran.lines);
    assert!(!ran.changes().contains(&"StopServiceDeployment"));
    assert_eq!(ran.changes().iter().filter(|name| **name == "UpdateService").count(), 1);
}

#[test]
fn a_red_alarm_stops_the_run_before_any_change() {
    let ran = Trial::named("alarm-red-at-start").run();
    assert_eq!(
        (ran.report.outcome, ran.codes().contains(&"alarm-red")),
        (Outcome::Invalid, true),
        "{:#?}",
        ran.lines
    );
    assert!(ran.changes().is_empty());
}

#[test]
fn when_the_way_back_fails_a_person_is_called() {
    let ran = Trial::named("rollback-fails").run();
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    assert!(ran.codes().contains(&"rollback-failed"), "{:?}", ran.codes());
    assert_eq!(ran.report.services[0].serves, None, "nothing is claimed to serve");
}

#[test]
fn a_plan_reads_and_changes_nothing() {
    let mut trial = Trial::named("happy");
    trial.inputs = RawInputs { operation: Some("plan".into()), ..RawInputs::default() };
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Planned);
    assert!(ran.calls.iter().all(|call| !call.mutating), "a plan reads only");
    assert!(ran.calls.iter().any(answered));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let ran = Trial { seed, ..Trial::named("crash-on-start") }.run();
        let calls: Vec<String> = ran
            .calls
            .iter()
            .map(|call| format!("{:.3} {} {}", call.at, call.operation, call.input))
            .collect();
        (ran.lines, calls)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).1, run(8).1);
}

#[test]
fn first_deployment_without_a_way_back_says_so() {
    let scenario = "services: [{ cluster: acme, name: backend, completed: false }]\nfaults: [{ crash-on-start: { exit-code: 1, after: 2 } }]\n";
    let ran = Trial::told(scenario).run();
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    assert!(ran.codes().contains(&"rollback-target-missing"), "said before the start: {:?}", ran.codes());
}

#[test]
fn bad_services_are_refused_with_nothing_changed() {
    let table = [
        ("services: [{ cluster: acme, name: other }]", "ecs: { cluster: acme, service: backend }", ""),
        ("services: [{ cluster: acme, name: backend, controller: CODE_DEPLOY }]", "", "controller-foreign"),
        ("services: [{ cluster: acme, name: backend, status: DRAINING }]", "", "service-missing"),
        (
            "services: [{ cluster: acme, name: backend, deployment: { minimum-healthy-percent: 100, maximum-percent: 100 } }]",
            "",
            "percentages-stuck",
        ),
    ];
    for (scenario, _, code) in table.into_iter().filter(|row| !row.2.is_empty()) {
        let ran = Trial::told(scenario).run();
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{scenario}: {:#?}", ran.lines);
        assert!(ran.codes().contains(&code), "{scenario}: {:?}", ran.codes());
        assert!(ran.changes().is_empty());
    }
}

#[test]
fn a_plan_says_what_would_be_built() {
    let mut trial = Trial::named("happy");
    trial.inputs = RawInputs { operation: Some("plan".into()), ..RawInputs::default() };
    let ran = trial.run();
    let changes = &ran.report.services[0].changes.0;
    let to = changes.iter().find(|change| change.field == "image").and_then(|change| change.to.clone());
    assert_eq!(to.as_deref(), Some("acme/backend, built from c0ffee1"), "{changes:?}");
}

/// Whole output of a failed run, as a person reads it on a laptop.
#[test]
fn a_failure_reads_like_this() {
    let ran = Trial::named("crash-on-start").run();
    let told = roadstead::report::terminal::terminal(&ran.report);
    let first = told.split("\n\nChanges").next().unwrap();
    insta::assert_snapshot!(first, @"
    ❌ production: backend failed and was rolled back — backend:1 serves, as before

    A rehearsal on the embedded cloud: nothing real was touched.

    Cause: The container `app` exits with code 1. Exit code 1.
      Essential container in task exited
      09:00:31 │ starting
      09:00:31 │ panic: DATABASE_URL is not set
    What to do: Read the lines that it wrote.

    service  outcome  from       to         serves now  took        how it is known
    backend  failed   backend:1  backend:2  backend:1   2 min 13 s  rolled back, confirmed: backend:1 serves
    ");
}

/// The first sentence is what a tired person reads: it may not say more than is known.
#[test]
fn a_stranded_service_is_told_for_what_it_is() {
    let first = |ran: &crate::support::Ran| {
        roadstead::report::terminal::terminal(&ran.report).lines().next().unwrap_or_default().to_owned()
    };
    let never = "services: [{ cluster: acme, name: backend, completed: false }]\nfaults: [{ crash-on-start: { exit-code: 1, after: 2 } }]\n";
    insta::assert_snapshot!([
        first(&Trial::named("rollback-fails").run()),
        first(&Trial::named("expired-credentials").run()),
        first(&Trial::told(never).run()),
    ].join("\n"), @"
    🚨 production: backend needs a person now: the new version failed, and so did the rollback — what serves now is not known
    🚨 production: backend needs a person now: the credentials ended while it was watched — what serves now is not known
    🚨 production: backend needs a person now: the new version failed, and there is no earlier one to return to — what serves now is not known
    ");
}

#[test]
fn fifty_services_queue_for_what_aws_takes_one_of_a_second() {
    let name = |number| format!("service-{number:02}");
    let service = |number| {
        let name = name(number);
        format!(
            "  {name}:\n    repository: acme/{name}\n    ecs: {{ cluster: acme, service: {name}, container: app }}\n"
        )
    };
    let head = CONFIG.split("  backend:").next().unwrap();
    let config = head.to_owned() + &(0..50).map(service).collect::<String>();
    // With this seed two tasks of one service once got the same address, and a target was missing for ever.
    let ran = Trial { config, seed: 16, ..Trial::named("happy") }.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.report.all_problems());
    assert_eq!(ran.changes().len(), 100, "each is registered once and moved once");
}

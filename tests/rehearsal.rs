//! Whole runs on the emulator: output, changes, and the version that serves at the end.

use crate::support::{CONFIG, TestRun, is_answered};
use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;

fn run_outcome(scenario: &str) -> (Outcome, Vec<&'static str>) {
    let ran = TestRun::builtin(scenario).run();
    let codes =
        ran.report.services.iter().flat_map(|s| s.failure.iter().map(|f| f.problem.code.name())).collect();
    (ran.report.outcome, codes)
}

#[test]
fn release_makes_two_changes_and_is_verified() {
    let ran = TestRun::builtin("happy").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.change_operations(), ["RegisterTaskDefinition", "UpdateService"]);
    let serving = ran.cloud.serving_state("acme", "backend").unwrap();
    assert!(serving.only_version().unwrap().ends_with("backend:2"), "{serving:?}");
    assert_eq!(ran.report.services[0].serving_version.as_ref().unwrap().label, "backend:2");
}

#[test]
fn serving_version_is_not_deployed_again() {
    let (first, second, changes) = crate::support::run_in_virtual_time(async {
        let stage = TestRun::builtin("happy").set_up();
        let first = stage.run().await.outcome;
        let second = stage.run().await.outcome;
        (first, second, stage.cloud.calls().iter().filter(|c| c.is_mutating && c.took_effect).count())
    });
    assert_eq!((first, second, changes), (Outcome::Deployed, Outcome::Unchanged, 2));
}

#[test]
fn every_scenario_reports_the_actual_state() {
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
        assert_eq!(run_outcome(scenario), (expected, vec![code]), "{scenario}");
    }
}

#[test]
fn transient_errors_do_not_change_the_outcome() {
    for scenario in
        ["throttled", "server-errors", "stale-reads", "response-lost", "slow-start", "autoscaling"]
    {
        let ran = TestRun::builtin(scenario).run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{scenario}: {:#?}", ran.lines);
        let updates = ran.change_operations().iter().filter(|name| **name == "UpdateService").count();
        assert_eq!(updates, 1, "{scenario}: one change, also after retries");
    }
}

/// Nothing can be read any more, so nothing is claimed: neither success nor that the old version serves.
#[test]
fn expired_credentials_report_the_actual_state() {
    let ran = TestRun::builtin("expired-credentials").run();
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    assert_eq!(ran.report.services[0].serving_version, None);
    assert_eq!(ran.problem_codes(), ["credentials-missing"]);
    assert!(ran.report.elapsed().as_secs() < 300, "said within minutes, not at the end of the time given");
}

#[test]
fn a_newer_deployment_is_left_alone() {
    let ran = TestRun::builtin("superseded").run();
    assert_eq!(ran.report.outcome, Outcome::Superseded, "{:#?}", ran.lines);
    assert!(!ran.change_operations().contains(&"StopServiceDeployment"));
    assert_eq!(ran.change_operations().iter().filter(|name| **name == "UpdateService").count(), 1);
}

#[test]
fn firing_alarm_stops_the_run_before_any_change() {
    let mut trial = TestRun::builtin("alarm-red-at-start");
    for (name, value) in [("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", "push")] {
        trial.variables.insert(name.into(), value.into());
    }
    trial.inputs.environment = Some("production".into());
    let ran = trial.run();
    assert_eq!(
        (ran.report.outcome, ran.problem_codes().contains(&"alarm-already-firing")),
        (Outcome::Invalid, true),
        "{:#?}",
        ran.lines
    );
    assert!(ran.change_operations().is_empty());
}

#[test]
fn failed_rollback_requires_manual_action() {
    let ran = TestRun::builtin("rollback-fails").run();
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    assert!(ran.problem_codes().contains(&"rollback-failed"), "{:?}", ran.problem_codes());
    assert_eq!(ran.report.services[0].serving_version, None, "nothing is claimed to serve");
}

#[test]
fn a_plan_reads_and_changes_nothing() {
    let mut trial = TestRun::builtin("happy");
    trial.inputs = RawInputs { operation: Some("plan".into()), ..RawInputs::default() };
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Planned);
    assert!(ran.calls.iter().all(|call| !call.is_mutating), "a plan reads only");
    assert!(ran.calls.iter().any(is_answered));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let ran = TestRun { seed, ..TestRun::builtin("crash-on-start") }.run();
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
fn first_deployment_without_rollback_version_warns() {
    let scenario = "services: [{ cluster: acme, name: backend, completed: false }]\nfaults: [{ crash-on-start: { exit-code: 1, after: 2 } }]\n";
    let ran = TestRun::custom(scenario).run();
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    assert!(
        ran.problem_codes().contains(&"rollback-target-missing"),
        "said before the start: {:?}",
        ran.problem_codes()
    );
}

#[test]
fn invalid_services_are_rejected_with_no_change() {
    let table = [
        ("services: [{ cluster: acme, name: other }]", "ecs: { cluster: acme, service: backend }", ""),
        (
            "services: [{ cluster: acme, name: backend, controller: CODE_DEPLOY }]",
            "",
            "deployment-controller-unsupported",
        ),
        ("services: [{ cluster: acme, name: backend, status: DRAINING }]", "", "service-missing"),
        (
            "services: [{ cluster: acme, name: backend, deployment: { minimum-healthy-percent: 100, maximum-percent: 100 } }]",
            "",
            "deployment-percentages-deadlock",
        ),
    ];
    for (scenario, _, code) in table.into_iter().filter(|row| !row.2.is_empty()) {
        let ran = TestRun::custom(scenario).run();
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{scenario}: {:#?}", ran.lines);
        assert!(ran.problem_codes().contains(&code), "{scenario}: {:?}", ran.problem_codes());
        assert!(ran.change_operations().is_empty());
    }
}

#[test]
fn a_plan_says_what_would_be_built() {
    let mut trial = TestRun::builtin("happy");
    trial.inputs = RawInputs { operation: Some("plan".into()), ..RawInputs::default() };
    let ran = trial.run();
    let changes = &ran.report.services[0].changes.0;
    let to = changes.iter().find(|change| change.field == "image").and_then(|change| change.to.clone());
    assert_eq!(to.as_deref(), Some("acme/backend, built from c0ffee1"), "{changes:?}");
}

/// Whole output of a failed run, as a person reads it on a laptop.
#[test]
fn failure_report_snapshot() {
    let ran = TestRun::builtin("crash-on-start").run();
    let output = roadstead::report::terminal::terminal(&ran.report);
    let first = output.split("\n\nChanges").next().unwrap();
    insta::assert_snapshot!(first, @r"
    ❌ production: backend failed and was rolled back — backend:1 serves, as before

    Rehearsal on the emulator: no real resource was changed.

    Cause: The container `app` exits with code 1.
      Essential container in task exited
      09:00:29 │ starting
      09:00:29 │ panic: DATABASE_URL is not set
    What to do: Check its log lines.
      container-exited: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#container-exited

    service  outcome  from       to         serving    took       evidence
    backend  failed   backend:1  backend:2  backend:1  2 min 6 s  rolled back, confirmed: backend:1 serves
    ");
}

/// The first sentence is what a tired person reads: it may not say more than is known.
#[test]
fn stranded_service_is_reported() {
    let first = |ran: &crate::support::RunResult| {
        roadstead::report::terminal::terminal(&ran.report).lines().next().unwrap_or_default().to_owned()
    };
    let never = "services: [{ cluster: acme, name: backend, completed: false }]\nfaults: [{ crash-on-start: { exit-code: 1, after: 2 } }]\n";
    insta::assert_snapshot!([
        first(&TestRun::builtin("rollback-fails").run()),
        first(&TestRun::builtin("expired-credentials").run()),
        first(&TestRun::custom(never).run()),
    ].join("\n"), @"
    🚨 production: backend needs manual action: the new version failed, and the rollback failed — the serving version is unknown
    🚨 production: backend needs manual action: the credentials expired during the rollout — the serving version is unknown
    🚨 production: backend needs manual action: the new version failed, and there is no earlier version to roll back to — the serving version is unknown
    ");
}

#[test]
fn fifty_services_queue_for_rate_limited_calls() {
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
    let ran = TestRun { config, seed: 16, ..TestRun::builtin("happy") }.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.report.all_problems());
    assert_eq!(ran.change_operations().len(), 100, "each is registered once and moved once");
}

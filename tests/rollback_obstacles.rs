//! A rollback is refused by nothing but impossibility: not by an alarm, a notification, another service, or what else is
//! wrong with the deploy file. A person who deploys can pass a firing alarm; a push cannot.

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::report::{RunReport, terminal};
use roadstead_cloud::world::Alarm;

use crate::rollback::RollbackHarness;
use crate::support::runner::Runner;
use crate::support::{CONFIG, TestRun, run_in_virtual_time};

const WITH_ALARM: &str = "alarms: [{ name: backend-5xx }]\nfaults: []\n";

fn codes(report: &RunReport) -> Vec<(&'static str, bool)> {
    report.all_problems().iter().map(|problem| (problem.code.name(), problem.is_error())).collect()
}

/// A world in which `b` was deployed with `before`; then the deploy file becomes `after`.
async fn deployed(scenario: &str, before: &str, after: &str) -> RollbackHarness {
    let mut trial = TestRun::custom(scenario);
    trial.config = before.into();
    let mut world = RollbackHarness(trial.set_up());
    let image = format!("backend={}", world.push_image("b"));
    let report = world
        .run(RawInputs { image: Some(image), services: Some("backend".into()), ..RawInputs::default() })
        .await;
    assert_eq!(report.outcome, Outcome::Deployed, "{}", terminal::terminal(&report));
    world.0.rehearsal.config.1 = after.into();
    world
}

fn fire_alarm(world: &RollbackHarness) {
    world.0.cloud.change(|cloud, now| {
        let firing = Alarm { state: "ALARM".into(), since: now, composite: false };
        cloud.alarms.insert("backend-5xx".into(), firing);
    });
}

#[test]
fn rollback_passes_a_firing_or_missing_alarm() {
    let with_alarm = format!("{CONFIG}    alarms: [backend-5xx]\n");
    let of_service = "alarms: [{ name: backend-5xx }]\nservices: [{ cluster: acme, name: backend, deployment: { alarms: { names: [backend-5xx] } } }]\n";
    for (scenario, config) in [(WITH_ALARM, with_alarm.as_str()), (of_service, CONFIG)] {
        let (report, serves) = run_in_virtual_time(async {
            let mut world = deployed(scenario, config, config).await;
            fire_alarm(&world);
            let report = world.rollback(None).await;
            (report, world.serving_version())
        });
        assert_eq!(
            (report.outcome, serves.as_str()),
            (Outcome::RolledBack, "backend:1"),
            "{}",
            terminal::terminal(&report)
        );
        assert!(codes(&report).contains(&("alarm-already-firing", false)), "{:?}", codes(&report));
    }
    let missing = run_in_virtual_time(async {
        let mut world = deployed("faults: []\n", CONFIG, &format!("{CONFIG}    alarms: [typo]\n")).await;
        world.rollback(None).await
    });
    assert_eq!(missing.outcome, Outcome::RolledBack, "{}", terminal::terminal(&missing));
    assert!(codes(&missing).contains(&("alarm-missing", false)), "{:?}", codes(&missing));
}

/// An alarm that fires while the rollback is in progress says something about it.
#[test]
fn alarm_that_fires_during_the_rollback_counts() {
    let with_alarm = format!("{CONFIG}    alarms: [backend-5xx]\n");
    let report = run_in_virtual_time(async {
        let mut world = deployed(WITH_ALARM, &with_alarm, &with_alarm).await;
        let cloud = world.0.cloud.clone();
        let (report, ()) = tokio::join!(world.rollback(None), async move {
            tokio::time::sleep(std::time::Duration::from_secs(40)).await;
            cloud.change(|cloud, now| {
                let firing = Alarm { state: "ALARM".into(), since: now, composite: false };
                cloud.alarms.insert("backend-5xx".into(), firing);
            });
        });
        report
    });
    assert_eq!(report.outcome, Outcome::Failed, "{}", terminal::terminal(&report));
}

#[test]
fn person_passes_a_firing_alarm_and_a_push_does_not() {
    for scenario in [
        "alarms: [{ name: backend-5xx, state: ALARM }]\nservices: [{ cluster: acme, name: backend, deployment: { alarms: { names: [backend-5xx] } } }]\n",
        "alarms: [{ name: backend-5xx, state: ALARM }]\nfaults: []\n",
    ] {
        let config = crate::support::runner::CONFIG.to_owned() + "    alarms: [backend-5xx]\n";
        let runner = || Runner::custom(scenario).with_config(&config);
        let by_hand = runner().with_variable("GITHUB_EVENT_NAME", "workflow_dispatch").run_main();
        assert_eq!((by_hand.output("outcome"), by_hand.exit_code), ("deployed", 0), "{:#?}", by_hand.lines);
        insta::allow_duplicates! {
            insta::assert_snapshot!(by_hand.annotation_lines(), @"::warning title=backend%3A alarm already firing::The alarm `backend-5xx` is firing already, so ECS and this run ignore it until this deployment has ended.%0AThreshold Crossed: 1 datapoint was greater than the threshold (5.0).%0AIt does not protect this deployment. Look at it afterwards.");
        }
        let pushed = runner().run_main();
        assert_eq!(
            (pushed.output("outcome"), pushed.exit_code, pushed.count_calls("UpdateService")),
            ("invalid", 2, 0)
        );
        insta::allow_duplicates! {
            insta::assert_snapshot!(pushed.annotation_lines(), @"::error title=backend%3A alarm already firing::The alarm `backend-5xx` is firing already; ECS would ignore it for this deployment.%0AThreshold Crossed: 1 datapoint was greater than the threshold (5.0).%0AResolve the alarm, then deploy again. To deploy the fix while it fires, start the workflow by hand (`workflow_dispatch`) or run `roadstead deploy` on a laptop. `operation: rollback` is possible at any time.");
        }
        let rerun = runner().with_variable("GITHUB_RUN_ATTEMPT", "2").run_main();
        assert_eq!(rerun.output("outcome"), "invalid", "{:#?}", rerun.lines);
    }
}

#[test]
fn missing_notify_variable_stops_neither_rollback_nor_verify() {
    let config = format!("{}notify: {{ slack-webhook: SLACK_WEBHOOK }}\n", crate::support::runner::CONFIG);
    for (operation, expected) in [("verify", "verified"), ("deploy", "invalid")] {
        let step = Runner::builtin("happy")
            .with_config(&config)
            .with_variable("INPUT_OPERATION", operation)
            .run_main();
        assert_eq!(step.output("outcome"), expected, "{operation}: {:#?}", step.lines);
        assert!(step.annotation_lines().contains("SLACK_WEBHOOK"), "{}", step.annotation_lines());
    }
}

/// What a deploy file can have wrong beside the service that is rolled back, its cluster and its environment.
#[test]
fn rollback_does_not_need_the_rest_of_the_deploy_file() {
    let service = |more: &str| format!("{CONFIG}    {more}\n");
    let cases = [
        service("repositry: x"),
        service("strategy: { canary: { percent: 900 } }"),
        service("strategy: carnary"),
        service("verify: [{ http: \"not a url\" }, { htp: x }]"),
        service("verify: [{ http: \"https://${typo}.acme.dev\" }]"),
        service("alarms: typo"),
        service("before: { rum: [x] }"),
        service("build: { contxt: nowhere, secrets: [NOT_SET] }"),
        service("environments: { prodution: { alarms: [] } }"),
        format!("{CONFIG}notify: {{ slack: x }}\n"),
        format!("{CONFIG}notfy: {{}}\n"),
        format!("{CONFIG}atomic: 3\n"),
        format!("{CONFIG}  broken: {{ ecs: {{ cluster: acme }} }}\n"),
        format!("{CONFIG}  broken: {{ lambda: {{}} }}\n"),
        format!("{CONFIG}  broken: 7\n"),
        format!("{CONFIG}  twin: {{ ecs: {{ cluster: acme, service: backend }} }}\n"),
        CONFIG.replace("services:", "  other: { branchs: [x] }\nservices:"),
        CONFIG.replace("services:", "  other: { branches: [main] }\nservices:"),
        CONFIG.replace("branches: [main],", "branches: [main], promote-from: nowhere,"),
        CONFIG.replace("branches: [main],", "branches: [main], notify: { slack: x },"),
    ];
    for config in cases {
        let (report, serves) = run_in_virtual_time(async {
            let mut world = deployed("faults: []\n", CONFIG, &config).await;
            let inputs = RawInputs {
                operation: Some("rollback".into()),
                services: Some("backend".into()),
                ..RawInputs::default()
            };
            let report = world.run(inputs).await;
            (report, world.serving_version())
        });
        assert_eq!(report.outcome, Outcome::RolledBack, "{config}\n{}", terminal::terminal(&report));
        assert_eq!(serves, "backend:1", "{config}");
    }
}

#[test]
fn rollback_of_a_service_that_cannot_be_read_changes_nothing() {
    for config in [
        CONFIG.replace("service: backend,", "service: backend, clustr: x,"),
        CONFIG.replace("cluster: acme", "cluster: \"acme-${typo}\""),
        CONFIG.replace("region: eu-west-1", "regin: eu-west-1"),
        CONFIG.replace("services:", "services: ["),
        CONFIG.replace("production", "staging"),
    ] {
        let (report, changes) = run_in_virtual_time(async {
            let mut world = deployed("faults: []\n", CONFIG, &config).await;
            let before = world.change_operations().len();
            (world.rollback(None).await, world.change_operations().len() - before)
        });
        assert_eq!(
            (report.outcome, changes),
            (Outcome::Invalid, 0),
            "{config}\n{}",
            terminal::terminal(&report)
        );
    }
}

/// Both are named: what can return returns, the other one is told, and the run has failed.
#[test]
fn rollback_of_a_readable_and_an_unreadable_service_tells_each() {
    let broken = format!("{CONFIG}  broken: {{ ecs: {{ cluster: acme }} }}\n");
    let missing = format!("{CONFIG}  broken: {{ ecs: {{ cluster: acme, service: gone }} }}\n");
    for config in [broken, missing] {
        let (report, serves) = run_in_virtual_time(async {
            let mut world = deployed("faults: []\n", CONFIG, &config).await;
            let inputs = RawInputs {
                operation: Some("rollback".into()),
                services: Some("backend,broken".into()),
                ..RawInputs::default()
            };
            let report = world.run(inputs).await;
            (report, world.serving_version())
        });
        let outcomes: Vec<_> =
            report.services.iter().map(|service| (service.name.as_str(), service.outcome)).collect();
        assert_eq!(
            outcomes,
            [("backend", Outcome::RolledBack), ("broken", Outcome::Invalid)],
            "{}",
            terminal::terminal(&report)
        );
        assert_eq!((report.outcome, serves.as_str()), (Outcome::Failed, "backend:1"));
    }
}

//! Rollback on demand, over the emulator: where it goes, what it says, and that it holds.

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::report::{RunReport, terminal};
use roadstead::sys::signal::{CancelLevel, CancelToken};
use roadstead_cloud::client::http_client;
use roadstead_cloud::cloud::Cloud;

use crate::support::{RunHarness, TestRun, run_in_virtual_time};

const HOST: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";

/// A world whose service ran `v1` for a day, and the runs in it.
pub(crate) struct RollbackHarness(pub(crate) RunHarness);

impl RollbackHarness {
    pub(crate) fn new(scenario: &str) -> Self {
        Self(TestRun::custom(scenario).set_up())
    }

    pub(crate) fn without_faults() -> Self {
        Self::new("faults: []\n")
    }

    /// The image that is made of `content`, tagged with the commit that begins with it.
    pub(crate) fn push_image(&self, content: &str) -> String {
        let tag = format!("sha-{content:0>7}");
        let digest = self.0.cloud.push_image("acme/backend", &[tag.as_str()], "linux/amd64", content);
        format!("{HOST}/acme/backend@{digest}")
    }

    pub(crate) async fn run(&mut self, inputs: RawInputs) -> RunReport {
        self.0.rehearsal.inputs = inputs;
        self.0.run_again().await
    }

    pub(crate) async fn deploy(&mut self, content: &str) -> RunReport {
        let image = Some(self.push_image(content));
        self.run(RawInputs { image, ..RawInputs::default() }).await
    }

    pub(crate) async fn deploy_successfully(&mut self, content: &str) {
        let report = self.deploy(content).await;
        assert_eq!(report.outcome, Outcome::Deployed, "{}", terminal::terminal(&report));
    }

    pub(crate) async fn rollback(&mut self, to: Option<&str>) -> RunReport {
        let (operation, to) = (Some("rollback".to_owned()), to.map(str::to_owned));
        self.run(RawInputs { operation, to, ..RawInputs::default() }).await
    }

    /// From now on, runs are started by this event, for the so-many-eth time.
    pub(crate) fn set_event(&mut self, event: &str, attempt: &str) {
        for (name, value) in
            [("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", event), ("GITHUB_RUN_ATTEMPT", attempt)]
        {
            self.0.rehearsal.variables.insert(name.into(), value.into());
        }
    }

    pub(crate) fn change_operations(&self) -> Vec<String> {
        let calls = self.0.cloud.calls().into_iter().filter(|call| call.is_mutating && call.took_effect);
        calls.map(|call| call.operation).collect()
    }

    pub(crate) fn serving_version(&self) -> String {
        let serving = self.0.cloud.serving_state("acme", "backend").unwrap();
        serving
            .only_version()
            .map(|arn| arn.rsplit('/').next().unwrap_or_default().to_owned())
            .unwrap_or_default()
    }
}

/// Somebody tidies up.
async fn deregister(cloud: &Cloud, definition: &str) {
    let keys = aws_sdk_ecs::config::Credentials::new("AKIATIDY", "secret", None, None, "test");
    let config = aws_sdk_ecs::Config::builder()
        .behavior_version(aws_sdk_ecs::config::BehaviorVersion::latest())
        .region(aws_sdk_ecs::config::Region::new("eu-west-1"))
        .credentials_provider(keys)
        .http_client(http_client(cloud.clone()))
        .build();
    let client = aws_sdk_ecs::Client::from_conf(config);
    client.deregister_task_definition().task_definition(definition).send().await.unwrap();
}

/// Everything above the list of changes, as a person reads it on a laptop.
/// Times are taken out: they are the cloud's, and no business of these tests.
pub(crate) fn terminal_text(report: &RunReport) -> String {
    let mut report = report.clone();
    for service in &mut report.services {
        if !service.elapsed.is_zero() {
            service.elapsed = std::time::Duration::from_secs(100);
        }
        service.failure.iter_mut().flat_map(|failure| &mut failure.logs).for_each(|line| line.at_ms = 0);
    }
    let all = terminal::terminal(&report);
    all.split("\n\nTimeline")
        .next()
        .unwrap_or_default()
        .replace("\n\nRehearsal on the emulator: no real resource was changed.", "")
}

#[test]
fn rollback_returns_to_the_previous_version() {
    let (report, changes, serves) = run_in_virtual_time(async {
        let mut world = RollbackHarness::without_faults();
        world.deploy_successfully("b").await;
        let before = world.change_operations().len();
        let report = world.rollback(None).await;
        (report, world.change_operations()[before..].to_vec(), world.serving_version())
    });
    insta::assert_snapshot!(terminal_text(&report), @r"
    ✅ production: backend rolled back; backend:1 serves 100 % of traffic (verified in 1 min 40 s)

    service  outcome      from       to         serving    took        evidence
    backend  rolled-back  backend:2  backend:1  backend:1  1 min 40 s  service deployment SUCCESSFUL, 2 of 2 targets healthy

    Changes (rolling):
      image: …/acme/backend@sha256:4eca065b771b… → 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1
    ");
    assert_eq!(changes, ["UpdateService"], "nothing is registered or built");
    assert_eq!((report.outcome, serves.as_str()), (Outcome::RolledBack, "backend:1"));
}

#[test]
fn rollback_selects_version_commit_or_digest() {
    let (by_digest, serves) = run_in_virtual_time(async {
        let mut world = RollbackHarness::without_faults();
        for content in ["b", "c", "d"] {
            world.deploy_successfully(content).await;
        }
        let mut serves = Vec::new();
        let digest = world.push_image("b").rsplit('@').next().unwrap_or_default().to_owned();
        let by_digest = world.rollback(Some(&digest)).await;
        serves.push(world.serving_version());
        for to in ["backend:4", "3", "000000b", "000000b123456789012345678901234567890123"] {
            let report = world.rollback(Some(to)).await;
            let good = matches!(report.outcome, Outcome::RolledBack | Outcome::Unchanged);
            assert!(good, "{to}: {}", terminal::terminal(&report));
            serves.push(world.serving_version());
        }
        (by_digest, serves)
    });
    insta::assert_snapshot!(terminal_text(&by_digest), @r"
    ✅ production: backend rolled back; backend:2 serves 100 % of traffic (verified in 1 min 40 s)

    service  outcome      from       to         serving    took        evidence
    backend  rolled-back  backend:4  backend:2  backend:2  1 min 40 s  service deployment SUCCESSFUL, 2 of 2 targets healthy

    Changes (rolling):
      image: …/acme/backend@sha256:481a9dd596f1… → …/acme/backend@sha256:4eca065b771b…
    ");
    assert_eq!(serves, ["backend:2", "backend:4", "backend:3", "backend:2", "backend:2"]);
}

#[test]
fn rollback_to_the_serving_version_is_unchanged() {
    let (report, changes) = run_in_virtual_time(async {
        let mut world = RollbackHarness::without_faults();
        world.deploy_successfully("b").await;
        let before = world.change_operations().len();
        let report = world.rollback(Some("backend:2")).await;
        (report, world.change_operations().len() - before)
    });
    assert_eq!((report.outcome, changes), (Outcome::Unchanged, 0), "{}", terminal::terminal(&report));
}

#[test]
fn unknown_rollback_selector_changes_nothing_and_lists_versions() {
    let (unknown, first, changes) = run_in_virtual_time(async {
        let mut world = RollbackHarness::without_faults();
        let first = world.rollback(None).await;
        world.deploy_successfully("b").await;
        let before = world.change_operations().len();
        (world.rollback(Some("backend:7")).await, first, world.change_operations().len() - before)
    });
    assert_eq!((unknown.outcome, first.outcome, changes), (Outcome::Invalid, Outcome::Invalid, 0));
    insta::assert_snapshot!([terminal_text(&unknown), terminal_text(&first)].join("\n\n"), @r"
    ❌ production: nothing was changed — 1 problem to fix first

    error version-unknown backend: The version `backend:7` never completed here. Possible versions: `backend:1` (digest 028817b3422c…; completed 2026-03-01 09:02 UTC).
      version-unknown: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#version-unknown


    ❌ production: nothing was changed — 1 problem to fix first

    error version-unknown backend: No other version has completed here, so there is nothing to roll back to. Deploy a working version first.
      version-unknown: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#version-unknown
    ");
}

/// The tasks that a version in flight has started are no reason to wait for its end.
#[test]
fn deployment_in_progress_is_stopped_first() {
    let (report, changes, serves) = run_in_virtual_time(async {
        let mut world = RollbackHarness::new("faults: [slow-start: { seconds: 600 }]\n");
        let (image, cancel) = (world.push_image("b"), CancelToken::default());
        world.0.rehearsal.inputs =
            RawInputs { image: Some(image), on_cancel: Some("leave".into()), ..RawInputs::default() };
        world.0.rehearsal.cancel = cancel.clone();
        let (cut, _) = tokio::join!(world.0.run(), async {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            cancel.set(CancelLevel::Cancel);
        });
        assert_eq!(cut.outcome, Outcome::Cancelled);
        let before = world.change_operations().len();
        let report = world.rollback(None).await;
        (report, world.change_operations()[before..].to_vec(), world.serving_version())
    });
    insta::assert_snapshot!(terminal_text(&report), @r"
    ✅ production: backend rolled back; backend:1 serves 100 % of traffic (verified in 1 min 40 s)

    service  outcome      from       to         serving    took        evidence
    backend  rolled-back  backend:2  backend:1  backend:1  1 min 40 s  service deployment ROLLBACK_SUCCESSFUL, 2 of 2 targets healthy

    Changes (rolling):
      image: …/acme/backend@sha256:4eca065b771b… → 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1
    ");
    assert_eq!(changes, ["StopServiceDeployment"]);
    assert_eq!((report.outcome, serves.as_str()), (Outcome::RolledBack, "backend:1"));
}

#[test]
fn version_that_cannot_start_is_rejected_before_any_change() {
    let (gone, deregistered, changes, serves) = run_in_virtual_time(async {
        let mut world = RollbackHarness::without_faults();
        world.deploy_successfully("b").await;
        world.deploy_successfully("c").await;
        let digest = world.push_image("b").rsplit('@').next().unwrap_or_default().to_owned();
        deregister(&world.0.cloud, "backend:1").await;
        let before = world.change_operations().len();
        world.0.cloud.change(|cloud, _| {
            if let Some(repository) = cloud.repositories_mut().get_mut("acme/backend") {
                repository.images.retain(|image| image.digest != digest);
            }
        });
        let gone = world.rollback(None).await;
        let deregistered = world.rollback(Some("backend:1")).await;
        (gone, deregistered, world.change_operations().len() - before, world.serving_version())
    });
    assert_eq!((changes, serves.as_str()), (0, "backend:3"));
    insta::assert_snapshot!([terminal_text(&gone), terminal_text(&deregistered)].join("\n\n"), @r"
    ❌ production: nothing was changed — 1 problem to fix first

    error rollback-target-broken backend: A rollback to backend:2 could not start: its image 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend@sha256:4eca065b771b35aa3b818c3e683e140e7633ef0609313f6affde42345a35e860 is not in ECR any more. Restore it, or deploy a good version first; check the repository's lifecycle policy.
      rollback-target-broken: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#rollback-target-broken


    ❌ production: nothing was changed — 1 problem to fix first

    error rollback-target-broken backend: backend:1 cannot be started: its task definition is INACTIVE. Roll back to another version, or deploy: a deregistered task definition cannot be activated again.
      rollback-target-broken: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#rollback-target-broken
    ");
}

/// The version that is returned to crashes by now: what served before the run serves again.
#[test]
fn failed_rollback_is_itself_rolled_back() {
    let (report, serves) = run_in_virtual_time(async {
        let mut world = RollbackHarness::new(
            "faults: [crash-on-start: { version: old, exit-code: 7, after: 2, log: [\"the schema is too new\"] }]\n",
        );
        world.deploy_successfully("b").await;
        (world.rollback(None).await, world.serving_version())
    });
    insta::assert_snapshot!(terminal_text(&report), @r"
    ❌ production: backend could not be rolled back; the version before was restored — backend:2 serves, as before

    Cause: The container `app` exits with code 7.
      Essential container in task exited
      │ the schema is too new
    What to do: Check its log lines.
      container-exited: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#container-exited

    service  outcome  from       to         serving    took        evidence
    backend  failed   backend:2  backend:1  backend:2  1 min 40 s  rolled back, confirmed: backend:2 serves

    Changes (rolling):
      image: …/acme/backend@sha256:4eca065b771b… → 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1
    ");
    assert_eq!((report.outcome, serves.as_str()), (Outcome::Failed, "backend:2"));
}

/// One service has nothing to return to: the other one returns.
#[test]
fn rollback_returns_the_services_that_can_return() {
    let config = "environments:\n  production: { branches: [main], aws: { region: eu-west-1 } }\nservices:\n  backend: { ecs: { cluster: acme, service: backend } }\n  worker: { ecs: { cluster: acme, service: worker } }\n";
    let (report, both, changes) = run_in_virtual_time(async {
        let mut trial = TestRun::custom("faults: []\n");
        trial.config = config.into();
        let mut world = RollbackHarness(trial.set_up());
        let image = format!("backend={}", world.push_image("b"));
        let first = world.run(RawInputs { image: Some(image), ..RawInputs::default() }).await;
        assert_eq!(first.outcome, Outcome::Deployed, "{}", terminal::terminal(&first));
        let before = world.change_operations().len();
        let report = world.rollback(None).await;
        let changes = world.change_operations().len() - before;
        let image = format!("worker={}", world.push_image("b"));
        world.run(RawInputs { image: Some(image), ..RawInputs::default() }).await;
        (report, world.rollback(None).await, changes)
    });
    assert_eq!((report.outcome, changes), (Outcome::RolledBack, 1));
    assert_eq!(report.services.len(), 1);
    assert!(
        report.problems.iter().any(|problem| problem.code.name() == "not-rolled-back"),
        "{:?}",
        report.problems
    );
    assert_eq!(both.outcome, Outcome::RolledBack, "{}", terminal::terminal(&both));
}

#[test]
fn a_pull_request_gets_a_plan_of_the_rollback() {
    let (report, changes) = run_in_virtual_time(async {
        let mut world = RollbackHarness::without_faults();
        world.deploy_successfully("b").await;
        let before = world.change_operations().len();
        world.set_event("pull_request", "1");
        let ours = r#"{"pull_request": {"number": 7, "head": {"ref": "topic", "repo": {"id": 1}}, "base": {"ref": "main", "repo": {"id": 1}}}}"#;
        let event = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(event.path(), ours).unwrap();
        let path = event.path().to_string_lossy().into_owned();
        for (name, value) in [("GITHUB_BASE_REF", "main"), ("GITHUB_EVENT_PATH", &path)] {
            world.0.rehearsal.variables.insert(name.into(), value.into());
        }
        (world.rollback(None).await, world.change_operations().split_off(before))
    });
    // The plan is a check of the pull request, and nothing else is changed.
    assert_eq!((report.outcome, changes), (Outcome::Planned, vec!["checks/create".to_owned()]));
    insta::assert_snapshot!(terminal_text(&report).lines().next().unwrap_or_default(), @"📋 production: backend would roll back to backend:1 — plan only, no changes were made");
}

#[test]
fn contradictory_rollback_inputs_are_rejected() {
    let (image, to) = run_in_virtual_time(async {
        let world = RollbackHarness::without_faults();
        let raw = |operation: &str, image: Option<String>, to: Option<String>| RawInputs {
            operation: Some(operation.into()),
            image,
            to,
            ..RawInputs::default()
        };
        let parse = |raw| roadstead::action::Inputs::parse(raw).unwrap_err()[0].code.name();
        (
            parse(raw("rollback", Some(world.push_image("b")), None)),
            parse(raw("deploy", None, Some("backend:1".into()))),
        )
    });
    assert_eq!((image, to), ("input-invalid", "input-invalid"));
}

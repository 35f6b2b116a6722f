//! Rollback on demand, over the embedded cloud: where it goes, what it says, and that it holds.

use crate::support::{Stage, Trial, virtually};
use roadstead::action::inputs::RawInputs;
use roadstead::rehearsal::client::http_client;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::release::Outcome;
use roadstead::report::{RunReport, terminal};
use roadstead::sys::signal::{Cancel, Urgency};

const HOST: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";

/// A world whose service ran `v1` for a day, and the runs in it.
struct World(Stage);

impl World {
    fn new(scenario: &str) -> Self {
        Self(Trial::told(scenario).stage())
    }

    fn calm() -> Self {
        Self::new("faults: []\n")
    }

    /// The image that is made of `content`, tagged with the commit that begins with it.
    fn image(&self, content: &str) -> String {
        let tag = format!("sha-{content:0>7}");
        let digest = self.0.cloud.push("acme/backend", &[tag.as_str()], "linux/amd64", content);
        format!("{HOST}/acme/backend@{digest}")
    }

    async fn run(&mut self, inputs: RawInputs) -> RunReport {
        self.0.rehearsal.inputs = inputs;
        self.0.run_again().await
    }

    async fn deploy(&mut self, content: &str) -> RunReport {
        let image = Some(self.image(content));
        self.run(RawInputs { image, ..RawInputs::default() }).await
    }

    async fn deployed(&mut self, content: &str) {
        let report = self.deploy(content).await;
        assert_eq!(report.outcome, Outcome::Deployed, "{}", terminal::terminal(&report));
    }

    async fn rollback(&mut self, to: Option<&str>) -> RunReport {
        let (operation, to) = (Some("rollback".to_owned()), to.map(str::to_owned));
        self.run(RawInputs { operation, to, ..RawInputs::default() }).await
    }

    /// From now on, runs are started by this event, for the so-many-eth time.
    fn event(&mut self, event: &str, attempt: &str) {
        for (name, value) in
            [("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", event), ("GITHUB_RUN_ATTEMPT", attempt)]
        {
            self.0.rehearsal.variables.insert(name.into(), value.into());
        }
    }

    fn changes(&self) -> Vec<String> {
        let calls = self.0.cloud.calls().into_iter().filter(|call| call.mutating && call.effective);
        calls.map(|call| call.operation).collect()
    }

    fn serves(&self) -> String {
        let serving = self.0.cloud.serving("acme", "backend").unwrap();
        serving.whole().map(|arn| arn.rsplit('/').next().unwrap_or_default().to_owned()).unwrap_or_default()
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
fn told(report: &RunReport) -> String {
    let mut report = report.clone();
    for service in &mut report.services {
        if !service.took.is_zero() {
            service.took = std::time::Duration::from_secs(100);
        }
        service.failure.iter_mut().flat_map(|failure| &mut failure.logs).for_each(|line| line.at_ms = 0);
    }
    let all = terminal::terminal(&report);
    all.split("\n\nTimeline")
        .next()
        .unwrap_or_default()
        .replace("\n\nA rehearsal on the embedded cloud: nothing real was touched.", "")
}

#[test]
fn to_the_version_before() {
    let (report, changes, serves) = virtually(async {
        let mut world = World::calm();
        world.deployed("b").await;
        let before = world.changes().len();
        let report = world.rollback(None).await;
        (report, world.changes()[before..].to_vec(), world.serves())
    });
    insta::assert_snapshot!(told(&report), @"
    ✅ production: backend is rolled back — backend:1 serves 100 %, proven after 1 min 40 s

    service  outcome      from       to         serves now  took        how it is known
    backend  rolled-back  backend:2  backend:1  backend:1   1 min 40 s  service deployment SUCCESSFUL, 2 of 2 targets healthy

    Changes (rolling):
      image: 111111111111.dkr.ecr.eu-west-1.amazonaws…56:4eca065b771b… → 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1
    ");
    assert_eq!(changes, ["UpdateService"], "nothing is registered or built");
    assert_eq!((report.outcome, serves.as_str()), (Outcome::RolledBack, "backend:1"));
}

#[test]
fn to_a_version_a_commit_or_a_digest_by_name() {
    let (by_digest, serves) = virtually(async {
        let mut world = World::calm();
        for content in ["b", "c", "d"] {
            world.deployed(content).await;
        }
        let mut serves = Vec::new();
        let digest = world.image("b").rsplit('@').next().unwrap_or_default().to_owned();
        let by_digest = world.rollback(Some(&digest)).await;
        serves.push(world.serves());
        for to in ["backend:4", "3", "000000b", "000000b123456789012345678901234567890123"] {
            let report = world.rollback(Some(to)).await;
            let good = matches!(report.outcome, Outcome::RolledBack | Outcome::Unchanged);
            assert!(good, "{to}: {}", terminal::terminal(&report));
            serves.push(world.serves());
        }
        (by_digest, serves)
    });
    insta::assert_snapshot!(told(&by_digest), @"
    ✅ production: backend is rolled back — backend:2 serves 100 %, proven after 1 min 40 s

    service  outcome      from       to         serves now  took        how it is known
    backend  rolled-back  backend:4  backend:2  backend:2   1 min 40 s  service deployment SUCCESSFUL, 2 of 2 targets healthy

    Changes (rolling):
      image: 111111111111.dkr.ecr.eu-west-1.amazonaws…56:481a9dd596f1… → 111111111111.dkr.ecr.eu-west-1.amazonaws…56:4eca065b771b…
    ");
    assert_eq!(serves, ["backend:2", "backend:4", "backend:3", "backend:2", "backend:2"]);
}

#[test]
fn what_serves_already_is_unchanged() {
    let (report, changes) = virtually(async {
        let mut world = World::calm();
        world.deployed("b").await;
        let before = world.changes().len();
        let report = world.rollback(Some("backend:2")).await;
        (report, world.changes().len() - before)
    });
    assert_eq!((report.outcome, changes), (Outcome::Unchanged, 0), "{}", terminal::terminal(&report));
}

#[test]
fn a_name_that_nothing_has_changes_nothing_and_says_what_there_is() {
    let (unknown, first, changes) = virtually(async {
        let mut world = World::calm();
        let first = world.rollback(None).await;
        world.deployed("b").await;
        let before = world.changes().len();
        (world.rollback(Some("backend:7")).await, first, world.changes().len() - before)
    });
    assert_eq!((unknown.outcome, first.outcome, changes), (Outcome::Invalid, Outcome::Invalid, 0));
    insta::assert_snapshot!([told(&unknown), told(&first)].join("\n\n"), @"
    ❌ production: nothing was changed — 1 problem to fix first

    error version-unknown backend: The version `backend:7` never completed here. It can return to: `backend:1` (digest 028817b3422c…; completed 2026-03-01 09:02 UTC).


    ❌ production: nothing was changed — 1 problem to fix first

    error version-unknown backend: No other version ever completed here, so there is nothing to roll back to. Deploy a good version first.
    ");
}

/// The tasks that a version in flight has started are no reason to wait for its end.
#[test]
fn a_deployment_in_flight_is_stopped_first() {
    let (report, changes, serves) = virtually(async {
        let mut world = World::new("faults: [slow-start: { seconds: 600 }]\n");
        let (image, cancel) = (world.image("b"), Cancel::default());
        world.0.rehearsal.inputs =
            RawInputs { image: Some(image), on_cancel: Some("leave".into()), ..RawInputs::default() };
        world.0.rehearsal.cancel = cancel.clone();
        let (cut, _) = tokio::join!(world.0.run(), async {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            cancel.raise(Urgency::Cancel);
        });
        assert_eq!(cut.outcome, Outcome::Cancelled);
        let before = world.changes().len();
        let report = world.rollback(None).await;
        (report, world.changes()[before..].to_vec(), world.serves())
    });
    insta::assert_snapshot!(told(&report), @"
    ✅ production: backend is rolled back — backend:1 serves 100 %, proven after 1 min 40 s

    service  outcome      from       to         serves now  took        how it is known
    backend  rolled-back  backend:2  backend:1  backend:1   1 min 40 s  service deployment ROLLBACK_SUCCESSFUL, 2 of 2 targets healthy

    Changes (rolling):
      image: 111111111111.dkr.ecr.eu-west-1.amazonaws…56:4eca065b771b… → 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1
    ");
    assert_eq!(changes, ["StopServiceDeployment"]);
    assert_eq!((report.outcome, serves.as_str()), (Outcome::RolledBack, "backend:1"));
}

#[test]
fn a_version_that_cannot_start_any_more_is_refused_before_any_change() {
    let (gone, deregistered, changes, serves) = virtually(async {
        let mut world = World::calm();
        world.deployed("b").await;
        world.deployed("c").await;
        let digest = world.image("b").rsplit('@').next().unwrap_or_default().to_owned();
        deregister(&world.0.cloud, "backend:1").await;
        let before = world.changes().len();
        world.0.cloud.change(|cloud, _| {
            if let Some(repository) = cloud.repositories.get_mut("acme/backend") {
                repository.images.retain(|image| image.digest != digest);
            }
        });
        let gone = world.rollback(None).await;
        let deregistered = world.rollback(Some("backend:1")).await;
        (gone, deregistered, world.changes().len() - before, world.serves())
    });
    assert_eq!((changes, serves.as_str()), (0, "backend:3"));
    insta::assert_snapshot!([told(&gone), told(&deregistered)].join("\n\n"), @"
    ❌ production: nothing was changed — 1 problem to fix first

    error rollback-target-broken backend: A rollback to backend:2 could not start: its image 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend@sha256:4eca065b771b35aa3b818c3e683e140e7633ef0609313f6affde42345a35e860 is not in ECR any more. Restore it, or deploy a good version first; check the repository's lifecycle policy.


    ❌ production: nothing was changed — 1 problem to fix first

    error rollback-target-broken backend: backend:1 cannot start any more: its task definition is INACTIVE. Return to another version, or deploy: a definition that was deregistered cannot be taken up again.
    ");
}

/// The version that is returned to crashes by now: what served before the run serves again.
#[test]
fn a_rollback_that_fails_is_itself_taken_back() {
    let (report, serves) = virtually(async {
        let mut world = World::new(
            "faults: [crash-on-start: { version: old, exit-code: 7, after: 2, log: [\"the schema is too new\"] }]\n",
        );
        world.deployed("b").await;
        (world.rollback(None).await, world.serves())
    });
    insta::assert_snapshot!(told(&report), @"
    ❌ production: backend could not be rolled back and was returned — backend:2 serves, as before

    Cause: The container `app` exits with code 7. Exit code 7.
      Essential container in task exited
      00:00:00 │ the schema is too new
    What to do: Read the lines that it wrote.

    service  outcome  from       to         serves now  took        how it is known
    backend  failed   backend:2  backend:1  backend:2   1 min 40 s  rolled back, confirmed: backend:2 serves

    Changes (rolling):
      image: 111111111111.dkr.ecr.eu-west-1.amazonaws…56:4eca065b771b… → 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1
    ");
    assert_eq!((report.outcome, serves.as_str()), (Outcome::Failed, "backend:2"));
}

/// One service has nothing to return to: then nothing is begun for the other either.
#[test]
fn all_services_return_or_none() {
    let config = "environments:\n  production: { branches: [main], aws: { region: eu-west-1 } }\nservices:\n  backend: { ecs: { cluster: acme, service: backend } }\n  worker: { ecs: { cluster: acme, service: worker } }\n";
    let (report, both, changes) = virtually(async {
        let mut trial = Trial::told("faults: []\n");
        trial.config = config.into();
        let mut world = World(trial.stage());
        let image = format!("backend={}", world.image("b"));
        let first = world.run(RawInputs { image: Some(image), ..RawInputs::default() }).await;
        assert_eq!(first.outcome, Outcome::Deployed, "{}", terminal::terminal(&first));
        let before = world.changes().len();
        let report = world.rollback(None).await;
        let changes = world.changes().len() - before;
        let image = format!("worker={}", world.image("b"));
        world.run(RawInputs { image: Some(image), ..RawInputs::default() }).await;
        (report, world.rollback(None).await, changes)
    });
    assert_eq!((report.outcome, changes), (Outcome::Invalid, 0));
    assert_eq!(both.outcome, Outcome::RolledBack, "{}", terminal::terminal(&both));
}

#[test]
fn a_pull_request_gets_a_plan_of_the_rollback() {
    let (report, changes) = virtually(async {
        let mut world = World::calm();
        world.deployed("b").await;
        let before = world.changes().len();
        world.event("pull_request", "1");
        let ours = r#"{"pull_request": {"number": 7, "head": {"ref": "topic", "repo": {"id": 1}}, "base": {"ref": "main", "repo": {"id": 1}}}}"#;
        let event = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(event.path(), ours).unwrap();
        let path = event.path().to_string_lossy().into_owned();
        for (name, value) in [("GITHUB_BASE_REF", "main"), ("GITHUB_EVENT_PATH", &path)] {
            world.0.rehearsal.variables.insert(name.into(), value.into());
        }
        (world.rollback(None).await, world.changes().split_off(before))
    });
    // The plan is told as a check of the pull request, and that is all.
    assert_eq!((report.outcome, changes), (Outcome::Planned, vec!["checks/create".to_owned()]));
    insta::assert_snapshot!(told(&report).lines().next().unwrap_or_default(), @"📋 production: backend would return to backend:1 — this is a plan, nothing was touched");
}

/// What was rolled back does not come again by itself: not by the next push, nor by a run that is started again.
#[test]
fn a_rollback_holds() {
    let (table, first) = virtually(async {
        let mut world = World::calm();
        world.deployed("b").await;
        world.rollback(None).await;
        let (mut table, mut first) = (Vec::new(), None);
        for (event, attempt, content) in [
            ("push", "1", "b"),
            ("schedule", "2", "b"),
            ("push", "1", "c"),
            ("workflow_dispatch", "1", "b"),
            ("push", "2", "c"),
            ("push", "1", "c"),
        ] {
            let before = world.changes().len();
            world.event(event, attempt);
            let report = world.deploy(content).await;
            table.push((event, attempt, content, report.outcome, world.changes().len() > before));
            first.get_or_insert(report);
        }
        (table, first)
    });
    assert_eq!(
        table,
        [
            ("push", "1", "b", Outcome::Invalid, false),
            ("schedule", "2", "b", Outcome::Invalid, false),
            ("push", "1", "c", Outcome::Deployed, true),
            ("workflow_dispatch", "1", "b", Outcome::Deployed, true),
            ("push", "2", "c", Outcome::Invalid, false),
            ("push", "1", "c", Outcome::Invalid, false),
        ]
    );
    insta::assert_snapshot!(told(&first.unwrap()), @"
    ❌ production: nothing was changed — 1 problem to fix first; backend:1 serves, as before

    error rolled-back-before backend: This is backend:2, which was rolled back here; since then backend:1 serves. Deploy a fix. To bring in this very version all the same, start the workflow by hand (workflow_dispatch).

    service  outcome  from       to  serves now  took  how it is known
    backend  invalid  backend:1  –   backend:1   –

    Changes (rolling):
      image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1 → 111111111111.dkr.ecr.eu-west-1.amazonaws…56:4eca065b771b…
    ");
}

#[test]
fn a_plan_warns_of_what_would_be_held() {
    let report = virtually(async {
        let mut world = World::calm();
        world.deployed("b").await;
        world.rollback(None).await;
        world.event("push", "1");
        let image = Some(world.image("b"));
        world.run(RawInputs { operation: Some("plan".into()), image, ..RawInputs::default() }).await
    });
    let warned = report.all_problems().iter().any(|p| p.code.name() == "rolled-back-before" && !p.is_error());
    assert!(warned && report.outcome == Outcome::Planned, "{}", terminal::terminal(&report));
}

/// A deploy that failed and was taken back by itself never completed, so trying it again is nobody's business to stop.
#[test]
fn a_retry_after_a_failure_is_no_second_coming() {
    let (failed, again) = virtually(async {
        let mut world = World::new("faults: [crash-on-start: {}]\n");
        world.event("push", "1");
        let failed = world.deploy("b").await.outcome;
        world.0.cloud.change(|cloud, _| cloud.mischief.faults.clear());
        world.event("push", "2");
        (failed, world.deploy("b").await.outcome)
    });
    assert_eq!((failed, again), (Outcome::Failed, Outcome::Deployed));
}

#[test]
fn inputs_that_contradict_a_rollback_are_refused() {
    let (image, to) = virtually(async {
        let world = World::calm();
        let raw = |operation: &str, image: Option<String>, to: Option<String>| RawInputs {
            operation: Some(operation.into()),
            image,
            to,
            ..RawInputs::default()
        };
        let parse = |raw| roadstead::action::Inputs::parse(raw).unwrap_err()[0].code.name();
        (
            parse(raw("rollback", Some(world.image("b")), None)),
            parse(raw("deploy", None, Some("backend:1".into()))),
        )
    });
    assert_eq!((image, to), ("input-invalid", "input-invalid"));
}

//! Whole runs that make releases of a Compose service in other ways: `set-env`, a command before the traffic moves, and logins
//! that the server pulls with.

use std::fs;

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead_cloud::cloud::Cloud;

use crate::support::compose::{OLD, again, operation, release_of_new, sentences};
use crate::support::{RunResult, TestRun, run_in_virtual_time};

const CONFIG: &str = "environments:
  production: { branches: [main] }
services:
  shop:
    repository: ghcr.io/acme/shop
    compose: { hosts: [{ ssh: deploy@app1 }], directory: /srv/shop, service: web, env-file: shop.env }
";

struct ReleaseFixture {
    _folder: tempfile::TempDir,
    test_run: TestRun,
}

impl ReleaseFixture {
    fn new(more: &str) -> Self {
        let scenario = format!(
            "compose: [{{ name: app1, services: [{{ directory: /srv/shop, name: web, image: '{OLD}', env: \"FLAG=off\\n\" }}] }}]\n{more}"
        );
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("shop.env"), "# flags\nFLAG=off\nNAME=shop\n").unwrap();
        let test_run = release_of_new(folder.path(), CONFIG, &scenario);
        Self { _folder: folder, test_run }
    }

    fn with_lines(mut self, lines: &str) -> Self {
        self.test_run.config.push_str(lines);
        self
    }
}

fn set_env(set: &str) -> RawInputs {
    RawInputs { operation: Some("set-env".into()), set: Some(set.into()), ..RawInputs::default() }
}

/// The variables in the folder of the service, and the first digit of the image that runs.
fn running(cloud: &Cloud) -> String {
    cloud.change(|world, _| {
        let service = world.compose.service_mut("app1", "/srv/shop", "web").unwrap();
        let digit = service.containers[0].image.split("sha256:").nth(1).unwrap()[..1].to_owned();
        format!("{digit} {:?}", service.env.clone().unwrap_or_default())
    })
}

#[test]
fn set_env_changes_one_variable_and_a_rollback_brings_it_back() {
    run_in_virtual_time(async {
        let fixture = ReleaseFixture::new("");
        let mut stage = fixture.test_run.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let file = r##"2 "# flags\nFLAG=off\nNAME=shop\n""##;
        assert_eq!(running(&stage.cloud), file);
        let set = again(&mut stage, set_env("shop.FLAG=on\nshop.GREETING=it's $5")).await;
        assert_eq!(set.outcome, Outcome::Deployed, "{}", sentences(&set));
        let changed = r##"2 "# flags\nFLAG=\"on\"\nNAME=shop\nGREETING=\"it's \\$5\"\n""##;
        assert_eq!(running(&stage.cloud), changed);
        let report = format!("{set:?}");
        assert!(report.contains("environment FLAG") && !report.contains("it's $5"), "{report}");
        let twice = again(&mut stage, set_env("shop.FLAG=on")).await;
        assert_eq!(twice.outcome, Outcome::Unchanged, "{}", sentences(&twice));
        let back = again(&mut stage, operation("rollback")).await;
        assert_eq!(
            (back.outcome, running(&stage.cloud)),
            (Outcome::RolledBack, file.into()),
            "{}",
            sentences(&back)
        );
    });
}

#[test]
fn set_env_needs_variables_that_belong_to_the_releases() {
    let mut fixture = ReleaseFixture::new("");
    fixture.test_run.config = fixture.test_run.config.replace(", env-file: shop.env", "");
    fixture.test_run.inputs = set_env("shop.FLAG=on");
    let ran = fixture.test_run.run();
    assert_eq!((ran.report.outcome, ran.change_operations().len()), (Outcome::Invalid, 0));
    assert!(sentences(&ran.report).contains("`compose.env-file` is not set"), "{}", sentences(&ran.report));
}

#[test]
fn failing_set_env_leaves_the_variables_as_they_were() {
    run_in_virtual_time(async {
        let mut fixture = ReleaseFixture::new("faults: [crash-on-start: {}]\n");
        fixture.test_run.inputs = set_env("shop.FLAG=on");
        let stage = fixture.test_run.set_up();
        let report = stage.run().await;
        assert_eq!(
            (report.outcome, running(&stage.cloud)),
            (Outcome::Failed, r#"1 "FLAG=off\n""#.to_owned()),
            "{}",
            sentences(&report)
        );
    });
}

const BEFORE: &str = "    before: { run: [./migrate, \"it's\"], timeout: 5m }\n";

fn last_lines(ran: &RunResult) -> Vec<String> {
    let failure = ran.report.services[0].failure.as_ref().unwrap();
    failure.logs.iter().map(|line| line.text.clone()).collect()
}

#[test]
fn command_runs_once_with_the_new_release_before_the_container_changes() {
    let fixture = ReleaseFixture::new("one-off: [{ contains: \"it's\", logs: [\"12 migrations\"] }]\n")
        .with_lines(BEFORE);
    let ran = fixture.test_run.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{}", sentences(&ran.report));
    assert_eq!(ran.change_operations(), ["StageRelease", "StartTask", "StartAttempt"]);
    assert!(ran.lines.iter().any(|line| line.contains("12 migrations")), "{:#?}", ran.lines);
}

#[test]
fn command_that_fails_changes_nothing_and_its_lines_are_in_the_report() {
    let fixture =
        ReleaseFixture::new("one-off: [{ exit: 3, logs: [\"no such table\"] }]\n").with_lines(BEFORE);
    let ran = fixture.test_run.run();
    assert_eq!(
        (ran.report.outcome, ran.problem_codes().join(" "), running(&ran.cloud)),
        (Outcome::Failed, "before-failed".into(), r#"1 "FLAG=off\n""#.into())
    );
    assert_eq!(ran.change_operations(), ["StageRelease", "StartTask"]);
    assert_eq!(last_lines(&ran), ["no such table"]);
}

#[test]
fn command_without_end_is_stopped_at_its_deadline() {
    let fixture = ReleaseFixture::new("one-off: [{ after: 100000 }]\n").with_lines(BEFORE);
    let ran = fixture.test_run.run();
    assert_eq!(
        (ran.report.outcome, ran.change_operations()),
        (Outcome::Failed, vec!["StageRelease", "StartTask", "StopTask"]),
        "{}",
        sentences(&ran.report)
    );
    assert_eq!(running(&ran.cloud), r#"1 "FLAG=off\n""#);
}

#[test]
fn lost_answers_start_a_command_once() {
    let more = "faults: [response-lost: { operation: StartTask }]\n";
    let ran = ReleaseFixture::new(more).with_lines(BEFORE).test_run.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{}", sentences(&ran.report));
    let kept = ran
        .cloud
        .change(|world, _| world.compose.service_mut("app1", "/srv/shop", "web").unwrap().task_count());
    assert_eq!(kept, 1);
}

#[test]
fn command_of_another_container_is_refused() {
    let before = "    before: { run: [./migrate], container: worker }\n";
    let ran = ReleaseFixture::new("").with_lines(before).test_run.run();
    assert_eq!((ran.report.outcome, ran.problem_codes().join(" ")), (Outcome::Invalid, "unsupported".into()));
}

#[test]
fn server_pulls_with_the_login_of_the_deploy_file_and_nobody_else_sees_it() {
    let mut fixture = ReleaseFixture::new("");
    fixture
        .test_run
        .config
        .push_str("registries: { ghcr.io: { username: robot, password: REGISTRY_TOKEN } }\n");
    fixture.test_run.variables.insert("REGISTRY_TOKEN".into(), "s3cr3t-of-the-registry".into());
    let ran = fixture.test_run.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{}", sentences(&ran.report));
    let with_secret: Vec<&str> = ran
        .calls
        .iter()
        .filter(|call| call.input.to_string().contains("s3cr3t"))
        .map(|call| call.operation.as_str())
        .collect();
    assert_eq!(with_secret, ["StageRelease"]);
    let told = format!("{:?} {}", ran.report, ran.lines.join("\n"));
    assert!(!told.contains("s3cr3t"), "{told}");
    // Without it, the login that the user of the server has is used.
    let own = ReleaseFixture::new("").test_run.run();
    assert!(own.calls.iter().all(|call| !call.input.to_string().contains("rs_credential='")));
}

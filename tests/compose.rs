//! Whole runs of services of Docker Compose on the emulator: deployed, rolled back, killed on the server, without an answer.

use std::fs;

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::sys::signal::CancelLevel;
use roadstead_cloud::cloud::Cloud;

use crate::appconfig::terminal_text;
use crate::support::compose::{COMPOSE_FILE, NEW, OLD, again, operation, release_of_new};
use crate::support::{RunResult, TestRun, run_in_virtual_time};

const CONFIG: &str = "environments:
  production: { branches: [main] }
services:
  shop:
    repository: ghcr.io/acme/shop
    compose: { hosts: [{ ssh: deploy@app1.acme.dev }], directory: /srv/shop, service: web }
";

const PROXY: &str = "service: web, proxy: { nginx: proxy/web.conf, container: edge-1, port: 8080 } }";

/// A workspace with a Compose file, and a world with a server that runs an earlier image.
struct ComposeFixture {
    folder: tempfile::TempDir,
    test_run: TestRun,
}

impl ComposeFixture {
    fn new(faults: &str) -> Self {
        Self::with_host(faults, "")
    }

    fn with_host(faults: &str, host: &str) -> Self {
        let scenario = format!(
            "compose: [{{ name: app1.acme.dev, {host} services: [{{ directory: /srv/shop, name: web, image: '{OLD}' }}] }}]\n\
             faults: {faults}\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let test_run = release_of_new(folder.path(), CONFIG, &scenario);
        Self { folder, test_run }
    }

    fn with_config(mut self, from: &str, to: &str) -> Self {
        assert!(self.test_run.config.contains(from), "{from}");
        self.test_run.config = self.test_run.config.replace(from, to);
        self
    }

    fn with_strategy(mut self, strategy: &str) -> Self {
        self.test_run.config = format!("{}    strategy: {strategy}\n", self.test_run.config);
        self.with_config("service: web }", PROXY)
    }

    fn with_file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn run(&self) -> RunResult {
        self.test_run.run()
    }
}

/// The images that run, newest first, by their first digit, and what the proxy's file says.
fn running(cloud: &Cloud) -> String {
    cloud.change(|world, _| {
        let service = world.compose.service_mut("app1.acme.dev", "/srv/shop", "web").unwrap();
        let images =
            service.containers.iter().map(|it| it.image.split("sha256:").nth(1).unwrap()[..1].to_owned());
        let weights: Vec<String> =
            service.proxied.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
        format!("{} ({})", images.collect::<Vec<_>>().join(" "), weights.join(", "))
    })
}

fn outcome(ran: &RunResult) -> String {
    format!("{} {} {}", ran.report.outcome, ran.problem_codes().join(" "), running(&ran.cloud))
}

fn rollback(to: Option<&str>) -> RawInputs {
    RawInputs { operation: Some("rollback".into()), to: to.map(str::to_owned), ..RawInputs::default() }
}

#[test]
fn image_replaces_the_one_that_somebody_started() {
    let ran = ComposeFixture::new("[]").run();
    insta::assert_snapshot!(terminal_text(&ran.report), @"
    ✅ production: shop deployed; web:1 serves 100 % of traffic (verified in 1 min 40 s)

    service  outcome   from   to     serving  took        evidence
    shop     deployed  web:0  web:1  web:1    1 min 40 s  container shop-web-1 running, healthy

    Changes (rolling):
      image: ghcr.io/acme/shop@sha256:111111111111… → ghcr.io/acme/shop@sha256:222222222222…
      Compose files: added (value hidden)
    ");
    assert_eq!(ran.change_operations(), ["StageRelease", "StartAttempt"]);
}

#[test]
fn version_that_crashes_is_rolled_back_on_the_server() {
    let ran = ComposeFixture::new("[crash-on-start: { exit-code: 3, log: ['panic: no database'] }]").run();
    insta::assert_snapshot!(terminal_text(&ran.report), @"
    ❌ production: shop failed and was rolled back — web:0 serves, as before

    Cause: The new container exited with code 3.
      │ panic: no database
    What to do: Its last lines are in the summary.
      container-exited: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#container-exited

    service  outcome  from   to     serving  took        evidence
    shop     failed   web:0  web:1  web:0    1 min 40 s  rolled back, confirmed: web:0 serves

    Changes (rolling):
      image: ghcr.io/acme/shop@sha256:111111111111… → ghcr.io/acme/shop@sha256:222222222222…
      Compose files: added (value hidden)
    ");
    assert_eq!(outcome(&ran), "failed container-exited 1 (shop-web-1 100)");
}

#[test]
fn unhealthy_version_is_rolled_back_on_the_server() {
    let ran = ComposeFixture::new("[failing-health-check: {}]").run();
    assert_eq!(outcome(&ran), "failed health-check-failed 1 (shop-web-1 100)");
}

#[test]
fn image_that_cannot_be_pulled_changes_nothing() {
    let ran = ComposeFixture::new("[image-not-found: {}]").run();
    assert_eq!(outcome(&ran), "failed image-pull-failed 1 (shop-web-1 100)");
}

#[test]
fn process_that_is_killed_on_the_server_is_rolled_back_by_the_run() {
    let ran = ComposeFixture::new("[compose-killed: { at: 3 }]").run();
    assert_eq!(outcome(&ran), "failed deployment-stopped 1 (shop-web-1 100)");
    assert_eq!(ran.change_operations(), ["StageRelease", "StartAttempt", "StartAttempt"]);
}

#[test]
fn lost_answers_start_no_second_attempt() {
    for operation in ["StartAttempt", "StageRelease", "DescribeAttempt", "DescribeHost"] {
        let ran = ComposeFixture::new(&format!("[response-lost: {{ operation: {operation} }}]")).run();
        let starts =
            ran.calls.iter().filter(|call| call.operation == "StartAttempt" && call.took_effect).count();
        let found = (ran.report.outcome, starts);
        assert_eq!(found, (Outcome::Deployed, 1), "{operation}: {:?}", ran.report.all_problems());
    }
}

#[test]
fn canary_goes_through_its_weights_and_the_old_container_goes_last() {
    let ran = ComposeFixture::new("[]").with_strategy("{ canary: { percent: 10, bake: 1m } }").run();
    let continued: Vec<&str> =
        ran.change_operations().into_iter().filter(|name| *name == "ContinueAttempt").collect();
    assert_eq!((outcome(&ran).as_str(), continued.len()), ("deployed  2 (shop-web-2 100)", 2));
}

#[test]
fn canary_that_fails_leaves_the_old_container_with_all_traffic() {
    let ran = ComposeFixture::new("[failing-health-check: {}]").with_strategy("blue-green").run();
    assert_eq!(outcome(&ran), "failed health-check-failed 1 (shop-web-1 100)");
}

#[test]
fn strategy_that_needs_a_proxy_is_refused_without_one() {
    let fixture = ComposeFixture::new("[]");
    let mut test_run = fixture.test_run;
    test_run.config = format!("{}    strategy: blue-green\n", test_run.config);
    let ran = test_run.run();
    assert_eq!(outcome(&ran), "invalid unsupported 1 (shop-web-1 100)");
}

#[test]
fn rollback_returns_to_any_kept_release_without_its_files() {
    run_in_virtual_time(async {
        let fixture = ComposeFixture::new("[]");
        let mut stage = fixture.test_run.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        assert_eq!(
            again(&mut stage, RawInputs { image: Some(NEW.into()), ..RawInputs::default() }).await.outcome,
            Outcome::Unchanged
        );
        assert_eq!(again(&mut stage, operation("verify")).await.outcome, Outcome::Verified);
        fs::remove_file(fixture.folder.path().join("compose.yaml")).unwrap();
        let back = again(&mut stage, rollback(None)).await;
        assert_eq!(
            (back.outcome, running(&stage.cloud)),
            (Outcome::RolledBack, "1 (shop-web-1 100)".into()),
            "{:?}",
            back.all_problems()
        );
        let forward = again(&mut stage, rollback(Some("web:1"))).await;
        assert_eq!(
            (forward.outcome, running(&stage.cloud)),
            (Outcome::RolledBack, "2 (shop-web-1 100)".into())
        );
    });
}

#[test]
fn changed_files_make_a_release_and_a_plan_shows_no_content() {
    run_in_virtual_time(async {
        let env = "service: web, env-file: shop.env }";
        let fixture = ComposeFixture::new("[]")
            .with_config("service: web }", env)
            .with_file("shop.env", "PASSWORD=hunter2\n");
        let mut stage = fixture.test_run.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        fs::write(fixture.folder.path().join("shop.env"), "PASSWORD=hunter3\n").unwrap();
        let inputs =
            RawInputs { operation: Some("plan".into()), image: Some(NEW.into()), ..RawInputs::default() };
        let plan = again(&mut stage, inputs).await;
        let changes = format!("{:?}", plan.services[0].changes);
        assert!(
            plan.outcome == Outcome::Planned && changes.contains("variables") && !changes.contains("image"),
            "{changes}"
        );
        let report = format!("{plan:?}");
        assert!(!report.contains("hunter"), "{report}");
    });
}

#[test]
fn bad_input_is_one_sentence_each_before_any_change() {
    let table = [
        (ComposeFixture::with_host("[]", "docker: '',"), "host-unsuitable"),
        (ComposeFixture::with_host("[]", "may-use-docker: false,"), "host-unsuitable"),
        (ComposeFixture::with_host("[]", "compose: 1.29.2,"), "host-unsuitable"),
        (ComposeFixture::with_host("[]", "free-mb: 50,"), "host-unsuitable"),
        (
            ComposeFixture::new("[]").with_file("compose.yaml", "services: { api: { image: x } }\n"),
            "compose-file-invalid",
        ),
        (ComposeFixture::new("[]").with_file("compose.yaml", "services: [\n"), "compose-file-invalid"),
        (
            ComposeFixture::new("[]").with_strategy("blue-green").with_file(
                "compose.yaml",
                &format!("{COMPOSE_FILE}    container_name: shop\n    ports: [\"80:80\"]\n"),
            ),
            "compose-file-invalid compose-file-invalid",
        ),
    ];
    for (fixture, codes) in table {
        let ran = fixture.run();
        assert_eq!((ran.report.outcome, ran.problem_codes().join(" ").as_str()), (Outcome::Invalid, codes));
        assert!(ran.change_operations().is_empty() && running(&ran.cloud).starts_with("1 "), "{codes}");
    }
}

#[test]
fn services_of_one_compose_service_are_refused_together() {
    let again = "  other:
    repository: ghcr.io/acme/shop
    compose: { hosts: [{ ssh: deploy@app1.acme.dev }], directory: /srv/shop/, service: web }
";
    let mut fixture = ComposeFixture::new("[]");
    fixture.test_run.config.push_str(again);
    let ran = fixture.run();
    assert_eq!(ran.report.outcome, Outcome::Invalid, "{:?}", ran.report.all_problems());
    let named = ran
        .report
        .all_problems()
        .iter()
        .any(|it| it.sentence.contains("the Compose service `web` in `/srv/shop`"));
    assert!(named, "{:?}", ran.report.all_problems());
}

#[test]
fn cancelled_run_asks_the_server_to_go_back() {
    run_in_virtual_time(async {
        let fixture = ComposeFixture::new("[]");
        let stage = fixture.test_run.set_up();
        let cancel = fixture.test_run.cancel.clone();
        let cancelling = async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            cancel.set(CancelLevel::Cancel);
        };
        let (report, ()) = tokio::join!(stage.run(), cancelling);
        assert_eq!(report.outcome, Outcome::Cancelled, "{:?}", report.all_problems());
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!(running(&stage.cloud), "1 (shop-web-1 100)");
    });
}

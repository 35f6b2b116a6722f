//! Whole runs of a Compose service with three servers: one after the other, a failure on one of them, a lost run, and what all of
//! them serve in the end.

use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::sys::signal::CancelLevel;
use roadstead_cloud::cloud::Cloud;

use crate::support::compose::{NEW, OLD, again, operation, release_of_new, sentences};
use crate::support::{RunResult, TestRun, run_in_virtual_time};

const CONFIG: &str = "environments:
  production: { branches: [main] }
services:
  shop:
    repository: ghcr.io/acme/shop
    compose:
      hosts: [{ ssh: deploy@app1 }, { ssh: deploy@app2 }, { ssh: deploy@app3 }]
      directory: /srv/shop
      service: web
";

const HOSTS: [&str; 3] = ["app1", "app2", "app3"];

/// Three servers with an earlier image. `settings` are added to the server of that name.
struct Fleet {
    _folder: tempfile::TempDir,
    test_run: TestRun,
}

impl Fleet {
    fn new(faults: &str) -> Self {
        Self::with_settings(faults, &[])
    }

    fn with_settings(faults: &str, settings: &[(&str, &str)]) -> Self {
        let host = |name: &&str| {
            let own = settings.iter().find(|(host, _)| host == name).map_or("", |(_, text)| *text);
            format!(
                "{{ name: {name}, {own} services: [{{ directory: /srv/shop, name: web, image: '{OLD}' }}] }}"
            )
        };
        let hosts = HOSTS.iter().map(host).collect::<Vec<_>>().join(", ");
        let scenario = format!("compose: [{hosts}]\nfaults: {faults}\n");
        let folder = tempfile::tempdir().unwrap();
        let test_run = release_of_new(folder.path(), CONFIG, &scenario);
        Self { _folder: folder, test_run }
    }

    fn with_lines(mut self, lines: &str) -> Self {
        self.test_run.config.push_str(lines);
        self
    }

    fn run(&self) -> RunResult {
        self.test_run.run()
    }
}

/// The images of each server, newest first, by their first digit.
fn running(cloud: &Cloud) -> String {
    let on = |host: &str| {
        cloud.change(|world, _| {
            let service = world.compose.service_mut(host, "/srv/shop", "web").unwrap();
            let digits = service.containers.iter().map(|it| &it.image.split("sha256:").nth(1).unwrap()[..1]);
            digits.collect::<String>()
        })
    };
    HOSTS.map(on).join(" ")
}

fn outcome(ran: &RunResult) -> String {
    format!("{} {} {}", ran.report.outcome, ran.problem_codes().join(" "), running(&ran.cloud))
}

/// The hosts of the calls of an operation that took effect, in the order of their names: some are asked together.
fn sorted_hosts_of(ran: &RunResult, operation: &str) -> String {
    let hosts = hosts_of(ran, operation);
    let mut names: Vec<&str> = hosts.split(' ').collect();
    names.sort_unstable();
    names.join(" ")
}

/// The hosts of the calls of an operation that took effect, in order.
fn hosts_of(ran: &RunResult, operation: &str) -> String {
    let calls = ran.calls.iter().filter(|call| call.operation == operation && call.took_effect);
    calls.map(|call| call.input["Host"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
}

const PROXY: &str = "      proxy: { haproxy: proxy/web.cfg, container: edge-1, port: 8080 }\n";

#[test]
fn servers_get_the_release_one_after_the_other_and_are_confirmed_together() {
    let ran = Fleet::new("[]").run();
    assert_eq!(outcome(&ran), "deployed  2 2 2", "{}", sentences(&ran.report));
    assert_eq!(sorted_hosts_of(&ran, "StageRelease"), "app1 app2 app3");
    assert_eq!(hosts_of(&ran, "StartAttempt"), "app1 app2 app3");
    assert_eq!(sorted_hosts_of(&ran, "ContinueAttempt"), "app1 app2 app3");
    let order: Vec<&str> = ran.change_operations();
    let starts = order.iter().rposition(|name| *name == "StartAttempt").unwrap();
    let confirms = order.iter().position(|name| *name == "ContinueAttempt").unwrap();
    assert!(starts < confirms, "{order:?}");
}

#[test]
fn batch_changes_several_servers_at_the_same_time() {
    let ran = Fleet::new("[]").with_lines("      batch: 2\n").run();
    assert_eq!(outcome(&ran), "deployed  2 2 2", "{}", sentences(&ran.report));
    let polls_between = |first: usize, second: usize| {
        let starts: Vec<usize> =
            (0..ran.calls.len()).filter(|at| ran.calls[*at].operation == "StartAttempt").collect();
        ran.calls[starts[first]..starts[second]]
            .iter()
            .filter(|call| call.operation == "DescribeAttempt")
            .count()
    };
    assert_eq!(polls_between(0, 1), 0, "the first two start together");
    assert!(polls_between(1, 2) > 0, "the third one waits for them");
}

#[test]
fn failure_on_the_second_server_takes_back_the_first_and_leaves_the_third() {
    let ran = Fleet::with_settings("[]", &[("app2", "breaks-new-containers: true,")]).run();
    assert_eq!(outcome(&ran), "failed health-check-failed 1 1 1", "{}", sentences(&ran.report));
    assert_eq!(hosts_of(&ran, "StartAttempt"), "app1 app2");
    assert_eq!(hosts_of(&ran, "AbortAttempt"), "app1");
    let failure = ran.report.services[0].failure.as_ref().unwrap();
    assert_eq!(failure.problem.sentence, "On `app2`: The health check of the new container fails.");
    assert_eq!(ran.report.services[0].serving_version.as_ref().unwrap().label, "web:0");
}

#[test]
fn lost_run_leaves_every_server_on_the_release_before() {
    for seconds in [5, 25, 45] {
        run_in_virtual_time(async {
            let fleet = Fleet::new("[]");
            let stage = fleet.test_run.set_up();
            let lost = tokio::time::timeout(Duration::from_secs(seconds), stage.run()).await;
            assert!(lost.is_err(), "{seconds}");
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(running(&stage.cloud), "1 1 1", "{seconds}");
        });
    }
}

#[test]
fn next_run_takes_up_the_rollout_of_a_lost_one() {
    run_in_virtual_time(async {
        let fleet = Fleet::new("[]");
        let stage = fleet.test_run.set_up();
        assert!(tokio::time::timeout(Duration::from_secs(25), stage.run()).await.is_err());
        let report = stage.run_again().await;
        assert_eq!(
            (report.outcome, running(&stage.cloud)),
            (Outcome::Deployed, "2 2 2".into()),
            "{}",
            sentences(&report)
        );
        let calls = stage.cloud.calls();
        assert_eq!(calls.iter().filter(|call| call.operation == "StartAttempt").count(), 3);
    });
}

#[test]
fn cancelled_run_takes_back_the_servers_that_have_the_release() {
    run_in_virtual_time(async {
        let fleet = Fleet::new("[]");
        let stage = fleet.test_run.set_up();
        let cancel = fleet.test_run.cancel.clone();
        let cancelling = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            cancel.set(CancelLevel::Cancel);
        };
        let (report, ()) = tokio::join!(stage.run(), cancelling);
        assert_eq!(report.outcome, Outcome::Cancelled, "{}", sentences(&report));
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(running(&stage.cloud), "1 1 1");
    });
}

#[test]
fn canary_has_the_same_weight_on_all_servers() {
    let ran = Fleet::new("[]")
        .with_lines(PROXY)
        .with_lines("    strategy: { canary: { percent: 10, bake: 1m } }\n")
        .run();
    assert_eq!(outcome(&ran), "deployed  2 2 2", "{}", sentences(&ran.report));
    assert_eq!(sorted_hosts_of(&ran, "StartAttempt"), "app1 app2 app3");
    let broken = Fleet::with_settings("[]", &[("app3", "breaks-new-containers: true,")]);
    let ran = broken.with_lines(PROXY).with_lines("    strategy: blue-green\n").run();
    assert_eq!(outcome(&ran), "failed health-check-failed 1 1 1", "{}", sentences(&ran.report));
}

#[test]
fn problems_of_all_servers_are_told_before_any_change() {
    let ran = Fleet::with_settings("[]", &[("app1", "docker: '',"), ("app3", "free-mb: 50,")]).run();
    assert_eq!(
        (outcome(&ran).as_str(), ran.change_operations().len()),
        ("invalid host-unsuitable host-unsuitable 1 1 1", 0),
        "{}",
        sentences(&ran.report)
    );
    for host in ["deploy@app1", "deploy@app3"] {
        assert!(sentences(&ran.report).contains(host), "{}", sentences(&ran.report));
    }
}

#[test]
fn servers_that_differ_are_found_and_get_the_same_release_again() {
    run_in_virtual_time(async {
        let fleet = Fleet::new("[]");
        let mut stage = fleet.test_run.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        assert_eq!(again(&mut stage, operation("verify")).await.outcome, Outcome::Verified);
        // Somebody brings the image before back by hand.
        stage.cloud.change(|world, _| {
            let service = world.compose.service_mut("app2", "/srv/shop", "web").unwrap();
            service.serving = Some(0);
            service.containers[0].image = OLD.into();
        });
        let verified = again(&mut stage, operation("verify")).await;
        assert_eq!(verified.outcome, Outcome::Failed, "{}", sentences(&verified));
        let inputs = RawInputs { image: Some(NEW.into()), ..RawInputs::default() };
        let deployed = again(&mut stage, inputs).await;
        assert_eq!(
            (deployed.outcome, running(&stage.cloud)),
            (Outcome::Deployed, "2 2 2".into()),
            "{}",
            sentences(&deployed)
        );
    });
}

#[test]
fn rollback_returns_on_all_servers() {
    run_in_virtual_time(async {
        let fleet = Fleet::new("[]");
        let mut stage = fleet.test_run.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let back = again(&mut stage, operation("rollback")).await;
        assert_eq!(
            (back.outcome, running(&stage.cloud)),
            (Outcome::RolledBack, "1 1 1".into()),
            "{}",
            sentences(&back)
        );
    });
}

#[test]
fn lost_answers_start_nothing_twice() {
    for operation in ["StartAttempt", "StageRelease", "ContinueAttempt", "DescribeAttempt"] {
        let ran = Fleet::new(&format!("[response-lost: {{ operation: {operation}, times: 2 }}]")).run();
        assert_eq!(outcome(&ran), "deployed  2 2 2", "{operation}: {}", sentences(&ran.report));
        let attempts = HOSTS.map(|host| {
            ran.cloud.change(|world, _| {
                world.compose.service_mut(host, "/srv/shop", "web").unwrap().attempts.len()
            })
        });
        assert_eq!(attempts, [1, 1, 1], "{operation}");
    }
}

#[test]
fn server_that_cannot_be_reached_stops_the_run_before_any_change() {
    run_in_virtual_time(async {
        let fleet = Fleet::new("[]");
        let stage = fleet.test_run.set_up();
        stage.cloud.change(|world, _| world.compose.remove_host("app3"));
        let report = stage.run().await;
        assert!(sentences(&report).contains("app3"), "{}", sentences(&report));
        assert_eq!(stage.collect_result(report).change_operations().len(), 0);
    });
}

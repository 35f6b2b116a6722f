//! Whole canaries on the embedded cloud: judged by the counts of its load balancer, in virtual time.

use crate::support::{CONFIG, Ran, Trial, virtually};
use roadstead::release::Outcome;
use roadstead::report::summary::summary;

const JUDGED: &str = "{ canary: { percent: 10, bake: 15m, final-bake: 1m, metrics: [5xx] } }";

fn run_with(scenario: &str, strategy: &str) -> Ran {
    let mut trial = Trial::named(scenario);
    trial.config = format!("{CONFIG}    strategy: {strategy}\n");
    trial.inputs.timeout = Some("90m".into());
    trial.run()
}

fn run(scenario: &str) -> Ran {
    run_with(scenario, JUDGED)
}

fn end(ran: &Ran) -> (Outcome, u8, Option<&'static str>) {
    let failure = ran.report.services.first().and_then(|service| service.failure.as_ref());
    (ran.report.outcome, ran.report.outcome.exit_code(), failure.map(|failure| failure.problem.code.name()))
}

fn serves(ran: &Ran) -> String {
    ran.cloud.serving("acme", "backend").unwrap().whole().unwrap().rsplit('/').next().unwrap().to_owned()
}

#[test]
fn a_canary_as_good_as_the_old_version_is_promoted() {
    for scenario in ["canary-healthy", "canary-warm-up"] {
        let ran = run(scenario);
        assert_eq!(end(&ran), (Outcome::Deployed, 0, None), "{scenario}: {:#?}", ran.lines);
        assert_eq!(serves(&ran), "backend:2");
        assert!(ran.report.took().as_secs() >= 15 * 60);
        assert_eq!(ran.codes(), Vec::<&str>::new());
    }
}

#[test]
fn a_worse_canary_is_rolled_back_with_its_numbers() {
    for (scenario, metrics) in [
        ("canary-5xx", "[5xx]"),
        ("canary-slow", "[5xx, latency: { over-ms: 300 }]"),
        ("canary-total-failure", "[5xx]"),
    ] {
        let strategy = format!(
            "{{ canary: {{ bake: 15m, final-bake: 1m, metrics: {} }} }}",
            metrics.replace("latency: { over-ms: 300 }", "{ latency: { over-ms: 300 } }")
        );
        let ran = run_with(scenario, &strategy);
        assert_eq!(end(&ran).0, Outcome::Failed, "{scenario}: {:#?}", ran.lines);
        assert_eq!(end(&ran).2, Some("canary-failed"), "{scenario}");
        assert_eq!(serves(&ran), "backend:1");
        let cause = ran.report.services[0].failure.as_ref().unwrap().problem.cause.clone().unwrap();
        assert!(cause.chars().any(|c| c.is_ascii_digit()), "{cause}");
        let shown = summary(&ran.report);
        assert!(shown.contains("Verdict FAIL") && shown.contains("share of traffic"), "{shown}");
    }
}

#[test]
fn without_counts_nothing_is_promoted() {
    for scenario in ["canary-no-metrics", "canary-partial-metrics", "canary-idle"] {
        let ran = run(scenario);
        assert_eq!(
            end(&ran),
            (Outcome::Inconclusive, 6, Some("inconclusive")),
            "{scenario}: {:#?}",
            ran.lines
        );
        assert_eq!(serves(&ran), "backend:1", "{scenario}");
    }
}

#[test]
fn metrics_that_may_not_be_read_are_missed_before_any_change() {
    let ran = run("canary-forbidden-metrics");
    assert_eq!(end(&ran).0, Outcome::Invalid, "{:#?}", ran.lines);
    assert_eq!((ran.codes(), ran.changes()), (vec!["permission-missing"], Vec::<&str>::new()));
}

#[test]
fn the_traffic_of_the_last_hour_says_how_long_a_pass_takes() {
    let mut trial = Trial::named("canary-idle");
    trial.config = format!("{CONFIG}    strategy: {JUDGED}\n");
    trial.inputs.operation = Some("plan".into());
    let (report, lines) = virtually(async {
        let mut stage = trial.stage();
        let hour = std::time::Duration::from_secs(3700);
        tokio::time::sleep(hour).await;
        stage.start += hour;
        (stage.run().await, stage.lines.borrow().join("\n"))
    });
    assert_eq!(report.outcome, Outcome::Planned, "{lines}");
    assert!(lines.contains("requests a minute; with 10 % of them a PASS needs about"), "{lines}");
    assert!(summary(&report).contains("it is watched for 30m at most"));
}

#[test]
fn counts_of_the_wrong_version_are_not_believed() {
    let ran = run("canary-swapped-metrics");
    assert_eq!(end(&ran).0, Outcome::Inconclusive, "{:#?}", ran.lines);
    assert_eq!(serves(&ran), "backend:1");
}

#[test]
fn late_counts_are_waited_for() {
    let ran = run("canary-late-metrics");
    assert_eq!(end(&ran).0, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(serves(&ran), "backend:2");
}

#[test]
fn an_outage_that_both_versions_have_is_not_the_canarys() {
    let ran = run("canary-shared-outage");
    assert!(!ran.codes().contains(&"canary-failed"), "{:#?}", ran.lines);
}

#[test]
fn an_inconclusive_canary_goes_on_only_where_that_is_asked_for_and_then_it_is_said() {
    let ran = run_with(
        "canary-no-metrics",
        "{ canary: { bake: 10m, final-bake: 1m, metrics: [5xx], analysis: { on-inconclusive: promote } } }",
    );
    assert_eq!(end(&ran), (Outcome::Deployed, 0, None), "{:#?}", ran.lines);
    assert_eq!(ran.codes(), ["inconclusive"]);
}

#[test]
fn health_stops_a_canary_before_the_judge_does() {
    let ran = run("canary-alarm");
    assert_eq!(end(&ran).0, Outcome::Failed, "{:#?}", ran.lines);
    assert_ne!(end(&ran).2, Some("canary-failed"));
    assert_eq!(serves(&ran), "backend:1");
}

#[test]
fn bakes_that_do_not_fit_are_refused_before_any_change() {
    let mut trial = Trial::named("canary-healthy");
    trial.config = format!("{CONFIG}    strategy: {JUDGED}\n");
    trial.inputs.timeout = Some("20m".into());
    let ran = trial.run();
    assert_eq!((ran.report.outcome, ran.codes()), (Outcome::Invalid, vec!["input-invalid"]));
    assert_eq!(ran.changes(), Vec::<&str>::new());
}

#[test]
fn the_test_listener_is_asked_before_any_production_traffic_moves() {
    let strategy =
        "{ blue-green: { bake: 1m, test: [{ http: \"https://shop.example:8443/health\", within: 20s }] } }";
    let good = run_with("blue-green", strategy);
    assert_eq!(end(&good), (Outcome::Deployed, 0, None), "{:#?}", good.lines);
    let bad = run_with("canary-total-failure", strategy);
    assert_eq!(end(&bad), (Outcome::Failed, 3, Some("check-failed")), "{:#?}", bad.lines);
    assert_eq!(serves(&bad), "backend:1");
}

#[test]
fn probes_judge_where_there_is_too_little_traffic() {
    let strategy = "{ canary: { bake: 15m, final-bake: 1m, metrics: [{ probe: { canary: \"https://x.example:8443/\", baseline: \"https://x.example/\", per-minute: 60 } }] } }";
    let good = run_with("canary-idle", strategy);
    assert_eq!(end(&good).0, Outcome::Deployed, "{:#?}", good.lines);
    let bad = run_with("canary-5xx", strategy);
    assert_eq!(end(&bad), (Outcome::Failed, 3, Some("canary-failed")), "{:#?}", bad.lines);
}

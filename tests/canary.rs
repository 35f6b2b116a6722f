//! Whole canaries on the emulator: judged by the counts of its load balancer, in virtual time.

use crate::support::{CONFIG, RunResult, TestRun, run_in_virtual_time};
use roadstead::release::Outcome;
use roadstead::report::summary::summary;

const CANARY_WITH_METRICS: &str = "{ canary: { percent: 10, bake: 15m, final-bake: 1m, metrics: [5xx] } }";

fn run_with(scenario: &str, strategy: &str) -> RunResult {
    let mut trial = TestRun::builtin(scenario);
    trial.config = format!("{CONFIG}    strategy: {strategy}\n");
    trial.inputs.timeout = Some("90m".into());
    trial.run()
}

fn run(scenario: &str) -> RunResult {
    run_with(scenario, CANARY_WITH_METRICS)
}

fn outcome_and_weight(ran: &RunResult) -> (Outcome, u8, Option<&'static str>) {
    let failure = ran.report.services.first().and_then(|service| service.failure.as_ref());
    (ran.report.outcome, ran.report.outcome.exit_code(), failure.map(|failure| failure.problem.code.name()))
}

fn serving_version(ran: &RunResult) -> String {
    ran.cloud
        .serving_state("acme", "backend")
        .unwrap()
        .only_version()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn a_canary_as_good_as_the_old_version_is_promoted() {
    for scenario in ["canary-healthy", "canary-warm-up"] {
        let ran = run(scenario);
        assert_eq!(outcome_and_weight(&ran), (Outcome::Deployed, 0, None), "{scenario}: {:#?}", ran.lines);
        assert_eq!(serving_version(&ran), "backend:2");
        assert!(ran.report.elapsed().as_secs() >= 15 * 60);
        assert_eq!(ran.problem_codes(), Vec::<&str>::new());
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
        assert_eq!(outcome_and_weight(&ran).0, Outcome::Failed, "{scenario}: {:#?}", ran.lines);
        assert_eq!(outcome_and_weight(&ran).2, Some("canary-failed"), "{scenario}");
        assert_eq!(serving_version(&ran), "backend:1");
        let cause = ran.report.services[0].failure.as_ref().unwrap().problem.cause.clone().unwrap();
        assert!(cause.chars().any(|c| c.is_ascii_digit()), "{cause}");
        let shown = summary(&ran.report);
        assert!(shown.contains("Verdict FAIL") && shown.contains("traffic weight"), "{shown}");
    }
}

#[test]
fn canary_without_metrics_is_not_promoted() {
    for scenario in ["canary-no-metrics", "canary-partial-metrics", "canary-idle"] {
        let ran = run(scenario);
        assert_eq!(
            outcome_and_weight(&ran),
            (Outcome::Inconclusive, 6, Some("inconclusive")),
            "{scenario}: {:#?}",
            ran.lines
        );
        assert_eq!(serving_version(&ran), "backend:1", "{scenario}");
    }
}

#[test]
fn missing_metric_permission_is_reported_before_any_change() {
    let ran = run("canary-forbidden-metrics");
    assert_eq!(outcome_and_weight(&ran).0, Outcome::Invalid, "{:#?}", ran.lines);
    assert_eq!(
        (ran.problem_codes(), ran.change_operations()),
        (vec!["permission-missing"], Vec::<&str>::new())
    );
}

#[test]
fn recent_traffic_forecasts_analysis_time() {
    let mut trial = TestRun::builtin("canary-idle");
    trial.config = format!("{CONFIG}    strategy: {CANARY_WITH_METRICS}\n");
    trial.inputs.operation = Some("plan".into());
    let (report, lines) = run_in_virtual_time(async {
        let mut stage = trial.set_up();
        let hour = std::time::Duration::from_secs(3700);
        tokio::time::sleep(hour).await;
        stage.start += hour;
        (stage.run().await, stage.lines.borrow().join("\n"))
    });
    assert_eq!(report.outcome, Outcome::Planned, "{lines}");
    assert!(lines.contains("requests per minute; with 10 % of them a PASS needs about"), "{lines}");
    assert!(summary(&report).contains("it is watched for 30m at most"));
}

#[test]
fn mislabelled_metrics_are_not_used() {
    let ran = run("canary-swapped-metrics");
    assert_eq!(outcome_and_weight(&ran).0, Outcome::Inconclusive, "{:#?}", ran.lines);
    assert_eq!(serving_version(&ran), "backend:1");
}

#[test]
fn late_metrics_are_awaited() {
    let ran = run("canary-late-metrics");
    assert_eq!(outcome_and_weight(&ran).0, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(serving_version(&ran), "backend:2");
}

#[test]
fn shared_outage_does_not_fail_the_canary() {
    let ran = run("canary-shared-outage");
    assert!(!ran.problem_codes().contains(&"canary-failed"), "{:#?}", ran.lines);
}

#[test]
fn inconclusive_canary_is_promoted_only_if_configured_and_warns() {
    let ran = run_with(
        "canary-no-metrics",
        "{ canary: { bake: 10m, final-bake: 1m, metrics: [5xx], analysis: { on-inconclusive: promote } } }",
    );
    assert_eq!(outcome_and_weight(&ran), (Outcome::Deployed, 0, None), "{:#?}", ran.lines);
    assert_eq!(ran.problem_codes(), ["inconclusive"]);
}

#[test]
fn unhealthy_canary_fails_before_analysis() {
    let ran = run("canary-alarm");
    assert_eq!(outcome_and_weight(&ran).0, Outcome::Failed, "{:#?}", ran.lines);
    assert_ne!(outcome_and_weight(&ran).2, Some("canary-failed"));
    assert_eq!(serving_version(&ran), "backend:1");
}

#[test]
fn bake_longer_than_timeout_is_rejected_before_any_change() {
    let mut trial = TestRun::builtin("canary-healthy");
    trial.config = format!("{CONFIG}    strategy: {CANARY_WITH_METRICS}\n");
    trial.inputs.timeout = Some("20m".into());
    let ran = trial.run();
    assert_eq!((ran.report.outcome, ran.problem_codes()), (Outcome::Invalid, vec!["input-invalid"]));
    assert_eq!(ran.change_operations(), Vec::<&str>::new());
}

#[test]
fn test_listener_is_checked_before_any_production_shift() {
    let strategy =
        "{ blue-green: { bake: 1m, test: [{ http: \"https://shop.example:8443/health\", within: 20s }] } }";
    let good = run_with("blue-green", strategy);
    assert_eq!(outcome_and_weight(&good), (Outcome::Deployed, 0, None), "{:#?}", good.lines);
    let bad = run_with("canary-total-failure", strategy);
    assert_eq!(outcome_and_weight(&bad), (Outcome::Failed, 3, Some("check-failed")), "{:#?}", bad.lines);
    assert_eq!(serving_version(&bad), "backend:1");
}

#[test]
fn probes_are_analyzed_where_traffic_is_too_low() {
    let strategy = "{ canary: { bake: 15m, final-bake: 1m, metrics: [{ probe: { canary: \"https://x.example:8443/\", baseline: \"https://x.example/\", per-minute: 60 } }] } }";
    let good = run_with("canary-idle", strategy);
    assert_eq!(outcome_and_weight(&good).0, Outcome::Deployed, "{:#?}", good.lines);
    let bad = run_with("canary-5xx", strategy);
    assert_eq!(outcome_and_weight(&bad), (Outcome::Failed, 3, Some("canary-failed")), "{:#?}", bad.lines);
}

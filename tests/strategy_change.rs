//! The strategy in the deploy file is another one when the next run finds what a dead one began.

use std::time::Duration;

use crate::support::{CONFIG, RunHarness, TestRun, run_in_virtual_time};
use roadstead::release::Outcome;
use roadstead::report::RunReport;
use roadstead_cloud::cloud::Cloud;

const RULE: &str = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener-rule/app/web/0123456789abcdef/fedcba9876543210/1";

const STRATEGIES: [&str; 7] = [
    "rolling",
    "{ rolling: { bake: 1m } }",
    "{ blue-green: { bake: 1m } }",
    "{ linear: { step: 50, bake: 1m, final-bake: 1m } }",
    "{ canary: { percent: 10, bake: 2m, final-bake: 1m } }",
    "{ canary: { percent: 20, bake: 2m, final-bake: 1m } }",
    "{ canary: { percent: 10, bake: 20m, final-bake: 1m } }",
];

fn config(strategy: &str, pair: bool) -> String {
    let both = format!("container: app, pair: {{ service: backend-green, rule: \"{RULE}\" }} }}");
    let base = if pair { CONFIG.replace("container: app }", &both) } else { CONFIG.to_owned() };
    format!("{base}    strategy: {strategy}\n")
}

/// The services' own settings: what is ours on them is gone in the end.
fn deployment_settings(cloud: &Cloud) -> Vec<serde_json::Value> {
    let services = ["backend", "backend-green"].iter();
    let found = services.filter_map(|name| cloud.serving_state("acme", name));
    found
        .map(|serving| {
            let mut settings = serving.configuration;
            settings.as_object_mut().unwrap().retain(|_, value| *value != serde_json::json!([]));
            settings
        })
        .collect()
}

/// A run by one strategy that is killed after this number of seconds, and one by another half a minute later.
async fn run_with_changed_strategy(
    first: &str,
    then: &str,
    dies: u64,
    pair: bool,
) -> (RunReport, RunHarness, Vec<serde_json::Value>) {
    let trial = TestRun { config: config(first, pair), ..TestRun::builtin("canary-healthy") };
    let mut stage = trial.set_up();
    let before = deployment_settings(&stage.cloud);
    tokio::select! {
        _ = stage.run() => {}
        () = tokio::time::sleep(Duration::from_secs(dies)) => {}
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    stage.rehearsal.config.1 = config(then, pair);
    stage.start = jiff::Timestamp::from_microsecond((stage.cloud.now() * 1e6) as i64).unwrap();
    (stage.run().await, stage, before)
}

/// Whatever the two are and wherever the first run died, the second does not wait in vain: it brings the version in by
/// the strategy of its own deploy file, and leaves nothing behind. Each ninth case; `EVERY=1` plays them all.
fn assert_every_change_is_deployed(pair: bool) {
    let moments = [30, 75, 150, 215].into_iter();
    let all = moments.flat_map(|dies| {
        STRATEGIES.iter().flat_map(move |first| STRATEGIES.map(|then| (dies, *first, then)))
    });
    let every = std::env::var("EVERY").ok().and_then(|text| text.parse().ok()).unwrap_or(9);
    for (dies, first, then) in all.step_by(every) {
        let tale = format!("{first}, dead after {dies} s, then {then}");
        run_in_virtual_time(async {
            let (report, stage, before) = run_with_changed_strategy(first, then, dies, pair).await;
            let lines = stage.lines.borrow().join("\n");
            let fine = matches!(report.outcome, Outcome::Deployed | Outcome::Unchanged);
            assert!(fine, "{tale}: {lines}");
            let most = if then.contains("20m") { 1_900 } else { 600 };
            assert!(report.elapsed() < Duration::from_secs(most), "{tale}: {:?} {lines}", report.elapsed());
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert_eq!(deployment_settings(&stage.cloud), before, "{tale}: {lines}");
            let serves = |name: &str| {
                let serving = stage.cloud.serving_state("acme", name);
                serving.is_some_and(|it| it.only_version().is_some_and(|arn| arn.ends_with("/backend:2")))
            };
            assert!(["backend-green", "backend"].iter().any(|name| serves(name)), "{tale}: {lines}");
        });
    }
}

#[test]
fn single_service_resumes_with_every_changed_strategy() {
    assert_every_change_is_deployed(false);
}

#[test]
fn pair_resumes_with_every_changed_strategy() {
    assert_every_change_is_deployed(true);
}

#[test]
fn restarted_rollout_is_reported() {
    let (first, then) = (STRATEGIES[4], STRATEGIES[3]);
    for (pair, how) in [
        (false, "in progress as canary 10 % with a final bake of 1m;"),
        (true, "in progress as a shift with backend 90 and"),
    ] {
        let lines = run_in_virtual_time(async {
            let (_, stage, _) = run_with_changed_strategy(first, then, 150, pair).await;
            stage.lines.borrow().join("\n")
        });
        assert!(lines.contains(how) && lines.contains("it is rolled back and started again"), "{lines}");
    }
}

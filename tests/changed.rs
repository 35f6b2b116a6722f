//! The strategy in the deploy file is another one when the next run finds what a dead one began.

use std::time::Duration;

use crate::support::{CONFIG, Stage, Trial, virtually};
use roadstead::rehearsal::cloud::Cloud;
use roadstead::release::Outcome;
use roadstead::report::RunReport;

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
fn settings(cloud: &Cloud) -> Vec<serde_json::Value> {
    let services = ["backend", "backend-green"].iter();
    let found = services.filter_map(|name| cloud.serving("acme", name));
    found
        .map(|serving| {
            let mut settings = serving.configuration;
            settings.as_object_mut().unwrap().retain(|_, value| *value != serde_json::json!([]));
            settings
        })
        .collect()
}

/// A run by one strategy that dies after so many seconds, and one by another half a minute later.
async fn changed(
    first: &str,
    then: &str,
    dies: u64,
    pair: bool,
) -> (RunReport, Stage, Vec<serde_json::Value>) {
    let trial = Trial { config: config(first, pair), ..Trial::named("canary-healthy") };
    let mut stage = trial.stage();
    let before = settings(&stage.cloud);
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
fn every_change_ends_well(pair: bool) {
    let moments = [30, 75, 150, 215].into_iter();
    let all = moments.flat_map(|dies| {
        STRATEGIES.iter().flat_map(move |first| STRATEGIES.map(|then| (dies, *first, then)))
    });
    let every = std::env::var("EVERY").ok().and_then(|text| text.parse().ok()).unwrap_or(9);
    for (dies, first, then) in all.step_by(every) {
        let tale = format!("{first}, dead after {dies} s, then {then}");
        virtually(async {
            let (report, stage, before) = changed(first, then, dies, pair).await;
            let lines = stage.lines.borrow().join("\n");
            let fine = matches!(report.outcome, Outcome::Deployed | Outcome::Unchanged);
            assert!(fine, "{tale}: {lines}");
            let most = if then.contains("20m") { 1_900 } else { 600 };
            assert!(report.took() < Duration::from_secs(most), "{tale}: {:?} {lines}", report.took());
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert_eq!(settings(&stage.cloud), before, "{tale}: {lines}");
            let serves = |name: &str| {
                let serving = stage.cloud.serving("acme", name);
                serving.is_some_and(|it| it.whole().is_some_and(|arn| arn.ends_with("/backend:2")))
            };
            assert!(["backend-green", "backend"].iter().any(|name| serves(name)), "{tale}: {lines}");
        });
    }
}

#[test]
fn a_service_alone_takes_every_change_of_strategy() {
    every_change_ends_well(false);
}

#[test]
fn a_pair_takes_every_change_of_strategy() {
    every_change_ends_well(true);
}

#[test]
fn a_movement_that_is_started_over_is_said() {
    let (first, then) = (STRATEGIES[4], STRATEGIES[3]);
    for (pair, how) in [
        (false, "under way as canary 10 % with a last bake of 1m;"),
        (true, "under way as a shift with backend 90 and"),
    ] {
        let lines = virtually(async {
            let (_, stage, _) = changed(first, then, 150, pair).await;
            stage.lines.borrow().join("\n")
        });
        assert!(lines.contains(how) && lines.contains("it is taken back and started over"), "{lines}");
    }
}

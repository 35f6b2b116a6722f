//! The model of a server by itself: requests in, lines out, as time passes.

use crate::cloud::Cloud;
use crate::request::Delivery;
use crate::scenario::Scenario;

const IMAGE: &str =
    "ghcr.io/acme/shop@sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn scenario(faults: &str) -> Scenario {
    let text = format!(
        "compose: [{{ name: app1, services: [{{ directory: /srv/shop, name: web, image: '{IMAGE}' }}] }}]\nfaults: {faults}\n"
    );
    Scenario::parse(&text).unwrap()
}

fn script(words: &[(&str, &str)]) -> String {
    let base = [
        ("rs_directory", "/srv/shop"),
        ("rs_service", "web"),
        ("rs_project", "shop"),
        ("rs_settle", "10"),
        ("rs_drain", "3"),
    ];
    let all = base.iter().chain(words).map(|(name, value)| format!("{name}='{value}'\n"));
    format!("{}# --- program ---\nexit 1\n", all.collect::<String>())
}

async fn ask(cloud: &Cloud, operation: &str, words: &[(&str, &str)]) -> Vec<String> {
    match cloud.handle(super::call(operation, "app1", &script(words))).await {
        Delivery::Reply(Ok(answer)) => super::read_answer(&answer).0,
        other => panic!("{other:?}"),
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

async fn state_after(cloud: &Cloud, seconds: u64) -> String {
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
    let lines = ask(cloud, "DescribeAttempt", &[("rs_attempt", "1")]).await;
    let attempt = lines.iter().find_map(|line| line.strip_prefix("attempt ")).unwrap().to_owned();
    let containers = lines.iter().filter(|line| line.starts_with("container ")).count();
    format!("{attempt} | {containers}")
}

const NEW: [(&str, &str); 3] = [
    ("rs_release", "1"),
    (
        "rs_facts",
        "ghcr.io/acme/shop@sha256:2222222222222222222222222222222222222222222222222222222222222222 f none none",
    ),
    ("rs_adopt", "yes"),
];

fn start_words<'w>(extra: &[(&'w str, &'w str)]) -> Vec<(&'w str, &'w str)> {
    let base = [
        ("rs_release", "1"),
        ("rs_attempt", "1"),
        ("rs_owner", "run-1"),
        ("rs_weights", "100"),
        ("rs_start_limit", "120"),
    ];
    base.into_iter().chain(extra.iter().copied()).collect()
}

#[test]
fn release_is_adopted_staged_started_and_completed() {
    run(async {
        let cloud = Cloud::new(scenario("[]"), 1);
        assert_eq!(ask(&cloud, "StageRelease", &NEW).await, ["staged"]);
        assert_eq!(ask(&cloud, "StageRelease", &NEW).await, ["staged"]);
        assert_eq!(ask(&cloud, "StartAttempt", &start_words(&[])).await, ["started 1"]);
        assert_eq!(
            ask(&cloud, "StartAttempt", &start_words(&[])).await[0],
            "attempt 1 alive run-1 1 0 starting"
        );
        assert_eq!(state_after(&cloud, 6).await, "1 alive run-1 1 0 settling | 1");
        assert_eq!(state_after(&cloud, 12).await, "1 dead run-1 1 0 complete | 1");
        let lines = ask(&cloud, "DescribeHost", &[]).await;
        assert!(lines.contains(&"serving 1".to_owned()), "{lines:?}");
    });
}

#[test]
fn attempt_that_nobody_continues_goes_back_by_itself() {
    run(async {
        let cloud = Cloud::new(scenario("[]"), 1);
        ask(&cloud, "StageRelease", &NEW).await;
        let plan = start_words(&[
            ("rs_weights", "0 10 100"),
            ("rs_pause_limit", "60"),
            ("rs_proxy_container", "edge"),
        ]);
        ask(&cloud, "StartAttempt", &plan).await;
        assert_eq!(state_after(&cloud, 10).await, "1 alive run-1 1 0 paused 0 | 2");
        ask(&cloud, "ContinueAttempt", &[("rs_attempt", "1"), ("rs_weight", "10")]).await;
        assert_eq!(state_after(&cloud, 10).await, "1 alive run-1 1 0 paused 10 | 2");
        assert_eq!(state_after(&cloud, 70).await, "1 dead run-1 1 0 rolled-back not-continued | 1");
    });
}

#[test]
fn container_that_crashes_is_replaced_by_the_one_before() {
    run(async {
        let cloud = Cloud::new(scenario("[crash-on-start: { exit-code: 3 }]"), 1);
        ask(&cloud, "StageRelease", &NEW).await;
        ask(&cloud, "StartAttempt", &start_words(&[])).await;
        assert_eq!(state_after(&cloud, 30).await, "1 dead run-1 1 0 rolled-back exited | 1");
        let lines = ask(&cloud, "DescribeAttempt", &[("rs_attempt", "1")]).await;
        assert!(
            lines.contains(&"failure-exit 3 false".to_owned())
                && lines
                    .contains(&format!("container {:064x} running healthy 0 0 false {IMAGE}, shop-web-1", 3)),
            "{lines:?}"
        );
    });
}

#[test]
fn killed_attempt_keeps_its_state_and_frees_the_lock() {
    run(async {
        let cloud = Cloud::new(scenario("[compose-killed: { at: 4 }]"), 1);
        ask(&cloud, "StageRelease", &NEW).await;
        ask(&cloud, "StartAttempt", &start_words(&[])).await;
        assert_eq!(state_after(&cloud, 60).await, "1 dead run-1 1 0 starting | 1");
        let again =
            [("rs_release", "0"), ("rs_attempt", "2"), ("rs_owner", "run-1-back"), ("rs_weights", "100")];
        assert_eq!(ask(&cloud, "StartAttempt", &again).await, ["started 2"]);
        assert_eq!(state_after(&cloud, 1).await, "1 dead run-1 1 0 lost starting | 1");
    });
}

/// A situation of tests/external/compose/situations.json, with the states that a real server goes through in it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Situation {
    version: Option<String>,
    #[serde(default)]
    first: bool,
    #[serde(default)]
    proxy: bool,
    weights: Option<String>,
    #[serde(default)]
    confirm: bool,
    #[serde(default, rename = "continue")]
    continued: Vec<u8>,
    abort: Option<String>,
    states: Vec<String>,
}

impl Situation {
    fn cloud(&self) -> Cloud {
        let faults = match self.version.as_deref() {
            Some("unhealthy") => "[failing-health-check: {}]",
            Some("crashing") => "[crash-on-start: { exit-code: 3 }]",
            _ => "[]",
        };
        let nothing_runs = format!("compose: [{{ name: app1 }}]\nfaults: {faults}\n");
        let first = self.first.then(|| Scenario::parse(&nothing_runs).unwrap());
        Cloud::new(first.unwrap_or_else(|| scenario(faults)), 1)
    }

    async fn walk(&self) -> Vec<String> {
        let cloud = self.cloud();
        ask(&cloud, "StageRelease", &NEW).await;
        let mut words = start_words(&[("rs_pause_limit", "60")]);
        words.extend(self.weights.as_deref().map(|weights| ("rs_weights", weights)));
        words.extend(self.proxy.then_some(("rs_proxy_container", "edge")));
        words.extend(self.confirm.then_some(("rs_confirm", "yes")));
        ask(&cloud, "StartAttempt", &words).await;
        let (mut seen, mut continued) = (Vec::new(), self.continued.iter());
        for _ in 0..1000 {
            let lines = ask(&cloud, "DescribeAttempt", &[("rs_attempt", "1")]).await;
            let attempt = lines.iter().find(|line| line.starts_with("attempt ")).unwrap();
            let state = attempt.splitn(7, ' ').last().unwrap().to_owned();
            if seen.last() != Some(&state) {
                self.react(&cloud, &state, &mut continued).await;
                seen.push(state);
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
        seen
    }

    async fn react(&self, cloud: &Cloud, state: &str, continued: &mut std::slice::Iter<'_, u8>) {
        if self.abort.as_deref() == Some(state) {
            ask(cloud, "AbortAttempt", &[("rs_attempt", "1")]).await;
        }
        let weight = state.starts_with("paused").then(|| continued.next()).flatten();
        if let Some(weight) = weight {
            ask(cloud, "ContinueAttempt", &[("rs_attempt", "1"), ("rs_weight", &weight.to_string())]).await;
        }
    }
}

#[test]
fn model_goes_through_the_states_of_a_real_server() {
    let text = include_str!("../../../../tests/external/compose/situations.json");
    let situations: std::collections::BTreeMap<String, Situation> = serde_json::from_str(text).unwrap();
    run(async {
        for (name, situation) in situations {
            assert_eq!(situation.walk().await, situation.states, "{name}");
        }
    });
}

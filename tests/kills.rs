//! A run is killed at a random moment, its post step runs or is killed too, and the run is started again: in the end one
//! healthy version serves, and nothing is held. `KILLS=n` plays so many seeds, `FROM=k` begins there, and a seed that breaks
//! a law prints the line that replays it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roadstead::sys::clock::Clock;
use roadstead_cloud::cloud::Cloud;
use serde_json::Value;

use crate::support::github::GitHubTestClient;
use crate::support::run_in_virtual_time;
use crate::support::runner::{CONFIG, Runner, StepResult};

/// Unoptimised, a run needs more than the two megabytes that a test has.
const STACK_SIZE: usize = 16 << 20;
/// Longer than ECS waits at a pause hook, and rolls back.
const SETTLE_TIME: Duration = Duration::from_secs(45 * 60);

/// What is deployed, and whether it can become healthy.
#[derive(Debug, Clone, Copy)]
struct Fixture {
    scenario: &'static str,
    strategy: &'static str,
    is_good: bool,
    /// The latest moment of a kill, in seconds: most runs are still in progress then.
    latest_kill: u64,
}

const FIXTURES: [Fixture; 5] = [
    Fixture { scenario: "happy", strategy: "rolling", is_good: true, latest_kill: 70 },
    Fixture { scenario: "happy", strategy: "{ rolling: { bake: 1m } }", is_good: true, latest_kill: 125 },
    Fixture { scenario: "crash-on-start", strategy: "rolling", is_good: false, latest_kill: 45 },
    Fixture {
        scenario: "blue-green",
        strategy: "{ blue-green: { bake: 1m } }",
        is_good: true,
        latest_kill: 180,
    },
    Fixture {
        scenario: "canary-healthy",
        strategy: "{ canary: { percent: 10, bake: 1m, final-bake: 1m } }",
        is_good: true,
        latest_kill: 230,
    },
];

/// What happens to a run, all of it from the seed.
#[derive(Debug)]
struct KillPlan {
    seed: u64,
    fixture: Fixture,
    /// The main step is cancelled after so long, if that is before its end.
    cancelled_after: Option<Duration>,
    /// The main step is killed after so long.
    killed_after: Duration,
    post: PostStep,
    /// So long until the second attempt.
    pause: Duration,
    /// The second attempt is killed too, after so long, and a third one follows.
    killed_again_after: Option<Duration>,
}

/// What becomes of the post step.
#[derive(Debug)]
enum PostStep {
    /// The machine is gone.
    Missing,
    Completed,
    KilledAfter(Duration),
}

impl KillPlan {
    fn from_seed(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let fixture = FIXTURES[dice.usize(..FIXTURES.len())];
        let within = |dice: &mut fastrand::Rng, most: u64| Duration::from_millis(dice.u64(0..most * 1000));
        let killed_after = within(&mut dice, fixture.latest_kill);
        let cancelled_after = dice.bool().then(|| killed_after.saturating_sub(within(&mut dice, 8)));
        let post = match dice.u8(0..10) {
            0..=2 => PostStep::Missing,
            3..=4 => PostStep::KilledAfter(within(&mut dice, 30)),
            _ => PostStep::Completed,
        };
        let pause = within(&mut dice, 200);
        let killed_again_after = (dice.u8(0..4) == 0).then(|| within(&mut dice, fixture.latest_kill));
        Self { seed, fixture, cancelled_after, killed_after, post, pause, killed_again_after }
    }

    /// The runner of an attempt: a machine of its own.
    fn runner(&self, attempt: u32) -> Runner {
        let config = format!("{CONFIG}    strategy: {}\n", self.fixture.strategy);
        Runner::builtin(self.fixture.scenario)
            .with_config(&config)
            .with_seed(self.seed)
            .with_variable("GITHUB_RUN_ATTEMPT", &attempt.to_string())
    }
}

/// The world of a plan.
struct KillHarness {
    cloud: Cloud,
    clock: Clock,
}

impl KillHarness {
    fn clock(&self) -> Clock {
        Clock::starting_at(self.clock.now())
    }

    /// The main step until it is killed; `None` if it was.
    async fn run_main(&self, runner: &Runner, killed_after: Option<Duration>) -> Option<StepResult> {
        let step = Box::pin(runner.run_main_on(&self.cloud, self.clock()));
        tokio::select! {
            step = step => Some(step),
            () = sleep_or_wait(killed_after) => None,
        }
    }

    async fn run_post(&self, runner: &Runner, killed_after: Option<Duration>) {
        let step = Box::pin(runner.run_post_on(&self.cloud, self.clock()));
        tokio::select! {
            _ = step => {}
            () = sleep_or_wait(killed_after) => {}
        }
    }

    fn end_run(&self) {
        self.cloud.end_run("acme/shop", 7, "failure");
    }

    /// What is wrong in the end.
    async fn violations(&self, plan: &KillPlan, last: &StepResult) -> Vec<String> {
        let mut found = Vec::new();
        let outcome = last.output("outcome");
        let expected: &[&str] = if plan.fixture.is_good { &["deployed", "unchanged"] } else { &["failed"] };
        if !expected.contains(&outcome) {
            found.push(format!("the last attempt ended {outcome}: {}", last.annotation_lines()));
        }
        let serving = self.cloud.serving_state("acme", "backend").unwrap();
        let only = serving.only_version().and_then(|arn| arn.rsplit('/').next()).map(str::to_owned);
        if serving.healthy_count() != serving.desired
            || (only.as_deref() == Some("backend:1")) == plan.fixture.is_good
            || only.is_none()
        {
            found.push(format!("not wholly on one healthy version, the right one: {serving:?}"));
        }
        let served = |digest: &str| serving.versions.values().all(|version| version.digests.contains(digest));
        if plan.fixture.is_good && !served(last.output("digest")) {
            found.push(format!("{} was said to serve: {serving:?}", last.output("digest")));
        }
        let path = "/repos/acme/shop/git/matching-refs/roadstead/";
        let leases = GitHubTestClient::new(&self.cloud).call_rest("GET", path, Value::Null).await.body;
        // The lease of a run that has ended is taken over by the next change; a run without a change leaves it.
        if leases != Value::Array(Vec::new()) && last.output("outcome") != "unchanged" {
            found.push(format!("a lease is left: {leases}"));
        }
        found
    }
}

async fn sleep_or_wait(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}

/// How often something happened.
#[derive(Debug, Default)]
struct EventCounts {
    killed: u64,
    killed_twice: u64,
    cancelled: u64,
    post_killed: u64,
}

struct PlanResult {
    violations: Vec<String>,
    counts: EventCounts,
}

fn run_plan(seed: u64) -> PlanResult {
    let plan = KillPlan::from_seed(seed);
    run_in_virtual_time(async move {
        let mut counts = EventCounts::default();
        let mut first = plan.runner(1);
        first.cancel_after = plan.cancelled_after;
        let (cloud, clock) = first.start_cloud();
        let harness = KillHarness { cloud, clock };
        let main = harness.run_main(&first, Some(plan.killed_after)).await;
        counts.killed += u64::from(main.is_none());
        counts.cancelled += u64::from(plan.cancelled_after.is_some());
        match plan.post {
            PostStep::Missing => {}
            PostStep::Completed => harness.run_post(&first, None).await,
            PostStep::KilledAfter(after) => {
                counts.post_killed += 1;
                harness.run_post(&first, Some(after)).await;
            }
        }
        harness.end_run();
        tokio::time::sleep(plan.pause).await;
        let second = harness.run_main(&plan.runner(2), plan.killed_again_after).await;
        harness.end_run();
        let last = match second {
            Some(step) => step,
            None => {
                counts.killed_twice += 1;
                let step = harness.run_main(&plan.runner(3), None).await.unwrap();
                harness.end_run();
                step
            }
        };
        tokio::time::sleep(SETTLE_TIME).await;
        let mut violations = harness.violations(&plan, &last).await;
        if !violations.is_empty() {
            violations.push(format!("{plan:?}\n{}", last.lines.join("\n")));
        }
        PlanResult { violations, counts }
    })
}

fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Plays plans on as many threads as there are processors.
fn run_all(seeds: std::ops::Range<u64>) -> (Vec<String>, EventCounts) {
    let (next, found) = (AtomicU64::new(seeds.start), Mutex::new((Vec::new(), EventCounts::default())));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if !seeds.contains(&seed) {
                    return;
                }
                let PlanResult { violations, counts } = run_plan(seed);
                let mut found = found.lock().unwrap();
                let replay = format!("KILLS=1 FROM={seed} cargo test --test main kills");
                found.0.extend(violations.into_iter().map(|why| format!("{replay}: {why}")));
                found.1.killed += counts.killed;
                found.1.killed_twice += counts.killed_twice;
                found.1.cancelled += counts.cancelled;
                found.1.post_killed += counts.post_killed;
            }
        };
        for _ in 0..threads {
            std::thread::Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, work).unwrap();
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn killed_run_ends_on_one_healthy_version() {
    let (from, count) = (env_number("FROM", 0), env_number("KILLS", 200));
    let (broken, counts) = run_all(from..from + count);
    assert!(broken.is_empty(), "{} laws were broken:\n{}", broken.len(), broken.join("\n"));
    // The laws say nothing where nothing is killed.
    let enough =
        |what: &str, times: u64, least: u64| assert!(times >= count / least, "{what}: {times} of {count}");
    enough("killed", counts.killed, 2);
    enough("killed twice", counts.killed_twice, 12);
    enough("cancelled", counts.cancelled, 4);
    enough("post step killed", counts.post_killed, 12);
}

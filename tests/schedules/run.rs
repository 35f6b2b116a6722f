//! Plays a schedule on the emulator in virtual time: every run as its runner would, each with a key and a token of
//! its own.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use roadstead::sys::clock::Clock;
use roadstead_cloud::call_log::{CallHook, Override};
use roadstead_cloud::cloud::Cloud;
use serde_json::Value;

use super::invariants::{InvariantWatch, RunKey, RunRequest, SERVICE_KEYS, access_key, lease_holder};
use super::plan::{NEWEST_COMMIT, PlannedEnd, PlannedRun, SERVICES, Schedule};
use crate::support::recorded_deployments::full_sha;
use crate::support::run_in_virtual_time;
use crate::support::runner::{Runner, StepResult};

/// What a mutant does to a call.
pub(super) type CallMutation = fn(&CallHook<'_>) -> Option<Override>;

/// In one of so many schedules, others deploy before each run.
const FOREIGN_EVERY: u64 = 4;
/// So many times.
const FOREIGN_DEPLOYMENTS: usize = 130;

const SCENARIO: &str = "github:
  repositories:
    - name: acme/shop
      private: true
      history: [{ id: c1 }, { id: c2 }, { id: c3 }, { id: c4 }, { id: c5 }, { id: c6 }, { id: d6, branch: develop, parent: c6 }]
services: [{ cluster: acme-staging, name: backend }]
# Quick, so that five hundred worlds do not take long.
timings:
  { provision: [1, 2], pull: [2, 4], start: [1, 3], health: [2, 5], settle: [5, 5], deregistration: [3, 3], deprovision: [1, 2], complete: [2, 4] }
";

const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend: { repository: acme/backend, ecs: { cluster: \"acme-${environment}\", service: backend, container: app } }
  web: { repository: acme/web, ecs: { cluster: \"acme-${environment}\", service: web, container: app } }
";

const PROMOTION_CONFIG: &str = "environments:
  staging: { branches: [develop], aws: { region: eu-west-1 } }
  production: { branches: [main], promote-from: staging, aws: { region: eu-west-1 } }
services:
  backend: { repository: acme/backend, ecs: { cluster: \"acme-${environment}\", service: backend, container: app } }
";

/// The runs that come when all others are over: into staging, and into production.
pub(super) const LAST_RUNS: [u64; 2] = [98, 99];
/// Longer than anything that a lost run left goes on.
const SETTLE_TIME: Duration = Duration::from_secs(15 * 60);

/// How often something happened.
#[derive(Debug, Default)]
pub(super) struct EventCounts {
    pub(super) waited: u64,
    pub(super) superseded: u64,
    pub(super) cancelled: u64,
    pub(super) lost_with_lease: u64,
    pub(super) taken_over: u64,
    pub(super) promoted: u64,
}

impl EventCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.waited += other.waited;
        self.superseded += other.superseded;
        self.cancelled += other.cancelled;
        self.lost_with_lease += other.lost_with_lease;
        self.taken_over += other.taken_over;
        self.promoted += other.promoted;
    }
}

/// What came of a schedule.
pub(super) struct ScheduleResult {
    pub(super) violations: Vec<String>,
    pub(super) event_counts: EventCounts,
    /// The log of every run, and all calls that changed something.
    pub(super) log: String,
}

/// The world that the runs share.
struct ScheduleHarness {
    seed: u64,
    is_promotion: bool,
    cloud: Cloud,
    clock: Clock,
    invariant_watch: InvariantWatch,
}

/// How one attempt ended.
struct AttemptResult {
    run_key: RunKey,
    step: Option<StepResult>,
    held_lease: bool,
}

pub(super) fn run_schedule(seed: u64, wire: Option<CallMutation>) -> ScheduleResult {
    run_in_virtual_time(async move {
        let schedule = Schedule::from_seed(seed);
        let (cloud, clock) = schedule_runner(seed, schedule.is_promotion).start_cloud();
        let watch = InvariantWatch::install(&cloud, run_requests(&schedule), wire);
        let stage = Rc::new(ScheduleHarness {
            seed,
            is_promotion: schedule.is_promotion,
            cloud,
            clock,
            invariant_watch: watch,
        });
        let begun = schedule
            .runs
            .iter()
            .cloned()
            .map(|run| tokio::task::spawn_local(Box::pin(run_with_rerun(stage.clone(), run))));
        let begun: Vec<_> = begun.collect();
        let mut ended = Vec::new();
        for run in begun {
            ended.extend(run.await.unwrap());
        }
        tokio::time::sleep(SETTLE_TIME).await;
        for last in last_runs(schedule.is_promotion) {
            ended.extend(Box::pin(run_with_rerun(stage.clone(), last)).await);
        }
        stage.summarize(&schedule, &ended)
    })
}

/// The request of each run.
fn run_requests(schedule: &Schedule) -> BTreeMap<RunKey, RunRequest> {
    let of = |run: &PlannedRun| {
        let promotes = schedule.is_promotion && run.environment == "production";
        let asked = RunRequest { commit: (!promotes).then_some(run.commit), promotes };
        [((run.id, 1), asked), ((run.id, 2), asked)]
    };
    schedule.runs.iter().chain(&last_runs(schedule.is_promotion)).flat_map(of).collect()
}

/// The newest commit comes when all others are over.
fn last_runs(promotion: bool) -> Vec<PlannedRun> {
    let run = |id: u64, environment: &'static str| PlannedRun {
        id,
        commit: NEWEST_COMMIT,
        environment,
        services: if promotion { vec![SERVICES[0]] } else { SERVICES.to_vec() },
        starts_after: Duration::ZERO,
        end: PlannedEnd::Completed,
        reruns_after: None,
    };
    let production = run(LAST_RUNS[1], "production");
    if promotion { vec![run(LAST_RUNS[0], "staging"), production] } else { vec![production] }
}

/// A runner in this world.
fn schedule_runner(seed: u64, promotion: bool) -> Runner {
    Runner::custom(SCENARIO).with_config(if promotion { PROMOTION_CONFIG } else { CONFIG }).with_seed(seed)
}

/// A run and, where it is started again, its second attempt.
async fn run_with_rerun(stage: Rc<ScheduleHarness>, run: PlannedRun) -> Vec<AttemptResult> {
    tokio::time::sleep(run.starts_after).await;
    // Others deploy to the same environment: more than one page of deployments.
    if stage.seed.is_multiple_of(FOREIGN_EVERY) {
        stage.cloud.add_foreign_deployments("acme/shop", run.environment, FOREIGN_DEPLOYMENTS);
    }
    let mut ended = vec![stage.run_attempt(&run, 1, run.end).await];
    if let Some(pause) = run.reruns_after {
        tokio::time::sleep(pause).await;
        ended.push(stage.run_attempt(&run, 2, PlannedEnd::Completed).await);
    }
    ended
}

impl ScheduleHarness {
    fn runner_for(&self, run: &PlannedRun, attempt: u64) -> Runner {
        let branch = if run.environment == "staging" { "develop" } else { "main" };
        schedule_runner(self.seed, self.is_promotion)
            .with_variable("GITHUB_REF", &format!("refs/heads/{branch}"))
            .with_variable("GITHUB_REF_NAME", branch)
            .with_variable("GITHUB_RUN_ID", &run.id.to_string())
            .with_variable("GITHUB_RUN_ATTEMPT", &attempt.to_string())
            .with_variable("GITHUB_SHA", &full_sha(&format!("c{}", run.commit)))
            .with_variable("INPUT_SERVICES", &run.services.join("\n"))
            .with_variable("INPUT_GITHUB-TOKEN", &format!("ghs_{}_{attempt}", run.id))
            .with_variable("AWS_ACCESS_KEY_ID", &access_key((run.id, attempt)))
            .with_variable("AWS_SECRET_ACCESS_KEY", "secret-of-a-rehearsal-0000000000000000000")
            .with_variable("AWS_SESSION_TOKEN", "rehearsal")
    }

    fn clock(&self) -> Clock {
        Clock::starting_at(self.clock.now())
    }

    async fn run_attempt(&self, run: &PlannedRun, attempt: u64, end: PlannedEnd) -> AttemptResult {
        let own = (run.id, attempt);
        let mut runner = self.runner_for(run, attempt);
        let from = self.cloud.now();
        let step = match end {
            PlannedEnd::Lost(after, later) => {
                let step = tokio::select! {
                    step = Box::pin(runner.run_main_on(&self.cloud, self.clock())) => Some(step),
                    () = tokio::time::sleep(after) => None,
                };
                if step.is_none() {
                    return self.lose_runner(run, own, later).await;
                }
                step
            }
            PlannedEnd::Cancelled(after) => {
                runner.cancel_after = Some(after);
                Some(Box::pin(runner.run_main_on(&self.cloud, self.clock())).await)
            }
            PlannedEnd::Completed => Some(Box::pin(runner.run_main_on(&self.cloud, self.clock())).await),
        };
        let step = step.unwrap();
        let to = self.cloud.now();
        Box::pin(runner.run_post_on(&self.cloud, self.clock())).await;
        self.cloud.end_run("acme/shop", run.id, if step.exit_code == 0 { "success" } else { "failure" });
        self.invariant_watch.check_ended(own);
        if step.exit_code == 0 {
            let services: Value = serde_json::from_str(step.output("services")).unwrap();
            for service in &run.services {
                let word = |name: &str| services[service][name].as_str().unwrap_or_default();
                let reported = (word("outcome"), word("image"));
                self.invariant_watch.check_serving(own, (run.environment, *service), reported, (from, to));
            }
        }
        AttemptResult { run_key: own, step: Some(step), held_lease: false }
    }

    /// The runner is gone; GitHub notices it later.
    async fn lose_runner(&self, run: &PlannedRun, own: RunKey, later: Duration) -> AttemptResult {
        let held = SERVICE_KEYS.into_iter().any(|place| lease_holder(&self.cloud, place) == Some(own));
        tokio::time::sleep(later).await;
        self.cloud.end_run("acme/shop", run.id, "failure");
        AttemptResult { run_key: own, step: None, held_lease: held }
    }

    fn summarize(&self, schedule: &Schedule, ended: &[AttemptResult]) -> ScheduleResult {
        let steps = || ended.iter().filter_map(|one| one.step.as_ref());
        let last = ended.last().and_then(|one| one.step.as_ref()).map(|step| step.output("outcome"));
        if last != Some("deployed") {
            self.invariant_watch
                .add_violation(format!("the newest commit gets in: the last run ended {last:?}"));
        }
        for place in SERVICE_KEYS {
            if let Some(owner) = lease_holder(&self.cloud, place) {
                self.invariant_watch
                    .add_violation(format!("no lease is left: {owner:?} holds {place:?} in the end"));
            }
        }
        let (broken, taken_over) = self.invariant_watch.results();
        let count = |fits: &dyn Fn(&StepResult) -> bool| steps().filter(|step| fits(step)).count() as u64;
        let tally = EventCounts {
            waited: count(&|step| step.lines.iter().any(|line| line.contains("waiting for run"))),
            superseded: count(&|step| step.output("outcome") == "superseded"),
            cancelled: count(&|step| step.exit_code == 130),
            lost_with_lease: ended.iter().filter(|one| one.held_lease).count() as u64,
            taken_over,
            promoted: count(&|step| {
                step.exit_code == 0 && step.lines.iter().any(|line| line.contains("promotes "))
            }),
        };
        let log = if broken.is_empty() { String::new() } else { self.log_text(schedule, ended) };
        ScheduleResult { violations: broken, event_counts: tally, log }
    }

    fn log_text(&self, schedule: &Schedule, ended: &[AttemptResult]) -> String {
        let mut lines = vec![format!("{schedule:#?}")];
        for one in ended {
            let step = one.step.as_ref();
            lines.push(format!("--- {:?}: {:?}", one.run_key, step.map(|step| step.exit_code)));
            lines.extend(step.into_iter().flat_map(|step| step.lines.clone()));
        }
        for call in self.cloud.calls().iter().filter(|call| call.is_mutating) {
            let short = &call.access_key[call.access_key.len().saturating_sub(6)..];
            lines.push(format!("{:.1} {short} {} {:?}", call.at, call.operation, call.outcome));
        }
        lines.join("\n")
    }
}

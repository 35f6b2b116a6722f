//! Plays a schedule on the embedded cloud in virtual time: every run as its runner would, each with a key and a token of
//! its own.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::record::{Interrupt, Moment};
use roadstead::sys::clock::Clock;
use serde_json::Value;

use super::laws::{Asked, PLACES, Watch, Who, holder, key};
use super::plan::{End, NEWEST, Planned, SERVICES, Schedule};
use crate::support::book::sha;
use crate::support::runner::{Runner, Step};
use crate::support::virtually;

/// What a mutant does to a call.
pub(super) type Wire = fn(&Moment<'_>) -> Option<Interrupt>;

const WORLD: &str = "github:
  repositories:
    - name: acme/shop
      private: true
      history: [{ id: c1 }, { id: c2 }, { id: c3 }, { id: c4 }, { id: c5 }, { id: c6 }]
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

const PROMOTION: &str = "environments:
  staging: { branches: [develop], aws: { region: eu-west-1 } }
  production: { branches: [main], promote-from: staging, aws: { region: eu-west-1 } }
services:
  backend: { repository: acme/backend, ecs: { cluster: \"acme-${environment}\", service: backend, container: app } }
";

/// The runs that come when all others are over: into staging, and into production.
pub(super) const LAST: [u64; 2] = [98, 99];
/// Longer than anything that a lost run left goes on.
const SETTLES: Duration = Duration::from_secs(15 * 60);

/// How often something happened.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) waited: u64,
    pub(super) superseded: u64,
    pub(super) cancelled: u64,
    pub(super) lost_with_lease: u64,
    pub(super) taken_over: u64,
    pub(super) promoted: u64,
}

impl Tally {
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
pub(super) struct Played {
    pub(super) broken: Vec<String>,
    pub(super) tally: Tally,
    /// The log of every run, and all calls that changed something.
    pub(super) told: String,
}

/// The world that the runs share.
struct Stage {
    seed: u64,
    promotion: bool,
    cloud: Cloud,
    clock: Clock,
    watch: Watch,
}

/// How one attempt ended.
struct Ended {
    own: Who,
    step: Option<Step>,
    held: bool,
}

pub(super) fn play(seed: u64, wire: Option<Wire>) -> Played {
    virtually(async move {
        let schedule = Schedule::of(seed);
        let (cloud, clock) = runner(seed, schedule.promotion).cloud();
        let watch = Watch::over(&cloud, asked(&schedule), wire);
        let stage = Rc::new(Stage { seed, promotion: schedule.promotion, cloud, clock, watch });
        let begun = schedule
            .runs
            .iter()
            .cloned()
            .map(|run| tokio::task::spawn_local(Box::pin(whole(stage.clone(), run))));
        let begun: Vec<_> = begun.collect();
        let mut ended = Vec::new();
        for run in begun {
            ended.extend(run.await.unwrap());
        }
        tokio::time::sleep(SETTLES).await;
        for last in last(schedule.promotion) {
            ended.extend(Box::pin(whole(stage.clone(), last)).await);
        }
        stage.conclude(&schedule, &ended)
    })
}

/// What each run is asked for.
fn asked(schedule: &Schedule) -> BTreeMap<Who, Asked> {
    let of = |run: &Planned| {
        let promotes = schedule.promotion && run.environment == "production";
        let asked = Asked { commit: (!promotes).then_some(run.commit), promotes };
        [((run.id, 1), asked), ((run.id, 2), asked)]
    };
    schedule.runs.iter().chain(&last(schedule.promotion)).flat_map(of).collect()
}

/// The newest commit comes when all others are over.
fn last(promotion: bool) -> Vec<Planned> {
    let run = |id: u64, environment: &'static str| Planned {
        id,
        commit: NEWEST,
        environment,
        services: if promotion { vec![SERVICES[0]] } else { SERVICES.to_vec() },
        after: Duration::ZERO,
        end: End::Whole,
        again: None,
    };
    let production = run(LAST[1], "production");
    if promotion { vec![run(LAST[0], "staging"), production] } else { vec![production] }
}

/// A runner in this world.
fn runner(seed: u64, promotion: bool) -> Runner {
    Runner::told(WORLD).config(if promotion { PROMOTION } else { CONFIG }).seeded(seed)
}

/// A run and, where it is started again, its second attempt.
async fn whole(stage: Rc<Stage>, run: Planned) -> Vec<Ended> {
    tokio::time::sleep(run.after).await;
    let mut ended = vec![stage.attempt(&run, 1, run.end).await];
    if let Some(pause) = run.again {
        tokio::time::sleep(pause).await;
        ended.push(stage.attempt(&run, 2, End::Whole).await);
    }
    ended
}

impl Stage {
    fn runner(&self, run: &Planned, attempt: u64) -> Runner {
        let branch = if run.environment == "staging" { "develop" } else { "main" };
        runner(self.seed, self.promotion)
            .with("GITHUB_REF", &format!("refs/heads/{branch}"))
            .with("GITHUB_REF_NAME", branch)
            .with("GITHUB_RUN_ID", &run.id.to_string())
            .with("GITHUB_RUN_ATTEMPT", &attempt.to_string())
            .with("GITHUB_SHA", &sha(&format!("c{}", run.commit)))
            .with("INPUT_SERVICES", &run.services.join("\n"))
            .with("INPUT_GITHUB-TOKEN", &format!("ghs_{}_{attempt}", run.id))
            .with("AWS_ACCESS_KEY_ID", &key((run.id, attempt)))
            .with("AWS_SECRET_ACCESS_KEY", "secret-of-a-rehearsal-0000000000000000000")
            .with("AWS_SESSION_TOKEN", "rehearsal")
    }

    fn clock(&self) -> Clock {
        Clock::starting_at(self.clock.now())
    }

    async fn attempt(&self, run: &Planned, attempt: u64, end: End) -> Ended {
        let own = (run.id, attempt);
        let mut runner = self.runner(run, attempt);
        let from = self.cloud.now();
        let step = match end {
            End::Lost(after, later) => {
                let step = tokio::select! {
                    step = Box::pin(runner.main_on(&self.cloud, self.clock())) => Some(step),
                    () = tokio::time::sleep(after) => None,
                };
                if step.is_none() {
                    return self.lost(run, own, later).await;
                }
                step
            }
            End::Cancelled(after) => {
                runner.cancel_after = Some(after);
                Some(Box::pin(runner.main_on(&self.cloud, self.clock())).await)
            }
            End::Whole => Some(Box::pin(runner.main_on(&self.cloud, self.clock())).await),
        };
        let step = step.unwrap();
        let to = self.cloud.now();
        Box::pin(runner.post_on(&self.cloud, self.clock())).await;
        self.cloud.end("acme/shop", run.id, if step.code == 0 { "success" } else { "failure" });
        self.watch.ended(own);
        if step.code == 0 {
            let told: Value = serde_json::from_str(step.output("services")).unwrap();
            for service in &run.services {
                let word = |name: &str| told[service][name].as_str().unwrap_or_default();
                let said = (word("outcome"), word("image"));
                self.watch.serves(own, (run.environment, *service), said, (from, to));
            }
        }
        Ended { own, step: Some(step), held: false }
    }

    /// The runner is gone; GitHub notices it later.
    async fn lost(&self, run: &Planned, own: Who, later: Duration) -> Ended {
        let held = PLACES.into_iter().any(|place| holder(&self.cloud, place) == Some(own));
        tokio::time::sleep(later).await;
        self.cloud.end("acme/shop", run.id, "failure");
        Ended { own, step: None, held }
    }

    fn conclude(&self, schedule: &Schedule, ended: &[Ended]) -> Played {
        let steps = || ended.iter().filter_map(|one| one.step.as_ref());
        let last = ended.last().and_then(|one| one.step.as_ref()).map(|step| step.output("outcome"));
        if last != Some("deployed") {
            self.watch.broke(format!("the newest commit gets in: the last run ended {last:?}"));
        }
        for place in PLACES {
            if let Some(owner) = holder(&self.cloud, place) {
                self.watch.broke(format!("no lease is left: {owner:?} holds {place:?} in the end"));
            }
        }
        let (broken, taken_over) = self.watch.found();
        let count = |fits: &dyn Fn(&Step) -> bool| steps().filter(|step| fits(step)).count() as u64;
        let tally = Tally {
            waited: count(&|step| step.lines.iter().any(|line| line.contains("waiting for run"))),
            superseded: count(&|step| step.output("outcome") == "superseded"),
            cancelled: count(&|step| step.code == 130),
            lost_with_lease: ended.iter().filter(|one| one.held).count() as u64,
            taken_over,
            promoted: count(&|step| {
                step.code == 0 && step.lines.iter().any(|line| line.contains("promotes "))
            }),
        };
        let told = if broken.is_empty() { String::new() } else { self.told(schedule, ended) };
        Played { broken, tally, told }
    }

    fn told(&self, schedule: &Schedule, ended: &[Ended]) -> String {
        let mut lines = vec![format!("{schedule:#?}")];
        for one in ended {
            let step = one.step.as_ref();
            lines.push(format!("--- {:?}: {:?}", one.own, step.map(|step| step.code)));
            lines.extend(step.into_iter().flat_map(|step| step.lines.clone()));
        }
        for call in self.cloud.calls().iter().filter(|call| call.mutating) {
            let short = &call.key[call.key.len().saturating_sub(6)..];
            lines.push(format!("{:.1} {short} {} {:?}", call.at, call.operation, call.outcome));
        }
        lines.join("\n")
    }
}

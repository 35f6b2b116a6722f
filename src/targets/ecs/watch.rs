//! What is remembered of one rollout between looks, and which reads the next look needs. Pure but for the given now.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::beside::Beside;
use super::causes::{self, Cause};
use super::native;
use super::read::{Deployment, Service, ServiceDeployment, Task};
use super::verdict::Targets;
use super::write::ROLLBACK;
use crate::release::{Failure, LogLine, Rollout};

/// How long an answer may show the state from before (aws.md: DescribeServices up to 30 s), with room to spare.
const GRACE: Duration = Duration::from_secs(60);
/// Without a change, the service deployment is read again every so many looks.
const EVERY: u32 = 5;
/// Nothing moves for so long: guess that tasks fail.
const STALL: Duration = Duration::from_secs(20);
/// How often the deploy file's alarms are read.
pub(super) const ALARMS_EVERY: Duration = Duration::from_secs(15);
/// How often the new version's targets are read while all of them are healthy.
const TARGETS_EVERY: Duration = Duration::from_secs(10);
/// How long targets may be unhealthy while the version waits beside the old one.
const SICK: Duration = Duration::from_secs(10);
/// How often to look for the stopped tasks that something hinted at, before the hint counts as spent.
const TRIES: u32 = 3;

/// What is remembered of one rollout.
#[derive(Debug)]
pub struct Watch {
    begun: Instant,
    looks: u32,
    /// The service deployment, once known.
    pub arn: Option<String>,
    /// Its last answer.
    pub last: Option<ServiceDeployment>,
    shown: String,
    eager: u32,
    since: Option<f64>,
    told: HashSet<String>,
    failed: u32,
    due: u32,
    moved: (u32, u32, Instant),
    known_tasks: HashSet<String>,
    causes: Vec<Cause>,
    /// Lines of the service's story that nobody was told yet.
    pub story: Vec<String>,
    /// The lines of the failed container, once fetched.
    pub logs: Option<Vec<LogLine>>,
    last_chance: bool,
    alarms_at: Option<Instant>,
    /// The new version beside the old one, once known.
    pub beside: Option<Beside>,
    targets_at: Option<Instant>,
    sick_since: Option<Instant>,
}

impl Watch {
    /// A memory that begins now.
    pub fn new(rollout: &Rollout, now: Instant) -> Self {
        Self {
            begun: now,
            looks: 0,
            arn: rollout.ids.get(1).cloned(),
            last: None,
            shown: String::new(),
            eager: 0,
            since: None,
            told: HashSet::new(),
            failed: 0,
            due: 0,
            moved: (0, 0, now),
            known_tasks: HashSet::new(),
            causes: Vec::new(),
            story: Vec::new(),
            logs: None,
            last_chance: true,
            alarms_at: None,
            beside: None,
            targets_at: None,
            sick_since: None,
        }
    }

    /// Whether old answers are to be expected.
    pub fn young(&self, now: Instant) -> bool {
        now.duration_since(self.begun) < GRACE
    }

    /// Takes a service in, and with it the lines of its story that are new.
    pub fn take_service(&mut self, service: &Service, rollout: &Rollout, now: Instant) {
        self.looks += 1;
        let mine = own(service, rollout);
        self.take_counts(service, mine, now);
        let started = mine.map(|deployment| deployment.created);
        let quiet = self.since.is_none() && started.is_none() && has_no_deployment(rollout);
        if quiet {
            // There is nothing of ours to wait for: the story begins after what is told already.
            self.since = Some(0.0);
            self.told.extend(service.events.iter().map(|event| event.id.clone()));
        }
        self.since = self.since.or(started);
        let Some(since) = self.since else { return };
        let fresh = service.events.iter().rev().filter(|event| event.at >= since);
        let fresh: Vec<_> = fresh.filter(|event| self.told.insert(event.id.clone())).collect();
        for event in &fresh {
            self.causes.extend(causes::of_event(event));
            if hints_at_tasks(&event.text) {
                self.due = TRIES;
            }
        }
        self.story.extend(fresh.into_iter().map(|event| event.text.clone()));
    }

    fn take_counts(&mut self, service: &Service, mine: Option<&Deployment>, now: Instant) {
        let Some(mine) = mine else { return };
        if mine.failed > self.failed {
            self.due = TRIES;
        }
        self.failed = mine.failed;
        if (mine.running, mine.pending) != (self.moved.0, self.moved.1) || mine.running >= service.desired {
            self.moved = (mine.running, mine.pending, now);
        }
    }

    /// Whether the service deployment must be read now; remembers what the service shows.
    pub fn wants_deployment(&mut self, service: &Service, rollout: &Rollout) -> bool {
        let shown = fingerprint(service, rollout);
        let changed = std::mem::replace(&mut self.shown, shown.clone()) != shown;
        if changed {
            self.eager = EVERY;
        }
        // The service may say that it is over a little before the service deployment does.
        let lags = service.primary().is_some_and(|p| p.rollout != "IN_PROGRESS") && self.eager > 0;
        self.eager = self.eager.saturating_sub(1);
        let flying = self.last.as_ref().is_none_or(ServiceDeployment::in_flight);
        // In stages the service itself shows nothing of the way.
        if flying && self.last.as_ref().is_some_and(|last| native::is_native(last, service)) {
            return true;
        }
        changed || (flying && (self.last.is_none() || lags || self.looks.is_multiple_of(EVERY)))
    }

    /// The service deployment's ARN, learnt from the service when it is ours for sure.
    pub fn learn(&mut self, service: &Service, rollout: &Rollout) -> Option<String> {
        if self.arn.is_none() {
            let primary = service.primary()?;
            let ours = match rollout.ids.first() {
                Some(id) => primary.id == *id,
                None => primary.definition == rollout.version,
            };
            return service.current.clone().filter(|_| ours);
        }
        self.arn.clone()
    }

    /// Keeps a service deployment, unless it began before our deployment did (the service's answer lagged).
    pub fn keep(&mut self, service: &Service, rollout: &Rollout, read: Option<ServiceDeployment>) {
        let Some(read) = read else { return };
        let begun = own(service, rollout).map_or(0.0, |deployment| deployment.created);
        if self.arn.is_none() && !rollout.ids.is_empty() && read.created + 2.0 < begun {
            return;
        }
        self.arn = Some(read.arn.clone());
        self.last = Some(read);
    }

    /// Whether stopped tasks must be looked for now; `may_guess` is asked only when nothing hints at them.
    pub fn wants_tasks(&mut self, rollout: &Rollout, now: Instant, may_guess: impl FnOnce() -> bool) -> bool {
        if has_no_deployment(rollout) {
            return false;
        }
        let status = self.last.as_ref().map(|last| last.status.as_str()).unwrap_or_default();
        let failing = status.starts_with("ROLLBACK") || status.starts_with("STOP");
        if self.due > 0 {
            self.due -= 1;
            return true;
        }
        if failing && self.causes.is_empty() && std::mem::take(&mut self.last_chance) {
            return true;
        }
        let stalled =
            now.duration_since(self.moved.2) >= STALL && matches!(status, "" | "PENDING" | "IN_PROGRESS");
        if stalled && may_guess() {
            self.moved.2 = now;
            return true;
        }
        false
    }

    /// Whether the deploy file's alarms must be read now; not while a rollback is what is waited for.
    pub fn wants_alarms(&mut self, rollout: &Rollout, now: Instant) -> bool {
        let due = self.alarms_at.is_none_or(|at| now.duration_since(at) >= ALARMS_EVERY);
        let wanted =
            due && !has_no_deployment(rollout) && self.last.as_ref().is_none_or(ServiceDeployment::in_flight);
        if wanted {
            self.alarms_at = Some(now);
        }
        wanted
    }

    /// Whether the new version's targets must be read now: every time until all are healthy, then once in a while.
    pub fn wants_targets(&mut self, now: Instant) -> bool {
        let fine =
            self.beside.as_ref().is_some_and(|beside| beside.targets.is_some()) && self.sick_since.is_none();
        let due = self.targets_at.is_none_or(|at| now.duration_since(at) >= TARGETS_EVERY);
        if due || !fine {
            self.targets_at = Some(now);
        }
        due || !fine
    }

    /// Takes the new version's targets in, of which `wanted` should be healthy: when half of them stay unhealthy, the
    /// wait is over before their tasks have been replaced twice.
    pub fn take_targets(&mut self, targets: Option<Targets>, wanted: u32, now: Instant) {
        let sick = targets.iter().flat_map(|all| &all.others).filter(|other| other.contains(" unhealthy"));
        let sick: Vec<&str> = sick.map(String::as_str).collect();
        let many = !sick.is_empty() && sick.len() * 2 >= wanted as usize;
        self.sick_since = self.sick_since.or(Some(now)).filter(|_| many);
        if self.sick_since.is_some_and(|since| now.duration_since(since) >= SICK) {
            self.causes.push(causes::of_targets(&sick.join(", ")));
        }
        let all_healthy = targets.as_ref().is_some_and(|targets| targets.healthy >= wanted);
        if !all_healthy {
            self.targets_at = None;
        }
        if let Some(beside) = &mut self.beside {
            beside.targets = targets;
        }
    }

    /// Takes the state of an alarm in; `None` means that it is gone.
    pub fn take_alarm(&mut self, name: &str, state: Option<&str>) {
        self.causes.extend(causes::of_alarm(name, state));
    }

    /// Whether the service's list of deployments is to be searched for ours: the service itself names none.
    pub fn may_search(&self, service: &Service, rollout: &Rollout) -> bool {
        self.looks.is_multiple_of(EVERY) && own(service, rollout).is_some()
    }

    /// Those of the listed tasks that were not read yet.
    pub fn unknown_tasks(&self, listed: Vec<String>) -> Vec<String> {
        listed.into_iter().filter(|arn| !self.known_tasks.contains(arn)).take(100).collect()
    }

    /// Takes tasks in, those of our deployment only.
    pub fn take_tasks(&mut self, tasks: &[Task], rollout: &Rollout) {
        let before = self.causes.len();
        for task in tasks {
            let ours = rollout.ids.first() == Some(&task.started_by);
            if self.known_tasks.insert(task.arn.clone()) && ours {
                self.causes.extend(causes::of_task(task));
            }
        }
        if self.causes.len() > before {
            self.due = 0;
        }
    }

    /// What tasks and events say most.
    pub fn cause(&self, service: &Service) -> Option<Failure> {
        causes::weigh(&self.causes, service.desired)
    }

    /// The cause behind a failure, whose container's lines are worth reading.
    pub fn behind(&self, failure: &Failure) -> Option<&Cause> {
        causes::behind(failure, &self.causes)
    }
}

/// The deployment inside the service that the rollout is.
pub fn own<'a>(service: &'a Service, rollout: &Rollout) -> Option<&'a Deployment> {
    rollout.ids.first().and_then(|id| service.deployment(id))
}

fn has_no_deployment(rollout: &Rollout) -> bool {
    rollout.ids.first().is_none_or(|id| id == ROLLBACK || id.is_empty())
}

/// Whether a line of the story says that tasks stop. One that found no place never started: there is none to look for.
fn hints_at_tasks(text: &str) -> bool {
    !text.contains("unable to place a task")
        && ["unhealthy", "failed", "unable to"].iter().any(|hint| text.contains(hint))
}

fn fingerprint(service: &Service, rollout: &Rollout) -> String {
    let show = |d: &Deployment| format!("{} {} {}", d.id, d.rollout, d.failed);
    let primary = service.primary().map(show).unwrap_or_default();
    let mine = own(service, rollout).map(show).unwrap_or_default();
    format!("{primary}|{mine}|{:?}", service.current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::ecs::read::Event;

    fn rollout() -> Rollout {
        Rollout { version: "new".into(), label: "new".into(), ids: vec!["ecs-svc/2".into()] }
    }

    fn service(failed: u32, events: &[(&str, f64, &str)]) -> Service {
        let mine = Deployment {
            id: "ecs-svc/2".into(),
            status: "PRIMARY".into(),
            rollout: "IN_PROGRESS".into(),
            failed,
            created: 100.0,
            ..Deployment::default()
        };
        let event =
            |(id, at, text): &(&str, f64, &str)| Event { id: (*id).into(), at: *at, text: (*text).into() };
        Service {
            desired: 2,
            current: Some("sd".into()),
            deployments: vec![mine],
            events: events.iter().map(event).collect(),
            ..Service::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_line_is_told_once_and_none_from_before() {
        let (rollout, now) = (rollout(), Instant::now());
        let mut watch = Watch::new(&rollout, now);
        let story = [("c", 103.0, "third"), ("b", 102.0, "second"), ("a", 50.0, "old")];
        let mut told = |story: &[(&str, f64, &str)]| {
            watch.take_service(&service(0, story), &rollout, now);
            std::mem::take(&mut watch.story)
        };
        assert_eq!(told(&story[1..]), ["second"]);
        assert_eq!(told(&story), ["third"]);
        assert!(told(&story).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_rollout_costs_one_extra_read_in_five() {
        let (rollout, now) = (rollout(), Instant::now());
        let mut watch = Watch::new(&rollout, now);
        let mut reads = 0;
        for _ in 0..20 {
            watch.take_service(&service(0, &[]), &rollout, now);
            if watch.wants_deployment(&service(0, &[]), &rollout) {
                reads += 1;
                let read =
                    ServiceDeployment { status: "IN_PROGRESS".into(), created: 100.0, ..Default::default() };
                watch.keep(&service(0, &[]), &rollout, Some(read));
            }
            assert!(!watch.wants_tasks(&rollout, now, || panic!("nothing stalls")));
        }
        assert_eq!(reads, 5);
        assert!(watch.wants_deployment(&service(1, &[]), &rollout));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lagging_service_deployment_is_not_taken_for_ours() {
        let (rollout, now) = (rollout(), Instant::now());
        let mut watch = Watch::new(&rollout, now);
        let old = ServiceDeployment { arn: "sd-1".into(), created: 10.0, ..Default::default() };
        watch.keep(&service(0, &[]), &rollout, Some(old));
        assert_eq!((&watch.arn, watch.last.is_none()), (&None, true));
        let new = ServiceDeployment { arn: "sd-2".into(), created: 100.5, ..Default::default() };
        watch.keep(&service(0, &[]), &rollout, Some(new));
        assert_eq!(watch.arn.as_deref(), Some("sd-2"));
    }

    #[tokio::test(start_paused = true)]
    async fn failed_tasks_and_stalls_are_looked_into() {
        let (rollout, now) = (rollout(), Instant::now());
        let mut watch = Watch::new(&rollout, now);
        watch.take_service(&service(1, &[]), &rollout, now);
        let asked: Vec<bool> = (0..4).map(|_| watch.wants_tasks(&rollout, now, || false)).collect();
        assert_eq!(asked, [true, true, true, false]);
        let later = now + STALL;
        assert!(watch.wants_tasks(&rollout, later, || true));
        assert!(!watch.wants_tasks(&rollout, later, || true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_found_no_place_is_not_looked_for() {
        let (rollout, now) = (rollout(), Instant::now());
        for (line, looks) in [
            ("(service s) was unable to place a task. Reason: Capacity is unavailable at this time.", false),
            ("(service s) is unable to consistently start tasks successfully.", true),
        ] {
            let mut watch = Watch::new(&rollout, now);
            watch.take_service(&service(0, &[("a", 103.0, line)]), &rollout, now);
            assert_eq!(watch.wants_tasks(&rollout, now, || false), looks, "{line}");
        }
    }
}

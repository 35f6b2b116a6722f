//! The memory of one rollout between polls, and the reads that the next poll needs. Pure except for the given time.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::super::batch_loader::AlarmReading;
use super::super::patience::Patience;
use super::super::read::{EcsDeployment, EcsService, EcsTask, ServiceDeployment, ServiceEvent};
use super::super::serving::TargetCounts;
use super::super::write::ROLLBACK_ID;
use super::causes::{self, FailureCause};
use super::ecs_strategy;
use super::parallel_version::ParallelVersion;
use super::snapshot::NewerDeployment;
use super::stop_rule::Weight;
use super::verdict::{self, Scale};
use crate::problem::Code;
use crate::release::{Failure, LogLine, Rollout};

/// How long a response may be stale (aws.md: DescribeServices up to 30 s), with a margin.
const STALE_READ_GRACE: Duration = Duration::from_secs(60);
/// Without a change, the service deployment is read again every few polls.
const POLLS_PER_DEPLOYMENT_READ: u32 = 5;
/// Time without progress after which failing tasks are suspected.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Time between reads of the deploy file's alarms.
pub(crate) const ALARM_READ_INTERVAL: Duration = Duration::from_secs(15);
/// Time between reads of the new version's targets while all of them are healthy.
const TARGET_READ_INTERVAL: Duration = Duration::from_secs(10);
/// How long targets may be unhealthy while the version is paused in parallel to the old one.
const MAX_UNHEALTHY_TIME: Duration = Duration::from_secs(10);
/// How often stopped tasks are searched for after a hint, before the hint is used up.
const MAX_TASK_READS: u32 = 3;

/// The memory of one rollout.
#[derive(Debug)]
pub struct RolloutMemory {
    started_at: Instant,
    polls: u32,
    /// The service deployment, once known.
    pub deployment_arn: Option<String>,
    /// Its last response.
    pub last_deployment: Option<ServiceDeployment>,
    last_fingerprint: String,
    deployment_reads_due: u32,
    events_since: Option<f64>,
    reported_events: HashSet<String>,
    failed_tasks: u32,
    task_reads_due: u32,
    /// Running tasks at the last poll.
    last_running: u32,
    /// Running and pending tasks at the last poll.
    last_placed: u32,
    /// The most running tasks, and the most running and pending ones, seen so far.
    most_tasks: [u32; 2],
    last_progress: Instant,
    known_tasks: HashSet<String>,
    causes: Vec<FailureCause>,
    /// The newer rollout of the same version that is watched instead, if somebody started one.
    pub followed: Option<Rollout>,
    /// Since when a cause that can pass by itself has kept further tasks from running.
    stalled_since: Option<Instant>,
    /// Since when no further task could be placed.
    unplaced_since: Option<Instant>,
    /// The essential containers of the version, once known.
    pub essential_containers: Option<Vec<String>>,
    /// Events of the service that were not logged yet.
    pub new_events: Vec<String>,
    /// The log lines of the failed container, once fetched.
    pub logs: Option<Vec<LogLine>>,
    final_task_read_left: bool,
    alarms_read_at: Option<Instant>,
    /// Alarms that fired before the deployment, where those stop nothing.
    ignored_alarms: HashSet<String>,
    /// The new version in parallel to the old one, once known.
    pub parallel_version: Option<ParallelVersion>,
    targets_read_at: Option<Instant>,
    unhealthy_since: Option<Instant>,
}

impl RolloutMemory {
    /// A new memory.
    pub fn new(rollout: &Rollout, now: Instant) -> Self {
        Self {
            started_at: now,
            polls: 0,
            deployment_arn: rollout.ids.get(1).cloned(),
            last_deployment: None,
            last_fingerprint: String::new(),
            deployment_reads_due: 0,
            events_since: None,
            reported_events: HashSet::new(),
            failed_tasks: 0,
            task_reads_due: 0,
            last_running: 0,
            last_placed: 0,
            most_tasks: [0; 2],
            last_progress: now,
            known_tasks: HashSet::new(),
            causes: Vec::new(),
            followed: None,
            stalled_since: None,
            unplaced_since: None,
            essential_containers: None,
            new_events: Vec::new(),
            logs: None,
            final_task_read_left: true,
            alarms_read_at: None,
            ignored_alarms: HashSet::new(),
            parallel_version: None,
            targets_read_at: None,
            unhealthy_since: None,
        }
    }

    /// Whether stale responses must be expected.
    pub fn is_recent(&self, now: Instant) -> bool {
        now.duration_since(self.started_at) < STALE_READ_GRACE
    }

    /// The service deployment to read together with the service, before anything was read of this rollout.
    pub fn first_deployment_arn(&self) -> Option<&String> {
        self.deployment_arn.as_ref().filter(|_| self.polls == 0)
    }

    /// Records a service and its new events.
    pub fn record_service(&mut self, service: &EcsService, rollout: &Rollout, now: Instant) {
        self.polls += 1;
        let own = own_deployment(service, rollout);
        self.record_counts(service, own, now);
        let started = own.map(|deployment| deployment.created_at);
        let quiet = self.events_since.is_none() && started.is_none() && has_no_deployment(rollout);
        if quiet {
            // No deployment of ours is awaited: events before now are not reported.
            self.events_since = Some(0.0);
            self.reported_events.extend(service.events.iter().map(|event| event.id.clone()));
        }
        self.events_since = self.events_since.or(started);
        let Some(since) = self.events_since else { return };
        let fresh = service.events.iter().rev().filter(|event| event.created_at >= since);
        let fresh: Vec<_> = fresh.filter(|event| self.reported_events.insert(event.id.clone())).collect();
        for event in &fresh {
            self.add_event_cause(event, now);
            if hints_at_stopped_tasks(&event.text) {
                self.task_reads_due = MAX_TASK_READS;
            }
        }
        self.new_events.extend(fresh.into_iter().map(|event| event.text.clone()));
    }

    fn record_counts(&mut self, service: &EcsService, own: Option<&EcsDeployment>, now: Instant) {
        let Some(own) = own else { return };
        if own.failed > self.failed_tasks {
            self.task_reads_due = MAX_TASK_READS;
        }
        self.failed_tasks = own.failed;
        let complete = own.running >= service.desired;
        let placed = own.running + own.pending;
        if own.running > self.last_running || complete {
            self.stalled_since = None;
        }
        if placed > self.last_placed || complete {
            self.unplaced_since = None;
        }
        self.last_placed = placed;
        // Tasks that come and go are no progress.
        let stays_complete = complete && self.last_running >= service.desired;
        let counts = [own.running, placed];
        if stays_complete || counts.iter().zip(self.most_tasks).any(|(count, most)| *count > most) {
            self.last_progress = now;
        }
        self.last_running = own.running;
        self.most_tasks = [0, 1].map(|index| counts[index].max(self.most_tasks[index]));
    }

    /// A task that could not be placed is waited for until one is placed, any other until one runs.
    fn add_event_cause(&mut self, event: &ServiceEvent, now: Instant) {
        let Some(cause) = causes::from_event(event) else { return };
        if cause.problem.code == Code::NoCapacity {
            self.unplaced_since.get_or_insert(now);
            self.causes.push(cause);
        } else {
            self.add_causes([cause], now);
        }
    }

    fn add_causes(&mut self, found: impl IntoIterator<Item = FailureCause>, now: Instant) {
        for cause in found {
            if matches!(cause.weight, Weight::CanPass | Weight::UnlessRunning) {
                self.stalled_since.get_or_insert(now);
            }
            self.causes.push(cause);
        }
    }

    /// Whether the service deployment must be read now; records the service's state.
    pub fn needs_deployment(&mut self, service: &EcsService, rollout: &Rollout) -> bool {
        let shown = fingerprint(service, rollout);
        let changed = std::mem::replace(&mut self.last_fingerprint, shown.clone()) != shown;
        if changed {
            self.deployment_reads_due = POLLS_PER_DEPLOYMENT_READ;
        }
        // The service may report the end a little before the service deployment does.
        let lags = service.primary().is_some_and(|p| p.rollout_state != "IN_PROGRESS")
            && self.deployment_reads_due > 0;
        self.deployment_reads_due = self.deployment_reads_due.saturating_sub(1);
        let flying = self.last_deployment.as_ref().is_none_or(ServiceDeployment::is_in_flight);
        // In a staged deployment the service itself shows no progress.
        if flying
            && self
                .last_deployment
                .as_ref()
                .is_some_and(|last| ecs_strategy::uses_ecs_strategy(last, service))
        {
            return true;
        }
        changed
            || (flying
                && (self.last_deployment.is_none()
                    || lags
                    || self.polls.is_multiple_of(POLLS_PER_DEPLOYMENT_READ)))
    }

    /// The service deployment's ARN, from the service if it is certainly ours.
    pub fn remember_arn(&mut self, service: &EcsService, rollout: &Rollout) -> Option<String> {
        if self.deployment_arn.is_none() {
            let primary = service.primary()?;
            let ours = match rollout.ids.first() {
                Some(id) => primary.id == *id,
                None => primary.definition == rollout.version,
            };
            return service.service_deployment_arn.clone().filter(|_| ours);
        }
        self.deployment_arn.clone()
    }

    /// Records a service deployment, unless it started before our deployment did (the service's response was stale).
    pub fn remember_answer(
        &mut self,
        service: &EcsService,
        rollout: &Rollout,
        read: Option<ServiceDeployment>,
    ) {
        let Some(read) = read else { return };
        let begun = own_deployment(service, rollout).map_or(0.0, |deployment| deployment.created_at);
        if self.deployment_arn.is_none() && !rollout.ids.is_empty() && read.created_at + 2.0 < begun {
            return;
        }
        self.deployment_arn = Some(read.arn.clone());
        self.last_deployment = Some(read);
    }

    /// Watches a newer deployment of the same version from the next poll on, once the service shows it.
    pub fn follow_same_version(
        &mut self,
        newer: Option<&NewerDeployment>,
        service: &EcsService,
        rollout: &Rollout,
    ) {
        let Some(newer) = newer.filter(|newer| newer.is_of(rollout)) else { return };
        let shown = service.primary().filter(|primary| primary.definition == rollout.version);
        let Some(primary) = shown.filter(|primary| rollout.ids.first() != Some(&primary.id)) else { return };
        let ids = vec![primary.id.clone(), newer.arn.clone()];
        self.followed = Some(Rollout { ids, ..rollout.clone() });
        self.deployment_arn = Some(newer.arn.clone());
        self.last_deployment = None;
        self.last_fingerprint = String::new();
    }

    /// Whether stopped tasks must be searched for now; `may_guess` is called only without a hint.
    pub fn needs_tasks(&mut self, rollout: &Rollout, now: Instant, may_guess: impl FnOnce() -> bool) -> bool {
        if has_no_deployment(rollout) {
            return false;
        }
        let status = self.last_deployment.as_ref().map(|last| last.status.as_str()).unwrap_or_default();
        let failing = status.starts_with("ROLLBACK") || status.starts_with("STOP");
        if self.task_reads_due > 0 {
            self.task_reads_due -= 1;
            return true;
        }
        if failing && self.causes.is_empty() && std::mem::take(&mut self.final_task_read_left) {
            return true;
        }
        let stalled = now.duration_since(self.last_progress) >= STALL_TIMEOUT
            && matches!(status, "" | "PENDING" | "IN_PROGRESS");
        if stalled && may_guess() {
            self.last_progress = now;
            return true;
        }
        false
    }

    /// Whether the deploy file's alarms must be read now; not during a rollback.
    pub fn needs_alarms(&mut self, rollout: &Rollout, now: Instant) -> bool {
        let due = self.alarms_read_at.is_none_or(|at| now.duration_since(at) >= ALARM_READ_INTERVAL);
        let wanted = due
            && !has_no_deployment(rollout)
            && self.last_deployment.as_ref().is_none_or(ServiceDeployment::is_in_flight);
        if wanted {
            self.alarms_read_at = Some(now);
        }
        wanted
    }

    /// Whether the new version's targets must be read now: at every poll until all are healthy, then less often.
    pub fn needs_targets(&mut self, now: Instant) -> bool {
        let fine = self.parallel_version.as_ref().is_some_and(|parallel| parallel.target_counts.is_some())
            && self.unhealthy_since.is_none();
        let due = self.targets_read_at.is_none_or(|at| now.duration_since(at) >= TARGET_READ_INTERVAL);
        if due || !fine {
            self.targets_read_at = Some(now);
        }
        due || !fine
    }

    /// Records the new version's targets, of which `wanted` should be healthy: if half of them stay unhealthy, the
    /// rollout fails before their tasks have been replaced twice.
    pub fn record_targets(&mut self, targets: Option<TargetCounts>, wanted: u32, now: Instant) {
        let sick =
            targets.iter().flat_map(|all| &all.not_healthy).filter(|other| other.contains(" unhealthy"));
        let sick: Vec<&str> = sick.map(String::as_str).collect();
        let many = !sick.is_empty() && sick.len() * 2 >= wanted as usize;
        self.unhealthy_since = self.unhealthy_since.or(Some(now)).filter(|_| many);
        if self.unhealthy_since.is_some_and(|since| now.duration_since(since) >= MAX_UNHEALTHY_TIME) {
            self.causes.push(causes::from_targets(&sick.join(", ")));
        }
        let all_healthy = targets.as_ref().is_some_and(|targets| targets.are_enough(wanted));
        if !all_healthy {
            self.targets_read_at = None;
        }
        if let Some(parallel) = &mut self.parallel_version {
            parallel.target_counts = targets;
        }
    }

    /// Records the state of an alarm; `None` means that it does not exist.
    pub fn record_alarm(&mut self, name: &str, reading: Option<&AlarmReading>) {
        self.causes.extend(causes::from_alarm(name, reading.map(|reading| reading.state.as_str())));
    }

    /// The same, unless it is missing or fired before the deployment.
    pub fn record_alarm_unless_ignored(&mut self, name: &str, reading: Option<&AlarmReading>) {
        let (Some(reading), Some(started)) = (reading, self.events_since) else { return };
        if reading.fired_before(started) {
            self.ignored_alarms.insert(name.to_owned());
        }
        if !self.ignored_alarms.contains(name) {
            self.record_alarm(name, Some(reading));
        }
    }

    /// Whether to search for ours in the service's list of deployments: the service itself names none.
    pub fn can_search(&self, service: &EcsService, rollout: &Rollout) -> bool {
        self.polls.is_multiple_of(POLLS_PER_DEPLOYMENT_READ) && own_deployment(service, rollout).is_some()
    }

    /// Whether a stopped task was read already.
    pub fn knows_task(&self, arn: &str) -> bool {
        self.known_tasks.contains(arn)
    }

    /// Records tasks, those of our deployment only. One whose exit codes are not shown yet is looked up again.
    pub fn record_tasks(&mut self, tasks: &[EcsTask], rollout: &Rollout, now: Instant) {
        let before = self.causes.len();
        for task in tasks.iter().filter(|task| !task.awaits_exit_code()) {
            let ours = rollout.ids.first() == Some(&task.started_by);
            if self.known_tasks.insert(task.arn.clone()) && ours {
                let essential = self.essential_containers.clone().unwrap_or_default();
                self.add_causes(causes::from_task(task, &essential), now);
            }
        }
        if self.causes.len() > before {
            self.task_reads_due = 0;
        }
    }

    /// The cause to report, and whether it ends the wait.
    pub fn top_failure(
        &self,
        service: &EcsService,
        rollout: &Rollout,
        patience: &Patience,
        now: Instant,
    ) -> Option<Failure> {
        let elapsed = |since: Option<Instant>| since.map_or(Duration::ZERO, |at| now.duration_since(at));
        let scale = Scale {
            desired: service.desired,
            running: own_deployment(service, rollout).map_or(0, |own| own.running),
            stalled: elapsed(self.stalled_since).max(elapsed(self.unplaced_since)),
        };
        verdict::judge(&self.causes, patience, scale)
    }

    /// The most frequent cause so far, also one that never ends the wait.
    pub fn suspected_failure(&self) -> Option<Failure> {
        verdict::suspect(&self.causes)
    }

    /// The cause of a failure, with the container whose log lines to read.
    pub fn root_cause(&self, failure: &Failure) -> Option<&FailureCause> {
        causes::root_cause(failure, &self.causes)
    }
}

/// The rollout's deployment inside the service.
pub fn own_deployment<'a>(service: &'a EcsService, rollout: &Rollout) -> Option<&'a EcsDeployment> {
    rollout.ids.first().and_then(|id| service.deployment(id))
}

fn has_no_deployment(rollout: &Rollout) -> bool {
    rollout.ids.first().is_none_or(|id| id == ROLLBACK_ID || id.is_empty())
}

/// Whether an event reports stopped tasks. A task that was never placed has not started, so there is none to find.
fn hints_at_stopped_tasks(text: &str) -> bool {
    !text.contains("unable to place a task")
        && ["unhealthy", "failed", "unable to"].iter().any(|hint| text.contains(hint))
}

fn fingerprint(service: &EcsService, rollout: &Rollout) -> String {
    let show = |d: &EcsDeployment| format!("{} {} {}", d.id, d.rollout_state, d.failed);
    let primary = service.primary().map(show).unwrap_or_default();
    let own = own_deployment(service, rollout).map(show).unwrap_or_default();
    format!("{primary}|{own}|{:?}", service.service_deployment_arn)
}

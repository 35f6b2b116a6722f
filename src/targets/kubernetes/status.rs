//! The status of a rollout: one look, how long things have been so, and the verdict as our nouns.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::causes::{self, Cause};
use super::client::Client;
use super::error::{ApiError, ErrorKind};
use super::events::{EventObject, READ_INTERVAL, READ_PATIENCE, RolloutEvents, add_events};
use super::pod::Pod;
use super::read::{RolloutCounts, WorkloadObject};
use super::revision::RevisionObject;
use super::settings::WorkloadName;
use super::stuck_pods::stuck_cause;
use super::template::template_id;
use super::verdict::{
    ContainerImage, ExpectedRollout, LookDurations, Verdict, WorkloadLook, creation_error,
    deadline_condition, is_complete, judge, time_to_proof,
};
use crate::problem::{Code, Problem};
use crate::release::{Digest, Failure, ImageRef, LogLine, Progress, Proof, Rollout, RolloutStatus, Version};

/// The most lines of a container that are shown.
const MAX_LOG_LINES: usize = 20;

/// What was read of a workload.
#[derive(Debug, Clone)]
pub struct WorkloadState {
    /// The workload, as the server has it.
    pub raw: Value,
    /// The same, read.
    pub workload: WorkloadObject,
    /// Its revisions.
    pub revisions: Vec<RevisionObject>,
    /// Its pods.
    pub pods: Vec<Pod>,
}

/// A workload, and the revisions that it had then.
#[derive(Debug, Clone)]
struct KnownRevisions {
    workload: Value,
    revisions: Vec<RevisionObject>,
}

impl KnownRevisions {
    fn of(state: &WorkloadState) -> Self {
        Self { workload: state.raw.clone(), revisions: state.revisions.clone() }
    }

    /// Whether this workload has them still: whatever becomes of a revision shows in the status of its workload, except for the
    /// words of a condition.
    fn are_of(&self, workload: &Value) -> bool {
        let has_conditions = self.revisions.iter().any(|one| !one.status.conditions.is_empty());
        self.workload == *workload && !has_conditions
    }
}

/// Reads a workload with its revisions and pods.
pub async fn read_state(client: &Client, name: &WorkloadName) -> Result<WorkloadState, ApiError> {
    read_changed_state(client, name, None).await
}

/// The same; revisions that are known are not read again while the workload stays as it is.
async fn read_changed_state(
    client: &Client,
    name: &WorkloadName,
    known: Option<&KnownRevisions>,
) -> Result<WorkloadState, ApiError> {
    let raw = client.workload(name).await?;
    let workload: WorkloadObject = client.interpret(raw.clone())?;
    let selector = workload.selector();
    let revisions = async {
        match known.filter(|known| known.are_of(&raw)) {
            Some(known) => Ok(known.revisions.clone()),
            None => client.revisions(name.kind, &selector).await,
        }
    };
    let (revisions, pods) = futures::future::join(revisions, client.pods(&selector)).await;
    let mut revisions = revisions?;
    revisions.retain(|one| one.is_owned_by(&workload.metadata.uid));
    Ok(WorkloadState { raw, workload, revisions, pods: pods? })
}

impl WorkloadState {
    /// The revision of the workload's template.
    pub fn current_revision(&self, name: &WorkloadName) -> Option<&RevisionObject> {
        let wanted = template_id(&self.workload.spec.template);
        self.revisions.iter().find(|one| template_id(&one.template(name.kind)) == wanted)
    }

    /// The pods of a revision.
    pub fn pods_of<'s>(&'s self, name: &WorkloadName, revision: Option<&RevisionObject>) -> Vec<&'s Pod> {
        let is_own = |pod: &&Pod| revision.is_some_and(|revision| pod.is_of(name.kind, revision));
        self.pods.iter().filter(is_own).collect()
    }
}

impl ExpectedRollout {
    /// What `Rollout::ids` record: identity, generation, template, time, and the image of each container.
    pub fn to_ids(&self) -> Vec<String> {
        let started = self.started.map(|at| at.to_string()).unwrap_or_default();
        let fixed = [self.uid.clone(), self.generation.to_string(), self.template.clone(), started];
        let images = self.images.iter().map(|one| format!("{}={}", one.container, one.image));
        fixed.into_iter().chain(images).collect()
    }

    /// Reads them; `None` for a rollout of which nothing is recorded.
    pub fn from_rollout(rollout: &Rollout) -> Option<Self> {
        let [uid, generation, template, started, images @ ..] = rollout.ids.as_slice() else { return None };
        let image = |text: &String| {
            let (container, image) = text.split_once('=')?;
            Some(ContainerImage { container: container.to_owned(), image: image.to_owned() })
        };
        Some(Self {
            uid: uid.clone(),
            generation: generation.parse().ok()?,
            template: template.clone(),
            started: started.parse().ok(),
            images: images.iter().filter_map(image).collect(),
        })
    }

    /// The rollout of a workload as it is. `containers` are those whose images are ours.
    pub fn of_workload(workload: &WorkloadObject, containers: &[String], started: Option<Timestamp>) -> Self {
        let template = &workload.spec.template;
        let image = |container: &String| {
            let image = super::template::container_image(template, container)?.to_owned();
            Some(ContainerImage { container: container.clone(), image })
        };
        Self {
            uid: workload.metadata.uid.clone(),
            generation: workload.metadata.generation,
            template: template_id(template),
            started,
            images: containers.iter().filter_map(image).collect(),
        }
    }
}

/// What was seen of a rollout before, for durations.
#[derive(Debug, Default)]
pub struct RolloutMemory {
    counts: Option<MovingCounts>,
    moved_at: Option<Instant>,
    unseen_since: Option<Instant>,
    deadline_since: Option<Instant>,
    cause_since: Option<(u8, Instant)>,
    creation_error_since: Option<Instant>,
    steady_since: Option<Instant>,
    restarts: u32,
    was_ready: bool,
    events: EventMemory,
    revisions: Option<KnownRevisions>,
}

/// The warnings that were read last.
#[derive(Debug, Default)]
struct EventMemory {
    read_at: Option<Instant>,
    events: Vec<EventObject>,
}

/// What moves while a rollout gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MovingCounts {
    counts: Option<RolloutCounts>,
    terminating: u32,
    ready_pods: usize,
}

/// Since when something is so; none while it is not.
fn measure_since(known: &mut Option<Instant>, is_so: bool) -> Duration {
    *known = if is_so { Some(known.unwrap_or_else(Instant::now)) } else { None };
    known.map(|at| at.elapsed()).unwrap_or_default()
}

impl RolloutMemory {
    /// Whether a pod of this version was ever seen ready.
    pub fn has_been_ready(&self) -> bool {
        self.was_ready
    }

    /// The warnings, where nothing has moved for a while; they are read now and then. Whoever may not read them sees none.
    async fn warnings(&mut self, client: &Client) -> &[EventObject] {
        let is_stalled = self.moved_at.is_some_and(|at| at.elapsed() >= READ_PATIENCE);
        if !is_stalled || self.steady_since.is_some() {
            return &[];
        }
        if self.events.read_at.is_none_or(|at| at.elapsed() >= READ_INTERVAL) {
            let read = client.warnings().await.unwrap_or_default();
            self.events = EventMemory { read_at: Some(Instant::now()), events: read };
        }
        &self.events.events
    }

    /// Notes a look and returns how long things have been so.
    pub fn note(&mut self, expected: &ExpectedRollout, look: &WorkloadLook<'_>) -> LookDurations {
        let counts = look.workload.counts(look.kind);
        let ready_pods = look.pods.iter().filter(|pod| pod.is_ready()).count();
        let terminating = look.workload.status.terminating_replicas;
        let moving = MovingCounts { counts, terminating, ready_pods };
        if self.counts != Some(moving) {
            (self.counts, self.moved_at) = (Some(moving), Some(Instant::now()));
        }
        self.was_ready |= ready_pods > 0;
        let restarts: u32 =
            look.pods.iter().flat_map(|pod| pod.containers()).map(|one| one.restart_count).sum();
        let has_restarted = std::mem::replace(&mut self.restarts, restarts) != restarts;
        if has_restarted {
            self.steady_since = None;
        }
        let observed = look.workload.status.observed_generation.unwrap_or_default();
        let is_done = counts.is_some_and(|counts| is_complete(look, counts));
        LookDurations {
            unseen: measure_since(&mut self.unseen_since, observed < look.workload.metadata.generation),
            stalled: self.moved_at.map(|at| at.elapsed()).unwrap_or_default(),
            deadline_exceeded: measure_since(
                &mut self.deadline_since,
                deadline_condition(expected, look).is_some(),
            ),
            cause: self.note_cause(look.cause),
            creation_error: measure_since(&mut self.creation_error_since, creation_error(look).is_some()),
            steady: measure_since(&mut self.steady_since, is_done),
        }
    }

    /// A cause counts from its first look, and is forgotten once it is gone.
    fn note_cause(&mut self, cause: Option<&Cause>) -> Duration {
        let before = self.cause_since.take();
        self.cause_since = cause.map(|cause| match before {
            Some((row, at)) if row == cause.row => (row, at),
            _ => (cause.row, Instant::now()),
        });
        self.cause_since.map(|(_, at)| at.elapsed()).unwrap_or_default()
    }
}

/// What a status is made of.
pub struct StatusQuery<'q> {
    /// The client.
    pub client: &'q Client,
    /// The workload.
    pub name: &'q WorkloadName,
    /// The deployed container.
    pub container: &'q str,
    /// A deadline of the deploy file.
    pub deadline_seconds: Option<u64>,
}

/// One look at a rollout.
pub async fn rollout_status(
    query: &StatusQuery<'_>,
    expected: &ExpectedRollout,
    version: &Version,
    memory: &mut RolloutMemory,
) -> Result<RolloutStatus, Problem> {
    let state = match read_changed_state(query.client, query.name, memory.revisions.as_ref()).await {
        Ok(state) => state,
        Err(error) if error.kind == ErrorKind::NotFound => {
            return Ok(RolloutStatus::Failed(deleted_failure(query.name)));
        }
        Err(error) => return Err(error.problem),
    };
    memory.revisions = Some(KnownRevisions::of(&state));
    let revision = state.current_revision(query.name);
    let pods = state.pods_of(query.name, revision);
    let mut cause = causes::worst_cause(revision, &pods, memory.has_been_ready());
    if cause.as_ref().is_none_or(Cause::is_unready) {
        let events = RolloutEvents { all: memory.warnings(query.client).await, started: expected.started };
        cause = add_events(cause, &state.workload, &pods, &events);
    }
    cause = cause.or_else(|| stuck_cause(&state.workload, &state.pods, query.client.namespace()));
    let look = WorkloadLook {
        kind: query.name.kind,
        workload: &state.workload,
        revision,
        pods: &pods,
        cause: cause.as_ref(),
        deadline_seconds: query.deadline_seconds,
    };
    let durations = memory.note(expected, &look);
    let verdict = judge(expected, &look, &durations);
    let facts = StatusFacts { look: &look, version, container: query.container };
    let status = facts.to_status(verdict);
    Ok(match status {
        RolloutStatus::Failed(failure) => {
            RolloutStatus::Failed(with_logs(query.client, failure, cause.as_ref()).await)
        }
        // Who paused or deleted it decides what comes next: to ask for the same rollback again changes nothing.
        RolloutStatus::Aborted(failure) => RolloutStatus::Failed(failure),
        RolloutStatus::Progressing(progress) => {
            RolloutStatus::Progressing(Progress { due_in: time_to_proof(&look, &durations), ..progress })
        }
        other => other,
    })
}

fn deleted_failure(name: &WorkloadName) -> Failure {
    let sentence = format!("The workload `{name}` was deleted while it rolled.");
    Failure::permanent(Problem::error(Code::DeploymentStopped, sentence).help("Find out who deleted it."))
}

/// Adds the last lines of the container that failed.
async fn with_logs(client: &Client, failure: Failure, cause: Option<&Cause>) -> Failure {
    let Some(source) = cause.and_then(|cause| cause.log_source.as_ref()) else { return failure };
    let read = client.pod_log(&source.pod, &source.container, source.previous, MAX_LOG_LINES);
    // The failure counts, whether or not its lines can be read.
    let text = read.await.unwrap_or_default();
    Failure { logs: log_lines(&text), ..failure }
}

/// Lines of a log.
pub fn log_lines(text: &str) -> Vec<LogLine> {
    let all: Vec<&str> = text.lines().collect();
    let tail = &all[all.len().saturating_sub(MAX_LOG_LINES)..];
    tail.iter().map(|line| LogLine::undated(*line)).collect()
}

/// What a status says beside the verdict.
pub struct StatusFacts<'f> {
    /// The look.
    pub look: &'f WorkloadLook<'f>,
    /// The version.
    pub version: &'f Version,
    /// The deployed container.
    pub container: &'f str,
}

impl StatusFacts<'_> {
    /// A verdict as the status of a rollout.
    pub fn to_status(&self, verdict: Verdict) -> RolloutStatus {
        match verdict {
            Verdict::Unknown(why) => RolloutStatus::Unknown(why),
            // Another request for the same does not help while a person keeps it so.
            Verdict::Stopped(problem) => RolloutStatus::Failed(Failure::permanent(problem)),
            Verdict::Superseded(by) => RolloutStatus::Superseded(by),
            Verdict::NothingRuns => {
                RolloutStatus::Healthy(self.proof("no copy is desired".into(), vec![nothing_runs()]))
            }
            Verdict::Progressing(stage) => RolloutStatus::Progressing(self.progress(stage)),
            Verdict::Failed(failure) => RolloutStatus::Failed(failure),
            Verdict::Healthy(evidence) => RolloutStatus::Healthy(self.proof(evidence, Vec::new())),
        }
    }

    fn progress(&self, stage: String) -> Progress {
        let counts = self.look.workload.counts(self.look.kind).unwrap_or_default();
        Progress {
            running: counts.updated.min(counts.available),
            pending: counts.desired.saturating_sub(counts.updated.min(counts.available)),
            desired: counts.desired,
            stage,
            suspected: self.look.cause.map(|cause| Box::new(cause.failure.clone())),
            needs_continue: false,
            ..Progress::default()
        }
    }

    fn proof(&self, evidence: String, remarks: Vec<Problem>) -> Proof {
        let digest = serving_digest(&self.look.workload.spec.template, self.container, self.look.pods);
        Proof { version: self.version.clone(), digest, evidence, remarks }
    }
}

fn nothing_runs() -> Problem {
    Problem::warning(
        Code::NothingRuns,
        "The workload has 0 replicas, so nothing runs and nothing was proven.",
    )
    .help("Scale it up.")
}

/// The digest that serves: the pinned one; else the one that the pods pulled, if it is one.
pub fn serving_digest(template: &Value, container: &str, pods: &[&Pod]) -> Option<Digest> {
    let image: Option<ImageRef> = super::template::container_image(template, container)?.parse().ok();
    if let Some(digest) = image.and_then(|image| image.digest) {
        return Some(digest);
    }
    let of_pod = |pod: &&Pod| {
        let status = pod.containers().find(|one| one.name == container)?;
        status.image_id.rsplit_once('@')?.1.parse::<Digest>().ok()
    };
    let mut pulled: Vec<Digest> = pods.iter().filter(|pod| pod.is_active()).filter_map(of_pod).collect();
    pulled.dedup();
    if let [one] = pulled.as_slice() { Some(one.clone()) } else { None }
}

/// Durations of a look that is the only one: what is complete counts as steady.
pub fn single_look() -> LookDurations {
    LookDurations { steady: Duration::MAX, deadline_exceeded: Duration::MAX, ..LookDurations::default() }
}

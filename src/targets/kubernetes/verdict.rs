//! The verdict of one look at a workload: the decision table, of which the first row that fits counts. Pure and total. The
//! condition `Progressing` alone proves nothing: it can be one of the rollout before, and of a template that served before it
//! says nothing at all.

use std::time::Duration;

use jiff::Timestamp;

use super::causes::{Cause, Permanence};
use super::pod::Pod;
use super::read::{Condition, RolloutCounts, WorkloadObject};
use super::revision::RevisionObject;
use super::settings::WorkloadKind;
use super::template::{container_image, template_id};
use crate::problem::{Code, Problem};
use crate::release::Failure;

/// Kubernetes's default of `progressDeadlineSeconds`.
const DEFAULT_DEADLINE: u64 = 600;
/// `progressDeadlineSeconds` of this value means none.
const NO_DEADLINE: u64 = i32::MAX as u64;
/// How much longer than Kubernetes's deadline the own one is.
const DEADLINE_MARGIN: Duration = Duration::from_secs(30);
/// How long a controller may take to see a change before that is said.
const UNSEEN_GRACE: Duration = Duration::from_secs(60);
/// Between two looks at a condition before it counts.
const CONDITION_GRACE: Duration = Duration::from_secs(2);
/// The same of a ReplicaSet that cannot be made.
const CREATION_GRACE: Duration = Duration::from_secs(10);
/// How long pods must be well, at least.
const STEADY_TIME: Duration = Duration::from_secs(10);

/// The rollout that is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedRollout {
    /// Identity of the workload.
    pub uid: String,
    /// The generation that our change made.
    pub generation: u64,
    /// What identifies its template.
    pub template: String,
    /// When the server made the change; `None` for a rollout of somebody else.
    pub started: Option<Timestamp>,
    /// The images of its containers, by name.
    pub images: Vec<ContainerImage>,
}

/// The image of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerImage {
    /// The container.
    pub container: String,
    /// Its image.
    pub image: String,
}

/// One look at a workload.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadLook<'l> {
    /// Its kind.
    pub kind: WorkloadKind,
    /// The workload.
    pub workload: &'l WorkloadObject,
    /// The revision of its template, where there is one already.
    pub revision: Option<&'l RevisionObject>,
    /// The pods of that revision.
    pub pods: &'l [&'l Pod],
    /// The worst cause of theirs.
    pub cause: Option<&'l Cause>,
    /// A deadline of the deploy file, in seconds.
    pub deadline_seconds: Option<u64>,
}

/// How long things have been as this look shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LookDurations {
    /// The controller has not seen the change.
    pub unseen: Duration,
    /// No count moved.
    pub stalled: Duration,
    /// The deadline of Kubernetes is exceeded.
    pub deadline_exceeded: Duration,
    /// The same cause is there.
    pub cause: Duration,
    /// No revision can be made.
    pub creation_error: Duration,
    /// Everything is complete, and no container was started again.
    pub steady: Duration,
}

/// What a look means.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing can be said.
    Unknown(String),
    /// Somebody ended the rollout.
    Stopped(Problem),
    /// Another template took over.
    Superseded(String),
    /// No copy is wanted, so that nothing runs.
    NothingRuns,
    /// It goes on, with the counts as text.
    Progressing(String),
    /// It cannot become healthy.
    Failed(Failure),
    /// It is complete and well, for this evidence.
    Healthy(String),
}

/// The verdict: the rows of the table, in their order.
pub fn judge(expected: &ExpectedRollout, look: &WorkloadLook<'_>, since: &LookDurations) -> Verdict {
    if let Some(problem) = replaced_object(expected, look) {
        return Verdict::Stopped(problem);
    }
    if let Some(by) = replaced_image(expected, look) {
        return Verdict::Superseded(by);
    }
    if look.workload.spec.paused {
        return Verdict::Stopped(paused_problem(&look.workload.metadata.name));
    }
    let Some(counts) = look.workload.counts(look.kind) else {
        return Verdict::Unknown("the number of desired copies is missing in the answer".into());
    };
    let Some(observed) = look.workload.status.observed_generation else {
        return Verdict::Unknown("the workload has no observed generation yet".into());
    };
    if observed < look.workload.metadata.generation.max(expected.generation) {
        return unseen_verdict(look, since);
    }
    if counts.desired == 0 {
        return Verdict::NothingRuns;
    }
    failed_verdict(expected, look, since, counts)
        .unwrap_or_else(|| settled_verdict(expected, look, since, counts))
}

/// Row 2: it is deleted, being deleted, or another object.
fn replaced_object(expected: &ExpectedRollout, look: &WorkloadLook<'_>) -> Option<Problem> {
    let name = &look.workload.metadata.name;
    let kind = look.kind.name();
    let sentence = if look.workload.metadata.uid != expected.uid {
        format!("The {kind} `{name}` was deleted and made anew while it rolled.")
    } else if look.workload.metadata.deletion_timestamp.is_some() {
        format!("The {kind} `{name}` is being deleted.")
    } else {
        return None;
    };
    Some(Problem::error(Code::DeploymentStopped, sentence).help("Find out who deletes it, and deploy again."))
}

/// Row 3: a container has another image than ours. Row 4: only other fields differ, so the rollout is followed.
fn replaced_image(expected: &ExpectedRollout, look: &WorkloadLook<'_>) -> Option<String> {
    let template = &look.workload.spec.template;
    let other = expected
        .images
        .iter()
        .find(|one| container_image(template, &one.container) != Some(one.image.as_str()))?;
    let now = container_image(template, &other.container).unwrap_or("no image");
    Some(format!("{} set {now} on the container `{}`", writer_text(look.workload), other.container))
}

/// Who changed the template last, and when.
pub fn writer_text(workload: &WorkloadObject) -> String {
    match workload.last_template_writer() {
        None => "somebody".to_owned(),
        Some(writer) => match writer.time {
            Some(at) => format!("`{}` at {}", writer.manager, at.strftime("%H:%M:%S UTC")),
            None => format!("`{}`", writer.manager),
        },
    }
}

/// What is said of a Deployment that somebody paused.
pub(super) fn paused_problem(name: &str) -> Problem {
    let sentence = format!("Somebody paused the Deployment `{name}` while it rolled.");
    Problem::error(Code::DeploymentStopped, sentence)
        .help(format!("Run `kubectl rollout resume deployment/{name}`."))
}

/// Row 6.
fn unseen_verdict(look: &WorkloadLook<'_>, since: &LookDurations) -> Verdict {
    if since.unseen >= own_deadline(look) {
        let sentence = "The controller of the workload does not act: it has not seen the change.";
        let problem = Problem::error(Code::ProviderError, sentence)
            .help("Look at the controller manager of the cluster.");
        return Verdict::Failed(Failure { permanent: false, ..Failure::permanent(problem) });
    }
    let late = if since.unseen >= UNSEEN_GRACE { ", for a minute already" } else { "" };
    Verdict::Progressing(format!("the controller has not seen the change{late}"))
}

/// How long a rollout may stand still: Kubernetes's own deadline and a little more, because Kubernetes measures none for a
/// StatefulSet, a DaemonSet, or a template that served before.
pub fn own_deadline(look: &WorkloadLook<'_>) -> Duration {
    let spec = &look.workload.spec;
    let of_spec = spec.progress_deadline_seconds.filter(|seconds| *seconds < NO_DEADLINE);
    let seconds = look.deadline_seconds.or(of_spec).unwrap_or(DEFAULT_DEADLINE).max(spec.min_ready_seconds);
    Duration::from_secs(seconds) + DEADLINE_MARGIN
}

/// Rows 7 to 19: what ends the wait.
fn failed_verdict(
    expected: &ExpectedRollout,
    look: &WorkloadLook<'_>,
    since: &LookDurations,
    counts: RolloutCounts,
) -> Option<Verdict> {
    if let Some(condition) = creation_error(look).filter(|_| since.creation_error >= CREATION_GRACE) {
        let problem = Problem::error(
            Code::UpdateRefused,
            "The controller cannot make a ReplicaSet of the new template.",
        )
        .cause(condition.message.clone())
        .help("The message says what the API server refuses.");
        return Some(Verdict::Failed(Failure::permanent(problem)));
    }
    if let Some(cause) = look.cause
        && let Permanence::After(grace) = cause.permanence
        && since.cause >= grace
    {
        return Some(Verdict::Failed(cause.failure.clone()));
    }
    if is_complete(look, counts) {
        return None;
    }
    // A deadline of the deploy file counts instead: Kubernetes goes on after its own.
    let counts_own = look.deadline_seconds.is_none() && since.deadline_exceeded >= CONDITION_GRACE;
    let by_kubernetes = deadline_condition(expected, look).filter(|_| counts_own);
    let by_us = (since.stalled >= own_deadline(look)).then(|| own_deadline(look));
    let words = match (by_kubernetes, by_us) {
        (Some(condition), _) => format!("Kubernetes reports {}: {}", condition.reason, condition.message),
        (None, Some(limit)) => format!("no count has moved for {} s", limit.as_secs()),
        (None, None) => return None,
    };
    Some(Verdict::Failed(late_failure(look, counts, &words)))
}

/// The failure of a deadline: the worst cause, where one is known.
fn late_failure(look: &WorkloadLook<'_>, counts: RolloutCounts, words: &str) -> Failure {
    match look.cause {
        Some(cause) => {
            let mut failure = Failure { permanent: false, ..cause.failure.clone() };
            let cause = failure.problem.cause.take().map(|text| format!("{text} | ")).unwrap_or_default();
            failure.problem.cause = Some(format!("{cause}{words}"));
            failure
        }
        None => {
            let sentence = format!("The rollout makes no progress: {}.", counts_text(counts));
            let problem = Problem::error(Code::HealthCheckFailed, sentence)
                .cause(words)
                .help("Look at the events of the workload and of its pods.");
            Failure { permanent: false, ..Failure::permanent(problem) }
        }
    }
}

/// The condition that no ReplicaSet can be made.
pub fn creation_error<'l>(look: &WorkloadLook<'l>) -> Option<&'l Condition> {
    let condition = look.workload.condition("Progressing").filter(|_| look.revision.is_none())?;
    (condition.status == "False" && condition.reason == "ReplicaSetCreateError").then_some(condition)
}

/// Row 18: Kubernetes's deadline is exceeded by this rollout: the condition of one before ours counts for nothing.
pub fn deadline_condition<'l>(expected: &ExpectedRollout, look: &WorkloadLook<'l>) -> Option<&'l Condition> {
    let condition = look.workload.condition("Progressing")?;
    let is_exceeded = condition.status == "False" && condition.reason == "ProgressDeadlineExceeded";
    let is_ours = match (expected.started, condition.last_update_time) {
        (Some(started), Some(written)) => written >= started,
        (None, _) => true,
        (Some(_), None) => false,
    };
    (is_exceeded && is_ours).then_some(condition)
}

/// Row 21, without its time.
pub fn is_complete(look: &WorkloadLook<'_>, counts: RolloutCounts) -> bool {
    let RolloutCounts { desired, total, updated, ready, available } = counts;
    let all = [total, updated, ready, available].iter().all(|count| *count == desired);
    desired > 0 && all && conditions_agree(look) && pods_agree(look, desired)
}

fn conditions_agree(look: &WorkloadLook<'_>) -> bool {
    let workload = look.workload;
    match look.kind {
        WorkloadKind::Deployment => {
            let is_available = workload.condition("Available").is_some_and(|one| one.status == "True");
            let progressing = workload.condition("Progressing");
            let is_over = progressing.is_none_or(|one| one.reason == "NewReplicaSetAvailable");
            let set = look.revision.map(|set| (set.spec.replicas, set.status.available_replicas));
            let is_scaled = set.is_some_and(|(wanted, available)| wanted == Some(available));
            is_available && is_over && is_scaled
        }
        WorkloadKind::StatefulSet => {
            let status = &workload.status;
            !status.update_revision.is_empty() && status.current_revision == status.update_revision
        }
        WorkloadKind::DaemonSet => true,
    }
}

/// As many pods of the revision as desired, each ready.
fn pods_agree(look: &WorkloadLook<'_>, desired: u32) -> bool {
    let active: Vec<&&Pod> =
        look.pods.iter().filter(|pod| pod.is_active() && !super::causes::is_evicted(pod)).collect();
    active.len() == desired as usize && active.iter().all(|pod| pod.is_ready())
}

/// Rows 21 and 22.
fn settled_verdict(
    expected: &ExpectedRollout,
    look: &WorkloadLook<'_>,
    since: &LookDurations,
    counts: RolloutCounts,
) -> Verdict {
    match is_complete(look, counts) {
        true if since.steady >= steady_time(look) => Verdict::Healthy(evidence(expected, look, counts)),
        true => Verdict::Progressing(format!("{}, watching that it stays so", counts_text(counts))),
        false => Verdict::Progressing(counts_text(counts)),
    }
}

/// How long pods must be well.
fn steady_time(look: &WorkloadLook<'_>) -> Duration {
    Duration::from_secs(look.workload.spec.min_ready_seconds).max(STEADY_TIME)
}

/// When a workload that is complete will have been so for long enough.
pub fn time_to_proof(look: &WorkloadLook<'_>, since: &LookDurations) -> Option<Duration> {
    let is_complete = look.workload.counts(look.kind).is_some_and(|counts| is_complete(look, counts));
    is_complete.then(|| steady_time(look).saturating_sub(since.steady))
}

/// What proves it. Row 4: what somebody else changed of the template is said.
fn evidence(expected: &ExpectedRollout, look: &WorkloadLook<'_>, counts: RolloutCounts) -> String {
    let revision = look.revision.map_or_else(String::new, |one| format!(" of {}", one.metadata.name));
    let desired = counts.desired;
    let terminating = match look.workload.status.terminating_replicas {
        0 => String::new(),
        count => format!(", {count} earlier pods still terminate"),
    };
    let changed = match template_id(&look.workload.spec.template) == expected.template {
        true => String::new(),
        false => format!(", with a template that {} changed", writer_text(look.workload)),
    };
    format!("{desired} of {desired} pods{revision} are ready and available{terminating}{changed}")
}

/// The counts in words.
pub fn counts_text(counts: RolloutCounts) -> String {
    let RolloutCounts { desired, updated, available, total, .. } = counts;
    let old = total.saturating_sub(updated);
    let old = if old > 0 { format!(", {old} of an earlier version") } else { String::new() };
    format!("{updated} of {desired} pods updated, {available} available{old}")
}

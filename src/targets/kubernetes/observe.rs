//! The observed state of a workload: the version that its template is, and what serves. Pure.

use serde_json::Value;

use super::causes;
use super::history;
use super::settings::{WorkloadKind, WorkloadName};
use super::status::{StatusFacts, WorkloadState, serving_digest, single_look};
use super::template::{container_image, template_id};
use super::verdict::{ExpectedRollout, Verdict, WorkloadLook, counts_text, judge};
use crate::problem::{Code, Problem};
use crate::release::{
    ContainerImages, Failure, ImageRef, InFlight, Observed, Proof, Rollout, RolloutStatus, Version,
};

/// The version of a template.
pub fn template_version(name: &WorkloadName, template: &Value) -> Version {
    let id = format!("{}:{}", name.name, template_id(template));
    Version { label: id.clone(), id }
}

/// What is deployed of a workload, by container.
#[derive(Debug, Clone, Copy)]
pub struct DeployedContainers<'d> {
    /// The container of the service.
    pub main: &'d str,
    /// Further containers of the deploy file.
    pub further: &'d [String],
}

impl DeployedContainers<'_> {
    /// All of them.
    pub fn all(&self) -> Vec<String> {
        std::iter::once(self.main.to_owned()).chain(self.further.iter().cloned()).collect()
    }
}

/// The observed state.
pub fn observed(name: &WorkloadName, state: WorkloadState, containers: DeployedContainers<'_>) -> Observed {
    let template = state.workload.spec.template.clone();
    let version = template_version(name, &template);
    let status = serving_status(name, &state, &version, containers);
    let is_serving = matches!(status, RolloutStatus::Healthy(_) | RolloutStatus::NotServing(_));
    let completed = history::completed_versions(name, &state, containers, is_serving);
    let expected = ExpectedRollout::of_workload(&state.workload, &containers.all(), None);
    let in_flight = matches!(status, RolloutStatus::Progressing(_)).then(|| InFlight {
        rollout: Rollout {
            version: version.id.clone(),
            label: version.label.clone(),
            ids: expected.to_ids(),
        },
        rolling_back: false,
    });
    let pods: Vec<_> = state.pods_of(name, state.current_revision(name));
    Observed {
        image: parsed_image(&template, containers.main),
        container_images: further_images(&template, containers, &pods),
        digest: serving_digest(&template, containers.main, &pods),
        previous: history::previous_version(name, &state, &version, &completed),
        version: Some(version),
        status,
        history: completed,
        in_flight,
        desired_count: state.workload.counts(name.kind).map_or(0, |counts| counts.desired),
        needs_cleanup: false,
        definition: template,
        raw: state.raw,
        url: None,
    }
}

fn parsed_image(template: &Value, container: &str) -> Option<ImageRef> {
    container_image(template, container)?.parse().ok()
}

fn further_images(
    template: &Value,
    containers: DeployedContainers<'_>,
    pods: &[&super::pod::Pod],
) -> ContainerImages {
    let image = |name: &String| {
        let image = parsed_image(template, name)?;
        let digest = serving_digest(template, name, pods);
        Some((name.clone(), digest.map_or(image.clone(), |digest| image.with_digest(digest))))
    };
    containers.further.iter().filter_map(image).collect()
}

/// What the workload's own template is doing, from one look.
fn serving_status(
    name: &WorkloadName,
    state: &WorkloadState,
    version: &Version,
    containers: DeployedContainers<'_>,
) -> RolloutStatus {
    let revision = state.current_revision(name);
    let pods = state.pods_of(name, revision);
    let cause = causes::worst_cause(revision, &pods, false);
    let look = WorkloadLook {
        kind: name.kind,
        workload: &state.workload,
        revision,
        pods: &pods,
        cause: cause.as_ref(),
        deadline_seconds: None,
    };
    let expected = ExpectedRollout::of_workload(&state.workload, &containers.all(), None);
    let facts = StatusFacts { look: &look, version, container: containers.main };
    let verdict = judge(&expected, &look, &single_look());
    match verdict {
        Verdict::Progressing(_) | Verdict::Failed(_) if is_rolled_out(&look) => degraded_status(&look, facts),
        // Somebody paused it: what serves is what its pods say.
        Verdict::Stopped(problem) if state.workload.spec.paused => paused_status(&look, facts, problem),
        other => facts.to_status(other),
    }
}

/// Whether the rollout of the template ended well before: all copies are of it, whatever became of them since.
fn is_rolled_out(look: &WorkloadLook<'_>) -> bool {
    let Some(counts) = look.workload.counts(look.kind) else { return false };
    let is_updated = counts.updated == counts.desired && counts.total == counts.desired;
    let is_observed = look.workload.status.observed_generation >= Some(look.workload.metadata.generation);
    let was_complete = match look.kind {
        WorkloadKind::Deployment => {
            let progressing = look.workload.condition("Progressing");
            progressing.is_none_or(|one| one.reason == "NewReplicaSetAvailable")
        }
        WorkloadKind::StatefulSet => {
            look.workload.status.current_revision == look.workload.status.update_revision
        }
        WorkloadKind::DaemonSet => counts.available > 0,
    };
    is_observed && is_updated && was_complete
}

/// A version that completed and has fewer copies than it should have.
fn degraded_status(look: &WorkloadLook<'_>, facts: StatusFacts<'_>) -> RolloutStatus {
    let counts = look.workload.counts(look.kind).unwrap_or_default();
    let is_available = match look.kind {
        WorkloadKind::Deployment => {
            look.workload.condition("Available").is_some_and(|one| one.status == "True")
        }
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => counts.available > 0,
    };
    let name = &look.workload.metadata.name;
    let sentence = format!("{} of {} pods of `{name}` are available.", counts.available, counts.desired);
    if is_available && counts.available > 0 {
        let remark =
            Problem::warning(Code::NotHealthy, sentence).help("Look at the pods that are not ready.");
        let healthy = facts.to_status(Verdict::Healthy(counts_text(counts)));
        return match healthy {
            RolloutStatus::Healthy(proof) => RolloutStatus::Healthy(Proof { remarks: vec![remark], ..proof }),
            other => other,
        };
    }
    let known = look.cause.map(|cause| cause.failure.clone());
    let general = || {
        let help = "Look at the events of the workload and of its pods.";
        Failure::permanent(Problem::error(Code::NotHealthy, sentence).help(help))
    };
    RolloutStatus::NotServing(known.unwrap_or_else(general))
}

fn paused_status(look: &WorkloadLook<'_>, facts: StatusFacts<'_>, problem: Problem) -> RolloutStatus {
    let counts = look.workload.counts(look.kind).unwrap_or_default();
    match counts.desired > 0 && counts.updated == counts.desired && counts.available == counts.desired {
        true => facts.to_status(Verdict::Healthy(counts_text(counts))),
        false => RolloutStatus::Aborted(Failure::permanent(problem)),
    }
}

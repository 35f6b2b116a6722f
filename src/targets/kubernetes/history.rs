//! The versions that a rollback can return to: the templates that the cluster keeps, newest first. A template that was returned to
//! completed before the ones that came after it, so it is listed at both times. Pure.

use serde_json::Value;

use super::observe::{DeployedContainers, template_version};
use super::revision::RevisionObject;
use super::settings::WorkloadName;
use super::status::WorkloadState;
use super::template::{container_image, template_id};
use crate::release::{CompletedVersion, ImageRef, Version};

/// A template at one time of its service.
struct Revival<'r> {
    number: u64,
    revision: &'r RevisionObject,
}

/// One entry for each time that a template came into service, newest first. The current one is left out while it has not
/// completed.
pub fn completed_versions(
    name: &WorkloadName,
    state: &WorkloadState,
    containers: DeployedContainers<'_>,
    is_current_complete: bool,
) -> Vec<CompletedVersion> {
    let current = template_id(&state.workload.spec.template);
    let newest = state.revisions.iter().map(RevisionObject::number).max().unwrap_or_default();
    let mut revivals: Vec<Revival<'_>> =
        state.revisions.iter().flat_map(|one| revivals(one, &state.revisions)).collect();
    revivals.sort_by_key(|one| std::cmp::Reverse(one.number));
    let is_open = |one: &Revival<'_>| {
        one.number == newest
            && template_id(&one.revision.template(name.kind)) == current
            && !is_current_complete
    };
    revivals
        .iter()
        .filter(|one| !is_open(one))
        .map(|one| completed_version(name, &one.revision.template(name.kind), containers))
        .collect()
}

/// The times of a revision: its number, those that it had before, and, where the cluster keeps none of these, the place of its
/// making among the others.
fn revivals<'r>(revision: &'r RevisionObject, all: &[RevisionObject]) -> Vec<Revival<'r>> {
    let number = revision.number();
    let kept = revision.metadata.annotations.get("deployment.kubernetes.io/revision-history");
    let mut numbers: Vec<u64> = kept
        .into_iter()
        .flat_map(|text| text.split(','))
        .filter_map(|text| text.trim().parse().ok())
        .collect();
    if numbers.is_empty() {
        let is_later = |other: &&RevisionObject| {
            other.number() < number
                && other.metadata.creation_timestamp > revision.metadata.creation_timestamp
        };
        numbers.extend(all.iter().filter(is_later).map(|other| other.number().saturating_sub(1)).min());
    }
    numbers.push(number);
    numbers.into_iter().map(|number| Revival { number, revision }).collect()
}

fn completed_version(
    name: &WorkloadName,
    template: &Value,
    containers: DeployedContainers<'_>,
) -> CompletedVersion {
    let parse = |container: &str| -> Option<ImageRef> { container_image(template, container)?.parse().ok() };
    let image = parse(containers.main);
    let further = containers.further.iter().filter_map(|one| Some((one.clone(), parse(one)?)));
    CompletedVersion {
        version: template_version(name, template),
        digest: image.as_ref().and_then(|image| image.digest.clone()),
        image,
        container_images: further.collect(),
        completed_at: None,
        commits: Vec::new(),
    }
}

/// The version that serves beside the current one, else the newest earlier one.
pub fn previous_version(
    name: &WorkloadName,
    state: &WorkloadState,
    current: &Version,
    completed: &[CompletedVersion],
) -> Option<Version> {
    let version = |one: &RevisionObject| template_version(name, &one.template(name.kind));
    let mut serving: Vec<&RevisionObject> = state
        .revisions
        .iter()
        .filter(|one| one.status.available_replicas > 0 && version(one) != *current)
        .collect();
    serving.sort_by_key(|one| one.number());
    let rolled_back = returned_from(completed);
    let other =
        || completed.iter().map(|one| &one.version).find(|one| *one != current && !rolled_back.contains(one));
    serving.last().map(|one| version(one)).or_else(|| other().cloned())
}

/// Versions from which somebody returned to an older one.
fn returned_from(completed: &[CompletedVersion]) -> Vec<&Version> {
    let first = |version: &Version| completed.iter().rposition(|one| one.version == *version);
    let is_rolled_back = |at: usize, version: &Version| {
        completed[..at].iter().any(|later| first(&later.version) > first(version))
    };
    completed
        .iter()
        .enumerate()
        .filter(|(at, one)| is_rolled_back(*at, &one.version))
        .map(|(_, one)| &one.version)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const APP: DeployedContainers<'static> = DeployedContainers { main: "app", further: &[] };

    fn template(image: &str) -> Value {
        json!({ "spec": { "containers": [{ "name": "app", "image": image }] } })
    }

    fn replica_set(image: &str, number: u64, past: &str) -> Value {
        json!({
            "metadata": { "name": image, "annotations": {
                "deployment.kubernetes.io/revision": number.to_string(),
                "deployment.kubernetes.io/revision-history": past,
            } },
            "spec": { "template": template(image) },
        })
    }

    fn controller_revision(image: &str, number: u64, made: &str) -> Value {
        json!({
            "metadata": { "name": image, "creationTimestamp": made }, "revision": number,
            "data": { "spec": { "template": template(image) } },
        })
    }

    fn state(current: &str, revisions: Vec<Value>) -> WorkloadState {
        let workload = json!({ "spec": { "template": template(current) } });
        WorkloadState {
            raw: Value::Null,
            workload: serde_json::from_value(workload).unwrap(),
            revisions: revisions.into_iter().map(|one| serde_json::from_value(one).unwrap()).collect(),
            pods: Vec::new(),
        }
    }

    fn images(workload: &str, state: &WorkloadState) -> Vec<String> {
        let name = WorkloadName::try_from(workload.to_owned()).unwrap();
        let completed = completed_versions(&name, state, APP, true);
        completed.into_iter().map(|one| one.image.unwrap().to_string()).collect()
    }

    /// `kubectl rollout undo` would go to the broken one.
    #[test]
    fn template_that_was_returned_to_is_listed_at_both_times() {
        let state = state("good:1", vec![replica_set("good:1", 3, "1"), replica_set("broken:1", 2, "")]);
        assert_eq!(images("deployment/api", &state), ["good:1", "broken:1", "good:1"]);
        let name = WorkloadName::try_from("deployment/api".to_owned()).unwrap();
        let current = template_version(&name, &template("good:1"));
        let completed = completed_versions(&name, &state, APP, true);
        assert_eq!(previous_version(&name, &state, &current, &completed), None);
    }

    #[test]
    fn revision_without_a_history_is_placed_by_the_time_of_its_making() {
        let good = controller_revision("good:1", 3, "2026-01-01T00:00:00Z");
        let broken = controller_revision("broken:1", 2, "2026-01-02T00:00:00Z");
        assert_eq!(
            images("statefulset/db", &state("good:1", vec![broken, good])),
            ["good:1", "broken:1", "good:1"]
        );
    }

    #[test]
    fn current_template_is_left_out_until_it_has_completed() {
        let state = state("new:1", vec![replica_set("old:1", 1, ""), replica_set("new:1", 2, "")]);
        let name = WorkloadName::try_from("deployment/api".to_owned()).unwrap();
        let completed = completed_versions(&name, &state, APP, false);
        assert_eq!(completed.len(), 1);
        assert_eq!(completed[0].image.as_ref().unwrap().to_string(), "old:1");
    }
}

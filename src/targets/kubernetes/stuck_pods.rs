//! Pods that a StatefulSet never replaces, not even for a template that was well. Pure.

use super::causes::Cause;
use super::pod::Pod;
use super::read::WorkloadObject;
use crate::problem::{Code, Problem};

/// The row of what is only waited for.
const WAITING_ROW: u8 = 22;

/// Pods of a StatefulSet that it never replaces: they are of another template, and not ready. Those of other workloads can have
/// the same labels.
pub fn stuck_pods<'p>(workload: &WorkloadObject, pods: &'p [Pod]) -> Vec<&'p Pod> {
    let (wanted, uid) = (&workload.status.update_revision, &workload.metadata.uid);
    let is_stuck = |pod: &&Pod| {
        let revision = pod.metadata.labels.get("controller-revision-hash");
        !wanted.is_empty()
            && revision.is_some_and(|revision| revision != wanted)
            && pod.metadata.owner_references.iter().any(|owner| owner.uid == *uid)
            && pod.is_active()
            && !pod.is_ready()
    };
    pods.iter().filter(is_stuck).collect()
}

/// The first of them as what is waited for: without the right to delete it, a person must.
pub fn stuck_cause(workload: &WorkloadObject, pods: &[Pod], namespace: &str) -> Option<Cause> {
    let name = &stuck_pods(workload, pods).into_iter().next()?.metadata.name;
    let sentence = format!(
        "The pod `{name}` of another template is not ready, and a StatefulSet does not replace such a pod."
    );
    let problem = Problem::error(Code::HealthCheckFailed, sentence)
        .help(format!("Run `kubectl delete pod {name} --namespace {namespace}`."));
    Some(Cause::waiting(WAITING_ROW, problem))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_pods_of_the_stateful_set_itself_are_stuck() {
        let pod = |owner: &str, revision: &str, ready: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {
                    "name": format!("{owner}-{revision}"), "labels": { "controller-revision-hash": revision },
                    "ownerReferences": [{ "uid": owner, "controller": true }],
                },
                "status": { "conditions": [{ "type": "Ready", "status": ready }] },
            }))
            .unwrap()
        };
        let workload = json!({ "metadata": { "uid": "u" }, "status": { "updateRevision": "db-1" } });
        let workload: WorkloadObject = serde_json::from_value(workload).unwrap();
        let others = [pod("v", "db-2", "False"), pod("u", "db-1", "False"), pod("u", "db-2", "True")];
        assert_eq!((stuck_pods(&workload, &others), stuck_cause(&workload, &others, "shop")), (vec![], None));
        let cause = stuck_cause(&workload, &[pod("u", "db-2", "False")], "shop").unwrap();
        assert_eq!(cause.failure.problem.help, "Run `kubectl delete pod u-db-2 --namespace shop`.");
    }
}

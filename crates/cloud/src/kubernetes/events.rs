//! Events: what the controllers, the scheduler and the kubelet say of what does not work. Computed from what is so now.

use serde_json::{Value, json};

use super::objects::format_time;
use super::pods::first_image;
use super::state::{Cluster, ClusterPod, Workload, WorkloadKind};

/// What an event is about.
struct Subject<'s> {
    version: &'static str,
    kind: &'static str,
    name: &'s str,
    uid: &'s str,
}

/// The warnings of a namespace at `now`.
pub(super) fn list_warnings(cluster: &Cluster, namespace: &str, now: f64) -> Vec<Value> {
    let workloads = cluster.workloads.iter().filter(|work| work.setting.namespace == namespace);
    workloads
        .flat_map(|work| {
            let of_pods = work.pods.iter().filter_map(|one| pod_warning(work, one, now));
            creation_warning(work, now).into_iter().chain(of_pods).collect::<Vec<_>>()
        })
        .collect()
}

/// Pods that the API server refuses.
fn creation_warning(work: &Workload, now: f64) -> Option<Value> {
    let revision = work.revisions.last()?;
    let refusal = revision.create_failure.as_ref()?;
    let name = &work.setting.name;
    let own = |kind: WorkloadKind| Subject { version: "apps/v1", kind: kind.name(), name, uid: &work.uid };
    let (subject, words) = match work.setting.kind {
        WorkloadKind::Deployment => {
            let (name, uid) = (revision.name.as_str(), revision.uid.as_str());
            let set = Subject { version: "apps/v1", kind: "ReplicaSet", name, uid };
            (set, format!("Error creating: {refusal}"))
        }
        WorkloadKind::StatefulSet => {
            let next = work.pods.len();
            let words = format!("create Pod {name}-{next} in StatefulSet {name} failed error: {refusal}");
            (own(WorkloadKind::StatefulSet), words)
        }
        WorkloadKind::DaemonSet => (own(WorkloadKind::DaemonSet), format!("Error creating: {refusal}")),
    };
    Some(event_json(work, &subject, "FailedCreate", &words, now))
}

fn pod_warning(work: &Workload, one: &ClusterPod, now: f64) -> Option<Value> {
    let status = one.pod.status_at(&work.setting.name, &first_image(work, one), now);
    let (reason, words) = match status.reason.as_str() {
        "Unschedulable" => ("FailedScheduling", status.message),
        "Running" if !status.is_ready => {
            ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503".to_owned())
        }
        "CrashLoopBackOff" => ("BackOff", status.message),
        "ErrImagePull" | "ImagePullBackOff" => ("Failed", status.message),
        _ => return None,
    };
    let subject = Subject { version: "v1", kind: "Pod", name: &one.pod.name, uid: &one.pod.uid };
    Some(event_json(work, &subject, reason, &words, now))
}

fn event_json(work: &Workload, subject: &Subject<'_>, reason: &str, words: &str, now: f64) -> Value {
    let Subject { version, kind, name, uid } = subject;
    let namespace = &work.setting.namespace;
    json!({
        "metadata": { "name": format!("{name}.{reason}"), "namespace": namespace },
        "involvedObject": { "apiVersion": version, "kind": kind, "namespace": namespace, "name": name, "uid": uid },
        "reason": reason, "message": words, "type": "Warning", "count": 1, "eventTime": null,
        "firstTimestamp": format_time(now), "lastTimestamp": format_time(now),
        "source": { "component": "cluster" },
    })
}

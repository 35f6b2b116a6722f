//! Workloads as the API returns them, as far as a rollout depends on them. Reading only: missing lists and counts are empty, a
//! number that is due and missing is `None`, and no enum is closed. Templates stay as they are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::settings::WorkloadKind;
use crate::targets::json::lenient_timestamp;

/// A list of objects.
#[derive(Debug, Deserialize)]
pub struct ObjectList<T> {
    /// The objects.
    #[serde(default = "Vec::new")]
    pub items: Vec<T>,
}

/// A Deployment, StatefulSet or DaemonSet.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkloadObject {
    /// Names, generation, owners.
    pub metadata: Metadata,
    /// What is desired.
    pub spec: WorkloadSpec,
    /// What is.
    pub status: WorkloadCounts,
}

/// Metadata of an object.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// How often its spec changed.
    pub generation: u64,
    /// When it was made.
    #[serde(deserialize_with = "lenient_timestamp")]
    pub creation_timestamp: Option<Timestamp>,
    /// Present while it is being deleted.
    pub deletion_timestamp: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The objects that it belongs to.
    pub owner_references: Vec<OwnerReference>,
    /// Who wrote which of its fields.
    pub managed_fields: Vec<ManagedFields>,
}

/// An object that another belongs to.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct OwnerReference {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Whether it controls the object.
    pub controller: bool,
}

/// The fields that one writer wrote.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManagedFields {
    /// The writer.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// When it wrote last.
    #[serde(deserialize_with = "lenient_timestamp")]
    pub time: Option<Timestamp>,
    /// `status` for the writer of the status.
    pub subresource: String,
    /// The fields.
    pub fields_v1: Value,
}

/// What is desired of a workload.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// Copies; a DaemonSet has none.
    pub replicas: Option<u32>,
    /// Which pods are its own.
    pub selector: LabelSelector,
    /// The template of its pods, word for word.
    pub template: Value,
    /// Whether a Deployment is paused.
    pub paused: bool,
    /// How long a Deployment may stand still, in seconds.
    pub progress_deadline_seconds: Option<u64>,
    /// How long a pod must be ready to be available, in seconds.
    pub min_ready_seconds: u64,
    /// How a Deployment is updated.
    pub strategy: UpdateStrategy,
    /// How a StatefulSet or a DaemonSet is updated.
    pub update_strategy: UpdateStrategy,
    /// How many earlier templates are kept.
    pub revision_history_limit: Option<u32>,
}

/// A selector of labels.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with their values.
    pub match_labels: BTreeMap<String, String>,
}

/// How a workload is updated.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// `RollingUpdate`, `Recreate` or `OnDelete`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Settings of a rolling update.
    pub rolling_update: Option<RollingUpdate>,
}

/// Settings of a rolling update.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RollingUpdate {
    /// Pods below this number are not updated.
    pub partition: Option<u32>,
    /// More pods than desired: a number, or a percentage as text.
    pub max_surge: Option<Value>,
    /// Fewer pods than desired, likewise.
    pub max_unavailable: Option<Value>,
}

/// Counts and conditions of a workload or of a ReplicaSet. Kubernetes leaves out counts of zero.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkloadCounts {
    /// The generation that its controller has seen.
    pub observed_generation: Option<u64>,
    /// Pods that are not terminating.
    pub replicas: u32,
    /// Those of the current template.
    pub updated_replicas: u32,
    /// Ready pods.
    pub ready_replicas: u32,
    /// Pods that have been ready for long enough.
    pub available_replicas: u32,
    /// Pods that are terminating, since 1.35.
    pub terminating_replicas: u32,
    /// What the controller says of it.
    pub conditions: Vec<Condition>,
    /// The revision of a StatefulSet that is being replaced.
    pub current_revision: String,
    /// The revision that replaces it.
    pub update_revision: String,
    /// Nodes that should run a pod of a DaemonSet.
    pub desired_number_scheduled: Option<u32>,
    /// Nodes that run one.
    pub current_number_scheduled: u32,
    /// Nodes that run one of the current template.
    pub updated_number_scheduled: u32,
    /// Nodes with a ready pod.
    pub number_ready: u32,
    /// Nodes with an available pod.
    pub number_available: u32,
}

/// A condition.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
    /// When it was written last.
    #[serde(deserialize_with = "lenient_timestamp")]
    pub last_update_time: Option<Timestamp>,
    /// The generation that it is about, where it says so.
    pub observed_generation: Option<u64>,
}

/// Members that are read word for word.
const VERBATIM: [&str; 4] = ["template", "data", "rules", "fieldsV1"];

/// An object of the API. A member that is `null` means the same as one that is absent: servers and operators write both, for
/// lists, texts and numbers alike.
pub fn read_object<T: DeserializeOwned>(mut raw: Value) -> serde_json::Result<T> {
    remove_nulls(&mut raw);
    serde_json::from_value(raw)
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            let read = members.iter_mut().filter(|(name, _)| !VERBATIM.contains(&name.as_str()));
            read.for_each(|(_, member)| remove_nulls(member));
        }
        _ => {}
    }
}

/// The counts that a rollout is judged by, whatever the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RolloutCounts {
    /// Copies that there should be.
    pub desired: u32,
    /// Copies that are not terminating.
    pub total: u32,
    /// Those of the current template.
    pub updated: u32,
    /// Ready copies.
    pub ready: u32,
    /// Available copies.
    pub available: u32,
}

impl WorkloadObject {
    /// The counts; `None` where a number is missing that cannot be left out.
    pub fn counts(&self, kind: WorkloadKind) -> Option<RolloutCounts> {
        let WorkloadCounts { replicas, updated_replicas, ready_replicas, available_replicas, .. } =
            self.status;
        match kind {
            WorkloadKind::Deployment | WorkloadKind::StatefulSet => Some(RolloutCounts {
                desired: self.spec.replicas?,
                total: replicas,
                updated: updated_replicas,
                ready: ready_replicas,
                available: available_replicas,
            }),
            WorkloadKind::DaemonSet => Some(RolloutCounts {
                desired: self.status.desired_number_scheduled?,
                total: self.status.current_number_scheduled,
                updated: self.status.updated_number_scheduled,
                ready: self.status.number_ready,
                available: self.status.number_available,
            }),
        }
    }

    /// The condition of a type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// The selector of its pods, for queries.
    pub fn selector(&self) -> String {
        let terms = self.spec.selector.match_labels.iter().map(|(name, value)| format!("{name}={value}"));
        terms.collect::<Vec<_>>().join(",")
    }

    /// The strategy of updates, whatever the kind.
    pub fn update_kind(&self, kind: WorkloadKind) -> &str {
        match kind {
            WorkloadKind::Deployment => &self.spec.strategy.kind,
            WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => &self.spec.update_strategy.kind,
        }
    }

    /// The writer that changed the template last.
    pub fn last_template_writer(&self) -> Option<&ManagedFields> {
        let writes = |one: &&ManagedFields| !one.fields_v1["f:spec"]["f:template"].is_null();
        self.metadata.managed_fields.iter().filter(writes).max_by_key(|one| one.time)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_counts_are_zero_and_a_missing_desired_number_is_none() {
        let bare: WorkloadObject = read_object(json!({ "status": { "conditions": null } })).unwrap();
        assert_eq!(bare.counts(WorkloadKind::Deployment), None);
        assert_eq!(bare.counts(WorkloadKind::DaemonSet), None);
        let desired: WorkloadObject = read_object(json!({ "spec": { "replicas": 2 } })).unwrap();
        let counts = desired.counts(WorkloadKind::Deployment).unwrap();
        assert_eq!(counts, RolloutCounts { desired: 2, ..RolloutCounts::default() });
    }

    #[test]
    fn null_is_the_same_as_absent_and_a_template_stays_word_for_word() {
        let template = json!({ "metadata": { "creationTimestamp": null } });
        let read: WorkloadObject = read_object(json!({
            "metadata": { "name": null, "labels": null, "generation": null },
            "spec": { "replicas": null, "paused": null, "template": template },
            "status": { "replicas": null, "conditions": [{ "type": "Available", "reason": null }] },
        }))
        .unwrap();
        let condition = Condition { kind: "Available".into(), ..Condition::default() };
        let spec = WorkloadSpec { template, ..WorkloadSpec::default() };
        let status = WorkloadCounts { conditions: vec![condition], ..WorkloadCounts::default() };
        assert_eq!(read, WorkloadObject { metadata: Metadata::default(), spec, status });
    }
}

//! The objects that keep earlier templates of a workload: ReplicaSets and ControllerRevisions. Reading only.

use serde::Deserialize;
use serde_json::Value;

use super::read::{Metadata, WorkloadCounts};
use super::settings::WorkloadKind;

/// A ReplicaSet or a ControllerRevision.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RevisionObject {
    /// Names and owners.
    pub metadata: Metadata,
    /// Copies and template of a ReplicaSet.
    pub spec: ReplicaSetSpec,
    /// Counts of a ReplicaSet.
    pub status: WorkloadCounts,
    /// Number of a ControllerRevision.
    pub revision: u64,
    /// What a ControllerRevision keeps.
    pub data: Value,
}

/// What is desired of a ReplicaSet.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ReplicaSetSpec {
    /// Its copies.
    pub replicas: Option<u32>,
    /// Its template.
    pub template: Value,
}

impl RevisionObject {
    /// The template that it keeps, as the workload had it.
    pub fn template(&self, kind: WorkloadKind) -> Value {
        let mut template = match kind {
            WorkloadKind::Deployment => self.spec.template.clone(),
            WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => self.data["spec"]["template"].clone(),
        };
        if let Some(members) = template.as_object_mut() {
            members.remove("$patch");
        }
        if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.remove("pod-template-hash");
        }
        template
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        let annotation = self.metadata.annotations.get("deployment.kubernetes.io/revision");
        annotation.and_then(|text| text.parse().ok()).unwrap_or(self.revision)
    }

    /// Whether it belongs to the object with this identity.
    pub fn is_owned_by(&self, uid: &str) -> bool {
        self.metadata.owner_references.iter().any(|owner| owner.uid == uid && owner.controller)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn revision_keeps_the_template_of_its_workload() {
        let set: RevisionObject = serde_json::from_value(json!({
            "metadata": { "annotations": { "deployment.kubernetes.io/revision": "3" } },
            "spec": { "template": { "metadata": { "labels": { "app": "a", "pod-template-hash": "h" } } } },
        }))
        .unwrap();
        let template = json!({ "metadata": { "labels": { "app": "a" } } });
        assert_eq!((set.number(), set.template(WorkloadKind::Deployment)), (3, template.clone()));
        let mut kept = template.clone();
        kept["$patch"] = json!("replace");
        let revision: RevisionObject =
            serde_json::from_value(json!({ "revision": 2, "data": { "spec": { "template": kept } } }))
                .unwrap();
        assert_eq!((revision.number(), revision.template(WorkloadKind::StatefulSet)), (2, template));
    }
}

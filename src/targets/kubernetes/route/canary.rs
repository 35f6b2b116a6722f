//! The canary as objects: a Deployment and a Service that are made for a rollout and removed after it. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::read::{Metadata, WorkloadObject};
use super::backends::RouteNames;
use crate::release::{TrafficPlan, Version};

/// The label of what is ours, with the name of the workload.
pub const CANARY_LABEL: &str = "roadstead.dev/canary-of";
/// The annotation with the version.
const VERSION_ANNOTATION: &str = "roadstead.dev/version";
/// The annotation with the weights that the route had.
const WEIGHTS_ANNOTATION: &str = "roadstead.dev/route-weights";

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServiceObject {
    /// Names and labels.
    pub metadata: Metadata,
    /// Its pods and its ports.
    pub spec: ServicePorts,
}

/// The pods of a Service, and its ports.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServicePorts {
    /// The labels of its pods.
    pub selector: BTreeMap<String, String>,
    /// Its ports, word for word.
    pub ports: Value,
}

/// What a canary is made from.
pub struct CanarySource<'c> {
    /// The workload.
    pub workload: &'c WorkloadObject,
    /// The Service of the workload.
    pub service: &'c ServiceObject,
    /// The template of the new version.
    pub template: &'c Value,
    /// The new version.
    pub version: &'c Version,
    /// Copies.
    pub replicas: u32,
    /// The weights of the route.
    pub weights: &'c [Option<u64>],
}

/// Copies for the largest weight of a plan below 100, at least one.
pub fn canary_replicas(desired: u32, plan: &TrafficPlan) -> u32 {
    let largest = plan.weights.iter().filter(|weight| **weight < 100).max().copied().unwrap_or_default();
    (u64::from(desired) * u64::from(largest)).div_ceil(100).max(1) as u32
}

impl CanarySource<'_> {
    /// The name of the workload.
    pub fn name(&self) -> &str {
        &self.workload.metadata.name
    }

    fn labels(&self) -> Value {
        json!({ CANARY_LABEL: self.name() })
    }

    /// The workload owns it: who deletes the workload deletes the canary.
    fn metadata(&self, names: &RouteNames) -> Value {
        json!({
            "name": names.canary, "labels": self.labels(), "annotations": self.annotations(),
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": self.name(),
                "uid": self.workload.metadata.uid, "controller": false, "blockOwnerDeletion": false,
            }],
        })
    }

    /// The annotations of the Deployment.
    pub fn annotations(&self) -> Value {
        json!({
            VERSION_ANNOTATION: self.version.id,
            WEIGHTS_ANNOTATION: serde_json::to_string(self.weights).unwrap_or_default(),
        })
    }

    /// The template of its pods. They have other labels than those of the workload, so that neither its Service nor its
    /// autoscaler takes them for its own.
    pub fn template(&self) -> Value {
        let mut template = self.template.clone();
        let taken = [&self.service.spec.selector, &self.workload.spec.selector.match_labels];
        let is_taken = |name: &String| taken.iter().any(|labels| labels.contains_key(name));
        let labels =
            template.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut kept: Map<String, Value> = labels.into_iter().filter(|(name, _)| !is_taken(name)).collect();
        kept.insert(CANARY_LABEL.into(), json!(self.name()));
        if let Some(place) = template.pointer_mut("/metadata/labels") {
            *place = Value::Object(kept);
        }
        template
    }

    /// The Deployment.
    pub fn deployment(&self, names: &RouteNames) -> Value {
        let spec = &self.workload.spec;
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": self.metadata(names),
            "spec": {
                "replicas": self.replicas, "selector": { "matchLabels": self.labels() }, "template": self.template(),
                "minReadySeconds": spec.min_ready_seconds,
                "progressDeadlineSeconds": spec.progress_deadline_seconds.unwrap_or(600),
            },
        })
    }

    /// The Service, with the ports of the workload's.
    pub fn service(&self, names: &RouteNames) -> Value {
        let ports = self.service.spec.ports.as_array().map_or(&[][..], Vec::as_slice);
        let kept = ["name", "port", "targetPort", "protocol", "appProtocol"];
        let port = |port: &Value| -> Value {
            let members = port.as_object().cloned().unwrap_or_default();
            Value::Object(members.into_iter().filter(|(name, _)| kept.contains(&name.as_str())).collect())
        };
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": self.metadata(names),
            "spec": { "selector": self.labels(), "ports": ports.iter().map(port).collect::<Vec<_>>() },
        })
    }

    /// Another version for a canary that an earlier run left.
    pub fn patch(&self, uid: &str) -> Value {
        json!([
            { "op": "test", "path": "/metadata/uid", "value": uid },
            { "op": "replace", "path": "/metadata/annotations", "value": self.annotations() },
            { "op": "replace", "path": "/spec/replicas", "value": self.replicas },
            { "op": "replace", "path": "/spec/template", "value": self.template() },
        ])
    }
}

/// Whether an object is a part of a canary of this workload that we made.
pub fn is_ours(metadata: &Metadata, workload: &str) -> bool {
    metadata.labels.get(CANARY_LABEL).is_some_and(|name| name == workload)
}

/// The version of a canary.
pub fn canary_version(object: &WorkloadObject) -> &str {
    object.metadata.annotations.get(VERSION_ANNOTATION).map_or("", String::as_str)
}

/// The weights that the route had before the canary.
pub fn saved_weights(object: &WorkloadObject) -> Vec<Option<u64>> {
    let text = object.metadata.annotations.get(WEIGHTS_ANNOTATION);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// An EndpointSlice.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SliceObject {
    /// Its endpoints.
    pub endpoints: Vec<SliceEndpoint>,
}

/// A pod behind a Service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SliceEndpoint {
    /// Its conditions.
    pub conditions: EndpointConditions,
}

/// Whether a pod behind a Service gets traffic.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EndpointConditions {
    /// Absent means that it is.
    pub ready: Option<bool>,
}

/// The ready endpoints of a Service.
pub fn ready_endpoints(slices: &[SliceObject]) -> usize {
    let ready = |one: &&SliceEndpoint| one.conditions.ready.unwrap_or(true);
    slices.iter().flat_map(|slice| &slice.endpoints).filter(ready).count()
}

#[cfg(test)]
mod tests {
    use super::super::super::read::read_object;
    use super::*;
    use crate::release::HumanDuration;

    fn plan(weights: &[u8]) -> TrafficPlan {
        TrafficPlan {
            weights: weights.to_vec(),
            bake: HumanDuration::default(),
            hook_timeout: HumanDuration::default(),
        }
    }

    #[test]
    fn copies_are_those_of_the_largest_weight_below_all() {
        let table: [(u32, &[u8], u32); 5] = [
            (10, &[0, 10, 100], 1),
            (10, &[0, 25, 50, 75, 100], 8),
            (1, &[0, 5, 100], 1),
            (3, &[0, 50, 100], 2),
            (4, &[0, 100], 1),
        ];
        for (desired, weights, expected) in table {
            assert_eq!(canary_replicas(desired, &plan(weights)), expected, "{desired} {weights:?}");
        }
    }

    #[test]
    fn canary_is_neither_behind_the_service_nor_of_the_workload() {
        let workload: WorkloadObject = serde_json::from_value(json!({
            "metadata": { "name": "api", "uid": "u" },
            "spec": { "selector": { "matchLabels": { "app": "api" } } },
        }))
        .unwrap();
        let service: ServiceObject = serde_json::from_value(json!({ "spec": {
            "selector": { "app": "api", "tier": "web" },
            "ports": [{ "name": "http", "port": 80, "targetPort": 8080, "nodePort": 31000 }],
        } }))
        .unwrap();
        let template =
            json!({ "metadata": { "labels": { "app": "api", "tier": "web", "team": "a" } }, "spec": {} });
        let version = Version { id: "api:2".into(), label: "api:2".into() };
        let source = CanarySource {
            workload: &workload,
            service: &service,
            template: &template,
            version: &version,
            replicas: 1,
            weights: &[Some(1), None],
        };
        let names = RouteNames { route: "api".into(), stable: "api".into(), canary: "api-canary".into() };
        let made = source.deployment(&names);
        let labels = made["spec"]["template"]["metadata"]["labels"].clone();
        assert_eq!(labels, json!({ "team": "a", CANARY_LABEL: "api" }));
        let read: WorkloadObject = serde_json::from_value(made).unwrap();
        assert!(is_ours(&read.metadata, "api") && !is_ours(&read.metadata, "web"));
        assert_eq!((canary_version(&read), saved_weights(&read)), ("api:2", vec![Some(1), None]));
        let ports = source.service(&names)["spec"]["ports"].clone();
        assert_eq!(ports, json!([{ "name": "http", "port": 80, "targetPort": 8080 }]), "no port of a node");
    }

    #[test]
    fn endpoints_without_a_condition_are_ready() {
        let slices: Vec<SliceObject> = read_object(json!([
            { "endpoints": [{ "conditions": { "ready": true } }, { "conditions": {} }, { "conditions": { "ready": false } }] },
            { "endpoints": null },
        ]))
        .unwrap();
        assert_eq!(ready_endpoints(&slices), 2);
    }
}

//! The managed resources of an application: what each is in the cluster, and what Argo CD makes of Git. Which of them run
//! the image of a release is decided here. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::live_image::{is_live, is_of_repository};
use super::read::{ResourceStatus, null_as_default};
use crate::release::ImageRef;

/// What identifies a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceKey {
    /// API group; empty for the core.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ResourceKey {
    /// Whether its pods end on their own.
    pub fn is_batch(&self) -> bool {
        matches!(self.kind.as_str(), "CronJob" | "Job")
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl ResourceStatus {
    /// What identifies it.
    pub fn key(&self) -> ResourceKey {
        ResourceKey {
            group: self.group.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// The answer of `managed-resources`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ManagedResources {
    /// In no particular order.
    #[serde(deserialize_with = "null_as_default")]
    pub items: Vec<ManagedResource>,
}

/// A managed resource as the last comparison left it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManagedResource {
    /// What identifies it.
    #[serde(flatten)]
    pub key: ResourceKey,
    /// Its manifest in the cluster, as text; `null` if it is not there.
    pub live_state: String,
    /// Its manifest as rendered from Git; `null` if it is in none.
    pub target_state: String,
}

/// A workload, with the images of both of its manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// What identifies it.
    pub key: ResourceKey,
    /// Images of its manifest in the cluster.
    pub live_images: Vec<String>,
    /// Images of its manifest as rendered from Git.
    pub target_images: Vec<String>,
    /// Whether nothing of it should run now: no replicas, or suspended.
    pub is_idle: bool,
}

impl ManagedResource {
    /// The workload; `None` if neither manifest names an image of the repository.
    fn workload(&self, image: &ImageRef) -> Option<Workload> {
        let names = |text: &str| text.contains(&image.repository) || has_digest(text, image);
        if !names(&self.live_state) && !names(&self.target_state) {
            return None;
        }
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let (live, target) = (parse(&self.live_state), parse(&self.target_state));
        let (live_images, target_images) = (spec_images(&live), spec_images(&target));
        let mut all = live_images.iter().chain(&target_images);
        let is_ours = all.any(|found| is_of_repository(found, image) || is_live(found, image));
        is_ours.then(|| Workload {
            key: self.key.clone(),
            is_idle: is_idle(&self.key, &live),
            live_images,
            target_images,
        })
    }
}

fn has_digest(text: &str, image: &ImageRef) -> bool {
    image.digest.as_ref().is_some_and(|digest| text.contains(digest.as_str()))
}

/// The workloads with an image of this repository, whatever its version.
pub fn workloads_of(items: &[ManagedResource], image: &ImageRef) -> Vec<Workload> {
    items.iter().filter_map(|item| item.workload(image)).collect()
}

impl Workload {
    /// Whether its manifest in Git has this image.
    pub fn renders(&self, image: &ImageRef) -> bool {
        self.target_images.iter().any(|found| is_live(found, image))
    }

    /// The live image that is this one.
    pub fn live_image(&self, image: &ImageRef) -> Option<&str> {
        self.live_images.iter().find(|found| is_live(found, image)).map(String::as_str)
    }
}

/// Images that a manifest names: every `image` below its `spec`, as one text or as `repository` with `tag` or `digest`.
fn spec_images(manifest: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_images(&manifest["spec"], &mut found);
    found
}

fn collect_images(node: &Value, found: &mut Vec<String>) {
    match node {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(image) if key == "image" => found.push(image.clone()),
                    value if key == "image" => found.extend(joined_image(value)),
                    _ => {}
                }
                collect_images(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_images(item, found)),
        _ => {}
    }
}

fn joined_image(parts: &Value) -> Option<String> {
    let text = |key: &str| parts[key].as_str().filter(|text| !text.is_empty());
    let registry = text("registry").map(|registry| format!("{registry}/")).unwrap_or_default();
    let version = text("tag").map(|tag| format!(":{tag}")).or_else(|| Some(format!("@{}", text("digest")?)));
    Some(format!("{registry}{}{}", text("repository")?, version?))
}

fn is_idle(key: &ResourceKey, live: &Value) -> bool {
    let spec = &live["spec"];
    spec["replicas"].as_u64() == Some(0) || key.is_batch() && spec["suspend"].as_bool() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(kind: &str, live: &Value, target: &Value) -> ManagedResource {
        serde_json::from_value(json!({
            "group": "apps", "kind": kind, "namespace": "shop", "name": "web",
            "liveState": live.to_string(), "targetState": target.to_string(),
        }))
        .unwrap()
    }

    fn pod_template(image: &str) -> Value {
        json!({ "template": { "spec": { "initContainers": [{ "image": "init:1" }], "containers": [{ "image": image }] } } })
    }

    #[test]
    fn workloads_are_found_by_image_in_either_manifest() {
        let wanted: ImageRef = "acme/web:v2".parse().unwrap();
        let deployment = item(
            "Deployment",
            &json!({ "spec": pod_template("acme/web:v1") }),
            &json!({ "spec": pod_template("acme/web:v2") }),
        );
        let cron = json!({ "kind": "CronJob", "spec": { "suspend": true, "jobTemplate": { "spec": pod_template("acme/web:v2") } } });
        let custom = json!({ "spec": { "image": { "repository": "acme/web", "tag": "v2" } } });
        let other = json!({ "spec": pod_template("acme/webhook:v2") });
        let items = [
            deployment,
            item("CronJob", &cron, &cron),
            item("Site", &Value::Null, &custom),
            item("Deployment", &other, &other),
            item("Service", &json!({ "spec": {} }), &json!({ "spec": {} })),
        ];
        let found = workloads_of(&items, &wanted);
        let shown: Vec<_> = found
            .iter()
            .map(|one| (one.key.kind.as_str(), one.live_image(&wanted), one.renders(&wanted), one.is_idle))
            .collect();
        assert_eq!(
            shown,
            [
                ("Deployment", None, true, false),
                ("CronJob", Some("acme/web:v2"), true, true),
                ("Site", None, true, false)
            ]
        );
        assert_eq!(found[0].key.to_string(), "Deployment/web");
    }
}

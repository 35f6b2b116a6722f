//! Every resource of an application with those that it owns, and Kubernetes events, as Argo CD's API returns them.
//! Reading only.

use jiff::Timestamp;
use serde::Deserialize;

use super::managed::ResourceKey;
use super::read::{HealthStatus, null_as_default};
use crate::release::LogLine;
use crate::targets::json::lenient_timestamp;

/// Every resource of an application, including those that it did not declare itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ApplicationTree {
    /// Resources of the application, with those that they own.
    #[serde(deserialize_with = "null_as_default")]
    pub nodes: Vec<ResourceNode>,
}

/// A resource of an application.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceNode {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// What owns it.
    #[serde(deserialize_with = "null_as_default")]
    pub parent_refs: Vec<ParentRef>,
    /// The health.
    pub health: Option<HealthStatus>,
    /// Images of a pod.
    #[serde(deserialize_with = "null_as_default")]
    pub images: Vec<String>,
}

/// An owner of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ParentRef {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// Kubernetes events.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct KubernetesEventList {
    /// In no particular order.
    #[serde(deserialize_with = "null_as_default")]
    pub items: Vec<KubernetesEvent>,
}

/// A Kubernetes event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KubernetesEvent {
    /// `Warning` or `Normal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Such as `BackOff`.
    pub reason: String,
    /// The message.
    pub message: String,
}

/// An entry of a stream of logs.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LogEntry {
    content: String,
    #[serde(deserialize_with = "lenient_timestamp")]
    time_stamp_str: Option<Timestamp>,
    last: bool,
}

/// The lines of a stream of logs, oldest first. What cannot be read is left out.
pub fn parse_logs(body: &[u8]) -> Vec<LogLine> {
    #[derive(Deserialize)]
    struct Item {
        result: LogEntry,
    }
    let entries = serde_json::Deserializer::from_slice(body).into_iter::<Item>().map_while(Result::ok);
    let lines = entries.map(|item| item.result).filter(|entry| !entry.last && !entry.content.is_empty());
    lines
        .map(|entry| LogLine {
            at_ms: entry.time_stamp_str.map_or(0, Timestamp::as_millisecond),
            text: entry.content,
        })
        .collect()
}

impl ResourceNode {
    /// Whether its health has this status.
    pub fn has_health(&self, status: &str) -> bool {
        self.health.as_ref().is_some_and(|health| health.status == status)
    }

    fn is_child_of(&self, parent: &ResourceNode) -> bool {
        self.parent_refs
            .iter()
            .any(|owner| owner.uid == parent.uid && owner.kind == parent.kind && owner.name == parent.name)
    }
}

impl ApplicationTree {
    /// The node of a resource of the application.
    pub fn node(&self, key: &ResourceKey) -> Option<&ResourceNode> {
        self.nodes
            .iter()
            .find(|node| node.kind == key.kind && node.name == key.name && node.namespace == key.namespace)
    }

    /// The resource itself and all that it owns, owners first.
    pub fn family(&self, key: &ResourceKey) -> Vec<&ResourceNode> {
        let mut family: Vec<&ResourceNode> = self.node(key).into_iter().collect();
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            let new = |node: &&ResourceNode| {
                node.is_child_of(parent) && !family.iter().any(|known| std::ptr::eq(*known, *node))
            };
            let children: Vec<&ResourceNode> = self.nodes.iter().filter(new).collect();
            family.extend(children);
            next += 1;
        }
        family
    }

    /// The pods of a resource.
    pub fn pods(&self, key: &ResourceKey) -> Vec<&ResourceNode> {
        self.family(key).into_iter().filter(|node| node.kind == "Pod").collect()
    }
}

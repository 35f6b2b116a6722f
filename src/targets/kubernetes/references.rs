//! The Secrets and ConfigMaps that a template names: without them its containers are not started. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::template::template_containers;
use crate::problem::{Code, Problem};

/// The kind of an object that a template names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

impl ReferenceKind {
    /// As Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// Its resource in paths of the API.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::ConfigMap => "configmaps",
        }
    }
}

/// An object that pods of a template need.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Its kind.
    pub kind: ReferenceKind,
    /// Its name.
    pub name: String,
}

impl Reference {
    /// It does not exist.
    pub fn missing_problem(&self, namespace: &str) -> Problem {
        let Self { kind, name } = self;
        let sentence = format!(
            "The template names the {} `{name}`, which does not exist in the namespace `{namespace}`. Nothing was changed.",
            kind.name()
        );
        Problem::error(Code::ResourceSetupFailed, sentence)
            .help("Create it, or mark the reference as `optional`.")
    }
}

/// The objects that containers cannot start without, each once.
pub fn required_references(template: &Value) -> BTreeSet<Reference> {
    let of_containers = template_containers(template).flat_map(|container| {
        let variables = items(&container["env"]).flat_map(|one| {
            let from = &one["valueFrom"];
            [
                reference(ReferenceKind::Secret, &from["secretKeyRef"], "name"),
                reference(ReferenceKind::ConfigMap, &from["configMapKeyRef"], "name"),
            ]
        });
        let whole = items(&container["envFrom"]).flat_map(|one| {
            [
                reference(ReferenceKind::Secret, &one["secretRef"], "name"),
                reference(ReferenceKind::ConfigMap, &one["configMapRef"], "name"),
            ]
        });
        variables.chain(whole).collect::<Vec<_>>()
    });
    let of_volumes = items(&template["spec"]["volumes"]).flat_map(|volume| {
        let projected = items(&volume["projected"]["sources"]).flat_map(|one| {
            [
                reference(ReferenceKind::Secret, &one["secret"], "name"),
                reference(ReferenceKind::ConfigMap, &one["configMap"], "name"),
            ]
        });
        let own = [
            reference(ReferenceKind::Secret, &volume["secret"], "secretName"),
            reference(ReferenceKind::ConfigMap, &volume["configMap"], "name"),
        ];
        own.into_iter().chain(projected).collect::<Vec<_>>()
    });
    of_containers.chain(of_volumes).flatten().collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn reference(kind: ReferenceKind, source: &Value, key: &str) -> Option<Reference> {
    let name = source[key].as_str().filter(|_| source["optional"] != true)?;
    Some(Reference { kind, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_of_a_template_that_names_an_object_is_found() {
        let template = json!({ "spec": {
            "containers": [{ "name": "app", "env": [
                { "name": "A", "value": "x" },
                { "name": "B", "valueFrom": { "secretKeyRef": { "name": "s1", "key": "k" } } },
                { "name": "C", "valueFrom": { "configMapKeyRef": { "name": "c1", "key": "k" } } },
                { "name": "D", "valueFrom": { "secretKeyRef": { "name": "no", "key": "k", "optional": true } } },
                { "name": "E", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            ] }],
            "initContainers": [{ "name": "init", "envFrom": [
                { "secretRef": { "name": "s2" } }, { "configMapRef": { "name": "c2" } },
                { "configMapRef": { "name": "no", "optional": true } }, { "secretRef": { "name": "s1" } },
            ] }],
            "volumes": [
                { "name": "a", "secret": { "secretName": "s3" } },
                { "name": "b", "configMap": { "name": "c3" } },
                { "name": "c", "projected": { "sources": [{ "secret": { "name": "s4" } }, { "configMap": { "name": "c4" } }] } },
                { "name": "d", "emptyDir": {} },
            ],
        } });
        let found: Vec<String> = required_references(&template)
            .into_iter()
            .map(|one| format!("{} {}", one.kind.name(), one.name))
            .collect();
        let expected = [
            "Secret s1",
            "Secret s2",
            "Secret s3",
            "Secret s4",
            "ConfigMap c1",
            "ConfigMap c2",
            "ConfigMap c3",
            "ConfigMap c4",
        ];
        assert_eq!(found, expected);
    }
}

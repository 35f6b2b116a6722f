//! Templates of pods: what identifies one, its containers and their images. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// What identifies a template: a digest of its content, in which order and absent members do not count.
pub fn template_id(template: &Value) -> String {
    let digest = hex::encode(Sha256::digest(canonical(template).to_string()));
    digest[..12].to_owned()
}

/// The same value with sorted members and without those that are null.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, Value> = members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, canonical(value)))
                .collect();
            Value::Object(
                sorted.into_iter().map(|(name, value)| (name.clone(), value)).collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

/// The containers of a template, init containers last.
pub fn template_containers(template: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"]
        .into_iter()
        .flat_map(move |list| template["spec"][list].as_array().map_or(&[][..], Vec::as_slice))
}

/// The image of a container of a template.
pub fn container_image<'t>(template: &'t Value, container: &str) -> Option<&'t str> {
    template_containers(template).find(|one| one["name"] == container)?["image"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn template_is_identified_by_its_content() {
        let one = json!({ "spec": { "containers": [{ "name": "a", "image": "x" }] }, "metadata": { "creationTimestamp": null } });
        let same = json!({ "metadata": {}, "spec": { "containers": [{ "image": "x", "name": "a" }] } });
        let other = json!({ "metadata": {}, "spec": { "containers": [{ "image": "y", "name": "a" }] } });
        assert_eq!(template_id(&one), template_id(&same));
        assert_ne!(template_id(&one), template_id(&other));
    }
}

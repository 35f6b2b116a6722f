//! `build.tags`: a tag whose placeholder has no value in a run is left out, so that one file serves branches and tags. Pure.

use super::Placeholders;
use super::tree::{ConfigNode, ConfigValue};

/// Placeholders that not every run has.
const OPTIONAL: [&str; 2] = ["branch", "tag"];

/// Removes the tags of `service`, and those of the builds in the block of its target, that this run has no value for.
pub(super) fn drop_unset(service: &mut ConfigNode, known: &Placeholders) {
    let ConfigValue::Mapping(entries) = &mut service.kind else { return };
    for entry in entries {
        match entry_mut(&mut entry.value, "tags").filter(|_| entry.key == "build") {
            Some(tags) => drop_unset_items(tags, known),
            None => drop_unset(&mut entry.value, known),
        }
    }
}

fn drop_unset_items(tags: &mut ConfigNode, known: &Placeholders) {
    let ConfigValue::Sequence(items) = &mut tags.kind else { return };
    let unset: Vec<String> = OPTIONAL
        .iter()
        .filter(|name| !known.contains_key(*name))
        .map(|name| format!("${{{name}}}"))
        .collect();
    items.retain(|item| match &item.kind {
        ConfigValue::Scalar(serde_json::Value::String(text)) => !unset.iter().any(|name| text.contains(name)),
        _ => true,
    });
}

fn entry_mut<'n>(node: &'n mut ConfigNode, key: &str) -> Option<&'n mut ConfigNode> {
    match &mut node.kind {
        ConfigValue::Mapping(entries) => {
            entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(known: &[&'static str]) -> serde_json::Value {
        let text = "build: { tags: ['${tag}', 'latest-${branch}', stable, '${tga}'] }\n";
        let mut service = super::super::tree::parse("f.yml", text).unwrap();
        let known: Placeholders = known.iter().map(|name| (*name, "x".to_owned())).collect();
        drop_unset(&mut service, &known);
        service.to_value()["build"]["tags"].clone()
    }

    #[test]
    fn tag_without_value_is_left_out_and_a_typo_stays() {
        assert_eq!(tags(&["tag"]), serde_json::json!(["${tag}", "stable", "${tga}"]));
        assert_eq!(tags(&["branch"]), serde_json::json!(["latest-${branch}", "stable", "${tga}"]));
        assert_eq!(tags(&[]), serde_json::json!(["stable", "${tga}"]));
    }

    #[test]
    fn tags_of_further_containers_are_left_out_too() {
        let text =
            "ecs: { images: { web: { build: { tags: ['${tag}', stable] } }, build: { image: '${tag}' } } }\n";
        let mut service = super::super::tree::parse("f.yml", text).unwrap();
        drop_unset(&mut service, &Placeholders::new());
        let images = service.to_value()["ecs"]["images"].clone();
        assert_eq!(images["web"]["build"]["tags"], serde_json::json!(["stable"]));
        assert_eq!(images["build"]["image"], "${tag}");
    }
}

//! `build.tags` and `build.args`: an entry whose placeholder has no value in a run is left out, so that one file serves
//! branches and tags. Pure.

use super::Placeholders;
use super::tree::{ConfigNode, ConfigValue};

/// Placeholders that not every run has.
pub(super) const OPTIONAL: [&str; 2] = ["branch", "tag"];

/// The keys of a build whose entries are left out.
const LISTS: [&str; 2] = ["args", "tags"];

/// Removes the tags and arguments of the build of `service`, and of the builds in the block of its target, that this run has no
/// value for.
pub(super) fn drop_unset(service: &mut ConfigNode, known: &Placeholders) {
    let unset: Vec<String> = OPTIONAL
        .iter()
        .filter(|name| !known.contains_key(*name))
        .map(|name| format!("${{{name}}}"))
        .collect();
    drop_entries(service, &unset);
}

fn drop_entries(node: &mut ConfigNode, unset: &[String]) {
    let ConfigValue::Mapping(entries) = &mut node.kind else { return };
    for entry in entries {
        if entry.key != "build" || !is_build(&entry.value) {
            drop_entries(&mut entry.value, unset);
            continue;
        }
        for key in LISTS {
            if let Some(list) = entry_mut(&mut entry.value, key) {
                drop_list_entries(list, unset);
            }
        }
    }
}

/// Whether the block `build` has such a list: a container can be named `build`, too.
fn is_build(node: &ConfigNode) -> bool {
    LISTS.iter().any(|key| node.get(key).is_some())
}

fn drop_list_entries(list: &mut ConfigNode, unset: &[String]) {
    let is_set = |node: &ConfigNode| match &node.kind {
        ConfigValue::Scalar(serde_json::Value::String(text)) => !unset.iter().any(|name| text.contains(name)),
        _ => true,
    };
    match &mut list.kind {
        ConfigValue::Sequence(items) => items.retain(is_set),
        ConfigValue::Mapping(entries) => entries.retain(|entry| is_set(&entry.value)),
        ConfigValue::Scalar(_) => {}
    }
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
    fn argument_without_value_is_left_out() {
        let text = "build: { args: { VERSION: 'v-${tag}', BRANCH: '${branch}', FIXED: x, TYPO: '${tga}' }, target: '${tag}' }\n";
        let mut service = super::super::tree::parse("f.yml", text).unwrap();
        drop_unset(&mut service, &[("branch", "main".to_owned())].into());
        let args = serde_json::json!({"BRANCH": "${branch}", "FIXED": "x", "TYPO": "${tga}"});
        assert_eq!(service.to_value()["build"], serde_json::json!({"args": args, "target": "${tag}"}));
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

//! The forms in which a strategy may be written: a bare name stands for its block with defaults.

use super::tree::{ConfigEntry, ConfigNode, ConfigValue};

/// `node` ready to be overridden: another strategy replaces the previous one completely, it is not merged with it.
pub(super) fn drop_replaced_strategy(node: ConfigNode, over: &ConfigNode) -> ConfigNode {
    let name = |node: &ConfigNode| {
        expand_name(node.get("strategy")?.clone()).entries().first().map(|e| e.key.clone())
    };
    let changes = name(over).is_some_and(|wanted| name(&node).is_some_and(|before| before != wanted));
    if changes { node.take_key("strategy").0 } else { node }
}

/// The settings that services share, in which a bare name is replaced by its block with defaults.
pub(super) fn expand_names(mut common: ConfigNode) -> ConfigNode {
    let ConfigValue::Mapping(entries) = &mut common.kind else { return common };
    for entry in entries.iter_mut().filter(|entry| entry.key == "strategy") {
        entry.value = expand_name(entry.value.clone());
        let ConfigValue::Mapping(blocks) = &mut entry.value.kind else { continue };
        for block in blocks {
            let ConfigValue::Mapping(keys) = &mut block.value.kind else { continue };
            for key in keys.iter_mut().filter(|key| key.key == "metrics") {
                if let ConfigValue::Sequence(items) = &mut key.value.kind {
                    *items = std::mem::take(items).into_iter().map(expand_name).collect();
                }
            }
        }
    }
    common
}

/// `name` and `name:` as `name: {}`.
fn expand_name(mut node: ConfigNode) -> ConfigNode {
    let (line, column) = (node.line, node.column);
    let block = ConfigNode { line, column, ..ConfigNode::empty_mapping() };
    match &mut node.kind {
        ConfigValue::Scalar(serde_json::Value::String(name)) => {
            let entry = ConfigEntry { key: name.clone(), line, column, value: block };
            ConfigNode { kind: ConfigValue::Mapping(vec![entry]), ..node }
        }
        ConfigValue::Mapping(entries) => {
            for entry in
                entries.iter_mut().filter(|e| e.value.kind == ConfigValue::Scalar(serde_json::Value::Null))
            {
                entry.value = block.clone();
            }
            node
        }
        _ => node,
    }
}

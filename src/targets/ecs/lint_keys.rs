//! Keys that the API does not know and values of a type that it does not take. Pure.

use serde_json::Value;

use super::keys::{Kind, Members, READ_ONLY, TASK_DEFINITION};
use super::lint::Findings;
use crate::problem::suggest;

/// Walks the whole definition.
pub fn check(definition: &Value, findings: &mut Findings<'_>) {
    members("", definition, TASK_DEFINITION, findings);
}

fn members(at: &str, value: &Value, known: Members, findings: &mut Findings<'_>) {
    let Some(given) = value.as_object() else { return };
    for (key, value) in given {
        let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        match known.iter().find(|(name, _)| name == key) {
            Some((_, kind)) => typed(&pointer, key, value, *kind, findings),
            None if at.is_empty() && READ_ONLY.contains(&key.as_str()) => {}
            None => unknown(&pointer, key, known, findings),
        }
    }
}

/// An unknown key is sent all the same: the API may be newer than this list.
fn unknown(pointer: &str, key: &str, known: Members, findings: &mut Findings<'_>) {
    let near = suggest(key, known.iter().map(|(name, _)| *name));
    let help = match near {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "It is sent as it is.".into(),
    };
    let sentence = format!("`{key}` is not a key that ECS knows here.");
    if near.is_some() {
        findings.error(pointer, sentence, &help);
    } else {
        findings.warning(pointer, sentence, &help);
    }
}

fn typed(pointer: &str, key: &str, value: &Value, kind: Kind, findings: &mut Findings<'_>) {
    match (kind, value) {
        (_, Value::Null) | (Kind::Text, Value::String(_)) | (Kind::Flag, Value::Bool(_)) => {}
        (Kind::Whole, Value::Number(number)) if number.is_i64() || number.is_u64() => {}
        (Kind::List(inner), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                typed(&format!("{pointer}/{index}"), key, item, *inner, findings);
            }
        }
        (Kind::Map, Value::Object(pairs)) => {
            for (name, item) in pairs.iter().filter(|(_, item)| !item.is_string()) {
                let inner = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                wrong(&inner, name, item, Kind::Text, findings);
            }
        }
        (Kind::Object(known), Value::Object(_)) => members(pointer, value, known, findings),
        _ => wrong(pointer, key, value, kind, findings),
    }
}

fn wrong(pointer: &str, key: &str, value: &Value, kind: Kind, findings: &mut Findings<'_>) {
    let wanted = match kind {
        Kind::Text => "a string",
        Kind::Whole => "a whole number",
        Kind::Flag => "true or false",
        Kind::Map | Kind::Object(_) => "an object",
        Kind::List(_) => "a list",
    };
    let given = match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(_) => "a string".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    };
    let help = match (kind, value) {
        (Kind::Text, Value::Bool(_) | Value::Number(_)) => format!("Put it in quotes: \"{value}\"."),
        _ => String::new(),
    };
    findings.error(pointer, format!("`{key}` must be {wanted}, not {given}."), &help);
}

//! Unknown keys, missing members, and values of another type or kind than the API accepts. Pure.

use serde_json::Value;

use super::lint::Findings;
use super::schema::{FieldType, Fields, READ_ONLY_FIELDS, TASK_DEFINITION};
use super::schema_rules::{MAX_INTEGER, MEMBER_RANGES, MEMBER_VALUES, REQUIRED_MEMBERS};
use crate::problem::suggest;

/// Walks the whole definition.
pub fn check(definition: &Value, findings: &mut Findings<'_>) {
    check_fields(&ObjectPlace { pointer: "", parent: "" }, definition, TASK_DEFINITION, findings);
}

/// Where an object is: its pointer, and the key that holds it or the list of it.
struct ObjectPlace<'p> {
    pointer: &'p str,
    parent: &'p str,
}

fn check_fields(place: &ObjectPlace<'_>, value: &Value, known: Fields, findings: &mut Findings<'_>) {
    let Some(given) = value.as_object() else { return };
    check_required(place, value, findings);
    check_values(place, value, findings);
    check_ranges(place, value, findings);
    let at = place.pointer;
    for (key, member) in given {
        let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        match known.iter().find(|(name, _)| name == key) {
            Some((_, kind)) => check_type(&pointer, key, member, *kind, findings),
            None if at.is_empty() && READ_ONLY_FIELDS.contains(&key.as_str()) => {}
            None => report_unknown_key(&pointer, key, value, known, findings),
        }
    }
}

fn check_required(place: &ObjectPlace<'_>, value: &Value, findings: &mut Findings<'_>) {
    let required = REQUIRED_MEMBERS.iter().find(|(parent, _)| *parent == place.parent);
    let is_missing = |member: &&&str| match value.get(**member) {
        None => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    for member in required.into_iter().flat_map(|(_, members)| *members).filter(is_missing) {
        let sentence = format!("`{}` requires `{member}`.", place.parent);
        let help = cloudformation_help(value, member).unwrap_or_else(|| format!("Add `{member}`."));
        findings.error(place.pointer, sentence, &help);
    }
}

/// What to do if an object has a member in the spelling of CloudFormation (`Name`), which ECS ignores.
pub fn cloudformation_help(value: &Value, member: &str) -> Option<String> {
    let (first, rest) = member.split_at_checked(1)?;
    let spelled = format!("{}{rest}", first.to_ascii_uppercase());
    let is_there = spelled != member && value.get(&spelled).is_some();
    is_there.then(|| format!("Write `{member}`: `{spelled}` is the spelling of CloudFormation."))
}

fn check_values(place: &ObjectPlace<'_>, value: &Value, findings: &mut Findings<'_>) {
    for rule in MEMBER_VALUES.iter().filter(|rule| rule.parent == place.parent) {
        let found = &value[rule.member];
        let texts = found.as_array().map_or(std::slice::from_ref(found), Vec::as_slice);
        for wrong in texts.iter().filter_map(Value::as_str).filter(|text| !rule.values.contains(text)) {
            let pointer = format!("{}/{}", place.pointer, rule.member);
            let help = format!("Supported: {}.", rule.values.join(", "));
            findings.error(&pointer, format!("`{}` is `{wrong}`.", rule.member), &help);
        }
    }
}

fn check_ranges(place: &ObjectPlace<'_>, value: &Value, findings: &mut Findings<'_>) {
    for rule in MEMBER_RANGES.iter().filter(|rule| rule.parent == place.parent) {
        let Some(number) = value[rule.member].as_i64() else { continue };
        if (rule.least..=rule.most).contains(&number) || number > MAX_INTEGER {
            continue;
        }
        let (pointer, member) = (format!("{}/{}", place.pointer, rule.member), rule.member);
        let range = match rule.most {
            MAX_INTEGER => format!("at least {}", rule.least),
            most => format!("{} to {most}", rule.least),
        };
        findings.error(&pointer, format!("`{member}` must be {range}, not {number}."), "Change the value.");
    }
}

/// An unknown key is sent unchanged: the API may be newer than this list.
fn report_unknown_key(pointer: &str, key: &str, object: &Value, known: Fields, findings: &mut Findings<'_>) {
    let spelled = known.iter().find_map(|(name, _)| {
        let is_twin = name.eq_ignore_ascii_case(key);
        cloudformation_help(object, name).filter(|_| is_twin)
    });
    if let Some(help) = spelled {
        let sentence = format!("ECS ignores `{key}`.");
        return findings.warning(pointer, sentence, &help);
    }
    let near = suggest(key, known.iter().map(|(name, _)| *name));
    let near = near.map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
    let help = format!("{near}It is sent unchanged, and AWS ignores keys that it does not know.");
    findings.warning(pointer, format!("`{key}` is not a known key of ECS here."), &help);
}

fn check_type(pointer: &str, key: &str, value: &Value, kind: FieldType, findings: &mut Findings<'_>) {
    match (kind, value) {
        (_, Value::Null) | (FieldType::Text, Value::String(_)) | (FieldType::Boolean, Value::Bool(_)) => {}
        (FieldType::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {
            if number.as_i64().is_none_or(|number| i32::try_from(number).is_err()) {
                let sentence = format!("`{key}` is {number}, and the API accepts up to {MAX_INTEGER}.");
                findings.error(pointer, sentence, "Change the value.");
            }
        }
        (FieldType::List(inner), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check_type(&format!("{pointer}/{index}"), key, item, *inner, findings);
            }
        }
        (FieldType::Map, Value::Object(pairs)) => {
            for (name, item) in pairs.iter().filter(|(_, item)| !item.is_string()) {
                let inner = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                report_wrong_type(&inner, name, item, FieldType::Text, findings);
            }
        }
        (FieldType::Object(known), Value::Object(_)) => {
            check_fields(&ObjectPlace { pointer, parent: key }, value, known, findings);
        }
        _ => report_wrong_type(pointer, key, value, kind, findings),
    }
}

fn report_wrong_type(pointer: &str, key: &str, value: &Value, kind: FieldType, findings: &mut Findings<'_>) {
    let wanted = match kind {
        FieldType::Text => "a string",
        FieldType::Integer => "a whole number",
        FieldType::Boolean => "true or false",
        FieldType::Map | FieldType::Object(_) => "an object",
        FieldType::List(_) => "a list",
    };
    let given = match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(_) => "a string".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    };
    let help = match (kind, value) {
        (FieldType::Text, Value::Bool(_) | Value::Number(_)) => format!("Put it in quotes: \"{value}\"."),
        _ => String::new(),
    };
    findings.error(pointer, format!("`{key}` must be {wanted}, not {given}."), &help);
}

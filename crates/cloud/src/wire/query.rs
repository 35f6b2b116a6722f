//! AWS query requests: a form with `Action`, `Version` and dotted member names, to nested members.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{ParsedCall, shapes};
use crate::request::ServiceError;
use crate::service::{SERVICES, Service};

/// A member as the form spells it: text, or members below it.
#[derive(Default)]
struct FormNode {
    text: Option<String>,
    children: BTreeMap<String, FormNode>,
}

/// Nesting deeper than this is refused, so that a request cannot exhaust the stack.
const MAX_DEPTH: usize = 32;

/// Reads a form.
pub(super) fn parse_request(body: &Bytes) -> Result<ParsedCall, ServiceError> {
    let mut root = FormNode::default();
    for (name, value) in form_urlencoded::parse(body) {
        insert_member(&mut root, &name, value.into_owned())?;
    }
    let mut take = |name: &str| root.children.remove(name).and_then(|node| node.text).unwrap_or_default();
    let (operation, version) = (take("Action"), take("Version"));
    if operation.is_empty() {
        return Err(ServiceError::new("MissingAction", "Could not find Action in the request"));
    }
    let speaks = |it: &&&dyn Service| it.protocol().query().is_some_and(|query| query.version == version);
    let service = SERVICES.iter().find(speaks).map_or("", |known| known.name());
    Ok(ParsedCall { service: service.into(), operation, input: to_structure(root.children) })
}

fn insert_member(root: &mut FormNode, name: &str, value: String) -> Result<(), ServiceError> {
    if name.split('.').count() > MAX_DEPTH {
        return Err(ServiceError::new(
            "MalformedQueryString",
            format!("The name {name} is nested too deeply"),
        ));
    }
    let node = name.split('.').fold(root, |node, part| node.children.entry(part.to_owned()).or_default());
    node.text = Some(value);
    Ok(())
}

fn to_value(name: &str, mut node: FormNode) -> Value {
    if let Some(text) = node.text {
        return to_scalar(name, text);
    }
    if node.children.len() == 1
        && let Some(list) = node.children.remove("member")
    {
        return to_list(name, list.children);
    }
    match node.children.len() == 1 {
        true if node.children.contains_key("entry") => to_map(node.children),
        _ if node.children.keys().all(|key| key.parse::<u32>().is_ok()) => to_list(name, node.children),
        _ => to_structure(node.children),
    }
}

fn to_scalar(name: &str, text: String) -> Value {
    match text.parse::<i64>() {
        Ok(n) if shapes::is_integer(name) => n.into(),
        _ => Value::String(text),
    }
}

fn to_list(name: &str, below: BTreeMap<String, FormNode>) -> Value {
    let mut numbered: Vec<(u32, FormNode)> =
        below.into_iter().map(|(key, node)| (key.parse().unwrap_or(u32::MAX), node)).collect();
    numbered.sort_by_key(|(n, _)| *n);
    Value::Array(numbered.into_iter().map(|(_, node)| to_value(name, node)).collect())
}

fn to_map(mut below: BTreeMap<String, FormNode>) -> Value {
    let pairs = below.remove("entry").map(|node| node.children).unwrap_or_default();
    let pair = |mut node: FormNode| {
        // SNS writes its maps with capitals.
        let mut either =
            |small: &str, large: &str| node.children.remove(small).or_else(|| node.children.remove(large));
        let key = either("key", "Name").and_then(|key| key.text).unwrap_or_default();
        (key, either("value", "Value").map_or(Value::Null, |node| to_value("", node)))
    };
    Value::Object(pairs.into_values().map(pair).collect())
}

fn to_structure(below: BTreeMap<String, FormNode>) -> Value {
    let convert = |(name, node): (String, FormNode)| {
        let value = to_value(&name, node);
        (name, value)
    };
    Value::Object(below.into_iter().map(convert).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(form: &'static str) -> Value {
        parse_request(&Bytes::from_static(form.as_bytes())).unwrap().input
    }

    #[test]
    fn lists_maps_and_structures_nest() {
        let form = "Action=A&Version=2015-12-01&Targets.member.2.Id=10.0.0.2&Targets.member.1.Id=10.0.0.1\
                    &Targets.member.1.Port=80&Tags.entry.1.key=k&Tags.entry.1.value=v&Flat.1=x&Flat.2=y";
        assert_eq!(
            input(form),
            json!({
                "Flat": ["x", "y"],
                "Tags": { "k": "v" },
                "Targets": [{ "Id": "10.0.0.1", "Port": 80 }, { "Id": "10.0.0.2" }],
            })
        );
    }

    #[test]
    fn more_than_nine_items_keep_their_order() {
        let form: String = (1..=12).map(|n| format!("&A.member.{n}={n}")).collect();
        let read = parse_request(&Bytes::from(format!("Action=A{form}"))).unwrap();
        assert_eq!(read.input["A"][9], json!("10"));
        assert_eq!(read.input["A"].as_array().unwrap().len(), 12);
    }

    #[test]
    fn numbers_are_numbers_and_names_of_digits_stay_text() {
        assert_eq!(
            input("Action=A&DurationSeconds=3600&RoleSessionName=123"),
            json!({ "DurationSeconds": 3600, "RoleSessionName": "123" })
        );
    }

    #[test]
    fn a_form_without_an_action_or_with_endless_nesting_is_refused() {
        assert_eq!(parse_request(&Bytes::from_static(b"x=1")).unwrap_err().code, "MissingAction");
        let deep = Bytes::from(format!("Action=A&{}=1", ["a"; 50_000].join(".")));
        assert_eq!(parse_request(&deep).unwrap_err().code, "MalformedQueryString");
    }
}

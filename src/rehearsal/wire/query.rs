//! AWS query requests: a form with `Action`, `Version` and dotted member names, to nested members.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Named, shapes};
use crate::rehearsal::call::Refusal;

/// API versions (botocore, `apiVersion`) and the signing names they stand for.
const VERSIONS: [(&str, &str); 5] = [
    ("2010-03-31", "sns"),
    ("2011-06-15", "sts"),
    ("2010-05-08", "iam"),
    ("2015-12-01", "elasticloadbalancing"),
    ("2010-08-01", "monitoring"),
];

/// A member as the form spells it: text, or members below it.
#[derive(Default)]
struct Node {
    text: Option<String>,
    below: BTreeMap<String, Node>,
}

/// Nesting deeper than this is refused, so that a request cannot exhaust the stack.
const DEPTH: usize = 32;

/// Reads a form.
pub(super) fn read(body: &Bytes) -> Result<Named, Refusal> {
    let mut root = Node::default();
    for (name, value) in form_urlencoded::parse(body) {
        place(&mut root, &name, value.into_owned())?;
    }
    let mut take = |name: &str| root.below.remove(name).and_then(|node| node.text).unwrap_or_default();
    let (operation, version) = (take("Action"), take("Version"));
    if operation.is_empty() {
        return Err(Refusal::new("MissingAction", "Could not find Action in the request"));
    }
    let service = VERSIONS.iter().find(|(known, _)| *known == version).map_or("", |(_, service)| service);
    Ok(Named { service: service.into(), operation, input: members(root.below) })
}

fn place(root: &mut Node, name: &str, value: String) -> Result<(), Refusal> {
    if name.split('.').count() > DEPTH {
        return Err(Refusal::new("MalformedQueryString", format!("The name {name} is nested too deeply")));
    }
    let node = name.split('.').fold(root, |node, part| node.below.entry(part.to_owned()).or_default());
    node.text = Some(value);
    Ok(())
}

fn value(name: &str, mut node: Node) -> Value {
    if let Some(text) = node.text {
        return scalar(name, text);
    }
    if node.below.len() == 1
        && let Some(list) = node.below.remove("member")
    {
        return items(name, list.below);
    }
    match node.below.len() == 1 {
        true if node.below.contains_key("entry") => entries(node.below),
        _ if node.below.keys().all(|key| key.parse::<u32>().is_ok()) => items(name, node.below),
        _ => members(node.below),
    }
}

fn scalar(name: &str, text: String) -> Value {
    match text.parse::<i64>() {
        Ok(n) if shapes::is_integer(name) => n.into(),
        _ => Value::String(text),
    }
}

fn items(name: &str, below: BTreeMap<String, Node>) -> Value {
    let mut numbered: Vec<(u32, Node)> =
        below.into_iter().map(|(key, node)| (key.parse().unwrap_or(u32::MAX), node)).collect();
    numbered.sort_by_key(|(n, _)| *n);
    Value::Array(numbered.into_iter().map(|(_, node)| value(name, node)).collect())
}

fn entries(mut below: BTreeMap<String, Node>) -> Value {
    let pairs = below.remove("entry").map(|node| node.below).unwrap_or_default();
    let pair = |mut node: Node| {
        // SNS writes its maps with capitals.
        let mut either =
            |small: &str, large: &str| node.below.remove(small).or_else(|| node.below.remove(large));
        let key = either("key", "Name").and_then(|key| key.text).unwrap_or_default();
        (key, either("value", "Value").map_or(Value::Null, |node| value("", node)))
    };
    Value::Object(pairs.into_values().map(pair).collect())
}

fn members(below: BTreeMap<String, Node>) -> Value {
    let convert = |(name, node): (String, Node)| {
        let value = value(&name, node);
        (name, value)
    };
    Value::Object(below.into_iter().map(convert).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(form: &'static str) -> Value {
        read(&Bytes::from_static(form.as_bytes())).unwrap().input
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
        let read = read(&Bytes::from(format!("Action=A{form}"))).unwrap();
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
        assert_eq!(read(&Bytes::from_static(b"x=1")).unwrap_err().code, "MissingAction");
        let deep = Bytes::from(format!("Action=A&{}=1", ["a"; 50_000].join(".")));
        assert_eq!(read(&deep).unwrap_err().code, "MalformedQueryString");
    }
}

//! What a definition would change, field by field, as people read it in a plan. Pure; secrets by name only.

use serde_json::{Map, Value};

use super::definition::{equal, normal};
use crate::release::{Change, Changes};

/// What registering `wanted` would change against `running`; `container` is ours and is not named in the fields.
pub fn changes(running: &Value, wanted: &Value, container: &str) -> Changes {
    let (mut running, wanted) = (normal(running), normal(wanted));
    if let (Value::Object(members), None) = (&mut running, wanted.get("tags")) {
        members.remove("tags");
    }
    let mut found = Vec::new();
    let names = container_names(&running, &wanted);
    for name in &names {
        let prefix = if name == container { String::new() } else { format!("{name}: ") };
        compare_container(&prefix, find(&running, name), find(&wanted, name), &mut found);
    }
    let (empty, none) = (Map::new(), Map::new());
    let (from, to) = (running.as_object().unwrap_or(&empty), wanted.as_object().unwrap_or(&none));
    compare_members("", from, to, &["containerDefinitions"], &mut found);
    if found.is_empty() && !equal(&running, &wanted) {
        found.push(Change { field: "order of containers".into(), from: None, to: None });
    }
    Changes(found)
}

fn container_names(running: &Value, wanted: &Value) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for container in
        super::definition::containers(wanted).iter().chain(super::definition::containers(running))
    {
        let name = container["name"].as_str().unwrap_or_default();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn find<'a>(definition: &'a Value, name: &str) -> Option<&'a Map<String, Value>> {
    let same = |container: &&Value| container["name"] == name;
    super::definition::containers(definition).iter().find(same).and_then(Value::as_object)
}

type Members<'a> = Option<&'a Map<String, Value>>;

fn compare_container(prefix: &str, from: Members<'_>, to: Members<'_>, found: &mut Vec<Change>) {
    let (Some(from), Some(to)) = (from, to) else {
        let image = |members: Members<'_>| members.map(|m| m.get("image").map(shown).unwrap_or_default());
        found.push(Change { field: format!("{prefix}container"), from: image(from), to: image(to) });
        return;
    };
    compare_members(prefix, from, to, &["environment", "secrets"], found);
    for (list, value) in [("environment", "value"), ("secrets", "valueFrom")] {
        compare_pairs(&format!("{prefix}{list}"), from.get(list), to.get(list), value, found);
    }
}

fn compare_members(
    prefix: &str,
    from: &Map<String, Value>,
    to: &Map<String, Value>,
    except: &[&str],
    found: &mut Vec<Change>,
) {
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    for key in to.keys().chain(gone).filter(|key| !except.contains(&key.as_str())) {
        let (before, after) = (from.get(key), to.get(key));
        match (before, after) {
            (Some(a), Some(b)) if equal(a, b) => {}
            (Some(Value::Object(a)), Some(Value::Object(b))) => {
                compare_members(&format!("{prefix}{key}."), a, b, &[], found);
            }
            _ => found.push(change(format!("{prefix}{key}"), key, before, after)),
        }
    }
}

/// Lists of `{name, value}`, whose order says nothing.
fn compare_pairs(
    field: &str,
    from: Option<&Value>,
    to: Option<&Value>,
    value: &str,
    found: &mut Vec<Change>,
) {
    let items = |list: Option<&Value>| list.and_then(Value::as_array).cloned().unwrap_or_default();
    let (from, to) = (items(from), items(to));
    let of = |list: &[Value], name: &Value| {
        list.iter().find(|item| item["name"] == *name).map(|i| i[value].clone())
    };
    let mut names: Vec<&Value> = to.iter().map(|item| &item["name"]).collect();
    names.extend(from.iter().map(|item| &item["name"]).filter(|name| of(&to, name).is_none()));
    for name in names {
        let (before, after) = (of(&from, name), of(&to, name));
        if before != after {
            let label = name.as_str().unwrap_or("?");
            let hidden = value == "valueFrom";
            let key = if hidden { "secret" } else { label };
            found.push(change(format!("{field} {label}"), key, before.as_ref(), after.as_ref()));
        }
    }
}

fn change(field: String, key: &str, from: Option<&Value>, to: Option<&Value>) -> Change {
    let show = |value: Option<&Value>| value.filter(|value| !secret(key) && !holds_secret(value)).map(shown);
    Change { field, from: show(from), to: show(to) }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

/// Whether a name looks like that of a secret: its value is never shown.
pub fn secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["secret", "token", "passw", "key", "credential"].iter().any(|part| lower.contains(part))
}

/// Whether a composite value has a member that looks like a secret.
fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| secret(key) || (key == "name" && named_secret(value)) || holds_secret(value)),
        Value::Array(items) => items.iter().any(holds_secret),
        _ => false,
    }
}

fn named_secret(value: &Value) -> bool {
    value.as_str().is_some_and(secret)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(running: &Value, wanted: &Value) -> Vec<String> {
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let all = changes(running, wanted, "app").0;
        all.iter().map(|c| format!("{}: {} > {}", c.field, show(&c.from), show(&c.to))).collect()
    }

    #[test]
    fn changes_are_named_and_secrets_are_not_shown() {
        let running = json!({"family":"f","cpu":"256","containerDefinitions":[
            {"name":"app","image":"a","environment":[{"name":"FLAG","value":"1"},{"name":"API_TOKEN","value":"t1"},{"name":"OLD","value":""}],
             "secrets":[{"name":"DB","valueFrom":"arn:1"}],"logConfiguration":{"logDriver":"splunk","options":{"splunk-token":"x","splunk-url":"u"}}},
            {"name":"side","image":"s1"}]});
        let wanted = json!({"family":"f","cpu":"512","containerDefinitions":[
            {"name":"app","image":"b","environment":[{"name":"NEW","value":"n"},{"name":"FLAG","value":"2"},{"name":"API_TOKEN","value":"t2"}],
             "secrets":[{"name":"DB","valueFrom":"arn:2"}],"logConfiguration":{"logDriver":"splunk","options":{"splunk-token":"y","splunk-url":"v"}}},
            {"name":"side","image":"s2"},{"name":"third","image":"x"}]});
        assert_eq!(
            lines(&running, &wanted),
            [
                "image: a > b",
                "logConfiguration.options.splunk-token: - > -",
                "logConfiguration.options.splunk-url: u > v",
                "environment API_TOKEN: - > -",
                "environment FLAG: 1 > 2",
                "environment NEW: - > n",
                "environment OLD:  > -",
                "secrets DB: - > -",
                "side: image: s1 > s2",
                "third: container: - > x",
                "cpu: 256 > 512",
            ]
        );
    }

    #[test]
    fn what_aws_adds_is_no_change() {
        let running = json!({"family":"f","revision":1,"status":"ACTIVE","volumes":[],"tags":[{"key":"a","value":"b"}],
            "containerDefinitions":[{"name":"app","image":"a","cpu":0,"essential":true,"environment":[]}]});
        let wanted = json!({"containerDefinitions":[{"image":"a","name":"app"}],"family":"f"});
        assert!(changes(&running, &wanted, "app").is_empty());
    }

    #[test]
    fn the_order_of_containers_counts() {
        let two = |a: &str, b: &str| json!({"containerDefinitions":[{"name":a},{"name":b}]});
        assert_eq!(lines(&two("app", "b"), &two("b", "app")), ["order of containers: - > -"]);
    }
}

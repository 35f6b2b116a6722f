//! Task definitions as values: which container is ours, what to register, and whether two are the same. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::keys::READ_ONLY;
use crate::problem::{Code, Problem, suggest};
use crate::release::ImageRef;

/// The definition inside an answer of DescribeTaskDefinition, with the tags that stand beside it.
pub fn with_tags(answer: &Value) -> Value {
    let mut definition = answer["taskDefinition"].clone();
    let tags = answer.get("tags").filter(|tags| tags.as_array().is_some_and(|tags| !tags.is_empty()));
    if let (Value::Object(members), Some(tags)) = (&mut definition, tags) {
        members.insert("tags".into(), tags.clone());
    }
    definition
}

/// The containers of a definition.
pub fn containers(definition: &Value) -> &[Value] {
    definition["containerDefinitions"].as_array().map_or(&[], Vec::as_slice)
}

fn name_of(container: &Value) -> &str {
    container["name"].as_str().unwrap_or_default()
}

/// Omitted means essential (RegisterTaskDefinition).
pub fn is_essential(container: &Value) -> bool {
    container["essential"].as_bool().unwrap_or(true)
}

/// Finds the container whose image we change: the named one, the only one, or the only essential one.
pub fn find_container(definition: &Value, named: Option<&str>) -> Result<usize, Problem> {
    let all = containers(definition);
    let names = || all.iter().map(|c| format!("`{}`", name_of(c))).collect::<Vec<_>>().join(", ");
    let matching = |test: &dyn Fn(&Value) -> bool| {
        let found: Vec<usize> = (0..all.len()).filter(|i| test(&all[*i])).collect();
        found
    };
    let unclear =
        |sentence: String, help: String| Err(Problem::error(Code::ContainerUnclear, sentence).help(help));
    let found = match named {
        Some(name) => matching(&|c| name_of(c) == name),
        None if all.len() == 1 => vec![0],
        None => matching(&is_essential),
    };
    match (found.as_slice(), named) {
        ([one], _) => Ok(*one),
        ([], Some(name)) => {
            let near = suggest(name, all.iter().map(name_of)).map(|near| format!("Did you mean `{near}`? "));
            let help = format!("{}The containers are {}.", near.unwrap_or_default(), names());
            unclear(format!("The task definition has no container `{name}`."), help)
        }
        (_, Some(name)) => {
            unclear(format!("Two containers are named `{name}`."), "Names must be unique.".into())
        }
        (_, None) => unclear(
            "It is unclear which container gets the image.".into(),
            format!("Set `ecs.container` to one of {}.", names()),
        ),
    }
}

/// The name of the container whose image we change; `None` where that is unclear.
pub fn container_name(definition: &Value, named: Option<&str>) -> Option<String> {
    let index = find_container(definition, named).ok()?;
    Some(name_of(&containers(definition)[index]).to_owned())
}

/// The image of a container; `None` when it has none that can be read.
pub fn image(definition: &Value, container: &str) -> Option<ImageRef> {
    let found = containers(definition).iter().find(|c| name_of(c) == container)?;
    found["image"].as_str()?.parse().ok()
}

/// Log group and stream of a task's container, where it logs by awslogs with a prefix (prefix/container/task-id).
pub fn log_stream(definition: &Value, container: &str, task: &str) -> Option<(String, String)> {
    let found = containers(definition).iter().find(|c| name_of(c) == container)?;
    let logs = &found["logConfiguration"];
    let option = |key: &str| logs["options"][key].as_str();
    let (group, prefix) = (option("awslogs-group")?, option("awslogs-stream-prefix")?);
    (logs["logDriver"] == "awslogs").then(|| (group.to_owned(), format!("{prefix}/{container}/{task}")))
}

/// What to register: `base` without what only Describe answers, with `image` and `environment` set on one container.
/// Everything else stays word for word: unknown keys, empty strings, order.
pub fn prepare(
    base: &Value,
    container: Option<&str>,
    image: Option<&str>,
    environment: &BTreeMap<String, String>,
) -> Result<Value, Vec<Problem>> {
    let index = find_container(base, container).map_err(|problem| vec![problem])?;
    let mut wanted = base.clone();
    if let Value::Object(members) = &mut wanted {
        members.retain(|key, value| !READ_ONLY.contains(&key.as_str()) && !is_no_tags(key, value));
    }
    let ours = &mut wanted["containerDefinitions"][index];
    let clashes: Vec<Problem> = environment.keys().filter_map(|name| secret_clash(ours, name)).collect();
    if !clashes.is_empty() {
        return Err(clashes);
    }
    if let Some(image) = image {
        ours["image"] = Value::String(image.to_owned());
    }
    for (name, value) in environment {
        set_variable(ours, name, value);
    }
    Ok(wanted)
}

/// AWS refuses `tags: []` (`Tags can not be empty.`).
fn is_no_tags(key: &str, value: &Value) -> bool {
    key == "tags" && (value.is_null() || value.as_array().is_some_and(Vec::is_empty))
}

fn secret_clash(container: &Value, name: &str) -> Option<Problem> {
    let secrets = container["secrets"].as_array().map_or(&[][..], Vec::as_slice);
    secrets.iter().any(|secret| secret["name"] == name).then(|| {
        let sentence =
            format!("`{name}` is already a secret of the container and cannot also be set in plain text.");
        Problem::error(Code::TaskDefinitionInvalid, sentence).help("Remove one of the two.")
    })
}

/// Sets a plain variable of a container, where it stands or behind the others.
pub fn set_variable(container: &mut Value, name: &str, value: &str) {
    if !container["environment"].is_array() {
        container["environment"] = json!([]);
    }
    let Some(list) = container["environment"].as_array_mut() else { return };
    match list.iter_mut().find(|variable| variable["name"] == name) {
        Some(variable) => variable["value"] = Value::String(value.to_owned()),
        None => list.push(json!({"name": name, "value": value})),
    }
}

/// Whether `running`, as AWS describes it, is what registering `wanted` would give.
pub fn same(running: &Value, wanted: &Value) -> bool {
    let (mut running, wanted) = (normal(running), normal(wanted));
    // Tags that nobody asked for are nobody's business.
    if let (Value::Object(members), None) = (&mut running, wanted.get("tags")) {
        members.remove("tags");
    }
    equal(&running, &wanted)
}

/// Equal but for the order of keys (serde_json keeps it, so that what we send stays as the user wrote it).
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|other| equal(v, other)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (a, b) => a == b,
    }
}

/// A definition with AWS's defaults filled in and its harmless differences taken out.
pub fn normal(definition: &Value) -> Value {
    let mut normal = definition.clone();
    let Value::Object(members) = &mut normal else { return normal };
    members.retain(|key, _| !READ_ONLY.contains(&key.as_str()));
    for (key, unit) in
        [("cpu", super::size::cpu_units as fn(&str) -> Option<u64>), ("memory", super::size::memory_mib)]
    {
        let plain = members.get(key).and_then(Value::as_str).and_then(unit);
        if let Some(plain) = plain {
            members.insert(key.into(), Value::String(plain.to_string()));
        }
    }
    let shared_ports = matches!(members.get("networkMode").and_then(Value::as_str), Some("awsvpc" | "host"));
    if let Some(Value::Array(list)) = members.get_mut("containerDefinitions") {
        list.iter_mut().for_each(|container| fill_container(container, shared_ports));
    }
    sort_by(&mut normal, "tags", "key");
    drop_empty(&mut normal);
    normal
}

fn fill_container(container: &mut Value, shared_ports: bool) {
    let Value::Object(members) = container else { return };
    members.entry("cpu").or_insert(json!(0));
    members.entry("essential").or_insert(json!(true));
    if let Some(Value::Array(ports)) = members.get_mut("portMappings") {
        ports.iter_mut().for_each(|port| fill_port(port, shared_ports));
    }
    if let Some(Value::Object(check)) = members.get_mut("healthCheck") {
        for (key, default) in [("interval", 30), ("timeout", 5), ("retries", 3)] {
            check.entry(key).or_insert(json!(default));
        }
    }
    for list in ["environment", "secrets"] {
        sort_by(container, list, "name");
    }
}

fn fill_port(port: &mut Value, shared: bool) {
    let Value::Object(members) = port else { return };
    members.entry("protocol").or_insert(json!("tcp"));
    let default = if shared { members.get("containerPort").cloned() } else { Some(json!(0)) };
    if let (Some(default), false) = (default, members.contains_key("containerPortRange")) {
        members.entry("hostPort").or_insert(default);
    }
}

fn sort_by(object: &mut Value, list: &str, key: &str) {
    if let Some(Value::Array(items)) = object.get_mut(list) {
        items.sort_by(|a, b| a[key].as_str().cmp(&b[key].as_str()));
    }
}

/// AWS answers empty lists and objects where nothing was given.
fn drop_empty(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(drop_empty),
        Value::Object(members) => {
            members.values_mut().for_each(drop_empty);
            members.retain(|_, value| !is_empty(value));
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => Map::is_empty(members),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn only_image_and_declared_environment_change() {
        let base = json!({"family":"f","revision":3,"status":"ACTIVE","taskDefinitionArn":"x","tags":[],"newKey":{"a":""},
            "containerDefinitions":[
                {"name":"app","image":"old","environment":[{"name":"A","value":""},{"name":"B","value":"1"}],"odd":[]},
                {"name":"side","image":"s","essential":false}]});
        let wanted =
            prepare(&base, None, Some("new@sha256:1"), &environment(&[("B", "2"), ("C", "")])).unwrap();
        assert_eq!(
            wanted.to_string(),
            r#"{"family":"f","newKey":{"a":""},"containerDefinitions":[{"name":"app","image":"new@sha256:1","environment":[{"name":"A","value":""},{"name":"B","value":"2"},{"name":"C","value":""}],"odd":[]},{"name":"side","image":"s","essential":false}]}"#
        );
    }

    #[test]
    fn the_container_is_found_or_asked_for() {
        let two = json!({"containerDefinitions":[{"name":"app"},{"name":"proxy"}]});
        assert_eq!(find_container(&two, Some("proxy")), Ok(1));
        assert!(find_container(&two, None).unwrap_err().help.contains("`app`, `proxy`"));
        assert!(find_container(&two, Some("ap")).unwrap_err().help.contains("Did you mean `app`"));
        let one = json!({"containerDefinitions":[{"name":"a","essential":false},{"name":"b"}]});
        assert_eq!(find_container(&one, None), Ok(1));
        let twice = json!({"containerDefinitions":[{"name":"a"},{"name":"a"}]});
        assert!(find_container(&twice, Some("a")).unwrap_err().sentence.contains("Two containers"));
    }

    #[test]
    fn a_secret_is_not_overwritten_by_plain_text() {
        let base =
            json!({"containerDefinitions":[{"name":"a","secrets":[{"name":"KEY","valueFrom":"arn"}]}]});
        assert!(prepare(&base, None, None, &environment(&[("KEY", "x")])).is_err());
    }

    #[test]
    fn what_aws_adds_is_no_difference() {
        let wanted = json!({"family":"f","networkMode":"awsvpc","cpu":".25 vCPU","memory":"1 GB","containerDefinitions":[
            {"name":"a","image":"i","portMappings":[{"containerPort":80}],"healthCheck":{"command":["CMD","x"]},
             "environment":[{"name":"B","value":""},{"name":"A","value":"1"}]}],"volumes":[{"name":"v"}]});
        let running = json!({"taskDefinitionArn":"arn","family":"f","revision":2,"status":"ACTIVE","compatibilities":["EC2"],
            "registeredAt":1.5,"registeredBy":"me","requiresAttributes":[{"name":"x"}],"tags":[{"key":"k","value":"v"}],
            "networkMode":"awsvpc","cpu":"256","memory":"1024","placementConstraints":[],"volumes":[{"name":"v","host":{}}],
            "containerDefinitions":[{"name":"a","image":"i","cpu":0,"essential":true,"mountPoints":[],"volumesFrom":[],
              "systemControls":[],"portMappings":[{"containerPort":80,"hostPort":80,"protocol":"tcp"}],
              "healthCheck":{"command":["CMD","x"],"interval":30,"timeout":5,"retries":3},
              "environment":[{"name":"A","value":"1"},{"name":"B","value":""}]}]});
        assert!(same(&running, &wanted));
        let mut other = wanted.clone();
        other["containerDefinitions"][0]["environment"][0]["value"] = json!("x");
        assert!(!same(&running, &other));
        other = wanted;
        other["newKey"] = json!("x");
        assert!(!same(&running, &other));
    }
}

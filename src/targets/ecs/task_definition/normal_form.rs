//! The normal form of a definition: what AWS fills in, drops, converts and reorders when it registers one is the same
//! in it as what the file says (aws.md §1.2, and the defaults in the API reference). Pure.

use serde_json::{Map, Value, json};

use super::schema::{FieldType, Fields, READ_ONLY_FIELDS, TASK_DEFINITION};
use super::size::{cpu_units, memory_mib};

/// A definition in its normal form. Keys that are not known here are kept.
pub fn normalized(definition: &Value) -> Value {
    let mut own = definition.clone();
    if let Value::Object(members) = &mut own {
        members.retain(|key, _| !READ_ONLY_FIELDS.contains(&key.as_str()));
    }
    let mut normal = normal_object("", &own, TASK_DEFINITION).unwrap_or_else(|| json!({}));
    if let Value::Object(members) = &mut normal {
        fill_task(members);
    }
    normal
}

/// A value in its normal form; `None` if it means the same as an absent one.
fn normal_value(key: &str, value: &Value, kind: FieldType) -> Option<Value> {
    let normal = match (kind, value) {
        (_, Value::Null) => None,
        (FieldType::Object(fields), Value::Object(_)) => normal_object(key, value, fields),
        (FieldType::List(inner), Value::Array(items)) => normal_list(key, items, *inner),
        (FieldType::Map, Value::Object(pairs)) => normal_map(pairs),
        (kind, other) => Some(converted(other, kind)),
    };
    normal.filter(|value| !means_absent(key, value))
}

fn normal_object(key: &str, value: &Value, fields: Fields) -> Option<Value> {
    let mut members = Map::new();
    for (name, value) in value.as_object()? {
        let normal = match fields.iter().find(|(known, _)| known == name) {
            Some((_, kind)) => normal_value(name, value, *kind),
            None => Some(value.clone()).filter(|value| !is_empty(value)),
        };
        members.extend(normal.map(|value| (name.clone(), value)));
    }
    let is_given = !members.is_empty();
    is_given.then(|| {
        fill_defaults(key, &mut members);
        Value::Object(members)
    })
}

fn normal_list(key: &str, items: &[Value], kind: FieldType) -> Option<Value> {
    let mut normal: Vec<Value> = items.iter().filter_map(|item| normal_value("", item, kind)).collect();
    normal.iter_mut().filter_map(Value::as_object_mut).for_each(|item| fill_defaults(key, item));
    if key == "environment" {
        keep_last_of_each_name(&mut normal);
    }
    if SETS.contains(&key) {
        normal.sort_by_cached_key(|item| (item["name"].as_str().map(str::to_owned), ordered_text(item)));
    }
    (!normal.is_empty()).then_some(Value::Array(normal))
}

fn normal_map(pairs: &Map<String, Value>) -> Option<Value> {
    let given = pairs.iter().filter(|(_, value)| !value.is_null());
    let texts: Map<String, Value> =
        given.map(|(key, value)| (key.clone(), converted(value, FieldType::Text))).collect();
    (!texts.is_empty()).then_some(Value::Object(texts))
}

/// Numbers as strings and the other way round, as the API types them.
fn converted(value: &Value, kind: FieldType) -> Value {
    match (kind, value) {
        (FieldType::Text, Value::Number(_) | Value::Bool(_)) => Value::String(value.to_string()),
        (FieldType::Integer, Value::String(text)) => text.parse::<i64>().map_or(value.clone(), Value::from),
        (FieldType::Integer, Value::Number(number)) => match number.as_f64() {
            // Whole and below 1e15, so the cast is exact.
            Some(whole) if number.is_f64() && whole.fract() == 0.0 && whole.abs() < 1e15 => {
                Value::from(whole as i64)
            }
            _ => value.clone(),
        },
        (FieldType::Boolean, Value::String(text)) => text.parse::<bool>().map_or(value.clone(), Value::from),
        _ => value.clone(),
    }
}

/// Lists whose order has no meaning; AWS may return them in another one. Of `environmentFiles`, name servers and hosts
/// the order counts.
const SETS: [&str; 24] = [
    "add",
    "capabilities",
    "credentialSpecs",
    "dependsOn",
    "devices",
    "dockerSecurityOptions",
    "drop",
    "environment",
    "ignoredExitCodes",
    "inferenceAccelerators",
    "links",
    "mountPoints",
    "permissions",
    "placementConstraints",
    "portMappings",
    "properties",
    "requiresCompatibilities",
    "resourceRequirements",
    "secretOptions",
    "secrets",
    "systemControls",
    "ulimits",
    "volumes",
    "volumesFrom",
];

/// The text of a value with its keys in order, to sort by.
fn ordered_text(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut pairs: Vec<String> =
                members.iter().map(|(key, value)| format!("{key}:{}", ordered_text(value))).collect();
            pairs.sort();
            pairs.join(",")
        }
        Value::Array(items) => items.iter().map(ordered_text).collect::<Vec<_>>().join(","),
        // Numbers of one width, so that 80 comes before 443.
        Value::Number(number) => format!("{number:>20}"),
        other => other.to_string(),
    }
}

/// A variable that is set twice has its last value.
fn keep_last_of_each_name(variables: &mut Vec<Value>) {
    let names: Vec<Value> = variables.iter().map(|variable| variable["name"].clone()).collect();
    let mut index = 0;
    variables.retain(|variable| {
        index += 1;
        !names[index..].contains(&variable["name"])
    });
}

/// Whether a value is the documented default of a member that AWS may leave out or write.
fn means_absent(key: &str, value: &Value) -> bool {
    let switch = [
        "autoprovision",
        "configuredAtLaunch",
        "disableNetworking",
        "enableFaultInjection",
        "initProcessEnabled",
        "interactive",
        "privileged",
        "pseudoTerminal",
        "readOnly",
        "readonlyRootFilesystem",
    ];
    match value {
        Value::Bool(false) => switch.contains(&key),
        Value::String(text) => matches!(
            (key, text.as_str()),
            ("iam" | "transitEncryption", "DISABLED")
                | ("rootDirectory", "/")
                | ("sourcePath", "")
                | ("versionConsistency", "enabled")
        ),
        Value::Number(number) => key == "startPeriod" && number.as_u64() == Some(0),
        _ => false,
    }
}

/// The documented defaults of the members of an object, or of the items of a list.
fn fill_defaults(key: &str, members: &mut Map<String, Value>) {
    let defaults = match key {
        "containerDefinitions" => json!({"cpu": 0, "essential": true}),
        "healthCheck" => json!({"interval": 30, "timeout": 5, "retries": 3}),
        "proxyConfiguration" => json!({"type": "APPMESH"}),
        "restartPolicy" => json!({"restartAttemptPeriod": 300}),
        "dockerVolumeConfiguration" => json!({"scope": "task", "driver": "local"}),
        "runtimePlatform" => json!({"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}),
        _ => return,
    };
    for (key, default) in defaults.as_object().into_iter().flatten() {
        members.entry(key.clone()).or_insert_with(|| default.clone());
    }
}

/// What depends on the rest of the definition: units, network mode, ports, the user of a FireLens router.
fn fill_task(task: &mut Map<String, Value>) {
    for (key, unit) in [("cpu", cpu_units as fn(&str) -> Option<u64>), ("memory", memory_mib)] {
        let plain = task.get(key).and_then(Value::as_str).and_then(unit);
        task.extend(plain.map(|plain| (key.to_owned(), Value::String(plain.to_string()))));
    }
    let needs = task.get("requiresCompatibilities").and_then(Value::as_array);
    if needs.is_some_and(|all| all.iter().any(|one| one == "FARGATE")) {
        let mut platform = Map::new();
        fill_defaults("runtimePlatform", &mut platform);
        task.entry("runtimePlatform").or_insert(Value::Object(platform));
    }
    let system = task.get("runtimePlatform").and_then(|it| it["operatingSystemFamily"].as_str());
    if system.is_none_or(|system| system == "LINUX") {
        task.entry("networkMode").or_insert(json!("bridge"));
    }
    let own_ports = matches!(task.get("networkMode").and_then(Value::as_str), Some("awsvpc" | "host"));
    let all = task.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    for container in all.into_iter().flatten().filter_map(Value::as_object_mut) {
        if container.contains_key("firelensConfiguration") {
            container.entry("user").or_insert(json!("0"));
        }
        let ports = container.get_mut("portMappings").and_then(Value::as_array_mut);
        ports.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|it| fill_port(it, own_ports));
    }
}

/// AWS treats any protocol but `udp` as `tcp`. With a range there is no host port.
fn fill_port(port: &mut Map<String, Value>, own_ports: bool) {
    if port.get("protocol").is_none_or(|protocol| protocol != "udp") {
        port.insert("protocol".into(), json!("tcp"));
    }
    let default = if own_ports { port.get("containerPort").cloned() } else { Some(json!(0)) };
    if let (Some(default), false) = (default, port.contains_key("containerPortRange")) {
        port.entry("hostPort").or_insert(default);
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

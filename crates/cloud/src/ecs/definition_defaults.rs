//! What AWS fills in when it registers a task definition: documented defaults, and those that clients report to see.

use serde_json::{Map, Value, json};

use super::definition_validation::parse_units;

/// A definition, as the API read it, with everything filled in that Describe shows.
pub(super) fn fill_in(definition: &mut Map<String, Value>) {
    for (member, unit) in [("cpu", "vcpu"), ("memory", "gb")] {
        let plain = definition.get(member).and_then(Value::as_str).and_then(|text| parse_units(text, unit));
        definition.extend(plain.map(|plain| (member.to_owned(), plain.to_string().into())));
    }
    let network = definition.get("networkMode").and_then(Value::as_str).map(String::from);
    if let Some(Value::Array(containers)) = definition.get_mut("containerDefinitions") {
        containers.iter_mut().for_each(|container| fill_container(container, network.as_deref()));
    }
    if let Some(Value::Array(launches)) = definition.get_mut("requiresCompatibilities") {
        launches.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
    for list in ["volumes", "placementConstraints"] {
        definition.entry(list).or_insert_with(|| json!([]));
    }
    if let Some(Value::Array(volumes)) = definition.get_mut("volumes") {
        volumes.iter_mut().for_each(fill_volume);
    }
}

fn fill_container(container: &mut Value, network: Option<&str>) {
    let Some(container) = container.as_object_mut() else { return };
    container.entry("cpu").or_insert_with(|| json!(0));
    container.entry("essential").or_insert_with(|| json!(true));
    for list in ["portMappings", "environment", "mountPoints", "volumesFrom", "systemControls"] {
        container.entry(list).or_insert_with(|| json!([]));
    }
    // terraform-provider-aws#41394, terraform-aws-ecs-container-definition#97.
    if container.contains_key("firelensConfiguration") {
        container.entry("user").or_insert_with(|| json!("0"));
    }
    // terraform-provider-aws compares these without their order: it is not kept.
    if let Some(Value::Array(secrets)) = container.get_mut("secrets") {
        secrets.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    }
    if let Some(check) = container.get_mut("healthCheck").and_then(Value::as_object_mut) {
        for (member, default) in [("interval", 30), ("timeout", 5), ("retries", 3)] {
            check.entry(member).or_insert_with(|| default.into());
        }
    }
    for port in container.get_mut("portMappings").and_then(Value::as_array_mut).into_iter().flatten() {
        fill_port(port, network);
    }
}

/// With awsvpc and host, the host port is the container port; else it is chosen when a task starts.
fn fill_port(port: &mut Value, network: Option<&str>) {
    let Some(port) = port.as_object_mut() else { return };
    port.entry("protocol").or_insert_with(|| json!("tcp"));
    if !port.contains_key("containerPort") {
        return;
    }
    let same = port.get("containerPort").cloned().filter(|_| matches!(network, Some("awsvpc" | "host")));
    port.entry("hostPort").or_insert_with(|| same.unwrap_or_else(|| json!(0)));
}

fn fill_volume(volume: &mut Value) {
    let Some(volume) = volume.as_object_mut() else { return };
    // terraform-provider-aws#19549, aws-ecs-orb#105.
    for shared in ["efsVolumeConfiguration", "s3filesVolumeConfiguration"] {
        if let Some(shared) = volume.get_mut(shared).and_then(Value::as_object_mut) {
            shared.entry("rootDirectory").or_insert_with(|| json!("/"));
        }
    }
    // API Volume: an empty configuration is a host volume.
    if volume.keys().all(|member| member == "name") {
        volume.insert("host".into(), json!({}));
    }
}

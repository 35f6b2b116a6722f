//! Checks of ports, links and names of hosts: API PortMapping, and what each network mode supports.

use serde_json::Value;

use super::{Validation, invalid_definition, items, refuse_if, requires, text, validate_one_of};

pub(super) fn validate_network(input: &Value, containers: &[Value]) -> Validation {
    let mode = text(input, "networkMode");
    refuse_if(mode == "awsvpc" && requires(input, "EXTERNAL"), || {
        "Network mode awsvpc is not supported for EXTERNAL compatibility.".into()
    })?;
    for container in containers {
        items(container, "portMappings").iter().try_for_each(|port| validate_port(mode, port))?;
        validate_own_ports(container)?;
        validate_links(mode, container, containers)?;
        for member in ["hostname", "extraHosts"] {
            let given = container[member]
                .as_array()
                .map_or(!text(container, member).is_empty(), |all| !all.is_empty());
            // ecs-deplojo#26.
            refuse_if(mode == "awsvpc" && given, || {
                format!("{member} is not supported on container when networkMode=awsvpc.")
            })?;
        }
        refuse_if(mode == "none" && !items(container, "portMappings").is_empty(), || {
            "Port mappings are not supported when networkMode=none.".into()
        })?;
    }
    validate_task_ports(mode, containers)
}

fn validate_port(mode: &str, port: &Value) -> Validation {
    let (inside, outside) = (port["containerPort"].as_i64(), port["hostPort"].as_i64());
    let ends = port_span(port);
    let valid = ends.is_some_and(|(first, last)| 1 <= first && first <= last && last <= 65_535);
    refuse_if(!valid, || "Invalid container port or containerPortRange in port mappings.".into())?;
    let range = text(port, "containerPortRange");
    refuse_if(!range.is_empty() && inside.is_some(), || {
        "Only one of containerPort or containerPortRange can be specified.".into()
    })?;
    refuse_if(!range.is_empty() && matches!(mode, "host" | "none"), || {
        "containerPortRange requires the bridge or awsvpc network mode.".into()
    })?;
    refuse_if(outside.is_some_and(|port| !(0..=65_535).contains(&port)), || "Invalid host port.".into())?;
    // amazon-ecs-cli#1014: also when the host port is 0.
    if matches!(mode, "awsvpc" | "host") && outside.is_some() && outside != inside {
        return invalid_definition(format!(
            "When networkMode={mode}, the host ports and container ports in port mappings must match."
        ));
    }
    let name = text(port, "name");
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    refuse_if(name.len() > 64 || name.starts_with('-') || !name.bytes().all(allowed), || {
        format!("Invalid port mapping name '{name}'.")
    })?;
    validate_one_of(port, "appProtocol", &["http", "http2", "grpc"])
}

/// The first and the last container port of a mapping.
fn port_span(port: &Value) -> Option<(i64, i64)> {
    if let Some(port) = port["containerPort"].as_i64() {
        return Some((port, port));
    }
    let (first, last) = text(port, "containerPortRange").split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn overlaps(a: &Value, b: &Value) -> bool {
    let ends = port_span(a).zip(port_span(b));
    ends.is_some_and(|((first, last), (start, end))| first <= end && start <= last)
}

/// API PortMapping: "You can't expose the same container port for multiple protocols."
fn validate_own_ports(container: &Value) -> Validation {
    let ports = items(container, "portMappings");
    let twice = (1..ports.len()).any(|at| ports[..at].iter().any(|earlier| overlaps(earlier, &ports[at])));
    refuse_if(twice, || {
        format!("Container '{}' exposes the same container port more than once.", text(container, "name"))
    })
}

/// Containers of a task share a network in the modes awsvpc and host, and the host's ports in any (amazon-ecs-agent#1220).
fn validate_task_ports(mode: &str, containers: &[Value]) -> Validation {
    let all: Vec<&Value> = containers.iter().flat_map(|it| items(it, "portMappings")).collect();
    for (at, port) in all.iter().enumerate() {
        for earlier in &all[..at] {
            let named = !text(port, "name").is_empty() && earlier["name"] == port["name"];
            refuse_if(named, || format!("Duplicate port mapping name '{}'.", text(port, "name")))?;
            let shared = matches!(mode, "awsvpc" | "host") && overlaps(earlier, port);
            let protocol = |port: &Value| text(port, "protocol") == "udp";
            let fixed = port["hostPort"].as_u64().is_some_and(|host| host > 0);
            let taken =
                fixed && earlier["hostPort"] == port["hostPort"] && protocol(earlier) == protocol(port);
            refuse_if(shared || taken, || "Duplicate host port in the port mappings of the task.".into())?;
        }
    }
    Ok(())
}

fn validate_links(mode: &str, container: &Value, containers: &[Value]) -> Validation {
    let links = items(container, "links");
    refuse_if(!links.is_empty() && !matches!(mode, "" | "bridge"), || {
        format!("Links are not supported when networkMode={mode}.")
    })?;
    for link in links.iter().filter_map(Value::as_str) {
        let name = link.split(':').next().unwrap_or_default();
        let other = name != text(container, "name") && containers.iter().any(|it| it["name"] == name);
        refuse_if(!other, || format!("Invalid link '{link}': container not found in the task definition."))?;
    }
    Ok(())
}

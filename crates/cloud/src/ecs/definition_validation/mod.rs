//! AWS's own checks of a task definition, from the API reference and in AWS's words where they are known. What AWS accepts
//! is accepted here, however unwise. The input has no nulls and no unknown members.

mod containers;
mod fargate;
mod logs;
mod network;
mod values;
mod volumes;

use serde_json::Value;

use super::super::request::ServiceError;
use super::{str_field, str_list_field};

pub(super) use fargate::validate_fargate;

type Validation = Result<(), ServiceError>;

fn invalid_definition(message: impl Into<String>) -> Validation {
    Err(ServiceError::new("ClientException", message))
}

fn refuse_if(refused: bool, message: impl FnOnce() -> String) -> Validation {
    if refused { invalid_definition(message()) } else { Ok(()) }
}

fn items<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    str_field(value, member).unwrap_or_default()
}

/// A default service quota that cannot be raised.
const MAX_CONTAINERS: usize = 10;

/// The service quota "Task definition size", bytes.
const MAX_LENGTH: usize = 64 << 10;

/// Everything that RegisterTaskDefinition checks; the first thing wrong is the answer.
pub(super) fn validate_definition(input: &Value) -> Validation {
    let length = input.to_string().len();
    refuse_if(length > MAX_LENGTH, || {
        format!("Actual length: '{length}'. Max allowed length is '{MAX_LENGTH}' bytes.")
    })?;
    validate_name(text(input, "family"), "Family")?;
    validate_tags(input)?;
    let containers = items(input, "containerDefinitions");
    refuse_if(containers.is_empty(), || "Container list cannot be empty.".into())?;
    refuse_if(containers.len() > MAX_CONTAINERS, || "Too many containers.".into())?;
    validate_task(input)?;
    let fargate = requires(input, "FARGATE");
    for (place, container) in containers.iter().enumerate() {
        containers::validate_container(input, container, fargate)?;
        let name = text(container, "name");
        let twice = containers[..place].iter().any(|earlier| earlier["name"] == container["name"]);
        refuse_if(twice, || format!("Duplicate container name '{name}'."))?;
    }
    let none = containers.iter().all(|container| container["essential"] == false);
    refuse_if(none, || "Invalid 'essential' setting: at least one container must be essential.".into())?;
    containers::validate_dependencies(containers)?;
    logs::validate_routers(containers)?;
    network::validate_network(input, containers)?;
    volumes::validate_volumes(input, containers)?;
    validate_sizes(input, containers)?;
    validate_roles(input, containers, fargate)?;
    if fargate { fargate::validate_fargate(input) } else { Ok(()) }
}

fn requires(input: &Value, launch_type: &str) -> bool {
    str_list_field(input, "requiresCompatibilities").contains(&launch_type)
}

fn validate_name(name: &str, what: &str) -> Validation {
    refuse_if(name.is_empty(), || format!("{what} should not be null or empty."))?;
    let valid = name.len() <= 255 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    refuse_if(!valid, || {
        format!(
            "{what} contains invalid characters. Up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens are allowed."
        )
    })
}

/// A member with few values, in the words that AWS has for one.
fn validate_one_of(value: &Value, member: &str, known: &[&str]) -> Validation {
    let Some(found) = str_field(value, member).filter(|found| !known.contains(found)) else { return Ok(()) };
    invalid_definition(format!(
        "{member} '{found}' is not valid. Valid values for {member} are: [{}].",
        known.join(", ")
    ))
}

fn validate_tags(input: &Value) -> Validation {
    let Some(tags) = input["tags"].as_array() else { return Ok(()) };
    refuse_if(tags.is_empty(), || "Tags can not be empty.".into())?;
    refuse_if(tags.len() > 50, || "Number of tags must be at most 50.".into())?;
    for (place, tag) in tags.iter().enumerate() {
        let (key, value) = (text(tag, "key"), text(tag, "value"));
        let length = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
        refuse_if(!length || key.to_lowercase().starts_with("aws:"), || format!("Invalid tag key '{key}'."))?;
        let twice = tags[..place].iter().any(|earlier| earlier["key"] == tag["key"]);
        refuse_if(twice, || format!("Duplicate tag key '{key}'."))?;
    }
    Ok(())
}

/// The members of the task itself that have few values.
fn validate_task(input: &Value) -> Validation {
    validate_one_of(input, "networkMode", &["bridge", "host", "awsvpc", "none"])?;
    validate_one_of(input, "pidMode", &["host", "task"])?;
    validate_one_of(input, "ipcMode", &["host", "task", "none"])?;
    validate_one_of(&input["runtimePlatform"], "cpuArchitecture", &["X86_64", "ARM64"])?;
    let system = text(&input["runtimePlatform"], "operatingSystemFamily");
    let versions = [
        "2016_FULL",
        "2019_FULL",
        "2019_CORE",
        "2004_CORE",
        "20H2_CORE",
        "2022_CORE",
        "2022_FULL",
        "2025_CORE",
        "2025_FULL",
    ];
    let windows = system.strip_prefix("WINDOWS_SERVER_").is_some_and(|version| versions.contains(&version));
    refuse_if(!matches!(system, "" | "LINUX") && !windows, || {
        format!("operatingSystemFamily '{system}' is not valid.")
    })?;
    for kind in str_list_field(input, "requiresCompatibilities") {
        let known = ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];
        refuse_if(!known.contains(&kind), || {
            format!(
                "Invalid value '{kind}' in requiresCompatibilities. Valid values are: {}.",
                known.join(", ")
            )
        })?;
    }
    let constraints = items(input, "placementConstraints");
    refuse_if(constraints.len() > 10, || "Too many placement constraints.".into())?;
    constraints.iter().try_for_each(|constraint| validate_one_of(constraint, "type", &["memberOf"]))?;
    let proxy = &input["proxyConfiguration"];
    validate_one_of(proxy, "type", &["APPMESH"])?;
    let name = text(proxy, "containerName");
    let known = items(input, "containerDefinitions").iter().any(|container| container["name"] == name);
    refuse_if(proxy.is_object() && !known, || {
        format!("The proxy container '{name}' does not exist in the task definition.")
    })
}

/// The sizes of a task on instances, and what its containers take of them.
fn validate_sizes(input: &Value, containers: &[Value]) -> Validation {
    for (member, unit) in [("cpu", "vcpu"), ("memory", "gb")] {
        let written = text(input, member);
        let valid = written.is_empty() || parse_units(written, unit).is_some();
        refuse_if(!valid, || format!("Invalid '{member}' setting for task: {written}."))?;
    }
    let cpu = parse_units(text(input, "cpu"), "vcpu");
    refuse_if(cpu.is_some_and(|units| !(128..=196_608).contains(&units)), || {
        "Invalid 'cpu' setting for task. Supported values are between 128 and 196608 CPU units.".into()
    })?;
    let memory = parse_units(text(input, "memory"), "gb");
    let (mut cpus, mut reserved) = (0_u64, 0_u64);
    for container in containers {
        let name = text(container, "name");
        let number = |member: &str| container[member].as_u64();
        refuse_if(number("memory").zip(memory).is_some_and(|(own, all)| own > all), || {
            format!("The 'memory' setting for container '{name}' is greater than for the task.")
        })?;
        cpus = cpus.saturating_add(number("cpu").unwrap_or(0));
        let own = number("memoryReservation").or(number("memory")).unwrap_or(0);
        reserved = reserved.saturating_add(own);
    }
    refuse_if(cpu.is_some_and(|all| cpus > all), || {
        "The sum of container-level 'cpu' exceeds the task-level 'cpu'.".into()
    })?;
    refuse_if(memory.is_some_and(|all| reserved > all), || {
        "The sum of container-level memory exceeds the task-level 'memory'.".into()
    })
}

fn validate_roles(input: &Value, containers: &[Value], fargate: bool) -> Validation {
    for role in ["taskRoleArn", "executionRoleArn"].map(|key| text(input, key)) {
        let has_odd_character = !role.bytes().all(|b| b.is_ascii_alphanumeric() || b":+=,.@_/-".contains(&b));
        let is_other_arn = role.starts_with("arn:") && !role.contains(":role/");
        refuse_if(has_odd_character || is_other_arn, || "Role is not valid".into())?;
    }
    if !text(input, "executionRoleArn").is_empty() {
        return Ok(());
    }
    for it in containers {
        if !items(it, "secrets").is_empty() {
            return invalid_definition(
                "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.",
            );
        }
        if it["repositoryCredentials"].is_object() {
            return invalid_definition(
                "When you are specifying repository credentials, you must also specify a value for 'executionRoleArn'.",
            );
        }
        if fargate && text(it, "image").contains(".dkr.ecr.") {
            return invalid_definition(
                "Fargate requires task definition to have execution role ARN to support ECR images.",
            );
        }
        if fargate && it["logConfiguration"]["logDriver"] == "awslogs" {
            return invalid_definition(
                "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
            );
        }
    }
    Ok(())
}

/// `1024`, or `1 vCPU` and `2GB` in 1024ths.
pub(super) fn parse_units(text: &str, unit: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    match lower.strip_suffix(unit) {
        Some(number) => number.trim().parse::<f64>().ok().map(|whole| (whole * 1024.0).round() as u64),
        None => lower.parse().ok(),
    }
}

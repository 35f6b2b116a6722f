//! AWS's own checks of a task definition, in AWS's words. What AWS accepts is accepted here, however unwise.

use serde_json::Value;

use super::super::call::Refusal;
use super::{text, texts};

/// Members of a container definition that the API knows; it ignores any other.
pub(super) const CONTAINER_MEMBERS: [&str; 42] = [
    "name",
    "image",
    "repositoryCredentials",
    "cpu",
    "memory",
    "memoryReservation",
    "links",
    "portMappings",
    "essential",
    "restartPolicy",
    "entryPoint",
    "command",
    "environment",
    "environmentFiles",
    "mountPoints",
    "volumesFrom",
    "linuxParameters",
    "secrets",
    "dependsOn",
    "startTimeout",
    "stopTimeout",
    "versionConsistency",
    "hostname",
    "user",
    "workingDirectory",
    "disableNetworking",
    "privileged",
    "readonlyRootFilesystem",
    "dnsServers",
    "dnsSearchDomains",
    "extraHosts",
    "dockerSecurityOptions",
    "interactive",
    "pseudoTerminal",
    "dockerLabels",
    "ulimits",
    "logConfiguration",
    "healthCheck",
    "systemControls",
    "resourceRequirements",
    "firelensConfiguration",
    "credentialSpecs",
];

type Checked = Result<(), Refusal>;

fn refuse(message: impl Into<String>) -> Checked {
    Err(Refusal::new("ClientException", message))
}

/// Everything that RegisterTaskDefinition checks; the first thing wrong is the answer.
pub(super) fn check(input: &Value) -> Checked {
    types(input)?;
    name(text(input, "family").unwrap_or_default(), "Family")?;
    if input["tags"].as_array().is_some_and(Vec::is_empty) {
        return Err(Refusal::new("ClientException", "Tags can not be empty."));
    }
    let Some(containers) = input["containerDefinitions"].as_array().filter(|list| !list.is_empty()) else {
        return refuse("Container list cannot be empty.");
    };
    let fargate = texts(input, "requiresCompatibilities").contains(&"FARGATE");
    for (place, container) in containers.iter().enumerate() {
        self::container(input, container, fargate)?;
        if containers[..place].iter().any(|earlier| earlier["name"] == container["name"]) {
            return refuse(format!(
                "Duplicate container name '{}'.",
                text(container, "name").unwrap_or_default()
            ));
        }
    }
    if containers.iter().all(|container| container["essential"] == false) {
        return refuse("Invalid 'essential' setting: at least one container must be essential.");
    }
    roles(input, containers, fargate)?;
    if fargate { self::fargate(input) } else { Ok(()) }
}

/// The JSON protocol is strict about types: an environment value must be a string.
fn types(input: &Value) -> Checked {
    let containers = input["containerDefinitions"].as_array();
    for pair in
        containers.into_iter().flatten().flat_map(|c| c["environment"].as_array().into_iter().flatten())
    {
        for member in ["name", "value"] {
            let kind = match &pair[member] {
                Value::Number(_) => "NUMBER_VALUE",
                Value::Bool(true) => "TRUE_VALUE",
                Value::Bool(false) => "FALSE_VALUE",
                _ => continue,
            };
            return Err(Refusal::new(
                "SerializationException",
                format!("{kind} can not be converted to a String"),
            ));
        }
    }
    Ok(())
}

fn name(name: &str, what: &str) -> Checked {
    if name.is_empty() {
        return refuse(format!("{what} should not be null or empty."));
    }
    let valid = name.len() <= 255 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if valid {
        return Ok(());
    }
    refuse(format!(
        "{what} contains invalid characters. Up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens are allowed."
    ))
}

fn container(input: &Value, it: &Value, fargate: bool) -> Checked {
    let name = text(it, "name").unwrap_or_default();
    self::name(name, "Container.name")?;
    if text(it, "image").unwrap_or_default().is_empty() {
        return refuse("Container.image should not be null or empty.");
    }
    image(text(it, "image").unwrap_or_default())?;
    let memory = ["memory", "memoryReservation"].iter().any(|member| it[*member].is_number());
    if !fargate && !memory && input["memory"].is_null() {
        return refuse(format!(
            "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
        ));
    }
    let awsvpc = text(input, "networkMode") == Some("awsvpc");
    for port in it["portMappings"].as_array().into_iter().flatten() {
        let (inside, outside) = (port["containerPort"].as_u64(), port["hostPort"].as_u64());
        if awsvpc && outside.is_some_and(|port| port != 0 && Some(port) != inside) {
            return refuse(
                "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
            );
        }
    }
    let environment: Vec<&str> = names(&it["environment"]).collect();
    if let Some(twice) = names(&it["secrets"]).find(|secret| environment.contains(secret)) {
        return refuse(format!(
            "The secret name must be unique and not shared with any new or existing environment variables set on the \
             container, such as '{twice}'."
        ));
    }
    health_check(name, &it["healthCheck"])
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(|pair| pair["name"].as_str())
}

/// Up to 255 characters before the digest; a digest is `sha256:` and 64 hexadecimal digits.
fn image(reference: &str) -> Checked {
    let (name, digest) =
        reference.split_once('@').map_or((reference, None), |(name, digest)| (name, Some(digest)));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:/#-".contains(&b);
    let digest = digest.is_none_or(|digest| {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    });
    if digest && name.len() <= 255 && name.bytes().all(allowed) {
        Ok(())
    } else {
        refuse(format!("Container.image contains invalid characters: '{reference}'."))
    }
}

fn health_check(container: &str, it: &Value) -> Checked {
    if it.is_null() {
        return Ok(());
    }
    let command = texts(it, "command");
    if !matches!(command.first(), Some(&"CMD" | &"CMD-SHELL" | &"NONE")) {
        return refuse(format!(
            "Health check command of container '{container}' must start with CMD or CMD-SHELL."
        ));
    }
    for (member, least, most) in
        [("interval", 5, 300), ("timeout", 2, 60), ("retries", 1, 10), ("startPeriod", 0, 300)]
    {
        let value = it[member].as_u64().filter(|value| *value < least || *value > most);
        if value.is_some() {
            return refuse(format!(
                "Health check {member} of container '{container}' must be between {least} and {most}."
            ));
        }
    }
    Ok(())
}

fn roles(input: &Value, containers: &[Value], fargate: bool) -> Checked {
    if text(input, "executionRoleArn").is_some_and(|arn| !arn.is_empty()) {
        return Ok(());
    }
    for it in containers {
        if it["secrets"].as_array().is_some_and(|list| !list.is_empty()) {
            return refuse(
                "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.",
            );
        }
        if fargate && text(it, "image").is_some_and(|image| image.contains(".dkr.ecr.")) {
            return refuse(
                "Fargate requires task definition to have execution role ARN to support ECR images.",
            );
        }
        if fargate && it["logConfiguration"]["logDriver"] == "awslogs" {
            return refuse(
                "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
            );
        }
    }
    Ok(())
}

fn fargate(input: &Value) -> Checked {
    if text(input, "networkMode") != Some("awsvpc") {
        return refuse("Fargate only supports network mode ‘awsvpc’.");
    }
    for member in ["cpu", "memory"] {
        if text(input, member).is_none_or(str::is_empty) {
            return refuse(format!("Fargate requires that '{member}' be defined at the task level."));
        }
    }
    let cpu = amount(text(input, "cpu").unwrap_or_default(), "vcpu");
    let memory = amount(text(input, "memory").unwrap_or_default(), "gb");
    if !cpu.zip(memory).is_some_and(|(cpu, memory)| exists(cpu, memory)) {
        return refuse("No Fargate configuration exists for given values.");
    }
    Ok(())
}

/// `1024`, or `1 vCPU` and `2GB` in 1024ths.
fn amount(text: &str, unit: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    match lower.strip_suffix(unit) {
        Some(number) => number.trim().parse::<f64>().ok().map(|whole| (whole * 1024.0).round() as u64),
        None => lower.parse().ok(),
    }
}

/// The table of Fargate's sizes: CPU units, memory in MiB.
fn exists(cpu: u64, memory: u64) -> bool {
    let steps = |least: u64, most: u64, step: u64| {
        (least..=most).contains(&memory) && (memory - least).is_multiple_of(step)
    };
    match cpu {
        256 => matches!(memory, 512 | 1024 | 2048),
        512 => steps(1024, 4096, 1024),
        1024 => steps(2048, 8192, 1024),
        2048 => steps(4096, 16384, 1024),
        4096 => steps(8192, 30720, 1024),
        8192 => steps(16384, 61440, 4096),
        16384 => steps(32768, 122_880, 8192),
        32768 => matches!(memory, 61440 | 122_880 | 249_856),
        _ => false,
    }
}

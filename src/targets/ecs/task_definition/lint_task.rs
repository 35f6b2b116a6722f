//! Rules for the task as a whole: family, sizes, launch types, roles, tags, placement. Pure.

use serde_json::Value;

use super::super::read::{list_field, str_field};
use super::definition::containers;
use super::lint::{Findings, duplicates, is_fargate, is_valid_name, requires};
use super::lint_fargate;
use super::size::{cpu_units, memory_mib};

/// Checks everything outside of the containers.
pub fn check(definition: &Value, findings: &mut Findings<'_>) {
    check_length(definition, findings);
    check_family(definition, findings);
    check_launch_types(definition, findings);
    let cpu = check_size(definition, "cpu", cpu_units, findings);
    let memory = check_size(definition, "memory", memory_mib, findings);
    check_container_sums(definition, cpu, memory, findings);
    if is_fargate(definition) {
        lint_fargate::check_task(definition, cpu, memory, findings);
    } else {
        check_cpu_range(cpu, findings);
    }
    check_roles(definition, findings);
    check_execution_role(definition, findings);
    check_tags(definition, findings);
    check_references(definition, findings);
}

/// The service quota "Task definition size", 64 KiB, which cannot be raised. Blanks and comments of the file do not count.
fn check_length(definition: &Value, findings: &mut Findings<'_>) {
    const MAX_LENGTH: usize = 64 << 10;
    let length = definition.to_string().len();
    if length > MAX_LENGTH {
        let sentence = format!("The task definition has {length} bytes, and AWS accepts {MAX_LENGTH}.");
        let help = "Move long values to Secrets Manager, Parameter Store or an environment file in S3.";
        findings.error("", sentence, help);
    }
}

/// A role is the name of an IAM role, or its ARN (RegisterTaskDefinition).
fn check_roles(definition: &Value, findings: &mut Findings<'_>) {
    for key in ["taskRoleArn", "executionRoleArn"] {
        if definition[key].as_str().is_some_and(|role| !role.is_empty() && !is_role(role)) {
            let sentence = format!("`{key}` is not a role.");
            let help = "Write `arn:aws:iam::<account>:role/<name>`, or the name of the role.";
            findings.error(&format!("/{key}"), sentence, help);
        }
    }
}

fn is_role(role: &str) -> bool {
    let name = match role.split(':').collect::<Vec<_>>()[..] {
        [one] => one,
        ["arn", _, "iam", "", account, resource] => {
            let is_account = !account.is_empty() && account.bytes().all(|digit| digit.is_ascii_digit());
            resource.strip_prefix("role/").filter(|_| is_account).unwrap_or_default()
        }
        _ => "",
    };
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b))
}

fn check_family(definition: &Value, findings: &mut Findings<'_>) {
    let family = str_field(definition, "family");
    if family.is_empty() {
        findings.error("", "The task definition has no `family`.", "Set `family`.");
    } else if !is_valid_name(&family) {
        let sentence = format!("The family `{family}` is not a valid name.");
        findings.error("/family", sentence, "Use letters, digits, - and _.");
    }
}

fn check_launch_types(definition: &Value, findings: &mut Findings<'_>) {
    let known = ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];
    for (index, value) in list_field(definition, "requiresCompatibilities").iter().enumerate() {
        if value.as_str().is_some_and(|value| !known.contains(&value)) {
            let pointer = format!("/requiresCompatibilities/{index}");
            let help = format!("Supported: {}.", known.join(", "));
            findings.error(&pointer, format!("`{value}` is not a launch type."), &help);
        }
    }
    if requires(definition, "EXTERNAL") && definition["networkMode"] == "awsvpc" {
        let sentence = "External instances do not support `networkMode: awsvpc`.";
        findings.error("/networkMode", sentence, "Use bridge, host or none.");
    }
}

fn check_size(
    definition: &Value,
    key: &str,
    read: fn(&str) -> Option<u64>,
    findings: &mut Findings<'_>,
) -> Option<u64> {
    let written = definition[key].as_str()?;
    let read = read(written);
    if read.is_none() {
        let help = if key == "cpu" { "Write 256 or .25 vCPU." } else { "Write 512 or 0.5 GB." };
        findings.error(&format!("/{key}"), format!("The {key} `{written}` is not a size."), help);
    }
    read
}

fn check_cpu_range(cpu: Option<u64>, findings: &mut Findings<'_>) {
    if cpu.is_some_and(|units| !(128..=196_608).contains(&units)) {
        let sentence = "The `cpu` of a task must be 128 to 196608 CPU units.";
        findings.error("/cpu", sentence, "Change the value, or remove it.");
    }
}

/// Containers cannot request more than the task has, neither together nor one alone.
fn check_container_sums(
    definition: &Value,
    cpu: Option<u64>,
    memory: Option<u64>,
    findings: &mut Findings<'_>,
) {
    let all = containers(definition);
    let sum = |keys: &[&str]| -> u64 {
        let of = |container: &Value| keys.iter().find_map(|key| container[*key].as_u64()).unwrap_or(0);
        all.iter().map(of).fold(0, u64::saturating_add)
    };
    let requested = [("cpu", sum(&["cpu"]), cpu), ("memory", sum(&["memoryReservation", "memory"]), memory)];
    for (key, requested, has) in requested {
        if let Some(has) = has.filter(|has| requested > *has) {
            let sentence = format!("The containers request {requested} of {key}, but the task has {has}.");
            let help = "Raise the value of the task, or lower those of the containers.";
            findings.error(&format!("/{key}"), sentence, help);
        }
    }
    for (index, container) in all.iter().enumerate() {
        let (Some(limit), Some(has)) = (container["memory"].as_u64(), memory) else { continue };
        if limit > has {
            let name = str_field(container, "name");
            let sentence =
                format!("The `memory` of `{name}` ({limit}) is more than that of the task ({has}).");
            let pointer = format!("/containerDefinitions/{index}/memory");
            findings.error(&pointer, sentence, "Lower it, or raise the memory of the task.");
        }
    }
}

/// Secrets, logs and credentials before the start of a container need the execution role.
fn check_execution_role(definition: &Value, findings: &mut Findings<'_>) {
    if !str_field(definition, "executionRoleArn").is_empty() {
        return;
    }
    let help = "Set `executionRoleArn` to a role that is allowed to read it.";
    for (index, container) in containers(definition).iter().enumerate() {
        let at = format!("/containerDefinitions/{index}");
        let logs = &container["logConfiguration"];
        if !list_field(container, "secrets").is_empty() {
            findings.error(&format!("{at}/secrets"), "Secrets require `executionRoleArn`.", help);
        }
        if is_fargate(definition) && logs["logDriver"] == "awslogs" {
            let pointer = format!("{at}/logConfiguration");
            findings.error(&pointer, "The awslogs driver on Fargate requires `executionRoleArn`.", help);
        }
        if container["repositoryCredentials"].is_object() {
            let pointer = format!("{at}/repositoryCredentials");
            findings.error(&pointer, "Registry credentials require `executionRoleArn`.", help);
        }
        if !list_field(logs, "secretOptions").is_empty() {
            let pointer = format!("{at}/logConfiguration/secretOptions");
            findings.warning(&pointer, "Secrets of a log driver require `executionRoleArn`.", help);
        }
        if !list_field(container, "environmentFiles").is_empty() {
            let pointer = format!("{at}/environmentFiles");
            findings.warning(&pointer, "Environment files require `executionRoleArn`.", help);
        }
    }
}

fn check_tags(definition: &Value, findings: &mut Findings<'_>) {
    let tags = list_field(definition, "tags");
    if tags.len() > 50 {
        findings.error("/tags", "A task definition can have at most 50 tags.", "Remove some.");
    }
    for (index, key) in duplicates(tags, "key") {
        let sentence = format!("The tag `{key}` is set twice.");
        findings.error(&format!("/tags/{index}"), sentence, "Remove one.");
    }
    for (index, tag) in tags.iter().enumerate() {
        let (key, value) = (str_field(tag, "key"), str_field(tag, "value"));
        let long = !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256;
        if long || key.to_ascii_lowercase().starts_with("aws:") {
            let help =
                "Use a key of 1 to 128 characters without the prefix `aws:`, and a value of up to 256.";
            findings.error(&format!("/tags/{index}"), format!("`{key}` is not a valid tag."), help);
        }
    }
}

/// The proxy is a container of the task, accelerators are declared, and placement constraints are few.
fn check_references(definition: &Value, findings: &mut Findings<'_>) {
    let all = containers(definition);
    let proxy = str_field(&definition["proxyConfiguration"], "containerName");
    if !proxy.is_empty() && !all.iter().any(|container| container["name"] == proxy.as_str()) {
        let sentence = format!("The container `{proxy}` of `proxyConfiguration` does not exist.");
        findings.error("/proxyConfiguration/containerName", sentence, "Name a container of this task.");
    }
    if list_field(definition, "placementConstraints").len() > 10 {
        let sentence = "A task can have at most 10 placement constraints.";
        findings.error("/placementConstraints", sentence, "Remove some.");
    }
    let declared = list_field(definition, "inferenceAccelerators");
    for (index, container) in all.iter().enumerate() {
        for (place, needed) in list_field(container, "resourceRequirements").iter().enumerate() {
            let unknown = !declared.iter().any(|accelerator| accelerator["deviceName"] == needed["value"]);
            if needed["type"] == "InferenceAccelerator" && unknown {
                let pointer = format!("/containerDefinitions/{index}/resourceRequirements/{place}");
                let sentence = format!("The accelerator {} does not exist.", needed["value"]);
                findings.error(&pointer, sentence, "Add it to `inferenceAccelerators`.");
            }
        }
    }
}

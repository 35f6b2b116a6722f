//! Checks of containers: API ContainerDefinition and the structures in it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::logs::validate_logs;
use super::values::validate_values;
use super::{Validation, invalid_definition, items, refuse_if, text, validate_name, validate_one_of};
use crate::ecs::str_list_field;

pub(super) fn validate_container(input: &Value, it: &Value, fargate: bool) -> Validation {
    let name = text(it, "name");
    validate_name(name, "Container.name")?;
    refuse_if(text(it, "image").is_empty(), || "Container.image should not be null or empty.".into())?;
    validate_image(text(it, "image"))?;
    validate_memory(input, it, fargate)?;
    validate_environment(it)?;
    validate_health_check(name, &it["healthCheck"])?;
    validate_restart_policy(&it["restartPolicy"])?;
    validate_limits(it)?;
    validate_values(it)?;
    validate_logs(&it["logConfiguration"])?;
    validate_one_of(it, "versionConsistency", &["enabled", "disabled"])?;
    validate_resources(input, it)
}

/// Up to 255 characters before the digest; a digest is `sha256:` and 64 hexadecimal digits.
fn validate_image(reference: &str) -> Validation {
    let (name, digest) =
        reference.split_once('@').map_or((reference, None), |(name, digest)| (name, Some(digest)));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:/#-".contains(&b);
    let digest = digest.is_none_or(|digest| {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    });
    let valid = digest && name.len() <= 255 && name.bytes().all(allowed);
    refuse_if(!valid, || format!("Container.image contains invalid characters: '{reference}'."))
}

/// amazon-ecs-developer-guide#242: equal is accepted, although the reference says "greater".
fn validate_memory(input: &Value, it: &Value, fargate: bool) -> Validation {
    let name = text(it, "name");
    let (hard, soft) = (it["memory"].as_u64(), it["memoryReservation"].as_u64());
    let none = hard.unwrap_or(0) == 0 && soft.unwrap_or(0) == 0;
    refuse_if(!fargate && none && text(input, "memory").is_empty(), || {
        format!(
            "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
        )
    })?;
    refuse_if([hard, soft].iter().any(|size| size.is_some_and(|size| size < 4)), || {
        format!("Invalid setting for container '{name}'. Memory must be at least 4 MiB.")
    })?;
    refuse_if(hard.zip(soft).is_some_and(|(hard, soft)| hard < soft), || {
        format!(
            "Invalid setting for container '{name}'. The 'memory' must be greater than or equal to 'memoryReservation'."
        )
    })
}

fn validate_environment(it: &Value) -> Validation {
    let variables: Vec<&str> = names(items(it, "environment"), "name").collect();
    let secrets: Vec<&str> = names(items(it, "secrets"), "name").collect();
    let twice = |at: usize| secrets[..at].contains(&secrets[at]) || variables.contains(&secrets[at]);
    if let Some(at) = (0..secrets.len()).find(|at| twice(*at)) {
        return invalid_definition(format!(
            "The secret name must be unique and not shared with any new or existing environment variables set on the \
             container, such as '{}'.",
            secrets[at]
        ));
    }
    let files = items(it, "environmentFiles");
    refuse_if(files.len() > 10, || "Too many environment files. The maximum is 10.".into())?;
    files.iter().try_for_each(|file| {
        refuse_if(text(file, "type") != "s3", || "EnvironmentFile.type must be s3.".into())?;
        let value = text(file, "value");
        let valid = value.starts_with("arn:") && value.contains(":s3:::") && value.ends_with(".env");
        refuse_if(!valid, || "Invalid arn syntax.".into())
    })
}

fn names<'v>(list: &'v [Value], member: &'static str) -> impl Iterator<Item = &'v str> {
    list.iter().filter_map(move |it| it[member].as_str())
}

fn validate_health_check(container: &str, it: &Value) -> Validation {
    if it.is_null() {
        return Ok(());
    }
    let command = str_list_field(it, "command");
    refuse_if(!matches!(command.first(), Some(&"CMD" | &"CMD-SHELL")), || {
        format!("Health check command of container '{container}' must start with CMD or CMD-SHELL.")
    })?;
    for (member, least, most) in
        [("interval", 5, 300), ("timeout", 2, 60), ("retries", 1, 10), ("startPeriod", 0, 300)]
    {
        let outside = it[member].as_i64().is_some_and(|value| !(least..=most).contains(&value));
        refuse_if(outside, || {
            format!("Health check {member} of container '{container}' must be between {least} and {most}.")
        })?;
    }
    Ok(())
}

fn validate_restart_policy(it: &Value) -> Validation {
    if it.is_null() {
        return Ok(());
    }
    refuse_if(!it["enabled"].is_boolean(), || "RestartPolicy.enabled should not be null.".into())?;
    let period = it["restartAttemptPeriod"].as_i64().unwrap_or(300);
    refuse_if(!(60..=1800).contains(&period), || {
        "restartAttemptPeriod must be between 60 and 1800 seconds.".into()
    })?;
    refuse_if(items(it, "ignoredExitCodes").len() > 50, || {
        "Too many ignoredExitCodes. The maximum is 50.".into()
    })
}

fn validate_limits(it: &Value) -> Validation {
    let known =
        "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack";
    for limit in items(it, "ulimits") {
        let name = text(limit, "name");
        let valid = known.split(' ').any(|it| it == name);
        refuse_if(!valid, || format!("Unrecognized ulimit name {name}"))?;
        let whole = limit["softLimit"].is_number() && limit["hardLimit"].is_number();
        refuse_if(!whole, || format!("Ulimit '{name}' requires a soft limit and a hard limit."))?;
    }
    Ok(())
}

fn validate_resources(input: &Value, it: &Value) -> Validation {
    for needed in items(it, "resourceRequirements") {
        validate_one_of(needed, "type", &["GPU", "InferenceAccelerator", "NeuronDevice"])?;
        let declared = items(input, "inferenceAccelerators");
        let missing = needed["type"] == "InferenceAccelerator"
            && !declared.iter().any(|accelerator| accelerator["deviceName"] == needed["value"]);
        refuse_if(missing, || "Inference accelerator is not defined in the task definition.".into())?;
    }
    Ok(())
}

/// API ContainerDependency: known containers, conditions that can be met, no cycle.
pub(super) fn validate_dependencies(containers: &[Value]) -> Validation {
    for container in containers {
        for needed in items(container, "dependsOn") {
            let (name, condition) = (text(needed, "containerName"), text(needed, "condition"));
            let Some(target) = containers.iter().find(|it| it["name"] == name) else {
                return invalid_definition(format!("Container '{name}' in dependsOn does not exist."));
            };
            refuse_if(!matches!(condition, "START" | "COMPLETE" | "SUCCESS" | "HEALTHY"), || {
                format!("Invalid dependsOn condition '{condition}'.")
            })?;
            let ends = matches!(condition, "COMPLETE" | "SUCCESS");
            refuse_if(ends && target["essential"] != false, || {
                format!("The condition {condition} can't be set on the essential container '{name}'.")
            })?;
            refuse_if(condition == "HEALTHY" && target["healthCheck"].is_null(), || {
                format!("The condition HEALTHY requires a health check on container '{name}'.")
            })?;
        }
    }
    refuse_if(has_cycle(containers), || "Container dependencies must not have a cycle.".into())
}

/// Whatever waits only for what is removed already is removed; what is left at the end waits for itself.
fn has_cycle(containers: &[Value]) -> bool {
    let mut waiting: BTreeMap<&str, Vec<&str>> = containers
        .iter()
        .map(|it| (text(it, "name"), names(items(it, "dependsOn"), "containerName").collect()))
        .collect();
    loop {
        let free: Vec<&str> = waiting
            .iter()
            .filter(|(_, needed)| needed.iter().all(|name| !waiting.contains_key(name)))
            .map(|(name, _)| *name)
            .collect();
        if free.is_empty() {
            return !waiting.is_empty();
        }
        waiting.retain(|name, _| !free.contains(name));
    }
}

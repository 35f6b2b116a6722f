//! Rules of Fargate, for the task and for its containers (aws.md §6.1 and §6.2). Pure.

use serde_json::Value;

use super::super::read::{list_field, str_field};
use super::lint::{Findings, LintedContainer, is_windows};
use super::size::{FARGATE_CPU_UNITS, fargate_memory_mib};
use crate::release::is_ecr_host;

/// Checks the task; `cpu` and `memory` are its sizes, if they can be read.
pub fn check_task(definition: &Value, cpu: Option<u64>, memory: Option<u64>, findings: &mut Findings<'_>) {
    if definition["networkMode"] != "awsvpc" {
        let pointer = if definition.get("networkMode").is_some() { "/networkMode" } else { "" };
        findings.error(pointer, "Fargate requires `networkMode: awsvpc`.", "Set `networkMode: awsvpc`.");
    }
    for key in ["cpu", "memory"] {
        if definition.get(key).is_none() {
            findings.error("", format!("Fargate requires `{key}` of the task."), "Set it.");
        }
    }
    if let (Some(cpu), Some(memory)) = (cpu, memory) {
        check_size(cpu, memory, findings);
    }
    check_platform(definition, cpu, findings);
    let storage = definition.pointer("/ephemeralStorage/sizeInGiB").and_then(Value::as_u64);
    if storage.is_some_and(|size| !(21..=200).contains(&size)) {
        let pointer = "/ephemeralStorage/sizeInGiB";
        let sentence = "Ephemeral storage on Fargate must be 21 to 200 GiB.";
        findings.error(pointer, sentence, "Remove it for 20 GiB.");
    }
    if definition["pidMode"] == "host" {
        findings.error("/pidMode", "Fargate supports `pidMode: task` only.", "Remove it or set `task`.");
    }
    for key in ["ipcMode", "placementConstraints", "inferenceAccelerators"] {
        let given = definition.get(key).is_some_and(|value| !value.as_array().is_some_and(Vec::is_empty));
        if given {
            findings.error(&format!("/{key}"), format!("Fargate does not support `{key}`."), "Remove it.");
        }
    }
    check_volumes(definition, findings);
}

fn check_size(cpu: u64, memory: u64, findings: &mut Findings<'_>) {
    let offered = fargate_memory_mib(cpu);
    if offered.is_empty() {
        let help = format!("Fargate offers {}.", join_numbers(&FARGATE_CPU_UNITS));
        return findings.error("/cpu", format!("Fargate has no tasks of {cpu} CPU units."), &help);
    }
    if cpu == 32_768 {
        let sentence = "Tasks of 32 vCPU are not available in every region.";
        findings.warning("/cpu", sentence, "Check that your region supports them.");
    }
    if !offered.contains(&memory) {
        let help = format!("For {cpu} CPU units Fargate offers {} MiB.", join_numbers(&offered));
        let sentence = format!("Fargate has no tasks of {cpu} CPU units with {memory} MiB.");
        if cpu == 32_768 {
            findings.warning("/memory", sentence, &help);
        } else {
            findings.error("/memory", sentence, &help);
        }
    }
}

fn join_numbers(numbers: &[u64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn check_platform(definition: &Value, cpu: Option<u64>, findings: &mut Findings<'_>) {
    let platform = &definition["runtimePlatform"];
    if !is_windows(definition) {
        return;
    }
    if cpu.is_some_and(|units| units < 1024) {
        findings.error(
            "/cpu",
            "Windows tasks on Fargate need at least 1 vCPU.",
            "Set `cpu` to 1024 or more.",
        );
    }
    if platform["cpuArchitecture"] == "ARM64" {
        let pointer = "/runtimePlatform/cpuArchitecture";
        findings.error(pointer, "Windows tasks on Fargate run on X86_64 only.", "Set `X86_64`.");
    }
}

/// Bind mounts without a path of the host, EFS, S3 and EBS are all that Fargate has.
fn check_volumes(definition: &Value, findings: &mut Findings<'_>) {
    for (index, volume) in list_field(definition, "volumes").iter().enumerate() {
        if !str_field(&volume["host"], "sourcePath").is_empty() {
            let pointer = format!("/volumes/{index}/host/sourcePath");
            findings.error(&pointer, "Fargate has no host to mount `sourcePath` from.", "Remove `host`.");
        }
        for key in ["dockerVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration"] {
            if volume[key].is_object() {
                let pointer = format!("/volumes/{index}/{key}");
                findings.error(&pointer, format!("Fargate does not support `{key}`."), "Use EFS or EBS.");
            }
        }
    }
}

/// Checks the settings of a container.
pub fn check_container(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let container = linted.container;
    if container["privileged"] == true {
        let pointer = linted.pointer("privileged");
        findings.error(&pointer, "Fargate does not support privileged containers.", "Remove it.");
    }
    if !list_field(container, "dockerSecurityOptions").is_empty() {
        let pointer = linted.pointer("dockerSecurityOptions");
        findings.error(&pointer, "Fargate does not support `dockerSecurityOptions`.", "Remove it.");
    }
    for key in ["stopTimeout", "startTimeout"] {
        if container[key].as_i64().is_some_and(|seconds| !(0..=120).contains(&seconds)) {
            let sentence = format!("`{key}` on Fargate must be at most 120 seconds.");
            findings.error(&linted.pointer(key), sentence, "Lower it.");
        }
    }
    for (place, needed) in list_field(container, "resourceRequirements").iter().enumerate() {
        let pointer = linted.pointer(&format!("resourceRequirements/{place}"));
        match needed["type"].as_str() {
            Some("GPU") => findings.error(&pointer, "Fargate has no GPUs.", "Remove it."),
            Some(kind) => findings.error(&pointer, format!("Fargate has no {kind}."), "Remove it."),
            None => {}
        }
    }
    check_linux_parameters(linted, findings);
    check_router(linted, findings);
    check_registry(linted, findings);
}

fn check_linux_parameters(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let parameters = &linted.container["linuxParameters"];
    for key in ["devices", "sharedMemorySize", "maxSwap", "swappiness"] {
        let given = parameters.get(key).is_some_and(|value| !value.as_array().is_some_and(Vec::is_empty));
        if given {
            let pointer = linted.pointer(&format!("linuxParameters/{key}"));
            findings.error(&pointer, format!("Fargate does not support `{key}`."), "Remove it.");
        }
    }
    let added = list_field(&parameters["capabilities"], "add").iter().filter_map(Value::as_str);
    if added.into_iter().any(|capability| capability != "SYS_PTRACE") {
        let pointer = linted.pointer("linuxParameters/capabilities/add");
        findings.error(&pointer, "Fargate can add the capability SYS_PTRACE only.", "Remove the others.");
    }
}

fn check_router(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    if linted.container["firelensConfiguration"]["options"]["config-file-type"] == "s3" {
        let pointer = linted.pointer("firelensConfiguration/options/config-file-type");
        let sentence = "FireLens on Fargate reads its configuration from a file of the image only.";
        findings.error(&pointer, sentence, "Set `config-file-type: file`, and put the file into the image.");
    }
}

/// An image in ECR is pulled with the execution role. Where the image of a container that is deployed comes from, the deploy
/// file says (`execution_role.rs`).
fn check_registry(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let image = str_field(linted.container, "image");
    let has_role = !str_field(linted.definition, "executionRoleArn").is_empty();
    if has_role || linted.image_is_replaced || !is_in_ecr(&image) {
        return;
    }
    let sentence = "Fargate needs `executionRoleArn` to pull an image from ECR.";
    findings.error(&linted.pointer("image"), sentence, "Set `executionRoleArn`.");
}

/// Whether an image or a repository names a registry of ECR.
pub fn is_in_ecr(image: &str) -> bool {
    image.split_once('/').is_some_and(|(host, _)| is_ecr_host(host))
}

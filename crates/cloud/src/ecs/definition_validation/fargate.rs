//! Checks of the launch type FARGATE: sizes, and what it does not support (API reference, member by member).

use serde_json::Value;

use super::{Validation, invalid_definition, items, parse_units, refuse_if, text};

/// What Fargate refuses of a definition that is otherwise valid.
pub(in super::super) fn validate_fargate(input: &Value) -> Validation {
    if text(input, "networkMode") != "awsvpc" {
        return invalid_definition("Fargate only supports network mode ‘awsvpc’.");
    }
    for member in ["cpu", "memory"] {
        refuse_if(text(input, member).is_empty(), || {
            format!("Fargate requires that '{member}' be defined at the task level.")
        })?;
    }
    let cpu = parse_units(text(input, "cpu"), "vcpu");
    let memory = parse_units(text(input, "memory"), "gb");
    let size = cpu.zip(memory).is_some_and(|(cpu, memory)| is_fargate_size(cpu, memory));
    let windows = text(&input["runtimePlatform"], "operatingSystemFamily").starts_with("WINDOWS");
    let small = windows && cpu.is_some_and(|units| units < 1024);
    refuse_if(!size || small, || "No Fargate configuration exists for given values.".into())?;
    validate_task(input, windows)?;
    items(input, "containerDefinitions").iter().try_for_each(validate_container)
}

fn validate_task(input: &Value, windows: bool) -> Validation {
    let unsupported = |what: &str| format!("Fargate compatible task definitions do not support {what}.");
    refuse_if(input["pidMode"] == "host", || unsupported("pidMode host"))?;
    refuse_if(input["ipcMode"].is_string(), || unsupported("ipcMode"))?;
    for member in ["placementConstraints", "inferenceAccelerators"] {
        refuse_if(!items(input, member).is_empty(), || unsupported(member))?;
    }
    refuse_if(windows && input["runtimePlatform"]["cpuArchitecture"] == "ARM64", || {
        unsupported("Windows on ARM64")
    })?;
    let storage = input["ephemeralStorage"]["sizeInGiB"].as_u64();
    refuse_if(storage.is_some_and(|size| !(21..=200).contains(&size)), || {
        "Ephemeral storage size must be between 21 and 200 GiB.".into()
    })?;
    for volume in items(input, "volumes") {
        refuse_if(!text(&volume["host"], "sourcePath").is_empty(), || unsupported("host.sourcePath"))?;
        for kind in ["dockerVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration"] {
            refuse_if(volume[kind].is_object(), || unsupported(kind))?;
        }
    }
    Ok(())
}

fn validate_container(it: &Value) -> Validation {
    let unsupported = |what: &str| format!("Fargate compatible task definitions do not support {what}.");
    refuse_if(it["privileged"] == true, || unsupported("privileged"))?;
    refuse_if(!items(it, "dockerSecurityOptions").is_empty(), || unsupported("dockerSecurityOptions"))?;
    refuse_if(!items(it, "resourceRequirements").is_empty(), || unsupported("resourceRequirements"))?;
    let linux = &it["linuxParameters"];
    refuse_if(!items(linux, "devices").is_empty(), || unsupported("devices"))?;
    for member in ["sharedMemorySize", "maxSwap", "swappiness"] {
        refuse_if(linux[member].is_number(), || unsupported(member))?;
    }
    let added = items(&linux["capabilities"], "add");
    refuse_if(added.iter().any(|it| it != "SYS_PTRACE"), || unsupported("added capabilities"))?;
    let driver = text(&it["logConfiguration"], "logDriver");
    refuse_if(!matches!(driver, "" | "awslogs" | "splunk" | "awsfirelens"), || {
        unsupported(&format!("the log driver {driver}"))
    })?;
    refuse_if(it["firelensConfiguration"]["options"]["config-file-type"] == "s3", || {
        unsupported("the FireLens configuration file type s3")
    })?;
    let prefix = text(&it["logConfiguration"]["options"], "awslogs-stream-prefix");
    refuse_if(driver == "awslogs" && prefix.is_empty(), || {
        "Log driver awslogs requires options: awslogs-stream-prefix.".into()
    })?;
    for member in ["startTimeout", "stopTimeout"] {
        let long = it[member].as_i64().is_some_and(|seconds| !(0..=120).contains(&seconds));
        refuse_if(long, || format!("{member} must be between 0 and 120 seconds on Fargate."))?;
    }
    Ok(())
}

/// The table of Fargate's sizes: CPU units, memory in MiB.
fn is_fargate_size(cpu: u64, memory: u64) -> bool {
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

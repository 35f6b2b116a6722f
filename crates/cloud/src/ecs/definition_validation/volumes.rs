//! Checks of volumes and mounts: API Volume, EFSVolumeConfiguration, MountPoint, VolumeFrom.

use serde_json::Value;

use super::{Validation, items, refuse_if, requires, text, validate_name, validate_one_of};

pub(super) fn validate_volumes(input: &Value, containers: &[Value]) -> Validation {
    let volumes = items(input, "volumes");
    for (place, volume) in volumes.iter().enumerate() {
        validate_volume(volume)?;
        let twice = volumes[..place].iter().any(|earlier| earlier["name"] == volume["name"]);
        refuse_if(twice, || format!("Duplicate volume name '{}'.", text(volume, "name")))?;
    }
    validate_platform(input, volumes)?;
    let at_launch = volumes.iter().filter(|volume| volume["configuredAtLaunch"] == true).count();
    refuse_if(at_launch > 1, || "Only one volume can be configured at launch.".into())?;
    for container in containers {
        for mount in items(container, "mountPoints") {
            let name = text(mount, "sourceVolume");
            let known = volumes.iter().any(|volume| volume["name"] == name);
            refuse_if(!known, || format!("Unknown volume '{name}'."))?;
        }
        for from in items(container, "volumesFrom") {
            let name = text(from, "sourceContainer");
            let known = name != text(container, "name") && containers.iter().any(|it| it["name"] == name);
            refuse_if(!known, || format!("Unknown container '{name}' in volumesFrom."))?;
        }
    }
    Ok(())
}

/// Developer Guide: EFS volumes are for Linux, and not for external instances.
fn validate_platform(input: &Value, volumes: &[Value]) -> Validation {
    let family = text(&input["runtimePlatform"], "operatingSystemFamily");
    let is_used = volumes.iter().any(|volume| volume["efsVolumeConfiguration"].is_object());
    refuse_if(is_used && family.starts_with("WINDOWS"), || {
        "EFS volumes are not supported on Windows.".into()
    })?;
    refuse_if(is_used && requires(input, "EXTERNAL"), || {
        "EFS volumes are not supported for EXTERNAL compatibility.".into()
    })
}

/// "Each volume defined in the volume configuration may only specify a name and one of …".
fn validate_volume(volume: &Value) -> Validation {
    validate_name(text(volume, "name"), "Volume.name")?;
    let kinds = [
        "host",
        "dockerVolumeConfiguration",
        "efsVolumeConfiguration",
        "s3filesVolumeConfiguration",
        "fsxWindowsFileServerVolumeConfiguration",
    ];
    let given = |kind: &&&str| volume[**kind].as_object().is_some_and(|members| !members.is_empty());
    let count = kinds.iter().filter(given).count() + usize::from(volume["configuredAtLaunch"] == true);
    refuse_if(count > 1, || {
        format!("Volume '{}' must have only one volume configuration.", text(volume, "name"))
    })?;
    validate_one_of(&volume["dockerVolumeConfiguration"], "scope", &["task", "shared"])?;
    validate_file_system(&volume["efsVolumeConfiguration"])?;
    let windows = &volume["fsxWindowsFileServerVolumeConfiguration"];
    let whole = ["fileSystemId", "rootDirectory"].iter().all(|member| !text(windows, member).is_empty())
        && windows["authorizationConfig"].is_object();
    refuse_if(windows.is_object() && !whole, || {
        "FSx volume configuration requires fileSystemId, rootDirectory and authorizationConfig.".into()
    })
}

fn validate_file_system(it: &Value) -> Validation {
    if it.is_null() {
        return Ok(());
    }
    refuse_if(text(it, "fileSystemId").is_empty(), || {
        "EFSVolumeConfiguration.fileSystemId should not be null or empty.".into()
    })?;
    validate_one_of(it, "transitEncryption", &["ENABLED", "DISABLED"])?;
    let access = &it["authorizationConfig"];
    validate_one_of(access, "iam", &["ENABLED", "DISABLED"])?;
    let point = !text(access, "accessPointId").is_empty();
    refuse_if((point || access["iam"] == "ENABLED") && it["transitEncryption"] != "ENABLED", || {
        "EFS transit encryption must be enabled to use an access point or IAM authorization.".into()
    })?;
    let port = it["transitEncryptionPort"].as_i64();
    refuse_if(port.is_some_and(|port| !(0..=65_535).contains(&port)), || {
        "EFS transitEncryptionPort must be between 0 and 65535.".into()
    })?;
    refuse_if(point && !matches!(text(it, "rootDirectory"), "" | "/"), || {
        "EFS rootDirectory must be omitted or set to / when an access point is specified.".into()
    })
}

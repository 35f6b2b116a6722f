//! Rules for volumes, and for the containers that mount them. Pure.

use serde_json::Value;

use super::super::read::{list_field, str_field};
use super::definition::containers;
use super::lint::{Findings, duplicates, is_valid_name, is_windows, requires};

/// Checks the volumes and everything that refers to one.
pub fn check(definition: &Value, findings: &mut Findings<'_>) {
    let volumes = list_field(definition, "volumes");
    for (index, name) in duplicates(volumes, "name") {
        let sentence = format!("Two volumes are named `{name}`.");
        findings.error(&format!("/volumes/{index}/name"), sentence, "Rename one of them.");
    }
    for (index, volume) in volumes.iter().enumerate() {
        check_volume(volume, &format!("/volumes/{index}"), findings);
        check_instances(definition, volume, &format!("/volumes/{index}"), findings);
    }
    let at_launch = volumes.iter().filter(|volume| volume["configuredAtLaunch"] == true).count();
    if at_launch > 1 {
        let sentence = "Only one volume can be configured at launch.";
        findings.error("/volumes", sentence, "Remove `configuredAtLaunch` from the others.");
    }
    for (index, container) in containers(definition).iter().enumerate() {
        check_mounts(definition, container, &format!("/containerDefinitions/{index}"), findings);
    }
}

const KINDS: [&str; 5] = [
    "host",
    "dockerVolumeConfiguration",
    "efsVolumeConfiguration",
    "s3filesVolumeConfiguration",
    "fsxWindowsFileServerVolumeConfiguration",
];

fn check_volume(volume: &Value, at: &str, findings: &mut Findings<'_>) {
    let name = str_field(volume, "name");
    if !is_valid_name(&name) {
        let sentence = match name.as_str() {
            "" => "A volume has no name.".to_owned(),
            name => format!("`{name}` is not a valid name of a volume."),
        };
        findings.error(&format!("{at}/name"), sentence, "Use 1 to 255 letters, digits, - and _.");
    }
    let is_given = |key: &&&str| volume[**key].as_object().is_some_and(|members| !members.is_empty());
    let mut kinds: Vec<&str> = KINDS.iter().filter(is_given).copied().collect();
    kinds.extend((volume["configuredAtLaunch"] == true).then_some("configuredAtLaunch"));
    if let [_, second, ..] = kinds[..] {
        let sentence = format!("The volume `{name}` has more than one kind: {}.", kinds.join(", "));
        findings.error(&format!("{at}/{second}"), sentence, "Keep one of them.");
    }
    check_efs(&volume["efsVolumeConfiguration"], &format!("{at}/efsVolumeConfiguration"), findings);
    let shared = &volume["s3filesVolumeConfiguration"];
    let has_access_point = !str_field(shared, "accessPointArn").is_empty();
    check_root(shared, has_access_point, &format!("{at}/s3filesVolumeConfiguration"), findings);
}

/// Where EFS cannot be mounted (Developer Guide: EFS volumes are for Linux; considerations of external instances).
fn check_instances(definition: &Value, volume: &Value, at: &str, findings: &mut Findings<'_>) {
    let places = [
        (is_windows(definition), "Windows tasks", "Use FSx for Windows File Server."),
        (requires(definition, "EXTERNAL"), "External instances", "Mount it on the host, and use `host`."),
    ];
    for (_, place, help) in places.into_iter().filter(|(is_there, ..)| *is_there) {
        if volume["efsVolumeConfiguration"].is_object() {
            let pointer = format!("{at}/efsVolumeConfiguration");
            findings.error(&pointer, format!("{place} do not support EFS."), help);
        }
    }
}

fn check_efs(efs: &Value, at: &str, findings: &mut Findings<'_>) {
    let access = &efs["authorizationConfig"];
    let has_access_point = !str_field(access, "accessPointId").is_empty();
    let needs_encryption = has_access_point || access["iam"] == "ENABLED";
    if needs_encryption && efs["transitEncryption"] != "ENABLED" {
        let sentence = "An access point or IAM authorization of EFS requires `transitEncryption: ENABLED`.";
        findings.error(at, sentence, "Set `transitEncryption: ENABLED`.");
    }
    check_root(efs, has_access_point, at, findings);
}

/// An access point has its own root directory.
fn check_root(volume: &Value, has_access_point: bool, at: &str, findings: &mut Findings<'_>) {
    let root = str_field(volume, "rootDirectory");
    if has_access_point && !matches!(root.as_str(), "" | "/") {
        let sentence = "With an access point, `rootDirectory` must be omitted or `/`.";
        findings.error(&format!("{at}/rootDirectory"), sentence, "Remove `rootDirectory`.");
    }
}

fn check_mounts(definition: &Value, container: &Value, at: &str, findings: &mut Findings<'_>) {
    let volumes = list_field(definition, "volumes");
    for (index, mount) in list_field(container, "mountPoints").iter().enumerate() {
        let name = str_field(mount, "sourceVolume");
        if name.is_empty() {
            let sentence = "`mountPoints` requires `sourceVolume`.";
            findings.error(&format!("{at}/mountPoints/{index}"), sentence, "Name one of `volumes`.");
        } else if !volumes.iter().any(|volume| volume["name"] == name.as_str()) {
            let pointer = format!("{at}/mountPoints/{index}");
            findings.error(&pointer, format!("The volume `{name}` does not exist."), "Add it to `volumes`.");
        }
    }
    for (index, from) in list_field(container, "volumesFrom").iter().enumerate() {
        let name = str_field(from, "sourceContainer");
        let is_other = container["name"] != name.as_str();
        let exists = containers(definition).iter().any(|other| other["name"] == name.as_str());
        if !exists || !is_other {
            let pointer = format!("{at}/volumesFrom/{index}");
            let sentence = format!("`volumesFrom` names `{name}`, which is no other container of the task.");
            findings.error(&pointer, sentence, "Name another container.");
        }
    }
}

//! Checks of single values: ranges of numbers, members that must be there, places of secrets. API reference, member by member.

use serde_json::Value;

use super::{Validation, invalid_definition, items, refuse_if, text};

/// A member that is a whole number, and the range that the reference names.
type Range = (&'static str, i64, i64);

const MOST: i64 = i32::MAX as i64;

const CONTAINER: [Range; 5] = [
    ("cpu", 0, MOST),
    ("memory", 0, MOST),
    ("memoryReservation", 0, MOST),
    ("startTimeout", 0, MOST),
    ("stopTimeout", 0, MOST),
];

const LINUX_PARAMETERS: [Range; 3] =
    [("maxSwap", 0, MOST), ("sharedMemorySize", 0, MOST), ("swappiness", 0, 100)];

/// A list of a container, and the members that each of its items must have.
const REQUIRED: [(&str, &str, &[&str]); 5] = [
    ("environment", "KeyValuePair", &["name"]),
    ("mountPoints", "MountPoint", &["sourceVolume", "containerPath"]),
    ("systemControls", "SystemControl", &["namespace", "value"]),
    ("resourceRequirements", "ResourceRequirement", &["type", "value"]),
    ("extraHosts", "HostEntry", &["hostname", "ipAddress"]),
];

pub(super) fn validate_values(it: &Value) -> Validation {
    validate_ranges(it, &CONTAINER)?;
    let linux = &it["linuxParameters"];
    validate_ranges(linux, &LINUX_PARAMETERS)?;
    for (list, kind, members) in REQUIRED {
        items(it, list).iter().try_for_each(|item| validate_required(item, kind, members))?;
    }
    for device in items(linux, "devices") {
        validate_required(device, "Device", &["hostPath"])?;
    }
    for mount in items(linux, "tmpfs") {
        validate_required(mount, "Tmpfs", &["containerPath"])?;
        let size = mount["size"].as_i64();
        refuse_if(size.is_none_or(|size| size < 1), || {
            "Tmpfs.size should not be null or less than 1.".into()
        })?;
    }
    let lists = [items(it, "secrets"), items(&it["logConfiguration"], "secretOptions")];
    lists.into_iter().flatten().try_for_each(validate_secret)
}

fn validate_ranges(value: &Value, ranges: &[Range]) -> Validation {
    for (member, least, most) in ranges {
        let outside = value[*member].as_i64().is_some_and(|given| !(*least..=*most).contains(&given));
        refuse_if(outside, || format!("Invalid '{member}'. The value must be between {least} and {most}."))?;
    }
    Ok(())
}

fn validate_required(item: &Value, kind: &str, members: &[&str]) -> Validation {
    match members.iter().find(|member| text(item, member).is_empty()) {
        Some(member) => invalid_definition(format!("{kind}.{member} should not be null or empty.")),
        None => Ok(()),
    }
}

/// API Secret; copilot-cli#3446 has AWS's words for a name.
fn validate_secret(secret: &Value) -> Validation {
    let (name, place) = (text(secret, "name"), text(secret, "valueFrom"));
    refuse_if(name.is_empty() || place.is_empty(), || {
        "Secret name and valueFrom should not be null or empty.".into()
    })?;
    if let Some(resource) = place.strip_prefix("arn:") {
        let parts: Vec<&str> = resource.splitn(5, ':').collect();
        let valid = match parts[..] {
            [_, "ssm", region, account, resource] => {
                !region.is_empty() && !account.is_empty() && resource.starts_with("parameter/")
            }
            [_, "secretsmanager", region, account, resource] => {
                !region.is_empty() && !account.is_empty() && resource.starts_with("secret:")
            }
            _ => false,
        };
        return refuse_if(!valid, || "Invalid arn syntax.".into());
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-/".contains(&b);
    refuse_if(place.len() > 2048 || !place.bytes().all(allowed), || {
        format!(
            "The Systems Manager parameter name specified for secret {name} is invalid. The parameter name can be up to 2048 characters and include the following letters and symbols: a-zA-Z0-9_.-"
        )
    })
}

//! The structure of a task definition in the API (service model 2014-11-13): what has another type is refused, members
//! that the API does not know are dropped, and null is the same as absent.

use serde_json::{Map, Value};

use super::super::request::ServiceError;

/// Structures and their members as `name:type`. A type is `s` (string), `i` (integer), `b` (boolean), `m` (map of
/// strings) or a structure; in brackets it is a list.
const STRUCTURES: &[(&str, &str)] = &[
    (
        "TaskDefinition",
        "family:s taskRoleArn:s executionRoleArn:s networkMode:s containerDefinitions:[Container] volumes:[Volume] \
         placementConstraints:[Constraint] requiresCompatibilities:[s] cpu:s memory:s tags:[Tag] pidMode:s ipcMode:s \
         proxyConfiguration:Proxy inferenceAccelerators:[Accelerator] ephemeralStorage:Storage \
         runtimePlatform:Platform enableFaultInjection:b trustedExecutionConfiguration:Trusted",
    ),
    (
        "Container",
        "name:s image:s repositoryCredentials:Credentials cpu:i memory:i memoryReservation:i links:[s] \
         portMappings:[Port] essential:b restartPolicy:Restart entryPoint:[s] command:[s] environment:[Pair] \
         environmentFiles:[File] mountPoints:[Mount] volumesFrom:[From] linuxParameters:Linux secrets:[Secret] \
         dependsOn:[Dependency] startTimeout:i stopTimeout:i versionConsistency:s hostname:s user:s \
         workingDirectory:s disableNetworking:b privileged:b readonlyRootFilesystem:b dnsServers:[s] \
         dnsSearchDomains:[s] extraHosts:[Host] dockerSecurityOptions:[s] interactive:b pseudoTerminal:b \
         dockerLabels:m ulimits:[Ulimit] logConfiguration:Logs healthCheck:Health systemControls:[Control] \
         resourceRequirements:[Resource] firelensConfiguration:Router credentialSpecs:[s]",
    ),
    ("Credentials", "credentialsParameter:s"),
    ("Port", "containerPort:i hostPort:i protocol:s name:s appProtocol:s containerPortRange:s"),
    ("Restart", "enabled:b ignoredExitCodes:[i] restartAttemptPeriod:i"),
    ("Pair", "name:s value:s"),
    ("File", "value:s type:s"),
    ("Mount", "sourceVolume:s containerPath:s readOnly:b"),
    ("From", "sourceContainer:s readOnly:b"),
    (
        "Linux",
        "capabilities:Capabilities devices:[Device] initProcessEnabled:b sharedMemorySize:i tmpfs:[Tmpfs] maxSwap:i \
         swappiness:i",
    ),
    ("Capabilities", "add:[s] drop:[s]"),
    ("Device", "hostPath:s containerPath:s permissions:[s]"),
    ("Tmpfs", "containerPath:s size:i mountOptions:[s]"),
    ("Secret", "name:s valueFrom:s"),
    ("Dependency", "containerName:s condition:s"),
    ("Host", "hostname:s ipAddress:s"),
    ("Ulimit", "name:s softLimit:i hardLimit:i"),
    ("Logs", "logDriver:s options:m secretOptions:[Secret]"),
    ("Health", "command:[s] interval:i timeout:i retries:i startPeriod:i"),
    ("Control", "namespace:s value:s"),
    ("Resource", "value:s type:s sharingStrategy:Sharing"),
    ("Sharing", "nvidiaMps:Mps"),
    ("Mps", "memory:i maxComputePercent:i"),
    ("Router", "type:s options:m"),
    (
        "Volume",
        "name:s host:HostPath dockerVolumeConfiguration:Docker efsVolumeConfiguration:Efs \
         s3filesVolumeConfiguration:S3Files fsxWindowsFileServerVolumeConfiguration:Fsx configuredAtLaunch:b",
    ),
    ("HostPath", "sourcePath:s"),
    ("Docker", "scope:s autoprovision:b driver:s driverOpts:m labels:m"),
    (
        "Efs",
        "fileSystemId:s rootDirectory:s transitEncryption:s transitEncryptionPort:i authorizationConfig:EfsAccess",
    ),
    ("EfsAccess", "accessPointId:s iam:s"),
    ("S3Files", "fileSystemArn:s rootDirectory:s transitEncryptionPort:i accessPointArn:s"),
    ("Fsx", "fileSystemId:s rootDirectory:s authorizationConfig:FsxAccess"),
    ("FsxAccess", "credentialsParameter:s domain:s"),
    ("Constraint", "type:s expression:s"),
    ("Tag", "key:s value:s"),
    ("Proxy", "type:s containerName:s properties:[Pair]"),
    ("Accelerator", "deviceName:s deviceType:s"),
    ("Storage", "sizeInGiB:i"),
    ("Platform", "cpuArchitecture:s operatingSystemFamily:s"),
    ("Trusted", "isolationMode:s attestationPolicy:s"),
];

/// A task definition as the API reads it. Errors name the first value of a wrong type.
pub(super) fn conform(input: &Value) -> Result<Value, ServiceError> {
    conform_value(input, "TaskDefinition")
}

/// The same for a world's beginning: what has a wrong type stays as it is.
pub(super) fn conform_leniently(input: &Value) -> Value {
    conform(input).unwrap_or_else(|_| input.clone())
}

fn conform_value(value: &Value, kind: &str) -> Result<Value, ServiceError> {
    if let Some(inner) = kind.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let items = value.as_array().ok_or_else(|| wrong_type(value, kind))?;
        let given = items.iter().filter(|item| !item.is_null());
        return given.map(|item| conform_value(item, inner)).collect();
    }
    match (kind, value) {
        ("s", Value::String(_)) | ("b", Value::Bool(_)) | ("i", Value::Number(_)) => Ok(value.clone()),
        ("s" | "b" | "i", _) => Err(wrong_type(value, kind)),
        ("m", Value::Object(pairs)) => {
            let given = pairs.iter().filter(|(_, value)| !value.is_null());
            given.map(|(key, value)| Ok((key.clone(), conform_value(value, "s")?))).collect()
        }
        (structure, Value::Object(members)) => conform_members(members, structure),
        _ => Err(wrong_type(value, kind)),
    }
}

fn conform_members(members: &Map<String, Value>, structure: &str) -> Result<Value, ServiceError> {
    let known = STRUCTURES.iter().find(|(name, _)| *name == structure).map_or("", |(_, members)| members);
    let mut kept = Map::new();
    for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let kind = known.split_whitespace().filter_map(|member| member.split_once(':'));
        if let Some((_, kind)) = kind.into_iter().find(|(name, _)| name == key) {
            kept.insert(key.clone(), conform_value(value, kind)?);
        }
    }
    Ok(Value::Object(kept))
}

/// The words of the JSON protocol for a value of another type.
fn wrong_type(value: &Value, kind: &str) -> ServiceError {
    let wanted = match kind {
        "s" => "a String",
        "i" => "an Integer",
        "b" => "a Boolean",
        _ => "a collection",
    };
    let message = match value {
        Value::Number(_) => format!("NUMBER_VALUE can not be converted to {wanted}"),
        Value::Bool(true) => format!("TRUE_VALUE can not be converted to {wanted}"),
        Value::Bool(false) => format!("FALSE_VALUE can not be converted to {wanted}"),
        Value::String(_) => format!("STRING_VALUE can not be converted to {wanted}"),
        Value::Array(_) => "Start of list found where not expected.".into(),
        Value::Object(_) | Value::Null => "Start of structure or map found where not expected.".into(),
    };
    ServiceError::new("SerializationException", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_members_and_nulls_are_dropped_at_every_depth() {
        let input = json!({"$schema":"x","family":"f","cpu":null,"containerDefinitions":[{"name":"a","_comment":"x",
            "environment":[{"name":"A","value":"","note":1}],"dockerLabels":{"x":"y"},
            "logConfiguration":{"logDriver":"awslogs","extra":{},"options":{"any":"thing"}}}]});
        let kept = json!({"family":"f","containerDefinitions":[{"name":"a","environment":[{"name":"A","value":""}],
            "dockerLabels":{"x":"y"},"logConfiguration":{"logDriver":"awslogs","options":{"any":"thing"}}}]});
        assert_eq!(conform(&input).unwrap(), kept);
    }

    #[test]
    fn values_of_another_type_are_refused() {
        let message = |input: Value| conform(&input).unwrap_err().message;
        let of = |member: &str, value: Value| message(json!({"containerDefinitions": [{ member: value }]}));
        assert_eq!(message(json!({"cpu": 256})), "NUMBER_VALUE can not be converted to a String");
        assert_eq!(of("memory", json!("512")), "STRING_VALUE can not be converted to an Integer");
        assert_eq!(of("essential", json!("yes")), "STRING_VALUE can not be converted to a Boolean");
        assert_eq!(of("command", json!("run")), "STRING_VALUE can not be converted to a collection");
        assert_eq!(of("image", json!(["x"])), "Start of list found where not expected.");
        assert_eq!(of("dockerLabels", json!({"a": 1})), "NUMBER_VALUE can not be converted to a String");
    }

    #[test]
    fn every_type_is_a_structure_of_the_table() {
        for (name, members) in STRUCTURES {
            for member in members.split_whitespace() {
                let (_, kind) = member.split_once(':').unwrap();
                let kind = kind.trim_matches(['[', ']']);
                let known =
                    ["s", "i", "b", "m"].contains(&kind) || STRUCTURES.iter().any(|(it, _)| *it == kind);
                assert!(known, "{name}: {member}");
            }
        }
    }
}

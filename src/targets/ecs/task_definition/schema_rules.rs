//! Members that the API requires, members with few values, and the range of numbers: data only, from the service model
//! and the reference of the ECS API (2014-11-13, as of botocore 1.44.8), by the name of the key that holds the object.

/// The required members of an object, or of each item of a list.
pub const REQUIRED_MEMBERS: &[(&str, &[&str])] = &[
    ("dependsOn", &["containerName", "condition"]),
    ("devices", &["hostPath"]),
    ("efsVolumeConfiguration", &["fileSystemId"]),
    ("environmentFiles", &["value", "type"]),
    ("ephemeralStorage", &["sizeInGiB"]),
    ("extraHosts", &["hostname", "ipAddress"]),
    ("firelensConfiguration", &["type"]),
    ("fsxWindowsFileServerVolumeConfiguration", &["fileSystemId", "rootDirectory", "authorizationConfig"]),
    ("healthCheck", &["command"]),
    ("inferenceAccelerators", &["deviceName", "deviceType"]),
    ("logConfiguration", &["logDriver"]),
    ("mountPoints", &["containerPath"]),
    ("proxyConfiguration", &["containerName"]),
    ("repositoryCredentials", &["credentialsParameter"]),
    ("resourceRequirements", &["type", "value"]),
    ("restartPolicy", &["enabled"]),
    ("s3filesVolumeConfiguration", &["fileSystemArn"]),
    ("secretOptions", &["name", "valueFrom"]),
    ("secrets", &["name", "valueFrom"]),
    ("systemControls", &["namespace", "value"]),
    ("tmpfs", &["containerPath", "size"]),
    ("ulimits", &["name", "softLimit", "hardLimit"]),
];

/// A member of an object, or of each item of a list, and the values that the API accepts.
#[derive(Debug, Clone, Copy)]
pub struct MemberValues {
    /// Key that holds the object; empty for the task definition itself.
    pub parent: &'static str,
    /// The member.
    pub member: &'static str,
    /// Its values.
    pub values: &'static [&'static str],
}

const fn values(parent: &'static str, member: &'static str, values: &'static [&'static str]) -> MemberValues {
    MemberValues { parent, member, values }
}

/// A member that is a whole number, and the range that the API accepts.
#[derive(Debug, Clone, Copy)]
pub struct MemberRange {
    /// Key that holds the object.
    pub parent: &'static str,
    /// The member.
    pub member: &'static str,
    /// The least value.
    pub least: i64,
    /// The greatest value.
    pub most: i64,
}

const fn range(parent: &'static str, member: &'static str, least: i64, most: i64) -> MemberRange {
    MemberRange { parent, member, least, most }
}

/// The greatest value of the API's type Integer.
pub const MAX_INTEGER: i64 = i32::MAX as i64;

/// Members with a range of their own; ports, sizes of a task and limits of Fargate have rules elsewhere.
pub const MEMBER_RANGES: &[MemberRange] = &[
    range("containerDefinitions", "cpu", 0, MAX_INTEGER),
    range("containerDefinitions", "memory", 0, MAX_INTEGER),
    range("containerDefinitions", "memoryReservation", 0, MAX_INTEGER),
    range("containerDefinitions", "startTimeout", 0, MAX_INTEGER),
    range("containerDefinitions", "stopTimeout", 0, MAX_INTEGER),
    range("efsVolumeConfiguration", "transitEncryptionPort", 0, 65_535),
    range("healthCheck", "interval", 5, 300),
    range("healthCheck", "retries", 1, 10),
    range("healthCheck", "startPeriod", 0, 300),
    range("healthCheck", "timeout", 2, 60),
    range("linuxParameters", "maxSwap", 0, MAX_INTEGER),
    range("linuxParameters", "sharedMemorySize", 0, MAX_INTEGER),
    range("linuxParameters", "swappiness", 0, 100),
    range("restartPolicy", "restartAttemptPeriod", 60, 1800),
    range("s3filesVolumeConfiguration", "transitEncryptionPort", 0, 65_535),
    range("tmpfs", "size", 1, MAX_INTEGER),
];

const ON_OFF: &[&str] = &["ENABLED", "DISABLED"];

/// Members with few values. `protocol` is not here: AWS treats any other value as `tcp`.
pub const MEMBER_VALUES: &[MemberValues] = &[
    values("", "ipcMode", &["host", "task", "none"]),
    values("", "networkMode", &["bridge", "host", "awsvpc", "none"]),
    values("", "pidMode", &["host", "task"]),
    values("authorizationConfig", "iam", ON_OFF),
    values("containerDefinitions", "versionConsistency", &["enabled", "disabled"]),
    values("devices", "permissions", &["read", "write", "mknod"]),
    values("dockerVolumeConfiguration", "scope", &["task", "shared"]),
    values("efsVolumeConfiguration", "transitEncryption", ON_OFF),
    values("environmentFiles", "type", &["s3"]),
    values("firelensConfiguration", "type", &["fluentd", "fluentbit"]),
    values("placementConstraints", "type", &["memberOf"]),
    values("portMappings", "appProtocol", &["http", "http2", "grpc"]),
    values("proxyConfiguration", "type", &["APPMESH"]),
    values("resourceRequirements", "type", &["GPU", "InferenceAccelerator", "NeuronDevice"]),
    values("runtimePlatform", "cpuArchitecture", &["X86_64", "ARM64"]),
    values("runtimePlatform", "operatingSystemFamily", OPERATING_SYSTEMS),
    values("trustedExecutionConfiguration", "isolationMode", ISOLATION_MODES),
    values("ulimits", "name", ULIMITS),
];

const OPERATING_SYSTEMS: &[&str] = &[
    "LINUX",
    "WINDOWS_SERVER_2016_FULL",
    "WINDOWS_SERVER_2019_FULL",
    "WINDOWS_SERVER_2019_CORE",
    "WINDOWS_SERVER_2004_CORE",
    "WINDOWS_SERVER_20H2_CORE",
    "WINDOWS_SERVER_2022_CORE",
    "WINDOWS_SERVER_2022_FULL",
    "WINDOWS_SERVER_2025_CORE",
    "WINDOWS_SERVER_2025_FULL",
];

const ISOLATION_MODES: &[&str] = &["SHARED", "ISOLATED_SANDBOX", "CONFIDENTIAL_SANDBOX"];

const ULIMITS: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

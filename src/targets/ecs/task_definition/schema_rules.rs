//! Members that the API requires, and members with few values: data only, from the service model of the ECS API
//! (2014-11-13, as of botocore 1.44.8). Both are by the name of the key that holds the object.

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
    ("proxyConfiguration", &["containerName"]),
    ("repositoryCredentials", &["credentialsParameter"]),
    ("resourceRequirements", &["type"]),
    ("restartPolicy", &["enabled"]),
    ("s3filesVolumeConfiguration", &["fileSystemArn"]),
    ("secretOptions", &["name", "valueFrom"]),
    ("secrets", &["name", "valueFrom"]),
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

//! The keys that RegisterTaskDefinition knows and the JSON type of each: data only, taken from the service model
//! of the ECS API (2014-11-13, as of botocore 1.44.8). A key that is not here is warned about and still sent.

/// The JSON type of a value in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// A string.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An object with any keys and string values.
    Map,
    /// A list.
    List(&'static FieldType),
    /// An object with these keys.
    Object(Fields),
}

/// The keys of an object and their types.
pub type Fields = &'static [(&'static str, FieldType)];

/// Keys that Describe returns and Register rejects (aws.md: exactly these nine).
pub const READ_ONLY_FIELDS: [&str; 9] = [
    "compatibilities",
    "deleteRequestedAt",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "taskDefinitionArn",
];

const REPOSITORY_CREDENTIALS: Fields = &[("credentialsParameter", FieldType::Text)];

const PORT_MAPPING: Fields = &[
    ("containerPort", FieldType::Integer),
    ("hostPort", FieldType::Integer),
    ("protocol", FieldType::Text),
    ("name", FieldType::Text),
    ("appProtocol", FieldType::Text),
    ("containerPortRange", FieldType::Text),
];

const CONTAINER_RESTART_POLICY: Fields = &[
    ("enabled", FieldType::Boolean),
    ("ignoredExitCodes", FieldType::List(&FieldType::Integer)),
    ("restartAttemptPeriod", FieldType::Integer),
];

const KEY_VALUE_PAIR: Fields = &[("name", FieldType::Text), ("value", FieldType::Text)];

const ENVIRONMENT_FILE: Fields = &[("value", FieldType::Text), ("type", FieldType::Text)];

const MOUNT_POINT: Fields = &[
    ("sourceVolume", FieldType::Text),
    ("containerPath", FieldType::Text),
    ("readOnly", FieldType::Boolean),
];

const VOLUME_FROM: Fields = &[("sourceContainer", FieldType::Text), ("readOnly", FieldType::Boolean)];

const KERNEL_CAPABILITIES: Fields =
    &[("add", FieldType::List(&FieldType::Text)), ("drop", FieldType::List(&FieldType::Text))];

const DEVICE: Fields = &[
    ("hostPath", FieldType::Text),
    ("containerPath", FieldType::Text),
    ("permissions", FieldType::List(&FieldType::Text)),
];

const TMPFS: Fields = &[
    ("containerPath", FieldType::Text),
    ("size", FieldType::Integer),
    ("mountOptions", FieldType::List(&FieldType::Text)),
];

const LINUX_PARAMETERS: Fields = &[
    ("capabilities", FieldType::Object(KERNEL_CAPABILITIES)),
    ("devices", FieldType::List(&FieldType::Object(DEVICE))),
    ("initProcessEnabled", FieldType::Boolean),
    ("sharedMemorySize", FieldType::Integer),
    ("tmpfs", FieldType::List(&FieldType::Object(TMPFS))),
    ("maxSwap", FieldType::Integer),
    ("swappiness", FieldType::Integer),
];

const SECRET: Fields = &[("name", FieldType::Text), ("valueFrom", FieldType::Text)];

const CONTAINER_DEPENDENCY: Fields = &[("containerName", FieldType::Text), ("condition", FieldType::Text)];

const HOST_ENTRY: Fields = &[("hostname", FieldType::Text), ("ipAddress", FieldType::Text)];

const ULIMIT: Fields =
    &[("name", FieldType::Text), ("softLimit", FieldType::Integer), ("hardLimit", FieldType::Integer)];

const LOG_CONFIGURATION: Fields = &[
    ("logDriver", FieldType::Text),
    ("options", FieldType::Map),
    ("secretOptions", FieldType::List(&FieldType::Object(SECRET))),
];

const HEALTH_CHECK: Fields = &[
    ("command", FieldType::List(&FieldType::Text)),
    ("interval", FieldType::Integer),
    ("timeout", FieldType::Integer),
    ("retries", FieldType::Integer),
    ("startPeriod", FieldType::Integer),
];

const SYSTEM_CONTROL: Fields = &[("namespace", FieldType::Text), ("value", FieldType::Text)];

const NVIDIA_MPS_ALLOCATION: Fields =
    &[("memory", FieldType::Integer), ("maxComputePercent", FieldType::Integer)];

const SHARING_STRATEGY: Fields = &[("nvidiaMps", FieldType::Object(NVIDIA_MPS_ALLOCATION))];

const RESOURCE_REQUIREMENT: Fields = &[
    ("value", FieldType::Text),
    ("type", FieldType::Text),
    ("sharingStrategy", FieldType::Object(SHARING_STRATEGY)),
];

const FIRELENS_CONFIGURATION: Fields = &[("type", FieldType::Text), ("options", FieldType::Map)];

/// A container of it.
pub const CONTAINER_DEFINITION: Fields = &[
    ("name", FieldType::Text),
    ("image", FieldType::Text),
    ("repositoryCredentials", FieldType::Object(REPOSITORY_CREDENTIALS)),
    ("cpu", FieldType::Integer),
    ("memory", FieldType::Integer),
    ("memoryReservation", FieldType::Integer),
    ("links", FieldType::List(&FieldType::Text)),
    ("portMappings", FieldType::List(&FieldType::Object(PORT_MAPPING))),
    ("essential", FieldType::Boolean),
    ("restartPolicy", FieldType::Object(CONTAINER_RESTART_POLICY)),
    ("entryPoint", FieldType::List(&FieldType::Text)),
    ("command", FieldType::List(&FieldType::Text)),
    ("environment", FieldType::List(&FieldType::Object(KEY_VALUE_PAIR))),
    ("environmentFiles", FieldType::List(&FieldType::Object(ENVIRONMENT_FILE))),
    ("mountPoints", FieldType::List(&FieldType::Object(MOUNT_POINT))),
    ("volumesFrom", FieldType::List(&FieldType::Object(VOLUME_FROM))),
    ("linuxParameters", FieldType::Object(LINUX_PARAMETERS)),
    ("secrets", FieldType::List(&FieldType::Object(SECRET))),
    ("dependsOn", FieldType::List(&FieldType::Object(CONTAINER_DEPENDENCY))),
    ("startTimeout", FieldType::Integer),
    ("stopTimeout", FieldType::Integer),
    ("versionConsistency", FieldType::Text),
    ("hostname", FieldType::Text),
    ("user", FieldType::Text),
    ("workingDirectory", FieldType::Text),
    ("disableNetworking", FieldType::Boolean),
    ("privileged", FieldType::Boolean),
    ("readonlyRootFilesystem", FieldType::Boolean),
    ("dnsServers", FieldType::List(&FieldType::Text)),
    ("dnsSearchDomains", FieldType::List(&FieldType::Text)),
    ("extraHosts", FieldType::List(&FieldType::Object(HOST_ENTRY))),
    ("dockerSecurityOptions", FieldType::List(&FieldType::Text)),
    ("interactive", FieldType::Boolean),
    ("pseudoTerminal", FieldType::Boolean),
    ("dockerLabels", FieldType::Map),
    ("ulimits", FieldType::List(&FieldType::Object(ULIMIT))),
    ("logConfiguration", FieldType::Object(LOG_CONFIGURATION)),
    ("healthCheck", FieldType::Object(HEALTH_CHECK)),
    ("systemControls", FieldType::List(&FieldType::Object(SYSTEM_CONTROL))),
    ("resourceRequirements", FieldType::List(&FieldType::Object(RESOURCE_REQUIREMENT))),
    ("firelensConfiguration", FieldType::Object(FIRELENS_CONFIGURATION)),
    ("credentialSpecs", FieldType::List(&FieldType::Text)),
];

const HOST_VOLUME_PROPERTIES: Fields = &[("sourcePath", FieldType::Text)];

const DOCKER_VOLUME_CONFIGURATION: Fields = &[
    ("scope", FieldType::Text),
    ("autoprovision", FieldType::Boolean),
    ("driver", FieldType::Text),
    ("driverOpts", FieldType::Map),
    ("labels", FieldType::Map),
];

const EFSAUTHORIZATION_CONFIG: Fields = &[("accessPointId", FieldType::Text), ("iam", FieldType::Text)];

const EFSVOLUME_CONFIGURATION: Fields = &[
    ("fileSystemId", FieldType::Text),
    ("rootDirectory", FieldType::Text),
    ("transitEncryption", FieldType::Text),
    ("transitEncryptionPort", FieldType::Integer),
    ("authorizationConfig", FieldType::Object(EFSAUTHORIZATION_CONFIG)),
];

const S3_FILES_VOLUME_CONFIGURATION: Fields = &[
    ("fileSystemArn", FieldType::Text),
    ("rootDirectory", FieldType::Text),
    ("transitEncryptionPort", FieldType::Integer),
    ("accessPointArn", FieldType::Text),
];

const FSX_WINDOWS_FILE_SERVER_AUTHORIZATION_CONFIG: Fields =
    &[("credentialsParameter", FieldType::Text), ("domain", FieldType::Text)];

const FSX_WINDOWS_FILE_SERVER_VOLUME_CONFIGURATION: Fields = &[
    ("fileSystemId", FieldType::Text),
    ("rootDirectory", FieldType::Text),
    ("authorizationConfig", FieldType::Object(FSX_WINDOWS_FILE_SERVER_AUTHORIZATION_CONFIG)),
];

const VOLUME: Fields = &[
    ("name", FieldType::Text),
    ("host", FieldType::Object(HOST_VOLUME_PROPERTIES)),
    ("dockerVolumeConfiguration", FieldType::Object(DOCKER_VOLUME_CONFIGURATION)),
    ("efsVolumeConfiguration", FieldType::Object(EFSVOLUME_CONFIGURATION)),
    ("s3filesVolumeConfiguration", FieldType::Object(S3_FILES_VOLUME_CONFIGURATION)),
    (
        "fsxWindowsFileServerVolumeConfiguration",
        FieldType::Object(FSX_WINDOWS_FILE_SERVER_VOLUME_CONFIGURATION),
    ),
    ("configuredAtLaunch", FieldType::Boolean),
];

const TASK_DEFINITION_PLACEMENT_CONSTRAINT: Fields =
    &[("type", FieldType::Text), ("expression", FieldType::Text)];

const TAG: Fields = &[("key", FieldType::Text), ("value", FieldType::Text)];

const PROXY_CONFIGURATION: Fields = &[
    ("type", FieldType::Text),
    ("containerName", FieldType::Text),
    ("properties", FieldType::List(&FieldType::Object(KEY_VALUE_PAIR))),
];

const INFERENCE_ACCELERATOR: Fields = &[("deviceName", FieldType::Text), ("deviceType", FieldType::Text)];

const EPHEMERAL_STORAGE: Fields = &[("sizeInGiB", FieldType::Integer)];

const RUNTIME_PLATFORM: Fields =
    &[("cpuArchitecture", FieldType::Text), ("operatingSystemFamily", FieldType::Text)];

const TRUSTED_EXECUTION_CONFIGURATION: Fields =
    &[("isolationMode", FieldType::Text), ("attestationPolicy", FieldType::Text)];

/// A task definition.
pub const TASK_DEFINITION: Fields = &[
    ("family", FieldType::Text),
    ("taskRoleArn", FieldType::Text),
    ("executionRoleArn", FieldType::Text),
    ("networkMode", FieldType::Text),
    ("containerDefinitions", FieldType::List(&FieldType::Object(CONTAINER_DEFINITION))),
    ("volumes", FieldType::List(&FieldType::Object(VOLUME))),
    ("placementConstraints", FieldType::List(&FieldType::Object(TASK_DEFINITION_PLACEMENT_CONSTRAINT))),
    ("requiresCompatibilities", FieldType::List(&FieldType::Text)),
    ("cpu", FieldType::Text),
    ("memory", FieldType::Text),
    ("tags", FieldType::List(&FieldType::Object(TAG))),
    ("pidMode", FieldType::Text),
    ("ipcMode", FieldType::Text),
    ("proxyConfiguration", FieldType::Object(PROXY_CONFIGURATION)),
    ("inferenceAccelerators", FieldType::List(&FieldType::Object(INFERENCE_ACCELERATOR))),
    ("ephemeralStorage", FieldType::Object(EPHEMERAL_STORAGE)),
    ("runtimePlatform", FieldType::Object(RUNTIME_PLATFORM)),
    ("enableFaultInjection", FieldType::Boolean),
    ("trustedExecutionConfiguration", FieldType::Object(TRUSTED_EXECUTION_CONFIGURATION)),
];

//! The keys that RegisterTaskDefinition knows and the JSON type of each: data only, taken from the service model
//! of the ECS API (2014-11-13, as of botocore 1.43.11). A key that is not here is warned about and still sent.

/// The JSON type that the API wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number.
    Whole,
    /// `true` or `false`.
    Flag,
    /// An object whose keys are the user's and whose values are strings.
    Map,
    /// A list.
    List(&'static Kind),
    /// An object with these keys.
    Object(Members),
}

/// The keys of an object and their types.
pub type Members = &'static [(&'static str, Kind)];

/// Keys that Describe answers and Register refuses (aws.md: exactly these nine).
pub const READ_ONLY: [&str; 9] = [
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

const REPOSITORY_CREDENTIALS: Members = &[("credentialsParameter", Kind::Text)];

const PORT_MAPPING: Members = &[
    ("containerPort", Kind::Whole),
    ("hostPort", Kind::Whole),
    ("protocol", Kind::Text),
    ("name", Kind::Text),
    ("appProtocol", Kind::Text),
    ("containerPortRange", Kind::Text),
];

const CONTAINER_RESTART_POLICY: Members = &[
    ("enabled", Kind::Flag),
    ("ignoredExitCodes", Kind::List(&Kind::Whole)),
    ("restartAttemptPeriod", Kind::Whole),
];

const KEY_VALUE_PAIR: Members = &[("name", Kind::Text), ("value", Kind::Text)];

const ENVIRONMENT_FILE: Members = &[("value", Kind::Text), ("type", Kind::Text)];

const MOUNT_POINT: Members =
    &[("sourceVolume", Kind::Text), ("containerPath", Kind::Text), ("readOnly", Kind::Flag)];

const VOLUME_FROM: Members = &[("sourceContainer", Kind::Text), ("readOnly", Kind::Flag)];

const KERNEL_CAPABILITIES: Members = &[("add", Kind::List(&Kind::Text)), ("drop", Kind::List(&Kind::Text))];

const DEVICE: Members =
    &[("hostPath", Kind::Text), ("containerPath", Kind::Text), ("permissions", Kind::List(&Kind::Text))];

const TMPFS: Members =
    &[("containerPath", Kind::Text), ("size", Kind::Whole), ("mountOptions", Kind::List(&Kind::Text))];

const LINUX_PARAMETERS: Members = &[
    ("capabilities", Kind::Object(KERNEL_CAPABILITIES)),
    ("devices", Kind::List(&Kind::Object(DEVICE))),
    ("initProcessEnabled", Kind::Flag),
    ("sharedMemorySize", Kind::Whole),
    ("tmpfs", Kind::List(&Kind::Object(TMPFS))),
    ("maxSwap", Kind::Whole),
    ("swappiness", Kind::Whole),
];

const SECRET: Members = &[("name", Kind::Text), ("valueFrom", Kind::Text)];

const CONTAINER_DEPENDENCY: Members = &[("containerName", Kind::Text), ("condition", Kind::Text)];

const HOST_ENTRY: Members = &[("hostname", Kind::Text), ("ipAddress", Kind::Text)];

const ULIMIT: Members = &[("name", Kind::Text), ("softLimit", Kind::Whole), ("hardLimit", Kind::Whole)];

const LOG_CONFIGURATION: Members = &[
    ("logDriver", Kind::Text),
    ("options", Kind::Map),
    ("secretOptions", Kind::List(&Kind::Object(SECRET))),
];

const HEALTH_CHECK: Members = &[
    ("command", Kind::List(&Kind::Text)),
    ("interval", Kind::Whole),
    ("timeout", Kind::Whole),
    ("retries", Kind::Whole),
    ("startPeriod", Kind::Whole),
];

const SYSTEM_CONTROL: Members = &[("namespace", Kind::Text), ("value", Kind::Text)];

const RESOURCE_REQUIREMENT: Members = &[("value", Kind::Text), ("type", Kind::Text)];

const FIRELENS_CONFIGURATION: Members = &[("type", Kind::Text), ("options", Kind::Map)];

/// A container of it.
pub const CONTAINER_DEFINITION: Members = &[
    ("name", Kind::Text),
    ("image", Kind::Text),
    ("repositoryCredentials", Kind::Object(REPOSITORY_CREDENTIALS)),
    ("cpu", Kind::Whole),
    ("memory", Kind::Whole),
    ("memoryReservation", Kind::Whole),
    ("links", Kind::List(&Kind::Text)),
    ("portMappings", Kind::List(&Kind::Object(PORT_MAPPING))),
    ("essential", Kind::Flag),
    ("restartPolicy", Kind::Object(CONTAINER_RESTART_POLICY)),
    ("entryPoint", Kind::List(&Kind::Text)),
    ("command", Kind::List(&Kind::Text)),
    ("environment", Kind::List(&Kind::Object(KEY_VALUE_PAIR))),
    ("environmentFiles", Kind::List(&Kind::Object(ENVIRONMENT_FILE))),
    ("mountPoints", Kind::List(&Kind::Object(MOUNT_POINT))),
    ("volumesFrom", Kind::List(&Kind::Object(VOLUME_FROM))),
    ("linuxParameters", Kind::Object(LINUX_PARAMETERS)),
    ("secrets", Kind::List(&Kind::Object(SECRET))),
    ("dependsOn", Kind::List(&Kind::Object(CONTAINER_DEPENDENCY))),
    ("startTimeout", Kind::Whole),
    ("stopTimeout", Kind::Whole),
    ("versionConsistency", Kind::Text),
    ("hostname", Kind::Text),
    ("user", Kind::Text),
    ("workingDirectory", Kind::Text),
    ("disableNetworking", Kind::Flag),
    ("privileged", Kind::Flag),
    ("readonlyRootFilesystem", Kind::Flag),
    ("dnsServers", Kind::List(&Kind::Text)),
    ("dnsSearchDomains", Kind::List(&Kind::Text)),
    ("extraHosts", Kind::List(&Kind::Object(HOST_ENTRY))),
    ("dockerSecurityOptions", Kind::List(&Kind::Text)),
    ("interactive", Kind::Flag),
    ("pseudoTerminal", Kind::Flag),
    ("dockerLabels", Kind::Map),
    ("ulimits", Kind::List(&Kind::Object(ULIMIT))),
    ("logConfiguration", Kind::Object(LOG_CONFIGURATION)),
    ("healthCheck", Kind::Object(HEALTH_CHECK)),
    ("systemControls", Kind::List(&Kind::Object(SYSTEM_CONTROL))),
    ("resourceRequirements", Kind::List(&Kind::Object(RESOURCE_REQUIREMENT))),
    ("firelensConfiguration", Kind::Object(FIRELENS_CONFIGURATION)),
    ("credentialSpecs", Kind::List(&Kind::Text)),
];

const HOST_VOLUME_PROPERTIES: Members = &[("sourcePath", Kind::Text)];

const DOCKER_VOLUME_CONFIGURATION: Members = &[
    ("scope", Kind::Text),
    ("autoprovision", Kind::Flag),
    ("driver", Kind::Text),
    ("driverOpts", Kind::Map),
    ("labels", Kind::Map),
];

const EFSAUTHORIZATION_CONFIG: Members = &[("accessPointId", Kind::Text), ("iam", Kind::Text)];

const EFSVOLUME_CONFIGURATION: Members = &[
    ("fileSystemId", Kind::Text),
    ("rootDirectory", Kind::Text),
    ("transitEncryption", Kind::Text),
    ("transitEncryptionPort", Kind::Whole),
    ("authorizationConfig", Kind::Object(EFSAUTHORIZATION_CONFIG)),
];

const S3_FILES_VOLUME_CONFIGURATION: Members = &[
    ("fileSystemArn", Kind::Text),
    ("rootDirectory", Kind::Text),
    ("transitEncryptionPort", Kind::Whole),
    ("accessPointArn", Kind::Text),
];

const FSX_WINDOWS_FILE_SERVER_AUTHORIZATION_CONFIG: Members =
    &[("credentialsParameter", Kind::Text), ("domain", Kind::Text)];

const FSX_WINDOWS_FILE_SERVER_VOLUME_CONFIGURATION: Members = &[
    ("fileSystemId", Kind::Text),
    ("rootDirectory", Kind::Text),
    ("authorizationConfig", Kind::Object(FSX_WINDOWS_FILE_SERVER_AUTHORIZATION_CONFIG)),
];

const VOLUME: Members = &[
    ("name", Kind::Text),
    ("host", Kind::Object(HOST_VOLUME_PROPERTIES)),
    ("dockerVolumeConfiguration", Kind::Object(DOCKER_VOLUME_CONFIGURATION)),
    ("efsVolumeConfiguration", Kind::Object(EFSVOLUME_CONFIGURATION)),
    ("s3filesVolumeConfiguration", Kind::Object(S3_FILES_VOLUME_CONFIGURATION)),
    ("fsxWindowsFileServerVolumeConfiguration", Kind::Object(FSX_WINDOWS_FILE_SERVER_VOLUME_CONFIGURATION)),
    ("configuredAtLaunch", Kind::Flag),
];

const TASK_DEFINITION_PLACEMENT_CONSTRAINT: Members = &[("type", Kind::Text), ("expression", Kind::Text)];

const TAG: Members = &[("key", Kind::Text), ("value", Kind::Text)];

const PROXY_CONFIGURATION: Members = &[
    ("type", Kind::Text),
    ("containerName", Kind::Text),
    ("properties", Kind::List(&Kind::Object(KEY_VALUE_PAIR))),
];

const INFERENCE_ACCELERATOR: Members = &[("deviceName", Kind::Text), ("deviceType", Kind::Text)];

const EPHEMERAL_STORAGE: Members = &[("sizeInGiB", Kind::Whole)];

const RUNTIME_PLATFORM: Members = &[("cpuArchitecture", Kind::Text), ("operatingSystemFamily", Kind::Text)];

/// A task definition.
pub const TASK_DEFINITION: Members = &[
    ("family", Kind::Text),
    ("taskRoleArn", Kind::Text),
    ("executionRoleArn", Kind::Text),
    ("networkMode", Kind::Text),
    ("containerDefinitions", Kind::List(&Kind::Object(CONTAINER_DEFINITION))),
    ("volumes", Kind::List(&Kind::Object(VOLUME))),
    ("placementConstraints", Kind::List(&Kind::Object(TASK_DEFINITION_PLACEMENT_CONSTRAINT))),
    ("requiresCompatibilities", Kind::List(&Kind::Text)),
    ("cpu", Kind::Text),
    ("memory", Kind::Text),
    ("tags", Kind::List(&Kind::Object(TAG))),
    ("pidMode", Kind::Text),
    ("ipcMode", Kind::Text),
    ("proxyConfiguration", Kind::Object(PROXY_CONFIGURATION)),
    ("inferenceAccelerators", Kind::List(&Kind::Object(INFERENCE_ACCELERATOR))),
    ("ephemeralStorage", Kind::Object(EPHEMERAL_STORAGE)),
    ("runtimePlatform", Kind::Object(RUNTIME_PLATFORM)),
    ("enableFaultInjection", Kind::Flag),
];

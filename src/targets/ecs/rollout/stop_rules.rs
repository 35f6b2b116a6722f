//! The table of AWS's texts for stopped tasks and failed placements (aws.md §1.6; AWS: "Stopped tasks error messages",
//! "API failure reasons", "Service event messages", "Status reasons for Amazon EBS volume attachment"). Data only.

use super::stop_rule::{Row, StopRule, Weight};
use crate::problem::Code;

const PULL: &[&str] = &["cannotpullcontainer", "cannotpullimage", "cannotpullecr"];
const SETUP: &[&str] = &["resourceinitializationerror"];
const START: &[&str] = &["cannotstartcontainer", "cannotcreatecontainer"];
/// The container runtime's words for a process that cannot be started.
const PROCESS: &[&str] = &[
    "oci runtime",
    "container process",
    "executable file not found",
    "exec format error",
    "failed to create new container runtime task",
];
const PLACEMENT: &[&str] = &["unable to place a task", "unable to reach steady state. reason: no container"];

/// Words for what another attempt can cure.
const TRANSIENT: &[&str] = &[
    "timeout",
    "timed out",
    "deadline exceeded",
    "toomanyrequests",
    "too many requests",
    "status code 429",
    "rate exceeded",
    "throttl",
    "500 internal",
    "internal server error",
    "502 bad",
    "503 service",
    "504 gateway",
    "bad gateway",
    "service unavailable",
    "status code 5",
    "connection",
    "unexpected eof",
    ": eof",
    "no such host",
    "server misbehaving",
    "temporary failure",
    "network is unreachable",
    "no route to host",
    "signal: killed",
    "context canceled",
    "try again",
];
/// Words for what stays as it is: something is missing, or may not be used.
const LASTING: &[&str] = &[
    "not found",
    "notfound",
    "manifest unknown",
    "does not exist",
    "no such file or directory",
    "could not be found",
    "403 forbidden",
    "denied",
    "unauthorized",
    "not authorized",
    "authorization failed",
    "no basic auth credentials",
    "authentication required",
    "invalid reference format",
    "invalid character",
    "invalid ssm",
    "validationexception",
    "did not contain json key",
];

const REACH_HELP: &str =
    "The task cannot reach a service that it needs: check its route, NAT gateway or VPC endpoints.";
const CAPACITY_HELP: &str = "Run the job again later, add zones or instances, or request less CPU and memory. \
                             The new version is not the cause.";
const QUOTA_HELP: &str = "Request a higher quota.";
const PROCESS_HELP: &str = "Check command, entry point, user, ports and mounts of the container, and the architecture \
                            of the image.";

/// What AWS's texts mean; the first row that fits decides.
pub(super) const ROWS: &[Row] = &[
    Row {
        words: &[PULL, &["platform"]],
        rule: StopRule::version(
            Weight::Permanent,
            Code::ImagePullFailed,
            "ECS cannot pull the image.",
            "The image has no manifest for the task's platform: build for it, or set runtimePlatform.cpuArchitecture.",
        ),
    },
    Row {
        words: &[PULL, LASTING],
        rule: StopRule::version(
            Weight::Permanent,
            Code::ImagePullFailed,
            "ECS cannot pull the image.",
            "Check that the image exists in that registry and that the execution role may pull it.",
        ),
    },
    Row {
        words: &[PULL, &["no space left"]],
        rule: StopRule::version(
            Weight::FailedTask,
            Code::ImagePullFailed,
            "ECS cannot pull the image: the disk is full.",
            "Raise ephemeralStorage, free the disk of the instance, or make the image smaller.",
        ),
    },
    Row {
        words: &[PULL, TRANSIENT],
        rule: StopRule::platform(
            Weight::CanPass,
            Code::ImagePullFailed,
            "ECS cannot pull the image.",
            "The registry is not reachable or limits pulls: check route, NAT gateway, VPC endpoints and pull limits.",
        ),
    },
    Row {
        words: &[PULL],
        rule: StopRule::version(
            Weight::FailedTask,
            Code::ImagePullFailed,
            "ECS cannot pull the image.",
            "Check that the image exists in that registry and that the execution role may pull it.",
        ),
    },
    Row {
        words: &[PROCESS],
        rule: StopRule::version(
            Weight::FailedTask,
            Code::ContainerExited,
            "The container cannot be started.",
            PROCESS_HELP,
        ),
    },
    Row {
        words: &[&["unable to assume the configured ecs infrastructure role"]],
        rule: StopRule::version(
            Weight::FailedTask,
            Code::TaskRoleNotAssumable,
            "ECS cannot assume the infrastructure role of the volumes.",
            "Check that the role exists and trusts ecs.amazonaws.com.",
        ),
    },
    Row {
        words: &[&["unable to assume the role", "unable to assume role"]],
        rule: StopRule::version(
            Weight::Permanent,
            Code::TaskRoleNotAssumable,
            "ECS cannot assume a role of the task.",
            "Check that the role exists and trusts ecs-tasks.amazonaws.com.",
        ),
    },
    Row {
        words: &[SETUP, LASTING],
        rule: StopRule::version(
            Weight::Permanent,
            Code::ResourceSetupFailed,
            "ECS cannot set up the resources of the task.",
            "Check that the secret, parameter, log group or file system exists and that the execution role may use it.",
        ),
    },
    Row {
        words: &[SETUP, TRANSIENT],
        rule: StopRule::platform(
            Weight::CanPass,
            Code::ResourceSetupFailed,
            "ECS cannot set up the resources of the task.",
            REACH_HELP,
        ),
    },
    Row {
        words: &[SETUP],
        rule: StopRule::version(
            Weight::FailedTask,
            Code::ResourceSetupFailed,
            "ECS cannot set up the resources of the task.",
            "Check that the secret, parameter, log group or file system exists and that the execution role may use it.",
        ),
    },
    Row {
        words: &[START],
        rule: StopRule::version(
            Weight::FailedTask,
            Code::ContainerExited,
            "The container cannot be started.",
            PROCESS_HELP,
        ),
    },
    Row {
        words: &[&["dependency graph", "did not exit successfully", "container ordering dependency"]],
        rule: StopRule::version(
            Weight::FailedTask,
            Code::ContainerExited,
            "A container that another one depends on did not succeed.",
            "Check the log lines of the containers in dependsOn.",
        ),
    },
    Row {
        words: &[&["insufficientfreeaddresses", "insufficient free addresses"]],
        rule: StopRule::platform(
            Weight::CanPass,
            Code::ResourceSetupFailed,
            "The subnet has no free IP address for the task.",
            "Add a larger subnet to the service, or remove unused network interfaces. The new version is not the cause.",
        ),
    },
    Row {
        words: &[&["create network interface"]],
        rule: StopRule::platform(
            Weight::CanPass,
            Code::ResourceSetupFailed,
            "ECS cannot create the network interface of the task.",
            "Check that the subnets and security groups exist and that the subnets have free IP addresses.",
        ),
    },
    Row {
        words: &[&["network interface", "eni provisioning"]],
        rule: StopRule::platform(
            Weight::CanPass,
            Code::ResourceSetupFailed,
            "ECS cannot attach the network interface of the task.",
            "Check the free IP addresses of the subnets and the network interfaces of the instances. \
         The new version is not the cause.",
        ),
    },
    Row {
        words: &[&["ephemeralstorage provisioning", "ephemeral storage provisioning"]],
        rule: StopRule::platform(
            Weight::CanPass,
            Code::ResourceSetupFailed,
            "ECS cannot provide the ephemeral storage of the task.",
            "Run the job again later. The new version is not the cause.",
        ),
    },
    Row {
        words: &[&["ebs volume"]],
        rule: StopRule::version(
            Weight::FailedTask,
            Code::ResourceSetupFailed,
            "ECS cannot attach the EBS volume of the task.",
            "Check the KMS key, the file system type and the snapshot of the volume, and its infrastructure role.",
        ),
    },
    Row {
        words: &[&["cannotcreatevolume"]],
        rule: StopRule::version(
            Weight::FailedTask,
            Code::ResourceSetupFailed,
            "ECS cannot create a volume of the task.",
            "Check the volumes of the task definition and their drivers on the instance.",
        ),
    },
    Row {
        words: &[&["above your limit"]],
        rule: StopRule::platform(
            Weight::Permanent,
            Code::NoCapacity,
            "The task is larger than the quota allows.",
            QUOTA_HELP,
        ),
    },
    Row {
        words: &[&["reached the limit on the number of"]],
        rule: StopRule::platform(
            Weight::UnlessRunning,
            Code::NoCapacity,
            "ECS has no capacity for a task.",
            QUOTA_HELP,
        ),
    },
    Row {
        words: &[&[
            "capacity is unavailable",
            "capacity unavailable",
            "insufficientinstancecapacity",
            "resource:cpu",
            "resource:memory",
            "resource:eni",
            "resource:ports",
            "resource:gpu",
            "resource:fargate",
            "empty capacity provider",
            "no active instances",
            "no container instances were found",
        ]],
        rule: StopRule::platform(
            Weight::CanPass,
            Code::NoCapacity,
            "ECS has no capacity for a task.",
            CAPACITY_HELP,
        ),
    },
    Row {
        words: &[&[" attribute ", "placement constraint"]],
        rule: StopRule::platform(
            Weight::CanPass,
            Code::NoCapacity,
            "No container instance has what the task requires.",
            "Check the placement constraints of the service and the attributes of the instances in its subnets.",
        ),
    },
    Row {
        words: &[PLACEMENT],
        rule: StopRule::platform(
            Weight::CanPass,
            Code::NoCapacity,
            "ECS has no capacity for a task.",
            CAPACITY_HELP,
        ),
    },
    Row {
        words: &[&["not compatible with the selected compute strategy"]],
        rule: StopRule::version(
            Weight::Permanent,
            Code::TaskStopped,
            "The task definition does not fit the compute capacity of the service.",
            "Check requiresCompatibilities against the launch type or the capacity providers of the service.",
        ),
    },
    Row {
        words: &[&["elb health checks", "container health checks", "health check"]],
        rule: StopRule::version(
            Weight::FailedTask,
            Code::HealthCheckFailed,
            "The task fails its health checks.",
            "Check path, port and codes of the health check, how long the start takes (healthCheckGracePeriodSeconds, \
         startPeriod), and the lines that the container wrote.",
        ),
    },
    Row {
        words: &[&["performing maintenance on the underlying infrastructure"]],
        rule: StopRule::platform(
            Weight::Harmless,
            Code::TaskStopped,
            "AWS stopped the task for maintenance of its host.",
            "Run the job again. The new version is not the cause.",
        ),
    },
    Row {
        words: &[&["spot task was interrupted", "spotinterruption"]],
        rule: StopRule::platform(
            Weight::Harmless,
            Code::TaskStopped,
            "AWS took the Spot capacity of the task back.",
            "Run the job again, or add capacity that is not Spot. The new version is not the cause.",
        ),
    },
    Row {
        words: &[&[
            "host ec2",
            "host instance",
            "instance deregistration",
            "in draining state",
            "container instance draining",
        ]],
        rule: StopRule::platform(
            Weight::Harmless,
            Code::TaskStopped,
            "The container instance of the task went away.",
            "Check the instances of the cluster. The new version is not the cause.",
        ),
    },
    Row {
        words: &[&[
            "containerruntimetimeout",
            "containerruntimeerror",
            "dockertimeout",
            "cannotinspectcontainer",
            "cannotstopcontainer",
            "internalerror",
            "internal error",
            " agent ",
        ]],
        rule: StopRule::platform(
            Weight::CanPass,
            Code::TaskStopped,
            "The host of the task or its container runtime failed.",
            "Check the container instance; on Fargate, run the job again later. The new version is not the cause.",
        ),
    },
];

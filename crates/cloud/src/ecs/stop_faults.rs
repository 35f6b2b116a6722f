//! What can stop a task of ECS besides its own processes, in AWS's words: "Stopped tasks error messages" and "Status reasons
//! for Amazon EBS volume attachment" of the Developer Guide, and reasons seen in public event logs.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::task_faults::{TaskOutcome, task_fault};

task_fault! {
    /// AWS or somebody stops a task, or it cannot start.
    TaskStop {
        /// What happens.
        cause: Option<StopCause> = None,
        /// Instead of a cause: the stopped reason.
        reason: Option<String> = None,
        /// The stop code of `reason`.
        stop_code: StopCode = StopCode::TaskFailedToStart,
        /// Seconds between RUNNING and the end, where the task runs before it is stopped.
        after: f64 = 5.0,
    }
}

/// A stop code of ECS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum StopCode {
    /// It never ran.
    TaskFailedToStart,
    /// An essential container ended it.
    EssentialContainerExited,
    /// StopTask.
    UserInitiated,
    /// The scheduler had no use for it, or its health check failed.
    ServiceSchedulerInitiated,
    /// EC2 reclaimed the Spot capacity.
    SpotInterruption,
    /// Its host ends.
    TerminationNotice,
}

impl StopCode {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskFailedToStart => "TaskFailedToStart",
            Self::EssentialContainerExited => "EssentialContainerExited",
            Self::UserInitiated => "UserInitiated",
            Self::ServiceSchedulerInitiated => "ServiceSchedulerInitiated",
            Self::SpotInterruption => "SpotInterruption",
            Self::TerminationNotice => "TerminationNotice",
        }
    }
}

/// What stops a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StopCause {
    /// The subnet has no free address.
    SubnetFull,
    /// The network interface is not there in time.
    NetworkInterfaceTimeout,
    /// The ephemeral storage is not there in time.
    EphemeralStorageTimeout,
    /// The directory of a file system does not exist.
    EfsDirectoryMissing,
    /// The KMS key of an EBS volume cannot be used.
    EbsKey,
    /// The file system of an EBS volume does not fit.
    EbsTimeout,
    /// Fargate has no capacity for a task that was already made.
    FargateCapacity,
    /// The log group does not exist.
    LogGroupMissing,
    /// Secrets Manager cannot be reached.
    SecretsUnreachable,
    /// The task role trusts somebody else.
    RoleNotAssumable,
    /// The registry does not answer.
    PullTimeout,
    /// The registry limits pulls.
    PullRateLimit,
    /// The command does not exist.
    CommandMissing,
    /// The container runtime does not answer.
    RuntimeTimeout,
    /// Somebody calls StopTask.
    Person,
    /// EC2 reclaims the Spot capacity.
    Spot,
    /// AWS maintains the host.
    HostMaintenance,
    /// The container instance is terminated.
    HostTerminated,
}

impl StopCause {
    /// Every cause.
    pub const ALL: [Self; 18] = [
        Self::SubnetFull,
        Self::NetworkInterfaceTimeout,
        Self::EphemeralStorageTimeout,
        Self::EfsDirectoryMissing,
        Self::EbsKey,
        Self::EbsTimeout,
        Self::FargateCapacity,
        Self::LogGroupMissing,
        Self::SecretsUnreachable,
        Self::RoleNotAssumable,
        Self::PullTimeout,
        Self::PullRateLimit,
        Self::CommandMissing,
        Self::RuntimeTimeout,
        Self::Person,
        Self::Spot,
        Self::HostMaintenance,
        Self::HostTerminated,
    ];

    /// AWS's words.
    fn reason(self) -> &'static str {
        match self {
            Self::SubnetFull => SUBNET_FULL,
            Self::NetworkInterfaceTimeout => NETWORK_INTERFACE_TIMEOUT,
            Self::EphemeralStorageTimeout => EPHEMERAL_STORAGE_TIMEOUT,
            Self::EfsDirectoryMissing => EFS_DIRECTORY_MISSING,
            Self::EbsKey => EBS_KEY,
            Self::EbsTimeout => EBS_TIMEOUT,
            Self::FargateCapacity => FARGATE_CAPACITY,
            Self::LogGroupMissing => LOG_GROUP_MISSING,
            Self::SecretsUnreachable => SECRETS_UNREACHABLE,
            Self::RoleNotAssumable => ROLE_NOT_ASSUMABLE,
            Self::PullTimeout => PULL_TIMEOUT,
            Self::PullRateLimit => PULL_RATE_LIMIT,
            Self::CommandMissing => COMMAND_MISSING,
            Self::RuntimeTimeout => RUNTIME_TIMEOUT,
            Self::Person => PERSON,
            Self::Spot => SPOT,
            Self::HostMaintenance => HOST_MAINTENANCE,
            Self::HostTerminated => HOST_TERMINATED,
        }
    }

    fn stop_code(self) -> StopCode {
        match self {
            Self::Person => StopCode::UserInitiated,
            Self::Spot => StopCode::SpotInterruption,
            Self::HostMaintenance => StopCode::ServiceSchedulerInitiated,
            Self::HostTerminated => StopCode::TerminationNotice,
            Self::SubnetFull
            | Self::NetworkInterfaceTimeout
            | Self::EphemeralStorageTimeout
            | Self::EfsDirectoryMissing
            | Self::EbsKey
            | Self::EbsTimeout
            | Self::FargateCapacity
            | Self::LogGroupMissing
            | Self::SecretsUnreachable
            | Self::RoleNotAssumable
            | Self::PullTimeout
            | Self::PullRateLimit
            | Self::CommandMissing
            | Self::RuntimeTimeout => StopCode::TaskFailedToStart,
        }
    }
}

const SUBNET_FULL: &str = "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in \
                 subnet 'subnet-0a1b2c3d4e5f60718': InsufficientFreeAddressesInSubnet";
const NETWORK_INTERFACE_TIMEOUT: &str = "Timeout waiting for network interface provisioning to complete.";
const EPHEMERAL_STORAGE_TIMEOUT: &str = "Timeout waiting for EphemeralStorage provisioning to complete.";
const EFS_DIRECTORY_MISSING: &str = "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: \
                 b'mount.nfs4: mounting fs-0a1b2c3d.efs.eu-west-1.amazonaws.com:/data failed, reason given by server: \
                 No such file or directory' : unsuccessful EFS utils command execution; code: 32";
const EBS_KEY: &str = "ECS failed to set up the EBS volume. Encountered IdempotentParameterMismatch\"; \"The client token you \
                 have provided is associated with a resource that is already deleted. Please use a different client \
                 token.\"";
const EBS_TIMEOUT: &str = "ECS timed out while configuring the EBS volume attachment to your Task";
const FARGATE_CAPACITY: &str =
    "Capacity is unavailable at this time. Please try again later or in a different availability zone";
const LOG_GROUP_MISSING: &str = "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: \
                 failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not \
                 exist. : exit status 1";
const SECRETS_UNREACHABLE: &str = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval \
                 failed: unable to retrieve secret from asm: service call has been retried 5 time(s): RequestCanceled: \
                 request context canceled caused by: context deadline exceeded. Please check your task network \
                 configuration.";
const ROLE_NOT_ASSUMABLE: &str = "ECS was unable to assume the role 'arn:aws:iam::111111111111:role/task' that was provided for this task. \
                 Please verify that the role being passed has the proper trust relationship and permissions and that your \
                 IAM user has permissions to pass this role.";
const PULL_TIMEOUT: &str = "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: \
                 failed to do request: Head {image}: dial tcp 10.0.0.1:443: i/o timeout";
const PULL_RATE_LIMIT: &str = "CannotPullContainerError: 429 Too Many Requests - toomanyrequests: You have reached your pull rate limit";
const COMMAND_MISSING: &str = "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: \
                 failed to create shim task: OCI runtime create failed: runc create failed: unable to start container \
                 process: exec: \"serve\": executable file not found in $PATH";
const RUNTIME_TIMEOUT: &str =
    "DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s";
const PERSON: &str = "Task stopped by user";
const SPOT: &str = "Your Spot Task was interrupted.";
const HOST_MAINTENANCE: &str =
    "ECS is performing maintenance on the underlying infrastructure hosting the task";
const HOST_TERMINATED: &str = "Host EC2 (instance i-0a1b2c3d4e5f60718) terminated.";

impl TaskStop {
    /// What becomes of a task that it applies to.
    pub(crate) fn outcome(&self, image: &str) -> TaskOutcome {
        let given = self.reason.as_deref().map(|reason| (reason, self.stop_code));
        let known = |cause: StopCause| (cause.reason(), cause.stop_code());
        let (reason, code) = given.unwrap_or_else(|| known(self.cause.unwrap_or(StopCause::Person)));
        let reason = reason.replace("{image}", image);
        match code {
            StopCode::TaskFailedToStart => TaskOutcome::FailToStart(reason),
            code => TaskOutcome::Stopped { code, reason, after: self.after },
        }
    }
}

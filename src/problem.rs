//! Problems: a stable code, one sentence, what to do. For the reader of a red job at night.
//! Every code has its section in docs/problems.md (tests/contract.rs). Nothing here prints.

pub mod list;
mod suggestion;

use std::fmt;

use serde::Serialize;

pub use suggestion::suggest;

/// How much a [`Problem`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information; the run is not affected.
    Notice,
    /// Probably a mistake; the run continues.
    Warning,
    /// The run stops.
    Error,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The stable name of a kind of problem; the heading of its section in docs/problems.md.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of docs/problems.md.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as users see it, in kebab-case.
            pub fn name(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }
        }
    };
}

codes! {
    /// An input has a value that cannot be read.
    InputInvalid = "input-invalid",
    /// The deploy file cannot be found.
    ConfigMissing = "config-missing",
    /// The deploy file is not valid: YAML syntax, a type, or an unknown key.
    ConfigInvalid = "config-invalid",
    /// A name (environment, service, placeholder) that the deploy file does not define.
    NameUnknown = "name-unknown",
    /// Two environments claim the same branch.
    BranchAmbiguous = "branch-ambiguous",
    /// A target or strategy that is not supported, or that the service is not set up for.
    Unsupported = "unsupported",
    /// A file named in the deploy file cannot be read.
    FileUnreadable = "file-unreadable",
    /// Files of the build context have no content, because the checkout left it out: Git LFS, submodules.
    CheckoutIncomplete = "checkout-incomplete",
    /// The task definition breaks a rule of AWS, or contains a likely mistake.
    TaskDefinitionInvalid = "task-definition-invalid",
    /// A configuration is not valid for AppConfig or for its profile.
    ConfigurationInvalid = "configuration-invalid",
    /// The container to change is missing, or there are several.
    ContainerAmbiguous = "container-ambiguous",
    /// It is not clear which value of a manifest to change, or changing it would change something else.
    ManifestAmbiguous = "manifest-ambiguous",
    /// A manifest cannot be read as YAML, or is too large.
    ManifestUnreadable = "manifest-unreadable",
    /// A value that looks like a secret is written in plain text.
    SecretInPlainText = "secret-in-plain-text",
    /// A server gets no token, because only code that is not merged names it.
    CredentialWithheld = "credential-withheld",
    /// A variable that was set lasts only until the next deploy, or the variable to remove does not exist.
    EnvChangeTemporary = "env-change-temporary",
    /// A certificate is not trusted, a proxy rejects the connection, or a host has no address.
    ConnectionFailed = "connection-failed",
    /// The private key for SSH cannot be used.
    SshKeyInvalid = "ssh-key-invalid",
    /// A host shows a key that was not given, or no key of it was given.
    HostKeyUnknown = "host-key-unknown",
    /// A host does not answer.
    HostUnreachable = "host-unreachable",
    /// A host does not let the user in, or runs no commands for it.
    SshLoginRefused = "ssh-login-refused",
    /// A host lacks something that a deployment with Docker Compose needs.
    HostUnsuitable = "host-unsuitable",
    /// A Compose file is not valid, or the service cannot be deployed from it as the deploy file wants it.
    ComposeFileInvalid = "compose-file-invalid",
    /// There are no AWS credentials, or AWS rejects them.
    CredentialsMissing = "credentials-missing",
    /// Long-lived keys are used where a role would be enough.
    CredentialsStatic = "credentials-static",
    /// AWS rejected the OIDC token or the role.
    RoleRefused = "role-refused",
    /// The account or region is not the declared one.
    AccountMismatch = "account-mismatch",
    /// The cluster does not exist.
    ClusterMissing = "cluster-missing",
    /// The service does not exist or is not ACTIVE.
    ServiceMissing = "service-missing",
    /// The deployment controller of the service is not ECS.
    DeploymentControllerUnsupported = "deployment-controller-unsupported",
    /// The image is not in the registry.
    ImageMissing = "image-missing",
    /// The image has no manifest for the platform of the task.
    PlatformMissing = "platform-missing",
    /// An alarm is firing before the deployment starts.
    AlarmAlreadyFiring = "alarm-already-firing",
    /// A named alarm does not exist.
    AlarmMissing = "alarm-missing",
    /// Another deployment of the same service is in progress.
    DeploymentInProgress = "deployment-in-progress",
    /// The deployment percentages do not allow ECS to replace a single task.
    DeploymentPercentagesDeadlock = "deployment-percentages-deadlock",
    /// A permission that the run or its rollback needs is missing.
    PermissionMissing = "permission-missing",
    /// Permissions could not be checked before the first change.
    PermissionUnchecked = "permission-unchecked",
    /// There is no version to roll back to.
    RollbackTargetMissing = "rollback-target-missing",
    /// The version to roll back to can no longer start.
    RollbackTargetBroken = "rollback-target-broken",
    /// A rollback names a version that never completed here, or does not name one.
    VersionUnknown = "version-unknown",
    /// A rollback leaves a service alone: the last release did not bring it, or it has no version to return to.
    NotRolledBack = "not-rolled-back",
    /// The release to promote was not proven in the source environment.
    PromotionUnproven = "promotion-unproven",
    /// The services that a change affects could not be determined.
    ChangesUnknown = "changes-unknown",
    /// This version was rolled back before; automated runs do not redeploy it.
    VersionBlockedAfterRollback = "version-blocked-after-rollback",
    /// The provider could not be read, or rejected a call.
    ProviderError = "provider-error",
    /// The image cannot be pulled.
    ImagePullFailed = "image-pull-failed",
    /// Secrets, registry login, log group or file system of the task could not be set up.
    ResourceSetupFailed = "resource-setup-failed",
    /// The container exited.
    ContainerExited = "container-exited",
    /// The container was killed because it ran out of memory.
    OutOfMemory = "out-of-memory",
    /// Health checks of the container or the load balancer fail.
    HealthCheckFailed = "health-check-failed",
    /// There is no capacity for the task, or no instance fits.
    NoCapacity = "no-capacity",
    /// A task stopped, or could not be started, for a reason that has no code of its own: the platform, a person, or unknown.
    TaskStopped = "task-stopped",
    /// ECS cannot assume a role.
    TaskRoleNotAssumable = "task-role-not-assumable",
    /// An alarm fired during the deployment.
    AlarmTriggered = "alarm-triggered",
    /// The provider's circuit breaker stopped the deployment.
    CircuitBreaker = "circuit-breaker",
    /// The command that runs before the traffic shift failed.
    BeforeFailed = "before-failed",
    /// The service was rolled back because another service of the run failed.
    RolledBackWithPeers = "rolled-back-with-peers",
    /// The analysis failed the new version against the previous one.
    CanaryFailed = "canary-failed",
    /// Argo CD could not apply the commit to the cluster.
    SyncFailed = "sync-failed",
    /// The new version failed and was kept, as the deploy file requires.
    FailedVersionKept = "failed-version-kept",
    /// There was too little data to judge the new version.
    Inconclusive = "inconclusive",
    /// A check of the new version failed.
    CheckFailed = "check-failed",
    /// A part of a check could not be done, so it has no result.
    CheckIncomplete = "check-incomplete",
    /// The serving version is not healthy, or its health cannot be determined.
    NotHealthy = "not-healthy",
    /// Other resources of an application are not in order; they do not count for the release.
    ApplicationNotHealthy = "application-not-healthy",
    /// The desired count is 0, so that nothing runs and nothing was proven.
    NothingRuns = "nothing-runs",
    /// The metrics of the analysis could not be read.
    MetricsUnreadable = "metrics-unreadable",
    /// Temporary settings of a deployment could not be restored.
    CleanupIncomplete = "cleanup-incomplete",
    /// Another user or tool stopped the deployment.
    DeploymentStopped = "deployment-stopped",
    /// A newer deployment took over.
    Superseded = "superseded",
    /// Another run holds the lease of the service.
    LeaseHeld = "lease-held",
    /// The timeout of the operation passed.
    TimedOut = "timed-out",
    /// The serving version is not the requested one.
    DigestMismatch = "digest-mismatch",
    /// The provider refused to update the service, so nothing was moved.
    UpdateRefused = "update-refused",
    /// The rollback failed: manual action is required.
    RollbackFailed = "rollback-failed",
    /// A change was requested at the provider, and what became of it is not known.
    ChangeOutcomeUnknown = "change-outcome-unknown",
    /// The run was cancelled.
    Cancelled = "cancelled",
    /// Docker or buildx is not available.
    DockerUnavailable = "docker-unavailable",
    /// The image could not be built.
    BuildFailed = "build-failed",
    /// The image could not be pushed.
    PushFailed = "push-failed",
    /// The tag exists with another digest, and tags are immutable.
    TagImmutable = "tag-immutable",
    /// The registry rejected the login.
    RegistryLoginFailed = "registry-login-failed",
    /// The cache of layers that the deploy file asks for does not exist here.
    CacheUnavailable = "cache-unavailable",
    /// A repository, branch or file does not exist, or the token cannot read it.
    RepositoryMissing = "repository-missing",
    /// GitHub rejects the token, or the token lacks a permission.
    TokenRefused = "token-refused",
    /// A rule of the branch rejects the commit.
    BranchProtected = "branch-protected",
    /// Other commits kept arriving on the branch while a commit was made for it.
    CommitConflict = "commit-conflict",
    /// GitHub rejected the request.
    CommitRefused = "commit-refused",
    /// The response to a change was lost, and reading the state did not show whether it happened.
    CommitOutcomeUnknown = "commit-outcome-unknown",
    /// GitHub's rate limit for this token is reached.
    RateLimited = "rate-limited",
    /// The commits between two versions could not be determined.
    HistoryUnknown = "history-unknown",
    /// A notification could not be delivered.
    NotificationFailed = "notification-failed",
    /// The release could not be recorded where later runs look for it.
    NotRecorded = "not-recorded",
    /// The deployment records could not be read as far as the run needs them.
    RecordsIncomplete = "records-incomplete",
    /// The checked-out commit is not the commit of the event.
    CheckoutDiffers = "checkout-differs",
    /// No lease could be acquired: another run could change the same service at the same time.
    LeaseUnavailable = "lease-unavailable",
    /// A plan could not be published as a check or comment.
    NotPublished = "not-published",
    /// A file of the runner (output, summary, state) cannot be written.
    RunnerFileUnwritable = "runner-file-unwritable",
    /// A scenario or a request of the emulator is not valid.
    ScenarioInvalid = "scenario-invalid",
    /// A bug in Roadstead.
    Internal = "internal",
}

impl Code {
    /// Whether the user can fix it before the next run: inputs, files, permissions, names.
    pub fn is_user_error(self) -> bool {
        use Code::*;
        matches!(
            self,
            InputInvalid
                | ConfigMissing
                | ConfigInvalid
                | NameUnknown
                | BranchAmbiguous
                | Unsupported
                | FileUnreadable
                | CheckoutIncomplete
                | TaskDefinitionInvalid
                | ConfigurationInvalid
                | ContainerAmbiguous
                | ManifestAmbiguous
                | ManifestUnreadable
                | SshKeyInvalid
                | HostKeyUnknown
                | SshLoginRefused
                | HostUnsuitable
                | ComposeFileInvalid
                | CredentialsMissing
                | RoleRefused
                | AccountMismatch
                | ClusterMissing
                | ServiceMissing
                | DeploymentControllerUnsupported
                | ImageMissing
                | PlatformMissing
                | AlarmAlreadyFiring
                | AlarmMissing
                | DeploymentInProgress
                | DeploymentPercentagesDeadlock
                | PermissionMissing
                | RollbackTargetBroken
                | UpdateRefused
                | VersionUnknown
                | PromotionUnproven
                | VersionBlockedAfterRollback
                | RepositoryMissing
                | TokenRefused
                | BranchProtected
                | CommitRefused
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

/// A location in a file of the user; becomes an annotation there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// Path as the user wrote it, relative to the workspace.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One problem, complete in itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its stable name.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// What happened, in one sentence with a period at the end.
    pub sentence: String,
    /// What to do about it; may be empty.
    pub help: String,
    /// The provider's text, unchanged and untrusted.
    pub cause: Option<String>,
    /// The location in the user's files.
    pub location: Option<Location>,
    /// The service of the deploy file that it concerns.
    pub service: Option<String>,
}

impl Problem {
    /// An error: the run stops. A sentence that quotes too much is cut.
    pub fn error(code: Code, sentence: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            sentence: shorten(sentence.into(), MAX_SENTENCE_BYTES),
            help: String::new(),
            cause: None,
            location: None,
            service: None,
        }
    }

    /// A warning: the run continues.
    pub fn warning(code: Code, sentence: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, sentence) }
    }

    /// A notice: for information.
    pub fn notice(code: Code, sentence: impl Into<String>) -> Self {
        Self { severity: Severity::Notice, ..Self::error(code, sentence) }
    }

    /// Adds what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = shorten(help.into(), MAX_SENTENCE_BYTES);
        self
    }

    /// Adds the provider's text, which is untrusted. A text that is too long is cut.
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(shorten(cause.into(), MAX_CAUSE_BYTES));
        self
    }

    /// Adds the location in the user's files.
    pub fn at_location(mut self, file: impl Into<String>, line: usize, column: usize) -> Self {
        self.location = Some(Location { file: file.into(), line, column });
        self
    }

    /// Adds the service that it concerns.
    pub fn for_service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// The same as a warning, if it is an error.
    pub fn into_warning(self) -> Self {
        Self { severity: self.severity.min(Severity::Warning), ..self }
    }

    /// Whether the run stops because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        if !self.help.is_empty() {
            write!(f, " {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// The longest sentence or help. What is longer quotes a file or a provider.
const MAX_SENTENCE_BYTES: usize = 4096;
/// The longest text of a provider.
const MAX_CAUSE_BYTES: usize = 64 << 10;

/// `text`, cut at a character boundary if it is longer than `bytes`.
fn shorten(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
        text.push('…');
    }
    text
}

/// `text` with an upper-case first letter.
pub fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_is_displayed_as_one_paragraph() {
        let problem =
            Problem::error(Code::ImageMissing, "The image is not there.").cause("404").help("Push it.");
        assert_eq!(problem.to_string(), "The image is not there. (404) Push it.");
    }
}

//! What went wrong, for the person reading a red job at night: a stable code, one sentence, what to do.
//! Every code has its section in docs/problems.md (tests/contract.rs). Nothing here prints.

use std::fmt;

use serde::Serialize;

/// How much a [`Problem`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; changes nothing.
    Notice,
    /// Probably not what was meant; the run goes on.
    Warning,
    /// The run cannot go on.
    Error,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The stable name of a kind of problem; the heading of its section in docs/problems.md.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code there is, in the order of docs/problems.md.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as people see it, in kebab-case.
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
    /// The deploy file is not the YAML it should be (syntax, type, unknown key).
    ConfigInvalid = "config-invalid",
    /// A name (environment, service, placeholder) that the deploy file does not define.
    NameUnknown = "name-unknown",
    /// Two environments claim the same branch.
    BranchAmbiguous = "branch-ambiguous",
    /// A target or strategy that this version does not know or the place cannot do.
    Unsupported = "unsupported",
    /// A file named in the deploy file cannot be read.
    FileUnreadable = "file-unreadable",
    /// The task definition breaks a rule that AWS enforces, or surely is not meant.
    TaskDefinitionInvalid = "task-definition-invalid",
    /// A configuration is not what AppConfig or its profile takes.
    ConfigurationInvalid = "configuration-invalid",
    /// The container to change is missing or there is more than one.
    ContainerUnclear = "container-unclear",
    /// Which value of a manifest is to be changed is not clear, or changing it would change more.
    ManifestUnclear = "manifest-unclear",
    /// A manifest cannot be read as YAML, or is too large.
    ManifestUnreadable = "manifest-unreadable",
    /// A value that looks like a secret stands in plain text.
    SecretInPlainText = "secret-in-plain-text",
    /// A variable that is set lasts only until the next deploy, or there was none to take away.
    SettingPassing = "setting-passing",
    /// No AWS credentials, or they are refused.
    CredentialsMissing = "credentials-missing",
    /// Long-lived keys are used where a role would do.
    CredentialsStatic = "credentials-static",
    /// The OIDC token or the role was refused.
    RoleRefused = "role-refused",
    /// The account or region is not the declared one.
    AccountMismatch = "account-mismatch",
    /// The cluster does not exist.
    ClusterMissing = "cluster-missing",
    /// The service does not exist or is not ACTIVE.
    ServiceMissing = "service-missing",
    /// The service is driven by a controller that is not ECS.
    ControllerForeign = "controller-foreign",
    /// The image is not in the registry.
    ImageMissing = "image-missing",
    /// The image has no manifest for the platform of the task.
    PlatformMissing = "platform-missing",
    /// An alarm is red before the deployment starts.
    AlarmRed = "alarm-red",
    /// An alarm that is named does not exist.
    AlarmMissing = "alarm-missing",
    /// The place is busy with another deployment.
    DeploymentInProgress = "deployment-in-progress",
    /// The deployment percentages leave no room to move a single task.
    PercentagesStuck = "percentages-stuck",
    /// A permission that the run or its rollback needs is missing.
    PermissionMissing = "permission-missing",
    /// Permissions could not be checked before the start.
    PermissionUnchecked = "permission-unchecked",
    /// There is no version to roll back to.
    RollbackTargetMissing = "rollback-target-missing",
    /// The version to roll back to cannot start any more.
    RollbackTargetBroken = "rollback-target-broken",
    /// A rollback names a version that never completed here, or none.
    VersionUnknown = "version-unknown",
    /// What is to be promoted was not proven in the environment that it comes from.
    PromotionUnproven = "promotion-unproven",
    /// Which services a change concerns could not be found out.
    ChangesUnknown = "changes-unknown",
    /// This version was rolled back before and would come again by itself.
    RolledBackBefore = "rolled-back-before",
    /// The provider could not be read or refused a call.
    ProviderError = "provider-error",
    /// The image cannot be pulled.
    ImagePullFailed = "image-pull-failed",
    /// Secrets, registry login, log group or file system of the task cannot be set up.
    ResourceSetupFailed = "resource-setup-failed",
    /// The container exits by itself.
    ContainerExited = "container-exited",
    /// The container was killed for its memory.
    OutOfMemory = "out-of-memory",
    /// Health checks of the container or the load balancer fail.
    HealthCheckFailed = "health-check-failed",
    /// No capacity for the task, or no instance fits.
    NoCapacity = "no-capacity",
    /// A role cannot be assumed by ECS.
    RoleUnusable = "role-unusable",
    /// An alarm went red during the deployment.
    AlarmTriggered = "alarm-triggered",
    /// The provider's circuit breaker gave the deployment up.
    CircuitBreaker = "circuit-breaker",
    /// The command that runs before any traffic moves did not succeed.
    BeforeFailed = "before-failed",
    /// It was taken back because another service of the run failed.
    TakenBack = "taken-back",
    /// The new version answers worse than the one before.
    CanaryFailed = "canary-failed",
    /// Argo CD could not bring the commit into the cluster.
    SyncFailed = "sync-failed",
    /// The new version failed and stays, because the deploy file says so.
    LeftAlone = "left-alone",
    /// There was too little data to judge the new version.
    Inconclusive = "inconclusive",
    /// A check of the new version did not hold.
    CheckFailed = "check-failed",
    /// A part of a check could not be made, so that nothing is claimed about it.
    CheckIncomplete = "check-incomplete",
    /// What serves is not healthy, or that cannot be said now.
    NotHealthy = "not-healthy",
    /// The counts that the new version is to be judged by could not be read.
    MetricsUnreadable = "metrics-unreadable",
    /// Settings that were changed for a deployment could not be put back.
    LeftBehind = "left-behind",
    /// The deployment was stopped by somebody else.
    DeploymentStopped = "deployment-stopped",
    /// A newer deployment took over.
    Superseded = "superseded",
    /// Another run holds the lease of the service.
    LeaseHeld = "lease-held",
    /// The time given for the operation is over.
    TimedOut = "timed-out",
    /// What serves is not what was asked for.
    DigestMismatch = "digest-mismatch",
    /// The rollback failed: a person is needed now.
    RollbackFailed = "rollback-failed",
    /// The run was cancelled.
    Cancelled = "cancelled",
    /// No Docker engine or no buildx answers.
    BuilderMissing = "builder-missing",
    /// The image could not be built.
    BuildFailed = "build-failed",
    /// The image could not be pushed.
    PushFailed = "push-failed",
    /// The tag exists with another digest and may not be moved.
    TagImmutable = "tag-immutable",
    /// The registry refused the login.
    RegistryLoginFailed = "registry-login-failed",
    /// A repository, a branch or a file in it is not there, or the token may not see it.
    RepositoryMissing = "repository-missing",
    /// GitHub does not accept the token, or it lacks a right.
    TokenRefused = "token-refused",
    /// A rule of the branch refuses the commit.
    BranchProtected = "branch-protected",
    /// The branch kept moving while a commit was made for it.
    CommitConflict = "commit-conflict",
    /// GitHub will not do what was asked, as it was asked.
    CommitRefused = "commit-refused",
    /// The answer to a change was lost, and looking did not tell whether it happened.
    CommitUncertain = "commit-uncertain",
    /// GitHub takes no more requests of this token for a while.
    RateLimited = "rate-limited",
    /// Which commits lie between two versions could not be found out.
    HistoryUnknown = "history-unknown",
    /// Somebody who was to hear of the run could not be told.
    NotificationFailed = "notification-failed",
    /// What this run released could not be recorded where later runs look for it.
    NotRecorded = "not-recorded",
    /// No lease could be taken: nothing keeps another run from working on the same service.
    NotLeased = "not-leased",
    /// A plan could not be written where people look for it.
    NotPublished = "not-published",
    /// A file of the runner (output, summary, state) cannot be written.
    RunnerFileUnwritable = "runner-file-unwritable",
    /// A scenario or a request of the embedded cloud is wrong.
    ScenarioInvalid = "scenario-invalid",
    /// A mistake in Roadstead itself.
    Internal = "internal",
}

impl Code {
    /// Whether the user can put it right before trying again: inputs, files, permissions, what was named.
    pub fn is_users(self) -> bool {
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
                | TaskDefinitionInvalid
                | ConfigurationInvalid
                | ContainerUnclear
                | ManifestUnclear
                | ManifestUnreadable
                | CredentialsMissing
                | RoleRefused
                | AccountMismatch
                | ClusterMissing
                | ServiceMissing
                | ControllerForeign
                | ImageMissing
                | PlatformMissing
                | AlarmRed
                | AlarmMissing
                | DeploymentInProgress
                | PercentagesStuck
                | PermissionMissing
                | RollbackTargetBroken
                | VersionUnknown
                | PromotionUnproven
                | RolledBackBefore
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

/// A place in a file of the user; becomes an annotation there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// Path as the user wrote it, relative to the workspace.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One thing that is wrong, complete in itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its stable name.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// What happened, in one sentence that ends with a period.
    pub sentence: String,
    /// What to do about it; may be empty.
    pub help: String,
    /// The text of whoever reported it, unchanged and untrusted.
    pub cause: Option<String>,
    /// Where in the user's files it is.
    pub at: Option<Location>,
    /// The service of the deploy file it is about.
    pub service: Option<String>,
}

impl Problem {
    /// An error: the run cannot go on.
    pub fn error(code: Code, sentence: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            sentence: sentence.into(),
            help: String::new(),
            cause: None,
            at: None,
            service: None,
        }
    }

    /// A warning: the run goes on.
    pub fn warning(code: Code, sentence: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, sentence) }
    }

    /// A notice: good to know.
    pub fn notice(code: Code, sentence: impl Into<String>) -> Self {
        Self { severity: Severity::Notice, ..Self::error(code, sentence) }
    }

    /// Says what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Adds the untrusted text of whoever reported it.
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Says where in the user's files it is.
    pub fn at(mut self, file: impl Into<String>, line: usize, column: usize) -> Self {
        self.at = Some(Location { file: file.into(), line, column });
        self
    }

    /// Says which service it is about.
    pub fn of(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Whether the run cannot go on.
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

/// `words` as the beginning of a sentence.
pub fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `name`, or the nearest of `known` when it looks like a slip of the finger.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        assert_eq!(suggest("enviroment", ["environment", "image"]), Some("environment"));
        assert_eq!(suggest("zebra", ["environment", "image"]), None);
    }

    #[test]
    fn a_problem_reads_as_one_paragraph() {
        let problem =
            Problem::error(Code::ImageMissing, "The image is not there.").cause("404").help("Push it.");
        assert_eq!(problem.to_string(), "The image is not there. (404) Push it.");
    }
}

//! What can go wrong in the emulator, as a scenario file says it. The options of a fault of one service are beside that
//! service, with a line here. Faults of tasks and pods are in `task_faults`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::outage::{Outage, OutageProgress};
use super::{argocd, cloudwatch, ecs, github, kubernetes, web};

pub use super::ecs::stop_faults::{StopCause, StopCode, TaskStop};
pub use super::task_faults::{CapacityGap, Crash, FaultTarget, Flap, Plain, Slow, TaskOutcome};

/// The version of a service that a fault applies to. `old` is the definition the service ran when the world began; `new` is any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VersionFilter {
    /// Definitions deployed after the world began.
    #[default]
    New,
    /// The definition that ran when the world began.
    Old,
    /// Every definition.
    All,
}

/// Calls of one operation.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OperationCalls {
    /// Operation, such as `UpdateService`; `*` is any.
    pub operation: String,
    /// The number of calls that it applies to.
    #[serde(default = "default_times")]
    pub times: u32,
}

/// A window of time.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ErrorWindow {
    /// Seconds after the first deployment that the client starts.
    #[serde(default)]
    pub from: f64,
    /// How many seconds it lasts.
    #[serde(rename = "for")]
    pub lasts: f64,
    /// Only this operation.
    #[serde(default)]
    pub operation: Option<String>,
}

/// A denied action.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeniedAction {
    /// Such as `ecs:UpdateService`; `*` matches any run of characters.
    pub action: String,
}

/// Credentials that run out.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CredentialExpiry {
    /// Seconds after the world began; what STS issues later is good again.
    pub after: f64,
}

/// A time.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeploymentOffset {
    /// Seconds after the first deployment that the client starts.
    pub at: f64,
}

/// No details.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The image cannot be pulled: there is none.
    ImageNotFound(Plain),
    /// The image is for another platform.
    WrongPlatform(Plain),
    /// A secret of the definition does not exist.
    SecretMissing(Plain),
    /// No task can be placed.
    NoCapacity(CapacityGap),
    /// The main process ends soon after its start.
    CrashOnStart(Crash),
    /// The container is killed for its memory use.
    OutOfMemory(Plain),
    /// The health check never passes.
    FailingHealthCheck(Plain),
    /// The health check passes, then fails, again and again.
    FlappingHealth(Flap),
    /// AWS or somebody stops a task, or it cannot start. Pods ignore it.
    TaskStop(TaskStop),
    /// Tasks take long to start.
    SlowStart(Slow),
    /// The version that ran at the beginning cannot start again.
    RollbackFails(Plain),
    /// Calls are refused with ThrottlingException.
    Throttle(OperationCalls),
    /// Calls fail with a server error for a while.
    ServerErrors(ErrorWindow),
    /// Service reads lag behind an update.
    StaleReads(ecs::faults::StaleReads),
    /// A change is made, and the connection breaks before its answer.
    ResponseLost(OperationCalls),
    /// The answer to a change is lost, and for a while the same service does not answer.
    Outage(Outage),
    /// A call is never answered, and nothing is changed.
    NoAnswer(OperationCalls),
    /// An action is denied.
    Deny(DeniedAction),
    /// The credentials expire.
    ExpiredCredentials(CredentialExpiry),
    /// Somebody else deploys the same service.
    SupersedingDeployment(ecs::faults::SupersedingDeployment),
    /// An alarm is red, from the beginning or from some time on.
    AlarmRed(cloudwatch::faults::AlarmFiring),
    /// CloudWatch has no metrics at all.
    MetricsMissing(NoOptions),
    /// Metrics come later than usual.
    MetricsLate(cloudwatch::faults::MetricsDelay),
    /// Every second minute is missing, and CloudWatch says so.
    MetricsPartial(NoOptions),
    /// Two target groups are taken for each other.
    MetricsSwapped(NoOptions),
    /// Metrics may not be read; the response is a success whose `Messages` say so.
    MetricsForbidden(NoOptions),
    /// Addresses answer badly.
    BadAnswers(web::faults::BadResponses),
    /// The desired count changes during the deployment.
    DesiredCount(ecs::faults::DesiredCountChange),
    /// Argo CD compares and never starts a sync by itself.
    ArgocdNeverSyncs(argocd::faults::OnApplication),
    /// What is synced cannot be applied.
    ArgocdSyncFailed(argocd::faults::SyncFailed),
    /// A sync ends in an error before anything is applied.
    ArgocdOperationError(argocd::faults::OperationError),
    /// Argo CD sees its branch as it was.
    ArgocdStale(argocd::faults::StaleGit),
    /// Argo CD cannot compare.
    ArgocdComparisonError(argocd::faults::Incomparable),
    /// The workload is deleted right after it was synced. `service` is an application, `tasks` how many times.
    ArgocdMissing(Plain),
    /// The workload is paused.
    ArgocdSuspended(argocd::faults::OnApplication),
    /// Somebody else's sync is in progress.
    ArgocdBusy(argocd::faults::ForeignSync),
    /// The cluster is changed by hand.
    ArgocdDrift(argocd::faults::ByHand),
    /// The analysis of a canary fails. `service` is an application, `tasks` how many runs.
    ArgocdAnalysisFailed(Plain),
    /// Somebody stops the deployment of AppConfig that is in progress.
    AppconfigStopped(DeploymentOffset),
    /// The process on a server that changes the containers of Compose is killed.
    ComposeKilled(DeploymentOffset),
    /// The token of Argo CD expires.
    ArgocdTokenExpires(CredentialExpiry),
    /// A quota leaves no room for pods.
    KubernetesQuota(kubernetes::faults::QuotaExceeded),
    /// Somebody sets another image.
    KubernetesImageSet(kubernetes::faults::ImageSetByHand),
    /// Somebody pauses every workload.
    KubernetesPaused(DeploymentOffset),
    /// An autoscaler changes the number of copies.
    KubernetesScaled(kubernetes::faults::ReplicasScaled),
    /// Somebody else's commit lands on the branch just before the client's.
    RivalCommit(github::faults::OutsideCommit),
    /// GitHub refuses requests for their rate.
    RateLimit(github::faults::RateLimitFault),
    /// GitHub's gateway gives up.
    BadGateway(github::faults::BadGatewayFault),
    /// GitHub's reads lag behind a branch that moved.
    ReplicaLag(github::faults::ReplicaLagFault),
}

/// The faults of a run, and how often each was applied.
#[derive(Debug, Clone, Default)]
pub struct FaultState {
    /// In the order of the scenario.
    pub list: Vec<Fault>,
    /// How often each was applied.
    pub trigger_counts: Vec<u32>,
    /// When the world began, epoch seconds.
    pub started_at: f64,
    /// When the client's first deployment began, epoch seconds.
    pub first_deployment: Option<f64>,
    /// How far the outages are, by their place in the list.
    pub outages: BTreeMap<usize, OutageProgress>,
    /// When something first changed that the client did not deploy itself, such as a branch that is followed.
    pub first_followed_change: Option<f64>,
}

impl FaultState {
    /// All faults of a scenario, none applied yet.
    pub fn new(list: Vec<Fault>, started_at: f64) -> Self {
        Self {
            trigger_counts: vec![0; list.len()],
            list,
            started_at,
            first_deployment: None,
            outages: BTreeMap::new(),
            first_followed_change: None,
        }
    }

    /// From when on what is counted from the client's first change counts, epoch seconds.
    pub fn first_change_at(&self) -> Option<f64> {
        self.first_deployment.or(self.first_followed_change)
    }

    /// Counts the first fault that `applies`; `false` when none does.
    pub fn trigger_first(&mut self, mut applies: impl FnMut(&Fault, u32) -> bool) -> bool {
        for (fault, spent) in self.list.iter().zip(&mut self.trigger_counts) {
            if applies(fault, *spent) {
                *spent += 1;
                return true;
            }
        }
        false
    }
}

impl OperationCalls {
    /// Whether it applies to one call more of this operation.
    pub fn applies_to(&self, operation: &str, spent: u32) -> bool {
        (self.operation == "*" || self.operation == operation) && spent < self.times
    }
}

fn default_times() -> u32 {
    1
}

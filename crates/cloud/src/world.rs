//! The state that several services of the cloud share, as plain data. Behaviour lives with the service that owns it.

use std::collections::BTreeMap;

use super::ecr::registries::{RegistryId, Repositories};
use super::ecs;
use super::elbv2::rules::LoadBalancing;
use super::events::EventQueue;
use super::faults::FaultState;
use super::github;
use super::oidc::Workflow;
use super::one_off_commands::OneOffCommands;
use super::policy::CallerPolicy;
use super::rng::Rng;
use super::scenario::Timings;
use super::sts::RoleTrust;
use super::throttle::RequestBuckets;

/// A CloudWatch alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
    /// When it last changed, epoch seconds.
    pub since: f64,
    /// A composite alarm is only listed on request.
    pub composite: bool,
}

/// A target of a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetState {
    /// IP address.
    pub id: String,
    /// Port.
    pub port: u16,
    /// `initial`, `healthy`, `unhealthy`, `draining` or `unused`.
    pub state: String,
    /// Reason code such as `Target.ResponseCodeMismatch`; empty when healthy.
    pub reason: String,
    /// Words for the reason; empty when healthy.
    pub description: String,
}

/// An image of a repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// `sha256:…` of the manifest bytes.
    pub digest: String,
    /// The manifest, byte for byte.
    pub manifest: String,
    /// Media type of the manifest.
    pub media_type: String,
    /// Tags that point here.
    pub tags: Vec<String>,
    /// When it was pushed, epoch seconds.
    pub pushed_at: f64,
}

/// An ECR repository.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EcrRepository {
    /// Tags may not be moved.
    pub immutable: bool,
    /// Accounts that the repository's policy lets pull.
    pub readers: Vec<String>,
    /// Images, oldest first.
    pub images: Vec<Image>,
    /// Config blobs and the like, by digest.
    pub blobs: BTreeMap<String, String>,
    /// What a real registry holds of this repository has been looked up.
    pub is_synced: bool,
    /// Platform of the images that a build pushes here without naming one.
    pub build_platform: Option<String>,
}

/// A password for registries that ECR handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryPassword {
    /// The account of the caller.
    pub account: String,
    /// When it expires, epoch seconds.
    pub expires: f64,
}

/// A blob on its way into a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobUpload {
    /// The repository.
    pub repository: String,
    /// What has arrived.
    pub text: String,
}

/// Credentials that STS handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct StsSession {
    /// When they were issued, epoch seconds.
    pub issued: f64,
    /// When they expire, epoch seconds.
    pub expires: f64,
    /// ARN of the assumed role session, as in refusals and in GetCallerIdentity.
    pub arn: String,
}

/// A real registry that stands behind ECR.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BackingRegistry {
    /// Host and port, as in image references: ECR's `proxyEndpoint` without the scheme. Loopback only.
    pub endpoint: String,
    /// What ECR's token decodes to, before the colon.
    pub username: String,
    /// What ECR's token decodes to, after the colon.
    pub password: String,
}

/// What the services share.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Account id, 12 digits.
    pub account: String,
    /// Region, such as `eu-west-1`.
    pub region: String,
    /// The workflow run that the runner's token endpoint vouches for.
    pub workflow: Workflow,
    /// Whom the account's roles trust.
    pub trust: RoleTrust,
    /// Alarms by name.
    pub alarms: BTreeMap<String, Alarm>,
    /// Log lines (epoch milliseconds, text) by group and stream.
    pub logs: BTreeMap<(String, String), Vec<(i64, String)>>,
    /// Targets by target group ARN.
    pub targets: BTreeMap<String, Vec<TargetState>>,
    /// Listeners and rules of load balancers.
    pub load_balancing: LoadBalancing,
    /// Traffic through load balancers.
    pub traffic: super::traffic::stream::TrafficState,
    /// Topics of SNS by ARN.
    pub topics: BTreeMap<String, super::sns::TopicState>,
    /// What stands at addresses.
    pub sites: Vec<super::web::Site>,
    /// By how many seconds the answer of the last visit is held back.
    pub delay: f64,
    /// Registries of images, with their repositories by name.
    pub registries: BTreeMap<RegistryId, Repositories>,
    /// Whether registries mount layers of one repository into another; off unless the account sets it.
    pub blob_mounting: bool,
    /// Passwords for registries.
    pub logins: BTreeMap<String, RegistryPassword>,
    /// Blobs on their way, by upload.
    pub uploads: BTreeMap<String, BlobUpload>,
    /// A real registry behind ECR; what is in it is known here from the last look.
    pub backing_registry: Option<BackingRegistry>,
    /// Credentials that STS issued, by access key id. Whoever issues credentials inserts here.
    pub sessions: BTreeMap<String, StsSession>,
    /// Which actions the caller may take.
    pub policy: CallerPolicy,
    /// ARN of a caller whose access key is in no session.
    pub caller: String,
    /// ECS: clusters, services, deployments, tasks.
    pub ecs: ecs::state::EcsState,
    /// Application Auto Scaling: the registered targets, as the API shows them.
    pub scalable_targets: Vec<serde_json::Value>,
    /// AppConfig: profiles, versions, deployments.
    pub appconfig: super::appconfig::state::AppConfigState,
    /// Argo CD: applications, syncs, pods.
    pub argocd: super::argocd::state::ArgoCdState,
    /// Servers with Docker Compose.
    pub compose: super::compose::state::ComposeState,
    /// Clusters of Kubernetes.
    pub kubernetes: super::kubernetes::state::KubernetesState,
    /// GitHub.
    pub github: github::state::GitHubState,
    /// What will happen later.
    pub events: EventQueue,
    /// The seeded source of every random choice.
    pub rng: Rng,
    /// How commands end that are run once.
    pub commands: OneOffCommands,
    /// What goes wrong.
    pub faults: FaultState,
    /// How long things take.
    pub timings: Timings,
    /// Request-rate buckets.
    pub rate_limits: RequestBuckets,
}

impl World {
    /// The ARN of the caller with this access key, as errors show it.
    pub fn caller_arn(&self, access_key: Option<&str>) -> &str {
        access_key.and_then(|key| self.sessions.get(key)).map_or(self.caller.as_str(), |s| s.arn.as_str())
    }
}

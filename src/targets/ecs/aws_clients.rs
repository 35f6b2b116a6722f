//! Calls to the APIs around ECS, one function a call: registry, load balancer, alarms, logs, roles. Reads only.

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::AlarmType;
use aws_sdk_ecr::types::ImageIdentifier;
use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum};
use tokio::sync::OnceCell;

use super::error::{AwsError, aws_error};
use super::image_config::CapturedComponents;
use crate::aws::RateLimiter;
use crate::release::LogLine;
use crate::targets::iam::{PermissionCheck, RequiredPermission, evaluate};

/// The APIs around the ECS of one account and region.
#[derive(Clone)]
pub struct SupportClients {
    ecr: aws_sdk_ecr::Client,
    elb: aws_sdk_elasticloadbalancingv2::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    iam: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
    rate_limiter: RateLimiter,
    /// The caller's identity, cached: every service needs it.
    known_caller: Rc<OnceCell<(String, String)>>,
}

impl fmt::Debug for SupportClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Neighbours").finish_non_exhaustive()
    }
}

/// A target as the load balancer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// IP address or instance id.
    pub id: String,
    /// `healthy`, `unhealthy`, `initial`, `draining`, `unused` or others.
    pub state: String,
    /// Reason code, such as `Target.Timeout`.
    pub reason: String,
}

/// An alarm of CloudWatch.
#[derive(Debug, Clone, PartialEq)]
pub struct AlarmState {
    /// Its name.
    pub name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
    /// Since when it has that state, in seconds since the epoch; 0 if AWS does not report it.
    pub since: f64,
    /// The reason, as AWS reports it.
    pub reason: String,
}

/// An image of ECR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrManifest {
    /// Its media type.
    pub media_type: String,
    /// The manifest, byte for byte.
    pub text: String,
}

impl SupportClients {
    /// Clients over a configuration with credentials, region, retries and transport.
    /// Every call is rate-limited.
    pub fn new(config: &SdkConfig, rate_limiter: RateLimiter) -> Self {
        Self {
            ecr: aws_sdk_ecr::Client::new(config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            iam: aws_sdk_iam::Client::new(config),
            sts: aws_sdk_sts::Client::new(config),
            rate_limiter,
            known_caller: Rc::default(),
        }
    }

    /// Waits until one more request may be sent: for a request that is made elsewhere.
    pub async fn acquire_read_slot(&self) {
        self.rate_limiter.acquire().await;
    }

    /// Account id and ARN of the caller.
    pub async fn caller_identity(&self) -> Result<(String, String), AwsError> {
        self.known_caller.get_or_try_init(|| self.read_caller_identity()).await.cloned()
    }

    async fn read_caller_identity(&self) -> Result<(String, String), AwsError> {
        self.rate_limiter.acquire().await;
        let who = self.sts.get_caller_identity().send().await;
        let who = who.map_err(|error| aws_error("sts:GetCallerIdentity", &error))?;
        Ok((who.account().unwrap_or_default().to_owned(), who.arn().unwrap_or_default().to_owned()))
    }

    /// Whether `principal` is allowed each permission on its own resource, as for a role passed to ECS tasks.
    pub async fn simulate_permissions(
        &self,
        principal: &str,
        needs: Vec<RequiredPermission>,
    ) -> Result<Vec<PermissionCheck>, AwsError> {
        let unique = |pick: fn(&RequiredPermission) -> String| {
            needs.iter().map(pick).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let service = ContextEntry::builder()
            .context_key_name("iam:PassedToService")
            .context_key_values("ecs-tasks.amazonaws.com")
            .context_key_type(ContextKeyTypeEnum::String);
        let call = self.iam.simulate_principal_policy().policy_source_arn(principal);
        let call = call.set_action_names(Some(unique(|need| need.action.to_owned())));
        let call = call
            .set_resource_arns(Some(unique(|need| need.resource.clone())))
            .context_entries(service.build());
        self.rate_limiter.acquire().await;
        let answer = call.max_items(1000).send().await;
        let answer = answer.map_err(|error| aws_error("iam:SimulatePrincipalPolicy", &error))?;
        let results = answer.evaluation_results();
        Ok(needs.into_iter().map(|need| evaluate(results, need)).collect())
    }

    /// The health of all targets of a group.
    pub async fn target_health(&self, group: &str) -> Result<Vec<TargetHealth>, AwsError> {
        self.rate_limiter.acquire().await;
        let answer = self.elb.describe_target_health().target_group_arn(group).send().await;
        let answer =
            answer.map_err(|error| aws_error("elasticloadbalancing:DescribeTargetHealth", &error))?;
        let read = |d: &aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription| TargetHealth {
            id: d.target().and_then(|t| t.id()).unwrap_or_default().to_owned(),
            state: state_text(d.target_health().and_then(|h| h.state())),
            reason: d
                .target_health()
                .and_then(|h| h.reason())
                .map(|r| r.as_str().to_owned())
                .unwrap_or_default(),
        };
        Ok(answer.target_health_descriptions().iter().map(read).collect())
    }

    /// ARNs of the load balancers that send traffic to a target group.
    pub async fn load_balancers(&self, group: &str) -> Result<Vec<String>, AwsError> {
        self.rate_limiter.acquire().await;
        let answer = self.elb.describe_target_groups().target_group_arns(group).send().await;
        let answer =
            answer.map_err(|error| aws_error("elasticloadbalancing:DescribeTargetGroups", &error))?;
        let all = answer.target_groups().iter().flat_map(|group| group.load_balancer_arns());
        Ok(all.cloned().collect())
    }

    /// ARNs of the target groups that a listener rule forwards to; `None` if the rule does not exist.
    pub async fn forwarded_groups(&self, rule: &str) -> Result<Option<Vec<String>>, AwsError> {
        self.rate_limiter.acquire().await;
        let answer = self.elb.describe_rules().rule_arns(rule).send().await;
        let answer = match answer.map_err(|error| aws_error("elasticloadbalancing:DescribeRules", &error)) {
            Err(error) if error.has_code(&["RuleNotFound", "RuleNotFoundException"]) => return Ok(None),
            other => other?,
        };
        let Some(rule) = answer.rules().first() else { return Ok(None) };
        let weighted = rule.actions().iter().filter_map(|action| action.forward_config());
        let weighted = weighted.flat_map(|forward| forward.target_groups());
        let weighted = weighted.filter_map(|group| group.target_group_arn());
        let plain = rule.actions().iter().filter_map(|action| action.target_group_arn());
        let mut groups: Vec<String> = weighted.chain(plain).map(Into::into).collect();
        groups.sort();
        groups.dedup();
        Ok(Some(groups))
    }

    /// The states of the alarms with these names, metric and composite; those that do not exist are left out.
    pub async fn alarm_states(&self, names: Vec<String>) -> Result<Vec<AlarmState>, AwsError> {
        let call = self.cloudwatch.describe_alarms().set_alarm_names(Some(names)).max_records(100);
        let call = call.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
        self.rate_limiter.acquire().await;
        let answer = call.send().await.map_err(|error| aws_error("cloudwatch:DescribeAlarms", &error))?;
        let metric = answer.metric_alarms().iter().map(|alarm| AlarmState {
            name: owned(alarm.alarm_name()),
            state: owned(alarm.state_value().map(|state| state.as_str())),
            since: state_since(alarm.state_transitioned_timestamp(), alarm.state_updated_timestamp()),
            reason: owned(alarm.state_reason()),
        });
        let composite = answer.composite_alarms().iter().map(|alarm| AlarmState {
            name: owned(alarm.alarm_name()),
            state: owned(alarm.state_value().map(|state| state.as_str())),
            since: state_since(alarm.state_transitioned_timestamp(), alarm.state_updated_timestamp()),
            reason: owned(alarm.state_reason()),
        });
        Ok(metric.chain(composite).collect())
    }

    /// The last `most` lines of a log stream, oldest first.
    pub async fn log_tail(&self, group: &str, stream: &str, most: i32) -> Result<Vec<LogLine>, AwsError> {
        let call = self.logs.get_log_events().log_group_name(group).log_stream_name(stream);
        self.rate_limiter.acquire().await;
        let answer = call.limit(most).start_from_head(false).send().await;
        let answer = answer.map_err(|error| aws_error("logs:GetLogEvents", &error))?;
        let read = |event: &aws_sdk_cloudwatchlogs::types::OutputLogEvent| LogLine {
            at_ms: event.timestamp().unwrap_or_default(),
            text: event.message().unwrap_or_default().trim_end().to_owned(),
        };
        Ok(answer.events().iter().map(read).collect())
    }

    /// The manifest of an image by digest or tag; `None` if ECR does not have it.
    pub async fn manifest(
        &self,
        account: &str,
        repository: &str,
        id: ImageId<'_>,
    ) -> Result<Option<EcrManifest>, AwsError> {
        let id = match id {
            ImageId::Digest(digest) => ImageIdentifier::builder().image_digest(digest).build(),
            ImageId::Tag(tag) => ImageIdentifier::builder().image_tag(tag).build(),
        };
        let call = self.ecr.batch_get_image().registry_id(account).repository_name(repository).image_ids(id);
        let call = ACCEPTED_MEDIA_TYPES.iter().fold(call, |call, kind| call.accepted_media_types(*kind));
        self.rate_limiter.acquire().await;
        let answer = match call.send().await.map_err(|error| aws_error("ecr:BatchGetImage", &error)) {
            Ok(answer) => answer,
            Err(error) if error.has_code(&["RepositoryNotFoundException", "ImageNotFoundException"]) => {
                return Ok(None);
            }
            Err(other) => return Err(other),
        };
        Ok(answer.images().first().map(|image| EcrManifest {
            media_type: image.image_manifest_media_type().unwrap_or_default().to_owned(),
            text: image.image_manifest().unwrap_or_default().to_owned(),
        }))
    }

    /// URL of a blob (such as an image's config) without credentials; `parts` keeps the parts of the client.
    pub async fn blob_url(
        &self,
        account: &str,
        repository: &str,
        digest: &str,
        parts: CapturedComponents,
    ) -> Result<String, AwsError> {
        let call = self.ecr.get_download_url_for_layer().registry_id(account).repository_name(repository);
        self.rate_limiter.acquire().await;
        let answer = call.layer_digest(digest).customize().interceptor(parts).send().await;
        let answer = answer.map_err(|error| aws_error("ecr:GetDownloadUrlForLayer", &error))?;
        Ok(answer.download_url().unwrap_or_default().to_owned())
    }
}

/// The identifier of an image in its repository.
#[derive(Debug, Clone, Copy)]
pub enum ImageId<'a> {
    /// By digest.
    Digest(&'a str),
    /// By tag.
    Tag(&'a str),
}

const ACCEPTED_MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

fn state_text(state: Option<&TargetHealthStateEnum>) -> String {
    state.map(|state| state.as_str().to_owned()).unwrap_or_default()
}

fn owned(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

/// Since when an alarm has its state: the last update can be a change of the reason alone.
fn state_since(transitioned: Option<&DateTime>, updated: Option<&DateTime>) -> f64 {
    transitioned.or(updated).map_or(0.0, DateTime::as_secs_f64)
}

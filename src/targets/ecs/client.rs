//! Calls to ECS, one function a call; responses are AWS's raw JSON. No decision is taken here.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_ecs::types::{
    DeploymentLifecycleHookAction, DesiredStatus, ServiceDeploymentStatus, ServiceField, SortOrder,
    StopServiceDeploymentStopType, TaskDefinitionField, TaskDefinitionStatus,
};
use aws_smithy_types::retry::RetryConfig;
use serde_json::{Map, Value};

use super::error::{AwsError, aws_error};
use super::raw_json::{CapturedBody, replace_body};
use crate::aws::RateLimiters;
use crate::problem::{Code, Problem};

/// The ECS of one account and region.
#[derive(Clone)]
pub struct EcsClient {
    ecs: aws_sdk_ecs::Client,
    region: String,
    rate_limiters: RateLimiters,
}

impl fmt::Debug for EcsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Sends a customised call and returns the raw JSON.
macro_rules! raw {
    ($operation:literal, $call:expr) => {{
        let answer = CapturedBody::default();
        match $call.interceptor(answer.clone()).send().await {
            Ok(_) => answer.json().ok_or_else(|| invalid_json($operation)),
            Err(error) => Err(aws_error($operation, &error)),
        }
    }};
}

/// The same for a rate-limited read.
macro_rules! read {
    ($self:ident, $operation:literal, $call:expr) => {{
        $self.rate_limiters.reads.acquire().await;
        raw!($operation, $call)
    }};
}

/// No retry by the SDK: a change is sent again only after reading whether the first attempt happened.
fn without_sdk_retries() -> aws_sdk_ecs::config::Builder {
    aws_sdk_ecs::Config::builder().retry_config(RetryConfig::disabled())
}

fn invalid_json(operation: &str) -> AwsError {
    let problem = Problem::error(Code::ProviderError, format!("The response of {operation} is not JSON."));
    AwsError { code: String::new(), ambiguous: true, problem }
}

type JsonResult = Result<Value, AwsError>;

impl EcsClient {
    /// A client over a configuration with credentials, region, retries and transport.
    /// Requests are rate-limited, except those that roll a rollout back or continue it.
    pub fn new(config: &SdkConfig, rate_limiters: RateLimiters) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        Self { ecs: aws_sdk_ecs::Client::new(config), region, rate_limiters }
    }

    /// The region of the client; empty if none is configured.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// ListClusters: 100 ARNs, from the page `next`.
    pub async fn list_clusters(&self, next: Option<String>) -> JsonResult {
        let call = self.ecs.list_clusters().max_results(100).set_next_token(next);
        raw!("ecs:ListClusters", call.customize())
    }

    /// ListServices of a cluster: 100 ARNs, from the page `next`.
    pub async fn list_services(&self, cluster: &str, next: Option<String>) -> JsonResult {
        let call = self.ecs.list_services().cluster(cluster).max_results(100).set_next_token(next);
        raw!("ecs:ListServices", call.customize())
    }

    /// DescribeServices: at most 10 names of one cluster.
    pub async fn describe_services(&self, cluster: &str, services: Vec<String>) -> JsonResult {
        let call = self.ecs.describe_services().cluster(cluster).set_services(Some(services));
        read!(self, "ecs:DescribeServices", call.include(ServiceField::Tags).customize())
    }

    /// DescribeServiceDeployments: at most 20 ARNs.
    pub async fn describe_service_deployments(&self, arns: Vec<String>) -> JsonResult {
        let call = self.ecs.describe_service_deployments().set_service_deployment_arns(Some(arns));
        read!(self, "ecs:DescribeServiceDeployments", call.customize())
    }

    /// DescribeServiceRevisions: at most 20 ARNs.
    pub async fn describe_service_revisions(&self, arns: Vec<String>) -> JsonResult {
        let call = self.ecs.describe_service_revisions().set_service_revision_arns(Some(arns));
        read!(self, "ecs:DescribeServiceRevisions", call.customize())
    }

    /// ListServiceDeployments, the newest page (up to 20).
    pub async fn list_service_deployments(&self, cluster: &str, service: &str) -> JsonResult {
        let call = self.ecs.list_service_deployments().cluster(cluster).service(service).max_results(20);
        read!(self, "ecs:ListServiceDeployments", call.customize())
    }

    /// ListServiceDeployments: 100 that ended SUCCESSFUL, newest first, from the page `next`.
    pub async fn list_successful_deployments(
        &self,
        cluster: &str,
        service: &str,
        next: Option<String>,
    ) -> JsonResult {
        let call = self.ecs.list_service_deployments().cluster(cluster).service(service).max_results(100);
        let call = call.status(ServiceDeploymentStatus::Successful).set_next_token(next);
        read!(self, "ecs:ListServiceDeployments", call.customize())
    }

    /// DescribeTaskDefinition with its tags, by ARN, `family:revision` or family (newest ACTIVE).
    pub async fn describe_task_definition(&self, id: &str) -> JsonResult {
        let call = self.ecs.describe_task_definition().task_definition(id).include(TaskDefinitionField::Tags);
        read!(self, "ecs:DescribeTaskDefinition", call.customize())
    }

    /// ListTaskDefinitions: up to `most` ACTIVE revisions of a family, newest first.
    pub async fn list_task_definitions(&self, family: &str, most: i32) -> JsonResult {
        let call = self
            .ecs
            .list_task_definitions()
            .family_prefix(family)
            .status(TaskDefinitionStatus::Active)
            .sort(SortOrder::Desc)
            .max_results(most);
        read!(self, "ecs:ListTaskDefinitions", call.customize())
    }

    /// RegisterTaskDefinition with `definition` unchanged. Sent once.
    pub async fn register_task_definition(&self, definition: &Value) -> JsonResult {
        self.rate_limiters.registrations.acquire().await;
        let call = self.ecs.register_task_definition().customize().config_override(without_sdk_retries());
        raw!("ecs:RegisterTaskDefinition", call.mutate_request(replace_body(definition)))
    }

    /// Waits for the slot to change a service: before the service is read, so that the change applies to what was read.
    pub async fn acquire_write_slot(&self) {
        self.rate_limiters.changes.acquire().await;
    }

    /// UpdateService with `members`, the cluster and the service. Sent once.
    pub async fn update_service(
        &self,
        cluster: &str,
        service: &str,
        mut members: Map<String, Value>,
    ) -> JsonResult {
        members.extend([("cluster".to_owned(), cluster.into()), ("service".to_owned(), service.into())]);
        let call = self.ecs.update_service().cluster(cluster).service(service);
        let call = call.customize().config_override(without_sdk_retries());
        raw!("ecs:UpdateService", call.mutate_request(replace_body(&members.into())))
    }

    /// ContinueServiceDeployment for a deployment paused at the hook. Sent once.
    pub async fn continue_service_deployment(&self, arn: &str, hook: &str) -> JsonResult {
        let call = self.ecs.continue_service_deployment().service_deployment_arn(arn).hook_id(hook);
        let call = call.action(DeploymentLifecycleHookAction::Continue);
        raw!("ecs:ContinueServiceDeployment", call.customize().config_override(without_sdk_retries()))
    }

    /// StopServiceDeployment with a rollback.
    pub async fn stop_service_deployment(&self, arn: &str) -> JsonResult {
        let call = self.ecs.stop_service_deployment().service_deployment_arn(arn);
        let call = call.stop_type(StopServiceDeploymentStopType::Rollback);
        raw!("ecs:StopServiceDeployment", call.customize())
    }

    /// ListTasks: 100 tasks of a service with desired status STOPPED, from the page `next`. They stay visible for about an hour.
    pub async fn list_stopped_tasks(&self, cluster: &str, service: &str, next: Option<String>) -> JsonResult {
        let call = self.ecs.list_tasks().cluster(cluster).service_name(service).set_next_token(next);
        read!(self, "ecs:ListTasks", call.desired_status(DesiredStatus::Stopped).customize())
    }

    /// ListTasks: those with desired status RUNNING that `owner` started, of no service.
    pub async fn list_tasks_started_by(&self, cluster: &str, owner: &str) -> JsonResult {
        let call = self.ecs.list_tasks().cluster(cluster).started_by(owner);
        raw!("ecs:ListTasks", call.customize())
    }

    /// RunTask with `members` unchanged. Sent once.
    pub async fn run_task(&self, members: &Value) -> JsonResult {
        let call = self.ecs.run_task().customize().config_override(without_sdk_retries());
        raw!("ecs:RunTask", call.mutate_request(replace_body(members)))
    }

    /// StopTask.
    pub async fn stop_task(&self, cluster: &str, task: &str, reason: &str) -> JsonResult {
        let call = self.ecs.stop_task().cluster(cluster).task(task).reason(reason);
        raw!("ecs:StopTask", call.customize())
    }

    /// DescribeTasks: at most 100 ARNs of one cluster.
    pub async fn describe_tasks(&self, cluster: &str, tasks: Vec<String>) -> JsonResult {
        let call = self.ecs.describe_tasks().cluster(cluster).set_tasks(Some(tasks));
        read!(self, "ecs:DescribeTasks", call.customize())
    }
}

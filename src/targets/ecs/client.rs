//! Effects on ECS, one function a call; answers are the raw JSON that AWS wrote. No decision is taken here.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_ecs::types::{
    DeploymentLifecycleHookAction, DesiredStatus, ServiceDeploymentStatus, ServiceField, SortOrder,
    StopServiceDeploymentStopType, TaskDefinitionField, TaskDefinitionStatus,
};
use aws_smithy_types::retry::RetryConfig;
use serde_json::{Map, Value};

use super::raw::{Captured, send_raw};
use super::refusal::{Refusal, refusal};
use crate::aws::Paces;
use crate::problem::{Code, Problem};

/// The ECS of one account and region.
#[derive(Clone)]
pub struct Client {
    ecs: aws_sdk_ecs::Client,
    region: String,
    paces: Paces,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Sends a customised call and answers the raw JSON.
macro_rules! raw {
    ($operation:literal, $call:expr) => {{
        let answer = Captured::default();
        match $call.interceptor(answer.clone()).send().await {
            Ok(_) => answer.json().ok_or_else(|| not_json($operation)),
            Err(error) => Err(refusal($operation, &error)),
        }
    }};
}

/// The same for a read, in its turn.
macro_rules! read {
    ($self:ident, $operation:literal, $call:expr) => {{
        $self.paces.reads.turn().await;
        raw!($operation, $call)
    }};
}

/// No retry by the SDK: a change is only asked for again after a look at what became of it.
fn once() -> aws_sdk_ecs::config::Builder {
    aws_sdk_ecs::Config::builder().retry_config(RetryConfig::disabled())
}

fn not_json(operation: &str) -> Refusal {
    let problem = Problem::error(Code::ProviderError, format!("The answer of {operation} is not JSON."));
    Refusal { aws: String::new(), unsure: true, problem }
}

type Answer = Result<Value, Refusal>;

impl Client {
    /// A client from a configuration that says credentials, region, retries and transport.
    /// Requests wait for their turn; what takes a rollout back or on does not.
    pub fn new(config: &SdkConfig, paces: Paces) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        Self { ecs: aws_sdk_ecs::Client::new(config), region, paces }
    }

    /// The region that is asked; empty when none is configured.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// ListClusters: a hundred ARNs, from where `next` points.
    pub async fn list_clusters(&self, next: Option<String>) -> Answer {
        let call = self.ecs.list_clusters().max_results(100).set_next_token(next);
        raw!("ecs:ListClusters", call.customize())
    }

    /// ListServices of a cluster: a hundred ARNs, from where `next` points.
    pub async fn list_services(&self, cluster: &str, next: Option<String>) -> Answer {
        let call = self.ecs.list_services().cluster(cluster).max_results(100).set_next_token(next);
        raw!("ecs:ListServices", call.customize())
    }

    /// DescribeServices: at most 10 names of one cluster.
    pub async fn describe_services(&self, cluster: &str, services: Vec<String>) -> Answer {
        let call = self.ecs.describe_services().cluster(cluster).set_services(Some(services));
        read!(self, "ecs:DescribeServices", call.include(ServiceField::Tags).customize())
    }

    /// DescribeServiceDeployments: at most 20 ARNs.
    pub async fn describe_service_deployments(&self, arns: Vec<String>) -> Answer {
        let call = self.ecs.describe_service_deployments().set_service_deployment_arns(Some(arns));
        read!(self, "ecs:DescribeServiceDeployments", call.customize())
    }

    /// DescribeServiceRevisions: at most 20 ARNs.
    pub async fn describe_service_revisions(&self, arns: Vec<String>) -> Answer {
        let call = self.ecs.describe_service_revisions().set_service_revision_arns(Some(arns));
        read!(self, "ecs:DescribeServiceRevisions", call.customize())
    }

    /// ListServiceDeployments, the newest page (up to 20).
    pub async fn list_service_deployments(&self, cluster: &str, service: &str) -> Answer {
        let call = self.ecs.list_service_deployments().cluster(cluster).service(service).max_results(20);
        read!(self, "ecs:ListServiceDeployments", call.customize())
    }

    /// ListServiceDeployments: a hundred of those that ended SUCCESSFUL, newest first, from where `next` points.
    pub async fn list_completed(&self, cluster: &str, service: &str, next: Option<String>) -> Answer {
        let call = self.ecs.list_service_deployments().cluster(cluster).service(service).max_results(100);
        let call = call.status(ServiceDeploymentStatus::Successful).set_next_token(next);
        read!(self, "ecs:ListServiceDeployments", call.customize())
    }

    /// DescribeTaskDefinition with its tags, by ARN, `family:revision` or family (newest ACTIVE).
    pub async fn describe_task_definition(&self, id: &str) -> Answer {
        let call = self.ecs.describe_task_definition().task_definition(id).include(TaskDefinitionField::Tags);
        read!(self, "ecs:DescribeTaskDefinition", call.customize())
    }

    /// ListTaskDefinitions: up to `most` ACTIVE revisions of a family, newest first.
    pub async fn list_task_definitions(&self, family: &str, most: i32) -> Answer {
        let call = self
            .ecs
            .list_task_definitions()
            .family_prefix(family)
            .status(TaskDefinitionStatus::Active)
            .sort(SortOrder::Desc)
            .max_results(most);
        read!(self, "ecs:ListTaskDefinitions", call.customize())
    }

    /// RegisterTaskDefinition with `definition` word for word. Never repeated by itself.
    pub async fn register_task_definition(&self, definition: &Value) -> Answer {
        self.paces.registrations.turn().await;
        let call = self.ecs.register_task_definition().customize().config_override(once());
        raw!("ecs:RegisterTaskDefinition", call.mutate_request(send_raw(definition)))
    }

    /// Waits for the turn to change a service: before it is looked at, so that what is changed is what was seen.
    pub async fn turn_to_change(&self) {
        self.paces.changes.turn().await;
    }

    /// UpdateService with `members` word for word beside cluster and service. Never repeated by itself.
    pub async fn update_service(
        &self,
        cluster: &str,
        service: &str,
        mut members: Map<String, Value>,
    ) -> Answer {
        members.extend([("cluster".to_owned(), cluster.into()), ("service".to_owned(), service.into())]);
        let call = self.ecs.update_service().cluster(cluster).service(service);
        let call = call.customize().config_override(once());
        raw!("ecs:UpdateService", call.mutate_request(send_raw(&members.into())))
    }

    /// ContinueServiceDeployment: on with a deployment that waits at the hook. Never repeated by itself.
    pub async fn continue_service_deployment(&self, arn: &str, hook: &str) -> Answer {
        let call = self.ecs.continue_service_deployment().service_deployment_arn(arn).hook_id(hook);
        let call = call.action(DeploymentLifecycleHookAction::Continue);
        raw!("ecs:ContinueServiceDeployment", call.customize().config_override(once()))
    }

    /// StopServiceDeployment with a rollback.
    pub async fn stop_service_deployment(&self, arn: &str) -> Answer {
        let call = self.ecs.stop_service_deployment().service_deployment_arn(arn);
        let call = call.stop_type(StopServiceDeploymentStopType::Rollback);
        raw!("ecs:StopServiceDeployment", call.customize())
    }

    /// ListTasks of a service; stopped ones must be asked for (they stay visible for about an hour).
    pub async fn list_tasks(&self, cluster: &str, service: &str, stopped: bool) -> Answer {
        let status = if stopped { DesiredStatus::Stopped } else { DesiredStatus::Running };
        let call = self.ecs.list_tasks().cluster(cluster).service_name(service).desired_status(status);
        read!(self, "ecs:ListTasks", call.customize())
    }

    /// ListTasks: those that are to run and were started by `owner`, of no service.
    pub async fn list_tasks_started_by(&self, cluster: &str, owner: &str) -> Answer {
        let call = self.ecs.list_tasks().cluster(cluster).started_by(owner);
        raw!("ecs:ListTasks", call.customize())
    }

    /// RunTask with `members` word for word. Never repeated by itself.
    pub async fn run_task(&self, members: &Value) -> Answer {
        let call = self.ecs.run_task().customize().config_override(once());
        raw!("ecs:RunTask", call.mutate_request(send_raw(members)))
    }

    /// StopTask.
    pub async fn stop_task(&self, cluster: &str, task: &str, reason: &str) -> Answer {
        let call = self.ecs.stop_task().cluster(cluster).task(task).reason(reason);
        raw!("ecs:StopTask", call.customize())
    }

    /// DescribeTasks: at most 100 ARNs of one cluster.
    pub async fn describe_tasks(&self, cluster: &str, tasks: Vec<String>) -> Answer {
        let call = self.ecs.describe_tasks().cluster(cluster).set_tasks(Some(tasks));
        read!(self, "ecs:DescribeTasks", call.customize())
    }
}

//! Amazon ECS in the emulator: which operation goes where, and what happens by itself as time passes.

/// The built-in scenarios.
mod builtin;
/// Whether a service and a task definition fit each other.
pub mod checks;
/// Clusters, tags and the lists of what exists.
pub mod clusters;
/// What AWS fills in when it registers a task definition.
pub mod definition_defaults;
/// The structure of a task definition in the API.
pub mod definition_shape;
/// AWS's own checks of a task definition.
pub mod definition_validation;
/// How a service deployment begins.
pub mod deployment_start;
/// Service deployments as the API shows, lists and stops them.
pub mod deployments;
/// ExecuteCommand.
pub mod execute_command;
/// The circuit breaker and the alarms of a deployment.
pub mod failure_detection;
/// What can go wrong.
pub mod faults;
/// Which digest an image reference means.
pub mod images;
/// How a deployment in stages walks.
pub mod lifecycle;
/// Lifecycle hooks, and ContinueServiceDeployment.
pub mod lifecycle_hooks;
/// Which target group a revision is in, and the weights of its rules.
pub mod listener_routes;
/// Tasks that no service started.
pub mod one_off;
/// What others do to a service meanwhile.
pub mod outside_changes;
pub mod responses;
/// How a deployment in stages returns.
pub mod rollback;
/// RunTask.
pub mod run_task;
/// ECS in a scenario file.
pub mod scenario;
/// Which tasks to start and to stop next.
pub mod scheduler;
/// Services and tasks that exist when the world begins.
pub mod seed;
/// ECS as a service of the cloud.
mod service;
/// The state machine of a service deployment.
pub mod service_deployment;
/// The words of service events, and writing them down.
pub mod service_events;
/// Services: create, describe, list, delete.
pub mod services;
/// Targets, logs and health: what a task leaves outside of ECS.
pub mod side_effects;
/// What a deployment in stages is.
pub mod staged_deployment;
/// The scheduler's part in a deployment in stages.
pub mod staged_scheduler;
/// All of ECS as plain data.
pub mod state;
/// What can stop a task besides its own processes.
pub mod stop_faults;
/// AWS's checks of a deployment configuration.
pub mod strategy_validation;
/// Task definitions: register, describe, list, deregister.
pub mod task_definitions;
/// Health of tasks.
pub mod task_health;
/// What becomes of a task when it starts.
pub mod task_outcomes;
/// Steps that every task takes.
pub mod task_steps;
/// The life of a task.
pub mod tasks;
/// UpdateService: which members start a deployment.
pub mod update_service;

use serde_json::Value;

use super::events::Event;
use super::request::{ServiceCall, ServiceError, ServiceResult};
use super::service::unsupported_operation;
use super::world::World;

pub use service::Ecs;

/// Something that happens inside ECS at a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcsEvent {
    /// The scheduler looks at a service (index).
    Reconcile(usize),
    /// A task (index) takes a step.
    Task(usize, tasks::TaskStep),
    /// A task that no service started (index) takes a step.
    OneOff(usize, one_off::OneOffStep),
    /// A service deployment (index) takes a step.
    ServiceDeployment(usize, service_deployment::ServiceDeploymentStep),
}

impl From<EcsEvent> for Event {
    fn from(happening: EcsEvent) -> Self {
        Self::new("ecs", move |world, at| on_event(world, happening, at))
    }
}

/// Answer one call, or refuse it. Time passes elsewhere.
fn handle(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let input = &call.input;
    match call.operation.as_str() {
        "RegisterTaskDefinition" => task_definitions::register(world, call, now),
        "DescribeTaskDefinition" => task_definitions::describe(world, input),
        "DeregisterTaskDefinition" => task_definitions::deregister(world, input, now),
        "ListTaskDefinitions" => task_definitions::list(world, input),
        "ListTaskDefinitionFamilies" => task_definitions::list_families(world, input),
        "CreateService" => services::create(world, input, now),
        "UpdateService" => update_service::update_service(world, input, now),
        "DescribeServices" => services::describe(world, input, now),
        "DeleteService" => services::delete(world, input, now),
        "ListServices" => services::list(world, input),
        "ListServiceDeployments" => deployments::list(world, input, now),
        "DescribeServiceDeployments" => deployments::describe(world, input, now),
        "DescribeServiceRevisions" => deployments::describe_revisions(world, input),
        "ContinueServiceDeployment" => lifecycle_hooks::continue_deployment(world, input, now),
        "StopServiceDeployment" => deployments::stop(world, input, now),
        "ListTasks" => responses::task::list(world, input, now),
        "DescribeTasks" => responses::task::describe(world, input, now),
        "RunTask" => run_task::run_task(world, input, now),
        "ExecuteCommand" => execute_command::execute_command(world, input, now),
        "StopTask" => responses::task::stop_task(world, input, now),
        "DescribeClusters" => clusters::describe(world, input),
        "ListClusters" => clusters::list(world, input),
        "ListTagsForResource" => clusters::list_tags(world, input),
        "TagResource" => clusters::tag_resource(world, input),
        "UntagResource" => clusters::untag_resource(world, input),
        _ => Err(unsupported_operation(call)),
    }
}

fn on_event(world: &mut World, happening: EcsEvent, now: f64) {
    match happening {
        EcsEvent::Reconcile(service) => scheduler::reconcile(world, service, now),
        EcsEvent::Task(task, step) => tasks::on_step(world, task, step, now),
        EcsEvent::OneOff(task, step) => one_off::on_step(world, task, step, now),
        EcsEvent::ServiceDeployment(rollout, step) => service_deployment::on_step(world, rollout, step, now),
    }
}

/// A string member, `None` when absent or null.
fn str_field<'a>(input: &'a Value, member: &str) -> Option<&'a str> {
    input.get(member).and_then(Value::as_str)
}

/// A list of strings, empty when absent.
fn str_list_field<'a>(input: &'a Value, member: &str) -> Vec<&'a str> {
    input
        .get(member)
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// A timestamp as the API writes it: epoch seconds to the millisecond.
fn timestamp(at: f64) -> Value {
    Value::from((at * 1000.0).round() / 1000.0)
}

/// Put a member unless it is absent.
fn insert_some(object: &mut serde_json::Map<String, Value>, member: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(member.into(), value);
    }
}

/// A page of a list with the token for the next one: `maxResults` and `nextToken` of the input.
fn paginate(input: &Value, items: &[Value], member: &str, most: usize) -> ServiceResult {
    let size = input.get("maxResults").and_then(Value::as_u64).map_or(most, |n| n as usize).clamp(1, most);
    let from = str_field(input, "nextToken").map(|token| token.trim_start_matches("page-").parse::<usize>());
    let from =
        from.unwrap_or(Ok(0)).map_err(|_| ServiceError::new("InvalidParameterException", "Invalid token"))?;
    let end = items.len().min(from + size);
    let mut answer = serde_json::Map::new();
    answer.insert(member.into(), Value::Array(items.get(from..end).unwrap_or_default().to_vec()));
    insert_some(&mut answer, "nextToken", (end < items.len()).then(|| Value::from(format!("page-{end}"))));
    Ok(Value::Object(answer))
}

//! Amazon ECS in the embedded cloud: which operation goes where, and what happens by itself as time passes.

/// Whether a service and a task definition fit each other.
pub mod checks;
/// Clusters, tags and the lists of what exists.
pub mod clusters;
/// Service deployments as the API shows, lists and stops them.
pub mod deployments;
/// The circuit breaker and the alarms of a deployment.
pub mod detection;
/// The words of service events, and writing them down.
pub mod events;
/// Services and tasks that exist when the world begins.
pub mod founding;
/// Lifecycle hooks, and ContinueServiceDeployment.
pub mod hooks;
/// Which digest an image reference means.
pub mod images;
/// What others do to a service meanwhile.
pub mod interference;
/// What a deployment in stages is.
pub mod native;
/// Tasks that no service started.
pub mod one_off;
/// The scheduler's part in a deployment in stages.
pub mod pair;
/// How a deployment in stages returns.
pub mod retreat;
/// The state machine of a service deployment.
pub mod rollout;
/// Which target group a revision is in, and the weights of its rules.
pub mod routes;
/// RunTask.
pub mod run_task;
/// Which tasks to start and to stop next.
pub mod scheduler;
/// Services: create, describe, list, delete.
pub mod services;
/// The shapes of a service and its deployments in answers.
pub mod shapes;
/// How a deployment in stages walks.
pub mod stages;
/// All of ECS as plain data.
pub mod state;
/// AWS's checks of a deployment configuration.
pub mod strategy;
/// Targets, logs and health: what a task leaves outside of ECS.
pub mod surroundings;
/// Task definitions: register, describe, list, deregister.
pub mod task_definitions;
/// Tasks as the API lists, shows and stops them.
pub mod task_views;
/// The life of a task.
pub mod tasks;
/// UpdateService: which members start a deployment.
pub mod update;
/// AWS's own checks of a task definition.
pub mod validation;
/// What tests see of a service.
pub mod views;

use serde_json::Value;

use super::call::{Answer, Call, Refusal};
use super::world::World;

/// Something that happens inside ECS at a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// The scheduler looks at a service (index).
    Reconcile(usize),
    /// A task (index) takes a step.
    Task(usize, tasks::Step),
    /// A task that no service started (index) takes a step.
    OneOff(usize, one_off::Step),
    /// A service deployment (index) takes a step.
    Rollout(usize, rollout::Step),
}

/// Answer one call, or refuse it. Time passes elsewhere.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Answer {
    let input = &call.input;
    match call.operation.as_str() {
        "RegisterTaskDefinition" => task_definitions::register(world, call, now),
        "DescribeTaskDefinition" => task_definitions::describe(world, input),
        "DeregisterTaskDefinition" => task_definitions::deregister(world, input, now),
        "ListTaskDefinitions" => task_definitions::list(world, input),
        "CreateService" => services::create(world, input, now),
        "UpdateService" => update::update(world, input, now),
        "DescribeServices" => services::describe(world, input, now),
        "DeleteService" => services::delete(world, input, now),
        "ListServices" => services::list(world, input),
        "ListServiceDeployments" => deployments::list(world, input, now),
        "DescribeServiceDeployments" => deployments::describe(world, input, now),
        "DescribeServiceRevisions" => deployments::revisions(world, input),
        "ContinueServiceDeployment" => hooks::proceed(world, input, now),
        "StopServiceDeployment" => deployments::stop(world, input, now),
        "ListTasks" => task_views::list(world, input, now),
        "DescribeTasks" => task_views::describe(world, input, now),
        "RunTask" => run_task::run(world, input, now),
        "StopTask" => task_views::stop(world, input, now),
        "DescribeClusters" => clusters::describe(world, input),
        "ListClusters" => clusters::list(world, input),
        "ListTagsForResource" => clusters::tags(world, input),
        "TagResource" => clusters::tag(world, input),
        "UntagResource" => clusters::untag(world, input),
        _ => Err(super::dispatch::not_modelled(call)),
    }
}

/// Let something happen.
pub fn happen(world: &mut World, happening: Happening, now: f64) {
    match happening {
        Happening::Reconcile(service) => scheduler::reconcile(world, service, now),
        Happening::Task(task, step) => tasks::step(world, task, step, now),
        Happening::OneOff(task, step) => one_off::step(world, task, step, now),
        Happening::Rollout(rollout, step) => rollout::step(world, rollout, step, now),
    }
}

/// A string member, `None` when absent or null.
fn text<'a>(input: &'a Value, member: &str) -> Option<&'a str> {
    input.get(member).and_then(Value::as_str)
}

/// A list of strings, empty when absent.
fn texts<'a>(input: &'a Value, member: &str) -> Vec<&'a str> {
    input
        .get(member)
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// A timestamp as the API writes it: epoch seconds to the millisecond.
fn stamp(at: f64) -> Value {
    Value::from((at * 1000.0).round() / 1000.0)
}

/// Put a member unless it is absent.
fn put(object: &mut serde_json::Map<String, Value>, member: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(member.into(), value);
    }
}

/// A page of a list with the token for the next one: `maxResults` and `nextToken` of the input.
fn page(input: &Value, items: &[Value], member: &str, most: usize) -> Answer {
    let size = input.get("maxResults").and_then(Value::as_u64).map_or(most, |n| n as usize).clamp(1, most);
    let from = text(input, "nextToken").map(|token| token.trim_start_matches("page-").parse::<usize>());
    let from =
        from.unwrap_or(Ok(0)).map_err(|_| Refusal::new("InvalidParameterException", "Invalid token"))?;
    let end = items.len().min(from + size);
    let mut answer = serde_json::Map::new();
    answer.insert(member.into(), Value::Array(items.get(from..end).unwrap_or_default().to_vec()));
    put(&mut answer, "nextToken", (end < items.len()).then(|| Value::from(format!("page-{end}"))));
    Ok(Value::Object(answer))
}

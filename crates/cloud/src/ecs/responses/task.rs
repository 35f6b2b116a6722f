//! Tasks as the API lists, shows and stops them, with the traps of the real filters.

use serde_json::{Map, Value, json};

use super::super::super::request::{ServiceError, ServiceResult};
use super::super::super::world::World;
use super::super::one_off::{self, OneOffTask};
use super::super::state::{Task, TaskContainer, TaskTimes};
use super::super::{clusters, insert_some, paginate, services, str_field, str_list_field, tasks, timestamp};

/// Stopped tasks stay visible for this many seconds.
const STOPPED_TASK_RETENTION: f64 = 3600.0;

/// ListTasks: desired status RUNNING, or STOPPED on request; PENDING never matches; `startedBy` excludes other filters.
pub(crate) fn list(world: &World, input: &Value, now: f64) -> ServiceResult {
    let cluster = clusters::find_cluster(world, input)?;
    let started_by = str_field(input, "startedBy");
    let name = str_field(input, "serviceName");
    if started_by.is_some() && (name.is_some() || str_field(input, "family").is_some()) {
        let message = "Cannot filter by startedBy with any other filter.";
        return Err(ServiceError::new("InvalidParameterException", message));
    }
    let service = match name {
        Some(name) => Some(
            services::find_by_name(&world.ecs, cluster, name)
                .ok_or_else(|| ServiceError::new("ServiceNotFoundException", "Service not found."))?,
        ),
        None => None,
    };
    let desired = str_field(input, "desiredStatus").unwrap_or("RUNNING");
    let family = str_field(input, "family");
    let fits = |task: &Task| {
        (desired == "RUNNING" && task.should_run || desired == "STOPPED" && !task.should_run)
            && is_visible(&task.times, now)
            && started_by.is_none_or(|id| world.ecs.deployments[task.deployment].id == id)
            && family.is_none_or(|family| world.ecs.definitions[task.definition].family == family)
    };
    let owners = world.ecs.services.iter().enumerate();
    let owners =
        owners.filter(|(index, s)| s.cluster == cluster && service.is_none_or(|wanted| wanted == *index));
    let all = owners.flat_map(|(_, s)| &s.tasks).map(|&task| &world.ecs.tasks[task]);
    let mut arns: Vec<Value> = all.filter(|task| fits(task)).map(|task| task.arn.clone().into()).collect();
    let alone = |it: &&OneOffTask| {
        (desired == "RUNNING" && it.should_run || desired == "STOPPED" && !it.should_run)
            && it.cluster == cluster
            && service.is_none()
            && is_visible(&it.times, now)
            && started_by.is_none_or(|id| it.started_by.as_deref() == Some(id))
            && family.is_none_or(|family| world.ecs.definitions[it.definition].family == family)
    };
    arns.extend(world.ecs.one_off_tasks.iter().filter(alone).map(|it| Value::from(it.arn.clone())));
    paginate(input, &arns, "taskArns", 100)
}

fn is_visible(times: &TaskTimes, now: f64) -> bool {
    times.stopped.is_none_or(|at| now - at < STOPPED_TASK_RETENTION)
}

/// The task of no service that a call names, by id or ARN.
fn find_one_off(world: &World, cluster: usize, name: &str, now: f64) -> Option<usize> {
    let id = name.rsplit_once('/').map_or(name, |(_, id)| id);
    let fits = |it: &OneOffTask| it.id == id && it.cluster == cluster && is_visible(&it.times, now);
    world.ecs.one_off_tasks.iter().position(fits)
}

/// The task that a call names, by id or ARN.
fn find_task(world: &World, cluster: usize, name: &str) -> Option<usize> {
    let id = name.rsplit_once('/').map_or(name, |(_, id)| id);
    let task = *world.ecs.task_ids.get(id)?;
    let service = &world.ecs.services[world.ecs.tasks[task].service];
    (service.cluster == cluster && service.tasks.contains(&task)).then_some(task)
}

/// The task that a call names as the API shows it, whether or not a service started it.
pub(crate) fn find_response(world: &World, cluster: usize, name: &str, now: f64) -> Option<Value> {
    let of_service = find_task(world, cluster, name).map(|task| task_response(world, task));
    of_service.or_else(|| Some(one_off_response(world, find_one_off(world, cluster, name, now)?)))
}

/// DescribeTasks, at most 100.
pub(crate) fn describe(world: &World, input: &Value, now: f64) -> ServiceResult {
    let cluster = clusters::find_cluster(world, input)?;
    let asked = str_list_field(input, "tasks");
    if asked.is_empty() {
        return Err(ServiceError::new("InvalidParameterException", "Tasks can not be empty."));
    }
    if asked.len() > 100 {
        return Err(ServiceError::new("InvalidParameterException", "Tasks can have at most 100 items."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in asked {
        match find_response(world, cluster, name, now) {
            Some(task) => found.push(task),
            None => {
                let cluster = &world.ecs.clusters[cluster];
                let id = name.rsplit_once('/').map_or(name, |(_, id)| id);
                let arn = format!("arn:aws:ecs:{}:{}:task/{cluster}/{id}", world.region, world.account);
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"tasks": found, "failures": failures}))
}

/// StopTask: the service starts another one.
pub(crate) fn stop_task(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let cluster = clusters::find_cluster(world, input)?;
    let name = str_field(input, "task").unwrap_or_default();
    let reason = str_field(input, "reason").unwrap_or("Task stopped by user").to_string();
    if let Some(task) = find_one_off(world, cluster, name, now) {
        one_off::stop_task(world, task, "UserInitiated", &reason, now);
        return Ok(json!({"task": one_off_response(world, task)}));
    }
    let task = find_task(world, cluster, name).ok_or_else(|| {
        ServiceError::new("InvalidParameterException", "The referenced task was not found.")
    })?;
    tasks::stop_task(world, task, "UserInitiated", &reason, now);
    Ok(json!({"task": task_response(world, task)}))
}

/// What both kinds of task show of themselves.
struct TaskView<'a> {
    id: &'a str,
    arn: &'a str,
    definition: usize,
    last_status: &'static str,
    health: &'static str,
    ip: &'a str,
    attachment: &'a str,
    times: &'a TaskTimes,
    containers: &'a [TaskContainer],
}

impl<'a> TaskView<'a> {
    fn from_task(it: &'a Task) -> Self {
        Self {
            id: &it.id,
            arn: &it.arn,
            definition: it.definition,
            last_status: it.last_status,
            health: it.health,
            ip: &it.ip,
            attachment: &it.attachment,
            times: &it.times,
            containers: &it.containers,
        }
    }

    fn from_one_off(it: &'a OneOffTask) -> Self {
        Self {
            id: &it.id,
            arn: &it.arn,
            definition: it.definition,
            last_status: it.last_status,
            health: "UNKNOWN",
            ip: &it.ip,
            attachment: &it.attachment,
            times: &it.times,
            containers: &it.containers,
        }
    }

    fn write_to(&self, world: &World, shape: &mut Map<String, Value>) {
        insert_times(shape, self);
        let own_interface = has_own_interface(world, self.definition);
        let attachments = own_interface.then(|| attachment_response(self));
        shape.insert("attachments".into(), attachments.into_iter().collect());
        let containers = (0..self.containers.len()).map(|place| container_response(world, self, place));
        shape.insert("containers".into(), containers.collect());
    }
}

/// `Task` of RunTask.
pub(crate) fn one_off_response(world: &World, index: usize) -> Value {
    let it = &world.ecs.one_off_tasks[index];
    let definition = &world.ecs.definitions[it.definition];
    let mut shape = it.members.clone();
    shape.insert("taskArn".into(), it.arn.clone().into());
    shape.insert("clusterArn".into(), clusters::cluster_arn(world, it.cluster).into());
    shape.insert("taskDefinitionArn".into(), definition.arn.clone().into());
    shape.insert("group".into(), it.group.clone().into());
    insert_some(&mut shape, "startedBy", it.started_by.clone().map(Value::from));
    shape.insert("lastStatus".into(), it.last_status.into());
    shape.insert("desiredStatus".into(), if it.should_run { "RUNNING" } else { "STOPPED" }.into());
    shape.insert("healthStatus".into(), "UNKNOWN".into());
    shape.insert("version".into(), it.change_count.into());
    for member in ["cpu", "memory"] {
        insert_some(&mut shape, member, definition.response.get(member).cloned());
    }
    insert_some(&mut shape, "stopCode", it.stop_code.map(Value::from));
    insert_some(&mut shape, "stoppedReason", it.stopped_reason.clone().map(Value::from));
    TaskView::from_one_off(it).write_to(world, &mut shape);
    Value::Object(shape)
}

/// `Task`.
fn task_response(world: &World, index: usize) -> Value {
    let ecs = &world.ecs;
    let it = &ecs.tasks[index];
    let service = &ecs.services[it.service];
    let revision = &ecs.revisions[ecs.deployments[it.deployment].revision];
    let definition = &ecs.definitions[it.definition];
    let mut shape = Map::new();
    shape.insert("taskArn".into(), it.arn.clone().into());
    shape.insert("clusterArn".into(), clusters::cluster_arn(world, service.cluster).into());
    shape.insert("taskDefinitionArn".into(), definition.arn.clone().into());
    shape.insert("group".into(), format!("service:{}", service.name).into());
    shape.insert("startedBy".into(), ecs.deployments[it.deployment].id.clone().into());
    shape.insert("lastStatus".into(), it.last_status.into());
    shape.insert("desiredStatus".into(), if it.should_run { "RUNNING" } else { "STOPPED" }.into());
    shape.insert("healthStatus".into(), it.health.into());
    shape.insert("version".into(), it.change_count.into());
    shape.insert("overrides".into(), json!({"containerOverrides": [], "inferenceAcceleratorOverrides": []}));
    shape.insert("attributes".into(), json!([{"name": "ecs.cpu-architecture", "value": "x86_64"}]));
    let zone = if it.in_second_zone && !ecs.disabled_zone_groups.is_empty() { "b" } else { "a" };
    shape.insert("availabilityZone".into(), format!("{}{zone}", world.region).into());
    shape.insert("enableExecuteCommand".into(), it.takes_commands.into());
    shape.insert("tags".into(), json!([]));
    for member in ["launchType", "platformFamily"] {
        insert_some(&mut shape, member, revision.members.get(member).cloned());
    }
    let version = revision
        .members
        .get("platformVersion")
        .map(|v| if v == "LATEST" { "1.4.0".into() } else { v.clone() });
    insert_some(&mut shape, "platformVersion", version);
    for member in ["cpu", "memory"] {
        insert_some(&mut shape, member, definition.response.get(member).cloned());
    }
    insert_some(&mut shape, "stopCode", it.stop_code.map(Value::from));
    insert_some(&mut shape, "stoppedReason", it.stopped_reason.clone().map(Value::from));
    TaskView::from_task(it).write_to(world, &mut shape);
    Value::Object(shape)
}

fn insert_times(shape: &mut Map<String, Value>, it: &TaskView<'_>) {
    shape.insert("createdAt".into(), timestamp(it.times.created));
    if it.times.pull_started.is_some() {
        shape.insert("connectivity".into(), "CONNECTED".into());
    }
    for (member, at) in [
        ("connectivityAt", it.times.pull_started),
        ("pullStartedAt", it.times.pull_started),
        ("pullStoppedAt", it.times.pull_stopped),
        ("startedAt", it.times.started),
        ("stoppingAt", it.times.stopping),
        ("executionStoppedAt", it.times.execution_stopped),
        ("stoppedAt", it.times.stopped),
    ] {
        insert_some(shape, member, at.map(timestamp));
    }
}

/// A task has a network interface of its own in the mode awsvpc only.
fn has_own_interface(world: &World, definition: usize) -> bool {
    world.ecs.definitions[definition].response["networkMode"] == "awsvpc"
}

fn attachment_response(it: &TaskView<'_>) -> Value {
    let status = match it.last_status {
        "PROVISIONING" => "ATTACHING",
        "STOPPED" => "DELETED",
        _ => "ATTACHED",
    };
    json!({
        "id": it.attachment,
        "type": "ElasticNetworkInterface",
        "status": status,
        "details": [{"name": "privateIPv4Address", "value": it.ip}],
    })
}

fn container_response(world: &World, it: &TaskView<'_>, place: usize) -> Value {
    let definition = &world.ecs.definitions[it.definition].containers[place];
    let running = &it.containers[place];
    let last = match it.last_status {
        "PROVISIONING" | "PENDING" => "PENDING",
        // A container that has ended says so, also while others of its task run.
        "RUNNING" if running.exit_code.is_some() => "STOPPED",
        "RUNNING" | "DEACTIVATING" | "STOPPING" => "RUNNING",
        _ => "STOPPED",
    };
    let checked = definition.health_check;
    let mut shape = Map::new();
    shape.insert(
        "containerArn".into(),
        format!("{}/{}", it.arn.replacen(":task/", ":container/", 1), place).into(),
    );
    shape.insert("taskArn".into(), it.arn.into());
    shape.insert("name".into(), definition.name.clone().into());
    shape.insert("image".into(), definition.image.clone().into());
    insert_some(&mut shape, "imageDigest", running.digest.clone().map(Value::from));
    insert_some(&mut shape, "runtimeId", it.times.started.map(|_| format!("{}-{place}", it.id).into()));
    shape.insert("lastStatus".into(), last.into());
    insert_some(&mut shape, "exitCode", running.exit_code.map(Value::from));
    insert_some(&mut shape, "reason", running.reason.clone().map(Value::from));
    shape.insert("networkBindings".into(), json!([]));
    let interface = json!({"attachmentId": it.attachment, "privateIpv4Address": it.ip});
    let interfaces = has_own_interface(world, it.definition).then_some(interface);
    shape.insert("networkInterfaces".into(), interfaces.into_iter().collect());
    shape.insert("healthStatus".into(), if checked { it.health } else { "UNKNOWN" }.into());
    shape.insert("cpu".into(), "0".into());
    Value::Object(shape)
}

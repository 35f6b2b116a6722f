//! Tasks as the API lists, shows and stops them, with the traps of the real filters.

use serde_json::{Map, Value, json};

use super::super::call::{Answer, Refusal};
use super::super::world::World;
use super::one_off::{self, OneOff};
use super::state::{Running, Task, Times};
use super::{clusters, page, put, services, stamp, tasks, text, texts};

/// Stopped tasks stay visible for this many seconds.
const REMEMBERED: f64 = 3600.0;

/// ListTasks: desired status RUNNING unless STOPPED is asked for; PENDING never matches; `startedBy` stands alone.
pub(super) fn list(world: &World, input: &Value, now: f64) -> Answer {
    let cluster = clusters::find(world, input)?;
    let started_by = text(input, "startedBy");
    let name = text(input, "serviceName");
    if started_by.is_some() && (name.is_some() || text(input, "family").is_some()) {
        let message = "Cannot filter by startedBy with any other filter.";
        return Err(Refusal::new("InvalidParameterException", message));
    }
    let service = match name {
        Some(name) => Some(
            services::named(&world.ecs, cluster, name)
                .ok_or_else(|| Refusal::new("ServiceNotFoundException", "Service not found."))?,
        ),
        None => None,
    };
    let desired = text(input, "desiredStatus").unwrap_or("RUNNING");
    let family = text(input, "family");
    let fits = |task: &Task| {
        (desired == "RUNNING" && task.wanted || desired == "STOPPED" && !task.wanted)
            && remembered(&task.times, now)
            && started_by.is_none_or(|id| world.ecs.deployments[task.deployment].id == id)
            && family.is_none_or(|family| world.ecs.definitions[task.definition].family == family)
    };
    let owners = world.ecs.services.iter().enumerate();
    let owners =
        owners.filter(|(index, s)| s.cluster == cluster && service.is_none_or(|wanted| wanted == *index));
    let all = owners.flat_map(|(_, s)| &s.tasks).map(|&task| &world.ecs.tasks[task]);
    let mut arns: Vec<Value> = all.filter(|task| fits(task)).map(|task| task.arn.clone().into()).collect();
    let alone = |it: &&OneOff| {
        (desired == "RUNNING" && it.wanted || desired == "STOPPED" && !it.wanted)
            && it.cluster == cluster
            && service.is_none()
            && remembered(&it.times, now)
            && started_by.is_none_or(|id| it.started_by.as_deref() == Some(id))
            && family.is_none_or(|family| world.ecs.definitions[it.definition].family == family)
    };
    arns.extend(world.ecs.one_offs.iter().filter(alone).map(|it| Value::from(it.arn.clone())));
    page(input, &arns, "taskArns", 100)
}

fn remembered(times: &Times, now: f64) -> bool {
    times.stopped.is_none_or(|at| now - at < REMEMBERED)
}

/// The task of no service that a call names, by id or ARN.
fn alone(world: &World, cluster: usize, name: &str, now: f64) -> Option<usize> {
    let id = name.rsplit_once('/').map_or(name, |(_, id)| id);
    let fits = |it: &OneOff| it.id == id && it.cluster == cluster && remembered(&it.times, now);
    world.ecs.one_offs.iter().position(fits)
}

/// The task that a call names, by id or ARN.
fn find(world: &World, cluster: usize, name: &str) -> Option<usize> {
    let id = name.rsplit_once('/').map_or(name, |(_, id)| id);
    let task = *world.ecs.task_ids.get(id)?;
    let service = &world.ecs.services[world.ecs.tasks[task].service];
    (service.cluster == cluster && service.tasks.contains(&task)).then_some(task)
}

/// DescribeTasks, at most 100.
pub(super) fn describe(world: &World, input: &Value, now: f64) -> Answer {
    let cluster = clusters::find(world, input)?;
    let asked = texts(input, "tasks");
    if asked.is_empty() {
        return Err(Refusal::new("InvalidParameterException", "Tasks can not be empty."));
    }
    if asked.len() > 100 {
        return Err(Refusal::new("InvalidParameterException", "Tasks can have at most 100 items."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in asked {
        let known = find(world, cluster, name).map(|task| shape(world, task));
        let known = known.or_else(|| Some(one_off(world, alone(world, cluster, name, now)?)));
        match known {
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
pub(super) fn stop(world: &mut World, input: &Value, now: f64) -> Answer {
    let cluster = clusters::find(world, input)?;
    let name = text(input, "task").unwrap_or_default();
    let reason = text(input, "reason").unwrap_or("Task stopped by user").to_string();
    if let Some(task) = alone(world, cluster, name, now) {
        one_off::stop(world, task, "UserInitiated", &reason, now);
        return Ok(json!({"task": one_off(world, task)}));
    }
    let task = find(world, cluster, name)
        .ok_or_else(|| Refusal::new("InvalidParameterException", "The referenced task was not found."))?;
    tasks::stop(world, task, "UserInitiated", &reason, now);
    Ok(json!({"task": shape(world, task)}))
}

/// What both kinds of task show of themselves.
struct Face<'a> {
    id: &'a str,
    arn: &'a str,
    definition: usize,
    last: &'static str,
    health: &'static str,
    ip: &'a str,
    attachment: &'a str,
    times: &'a Times,
    containers: &'a [Running],
}

impl<'a> Face<'a> {
    fn of(it: &'a Task) -> Self {
        Self {
            id: &it.id,
            arn: &it.arn,
            definition: it.definition,
            last: it.last,
            health: it.health,
            ip: &it.ip,
            attachment: &it.attachment,
            times: &it.times,
            containers: &it.containers,
        }
    }

    fn alone(it: &'a OneOff) -> Self {
        Self {
            id: &it.id,
            arn: &it.arn,
            definition: it.definition,
            last: it.last,
            health: "UNKNOWN",
            ip: &it.ip,
            attachment: &it.attachment,
            times: &it.times,
            containers: &it.containers,
        }
    }

    fn show(&self, world: &World, shape: &mut Map<String, Value>) {
        times(shape, self);
        shape.insert("attachments".into(), json!([attachment(self)]));
        let containers = (0..self.containers.len()).map(|place| container(world, self, place));
        shape.insert("containers".into(), containers.collect());
    }
}

/// `Task` of RunTask.
pub(super) fn one_off(world: &World, index: usize) -> Value {
    let it = &world.ecs.one_offs[index];
    let definition = &world.ecs.definitions[it.definition];
    let mut shape = it.members.clone();
    shape.insert("taskArn".into(), it.arn.clone().into());
    shape.insert("clusterArn".into(), clusters::arn(world, it.cluster).into());
    shape.insert("taskDefinitionArn".into(), definition.arn.clone().into());
    shape.insert("group".into(), it.group.clone().into());
    put(&mut shape, "startedBy", it.started_by.clone().map(Value::from));
    shape.insert("lastStatus".into(), it.last.into());
    shape.insert("desiredStatus".into(), if it.wanted { "RUNNING" } else { "STOPPED" }.into());
    shape.insert("healthStatus".into(), "UNKNOWN".into());
    shape.insert("version".into(), it.changes.into());
    for member in ["cpu", "memory"] {
        put(&mut shape, member, definition.shown.get(member).cloned());
    }
    put(&mut shape, "stopCode", it.stop_code.map(Value::from));
    put(&mut shape, "stoppedReason", it.stopped_reason.clone().map(Value::from));
    Face::alone(it).show(world, &mut shape);
    Value::Object(shape)
}

/// `Task`.
fn shape(world: &World, index: usize) -> Value {
    let ecs = &world.ecs;
    let it = &ecs.tasks[index];
    let service = &ecs.services[it.service];
    let revision = &ecs.revisions[ecs.deployments[it.deployment].revision];
    let definition = &ecs.definitions[it.definition];
    let mut shape = Map::new();
    shape.insert("taskArn".into(), it.arn.clone().into());
    shape.insert("clusterArn".into(), clusters::arn(world, service.cluster).into());
    shape.insert("taskDefinitionArn".into(), definition.arn.clone().into());
    shape.insert("group".into(), format!("service:{}", service.name).into());
    shape.insert("startedBy".into(), ecs.deployments[it.deployment].id.clone().into());
    shape.insert("lastStatus".into(), it.last.into());
    shape.insert("desiredStatus".into(), if it.wanted { "RUNNING" } else { "STOPPED" }.into());
    shape.insert("healthStatus".into(), it.health.into());
    shape.insert("version".into(), it.changes.into());
    shape.insert("overrides".into(), json!({"containerOverrides": [], "inferenceAcceleratorOverrides": []}));
    shape.insert("attributes".into(), json!([{"name": "ecs.cpu-architecture", "value": "x86_64"}]));
    shape.insert("availabilityZone".into(), format!("{}a", world.region).into());
    shape.insert("enableExecuteCommand".into(), false.into());
    shape.insert("tags".into(), json!([]));
    for member in ["launchType", "platformFamily"] {
        put(&mut shape, member, revision.members.get(member).cloned());
    }
    let version = revision
        .members
        .get("platformVersion")
        .map(|v| if v == "LATEST" { "1.4.0".into() } else { v.clone() });
    put(&mut shape, "platformVersion", version);
    for member in ["cpu", "memory"] {
        put(&mut shape, member, definition.shown.get(member).cloned());
    }
    put(&mut shape, "stopCode", it.stop_code.map(Value::from));
    put(&mut shape, "stoppedReason", it.stopped_reason.clone().map(Value::from));
    Face::of(it).show(world, &mut shape);
    Value::Object(shape)
}

fn times(shape: &mut Map<String, Value>, it: &Face<'_>) {
    shape.insert("createdAt".into(), stamp(it.times.created));
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
        put(shape, member, at.map(stamp));
    }
}

fn attachment(it: &Face<'_>) -> Value {
    let status = match it.last {
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

fn container(world: &World, it: &Face<'_>, place: usize) -> Value {
    let definition = &world.ecs.definitions[it.definition].containers[place];
    let running = &it.containers[place];
    let last = match it.last {
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
    put(&mut shape, "imageDigest", running.digest.clone().map(Value::from));
    put(&mut shape, "runtimeId", it.times.started.map(|_| format!("{}-{place}", it.id).into()));
    shape.insert("lastStatus".into(), last.into());
    put(&mut shape, "exitCode", running.exit_code.map(Value::from));
    put(&mut shape, "reason", running.reason.clone().map(Value::from));
    shape.insert("networkBindings".into(), json!([]));
    let interface = json!({"attachmentId": it.attachment, "privateIpv4Address": it.ip});
    shape.insert("networkInterfaces".into(), json!([interface]));
    shape.insert("healthStatus".into(), if checked { it.health } else { "UNKNOWN" }.into());
    shape.insert("cpu".into(), "0".into());
    Value::Object(shape)
}

//! Services and tasks that exist when the world begins: as if they had been deployed a day earlier.

use serde_json::{Map, Value, json};

use super::super::balancers;
use super::super::faults::Fate;
use super::super::scenario;
use super::super::world::World;
use super::events::note;
use super::state::Status;
use super::{rollout, services, surroundings, task_definitions, tasks, validation};

/// What a service runs, in the words of RegisterTaskDefinition: its own definition, or a small one made for it.
pub fn definition(setting: &scenario::Service, account: &str, region: &str) -> Value {
    if let Some(given) = &setting.task_definition {
        return given.clone();
    }
    let name = &setting.name;
    let image = format!("{account}.dkr.ecr.{region}.amazonaws.com/{name}:v1");
    let ports: Vec<Value> = setting
        .target_groups
        .iter()
        .map(|group| json!({"containerPort": group.port.unwrap_or(8080)}))
        .collect();
    json!({
        "family": name,
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": format!("arn:aws:iam::{account}:role/ecsTaskExecutionRole"),
        "containerDefinitions": [{
            "name": setting.container,
            "image": setting.image.clone().unwrap_or(image),
            "essential": true,
            "portMappings": ports,
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": format!("/ecs/{name}"),
                "awslogs-region": region,
                "awslogs-stream-prefix": "ecs",
            }},
        }],
    })
}

/// What AWS would say against a service of a scenario.
pub fn check(setting: &scenario::Service, account: &str, region: &str) -> Result<(), String> {
    validation::check(&definition(setting, account, region))
        .map_err(|refusal| format!("services: {}: {}", setting.name, refusal.message))
}

/// Enter a cluster once.
pub fn cluster(world: &mut World, name: &str) -> usize {
    match world.ecs.clusters.iter().position(|cluster| cluster == name) {
        Some(known) => known,
        None => {
            world.ecs.clusters.push(name.into());
            world.ecs.clusters.len() - 1
        }
    }
}

/// Enter a service with its first deployment and its tasks, all begun before `now`.
pub fn service(world: &mut World, setting: &scenario::Service, now: f64) {
    let before = now - 86_400.0;
    let cluster = cluster(world, &setting.cluster);
    let input = definition(setting, &world.account, &world.region);
    let caller = world.caller.clone();
    let definition = task_definitions::enter(world, &input, &caller, before);
    let members = members(world, setting);
    let service = services::enter(world, cluster, &setting.name, definition, &members, before);
    let it = &mut world.ecs.services[service];
    it.desired = setting.desired;
    it.founding = Some(definition);
    it.controller.clone_from(&setting.controller);
    it.status = match setting.status.as_str() {
        "DRAINING" => "DRAINING",
        "INACTIVE" => "INACTIVE",
        _ => "ACTIVE",
    };
    let revision = rollout::revise(world, service, before);
    let index = rollout::enter(world, service, revision, Vec::new(), before);
    let deployment = rollout::promote(world, service, revision, index, before);
    world.ecs.rollouts[index].deployment = deployment;
    if setting.completed {
        completed(world, service, index, deployment, before);
        for _ in 0..setting.desired {
            task(world, deployment, before);
        }
    } else {
        failed(world, index, deployment, before);
    }
}

fn members(world: &World, setting: &scenario::Service) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("launchType".into(), setting.launch_type.clone().into());
    members.insert("deploymentConfiguration".into(), configuration(&setting.deployment));
    if setting.launch_type == "FARGATE" {
        let network = json!({"subnets": ["subnet-0a1b2c3d"], "securityGroups": ["sg-0a1b2c3d"], "assignPublicIp": "DISABLED"});
        members.insert("networkConfiguration".into(), json!({"awsvpcConfiguration": network}));
    }
    if let Some(grace) = setting.health_check_grace {
        members.insert("healthCheckGracePeriodSeconds".into(), grace.into());
    }
    let all = setting.target_groups.iter().map(|group| {
        let (container, port) = listener(setting, group);
        let arn = balancers::target_group(world, &group.arn);
        let mut it = json!({"targetGroupArn": arn, "containerName": container, "containerPort": port});
        if let Some(advanced) = balancers::advanced(world, group) {
            it["advancedConfiguration"] = advanced;
        }
        it
    });
    members.insert("loadBalancers".into(), all.collect());
    members
}

/// Container and port behind a target group: as set, else the first container with a port that the definition has.
fn listener(setting: &scenario::Service, group: &scenario::TargetGroup) -> (String, u64) {
    let containers = setting.task_definition.as_ref().and_then(|it| it["containerDefinitions"].as_array());
    let port_of = |it: &Value| it["portMappings"][0]["containerPort"].as_u64();
    let named = |it: &&Value| group.container.as_ref().is_none_or(|name| it["name"] == *name);
    let found = containers.into_iter().flatten().filter(named).find(|it| port_of(it).is_some());
    let name = found.and_then(|it| it["name"].as_str()).unwrap_or(&setting.container);
    let container = group.container.clone().unwrap_or_else(|| name.into());
    (container, group.port.map(u64::from).or(found.and_then(port_of)).unwrap_or(8080))
}

fn configuration(setting: &scenario::DeploymentSetting) -> Value {
    let mut configuration = Map::new();
    if let Some(least) = setting.minimum_healthy_percent {
        configuration.insert("minimumHealthyPercent".into(), least.into());
    }
    if let Some(most) = setting.maximum_percent {
        configuration.insert("maximumPercent".into(), most.into());
    }
    if let Some(breaker) = &setting.circuit_breaker {
        let threshold = breaker.threshold.as_ref();
        let (kind, value) = threshold.map_or(("BOUNDED_PERCENT", 50), |t| (t.kind.as_str(), t.value));
        let breaker = json!({
            "enable": breaker.enable,
            "rollback": breaker.rollback,
            "resetOnHealthyTask": breaker.reset_on_healthy_task,
            "thresholdConfiguration": {"type": kind, "value": value},
        });
        configuration.insert("deploymentCircuitBreaker".into(), breaker);
    }
    if let Some(alarms) = &setting.alarms {
        let alarms =
            json!({"alarmNames": alarms.names, "enable": alarms.enable, "rollback": alarms.rollback});
        configuration.insert("alarms".into(), alarms);
    }
    Value::Object(configuration)
}

fn completed(world: &mut World, service: usize, rollout: usize, deployment: usize, at: f64) {
    let it = &mut world.ecs.rollouts[rollout];
    it.status = Status::Successful;
    (it.started_at, it.finished_at, it.updated_at) = (Some(at), Some(at + 120.0), at + 120.0);
    let it = &mut world.ecs.deployments[deployment];
    (it.state, it.updated_at) = ("COMPLETED", at + 120.0);
    it.reason = format!("ECS deployment {} completed.", it.id);
    world.ecs.services[service].completed = Some(deployment);
    world.ecs.services[service].steady = true;
    note(world, service, "has reached a steady state.", at + 120.0);
}

fn failed(world: &mut World, rollout: usize, deployment: usize, at: f64) {
    let it = &mut world.ecs.rollouts[rollout];
    it.status = Status::Stopped;
    it.status_reason = "Service deployment failed, and no rollback was possible or configured.".into();
    (it.started_at, it.stopped_at, it.finished_at, it.updated_at) =
        (Some(at), Some(at + 300.0), Some(at + 300.0), at + 300.0);
    let it = &mut world.ecs.deployments[deployment];
    (it.state, it.stalled, it.updated_at) = ("FAILED", true, at + 300.0);
    it.reason = "ECS deployment circuit breaker: tasks failed to start.".into();
}

/// A task that has been running and healthy since `at`.
fn task(world: &mut World, deployment: usize, at: f64) {
    let task = tasks::create(world, deployment, Fate::Well, at);
    let revision = world.ecs.deployments[deployment].revision;
    let digests: Vec<_> =
        world.ecs.revisions[revision].images.iter().map(|(_, _, digest)| digest.clone()).collect();
    let definition = world.ecs.tasks[task].definition;
    let checked = world.ecs.definitions[definition].containers.iter().any(|c| c.health_check);
    let it = &mut world.ecs.tasks[task];
    (it.last, it.healthy) = ("RUNNING", true);
    it.health = if checked { "HEALTHY" } else { "UNKNOWN" };
    (it.times.pull_started, it.times.pull_stopped, it.times.started) =
        (Some(at + 4.0), Some(at + 15.0), Some(at + 22.0));
    for (container, digest) in it.containers.iter_mut().zip(digests) {
        container.digest = digest;
    }
    surroundings::register(world, task);
    surroundings::turn(world, task, "healthy", "", "");
    surroundings::log(world, task, &["listening".into()], at + 22.0);
}

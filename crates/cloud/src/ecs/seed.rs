//! Services and tasks that exist when the world begins: as if they had been deployed a day earlier.

use serde_json::{Map, Value, json};

use super::super::elbv2::balancers;
use super::super::faults::TaskOutcome;
use super::super::world::World;
use super::service_events::add_event;
use super::state::ServiceDeploymentStatus;
use super::{
    definition_shape, definition_validation, deployment_start, scenario, scheduler, services, side_effects,
    task_definitions, tasks,
};

/// What a service runs, in the words of RegisterTaskDefinition: its own definition, or a small one made for it.
pub fn task_definition_input(setting: &scenario::ServiceSetting, account: &str, region: &str) -> Value {
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
pub fn check_service(setting: &scenario::ServiceSetting, account: &str, region: &str) -> Result<(), String> {
    definition_shape::conform(&task_definition_input(setting, account, region))
        .and_then(|input| definition_validation::validate_definition(&input))
        .map_err(|refusal| format!("services: {}: {}", setting.name, refusal.message))
}

/// Enter a cluster once.
pub fn seed_cluster(world: &mut World, name: &str) -> usize {
    match world.ecs.clusters.iter().position(|cluster| cluster == name) {
        Some(known) => known,
        None => {
            world.ecs.clusters.push(name.into());
            world.ecs.clusters.len() - 1
        }
    }
}

/// Enter a service with its first deployment and its tasks, all begun before `now`.
pub fn seed_service(world: &mut World, setting: &scenario::ServiceSetting, now: f64) {
    let before = now - 86_400.0;
    let cluster = seed_cluster(world, &setting.cluster);
    let input = task_definition_input(setting, &world.account, &world.region);
    let caller = world.caller.clone();
    let definition = task_definitions::add_revision(world, &input, &caller, before);
    let members = service_members(world, setting, &world.ecs.definitions[definition].response);
    let service = services::register(world, cluster, &setting.name, definition, &members, before);
    let it = &mut world.ecs.services[service];
    it.desired = setting.desired;
    it.seed_definition = Some(definition);
    it.controller.clone_from(&setting.controller);
    it.status = match setting.status.as_str() {
        "DRAINING" => "DRAINING",
        "INACTIVE" => "INACTIVE",
        _ => "ACTIVE",
    };
    let groups = setting.target_groups.iter().filter(|group| group.disabled_zone);
    let groups: Vec<String> = groups.map(|group| balancers::target_group_arn(world, &group.arn)).collect();
    world.ecs.disabled_zone_groups.extend(groups);
    let revision = deployment_start::create_revision(world, service, before);
    let index = deployment_start::register(world, service, revision, Vec::new(), before);
    let deployment = deployment_start::create_primary(world, service, revision, index, before);
    world.ecs.service_deployments[index].deployment = deployment;
    if setting.completed {
        mark_completed(world, service, index, deployment, before);
        seed_tasks(world, setting, deployment, now);
    } else {
        mark_failed(world, index, deployment, before);
    }
    if setting.deregistered {
        task_definitions::deactivate(&mut world.ecs.definitions[definition], now - 3600.0);
    }
}

/// The tasks that run when the world begins. What is missing is started by the scheduler.
fn seed_tasks(world: &mut World, setting: &scenario::ServiceSetting, deployment: usize, now: f64) {
    let running = setting.running.map_or(setting.desired, |running| running.min(setting.desired));
    for _ in 0..running {
        seed_task(world, deployment, now - 86_400.0);
    }
    if running < setting.desired {
        let service = world.ecs.deployments[deployment].service;
        world.ecs.services[service].is_steady = false;
        scheduler::reconcile_later(world, service, now);
    }
}

fn service_members(
    world: &World,
    setting: &scenario::ServiceSetting,
    definition: &Value,
) -> Map<String, Value> {
    let mut members = Map::new();
    match setting.capacity_providers.as_slice() {
        [] => members.insert("launchType".into(), setting.launch_type.as_deref().unwrap_or("FARGATE").into()),
        providers => {
            let strategy =
                providers.iter().map(|name| json!({"capacityProvider": name, "weight": 1, "base": 0}));
            members.insert("capacityProviderStrategy".into(), strategy.collect())
        }
    };
    if !setting.service_connect.is_empty() {
        let ports = setting.service_connect.iter().map(|name| json!({"portName": name}));
        let ports: Vec<Value> = ports.collect();
        let connect = json!({"enabled": true, "namespace": "default", "services": ports});
        members.insert("serviceConnectConfiguration".into(), connect);
    }
    members.insert("deploymentConfiguration".into(), deployment_configuration(&setting.deployment));
    if definition["networkMode"] == "awsvpc" {
        let network = json!({"subnets": ["subnet-0a1b2c3d"], "securityGroups": ["sg-0a1b2c3d"], "assignPublicIp": "DISABLED"});
        members.insert("networkConfiguration".into(), json!({"awsvpcConfiguration": network}));
    }
    if let Some(grace) = setting.health_check_grace {
        members.insert("healthCheckGracePeriodSeconds".into(), grace.into());
    }
    let all = setting.target_groups.iter().map(|group| {
        let (container, port) = container_and_port(setting, group);
        let arn = balancers::target_group_arn(world, &group.arn);
        let mut it = json!({"targetGroupArn": arn, "containerName": container, "containerPort": port});
        if let Some(advanced) = balancers::advanced_configuration(world, group) {
            it["advancedConfiguration"] = advanced;
        }
        it
    });
    members.insert("loadBalancers".into(), all.collect());
    members
}

/// Container and port behind a target group: as set, else the first container with a port that the definition has.
fn container_and_port(
    setting: &scenario::ServiceSetting,
    group: &scenario::TargetGroupSetting,
) -> (String, u64) {
    let containers = setting.task_definition.as_ref().and_then(|it| it["containerDefinitions"].as_array());
    let port_of = |it: &Value| it["portMappings"][0]["containerPort"].as_u64();
    let named = |it: &&Value| group.container.as_ref().is_none_or(|name| it["name"] == *name);
    let found = containers.into_iter().flatten().filter(named).find(|it| port_of(it).is_some());
    let name = found.and_then(|it| it["name"].as_str()).unwrap_or(&setting.container);
    let container = group.container.clone().unwrap_or_else(|| name.into());
    (container, group.port.map(u64::from).or(found.and_then(port_of)).unwrap_or(8080))
}

fn deployment_configuration(setting: &scenario::DeploymentSetting) -> Value {
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

fn mark_completed(world: &mut World, service: usize, rollout: usize, deployment: usize, at: f64) {
    let it = &mut world.ecs.service_deployments[rollout];
    it.status = ServiceDeploymentStatus::Successful;
    (it.started_at, it.finished_at, it.updated_at) = (Some(at), Some(at + 120.0), at + 120.0);
    let it = &mut world.ecs.deployments[deployment];
    (it.state, it.updated_at) = ("COMPLETED", at + 120.0);
    it.reason = format!("ECS deployment {} completed.", it.id);
    world.ecs.services[service].last_completed = Some(deployment);
    world.ecs.services[service].is_steady = true;
    add_event(world, service, "has reached a steady state.", at + 120.0);
}

fn mark_failed(world: &mut World, rollout: usize, deployment: usize, at: f64) {
    let it = &mut world.ecs.service_deployments[rollout];
    it.status = ServiceDeploymentStatus::Stopped;
    it.status_reason = "Service deployment failed, and no rollback was possible or configured.".into();
    (it.started_at, it.stopped_at, it.finished_at, it.updated_at) =
        (Some(at), Some(at + 300.0), Some(at + 300.0), at + 300.0);
    let it = &mut world.ecs.deployments[deployment];
    (it.state, it.is_stalled, it.updated_at) = ("FAILED", true, at + 300.0);
    it.reason = "ECS deployment circuit breaker: tasks failed to start.".into();
}

/// A task that has been running and healthy since `at`.
fn seed_task(world: &mut World, deployment: usize, at: f64) {
    let task = tasks::create_task(world, deployment, TaskOutcome::Healthy, at);
    let revision = world.ecs.deployments[deployment].revision;
    let digests: Vec<_> =
        world.ecs.revisions[revision].images.iter().map(|(_, _, digest)| digest.clone()).collect();
    let definition = world.ecs.tasks[task].definition;
    let checked = world.ecs.definitions[definition].containers.iter().any(|c| c.health_check);
    let it = &mut world.ecs.tasks[task];
    (it.last_status, it.healthy) = ("RUNNING", true);
    it.health = if checked { "HEALTHY" } else { "UNKNOWN" };
    (it.times.pull_started, it.times.pull_stopped, it.times.started) =
        (Some(at + 4.0), Some(at + 15.0), Some(at + 22.0));
    for (container, digest) in it.containers.iter_mut().zip(digests) {
        container.digest = digest;
    }
    side_effects::register_targets(world, task);
    side_effects::set_target_state(world, task, "healthy", "", "");
    side_effects::write_logs(world, task, None, &["listening".into()], at + 22.0);
}

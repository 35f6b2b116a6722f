//! Services: create, describe, list, delete; and finding the one that a call names.

use serde_json::{Map, Value, json};

use super::super::call::{Answer, Refusal};
use super::super::world::World;
use super::state::{Service, State};
use super::{checks, clusters, page, rollout, scheduler, shapes, strategy, task_definitions, text, texts};

/// Members that Create and Update take and Describe shows as they are.
pub(super) const MEMBERS: [&str; 17] = [
    "availabilityZoneRebalancing",
    "capacityProviderStrategy",
    "deploymentConfiguration",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "launchType",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// The service of a cluster by name or ARN. A deleted one is found only when no other has its name.
pub(super) fn named(ecs: &State, cluster: usize, name: &str) -> Option<usize> {
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let found = |living: bool| {
        ecs.services
            .iter()
            .position(|s| s.cluster == cluster && s.name == name && (s.status != "INACTIVE") == living)
    };
    found(true).or_else(|| found(false))
}

/// The service that a call names, whatever its status.
pub(super) fn find(world: &World, input: &Value) -> Result<usize, Refusal> {
    let cluster = clusters::find(world, input)?;
    let name = text(input, "service").unwrap_or_default();
    named(&world.ecs, cluster, name)
        .filter(|_| !name.is_empty())
        .ok_or_else(|| Refusal::new("ServiceNotFoundException", "Service not found."))
}

/// DescribeServices; from the time before the last update while reads lag.
pub(super) fn describe(world: &mut World, input: &Value, now: f64) -> Answer {
    let asked = texts(input, "services");
    if asked.is_empty() || asked.len() > 10 {
        let message = if asked.is_empty() {
            "services can not be empty."
        } else {
            "services can have at most 10 items."
        };
        return Err(Refusal::new("InvalidParameterException", message));
    }
    super::deployments::as_read(world, now, |world| {
        let cluster = clusters::find(world, input)?;
        let tags = texts(input, "include").contains(&"TAGS");
        let (mut services, mut failures) = (Vec::new(), Vec::new());
        for name in asked {
            match named(&world.ecs, cluster, name) {
                Some(service) => services.push(shapes::service(world, service, tags)),
                None => failures.push(json!({"arn": arn(world, cluster, name), "reason": "MISSING"})),
            }
        }
        Ok(json!({"services": services, "failures": failures}))
    })
}

fn arn(world: &World, cluster: usize, name: &str) -> String {
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let cluster = &world.ecs.clusters[cluster];
    format!("arn:aws:ecs:{}:{}:service/{cluster}/{name}", world.region, world.account)
}

/// ListServices: ten at a time unless more are asked for.
pub(super) fn list(world: &World, input: &Value) -> Answer {
    let cluster = clusters::find(world, input)?;
    let living = world.ecs.services.iter().filter(|s| s.cluster == cluster && s.status != "INACTIVE");
    let arns: Vec<Value> = living.map(|s| s.arn.clone().into()).collect();
    let most = if input.get("maxResults").is_some_and(Value::is_number) { 100 } else { 10 };
    page(input, &arns, "serviceArns", most)
}

/// CreateService: the service, and its first deployment.
pub(super) fn create(world: &mut World, input: &Value, now: f64) -> Answer {
    let cluster = clusters::find(world, input)?;
    let name = text(input, "serviceName").unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::new("InvalidParameterException", "Service name cannot be blank."));
    }
    let known = named(&world.ecs, cluster, name).map(|service| world.ecs.services[service].status);
    match known {
        Some("ACTIVE") => {
            return Err(Refusal::new("InvalidParameterException", "Creation of service was not idempotent."));
        }
        Some("DRAINING") => {
            return Err(Refusal::new(
                "InvalidParameterException",
                "Unable to Start a service that is still Draining.",
            ));
        }
        _ => {}
    }
    let definition = task_definitions::deployable(world, text(input, "taskDefinition").unwrap_or_default())?;
    let given = members(input);
    checks::fits(&given, &world.ecs.definitions[definition])?;
    let mut merged = defaults(&given);
    super::update::merge(&mut merged, &given);
    strategy::check(&input["deploymentConfiguration"], &merged, None)?;
    let service = enter(world, cluster, name, definition, &given, now);
    let it = &mut world.ecs.services[service];
    it.desired = input["desiredCount"].as_u64().unwrap_or(0) as u32;
    if let Some(controller) = input["deploymentController"]["type"].as_str() {
        it.controller = controller.into();
    }
    if let Some(tags) = input["tags"].as_array() {
        let arn = it.arn.clone();
        world.ecs.tags.insert(arn, tags.clone());
    }
    rollout::begin(world, service, now);
    Ok(json!({"service": shapes::service(world, service, true)}))
}

fn members(input: &Value) -> Map<String, Value> {
    let given = MEMBERS.iter().filter_map(|member| Some((member.to_string(), input.get(*member)?.clone())));
    given.filter(|(_, value)| !value.is_null()).collect()
}

/// A service without any deployment, with AWS's defaults for what is not given.
pub(super) fn enter(
    world: &mut World,
    cluster: usize,
    name: &str,
    definition: usize,
    given: &Map<String, Value>,
    now: f64,
) -> usize {
    let mut members = defaults(given);
    super::update::merge(&mut members, given);
    let arn = arn(world, cluster, name);
    world.ecs.services.push(Service {
        arn,
        name: name.into(),
        cluster,
        status: "ACTIVE",
        desired: 0,
        definition,
        founding: None,
        controller: "ECS".into(),
        created_at: now,
        members,
        deployments: Vec::new(),
        rollouts: Vec::new(),
        completed: None,
        tasks: Vec::new(),
        events: std::collections::VecDeque::new(),
        next_look: None,
        steady: false,
    });
    world.ecs.services.len() - 1
}

fn defaults(given: &Map<String, Value>) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("loadBalancers".into(), json!([]));
    members.insert("serviceRegistries".into(), json!([]));
    members.insert("placementConstraints".into(), json!([]));
    members.insert("placementStrategy".into(), json!([]));
    members.insert("enableECSManagedTags".into(), false.into());
    members.insert("enableExecuteCommand".into(), false.into());
    members.insert("propagateTags".into(), "NONE".into());
    members.insert("availabilityZoneRebalancing".into(), "DISABLED".into());
    members.insert(
        "deploymentConfiguration".into(),
        json!({
            "deploymentCircuitBreaker": {"enable": false, "rollback": false},
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
            "strategy": "ROLLING",
            "bakeTimeInMinutes": 0,
        }),
    );
    if !given.contains_key("capacityProviderStrategy") {
        let launch = given.get("launchType").cloned().unwrap_or_else(|| "EC2".into());
        if launch == "FARGATE" {
            members.insert("platformVersion".into(), "LATEST".into());
            members.insert("platformFamily".into(), "Linux".into());
        }
        members.insert("launchType".into(), launch);
    }
    members
}

/// DeleteService: drains, then is INACTIVE. With tasks it wants `force` or a desired count of zero.
pub(super) fn delete(world: &mut World, input: &Value, now: f64) -> Answer {
    let service = find(world, input)?;
    let it = &mut world.ecs.services[service];
    if it.status == "INACTIVE" {
        return Err(Refusal::new("ServiceNotFoundException", "Service not found."));
    }
    if it.desired > 0 && !input["force"].as_bool().unwrap_or(false) {
        let message = "The service cannot be stopped while it is scaled above 0.";
        return Err(Refusal::new("InvalidParameterException", message));
    }
    (it.status, it.desired) = ("DRAINING", 0);
    scheduler::stir(world, service, now);
    Ok(json!({"service": shapes::service(world, service, false)}))
}

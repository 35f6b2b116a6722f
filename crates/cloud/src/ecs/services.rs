//! Services: create, describe, list, delete; and finding the one that a call names.

use serde_json::{Map, Value, json};

use super::super::request::{ServiceError, ServiceResult};
use super::super::world::World;
use super::responses::service;
use super::state::{EcsState, Service};
use super::{
    checks, clusters, deployment_start, paginate, scheduler, str_field, str_list_field, strategy_validation,
    task_definitions,
};

/// Members that Create and Update take and Describe shows as they are.
pub(super) const SERVICE_MEMBERS: [&str; 17] = [
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
pub(super) fn find_by_name(ecs: &EcsState, cluster: usize, name: &str) -> Option<usize> {
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let found = |living: bool| {
        ecs.services
            .iter()
            .position(|s| s.cluster == cluster && s.name == name && (s.status != "INACTIVE") == living)
    };
    found(true).or_else(|| found(false))
}

/// The service that a call names, whatever its status.
pub(super) fn find_service(world: &World, input: &Value) -> Result<usize, ServiceError> {
    let cluster = clusters::find_cluster(world, input)?;
    let name = str_field(input, "service").unwrap_or_default();
    find_by_name(&world.ecs, cluster, name)
        .filter(|_| !name.is_empty())
        .ok_or_else(|| ServiceError::new("ServiceNotFoundException", "Service not found."))
}

/// DescribeServices; from the time before the last update while reads lag.
pub(super) fn describe(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let asked = str_list_field(input, "services");
    if asked.is_empty() || asked.len() > 10 {
        let message = if asked.is_empty() {
            "services can not be empty."
        } else {
            "services can have at most 10 items."
        };
        return Err(ServiceError::new("InvalidParameterException", message));
    }
    super::deployments::read_state(world, now, |world| {
        let cluster = clusters::find_cluster(world, input)?;
        let tags = str_list_field(input, "include").contains(&"TAGS");
        let (mut services, mut failures) = (Vec::new(), Vec::new());
        for name in asked {
            match find_by_name(&world.ecs, cluster, name) {
                Some(service) => services.push(service::service_response(world, service, tags)),
                None => failures.push(json!({"arn": service_arn(world, cluster, name), "reason": "MISSING"})),
            }
        }
        Ok(json!({"services": services, "failures": failures}))
    })
}

fn service_arn(world: &World, cluster: usize, name: &str) -> String {
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let cluster = &world.ecs.clusters[cluster];
    format!("arn:aws:ecs:{}:{}:service/{cluster}/{name}", world.region, world.account)
}

/// ListServices: ten in a page unless `maxResults` says otherwise.
pub(super) fn list(world: &World, input: &Value) -> ServiceResult {
    let cluster = clusters::find_cluster(world, input)?;
    let living = world.ecs.services.iter().filter(|s| s.cluster == cluster && s.status != "INACTIVE");
    let arns: Vec<Value> = living.map(|s| s.arn.clone().into()).collect();
    let most = if input.get("maxResults").is_some_and(Value::is_number) { 100 } else { 10 };
    paginate(input, &arns, "serviceArns", most)
}

/// CreateService: the service, and its first deployment.
pub(super) fn create(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let cluster = clusters::find_cluster(world, input)?;
    let name = str_field(input, "serviceName").unwrap_or_default();
    if name.is_empty() {
        return Err(ServiceError::new("InvalidParameterException", "Service name cannot be blank."));
    }
    let known = find_by_name(&world.ecs, cluster, name).map(|service| world.ecs.services[service].status);
    match known {
        Some("ACTIVE") => {
            return Err(ServiceError::new(
                "InvalidParameterException",
                "Creation of service was not idempotent.",
            ));
        }
        Some("DRAINING") => {
            return Err(ServiceError::new(
                "InvalidParameterException",
                "Unable to Start a service that is still Draining.",
            ));
        }
        _ => {}
    }
    let definition =
        task_definitions::find_active(world, str_field(input, "taskDefinition").unwrap_or_default())?;
    let given = given_members(input);
    checks::check_compatible(&given, &world.ecs.definitions[definition])?;
    let mut merged = default_members(&given);
    super::update_service::merge_members(&mut merged, &given);
    strategy_validation::validate_configuration(&input["deploymentConfiguration"], &merged, None)?;
    let service = register(world, cluster, name, definition, &given, now);
    let it = &mut world.ecs.services[service];
    it.desired = input["desiredCount"].as_u64().unwrap_or(0) as u32;
    if let Some(controller) = input["deploymentController"]["type"].as_str() {
        (it.controller, it.is_controller_given) = (controller.into(), true);
    }
    if let Some(tags) = input["tags"].as_array() {
        let arn = it.arn.clone();
        world.ecs.tags.insert(arn, tags.clone());
    }
    deployment_start::start_deployment(world, service, now);
    Ok(json!({"service": service::service_response(world, service, true)}))
}

fn given_members(input: &Value) -> Map<String, Value> {
    let given =
        SERVICE_MEMBERS.iter().filter_map(|member| Some((member.to_string(), input.get(*member)?.clone())));
    given.filter(|(_, value)| !value.is_null()).collect()
}

/// A service without any deployment, with AWS's defaults for what is not given.
pub(super) fn register(
    world: &mut World,
    cluster: usize,
    name: &str,
    definition: usize,
    given: &Map<String, Value>,
    now: f64,
) -> usize {
    let mut members = default_members(given);
    super::update_service::merge_members(&mut members, given);
    if let Some(family) = members.get_mut("platformFamily") {
        *family = platform_family(&world.ecs.definitions[definition].response).into();
    }
    let arn = service_arn(world, cluster, name);
    world.ecs.services.push(Service {
        arn,
        name: name.into(),
        cluster,
        status: "ACTIVE",
        desired: 0,
        definition,
        seed_definition: None,
        controller: "ECS".into(),
        is_controller_given: false,
        created_at: now,
        members,
        deployments: Vec::new(),
        service_deployments: Vec::new(),
        last_completed: None,
        tasks: Vec::new(),
        events: std::collections::VecDeque::new(),
        next_reconcile: None,
        is_steady: false,
        unplaced_since: None,
    });
    world.ecs.services.len() - 1
}

/// How ECS names the operating system of a definition: `WINDOWS_SERVER_2022_CORE` is `Windows Server 2022 Core`.
pub(super) fn platform_family(definition: &Value) -> String {
    let system = definition["runtimePlatform"]["operatingSystemFamily"].as_str().unwrap_or("LINUX");
    let words = system.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{first}{}", rest.to_lowercase())
    });
    words.collect::<Vec<_>>().join(" ")
}

fn default_members(given: &Map<String, Value>) -> Map<String, Value> {
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

/// DeleteService: drains, then is INACTIVE. With tasks it requires `force` or a desired count of zero.
pub(super) fn delete(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let service = find_service(world, input)?;
    let it = &mut world.ecs.services[service];
    if it.status == "INACTIVE" {
        return Err(ServiceError::new("ServiceNotFoundException", "Service not found."));
    }
    if it.desired > 0 && !input["force"].as_bool().unwrap_or(false) {
        let message = "The service cannot be stopped while it is scaled above 0.";
        return Err(ServiceError::new("InvalidParameterException", message));
    }
    (it.status, it.desired) = ("DRAINING", 0);
    scheduler::reconcile_later(world, service, now);
    Ok(json!({"service": service::service_response(world, service, false)}))
}

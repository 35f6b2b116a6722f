//! UpdateService: which members start a deployment and which do not; what is omitted is retained.

use serde_json::{Map, Value, json};

use super::super::request::{ServiceError, ServiceResult};
use super::super::world::World;
use super::responses::service;
use super::{
    checks, deployment_start, faults, scheduler, services, str_field, strategy_validation, task_definitions,
};

/// Members whose change starts a deployment (API reference of UpdateService).
pub(super) const DEPLOYMENT_MEMBERS: [&str; 7] = [
    "platformVersion",
    "networkConfiguration",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// UpdateService.
pub(super) fn update_service(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let service = services::find_service(world, input)?;
    if world.ecs.services[service].status != "ACTIVE" {
        return Err(ServiceError::new("ServiceNotActiveException", "Service was not ACTIVE."));
    }
    check_controller(&world.ecs.services[service].controller, input)?;
    check_percentages(input)?;
    let definition = match str_field(input, "taskDefinition") {
        Some(reference) => Some(task_definitions::find_active(world, reference)?),
        None => None,
    };
    let it = &world.ecs.services[service];
    let mut members = it.members.clone();
    merge_members(&mut members, input.as_object().unwrap_or(&Map::new()));
    strategy_validation::validate_configuration(
        &input["deploymentConfiguration"],
        &members,
        it.members.get("deploymentConfiguration"),
    )?;
    members.get_mut("deploymentConfiguration").into_iter().for_each(strategy_validation::remove_other_steps);
    let forced = input["forceNewDeployment"].as_bool().unwrap_or(false);
    let redefined = definition.is_some_and(|wanted| wanted != it.definition);
    let changed = DEPLOYMENT_MEMBERS.iter().any(|&member| is_changed(&it.members, input, member));
    let deploys = forced || redefined || changed;
    if deploys && it.controller == "ECS" {
        checks::check_compatible(&members, &world.ecs.definitions[definition.unwrap_or(it.definition)])?;
    }
    if deploys {
        faults::on_deployment(world, service, now);
    }
    apply_update(world, service, definition, members, input);
    if deploys {
        deployment_start::start_deployment(world, service, now);
    } else {
        scheduler::reconcile_later(world, service, now);
    }
    let mut shape = service::service_response(world, service, false);
    if let Some(shape) = shape.as_object_mut().filter(|_| deploys && faults::is_response_stale(world)) {
        shape.remove("currentServiceDeployment");
    }
    Ok(json!({"service": shape}))
}

fn is_changed(members: &Map<String, Value>, input: &Value, member: &str) -> bool {
    input.get(member).is_some_and(|given| {
        let known = members.get(member);
        !given.is_null() && known != Some(given) && !(known.is_none() && *given == json!([]))
    })
}

fn apply_update(
    world: &mut World,
    service: usize,
    definition: Option<usize>,
    members: Map<String, Value>,
    input: &Value,
) {
    let it = &mut world.ecs.services[service];
    if let Some(definition) = definition {
        it.definition = definition;
    }
    if let Some(desired) = input["desiredCount"].as_u64() {
        it.desired = desired as u32;
        it.is_steady = false;
    }
    it.members = members;
    if let Some(controller) = input["deploymentController"]["type"].as_str() {
        (it.controller, it.is_controller_given) = (controller.into(), true);
    }
}

/// Take over the members given; inside `deploymentConfiguration` too, what is omitted is retained.
pub(super) fn merge_members(members: &mut Map<String, Value>, given: &Map<String, Value>) {
    for member in services::SERVICE_MEMBERS {
        match (given.get(member), members.get_mut(member)) {
            (None | Some(Value::Null), _) => {}
            (Some(Value::Object(new)), Some(Value::Object(old))) if member == "deploymentConfiguration" => {
                merge_nested(old, new);
            }
            (Some(new), _) => {
                members.insert(member.into(), new.clone());
            }
        }
    }
}

/// What is given replaces what was; structures are merged member by member, lists are replaced whole.
fn merge_nested(old: &mut Map<String, Value>, new: &Map<String, Value>) {
    for (member, given) in new.iter().filter(|(_, given)| !given.is_null()) {
        match (given, old.get_mut(member)) {
            (Value::Object(new), Some(Value::Object(old))) => merge_nested(old, new),
            _ => {
                old.insert(member.clone(), given.clone());
            }
        }
    }
}

/// CODE_DEPLOY and EXTERNAL own what runs: an update may not change it.
fn check_controller(controller: &str, input: &Value) -> Result<(), ServiceError> {
    let barred = ["taskDefinition", "networkConfiguration", "loadBalancers", "platformVersion"];
    let barred = controller != "ECS"
        && (barred.iter().any(|member| input.get(*member).is_some_and(|v| !v.is_null()))
            || input["forceNewDeployment"].as_bool().unwrap_or(false));
    if !barred {
        return Ok(());
    }
    let message = match controller {
        "CODE_DEPLOY" => {
            "Unable to update task definition on services with a CODE_DEPLOY deployment controller. \
             Use AWS CodeDeploy to trigger a new deployment."
        }
        _ => {
            "Unable to update task definition on services with an EXTERNAL deployment controller. \
             Use CreateTaskSet to create a new task set."
        }
    };
    Err(ServiceError::new("InvalidParameterException", message))
}

fn check_percentages(input: &Value) -> Result<(), ServiceError> {
    let configuration = &input["deploymentConfiguration"];
    let (least, most) =
        (configuration["minimumHealthyPercent"].as_u64(), configuration["maximumPercent"].as_u64());
    if least.unwrap_or(100) > 100 && least > most {
        let message = "minimumHealthyPercent can not be greater than maximumPercent.";
        return Err(ServiceError::new("InvalidParameterException", message));
    }
    Ok(())
}

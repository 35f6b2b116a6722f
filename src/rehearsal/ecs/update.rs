//! UpdateService: which members start a deployment and which do not; what is omitted is retained.

use serde_json::{Map, Value, json};

use super::super::call::{Answer, Refusal};
use super::super::mishaps;
use super::super::world::World;
use super::{checks, rollout, scheduler, services, shapes, strategy, task_definitions, text};

/// Members whose change starts a deployment (API reference of UpdateService).
pub(super) const DEPLOYING: [&str; 7] = [
    "platformVersion",
    "networkConfiguration",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// UpdateService.
pub(super) fn update(world: &mut World, input: &Value, now: f64) -> Answer {
    let service = services::find(world, input)?;
    if world.ecs.services[service].status != "ACTIVE" {
        return Err(Refusal::new("ServiceNotActiveException", "Service was not ACTIVE."));
    }
    controller_allows(&world.ecs.services[service].controller, input)?;
    percentages(input)?;
    let definition = match text(input, "taskDefinition") {
        Some(reference) => Some(task_definitions::deployable(world, reference)?),
        None => None,
    };
    let it = &world.ecs.services[service];
    let mut members = it.members.clone();
    merge(&mut members, input.as_object().unwrap_or(&Map::new()));
    strategy::check(&input["deploymentConfiguration"], &members, it.members.get("deploymentConfiguration"))?;
    members.get_mut("deploymentConfiguration").into_iter().for_each(strategy::prune);
    let forced = input["forceNewDeployment"].as_bool().unwrap_or(false);
    let redefined = definition.is_some_and(|wanted| wanted != it.definition);
    let changed = DEPLOYING.iter().any(|&member| changes(&it.members, input, member));
    let deploys = forced || redefined || changed;
    if deploys && it.controller == "ECS" {
        checks::fits(&members, &world.ecs.definitions[definition.unwrap_or(it.definition)])?;
    }
    if deploys {
        mishaps::before_deployment(world, service, now);
    }
    apply(world, service, definition, members, input);
    if deploys {
        rollout::begin(world, service, now);
    } else {
        scheduler::stir(world, service, now);
    }
    let mut shape = shapes::service(world, service, false);
    if let Some(shape) = shape.as_object_mut().filter(|_| deploys && mishaps::answer_lags(world)) {
        shape.remove("currentServiceDeployment");
    }
    Ok(json!({"service": shape}))
}

fn changes(members: &Map<String, Value>, input: &Value, member: &str) -> bool {
    input.get(member).is_some_and(|given| {
        let known = members.get(member);
        !given.is_null() && known != Some(given) && !(known.is_none() && *given == json!([]))
    })
}

fn apply(
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
        it.steady = false;
    }
    it.members = members;
    if let Some(controller) = input["deploymentController"]["type"].as_str() {
        it.controller = controller.into();
    }
}

/// Take over the members given; inside `deploymentConfiguration` too, what is omitted is retained.
pub(super) fn merge(members: &mut Map<String, Value>, given: &Map<String, Value>) {
    for member in services::MEMBERS {
        match (given.get(member), members.get_mut(member)) {
            (None | Some(Value::Null), _) => {}
            (Some(Value::Object(new)), Some(Value::Object(old))) if member == "deploymentConfiguration" => {
                within(old, new);
            }
            (Some(new), _) => {
                members.insert(member.into(), new.clone());
            }
        }
    }
}

/// What is given replaces what was; structures are merged member by member, lists are replaced whole.
fn within(old: &mut Map<String, Value>, new: &Map<String, Value>) {
    for (member, given) in new.iter().filter(|(_, given)| !given.is_null()) {
        match (given, old.get_mut(member)) {
            (Value::Object(new), Some(Value::Object(old))) => within(old, new),
            _ => {
                old.insert(member.clone(), given.clone());
            }
        }
    }
}

/// CODE_DEPLOY and EXTERNAL own what runs: an update may not change it.
fn controller_allows(controller: &str, input: &Value) -> Result<(), Refusal> {
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
    Err(Refusal::new("InvalidParameterException", message))
}

fn percentages(input: &Value) -> Result<(), Refusal> {
    let configuration = &input["deploymentConfiguration"];
    let (least, most) =
        (configuration["minimumHealthyPercent"].as_u64(), configuration["maximumPercent"].as_u64());
    if least.unwrap_or(100) > 100 && least > most {
        let message = "minimumHealthyPercent can not be greater than maximumPercent.";
        return Err(Refusal::new("InvalidParameterException", message));
    }
    Ok(())
}

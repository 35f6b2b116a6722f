//! Task definitions: register, describe, list, deregister; and what the scheduler needs to know of one.

use serde_json::{Map, Value, json};

use super::super::request::{ServiceCall, ServiceError, ServiceResult};
use super::super::world::World;
use super::state::{ContainerDefinition, EcsState, TaskDefinition};
use super::{
    definition_defaults, definition_shape, definition_validation, insert_some, paginate, str_field,
    str_list_field, timestamp,
};

/// RegisterTaskDefinition.
pub(super) fn register(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let caller = world.caller_arn(call.access_key.as_deref()).to_string();
    let input = definition_shape::conform(&call.input)?;
    definition_validation::validate_definition(&input)?;
    let definition = add_revision(world, &input, &caller, now);
    let shown = world.ecs.definitions[definition].response.clone();
    let arn = &world.ecs.definitions[definition].arn;
    let mut answer = Map::new();
    answer.insert("taskDefinition".into(), shown);
    insert_some(&mut answer, "tags", world.ecs.tags.get(arn).map(|tags| tags.clone().into()));
    Ok(Value::Object(answer))
}

/// Enter a definition as the family's next revision, unchecked.
pub(super) fn add_revision(world: &mut World, input: &Value, by: &str, now: f64) -> usize {
    let family = str_field(input, "family").unwrap_or_default().to_string();
    let revision = world.ecs.families.get(&family).map_or(0, Vec::len) as u32 + 1;
    let arn = format!("arn:aws:ecs:{}:{}:task-definition/{family}:{revision}", world.region, world.account);
    let mut shown = response_members(input);
    shown.insert("taskDefinitionArn".into(), arn.clone().into());
    shown.insert("revision".into(), revision.into());
    shown.insert("status".into(), "ACTIVE".into());
    shown.insert("registeredAt".into(), timestamp(now));
    shown.insert("registeredBy".into(), by.into());
    if let Some(tags) = input["tags"].as_array() {
        world.ecs.tags.insert(arn.clone(), tags.clone());
    }
    let index = world.ecs.definitions.len();
    let shown = Value::Object(shown);
    let containers = parse_containers(&shown);
    world.ecs.families.entry(family.clone()).or_default().push(index);
    world.ecs.definitions.push(TaskDefinition {
        arn,
        family,
        revision,
        response: shown,
        containers,
        active: true,
    });
    index
}

/// What Describe shows of the input: the members the API knows, and the defaults that it fills in.
fn response_members(input: &Value) -> Map<String, Value> {
    let mut shown = match definition_shape::conform_leniently(input) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    shown.remove("tags");
    definition_defaults::fill_in(&mut shown);
    shown.insert("compatibilities".into(), compatibilities(input).into());
    let attributes = json!([{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}]);
    shown.insert("requiresAttributes".into(), attributes);
    shown
}

/// The launch types that can run a definition: those it was validated against, and those that its parameters fit.
fn compatibilities(input: &Value) -> Vec<&str> {
    let required = str_list_field(input, "requiresCompatibilities");
    let awsvpc = str_field(input, "networkMode") == Some("awsvpc");
    let sized = str_field(input, "cpu").is_some() && str_field(input, "memory").is_some();
    let fits = [
        ("EXTERNAL", !awsvpc),
        ("EC2", true),
        ("FARGATE", awsvpc && sized && definition_validation::validate_fargate(input).is_ok()),
        ("MANAGED_INSTANCES", false),
    ];
    fits.iter().filter(|(kind, fits)| *fits || required.contains(kind)).map(|(kind, _)| *kind).collect()
}

fn parse_containers(shown: &Value) -> Vec<ContainerDefinition> {
    let all = shown["containerDefinitions"].as_array();
    all.into_iter()
        .flatten()
        .map(|it| {
            let options = &it["logConfiguration"]["options"];
            let group = str_field(options, "awslogs-group")
                .filter(|_| it["logConfiguration"]["logDriver"] == "awslogs");
            ContainerDefinition {
                name: str_field(it, "name").unwrap_or_default().into(),
                image: str_field(it, "image").unwrap_or_default().into(),
                essential: it["essential"].as_bool().unwrap_or(true),
                health_check: it["healthCheck"].is_object(),
                logs: group
                    .zip(str_field(options, "awslogs-stream-prefix"))
                    .map(|(g, p)| (g.into(), p.into())),
                secret: it["secrets"][0]["valueFrom"].as_str().map(String::from),
            }
        })
        .collect()
}

/// The definition that a family, `family:revision` or ARN names; a family means its newest active revision.
pub(super) fn find_definition(ecs: &EcsState, reference: &str) -> Option<usize> {
    let name = reference.rsplit_once('/').map_or(reference, |(_, name)| name);
    match name.rsplit_once(':') {
        Some((family, revision)) => {
            let revision: usize = revision.parse().ok()?;
            ecs.families.get(family)?.get(revision.checked_sub(1)?).copied()
        }
        None => ecs.families.get(name)?.iter().rev().find(|&&d| ecs.definitions[d].active).copied(),
    }
}

/// The definition for a service: it exists and is active.
pub(super) fn find_active(world: &World, reference: &str) -> Result<usize, ServiceError> {
    let found = find_definition(&world.ecs, reference)
        .ok_or_else(|| ServiceError::new("ClientException", "TaskDefinition not found."))?;
    if world.ecs.definitions[found].active {
        Ok(found)
    } else {
        Err(ServiceError::new("ClientException", "TaskDefinition is inactive"))
    }
}

/// DescribeTaskDefinition.
pub(super) fn describe(world: &World, input: &Value) -> ServiceResult {
    let found = find_definition(&world.ecs, str_field(input, "taskDefinition").unwrap_or_default())
        .ok_or_else(|| ServiceError::new("ClientException", "Unable to describe task definition."))?;
    let definition = &world.ecs.definitions[found];
    let mut answer = Map::new();
    answer.insert("taskDefinition".into(), definition.response.clone());
    if str_list_field(input, "include").contains(&"TAGS") {
        answer.insert("tags".into(), world.ecs.tags.get(&definition.arn).cloned().unwrap_or_default().into());
    }
    Ok(Value::Object(answer))
}

/// DeregisterTaskDefinition: services that run it go on; no new deployment may use it.
pub(super) fn deregister(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let reference = str_field(input, "taskDefinition").unwrap_or_default();
    let revised = reference.rsplit_once(':').is_some_and(|(_, revision)| revision.parse::<u32>().is_ok());
    if !revised {
        return Err(ServiceError::new("ClientException", "Task definition revision must be specified."));
    }
    let missing = || ServiceError::new("ClientException", "The specified task definition does not exist.");
    let found = find_definition(&world.ecs, reference).ok_or_else(missing)?;
    let definition = &mut world.ecs.definitions[found];
    deactivate(definition, now);
    Ok(json!({"taskDefinition": definition.response}))
}

/// Makes a definition INACTIVE.
pub(super) fn deactivate(definition: &mut TaskDefinition, now: f64) {
    definition.active = false;
    definition.response["status"] = "INACTIVE".into();
    definition.response["deregisteredAt"] = timestamp(now);
}

/// ListTaskDefinitions, by family and revision.
pub(super) fn list(world: &World, input: &Value) -> ServiceResult {
    let prefix = str_field(input, "familyPrefix");
    let active = str_field(input, "status").unwrap_or("ACTIVE") == "ACTIVE";
    let mut all: Vec<&TaskDefinition> = world
        .ecs
        .definitions
        .iter()
        .filter(|d| d.active == active && prefix.is_none_or(|family| d.family == family))
        .collect();
    all.sort_by(|a, b| (&a.family, a.revision).cmp(&(&b.family, b.revision)));
    if str_field(input, "sort") == Some("DESC") {
        all.reverse();
    }
    let arns: Vec<Value> = all.into_iter().map(|d| d.arn.clone().into()).collect();
    paginate(input, &arns, "taskDefinitionArns", 100)
}

/// The roles that definitions name, by name or ARN.
pub fn named_roles(world: &World) -> impl Iterator<Item = &str> {
    let members = ["taskRoleArn", "executionRoleArn"];
    let all = world.ecs.definitions.iter();
    all.flat_map(move |definition| members.map(|member| definition.response[member].as_str())).flatten()
}

/// ListTaskDefinitionFamilies: without a status, families with and without an active revision.
pub(super) fn list_families(world: &World, input: &Value) -> ServiceResult {
    let prefix = str_field(input, "familyPrefix").unwrap_or_default();
    let status = str_field(input, "status").unwrap_or("ALL");
    let is_active = |revisions: &[usize]| revisions.iter().any(|&d| world.ecs.definitions[d].active);
    let fits = |revisions: &[usize]| match status {
        "ACTIVE" => is_active(revisions),
        "INACTIVE" => !is_active(revisions),
        _ => true,
    };
    if !matches!(status, "ACTIVE" | "INACTIVE" | "ALL") {
        return Err(ServiceError::new(
            "InvalidParameterException",
            "status must be ACTIVE, INACTIVE or ALL.",
        ));
    }
    let named = world.ecs.families.iter().filter(|(family, _)| family.starts_with(prefix));
    let mut families: Vec<&String> =
        named.filter(|(_, revisions)| fits(revisions)).map(|(family, _)| family).collect();
    families.sort();
    let families: Vec<Value> = families.into_iter().map(|family| family.as_str().into()).collect();
    paginate(input, &families, "families", 100)
}

//! Task definitions: register, describe, list, deregister; and what the scheduler needs to know of one.

use serde_json::{Map, Value, json};

use super::super::call::{Answer, Call, Refusal};
use super::super::world::World;
use super::state::{Container, Definition, State};
use super::{page, put, stamp, text, texts, validation};

/// Members of the input that the API knows; it ignores any other.
const MEMBERS: [&str; 17] = [
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "containerDefinitions",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
    "inferenceAccelerators",
    "ephemeralStorage",
    "runtimePlatform",
    "enableFaultInjection",
];

/// RegisterTaskDefinition.
pub(super) fn register(world: &mut World, call: &Call, now: f64) -> Answer {
    let caller = world.caller_arn(call.access_key.as_deref()).to_string();
    validation::check(&call.input)?;
    let definition = enter(world, &call.input, &caller, now);
    let shown = world.ecs.definitions[definition].shown.clone();
    let arn = &world.ecs.definitions[definition].arn;
    let mut answer = Map::new();
    answer.insert("taskDefinition".into(), shown);
    put(&mut answer, "tags", world.ecs.tags.get(arn).map(|tags| tags.clone().into()));
    Ok(Value::Object(answer))
}

/// Enter a definition as the family's next revision, unchecked.
pub(super) fn enter(world: &mut World, input: &Value, by: &str, now: f64) -> usize {
    let family = text(input, "family").unwrap_or_default().to_string();
    let revision = world.ecs.families.get(&family).map_or(0, Vec::len) as u32 + 1;
    let arn = format!("arn:aws:ecs:{}:{}:task-definition/{family}:{revision}", world.region, world.account);
    let mut shown = shown(input);
    shown.insert("taskDefinitionArn".into(), arn.clone().into());
    shown.insert("revision".into(), revision.into());
    shown.insert("status".into(), "ACTIVE".into());
    shown.insert("registeredAt".into(), stamp(now));
    shown.insert("registeredBy".into(), by.into());
    if let Some(tags) = input["tags"].as_array() {
        world.ecs.tags.insert(arn.clone(), tags.clone());
    }
    let index = world.ecs.definitions.len();
    let shown = Value::Object(shown);
    let containers = containers(&shown);
    world.ecs.families.entry(family.clone()).or_default().push(index);
    world.ecs.definitions.push(Definition { arn, family, revision, shown, containers, active: true });
    index
}

/// What Describe shows of the input: the members the API knows, and the defaults that it fills in.
fn shown(input: &Value) -> Map<String, Value> {
    let given = MEMBERS.iter().filter_map(|member| Some((member.to_string(), input.get(*member)?.clone())));
    let mut shown: Map<String, Value> = given.filter(|(_, value)| !value.is_null()).collect();
    let network = text(input, "networkMode").map(String::from);
    if let Some(Value::Array(containers)) = shown.get_mut("containerDefinitions") {
        containers.iter_mut().for_each(|container| fill_in(container, network.as_deref()));
    }
    for list in ["volumes", "placementConstraints"] {
        shown.entry(list).or_insert_with(|| json!([]));
    }
    let fargate = texts(input, "requiresCompatibilities").contains(&"FARGATE")
        || network.as_deref() == Some("awsvpc")
            && text(input, "cpu").is_some()
            && text(input, "memory").is_some();
    let compatible = if fargate { json!(["EC2", "FARGATE"]) } else { json!(["EC2"]) };
    shown.insert("compatibilities".into(), compatible);
    let attributes = json!([{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}]);
    shown.insert("requiresAttributes".into(), attributes);
    shown
}

fn fill_in(container: &mut Value, network: Option<&str>) {
    let Some(container) = container.as_object_mut() else { return };
    container
        .retain(|member, value| validation::CONTAINER_MEMBERS.contains(&member.as_str()) && !value.is_null());
    container.entry("cpu").or_insert_with(|| json!(0));
    container.entry("essential").or_insert_with(|| json!(true));
    for list in ["portMappings", "environment", "mountPoints", "volumesFrom", "systemControls"] {
        container.entry(list).or_insert_with(|| json!([]));
    }
    for port in container.get_mut("portMappings").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(port) = port.as_object_mut() else { continue };
        let same = port.get("containerPort").cloned().filter(|_| network == Some("awsvpc"));
        port.entry("hostPort").or_insert_with(|| same.unwrap_or_else(|| json!(0)));
        port.entry("protocol").or_insert_with(|| json!("tcp"));
    }
}

fn containers(shown: &Value) -> Vec<Container> {
    let all = shown["containerDefinitions"].as_array();
    all.into_iter()
        .flatten()
        .map(|it| {
            let options = &it["logConfiguration"]["options"];
            let group =
                text(options, "awslogs-group").filter(|_| it["logConfiguration"]["logDriver"] == "awslogs");
            Container {
                name: text(it, "name").unwrap_or_default().into(),
                image: text(it, "image").unwrap_or_default().into(),
                essential: it["essential"].as_bool().unwrap_or(true),
                health_check: it["healthCheck"].is_object(),
                logs: group.zip(text(options, "awslogs-stream-prefix")).map(|(g, p)| (g.into(), p.into())),
                secret: it["secrets"][0]["valueFrom"].as_str().map(String::from),
            }
        })
        .collect()
}

/// The definition that a family, `family:revision` or ARN names; a family means its newest active revision.
pub(super) fn find(ecs: &State, reference: &str) -> Option<usize> {
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
pub(super) fn deployable(world: &World, reference: &str) -> Result<usize, Refusal> {
    let found = find(&world.ecs, reference)
        .ok_or_else(|| Refusal::new("ClientException", "TaskDefinition not found."))?;
    if world.ecs.definitions[found].active {
        Ok(found)
    } else {
        Err(Refusal::new("ClientException", "TaskDefinition is inactive"))
    }
}

/// DescribeTaskDefinition.
pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let found = find(&world.ecs, text(input, "taskDefinition").unwrap_or_default())
        .ok_or_else(|| Refusal::new("ClientException", "Unable to describe task definition."))?;
    let definition = &world.ecs.definitions[found];
    let mut answer = Map::new();
    answer.insert("taskDefinition".into(), definition.shown.clone());
    if texts(input, "include").contains(&"TAGS") {
        answer.insert("tags".into(), world.ecs.tags.get(&definition.arn).cloned().unwrap_or_default().into());
    }
    Ok(Value::Object(answer))
}

/// DeregisterTaskDefinition: services that run it go on; no new deployment may use it.
pub(super) fn deregister(world: &mut World, input: &Value, now: f64) -> Answer {
    let reference = text(input, "taskDefinition").unwrap_or_default();
    let revised = reference.rsplit_once(':').is_some_and(|(_, revision)| revision.parse::<u32>().is_ok());
    if !revised {
        return Err(Refusal::new("ClientException", "Task definition revision must be specified."));
    }
    let missing = || Refusal::new("ClientException", "The specified task definition does not exist.");
    let found = find(&world.ecs, reference).ok_or_else(missing)?;
    let definition = &mut world.ecs.definitions[found];
    definition.active = false;
    definition.shown["status"] = "INACTIVE".into();
    definition.shown["deregisteredAt"] = stamp(now);
    Ok(json!({"taskDefinition": definition.shown}))
}

/// ListTaskDefinitions, by family and revision.
pub(super) fn list(world: &World, input: &Value) -> Answer {
    let prefix = text(input, "familyPrefix");
    let active = text(input, "status").unwrap_or("ACTIVE") == "ACTIVE";
    let mut all: Vec<&Definition> = world
        .ecs
        .definitions
        .iter()
        .filter(|d| d.active == active && prefix.is_none_or(|family| d.family == family))
        .collect();
    all.sort_by(|a, b| (&a.family, a.revision).cmp(&(&b.family, b.revision)));
    if text(input, "sort") == Some("DESC") {
        all.reverse();
    }
    let arns: Vec<Value> = all.into_iter().map(|d| d.arn.clone().into()).collect();
    page(input, &arns, "taskDefinitionArns", 100)
}

//! RunTask: what it refuses, what it starts, and that a client token starts it once. In AWS's words.

use serde_json::{Map, Value, json};

use super::super::call::{Answer, Refusal};
use super::super::world::World;
use super::one_off::{self, OneOff};
use super::state::{Definition, Running, Times};
use super::{checks, clusters, task_definitions, task_views, text};

/// RunTask, of one task.
pub(super) fn run(world: &mut World, input: &Value, now: f64) -> Answer {
    let cluster = clusters::find(world, input)?;
    if let Some(known) = same_token(world, input)? {
        return Ok(json!({ "tasks": [task_views::one_off(world, known)], "failures": [] }));
    }
    let definition = task_definitions::deployable(world, text(input, "taskDefinition").unwrap_or_default())?;
    let main = check(input, &world.ecs.definitions[definition])?;
    let starved = {
        let subject = one_off::subject(&world.ecs, definition);
        world.mischief.starved(&subject)
    };
    if starved {
        return Ok(json!({ "tasks": [], "failures": [no_capacity(input)] }));
    }
    let task = enter(world, cluster, definition, main, input, now);
    one_off::begin(world, task, now);
    Ok(json!({ "tasks": [task_views::one_off(world, task)], "failures": [] }))
}

/// The task that this token started already; a conflict where something else was asked with it.
fn same_token(world: &World, input: &Value) -> Result<Option<usize>, Refusal> {
    let Some(token) = text(input, "clientToken") else { return Ok(None) };
    if token.len() > 64 {
        return Err(Refusal::new("InvalidParameterException", "Client token must be at most 64 characters."));
    }
    let with = |it: &OneOff| it.token.as_ref().is_some_and(|(known, _)| known == token);
    let Some(found) = world.ecs.one_offs.iter().position(with) else { return Ok(None) };
    let same = world.ecs.one_offs[found].token.as_ref().is_some_and(|(_, asked)| asked == input);
    if same {
        return Ok(Some(found));
    }
    let words = "The provided clientToken is already in use with a different RunTask request.";
    Err(Refusal::new("ConflictException", words))
}

/// Everything that RunTask checks; answers the container whose command is run.
fn check(input: &Value, definition: &Definition) -> Result<usize, Refusal> {
    let refuse = |words: String| Err(Refusal::new("InvalidParameterException", words));
    let providers = input["capacityProviderStrategy"].as_array().is_some_and(|all| !all.is_empty());
    if providers && input["launchType"].is_string() {
        return refuse("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.".into());
    }
    if input["propagateTags"] == "SERVICE" {
        return refuse("Invalid value for propagateTags. RunTask does not support SERVICE.".into());
    }
    if text(input, "startedBy").is_some_and(|by| by.len() > 128 || !by.bytes().all(is_name)) {
        return refuse("startedBy contains invalid characters.".into());
    }
    let network = input["networkConfiguration"]["awsvpcConfiguration"].is_object();
    if network && definition.shown["networkMode"] != "awsvpc" {
        return refuse(
            "Network Configuration is not valid for the given networkMode of this task definition.".into(),
        );
    }
    let members = input.as_object().cloned().unwrap_or_default();
    checks::fits(&members, definition)?;
    overridden(input, definition)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_/".contains(&byte)
}

/// The place of the container that is overridden, else of the first essential one.
fn overridden(input: &Value, definition: &Definition) -> Result<usize, Refusal> {
    let mut main = definition.containers.iter().position(|it| it.essential).unwrap_or(0);
    for over in input["overrides"]["containerOverrides"].as_array().into_iter().flatten() {
        let name = text(over, "name").unwrap_or_default();
        main = definition.containers.iter().position(|it| it.name == name).ok_or_else(|| {
            let words =
                format!("Override for container named {name} is not a container in the TaskDefinition.");
            Refusal::new("InvalidParameterException", words)
        })?;
    }
    Ok(main)
}

fn no_capacity(input: &Value) -> Value {
    match input["launchType"] == "EC2" {
        true => json!({ "reason": "RESOURCE:MEMORY" }),
        false => {
            json!({ "reason": "Capacity is unavailable at this time. Please try again later or in a different availability zone" })
        }
    }
}

fn enter(
    world: &mut World,
    cluster: usize,
    definition: usize,
    main: usize,
    input: &Value,
    now: f64,
) -> usize {
    let id = world.chance.hex(32);
    let ip = format!("10.1.{}.{}", world.chance.below(250), world.chance.below(250) + 4);
    let attachment = world.chance.uuid();
    let known = &world.ecs.definitions[definition];
    let containers = vec![Running { digest: None, exit_code: None, reason: None }; known.containers.len()];
    let group = text(input, "group").map_or_else(|| format!("family:{}", known.family), str::to_owned);
    let cluster_name = &world.ecs.clusters[cluster];
    let it = OneOff {
        arn: format!("arn:aws:ecs:{}:{}:task/{cluster_name}/{id}", world.region, world.account),
        id,
        cluster,
        definition,
        started_by: text(input, "startedBy").map(str::to_owned),
        group,
        token: text(input, "clientToken").map(|token| (token.to_owned(), input.clone())),
        members: shown(world, definition, input),
        last: "PROVISIONING",
        wanted: true,
        ip,
        attachment,
        changes: 1,
        times: Times { created: now, ..Times::default() },
        stop_code: None,
        stopped_reason: None,
        containers,
        main,
        fate: one_off::fate(world, definition),
        command: world.commands.next(&words(input)),
    };
    world.ecs.one_offs.push(it);
    world.ecs.one_offs.len() - 1
}

/// What the answers show of what was asked.
fn shown(world: &World, definition: usize, input: &Value) -> Map<String, Value> {
    let mut members = Map::new();
    for member in ["launchType", "platformVersion", "overrides", "capacityProviderStrategy"] {
        super::put(&mut members, member, input.get(member).filter(|value| !value.is_null()).cloned());
    }
    let mut tags = input["tags"].as_array().cloned().unwrap_or_default();
    if input["propagateTags"] == "TASK_DEFINITION" {
        let arn = &world.ecs.definitions[definition].arn;
        tags.extend(world.ecs.tags.get(arn).cloned().unwrap_or_default());
    }
    members.insert("tags".into(), tags.into());
    members
}

/// The words of the command, joined by blanks.
fn words(input: &Value) -> String {
    let overrides = input["overrides"]["containerOverrides"].as_array();
    let command = overrides.into_iter().flatten().find_map(|over| over["command"].as_array());
    let words: Vec<&str> = command.into_iter().flatten().filter_map(Value::as_str).collect();
    words.join(" ")
}

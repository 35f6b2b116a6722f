//! RunTask: what it refuses, what it starts, and that a client token starts it once. In AWS's words.

use serde_json::{Map, Value, json};

use super::super::request::{ServiceError, ServiceResult};
use super::super::world::World;
use super::one_off::{self, OneOffTask};
use super::responses::task;
use super::state::{TaskContainer, TaskDefinition, TaskTimes};
use super::{checks, clusters, str_field, task_definitions, task_outcomes};

/// RunTask, of one task.
pub(super) fn run_task(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let cluster = clusters::find_cluster(world, input)?;
    if let Some(known) = find_by_token(world, input)? {
        return Ok(json!({ "tasks": [task::one_off_response(world, known)], "failures": [] }));
    }
    let definition =
        task_definitions::find_active(world, str_field(input, "taskDefinition").unwrap_or_default())?;
    let main = validate_input(input, &world.ecs.definitions[definition])?;
    let starved = {
        let subject = task_outcomes::one_off_fault_target(&world.ecs, definition);
        world.faults.trigger_no_capacity(&subject, now)
    };
    if starved {
        return Ok(json!({ "tasks": [], "failures": [capacity_failure(input)] }));
    }
    let task = register(world, cluster, definition, main, input, now);
    one_off::start_task(world, task, now);
    Ok(json!({ "tasks": [task::one_off_response(world, task)], "failures": [] }))
}

/// The task that this token started already; a conflict where something else was asked with it.
fn find_by_token(world: &World, input: &Value) -> Result<Option<usize>, ServiceError> {
    let Some(token) = str_field(input, "clientToken") else { return Ok(None) };
    if token.len() > 64 {
        return Err(ServiceError::new(
            "InvalidParameterException",
            "Client token must be at most 64 characters.",
        ));
    }
    let with = |it: &OneOffTask| it.client_token.as_ref().is_some_and(|(known, _)| known == token);
    let Some(found) = world.ecs.one_off_tasks.iter().position(with) else { return Ok(None) };
    let same = world.ecs.one_off_tasks[found].client_token.as_ref().is_some_and(|(_, asked)| asked == input);
    if same {
        return Ok(Some(found));
    }
    let words = "The provided clientToken is already in use with a different RunTask request.";
    Err(ServiceError::new("ConflictException", words))
}

/// Everything that RunTask checks; answers the container whose command is run.
fn validate_input(input: &Value, definition: &TaskDefinition) -> Result<usize, ServiceError> {
    let refuse = |words: String| Err(ServiceError::new("InvalidParameterException", words));
    let providers = input["capacityProviderStrategy"].as_array().is_some_and(|all| !all.is_empty());
    if providers && input["launchType"].is_string() {
        return refuse("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.".into());
    }
    if input["propagateTags"] == "SERVICE" {
        return refuse("Invalid value for propagateTags. RunTask does not support SERVICE.".into());
    }
    // The reference lists letters, digits, - _ and /, but ECS takes the blank of fabfuel's "ECS Deploy".
    if str_field(input, "startedBy").is_some_and(|by| by.chars().count() > 128) {
        return refuse("startedBy must be at most 128 characters.".into());
    }
    let members = input.as_object().cloned().unwrap_or_default();
    checks::check_compatible(&members, definition)?;
    command_container(input, definition)
}

/// The place of the container that is overridden, else of the first essential one.
fn command_container(input: &Value, definition: &TaskDefinition) -> Result<usize, ServiceError> {
    let mut main = definition.containers.iter().position(|it| it.essential).unwrap_or(0);
    for over in input["overrides"]["containerOverrides"].as_array().into_iter().flatten() {
        let name = str_field(over, "name").unwrap_or_default();
        main = definition.containers.iter().position(|it| it.name == name).ok_or_else(|| {
            let words =
                format!("Override for container named {name} is not a container in the TaskDefinition.");
            ServiceError::new("InvalidParameterException", words)
        })?;
    }
    Ok(main)
}

fn capacity_failure(input: &Value) -> Value {
    match input["launchType"] == "EC2" {
        true => json!({ "reason": "RESOURCE:MEMORY" }),
        false => {
            json!({ "reason": "Capacity is unavailable at this time. Please try again later or in a different availability zone" })
        }
    }
}

fn register(
    world: &mut World,
    cluster: usize,
    definition: usize,
    main: usize,
    input: &Value,
    now: f64,
) -> usize {
    let id = world.rng.hex_digits(32);
    let ip = format!("10.1.{}.{}", world.rng.number_below(250), world.rng.number_below(250) + 4);
    let attachment = world.rng.uuid();
    let known = &world.ecs.definitions[definition];
    let containers =
        vec![TaskContainer { digest: None, exit_code: None, reason: None }; known.containers.len()];
    let group = str_field(input, "group").map_or_else(|| format!("family:{}", known.family), str::to_owned);
    let cluster_name = &world.ecs.clusters[cluster];
    let it = OneOffTask {
        arn: format!("arn:aws:ecs:{}:{}:task/{cluster_name}/{id}", world.region, world.account),
        id,
        cluster,
        definition,
        started_by: str_field(input, "startedBy").map(str::to_owned),
        group,
        client_token: str_field(input, "clientToken").map(|token| (token.to_owned(), input.clone())),
        members: response_members(world, definition, input),
        last_status: "PROVISIONING",
        should_run: true,
        ip,
        attachment,
        change_count: 1,
        times: TaskTimes { created: now, ..TaskTimes::default() },
        stop_code: None,
        stopped_reason: None,
        containers,
        main_container: main,
        outcome: task_outcomes::choose_one_off_outcome(world, definition),
        command: world.commands.take_matching(&command_line(input)),
    };
    world.ecs.one_off_tasks.push(it);
    world.ecs.one_off_tasks.len() - 1
}

/// What the answers show of what was asked.
fn response_members(world: &World, definition: usize, input: &Value) -> Map<String, Value> {
    let mut members = Map::new();
    for member in ["launchType", "platformVersion", "overrides", "capacityProviderStrategy"] {
        super::insert_some(&mut members, member, input.get(member).filter(|value| !value.is_null()).cloned());
    }
    members.insert("enableExecuteCommand".into(), (input["enableExecuteCommand"] == true).into());
    let mut tags = input["tags"].as_array().cloned().unwrap_or_default();
    if input["propagateTags"] == "TASK_DEFINITION" {
        let arn = &world.ecs.definitions[definition].arn;
        tags.extend(world.ecs.tags.get(arn).cloned().unwrap_or_default());
    }
    members.insert("tags".into(), tags.into());
    members
}

/// The words of the command, joined by blanks.
fn command_line(input: &Value) -> String {
    let overrides = input["overrides"]["containerOverrides"].as_array();
    let command = overrides.into_iter().flatten().find_map(|over| over["command"].as_array());
    let words: Vec<&str> = command.into_iter().flatten().filter_map(Value::as_str).collect();
    words.join(" ")
}

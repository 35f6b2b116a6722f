//! ExecuteCommand: a session in a running container. What is answered leads nowhere: there is no container.

use serde_json::{Value, json};

use super::super::request::{ServiceError, ServiceResult};
use super::super::world::World;
use super::{clusters, responses::task, str_field};

/// API ExecuteCommand, "Errors".
const NOT_ENABLED: &str = "The execute command failed because execute command was not enabled when the task was run or the \
                           execute command agent isn\u{2019}t running. Wait and try again or run a new task with execute \
                           command enabled and try again.";

pub(super) fn execute_command(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let refuse = |code: &str, words: &str| Err(ServiceError::new(code, words));
    let cluster = clusters::find_cluster(world, input)?;
    if str_field(input, "command").is_none_or(str::is_empty) {
        return refuse("InvalidParameterException", "Command can not be blank.");
    }
    if input["interactive"] != true {
        return refuse("InvalidParameterException", "Interactive is the only mode supported currently.");
    }
    let name = str_field(input, "task").unwrap_or_default();
    let Some(shown) = task::find_response(world, cluster, name, now) else {
        return refuse("InvalidParameterException", "The referenced task was not found.");
    };
    if shown["enableExecuteCommand"] != true || shown["desiredStatus"] != "RUNNING" {
        return refuse("InvalidParameterException", NOT_ENABLED);
    }
    if shown["lastStatus"] != "RUNNING" {
        return refuse(
            "TargetNotConnectedException",
            "The execute command agent of the task is not connected yet.",
        );
    }
    let containers = shown["containers"].as_array().cloned().unwrap_or_default();
    let container = match str_field(input, "container") {
        Some(wanted) => containers.iter().find(|container| container["name"] == wanted),
        None => containers.first().filter(|_| containers.len() == 1),
    };
    let Some(container) = container else {
        return refuse("InvalidParameterException", "Container name must name a container of the task.");
    };
    let session = format!("ecs-execute-command-{}", world.rng.hex_digits(17));
    let stream = format!(
        "wss://ssmmessages.{}.amazonaws.com/v1/data-channel/{session}?role=publish_subscribe",
        world.region
    );
    Ok(json!({
        "clusterArn": shown["clusterArn"],
        "taskArn": shown["taskArn"],
        "containerArn": container["containerArn"],
        "containerName": container["name"],
        "interactive": true,
        "session": {"sessionId": session, "streamUrl": stream, "tokenValue": world.rng.hex_digits(64)},
    }))
}

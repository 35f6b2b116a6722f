//! What ECS refuses of a service and a task definition that do not fit each other, in AWS's words.

use serde_json::{Map, Value};

use super::super::call::Refusal;
use super::state::Definition;

/// Check that a service with these members can run this definition.
pub(super) fn fits(members: &Map<String, Value>, definition: &Definition) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new("InvalidParameterException", message));
    let launch = members.get("launchType").and_then(Value::as_str);
    let compatible = &definition.shown["compatibilities"];
    if launch == Some("FARGATE")
        && !compatible.as_array().is_some_and(|all| all.iter().any(|it| it == "FARGATE"))
    {
        return refuse("Task definition does not support launch_type FARGATE.".into());
    }
    let network = members.get("networkConfiguration").is_some_and(|it| it["awsvpcConfiguration"].is_object());
    if definition.shown["networkMode"] == "awsvpc" && !network {
        return refuse(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.".into(),
        );
    }
    let balancers = members.get("loadBalancers").and_then(Value::as_array);
    balancers.into_iter().flatten().try_for_each(|balancer| listens(balancer, definition))
}

/// The container that a load balancer sends to exists and has that port.
fn listens(balancer: &Value, definition: &Definition) -> Result<(), Refusal> {
    let (name, port) = (balancer["containerName"].as_str().unwrap_or_default(), &balancer["containerPort"]);
    let containers = definition.shown["containerDefinitions"].as_array();
    let message = match containers.into_iter().flatten().find(|container| container["name"] == name) {
        None => format!("The container {name} does not exist in the task definition."),
        Some(container) => {
            let ports = container["portMappings"].as_array();
            if ports.into_iter().flatten().any(|mapping| mapping["containerPort"] == *port) {
                return Ok(());
            }
            format!("The container {name} did not have a container port {port} defined.")
        }
    };
    Err(Refusal::new("InvalidParameterException", message))
}

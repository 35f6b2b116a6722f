//! What ECS refuses of a service and a task definition that do not fit each other, in AWS's words.

use serde_json::{Map, Value};

use super::super::request::ServiceError;
use super::state::TaskDefinition;

/// Check that a service with these members can run this definition.
pub(super) fn check_compatible(
    members: &Map<String, Value>,
    definition: &TaskDefinition,
) -> Result<(), ServiceError> {
    let refuse = |message: String| Err(ServiceError::new("InvalidParameterException", message));
    let compatible = &definition.response["compatibilities"];
    if let Some(launch) = launch_type(members)
        && !compatible.as_array().is_some_and(|all| all.iter().any(|it| it == launch))
    {
        return refuse(format!("Task definition does not support launch_type {launch}."));
    }
    check_platform(members, definition)?;
    check_port_names(members, definition)?;
    let network = members.get("networkConfiguration").is_some_and(|it| it["awsvpcConfiguration"].is_object());
    if definition.response["networkMode"] == "awsvpc" && !network {
        return refuse(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.".into(),
        );
    }
    if definition.response["networkMode"] != "awsvpc" && network {
        return refuse(
            "Network Configuration is not valid for the given networkMode of this task definition.".into(),
        );
    }
    let balancers = members.get("loadBalancers").and_then(Value::as_array);
    balancers.into_iter().flatten().try_for_each(|balancer| check_container_port(balancer, definition))
}

/// The launch type of a service; capacity providers of Fargate are one too.
fn launch_type(members: &Map<String, Value>) -> Option<&str> {
    let strategy = members.get("capacityProviderStrategy").and_then(Value::as_array);
    match strategy.filter(|strategy| !strategy.is_empty()) {
        Some(strategy) => strategy
            .iter()
            .any(|it| it["capacityProvider"] == "FARGATE" || it["capacityProvider"] == "FARGATE_SPOT")
            .then_some("FARGATE"),
        None => members.get("launchType").and_then(Value::as_str),
    }
}

/// All tasks of a service on Fargate have its platform family (API reference, `Service.platformFamily`).
fn check_platform(members: &Map<String, Value>, definition: &TaskDefinition) -> Result<(), ServiceError> {
    let Some(family) = members.get("platformFamily").and_then(Value::as_str) else { return Ok(()) };
    if super::services::platform_family(&definition.response) == family {
        return Ok(());
    }
    let message =
        "The specified platform version doesn't satisfy the required capabilities of the task definition.";
    Err(ServiceError::new("PlatformTaskDefinitionIncompatibilityException", message))
}

/// The ports that Service Connect publishes are named in the definition.
fn check_port_names(members: &Map<String, Value>, definition: &TaskDefinition) -> Result<(), ServiceError> {
    let Some(connect) = members.get("serviceConnectConfiguration") else { return Ok(()) };
    let containers = definition.response["containerDefinitions"].as_array();
    let mappings =
        containers.into_iter().flatten().filter_map(|container| container["portMappings"].as_array());
    let named: Vec<&Value> = mappings.flatten().map(|mapping| &mapping["name"]).collect();
    let used = connect["services"].as_array().into_iter().flatten().map(|it| &it["portName"]);
    let missing: Vec<&str> = used.filter(|name| !named.contains(name)).filter_map(Value::as_str).collect();
    if missing.is_empty() || connect["enabled"] == false {
        return Ok(());
    }
    let message = format!(
        "portName(s) {} of service connect services not found in the task definition",
        missing.join(", ")
    );
    Err(ServiceError::new("InvalidParameterException", message))
}

/// The container that a load balancer sends to exists and has that port.
fn check_container_port(balancer: &Value, definition: &TaskDefinition) -> Result<(), ServiceError> {
    let (name, port) = (balancer["containerName"].as_str().unwrap_or_default(), &balancer["containerPort"]);
    let containers = definition.response["containerDefinitions"].as_array();
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
    Err(ServiceError::new("InvalidParameterException", message))
}

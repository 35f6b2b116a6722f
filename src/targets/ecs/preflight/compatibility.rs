//! Whether the service can run the task definition: what ECS refuses in an update, known before an image is built. Pure.

use serde_json::Value;

use super::super::read::{EcsService, list_field, str_field};
use super::super::task_definition::definition::containers;
use crate::problem::list::name_list;
use crate::problem::{Code, Problem};

/// The platform versions of Fargate without EFS volumes and without a size of the ephemeral storage.
const OLD_PLATFORM_VERSIONS: &[&str] = &["1.0.0", "1.1.0", "1.2.0", "1.3.0"];

/// All requirements of the service that the definition does not meet.
pub fn check(service: &EcsService, wanted: &Value) -> Vec<Problem> {
    let kinds = launch_kinds(service);
    let mut found: Vec<Problem> = kinds.iter().filter_map(|kind| check_launch_kind(kind, wanted)).collect();
    found.extend(check_network(service, wanted));
    found.extend(check_port_names(service, wanted));
    if kinds.iter().any(|kind| kind.name == "FARGATE") {
        found.extend(check_platform(service, wanted));
    }
    found
}

/// A way in which the service starts tasks.
struct LaunchKind {
    /// `FARGATE`, `EC2`, `EXTERNAL` or `MANAGED_INSTANCES`.
    name: String,
    /// Where the service says so, such as `the launch type FARGATE`.
    source: String,
}

/// The launch type of the service, or those of its capacity providers. Providers with names of their own have instances.
fn launch_kinds(service: &EcsService) -> Vec<LaunchKind> {
    let launch = str_field(&service.raw, "launchType");
    let providers = list_field(&service.raw, "capacityProviderStrategy");
    let from_provider = |item: &Value| {
        let provider = str_field(item, "capacityProvider");
        let is_fargate = matches!(provider.as_str(), "FARGATE" | "FARGATE_SPOT");
        is_fargate.then(|| LaunchKind {
            name: "FARGATE".into(),
            source: format!("the capacity provider {provider}"),
        })
    };
    if providers.is_empty() {
        let source = format!("the launch type {launch}");
        return (!launch.is_empty()).then_some(LaunchKind { name: launch, source }).into_iter().collect();
    }
    providers.iter().filter_map(from_provider).take(1).collect()
}

fn check_launch_kind(kind: &LaunchKind, wanted: &Value) -> Option<Problem> {
    let required: Vec<&str> =
        list_field(wanted, "requiresCompatibilities").iter().filter_map(Value::as_str).collect();
    if required.contains(&kind.name.as_str()) {
        return None;
    }
    let is_awsvpc = wanted["networkMode"] == "awsvpc";
    let missing = match kind.name.as_str() {
        "FARGATE" => missing_for_fargate(wanted),
        "EXTERNAL" if is_awsvpc => vec!["a network mode other than `awsvpc`"],
        _ => Vec::new(),
    };
    if missing.is_empty() {
        return None;
    }
    let sentence = format!(
        "The service uses {}, and the task definition cannot run there: it has no {}.",
        kind.source,
        missing.join(", no ")
    );
    let help = format!(
        "Add {} to `requiresCompatibilities` of the task definition, with what it requires, or change the service.",
        kind.name
    );
    Some(Problem::error(Code::TaskDefinitionInvalid, sentence).help(help))
}

/// What a definition that does not name Fargate needs, so that Fargate can run it all the same.
fn missing_for_fargate(wanted: &Value) -> Vec<&'static str> {
    let has = |key: &str| wanted.get(key).is_some_and(|value| !value.is_null());
    let needs = [
        ("network mode `awsvpc`", wanted["networkMode"] == "awsvpc"),
        ("`cpu` of the task", has("cpu")),
        ("`memory` of the task", has("memory")),
    ];
    needs.iter().filter(|(_, met)| !met).map(|(need, _)| *need).collect()
}

/// The network mode of the definition and the network configuration of the service.
fn check_network(service: &EcsService, wanted: &Value) -> Option<Problem> {
    let configured = service.raw["networkConfiguration"]["awsvpcConfiguration"].is_object();
    let sentence = match (wanted["networkMode"] == "awsvpc", configured) {
        (true, false) => {
            "The task definition has the network mode `awsvpc`, and the service has no network configuration."
        }
        (false, true) => {
            "The service has a network configuration, and the network mode of the task definition is not `awsvpc`."
        }
        (true, true) | (false, false) => return None,
    };
    let help = "Change `networkMode` of the task definition, or `networkConfiguration` of the service.";
    Some(Problem::error(Code::TaskDefinitionInvalid, sentence).help(help))
}

/// The ports of Service Connect must have the names that the service uses.
fn check_port_names(service: &EcsService, wanted: &Value) -> Option<Problem> {
    let connect = service_connect(service);
    let named: Vec<String> = containers(wanted)
        .iter()
        .flat_map(|container| list_field(container, "portMappings"))
        .map(|mapping| str_field(mapping, "name"))
        .collect();
    let used = list_field(connect, "services").iter().map(|it| str_field(it, "portName"));
    let missing: Vec<String> = used.filter(|name| !named.contains(name)).collect();
    if connect["enabled"] == false || missing.is_empty() {
        return None;
    }
    let sentence = format!(
        "Service Connect of the service uses the port {}, which no port mapping of the task definition has as its name.",
        name_list(missing.iter().map(String::as_str))
    );
    let help =
        "Set `name` in `portMappings` of the task definition, or change the Service Connect configuration.";
    Some(Problem::error(Code::TaskDefinitionInvalid, sentence).help(help))
}

/// The Service Connect configuration: AWS shows it at the deployments, not at the service.
fn service_connect(service: &EcsService) -> &Value {
    let deployments = list_field(&service.raw, "deployments");
    let primary = deployments.iter().find(|deployment| deployment["status"] == "PRIMARY");
    primary.map_or(&Value::Null, |primary| &primary["serviceConnectConfiguration"])
}

/// The operating system and the platform version of Fargate.
fn check_platform(service: &EcsService, wanted: &Value) -> Vec<Problem> {
    [check_operating_system(service, wanted), check_platform_version(service, wanted)]
        .into_iter()
        .flatten()
        .collect()
}

/// All tasks of a service have one operating system: `WINDOWS_SERVER_2022_CORE` is `Windows Server 2022 Core`.
fn check_operating_system(service: &EcsService, wanted: &Value) -> Option<Problem> {
    let family = str_field(&service.raw, "platformFamily").replace(' ', "_").to_uppercase();
    let system = str_field(&wanted["runtimePlatform"], "operatingSystemFamily");
    let system = if system.is_empty() { "LINUX".to_owned() } else { system };
    if family.is_empty() || family == system {
        return None;
    }
    let sentence =
        format!("The tasks of the service run on {family}, and the task definition is for {system}.");
    let help = "Change `runtimePlatform.operatingSystemFamily`, or create a service for the other system.";
    Some(Problem::error(Code::TaskDefinitionInvalid, sentence).help(help))
}

fn check_platform_version(service: &EcsService, wanted: &Value) -> Option<Problem> {
    let version = str_field(&service.raw, "platformVersion");
    if !OLD_PLATFORM_VERSIONS.contains(&version.as_str()) {
        return None;
    }
    let has_efs = list_field(wanted, "volumes").iter().any(|it| it["efsVolumeConfiguration"].is_object());
    let needs = [("an EFS volume", has_efs), ("`ephemeralStorage`", wanted["ephemeralStorage"].is_object())];
    let used: Vec<&str> = needs.iter().filter(|(_, uses)| *uses).map(|(what, _)| *what).collect();
    let sentence = format!(
        "The service uses the platform version {version} of Fargate, and the task definition has {}, which needs 1.4.0.",
        used.join(" and ")
    );
    let problem = Problem::error(Code::TaskDefinitionInvalid, sentence)
        .help("Set `platformVersion` of the service to LATEST.");
    (!used.is_empty()).then_some(problem)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(service: &Value, wanted: &Value) -> String {
        let found = check(&EcsService::from_json(service), wanted);
        found.into_iter().map(|problem| problem.sentence).collect::<Vec<_>>().join(" ")
    }

    fn fargate_definition() -> Value {
        json!({
            "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
            "containerDefinitions": [{"name": "app", "portMappings": [{"containerPort": 8080, "name": "http"}]}],
        })
    }

    fn network() -> Value {
        json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}})
    }

    #[test]
    fn launch_type_and_capacity_providers_must_fit_the_definition() {
        let bridge = json!({"networkMode": "bridge", "requiresCompatibilities": ["EC2"]});
        let sized = json!({"networkMode": "awsvpc", "cpu": "256", "memory": "512"});
        let unsized_task = json!({"networkMode": "awsvpc"});
        let spot = json!([{"capacityProvider": "FARGATE_SPOT", "weight": 1}]);
        let own = json!([{"capacityProvider": "my-instances"}]);
        let refused = "cannot run there";
        let table = [
            (json!({"launchType": "FARGATE", "networkConfiguration": network()}), fargate_definition(), ""),
            (json!({"launchType": "FARGATE", "networkConfiguration": network()}), sized, ""),
            (
                json!({"launchType": "FARGATE", "networkConfiguration": network()}),
                unsized_task.clone(),
                refused,
            ),
            (json!({"launchType": "FARGATE"}), bridge.clone(), refused),
            (json!({"launchType": "EC2"}), bridge.clone(), ""),
            (json!({"launchType": "EC2", "networkConfiguration": network()}), fargate_definition(), ""),
            (json!({"launchType": "EXTERNAL", "networkConfiguration": network()}), unsized_task, refused),
            (json!({"capacityProviderStrategy": spot}), bridge.clone(), "capacity provider FARGATE_SPOT"),
            (json!({"capacityProviderStrategy": own}), bridge.clone(), ""),
            (json!({}), bridge, ""),
        ];
        for (service, wanted, expected) in table {
            let found = problems(&service, &wanted);
            assert_eq!(found.is_empty(), expected.is_empty(), "{service} {wanted}: {found}");
            assert!(found.contains(expected), "{service}: {found}");
        }
    }

    #[test]
    fn network_mode_must_fit_the_network_configuration() {
        let awsvpc = json!({"networkMode": "awsvpc"});
        let with = json!({"launchType": "EC2", "networkConfiguration": network()});
        let without = json!({"launchType": "EC2"});
        assert_eq!(problems(&with, &awsvpc), "");
        assert_eq!(problems(&without, &json!({})), "");
        assert!(problems(&without, &awsvpc).contains("has no network configuration"));
        assert!(problems(&with, &json!({"networkMode": "bridge"})).contains("is not `awsvpc`"));
    }

    #[test]
    fn service_connect_ports_must_be_named_in_the_definition() {
        let service = |enabled: bool, port: &str| {
            json!({
                "launchType": "FARGATE", "networkConfiguration": network(),
                "deployments": [{"status": "PRIMARY", "serviceConnectConfiguration":
                    {"enabled": enabled, "namespace": "acme", "services": [{"portName": port}]}}],
            })
        };
        assert_eq!(problems(&service(true, "http"), &fargate_definition()), "");
        assert_eq!(problems(&service(false, "grpc"), &fargate_definition()), "");
        assert!(problems(&service(true, "grpc"), &fargate_definition()).contains("the port `grpc`"));
    }

    #[test]
    fn platform_of_the_service_must_fit_the_definition() {
        let service = |family: &str, version: &str| json!({"launchType": "FARGATE", "networkConfiguration": network(), "platformFamily": family, "platformVersion": version});
        let with = |key: &str, value: Value| {
            let mut wanted = fargate_definition();
            wanted[key] = value;
            wanted
        };
        let windows = with("runtimePlatform", json!({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}));
        let efs = with("volumes", json!([{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]));
        assert_eq!(problems(&service("Linux", "LATEST"), &fargate_definition()), "");
        assert_eq!(problems(&service("Windows Server 2022 Core", "1.0.0"), &windows), "");
        assert!(problems(&service("Linux", "LATEST"), &windows).contains("WINDOWS_SERVER_2022_CORE"));
        assert_eq!(problems(&service("Linux", "1.4.0"), &efs), "");
        assert!(problems(&service("Linux", "1.3.0"), &efs).contains("an EFS volume"));
    }
}

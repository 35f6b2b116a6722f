//! What a service needs around it so that it can run a task definition: launch type, port, platform, images. For the
//! world of a rehearsal. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ecr_image::required_platform;
use super::read::{list_field, str_field};
use super::task_definition::definition::{containers, find_container, set_field};
use super::task_definition::document::TaskDefinitionDocument;
use super::task_definition::lint::{requires, without_nulls};
use super::task_definition::lint_container::is_image_reference;

/// A task definition of a user, and the container whose image is deployed.
#[derive(Debug, Clone, PartialEq)]
pub struct DefinitionSeed {
    definition: Value,
    container: usize,
}

/// A container of a task, and the port on which it takes traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficPort {
    /// Name of the container.
    pub container: String,
    /// Its port.
    pub number: u16,
}

impl DefinitionSeed {
    /// Reads a file; `None` if it is no task definition, or if the container is ambiguous.
    pub fn read(path: &str, text: &str, container: Option<&str>) -> Option<Self> {
        let document = TaskDefinitionDocument::parse(path, text).ok()?;
        let definition = without_nulls(&document.value);
        let container = find_container(&definition, container).ok()?;
        Some(Self { definition, container })
    }

    /// The launch type of a service that runs it. Without `requiresCompatibilities` that is AWS's default.
    pub fn launch_type(&self) -> &'static str {
        let known = ["FARGATE", "EC2", "MANAGED_INSTANCES", "EXTERNAL"];
        known.into_iter().find(|kind| requires(&self.definition, kind)).unwrap_or("EC2")
    }

    /// The platform of its images, such as `linux/arm64`.
    pub fn platform(&self) -> String {
        required_platform(&self.definition)
    }

    /// The port behind a load balancer: of our own container, or of the first other one with a TCP port. A worker has
    /// none, and external instances have no load balancer.
    pub fn traffic_port(&self) -> Option<TrafficPort> {
        if self.launch_type() == "EXTERNAL" || self.definition["networkMode"] == "none" {
            return None;
        }
        let all = containers(&self.definition);
        all.get(self.container).into_iter().chain(all).find_map(|container| {
            let is_tcp = |port: &&Value| port["protocol"] != "udp";
            let ports = list_field(container, "portMappings").iter().filter(is_tcp);
            let number = ports.into_iter().find_map(|port| port["containerPort"].as_u64())?;
            Some(TrafficPort { container: str_field(container, "name"), number: number.try_into().ok()? })
        })
    }

    /// The definition that runs before a release: `image` stands where the file has a placeholder, and those of `further`
    /// containers where it has one for them.
    pub fn running(&self, image: &str, further: &BTreeMap<String, String>) -> Value {
        let mut running = self.definition.clone();
        let containers = running.get_mut("containerDefinitions").and_then(Value::as_array_mut);
        for (index, container) in containers.into_iter().flatten().enumerate() {
            let name = container["name"].as_str().unwrap_or_default();
            let known = further.get(name).map(String::as_str);
            let stands_in = if index == self.container { Some(image) } else { known };
            let has_image = container["image"].as_str().is_some_and(is_image_reference);
            if let Some(image) = stands_in.filter(|_| !has_image) {
                set_field(container, "image", json!(image));
            }
        }
        running
    }

    /// A definition that runs, with another image in the container that is deployed.
    pub fn running_image(&self, running: Option<&Value>, image: &str) -> Option<Value> {
        let mut running = running?.clone();
        let all = running.get_mut("containerDefinitions").and_then(Value::as_array_mut);
        if let Some(container) = all.and_then(|all| all.get_mut(self.container)) {
            set_field(container, "image", json!(image));
        }
        Some(running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(definition: &Value) -> DefinitionSeed {
        DefinitionSeed::read("td.json", &definition.to_string(), Some("app")).unwrap()
    }

    fn with_ports(own: Value, other: Value) -> Value {
        json!({"family":"f","containerDefinitions":[{"name":"router","portMappings":other},{"name":"app","portMappings":own}]})
    }

    #[test]
    fn launch_type_is_that_of_the_definition() {
        let of = |all: Value| {
            seed(&json!({"requiresCompatibilities":all,"containerDefinitions":[{"name":"app"}]}))
                .launch_type()
        };
        let table = [
            (json!(null), "EC2"),
            (json!([]), "EC2"),
            (json!(["EC2", "FARGATE"]), "FARGATE"),
            (json!(["EXTERNAL", "EC2"]), "EC2"),
            (json!(["EXTERNAL"]), "EXTERNAL"),
            (json!(["MANAGED_INSTANCES"]), "MANAGED_INSTANCES"),
        ];
        for (all, expected) in table {
            assert_eq!(of(all.clone()), expected, "{all}");
        }
    }

    #[test]
    fn traffic_goes_to_our_port_first_and_to_no_worker() {
        let port = |definition: Value| {
            seed(&definition).traffic_port().map(|port| format!("{}:{}", port.container, port.number))
        };
        let (web, other) = (json!([{"containerPort":80}]), json!([{"containerPort":81}]));
        assert_eq!(port(with_ports(web.clone(), other.clone())).as_deref(), Some("app:80"));
        assert_eq!(port(with_ports(json!([]), other)).as_deref(), Some("router:81"));
        assert_eq!(port(with_ports(json!([]), json!([{"containerPort":2000,"protocol":"udp"}]))), None);
        assert_eq!(port(with_ports(json!([{"containerPortRange":"1-9"}]), json!(null))), None);
        let mut external = with_ports(web, json!(null));
        external["requiresCompatibilities"] = json!(["EXTERNAL"]);
        assert_eq!(port(external), None);
    }

    #[test]
    fn placeholder_runs_as_a_real_image() {
        let running = |image: Value| {
            let seed = seed(&json!({"containerDefinitions":[{"name":"app","image":image}]}));
            seed.running("web:v1", &BTreeMap::new())["containerDefinitions"][0]["image"].clone()
        };
        for placeholder in [json!("<IMAGE1_NAME>"), json!(""), json!(null), json!("${IMAGE}")] {
            assert_eq!(running(placeholder), "web:v1");
        }
        assert_eq!(running(json!("ghcr.io/acme/web:3")), "ghcr.io/acme/web:3");
    }

    #[test]
    fn further_containers_run_with_images_of_their_own() {
        let file = json!({"containerDefinitions":[
            {"name":"app","image":"<APP>"},{"name":"nginx"},{"name":"log","image":"<LOG>"}]});
        let further = [("nginx".to_owned(), "nginx:v1".to_owned())].into();
        let running = seed(&file).running("web:v1", &further);
        let images = running["containerDefinitions"].as_array().unwrap().iter();
        let images: Vec<&str> = images.map(|container| container["image"].as_str().unwrap()).collect();
        assert_eq!(images, ["web:v1", "nginx:v1", "<LOG>"]);
    }
}

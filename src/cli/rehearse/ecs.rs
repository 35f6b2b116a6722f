//! The ECS part of a rehearsal's world: every `ecs` service runs in it, as its own task definition needs it: launch type,
//! ports, platform and images are those of the file. Both services of a pair stand behind the rule of the deploy file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::config::Service;
use crate::config::tree::{ConfigEntry, ConfigNode};
use crate::release::ImageRef;
use crate::sys::disk;
use crate::targets::Kind;
use crate::targets::ecs::kind::EcsKind;
use crate::targets::ecs::seed::DefinitionSeed;
use roadstead_cloud::ecs::seed::task_definition_input;
use roadstead_cloud::scenario::{Scenario, ServiceSetting, TargetGroupSetting};
use roadstead_cloud::web::Site;

use super::example::ExampleFiles;
use super::worlds::{SeedContext, World};

const EXAMPLE: &str = include_str!("../../../examples/rehearsal/roadstead.yml");

/// The world of services on ECS.
pub(super) struct EcsWorld;

impl World for EcsWorld {
    fn key(&self) -> &'static str {
        EcsKind::KEY
    }

    fn example(&self) -> ExampleFiles {
        ExampleFiles::of_deploy_file(EXAMPLE)
    }

    fn seed(
        &self,
        mut scenario: Scenario,
        services: &[&Service],
        context: &SeedContext<'_>,
    ) -> Result<Scenario, String> {
        let declared: BTreeSet<String> = scenario.repositories.keys().cloned().collect();
        for service in services {
            let Some(names) = ServiceNames::of(service) else { continue };
            let definition = read_definition(context.workspace, service);
            scenario = with_build_platform(scenario, service, definition.as_ref());
            let running = running_service(&scenario, service, &names, definition.as_ref());
            let same = |have: &ServiceSetting| have.cluster == running.cluster && have.name == running.name;
            match scenario.services.iter().position(same) {
                Some(index) => {
                    complete_listed(&mut scenario.services[index], &running, definition.as_ref());
                    let listed = scenario.services[index].clone();
                    scenario = with_images(scenario, &listed, definition.as_ref(), &declared);
                }
                None => {
                    scenario = with_images(scenario, &running, definition.as_ref(), &declared);
                    scenario = scenario.with_service(running.clone());
                }
            }
            if let Some(pair) = pair_service(service) {
                scenario = scenario.with_paired_service(&running, &pair.service, Some(pair.rule));
            }
        }
        Ok(scenario)
    }

    fn link_site(&self, service: &Service, site: &mut Site) {
        let names = ServiceNames::of(service);
        site.service = names.map(|names| format!("{}/{}", names.cluster, names.service));
    }
}

fn text_at(service: &Service, key: &str) -> Option<String> {
    service.settings.get(key)?.to_value().as_str().map(str::to_owned)
}

/// Cluster and name of a service.
struct ServiceNames {
    cluster: String,
    service: String,
}

impl ServiceNames {
    fn of(service: &Service) -> Option<Self> {
        Some(Self { cluster: text_at(service, "cluster")?, service: text_at(service, "service")? })
    }
}

/// The user's own definition. Without a file, or with one that the run itself rejects, a small one is made up.
fn read_definition(workspace: &Path, service: &Service) -> Option<DefinitionSeed> {
    let path = text_at(service, "task-definition")?;
    let text = disk::read_text_within(workspace, Path::new(&path)).ok()?;
    DefinitionSeed::read(&path, &text, text_at(service, "container").as_deref())
}

/// The service as it runs before the rehearsal.
fn running_service(
    scenario: &Scenario,
    service: &Service,
    names: &ServiceNames,
    definition: Option<&DefinitionSeed>,
) -> ServiceSetting {
    let mut running = ServiceSetting::with_defaults(&names.cluster, &names.service);
    running.container = text_at(service, "container").unwrap_or(running.container);
    let image = made_up_image(scenario, service.config.repository.as_deref(), &names.service);
    let further = further_images(scenario, service);
    let Some(definition) = definition else {
        running.task_definition = made_up_definition(scenario, &running, &further);
        return running;
    };
    running.launch_type = Some(definition.launch_type().to_owned());
    running.target_groups = match definition.traffic_port() {
        Some(port) => vec![TargetGroupSetting {
            arn: names.service.clone(),
            container: Some(port.container),
            port: Some(port.number),
            ..TargetGroupSetting::default()
        }],
        None => Vec::new(),
    };
    running.task_definition = Some(definition.running(&image, &further));
    running
}

/// Completes a service that the scenario lists: what it does not say is as the user's own definition needs it.
fn complete_listed(
    listed: &mut ServiceSetting,
    running: &ServiceSetting,
    definition: Option<&DefinitionSeed>,
) {
    if listed.task_definition.is_some() || running.task_definition.is_none() {
        return;
    }
    listed.task_definition = match (&listed.image, definition) {
        (Some(image), Some(definition)) => definition.running_image(running.task_definition.as_ref(), image),
        _ => running.task_definition.clone(),
    };
    listed.container.clone_from(&running.container);
    if listed.capacity_providers.is_empty() && listed.launch_type.is_none() {
        listed.launch_type.clone_from(&running.launch_type);
    }
    let own = running.target_groups.first();
    for group in listed.target_groups.iter_mut().filter(|group| group.container.is_none()) {
        group.container = own.and_then(|own| own.container.clone());
        group.port = group.port.or(own.and_then(|own| own.port));
    }
}

/// Images that run in further containers: their fixed ones, or made up ones.
fn further_images(scenario: &Scenario, service: &Service) -> BTreeMap<String, String> {
    let entries = service.settings.get("images").map(ConfigNode::entries).unwrap_or_default();
    let image = |entry: &ConfigEntry| {
        let text = |key: &str| entry.value.get(key)?.to_value().as_str().map(str::to_owned);
        let made_up = || made_up_image(scenario, text("repository").as_deref(), &entry.key);
        (entry.key.clone(), text("image").unwrap_or_else(made_up))
    };
    entries.iter().map(image).collect()
}

/// The emulator's own small definition with further containers; `None` where it has none.
fn made_up_definition(
    scenario: &Scenario,
    running: &ServiceSetting,
    further: &BTreeMap<String, String>,
) -> Option<Value> {
    if further.is_empty() {
        return None;
    }
    let mut definition = task_definition_input(running, &scenario.account, &scenario.region);
    let others = further.iter().map(|(name, image)| json!({ "name": name, "image": image }));
    definition.get_mut("containerDefinitions")?.as_array_mut()?.extend(others);
    Some(definition)
}

/// The image that runs where the file has a placeholder; `name` is its repository where the deploy file has none.
fn made_up_image(scenario: &Scenario, repository: Option<&str>, name: &str) -> String {
    let repository = repository.unwrap_or(name);
    let is_whole = repository.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']));
    match is_whole {
        true => format!("{repository}:v1"),
        false => {
            format!("{}.dkr.ecr.{}.amazonaws.com/{repository}:v1", scenario.account, scenario.region)
        }
    }
}

/// The images of the running definition exist, for its platform. Repositories of a scenario file stay as they are.
fn with_images(
    scenario: Scenario,
    running: &ServiceSetting,
    definition: Option<&DefinitionSeed>,
    declared: &BTreeSet<String>,
) -> Scenario {
    let platform = definition.map_or_else(|| "linux/amd64".to_owned(), DefinitionSeed::platform);
    let containers = running.task_definition.as_ref().and_then(|it| it["containerDefinitions"].as_array());
    let images = containers.into_iter().flatten().filter_map(|container| container["image"].as_str());
    let is_free = |image: &&str| {
        let parsed = image.parse::<ImageRef>();
        parsed.is_ok_and(|parsed| !declared.contains(&parsed.repository))
    };
    images.filter(is_free).fold(scenario, |scenario, image| scenario.with_image(image, &platform))
}

/// A service without a `build` of its own, and one on Windows, gets images for the platform of its definition.
fn with_build_platform(
    mut scenario: Scenario,
    service: &Service,
    definition: Option<&DefinitionSeed>,
) -> Scenario {
    let Some(platform) = definition.map(DefinitionSeed::platform) else { return scenario };
    let follows = |has_build: bool| !has_build || platform.starts_with("windows");
    let own = service.config.repository.clone().filter(|_| follows(service.build.is_some()));
    let entries = service.settings.get("images").map(ConfigNode::entries).unwrap_or_default();
    let further = entries.iter().filter(|entry| follows(entry.value.get("build").is_some()));
    let further =
        further.filter_map(|entry| entry.value.get("repository")?.to_value().as_str().map(str::to_owned));
    let images = own.into_iter().chain(further).filter_map(|name| name.parse::<ImageRef>().ok());
    for image in images.filter(|_| platform != "linux/amd64") {
        let repository = scenario.repositories.entry(image.repository).or_default();
        repository.platform.get_or_insert(platform.clone());
    }
    scenario
}

/// The second service of a pair, and the rule in front of both.
struct PairedService {
    service: String,
    rule: String,
}

fn pair_service(service: &Service) -> Option<PairedService> {
    let pair: Value = service.settings.get("pair")?.to_value();
    let text = |key: &str| pair[key].as_str().map(str::to_owned);
    Some(PairedService { service: text("service")?, rule: text("rule")? })
}

//! ECR as a service of the cloud: what the shared part of the cloud asks of it.

use std::collections::BTreeMap;

use super::registries::{RegistryId, Repositories};
use super::scenario::RepositorySetting;
use super::{backing_registry, build_image, store};
use crate::cloud::Cloud;
use crate::input::str_field;
use crate::request::{ServiceCall, ServiceResult};
use crate::scenario::Scenario;
use crate::service::{ErrorCodes, OutsideWork, Service, ServiceProtocol};
use crate::throttle::RequestRate;
use crate::world::{EcrRepository, World};

/// What ECR calls the errors that every service has.
static ERRORS: ErrorCodes = ErrorCodes::AWS_JSON.with_internal(500, "ServerException");

/// Amazon ECR.
pub struct Ecr;

impl Service for Ecr {
    fn name(&self) -> &'static str {
        "ecr"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::AwsJson { target: "AmazonEC2ContainerRegistry_V20150921" }
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, began: f64) {
        world.backing_registry = scenario.registry.clone();
        world.blob_mounting = scenario.blob_mounting;
        *world.repositories_mut() = seed_repositories(&scenario.repositories, began);
        for registry in &scenario.registries {
            let at = RegistryId::new(&registry.account, &registry.region);
            let repositories = seed_repositories(&registry.repositories, began);
            world.registries.entry(at).or_default().extend(repositories);
        }
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        super::handle(world, call, now)
    }

    /// The link to a layer carries its own authorization.
    fn required_actions(&self, call: &ServiceCall) -> Vec<String> {
        match call.operation.as_str() {
            "GetLayer" => Vec::new(),
            other => vec![format!("ecr:{other}")],
        }
    }

    fn request_rate(&self, operation: &str) -> Option<RequestRate> {
        (operation == "PutImage").then_some(RequestRate::new("ecr put image", 10.0, 10.0))
    }

    /// With a real registry behind it: what that holds.
    fn look_outside(&self, world: &World, call: &ServiceCall) -> Option<OutsideWork> {
        match call.operation.as_str() {
            "GetAuthorizationToken" | "DescribeRepositories" => None,
            _ => {
                backing_registry::look_up(world, &call.input, Some(str_field(&call.input, "repositoryName")))
            }
        }
    }

    /// With a real registry behind it: a manifest that was put here is put there.
    fn change_outside(&self, world: &World, call: &ServiceCall) -> Option<OutsideWork> {
        match call.operation.as_str() {
            "PutImage" => backing_registry::push_manifest(world, &call.input),
            _ => None,
        }
    }
}

/// The repositories of a registry.
fn seed_repositories(settings: &BTreeMap<String, RepositorySetting>, began: f64) -> Repositories {
    let mut repositories = Repositories::new();
    for (name, setting) in settings.iter().filter(|(_, setting)| !setting.missing) {
        let (immutable, readers) = (setting.immutable, setting.readers.clone());
        let build_platform = setting.platform.clone();
        let mut repository = EcrRepository { immutable, readers, build_platform, ..EcrRepository::default() };
        for image in &setting.images {
            let content = format!("{}{}", image.tags.join(" "), image.digest.as_deref().unwrap_or_default());
            let made = named_image(name, &image.platform, &content);
            let top = made.digest().to_owned();
            store::push_image(&mut repository, made, &image.tags, began - 90_000.0);
            let known = repository.images.iter_mut().find(|known| known.digest == top);
            if let (Some(known), Some(digest)) = (known, &image.digest) {
                known.digest.clone_from(digest);
            }
        }
        repositories.insert(name.clone(), repository);
    }
    repositories
}

fn named_image(repository: &str, platform: &str, content: &str) -> super::BuiltImage {
    let platforms: Vec<&str> = platform.split(',').map(str::trim).collect();
    build_image(&platforms, &format!("{repository}: {content}"))
}

/// Put an image into a repository, made from `content`: the same content has the same digest, which is returned.
/// Tags move to it. Several platforms, with commas between them, make an index.
fn push_image(
    world: &mut World,
    repository: &str,
    tags: &[String],
    platform: &str,
    content: &str,
    now: f64,
) -> String {
    let made = named_image(repository, platform, content);
    let digest = made.digest().to_owned();
    store::push_image(world.repositories_mut().entry(repository.into()).or_default(), made, tags, now);
    digest
}

/// Makes sure that a seeded service's own repository exists, with its image `v1`.
pub fn seed_default_repository(world: &mut World, name: &str, began: f64) {
    if world.backing_registry.is_none() && !world.repositories().contains_key(name) {
        push_image(world, name, &["v1".to_owned()], "linux/amd64", "v1", began - 90_000.0);
    }
}

impl Cloud {
    /// The platform of the images that a build pushes to a repository without naming one.
    pub fn build_platform(&self, repository: &str) -> Option<String> {
        self.read(|world| world.repositories().get(repository)?.build_platform.clone())
    }

    /// Put an image into a repository as a build would, and get its digest. The same content has the same digest.
    pub fn push_image(&self, repository: &str, tags: &[&str], platform: &str, content: &str) -> String {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        self.change(|world, now| push_image(world, repository, &tags, platform, content, now))
    }
}

//! Further containers of a task definition whose images are deployed beside that of the service (`ecs.images`): what the
//! deploy file says of them, what is wrong with it, and their images in a definition. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Settings;
use super::read::ServiceRevision;
use super::rollout::serving_proof;
use super::task_definition::definition::{self, find_container};
use super::task_definition::document::TaskDefinitionDocument;
use crate::config::Service;
use crate::config::tree::{ConfigEntry, ConfigNode};
use crate::problem::{Code, Location, Problem};
use crate::release::{ContainerImages, ImageRef, Release};
use crate::targets::{DeclaredContainer, Spec};

/// The containers in the order of the deploy file.
pub fn declared_containers(spec: &Spec<'_, Settings>) -> Vec<DeclaredContainer> {
    entries(spec.service).iter().filter_map(|entry| declared_container(spec, entry)).collect()
}

fn entries(service: &Service) -> &[ConfigEntry] {
    service.settings.get("images").map(ConfigNode::entries).unwrap_or_default()
}

fn declared_container(spec: &Spec<'_, Settings>, entry: &ConfigEntry) -> Option<DeclaredContainer> {
    let settings = spec.settings.images.get(&entry.key)?;
    Some(DeclaredContainer {
        name: entry.key.clone(),
        location: Location { file: spec.file.to_owned(), line: entry.line, column: entry.column },
        repository: settings.repository.clone(),
        build: entry.value.get("build").cloned(),
        image: settings.image.as_deref().and_then(|image| image.parse().ok()),
    })
}

/// What is wrong with the containers, each at its line of the deploy file.
pub fn lint(spec: &Spec<'_, Settings>) -> Vec<Problem> {
    let read = spec.source.and_then(|file| TaskDefinitionDocument::parse(&file.path, &file.text).ok());
    let declared = declared_containers(spec);
    let mut found: Vec<Problem> = Vec::new();
    for container in &declared {
        let of_definition = match &read {
            Some(document) => container_problem(&document.value, spec.settings, &container.name),
            None => deployed_twice(spec.settings.container.as_deref(), &container.name),
        };
        let source =
            source_problem(spec, container).or_else(|| repository_problem(spec, &declared, container));
        let own = of_definition.into_iter().chain(source);
        found.extend(own.map(|problem| Problem { location: Some(container.location.clone()), ..problem }));
    }
    found
}

/// What is wrong with the containers in the definition that is registered.
pub fn definition_problems(definition: &Value, settings: &Settings) -> Vec<Problem> {
    settings.images.keys().filter_map(|name| container_problem(definition, settings, name)).collect()
}

/// A container that the definition does not have, or that gets the image of the service.
fn container_problem(definition: &Value, settings: &Settings, name: &str) -> Option<Problem> {
    let main = definition::container_name(definition, settings.container.as_deref());
    let twice = deployed_twice(main.as_deref().or(settings.container.as_deref()), name);
    twice.or_else(|| find_container(definition, Some(name)).err())
}

fn deployed_twice(main: Option<&str>, name: &str) -> Option<Problem> {
    (main == Some(name)).then(|| {
        let sentence =
            format!("The container `{name}` gets the image of the service and is in `ecs.images`, too.");
        let help = "Remove it from `images`, or name the container of the service in `ecs.container`.";
        Problem::error(Code::ConfigInvalid, sentence).help(help)
    })
}

/// A container without a source of its image, or with two.
fn source_problem(spec: &Spec<'_, Settings>, container: &DeclaredContainer) -> Option<Problem> {
    let name = &container.name;
    let fixed = spec.settings.images.get(name)?.image.as_deref();
    let wrong = |sentence: String, help: &str| Some(Problem::error(Code::ConfigInvalid, sentence).help(help));
    match (fixed, &container.build, &container.repository) {
        (Some(_), None, None) => match fixed?.parse::<ImageRef>() {
            Ok(_) => None,
            Err(why) => wrong(format!("The `image` of the container `{name}` cannot be used: {why}."), ""),
        },
        (Some(_), ..) => wrong(
            format!("The container `{name}` has a fixed `image`, and a `build` or `repository`, too."),
            "Keep `image` for an image that is not built here, or `build` and `repository` for one that is.",
        ),
        (None, None, None) => wrong(
            format!(
                "The container `{name}` in `ecs.images` has neither `build` nor `repository` nor `image`."
            ),
            "Add `repository` and `build` for an image that is built, or `image` for a fixed one.",
        ),
        (None, Some(_), None) => wrong(
            format!("There is a `build` of the container `{name}`, but no `repository` to push to."),
            "Add `repository`.",
        ),
        (None, _, Some(_)) => None,
    }
}

/// Two builds that are pushed to one repository: both would get the tag of the commit.
fn repository_problem(
    spec: &Spec<'_, Settings>,
    declared: &[DeclaredContainer],
    container: &DeclaredContainer,
) -> Option<Problem> {
    let (build, repository) = (container.build.as_ref()?, container.repository.as_ref()?);
    let value = |build: &ConfigNode| build.to_value();
    let service = spec.service;
    let is_of_service = service.config.repository.as_ref() == Some(repository);
    let before = declared.iter().take_while(|other| other.name != container.name);
    let same = before.filter(|other| other.repository.as_ref() == Some(repository));
    let other = match is_of_service {
        true if service.build.as_ref().map(value) != Some(value(build)) => Some("the service".to_owned()),
        true => None,
        false => same
            .filter(|other| other.build.as_ref().is_some_and(|other| value(other) != value(build)))
            .map(|other| format!("the container `{}`", other.name))
            .next(),
    };
    let other = other?;
    let name = &container.name;
    let sentence = format!(
        "The images of the container `{name}` and of {other} are different builds with the same repository `{repository}`, \
         so both would get the same tag."
    );
    let help = "Give each its own repository. Without `build`, the container gets the same image.";
    Some(Problem::error(Code::ConfigInvalid, sentence).help(help))
}

/// Puts the images of the further containers into a definition: those of the release, or those that run now where nothing
/// was built.
pub fn apply_images(wanted: &mut Value, settings: &Settings, release: &Release, running: &Value) {
    for name in settings.images.keys() {
        let image = release.container_images.get(name).cloned();
        let image = image.or_else(|| definition::image(running, name));
        let place = find_container(wanted, Some(name)).ok();
        let containers = wanted.get_mut("containerDefinitions").and_then(Value::as_array_mut);
        let container = containers.zip(place).and_then(|(all, place)| all.get_mut(place));
        if let (Some(container), Some(image)) = (container, image) {
            definition::set_field(container, "image", Value::String(image.to_string()));
        }
    }
}

/// The images of these containers, by the digests that run where a revision shows them.
pub fn running_images<'n>(
    definition: &Value,
    revision: Option<&ServiceRevision>,
    names: impl Iterator<Item = &'n String>,
) -> ContainerImages {
    let running = |name: &'n String| {
        let image = definition::image(definition, name)?;
        let digest = revision.and_then(|revision| serving_proof::named_digest(revision, name));
        Some((name.clone(), digest.map_or(image.clone(), |digest| image.with_digest(digest))))
    };
    names.filter_map(running).collect()
}

/// The images of these containers in a revision, by the digests that ran.
pub fn revision_images<'n>(
    revision: &ServiceRevision,
    names: impl Iterator<Item = &'n String>,
) -> ContainerImages {
    let known: BTreeMap<&str, &str> =
        revision.images.iter().map(|(name, image, _)| (name.as_str(), image.as_str())).collect();
    let image = |name: &'n String| {
        let image: ImageRef = known.get(name.as_str())?.parse().ok()?;
        let digest = serving_proof::named_digest(revision, name);
        Some((name.clone(), digest.map_or(image.clone(), |digest| image.with_digest(digest))))
    };
    names.filter_map(image).collect()
}

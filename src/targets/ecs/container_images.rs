//! Further containers of a task definition whose images are deployed beside that of the service (`ecs.images`): what
//! is wrong with them, and their images in a definition. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Settings;
use super::kind::EcsKind;
use super::read::ServiceRevision;
use super::rollout::serving_proof;
use super::task_definition::definition::{self, find_container};
use super::task_definition::document::TaskDefinitionDocument;
use crate::problem::Problem;
use crate::release::{ContainerImages, ImageRef, Release};
use crate::targets::{Kind as _, Spec, further_images};

/// What is wrong with the containers, each at its line of the deploy file.
pub fn lint(spec: &Spec<'_, Settings>) -> Vec<Problem> {
    let read = spec.source.and_then(|file| TaskDefinitionDocument::parse(&file.path, &file.text).ok());
    further_images::problems(EcsKind::KEY, &spec.with_settings(&spec.settings.images), |name| match &read {
        Some(document) => container_problem(&document.value, spec.settings, name),
        None => further_images::deployed_twice(EcsKind::KEY, spec.settings.container.as_deref(), name),
    })
}

/// What is wrong with the containers in the definition that is registered.
pub fn definition_problems(definition: &Value, settings: &Settings) -> Vec<Problem> {
    settings.images.keys().filter_map(|name| container_problem(definition, settings, name)).collect()
}

/// A container that the definition does not have, or that gets the image of the service.
fn container_problem(definition: &Value, settings: &Settings, name: &str) -> Option<Problem> {
    let main = definition::container_name(definition, settings.container.as_deref());
    let main = main.as_deref().or(settings.container.as_deref());
    let twice = further_images::deployed_twice(EcsKind::KEY, main, name);
    twice.or_else(|| find_container(definition, Some(name)).err())
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

//! Images of containers in plain manifests: of workloads of any kind, also in a `List`, in several documents, and in
//! custom resources, because lists of containers are found by their shape.

use std::collections::BTreeSet;

use crate::release::ImageRef;

use super::error::EditError;
use super::known_images::list_names;
use super::repository_names::is_reference_to;
use super::yaml_tree::{NodeId, NodeKind, YamlTree};

/// Keys with lists of containers (Kubernetes' PodSpec; sidecars of Argo Workflows and Tekton).
const CONTAINER_LIST_KEYS: [&str; 4] = ["containers", "initContainers", "ephemeralContainers", "sidecars"];
/// A list of containers only if they have images (Tekton's steps; those of Argo Workflows and Rollouts have none).
const STEP_LIST_KEYS: [&str; 1] = ["steps"];
/// Keys with one container (Argo Workflows' templates; what Tekton's steps have in common).
const CONTAINER_KEYS: [&str; 3] = ["container", "script", "stepTemplate"];

/// The images of the containers named `name`. Several containers are edited together only if they run the same image.
pub(super) fn by_name(tree: &YamlTree<'_>, name: &str) -> Result<Vec<NodeId>, EditError> {
    let (mut images, mut known) = (Vec::new(), BTreeSet::new());
    for container in containers(tree) {
        let called = tree.get(tree.resolve_alias(container), "name")?.and_then(|id| tree.text(id));
        known.extend(called.map(str::to_owned));
        if called == Some(name) {
            images.push(container_image(tree, container)?.ok_or_else(|| {
                tree.error_at(container, format!("the container `{name}` has no `image` of its own"))
            })?);
        }
    }
    let of = |id: &NodeId| {
        let text = tree.text(*id).unwrap_or_default();
        text.parse().map_or_else(|_| text.to_owned(), |image: ImageRef| image.name())
    };
    let first = images.first().map(of);
    if let Some(other) = images.iter().find(|id| Some(of(id)) != first) {
        let why = format!("several containers are named `{name}`, and they run different images");
        return Err(tree.error_at(*other, why).help("Move them to separate files."));
    }
    match images.is_empty() {
        true => {
            Err(EditError::ambiguous(format!("no container is named `{name}`")).help(list_containers(&known)))
        }
        false => Ok(images),
    }
}

/// The images of all containers that run an image of the repository of `image`.
pub(super) fn by_repository(tree: &YamlTree<'_>, wanted: &ImageRef) -> Result<Vec<NodeId>, EditError> {
    let mut images = Vec::new();
    for container in containers(tree) {
        let Some(id) = container_image(tree, container)? else { continue };
        if tree.text(id).is_some_and(|text| is_reference_to(text, wanted)) {
            images.push(id);
        }
    }
    Ok(images)
}

fn list_containers(known: &BTreeSet<String>) -> String {
    match known.is_empty() {
        true => "The file has no containers.".into(),
        false => list_names(known),
    }
}

/// Containers in the order of the file; some may be aliases.
fn containers<'a>(tree: &'a YamlTree<'_>) -> impl Iterator<Item = NodeId> + 'a {
    let has_image =
        move |id: NodeId| tree.entries(id).iter().any(|(key, _)| tree.text(*key) == Some("image"));
    let is_container = move |id: &NodeId| {
        let (parent, own) = (tree.node(*id).parent, tree.resolve_alias(*id));
        let in_list = tree.is_sequence(parent);
        let known = |key: &str| match in_list {
            true => CONTAINER_LIST_KEYS.contains(&key) || (STEP_LIST_KEYS.contains(&key) && has_image(own)),
            false => CONTAINER_KEYS.contains(&key),
        };
        let key = if in_list { tree.key(parent) } else { tree.key(*id) };
        key.is_some_and(known) && tree.is_mapping(own)
    };
    (0..).take(tree.nodes.len()).filter(is_container)
}

/// The value of `image` of a container. An alias is returned if it comes from another location, and rejected later.
fn container_image(tree: &YamlTree<'_>, container: NodeId) -> Result<Option<NodeId>, EditError> {
    let own = tree.resolve_alias(container);
    let merged = match tree.get(own, "image")? {
        Some(image) if matches!(tree.node(container).kind, NodeKind::Alias(_)) => {
            return Ok(tree.text(image).map(|_| image));
        }
        Some(image) => return Ok(Some(image)),
        None => tree.get(own, "<<")?,
    };
    let Some(from) = merged else { return Ok(None) };
    let sources = if tree.is_sequence(from) { tree.items(from).to_vec() } else { vec![from] };
    for source in sources {
        if let Some(image) = tree.get(tree.resolve_alias(source), "image")? {
            return Ok(Some(image));
        }
    }
    Ok(None)
}

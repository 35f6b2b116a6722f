//! Images of containers in plain manifests: of workloads of any kind, also in a `List`, in several documents, and in
//! custom resources, because lists of containers are found by their shape.

use std::collections::BTreeSet;

use crate::release::ImageRef;

use super::error::EditError;
use super::repository_names::is_reference_to;
use super::yaml_tree::{NodeId, NodeKind, YamlTree};

/// Keys with lists of containers (Kubernetes' PodSpec; Argo Workflows' sidecars).
const CONTAINER_LIST_KEYS: [&str; 4] = ["containers", "initContainers", "ephemeralContainers", "sidecars"];
/// Keys with one container (Argo Workflows' templates).
const CONTAINER_KEYS: [&str; 2] = ["container", "script"];

/// The images of the containers named `name`. Several containers are edited together only if they run the same image.
pub(super) fn by_name(tree: &YamlTree<'_>, name: &str) -> Result<Vec<NodeId>, EditError> {
    let (mut images, mut known) = (Vec::new(), BTreeSet::new());
    for container in containers(tree) {
        let called = tree.get(tree.resolve_alias(container), "name")?.and_then(|id| tree.text(id));
        known.extend(called.map(|called| format!("`{called}`")));
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
        true => Err(EditError::ambiguous(format!("no container is named `{name}`")).help(list_known(&known))),
        false => Ok(images),
    }
}

/// The images of all containers that run an image of the repository of `image`.
pub(super) fn by_repository(tree: &YamlTree<'_>, wanted: &ImageRef) -> Result<Vec<NodeId>, EditError> {
    let (mut images, mut known) = (Vec::new(), BTreeSet::new());
    for container in containers(tree) {
        let Some(id) = container_image(tree, container)? else { continue };
        let text = tree.text(id).unwrap_or_default();
        known.extend(text.parse().map(|image: ImageRef| format!("`{}`", image.name())));
        if is_reference_to(text, wanted) {
            images.push(id);
        }
    }
    match images.is_empty() {
        true => Err(EditError::ambiguous(format!("no container runs an image of `{}`", wanted.name()))
            .help(list_known(&known))),
        false => Ok(images),
    }
}

fn list_known(known: &BTreeSet<String>) -> String {
    let some: Vec<&str> = known.iter().take(10).map(String::as_str).collect();
    if some.is_empty() {
        "The file has no containers.".into()
    } else {
        format!("The file has {}.", some.join(", "))
    }
}

/// Containers in the order of the file; some may be aliases.
fn containers<'a>(tree: &'a YamlTree<'_>) -> impl Iterator<Item = NodeId> + 'a {
    let is_container = |id: &NodeId| {
        let parent = tree.node(*id).parent;
        let key = if tree.is_sequence(parent) { tree.key(parent) } else { tree.key(*id) };
        let known: &[&str] = if tree.is_sequence(parent) { &CONTAINER_LIST_KEYS } else { &CONTAINER_KEYS };
        key.is_some_and(|key| known.contains(&key)) && tree.is_mapping(tree.resolve_alias(*id))
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

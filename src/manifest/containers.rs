//! Images of containers in plain manifests: of workloads of any kind, also in a `List`, in several documents, and in
//! kinds that others define, because it is the lists of containers that are looked for.

use std::collections::BTreeSet;

use crate::release::ImageRef;

use super::names::names;
use super::refusal::Refusal;
use super::tree::{Id, Kind, Tree};

/// Keys with lists of containers (Kubernetes' PodSpec; Argo Workflows' sidecars).
const LISTS: [&str; 4] = ["containers", "initContainers", "ephemeralContainers", "sidecars"];
/// Keys with one container (Argo Workflows' templates).
const SINGLES: [&str; 2] = ["container", "script"];

/// The images of the containers called `name`. Several are meant together only when they run the same image.
pub(super) fn named(tree: &Tree<'_>, name: &str) -> Result<Vec<Id>, Refusal> {
    let (mut images, mut known) = (Vec::new(), BTreeSet::new());
    for container in containers(tree) {
        let called = tree.get(tree.resolved(container), "name")?.and_then(|id| tree.text(id));
        known.extend(called.map(|called| format!("`{called}`")));
        if called == Some(name) {
            images.push(image(tree, container)?.ok_or_else(|| {
                tree.refuse(container, format!("the container `{name}` has no `image` of its own there"))
            })?);
        }
    }
    let of = |id: &Id| {
        let text = tree.text(*id).unwrap_or_default();
        text.parse().map_or_else(|_| text.to_owned(), |image: ImageRef| image.name())
    };
    let first = images.first().map(of);
    if let Some(other) = images.iter().find(|id| Some(of(id)) != first) {
        let why = format!("several containers are called `{name}`, and they run different images");
        return Err(tree.refuse(*other, why).help("Keep them in files of their own."));
    }
    match images.is_empty() {
        true => Err(Refusal::unclear(format!("no container is called `{name}`")).help(has(&known))),
        false => Ok(images),
    }
}

/// The images of all containers that run an image of the repository of `image`.
pub(super) fn of_repository(tree: &Tree<'_>, wanted: &ImageRef) -> Result<Vec<Id>, Refusal> {
    let (mut images, mut known) = (Vec::new(), BTreeSet::new());
    for container in containers(tree) {
        let Some(id) = image(tree, container)? else { continue };
        let text = tree.text(id).unwrap_or_default();
        known.extend(text.parse().map(|image: ImageRef| format!("`{}`", image.name())));
        if names(text, wanted) {
            images.push(id);
        }
    }
    match images.is_empty() {
        true => {
            Err(Refusal::unclear(format!("no container runs an image of `{}`", wanted.name()))
                .help(has(&known)))
        }
        false => Ok(images),
    }
}

fn has(known: &BTreeSet<String>) -> String {
    let some: Vec<&str> = known.iter().take(10).map(String::as_str).collect();
    if some.is_empty() {
        "It has no containers at all.".into()
    } else {
        format!("It has {}.", some.join(", "))
    }
}

/// Containers in the order of the file; some may be aliases.
fn containers<'a>(tree: &'a Tree<'_>) -> impl Iterator<Item = Id> + 'a {
    let is_container = |id: &Id| {
        let parent = tree.node(*id).parent;
        let key = if tree.is_sequence(parent) { tree.key(parent) } else { tree.key(*id) };
        let known: &[&str] = if tree.is_sequence(parent) { &LISTS } else { &SINGLES };
        key.is_some_and(|key| known.contains(&key)) && tree.is_mapping(tree.resolved(*id))
    };
    (0..).take(tree.nodes.len()).filter(is_container)
}

/// The value of `image` of a container. An alias is given where it comes from another place, and so is refused later.
fn image(tree: &Tree<'_>, container: Id) -> Result<Option<Id>, Refusal> {
    let own = tree.resolved(container);
    let merged = match tree.get(own, "image")? {
        Some(image) if matches!(tree.node(container).kind, Kind::Alias(_)) => {
            return Ok(tree.text(image).map(|_| image));
        }
        Some(image) => return Ok(Some(image)),
        None => tree.get(own, "<<")?,
    };
    let Some(from) = merged else { return Ok(None) };
    let sources = if tree.is_sequence(from) { tree.items(from).to_vec() } else { vec![from] };
    for source in sources {
        if let Some(image) = tree.get(tree.resolved(source), "image")? {
            return Ok(Some(image));
        }
    }
    Ok(None)
}

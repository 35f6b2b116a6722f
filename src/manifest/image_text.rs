//! A string as an image: which strings are images, and the new text of one. The spelling of the name stays if it is the
//! same repository.

use crate::release::ImageRef;

use super::image_keys::{is_image_key, is_images_key};
use super::repository_names::is_same_repository;
use super::yaml_tree::{NodeId, YamlTree};

/// Whether a reference has a tag or a digest.
pub(super) fn has_version(text: &str) -> bool {
    text.parse::<ImageRef>().is_ok_and(|image| image.tag.is_some() || image.digest.is_some())
}

/// The reference in a text, and what stands in front of it: `old=` of an image of kustomize in an Argo CD application.
pub(super) fn split_assignment(text: &str) -> (&str, &str) {
    match text.split_once('=') {
        Some((name, _)) if name.parse::<ImageRef>().is_ok() => text.split_at(name.len() + 1),
        _ => ("", text),
    }
}

/// Whether a text names the repository of `wanted`, by itself or behind the registry that a chart puts in front.
pub(super) fn names_repository(text: &str, wanted: &ImageRef, global: Option<&str>) -> bool {
    spelled_name(text, wanted, global).is_some()
}

/// The name in a text, if it is the repository of `wanted`.
fn spelled_name(text: &str, wanted: &ImageRef, global: Option<&str>) -> Option<ImageRef> {
    let written: ImageRef = text.parse().ok()?;
    let behind = global.filter(|_| written.registry.is_empty());
    let full = behind.and_then(|host| format!("{host}/{}", written.name()).parse::<ImageRef>().ok());
    let same = |image: &ImageRef| is_same_repository(image, wanted);
    (same(&written) || full.as_ref().is_some_and(same)).then_some(written)
}

/// The text that replaces `now`.
pub(super) fn updated_text(now: &str, wanted: &ImageRef, global: Option<&str>) -> String {
    let (prefix, reference) = split_assignment(now);
    let image = match spelled_name(reference, wanted, global) {
        Some(written) => {
            ImageRef { registry: written.registry, repository: written.repository, ..wanted.clone() }
        }
        None => wanted.clone(),
    };
    format!("{prefix}{image}")
}

/// Whether the key of a value says that it is an image, or the key of its list.
pub(super) fn has_image_key(tree: &YamlTree<'_>, id: NodeId) -> bool {
    tree.key(id).is_some_and(is_image_key) || tree.key(tree.node(id).parent).is_some_and(is_images_key)
}

/// Whether a value with a version can be nothing but an image. `redis:6379` is a host and a port, and `web:http` a
/// service with a port's name, unless the key says otherwise.
pub(super) fn is_surely_image(tree: &YamlTree<'_>, id: NodeId, text: &str) -> bool {
    has_version(text) && (has_image_key(tree, id) || !is_like_host_and_port(text))
}

fn is_like_host_and_port(text: &str) -> bool {
    let Ok(image) = text.parse::<ImageRef>() else { return false };
    let tag = image.tag.as_deref().unwrap_or_default();
    let port = tag.bytes().all(|b| b.is_ascii_digit()) && tag.parse::<u16>().is_ok();
    let word = tag != "latest" && !tag.bytes().any(|b| b.is_ascii_digit());
    image.registry.is_empty() && !image.repository.contains('/') && image.digest.is_none() && (port || word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_is_not_an_image() {
        for (text, like) in [
            ("redis:6379", true),
            ("redis:primary", true),
            ("web:http", true),
            ("redis:7.2", false),
            ("redis:latest", false),
            ("redis:7-alpine", false),
            ("acme/web:8080", false),
            ("ghcr.io/acme/web:8080", false),
            ("app:v1", false),
        ] {
            assert_eq!(is_like_host_and_port(text), like, "{text}");
        }
    }

    #[test]
    fn spelling_of_the_name_is_kept() {
        for (now, wanted, global, text) in [
            ("docker.io/acme/api:v1", "acme/api:v2", None, "docker.io/acme/api:v2"),
            ("docker.io/library/redis:7", "redis:7.2", None, "docker.io/library/redis:7.2"),
            ("redis:7", "docker.io/library/redis:7.2", None, "redis:7.2"),
            ("acme/api:v1", "ghcr.io/acme/api:v2", Some("ghcr.io"), "acme/api:v2"),
            ("acme/api:v1", "ghcr.io/acme/api:v2", None, "ghcr.io/acme/api:v2"),
            ("api=ghcr.io/acme/api:v1", "ghcr.io/acme/api:v2", None, "api=ghcr.io/acme/api:v2"),
            ("", "acme/api:v2", None, "acme/api:v2"),
        ] {
            assert_eq!(updated_text(now, &wanted.parse().unwrap(), global), text, "{now}");
        }
    }
}

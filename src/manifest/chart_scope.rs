//! Values above an image that a chart joins with it: a registry for all images, and a tag for all images.

use crate::release::ImageRef;

use super::image_keys::{PartKind, classify_key};
use super::repository_names::is_same_repository;
use super::yaml_tree::{NodeId, YamlTree};

/// The registry that a chart puts in front of names without one: `global.imageRegistry` and its like, and its value.
pub(super) fn global_registry(tree: &YamlTree<'_>, at: NodeId) -> Option<(NodeId, String)> {
    let mut scopes = std::iter::once(at).chain(tree.ancestors(at)).flat_map(|up| global_mappings(tree, up));
    let found = scopes.find_map(|scope| value_of_kind(tree, scope, |kind, _| kind == PartKind::Registry));
    let top = || {
        let above = tree.ancestors(at);
        let mut tops = above.filter(|up| tree.is_mapping(*up));
        tops.find_map(|up| {
            value_of_kind(tree, up, |kind, key| kind == PartKind::Registry && key != "registry")
        })
    };
    let id = found.or_else(top)?;
    let host = tree.text(id)?.trim_end_matches('/').to_owned();
    Some((id, host))
}

/// As [`global_registry`], if a name is the repository of `wanted` only behind a registry: files are large, and few names
/// are.
pub(super) fn registry_in_front(
    tree: &YamlTree<'_>,
    at: NodeId,
    name: &str,
    wanted: &ImageRef,
) -> Option<String> {
    let written: ImageRef = name.parse().ok()?;
    let lacks_host = written.registry.is_empty() && wanted.repository.ends_with(&written.repository);
    let is_other = !is_same_repository(&written, wanted);
    (lacks_host && is_other).then(|| global_registry(tree, at)).flatten().map(|(_, host)| host)
}

/// A tag in `global`, or beside the mapping above: what a chart may append to a name that has no tag.
pub(super) fn inherited_tag(tree: &YamlTree<'_>, at: NodeId) -> Option<NodeId> {
    let is_tag = |kind, _: &str| kind == PartKind::Tag;
    std::iter::once(at).chain(tree.ancestors(at)).find_map(|up| {
        let global =
            global_mappings(tree, up).into_iter().find_map(|scope| value_of_kind(tree, scope, is_tag));
        global.or_else(|| value_of_kind(tree, up, is_tag).filter(|_| up != at))
    })
}

/// `global` of a mapping, and the `image` or `images` in it.
fn global_mappings(tree: &YamlTree<'_>, mapping: NodeId) -> Vec<NodeId> {
    let child = |of: NodeId, key: &str| {
        let value = tree.get(of, key).ok().flatten().map(|id| tree.resolve_alias(id));
        value.filter(|id| tree.is_mapping(*id))
    };
    let Some(global) = child(mapping, "global") else { return Vec::new() };
    let inner = ["image", "images"].into_iter().filter_map(|key| child(global, key));
    std::iter::once(global).chain(inner).collect()
}

/// The first value that is not empty under a key of a kind, without words in front.
fn value_of_kind(
    tree: &YamlTree<'_>,
    mapping: NodeId,
    wanted: impl Fn(PartKind, &str) -> bool,
) -> Option<NodeId> {
    let fits =
        |key: &str| classify_key(key).is_some_and(|part| part.prefix.is_empty() && wanted(part.kind, key));
    let entries = tree.entries(mapping).iter();
    let mut named = entries.filter(|(key, _)| tree.text(*key).is_some_and(fits)).map(|(_, value)| *value);
    named.find(|value| tree.text(*value).is_some() && !tree.is_empty(*value))
}

#[cfg(test)]
mod tests {
    use super::super::yaml_parser::parse_yaml;
    use super::*;

    #[test]
    fn values_above_an_image_are_found() {
        for (text, registry, tag) in [
            ("global: {imageRegistry: a.io}\nx: {image: {repository: b}}\n", Some("a.io"), None),
            ("global: {image: {registry: a.io/, tag: v1}}\nx: {repository: b}\n", Some("a.io"), Some("v1")),
            ("imageRegistry: a.io\nx: {image: {repository: b}}\n", Some("a.io"), None),
            ("global: {imageRegistry: ''}\nx: {repository: b}\n", None, None),
            ("registry: a.io\nx: {repository: b}\n", None, None),
            ("imageTag: v1\nx: {repository: b}\n", None, Some("v1")),
            ("y: {tag: v1}\nx: {repository: b}\n", None, None),
        ] {
            let tree = parse_yaml(text).unwrap();
            let at = (0..).take(tree.nodes.len()).find(|id| tree.text(*id) == Some("b")).unwrap();
            let owner = tree.node(at).parent;
            assert_eq!(global_registry(&tree, owner).map(|it| it.1).as_deref(), registry, "{text}");
            assert_eq!(inherited_tag(&tree, owner).and_then(|id| tree.text(id)), tag, "{text}");
        }
    }
}

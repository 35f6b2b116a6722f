//! Images in objects of Argo CD, Flux and others that are not in a container: values of a chart (also as the text of a
//! value), parameters of Helm, images of kustomize, and fields of custom resources.

use crate::release::ImageRef;

use super::ImageLocation;
use super::error::EditError;
use super::image_parts::{ImageParts, group_fields, part_field};
use super::image_target::ImageTarget;
use super::image_text::{names_repository, split_assignment};
use super::inner_text::text_origin;
use super::kustomize;
use super::values::{StringRule, find_in_scope};
use super::yaml_parser;
use super::yaml_tree::{NodeId, YamlTree};

/// The keys of embedded values.
const KEYS: [&str; 5] = ["values", "valuesObject", "valuesContent", "parameters", "images"];

/// A value of an object that holds images in a form of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Embedded {
    /// Values of a chart.
    Values(NodeId),
    /// Values of a chart as text.
    ValuesText(NodeId),
    /// A list of parameters of Helm: `name`, `value`.
    Parameters(NodeId),
    /// A list of kustomize's images: entries, or `name=image:tag`.
    Images(NodeId),
    /// The fields of a custom resource.
    Fields(NodeId),
}

/// The embedded values of a file.
pub(super) fn find_embedded(tree: &YamlTree<'_>) -> Vec<Embedded> {
    let nodes = (0..).take(tree.nodes.len());
    let found = nodes.clone().filter_map(|id| embedded_at(tree, id));
    let fields =
        nodes.filter(|id| tree.key(*id) == Some("spec") && is_custom_resource(tree, tree.node(*id).parent));
    found.chain(fields.map(Embedded::Fields)).collect()
}

fn embedded_at(tree: &YamlTree<'_>, id: NodeId) -> Option<Embedded> {
    let parent = tree.node(id).parent;
    let above = tree.key(parent);
    let key = tree.key(id).filter(|key| KEYS.contains(key))?;
    let kind = object_kind(tree, id);
    let (values, text) = (tree.is_mapping(id), tree.text(id).is_some_and(|text| text.contains('\n')));
    match (key, above, kind) {
        ("values" | "valuesObject", Some("helm"), _) | ("values", Some("spec"), Some("HelmRelease"))
            if values =>
        {
            Some(Embedded::Values(id))
        }
        ("values", Some("helm"), _)
        | ("valuesContent", Some("spec"), Some("HelmChart" | "HelmChartConfig"))
            if text =>
        {
            Some(Embedded::ValuesText(id))
        }
        ("parameters", Some("helm"), _) if tree.is_sequence(id) => Some(Embedded::Parameters(id)),
        ("images", Some("kustomize"), _) if tree.is_sequence(id) => Some(Embedded::Images(id)),
        ("images", Some("spec"), Some("Kustomization")) if tree.is_sequence(id) => Some(Embedded::Images(id)),
        _ => None,
    }
}

/// The `kind` of the object that a node is in.
fn object_kind<'a>(tree: &'a YamlTree<'_>, id: NodeId) -> Option<&'a str> {
    tree.ancestors(id).find_map(|up| tree.get(up, "kind").ok().flatten()).and_then(|id| tree.text(id))
}

/// Whether an object is of a group that Kubernetes itself does not have.
fn is_custom_resource(tree: &YamlTree<'_>, object: NodeId) -> bool {
    let version = tree.get(object, "apiVersion").ok().flatten().and_then(|id| tree.text(id));
    let group = version.and_then(|version| version.split_once('/')).map(|(group, _)| group);
    group.is_some_and(|group| group.contains('.') && !group.ends_with(".k8s.io"))
}

/// The images of the repository of `wanted` in an embedded value.
pub(super) fn images_of(
    tree: &YamlTree<'_>,
    embedded: Embedded,
    wanted: &ImageRef,
) -> Result<Vec<ImageTarget>, EditError> {
    match embedded {
        Embedded::Values(id) => find_in_scope(tree, id, wanted, StringRule::Reference),
        Embedded::Fields(id) => find_in_scope(tree, id, wanted, StringRule::ImageKey),
        Embedded::ValuesText(id) => find_in_text(tree, id, wanted),
        Embedded::Parameters(id) => {
            let all = parameter_images(tree, id).into_iter().filter(|parts| parts.is_of(tree, wanted));
            let mut found: Vec<ImageTarget> =
                all.filter(ImageParts::has_version).map(ImageTarget::Parts).collect();
            let values = tree.items(id).iter().filter_map(|item| tree.get(*item, "value").ok().flatten());
            let whole = |value: &NodeId| tree.text(*value).is_some_and(|text| is_whole_image(text, wanted));
            found.extend(values.filter(whole).map(ImageTarget::Text));
            Ok(found)
        }
        Embedded::Images(id) => entries_of(tree, id, wanted),
    }
}

fn is_whole_image(text: &str, wanted: &ImageRef) -> bool {
    super::image_text::has_version(text) && names_repository(text, wanted, None)
}

/// The images that parameters of Helm make up. Those of one image have the same path in front.
pub(super) fn parameter_images(tree: &YamlTree<'_>, list: NodeId) -> Vec<ImageParts> {
    let mut paths: Vec<(&str, Vec<_>)> = Vec::new();
    for item in tree.items(list) {
        let get = |key| tree.get(*item, key).ok().flatten();
        let (Some(name), Some(value)) = (get("name").and_then(|id| tree.text(id)), get("value")) else {
            continue;
        };
        let front = name.rsplit_once('.').map_or("", |(front, _)| front);
        let Some(field) = part_field(tree, name, value) else { continue };
        match paths.iter_mut().find(|(path, _)| *path == front) {
            Some((_, fields)) => fields.push(field),
            None => paths.push((front, vec![field])),
        }
    }
    paths.iter().flat_map(|(_, fields)| group_fields(tree, list, fields)).collect()
}

fn entries_of(tree: &YamlTree<'_>, list: NodeId, wanted: &ImageRef) -> Result<Vec<ImageTarget>, EditError> {
    let is_string = |id: &NodeId| {
        tree.text(*id).is_some_and(|text| {
            let (prefix, reference) = split_assignment(text);
            [reference, prefix.trim_end_matches('=')].iter().any(|name| names_repository(name, wanted, None))
        })
    };
    let entry = kustomize::entry_in_list(tree, list, wanted)?.map(ImageTarget::Entry);
    let strings = tree.items(list).iter().copied().filter(is_string).map(ImageTarget::Text);
    Ok(entry.into_iter().chain(strings).collect())
}

/// Values that are text. What cannot be read is an error only if the image is named in it.
fn find_in_text(tree: &YamlTree<'_>, id: NodeId, wanted: &ImageRef) -> Result<Vec<ImageTarget>, EditError> {
    let text = tree.text(id).unwrap_or_default();
    let location = ImageLocation::ValuesByRepository;
    let within = |error: EditError| error.within(text_origin(tree, id));
    let found = match yaml_parser::parse_yaml(text) {
        Ok(inner) => super::find_values(&inner, wanted).map_err(within)?.len(),
        Err(error) if text.contains(wanted.repository.as_str()) => return Err(within(error)),
        Err(_) => 0,
    };
    Ok((found > 0).then_some(ImageTarget::Inner { text: id, location }).into_iter().collect())
}

//! A value by its path: keys with dots between them, as people write them, and as kustomize writes the paths of fields.
//! What a path leads to decides what is written there.

use crate::problem::suggest;
use crate::release::ImageRef;

use super::embedded::parameter_images;
use super::error::EditError;
use super::image_keys::{PartKind, classify_key};
use super::image_parts::ImageParts;
use super::image_target::ImageTarget;
use super::image_text::{has_image_key, is_surely_image, names_repository, split_assignment};
use super::known_images::list_known;
use super::values::find_parts;
use super::yaml_tree::{NodeId, NodeKind, YamlTree};
use super::{ImageLocation, kustomize};

/// A step that means every item of a list.
const EVERY_ITEM: &str = "[]";

/// The steps of a path: `a.b`, `a[0]`, `a["b.c"]`, `a[].b`, `spec/containers[]/image`; `\.` is a dot in a key.
pub(super) fn parse_path(path: &str) -> Vec<String> {
    let separator = if path.contains('.') || !path.contains('/') { '.' } else { '/' };
    let (mut steps, mut step, mut rest) = (Vec::new(), String::new(), path);
    while let Some(letter) = rest.chars().next() {
        if let Some((inner, behind)) = bracket_step(rest, separator) {
            steps.extend(Some(std::mem::take(&mut step)).filter(|step| !step.is_empty()));
            steps.push(inner);
            // A step in brackets needs no separator behind it.
            rest = behind.strip_prefix(separator).unwrap_or(behind);
            if rest.is_empty() {
                return steps;
            }
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        match letter {
            '\\' if rest.starts_with([separator, '[']) => {
                step.extend(rest.chars().next());
                rest = &rest[1..];
            }
            _ if letter == separator => steps.push(std::mem::take(&mut step)),
            _ => step.push(letter),
        }
    }
    steps.push(step);
    steps
}

/// `[0]`, `[]`, `[*]` or a key in brackets and quotes at the beginning, and what is behind it.
fn bracket_step(rest: &str, separator: char) -> Option<(String, &str)> {
    let inner = rest.strip_prefix('[')?;
    let is_end = |behind: &str| behind.is_empty() || behind.starts_with([separator, '[']);
    for quote in ['"', '\''] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (key, behind) = quoted.split_once(&format!("{quote}]"))?;
            return is_end(behind).then(|| (key.to_owned(), behind));
        }
    }
    let (index, behind) = inner.split_once(']')?;
    match index {
        "" | "*" if is_end(behind) => Some((EVERY_ITEM.to_owned(), behind)),
        _ if is_end(behind) && index.bytes().all(|b| b.is_ascii_digit()) => Some((index.to_owned(), behind)),
        _ => None,
    }
}

/// What a path leads to: nodes, and the steps that are left if these continue in the text of a value.
struct PathEnd<'p> {
    nodes: Vec<NodeId>,
    rest: &'p [String],
}

/// The images at a path, in the one document that has it.
pub(super) fn find_at_path(
    tree: &YamlTree<'_>,
    path: &[String],
    image: &ImageRef,
) -> Result<Vec<ImageTarget>, EditError> {
    let documents = tree.documents.iter().filter(|id| !tree.is_null(**id));
    let (mut ends, mut missing) = (Vec::new(), Vec::new());
    for end in documents.map(|root| follow_path(tree, *root, path)) {
        match end {
            Ok(end) => ends.push(end),
            Err(error) => missing.push(error),
        }
    }
    let targets = |end: &PathEnd<'_>| targets_at(tree, end, path, image);
    let is_ours =
        |end: &&PathEnd<'_>| targets(end).is_ok_and(|targets| targets.iter().all(|it| it.is_of(tree, image)));
    let shown = path.join(".");
    match (ends.as_slice(), ends.iter().filter(is_ours).collect::<Vec<_>>().as_slice()) {
        ([one], _) => targets(one),
        (_, [one]) => targets(one),
        ([], _) => Err(match missing.len() {
            0 => EditError::ambiguous("it is empty"),
            1 => missing.swap_remove(0),
            _ => {
                EditError::ambiguous(format!("no document of the file has `{shown}`")).help(list_known(tree))
            }
        }),
        ([_, second, ..], _) => {
            let at = second.nodes.first().copied().unwrap_or_default();
            let why = format!(
                "several documents of the file have `{shown}`, and it is not clear which one is meant"
            );
            Err(tree.error_at(at, why).help("Move them to separate files."))
        }
    }
}

fn follow_path<'p>(tree: &YamlTree<'_>, root: NodeId, path: &'p [String]) -> Result<PathEnd<'p>, EditError> {
    let mut nodes = vec![root];
    for (number, step) in path.iter().enumerate() {
        if nodes.first().is_some_and(|text| is_yaml_text(tree, *text)) {
            return Ok(PathEnd { nodes, rest: &path[number..] });
        }
        let mut next = Vec::new();
        for id in nodes.into_iter().map(|id| tree.resolve_alias(id)) {
            match step.as_str() {
                EVERY_ITEM if tree.is_sequence(id) => next.extend(tree.items(id)),
                step => next.push(find_child(tree, id, step)?),
            }
        }
        if next.is_empty() {
            let why = format!("the list of `{}` has no items", path[..=number].join("."));
            return Err(tree.error_at(root, why));
        }
        nodes = next;
    }
    Ok(PathEnd { nodes, rest: &[] })
}

fn targets_at(
    tree: &YamlTree<'_>,
    end: &PathEnd<'_>,
    path: &[String],
    image: &ImageRef,
) -> Result<Vec<ImageTarget>, EditError> {
    let target = |id: &NodeId| match end.rest {
        [] => target_at(tree, *id, path, image),
        rest => Ok(ImageTarget::Inner { text: *id, location: ImageLocation::Values { path: rest.to_vec() } }),
    };
    end.nodes.iter().map(target).collect()
}

fn is_yaml_text(tree: &YamlTree<'_>, id: NodeId) -> bool {
    tree.text(id).is_some_and(|text| text.contains('\n') && (text.contains(": ") || text.contains(":\n")))
}

/// A key of a mapping, a number of an item, or the `name` of an item.
fn find_child(tree: &YamlTree<'_>, at: NodeId, step: &str) -> Result<NodeId, EditError> {
    let named = |item: &&NodeId| {
        tree.get(tree.resolve_alias(**item), "name").ok().flatten().and_then(|id| tree.text(id)) == Some(step)
    };
    let items = tree.items(at);
    let by_number = step.parse::<usize>().ok().and_then(|slot| items.get(slot));
    if let Some(item) = by_number.or_else(|| items.iter().find(named)) {
        return Ok(*item);
    }
    if let Some(id) = tree.get(at, step)? {
        return Ok(id);
    }
    let known: Vec<&str> = tree.entries(at).iter().filter_map(|(key, _)| tree.text(*key)).collect();
    let within = match tree.path(at) {
        path if path.is_empty() => "at the top".to_owned(),
        path => format!("in `{path}`"),
    };
    let why = match known.contains(&"<<") {
        true => format!("there is no `{step}` {within} itself, and a merge key adds other values"),
        false => format!("there is no `{step}` {within}"),
    };
    let refusal = tree.error_at(at, why);
    Err(match suggest(step, known.iter().copied()) {
        Some(near) => refusal.help(format!("Did you mean `{near}`?")),
        None if known.is_empty() => refusal,
        None => refusal.help(list_keys(&known)),
    })
}

fn list_keys(known: &[&str]) -> String {
    let some: Vec<String> = known.iter().take(10).map(|key| format!("`{key}`")).collect();
    format!("It has {}.", some.join(", "))
}

/// What is edited at the end of a path.
fn target_at(
    tree: &YamlTree<'_>,
    id: NodeId,
    path: &[String],
    image: &ImageRef,
) -> Result<ImageTarget, EditError> {
    let own = tree.resolve_alias(id);
    if is_yaml_text(tree, own) {
        return Ok(ImageTarget::Inner { text: id, location: ImageLocation::ValuesByRepository });
    }
    if tree.is_mapping(own) {
        return mapping_target(tree, own, path, image);
    }
    if let Some(parts) = parts_of_value(tree, id) {
        return value_target(tree, id, parts, path, image);
    }
    text_target(tree, id, path, image)
}

fn mapping_target(
    tree: &YamlTree<'_>,
    id: NodeId,
    path: &[String],
    image: &ImageRef,
) -> Result<ImageTarget, EditError> {
    if kustomize::is_entry(tree, id) {
        return Ok(ImageTarget::Entry(id));
    }
    if let (Some(_), Some(value)) = (parameter_list(tree, id), tree.get(id, "value")?) {
        return target_at(tree, value, path, image);
    }
    let all = find_parts(tree, id);
    let named = |parts: &&ImageParts| parts.is_of(tree, image);
    let chosen =
        all.iter().find(named).or_else(|| all.iter().find(|parts| parts.is_named(tree))).or(all.first());
    match chosen {
        Some(parts) => Ok(match parts.whole_reference(tree).filter(|_| !parts.has_version()) {
            Some(text) => ImageTarget::Text(text),
            None if parts.is_complete() => ImageTarget::Parts(parts.clone()),
            None => ImageTarget::Text(parts.values().next().unwrap_or(id)),
        }),
        None => {
            let why = format!("`{}` has no `repository`, `tag` or `digest`", path.join("."));
            let known: Vec<&str> = tree.entries(id).iter().filter_map(|(key, _)| tree.text(*key)).collect();
            Err(tree.error_at(id, why).help(list_keys(&known)))
        }
    }
}

/// The list of Helm's parameters that an item belongs to.
fn parameter_list(tree: &YamlTree<'_>, item: NodeId) -> Option<NodeId> {
    let list = tree.node(item).parent;
    (tree.key(list) == Some("parameters") && tree.is_sequence(list)).then_some(list)
}

/// The image in parts that a value belongs to.
fn parts_of_value(tree: &YamlTree<'_>, id: NodeId) -> Option<ImageParts> {
    let parent = tree.node(id).parent;
    let all = match parameter_list(tree, parent).filter(|_| tree.key(id) == Some("value")) {
        Some(list) => parameter_images(tree, list),
        None => find_parts(tree, parent),
    };
    all.into_iter().find(|parts| parts.values().any(|value| value == id) && parts.has_version())
}

/// A value that is part of an image: its tag is edited with its other parts.
fn value_target(
    tree: &YamlTree<'_>,
    id: NodeId,
    parts: ImageParts,
    path: &[String],
    image: &ImageRef,
) -> Result<ImageTarget, EditError> {
    let key = tree.key(id).unwrap_or_default();
    let kind = classify_key(key).map(|part| part.kind);
    let is_sure = parts.is_named(tree) || parts.is_of(tree, image) || !parts.has_vague_version();
    match kind {
        Some(PartKind::Repository | PartKind::Registry) => {
            let why = format!("`{}` is part of an image", path.join("."));
            Err(tree.error_at(id, why).help("Use the path of the mapping with `repository` and `tag`."))
        }
        Some(PartKind::Name) | None if parameter_list(tree, tree.node(id).parent).is_none() => {
            text_target(tree, id, path, image)
        }
        _ if parts.whole_reference(tree).is_some() || !is_sure => text_target(tree, id, path, image),
        _ => Ok(ImageTarget::Parts(parts)),
    }
}

/// A string that is an image, or is to become one.
fn text_target(
    tree: &YamlTree<'_>,
    id: NodeId,
    path: &[String],
    image: &ImageRef,
) -> Result<ImageTarget, EditError> {
    let text = tree.text(id).unwrap_or_default();
    let (_, reference) = split_assignment(text);
    let key = tree.key(id).and_then(classify_key).map(|part| part.kind);
    let single = matches!(tree.node(tree.resolve_alias(id)).kind, NodeKind::Scalar { .. });
    let part = matches!(
        key,
        Some(PartKind::Repository | PartKind::Registry | PartKind::Tag | PartKind::Digest | PartKind::Sha)
    );
    let fits = has_image_key(tree, id)
        || names_repository(reference, image, None)
        || is_surely_image(tree, id, reference)
        || (tree.is_empty(id) && key.is_none());
    if !single || (fits && !part) || is_template(reference) {
        return Ok(ImageTarget::Text(id));
    }
    let shown = path.join(".");
    let why = match part {
        true => format!("`{shown}` is part of an image"),
        false => format!("`{shown}` is `{text}`, which is not an image"),
    };
    let help = match part {
        true => "Use the path of the mapping with `repository` and `tag`.".to_owned(),
        false => list_known(tree),
    };
    Err(tree.error_at(id, why).help(help))
}

/// What something else fills in is rejected with that reason when it is edited.
fn is_template(text: &str) -> bool {
    ["{{", "${", "$("].iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::parse_path;

    #[test]
    fn paths_are_read_as_people_write_them() {
        for (path, wanted) in [
            ("image", &["image"][..]),
            ("a.b.0.c", &["a", "b", "0", "c"]),
            (r"a\.b.c", &["a.b", "c"]),
            (r"a.b.c\d", &["a", "b", r"c\d"]),
            ("a[0].b", &["a", "0", "b"]),
            ("a[0][1]", &["a", "0", "1"]),
            ("a[\"b.c\"].d", &["a", "b.c", "d"]),
            ("a['b/c']", &["a", "b/c"]),
            ("[\"a.b\"].c", &["a.b", "c"]),
            ("a[].b", &["a", "[]", "b"]),
            ("a[*].b", &["a", "[]", "b"]),
            ("a[x].b", &["a[x]", "b"]),
            (r"a\[0].b", &["a[0]", "b"]),
            ("spec/template/containers[]/image", &["spec", "template", "containers", "[]", "image"]),
            ("a.b/c", &["a", "b/c"]),
            ("", &[""]),
        ] {
            assert_eq!(parse_path(path), wanted, "{path}");
        }
    }
}

//! Images in Helm values: a mapping of `repository` and `tag` (and perhaps `registry` and `digest`), or one string.
//! A chart joins them as `repository:tag`, so a tag may carry a digest if there is no key for it.

use std::collections::HashSet;

use crate::problem::suggest;
use crate::release::ImageRef;

use super::edit_buffer::EditBuffer;
use super::error::EditError;
use super::repository_names::{is_reference_to, is_same_repository};
use super::yaml_tree::{NodeId, NodeKind, YamlTree};
use super::{HelmPin, ImageUpdate, ImageValue};

/// The image of a chart in parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct RepositoryTag {
    mapping: NodeId,
    registry: Option<NodeId>,
    repository: Option<NodeId>,
    tag: Option<NodeId>,
    digest: Option<NodeId>,
}

/// Where values contain an image.
#[derive(Debug, Clone, Copy)]
pub(super) enum ImageTarget {
    RepositoryTag(RepositoryTag),
    Text(NodeId),
}

/// The value at a path.
pub(super) fn find_at_path(
    tree: &YamlTree<'_>,
    path: &[String],
    image: &ImageRef,
) -> Result<ImageTarget, EditError> {
    let mut full = tree.documents.iter().copied().filter(|id| !tree.is_null(*id));
    let mut at = full.next().ok_or_else(|| EditError::ambiguous("it is empty"))?;
    if let Some(second) = full.next() {
        return Err(
            tree.error_at(second, "it contains more than one document, and a values file has exactly one")
        );
    }
    for step in path {
        at = find_child(tree, at, step)?;
    }
    if tree.is_mapping(at) {
        return match find_repository_tag(tree, at, image)? {
            Some(pair) => Ok(ImageTarget::RepositoryTag(pair)),
            None => {
                let why = format!("`{}` has no `repository`, `tag` or `digest`", path.join("."));
                Err(tree.error_at(at, why))
            }
        };
    }
    let key = path.last().map(|key| key.to_ascii_lowercase()).unwrap_or_default();
    if ["tag", "digest", "repository", "registry"].iter().any(|part| key.ends_with(part)) {
        let why = format!("`{}` is part of an image", path.join("."));
        return Err(tree.error_at(at, why).help("Use the path of the mapping with `repository` and `tag`."));
    }
    Ok(ImageTarget::Text(at))
}

fn find_child(tree: &YamlTree<'_>, at: NodeId, step: &str) -> Result<NodeId, EditError> {
    if let Some(item) = step.parse::<usize>().ok().and_then(|slot| tree.items(at).get(slot)) {
        return Ok(*item);
    }
    if matches!(tree.node(at).kind, NodeKind::Alias(_)) {
        return Err(
            tree.error_at(at, format!("`{}` is an alias of a value elsewhere in the file", tree.path(at)))
        );
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
    Err(match suggest(step, known) {
        Some(near) => refusal.help(format!("Did you mean `{near}`?")),
        None => refusal,
    })
}

/// The parts of an image in a mapping, if it has any. A `name` can be that of anything, so it must be the image's.
fn find_repository_tag(
    tree: &YamlTree<'_>,
    mapping: NodeId,
    image: &ImageRef,
) -> Result<Option<RepositoryTag>, EditError> {
    let get = |key| tree.get(mapping, key);
    let (registry, tag, digest) = (get("registry")?, get("tag")?, get("digest")?);
    let mut repository = get("repository")?;
    for key in ["repo", "name", "image"] {
        if repository.is_none() && (tag.is_some() || digest.is_some()) {
            let fits = |text: &str| key != "name" || is_reference_to(text, image);
            repository = get(key)?.filter(|id| tree.text(*id).is_some_and(fits));
        }
    }
    let any = repository.is_some() || tag.is_some() || digest.is_some();
    Ok(any.then_some(RepositoryTag { mapping, registry, repository, tag, digest }))
}

/// Every location that names the repository of `image`. An error if there is none.
pub(super) fn by_repository(tree: &YamlTree<'_>, image: &ImageRef) -> Result<Vec<ImageTarget>, EditError> {
    let last = image.repository.rsplit('/').next().unwrap_or_default();
    let (mut targets, mut taken) = (Vec::new(), HashSet::new());
    for id in (0..).take(tree.nodes.len()) {
        if tree.is_mapping(id)
            && let Some(pair) = find_repository_tag(tree, id, image)?
            && pair.name(tree).is_some_and(|name| is_reference_to(&name, image) && !has_version(&name))
        {
            taken.extend(pair.repository);
            targets.push(ImageTarget::RepositoryTag(pair));
        }
        let text = tree.text(id).filter(|text| text.contains(last) && is_reference_to(text, image));
        if let Some(text) = text
            && is_value(tree, id)
            && !taken.contains(&id)
            && (has_version(text)
                || tree.key(id).is_some_and(|key| key.to_ascii_lowercase().ends_with("image")))
        {
            targets.push(ImageTarget::Text(id));
        }
    }
    match targets.is_empty() {
        true => Err(EditError::ambiguous(format!(
            "no `repository` and no image in the file is `{}`",
            image.name()
        ))
        .help("Write the name with its registry, as in the file.")),
        false => Ok(targets),
    }
}

fn has_version(text: &str) -> bool {
    text.parse::<ImageRef>().is_ok_and(|image| image.tag.is_some() || image.digest.is_some())
}

fn is_value(tree: &YamlTree<'_>, id: NodeId) -> bool {
    tree.key(id).is_some() || tree.is_sequence(tree.node(id).parent)
}

impl RepositoryTag {
    /// Registry and repository as a chart joins them.
    fn name(&self, tree: &YamlTree<'_>) -> Option<String> {
        let text = |id: Option<NodeId>| id.filter(|id| !tree.is_empty(*id)).and_then(|id| tree.text(id));
        let repository = text(self.repository)?;
        Some(text(self.registry).map_or_else(|| repository.to_owned(), |it| format!("{it}/{repository}")))
    }

    fn read_image(&self, tree: &YamlTree<'_>, image: &ImageRef) -> ImageValue {
        let words = |id: Option<NodeId>| id.filter(|id| !tree.is_empty(*id)).and_then(|id| tree.text(id));
        let mut text = self.name(tree).unwrap_or_else(|| image.name());
        text.extend(words(self.tag).map(|tag| format!(":{tag}")));
        text.extend(words(self.digest).map(|digest| format!("@{digest}")));
        let at = self.tag.or(self.digest).or(self.repository).unwrap_or(self.mapping);
        ImageValue::text(text, tree.position(at))
    }

    fn edit(&self, draft: &mut EditBuffer<'_>, update: &ImageUpdate) -> Result<(), EditError> {
        self.edit_name(draft, &update.image)?;
        let digest = update.image.digest.as_ref().map(ToString::to_string);
        if let Some(id) = self.digest
            && !(digest.is_none() && draft.tree.is_empty(id))
        {
            draft.set_scalar(id, digest.as_deref().unwrap_or_default())?;
        }
        let own = self.digest.is_some();
        if own && update.image.tag.is_none() && self.tag.is_none_or(|tag| draft.tree.is_empty(tag)) {
            return Ok(());
        }
        let tag = self.tag_text(draft, update, own)?;
        match self.tag {
            Some(id) => draft.set_scalar(id, &tag),
            None => self.add_tag(draft, &tag),
        }
    }

    /// The value of the tag: with the digest behind it, if there is no key for the digest.
    fn tag_text(&self, draft: &EditBuffer<'_>, update: &ImageUpdate, own: bool) -> Result<String, EditError> {
        let digest = update.image.digest.as_ref();
        let tag = match (&update.image.tag, digest) {
            (Some(tag), _) => tag.clone(),
            (None, Some(digest)) if update.pin == HelmPin::Digest || own => {
                format!("sha256-{}", digest.short())
            }
            _ => {
                return Err(draft
                    .tree
                    .error_at(self.mapping, "only a tag can be written there, and none is given"));
            }
        };
        Ok(match digest {
            Some(digest) if !own && update.pin == HelmPin::Digest => format!("{tag}@{digest}"),
            _ => tag,
        })
    }

    fn add_tag(&self, draft: &mut EditBuffer<'_>, tag: &str) -> Result<(), EditError> {
        if draft.tree.get(self.mapping, "<<")?.is_some() {
            let why = "there is no `tag` itself, and a merge key adds other values";
            return Err(draft.tree.error_at(self.mapping, why));
        }
        let near = self.repository.or(self.digest);
        let after = draft.tree.entries(self.mapping).iter().position(|(_, value)| Some(*value) == near);
        draft.insert_entry(self.mapping, after.unwrap_or_default(), "tag", tag)
    }

    /// An image of another repository replaces the name too.
    fn edit_name(&self, draft: &mut EditBuffer<'_>, image: &ImageRef) -> Result<(), EditError> {
        let Some((id, name)) = self.repository.zip(self.name(&draft.tree)) else { return Ok(()) };
        if name.parse::<ImageRef>().is_ok_and(|now| is_same_repository(&now, image) && !has_version(&name)) {
            return draft.ensure_editable(id);
        }
        match self.registry.filter(|id| !draft.tree.is_empty(*id)) {
            Some(registry) => {
                let host = if image.registry.is_empty() { "docker.io" } else { &image.registry };
                draft.set_scalar(registry, host)?;
                draft.set_scalar(id, &image.repository)
            }
            None => draft.set_scalar(id, &image.name()),
        }
    }
}

impl ImageTarget {
    pub(super) fn read_image(&self, tree: &YamlTree<'_>, image: &ImageRef) -> ImageValue {
        match self {
            ImageTarget::RepositoryTag(pair) => pair.read_image(tree, image),
            ImageTarget::Text(id) => {
                ImageValue::text(tree.text(*id).unwrap_or_default().to_owned(), tree.position(*id))
            }
        }
    }

    pub(super) fn edit(&self, draft: &mut EditBuffer<'_>, update: &ImageUpdate) -> Result<(), EditError> {
        match self {
            ImageTarget::RepositoryTag(pair) => pair.edit(draft, update),
            ImageTarget::Text(id) => draft.set_scalar(*id, &update.image.to_string()),
        }
    }
}

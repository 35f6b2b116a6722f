//! The `images:` of a kustomization: one entry sets the replacement of an image. As with `kustomize edit set image`,
//! `newTag` and `digest` afterwards are exactly those requested: a stale digest would win over the new tag.

use crate::release::ImageRef;

use super::edit_buffer::EditBuffer;
use super::error::EditError;
use super::repository_names::{is_reference_to, is_same_repository};
use super::yaml_tree::{NodeId, YamlTree};
use super::{ImageLocation, ImageUpdate, ImageValue};

/// The order in which kustomize itself writes the keys.
const ENTRY_KEYS: [&str; 4] = ["name", "newName", "newTag", "digest"];

/// Which entry to edit.
#[derive(Clone, Copy)]
pub(super) enum EntryMatch<'s> {
    /// The one with this name.
    Name(&'s str),
    /// The one of this repository, in whatever registry.
    Repository(&'s str),
    /// The one of the image.
    Image,
}

impl<'s> EntryMatch<'s> {
    pub(super) fn from_location(location: &'s ImageLocation) -> Self {
        match location {
            ImageLocation::Kustomize { name: Some(name) } => Self::Name(name),
            ImageLocation::KustomizeByRepository { repository } => Self::Repository(repository),
            _ => Self::Image,
        }
    }

    /// The name of a new entry, if it is not that of the image.
    fn name(self) -> Option<&'s str> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// The kustomization: the only document with content.
fn find_root(tree: &YamlTree<'_>) -> Result<NodeId, EditError> {
    let mut full = tree.documents.iter().copied().filter(|id| !tree.is_null(*id));
    let Some(root) = full.next() else {
        return Err(EditError::ambiguous("it is empty, so it is not a kustomization"));
    };
    if let Some(second) = full.next() {
        return Err(
            tree.error_at(second, "it contains more than one document, and a kustomization has exactly one")
        );
    }
    match tree.is_mapping(root) {
        true => Ok(root),
        false => Err(tree.error_at(root, "it is not a mapping, so it is not a kustomization")),
    }
}

/// The entry to edit, if there is one: by the given name, else by the name of the image.
fn entry_for(
    tree: &YamlTree<'_>,
    meant: EntryMatch<'_>,
    image: &ImageRef,
) -> Result<Option<NodeId>, EditError> {
    match tree.get(find_root(tree)?, "images")? {
        Some(list) => select_entry(tree, list, meant, image),
        None => Ok(None),
    }
}

/// The entry of the image in a list of another object, such as a Kustomization of Flux.
pub(super) fn entry_in_list(
    tree: &YamlTree<'_>,
    list: NodeId,
    image: &ImageRef,
) -> Result<Option<NodeId>, EditError> {
    select_entry(tree, list, EntryMatch::Image, image)
}

/// Whether a mapping is an entry of such a list.
pub(super) fn is_entry(tree: &YamlTree<'_>, item: NodeId) -> bool {
    let list = tree.node(item).parent;
    let known = |key: &&str| tree.get(item, key).is_ok_and(|id| id.is_some());
    tree.is_sequence(list) && tree.key(list) == Some("images") && ENTRY_KEYS[1..].iter().any(known)
}

fn select_entry(
    tree: &YamlTree<'_>,
    list: NodeId,
    meant: EntryMatch<'_>,
    image: &ImageRef,
) -> Result<Option<NodeId>, EditError> {
    let mut all = Vec::new();
    for item in tree.items(list) {
        let said = |key| Ok(tree.get(*item, key)?.and_then(|id| tree.text(id)));
        all.push((*item, said("name")?, said("newName")?));
    }
    let full = |text: Option<&str>| text.is_some_and(|text| is_reference_to(text, image));
    let part = |text: Option<&str>| text == Some(image.repository.as_str());
    let anywhere = |text: Option<&str>, repository: &str| {
        text.and_then(|text| text.parse::<ImageRef>().ok()).is_some_and(|it| it.repository == repository)
    };
    let tiers: [Vec<NodeId>; 4] = match meant {
        EntryMatch::Name(name) => {
            [entries_where(&all, |it| it.1 == Some(name)), Vec::new(), Vec::new(), Vec::new()]
        }
        EntryMatch::Repository(repository) => [
            entries_where(&all, |it| anywhere(it.1, repository)),
            entries_where(&all, |it| anywhere(it.2, repository)),
            Vec::new(),
            Vec::new(),
        ],
        EntryMatch::Image => [
            entries_where(&all, |it| full(it.1)),
            entries_where(&all, |it| part(it.1)),
            entries_where(&all, |it| full(it.2)),
            entries_where(&all, |it| part(it.2)),
        ],
    };
    match tiers.iter().find(|tier| !tier.is_empty()).map(Vec::as_slice) {
        None => Ok(None),
        Some([one]) => Ok(Some(*one)),
        Some([_, second, ..]) => {
            let wanted = meant.name().map_or_else(|| image.name(), str::to_owned);
            Err(tree
                .error_at(*second, format!("several entries of `images` are for `{wanted}`"))
                .help("Select one by its `name`."))
        }
        Some([]) => Ok(None),
    }
}

type EntryNames<'a> = (NodeId, Option<&'a str>, Option<&'a str>);

fn entries_where<'a>(all: &[EntryNames<'a>], wanted: impl Fn(&EntryNames<'a>) -> bool) -> Vec<NodeId> {
    all.iter().filter(|it| wanted(it)).map(|it| it.0).collect()
}

/// The current value of the entry. Nothing if it does not exist yet.
pub(super) fn find_image(
    tree: &YamlTree<'_>,
    meant: EntryMatch<'_>,
    image: &ImageRef,
) -> Result<ImageValue, EditError> {
    match entry_for(tree, meant, image)? {
        Some(item) => read_entry(tree, item),
        None => Ok(ImageValue::empty_at(tree.position(find_root(tree)?))),
    }
}

/// The image of an entry.
pub(super) fn read_entry(tree: &YamlTree<'_>, item: NodeId) -> Result<ImageValue, EditError> {
    let mut said = [None; 4];
    for (slot, key) in ENTRY_KEYS.iter().enumerate() {
        said[slot] = tree.get(item, key)?.filter(|id| !tree.is_null(*id));
    }
    let words = said.map(|id| id.and_then(|id| tree.text(id)).filter(|text| !text.is_empty()));
    let mut text = words[1].or(words[0]).unwrap_or_default().to_owned();
    text.extend(words[2].map(|tag| format!(":{tag}")));
    text.extend(words[3].map(|digest| format!("@{digest}")));
    let at = said[2].or(said[3]).or(said[1]).unwrap_or(item);
    Ok(ImageValue::text(text, tree.position(at)))
}

/// Sets the entry to the requested value; adds it, and the list, if they are missing.
pub(super) fn edit_entry(
    draft: &mut EditBuffer<'_>,
    meant: EntryMatch<'_>,
    update: &ImageUpdate,
) -> Result<(), EditError> {
    match entry_for(&draft.tree, meant, &update.image)? {
        Some(item) => update_entry(draft, item, update),
        None => add_entry(draft, meant.name(), update),
    }
}

/// Sets an entry to the requested value.
pub(super) fn update_entry(
    draft: &mut EditBuffer<'_>,
    item: NodeId,
    update: &ImageUpdate,
) -> Result<(), EditError> {
    if let Some(suffix) = draft.tree.get(item, "tagSuffix")? {
        return Err(draft
            .tree
            .error_at(suffix, "the entry has a `tagSuffix`, which kustomize would append to the new tag"));
    }
    let full = update.image.name();
    let said =
        |key: &str| Ok(draft.tree.get(item, key)?.and_then(|id| draft.tree.text(id)).unwrap_or_default());
    let (name, now) = (said("name")?, said("newName")?);
    let same =
        [name, now].map(|it| it.parse().is_ok_and(|it: ImageRef| is_same_repository(&it, &update.image)));
    let named = match (now.is_empty(), same) {
        (false, [_, true]) | (true, [true, _]) => None,
        _ => Some(full),
    };
    if let Some(full) = named {
        set_key(draft, item, "newName", &full)?;
    }
    let digest = update.image.digest.as_ref().map(ToString::to_string);
    for (key, value) in [("newTag", update.image.tag.as_deref()), ("digest", digest.as_deref())] {
        match value {
            Some(value) => set_key(draft, item, key, value)?,
            None => {
                let slot = draft.tree.entry_index(item, key)?;
                let says = |slot: &usize| !draft.tree.is_empty(draft.tree.entries(item)[*slot].1);
                if let Some(slot) = slot.filter(says) {
                    draft.remove_entry(item, slot)?;
                }
            }
        }
    }
    Ok(())
}

/// Replaces the value of a key of the entry, or adds the key behind the keys that precede it.
fn set_key(draft: &mut EditBuffer<'_>, item: NodeId, key: &str, value: &str) -> Result<(), EditError> {
    if let Some(id) = draft.tree.get(item, key)? {
        return draft.set_scalar(id, value);
    }
    let new = draft.new_nodes();
    let entries = draft.tree.entries(item);
    let earlier = ENTRY_KEYS.iter().take_while(|it| **it != key).copied().collect::<Vec<_>>();
    let is_earlier =
        |id: NodeId| !new.contains(&id) && draft.tree.text(id).is_some_and(|it| earlier.contains(&it));
    let after = entries.iter().rposition(|(key, _)| is_earlier(*key));
    let after = after.or_else(|| entries.iter().position(|(key, _)| !new.contains(key)));
    draft.insert_entry(item, after.unwrap_or_default(), key, value)
}

fn add_entry(draft: &mut EditBuffer<'_>, name: Option<&str>, update: &ImageUpdate) -> Result<(), EditError> {
    let full = update.image.name();
    let digest = update.image.digest.as_ref().map(ToString::to_string);
    let mut entries = vec![("name", name.unwrap_or(&full))];
    entries.extend(name.filter(|name| *name != full).map(|_| ("newName", full.as_str())));
    entries.extend(update.image.tag.as_deref().map(|tag| ("newTag", tag)));
    entries.extend(digest.as_deref().map(|digest| ("digest", digest)));
    let root = find_root(&draft.tree)?;
    let reported = update.image.to_string();
    match draft.tree.get(root, "images")? {
        None => draft.add_list(root, "images", &entries, &reported),
        Some(list) if draft.tree.is_null(list) || draft.tree.is_sequence(list) => {
            draft.append_item(list, &entries, &reported)
        }
        Some(other) => Err(draft.tree.error_at(other, "`images` is not a list")),
    }
}

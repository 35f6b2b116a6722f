//! The `images:` of a kustomization: one entry says what an image is replaced by. As `kustomize edit set image` has
//! it, `newTag` and `digest` are afterwards exactly what was wished: a stale digest would win over the new tag.

use crate::release::ImageRef;

use super::draft::Draft;
use super::names::{names, same_repository};
use super::refusal::Refusal;
use super::tree::{Id, Tree};
use super::{Found, Spot, Wish};

/// The order in which kustomize itself writes the keys.
const KEYS: [&str; 4] = ["name", "newName", "newTag", "digest"];

/// Which entry is meant.
#[derive(Clone, Copy)]
pub(super) enum Meant<'s> {
    /// That with this name.
    Named(&'s str),
    /// That of this repository, in whatever registry.
    Of(&'s str),
    /// That of the image.
    Image,
}

impl<'s> Meant<'s> {
    pub(super) fn of(spot: &'s Spot) -> Self {
        match spot {
            Spot::Kustomize { name: Some(name) } => Self::Named(name),
            Spot::KustomizeOf { repository } => Self::Of(repository),
            _ => Self::Image,
        }
    }

    /// The name that a new entry gets, where it is not that of the image.
    fn name(self) -> Option<&'s str> {
        match self {
            Self::Named(name) => Some(name),
            _ => None,
        }
    }
}

/// The kustomization: the only document that says anything.
fn root(tree: &Tree<'_>) -> Result<Id, Refusal> {
    let mut full = tree.documents.iter().copied().filter(|id| !tree.is_null(*id));
    let Some(root) = full.next() else {
        return Err(Refusal::unclear("it is empty, so it is no kustomization"));
    };
    if let Some(second) = full.next() {
        return Err(tree.refuse(second, "it holds more than one document, and a kustomization is one"));
    }
    match tree.is_mapping(root) {
        true => Ok(root),
        false => Err(tree.refuse(root, "it is no mapping, so it is no kustomization")),
    }
}

/// The entry that is meant, if there is one: by the name that is given, else by what the image is called.
fn entry(tree: &Tree<'_>, meant: Meant<'_>, image: &ImageRef) -> Result<Option<Id>, Refusal> {
    let Some(list) = tree.get(root(tree)?, "images")? else { return Ok(None) };
    let mut all = Vec::new();
    for item in tree.items(list) {
        let said = |key| Ok(tree.get(*item, key)?.and_then(|id| tree.text(id)));
        all.push((*item, said("name")?, said("newName")?));
    }
    let full = |text: Option<&str>| text.is_some_and(|text| names(text, image));
    let part = |text: Option<&str>| text == Some(image.repository.as_str());
    let anywhere = |text: Option<&str>, repository: &str| {
        text.and_then(|text| text.parse::<ImageRef>().ok()).is_some_and(|it| it.repository == repository)
    };
    let tiers: [Vec<Id>; 4] = match meant {
        Meant::Named(name) => [of(&all, |it| it.1 == Some(name)), Vec::new(), Vec::new(), Vec::new()],
        Meant::Of(repository) => [
            of(&all, |it| anywhere(it.1, repository)),
            of(&all, |it| anywhere(it.2, repository)),
            Vec::new(),
            Vec::new(),
        ],
        Meant::Image => [
            of(&all, |it| full(it.1)),
            of(&all, |it| part(it.1)),
            of(&all, |it| full(it.2)),
            of(&all, |it| part(it.2)),
        ],
    };
    match tiers.iter().find(|tier| !tier.is_empty()).map(Vec::as_slice) {
        None => Ok(None),
        Some([one]) => Ok(Some(*one)),
        Some([_, second, ..]) => {
            let wanted = meant.name().map_or_else(|| image.name(), str::to_owned);
            Err(tree
                .refuse(*second, format!("several entries of `images` are of `{wanted}`"))
                .help("Say which one by its name."))
        }
        Some([]) => Ok(None),
    }
}

type Named<'a> = (Id, Option<&'a str>, Option<&'a str>);

fn of<'a>(all: &[Named<'a>], wanted: impl Fn(&Named<'a>) -> bool) -> Vec<Id> {
    all.iter().filter(|it| wanted(it)).map(|it| it.0).collect()
}

/// What the entry says now. Nothing where it is still to be added.
pub(super) fn look(tree: &Tree<'_>, meant: Meant<'_>, image: &ImageRef) -> Result<Found, Refusal> {
    let Some(item) = entry(tree, meant, image)? else { return Ok(Found::nothing(tree.place(root(tree)?))) };
    let mut said = [None; 4];
    for (slot, key) in KEYS.iter().enumerate() {
        said[slot] = tree.get(item, key)?.filter(|id| !tree.is_null(*id));
    }
    let words = said.map(|id| id.and_then(|id| tree.text(id)).filter(|text| !text.is_empty()));
    let mut text = words[1].or(words[0]).unwrap_or_default().to_owned();
    text.extend(words[2].map(|tag| format!(":{tag}")));
    text.extend(words[3].map(|digest| format!("@{digest}")));
    let at = said[2].or(said[3]).or(said[1]).unwrap_or(item);
    Ok(Found::text(text, tree.place(at)))
}

/// Makes the entry say what is wished; adds it, and the list, where they are missing.
pub(super) fn edit(draft: &mut Draft<'_>, meant: Meant<'_>, wish: &Wish) -> Result<(), Refusal> {
    match entry(&draft.tree, meant, &wish.image)? {
        Some(item) => change(draft, item, wish),
        None => add(draft, meant.name(), wish),
    }
}

fn change(draft: &mut Draft<'_>, item: Id, wish: &Wish) -> Result<(), Refusal> {
    if let Some(suffix) = draft.tree.get(item, "tagSuffix")? {
        return Err(draft
            .tree
            .refuse(suffix, "the entry has a `tagSuffix`, which would be put behind the new tag"));
    }
    let full = wish.image.name();
    let said =
        |key: &str| Ok(draft.tree.get(item, key)?.and_then(|id| draft.tree.text(id)).unwrap_or_default());
    let (name, now) = (said("name")?, said("newName")?);
    let same = [name, now].map(|it| it.parse().is_ok_and(|it: ImageRef| same_repository(&it, &wish.image)));
    let named = match (now.is_empty(), same) {
        (false, [_, true]) | (true, [true, _]) => None,
        _ => Some(full),
    };
    if let Some(full) = named {
        put(draft, item, "newName", &full)?;
    }
    let digest = wish.image.digest.as_ref().map(ToString::to_string);
    for (key, value) in [("newTag", wish.image.tag.as_deref()), ("digest", digest.as_deref())] {
        match value {
            Some(value) => put(draft, item, key, value)?,
            None => {
                let slot = draft.tree.entry(item, key)?;
                let says = |slot: &usize| !draft.tree.is_void(draft.tree.entries(item)[*slot].1);
                if let Some(slot) = slot.filter(says) {
                    draft.remove(item, slot)?;
                }
            }
        }
    }
    Ok(())
}

/// Replaces the value of a key of the entry, or adds the key behind those that come before it.
fn put(draft: &mut Draft<'_>, item: Id, key: &str, value: &str) -> Result<(), Refusal> {
    if let Some(id) = draft.tree.get(item, key)? {
        return draft.set(id, value);
    }
    let new = draft.new_nodes();
    let entries = draft.tree.entries(item);
    let earlier = KEYS.iter().take_while(|it| **it != key).copied().collect::<Vec<_>>();
    let is_earlier =
        |id: Id| !new.contains(&id) && draft.tree.text(id).is_some_and(|it| earlier.contains(&it));
    let after = entries.iter().rposition(|(key, _)| is_earlier(*key));
    let after = after.or_else(|| entries.iter().position(|(key, _)| !new.contains(key)));
    draft.insert(item, after.unwrap_or_default(), key, value)
}

fn add(draft: &mut Draft<'_>, name: Option<&str>, wish: &Wish) -> Result<(), Refusal> {
    let full = wish.image.name();
    let digest = wish.image.digest.as_ref().map(ToString::to_string);
    let mut entries = vec![("name", name.unwrap_or(&full))];
    entries.extend(name.filter(|name| *name != full).map(|_| ("newName", full.as_str())));
    entries.extend(wish.image.tag.as_deref().map(|tag| ("newTag", tag)));
    entries.extend(digest.as_deref().map(|digest| ("digest", digest)));
    let root = root(&draft.tree)?;
    let told = wish.image.to_string();
    match draft.tree.get(root, "images")? {
        None => draft.add_list(root, "images", &entries, &told),
        Some(list) if draft.tree.is_null(list) || draft.tree.is_sequence(list) => {
            draft.append(list, &entries, &told)
        }
        Some(other) => Err(draft.tree.refuse(other, "`images` is no list")),
    }
}

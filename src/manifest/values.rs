//! Images in Helm values: a mapping of `repository` and `tag` (and perhaps `registry` and `digest`), or one string.
//! A chart joins them as `repository:tag`, so a tag may carry a digest behind it where no key of its own is there.

use std::collections::HashSet;

use crate::problem::suggest;
use crate::release::ImageRef;

use super::draft::Draft;
use super::names::{names, same_repository};
use super::refusal::Refusal;
use super::tree::{Id, Kind, Tree};
use super::{Found, Pin, Wish};

/// The image of a chart in pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    mapping: Id,
    registry: Option<Id>,
    repository: Option<Id>,
    tag: Option<Id>,
    digest: Option<Id>,
}

/// Where values name an image.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Pair(Pair),
    Text(Id),
}

/// What stands at a path.
pub(super) fn at_path(tree: &Tree<'_>, path: &[String], image: &ImageRef) -> Result<Target, Refusal> {
    let mut full = tree.documents.iter().copied().filter(|id| !tree.is_null(*id));
    let mut at = full.next().ok_or_else(|| Refusal::unclear("it is empty"))?;
    if let Some(second) = full.next() {
        return Err(tree.refuse(second, "it holds more than one document, and values are one"));
    }
    for step in path {
        at = child(tree, at, step)?;
    }
    if tree.is_mapping(at) {
        return match pair(tree, at, image)? {
            Some(pair) => Ok(Target::Pair(pair)),
            None => {
                let why = format!("`{}` has no `repository`, `tag` or `digest`", path.join("."));
                Err(tree.refuse(at, why))
            }
        };
    }
    let key = path.last().map(|key| key.to_ascii_lowercase()).unwrap_or_default();
    if ["tag", "digest", "repository", "registry"].iter().any(|part| key.ends_with(part)) {
        let why = format!("`{}` is a part of an image", path.join("."));
        return Err(tree.refuse(at, why).help("Name the mapping that holds `repository` and `tag`."));
    }
    Ok(Target::Text(at))
}

fn child(tree: &Tree<'_>, at: Id, step: &str) -> Result<Id, Refusal> {
    if let Some(item) = step.parse::<usize>().ok().and_then(|slot| tree.items(at).get(slot)) {
        return Ok(*item);
    }
    if matches!(tree.node(at).kind, Kind::Alias(_)) {
        return Err(
            tree.refuse(at, format!("`{}` is an alias of a value that stands elsewhere", tree.path(at)))
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
        true => format!("there is no `{step}` {within} itself, and a merge key brings in other values"),
        false => format!("there is no `{step}` {within}"),
    };
    let refusal = tree.refuse(at, why);
    Err(match suggest(step, known) {
        Some(near) => refusal.help(format!("Did you mean `{near}`?")),
        None => refusal,
    })
}

/// The pieces of an image in a mapping, if it has any. A `name` may be that of anything, so it must be the image's.
fn pair(tree: &Tree<'_>, mapping: Id, image: &ImageRef) -> Result<Option<Pair>, Refusal> {
    let get = |key| tree.get(mapping, key);
    let (registry, tag, digest) = (get("registry")?, get("tag")?, get("digest")?);
    let mut repository = get("repository")?;
    for key in ["repo", "name", "image"] {
        if repository.is_none() && (tag.is_some() || digest.is_some()) {
            let fits = |text: &str| key != "name" || names(text, image);
            repository = get(key)?.filter(|id| tree.text(*id).is_some_and(fits));
        }
    }
    let any = repository.is_some() || tag.is_some() || digest.is_some();
    Ok(any.then_some(Pair { mapping, registry, repository, tag, digest }))
}

/// Every place that names the repository of `image`. Refused when there is none.
pub(super) fn of_repository(tree: &Tree<'_>, image: &ImageRef) -> Result<Vec<Target>, Refusal> {
    let last = image.repository.rsplit('/').next().unwrap_or_default();
    let (mut targets, mut taken) = (Vec::new(), HashSet::new());
    for id in (0..).take(tree.nodes.len()) {
        if tree.is_mapping(id)
            && let Some(pair) = pair(tree, id, image)?
            && pair.name(tree).is_some_and(|name| names(&name, image) && !has_version(&name))
        {
            taken.extend(pair.repository);
            targets.push(Target::Pair(pair));
        }
        let text = tree.text(id).filter(|text| text.contains(last) && names(text, image));
        if let Some(text) = text
            && is_value(tree, id)
            && !taken.contains(&id)
            && (has_version(text)
                || tree.key(id).is_some_and(|key| key.to_ascii_lowercase().ends_with("image")))
        {
            targets.push(Target::Text(id));
        }
    }
    match targets.is_empty() {
        true => Err(Refusal::unclear(format!("no `repository` and no image in it is `{}`", image.name()))
            .help("Write the name with its registry, as it stands in the file.")),
        false => Ok(targets),
    }
}

fn has_version(text: &str) -> bool {
    text.parse::<ImageRef>().is_ok_and(|image| image.tag.is_some() || image.digest.is_some())
}

fn is_value(tree: &Tree<'_>, id: Id) -> bool {
    tree.key(id).is_some() || tree.is_sequence(tree.node(id).parent)
}

impl Pair {
    /// Registry and repository as a chart joins them.
    fn name(&self, tree: &Tree<'_>) -> Option<String> {
        let text = |id: Option<Id>| id.filter(|id| !tree.is_void(*id)).and_then(|id| tree.text(id));
        let repository = text(self.repository)?;
        Some(text(self.registry).map_or_else(|| repository.to_owned(), |it| format!("{it}/{repository}")))
    }

    fn look(&self, tree: &Tree<'_>, image: &ImageRef) -> Found {
        let words = |id: Option<Id>| id.filter(|id| !tree.is_void(*id)).and_then(|id| tree.text(id));
        let mut text = self.name(tree).unwrap_or_else(|| image.name());
        text.extend(words(self.tag).map(|tag| format!(":{tag}")));
        text.extend(words(self.digest).map(|digest| format!("@{digest}")));
        let at = self.tag.or(self.digest).or(self.repository).unwrap_or(self.mapping);
        Found::text(text, tree.place(at))
    }

    fn edit(&self, draft: &mut Draft<'_>, wish: &Wish) -> Result<(), Refusal> {
        self.edit_name(draft, &wish.image)?;
        let digest = wish.image.digest.as_ref().map(ToString::to_string);
        if let Some(id) = self.digest
            && !(digest.is_none() && draft.tree.is_void(id))
        {
            draft.set(id, digest.as_deref().unwrap_or_default())?;
        }
        let own = self.digest.is_some();
        if own && wish.image.tag.is_none() && self.tag.is_none_or(|tag| draft.tree.is_void(tag)) {
            return Ok(());
        }
        let tag = self.tag_text(draft, wish, own)?;
        match self.tag {
            Some(id) => draft.set(id, &tag),
            None => self.add_tag(draft, &tag),
        }
    }

    /// What the tag says: with the digest behind it, where the digest has no key of its own.
    fn tag_text(&self, draft: &Draft<'_>, wish: &Wish, own: bool) -> Result<String, Refusal> {
        let digest = wish.image.digest.as_ref();
        let tag = match (&wish.image.tag, digest) {
            (Some(tag), _) => tag.clone(),
            (None, Some(digest)) if wish.pin == Pin::Digest || own => format!("sha256-{}", digest.short()),
            _ => {
                return Err(draft
                    .tree
                    .refuse(self.mapping, "only a tag can be written there, and none is given"));
            }
        };
        Ok(match digest {
            Some(digest) if !own && wish.pin == Pin::Digest => format!("{tag}@{digest}"),
            _ => tag,
        })
    }

    fn add_tag(&self, draft: &mut Draft<'_>, tag: &str) -> Result<(), Refusal> {
        if draft.tree.get(self.mapping, "<<")?.is_some() {
            let why = "there is no `tag` itself, and a merge key brings in other values";
            return Err(draft.tree.refuse(self.mapping, why));
        }
        let near = self.repository.or(self.digest);
        let after = draft.tree.entries(self.mapping).iter().position(|(_, value)| Some(*value) == near);
        draft.insert(self.mapping, after.unwrap_or_default(), "tag", tag)
    }

    /// An image of another repository brings its name along.
    fn edit_name(&self, draft: &mut Draft<'_>, image: &ImageRef) -> Result<(), Refusal> {
        let Some((id, name)) = self.repository.zip(self.name(&draft.tree)) else { return Ok(()) };
        if name.parse::<ImageRef>().is_ok_and(|now| same_repository(&now, image) && !has_version(&name)) {
            return draft.check(id);
        }
        match self.registry.filter(|id| !draft.tree.is_void(*id)) {
            Some(registry) => {
                let host = if image.registry.is_empty() { "docker.io" } else { &image.registry };
                draft.set(registry, host)?;
                draft.set(id, &image.repository)
            }
            None => draft.set(id, &image.name()),
        }
    }
}

impl Target {
    pub(super) fn look(&self, tree: &Tree<'_>, image: &ImageRef) -> Found {
        match self {
            Target::Pair(pair) => pair.look(tree, image),
            Target::Text(id) => Found::text(tree.text(*id).unwrap_or_default().to_owned(), tree.place(*id)),
        }
    }

    pub(super) fn edit(&self, draft: &mut Draft<'_>, wish: &Wish) -> Result<(), Refusal> {
        match self {
            Target::Pair(pair) => pair.edit(draft, wish),
            Target::Text(id) => draft.set(*id, &wish.image.to_string()),
        }
    }
}

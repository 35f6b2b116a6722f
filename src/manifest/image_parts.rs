//! An image in parts, as charts keep it: name, tag and digest under keys of one mapping, or in parameters of Helm. A
//! chart joins them as `registry/repository:tag`, so a tag may carry a digest if there is no key for it.

use crate::release::{Digest, ImageRef};

use super::chart_scope::{global_registry, inherited_tag, registry_in_front};
use super::edit_buffer::EditBuffer;
use super::error::EditError;
use super::image_keys::{PartKind, classify_key};
use super::image_text::{has_version, names_repository};
use super::yaml_tree::{NodeId, YamlTree};
use super::{HelmPin, ImageUpdate, ImageValue};

/// A value under a key that names a part of an image.
#[derive(Debug, Clone)]
pub(super) struct PartField {
    kind: PartKind,
    prefix: String,
    value: NodeId,
    /// As users see it.
    label: String,
}

/// The image of a chart in parts.
#[derive(Debug, Clone)]
pub(super) struct ImageParts {
    /// The mapping or the list of parameters.
    owner: NodeId,
    registry: Option<PartField>,
    repository: Option<PartField>,
    image: Option<PartField>,
    name: Option<PartField>,
    tag: Option<PartField>,
    digest: Option<PartField>,
    /// Why it is not clear which value is the version.
    doubt: Option<(NodeId, String)>,
}

/// The fields of a mapping that name parts of an image.
pub(super) fn mapping_fields(tree: &YamlTree<'_>, mapping: NodeId) -> Vec<PartField> {
    let entries = tree.entries(mapping).iter();
    entries.filter_map(|(key, value)| part_field(tree, tree.text(*key)?, *value)).collect()
}

/// A value as a part, if its key names one and it is a single value.
pub(super) fn part_field(tree: &YamlTree<'_>, key: &str, value: NodeId) -> Option<PartField> {
    tree.text(value)?;
    let part = classify_key(key.rsplit('.').next().unwrap_or(key))?;
    Some(PartField { kind: part.kind, prefix: part.prefix, value, label: key.to_owned() })
}

/// The images that fields belong to: one for each prefix that has a name or a version.
pub(super) fn group_fields(tree: &YamlTree<'_>, owner: NodeId, fields: &[PartField]) -> Vec<ImageParts> {
    let mut prefixes: Vec<&str> = Vec::new();
    for field in fields {
        if !prefixes.contains(&field.prefix.as_str()) {
            prefixes.push(&field.prefix);
        }
    }
    let is_named = |prefix: &str| fields.iter().any(|it| it.prefix == prefix && is_bare_name(tree, it));
    let strays: Vec<&PartField> =
        fields.iter().filter(|it| is_version(it.kind) && !is_named(&it.prefix)).collect();
    let alone = prefixes.iter().filter(|prefix| is_named(prefix)).count() <= 1;
    let group = |prefix: &&str| {
        let own: Vec<&PartField> = fields.iter().filter(|it| it.prefix == **prefix).collect();
        ImageParts::from_fields(owner, &own, if alone && is_named(prefix) { &strays } else { &[] })
    };
    prefixes.iter().map(group).filter(|parts| parts.has_name() || parts.has_version()).collect()
}

fn is_version(kind: PartKind) -> bool {
    matches!(kind, PartKind::Tag | PartKind::Version | PartKind::OtherVersion)
}

/// Whether a field can be the name of an image in front of its tag.
fn is_bare_name(tree: &YamlTree<'_>, field: &PartField) -> bool {
    let names = matches!(field.kind, PartKind::Repository | PartKind::Image);
    names && tree.text(field.value).is_some_and(|text| !text.is_empty() && !has_version(text))
}

impl ImageParts {
    fn from_fields(owner: NodeId, own: &[&PartField], strays: &[&PartField]) -> Self {
        let first = |kinds: &[PartKind]| {
            kinds.iter().find_map(|kind| own.iter().find(|it| it.kind == *kind)).map(|it| (*it).clone())
        };
        let all = |kind: PartKind| own.iter().filter(|it| it.kind == kind).collect::<Vec<_>>();
        let mut doubt = match all(PartKind::Tag).as_slice() {
            [one, other, ..] => {
                Some((other.value, format!("both `{}` and `{}` hold a tag", one.label, other.label)))
            }
            _ => None,
        };
        let mut tag = first(&[PartKind::Tag, PartKind::Version]);
        match strays {
            [] => {}
            _ if tag.is_some() => {}
            [one] if one.kind != PartKind::OtherVersion => tag = Some((*one).clone()),
            [one, rest @ ..] => {
                let labels: Vec<String> =
                    [one].into_iter().chain(rest).map(|it| format!("`{}`", it.label)).collect();
                let why =
                    format!("it is not clear whether {} is the version of the image", labels.join(" or "));
                doubt = Some((one.value, why));
            }
        }
        Self {
            owner,
            registry: first(&[PartKind::Registry]),
            repository: first(&[PartKind::Repository]),
            image: first(&[PartKind::Image]),
            name: first(&[PartKind::Name]),
            tag,
            digest: first(&[PartKind::Digest, PartKind::Sha]),
            doubt,
        }
    }

    fn has_name(&self) -> bool {
        self.repository.is_some() || self.image.is_some()
    }

    /// Whether a value of it holds a version.
    pub(super) fn has_version(&self) -> bool {
        self.tag.is_some() || self.digest.is_some()
    }

    /// Whether its only version is a key that can be that of anything.
    pub(super) fn has_vague_version(&self) -> bool {
        self.digest.is_none() && self.tag.as_ref().is_none_or(|tag| tag.kind == PartKind::Version)
    }

    /// Whether a chart joins it: it has a version, or a key for the repository alone.
    pub(super) fn is_complete(&self) -> bool {
        self.has_version() || self.repository.is_some() || self.doubt.is_some()
    }

    /// The values that belong to it.
    pub(super) fn values(&self) -> impl Iterator<Item = NodeId> + '_ {
        let all = [&self.registry, &self.repository, &self.image, &self.name, &self.tag, &self.digest];
        all.into_iter().flatten().map(|field| field.value)
    }

    /// The mapping or list that it is in.
    pub(super) fn owner(&self) -> NodeId {
        self.owner
    }

    /// Whether it names the repository of `wanted`.
    pub(super) fn is_of(&self, tree: &YamlTree<'_>, wanted: &ImageRef) -> bool {
        self.matching_name(tree, wanted).is_some()
    }

    /// Whether a value of it is its name.
    pub(super) fn is_named(&self, tree: &YamlTree<'_>) -> bool {
        self.default_name(tree).is_some()
    }

    /// The value that has the whole reference, so that no other value is the version.
    pub(super) fn whole_reference(&self, tree: &YamlTree<'_>) -> Option<NodeId> {
        let names = [&self.repository, &self.image].into_iter().flatten().map(|field| field.value);
        names.into_iter().find(|id| tree.text(*id).is_some_and(has_version))
    }

    /// The joined name that is the repository of `wanted`, in any way in which charts join the parts.
    fn matching_name(&self, tree: &YamlTree<'_>, wanted: &ImageRef) -> Option<String> {
        let text = |field: &Option<PartField>| {
            field
                .as_ref()
                .and_then(|it| tree.text(it.value))
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let (registry, repository) = (text(&self.registry), text(&self.repository));
        let (image, name) = (text(&self.image), text(&self.name));
        // A name and a version are what everything has, so that is no image by itself.
        let own_name = name.clone().filter(|_| registry.is_some() || !self.has_vague_version());
        let join = |last: &Option<String>| {
            repository.as_ref().zip(last.as_ref()).map(|(front, last)| format!("{front}/{last}"))
        };
        let names = [join(&image), join(&name), repository.clone(), image, own_name];
        let with_host = |name: &String| registry.as_ref().map(|host| format!("{host}/{name}"));
        let fits = |name: &String| names_repository(name, wanted, None) && !has_version(name);
        let behind_global = |name: &String| {
            let host = registry_in_front(tree, self.owner, name, wanted);
            host.is_some_and(|host| names_repository(name, wanted, Some(&host))) && !has_version(name)
        };
        names.into_iter().flatten().find_map(|name| {
            let own = with_host(&name).unwrap_or_else(|| name.clone());
            match fits(&own) {
                true => Some(own),
                false => Some(name).filter(behind_global),
            }
        })
    }

    /// Registry and repository as most charts join them.
    fn default_name(&self, tree: &YamlTree<'_>) -> Option<String> {
        let text = |field: &Option<PartField>| {
            field.as_ref().and_then(|it| tree.text(it.value)).filter(|text| !text.is_empty())
        };
        let name = text(&self.repository).or_else(|| text(&self.image))?;
        Some(text(&self.registry).map_or_else(|| name.to_owned(), |host| format!("{host}/{name}")))
    }

    /// The image as it is now; what has no name has that of `wanted`.
    pub(super) fn read_image(&self, tree: &YamlTree<'_>, wanted: &ImageRef) -> ImageValue {
        let words = |field: &Option<PartField>| {
            let value = field.as_ref().map(|it| it.value).filter(|id| !tree.is_empty(*id));
            value.and_then(|id| tree.text(id))
        };
        let spelled = |name: &String| names_repository(name, wanted, None);
        let known = self.matching_name(tree, wanted);
        let known = known.map(|name| Some(name).filter(spelled).unwrap_or_else(|| wanted.name()));
        let mut text = known.or_else(|| self.default_name(tree)).unwrap_or_else(|| wanted.name());
        text.extend(words(&self.tag).map(|tag| format!(":{tag}")));
        text.extend(words(&self.digest).map(|digest| match digest.contains(':') {
            true => format!("@{digest}"),
            false => format!("@sha256:{digest}"),
        }));
        let first = [&self.tag, &self.digest, &self.repository].into_iter().flatten().next();
        ImageValue::text(text, tree.position(first.map_or(self.owner, |it| it.value)))
    }

    /// The name as written, for a list of what is there.
    pub(super) fn known_name(&self, tree: &YamlTree<'_>) -> Option<String> {
        self.default_name(tree).filter(|_| self.has_version())
    }

    /// Sets the parts to the requested image.
    pub(super) fn edit(&self, draft: &mut EditBuffer<'_>, update: &ImageUpdate) -> Result<(), EditError> {
        draft.ensure_editable(self.owner)?;
        if let Some((at, why)) = &self.doubt {
            return Err(draft
                .tree
                .error_at(*at, why)
                .help("Name the value in the deploy file by its own path."));
        }
        self.edit_name(draft, &update.image)?;
        self.edit_digest(draft, update.image.digest.as_ref())?;
        let own = self.digest.is_some();
        let no_tag = self.tag.as_ref().is_none_or(|tag| draft.tree.is_empty(tag.value));
        let digest_is_enough = update.image.tag.is_none() || self.tag.is_none();
        if own && update.image.digest.is_some() && no_tag && digest_is_enough {
            return Ok(());
        }
        let text = self.tag_text(draft, update, own)?;
        match &self.tag {
            Some(tag) => draft.set_scalar(tag.value, &text),
            None => self.add_tag(draft, &text),
        }
    }

    fn edit_digest(&self, draft: &mut EditBuffer<'_>, digest: Option<&Digest>) -> Result<(), EditError> {
        let Some(field) = &self.digest else { return Ok(()) };
        draft.ensure_editable(field.value)?;
        let now = draft.tree.text(field.value).unwrap_or_default();
        let now = if draft.tree.is_null(field.value) { "" } else { now };
        let bare = !now.contains(':') && (field.kind == PartKind::Sha || !now.is_empty());
        let full = if now.contains(':') { now.to_owned() } else { format!("sha256:{now}") };
        if !now.is_empty() && full.parse::<Digest>().is_err() {
            let why =
                format!("`{}` is `{now}`, which is not the digest of an image", draft.tree.path(field.value));
            return Err(draft.tree.error_at(field.value, why));
        }
        if digest.is_none() && now.is_empty() {
            return Ok(());
        }
        let text = digest.map(Digest::as_str).unwrap_or_default();
        let text = if bare { text.trim_start_matches("sha256:") } else { text };
        draft.set_scalar(field.value, text)
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
                    .error_at(self.owner, "only a tag can be written there, and none is given"));
            }
        };
        Ok(match digest {
            Some(digest) if !own && update.pin == HelmPin::Digest => format!("{tag}@{digest}"),
            _ => tag,
        })
    }

    /// Adds a `tag`, which every chart with a `repository` reads, if no other value can be the version.
    fn add_tag(&self, draft: &mut EditBuffer<'_>, tag: &str) -> Result<(), EditError> {
        let tree = &draft.tree;
        if !tree.is_mapping(self.owner) {
            return Err(tree.error_at(self.owner, "there is no parameter for the tag"));
        }
        if let Some(name) =
            self.repository.as_ref().or(self.image.as_ref()).filter(|it| it.label != "repository")
        {
            let why = format!("there is no value for the version beside `{}`", name.label);
            return Err(tree.error_at(name.value, why));
        }
        if tree.get(self.owner, "<<")?.is_some() {
            let why = "there is no `tag` itself, and a merge key adds other values";
            return Err(tree.error_at(self.owner, why));
        }
        if let Some(other) = inherited_tag(tree, self.owner) {
            let why =
                format!("there is no `tag`, and `{}` may be the version of the image", tree.path(other));
            return Err(tree.error_at(self.owner, why).help("Write the `tag` beside the `repository`."));
        }
        let near = self.repository.as_ref().or(self.digest.as_ref()).map(|field| field.value);
        let after = tree.entries(self.owner).iter().position(|(_, value)| Some(*value) == near);
        draft.insert_entry(self.owner, after.unwrap_or_default(), "tag", tag)
    }

    /// An image of another repository replaces the name too.
    fn edit_name(&self, draft: &mut EditBuffer<'_>, wanted: &ImageRef) -> Result<(), EditError> {
        let Some(field) = self.repository.as_ref().or(self.image.as_ref()) else { return Ok(()) };
        if self.is_of(&draft.tree, wanted) || draft.tree.is_empty(field.value) {
            return Ok(());
        }
        if self.repository.is_some() && self.image.as_ref().is_some_and(|it| !draft.tree.is_empty(it.value)) {
            let why = format!("its name is in several pieces, and it is not `{}`", wanted.name());
            return Err(draft.tree.error_at(field.value, why));
        }
        let host = if wanted.registry.is_empty() { "docker.io" } else { &wanted.registry };
        let has_host = draft
            .tree
            .text(field.value)
            .is_some_and(|text| text.parse::<ImageRef>().is_ok_and(|now| !now.registry.is_empty()));
        if let Some((at, global)) = global_registry(&draft.tree, self.owner).filter(|_| !has_host) {
            if global == host {
                return draft.set_scalar(field.value, &wanted.repository);
            }
            let why = format!(
                "`{}` is `{global}`, which the chart puts in front of the name, so it cannot become `{}`",
                draft.tree.path(at),
                wanted.name()
            );
            return Err(draft.tree.error_at(field.value, why));
        }
        match self.registry.as_ref().filter(|it| !draft.tree.is_empty(it.value)) {
            Some(registry) => {
                draft.set_scalar(registry.value, host)?;
                draft.set_scalar(field.value, &wanted.repository)
            }
            None => draft.set_scalar(field.value, &wanted.name()),
        }
    }
}

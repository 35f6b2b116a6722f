//! Which digest an image reference means: the one it carries, the one its repository knows for the tag, else one of its own.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::ecr;
use super::super::world::{EcrRepository, Image, World};

/// What ECS finds when it looks up an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageLookup {
    /// An image with this digest.
    Digest(String),
    /// The repository is known, and it has no such image.
    Missing,
    /// Docker does not take the reference: the path of a repository has lower-case letters only.
    UpperCase,
}

/// Resolve a reference. A repository of the world knows all its images, one in a real registry from the first look at it on;
/// any other reference is taken to exist, with a digest derived from its text.
pub fn resolve_image(world: &World, reference: &str) -> ImageLookup {
    let it = ImageReference::parse(reference);
    if it.has_upper_case_path() {
        return ImageLookup::UpperCase;
    }
    match (it.repository(world), it.digest) {
        (Some(repository), _) => it
            .image(repository)
            .map_or(ImageLookup::Missing, |image| ImageLookup::Digest(image.digest.clone())),
        (None, Some(digest)) => ImageLookup::Digest(digest.into()),
        (None, None) => ImageLookup::Digest(format!("sha256:{}", hex::encode(Sha256::digest(reference)))),
    }
}

/// Architectures that the image of a reference is for, such as `arm64`; empty where they are not known.
pub fn image_architectures(world: &World, reference: &str) -> Vec<String> {
    let it = ImageReference::parse(reference);
    let found = it.repository(world).and_then(|repository| Some((repository, it.image(repository)?)));
    let Some((repository, image)) = found else { return Vec::new() };
    let manifest: Value = serde_json::from_str(&image.manifest).unwrap_or_default();
    let of_index =
        manifest["manifests"].as_array().into_iter().flatten().map(|it| &it["platform"]["architecture"]);
    let config = manifest["config"]["digest"].as_str().and_then(|digest| repository.blobs.get(digest));
    let config: Value = config.and_then(|blob| serde_json::from_str(blob).ok()).unwrap_or_default();
    let all = of_index.chain([&config["architecture"]]);
    all.filter_map(Value::as_str).map(String::from).collect()
}

struct ImageReference<'a> {
    path: &'a str,
    tag: &'a str,
    digest: Option<&'a str>,
}

impl<'a> ImageReference<'a> {
    fn parse(reference: &'a str) -> Self {
        let (name, digest) =
            reference.split_once('@').map_or((reference, None), |(name, digest)| (name, Some(digest)));
        let (path, tag) = split_tag(name);
        Self { path, tag, digest }
    }

    /// The grammar of distribution/reference: a first component with a dot or a port is a host, which can have any letters.
    fn has_upper_case_path(&self) -> bool {
        let path = match self.path.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) => path,
            _ => self.path,
        };
        path.bytes().any(|b| b.is_ascii_uppercase())
    }

    fn repository<'w>(&self, world: &'w World) -> Option<&'w EcrRepository> {
        let name = self.path.strip_prefix(&ecr::registry_host(world))?.strip_prefix('/')?;
        world
            .repositories()
            .get(name)
            .filter(|repository| world.backing_registry.is_none() || repository.is_synced)
    }

    fn image<'w>(&self, repository: &'w EcrRepository) -> Option<&'w Image> {
        let means = |image: &&Image| match self.digest {
            Some(digest) => image.digest == digest,
            None => image.tags.iter().any(|tag| tag == self.tag),
        };
        repository.images.iter().find(means)
    }
}

/// Path and tag of a name without a digest; a colon before the last slash belongs to the host.
fn split_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (name, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_tag_ignores_a_port() {
        assert_eq!(split_tag("localhost:5000/app"), ("localhost:5000/app", "latest"));
        assert_eq!(split_tag("localhost:5000/app:v1"), ("localhost:5000/app", "v1"));
    }

    #[test]
    fn upper_case_is_refused_in_the_path_only() {
        let world = World::default();
        for (reference, refused) in [
            ("nginx:V1", false),
            ("GHCR.io/acme/web:1", false),
            ("Acme/web", true),
            ("ghcr.io/acme/Web@x", true),
        ] {
            assert_eq!(resolve_image(&world, reference) == ImageLookup::UpperCase, refused, "{reference}");
        }
    }

    #[test]
    fn a_reference_outside_the_world_has_a_digest_of_its_own() {
        let world = World::default();
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(resolve_image(&world, &format!("x/y@{digest}")), ImageLookup::Digest(digest));
        let ImageLookup::Digest(derived) = resolve_image(&world, "x/y:v1") else { panic!("must resolve") };
        assert_eq!(derived.len(), 71);
    }
}

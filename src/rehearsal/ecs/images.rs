//! Which digest an image reference means: the one it carries, the one its repository knows for the tag, else one of its own.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::world::{Image, Repository, World};

/// What ECS finds when it looks up an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An image with this digest.
    Digest(String),
    /// The repository is known, and it has no such image.
    Missing,
}

/// Resolve a reference. A repository of the world without an external registry behind it knows all its images; any other
/// reference is taken to exist, with a digest derived from its text.
pub fn resolve(world: &World, reference: &str) -> Found {
    let it = Reference::read(reference);
    match (it.repository(world), it.digest) {
        (Some(repository), _) => {
            it.image(repository).map_or(Found::Missing, |image| Found::Digest(image.digest.clone()))
        }
        (None, Some(digest)) => Found::Digest(digest.into()),
        (None, None) => Found::Digest(format!("sha256:{}", hex::encode(Sha256::digest(reference)))),
    }
}

/// Architecture of the image that a reference means, such as `arm64`; `None` where its config is not known, or for an index.
pub fn architecture(world: &World, reference: &str) -> Option<String> {
    let it = Reference::read(reference);
    let repository = it.repository(world)?;
    let manifest: Value = serde_json::from_str(&it.image(repository)?.manifest).ok()?;
    let config = repository.blobs.get(manifest["config"]["digest"].as_str()?)?;
    let config: Value = serde_json::from_str(config).ok()?;
    config["architecture"].as_str().map(String::from)
}

struct Reference<'a> {
    path: &'a str,
    tag: &'a str,
    digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    fn read(reference: &'a str) -> Self {
        let (name, digest) =
            reference.split_once('@').map_or((reference, None), |(name, digest)| (name, Some(digest)));
        let (path, tag) = split_tag(name);
        Self { path, tag, digest }
    }

    fn repository<'w>(&self, world: &'w World) -> Option<&'w Repository> {
        let host = format!("{}.dkr.ecr.{}.amazonaws.com/", world.account, world.region);
        let name = self.path.strip_prefix(&host).filter(|_| world.registry.is_none())?;
        world.repositories.get(name)
    }

    fn image<'w>(&self, repository: &'w Repository) -> Option<&'w Image> {
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
    fn a_tag_is_told_from_a_port() {
        assert_eq!(split_tag("localhost:5000/app"), ("localhost:5000/app", "latest"));
        assert_eq!(split_tag("localhost:5000/app:v1"), ("localhost:5000/app", "v1"));
    }

    #[test]
    fn a_reference_outside_the_world_has_a_digest_of_its_own() {
        let world = World::default();
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(resolve(&world, &format!("x/y@{digest}")), Found::Digest(digest));
        let Found::Digest(derived) = resolve(&world, "x/y:v1") else { panic!("must resolve") };
        assert_eq!(derived.len(), 71);
    }
}

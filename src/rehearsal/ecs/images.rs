//! Which digest an image reference means: the one it carries, the one its repository knows for the tag, else one of its own.

use sha2::{Digest, Sha256};

use super::super::{ecr, world::World};

/// What ECS finds when it looks up an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An image with this digest.
    Digest(String),
    /// The repository is known, and it has no such image.
    Missing,
}

/// Resolve a reference. A repository of the world knows all its images, one in a real registry from the first look at it on;
/// any other reference is taken to exist, with a digest derived from its text.
pub fn resolve(world: &World, reference: &str) -> Found {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let (path, tag) = split_tag(name);
    let known = path
        .strip_prefix(&ecr::host(world))
        .and_then(|rest| world.repositories.get(rest.strip_prefix('/')?))
        .filter(|repository| world.registry.is_none() || repository.looked_up);
    match (known, digest) {
        (Some(repository), Some(digest)) => {
            match repository.images.iter().any(|image| image.digest == digest) {
                true => Found::Digest(digest.into()),
                false => Found::Missing,
            }
        }
        (Some(repository), None) => {
            let found = repository.images.iter().find(|image| image.tags.iter().any(|t| t == tag));
            found.map_or(Found::Missing, |image| Found::Digest(image.digest.clone()))
        }
        (None, Some(digest)) => Found::Digest(digest.into()),
        (None, None) => Found::Digest(format!("sha256:{}", hex::encode(Sha256::digest(reference)))),
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

//! Image references and digests, parsed and formatted by the rules of the distribution specification.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// A content digest: `sha256:` and 64 lower-case hex digits (OCI image-spec, descriptor).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The complete digest, with its algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hex digits, for display.
    pub fn short(&self) -> &str {
        &self.0[7..19]
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        let good = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| format!("`{text}` is not sha256: and 64 hex digits"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image reference: registry, repository, and a tag, a digest, or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    /// Host with optional port; empty for Docker Hub's short names.
    pub registry: String,
    /// Repository, such as `acme/backend`.
    pub repository: String,
    /// Tag, if the reference has one.
    pub tag: Option<String>,
    /// Digest, if the reference has one; wins over the tag.
    pub digest: Option<Digest>,
}

impl ImageRef {
    /// Registry and repository, without tag and digest.
    pub fn name(&self) -> String {
        if self.registry.is_empty() {
            self.repository.clone()
        } else {
            format!("{}/{}", self.registry, self.repository)
        }
    }

    /// The same image, pinned to `digest` without a tag.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository with `tag`.
    pub fn with_tag(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }
}

impl FromStr for ImageRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let (registry, path) = split_registry(rest);
        let (repository, tag) = split_tag(path);
        check_repository(repository)
            .and_then(|()| tag.map_or(Ok(()), check_tag))
            .map_err(|why| format!("`{text}`: {why}"))?;
        Ok(Self {
            registry: registry.into(),
            repository: repository.into(),
            tag: tag.map(Into::into),
            digest,
        })
    }
}

/// An image to deploy instead of a built one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageOverride {
    /// Its service; `None` means the only one.
    pub service: Option<String>,
    /// The image.
    pub image: ImageRef,
}

impl ImageOverride {
    /// The image that the inputs name for a service.
    pub fn find<'i>(images: &'i [Self], service: &str) -> Option<&'i Self> {
        images.iter().find(|image| image.service.as_deref().is_none_or(|name| name == service))
    }
}

/// The host of the registry that the name of a repository begins with; `None` if it names none.
pub fn registry_of(repository: &str) -> Option<&str> {
    Some(split_registry(repository).0).filter(|host| !host.is_empty())
}

/// The host of Docker Hub in image references.
pub const DOCKER_HUB: &str = "docker.io";

/// The one name of a registry that has several: Docker Hub, which an image without a registry is on.
pub fn canonical_registry(host: &str) -> &str {
    match host {
        "" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => DOCKER_HUB,
        host => host,
    }
}

/// Whether a host is a registry of ECR, also at an endpoint of FIPS (`dkr.ecr-fips`).
pub fn is_ecr_host(host: &str) -> bool {
    host.contains(".dkr.ecr")
}

/// The name of a repository without its registry, if it is in ECR: in the environment's account, or in that of the address.
pub fn ecr_repository(repository: &str) -> Option<&str> {
    match registry_of(repository) {
        None => Some(repository),
        Some(host) => repository.strip_prefix(host)?.strip_prefix('/').filter(|_| is_ecr_host(host)),
    }
}

/// The part before the first slash is a registry only when it looks like a host.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => ("", text),
    }
}

fn split_tag(path: &str) -> (&str, Option<&str>) {
    path.rsplit_once(':').map_or((path, None), |(repository, tag)| (repository, Some(tag)))
}

fn check_repository(repository: &str) -> Result<(), String> {
    let part = |p: &str| {
        !p.is_empty()
            && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
            && p.starts_with(|c: char| c.is_ascii_alphanumeric())
            && p.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let good = repository.len() <= 255 && repository.split('/').all(part);
    good.then_some(()).ok_or_else(|| format!("`{repository}` is not a repository name"))
}

fn check_tag(tag: &str) -> Result<(), String> {
    let good = (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    good.then_some(()).ok_or_else(|| format!("`{tag}` is not a tag"))
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Serialize for ImageRef {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'d> Deserialize<'d> for ImageRef {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Images of the containers that are deployed beside the one of the service, by the name of the container.
pub type ContainerImages = BTreeMap<String, ImageRef>;

/// Whether two releases can be the same as far as their further containers are known: none of them has another digest in
/// the other release. A container of which one of the two knows no digest says nothing.
pub fn digests_agree(one: &ContainerImages, other: &ContainerImages) -> bool {
    let digest =
        |images: &ContainerImages, name: &str| images.get(name).and_then(|image| image.digest.clone());
    let agrees = |name: &String| {
        let both = digest(one, name).zip(digest(other, name));
        both.is_none_or(|(one, other)| one == other)
    };
    one.keys().all(agrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_is_a_part_that_looks_like_a_host() {
        for (repository, registry) in [
            ("acme/app", None),
            ("app", None),
            ("ghcr.io/acme/app", Some("ghcr.io")),
            ("localhost/app", Some("localhost")),
            ("registry:5000/app", Some("registry:5000")),
        ] {
            assert_eq!(registry_of(repository), registry, "{repository}");
        }
    }

    #[test]
    fn references_round_trip() {
        let hex = "a".repeat(64);
        for text in [
            "nginx".to_owned(),
            "acme/app:1.2".to_owned(),
            "127.0.0.1:5000/acme/app:sha-c0ffee1".to_owned(),
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/app".to_owned(),
            format!("localhost/app:1@sha256:{hex}"),
        ] {
            assert_eq!(text.parse::<ImageRef>().map(|r| r.to_string()), Ok(text));
        }
    }

    #[test]
    fn digests_agree_unless_a_container_has_two() {
        let images = |text: &str| -> ContainerImages {
            let image = |digit: &str| match digit {
                "-" => "nginx".parse().unwrap(),
                digit => format!("nginx@sha256:{}", digit.repeat(64)).parse().unwrap(),
            };
            let parts = text.split_whitespace().map(|part| part.split_once('=').unwrap());
            parts.map(|(name, digit)| (name.to_owned(), image(digit))).collect()
        };
        for (one, other, agree) in [
            ("", "", true),
            ("web=1", "", true),
            ("web=1", "web=1", true),
            ("web=1", "web=2", false),
            ("web=1", "log=2", true),
            ("web=1", "web=-", true),
            ("log=1 web=1", "log=1 web=2", false),
        ] {
            assert_eq!(digests_agree(&images(one), &images(other)), agree, "{one}, {other}");
            assert_eq!(digests_agree(&images(other), &images(one)), agree, "{other}, {one}");
        }
    }

    #[test]
    fn a_port_is_not_a_tag() {
        let image: ImageRef = "localhost:5000/app".parse().unwrap();
        assert_eq!((image.registry.as_str(), image.tag), ("localhost:5000", None));
    }

    #[test]
    fn invalid_references_are_rejected() {
        for text in ["", "a b", "App", "app:", "app@sha256:12", "app:-x", "-oProxy", "a//b", "app:a b"] {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
    }
}

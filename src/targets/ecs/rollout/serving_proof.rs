//! The proof that a version serves: its definition, the digest of each image, its tasks and targets. Pure.

use super::super::read::{EcsService, ServiceRevision, version_from_arn};
use super::super::serving::{self, TargetCounts};
use crate::release::{Digest, Proof, Rollout};

/// Evidence of success.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServingEvidence {
    /// The serving revision.
    pub revision: ServiceRevision,
    /// The container whose digest is checked; empty if unknown.
    pub container: String,
    /// Digests that are equivalent to the requested one: the platform manifests of a requested index.
    pub platform_digests: Vec<String>,
    /// Targets, if the service has target groups.
    pub target_counts: Option<TargetCounts>,
}

/// Why nothing is proven.
pub enum Unproven {
    /// Another definition or another image runs; the sentence says which.
    OtherImage(String),
    /// Copies or targets are missing; what there is.
    NotYet(String),
}

/// The proof that the version of `ours` serves, from what was read once AWS reports success.
pub fn find_proof(
    ours: &Rollout,
    evidence: &ServingEvidence,
    service: &EcsService,
) -> Result<Proof, Unproven> {
    if evidence.revision.definition != ours.version {
        let serves = version_from_arn(&evidence.revision.definition).label;
        return Err(Unproven::OtherImage(format!("The service runs {serves}, not {}.", ours.label)));
    }
    if let Some(sentence) = other_image(evidence) {
        return Err(Unproven::OtherImage(sentence));
    }
    let (desired, running) = (service.desired, service.running_of(&ours.version));
    let missing = match &evidence.target_counts {
        Some(targets) if !targets.are_enough(desired) => {
            let others = targets.describe_others();
            format!("{} of {desired} targets healthy {others}", targets.healthy)
        }
        _ if running < desired => format!("{running} of {desired} tasks running"),
        _ => return Ok(proof(ours, evidence, service)),
    };
    Err(Unproven::NotYet(missing.trim_end().to_owned()))
}

/// A container that runs another image than the definition asks for.
fn other_image(evidence: &ServingEvidence) -> Option<String> {
    evidence.revision.images.iter().find_map(|(container, image, digest)| {
        let asked = image.split_once('@').map_or("", |(_, digest)| digest);
        let good = asked.is_empty()
            || digest.is_empty()
            || asked == digest
            || evidence.platform_digests.contains(digest);
        (!good).then(|| format!("The container `{container}` runs {digest}, not the requested {asked}."))
    })
}

fn proof(ours: &Rollout, evidence: &ServingEvidence, service: &EcsService) -> Proof {
    let (desired, running) = (service.desired, service.running_of(&ours.version));
    let targets = evidence.target_counts.as_ref();
    Proof {
        version: version_from_arn(&ours.version),
        digest: container_digest(&evidence.revision, &evidence.container),
        evidence: serving::describe(desired, running, targets),
        remarks: serving::remarks(desired, running, targets),
    }
}

/// The digest of the named container, or of the only one.
pub fn container_digest(revision: &ServiceRevision, container: &str) -> Option<Digest> {
    let only = || revision.images.first().filter(|_| revision.images.len() == 1);
    named_digest(revision, container).or_else(|| running_digest(only()?))
}

/// The digest of the container with this name.
pub fn named_digest(revision: &ServiceRevision, container: &str) -> Option<Digest> {
    running_digest(revision.images.iter().find(|(name, _, _)| name == container)?)
}

fn running_digest((_, image, resolved): &(String, String, String)) -> Option<Digest> {
    // An image requested by digest runs by that digest; a tag was resolved by ECS.
    let asked = image.split_once('@').map(|(_, digest)| digest);
    asked.unwrap_or(resolved).parse().ok()
}

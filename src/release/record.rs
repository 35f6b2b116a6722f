//! The deployment record: what a run released, stored with the deployment in GitHub for later runs. It contains what was
//! requested. Whether that was proven is the state of the deployment, and nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ContainerImages, Digest, ImageRef, digests_agree};

/// The release of a run into an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentRecord {
    /// The environment of the deploy file.
    pub environment: String,
    /// The commit, in full.
    pub commit: String,
    /// The services of the run, by name.
    pub services: BTreeMap<String, RecordedService>,
}

/// One service in a [`DeploymentRecord`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedService {
    /// The image with its registry, pinned to the digest.
    pub image: ImageRef,
    /// The images of further containers, pinned to their digests.
    #[serde(rename = "containers", default, skip_serializing_if = "ContainerImages::is_empty")]
    pub container_images: ContainerImages,
    /// Whether the run found it serving already, so that it brought nothing to the service.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchanged: bool,
}

impl RecordedService {
    /// What a run brings to a service.
    pub fn brought(image: ImageRef) -> Self {
        Self { image, container_images: ContainerImages::new(), unchanged: false }
    }

    /// The digest of the image; `None` if the record has none, which proves nothing.
    pub fn digest(&self) -> Option<&Digest> {
        self.image.digest.as_ref()
    }

    /// Whether both name the same digests of the same containers.
    pub fn has_same_images(&self, other: &Self) -> bool {
        let digests = |one: &Self| {
            let further =
                one.container_images.iter().map(|(name, image)| (name.clone(), image.digest.clone()));
            further.collect::<Vec<_>>()
        };
        self.digest() == other.digest() && digests(self) == digests(other)
    }

    /// Whether both are the same release: the same digest of every container that both name.
    pub fn is_same_release(&self, other: &Self) -> bool {
        self.digest() == other.digest() && digests_agree(&self.container_images, &other.container_images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_round_trips() {
        let image = format!("r.example/acme/web@sha256:{}", "a".repeat(64));
        let recorded = RecordedService::brought(image.parse().unwrap());
        let services = [("web".to_owned(), recorded)].into();
        let record = DeploymentRecord { environment: "staging".into(), commit: "c0ffee".into(), services };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(
            text,
            format!(
                "{{\"environment\":\"staging\",\"commit\":\"c0ffee\",\"services\":{{\"web\":{{\"image\":\"{image}\"}}}}}}"
            )
        );
        assert_eq!(serde_json::from_str::<DeploymentRecord>(&text).unwrap(), record);
        assert!(serde_json::from_str::<DeploymentRecord>(&text.replace("sha256:a", "sha256:")).is_err());
    }

    #[test]
    fn record_names_the_images_of_all_containers() {
        let image = |digit: &str| format!("r.example/acme/web@sha256:{}", digit.repeat(64)).parse().unwrap();
        let with = |containers: &[(&str, &str)]| RecordedService {
            container_images: containers.iter().map(|(name, digit)| ((*name).into(), image(digit))).collect(),
            ..RecordedService::brought(image("a"))
        };
        let two = with(&[("nginx", "b")]);
        let text = serde_json::to_string(&two).unwrap();
        assert!(text.contains("\"containers\":{\"nginx\":\"r.example/acme/web@sha256:bbb"), "{text}");
        assert_eq!(serde_json::from_str::<RecordedService>(&text).unwrap(), two);
        assert!(serde_json::from_str::<RecordedService>(&text.replace("sha256:b", "sha256:")).is_err());
        assert!(two.is_same_release(&two) && !two.is_same_release(&with(&[("nginx", "c")])));
        assert!(two.is_same_release(&with(&[])), "a record without them says nothing about them");
    }
}

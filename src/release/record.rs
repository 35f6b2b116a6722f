//! The deployment record: what a run released, stored with the deployment in GitHub for later runs. It contains what
//! was
//! requested. Whether that was proven is the state of the deployment, and nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, ImageRef};

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

/// One service in a [`Record`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedService {
    /// The image with its registry, pinned to the digest.
    #[serde(with = "as_text")]
    pub image: ImageRef,
    /// Whether the run found it serving already, so that it brought nothing to the service.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchanged: bool,
}

impl RecordedService {
    /// What a run brings to a service.
    pub fn brought(image: ImageRef) -> Self {
        Self { image, unchanged: false }
    }

    /// The digest of the image; `None` if the record has none, which proves nothing.
    pub fn digest(&self) -> Option<&Digest> {
        self.image.digest.as_ref()
    }
}

/// Serializes a value as its text form.
mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer, T: std::fmt::Display>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>, T>(from: D) -> Result<T, D::Error>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
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
}

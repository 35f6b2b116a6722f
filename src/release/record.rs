//! What a run released, as it is kept where later runs find it: beside the deployment in GitHub. It says what was asked
//! for; whether that was proven is said by the state of the deployment, and by nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, ImageRef};

/// What a run released into an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The environment of the deploy file.
    pub environment: String,
    /// The commit, in full.
    pub commit: String,
    /// The services that the run was about, by name.
    pub services: BTreeMap<String, Recorded>,
}

/// One service in a [`Record`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The image with its registry, pinned to the digest.
    #[serde(with = "as_text")]
    pub image: ImageRef,
}

impl Recorded {
    /// The digest of the image; `None` where the record names none, which proves nothing.
    pub fn digest(&self) -> Option<&Digest> {
        self.image.digest.as_ref()
    }
}

/// A value as the text that it is read from.
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
    fn a_record_is_read_as_it_was_written() {
        let image = format!("r.example/acme/web@sha256:{}", "a".repeat(64));
        let recorded = Recorded { image: image.parse().unwrap() };
        let services = [("web".to_owned(), recorded)].into();
        let record = Record { environment: "staging".into(), commit: "c0ffee".into(), services };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(
            text,
            format!(
                "{{\"environment\":\"staging\",\"commit\":\"c0ffee\",\"services\":{{\"web\":{{\"image\":\"{image}\"}}}}}}"
            )
        );
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        assert!(serde_json::from_str::<Record>(&text.replace("sha256:a", "sha256:")).is_err());
    }
}

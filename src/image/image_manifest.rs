//! The parts of an image, read from its manifests, and the order in which a registry accepts them. Pure.
//! <https://github.com/opencontainers/image-spec/blob/main/manifest.md>

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::release::Digest;
use crate::sys::http::json_error_text;

/// A manifest or an index, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes, which are text.
    pub text: String,
}

/// A config or a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The references of a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferencedDigests {
    /// Manifests, if it is an index.
    pub children: Vec<Digest>,
    /// Config and layers, except those that registries do not store.
    pub blobs: Vec<Blob>,
}

/// The members that are read; all others are skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestJson {
    schema_version: u64,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
}

impl Descriptor {
    fn digest(&self) -> Result<Digest, String> {
        self.digest.parse()
    }

    /// Layers that may not be redistributed (formerly of Windows): registries have only a link to them.
    fn is_foreign(&self) -> bool {
        self.media_type.contains("foreign") || self.media_type.contains("nondistributable")
    }

    fn blob(&self) -> Result<Blob, String> {
        Ok(Blob { digest: self.digest()?, size: self.size })
    }
}

impl ImageManifest {
    /// A manifest as received. `kind` is the type that the registry reports.
    pub fn new(kind: &str, bytes: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| "the manifest is not text".to_owned())?;
        let digest = sha256_digest(bytes)?;
        Ok(Self { digest, media_type: kind.to_owned(), text })
    }

    /// Its references. An error if it cannot be parsed, or its format is too old.
    pub fn referenced_digests(&self) -> Result<ReferencedDigests, String> {
        let read: ManifestJson = serde_json::from_str(&self.text).map_err(|error| json_error_text(&error))?;
        if read.schema_version != 2 {
            return Err(format!("manifests of schema {} cannot be copied", read.schema_version));
        }
        let kept = read.config.iter().chain(&read.layers).filter(|one| !one.is_foreign());
        Ok(ReferencedDigests {
            children: read.manifests.iter().map(Descriptor::digest).collect::<Result<_, _>>()?,
            blobs: kept.map(Descriptor::blob).collect::<Result<_, _>>()?,
        })
    }
}

/// The digest of some bytes.
pub fn sha256_digest(bytes: &[u8]) -> Result<Digest, String> {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes))).parse()
}

/// The order of sending: `found` is from the index downwards, a registry accepts blobs first; each once.
pub fn upload_order(found: Vec<(ImageManifest, ReferencedDigests)>) -> (Vec<Blob>, Vec<ImageManifest>) {
    let (mut blobs, mut manifests): (Vec<Blob>, Vec<ImageManifest>) = Default::default();
    for (manifest, parts) in found.into_iter().rev() {
        for blob in parts.blobs {
            if !blobs.iter().any(|known| known.digest == blob.digest) {
                blobs.push(blob);
            }
        }
        if !manifests.iter().any(|known| known.digest == manifest.digest) {
            manifests.push(manifest);
        }
    }
    (blobs, manifests)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn manifest(text: String) -> ImageManifest {
        ImageManifest::new("application/vnd.oci.image.manifest.v1+json", text.as_bytes()).unwrap()
    }

    fn image(layers: &[(char, &str)]) -> ImageManifest {
        let layer = |(digit, kind): &(char, &str)| {
            format!(r#"{{"mediaType":"application/vnd.{kind}.tar","digest":"{}","size":7}}"#, hex(*digit))
        };
        let layers = layers.iter().map(layer).collect::<Vec<_>>().join(",");
        let config = hex('c');
        manifest(format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{config}","size":3}},"layers":[{layers}]}}"#
        ))
    }

    #[test]
    fn image_consists_of_config_and_stored_layers() {
        let kinds = [
            ('1', "oci.image.layer.v1"),
            ('2', "docker.image.rootfs.foreign.diff"),
            ('3', "oci.image.layer.nondistributable.v1"),
        ];
        let parts = image(&kinds).referenced_digests().unwrap();
        let names: Vec<String> = parts.blobs.iter().map(|blob| blob.digest.to_string()).collect();
        assert_eq!(names, [hex('c'), hex('1')]);
        assert_eq!((parts.blobs[1].size, parts.children.len()), (7, 0));
    }

    #[test]
    fn index_refers_to_manifests() {
        let child = hex('a');
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{{"digest":"{child}","size":9}}]}}"#);
        assert_eq!(manifest(text).referenced_digests().unwrap().children[0].as_str(), child);
    }

    #[test]
    fn malformed_or_outdated_manifest_is_an_error() {
        for text in [
            "",
            "{}",
            r#"{"schemaVersion":1,"fsLayers":[]}"#,
            r#"{"schemaVersion":2,"layers":[{"digest":"md5:1","size":1}]}"#,
        ] {
            assert!(manifest(text.to_owned()).referenced_digests().is_err(), "{text}");
        }
    }

    #[test]
    fn blobs_are_sent_once_and_manifests_before_their_index() {
        let (one, two) = (image(&[('1', "x"), ('2', "x")]), image(&[('1', "x"), ('3', "x")]));
        let index = manifest(r#"{"schemaVersion":2}"#.to_owned());
        let with = |manifest: &ImageManifest| (manifest.clone(), manifest.referenced_digests().unwrap());
        let (blobs, manifests) = upload_order(vec![with(&index), with(&one), with(&two), with(&one)]);
        assert_eq!(manifests.last(), Some(&index));
        assert_eq!((blobs.len(), manifests.len()), (4, 3));
    }
}

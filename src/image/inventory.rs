//! What an image consists of, read from its manifests, and in which order a registry takes the parts. Pure.
//! <https://github.com/opencontainers/image-spec/blob/main/manifest.md>

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::release::Digest;

/// A manifest or an index, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its media type.
    pub kind: String,
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

/// What a manifest names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Manifests, where it is an index.
    pub children: Vec<Digest>,
    /// Config and layers, but those that registries do not keep.
    pub blobs: Vec<Blob>,
}

/// The members that are read; all others are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
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

    /// Layers that may not be given on (of Windows, once): registries have only a link to them.
    fn is_foreign(&self) -> bool {
        self.media_type.contains("foreign") || self.media_type.contains("nondistributable")
    }

    fn blob(&self) -> Result<Blob, String> {
        Ok(Blob { digest: self.digest()?, size: self.size })
    }
}

impl Manifest {
    /// A manifest as it came over the wire. `kind` is what the registry says it is.
    pub fn new(kind: &str, bytes: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| "the manifest is no text".to_owned())?;
        let digest = digest_of(bytes)?;
        Ok(Self { digest, kind: kind.to_owned(), text })
    }

    /// What it names. An error says what cannot be read, or that its format is too old.
    pub fn parts(&self) -> Result<Parts, String> {
        let read: Read = serde_json::from_str(&self.text).map_err(|error| error.to_string())?;
        if read.schema_version != 2 {
            return Err(format!("manifests of schema {} cannot be copied", read.schema_version));
        }
        let kept = read.config.iter().chain(&read.layers).filter(|one| !one.is_foreign());
        Ok(Parts {
            children: read.manifests.iter().map(Descriptor::digest).collect::<Result<_, _>>()?,
            blobs: kept.map(Descriptor::blob).collect::<Result<_, _>>()?,
        })
    }
}

/// The digest of some bytes.
pub fn digest_of(bytes: &[u8]) -> Result<Digest, String> {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes))).parse()
}

/// What is to be sent: `found` came from the index downwards, a registry takes it from the blobs upwards, each once.
pub fn bill(found: Vec<(Manifest, Parts)>) -> (Vec<Blob>, Vec<Manifest>) {
    let (mut blobs, mut manifests): (Vec<Blob>, Vec<Manifest>) = Default::default();
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

    fn manifest(text: String) -> Manifest {
        Manifest::new("application/vnd.oci.image.manifest.v1+json", text.as_bytes()).unwrap()
    }

    fn image(layers: &[(char, &str)]) -> Manifest {
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
    fn an_image_is_its_config_and_the_layers_that_registries_keep() {
        let kinds = [
            ('1', "oci.image.layer.v1"),
            ('2', "docker.image.rootfs.foreign.diff"),
            ('3', "oci.image.layer.nondistributable.v1"),
        ];
        let parts = image(&kinds).parts().unwrap();
        let names: Vec<String> = parts.blobs.iter().map(|blob| blob.digest.to_string()).collect();
        assert_eq!(names, [hex('c'), hex('1')]);
        assert_eq!((parts.blobs[1].size, parts.children.len()), (7, 0));
    }

    #[test]
    fn an_index_names_manifests() {
        let child = hex('a');
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{{"digest":"{child}","size":9}}]}}"#);
        assert_eq!(manifest(text).parts().unwrap().children[0].as_str(), child);
    }

    #[test]
    fn what_is_no_manifest_or_an_old_one_is_an_error() {
        for text in [
            "",
            "{}",
            r#"{"schemaVersion":1,"fsLayers":[]}"#,
            r#"{"schemaVersion":2,"layers":[{"digest":"md5:1","size":1}]}"#,
        ] {
            assert!(manifest(text.to_owned()).parts().is_err(), "{text}");
        }
    }

    #[test]
    fn blobs_come_once_and_manifests_before_the_index_that_names_them() {
        let (one, two) = (image(&[('1', "x"), ('2', "x")]), image(&[('1', "x"), ('3', "x")]));
        let index = manifest(r#"{"schemaVersion":2}"#.to_owned());
        let with = |manifest: &Manifest| (manifest.clone(), manifest.parts().unwrap());
        let (blobs, manifests) = bill(vec![with(&index), with(&one), with(&two), with(&one)]);
        assert_eq!(manifests.last(), Some(&index));
        assert_eq!((blobs.len(), manifests.len()), (4, 3));
    }
}

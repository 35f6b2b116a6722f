//! Images of the emulator: OCI manifests, configs and layers whose digests are the SHA-256 of their bytes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::world::Image;

/// Media type of an OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image as it is pushed: its manifests in the order of the push, and the blobs that they name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BuiltImage {
    /// Platform manifests first, the index (when there are several platforms) last.
    pub images: Vec<Image>,
    /// Configs and layers by digest.
    pub blobs: BTreeMap<String, String>,
}

impl BuiltImage {
    /// Digest of what a tag points to: the index, or the only manifest.
    pub fn digest(&self) -> &str {
        self.images.last().map_or("", |image| image.digest.as_str())
    }

    /// The same image with tags, pushed at a time (epoch seconds).
    pub fn with_tags(mut self, tags: &[&str], pushed_at: f64) -> Self {
        self.images.iter_mut().for_each(|image| image.pushed_at = pushed_at);
        if let Some(top) = self.images.last_mut() {
            top.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        }
        self
    }
}

/// An image for `platforms` such as `linux/amd64` or `linux/arm64/v8`: one manifest, or an index over several.
/// The same seed gives the same bytes, and another seed gives another digest.
pub fn build_image(platforms: &[&str], seed: &str) -> BuiltImage {
    let mut made = BuiltImage::default();
    let mut entries = Vec::new();
    for name in platforms {
        let platform = parse_platform(name);
        let manifest = build_manifest(&platform, &format!("{seed} {name}"), &mut made.blobs);
        entries.push(json!({
            "mediaType": MANIFEST, "digest": sha256_digest(&manifest), "size": manifest.len(), "platform": platform,
        }));
        made.images.push(new_image(manifest, MANIFEST));
    }
    if platforms.len() > 1 {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        made.images.push(new_image(index.to_string(), INDEX));
    }
    made
}

fn new_image(manifest: String, media_type: &str) -> Image {
    let digest = sha256_digest(&manifest);
    Image { digest, manifest, media_type: media_type.into(), tags: Vec::new(), pushed_at: 0.0 }
}

fn parse_platform(name: &str) -> Value {
    let mut parts = name.split('/');
    let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match parts.next() {
        Some(variant) => json!({ "architecture": architecture, "os": os, "variant": variant }),
        None => json!({ "architecture": architecture, "os": os }),
    }
}

fn build_manifest(platform: &Value, seed: &str, blobs: &mut BTreeMap<String, String>) -> String {
    let layer = format!("layer of {seed}\n");
    let mut config = platform.clone();
    config["config"] = json!({ "Cmd": ["/app"] });
    // An uncompressed layer is its own diff.
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [sha256_digest(&layer)] });
    let mut descriptor = |media_type: &str, bytes: String| {
        let descriptor =
            json!({ "mediaType": media_type, "digest": sha256_digest(&bytes), "size": bytes.len() });
        blobs.insert(sha256_digest(&bytes), bytes);
        descriptor
    };
    let (config, layer) = (descriptor(CONFIG, config.to_string()), descriptor(LAYER, layer));
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] }).to_string()
}

/// `sha256:` and the hexadecimal SHA-256 of some bytes.
pub fn sha256_digest(bytes: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// This number of bytes, the same for the same seed.
pub(super) fn bytes_from(seed: &str, len: usize) -> Vec<u8> {
    (0_u32..).flat_map(|n| Sha256::digest(format!("{seed} {n}"))).take(len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digest_is_that_of_its_bytes() {
        let made = build_image(&["linux/amd64", "linux/arm64/v8"], "1");
        assert_eq!(made.images.len(), 3);
        assert!(made.images.iter().all(|image| image.digest == sha256_digest(&image.manifest)));
        assert!(made.blobs.iter().all(|(name, bytes)| *name == sha256_digest(bytes)));
        let index: Value = serde_json::from_str(&made.images[2].manifest).unwrap();
        assert_eq!(index["manifests"][1]["digest"], made.images[1].digest);
        assert_eq!(
            index["manifests"][1]["platform"],
            json!({ "architecture": "arm64", "os": "linux", "variant": "v8" })
        );
        let first: Value = serde_json::from_str(&made.images[0].manifest).unwrap();
        let config: Value =
            serde_json::from_str(&made.blobs[first["config"]["digest"].as_str().unwrap()]).unwrap();
        assert_eq!((&config["os"], &config["architecture"]), (&json!("linux"), &json!("amd64")));
    }

    #[test]
    fn same_seed_gives_the_same_image() {
        let one = build_image(&["linux/amd64"], "1");
        assert_eq!(one, build_image(&["linux/amd64"], "1"));
        assert_ne!(one.digest(), build_image(&["linux/amd64"], "2").digest());
        assert_eq!(one.with_tags(&["v1"], 5.0).images[0].tags, ["v1"]);
    }
}

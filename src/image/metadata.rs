//! The JSON that describes images: buildx's metadata file, manifests and indexes. Pure.

use serde_json::Value;

use crate::release::Digest;

/// The types that a manifest or index can have; all are accepted, so that a registry converts nothing.
pub const TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// The digest that buildx pushed, from its metadata file.
pub fn digest(text: &str) -> Result<Digest, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let digest = value.get("containerimage.digest").and_then(Value::as_str);
    digest.ok_or("there is no containerimage.digest in buildx's metadata")?.parse()
}

/// The platforms of an index, without attestations (whose platform is `unknown`); empty for a manifest.
pub fn platforms(manifest: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(manifest).unwrap_or_default();
    let entries = value.get("manifests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(|entry| platform(entry.get("platform")?)).collect()
}

/// The digest of the configuration of a single manifest, whose text holds the platform.
pub fn configuration(manifest: &str) -> Option<Digest> {
    let value: Value = serde_json::from_str(manifest).ok()?;
    value.pointer("/config/digest")?.as_str()?.parse().ok()
}

/// The platform that an image configuration names.
pub fn platform_of_configuration(text: &str) -> Option<String> {
    platform(&serde_json::from_str(text).ok()?)
}

/// `os/architecture`, and the variant where there is one.
fn platform(value: &Value) -> Option<String> {
    let part = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (os, architecture) = (part("os")?, part("architecture")?);
    let variant = part("variant").map(|variant| format!("/{variant}")).unwrap_or_default();
    (os != "unknown").then(|| format!("{os}/{architecture}{variant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildx_says_what_it_pushed() {
        let hex = "8f".repeat(32);
        let text = format!(
            r#"{{"buildx.build.ref":"x","containerimage.config.digest":"sha256:0","containerimage.digest":"sha256:{hex}"}}"#
        );
        assert_eq!(digest(&text).unwrap().to_string(), format!("sha256:{hex}"));
        for text in ["", "{}", r#"{"containerimage.digest":"x"}"#] {
            assert!(digest(text).is_err(), "{text}");
        }
    }

    #[test]
    fn platforms_come_from_an_index_without_its_attestations() {
        let index = r#"{"manifests":[{"platform":{"os":"linux","architecture":"arm64","variant":"v8"}},
            {"platform":{"os":"linux","architecture":"amd64"}},
            {"platform":{"os":"unknown","architecture":"unknown"}}]}"#;
        assert_eq!(platforms(index), ["linux/arm64/v8", "linux/amd64"]);
        assert_eq!((platforms("{}"), platforms("no JSON")), (vec![], vec![]));
    }

    #[test]
    fn a_single_manifest_names_its_configuration() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let manifest = format!(r#"{{"config":{{"digest":"{digest}"}},"layers":[]}}"#);
        assert_eq!(configuration(&manifest).unwrap().to_string(), digest);
        let platform = platform_of_configuration(r#"{"architecture":"amd64","os":"linux","config":{}}"#);
        assert_eq!(platform.as_deref(), Some("linux/amd64"));
    }
}

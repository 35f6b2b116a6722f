//! The JSON that describes images: buildx's metadata file, manifests and indexes. Pure.

use serde_json::Value;

use crate::release::Digest;

/// The media types of a manifest or index; all are accepted, so that a registry converts nothing.
pub const MANIFEST_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// The digest that buildx pushed, from its metadata file.
pub fn parse_pushed_digest(text: &str) -> Result<Digest, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let digest = value.get("containerimage.digest").and_then(Value::as_str);
    digest.ok_or("there is no containerimage.digest in buildx's metadata")?.parse()
}

/// Whether `body` is a manifest or an index, and not a page of a gateway, for example.
pub fn is_manifest(body: &[u8]) -> bool {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let has = |name: &str, is_kind: fn(&Value) -> bool| value.get(name).is_some_and(is_kind);
    has("manifests", Value::is_array) || has("config", Value::is_object)
}

/// The platforms of an index, without attestations (whose platform is `unknown`); empty for a manifest.
pub fn index_platforms(manifest: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(manifest).unwrap_or_default();
    let entries = value.get("manifests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(|entry| format_platform(entry.get("platform")?)).collect()
}

/// The digest of the configuration of a single manifest, which contains the platform.
pub fn config_digest(manifest: &str) -> Option<Digest> {
    let value: Value = serde_json::from_str(manifest).ok()?;
    value.pointer("/config/digest")?.as_str()?.parse().ok()
}

/// The platform that an image configuration names.
pub fn config_platform(text: &str) -> Option<String> {
    format_platform(&serde_json::from_str(text).ok()?)
}

/// `os/architecture`, and the variant if there is one.
fn format_platform(value: &Value) -> Option<String> {
    let part = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (os, architecture) = (part("os")?, part("architecture")?);
    let variant = part("variant").map(|variant| format!("/{variant}")).unwrap_or_default();
    (os != "unknown").then(|| format!("{os}/{architecture}{variant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_is_told_from_other_content() {
        for body in [r#"{"manifests":[]}"#, r#"{"schemaVersion":2,"config":{}}"#] {
            assert!(is_manifest(body.as_bytes()), "{body}");
        }
        for body in
            ["", "<html>", "[]", "5", "{}", r#"{"manifests":{}}"#, r#"{"config":"x"}"#, "\u{1f}\u{8b}"]
        {
            assert!(!is_manifest(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn pushed_digest_is_read_from_metadata() {
        let hex = "8f".repeat(32);
        let text = format!(
            r#"{{"buildx.build.ref":"x","containerimage.config.digest":"sha256:0","containerimage.digest":"sha256:{hex}"}}"#
        );
        assert_eq!(parse_pushed_digest(&text).unwrap().to_string(), format!("sha256:{hex}"));
        for text in ["", "{}", r#"{"containerimage.digest":"x"}"#] {
            assert!(parse_pushed_digest(text).is_err(), "{text}");
        }
    }

    #[test]
    fn platforms_of_an_index_exclude_attestations() {
        let index = r#"{"manifests":[{"platform":{"os":"linux","architecture":"arm64","variant":"v8"}},
            {"platform":{"os":"linux","architecture":"amd64"}},
            {"platform":{"os":"unknown","architecture":"unknown"}}]}"#;
        assert_eq!(index_platforms(index), ["linux/arm64/v8", "linux/amd64"]);
        assert_eq!((index_platforms("{}"), index_platforms("no JSON")), (vec![], vec![]));
    }

    #[test]
    fn single_manifest_has_a_configuration_digest() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let manifest = format!(r#"{{"config":{{"digest":"{digest}"}},"layers":[]}}"#);
        assert_eq!(config_digest(&manifest).unwrap().to_string(), digest);
        let platform = config_platform(r#"{"architecture":"amd64","os":"linux","config":{}}"#);
        assert_eq!(platform.as_deref(), Some("linux/amd64"));
    }
}

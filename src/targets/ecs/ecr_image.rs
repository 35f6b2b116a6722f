//! Images in ECR: references and manifests. Pure.

use serde_json::Value;

use super::aws_clients::ImageId;
use super::read::{list_field, str_field};

/// An image in a private ECR registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrImage {
    /// Account of the registry.
    pub account: String,
    /// Region of the registry.
    pub region: String,
    /// Repository.
    pub repository: String,
    /// Digest or, without one, tag.
    digest_or_tag: Result<String, String>,
}

impl EcrImage {
    /// How ECR's API identifies it.
    pub fn image_id(&self) -> ImageId<'_> {
        match &self.digest_or_tag {
            Ok(digest) => ImageId::Digest(digest),
            Err(tag) => ImageId::Tag(tag),
        }
    }
}

/// Reads `111111111111.dkr.ecr.eu-west-1.amazonaws.com/name@sha256:…` (aws.md §6.3); `None` for any other registry.
pub fn parse_ecr_image(reference: &str) -> Option<EcrImage> {
    let (host, path) = reference.split_once('/')?;
    let mut labels = host.split('.');
    let account = labels.next().filter(|a| a.len() == 12 && a.bytes().all(|b| b.is_ascii_digit()))?;
    if labels.next() != Some("dkr") || !labels.next()?.starts_with("ecr") {
        return None;
    }
    let region = labels.next()?;
    if labels.next() != Some("amazonaws") {
        return None;
    }
    let (name, digest) = path.split_once('@').map_or((path, None), |(name, digest)| (name, Some(digest)));
    let (repository, tag) = name.split_once(':').unwrap_or((name, "latest"));
    Some(EcrImage {
        account: account.to_owned(),
        region: region.to_owned(),
        repository: repository.to_owned(),
        digest_or_tag: digest.map(Into::into).ok_or_else(|| tag.to_owned()),
    })
}

/// The digests of the manifests in an index; empty for a single manifest.
pub fn platform_digests(manifest: &str) -> Vec<String> {
    let parsed: Value = serde_json::from_str(manifest).unwrap_or_default();
    list_field(&parsed, "manifests").iter().map(|child| str_field(child, "digest")).collect()
}

/// The platforms of an index, such as `linux/amd64`; `None` for a single manifest.
pub fn platforms(manifest: &str) -> Option<Vec<String>> {
    let parsed: Value = serde_json::from_str(manifest).ok()?;
    parsed.get("manifests")?;
    let platform = |child: &Value| {
        let of = &child["platform"];
        format!("{}/{}", str_field(of, "os"), str_field(of, "architecture"))
    };
    let real = |platform: &String| platform != "unknown/unknown" && platform != "/";
    Some(list_field(&parsed, "manifests").iter().map(platform).filter(real).collect())
}

/// The digest of the config blob of a single manifest.
pub fn config_digest(manifest: &str) -> Option<String> {
    let parsed: Value = serde_json::from_str(manifest).ok()?;
    parsed["config"]["digest"].as_str().map(Into::into)
}

/// The platform in an image's config.
pub fn config_platform(config: &str) -> Option<String> {
    let parsed: Value = serde_json::from_str(config).ok()?;
    let (os, architecture) = (str_field(&parsed, "os"), str_field(&parsed, "architecture"));
    (!architecture.is_empty()).then(|| format!("{os}/{architecture}"))
}

/// The platform that a task needs: Linux on amd64 unless `runtimePlatform` differs.
pub fn required_platform(definition: &Value) -> String {
    let of = &definition["runtimePlatform"];
    let os = if str_field(of, "operatingSystemFamily").starts_with("WINDOWS") { "windows" } else { "linux" };
    let architecture = if of["cpuArchitecture"] == "ARM64" { "arm64" } else { "amd64" };
    format!("{os}/{architecture}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_ecr_references_are_parsed() {
        let found =
            parse_ecr_image("111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/app@sha256:ab").unwrap();
        assert_eq!(
            (found.account.as_str(), found.region.as_str(), found.repository.as_str()),
            ("111111111111", "eu-west-1", "acme/app")
        );
        assert!(matches!(found.image_id(), ImageId::Digest("sha256:ab")));
        let china = parse_ecr_image("111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/app:1").unwrap();
        assert!(matches!(china.image_id(), ImageId::Tag("1")));
        assert!(matches!(
            parse_ecr_image("111111111111.dkr.ecr.eu-west-1.amazonaws.com/app").unwrap().image_id(),
            ImageId::Tag("latest")
        ));
        for other in [
            "nginx:1",
            "registry.example/acme/app:1",
            "public.ecr.aws/x/y",
            "1.dkr.ecr.eu-west-1.amazonaws.com/x",
        ] {
            assert_eq!(parse_ecr_image(other), None, "{other}");
        }
    }

    #[test]
    fn index_platforms_exclude_attestations() {
        let index = json!({"manifests":[
            {"digest":"sha256:1","platform":{"os":"linux","architecture":"arm64","variant":"v8"}},
            {"digest":"sha256:2","platform":{"os":"unknown","architecture":"unknown"}}]})
        .to_string();
        assert_eq!(platforms(&index), Some(vec!["linux/arm64".to_owned()]));
        assert_eq!(platform_digests(&index), ["sha256:1", "sha256:2"]);
        assert_eq!(platforms(r#"{"config":{"digest":"sha256:3"}}"#), None);
        assert_eq!(config_digest(r#"{"config":{"digest":"sha256:3"}}"#).as_deref(), Some("sha256:3"));
        assert_eq!(
            config_platform(r#"{"os":"linux","architecture":"amd64"}"#).as_deref(),
            Some("linux/amd64")
        );
    }

    #[test]
    fn required_platform_defaults_to_linux_amd64() {
        assert_eq!(required_platform(&json!({})), "linux/amd64");
        assert_eq!(
            required_platform(
                &json!({"runtimePlatform":{"cpuArchitecture":"ARM64","operatingSystemFamily":"LINUX"}})
            ),
            "linux/arm64"
        );
    }
}

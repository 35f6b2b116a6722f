//! ECR in a scenario file: types and their defaults, and the place of an image that a definition names.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::scenario::Scenario;

/// An ECR repository.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RepositorySetting {
    /// It does not exist, although the deploy file or a service names it.
    pub missing: bool,
    /// Tags may not be moved.
    pub immutable: bool,
    /// Accounts that the repository's policy lets pull.
    pub readers: Vec<String>,
    /// Images, oldest first.
    pub images: Vec<ImageSetting>,
    /// Platform of the images that a build pushes here without naming one; `linux/amd64` when absent.
    pub platform: Option<String>,
}

/// A registry of another account or region.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ForeignRegistry {
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Repositories by name.
    #[serde(default)]
    pub repositories: BTreeMap<String, RepositorySetting>,
}

/// An image in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageSetting {
    /// Its tags.
    pub tags: Vec<String>,
    /// Its platform, or several with commas between them: then it is an index.
    #[serde(default = "platform")]
    pub platform: String,
    /// Its digest, where definitions name one; made from its content when absent.
    #[serde(default)]
    pub digest: Option<String>,
}

impl RepositorySetting {
    /// A repository with one image, for the usual platform.
    pub fn with_image(tag: &str) -> Self {
        let image = ImageSetting { tags: vec![tag.into()], platform: platform(), digest: None };
        Self { images: vec![image], ..Self::default() }
    }
}

fn platform() -> String {
    "linux/amd64".into()
}

/// A reference to an image in ECR.
struct EcrReference<'a> {
    account: &'a str,
    region: &'a str,
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> EcrReference<'a> {
    /// Reads `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG@DIGEST`; `None` for any other registry.
    fn parse(reference: &'a str) -> Option<Self> {
        let (host, path) = reference.split_once('/')?;
        let labels: Vec<&str> = host.split('.').collect();
        let [account, "dkr", service, region, "amazonaws", "com", ..] = labels[..] else { return None };
        let (name, digest) = path.split_once('@').map_or((path, None), |(name, digest)| (name, Some(digest)));
        let (repository, tag) = name.split_once(':').map_or((name, None), |(name, tag)| (name, Some(tag)));
        let tag = tag.or_else(|| digest.is_none().then_some("latest"));
        service.starts_with("ecr").then_some(Self { account, region, repository, tag, digest })
    }

    fn is_image(&self, image: &ImageSetting) -> bool {
        match self.digest {
            Some(digest) => image.digest.as_deref() == Some(digest),
            None => image.tags.iter().any(|tag| self.tag == Some(tag)),
        }
    }
}

impl Scenario {
    /// The same with the image of a reference to ECR, in the registry that it names. Images of other registries are taken
    /// to exist.
    pub fn with_image(mut self, reference: &str, platform: &str) -> Self {
        let Some(wanted) = EcrReference::parse(reference) else { return self };
        let repository = self.repository_of(&wanted);
        if !repository.images.iter().any(|image| wanted.is_image(image)) {
            repository.images.push(ImageSetting {
                tags: wanted.tag.map(str::to_owned).into_iter().collect(),
                platform: platform.to_owned(),
                digest: wanted.digest.map(str::to_owned),
            });
        }
        self
    }

    fn repository_of(&mut self, wanted: &EcrReference<'_>) -> &mut RepositorySetting {
        if wanted.account == self.account && wanted.region == self.region {
            return self.repositories.entry(wanted.repository.to_owned()).or_default();
        }
        let is_own = |it: &ForeignRegistry| it.account == wanted.account && it.region == wanted.region;
        let at = self.registries.iter().position(is_own).unwrap_or_else(|| {
            let (account, region) = (wanted.account.to_owned(), wanted.region.to_owned());
            self.registries.push(ForeignRegistry { account, region, repositories: BTreeMap::new() });
            self.registries.len() - 1
        });
        let repository = self.registries[at].repositories.entry(wanted.repository.to_owned()).or_default();
        if !repository.readers.contains(&self.account) {
            repository.readers.push(self.account.clone());
        }
        repository
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_put_where_their_references_say() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let all = [
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/app:1".to_owned(),
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/app:1".to_owned(),
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/app".to_owned(),
            format!("222222222222.dkr.ecr.us-east-1.amazonaws.com/app@{digest}"),
            "ghcr.io/acme/app:1".to_owned(),
            "nginx".to_owned(),
        ];
        let scenario = all
            .iter()
            .fold(Scenario::default(), |scenario, reference| scenario.with_image(reference, "linux/arm64"));
        let own = &scenario.repositories["acme/app"].images;
        assert_eq!(own.iter().map(|image| image.tags.clone()).collect::<Vec<_>>(), [["1"], ["latest"]]);
        let other = &scenario.registries[0];
        assert_eq!((other.account.as_str(), other.region.as_str()), ("222222222222", "us-east-1"));
        let repository = &other.repositories["app"];
        assert_eq!(repository.readers, ["111111111111"]);
        assert_eq!(repository.images[0].digest.as_deref(), Some(digest.as_str()));
        assert_eq!((scenario.repositories.len(), scenario.registries.len()), (1, 1));
    }
}

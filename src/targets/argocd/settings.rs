//! The `argocd:` block of the deploy file. Types only; placeholders and merging are the configuration's.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Address;
use crate::github::names;

/// A service whose image stands in manifests in Git, from where Argo CD rolls it out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The repository of the manifests, `owner/name`. Left out: the repository of the run.
    #[serde(default)]
    pub repository: Option<RepositoryName>,
    /// The branch that is committed to. Left out: the repository's default branch.
    #[serde(default)]
    pub branch: Option<BranchName>,
    /// The files that carry the image; all of them change in one commit.
    pub files: Files,
    /// Name of the Argo CD application that syncs them; needed to wait for the rollout.
    #[serde(default)]
    pub application: Option<ResourceName>,
    /// Namespace of the application, where it is not the one of Argo CD itself.
    #[serde(default)]
    pub application_namespace: Option<ResourceName>,
    /// Address of Argo CD. With it and a token the rollout is watched; without, the commit is the result.
    #[serde(default)]
    pub server: Option<Address>,
    /// Start the sync, where the application does not sync by itself.
    #[serde(default)]
    pub sync: bool,
    /// Propose the change in a pull request instead of committing it to the branch.
    #[serde(default)]
    pub pull_request: PullRequest,
    /// What becomes of a version that fails.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// A file, and where in it the image is. Without `image` and `container` it is a kustomization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct File {
    /// Its path in the repository.
    pub path: FilePath,
    /// In Helm values: the path of a map with `repository` and `tag`, or of one string, such as `backend.image`. In a
    /// kustomization: the `name` of the entry in `images`.
    #[serde(default)]
    pub image: Option<String>,
    /// In plain manifests: the name of the container.
    #[serde(default)]
    pub container: Option<String>,
    /// What Helm values without a key for the digest get.
    #[serde(default)]
    pub pin: Pin,
}

/// What pins the image in Helm values that have a tag and no key for the digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pin {
    /// `TAG@sha256:…` as the tag, from which templates make an exact reference.
    #[default]
    Digest,
    /// The tag alone, for charts that use it as a label too.
    Tag,
}

/// What becomes of a version that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The image before is committed back, and that is watched.
    #[default]
    Rollback,
    /// It stays in Git.
    Leave,
}

/// Whether the change is proposed, and whether it may be merged by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(try_from = "serde_json::Value")]
#[schemars(with = "PullRequestForm")]
pub struct PullRequest {
    /// Whether a pull request is opened instead of a commit to the branch.
    pub wanted: bool,
    /// Whether it is merged as soon as its checks allow that.
    pub auto_merge: bool,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum PullRequestForm {
    Wish(bool),
    Block(PullRequestBlock),
}

/// How the pull request is made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PullRequestBlock {
    /// Merge it as soon as its checks allow that, where the repository has auto-merge.
    #[serde(default)]
    auto_merge: bool,
}

impl TryFrom<serde_json::Value> for PullRequest {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        if let serde_json::Value::Bool(wanted) = value {
            return Ok(Self { wanted, auto_merge: false });
        }
        let block: PullRequestBlock = serde_json::from_value(value).map_err(|error| error.to_string())?;
        Ok(Self { wanted: true, auto_merge: block.auto_merge })
    }
}

/// Files, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<File>")]
#[schemars(with = "Vec<File>")]
pub struct Files(pub Vec<File>);

impl TryFrom<Vec<File>> for Files {
    type Error = String;

    fn try_from(files: Vec<File>) -> Result<Self, String> {
        if files.is_empty() {
            return Err("there is no file to change".into());
        }
        Ok(Self(files))
    }
}

/// Declares a text that is read with a rule.
macro_rules! ruled {
    ($(#[$doc:meta])* $name:ident, $rule:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                if $rule(&text) { Ok(Self(text)) } else { Err(format!(concat!("`{}` is not ", $what), text)) }
            }
        }
    };
}

ruled!(
    /// A repository on GitHub, `owner/name`.
    RepositoryName, is_repository, "a repository such as `acme/manifests`"
);
ruled!(
    /// A branch (git-check-ref-format).
    BranchName, is_branch, "the name of a branch"
);
ruled!(
    /// The path of a file inside of a repository.
    FilePath, is_path, "the path of a file inside of the repository"
);
ruled!(
    /// A name of Kubernetes (RFC 1123).
    ResourceName, is_name, "a name of Kubernetes: small letters, digits, `-` and `.`"
);

fn is_repository(text: &str) -> bool {
    names::repository(text).is_ok()
}

fn is_branch(text: &str) -> bool {
    names::branch(text).is_ok() && text.len() <= 200
}

/// Git would have a backslash in a path, too; here it is a slip for a slash.
fn is_path(text: &str) -> bool {
    names::path(text).is_ok() && !text.contains('\\') && text.len() <= 1000
}

fn is_name(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 253 && text.bytes().all(known) && text.starts_with(ends) && text.ends_with(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Settings, String> {
        let text = format!(r#"{{"files":[{{"path":"apps/x/kustomization.yaml"}}]{more}}}"#);
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_smallest_block_is_a_file() {
        let settings = read("").unwrap();
        assert_eq!(settings.files.0[0].path.as_str(), "apps/x/kustomization.yaml");
        assert_eq!(
            (settings.pull_request, settings.on_failure, settings.sync),
            (PullRequest::default(), OnFailure::Rollback, false)
        );
        assert!(
            serde_json::from_str::<Settings>(r#"{"files":[]}"#).unwrap_err().to_string().contains("no file")
        );
    }

    #[test]
    fn a_pull_request_is_a_wish_or_a_block() {
        let wish = |text: &str| read(&format!(r#","pull-request":{text}"#)).map(|all| all.pull_request);
        assert_eq!(wish("true"), Ok(PullRequest { wanted: true, auto_merge: false }));
        assert_eq!(wish("false"), Ok(PullRequest::default()));
        assert_eq!(wish(r#"{"auto-merge":true}"#), Ok(PullRequest { wanted: true, auto_merge: true }));
        assert!(wish(r#"{"automerge":true}"#).unwrap_err().contains("automerge"));
        assert!(wish("3").is_err());
    }

    #[test]
    fn names_and_paths_are_what_they_should_be() {
        let path = |text: &str| FilePath::try_from(text.to_owned()).is_ok();
        assert!(path("a/b.yaml") && path("a b/ü.yaml"));
        for bad in ["", "/a", "a/", "../a", "a/../b", "a//b", ".git/config", "a\nb", "a\\b", "./a"] {
            assert!(!path(bad), "{bad}");
        }
        let branch = |text: &str| BranchName::try_from(text.to_owned()).is_ok();
        assert!(branch("main") && branch("release/1.x"));
        for bad in ["", "-x", "a..b", "a b", "a~1", "x.lock", "/a", "a/", "a@{1}", "a."] {
            assert!(!branch(bad), "{bad}");
        }
        for bad in ["acme", "acme/", "a/b/c", "../x/y", "a b/c"] {
            assert!(RepositoryName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        for bad in ["", "A", "-a", "a/b", "a_b"] {
            assert!(ResourceName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}

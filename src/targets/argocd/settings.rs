//! The settings `argocd:` of the deploy file. Types only; placeholders and merging are in `config`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{Address, parsed_string};
use crate::github::validate;
use crate::release::may_receive_credentials;

/// A service with its image in manifests in Git, rolled out by Argo CD.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The repository of the manifests, `owner/name`. Default: the repository of the run.
    #[serde(default)]
    pub repository: Option<RepositoryName>,
    /// The branch for commits. Default: the repository's default branch.
    #[serde(default)]
    pub branch: Option<BranchName>,
    /// The files that contain the image; all of them change in one commit.
    pub files: Files,
    /// Name of the Argo CD application that syncs them; required to wait for the rollout.
    #[serde(default)]
    pub application: Option<ResourceName>,
    /// Namespace of the application, if it is not Argo CD's own.
    #[serde(default)]
    pub application_namespace: Option<ResourceName>,
    /// URL of Argo CD. With it and a token, the rollout is watched; without, the run ends with the commit.
    #[serde(default)]
    pub server: Option<ServerAddress>,
    /// Start the sync, for an application without automated sync.
    #[serde(default)]
    pub sync: bool,
    /// Propose the change in a pull request instead of committing it to the branch.
    #[serde(default)]
    pub pull_request: PullRequestOptions,
    /// What happens to a version that fails.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// A file and the field of its image. Without `image` and `container` it is a kustomization.
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
    /// How Helm values without a key for the digest pin the image.
    #[serde(default)]
    pub pin: PinSetting,
}

/// How Helm values that have a tag and no key for the digest pin the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PinSetting {
    /// `TAG@sha256:…` as the tag, from which templates make an exact reference.
    #[default]
    Digest,
    /// The tag alone, for charts that use it as a label too.
    Tag,
}

/// What happens to a version that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The image before is committed again, and its rollout is watched.
    #[default]
    Rollback,
    /// It stays in Git.
    Leave,
}

/// Whether the change is proposed, and whether GitHub merges it automatically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(try_from = "serde_json::Value")]
#[schemars(with = "PullRequestForm")]
pub struct PullRequestOptions {
    /// Whether a pull request is opened instead of a commit to the branch.
    pub is_enabled: bool,
    /// Whether it is merged as soon as its checks allow that.
    pub auto_merge: bool,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum PullRequestForm {
    Enabled(bool),
    Block(PullRequestBlock),
}

/// Options of the pull request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PullRequestBlock {
    /// Merge it as soon as its checks allow that, if the repository has auto-merge.
    #[serde(default)]
    auto_merge: bool,
}

impl TryFrom<serde_json::Value> for PullRequestOptions {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        if let serde_json::Value::Bool(wanted) = value {
            return Ok(Self { is_enabled: wanted, auto_merge: false });
        }
        let block: PullRequestBlock = serde_json::from_value(value).map_err(|error| error.to_string())?;
        Ok(Self { is_enabled: true, auto_merge: block.auto_merge })
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
            return Err("`files` is empty".into());
        }
        Ok(Self(files))
    }
}

parsed_string!(
    /// A repository on GitHub, `owner/name`.
    RepositoryName, check_repository
);
parsed_string!(
    /// The URL of Argo CD, which gets a token: `https://`, or `http://` to this machine.
    ServerAddress, check_server
);
parsed_string!(
    /// A branch (git-check-ref-format).
    BranchName, check_branch
);
parsed_string!(
    /// The path of a file inside of a repository.
    FilePath, check_path
);
parsed_string!(
    /// A name in Kubernetes (RFC 1123).
    ResourceName, check_resource_name
);

fn check_repository(text: &str) -> Result<(), String> {
    accept_if(validate::repository(text).is_ok(), text, "a repository such as `acme/manifests`")
}

fn check_server(text: &str) -> Result<(), String> {
    Address::try_from(text.to_owned())?;
    let refused = || format!("`{text}` gets a token, so it must begin with `https://`");
    may_receive_credentials(text).then_some(()).ok_or_else(refused)
}

fn check_branch(text: &str) -> Result<(), String> {
    accept_if(validate::branch(text).is_ok() && text.len() <= 200, text, "the name of a branch")
}

/// Git allows a backslash in a path; here it is a typo for a slash.
fn check_path(text: &str) -> Result<(), String> {
    let is_path = validate::path(text).is_ok() && !text.contains('\\') && text.len() <= 1000;
    accept_if(is_path, text, "the path of a file inside of the repository")
}

fn check_resource_name(text: &str) -> Result<(), String> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    let ends = |c: char| c.is_ascii_alphanumeric();
    let is_name =
        text.len() <= 253 && text.bytes().all(known) && text.starts_with(ends) && text.ends_with(ends);
    accept_if(is_name, text, "a name in Kubernetes (lowercase letters, digits, `-` and `.`)")
}

fn accept_if(is_accepted: bool, text: &str, wanted: &str) -> Result<(), String> {
    if is_accepted { Ok(()) } else { Err(format!("`{text}` is not {wanted}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Settings, String> {
        let text = format!(r#"{{"files":[{{"path":"apps/x/kustomization.yaml"}}]{more}}}"#);
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn minimal_settings_are_one_file() {
        let settings = read("").unwrap();
        assert_eq!(settings.files.0[0].path.as_str(), "apps/x/kustomization.yaml");
        assert_eq!(
            (settings.pull_request, settings.on_failure, settings.sync),
            (PullRequestOptions::default(), OnFailure::Rollback, false)
        );
        assert!(
            serde_json::from_str::<Settings>(r#"{"files":[]}"#)
                .unwrap_err()
                .to_string()
                .contains("`files` is empty")
        );
    }

    #[test]
    fn pull_request_is_a_boolean_or_an_object() {
        let parse = |text: &str| read(&format!(r#","pull-request":{text}"#)).map(|all| all.pull_request);
        assert_eq!(parse("true"), Ok(PullRequestOptions { is_enabled: true, auto_merge: false }));
        assert_eq!(parse("false"), Ok(PullRequestOptions::default()));
        assert_eq!(
            parse(r#"{"auto-merge":true}"#),
            Ok(PullRequestOptions { is_enabled: true, auto_merge: true })
        );
        assert!(parse(r#"{"automerge":true}"#).unwrap_err().contains("automerge"));
        assert!(parse("3").is_err());
    }

    #[test]
    fn invalid_names_and_paths_are_rejected() {
        let path = |text: &str| FilePath::try_from(text.to_owned()).is_ok();
        assert!(path("a/b.yaml") && path("a b/ü.yaml"));
        for bad in ["", "/a", "a/", "../a", "a/../b", "a//b", ".git/config", "a\nb", "a\\b", "./a"] {
            assert!(!path(bad), "{bad}");
        }
        let server = |text: &str| ServerAddress::try_from(text.to_owned()).is_ok();
        assert!(server("https://argocd.example/x") && server("http://127.0.0.1:8080"));
        for bad in ["http://argocd.example", "http://127.evil.example", "https://u:p@x", "argocd.example", ""]
        {
            assert!(!server(bad), "{bad}");
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

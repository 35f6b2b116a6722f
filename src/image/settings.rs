//! The `build:` block of the deploy file, and the checks of it that need no disk.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::config::tree::{ConfigNode, ConfigValue};
use crate::config::{WrittenText, paths, written_texts};
use crate::problem::{Code, Problem};

/// How the image of a service is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Build {
    /// Folder that is sent to the builder, relative to the workspace. Its `.dockerignore` is applied.
    pub context: String,
    /// Dockerfile, relative to the context.
    pub dockerfile: String,
    /// Build arguments. They are readable in the image's history: pass secrets through `secrets`.
    #[serde(deserialize_with = "written_texts")]
    #[schemars(with = "BTreeMap<String, WrittenText>")]
    pub args: BTreeMap<String, String>,
    /// Secrets for `RUN --mount=type=secret`: `NAME` (an environment variable of the step),
    /// `id=NAME,env=VARIABLE`, or `id=NAME,src=path`. Only files in a private folder carry the values.
    /// A certificate bundle for a proxy that inspects TLS is passed in the same way: `id=ca,src=ca.pem` here and
    /// `RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt …` in the Dockerfile.
    pub secrets: Vec<String>,
    /// Stage of the Dockerfile to build; the last one by default.
    pub target: Option<String>,
    /// Platforms such as `linux/amd64`. More than one needs a container builder, which is created and removed.
    pub platforms: Vec<String>,
    /// Cache of layers between runs.
    pub cache: Cache,
    /// Whether the base images are read from their registries at every build, and count as a part of the source: a newer one
    /// leads to a new image of the same commit.
    pub pull: bool,
    /// Whether everything is built at every run, without layers of earlier builds, also if an image of the same source exists.
    pub no_cache: bool,
    /// More tags of the image, such as `${tag}` or `${branch}-latest`. They are moved to the image; one whose placeholder has
    /// no value in a run is left out.
    pub tags: Vec<String>,
    /// Labels of the image; they override those for commit and source.
    #[serde(deserialize_with = "written_texts")]
    #[schemars(with = "BTreeMap<String, WrittenText>")]
    pub labels: BTreeMap<String, String>,
    /// Whether a provenance attestation is attached. By default, if the builder supports it;
    /// `true` requires the full attestation; `false` is for registries that reject images with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<bool>,
}

impl Default for Build {
    fn default() -> Self {
        Self {
            context: ".".into(),
            dockerfile: "Dockerfile".into(),
            args: BTreeMap::new(),
            secrets: Vec::new(),
            target: None,
            platforms: Vec::new(),
            cache: Cache::None,
            pull: false,
            no_cache: false,
            tags: Vec::new(),
            labels: BTreeMap::new(),
            provenance: None,
        }
    }
}

/// Cache of layers between runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// Only the builder's own cache, which is empty on a fresh runner.
    #[default]
    None,
    /// In the image itself: the layers of its last stage.
    Inline,
    /// In the image's repository, as the tag `build-cache`: the layers of every stage.
    Registry,
    /// In the cache of GitHub Actions.
    Gha,
}

/// One entry of `secrets`, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSecret {
    /// Name under which the Dockerfile mounts it.
    pub id: String,
    /// The source of its value.
    pub source: SecretSource,
}

/// The source of the value of a build secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of the step.
    Variable(String),
    /// A file, relative to the workspace.
    File(String),
}

impl Build {
    /// Whether the same source can become another image.
    pub fn can_rebuild(&self) -> bool {
        self.pull || self.no_cache
    }

    /// Whether the daemon's own builder does not support it, so that a container builder is needed: it exports neither
    /// caches other than inline ones, nor several platforms, nor full provenance.
    pub fn needs_container_builder(&self) -> bool {
        matches!(self.cache, Cache::Registry | Cache::Gha)
            || self.platforms.len() > 1
            || self.provenance == Some(true)
    }

    /// The secrets, parsed; the first entry that cannot be parsed is the error.
    pub fn parse_secrets(&self) -> Result<Vec<BuildSecret>, Problem> {
        self.secrets.iter().map(|entry| parse_secret(entry)).collect()
    }

    /// All problems of the block, each on the line of what it is about; `node` is the block in `file`. Reads nothing.
    pub fn problems_at(&self, file: &str, node: &ConfigNode) -> Vec<Problem> {
        self.faults().into_iter().map(|fault| fault.into_problem(file, node)).collect()
    }

    fn faults(&self) -> Vec<BuildFault> {
        let mut faults = self.secret_faults();
        faults.extend(self.argument_faults());
        faults.extend(self.platforms.iter().filter(|text| !is_platform(text)).map(|platform| {
            let problem = Problem::error(Code::ConfigInvalid, format!("`{platform}` is not a platform."))
                .help("Use the form os/architecture, such as linux/amd64 or linux/arm64.");
            BuildFault::of_item("platforms", platform, problem)
        }));
        faults.extend(self.tags.iter().filter(|tag| tags::is_reserved(tag)).map(|tag| {
            let problem = Problem::error(
                Code::ConfigInvalid,
                format!("The tag `{tag}` has a meaning of its own here."),
            )
            .help("`sha-…`, `tree-…` and `build-cache` are set by Roadstead. Use another name.");
            BuildFault::of_item("tags", tag, problem)
        }));
        faults.extend(self.paths_outside().into_iter().map(|path| {
            let BuildPath { key, path, item } = path;
            let problem = Problem::error(
                Code::ConfigInvalid,
                format!("The `{key}` of a build, `{path}`, is outside of the workspace."),
            )
            .help("A build reads only files of the workspace. Name a path below it.");
            BuildFault { key, item, problem }
        }));
        faults
    }

    /// The Dockerfile, relative to the workspace, as Git writes it.
    pub fn dockerfile_path(&self) -> String {
        paths::to_git_path(&format!("{}/{}", self.context, self.dockerfile))
    }

    fn secret_faults(&self) -> Vec<BuildFault> {
        let fault = |entry: &String| Some(BuildFault::of_item("secrets", entry, parse_secret(entry).err()?));
        self.secrets.iter().filter_map(fault).collect()
    }

    fn argument_faults(&self) -> Vec<BuildFault> {
        let names = self.args.keys().filter(|name| !is_name(name)).map(|name| {
            let sentence = format!("The build argument `{name}` is not a name.");
            BuildFault::of_item("args", name, Problem::error(Code::ConfigInvalid, sentence))
        });
        let plain = self.args.iter().filter(|(name, value)| looks_like_secret(name) && !value.is_empty());
        let plain = plain.map(|(name, _)| BuildFault::of_item("args", name, plain_secret_warning(name)));
        names.chain(plain).collect()
    }

    /// The paths that lead out of the workspace.
    fn paths_outside(&self) -> Vec<BuildPath> {
        let of_key = |key, path: String| BuildPath { key, path, item: None };
        let mut paths = vec![of_key("context", self.context.clone())];
        if !paths::leaves_workspace(&self.context) {
            let is_absolute = self.dockerfile.starts_with('/');
            let joined = format!("{}/{}", self.context, self.dockerfile);
            paths.push(of_key("dockerfile", if is_absolute { self.dockerfile.clone() } else { joined }));
        }
        paths.extend(self.secrets.iter().filter_map(|entry| match parse_secret(entry).ok()?.source {
            SecretSource::File(path) => Some(BuildPath { key: "secrets", path, item: Some(entry.clone()) }),
            SecretSource::Variable(_) => None,
        }));
        paths.into_iter().filter(|it| paths::leaves_workspace(&it.path)).collect()
    }
}

/// A path of the block.
struct BuildPath {
    key: &'static str,
    path: String,
    /// The item of a list that contains it.
    item: Option<String>,
}

/// What is wrong with a key of the block, or with an item below it.
struct BuildFault {
    key: &'static str,
    /// The item of a list, or the key of a mapping.
    item: Option<String>,
    problem: Problem,
}

impl BuildFault {
    fn of_item(key: &'static str, item: &str, problem: Problem) -> Self {
        Self { key, item: Some(item.to_owned()), problem }
    }

    /// The problem on the line of the item, else of the key, else of the block.
    fn into_problem(self, file: &str, block: &ConfigNode) -> Problem {
        let key = block.entries().iter().find(|entry| entry.key == self.key);
        let (mut line, mut column) = key.map_or((block.line, block.column), |key| (key.line, key.column));
        let items = key.map(|key| &key.value.kind).zip(self.item.as_deref());
        match items {
            Some((ConfigValue::Mapping(entries), item)) => {
                for entry in entries.iter().filter(|entry| entry.key == item) {
                    (line, column) = (entry.line, entry.column);
                }
            }
            Some((ConfigValue::Sequence(nodes), item)) => {
                for node in nodes.iter().filter(|node| node.to_value() == item) {
                    (line, column) = (node.line, node.column);
                }
            }
            _ => {}
        }
        self.problem.at_location(file, line, column)
    }
}

fn plain_secret_warning(name: &str) -> Problem {
    Problem::warning(
        Code::SecretInPlainText,
        format!("The build argument `{name}` looks like a secret, and build arguments are readable in the image's history."),
    )
    .help(format!("Pass it under `secrets` and mount it with RUN --mount=type=secret,id={name}."))
}

/// One entry of `secrets`: `NAME`, or fields `id=`, `env=`, `src=` separated by commas.
fn parse_secret(entry: &str) -> Result<BuildSecret, Problem> {
    let wrong = |why: &str| {
        Problem::error(Code::ConfigInvalid, format!("The build secret `{entry}` {why}."))
            .help("Use NAME, id=NAME,env=VARIABLE or id=NAME,src=path.")
    };
    if is_id(entry) {
        return Ok(BuildSecret { id: entry.into(), source: SecretSource::Variable(entry.into()) });
    }
    let (mut id, mut source) = (None, None);
    for field in entry.split(',') {
        match field.split_once('=') {
            Some(("id", value)) if is_id(value) => id = Some(value.to_owned()),
            Some(("env", value)) if is_name(value) => source = Some(SecretSource::Variable(value.into())),
            Some(("src" | "source", value)) if !value.is_empty() => {
                source = Some(SecretSource::File(value.into()));
            }
            Some(("type", "file" | "env")) => {}
            _ => return Err(wrong(&format!("has an unknown part, `{field}`"))),
        }
    }
    let id = id.ok_or_else(|| wrong("has no id"))?;
    let source = source.unwrap_or_else(|| SecretSource::Variable(id.clone()));
    Ok(BuildSecret { id, source })
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_platform(text: &str) -> bool {
    let parts: Vec<_> = text.split('/').collect();
    (2..=3).contains(&parts.len()) && parts.iter().all(|part| is_id(part))
}

/// Whether a name is typical for a secret.
pub(super) fn looks_like_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE_KEY", "API_KEY", "APIKEY"];
    words.iter().any(|word| name.contains(word)) && !name.starts_with("PUBLIC")
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;

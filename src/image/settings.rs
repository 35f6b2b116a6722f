//! The `build:` block of the deploy file, and what can be said about it without looking at the disk.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::{Code, Problem};

/// How the image of a service is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Build {
    /// Folder that is sent to the builder, relative to the workspace. Its `.dockerignore` is honoured.
    pub context: String,
    /// Dockerfile, relative to the context.
    pub dockerfile: String,
    /// Build arguments. They stay readable in the image's history: pass secrets through `secrets`.
    pub args: BTreeMap<String, String>,
    /// Secrets for `RUN --mount=type=secret`: `NAME` (an environment variable of the step),
    /// `id=NAME,env=VARIABLE`, or `id=NAME,src=path`. Only files in a private folder carry the values.
    /// A certificate bundle for a proxy that inspects TLS is handed in the same way: `id=ca,src=ca.pem` here and
    /// `RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt …` in the Dockerfile.
    pub secrets: Vec<String>,
    /// Stage of the Dockerfile to build; the last one when absent.
    pub target: Option<String>,
    /// Platforms such as `linux/amd64`. More than one needs a container builder, which is made and removed.
    pub platforms: Vec<String>,
    /// Where layers are kept between runs.
    pub cache: Cache,
    /// Labels of the image, over the ones that record commit and source.
    pub labels: BTreeMap<String, String>,
    /// Whether a record of how the image was built is attached. When absent, it is wherever the builder can;
    /// `true` insists on the full record; `false` is for places that refuse images with one.
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
            labels: BTreeMap::new(),
            provenance: None,
        }
    }
}

/// Where layers are kept between runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// Only in the builder, which on a fresh runner is empty.
    #[default]
    None,
    /// In the image itself: the layers of its last stage.
    Inline,
    /// In the image's repository, as the tag `build-cache`: the layers of every stage.
    Registry,
    /// In the cache of GitHub Actions.
    Gha,
}

/// One entry of `secrets`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Name under which the Dockerfile mounts it.
    pub id: String,
    /// Where its value comes from.
    pub source: SecretSource,
}

/// Where the value of a build secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of the step.
    Variable(String),
    /// A file, relative to the workspace.
    File(String),
}

impl Build {
    /// Whether the daemon's own builder cannot do it, so that a container builder is needed: it exports neither
    /// caches other than inline ones, nor several platforms, nor full provenance.
    pub fn needs_container_builder(&self) -> bool {
        matches!(self.cache, Cache::Registry | Cache::Gha)
            || self.platforms.len() > 1
            || self.provenance == Some(true)
    }

    /// The secrets, read; the first entry that cannot be read is the error.
    pub fn read_secrets(&self) -> Result<Vec<Secret>, Problem> {
        self.secrets.iter().map(|entry| secret(entry)).collect()
    }

    /// Everything about the block that is wrong or dubious, all at once. Reads nothing.
    pub fn problems(&self) -> Vec<Problem> {
        let secrets = self.secrets.iter().filter_map(|entry| secret(entry).err());
        let names = self.args.keys().filter(|name| !is_name(name)).map(|name| {
            Problem::error(Code::ConfigInvalid, format!("The build argument `{name}` is not a name."))
        });
        let plain = self.args.keys().filter(|name| looks_secret(name)).map(|name| plain_secret(name));
        let platforms = self.platforms.iter().filter(|p| !is_platform(p)).map(|platform| {
            Problem::error(Code::ConfigInvalid, format!("`{platform}` is not a platform."))
                .help("Write os/architecture, such as linux/amd64 or linux/arm64.")
        });
        secrets.chain(names).chain(plain).chain(platforms).collect()
    }
}

fn plain_secret(name: &str) -> Problem {
    Problem::warning(
        Code::SecretInPlainText,
        format!("The build argument `{name}` looks like a secret; it stays readable in the image's history."),
    )
    .help(format!("Pass it under `secrets` and mount it with RUN --mount=type=secret,id={name}."))
}

/// One entry of `secrets`: `NAME`, or fields `id=`, `env=`, `src=` separated by commas.
fn secret(entry: &str) -> Result<Secret, Problem> {
    let wrong = |why: &str| {
        Problem::error(Code::ConfigInvalid, format!("The build secret `{entry}` {why}."))
            .help("Write NAME, id=NAME,env=VARIABLE or id=NAME,src=path.")
    };
    if is_id(entry) {
        return Ok(Secret { id: entry.into(), source: SecretSource::Variable(entry.into()) });
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
            _ => return Err(wrong(&format!("has a part that cannot be read, `{field}`"))),
        }
    }
    let id = id.ok_or_else(|| wrong("has no id"))?;
    let source = source.unwrap_or_else(|| SecretSource::Variable(id.clone()));
    Ok(Secret { id, source })
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

/// Whether a name is one that people give to secrets.
fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE_KEY", "API_KEY", "APIKEY"];
    words.iter().any(|word| name.contains(word)) && !name.starts_with("PUBLIC")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Build {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn an_empty_block_builds_the_workspace() {
        assert_eq!(read("{}"), Build::default());
        assert_eq!((read("{}").context, read("{}").dockerfile), (".".into(), "Dockerfile".into()));
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let error = serde_saphyr::from_str::<Build>("dockerfiles: x").unwrap_err().to_string();
        assert!(error.contains("dockerfiles"), "{error}");
    }

    #[test]
    fn an_argument_may_be_a_number() {
        assert_eq!(read("args: { NODE: 22, DEBUG: true }").args["NODE"], "22");
    }

    #[test]
    fn secrets_are_read_in_all_three_forms() {
        let variable =
            |id: &str, name: &str| Secret { id: id.into(), source: SecretSource::Variable(name.into()) };
        let file = Secret { id: "ca".into(), source: SecretSource::File("certs/ca.pem".into()) };
        for (entry, expected) in [
            ("NPM_TOKEN", variable("NPM_TOKEN", "NPM_TOKEN")),
            ("id=npm,env=NPM_TOKEN", variable("npm", "NPM_TOKEN")),
            ("id=npm", variable("npm", "npm")),
            ("type=file,id=ca,src=certs/ca.pem", file),
        ] {
            assert_eq!(secret(entry), Ok(expected), "{entry}");
        }
    }

    #[test]
    fn secrets_that_cannot_be_read_are_refused() {
        for entry in ["", "id=", "id=a b", "id=a,src=", "id=a,env=1x", "env=A", "a=b", "id=a,type=ssh"] {
            assert_eq!(secret(entry).map_err(|p| p.code), Err(Code::ConfigInvalid), "{entry}");
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let build =
            read("{ args: { NPM_TOKEN: x, 'a b': y, PORT: z }, secrets: ['a=b'], platforms: [arm64] }");
        let codes: Vec<_> = build.problems().into_iter().map(|p| (p.code, p.is_error())).collect();
        let (bad, plain) = ((Code::ConfigInvalid, true), (Code::SecretInPlainText, false));
        assert_eq!(codes, [bad, bad, plain, bad]);
    }

    #[test]
    fn the_daemons_builder_is_enough_for_the_simple_cases() {
        for (yaml, needed) in [
            ("{}", false),
            ("cache: inline", false),
            ("platforms: [linux/arm64]", false),
            ("provenance: false", false),
            ("provenance: true", true),
            ("cache: gha", true),
            ("cache: registry", true),
            ("platforms: [linux/amd64, linux/arm64]", true),
        ] {
            assert_eq!(read(yaml).needs_container_builder(), needed, "{yaml}");
        }
    }
}

//! Rules for the containers: how many, names, images, memory, environment, secrets. Pure.

use serde_json::Value;

use super::super::read::{list_field, str_field};
use super::definition::{containers, is_essential};
use super::lint::{Findings, LintedContainer, duplicates, is_valid_name};
use super::{diff, lint_schema};
use crate::problem::{Code, Problem};

/// The most containers of a task (service quota, not adjustable).
const MAX_CONTAINERS: usize = 10;

/// Checks the list of containers.
pub fn check_all(definition: &Value, findings: &mut Findings<'_>) {
    let all = containers(definition);
    if all.is_empty() {
        return findings.error("", "The task definition has no containers.", "Add `containerDefinitions`.");
    }
    if all.len() > MAX_CONTAINERS {
        let pointer = format!("/containerDefinitions/{MAX_CONTAINERS}");
        let sentence = format!("A task can have at most {MAX_CONTAINERS} containers, not {}.", all.len());
        findings.error(&pointer, sentence, "Move some to another task.");
    }
    for (index, name) in duplicates(all, "name") {
        let pointer = format!("/containerDefinitions/{index}/name");
        findings.error(&pointer, format!("Two containers are named `{name}`."), "Rename one of them.");
    }
    if !all.iter().any(is_essential) {
        let sentence = "No container is essential.";
        findings.error("/containerDefinitions", sentence, "Set `essential: true` on one of them.");
    }
}

/// Checks one container.
pub fn check(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let name = linted.name();
    if !is_valid_name(name) {
        let sentence = if name.is_empty() {
            "A container has no name.".into()
        } else {
            format!("`{name}` is not a valid container name.")
        };
        findings.error(&linted.pointer("name"), sentence, "Use 1 to 255 letters, digits, - and _.");
    }
    check_image(linted, findings);
    check_memory(linted, findings);
    check_environment(linted, findings);
}

/// The image of a container that is deployed is replaced, so it may be missing or a placeholder.
fn check_image(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let image = str_field(linted.container, "image");
    if linted.image_is_replaced && (image.is_empty() || !looks_like_reference(&image)) {
        return;
    }
    if image.is_empty() {
        let sentence = format!("The container `{}` has no image.", linted.name());
        return findings.error(
            &linted.pointer(""),
            sentence,
            "Set `image`: only those of `ecs.container` and `ecs.images` are replaced.",
        );
    }
    if !is_image_reference(&image) {
        let help = match looks_like_reference(&image) {
            true => "Write registry/repository:tag or registry/repository@sha256:….",
            false => "Write the image: only those of `ecs.container` and `ecs.images` are replaced.",
        };
        return findings.error(
            &linted.pointer("image"),
            format!("`{image}` is not an image reference."),
            help,
        );
    }
    if linted.image_is_replaced {
        return;
    }
    if let Some(path) = upper_case_path(&image) {
        let sentence = format!("The repository `{path}` has upper-case letters, so Docker does not pull it.");
        findings.error(&linted.pointer("image"), sentence, &format!("Write `{}`.", path.to_lowercase()));
    }
}

/// The path of a repository if it has upper-case letters. A host and a tag can have them (grammar of
/// distribution/reference; lambci/ecs#12). A first component is a host if it has a dot or a port.
fn upper_case_path(image: &str) -> Option<&str> {
    let name = image.split('@').next().unwrap_or_default();
    let path = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) => path,
        _ => name,
    };
    let path = path.split(':').next().unwrap_or_default();
    path.bytes().any(|b| b.is_ascii_uppercase()).then_some(path)
}

fn is_reference_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:/#-".contains(&byte)
}

/// Whether a text is meant as a reference and not as a placeholder such as `<IMAGE1_NAME>`.
fn looks_like_reference(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or_default();
    !name.is_empty() && name.bytes().all(is_reference_byte)
}

/// Whether the API accepts a text as the image of a container.
pub fn is_image_reference(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let good_digest = digest.is_none_or(|digest| digest.parse::<crate::release::Digest>().is_ok());
    looks_like_reference(image) && name.len() <= 255 && good_digest
}

fn check_memory(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let container = linted.container;
    let (hard, soft) = (container["memory"].as_u64(), container["memoryReservation"].as_u64());
    for (key, size) in [("memory", hard), ("memoryReservation", soft)] {
        match size {
            Some(1..=3) => {
                let sentence = format!("`{key}` must be at least 4 MiB.");
                findings.error(&linted.pointer(key), sentence, "Raise it.");
            }
            Some(4..=5) => {
                let sentence = format!("`{key}` is less than the 6 MiB that Docker reserves.");
                findings.warning(&linted.pointer(key), sentence, "Raise it.");
            }
            _ => {}
        }
    }
    if let (Some(hard), Some(soft)) = (hard, soft)
        && hard < soft
    {
        let sentence = format!("`memory` ({hard}) must not be less than `memoryReservation` ({soft}).");
        findings.error(&linted.pointer("memory"), sentence, "Raise `memory`, or lower `memoryReservation`.");
    }
    let has_size =
        ["memory", "memoryReservation"].iter().any(|key| container[key].as_i64().unwrap_or(0) != 0);
    if linted.definition.get("memory").is_none() && !has_size {
        let sentence = "Neither the task nor the container sets its memory.";
        let help = "Set `memory` of the task, or `memory` or `memoryReservation` here.";
        findings.error(&linted.pointer(""), sentence, help);
    }
}

fn check_environment(linted: &LintedContainer<'_>, findings: &mut Findings<'_>) {
    let (plain, secrets) =
        (list_field(linted.container, "environment"), list_field(linted.container, "secrets"));
    for (index, name) in duplicates(plain, "name") {
        let pointer = linted.pointer(&format!("environment/{index}"));
        let sentence = format!("`{name}` is set twice in `environment`.");
        findings.warning(&pointer, sentence, "The last one is used; remove the other.");
    }
    for (index, name) in duplicates(secrets, "name") {
        let pointer = linted.pointer(&format!("secrets/{index}"));
        findings.error(&pointer, format!("`{name}` is set twice in `secrets`."), "Remove one.");
    }
    for (index, variable) in plain.iter().enumerate() {
        let (name, pointer) = (str_field(variable, "name"), linted.pointer(&format!("environment/{index}")));
        if name.is_empty() {
            let help = lint_schema::cloudformation_help(variable, "name");
            let help = help.as_deref().unwrap_or("Write {\"name\": …, \"value\": …}.");
            findings.error(&pointer, "A variable has no name.", help);
        }
        if let Some((variable, value)) = name.split_once('=') {
            let sentence = format!("The name of a variable has `=` in it, so the process sees `{variable}`.");
            let help = match (variable, value.is_empty()) {
                ("", _) | (_, true) => "Remove the `=`.".to_owned(),
                (variable, false) => format!("Write {{\"name\": \"{variable}\", \"value\": …}}."),
            };
            findings.warning(&pointer, sentence, &help);
        }
        if !name.is_empty() && secrets.iter().any(|secret| secret["name"] == name.as_str()) {
            let sentence = format!("`{name}` is both in `environment` and in `secrets`.");
            findings.error(&pointer, sentence, "Remove one of the two.");
        }
        if looks_like_secret(&name, variable["value"].as_str().unwrap_or_default()) {
            findings.add(&pointer, plain_text_secret(&name));
        }
    }
}

/// The warning about a secret in plain text.
pub fn plain_text_secret(name: &str) -> Problem {
    let sentence = format!("`{name}` looks like a secret in plain text.");
    let help = "Move it to `secrets` with a Secrets Manager or Parameter Store ARN.";
    Problem::warning(Code::SecretInPlainText, sentence).help(help)
}

/// A name of a secret with a value that could be one; or a value in a well-known format of secrets.
pub fn looks_like_secret(name: &str, value: &str) -> bool {
    let reference = ["arn:", "http://", "https://", "/"].iter().any(|start| value.starts_with(start));
    let harmless = value.len() < 8 || value.starts_with(['<', '$']) || value == "true" || value == "false";
    let known = ["AKIA", "ASIA", "ghp_", "github_pat_", "xoxb-", "sk_live_", "-----BEGIN"];
    let lower = name.to_ascii_lowercase();
    let about = ["_id", "_name", "_url", "_path", "_file", "_arn"].iter().any(|end| lower.ends_with(end));
    known.iter().any(|start| value.starts_with(start))
        || (diff::is_secret_name(name) && !reference && !harmless && !about)
}

//! Names of a service's repository and alarms: what none can be called, and what was probably meant.

use serde_json::Value;

use super::tree::{ConfigNode, ConfigValue};
use crate::problem::list::for_first;
use crate::problem::{Code, Problem};
use crate::release::aws_values::Arn;

/// The longest name of an alarm.
const MAX_ALARM_BYTES: usize = 255;
/// The longest name of a repository.
const MAX_REPOSITORY_BYTES: usize = 256;

/// Problems of the names in a service, each on its line.
pub(super) fn problems(file: &str, service: &str, node: &ConfigNode) -> Vec<Problem> {
    let repository =
        node.get("repository").into_iter().map(|node| (node, "repository", check_repository as Check));
    let alarms = match node.get("alarms").map(|alarms| &alarms.kind) {
        Some(ConfigValue::Sequence(items)) => items.as_slice(),
        _ => &[],
    };
    let names = repository.chain(alarms.iter().map(|node| (node, "alarm", check_alarm as Check)));
    let wrong = names.filter_map(|(node, what, check)| {
        let ConfigValue::Scalar(Value::String(text)) = &node.kind else { return None };
        Some((node, what, check(text).err()?))
    });
    for_first(wrong, |(node, what, why)| {
        let sentence = format!("The {what} of service `{service}`: {why}.");
        Problem::error(Code::ConfigInvalid, sentence).at_location(file, node.line, node.column)
    })
}

type Check = fn(&str) -> Result<(), String>;

fn check_alarm(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > MAX_ALARM_BYTES {
        return Err(format!("the name of an alarm has 1 to {MAX_ALARM_BYTES} characters"));
    }
    match Arn::parse(text).filter(|arn| arn.service == "cloudwatch") {
        // The name of an alarm may contain colons and slashes.
        Some(arn) => {
            let name = arn.resource.strip_prefix("alarm:").unwrap_or(arn.resource);
            Err(format!("`{text}` is an ARN; write the name of the alarm, such as `{name}`"))
        }
        None => Ok(()),
    }
}

/// Accepts a repository, with or without its registry. `*` stands for a value that only a run knows (`roadstead policy`).
fn check_repository(text: &str) -> Result<(), String> {
    if let Some(arn) = Arn::parse(text) {
        let name = arn.resource.strip_prefix("repository/").unwrap_or(arn.resource);
        return Err(format!("`{text}` is an ARN; write the name of the repository, such as `{name}`"));
    }
    if let Some((_, rest)) = text.split_once("://") {
        return Err(format!("a repository has no `https://`; write `{rest}`"));
    }
    let (registry, name) = split_registry(text);
    let (name, version) = name.find(['@', ':']).map_or((name, ""), |at| name.split_at(at));
    let whole = |name: &str| registry.map_or(name.to_owned(), |registry| format!("{registry}/{name}"));
    if !version.is_empty() {
        return Err(format!(
            "`{text}` has a tag or digest, which each release sets; write `{}`",
            whole(name)
        ));
    }
    if is_repository(name) {
        return Ok(());
    }
    let lower = name.to_ascii_lowercase();
    let bare = lower.trim_matches('/');
    let near = if is_repository(bare) { format!("; did you mean `{}`", whole(bare)) } else { String::new() };
    Err(format!(
        "`{}` cannot be the name of a repository, which has lowercase letters, digits, and `.`, `_`, `-` and `/` between them{near}",
        text.escape_debug()
    ))
}

/// The registry of a repository, if its first part is a host.
fn split_registry(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((host, name)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), name),
        _ => (None, text),
    }
}

fn is_repository(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-*".contains(c);
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '*';
    let is_part =
        |part: &str| part.starts_with(is_end) && part.ends_with(is_end) && part.chars().all(is_inner);
    name.len() <= MAX_REPOSITORY_BYTES && name.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_is_a_name_with_or_without_a_registry() {
        for good in [
            "acme/backend",
            "backend",
            "a/b/c-d_e.f",
            "ghcr.io/acme/web",
            "127.0.0.1:5000/acme/app",
            "localhost/x",
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/x",
            "acme/*",
        ] {
            assert_eq!(check_repository(good), Ok(()), "{good}");
        }
        for (wrong, meant) in [
            ("Acme/Backend", "did you mean `acme/backend`"),
            ("acme/backend/", "did you mean `acme/backend`"),
            ("ghcr.io/Acme/web", "did you mean `ghcr.io/acme/web`"),
            ("acme/backend:latest", "write `acme/backend`"),
            ("127.0.0.1:5000/acme/app:1", "write `127.0.0.1:5000/acme/app`"),
            ("https://ghcr.io/acme/web", "write `ghcr.io/acme/web`"),
            ("arn:aws:ecr:eu-west-1:111111111111:repository/acme/web", "such as `acme/web`"),
            ("acme backend", "between them"),
            ("", "between them"),
        ] {
            let why = check_repository(wrong).unwrap_err();
            assert!(why.ends_with(meant), "{wrong}: {why}");
        }
    }

    #[test]
    fn alarm_is_a_name_and_no_arn() {
        assert_eq!(check_alarm("Backend 5xx: high/critical"), Ok(()));
        let why = check_alarm("arn:aws:cloudwatch:eu-west-1:111111111111:alarm:a:b").unwrap_err();
        assert!(why.ends_with("such as `a:b`"), "{why}");
        assert!(check_alarm("").is_err());
    }
}

//! The value of one input, read from its text.

use super::{ConfigSource, OnCancel, Operation, ServiceSelection, SetEnvEntry};
use crate::action::parse;
use crate::problem::suggest;

pub(super) fn config_source(value: Option<String>) -> ConfigSource {
    match value {
        Some(text) if text.contains('\n') => ConfigSource::Text(text),
        Some(path) => ConfigSource::Path(path),
        None => ConfigSource::Path(".github/roadstead.yml".into()),
    }
}

/// The operation, and whether it is only planned: `plan rollback` is the plan of a rollback.
pub(super) fn split_dry_run(text: &str) -> (&str, bool) {
    match text.strip_prefix("plan ").map(str::trim) {
        Some(operation) if !operation.is_empty() => (operation, true),
        _ => (text, false),
    }
}

pub(super) fn read_operation(text: &str) -> Result<Operation, String> {
    let known = Operation::ALL.into_iter().find(|operation| operation.as_str() == text);
    known.ok_or_else(|| unknown_value_text(text, &Operation::ALL.map(Operation::as_str)))
}

pub(super) fn read_on_cancel(text: &str) -> Result<OnCancel, String> {
    match text {
        "rollback" => Ok(OnCancel::Rollback),
        "leave" => Ok(OnCancel::Leave),
        _ => Err(unknown_value_text(text, &["rollback", "leave"])),
    }
}

pub(super) fn read_services(text: &str) -> Result<ServiceSelection, String> {
    let names = parse::list(text);
    match names.as_slice() {
        [] => Err("it names no service".into()),
        ["changed"] => Ok(ServiceSelection::Changed),
        names if names.contains(&"changed") => Err("`changed` cannot be combined with names".into()),
        names => {
            let mut once: Vec<String> = Vec::new();
            for name in names {
                if !once.iter().any(|known| known == name) {
                    once.push(parse::name(name)?);
                }
            }
            Ok(ServiceSelection::Named(once))
        }
    }
}

pub(super) fn read_env_entry(line: &str) -> Result<SetEnvEntry, String> {
    let (key, value) = match line.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value.trim().to_owned())),
        None => (line, None),
    };
    match key.split_once('.') {
        Some((service, name))
            if !service.is_empty() && !name.is_empty() && !key.contains(char::is_whitespace) =>
        {
            Ok(SetEnvEntry { service: service.into(), name: name.into(), value })
        }
        // The value may be a secret; only the key is repeated.
        _ if value.is_some() => Err(format!("`{key}` is not `service.NAME`")),
        _ if is_colon_form(line) => Err("a line is `service.NAME=value`, with `=` and not with `:`".into()),
        // A line without `=` can be the rest of a secret of several lines.
        _ => Err("a line is not `service.NAME=value`; a value is one line".into()),
    }
}

/// Whether a line is `service.NAME: value`. It is not repeated: the value may be a secret.
fn is_colon_form(line: &str) -> bool {
    let Some((key, _)) = line.split_once(':') else { return false };
    let is_name =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    key.split_once('.').is_some_and(|(service, name)| is_name(service) && is_name(name))
}

pub(super) fn unknown_value_text(text: &str, known: &[&str]) -> String {
    match suggest(text, known.iter().copied()) {
        Some(near) => format!("`{text}` is not known; did you mean `{near}`"),
        None => format!("`{text}` is not one of {}", quoted_list(known.iter().copied())),
    }
}

pub(super) fn quoted_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn find_duplicates<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let (mut seen, mut twice) = (Vec::new(), Vec::new());
    for name in names {
        let into = if seen.contains(&name) { &mut twice } else { &mut seen };
        if !into.contains(&name) {
            into.push(name);
        }
    }
    twice
}

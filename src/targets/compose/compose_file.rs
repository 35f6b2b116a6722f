//! The user's Compose files, as far as they decide how a service is deployed. What Compose itself checks is left to it. Pure.

use serde_json::Value;

use crate::problem::list::name_list;
use crate::problem::{Code, Problem};
use crate::release::DefinitionFile;

use super::settings::Settings;

/// The project name: the setting, else `name` of a file, else the last part of the folder, as Compose has it.
pub fn project_name(settings: &Settings, files: &[DefinitionFile]) -> String {
    let named = files.iter().rev().find_map(|file| {
        let name = read(file)?.get("name")?.as_str()?.to_owned();
        (!name.contains('$')).then_some(name)
    });
    let folder = settings.directory.as_str().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let set = settings.project.as_ref().map(|name| name.as_str().to_owned());
    set.or(named).unwrap_or_else(|| normalize_project(folder))
}

/// Compose's own rule: lower case, and nothing but letters, digits, `_` and `-`, beginning with a letter or a digit.
fn normalize_project(folder: &str) -> String {
    let is_part = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(*c);
    let name: String = folder.to_lowercase().chars().filter(is_part).collect();
    name.trim_start_matches(['_', '-']).to_owned()
}

/// Problems of a Compose file that need no server. Of several files only what each says by itself.
pub fn lint(settings: &Settings, file: &DefinitionFile) -> Vec<Problem> {
    let whole: Value = match serde_saphyr::from_str(&file.text) {
        Ok(whole) => whole,
        Err(error) => return vec![unreadable_problem(file, &error.to_string())],
    };
    let name = settings.service.as_str();
    let services = whole.get("services").and_then(Value::as_object);
    let service = services.and_then(|services| services.get(name));
    let includes_more = settings.files.0.len() > 1 || whole.get("include").is_some();
    let Some(service) = service else {
        if includes_more {
            return Vec::new();
        }
        let known = name_list(services.into_iter().flat_map(|all| all.keys().map(String::as_str)));
        return vec![missing_service_problem(file, name, &known)];
    };
    let mut found = Vec::new();
    if settings.proxy.is_some() {
        found.extend(doubling_problems(file, name, service));
    }
    found.extend(copies_problem(file, name, service));
    found.extend(unlimited_logs_warning(file, name, service));
    found
}

fn read(file: &DefinitionFile) -> Option<Value> {
    serde_saphyr::from_str(&file.text).ok()
}

fn unreadable_problem(file: &DefinitionFile, why: &str) -> Problem {
    Problem::error(Code::ComposeFileInvalid, format!("The Compose file `{}` cannot be read.", file.path))
        .cause(why)
        .help("Correct its YAML; `docker compose config` checks it.")
        .at_location(&file.path, 1, 1)
}

fn missing_service_problem(file: &DefinitionFile, name: &str, known: &str) -> Problem {
    let sentence = format!("The Compose file `{}` has no service `{name}`.", file.path);
    let help = match known {
        "" => "It has no `services`.".to_owned(),
        known => format!("Its services are: {known}."),
    };
    Problem::error(Code::ComposeFileInvalid, sentence).help(help).at_location(&file.path, 1, 1)
}

/// What forbids a second container of the service beside the first.
fn doubling_problems(file: &DefinitionFile, name: &str, service: &Value) -> Vec<Problem> {
    let published =
        service.get("ports").and_then(Value::as_array).is_some_and(|ports| ports.iter().any(is_published));
    let reasons = [
        ("container_name", service.get("container_name").is_some(), "a fixed `container_name`"),
        ("ports", published, "a published port"),
        (
            "network_mode",
            service.get("network_mode").and_then(Value::as_str) == Some("host"),
            "`network_mode: host`",
        ),
    ];
    let problem = |(key, _, words): (&str, bool, &str)| {
        let sentence =
            format!("The service `{name}` has {words}, so two containers of it cannot run at the same time.");
        Problem::error(Code::ComposeFileInvalid, sentence)
            .help(format!("Remove `{key}`, because the proxy reaches the containers by their names; or remove `compose.proxy`."))
            .at_location(&file.path, line_of(file, name, key), 1)
    };
    reasons.into_iter().filter(|(_, applies, _)| *applies).map(problem).collect()
}

/// Whether a port gets one of the host's: `8080:80`, `127.0.0.1:80:80`, `published:`; not `80` alone.
fn is_published(port: &Value) -> bool {
    match port {
        Value::String(text) => text.split('/').next().unwrap_or_default().contains(':'),
        Value::Object(long) => long.contains_key("published"),
        _ => false,
    }
}

fn copies_problem(file: &DefinitionFile, name: &str, service: &Value) -> Option<Problem> {
    let replicas =
        service.pointer("/deploy/replicas").or_else(|| service.get("scale")).and_then(Value::as_u64);
    let count = replicas.filter(|count| *count > 1)?;
    let sentence = format!("The service `{name}` has {count} copies; one copy is supported.");
    let key = if service.get("scale").is_some() { "scale" } else { "replicas" };
    Some(Problem::error(Code::ComposeFileInvalid, sentence).help(format!("Remove `{key}`.")).at_location(
        &file.path,
        line_of(file, name, key),
        1,
    ))
}

/// Logs of the default driver grow until the disk is full.
fn unlimited_logs_warning(file: &DefinitionFile, name: &str, service: &Value) -> Option<Problem> {
    let driver = service.pointer("/logging/driver").and_then(Value::as_str).unwrap_or("json-file");
    let is_limited = service.pointer("/logging/options/max-size").is_some() || driver != "json-file";
    (!is_limited).then(|| {
        let sentence = format!("The logs of the service `{name}` have no size limit in `{}`.", file.path);
        Problem::notice(Code::HostUnsuitable, sentence)
            .help("Add `logging: { options: { max-size: 10m, max-file: \"3\" } }`, unless the engine has a limit.")
            .at_location(&file.path, line_of(file, name, name), 1)
    })
}

/// The line of a key of a service, as far as the layout of the file shows it; else the first.
fn line_of(file: &DefinitionFile, service: &str, key: &str) -> usize {
    let lines: Vec<&str> = file.text.lines().collect();
    let starts = |line: &&str, name: &str| {
        let line = line.trim_start().trim_start_matches(['"', '\'']);
        line.strip_prefix(name)
            .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
    };
    // A key can also be inside of braces.
    let has = |line: &&str| {
        let mut words = line.split(['{', ',', ' ']).filter_map(|word| word.strip_suffix(':'));
        words.any(|word| word.trim_matches(['"', '\'']) == key)
    };
    let from = lines.iter().position(|line| line.starts_with([' ', '\t']) && starts(line, service));
    let found = from.and_then(|from| {
        let below = &lines[from..];
        let at = below.iter().position(|line| starts(line, key)).or_else(|| below.iter().position(has))?;
        Some(from + at)
    });
    found.or(from).map_or(1, |at| at + 1)
}

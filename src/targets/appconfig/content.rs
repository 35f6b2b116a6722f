//! The content of a configuration: its type, its problems, and the changes from one to the next. Pure.

use serde_json::{Map, Value};

use crate::problem::{Code, Problem};
use crate::release::{Change, Changes, DefinitionFile, HiddenChange};

/// AppConfig's default limit of the size, and the largest limit that can be requested.
const DEFAULT_MAX_BYTES: usize = 1024 * 1024;
const MAX_BYTES: usize = 2 * DEFAULT_MAX_BYTES;
/// Keys that AppConfig itself adds to feature flags.
const TIMESTAMP_KEYS: [&str; 2] = ["_createdAt", "_updatedAt"];

/// The MIME type of a file, by its extension.
pub fn mime_type(path: &str) -> &'static str {
    let end = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match end.as_str() {
        "json" => "application/json",
        "yaml" | "yml" => "application/x-yaml",
        _ => "text/plain",
    }
}

/// Problems that the file alone shows.
pub fn lint(file: &DefinitionFile) -> Vec<Problem> {
    let size = file.text.len();
    let path = &file.path;
    if size == 0 || size > MAX_BYTES {
        let limit = "AppConfig accepts at most 1 MB, or 2 MB if the quota of the account was raised.";
        let problem_text = if size == 0 { "is empty" } else { "is larger than 2 MB" };
        let problem =
            Problem::error(Code::ConfigurationInvalid, format!("The configuration `{path}` {problem_text}."));
        return vec![problem.help(limit).at_location(path, 1, 1)];
    }
    let mut found = Vec::new();
    if size > DEFAULT_MAX_BYTES {
        let sentence = format!("The configuration `{path}` is larger than 1 MB.");
        let help = "AppConfig accepts this only if the quota of the account was raised.";
        found.push(Problem::warning(Code::ConfigurationInvalid, sentence).help(help).at_location(path, 1, 1));
    }
    if mime_type(path) == "application/json" {
        found.extend(json_problem(file));
    }
    found
}

/// The JSON syntax error of the file, at its line.
pub fn json_problem(file: &DefinitionFile) -> Option<Problem> {
    let error = serde_json::from_str::<Value>(&file.text).err()?;
    let sentence = format!("The configuration `{}` is not JSON.", file.path);
    let problem = Problem::error(Code::ConfigurationInvalid, sentence).cause(error.to_string());
    Some(problem.at_location(&file.path, error.line().max(1), error.column().max(1)))
}

/// Whether two contents are equal: JSON by its values, anything else by its text.
pub fn is_equal(one: &str, other: &str) -> bool {
    match (without_timestamps(one), without_timestamps(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// JSON without the keys that AppConfig adds.
fn without_timestamps(text: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    for part in ["flags", "values"] {
        let Some(all) = value.get_mut(part).and_then(Value::as_object_mut) else { continue };
        for one in all.values_mut().filter_map(Value::as_object_mut) {
            one.retain(|key, _| !TIMESTAMP_KEYS.contains(&key.as_str()));
        }
    }
    Some(value)
}

/// The changes from `from` (`None` if nothing served before) to `to`: feature flags flag by flag, JSON key by key.
/// Values are not shown, except whether a flag is on.
pub fn diff(from: Option<&str>, to: &str, flags: bool) -> Changes {
    if from.is_some_and(|from| is_equal(from, to)) {
        return Changes::default();
    }
    let (before, after) =
        (from.and_then(without_timestamps).unwrap_or_default(), without_timestamps(to).unwrap_or_default());
    let found = match (before.as_object(), after.as_object()) {
        (before, Some(after)) if flags => diff_flags(before.unwrap_or(&Map::new()), after),
        (before, Some(after)) => diff_keys(before.unwrap_or(&Map::new()), after),
        _ => Vec::new(),
    };
    match found.is_empty() {
        true => Changes(vec![Change::hidden("content", HiddenChange::between(from.is_some(), true))]),
        false => Changes(found),
    }
}

/// The state of a flag, before and after.
fn state_change(field: String, from: Option<&str>, to: Option<&str>) -> Change {
    Change::shown(field, from.map(str::to_owned), to.map(str::to_owned))
}

/// The keys of both, each once, those of `before` first.
fn merged_keys<'a>(before: &'a Map<String, Value>, after: &'a Map<String, Value>) -> Vec<&'a String> {
    before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))).collect()
}

fn diff_keys(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Change> {
    let differs = |key: &&String| before.get(*key) != after.get(*key);
    let one = |key: &String| {
        let hidden = HiddenChange::between(before.contains_key(key), after.contains_key(key));
        Change::hidden(format!("key {key}"), hidden)
    };
    merged_keys(before, after).into_iter().filter(differs).map(one).collect()
}

fn diff_flags(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Change> {
    let part = |of: &Map<String, Value>, name: &str| {
        of.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let definitions = (part(before, "flags"), part(after, "flags"));
    let values = (part(before, "values"), part(after, "values"));
    let mut names: Vec<&String> = merged_keys(&definitions.0, &definitions.1);
    names.extend(
        merged_keys(&values.0, &values.1)
            .into_iter()
            .filter(|name| !definitions.0.contains_key(*name) && !definitions.1.contains_key(*name)),
    );
    let mut found = Vec::new();
    for name in names {
        let was = (definitions.0.get(name), values.0.get(name));
        let is = (definitions.1.get(name), values.1.get(name));
        found.extend(diff_flag(name, was, is));
    }
    found
}

/// The definition of a flag and its value.
type FlagParts<'v> = (Option<&'v Value>, Option<&'v Value>);

fn diff_flag(name: &str, was: FlagParts<'_>, is: FlagParts<'_>) -> Vec<Change> {
    let field = format!("flag {name}");
    let missing = |flag: FlagParts<'_>| flag.0.is_none() && flag.1.is_none();
    if missing(was) || missing(is) {
        let from = (!missing(was)).then(|| flag_state(was.1));
        let to = (!missing(is)).then(|| flag_state(is.1));
        return vec![state_change(field, from, to)];
    }
    let mut found = Vec::new();
    if flag_state(was.1) != flag_state(is.1) {
        found.push(state_change(field.clone(), Some(flag_state(was.1)), Some(flag_state(is.1))));
    }
    let empty = Map::new();
    let (old, new) = (object_or_empty(was.1, &empty), object_or_empty(is.1, &empty));
    for key in
        merged_keys(old, new).into_iter().filter(|key| *key != "enabled" && old.get(*key) != new.get(*key))
    {
        let hidden = HiddenChange::between(old.contains_key(key), new.contains_key(key));
        found.push(Change::hidden(format!("{field}, {}", key.trim_start_matches('_')), hidden));
    }
    if was.0 != is.0 {
        let hidden = HiddenChange::between(was.0.is_some(), is.0.is_some());
        found.push(Change::hidden(format!("{field}, definition"), hidden));
    }
    found
}

fn object_or_empty<'v>(value: Option<&'v Value>, empty: &'v Map<String, Value>) -> &'v Map<String, Value> {
    value.and_then(Value::as_object).unwrap_or(empty)
}

/// Whether a flag is on.
fn flag_state(value: Option<&Value>) -> &'static str {
    match value.and_then(|value| value.get("enabled")).and_then(Value::as_bool) {
        Some(true) => "on",
        Some(false) => "off",
        None => "by its variants",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff_text(from: Option<&str>, to: &str, flags: bool) -> String {
        let line = |one: Change| {
            let value = |value: Option<String>| value.unwrap_or_else(|| "-".into());
            match one.hidden {
                Some(hidden) => format!("{}: {}", one.field, hidden.text()),
                None => format!("{}: {} → {}", one.field, value(one.from), value(one.to)),
            }
        };
        diff(from, to, flags).0.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    const FLAGS: &str = r#"{"version":"1","flags":{"beta":{"name":"Beta","_createdAt":"x"},"old":{}},"values":{"beta":{"enabled":false,"limit":3,"_updatedAt":"y"},"old":{"enabled":true}}}"#;

    #[test]
    fn diff_lists_flags_and_shows_only_their_state() {
        let next = r#"{"version":"1","flags":{"beta":{"name":"Beta 2"},"new":{}},"values":{"beta":{"enabled":true,"limit":5},"new":{"enabled":false}}}"#;
        insta::assert_snapshot!(diff_text(Some(FLAGS), next, true), @"
        flag beta: off → on
        flag beta, limit: changed (value hidden)
        flag beta, definition: changed (value hidden)
        flag old: on → -
        flag new: - → off
        ");
        insta::assert_snapshot!(diff_text(None, next, true), @"
        flag beta: - → on
        flag new: - → off
        ");
    }

    #[test]
    fn diff_ignores_timestamps_and_json_layout() {
        let plain = r#"{ "values": {"old":{"enabled":true},"beta":{"limit":3,"enabled":false}}, "flags":{"old":{},"beta":{"name":"Beta"}}, "version":"1"}"#;
        assert_eq!(diff_text(Some(FLAGS), plain, true), "");
        assert!(is_equal("a: 1\n", "a: 1\n") && !is_equal("a: 1", "a: 2") && !is_equal("{}", "a"));
    }

    #[test]
    fn diff_lists_json_keys_and_other_text_as_one_change() {
        insta::assert_snapshot!(diff_text(Some(r#"{"a":1,"b":2,"c":3}"#), r#"{"b":2,"a":2,"d":{}}"#, false), @"
        key a: changed (value hidden)
        key c: removed (value hidden)
        key d: added (value hidden)
        ");
        assert_eq!(diff_text(Some("a: 1"), "a: 2", false), "content: changed (value hidden)");
        assert_eq!(diff_text(Some("[1]"), "[2]", false), "content: changed (value hidden)");
        let first = diff_text(None, "{}", false);
        assert_eq!(first, "content: added (value hidden)", "the first version is always a change");
    }

    #[test]
    fn lint_problem_has_the_line() {
        let found = |path: &str, text: &str| {
            let all = lint(&DefinitionFile { path: path.into(), text: text.into() });
            let line = |one: &Problem| format!("{:?} {}", one.severity, one.location.as_ref().unwrap().line);
            all.iter().map(line).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(found("a.json", "{\n  \"a\": 1,\n}"), "Error 3");
        assert_eq!(found("a.yaml", "a: ["), "", "AppConfig accepts any text");
        assert_eq!(found("a.json", ""), "Error 1");
        assert_eq!(found("a.txt", &"x".repeat(DEFAULT_MAX_BYTES + 1)), "Warning 1");
        assert_eq!(found("a.txt", &"x".repeat(MAX_BYTES + 1)), "Error 1");
    }
}

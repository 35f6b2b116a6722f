//! The content of a configuration: what type it has, what is wrong with it, and what changes from one to the next. Pure.

use serde_json::{Map, Value};

use crate::problem::{Code, Problem};
use crate::release::{Change, Changes, Definition};

/// The size that AppConfig takes by default, and the most that it can be asked to take.
const USUAL: usize = 1024 * 1024;
const MOST: usize = 2 * USUAL;
/// What AppConfig itself writes into feature flags.
const STAMPS: [&str; 2] = ["_createdAt", "_updatedAt"];

/// The MIME type of a file, by the end of its name.
pub fn mime(path: &str) -> &'static str {
    let end = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match end.as_str() {
        "json" => "application/json",
        "yaml" | "yml" => "application/x-yaml",
        _ => "text/plain",
    }
}

/// What can be found in the file alone.
pub fn findings(file: &Definition) -> Vec<Problem> {
    let size = file.text.len();
    let path = &file.path;
    if size == 0 || size > MOST {
        let limit = "AppConfig takes at most 1 MB, and 2 MB where that quota was raised.";
        let words = if size == 0 { "is empty" } else { "is larger than 2 MB" };
        let problem =
            Problem::error(Code::ConfigurationInvalid, format!("The configuration `{path}` {words}."));
        return vec![problem.help(limit).at(path, 1, 1)];
    }
    let mut found = Vec::new();
    if size > USUAL {
        let sentence = format!("The configuration `{path}` is larger than 1 MB.");
        let help = "AppConfig takes that only where the quota of the account was raised.";
        found.push(Problem::warning(Code::ConfigurationInvalid, sentence).help(help).at(path, 1, 1));
    }
    if mime(path) == "application/json" {
        found.extend(no_json(file));
    }
    found
}

/// Why the file is no JSON, on its line.
pub fn no_json(file: &Definition) -> Option<Problem> {
    let error = serde_json::from_str::<Value>(&file.text).err()?;
    let sentence = format!("The configuration `{}` is not JSON.", file.path);
    let problem = Problem::error(Code::ConfigurationInvalid, sentence).cause(error.to_string());
    Some(problem.at(&file.path, error.line().max(1), error.column().max(1)))
}

/// Whether two contents say the same: JSON by its values, anything else by its text.
pub fn same(one: &str, other: &str) -> bool {
    match (plain(one), plain(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// JSON without what AppConfig wrote into it.
fn plain(text: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    for part in ["flags", "values"] {
        let Some(all) = value.get_mut(part).and_then(Value::as_object_mut) else { continue };
        for one in all.values_mut().filter_map(Value::as_object_mut) {
            one.retain(|key, _| !STAMPS.contains(&key.as_str()));
        }
    }
    Some(value)
}

/// What changes from `from`, where anything served before, to `to`: feature flags flag by flag, JSON key by key.
/// Values are not shown, but for whether a flag is on.
pub fn changes(from: Option<&str>, to: &str, flags: bool) -> Changes {
    if from.is_some_and(|from| same(from, to)) {
        return Changes::default();
    }
    let (before, after) = (from.and_then(plain).unwrap_or_default(), plain(to).unwrap_or_default());
    let found = match (before.as_object(), after.as_object()) {
        (before, Some(after)) if flags => of_flags(before.unwrap_or(&Map::new()), after),
        (before, Some(after)) => of_keys(before.unwrap_or(&Map::new()), after),
        _ => Vec::new(),
    };
    if found.is_empty() { Changes(vec![change("content", None, None)]) } else { Changes(found) }
}

fn change(field: impl Into<String>, from: Option<&str>, to: Option<&str>) -> Change {
    Change { field: field.into(), from: from.map(str::to_owned), to: to.map(str::to_owned) }
}

/// The keys of both, each once, those of `before` first.
fn keys<'a>(before: &'a Map<String, Value>, after: &'a Map<String, Value>) -> Vec<&'a String> {
    before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))).collect()
}

fn of_keys(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Change> {
    let differs = |key: &&String| before.get(*key) != after.get(*key);
    let one = |key: &String| match (before.contains_key(key), after.contains_key(key)) {
        (false, _) => change(format!("key {key}"), None, Some("new")),
        (_, false) => change(format!("key {key}"), Some("there"), None),
        _ => change(format!("key {key}"), None, None),
    };
    keys(before, after).into_iter().filter(differs).map(one).collect()
}

fn of_flags(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Change> {
    let part = |of: &Map<String, Value>, name: &str| {
        of.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let definitions = (part(before, "flags"), part(after, "flags"));
    let values = (part(before, "values"), part(after, "values"));
    let mut names: Vec<&String> = keys(&definitions.0, &definitions.1);
    names.extend(
        keys(&values.0, &values.1)
            .into_iter()
            .filter(|name| !definitions.0.contains_key(*name) && !definitions.1.contains_key(*name)),
    );
    let mut found = Vec::new();
    for name in names {
        let was = (definitions.0.get(name), values.0.get(name));
        let is = (definitions.1.get(name), values.1.get(name));
        found.extend(of_flag(name, was, is));
    }
    found
}

/// The definition of a flag and its value.
type Flag<'v> = (Option<&'v Value>, Option<&'v Value>);

fn of_flag(name: &str, was: Flag<'_>, is: Flag<'_>) -> Vec<Change> {
    let field = format!("flag {name}");
    let missing = |flag: Flag<'_>| flag.0.is_none() && flag.1.is_none();
    if missing(was) || missing(is) {
        let from = (!missing(was)).then(|| word(was.1));
        let to = (!missing(is)).then(|| word(is.1));
        return vec![change(field, from, to)];
    }
    let mut found = Vec::new();
    if word(was.1) != word(is.1) {
        found.push(change(field.clone(), Some(word(was.1)), Some(word(is.1))));
    }
    let empty = Map::new();
    let (old, new) = (object(was.1, &empty), object(is.1, &empty));
    for key in keys(old, new).into_iter().filter(|key| *key != "enabled" && old.get(*key) != new.get(*key)) {
        found.push(change(format!("{field}, {}", key.trim_start_matches('_')), None, None));
    }
    if was.0 != is.0 {
        found.push(change(format!("{field}, definition"), None, None));
    }
    found
}

fn object<'v>(value: Option<&'v Value>, empty: &'v Map<String, Value>) -> &'v Map<String, Value> {
    value.and_then(Value::as_object).unwrap_or(empty)
}

/// Whether a flag is on.
fn word(value: Option<&Value>) -> &'static str {
    match value.and_then(|value| value.get("enabled")).and_then(Value::as_bool) {
        Some(true) => "on",
        Some(false) => "off",
        None => "by its variants",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(from: Option<&str>, to: &str, flags: bool) -> String {
        let line = |one: Change| {
            let value = |value: Option<String>| value.unwrap_or_else(|| "-".into());
            format!("{}: {} → {}", one.field, value(one.from), value(one.to))
        };
        changes(from, to, flags).0.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    const FLAGS: &str = r#"{"version":"1","flags":{"beta":{"name":"Beta","_createdAt":"x"},"old":{}},"values":{"beta":{"enabled":false,"limit":3,"_updatedAt":"y"},"old":{"enabled":true}}}"#;

    #[test]
    fn flags_change_one_by_one_and_only_whether_they_are_on_is_shown() {
        let next = r#"{"version":"1","flags":{"beta":{"name":"Beta 2"},"new":{}},"values":{"beta":{"enabled":true,"limit":5},"new":{"enabled":false}}}"#;
        insta::assert_snapshot!(told(Some(FLAGS), next, true), @"
        flag beta: off → on
        flag beta, limit: - → -
        flag beta, definition: - → -
        flag old: on → -
        flag new: - → off
        ");
        insta::assert_snapshot!(told(None, next, true), @"
        flag beta: - → on
        flag new: - → off
        ");
    }

    #[test]
    fn what_appconfig_writes_into_flags_and_how_json_is_laid_out_is_no_change() {
        let plain = r#"{ "values": {"old":{"enabled":true},"beta":{"limit":3,"enabled":false}}, "flags":{"old":{},"beta":{"name":"Beta"}}, "version":"1"}"#;
        assert_eq!(told(Some(FLAGS), plain, true), "");
        assert!(same("a: 1\n", "a: 1\n") && !same("a: 1", "a: 2") && !same("{}", "a"));
    }

    #[test]
    fn json_changes_key_by_key_and_other_text_as_a_whole() {
        insta::assert_snapshot!(told(Some(r#"{"a":1,"b":2,"c":3}"#), r#"{"b":2,"a":2,"d":{}}"#, false), @"
        key a: - → -
        key c: there → -
        key d: - → new
        ");
        assert_eq!(told(Some("a: 1"), "a: 2", false), "content: - → -");
        assert_eq!(told(Some("[1]"), "[2]", false), "content: - → -");
        assert_eq!(told(None, "{}", false), "content: - → -", "a first one is never nothing");
    }

    #[test]
    fn what_is_wrong_with_a_file_stands_on_its_line() {
        let found = |path: &str, text: &str| {
            let all = findings(&Definition { path: path.into(), text: text.into() });
            let line = |one: &Problem| format!("{:?} {}", one.severity, one.at.as_ref().unwrap().line);
            all.iter().map(line).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(found("a.json", "{\n  \"a\": 1,\n}"), "Error 3");
        assert_eq!(found("a.yaml", "a: ["), "", "AppConfig takes any text");
        assert_eq!(found("a.json", ""), "Error 1");
        assert_eq!(found("a.txt", &"x".repeat(USUAL + 1)), "Warning 1");
        assert_eq!(found("a.txt", &"x".repeat(MOST + 1)), "Error 1");
    }
}

//! The `before:` block of a service: a command that runs once before any traffic moves. How it runs is the target's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::release::Span;

/// A command that runs once with the new version, before any traffic moves: a migration, say. It goes forward only: a
/// rollback does not run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Before {
    /// The command, a word an item, such as `["./migrate", "up"]`. No shell reads it. It takes the place of the container's
    /// command; the entry point stays.
    pub run: Words,
    /// How long it may take; then it is stopped, and the service ends failed with nothing moved.
    #[serde(default)]
    pub timeout: Limit,
    /// The container that it runs in. Left out: the container whose image is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// The words of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Value")]
#[schemars(with = "Vec<String>")]
pub struct Words(#[schemars(length(min = 1))] pub Vec<String>);

impl TryFrom<Value> for Words {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => words(items),
            Value::String(text) => Err(one_string(&text)),
            _ => Err("a command is a list of words, such as [\"./migrate\", \"up\"]".into()),
        }
    }
}

fn words(items: Vec<Value>) -> Result<Words, String> {
    let word = |item: Value| match item {
        Value::String(word) => Ok(word),
        other => Err(format!("{other} is no word of a command; put it in quotes")),
    };
    let words = items.into_iter().map(word).collect::<Result<Vec<_>, _>>()?;
    match words.first().map(String::as_str) {
        None | Some("") => Err("a command has at least one word".into()),
        Some(_) => Ok(Words(words)),
    }
}

fn one_string(text: &str) -> String {
    let list: Vec<String> = text.split_whitespace().map(|word| format!("\"{word}\"")).collect();
    format!("one string is no command, because no shell reads it; write a list: [{}]", list.join(", "))
}

impl Words {
    /// The command for people, on one line and not too long.
    pub fn shown(&self) -> String {
        let line = self.0.join(" ").replace(char::is_control, " ");
        match line.char_indices().nth(LONGEST) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line,
        }
    }
}

/// Characters of a command that people are shown.
const LONGEST: usize = 80;

/// How long a command may take: from a second to 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Span")]
#[schemars(with = "Span")]
pub struct Limit(pub Span);

impl TryFrom<Span> for Limit {
    type Error = String;

    fn try_from(span: Span) -> Result<Self, String> {
        let fits = span > Span::default() && span <= Span::minutes(24 * 60);
        fits.then_some(Self(span)).ok_or_else(|| format!("{span} is not between 1s and 24h"))
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(Span::minutes(15))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Document, Placeholders};

    fn read(before: &str) -> String {
        let text =
            format!("environments: {{ a: {{}} }}\nservices:\n  b:\n    ecs: {{}}\n    before: {before}\n");
        let document = Document::parse("f.yml", &text).unwrap();
        let (services, problems) = document.services("a", &[], &["ecs"], &Placeholders::new());
        match problems.first() {
            Some(problem) => format!("{}: {problem}", problem.at.as_ref().unwrap().line),
            None => {
                let before = services[0].common.before.clone().unwrap();
                format!("{} | {} | {:?}", before.run.shown(), before.timeout.0, before.container)
            }
        }
    }

    #[test]
    fn a_command_is_a_list_of_words() {
        let all = [
            "{ run: [./migrate, up] }",
            "{ run: [sh, -c, \"a\\nb\"], timeout: 90s, container: tools }",
            "{ run: ./migrate up }",
            "{ run: [] }",
            "{ run: [\"\"] }",
            "{ run: [sleep, 5] }",
            "{ run: { sh: x } }",
            "{ timeout: 5m }",
            "{ run: [a], timeout: 25h }",
            "{ run: [a], shell: true }",
        ];
        insta::assert_snapshot!(all.map(read).join("\n"), @r#"
        ./migrate up | 15m | None
        sh -c a b | 1m30s | Some("tools")
        5: `before.run` of service `b`: one string is no command, because no shell reads it; write a list: ["./migrate", "up"].
        5: `before.run` of service `b`: a command has at least one word.
        5: `before.run` of service `b`: a command has at least one word.
        5: `before.run` of service `b`: 5 is no word of a command; put it in quotes.
        5: `before.run` of service `b`: a command is a list of words, such as ["./migrate", "up"].
        5: `before` of service `b`: this key is missing: `run`.
        5: `before.timeout` of service `b`: 25h is not between 1s and 24h.
        5: `shell` is not a key of service `b` (in `before`). Known: `run`, `timeout`, `container`.
        "#);
    }

    #[test]
    fn a_long_command_is_cut_for_people() {
        let long = Words(vec!["ä".repeat(200)]);
        assert_eq!(long.shown().chars().count(), LONGEST + 1);
    }
}

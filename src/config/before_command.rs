//! The `before:` block of a service: a command that runs once before the traffic shift. The target runs it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::release::HumanDuration;

/// A command that runs once with the new version, before the traffic shift, such as a migration. A
/// rollback does not run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BeforeCommand {
    /// The command, one argument an item, such as `["./migrate", "up"]`. No shell interprets it. It replaces the
    /// container's
    /// command; the entry point stays.
    pub run: CommandLine,
    /// Time limit of the command. After it, the command is stopped, and the service fails without a traffic shift.
    #[serde(default)]
    pub timeout: CommandTimeout,
    /// The container that it runs in. Default: the container whose image is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// The arguments of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Value")]
#[schemars(with = "Vec<String>")]
pub struct CommandLine(#[schemars(length(min = 1))] pub Vec<String>);

impl TryFrom<Value> for CommandLine {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => parse_words(items),
            Value::String(text) => Err(single_string_error(&text)),
            _ => Err("a command is a list of arguments, such as [\"./migrate\", \"up\"]".into()),
        }
    }
}

fn parse_words(items: Vec<Value>) -> Result<CommandLine, String> {
    let word = |item: Value| match item {
        Value::String(word) => Ok(word),
        other => Err(format!("{other} is not a string; put it in quotes")),
    };
    let words = items.into_iter().map(word).collect::<Result<Vec<_>, _>>()?;
    match words.first().map(String::as_str) {
        None | Some("") => Err("a command has at least one argument".into()),
        Some(_) => Ok(CommandLine(words)),
    }
}

fn single_string_error(text: &str) -> String {
    let list: Vec<String> = text.split_whitespace().map(|word| format!("\"{word}\"")).collect();
    format!("a command is a list, because no shell splits it; write [{}]", list.join(", "))
}

impl CommandLine {
    /// The command for display, on one line and shortened.
    pub fn display(&self) -> String {
        let line = self.0.join(" ").replace(char::is_control, " ");
        match line.char_indices().nth(MAX_DISPLAY_CHARS) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line,
        }
    }
}

/// Maximum characters of a command for display.
const MAX_DISPLAY_CHARS: usize = 80;

/// The time limit of a command: from 1 second to 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "HumanDuration")]
#[schemars(with = "HumanDuration")]
pub struct CommandTimeout(pub HumanDuration);

impl TryFrom<HumanDuration> for CommandTimeout {
    type Error = String;

    fn try_from(span: HumanDuration) -> Result<Self, String> {
        let fits = span > HumanDuration::default() && span <= HumanDuration::from_minutes(24 * 60);
        fits.then_some(Self(span)).ok_or_else(|| format!("{span} is not between 1s and 24h"))
    }
}

impl Default for CommandTimeout {
    fn default() -> Self {
        Self(HumanDuration::from_minutes(15))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DeployFile, Placeholders};

    fn describe_block(before: &str) -> String {
        let text =
            format!("environments: {{ a: {{}} }}\nservices:\n  b:\n    ecs: {{}}\n    before: {before}\n");
        let document = DeployFile::parse("f.yml", &text).unwrap();
        let (services, problems) = document.services("a", &[], &["ecs"], &Placeholders::new());
        match problems.first() {
            Some(problem) => format!("{}: {problem}", problem.location.as_ref().unwrap().line),
            None => {
                let before = services[0].config.before.clone().unwrap();
                format!("{} | {} | {:?}", before.run.display(), before.timeout.0, before.container)
            }
        }
    }

    #[test]
    fn command_is_a_list_of_arguments() {
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
        insta::assert_snapshot!(all.map(describe_block).join("\n"), @r#"
        ./migrate up | 15m | None
        sh -c a b | 1m30s | Some("tools")
        5: `before.run` of service `b`: a command is a list, because no shell splits it; write ["./migrate", "up"].
        5: `before.run` of service `b`: a command has at least one argument.
        5: `before.run` of service `b`: a command has at least one argument.
        5: `before.run` of service `b`: 5 is not a string; put it in quotes.
        5: `before.run` of service `b`: a command is a list of arguments, such as ["./migrate", "up"].
        5: Missing key `run` in `before` of service `b`.
        5: `before.timeout` of service `b`: 25h is not between 1s and 24h.
        5: `shell` is not a key of service `b` (in `before`). Known: `run`, `timeout`, `container`.
        "#);
    }

    #[test]
    fn long_command_is_truncated_for_display() {
        let long = CommandLine(vec!["ä".repeat(200)]);
        assert_eq!(long.display().chars().count(), MAX_DISPLAY_CHARS + 1);
    }
}

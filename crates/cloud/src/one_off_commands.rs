//! How one-off commands end, as a scenario says it. `ecs/one_off.rs` runs them.

use schemars::JsonSchema;
use serde::Deserialize;

/// How matching commands end.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OneOffCommand {
    /// Only commands whose words, joined by blanks, contain this text.
    pub contains: String,
    /// Exit code.
    pub exit: i64,
    /// Seconds between RUNNING and the end.
    pub after: f64,
    /// Lines that it writes before it ends.
    pub logs: Vec<String>,
    /// Only this number of commands, the first ones.
    pub times: Option<u32>,
}

impl Default for OneOffCommand {
    fn default() -> Self {
        Self { contains: String::new(), exit: 0, after: 20.0, logs: vec!["done".into()], times: None }
    }
}

/// The commands of a scenario, and how often each was run.
#[derive(Debug, Clone, Default)]
pub struct OneOffCommands(Vec<(OneOffCommand, u32)>);

impl OneOffCommands {
    /// None of them was run yet.
    pub fn new(all: &[OneOffCommand]) -> Self {
        Self(all.iter().map(|command| (command.clone(), 0)).collect())
    }

    /// How a command ends that is run now: as the first says that fits, else well.
    pub fn take_matching(&mut self, words: &str) -> OneOffCommand {
        let fits = |(command, spent): &&mut (OneOffCommand, u32)| {
            words.contains(&command.contains) && command.times.is_none_or(|most| *spent < most)
        };
        self.0.iter_mut().find(fits).map_or_else(OneOffCommand::default, |(command, spent)| {
            *spent += 1;
            command.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_matching_command_decides_the_exit_code() {
        let failing =
            OneOffCommand { contains: "migrate".into(), exit: 3, times: Some(1), ..OneOffCommand::default() };
        let mut commands = OneOffCommands::new(&[failing]);
        let exits = ["seed", "./migrate up", "./migrate up"].map(|words| commands.take_matching(words).exit);
        assert_eq!(exits, [0, 3, 0]);
    }
}

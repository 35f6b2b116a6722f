//! How commands end that are run once, as a scenario says it. Who runs them is `ecs/one_off.rs`.

use serde::Deserialize;

/// How commands end that fit.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Command {
    /// Only commands whose words, joined by blanks, contain this text.
    pub contains: String,
    /// Exit code.
    pub exit: i64,
    /// Seconds between RUNNING and the end.
    pub after: f64,
    /// Lines that it writes before it ends.
    pub logs: Vec<String>,
    /// Only the first so many.
    pub times: Option<u32>,
}

impl Default for Command {
    fn default() -> Self {
        Self { contains: String::new(), exit: 0, after: 20.0, logs: vec!["done".into()], times: None }
    }
}

/// The commands of a scenario, and how often each was run.
#[derive(Debug, Clone, Default)]
pub struct Commands(Vec<(Command, u32)>);

impl Commands {
    /// None of them was run yet.
    pub fn new(all: &[Command]) -> Self {
        Self(all.iter().map(|command| (command.clone(), 0)).collect())
    }

    /// How a command ends that is run now: as the first says that fits, else well.
    pub fn next(&mut self, words: &str) -> Command {
        let fits = |(command, spent): &&mut (Command, u32)| {
            words.contains(&command.contains) && command.times.is_none_or(|most| *spent < most)
        };
        self.0.iter_mut().find(fits).map_or_else(Command::default, |(command, spent)| {
            *spent += 1;
            command.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_fits_says_how_a_command_ends() {
        let failing = Command { contains: "migrate".into(), exit: 3, times: Some(1), ..Command::default() };
        let mut commands = Commands::new(&[failing]);
        let exits = ["seed", "./migrate up", "./migrate up"].map(|words| commands.next(words).exit);
        assert_eq!(exits, [0, 3, 0]);
    }
}

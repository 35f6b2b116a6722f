//! Every command line of the README, the pages and the examples: the program takes it as it stands, and the rehearsals of them run.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;
use roadstead::cli::{Arguments, Command};

pub(crate) fn markdown_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders) =
        (vec![root.join("README.md")], vec![root.join("docs"), root.join("examples")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match (entry.is_dir(), entry.extension().is_some_and(|it| it == "md")) {
                (true, _) => folders.push(entry),
                (false, true) => found.push(entry),
                (false, false) => {}
            }
        }
    }
    found.sort();
    found
}

/// A command of a page.
struct PageCommand {
    path: PathBuf,
    words: Vec<String>,
    /// Whether it stands in a fence. A code span in a sentence may leave out what the command needs besides.
    is_fenced: bool,
}

/// The command lines in the fences of a page, continued lines joined, and those in code spans with an option; `true` for those
/// of a fence.
fn command_lines(page: &str) -> Vec<(String, bool)> {
    let joined = page.replace("\\\n", " ");
    let mut lines = Vec::new();
    let mut is_fenced = false;
    for line in joined.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced {
            lines.extend(after_program(line.trim()).map(|command| (command.to_owned(), true)));
        } else {
            let spans = line.split('`').skip(1).step_by(2).filter(|span| span.contains(" --"));
            lines.extend(spans.filter_map(after_program).map(|command| (command.to_owned(), false)));
        }
    }
    lines
}

/// The command from the name of the program on: variables before it are those of a shell.
fn after_program(line: &str) -> Option<&str> {
    let mut rest = line;
    while let Some((word, after)) = rest.split_once(' ') {
        if word == "roadstead" {
            return Some(rest);
        }
        let is_variable = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        });
        if !is_variable {
            return None;
        }
        rest = after;
    }
    None
}

/// The words of a command, without a comment, a pipe and a redirection. `$ids` of the pages stands for two numbers.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap_or_default();
    let line = line.split(" | ").next().unwrap_or_default().split(" > ").next().unwrap_or_default();
    let line = line.replace("$ids", "--owner-id 1 --repository-id 2");
    line.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect()
}

fn all_commands() -> Vec<PageCommand> {
    let mut all = Vec::new();
    for path in markdown_files() {
        let page = fs::read_to_string(&path).unwrap();
        // A form with alternatives or dots is no command line.
        let is_form = |line: &String| line.contains(['…', '[', '{', '|']) && !line.contains(" | ");
        let lines = command_lines(&page).into_iter().filter(|(line, _)| !is_form(line));
        all.extend(lines.map(|(line, is_fenced)| PageCommand {
            path: path.clone(),
            words: words(&line),
            is_fenced,
        }));
    }
    all
}

#[test]
fn every_command_line_is_taken_as_it_stands() {
    let all = all_commands();
    assert!(all.len() > 30, "{}", all.len());
    for PageCommand { path, words, is_fenced } in all {
        // `--help` and `--version` are no commands, and go to the standard output.
        let is_fault = |error: &clap::Error| {
            error.use_stderr() && (is_fenced || error.kind() != ErrorKind::MissingRequiredArgument)
        };
        if let Some(error) = Arguments::try_parse_from(&words).err().filter(is_fault) {
            panic!("{}: {}\n{error}", path.display(), words.join(" "));
        }
    }
}

#[test]
fn built_in_rehearsals_of_the_pages_run() {
    let known = |name: &str| roadstead_cloud::builtin::find_builtin(name).is_some();
    let mut count = 0;
    for PageCommand { path, words, .. } in all_commands() {
        let Ok(Arguments { command: Command::Rehearse(options) }) = Arguments::try_parse_from(&words) else {
            continue;
        };
        if !known(&options.scenario) || options.config.is_some() || options.list {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_roadstead"))
            .args(&words[1..])
            .current_dir(&folder)
            .env_clear()
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let code = output.status.code().unwrap();
        assert!(
            [0, 3, 4, 130].contains(&code) && text.starts_with("Rehearsing `"),
            "{}: {words:?}\n{text}",
            path.display()
        );
        count += 1;
    }
    assert!(count > 2, "{count}");
}

//! The page of IAM: under each command that it shows stands what that command prints. `UPDATE=1` writes the page anew.

use std::fs;
use std::path::Path;

use clap::Parser as _;
use roadstead::cli::{self, Arguments, Command};

const PAGE: &str = "docs/iam.md";

/// What a command line of the page prints.
fn printed(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let parsed = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
    match parsed.command {
        Command::Trust(options) => cli::trust::trust(&options).unwrap(),
        Command::Policy(options) => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let path = root.join(&options.config);
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            cli::policy::policy(path.parent().unwrap(), &options.config, &text, &options.environment).unwrap()
        }
        other => panic!("{line}: {other:?} prints no policy"),
    }
}

/// The page with the output of each command in the fence below it, and how many commands it has.
fn anew(page: &str) -> (String, usize) {
    let (mut made, mut rest, mut commands) = (String::new(), page, 0);
    const BETWEEN: &str = "\n```\n\n```json\n";
    while let Some((before, after)) = rest.split_once(BETWEEN) {
        let line = before.lines().last().unwrap_or_default();
        let (old, after) = match after.strip_prefix("```") {
            Some(after) => ("", after),
            None => after.split_once("\n```").unwrap(),
        };
        let new = if line.starts_with("roadstead ") { printed(line) } else { old.to_owned() };
        commands += usize::from(line.starts_with("roadstead "));
        made += &format!("{before}{BETWEEN}{new}\n```");
        rest = after;
    }
    (made + rest, commands)
}

#[test]
fn under_each_command_stands_what_it_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (new, commands) = anew(&page);
    assert!(commands >= 2, "{PAGE} shows no command");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &new).unwrap();
    } else {
        assert!(new == page, "{PAGE} is not what the commands print: UPDATE=1 cargo test --test main iam");
    }
}

#[test]
fn an_output_that_is_not_the_commands_is_found() {
    let page = "```sh\nroadstead trust --repository a/b --branch main --account 111111111111\n```\n\n```json\n{}\n```\n\nend\n";
    let (new, commands) = anew(page);
    assert_eq!(commands, 1);
    assert!(
        new != page && new.contains("repo:a/b:ref:refs/heads/main") && new.ends_with("}\n```\n\nend\n"),
        "{new}"
    );
    assert_eq!(anew(&new).0, new);
}

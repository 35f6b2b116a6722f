//! The runner's files: outputs, state and summary, the entries of one call in one append. A failed write is a reported
//! problem, and never changes the result.

use std::path::{Path, PathBuf};

use super::contract;
use super::nonce::nonce;
use crate::problem::{Code, Problem};
use crate::sys::disk;
use crate::sys::environment::Variables;

/// Keys that the main step may pass to the post step.
pub const STATE_KEYS: &[&str] = &["walk", "outcome"];

/// Paths of the runner's files; `None` outside a runner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunnerFiles {
    output_path: Option<PathBuf>,
    state_path: Option<PathBuf>,
    summary_path: Option<PathBuf>,
}

impl RunnerFiles {
    /// Reads the paths.
    pub fn from_variables(variables: &Variables) -> Self {
        let path = |name: &str| variables.get(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self {
            output_path: path("GITHUB_OUTPUT"),
            state_path: path("GITHUB_STATE"),
            summary_path: path("GITHUB_STEP_SUMMARY"),
        }
    }

    /// Appends outputs; a later value overrides an earlier one. Problems are warnings, and the entries that
    /// can be written are written.
    pub fn write_outputs<K: AsRef<str>, V: AsRef<str>>(&self, pairs: &[(K, V)]) -> Vec<Problem> {
        append_all("GITHUB_OUTPUT", self.output_path.as_deref(), pairs, contract::is_output)
    }

    /// Appends state for the post step; see [`STATE`].
    pub fn write_state<K: AsRef<str>, V: AsRef<str>>(&self, pairs: &[(K, V)]) -> Vec<Problem> {
        append_all("GITHUB_STATE", self.state_path.as_deref(), pairs, |key| STATE_KEYS.contains(&key))
    }

    /// The state that was appended, as the post step gets it. An error if the file cannot be read.
    pub fn read_state(&self) -> anyhow::Result<Variables> {
        let Some(path) = &self.state_path else { return Ok(Variables::new()) };
        if !disk::exists(path) {
            return Ok(Variables::new());
        }
        Ok(parse_entries(&disk::read_text(path)?))
    }

    /// Appends to the job summary.
    pub fn write_summary(&self, markdown: &str) -> Vec<Problem> {
        let write = |path: &Path| append_text("GITHUB_STEP_SUMMARY", path, markdown);
        self.summary_path.as_deref().and_then(write).into_iter().collect()
    }
}

/// The value of `key` that the main step saved for the post step.
pub fn saved_state<'a>(variables: &'a Variables, key: &str) -> Option<&'a str> {
    variables.get(&format!("STATE_{key}")).map(String::as_str).filter(|value| !value.is_empty())
}

/// The entries of a state file, under the names that the post step sees. A later value overrides an earlier one.
fn parse_entries(text: &str) -> Variables {
    let (mut entries, mut lines) = (Variables::new(), text.split('\n'));
    while let Some(line) = lines.next() {
        let Some((key, delimiter)) = line.split_once("<<") else { continue };
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
        entries.insert(format!("STATE_{key}"), value.join("\n"));
    }
    entries
}

fn append_all<K: AsRef<str>, V: AsRef<str>>(
    file: &str,
    path: Option<&Path>,
    pairs: &[(K, V)],
    allowed: impl Fn(&str) -> bool,
) -> Vec<Problem> {
    let Some(path) = path else { return Vec::new() };
    let (mut text, mut problems) = (String::new(), Vec::new());
    for (key, value) in pairs {
        match format_entry(key.as_ref(), value.as_ref(), &nonce(), &allowed) {
            Ok(entry) => text += &entry,
            Err(why) => problems.push(unwritable_problem(file).cause(why)),
        }
    }
    problems.extend(append_text(file, path, &text));
    problems
}

fn append_text(file: &str, path: &Path, text: &str) -> Option<Problem> {
    let error = disk::append(path, text.as_bytes()).err()?;
    Some(unwritable_problem(file).cause(format!("{error:#}")))
}

fn unwritable_problem(file: &str) -> Problem {
    Problem::warning(Code::RunnerFileUnwritable, format!("The runner's file {file} cannot be written."))
        .help("The deployment is not affected, and the values are in the log. Check the free disk space and the permissions of the runner.")
}

/// One entry in the form `key<<delimiter`, the only form for any value. An error if the key is not on the list or
/// the value contains the delimiter.
fn format_entry(
    key: &str,
    value: &str,
    nonce: &str,
    allowed: impl Fn(&str) -> bool,
) -> Result<String, String> {
    if !allowed(key) {
        return Err(format!("`{key}` is not a key that may be written"));
    }
    let delimiter = format!("ghadelimiter_{nonce}");
    if value.contains(&delimiter) {
        return Err(format!("the value of `{key}` contains the delimiter"));
    }
    Ok(format!("{key}<<{delimiter}\n{value}\n{delimiter}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runner's parser of such a file on Linux, reimplemented from its source (actions/runner,
    /// src/Runner.Worker/FileCommandManager.cs).
    fn runner_reads(text: &str) -> Result<Vec<(String, String)>, String> {
        let (mut pairs, mut rest) = (Vec::new(), text);
        while let Some((line, after)) = next_line(rest) {
            rest = after;
            let (equals, heredoc) = (line.find('='), line.find("<<"));
            match (equals, heredoc) {
                _ if line.is_empty() => {}
                (Some(equals), heredoc) if heredoc.is_none_or(|at| equals < at) => {
                    pairs.push((line[..equals].to_owned(), line[equals + 1..].to_owned()));
                }
                (_, Some(at)) => {
                    let (key, delimiter) = (&line[..at], &line[at + 2..]);
                    let (value, after) = heredoc_value(rest, delimiter)?;
                    pairs.push((key.to_owned(), value));
                    rest = after;
                }
                _ => return Err(format!("Invalid format '{line}'")),
            }
        }
        Ok(pairs)
    }

    fn next_line(text: &str) -> Option<(&str, &str)> {
        (!text.is_empty()).then(|| text.split_once('\n').unwrap_or((text, "")))
    }

    fn heredoc_value<'a>(text: &'a str, delimiter: &str) -> Result<(String, &'a str), String> {
        let (mut rest, mut end) = (text, 0);
        while let Some((line, after)) = next_line(rest) {
            if line == delimiter {
                return Ok((text[..end].to_owned(), after));
            }
            end = text.len() - after.len() - 1;
            rest = after;
        }
        Err(format!("Matching delimiter not found '{delimiter}'"))
    }

    fn files(folder: &Path) -> RunnerFiles {
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        RunnerFiles::from_variables(
            &[
                ("GITHUB_OUTPUT".to_owned(), path("output")),
                ("GITHUB_STATE".to_owned(), path("state")),
                ("GITHUB_STEP_SUMMARY".to_owned(), path("summary")),
            ]
            .into(),
        )
    }

    #[test]
    fn outputs_state_and_summary_are_appended_to_their_files() {
        let folder = disk::private_folder().unwrap();
        let files = files(folder.path());
        assert_eq!(files.write_outputs(&[("outcome", "deployed"), ("version", "")]), []);
        assert_eq!(files.write_outputs(&[("outcome", "failed")]), []);
        assert_eq!(files.write_state(&[("walk", "{\n}")]), []);
        assert_eq!(files.write_summary("# Hello\n"), []);
        let read = |name: &str| disk::read_text(&folder.path().join(name)).unwrap();
        let pairs = runner_reads(&read("output")).unwrap();
        let expected = [("outcome", "deployed"), ("version", ""), ("outcome", "failed")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(runner_reads(&read("state")).unwrap()[0].1, "{\n}");
        assert_eq!(files.write_state(&[("outcome", "failed"), ("walk", "later")]), []);
        let state = files.read_state().unwrap();
        assert_eq!(
            (saved_state(&state, "walk"), saved_state(&state, "outcome")),
            (Some("later"), Some("failed"))
        );
        assert_eq!(read("summary"), "# Hello\n");
    }

    #[test]
    fn unwritable_file_is_a_warning() {
        let files = files(Path::new("/nowhere/at/all"));
        for problems in [
            files.write_outputs(&[("outcome", "deployed")]),
            files.write_summary("x"),
            files.write_state(&[("walk", "")]),
        ] {
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].code, Code::RunnerFileUnwritable);
            assert!(!problems[0].is_error() && problems[0].cause.as_ref().unwrap().contains("/nowhere"));
        }
    }

    /// Such a write could block, and with it the rollback.
    #[test]
    fn file_that_is_not_a_regular_file_is_a_warning() {
        let folder = disk::private_folder().unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(folder.path().join("summary")).unwrap();
        let problems = files(folder.path()).write_summary("x");
        assert!(problems[0].cause.as_ref().unwrap().contains("is a socket"), "{problems:?}");
    }

    #[test]
    fn unknown_key_is_not_written() {
        let folder = disk::private_folder().unwrap();
        let problems = files(folder.path()).write_outputs(&[("PATH", "/evil"), ("outcome", "deployed")]);
        assert_eq!(problems.len(), 1);
        let text = disk::read_text(&folder.path().join("output")).unwrap();
        assert_eq!(runner_reads(&text).unwrap(), [("outcome".to_owned(), "deployed".to_owned())]);
    }

    #[test]
    fn without_runner_files_nothing_is_written_and_no_problem_is_reported() {
        let files = RunnerFiles::from_variables(&Variables::new());
        assert_eq!(files.write_outputs(&[("outcome", "deployed")]), []);
        assert_eq!(files.write_summary("x"), []);
    }

    #[test]
    fn value_with_the_delimiter_is_rejected() {
        assert!(format_entry("outcome", "a\nghadelimiter_00\nPATH=x", "00", |_| true).is_err());
    }

    #[test]
    fn saved_state_is_read_back() {
        let variables: Variables =
            [("STATE_walk".to_owned(), "{}".to_owned()), ("STATE_outcome".to_owned(), String::new())].into();
        assert_eq!((saved_state(&variables, "walk"), saved_state(&variables, "outcome")), (Some("{}"), None));
    }

    proptest::proptest! {
        #[test]
        fn the_runner_reads_back_every_value(value in "(\\PC|\n|\r|=|<<|ghadelimiter_|PATH=x\n){0,30}") {
            let text = format_entry("services", &value, "0123", |_| true).unwrap();
            let text = format!("{text}{}", format_entry("outcome", "x", "4567", |_| true).unwrap());
            let pairs = runner_reads(&text).unwrap();
            proptest::prop_assert_eq!(pairs, [("services".to_owned(), value), ("outcome".to_owned(), "x".to_owned())]);
        }
    }
}

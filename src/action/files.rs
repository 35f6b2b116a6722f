//! The runner's files: outputs, state and summary, each entry in one append. What cannot be written is a problem to
//! tell, never another result.

use std::path::{Path, PathBuf};

use super::nonce::nonce;
use super::table;
use crate::problem::{Code, Problem};
use crate::sys::disk;
use crate::sys::environment::Variables;

/// What may be handed from the main step to the post step, by key.
pub const STATE: &[&str] = &["walk", "outcome"];

/// Paths of the runner's files; `None` outside a runner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunnerFiles {
    output: Option<PathBuf>,
    state: Option<PathBuf>,
    summary: Option<PathBuf>,
}

impl RunnerFiles {
    /// Reads the paths.
    pub fn read(variables: &Variables) -> Self {
        let path = |name: &str| variables.get(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self {
            output: path("GITHUB_OUTPUT"),
            state: path("GITHUB_STATE"),
            summary: path("GITHUB_STEP_SUMMARY"),
        }
    }

    /// Appends outputs, so that a later value wins over an earlier one. Problems are warnings, and the entries that
    /// can be written are written.
    pub fn outputs<K: AsRef<str>, V: AsRef<str>>(&self, pairs: &[(K, V)]) -> Vec<Problem> {
        append_all("GITHUB_OUTPUT", self.output.as_deref(), pairs, table::is_output)
    }

    /// Appends state for the post step; see [`STATE`].
    pub fn state<K: AsRef<str>, V: AsRef<str>>(&self, pairs: &[(K, V)]) -> Vec<Problem> {
        append_all("GITHUB_STATE", self.state.as_deref(), pairs, |key| STATE.contains(&key))
    }

    /// Appends to the job summary.
    pub fn summary(&self, markdown: &str) -> Vec<Problem> {
        let write = |path: &Path| append("GITHUB_STEP_SUMMARY", path, markdown);
        self.summary.as_deref().and_then(write).into_iter().collect()
    }
}

/// What the main step left for the post step under `key`.
pub fn saved<'a>(variables: &'a Variables, key: &str) -> Option<&'a str> {
    variables.get(&format!("STATE_{key}")).map(String::as_str).filter(|value| !value.is_empty())
}

fn append_all<K: AsRef<str>, V: AsRef<str>>(
    file: &str,
    path: Option<&Path>,
    pairs: &[(K, V)],
    allowed: impl Fn(&str) -> bool,
) -> Vec<Problem> {
    let Some(path) = path else { return Vec::new() };
    let one = |(key, value): &(K, V)| match entry(key.as_ref(), value.as_ref(), &nonce(), &allowed) {
        Ok(text) => append(file, path, &text),
        Err(why) => Some(unwritable(file).cause(why)),
    };
    pairs.iter().filter_map(one).collect()
}

fn append(file: &str, path: &Path, text: &str) -> Option<Problem> {
    let error = disk::append(path, text.as_bytes()).err()?;
    Some(unwritable(file).cause(format!("{error:#}")))
}

fn unwritable(file: &str) -> Problem {
    Problem::warning(Code::RunnerFileUnwritable, format!("The runner's file {file} cannot be written."))
        .help("What was deployed is not affected; the values stand in the log.")
}

/// One entry in the form `key<<delimiter`, which alone can hold any value. Errors where the key is not on the list or
/// the value has the delimiter in it.
fn entry(key: &str, value: &str, nonce: &str, allowed: impl Fn(&str) -> bool) -> Result<String, String> {
    if !allowed(key) {
        return Err(format!("`{key}` is not a key that may be written"));
    }
    let delimiter = format!("ghadelimiter_{nonce}");
    if value.contains(&delimiter) {
        return Err(format!("the value of `{key}` has the delimiter in it"));
    }
    Ok(format!("{key}<<{delimiter}\n{value}\n{delimiter}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the runner on Linux reads such a file, written anew from its source (actions/runner,
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
        RunnerFiles::read(
            &[
                ("GITHUB_OUTPUT".to_owned(), path("output")),
                ("GITHUB_STATE".to_owned(), path("state")),
                ("GITHUB_STEP_SUMMARY".to_owned(), path("summary")),
            ]
            .into(),
        )
    }

    #[test]
    fn outputs_state_and_summary_land_in_their_files() {
        let folder = disk::private_folder().unwrap();
        let files = files(folder.path());
        assert_eq!(files.outputs(&[("outcome", "deployed"), ("version", "")]), []);
        assert_eq!(files.outputs(&[("outcome", "failed")]), []);
        assert_eq!(files.state(&[("walk", "{\n}")]), []);
        assert_eq!(files.summary("# Hello\n"), []);
        let read = |name: &str| disk::read_text(&folder.path().join(name)).unwrap();
        let pairs = runner_reads(&read("output")).unwrap();
        let expected = [("outcome", "deployed"), ("version", ""), ("outcome", "failed")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(runner_reads(&read("state")).unwrap()[0].1, "{\n}");
        assert_eq!(read("summary"), "# Hello\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_a_warning() {
        let files = files(Path::new("/nowhere/at/all"));
        for problems in
            [files.outputs(&[("outcome", "deployed")]), files.summary("x"), files.state(&[("walk", "")])]
        {
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].code, Code::RunnerFileUnwritable);
            assert!(!problems[0].is_error() && problems[0].cause.as_ref().unwrap().contains("/nowhere"));
        }
    }

    #[test]
    fn a_key_that_is_not_on_the_list_is_not_written() {
        let folder = disk::private_folder().unwrap();
        let problems = files(folder.path()).outputs(&[("PATH", "/evil"), ("outcome", "deployed")]);
        assert_eq!(problems.len(), 1);
        let text = disk::read_text(&folder.path().join("output")).unwrap();
        assert_eq!(runner_reads(&text).unwrap(), [("outcome".to_owned(), "deployed".to_owned())]);
    }

    #[test]
    fn on_a_laptop_nothing_is_written_and_nothing_is_wrong() {
        let files = RunnerFiles::read(&Variables::new());
        assert_eq!(files.outputs(&[("outcome", "deployed")]), []);
        assert_eq!(files.summary("x"), []);
    }

    #[test]
    fn a_value_with_the_delimiter_is_refused() {
        assert!(entry("outcome", "a\nghadelimiter_00\nPATH=x", "00", |_| true).is_err());
    }

    #[test]
    fn state_is_read_back() {
        let variables: Variables =
            [("STATE_walk".to_owned(), "{}".to_owned()), ("STATE_outcome".to_owned(), String::new())].into();
        assert_eq!((saved(&variables, "walk"), saved(&variables, "outcome")), (Some("{}"), None));
    }

    proptest::proptest! {
        #[test]
        fn the_runner_reads_back_every_value(value in "(\\PC|\n|\r|=|<<|ghadelimiter_|PATH=x\n){0,30}") {
            let text = entry("services", &value, "0123", |_| true).unwrap();
            let text = format!("{text}{}", entry("outcome", "x", "4567", |_| true).unwrap());
            let pairs = runner_reads(&text).unwrap();
            proptest::prop_assert_eq!(pairs, [("services".to_owned(), value), ("outcome".to_owned(), "x".to_owned())]);
        }
    }
}

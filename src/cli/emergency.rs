//! The report of a run that cannot report itself: a bug ended it, it does not respond, or its time is over. It uses nothing
//! of the run, and reads only what the run saved for the post step.

use crate::action::GithubContext;
use crate::action::files::RunnerFiles;
use crate::problem::{Code, Problem};
use crate::release::Outcome;
use crate::report::RunReport;
use crate::run::{self, ProgressLog, SavedChanges};
use crate::sys::clock::Clock;
use crate::sys::environment::Variables;
use crate::sys::supervisor::Ending;
use crate::sys::terminal;

use super::finish;

/// The exit code of a run that ended like this; the report is written unless the run wrote it.
pub(super) fn conclude(ending: Ending, variables: &Variables) -> u8 {
    let problem = match ending {
        Ending::Finished(code) => return code,
        Ending::Panicked(place) => panic_problem(&place),
        Ending::Unresponsive => unresponsive_problem(),
        Ending::Overdue => overdue_problem(),
    };
    let files = RunnerFiles::from_variables(variables);
    let context = GithubContext::from_variables(variables);
    let changes = KnownChanges::read(&context, &files, variables);
    let clock = Clock::real();
    let log = ProgressLog::new(context.in_runner, clock, terminal::stdout_line);
    let operation = variables.get("INPUT_OPERATION").filter(|name| !name.is_empty());
    let operation = operation.map_or("deploy", String::as_str);
    let report = run::blank_report(changes.outcome(problem.code), operation, clock.now(), &context);
    let reason = Some(changes.describe().to_owned());
    finish::finish(&log, &files, &RunReport { problems: vec![problem], reason, ..report })
}

/// What is known of the changes of a run that cannot tell; `None` if nothing: outside of a runner no state is saved.
struct KnownChanges(Option<SavedChanges>);

impl KnownChanges {
    /// The post step gets the state of the main step in its variables; its own file is empty.
    fn read(context: &GithubContext, files: &RunnerFiles, variables: &Variables) -> Self {
        let is_post_step = variables.keys().any(|name| name.starts_with("STATE_"));
        let state = if is_post_step { Some(variables.clone()) } else { files.read_state().ok() };
        let state = state.filter(|_| context.in_runner);
        Self(state.and_then(|state| run::saved_changes(&state)))
    }

    fn outcome(&self, code: Code) -> Outcome {
        match (self.0, code) {
            (Some(SavedChanges::None), Code::Cancelled) => Outcome::Cancelled,
            (Some(SavedChanges::None), _) => Outcome::Failed,
            (Some(SavedChanges::InProgress | SavedChanges::Ended) | None, _) => Outcome::Stranded,
        }
    }

    fn describe(&self) -> &'static str {
        match self.0 {
            Some(SavedChanges::None) => "the run ended before its first change",
            Some(SavedChanges::InProgress) => "the run ended during a change; see which version serves",
            Some(SavedChanges::Ended) => {
                "the run ended before it reported its changes; see which version serves"
            }
            None => "the run ended, and whether something was changed is not known; see which version serves",
        }
    }
}

fn panic_problem(place: &str) -> Problem {
    Problem::error(
        Code::Internal,
        format!("Roadstead stopped because of an error in its program, at {place}."),
    )
    .help("Run the job again. If it happens again, report it with this place and the log.")
}

fn unresponsive_problem() -> Problem {
    Problem::error(Code::Cancelled, "The job was cancelled, and the run did not end within its time.")
        .help("See which version serves. Check the disk and the network of the runner.")
}

fn overdue_problem() -> Problem {
    Problem::error(Code::TimedOut, "The run did not end within the input `timeout`.").help(
        "See which version serves. Check the disk and the network of the runner, or give `timeout` more.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::disk;

    fn outputs(ending: Ending, state: &str) -> (u8, String, String) {
        let folder = disk::private_folder().unwrap();
        let path = |name: &str| folder.path().join(name);
        let variables: Variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_OUTPUT", path("output").display().to_string()),
            ("GITHUB_STATE", path("state").display().to_string()),
            ("GITHUB_STEP_SUMMARY", path("summary").display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let saved = RunnerFiles::from_variables(&variables);
        if !state.is_empty() {
            assert_eq!(saved.write_state(&[("walk", state)]), []);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let code = runtime.block_on(async { conclude(ending, &variables) });
        let read = |name: &str| disk::read_text(&path(name)).unwrap_or_default();
        let outcome = read("output").lines().nth(1).unwrap_or_default().to_owned();
        (code, outcome, read("summary").lines().next().unwrap_or_default().to_owned())
    }

    #[test]
    fn run_that_reported_itself_is_not_reported_again() {
        assert_eq!(outputs(Ending::Finished(5), ""), (5, String::new(), String::new()));
    }

    #[test]
    fn outcome_tells_whether_something_may_have_changed() {
        let moving = r#"{"environment":"production","services":[{"service":"web","requested_version":"web:2","rollout":null,"rollback_to":"web:1","ended":false}]}"#;
        let ended = moving.replace("false", "true");
        let panicked = || Ending::Panicked("src/x.rs:1:2".into());
        let mut table = Vec::new();
        for (ending, state) in [
            (panicked(), ""),
            (panicked(), moving),
            (panicked(), &ended),
            (Ending::Unresponsive, ""),
            (Ending::Unresponsive, moving),
            (Ending::Overdue, ""),
            (Ending::Overdue, moving),
        ] {
            let (code, outcome, headline) = outputs(ending, state);
            table.push(format!("{code} {outcome} {headline}"));
        }
        insta::assert_snapshot!(table.join("\n"), @r"
        3 failed ## ❌ failed before anything was changed — the run ended before its first change
        4 stranded ## 🚨 manual action required — the run ended during a change; see which version serves
        4 stranded ## 🚨 manual action required — the run ended before it reported its changes; see which version serves
        130 cancelled ## 🛑 cancelled before anything was changed — the run ended before its first change
        4 stranded ## 🚨 manual action required — the run ended during a change; see which version serves
        3 failed ## ❌ failed before anything was changed — the run ended before its first change
        4 stranded ## 🚨 manual action required — the run ended during a change; see which version serves
        ");
    }
}

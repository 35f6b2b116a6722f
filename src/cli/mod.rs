//! The command line: the operations on a laptop, and the wiring of adapters. Decides nothing about a release.

pub mod action_step;
mod arguments;
mod cloud;
mod edit;
mod emergency;
mod finish;
pub mod init;
mod judge;
mod live;
mod place;
pub mod policy;
pub mod rehearse;
mod schema;
pub mod trust;

use std::ffi::OsString;
use std::time::Duration;

use clap::Parser as _;

use crate::sys::environment::Variables;
use crate::sys::supervisor::{self, Supervision};
use crate::sys::terminal;

pub use arguments::{Arguments, Command, InitOptions, TrustOptions};
use arguments::{PlanOptions, PromoteOptions, ReleaseOptions, RollbackOptions, SetEnvOptions};
use live::OperationArgs;
pub use schema::{scenario_schema, schema};

/// Runs the operation of the arguments (the program's name first) and variables; returns the exit code.
///
/// In a runner (`GITHUB_ACTIONS=true`) without arguments the inputs are read from `INPUT_*`; under a name that ends
/// in `-post` it is the post step.
pub fn main(arguments: &[String], variables: Variables) -> u8 {
    let name = arguments.first().map(String::as_str).unwrap_or_default();
    let in_runner = variables.get("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    if name.ends_with("-post") {
        return supervised(variables, live::run_post);
    }
    if in_runner && arguments.len() == 1 {
        return supervised(variables, live::run_action);
    }
    match Arguments::try_parse_from(arguments.iter().map(OsString::from)) {
        Ok(parsed) => match Release::from_command(parsed.command) {
            Err(Command::Versions(options)) => {
                supervised(variables, |io, variables| live::run_versions(*options, io, variables))
            }
            Ok(release) => supervised(variables, |io, variables| live::run_release(release, io, variables)),
            Err(command) => flushed(|| run_command(command, variables)),
        },
        Err(error) => flushed(|| {
            terminal::stdout_line(error.to_string().trim_end());
            if error.use_stderr() { 2 } else { 0 }
        }),
    }
}

/// A command that releases something, or could: signals and the time are watched while it runs.
struct Release {
    operation: String,
    options: ReleaseOptions,
    extra: OperationArgs,
}

impl Release {
    /// The release of a command, or the command if it is another.
    fn from_command(command: Command) -> Result<Self, Command> {
        let plain = |operation: &str, options: Box<ReleaseOptions>| Self {
            operation: operation.to_owned(),
            options: *options,
            extra: OperationArgs::default(),
        };
        Ok(match command {
            Command::Deploy(options) => plain("deploy", options),
            Command::Plan(options) => {
                let PlanOptions { operation, to, set, release } = *options;
                let set = Some(set.join("\n")).filter(|lines| !lines.is_empty());
                let operation = operation.filter(|operation| operation != "deploy");
                let operation = operation.map_or("plan".to_owned(), |operation| format!("plan {operation}"));
                Self { operation, options: release, extra: OperationArgs { to, set } }
            }
            Command::Verify(options) => plain("verify", options),
            Command::Rollback(options) => {
                let RollbackOptions { to, release } = *options;
                let extra = OperationArgs { to, ..OperationArgs::default() };
                Self { operation: "rollback".into(), options: release, extra }
            }
            Command::SetEnv(options) => {
                let SetEnvOptions { set, release } = *options;
                let extra = OperationArgs { set: Some(set.join("\n")), ..OperationArgs::default() };
                Self { operation: "set-env".into(), options: release, extra }
            }
            Command::Promote(options) => {
                let PromoteOptions { to, release } = *options;
                let extra = OperationArgs { to, ..OperationArgs::default() };
                Self { operation: "promote".into(), options: release, extra }
            }
            other => return Err(other),
        })
    }
}

fn run_command(command: Command, variables: Variables) -> u8 {
    match command {
        Command::Edit(options) => edit::main(&options),
        Command::Init(options) => block_on_local(live::run_init(&options, variables)),
        Command::Trust(options) => trust::main(&options),
        Command::Policy(options) => policy::main(&options),
        Command::Rehearse(options) => rehearse::main(&options),
        Command::Cloud(options) => block_on_local(cloud::serve(options)),
        Command::Judge(options) => judge::main(&options),
        Command::Schema(options) => {
            terminal::stdout_line(&if options.scenario { scenario_schema() } else { schema() });
            0
        }
        Command::Deploy(_)
        | Command::Plan(_)
        | Command::Rollback(_)
        | Command::SetEnv(_)
        | Command::Promote(_)
        | Command::Versions(_)
        | Command::Verify(_) => 2,
    }
}

/// How long the reader of the log is waited for: in a runner it is a program, on a laptop it may be a person.
const RUNNER_OUTPUT_LIMIT: Duration = Duration::from_secs(5);
const LAPTOP_OUTPUT_LIMIT: Duration = Duration::from_secs(3600);

/// Runs `work` on a thread of its own, and reports how it ended if it cannot.
fn supervised<W: Future<Output = u8>>(
    variables: Variables,
    work: impl FnOnce(Supervision, Variables) -> W + Send + 'static,
) -> u8 {
    let in_runner = variables.get("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    let output_limit = if in_runner { RUNNER_OUTPUT_LIMIT } else { LAPTOP_OUTPUT_LIMIT };
    supervise(output_limit, variables, move |supervision, variables| {
        block_on_local(work(supervision, variables))
    })
}

/// As `supervised`, for work that needs no runtime.
pub fn supervise(
    output_limit: Duration,
    variables: Variables,
    work: impl FnOnce(Supervision, Variables) -> u8 + Send + 'static,
) -> u8 {
    let own = variables.clone();
    let run = move |supervision| work(supervision, own);
    let code = supervisor::supervise(output_limit, run, |ending| emergency::conclude(ending, &variables));
    code.unwrap_or_else(|error| {
        terminal::stdout_line(&format!("the runtime cannot start: {error}"));
        1
    })
}

/// Runs a command to its end, and waits for the reader of its output.
fn flushed(work: impl FnOnce() -> u8) -> u8 {
    let code = work();
    terminal::flush();
    code
}

/// Runs on one thread: nothing is shared between threads, so nothing needs a lock.
fn block_on_local(work: impl Future<Output = u8>) -> u8 {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = tokio::task::LocalSet::new().block_on(&runtime, work);
            // A name that is still being resolved must not be waited for.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            terminal::stdout_line(&format!("the runtime cannot start: {error}"));
            1
        }
    }
}

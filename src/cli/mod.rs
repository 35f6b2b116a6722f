//! The command line: the same operations on a laptop, and the wiring of adapters. No decision about a release.

mod arguments;
mod cloud;
mod edit;
mod finish;
pub mod init;
mod judge;
mod live;
pub mod policy;
pub mod rehearse;
mod schema;
pub mod step;
pub mod trust;

use std::ffi::OsString;

use clap::Parser as _;

use crate::sys::environment::Variables;
use crate::sys::terminal;

pub use arguments::{Arguments, Command, InitOptions, TrustOptions};
use arguments::{PromoteOptions, RollbackOptions, SetEnvOptions};
use live::Extra;
pub use schema::schema;

/// Runs what the arguments (the program's name first) and the variables ask for; the result is the exit code.
///
/// In a runner (`GITHUB_ACTIONS=true`) without arguments the inputs are read from `INPUT_*`; under a name that ends
/// in `-post` it is the post step.
pub fn main(arguments: &[String], variables: Variables) -> u8 {
    let name = arguments.first().map(String::as_str).unwrap_or_default();
    let in_runner = variables.get("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    if name.ends_with("-post") {
        return on_this_thread(live::post(variables));
    }
    if in_runner && arguments.len() == 1 {
        return on_this_thread(live::action(variables));
    }
    match Arguments::try_parse_from(arguments.iter().map(OsString::from)) {
        Ok(parsed) => command(parsed.command, variables),
        Err(error) => {
            terminal::line(error.to_string().trim_end());
            if error.use_stderr() { 2 } else { 0 }
        }
    }
}

fn command(command: Command, variables: Variables) -> u8 {
    match command {
        Command::Deploy(options) => {
            on_this_thread(live::command("deploy", *options, Extra::default(), variables))
        }
        Command::Plan(options) => {
            on_this_thread(live::command("plan", *options, Extra::default(), variables))
        }
        Command::Rollback(options) => {
            let RollbackOptions { to, release } = *options;
            let extra = Extra { to, ..Extra::default() };
            on_this_thread(live::command("rollback", release, extra, variables))
        }
        Command::SetEnv(options) => {
            let SetEnvOptions { set, release } = *options;
            let extra = Extra { set: Some(set.join("\n")), ..Extra::default() };
            on_this_thread(live::command("set-env", release, extra, variables))
        }
        Command::Promote(options) => {
            let PromoteOptions { to, release } = *options;
            let extra = Extra { to, ..Extra::default() };
            on_this_thread(live::command("promote", release, extra, variables))
        }
        Command::Verify(options) => {
            on_this_thread(live::command("verify", *options, Extra::default(), variables))
        }
        Command::Edit(options) => edit::main(&options),
        Command::Init(options) => on_this_thread(live::init(&options, variables)),
        Command::Trust(options) => trust::main(&options),
        Command::Policy(options) => policy::main(&options),
        Command::Rehearse(options) => rehearse::main(&options),
        Command::Cloud(options) => on_this_thread(cloud::serve(options)),
        Command::Judge(options) => judge::main(&options),
        Command::Schema => {
            terminal::line(&schema());
            0
        }
    }
}

/// Runs on one thread, as everything here does: nothing is shared between threads, so nothing needs a lock.
fn on_this_thread(work: impl Future<Output = u8>) -> u8 {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => tokio::task::LocalSet::new().block_on(&runtime, work),
        Err(error) => {
            terminal::line(&format!("the runtime cannot start: {error}"));
            1
        }
    }
}

//! `roadstead rehearse`: a deploy file through the real engine and the real AWS SDK, against the embedded cloud, in
//! virtual time.

mod appconfig;
mod argocd;
mod builder;
mod compose;
mod ecs;
mod example;
mod files;
mod hosts;
mod kubernetes;
mod needs;
mod operation;
mod promotion;
mod run_context;
mod scenario;
mod sites;
mod source;
mod worlds;

use std::path::{Path, PathBuf};

use crate::action::inputs::RawInputs;
use crate::report::{RunReport, summary};
use crate::run::ProgressLog;
use crate::sys::clock::Clock;
use crate::sys::environment::Variables;
use crate::sys::signal::CancelToken;
use crate::sys::{disk, terminal};
use roadstead_cloud::builtin::{Builtin, builtin_scenarios};

use super::arguments::RehearseOptions;
use files::{ChosenFiles, choose_files};

pub use run_context::{emulated_builder, register_run, rehearse, run_against, run_context};
pub use scenario::{build_scenario, start_time};
pub(super) use source::load_scenario;
pub use source::{ScenarioSource, find_source};

/// A run to rehearse.
#[derive(Clone)]
pub struct Rehearsal {
    /// The deploy file's name and text.
    pub config: (String, String),
    /// Where files that it names are.
    pub workspace: PathBuf,
    /// Environment; the first of the file where none is named.
    pub environment: Option<String>,
    /// What happens.
    pub source: ScenarioSource,
    /// The same seed gives the same run.
    pub seed: u64,
    /// Other inputs of the action.
    pub inputs: RawInputs,
    /// Environment of the process, besides credentials for the embedded cloud.
    pub variables: Variables,
    /// Raised to cancel the run.
    pub cancel: CancelToken,
    /// Who hears of what happens.
    pub log: ProgressLog,
}

/// Rehearses on a runtime of its own, whose time is virtual, and prints what a real run would say.
pub(super) fn main(options: &RehearseOptions) -> u8 {
    if options.list {
        let line =
            |named: &Builtin| terminal::stdout_line(&format!("{:<22} {}", named.name, named.description));
        builtin_scenarios().for_each(line);
        return 0;
    }
    match run_rehearsal(options) {
        Ok(report) => report.outcome.exit_code(),
        Err(words) => {
            terminal::stdout_line(&format!("error: {words}"));
            2
        }
    }
}

fn run_rehearsal(options: &RehearseOptions) -> Result<RunReport, String> {
    let source = find_source(&options.scenario)?;
    let chosen = choose_files(options, &source, Path::new("."))?;
    chosen.announcement.lines().for_each(terminal::stdout_line);
    let report = rehearse_files(&chosen, source, options, terminal::stdout_line)?;
    if let Some(path) = &options.summary {
        disk::write(Path::new(path), summary::summary(&report).as_bytes())
            .map_err(|error| format!("{error:#}"))?;
    }
    Ok(report)
}

fn rehearse_files(
    chosen: &ChosenFiles,
    source: ScenarioSource,
    options: &RehearseOptions,
    write_line: impl FnMut(&str) + 'static,
) -> Result<RunReport, String> {
    let began = start_time(&source.base_scenario())?;
    let runtime = virtual_runtime().map_err(|error| error.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let log = ProgressLog::new(false, Clock::starting_at(began), write_line);
        let rehearsal = Rehearsal {
            config: chosen.config.clone(),
            workspace: chosen.workspace.clone(),
            environment: Some(chosen.environment.clone()),
            source,
            seed: options.seed,
            inputs: operation::inputs(options),
            variables: Variables::new(),
            cancel: CancelToken::default(),
            log: log.clone(),
        };
        let report = operation::rehearse_operation(&rehearsal, options).await?;
        log.finish(&report);
        Ok(report)
    })
}

/// A runtime of one thread whose clock jumps to the next thing that waits.
pub fn virtual_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
}

#[cfg(test)]
mod tests;

//! `roadstead rehearse`: a deploy file through the real engine and the real AWS SDK, against the embedded cloud, in
//! virtual time.

mod addresses;
mod builder;
mod flags;
mod job;
mod manifests;
mod story;
mod world;

use std::path::{Path, PathBuf};

use crate::action::inputs::RawInputs;
use crate::rehearsal::scenarios::{Named, SCENARIOS};
use crate::report::{RunReport, summary};
use crate::run::Teller;
use crate::sys::clock::Clock;
use crate::sys::environment::Variables;
use crate::sys::signal::Cancel;
use crate::sys::{disk, terminal};

use super::arguments::RehearseOptions;

pub use job::{begin, builder, job, rehearse, run_on};
pub(super) use story::scenario;
pub use story::{Story, story};
pub use world::{start, world};

const EXAMPLE: &str = include_str!("../../../examples/rehearsal/roadstead.yml");

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
    pub story: Story,
    /// The same seed gives the same run.
    pub seed: u64,
    /// Other inputs of the action.
    pub inputs: RawInputs,
    /// Environment of the process, besides credentials for the embedded cloud.
    pub variables: Variables,
    /// Raised to cancel the run.
    pub cancel: Cancel,
    /// Who hears of what happens.
    pub teller: Teller,
}

/// Rehearses on a runtime of its own, whose time is virtual, and prints what a real run would say.
pub(super) fn main(options: &RehearseOptions) -> u8 {
    if options.list {
        let line = |named: &Named| terminal::line(&format!("{:<22} {}", named.name, named.about));
        SCENARIOS.iter().for_each(line);
        return 0;
    }
    match try_main(options) {
        Ok(report) => report.outcome.exit_code(),
        Err(words) => {
            terminal::line(&format!("error: {words}"));
            2
        }
    }
}

fn try_main(options: &RehearseOptions) -> Result<RunReport, String> {
    let config = deploy_file(options.config.as_deref())?;
    let story = story(&options.scenario)?;
    let began = start(&story.begin())?;
    let rehearsal = |teller| Rehearsal {
        config,
        workspace: PathBuf::from("."),
        environment: options.environment.clone(),
        story,
        seed: options.seed,
        inputs: RawInputs::default(),
        variables: Variables::new(),
        cancel: Cancel::default(),
        teller,
    };
    let runtime = virtual_runtime().map_err(|error| error.to_string())?;
    let report = tokio::task::LocalSet::new().block_on(&runtime, async {
        let teller = Teller::new(false, Clock::starting_at(began), terminal::line);
        let (report, _) = rehearse(rehearsal(teller.clone())).await?;
        teller.finish(&report);
        Ok::<_, String>(report)
    })?;
    if let Some(path) = &options.summary {
        disk::write(Path::new(path), summary::summary(&report).as_bytes())
            .map_err(|error| format!("{error:#}"))?;
    }
    Ok(report)
}

/// A runtime of one thread whose clock jumps to the next thing that waits.
pub fn virtual_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
}

fn deploy_file(path: Option<&str>) -> Result<(String, String), String> {
    let usual = ".github/roadstead.yml";
    match path {
        None if !disk::exists(Path::new(usual)) => {
            Ok(("examples/rehearsal/roadstead.yml".into(), EXAMPLE.into()))
        }
        path => {
            let path = path.unwrap_or(usual);
            let text = disk::read_text(Path::new(path)).map_err(|error| format!("{error:#}"))?;
            Ok((path.to_owned(), text))
        }
    }
}

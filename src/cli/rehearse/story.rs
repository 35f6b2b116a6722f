//! What happens in a rehearsal: a scenario that comes with the embedded cloud, or one from a file.

use std::path::Path;

use crate::rehearsal::scenario::Scenario;
use crate::rehearsal::scenarios::{self, Named, SCENARIOS};
use crate::sys::disk;

/// What is to happen: a scenario that comes with the cloud, or one from a file.
#[derive(Debug, Clone)]
pub enum Story {
    /// A built-in one: faults for whatever world there is.
    Named(&'static Named),
    /// One from a file: a world and its faults.
    Told(Box<Scenario>),
}

impl Story {
    /// The world without its faults, where the story brings one.
    pub fn begin(&self) -> Scenario {
        match self {
            Self::Named(_) => Scenario::default(),
            Self::Told(scenario) => (**scenario).clone(),
        }
    }

    /// Lets it happen in a world that was made from [`Story::begin`].
    pub(super) fn happen(&self, world: Scenario) -> Result<Scenario, String> {
        match self {
            Self::Named(named) => named.in_world(world),
            Self::Told(_) => Ok(world),
        }
    }
}

/// The scenario as it is, for a cloud that is served.
pub(in crate::cli) fn scenario(name: &str) -> Result<Scenario, String> {
    let story = story(name)?;
    story.happen(story.begin())
}

/// A scenario by its built-in name or its path.
pub fn story(name: &str) -> Result<Story, String> {
    if let Some(named) = scenarios::find(name) {
        return Ok(Story::Named(named));
    }
    let path = Path::new(name);
    if !disk::exists(path) {
        let known = SCENARIOS.iter().map(|named| named.name).collect::<Vec<_>>().join(", ");
        return Err(format!("there is no scenario `{name}`, neither a file nor one of: {known}"));
    }
    let text = disk::read_text(path).map_err(|error| format!("{error:#}"))?;
    let scenario = Scenario::parse(&text).map_err(|why| format!("{name}: {why}"))?;
    Ok(Story::Told(Box::new(scenario)))
}

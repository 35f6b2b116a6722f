//! What happens in a rehearsal: a scenario that comes with the embedded cloud, or one from a file.

use std::path::Path;

use crate::sys::disk;
use roadstead_cloud::builtin::{self, Builtin};
use roadstead_cloud::scenario::Scenario;

/// What is to happen: a scenario that comes with the cloud, or one from a file.
#[derive(Debug, Clone)]
pub enum ScenarioSource {
    /// A built-in one: faults for whatever world there is.
    Builtin(&'static Builtin),
    /// One from a file: a world and its faults.
    Custom(Box<Scenario>),
}

impl ScenarioSource {
    /// The world without its faults, where the story brings one.
    pub fn base_scenario(&self) -> Scenario {
        match self {
            Self::Builtin(_) => Scenario::default(),
            Self::Custom(scenario) => (**scenario).clone(),
        }
    }

    /// Lets it happen in a world that was made from [`Story::begin`].
    pub(super) fn apply(&self, world: Scenario) -> Result<Scenario, String> {
        match self {
            Self::Builtin(named) => named.apply_to(world),
            Self::Custom(_) => Ok(world),
        }
    }
}

/// The scenario as it is, for a cloud that is served.
pub(in crate::cli) fn load_scenario(name: &str) -> Result<Scenario, String> {
    let story = find_source(name)?;
    story.apply(story.base_scenario())
}

/// A scenario by its built-in name or its path.
pub fn find_source(name: &str) -> Result<ScenarioSource, String> {
    if let Some(named) = builtin::find_builtin(name) {
        return Ok(ScenarioSource::Builtin(named));
    }
    let path = Path::new(name);
    if !disk::exists(path) {
        let known = builtin::builtin_scenarios().map(|named| named.name).collect::<Vec<_>>().join(", ");
        return Err(format!("there is no scenario `{name}`, neither a file nor one of: {known}"));
    }
    let text = disk::read_text(path).map_err(|error| format!("{error:#}"))?;
    let scenario = Scenario::parse(&text).map_err(|why| format!("{name}: {why}"))?;
    Ok(ScenarioSource::Custom(Box::new(scenario)))
}

//! What happens in a rehearsal: a scenario that comes with the embedded cloud, or one from a file.

use std::path::Path;

use crate::config::{self, tree};
use crate::problem::Problem;
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
    let scenario = Scenario::parse(&text).map_err(|why| explain_scenario(name, &text, &why))?;
    Ok(ScenarioSource::Custom(Box::new(scenario)))
}

/// What is wrong with a scenario, all of it, a line for each. `why` is what its own reader says: the first thing only.
fn explain_scenario(name: &str, text: &str, why: &str) -> String {
    let tree = tree::parse(name, text).map_err(|problem| vec![problem]);
    match tree.and_then(|node| config::read::<Scenario>(name, "the scenario", &node)) {
        Ok(_) => format!("{name}: {why}"),
        Err(problems) => {
            let line = |problem: &Problem| match &problem.location {
                Some(at) => format!("{}:{}: {problem}", at.file, at.line),
                None => format!("{name}: {problem}"),
            };
            problems.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        let why = Scenario::parse(text).unwrap_err();
        explain_scenario("s.yml", text, &why)
    }

    #[test]
    fn every_error_of_a_scenario_has_its_line_and_what_to_write() {
        insta::assert_snapshot!(error_of("servces:\n  - { cluster: a, name: b }\ntimings: { pull: slow, strat: 3 }\nthrottling: \"yes\"\nservices: { cluster: a, name: b }\n"), @r#"
        s.yml:1: `servces` is not a key of the scenario. Did you mean `services`? Known: `start`, `account`, `region`, `clusters`, `services`, `balancers`, `traffic`, `sites`, `topics`, `alarms`, `repositories`, `appconfig`, `argocd`, `compose`, `kubernetes`, `timings`, `policy`, `trust`, `workflow`, `registry` and 6 more.
        s.yml:3: `timings.pull` of the scenario is the text `slow`, but must be seconds such as `8`, or the least and the most such as `[8, 15]`.
        s.yml:3: `strat` is not a key of the scenario (in `timings`). Did you mean `start`? Known: `schedule`, `provision`, `pull`, `start`, `health`, `settle`, `unhealthy`, `pull-failure`, `init-failure`, `deregistration`, `stop`, `deprovision`, `complete`, `alarm-poll`, `alarm-bake`, `traffic-shift`, `metrics-lag`, `latency`.
        s.yml:4: `throttling` of the scenario is the text `yes`, but must be `true` or `false`. Write `true`, without quotes or unit.
        s.yml:5: `services` of the scenario is a block of keys, but must be a list. Put `- ` in front of it: it is a list, also with one item.
        "#);
    }

    #[test]
    fn scenario_that_only_its_own_rules_reject_says_why() {
        let lists = error_of("clusters: acme\nfaults: 3\n");
        let expected =
            "s.yml:1: `clusters` of the scenario is the text `acme`, but must be a list. Write `[acme]`.";
        assert!(
            lists.starts_with(expected) && lists.contains("\ns.yml:2: `faults` of the scenario is `3`"),
            "{lists}"
        );
        assert!(error_of("start: tomorrow\n").starts_with("s.yml: start: "));
    }
}

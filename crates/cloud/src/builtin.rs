//! The scenarios that come with the emulator. Each stands beside the service that it is about, as `Service::scenarios`; this file has
//! what a built-in scenario is, and collects them.

use super::faults::Fault;
use super::scenario::Scenario;
use super::service::SERVICES;
use super::task_faults;

/// A scenario that comes with the emulator.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// What happens, in one sentence; the same words as in `docs/rehearsal.md`.
    pub description: &'static str,
    /// Its `faults`, as in a scenario file.
    pub faults: &'static str,
    /// Changes of the world before its faults, in this order.
    pub setup: &'static [SetupStep],
    /// An entry of `traffic`, as in a scenario file.
    pub traffic: Option<&'static str>,
    /// What the deploy file must have. Without it nothing of this scenario can be seen in a run.
    pub needs: &'static [Need],
}

/// A change of the world that a scenario needs before its faults, such as a load balancer for each service.
pub type SetupStep = fn(Scenario) -> Result<Scenario, String>;

/// Something that a deploy file must have for a scenario to happen in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A service with this target.
    Target(&'static str),
    /// A service with one of these strategies.
    Strategy(&'static [&'static str]),
    /// A service whose strategy compares metrics of both versions.
    Analysis,
    /// A service with HTTP checks in `verify`.
    Checks,
    /// A service of ECS with a `pair`.
    Pair,
}

impl Builtin {
    /// A scenario with these faults alone: any world will do.
    pub const fn new(name: &'static str, description: &'static str, faults: &'static str) -> Self {
        Self { name, description, faults, setup: &[], traffic: None, needs: &[] }
    }

    /// The same for deploy files that have all of these.
    pub const fn with_needs(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }

    /// The same after these changes of the world.
    pub const fn with_setup(self, setup: &'static [SetupStep]) -> Self {
        Self { setup, ..self }
    }

    /// The same with this entry of `traffic`.
    pub const fn with_traffic(self, traffic: &'static str) -> Self {
        Self { traffic: Some(traffic), ..self }
    }

    /// The world in which this scenario happens.
    pub fn apply_to(&self, world: Scenario) -> Result<Scenario, String> {
        let faults: Vec<Fault> = parse_part(self.faults)?;
        let mut world = self.setup.iter().try_fold(world, |world, step| step(world))?;
        if let Some(traffic) = self.traffic {
            world.traffic.push(parse_part(traffic)?);
        }
        world.faults.extend(faults);
        Ok(world)
    }
}

/// Reads a part of a scenario file.
pub(crate) fn parse_part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

/// A step for scenarios about alarms: in a world without alarms, everything that can watch an alarm gets one.
pub(crate) fn add_watched_alarms(mut world: Scenario) -> Result<Scenario, String> {
    if world.alarms.is_empty() {
        SERVICES.iter().for_each(|service| service.add_watched_alarms(&mut world));
    }
    Ok(world)
}

/// The scenarios that are about no service alone.
const SHARED: &[Builtin] = &[
    Builtin::new("happy", "Everything goes well.", "[]"),
    Builtin::new(
        "server-errors",
        "Every call fails for a minute during the rollout.",
        "[server-errors: { from: 20, for: 60 }]",
    ),
];

/// All built-in scenarios: `happy` first, then those of tasks and pods, then service by service, the places to deploy to before
/// what they are built on.
pub fn builtin_scenarios() -> impl Iterator<Item = &'static Builtin> {
    let of_services = SERVICES.iter().rev().flat_map(|service| service.scenarios());
    SHARED.iter().chain(task_faults::SCENARIOS).chain(of_services)
}

/// The scenario with this name.
pub fn find_builtin(name: &str) -> Option<&'static Builtin> {
    builtin_scenarios().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_reads_and_names_are_unique() {
        let mut names = std::collections::BTreeSet::new();
        for scenario in builtin_scenarios() {
            let world = scenario.apply_to(Scenario::default_for([("acme", "web")])).unwrap();
            let calm = scenario.name.ends_with("happy") || !scenario.setup.is_empty();
            assert!(calm || !world.faults.is_empty(), "{}", scenario.name);
            assert_eq!(world.traffic.is_empty(), scenario.traffic.is_none(), "{}", scenario.name);
            assert!(names.insert(scenario.name), "{}", scenario.name);
        }
        assert_eq!(builtin_scenarios().next().map(|first| first.name), Some("happy"));
        assert!(find_builtin("nothing-like-it").is_none());
    }

    #[test]
    fn rollouts_and_protections_come_where_a_scenario_needs_them() {
        let text = "github: { repositories: [{ name: acme/manifests, default-branch: trunk }] }\n\
                    argocd: { applications: [{ name: web, sources: [{ repository: acme/manifests }] }] }";
        let world =
            |name: &str| find_builtin(name).unwrap().apply_to(Scenario::parse(text).unwrap()).unwrap();
        let app = &world("argocd-canary").argocd.applications[0];
        assert_eq!((app.workload.as_str(), app.steps.len()), ("Rollout", 4));
        let protection = &world("git-protected").github.repositories[0].protected[0];
        assert_eq!((protection.branch.as_str(), protection.required_reviews), ("trunk", 1));
        assert_eq!(world("gitops-happy"), world("happy"));
    }

    #[test]
    fn alarms_are_added_where_a_scenario_needs_them() {
        let world =
            find_builtin("alarm-red").unwrap().apply_to(Scenario::default_for([("acme", "web")])).unwrap();
        assert_eq!(world.alarms[0].name, "web-5xx");
        assert_eq!(world.services[0].deployment.alarms.as_ref().unwrap().names, ["web-5xx"]);
    }
}

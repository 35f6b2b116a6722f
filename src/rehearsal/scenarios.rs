//! The scenarios that come with the embedded cloud: a calm one, and one for each thing that can go wrong.

use super::faults::Fault;
use super::scenario::{AlarmSetting, DeploymentAlarms, Scenario};

/// A scenario that comes with the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// What happens, in one sentence.
    pub about: &'static str,
    /// Its `faults`, as in a scenario file.
    pub faults: &'static str,
}

const fn named(name: &'static str, about: &'static str, faults: &'static str) -> Named {
    Named { name, about, faults }
}

/// All of them, the calm one first.
pub const SCENARIOS: &[Named] = &[
    named("happy", "Everything goes well.", "[]"),
    named("image-not-found", "The new image does not exist in its repository.", "[image-not-found: {}]"),
    named("wrong-platform", "The new image is built for another platform.", "[wrong-platform: {}]"),
    named(
        "crash-on-start",
        "The new version exits with code 1 two seconds after its start.",
        "[crash-on-start: { exit-code: 1, after: 2, log: [\"starting\", \"panic: DATABASE_URL is not set\"] }]",
    ),
    named("out-of-memory", "The new version is killed for its memory use.", "[out-of-memory: {}]"),
    named(
        "failing-health-check",
        "The new version runs and never becomes healthy.",
        "[failing-health-check: {}]",
    ),
    named(
        "flapping-health",
        "The new version is healthy for 30 seconds at a time.",
        "[flapping-health: { healthy: 30 }]",
    ),
    named("secret-missing", "A secret of the new version does not exist.", "[secret-missing: {}]"),
    named("no-capacity", "No task of the new version can be placed.", "[no-capacity: {}]"),
    named(
        "slow-start",
        "Tasks of the new version take two minutes longer to start.",
        "[slow-start: { seconds: 120 }]",
    ),
    named(
        "rollback-fails",
        "The new version crashes, and the earlier one cannot start again.",
        "[crash-on-start: {}, rollback-fails: {}]",
    ),
    named(
        "throttled",
        "The first ten calls of the wait are throttled.",
        "[throttle: { operation: DescribeServices, times: 10 }]",
    ),
    named(
        "server-errors",
        "Every call fails for a minute during the rollout.",
        "[server-errors: { from: 20, for: 60 }]",
    ),
    named(
        "stale-reads",
        "For 30 seconds, reads show the time before the update.",
        "[stale-reads: { for: 30 }]",
    ),
    named(
        "response-lost",
        "The update is made, and the connection breaks before its answer.",
        "[response-lost: { operation: UpdateService }]",
    ),
    named(
        "no-answer",
        "The update is never answered, and nothing is changed.",
        "[no-answer: { operation: UpdateService }]",
    ),
    named(
        "denied-update",
        "The role may not update the service.",
        "[deny: { action: \"ecs:UpdateService\" }]",
    ),
    named(
        "denied-rollback",
        "The role may not roll back.",
        "[deny: { action: \"ecs:StopServiceDeployment\" }]",
    ),
    named(
        "expired-credentials",
        "The credentials expire after a minute.",
        "[expired-credentials: { after: 60 }]",
    ),
    named("superseded", "Somebody else deploys 40 seconds later.", "[superseding-deployment: { at: 40 }]"),
    named("alarm-red-at-start", "An alarm is red before the deployment begins.", "[alarm-red: {}]"),
    named("alarm-red", "An alarm turns red during the deployment.", "[alarm-red: { at: 60 }]"),
    named(
        "autoscaling",
        "Autoscaling doubles the service during the deployment.",
        "[desired-count: { at: 40, to: 4 }]",
    ),
];

/// The scenario with this name.
pub fn find(name: &str) -> Option<&'static Named> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

impl Named {
    /// Let this happen in a world. Where it is about alarms and the world has none, each service gets one that it watches.
    pub fn in_world(&self, mut world: Scenario) -> Result<Scenario, String> {
        let faults: Vec<Fault> = serde_saphyr::from_str(self.faults).map_err(|error| error.to_string())?;
        if world.alarms.is_empty() && faults.iter().any(|fault| matches!(fault, Fault::AlarmRed(_))) {
            for service in &mut world.services {
                let name = format!("{}-5xx", service.name);
                world.alarms.push(AlarmSetting { name: name.clone(), state: "OK".into(), composite: false });
                let watched = DeploymentAlarms { names: vec![name], enable: true, rollback: true };
                service.deployment.alarms = Some(watched);
            }
        }
        world.faults.extend(faults);
        Ok(world)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_reads_and_names_are_unique() {
        for (place, scenario) in SCENARIOS.iter().enumerate() {
            let world = scenario.in_world(Scenario::default_for([("acme", "web")])).unwrap();
            assert_eq!(world.faults.is_empty(), scenario.name == "happy", "{}", scenario.name);
            assert!(SCENARIOS[..place].iter().all(|earlier| earlier.name != scenario.name));
        }
        assert!(find("happy").is_some() && find("nothing-like-it").is_none());
    }

    #[test]
    fn alarms_are_added_where_a_scenario_needs_them() {
        let world = find("alarm-red").unwrap().in_world(Scenario::default_for([("acme", "web")])).unwrap();
        assert_eq!(world.alarms[0].name, "web-5xx");
        assert_eq!(world.services[0].deployment.alarms.as_ref().unwrap().names, ["web-5xx"]);
    }
}

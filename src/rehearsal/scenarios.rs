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
    /// What stands in front of its services.
    pub front: Front,
}

/// What a scenario puts in front of the services of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// Nothing that is not there already.
    AsIs,
    /// A load balancer and an alternate target group for each, with this `traffic`, as in a scenario file.
    Pairs(&'static str),
    /// A second service for each, and one rule in front of both, with this `traffic`.
    Twins(&'static str),
}

const fn named(name: &'static str, about: &'static str, faults: &'static str) -> Named {
    Named { name, about, faults, front: Front::AsIs }
}

const fn paired(
    name: &'static str,
    about: &'static str,
    traffic: &'static str,
    faults: &'static str,
) -> Named {
    Named { name, about, faults, front: Front::Pairs(traffic) }
}

/// Six hundred requests a minute, one in a thousand bad, whatever the version.
const CALM: &str = "{ requests-per-minute: 600 }";

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
    paired(
        "blue-green",
        "A load balancer and two target groups for each service; all goes well.",
        CALM,
        "[]",
    ),
    paired("linear", "The same, with little but steady traffic.", "{ requests-per-minute: 60 }", "[]"),
    paired("canary-healthy", "The new version behaves like the old one under steady traffic.", CALM, "[]"),
    paired(
        "canary-5xx",
        "The new version answers one request in twenty with a 5xx.",
        "{ requests-per-minute: 600, versions: [{ version: new, bad-rate: 0.05 }] }",
        "[]",
    ),
    paired(
        "canary-slow",
        "The new version takes ten times as long to answer.",
        "{ requests-per-minute: 600, versions: [{ version: new, median: 0.8 }] }",
        "[]",
    ),
    paired(
        "canary-total-failure",
        "The new version answers every request with a 5xx; its health check still passes.",
        "{ requests-per-minute: 60, versions: [{ version: new, bad-rate: 1 }] }",
        "[]",
    ),
    paired(
        "canary-warm-up",
        "The new version is slow and bad in its first two minutes, then as good as the old one.",
        "{ requests-per-minute: 600, versions: [{ version: new, warm-up: { for: 120, bad-rate: 0.05, slowdown: 4 } }] }",
        "[]",
    ),
    paired(
        "canary-shared-outage",
        "For five minutes one request in five fails, whatever the version.",
        "{ requests-per-minute: 600, outages: [{ from: 300, for: 300, bad-rate: 0.2, slowdown: 3 }] }",
        "[]",
    ),
    paired("canary-idle", "There is one request in two minutes.", "{ requests-per-minute: 0.5 }", "[]"),
    paired("canary-no-metrics", "CloudWatch has no metrics.", CALM, "[metrics-missing: {}]"),
    paired(
        "canary-late-metrics",
        "Metrics come five minutes later than usual.",
        CALM,
        "[metrics-late: { seconds: 300 }]",
    ),
    paired(
        "canary-partial-metrics",
        "Every second minute of the metrics is missing.",
        CALM,
        "[metrics-partial: {}]",
    ),
    paired(
        "canary-swapped-metrics",
        "CloudWatch takes the two target groups for each other.",
        CALM,
        "[metrics-swapped: {}]",
    ),
    paired("canary-forbidden-metrics", "The role may not read metrics.", CALM, "[metrics-forbidden: {}]"),
    paired(
        "canary-unhealthy",
        "Tasks of the new version never become healthy, so that its scale-up never ends.",
        CALM,
        "[failing-health-check: {}]",
    ),
    paired(
        "canary-superseded",
        "Somebody else deploys while the canary is being judged.",
        CALM,
        "[superseding-deployment: { at: 400 }]",
    ),
    paired(
        "canary-alarm",
        "An alarm turns red while the canary is being judged.",
        CALM,
        "[alarm-red: { at: 400 }]",
    ),
    paired(
        "hook-timeout",
        "Whoever should continue a paused deployment cannot: the pause times out.",
        CALM,
        "[deny: { action: \"ecs:ContinueServiceDeployment\" }]",
    ),
    Named {
        name: "two-services",
        about: "Each service has a second one beside it, NAME-green, and one rule shares the traffic between them.",
        faults: "[]",
        front: Front::Twins(CALM),
    },
];

/// The scenario with this name.
pub fn find(name: &str) -> Option<&'static Named> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

impl Named {
    /// Let this happen in a world. Where it is about alarms and the world has none, each service gets one that it watches.
    pub fn in_world(&self, mut world: Scenario) -> Result<Scenario, String> {
        let faults: Vec<Fault> = serde_saphyr::from_str(self.faults).map_err(|error| error.to_string())?;
        let traffic = match self.front {
            Front::AsIs => None,
            Front::Pairs(traffic) => {
                world = world.in_pairs();
                Some(traffic)
            }
            Front::Twins(traffic) => {
                world = world.with_twins();
                Some(traffic)
            }
        };
        if let Some(traffic) = traffic {
            world.traffic.push(serde_saphyr::from_str(traffic).map_err(|error| error.to_string())?);
        }
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
            let calm = scenario.name == "happy" || scenario.front != Front::AsIs;
            assert!(calm || !world.faults.is_empty(), "{}", scenario.name);
            assert_eq!(world.traffic.is_empty(), scenario.front == Front::AsIs, "{}", scenario.name);
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

//! The scenarios that come with the embedded cloud: a calm one, and one for each thing that can go wrong.

use super::argocd::setting::Step;
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
    /// Every application of Argo CD runs a Rollout with these `steps`, as in a scenario file.
    Rollouts(&'static str),
    /// The branches of every repository are protected in this way, as in a scenario file.
    Protected(&'static str),
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

/// Two steps, each with a pause, and an analysis between them.
const STEPS: &str = "[set-weight: 50, pause: 60, analysis: 60, set-weight: 100]";

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
    named(
        "bad-answers",
        "The new version is healthy for its place and answers 500 at every address.",
        "[bad-answers: { status: 500 }]",
    ),
    named(
        "bad-answers-at-first",
        "For forty seconds after the start of a deployment, addresses answer 503.",
        "[bad-answers: { version: all, status: 503, for: 40 }]",
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
        "flags-alarm",
        "An alarm of the environment of AppConfig turns red while a configuration is being deployed.",
        "[alarm-red: { at: 400 }]",
    ),
    named(
        "flags-stopped",
        "Somebody stops the deployment of a configuration by hand.",
        "[appconfig-stopped: { at: 200 }]",
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
    named("gitops-happy", "A commit is synced and becomes healthy.", "[]"),
    named(
        "argocd-degraded",
        "Pods of the new version never become ready: the application is Degraded after ten minutes.",
        "[failing-health-check: {}]",
    ),
    named("argocd-image-pull", "The new image does not exist: its pods back off.", "[image-not-found: {}]"),
    named("argocd-sync-failed", "The cluster refuses the new manifests.", "[argocd-sync-failed: {}]"),
    named("argocd-operation-error", "The sync ends in an error.", "[argocd-operation-error: {}]"),
    named(
        "argocd-comparison-error",
        "From half a minute on, Argo CD cannot make the manifests.",
        "[argocd-comparison-error: { after: 30 }]",
    ),
    named("argocd-never-syncs", "Argo CD sees the commit and never syncs.", "[argocd-never-syncs: {}]"),
    named(
        "argocd-stale",
        "For 90 seconds after the first refresh, Argo CD sees the branch as it was.",
        "[argocd-stale: { for: 90 }]",
    ),
    named("argocd-busy", "Somebody else's sync runs for two minutes.", "[argocd-busy: { for: 120 }]"),
    named("argocd-missing", "The workload is deleted right after it was synced.", "[argocd-missing: {}]"),
    named("argocd-suspended", "The workload is paused.", "[argocd-suspended: {}]"),
    named("argocd-drift", "Somebody sets another image by hand.", "[argocd-drift: { at: 60 }]"),
    named(
        "argocd-token-expires",
        "The token of Argo CD expires after a minute.",
        "[argocd-token-expires: { after: 60 }]",
    ),
    named(
        "argocd-outage",
        "For a minute, what stands in front of Argo CD answers 502.",
        "[server-errors: { from: 5, for: 60 }]",
    ),
    Named {
        name: "argocd-canary",
        about: "Argo Rollouts takes the new version through a canary.",
        faults: "[]",
        front: Front::Rollouts(STEPS),
    },
    Named {
        name: "argocd-analysis-failed",
        about: "The analysis of the canary fails, and Argo Rollouts aborts it.",
        faults: "[argocd-analysis-failed: {}]",
        front: Front::Rollouts(STEPS),
    },
    named(
        "git-moved-head",
        "Somebody else commits just before, three times.",
        "[rival-commit: { times: 3 }]",
    ),
    Named {
        name: "git-protected",
        about: "The branch may only be changed by pull requests with a review.",
        faults: "[]",
        front: Front::Protected("{ required-reviews: 1 }"),
    },
    named(
        "git-rate-limited",
        "GitHub refuses the commit for its rate, twice.",
        "[rate-limit: { operation: createCommitOnBranch, times: 2, retry-after: 60 }]",
    ),
    named(
        "git-lost-answer",
        "The commit is made, and the connection breaks before its answer.",
        "[response-lost: { operation: createCommitOnBranch }]",
    ),
    named(
        "git-bad-gateway",
        "The commit is made, and GitHub's gateway gives up before its answer.",
        "[bad-gateway: { operation: createCommitOnBranch, effect: true }]",
    ),
    named(
        "git-replica-lag",
        "For ten seconds after a commit, GitHub's reads show the branch as it was.",
        "[replica-lag: { for: 10 }]",
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
            Front::Rollouts(steps) => {
                world = with_rollouts(world, steps)?;
                None
            }
            Front::Protected(how) => {
                world = with_protection(world, how)?;
                None
            }
        };
        if let Some(traffic) = traffic {
            world.traffic.push(serde_saphyr::from_str(traffic).map_err(|error| error.to_string())?);
        }
        if world.alarms.is_empty() && faults.iter().any(|fault| matches!(fault, Fault::AlarmRed(_))) {
            with_alarms(&mut world);
        }
        world.faults.extend(faults);
        Ok(world)
    }
}

/// Every service of ECS gets an alarm that it watches, every environment of AppConfig one that it monitors.
fn with_alarms(world: &mut Scenario) {
    let mut alarm = |name: String| {
        world.alarms.push(AlarmSetting { name: name.clone(), state: "OK".into(), composite: false });
        vec![name]
    };
    for service in &mut world.services {
        let names = alarm(format!("{}-5xx", service.name));
        service.deployment.alarms = Some(DeploymentAlarms { names, enable: true, rollback: true });
    }
    for application in &mut world.appconfig.applications {
        for environment in &mut application.environments {
            environment.monitors = alarm(format!("{}-{}-errors", application.name, environment.name));
        }
    }
}

/// Every application runs a Rollout with these steps, where it has none of its own.
fn with_rollouts(mut world: Scenario, steps: &str) -> Result<Scenario, String> {
    let steps: Vec<Step> = serde_saphyr::from_str(steps).map_err(|error| error.to_string())?;
    for app in world.argocd.applications.iter_mut().filter(|app| app.steps.is_empty()) {
        (app.workload, app.steps) = ("Rollout".into(), steps.clone());
    }
    Ok(world)
}

/// The default branch of every repository is protected, where none of its branches is.
fn with_protection(mut world: Scenario, how: &str) -> Result<Scenario, String> {
    for repository in world.github.repositories.iter_mut().filter(|it| it.protected.is_empty()) {
        let text = how.replacen('{', &format!("{{ branch: {:?},", repository.default_branch), 1);
        repository.protected.push(serde_saphyr::from_str(&text).map_err(|error| error.to_string())?);
    }
    Ok(world)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_reads_and_names_are_unique() {
        for (place, scenario) in SCENARIOS.iter().enumerate() {
            let world = scenario.in_world(Scenario::default_for([("acme", "web")])).unwrap();
            let calm = scenario.name.ends_with("happy") || scenario.front != Front::AsIs;
            assert!(calm || !world.faults.is_empty(), "{}", scenario.name);
            let flows = matches!(scenario.front, Front::Pairs(_) | Front::Twins(_));
            assert_eq!(world.traffic.is_empty(), !flows, "{}", scenario.name);
            assert!(SCENARIOS[..place].iter().all(|earlier| earlier.name != scenario.name));
        }
        assert!(find("happy").is_some() && find("nothing-like-it").is_none());
    }

    #[test]
    fn rollouts_and_protections_come_where_a_scenario_needs_them() {
        let text = "github: { repositories: [{ name: acme/manifests, default-branch: trunk }] }\n\
                    argocd: { applications: [{ name: web, sources: [{ repository: acme/manifests }] }] }";
        let world = |name: &str| find(name).unwrap().in_world(Scenario::parse(text).unwrap()).unwrap();
        let app = &world("argocd-canary").argocd.applications[0];
        assert_eq!((app.workload.as_str(), app.steps.len()), ("Rollout", 4));
        let protection = &world("git-protected").github.repositories[0].protected[0];
        assert_eq!((protection.branch.as_str(), protection.required_reviews), ("trunk", 1));
        assert_eq!(world("gitops-happy"), world("happy"));
    }

    #[test]
    fn alarms_are_added_where_a_scenario_needs_them() {
        let world = find("alarm-red").unwrap().in_world(Scenario::default_for([("acme", "web")])).unwrap();
        assert_eq!(world.alarms[0].name, "web-5xx");
        assert_eq!(world.services[0].deployment.alarms.as_ref().unwrap().names, ["web-5xx"]);
    }
}

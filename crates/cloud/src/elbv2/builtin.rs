//! The built-in scenarios with load balancers: blue/green, linear, canary, pairs of services, and what their traffic is like.

use crate::builtin::{Builtin, Need, SetupStep};
use crate::scenario::Scenario;

/// Six hundred requests per minute, one in a thousand bad, whatever the version.
pub(crate) const HEALTHY_TRAFFIC: &str = "{ requests-per-minute: 600 }";

/// A load balancer and an alternate target group for each service.
pub(crate) const TARGET_GROUP_PAIRS: SetupStep = |world| Ok(Scenario::with_target_group_pairs(world));

/// A second service for each, and one rule for both.
const SERVICE_PAIRS: SetupStep = |world| Ok(Scenario::with_service_pairs(world));

/// The strategies with a weight between 0 and 100 percent.
pub(crate) const STEPWISE: &[Need] = &[Need::Strategy(&["canary", "linear"])];

/// A scenario of services with two target groups, under healthy traffic.
pub(crate) const fn paired_scenario(
    name: &'static str,
    description: &'static str,
    faults: &'static str,
) -> Builtin {
    Builtin::new(name, description, faults)
        .with_setup(&[TARGET_GROUP_PAIRS])
        .with_traffic(HEALTHY_TRAFFIC)
        .with_needs(&[Need::Strategy(&["blue-green", "linear", "canary"])])
}

/// A scenario of services with two target groups whose new version is compared with the old one by metrics.
pub(crate) const fn analyzed_scenario(
    name: &'static str,
    description: &'static str,
    faults: &'static str,
) -> Builtin {
    paired_scenario(name, description, faults).with_needs(&[Need::Analysis])
}

/// An analyzed one without faults: what goes wrong is in the traffic.
const fn traffic_scenario(name: &'static str, description: &'static str, traffic: &'static str) -> Builtin {
    analyzed_scenario(name, description, "[]").with_traffic(traffic)
}

/// All of them.
pub(super) const SCENARIOS: &[Builtin] = &[
    paired_scenario(
        "blue-green",
        "A load balancer and two target groups for each service; everything goes well.",
        "[]",
    ),
    paired_scenario("linear", "The same, with little but steady traffic.", "[]")
        .with_traffic("{ requests-per-minute: 60 }")
        .with_needs(&[Need::Strategy(&["linear", "canary"])]),
    traffic_scenario(
        "canary-healthy",
        "The new version behaves like the old one under steady traffic.",
        HEALTHY_TRAFFIC,
    ),
    traffic_scenario(
        "canary-5xx",
        "The new version responds to one request in twenty with a 5xx.",
        "{ requests-per-minute: 600, versions: [{ version: new, bad-rate: 0.05 }] }",
    ),
    traffic_scenario(
        "canary-slow",
        "The new version takes ten times as long to respond.",
        "{ requests-per-minute: 600, versions: [{ version: new, median: 0.8 }] }",
    ),
    traffic_scenario(
        "canary-total-failure",
        "The new version responds to every request with a 5xx; its health check still passes.",
        "{ requests-per-minute: 60, versions: [{ version: new, bad-rate: 1 }] }",
    ),
    traffic_scenario(
        "canary-warm-up",
        "The new version is slow and bad in its first two minutes, then as good as the old one.",
        "{ requests-per-minute: 600, versions: [{ version: new, warm-up: { for: 120, bad-rate: 0.05, slowdown: 4 } }] }",
    ),
    traffic_scenario(
        "canary-shared-outage",
        "For five minutes one request in five fails, of both versions.",
        "{ requests-per-minute: 600, outages: [{ from: 300, for: 300, bad-rate: 0.2, slowdown: 3 }] }",
    ),
    traffic_scenario("canary-idle", "There is one request in two minutes.", "{ requests-per-minute: 0.5 }"),
    Builtin::new(
        "two-services",
        "Each service has a second one beside it, NAME-green, and one rule divides the traffic between them.",
        "[]",
    )
    .with_setup(&[SERVICE_PAIRS])
    .with_traffic(HEALTHY_TRAFFIC)
    .with_needs(&[Need::Pair]),
];

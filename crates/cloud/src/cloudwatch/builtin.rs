//! The built-in scenarios of CloudWatch: alarms that fire, metrics that are missing, late or wrong.

use crate::builtin::{Builtin, add_watched_alarms};
use crate::elbv2::builtin::{TARGET_GROUP_PAIRS, analyzed_scenario};

/// All of them.
pub(super) const SCENARIOS: &[Builtin] = &[
    Builtin::new(
        "alarm-red-at-start",
        "An alarm is in ALARM before the deployment begins.",
        "[alarm-red: {}]",
    )
    .with_setup(&[add_watched_alarms]),
    Builtin::new("alarm-red", "An alarm fires during the deployment.", "[alarm-red: { at: 60 }]")
        .with_setup(&[add_watched_alarms]),
    analyzed_scenario("canary-no-metrics", "CloudWatch has no metrics.", "[metrics-missing: {}]"),
    analyzed_scenario(
        "canary-late-metrics",
        "Metrics arrive five minutes later than usual.",
        "[metrics-late: { seconds: 300 }]",
    ),
    analyzed_scenario(
        "canary-partial-metrics",
        "Every second minute of the metrics is missing.",
        "[metrics-partial: {}]",
    ),
    analyzed_scenario(
        "canary-swapped-metrics",
        "CloudWatch confuses the two target groups.",
        "[metrics-swapped: {}]",
    ),
    analyzed_scenario(
        "canary-forbidden-metrics",
        "The role may not read metrics.",
        "[metrics-forbidden: {}]",
    ),
    analyzed_scenario(
        "canary-alarm",
        "An alarm fires during the bake of the canary.",
        "[alarm-red: { at: 400 }]",
    )
    .with_setup(&[TARGET_GROUP_PAIRS, add_watched_alarms]),
];

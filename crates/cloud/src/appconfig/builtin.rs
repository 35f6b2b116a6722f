//! The built-in scenarios of AppConfig: an alarm and a person end the deployment of a configuration.

use crate::builtin::{self, Builtin, Need};
use crate::scenario::{AlarmSetting, Scenario};

/// A service of the target `appconfig`.
const CONFIGURATION: &[Need] = &[Need::Target("appconfig")];

/// All of them.
pub(super) const SCENARIOS: &[Builtin] = &[
    Builtin::new(
        "flags-alarm",
        "An alarm of the AppConfig environment fires while a configuration is being deployed.",
        "[alarm-red: { at: 400 }]",
    )
    .with_setup(&[builtin::add_watched_alarms])
    .with_needs(CONFIGURATION),
    Builtin::new(
        "flags-stopped",
        "Somebody stops the AppConfig deployment.",
        "[appconfig-stopped: { at: 200 }]",
    )
    .with_needs(CONFIGURATION),
];

/// Each environment gets an alarm that it monitors.
pub(super) fn add_watched_alarms(world: &mut Scenario) {
    for application in &mut world.appconfig.applications {
        for environment in &mut application.environments {
            let name = format!("{}-{}-errors", application.name, environment.name);
            world.alarms.push(AlarmSetting { name: name.clone(), state: "OK".into(), composite: false });
            environment.monitors = vec![name];
        }
    }
}

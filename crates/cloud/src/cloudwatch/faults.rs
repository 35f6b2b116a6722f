//! What can go wrong with CloudWatch: alarms that go off, metrics that come late.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::faults::Fault;
use crate::world::{Alarm, World};

/// An alarm that goes off.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlarmFiring {
    /// Its name; every alarm of the world when absent.
    #[serde(default)]
    pub alarm: Option<String>,
    /// Seconds after the first deployment that the client starts; red from the beginning when absent.
    #[serde(default)]
    pub at: Option<f64>,
}

/// Metrics that come late.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MetricsDelay {
    /// Seconds more than usual.
    pub seconds: f64,
}

/// Alarms that are red from the beginning.
pub(super) fn fire_initial_alarms(world: &mut World, now: f64) {
    for fault in world.faults.list.clone() {
        if matches!(&fault, Fault::AlarmRed(red) if red.at.is_none()) {
            apply_fault(world, &fault, now);
        }
    }
}

/// The time of a fault, in seconds after the client's first deployment.
pub(super) fn fault_time(fault: &Fault) -> Option<f64> {
    match fault {
        Fault::AlarmRed(red) => red.at,
        _ => None,
    }
}

/// The time of a fault has come.
pub(super) fn apply_fault(world: &mut World, fault: &Fault, now: f64) {
    if let Fault::AlarmRed(red) = fault {
        fire_alarm(world, red.alarm.as_deref(), now);
    }
}

fn fire_alarm(world: &mut World, alarm: Option<&str>, now: f64) {
    if let Some(name) = alarm {
        let new = Alarm { state: "OK".into(), since: now, composite: false };
        world.alarms.entry(name.into()).or_insert(new);
    }
    for (name, it) in &mut world.alarms {
        if alarm.is_none_or(|wanted| wanted == name) {
            (it.state, it.since) = ("ALARM".into(), now);
        }
    }
}

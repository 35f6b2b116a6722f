//! Faults that strike at a time of their own, counted from the first deployment that the client starts.

use super::agenda::Event;
use super::faults::{Fault, Mischief};
use super::world::{Alarm, World};
use super::{appconfig, ecs};

/// Alarms that are red from the beginning.
pub fn at_start(world: &mut World, now: f64) {
    let red: Vec<Option<String>> = world
        .mischief
        .faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::AlarmRed(red) if red.at.is_none() => Some(red.alarm.clone()),
            _ => None,
        })
        .collect();
    for alarm in red {
        turn_red(world, alarm.as_deref(), now);
    }
}

/// The client starts a deployment: plan what is counted from the first one, and keep what lagging reads will show.
pub fn before_deployment(world: &mut World, service: usize, now: f64) {
    let lag = world.mischief.faults.iter().find_map(|fault| match fault {
        Fault::StaleReads(stale) => Some(stale.lasts),
        _ => None,
    });
    if let Some(seconds) = lag {
        world.mischief.stale = Some((now + seconds, Box::new(world.ecs.clone())));
    }
    first_deployment(world, Some(service), now);
}

/// Where it is the first deployment that the client starts, be it of a service of ECS or not: plan what is counted from it.
pub fn first_deployment(world: &mut World, service: Option<usize>, now: f64) {
    if world.mischief.deployed.is_none() {
        world.mischief.deployed = Some((now, service));
        for (place, at) in timed(&world.mischief) {
            world.agenda.plan(now + at, Event::Fault(place));
        }
    }
}

/// Whether the answer of an update does not know its service deployment yet.
pub fn answer_lags(world: &World) -> bool {
    world.mischief.faults.iter().any(|fault| matches!(fault, Fault::StaleReads(stale) if stale.in_answer))
}

fn timed(mischief: &Mischief) -> Vec<(usize, f64)> {
    let at = |fault: &Fault| match fault {
        Fault::SupersedingDeployment(other) => Some(other.at),
        Fault::DesiredCount(scaling) => Some(scaling.at),
        Fault::AlarmRed(red) => red.at,
        Fault::AppconfigStopped(stopped) => Some(stopped.at),
        _ => None,
    };
    mischief.faults.iter().enumerate().filter_map(|(place, fault)| Some((place, at(fault)?))).collect()
}

/// A timed fault strikes.
pub fn strike(world: &mut World, place: usize, now: f64) {
    let Some((_, service)) = world.mischief.deployed else { return };
    match (world.mischief.faults.get(place).cloned(), service) {
        (Some(Fault::AlarmRed(red)), _) => turn_red(world, red.alarm.as_deref(), now),
        (Some(Fault::AppconfigStopped(_)), _) => appconfig::course::somebody_stops(world, now),
        (Some(Fault::SupersedingDeployment(other)), Some(service)) => {
            ecs::interference::deploy(world, other.service.as_deref(), service, now);
        }
        (Some(Fault::DesiredCount(scaling)), Some(service)) => {
            ecs::interference::scale(world, scaling.service.as_deref(), service, scaling.to, now);
        }
        _ => {}
    }
}

fn turn_red(world: &mut World, alarm: Option<&str>, now: f64) {
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

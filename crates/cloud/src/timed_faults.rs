//! Faults with a time of their own, counted from the first deployment that the client starts. Each service knows the times and
//! effects of its own faults.

use super::events::Event;
use super::service::SERVICES;
use super::world::World;

/// Where it is the first deployment that the client starts: plan what is counted from it.
pub fn on_first_deployment(world: &mut World, now: f64) {
    if world.faults.first_deployment.is_some() {
        return;
    }
    world.faults.first_deployment = Some(now);
    for (place, fault) in world.faults.list.iter().enumerate() {
        if let Some(at) = SERVICES.iter().find_map(|service| service.fault_time(fault)) {
            let event = Event::new("timed fault", move |world, at| apply_fault(world, place, at));
            world.events.schedule(now + at, event);
        }
    }
}

/// The time of a fault has come.
fn apply_fault(world: &mut World, place: usize, now: f64) {
    let Some(fault) = world.faults.list.get(place).cloned() else { return };
    for service in SERVICES {
        service.apply_fault(world, &fault, now);
    }
}

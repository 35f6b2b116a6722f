//! Service events: AWS's words for them, and writing them down. At most 100 are kept, as DescribeServices does.

use super::super::world::World;
use super::state::ServiceEvent;

/// How many events a service keeps.
const MAX_EVENTS: usize = 100;

/// Write down an event about a service; the prefix with its name is added here.
pub(super) fn add_event(world: &mut World, service: usize, message: &str, now: f64) {
    let id = world.rng.uuid();
    let service = &mut world.ecs.services[service];
    let message = format!("(service {}) {message}", service.name);
    service.events.push_front(ServiceEvent { id, at: now, message });
    service.events.truncate(MAX_EVENTS);
}

/// `(task ID)` for each, separated by spaces.
pub(super) fn format_task_ids<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    ids.map(|id| format!("(task {id})")).collect::<Vec<_>>().join(" ")
}

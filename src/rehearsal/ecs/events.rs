//! Service events: AWS's words for them, and writing them down. At most 100 are kept, as DescribeServices does.

use super::super::world::World;
use super::state::Note;

/// How many events a service keeps.
const KEPT: usize = 100;

/// Write down an event about a service; the prefix with its name is added here.
pub(super) fn note(world: &mut World, service: usize, message: &str, now: f64) {
    let id = world.chance.uuid();
    let service = &mut world.ecs.services[service];
    let message = format!("(service {}) {message}", service.name);
    service.events.push_front(Note { id, at: now, message });
    service.events.truncate(KEPT);
}

/// `(task ID)` for each, separated by spaces.
pub(super) fn listed<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    ids.map(|id| format!("(task {id})")).collect::<Vec<_>>().join(" ")
}

//! What will happen later in the emulator, in order of virtual time. Nothing is decided here: an event carries what
//! happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::world::World;

/// What happens, at its own time.
type EventFunction = Arc<dyn Fn(&mut World, f64) + Send + Sync>;

/// Something that happens later.
#[derive(Clone)]
pub struct Event {
    name: &'static str,
    run: EventFunction,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Event").field(&self.name).finish()
    }
}

impl Event {
    /// An event: `name` is for people who debug, `run` is what happens at its time (epoch seconds).
    pub fn new(name: &'static str, run: impl Fn(&mut World, f64) + Send + Sync + 'static) -> Self {
        Self { name, run: Arc::new(run) }
    }

    /// Let it happen.
    pub fn run(&self, world: &mut World, at: f64) {
        (self.run)(world, at);
    }
}

/// Events by time, then by the order they were planned in: the same plan always runs the same way.
#[derive(Debug, Clone, Default)]
pub struct EventQueue {
    queue: BTreeMap<(u64, u64), (f64, Event)>,
    sequence: u64,
}

impl EventQueue {
    /// Plan an event for `at`, epoch seconds.
    pub fn schedule(&mut self, at: f64, event: impl Into<Event>) {
        self.sequence += 1;
        self.queue.insert((to_micros(at), self.sequence), (at, event.into()));
    }

    /// Take the next event due at or before `now`, with its own time.
    pub fn pop_due(&mut self, now: f64) -> Option<(f64, Event)> {
        let entry = self.queue.first_entry()?;
        if entry.key().0 > to_micros(now) {
            return None;
        }
        Some(entry.remove())
    }

    /// When the next event is due, epoch seconds.
    pub fn next_time(&self) -> Option<f64> {
        self.queue.values().next().map(|(at, _)| *at)
    }
}

fn to_micros(at: f64) -> u64 {
    (at.max(0.0) * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_time_order_and_never_early() {
        let mut queue = EventQueue::default();
        for (at, name) in [(20.0, "c"), (10.0, "a"), (10.0, "b")] {
            queue.schedule(at, Event::new(name, move |world, at| world.region = format!("{name} {at}")));
        }
        assert!(queue.pop_due(9.0).is_none());
        let mut world = World::default();
        let mut happened = Vec::new();
        while let Some((at, event)) = queue.pop_due(10.0) {
            event.run(&mut world, at);
            happened.push(world.region.clone());
        }
        assert_eq!(happened, ["a 10", "b 10"]);
        assert_eq!(queue.next_time(), Some(20.0));
    }
}

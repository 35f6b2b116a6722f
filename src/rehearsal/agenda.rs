//! What will happen later in the embedded cloud, in order of virtual time. Nothing is decided here.

use std::collections::BTreeMap;

use super::ecs::Happening;
use super::github::moves::Met;
use super::{appconfig, argocd};

/// Something that happens at a time of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Inside ECS.
    Ecs(Happening),
    /// Inside AppConfig.
    AppConfig(appconfig::Happening),
    /// Inside Argo CD.
    Argocd(argocd::Happening),
    /// A minute of traffic is over.
    Minute,
    /// The timed fault at this place of the scenario's list.
    Fault(usize),
    /// Reviews and checks of a pull request are there.
    GitHub(Met),
}

/// Events by time, then by the order they were planned in: the same plan always runs the same way.
#[derive(Debug, Clone, Default)]
pub struct Agenda {
    queue: BTreeMap<(u64, u64), (f64, Event)>,
    planned: u64,
}

impl Agenda {
    /// Plan an event for `at`, epoch seconds.
    pub fn plan(&mut self, at: f64, event: Event) {
        self.planned += 1;
        self.queue.insert((micros(at), self.planned), (at, event));
    }

    /// Take the next event due at or before `now`, with its own time.
    pub fn due(&mut self, now: f64) -> Option<(f64, Event)> {
        let entry = self.queue.first_entry()?;
        if entry.key().0 > micros(now) {
            return None;
        }
        Some(entry.remove())
    }

    /// When the next event is due, epoch seconds.
    pub fn next(&self) -> Option<f64> {
        self.queue.values().next().map(|(at, _)| *at)
    }
}

fn micros(at: f64) -> u64 {
    (at.max(0.0) * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_time_order_and_never_early() {
        let mut agenda = Agenda::default();
        agenda.plan(20.0, Event::Fault(2));
        agenda.plan(10.0, Event::Fault(0));
        agenda.plan(10.0, Event::Fault(1));
        assert_eq!(agenda.due(9.0), None);
        assert_eq!(agenda.due(10.0), Some((10.0, Event::Fault(0))));
        assert_eq!(agenda.due(10.0), Some((10.0, Event::Fault(1))));
        assert_eq!(agenda.due(10.0), None);
        assert_eq!(agenda.next(), Some(20.0));
    }
}

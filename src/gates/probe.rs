//! Requests of our own to both versions, for services with little traffic: a task of its own that the run starts with
//! a bake and that ends with it, or with a cancel.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::task::AbortHandle;

use super::beside;
use super::window::{Span, Window};
use crate::config::{Metric, Probe};
use crate::strategy::judge::{Count, Minute};
use crate::sys::clock::Clock;
use crate::sys::signal::{Cancel, Urgency};
use crate::sys::web::Web;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests of the last second of a minute are over by then.
pub const LAG: Span = Span(Duration::from_secs(6));
/// Requests that may be under way at once: those of both versions at the highest rate, if none were answered.
const MOST: usize = 120;

/// Counts of the canary and the baseline, by the second at which their minute begins.
type Tally = Rc<RefCell<BTreeMap<i64, [Count; 2]>>>;

/// The probes of a bake. Dropping it ends them.
#[derive(Debug)]
pub struct Prober {
    /// By place among the metrics.
    tallies: BTreeMap<usize, Tally>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Prober {
    /// Starts the probes among `metrics`. Must be called inside of a local task set.
    pub fn start(metrics: &[Metric], web: &Web, clock: Clock, cancel: &Cancel) -> Self {
        let (mut tallies, mut tasks) = (BTreeMap::new(), Vec::new());
        for (index, metric) in metrics.iter().enumerate() {
            let Metric::Probe(probe) = metric else { continue };
            let tally = Tally::default();
            let (probe, web, cancel) = (probe.clone(), web.clone(), cancel.clone());
            let counts = tally.clone();
            let task = tokio::task::spawn_local(async move {
                tokio::select! {
                    () = ask(&probe, &web, clock, &counts) => {}
                    () = cancel.reached(Urgency::Cancel) => {}
                }
            });
            tasks.push(task.abort_handle());
            tallies.insert(index, tally);
        }
        Self { tallies, tasks }
    }

    /// What the probe at `index` among the metrics counted in the minutes of a window.
    pub fn minutes(&self, index: usize, window: &Window) -> Vec<Minute> {
        let Some(tally) = self.tallies.get(&index) else { return Vec::new() };
        let tally = tally.borrow();
        beside(window, LAG, |canary, at| {
            let count = tally.get(&at)?[if canary { 0 } else { 1 }];
            (count.total > 0).then_some(count)
        })
    }
}

/// Asks both addresses at an even pace, for ever.
async fn ask(probe: &Probe, web: &Web, clock: Clock, tally: &Tally) {
    let mut ticks = tokio::time::interval(Duration::from_secs(60) / u32::from(probe.per_minute.0));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = ticks.tick(), if under_way.len() < MOST => {
                let minute = clock.now().as_second().div_euclid(60) * 60;
                for (arm, url) in [&probe.canary, &probe.baseline].into_iter().enumerate() {
                    under_way.push(async move {
                        let status = web.get(url.as_str(), PATIENCE).await.map(|page| page.status);
                        (minute, arm, status == Ok(probe.status.0))
                    });
                }
            }
            Some((minute, arm, good)) = under_way.next(), if !under_way.is_empty() => {
                let mut all = tally.borrow_mut();
                let count = &mut all.entry(minute).or_default()[arm];
                count.total += 1;
                count.bad += u64::from(!good);
            }
        }
    }
}

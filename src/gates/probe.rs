//! Our own requests to both versions, for services with little traffic: a background task that starts with
//! a bake and ends with it, or with a cancel.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::task::AbortHandle;

use super::pair_minutes;
use super::window::{AnalysisWindow, IngestionLag};
use crate::config::{Metric, Probe};
use crate::strategy::judge::{Count, Minute};
use crate::sys::clock::Clock;
use crate::sys::http::HttpClient;
use crate::sys::signal::{CancelLevel, CancelToken};

/// Timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests of the last second of a minute are complete by then.
pub const LAG: IngestionLag = IngestionLag(Duration::from_secs(6));
/// Maximum concurrent requests: those of both versions at the highest rate, if none were answered.
const MAX_IN_FLIGHT: usize = 120;

/// Counts of the canary and the baseline, by the second at which their minute begins.
type ProbeCounts = Rc<RefCell<BTreeMap<i64, [Count; 2]>>>;

/// The probes of a bake. Dropping it ends them.
#[derive(Debug)]
pub struct Prober {
    /// By index among the metrics.
    counts: BTreeMap<usize, ProbeCounts>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Prober {
    /// Starts the probes among `metrics`. Must be called inside of a local task set.
    pub fn start(metrics: &[Metric], web: &HttpClient, clock: Clock, cancel: &CancelToken) -> Self {
        let (mut counts, mut tasks) = (BTreeMap::new(), Vec::new());
        for (index, metric) in metrics.iter().enumerate() {
            let Metric::Probe(probe) = metric else { continue };
            let tally = ProbeCounts::default();
            let (probe, web, cancel) = (probe.clone(), web.clone(), cancel.clone());
            let task_counts = tally.clone();
            let task = tokio::task::spawn_local(async move {
                tokio::select! {
                    () = send_probes(&probe, &web, clock, &task_counts) => {}
                    () = cancel.wait_for(CancelLevel::Cancel) => {}
                }
            });
            tasks.push(task.abort_handle());
            counts.insert(index, tally);
        }
        Self { counts, tasks }
    }

    /// The counts of the probe at `index` among the metrics in the minutes of a window.
    pub fn minute_counts(&self, index: usize, window: &AnalysisWindow) -> Vec<Minute> {
        let Some(tally) = self.counts.get(&index) else { return Vec::new() };
        let tally = tally.borrow();
        pair_minutes(window, LAG, |canary, at| {
            let count = tally.get(&at)?[if canary { 0 } else { 1 }];
            (count.total > 0).then_some(count)
        })
    }
}

/// Sends requests to both URLs at an even rate, forever.
async fn send_probes(probe: &Probe, web: &HttpClient, clock: Clock, tally: &ProbeCounts) {
    let mut ticks = tokio::time::interval(Duration::from_secs(60) / u32::from(probe.per_minute.0));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = ticks.tick(), if under_way.len() < MAX_IN_FLIGHT => {
                let minute = clock.now().as_second().div_euclid(60) * 60;
                for (variant, url) in [&probe.canary, &probe.baseline].into_iter().enumerate() {
                    under_way.push(async move {
                        let status = web.get(url.as_str(), REQUEST_TIMEOUT).await.map(|page| page.status);
                        (minute, variant, status == Ok(probe.status.0))
                    });
                }
            }
            Some((minute, variant, good)) = under_way.next(), if !under_way.is_empty() => {
                let mut all = tally.borrow_mut();
                let count = &mut all.entry(minute).or_default()[variant];
                count.total += 1;
                count.bad += u64::from(!good);
            }
        }
    }
}

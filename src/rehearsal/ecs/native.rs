//! What a deployment in stages is: blue/green, linear or canary, as plain data, and the stops on its way.
//! How it walks from stop to stop is `stages`; how it returns is `retreat`.

use serde_json::Value;

/// A deployment in stages.
#[derive(Debug, Clone)]
pub(super) struct Native {
    pub(super) stops: Vec<Stop>,
    /// Place in `stops`.
    pub(super) at: usize,
    pub(super) phase: Phase,
    /// Counts the waits, so that a planned step of an earlier one is ignored.
    pub(super) turn: u32,
    /// The `ecs-svc/…` that serves now and to which a rollback returns.
    pub(super) blue: Option<usize>,
    pub(super) hooks: Vec<Hook>,
    /// Percent of production and test traffic that the target revision shall have.
    pub(super) production: f64,
    pub(super) test: f64,
    /// Traffic is back at the source revision.
    pub(super) returned: bool,
}

/// What a stop waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Hooks,
    Work,
}

/// A stop on the way of a deployment in stages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stop {
    /// What `lifecycleStage` shows.
    pub(super) stage: &'static str,
    /// The stage that hooks name.
    pub(super) hook: Option<&'static str>,
    pub(super) work: Work,
}

/// What is done at a stop, once its hooks are through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Work {
    /// Nothing.
    Pass,
    /// Wait until only the source revision runs.
    Reconcile,
    /// Start all tasks of the target revision.
    ScaleUp,
    /// All test traffic to the target revision.
    Test,
    /// So many percent of production traffic to it.
    Shift(f64),
    /// Wait for so many minutes.
    Bake(f64),
    /// Stop the source revision.
    CleanUp,
}

/// A hook that fired.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    pub(super) id: String,
    pub(super) pause: bool,
    pub(super) target: Option<String>,
    pub(super) status: &'static str,
    pub(super) expires: f64,
    pub(super) timeout_action: &'static str,
}

impl Hook {
    pub(super) fn open(&self) -> bool {
        matches!(self.status, "AWAITING_ACTION" | "IN_PROGRESS")
    }
}

const fn stop(stage: &'static str, hook: Option<&'static str>, work: Work) -> Stop {
    Stop { stage, hook, work }
}

impl Native {
    /// The way of a deployment with this configuration; `None` for a rolling one.
    pub(super) fn plan(configuration: &Value, blue: Option<usize>) -> Option<Self> {
        let strategy = configuration["strategy"].as_str().filter(|strategy| *strategy != "ROLLING")?;
        let mut stops = vec![
            stop("RECONCILE_SERVICE", Some("RECONCILE_SERVICE"), Work::Reconcile),
            stop("PRE_SCALE_UP", Some("PRE_SCALE_UP"), Work::Pass),
            stop("SCALE_UP", None, Work::ScaleUp),
            stop("POST_SCALE_UP", Some("POST_SCALE_UP"), Work::Pass),
            stop("TEST_TRAFFIC_SHIFT", Some("TEST_TRAFFIC_SHIFT"), Work::Test),
            stop("POST_TEST_TRAFFIC_SHIFT", Some("POST_TEST_TRAFFIC_SHIFT"), Work::Pass),
        ];
        // Without a source revision there is nothing to share traffic with.
        let (steps, bake) = if blue.is_some() { steps(strategy, configuration) } else { (vec![100.0], 0.0) };
        for percent in steps {
            stops.extend(shift(percent, bake));
        }
        let minutes = configuration["bakeTimeInMinutes"].as_f64().unwrap_or(0.0);
        stops.push(stop("BAKE_TIME", None, Work::Bake(minutes)));
        stops.push(stop("CLEAN_UP", None, Work::CleanUp));
        Some(Self {
            stops,
            at: 0,
            phase: Phase::Hooks,
            turn: 0,
            blue,
            hooks: Vec::new(),
            production: 0.0,
            test: 0.0,
            returned: false,
        })
    }

    pub(super) fn stop(&self) -> Stop {
        self.stops[self.at.min(self.stops.len() - 1)]
    }

    /// Whether the target revision shall have its tasks by now.
    pub(super) fn raised(&self) -> bool {
        let scale_up = self.stops.iter().position(|stop| stop.work == Work::ScaleUp);
        scale_up.is_some_and(|place| self.at >= place)
    }

    /// Whether the source revision may go.
    pub(super) fn cleaning(&self) -> bool {
        self.stop().work == Work::CleanUp
    }
}

/// The stops of one shift of production traffic. No lifecycle stage is called PRE_PRODUCTION_TRAFFIC_SHIFT: only hooks are.
fn shift(percent: f64, bake: f64) -> Vec<Stop> {
    let mut stops = vec![
        stop("PRODUCTION_TRAFFIC_SHIFT", Some("PRE_PRODUCTION_TRAFFIC_SHIFT"), Work::Pass),
        stop("PRODUCTION_TRAFFIC_SHIFT", Some("PRODUCTION_TRAFFIC_SHIFT"), Work::Shift(percent)),
        stop("POST_PRODUCTION_TRAFFIC_SHIFT", Some("POST_PRODUCTION_TRAFFIC_SHIFT"), Work::Pass),
    ];
    if percent < 100.0 {
        stops.push(stop("PRODUCTION_TRAFFIC_SHIFT", None, Work::Bake(bake)));
    }
    stops
}

/// Percentages in order, and the minutes between them, with AWS's defaults.
fn steps(strategy: &str, configuration: &Value) -> (Vec<f64>, f64) {
    match strategy {
        "CANARY" => {
            let canary = &configuration["canaryConfiguration"];
            let percent = canary["canaryPercent"].as_f64().unwrap_or(5.0);
            let steps = if percent < 100.0 { vec![percent, 100.0] } else { vec![100.0] };
            (steps, canary["canaryBakeTimeInMinutes"].as_f64().unwrap_or(10.0))
        }
        "LINEAR" => {
            let linear = &configuration["linearConfiguration"];
            let tenths = (linear["stepPercent"].as_f64().unwrap_or(10.0) * 10.0).round().max(1.0) as u32;
            let steps = (1..=1000_u32.div_ceil(tenths)).map(|n| f64::from((n * tenths).min(1000)) / 10.0);
            (steps.collect(), linear["stepBakeTimeInMinutes"].as_f64().unwrap_or(6.0))
        }
        _ => (vec![100.0], 0.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shifts(configuration: Value) -> Vec<Work> {
        let native = Native::plan(&configuration, Some(0)).unwrap();
        let counts = |work: &Work| matches!(work, Work::Shift(_) | Work::Bake(_));
        native.stops.iter().map(|stop| stop.work).filter(counts).collect()
    }

    #[test]
    fn each_strategy_has_its_own_steps() {
        assert!(Native::plan(&json!({"strategy": "ROLLING"}), None).is_none());
        let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 3, "canaryConfiguration": {"canaryPercent": 0.1}});
        let expected = [Work::Shift(0.1), Work::Bake(10.0), Work::Shift(100.0), Work::Bake(3.0)];
        assert_eq!(shifts(canary), expected);
        let linear = json!({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 33.4, "stepBakeTimeInMinutes": 1}});
        let percents: Vec<Work> =
            shifts(linear).into_iter().filter(|work| matches!(work, Work::Shift(_))).collect();
        assert_eq!(percents, [Work::Shift(33.4), Work::Shift(66.8), Work::Shift(100.0)]);
        let first = Native::plan(&json!({"strategy": "CANARY"}), None).unwrap();
        assert_eq!(first.stops.iter().filter(|stop| matches!(stop.work, Work::Shift(_))).count(), 1);
    }
}

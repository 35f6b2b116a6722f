//! What a deployment in stages is: blue/green, linear or canary, as plain data, and the stops on its way.
//! How it walks from stop to stop is `stages`; how it returns is `retreat`.

use serde_json::Value;

/// A deployment in stages.
#[derive(Debug, Clone)]
pub(super) struct StagedDeployment {
    pub(super) stages: Vec<LifecycleStage>,
    /// Place in `stops`.
    pub(super) index: usize,
    pub(super) phase: StagePhase,
    /// Counts the waits, so that a planned step of an earlier one is ignored.
    pub(super) wait_id: u32,
    /// The `ecs-svc/…` that serves now and to which a rollback returns.
    pub(super) source: Option<usize>,
    pub(super) hooks: Vec<LifecycleHook>,
    /// Percent of production and test traffic that the target revision shall have.
    pub(super) production_percent: f64,
    pub(super) test_percent: f64,
    /// Traffic is back at the source revision.
    pub(super) traffic_returned: bool,
}

/// What a stop waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StagePhase {
    Hooks,
    Work,
}

/// A stop on the way of a deployment in stages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LifecycleStage {
    /// What `lifecycleStage` shows.
    pub(super) name: &'static str,
    /// The stage that hooks name.
    pub(super) hook: Option<&'static str>,
    pub(super) work: StageWork,
}

/// What is done at a stop, once its hooks are through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum StageWork {
    /// Nothing.
    NoWork,
    /// Wait until only the source revision runs.
    Reconcile,
    /// Start all tasks of the target revision.
    ScaleUp,
    /// All test traffic to the target revision.
    ShiftTestTraffic,
    /// So many percent of production traffic to it.
    ShiftTraffic(f64),
    /// Wait for this number of minutes.
    Bake(f64),
    /// Stop the source revision.
    CleanUp,
}

/// A hook that fired.
#[derive(Debug, Clone)]
pub(super) struct LifecycleHook {
    pub(super) id: String,
    pub(super) is_pause: bool,
    pub(super) target: Option<String>,
    pub(super) status: &'static str,
    pub(super) expires_at: f64,
    pub(super) timeout_action: &'static str,
}

impl LifecycleHook {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.status, "AWAITING_ACTION" | "IN_PROGRESS")
    }
}

const fn new_stage(stage: &'static str, hook: Option<&'static str>, work: StageWork) -> LifecycleStage {
    LifecycleStage { name: stage, hook, work }
}

impl StagedDeployment {
    /// The way of a deployment with this configuration; `None` for a rolling one.
    pub(super) fn from_configuration(configuration: &Value, blue: Option<usize>) -> Option<Self> {
        let strategy = configuration["strategy"].as_str().filter(|strategy| *strategy != "ROLLING")?;
        let mut stops = vec![
            new_stage("RECONCILE_SERVICE", Some("RECONCILE_SERVICE"), StageWork::Reconcile),
            new_stage("PRE_SCALE_UP", Some("PRE_SCALE_UP"), StageWork::NoWork),
            new_stage("SCALE_UP", None, StageWork::ScaleUp),
            new_stage("POST_SCALE_UP", Some("POST_SCALE_UP"), StageWork::NoWork),
            new_stage("TEST_TRAFFIC_SHIFT", Some("TEST_TRAFFIC_SHIFT"), StageWork::ShiftTestTraffic),
            new_stage("POST_TEST_TRAFFIC_SHIFT", Some("POST_TEST_TRAFFIC_SHIFT"), StageWork::NoWork),
        ];
        // Without a source revision there is nothing to share traffic with.
        let (steps, bake) =
            if blue.is_some() { weight_steps(strategy, configuration) } else { (vec![100.0], 0.0) };
        for percent in steps {
            stops.extend(shift_stages(percent, bake));
        }
        let minutes = configuration["bakeTimeInMinutes"].as_f64().unwrap_or(0.0);
        stops.push(new_stage("BAKE_TIME", None, StageWork::Bake(minutes)));
        stops.push(new_stage("CLEAN_UP", None, StageWork::CleanUp));
        Some(Self {
            stages: stops,
            index: 0,
            phase: StagePhase::Hooks,
            wait_id: 0,
            source: blue,
            hooks: Vec::new(),
            production_percent: 0.0,
            test_percent: 0.0,
            traffic_returned: false,
        })
    }

    pub(super) fn current_stage(&self) -> LifecycleStage {
        self.stages[self.index.min(self.stages.len() - 1)]
    }

    /// Whether the target revision shall have its tasks by now.
    pub(super) fn is_scaled_up(&self) -> bool {
        let scale_up = self.stages.iter().position(|stop| stop.work == StageWork::ScaleUp);
        scale_up.is_some_and(|place| self.index >= place)
    }

    /// Whether the source revision may go.
    pub(super) fn is_cleaning_up(&self) -> bool {
        self.current_stage().work == StageWork::CleanUp
    }
}

/// The stops of one shift of production traffic. No lifecycle stage is called PRE_PRODUCTION_TRAFFIC_SHIFT: only hooks are.
fn shift_stages(percent: f64, bake: f64) -> Vec<LifecycleStage> {
    let mut stops = vec![
        new_stage("PRODUCTION_TRAFFIC_SHIFT", Some("PRE_PRODUCTION_TRAFFIC_SHIFT"), StageWork::NoWork),
        new_stage(
            "PRODUCTION_TRAFFIC_SHIFT",
            Some("PRODUCTION_TRAFFIC_SHIFT"),
            StageWork::ShiftTraffic(percent),
        ),
        new_stage("POST_PRODUCTION_TRAFFIC_SHIFT", Some("POST_PRODUCTION_TRAFFIC_SHIFT"), StageWork::NoWork),
    ];
    if percent < 100.0 {
        stops.push(new_stage("PRODUCTION_TRAFFIC_SHIFT", None, StageWork::Bake(bake)));
    }
    stops
}

/// Percentages in order, and the minutes between them, with AWS's defaults.
fn weight_steps(strategy: &str, configuration: &Value) -> (Vec<f64>, f64) {
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

    fn shifts(configuration: Value) -> Vec<StageWork> {
        let staged = StagedDeployment::from_configuration(&configuration, Some(0)).unwrap();
        let counts = |work: &StageWork| matches!(work, StageWork::ShiftTraffic(_) | StageWork::Bake(_));
        staged.stages.iter().map(|stop| stop.work).filter(counts).collect()
    }

    #[test]
    fn each_strategy_has_its_own_steps() {
        assert!(StagedDeployment::from_configuration(&json!({"strategy": "ROLLING"}), None).is_none());
        let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 3, "canaryConfiguration": {"canaryPercent": 0.1}});
        let expected = [
            StageWork::ShiftTraffic(0.1),
            StageWork::Bake(10.0),
            StageWork::ShiftTraffic(100.0),
            StageWork::Bake(3.0),
        ];
        assert_eq!(shifts(canary), expected);
        let linear = json!({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 33.4, "stepBakeTimeInMinutes": 1}});
        let percents: Vec<StageWork> =
            shifts(linear).into_iter().filter(|work| matches!(work, StageWork::ShiftTraffic(_))).collect();
        assert_eq!(
            percents,
            [StageWork::ShiftTraffic(33.4), StageWork::ShiftTraffic(66.8), StageWork::ShiftTraffic(100.0)]
        );
        let first = StagedDeployment::from_configuration(&json!({"strategy": "CANARY"}), None).unwrap();
        assert_eq!(
            first.stages.iter().filter(|stop| matches!(stop.work, StageWork::ShiftTraffic(_))).count(),
            1
        );
    }
}

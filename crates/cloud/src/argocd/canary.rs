//! A Rollout's canary: its steps, its analysis, its abort. Weights are kept by numbers of pods, as without a traffic router.

use super::pods::PodFactory;
use super::scenario::{ArgoCdAppSetting, CanaryStep};
use super::state::{AnalysisRun, ArgoCdApp, ReplicaSet, Workload};
use super::workload::create_pods;
use crate::faults::{Fault, FaultTarget};

/// Seconds after an abort until the pods of the canary end.
const ABORT_DELAY: f64 = 30.0;

/// A new template: the steps begin again, or are skipped where there is nothing to compare with or where the template
/// is the stable one's.
pub fn restart_steps(setting: &ArgoCdAppSetting, work: &mut Workload, now: f64) {
    let Some(newest) = work.replica_sets.last() else { return };
    let first = work.replica_sets.len() == 1;
    if first {
        work.canary.stable_set = newest.name.clone();
    }
    let skipped = first || work.canary.stable_set == newest.name;
    work.canary.step_index = if skipped { setting.steps.len() } else { 0 };
    (work.canary.step_started, work.canary.aborted, work.canary.analysis) = (now, None, None);
}

/// Go through the steps as far as they go at `now`.
pub fn advance_steps(app: &mut ArgoCdApp, maker: &mut PodFactory<'_>, now: f64) {
    loop {
        scale_replica_sets(app, maker, now);
        if app.workload.canary.aborted.is_some() || !is_step_complete(app, maker, now) {
            break;
        }
        let canary = &mut app.workload.canary;
        (canary.step_index, canary.step_started) = (canary.step_index + 1, now);
        app.workload.last_progress = now;
    }
    let wanted = app.spec.pod_count();
    let work = &mut app.workload;
    if work.canary.aborted.is_some() {
        work.canary.step_index = 0;
    }
    let done = work.canary.step_index == app.spec.steps.len() && work.canary.aborted.is_none();
    if let Some(new) = work.replica_sets.last()
        && done
        && new.available_count(now) >= wanted
    {
        work.canary.stable_set = new.name.clone();
    }
}

/// Percent of the pods that should run the new template.
pub fn canary_weight(app: &ArgoCdApp) -> u32 {
    let canary = &app.workload.canary;
    if canary.aborted.is_some() {
        return 0;
    }
    if canary.step_index >= app.spec.steps.len() {
        return 100;
    }
    let passed = app.spec.steps.iter().take(canary.step_index + 1).rev();
    passed
        .filter_map(|step| if let CanaryStep::SetWeight(weight) = step { Some(*weight) } else { None })
        .next()
        .unwrap_or(0)
}

/// Pods of the new template by its weight.
fn canary_pod_count(app: &ArgoCdApp) -> usize {
    (app.spec.replicas as usize * canary_weight(app).min(100) as usize).div_ceil(100)
}

/// Make and end pods so that the weight holds; none of the stable ones ends before its successor is ready.
fn scale_replica_sets(app: &mut ArgoCdApp, maker: &mut PodFactory<'_>, now: f64) {
    let (wanted, share) = (app.spec.replicas as usize, canary_pod_count(app));
    let stable = app.workload.canary.stable_set.clone();
    let Some(new) = app.workload.replica_sets.last() else { return };
    if new.name == stable {
        create_pods(
            app,
            wanted.saturating_sub(app.workload.replica_sets.last().map_or(0, ReplicaSet::active_count)),
            maker,
            now,
        );
        return stop_other_pods(app, &stable, wanted, maker, now);
    }
    let more = share.saturating_sub(new.active_count());
    create_pods(app, more, maker, now);
    if let Some((_, at)) = app.workload.canary.aborted {
        restore_stable(app, &stable, wanted, maker, now);
        if now < at + ABORT_DELAY {
            return;
        }
    }
    let Some((new, old)) = app.workload.replica_sets.split_last_mut() else { return };
    let excess = new.active_count().saturating_sub(share);
    new.stop_pods(excess, maker, now, |_| true);
    let keep = wanted.saturating_sub(new.available_count(now).min(share));
    for set in old {
        let most = set.active_count().saturating_sub(if set.name == stable { keep } else { 0 });
        set.stop_pods(most, maker, now, |_| true);
    }
}

/// Bring the stable replica set back to its full size.
fn restore_stable(app: &mut ArgoCdApp, stable: &str, wanted: usize, maker: &mut PodFactory<'_>, now: f64) {
    let Some(place) = app.workload.replica_sets.iter().position(|set| set.name == stable) else { return };
    let set = &app.workload.replica_sets[place];
    let (missing, images) = (wanted.saturating_sub(set.active_count()), set.images.clone());
    let pods: Vec<_> =
        (0..missing).map(|_| maker.create_pod(&app.fault_target(&images), stable, now)).collect();
    app.workload.replica_sets[place].pods.extend(pods);
}

/// End what is not of the stable replica set, as far as that one is ready.
fn stop_other_pods(app: &mut ArgoCdApp, stable: &str, wanted: usize, maker: &mut PodFactory<'_>, now: f64) {
    let ready = app
        .workload
        .replica_sets
        .iter()
        .find(|set| set.name == stable)
        .map_or(0, |set| set.available_count(now));
    let keep = wanted.saturating_sub(ready);
    for set in app.workload.replica_sets.iter_mut().filter(|set| set.name != stable) {
        let most = set.active_count().saturating_sub(keep);
        set.stop_pods(most, maker, now, |_| true);
    }
}

/// Whether the current step is over.
fn is_step_complete(app: &mut ArgoCdApp, maker: &mut PodFactory<'_>, now: f64) -> bool {
    let canary = &app.workload.canary;
    let Some(step) = app.spec.steps.get(canary.step_index) else { return false };
    match step {
        CanaryStep::SetWeight(_) => has_reached_weight(app, now),
        CanaryStep::Pause(seconds) => *seconds > 0.0 && now >= canary.step_started + seconds,
        CanaryStep::Analysis(seconds) => poll_analysis(app, *seconds, maker, now),
    }
}

/// Whether the pods of the weight are ready, and no more of the others run.
fn has_reached_weight(app: &ArgoCdApp, now: f64) -> bool {
    let (wanted, share) = (app.spec.replicas as usize, canary_pod_count(app));
    let Some((new, old)) = app.workload.replica_sets.split_last() else { return false };
    new.available_count(now) >= share
        && old.iter().map(ReplicaSet::active_count).sum::<usize>() <= wanted - share
}

/// Run the analysis of a step: whether it has succeeded. One that fails aborts the update.
fn poll_analysis(app: &mut ArgoCdApp, seconds: f64, maker: &mut PodFactory<'_>, now: f64) -> bool {
    let begun = app.workload.canary.step_started;
    let running = app.workload.canary.analysis.as_ref().is_some_and(|run| run.started_at >= begun);
    if !running {
        app.workload.canary.analysis = Some(start_analysis(app, seconds, maker, now));
    }
    let Some(run) = &mut app.workload.canary.analysis else { return false };
    if now < run.ends_at {
        return false;
    }
    if !run.will_fail {
        run.phase = "Successful".into();
        return true;
    }
    run.phase = "Failed".into();
    run.message = "Metric \"success-rate\" assessed Failed due to failed (1) > failureLimit (0)".into();
    let why = format!("Step-based analysis phase error/failed: {}", run.message);
    let revision = app.workload.replica_sets.last().map_or(0, |set| set.revision);
    let words = format!("RolloutAborted: Rollout aborted update to revision {revision}: {why}");
    app.workload.canary.aborted = Some((words, now));
    true
}

fn start_analysis(app: &ArgoCdApp, seconds: f64, maker: &mut PodFactory<'_>, now: f64) -> AnalysisRun {
    let images: Vec<&str> = app
        .workload
        .replica_sets
        .last()
        .map_or(Vec::new(), |set| set.images.iter().map(String::as_str).collect());
    let old = app.workload.replica_sets.last().is_some_and(|set| set.images == app.initial_images);
    let subject = FaultTarget { is_seed_version: old, service: &app.spec.name, images };
    let fails = maker.faults.trigger_first(
        |fault, spent| matches!(fault, Fault::ArgocdAnalysisFailed(plain) if plain.applies_to(&subject, spent)),
    );
    let set = app.workload.replica_sets.last();
    let (hash, revision) = set.map_or(("", 0), |set| (set.template_hash(), set.revision));
    AnalysisRun {
        name: format!("{}-{hash}-{revision}-{}", app.spec.name, app.workload.canary.step_index),
        uid: maker.rng.uuid(),
        phase: "Running".into(),
        message: String::new(),
        started_at: now,
        ends_at: now + seconds,
        will_fail: fails,
    }
}

/// Times at which a canary continues on its own.
pub fn next_times(app: &ArgoCdApp) -> Vec<f64> {
    let canary = &app.workload.canary;
    let mut times: Vec<f64> = canary.aborted.iter().map(|(_, at)| at + ABORT_DELAY).collect();
    if let Some(CanaryStep::Pause(seconds)) = app.spec.steps.get(canary.step_index)
        && *seconds > 0.0
    {
        times.push(canary.step_started + seconds);
    }
    times.extend(canary.analysis.iter().filter(|run| run.phase == "Running").map(|run| run.ends_at));
    times
}

/// Phase and message of a Rollout, in Argo Rollouts' words.
pub fn rollout_phase(app: &ArgoCdApp, now: f64) -> (&'static str, String) {
    let work = &app.workload;
    let wanted = app.spec.replicas as usize;
    let Some((new, old)) = work.replica_sets.split_last() else { return ("Progressing", String::new()) };
    let others: usize = old.iter().map(ReplicaSet::active_count).sum();
    let done = work.canary.step_index >= app.spec.steps.len();
    if let Some((words, _)) = &work.canary.aborted {
        return ("Degraded", words.clone());
    }
    if work.is_paused {
        return ("Paused", "manually paused".into());
    }
    if !work.is_complete && exceeds_deadline(app, now) {
        let words =
            format!("ProgressDeadlineExceeded: ReplicaSet \"{}\" has timed out progressing.", new.name);
        return ("Degraded", words);
    }
    if let (false, Some(CanaryStep::Pause(_))) = (done, app.spec.steps.get(work.canary.step_index)) {
        return ("Paused", "CanaryPauseStep".into());
    }
    let words = if new.active_count() < canary_pod_count(app).min(wanted) {
        "more replicas need to be updated"
    } else if new.available_count(now) < new.active_count() {
        "updated replicas are still becoming available"
    } else if !done {
        "waiting for all steps to complete"
    } else if others > 0 {
        "old replicas are pending termination"
    } else {
        return ("Healthy", String::new());
    };
    ("Progressing", words.into())
}

/// Whether nothing has got on for longer than the deadline, where something should.
fn exceeds_deadline(app: &ArgoCdApp, now: f64) -> bool {
    let waits = !matches!(
        app.spec.steps.get(app.workload.canary.step_index),
        Some(CanaryStep::Pause(_) | CanaryStep::Analysis(_))
    );
    waits && now >= app.workload.last_progress + app.spec.progress_deadline
}

impl ReplicaSet {
    /// What follows the workload's name in its own: `pod-template-hash`.
    pub fn template_hash(&self) -> &str {
        self.name.rsplit_once('-').map_or("", |(_, hash)| hash)
    }
}

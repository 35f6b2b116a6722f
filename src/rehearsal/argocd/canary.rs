//! A Rollout's canary: its steps, its analysis, its abort. Weights are kept by numbers of pods, as without a traffic router.

use super::pods::Maker;
use super::setting::{Application, Step};
use super::state::{Analysis, App, ReplicaSet, Workload};
use super::workload::grow;
use crate::rehearsal::faults::{Fault, Subject};

/// Seconds after an abort until the pods of the canary end.
const ABORT_DELAY: f64 = 30.0;

/// A new template: the steps begin again, or are skipped where there is nothing to compare with or where the template
/// is the stable one's.
pub fn restart(setting: &Application, work: &mut Workload, now: f64) {
    let Some(newest) = work.sets.last() else { return };
    let first = work.sets.len() == 1;
    if first {
        work.canary.stable = newest.name.clone();
    }
    let skipped = first || work.canary.stable == newest.name;
    work.canary.index = if skipped { setting.steps.len() } else { 0 };
    (work.canary.began, work.canary.aborted, work.canary.analysis) = (now, None, None);
}

/// Go through the steps as far as they go at `now`.
pub fn advance(app: &mut App, maker: &mut Maker<'_>, now: f64) {
    loop {
        scale(app, maker, now);
        if app.workload.canary.aborted.is_some() || !step(app, maker, now) {
            break;
        }
        let canary = &mut app.workload.canary;
        (canary.index, canary.began) = (canary.index + 1, now);
        app.workload.progressed = now;
    }
    let wanted = app.setting.replicas as usize;
    let work = &mut app.workload;
    if work.canary.aborted.is_some() {
        work.canary.index = 0;
    }
    let done = work.canary.index == app.setting.steps.len() && work.canary.aborted.is_none();
    if let Some(new) = work.sets.last()
        && done
        && new.available(now) >= wanted
    {
        work.canary.stable = new.name.clone();
    }
}

/// Percent of the pods that should run the new template.
pub fn weight(app: &App) -> u32 {
    let canary = &app.workload.canary;
    if canary.aborted.is_some() {
        return 0;
    }
    if canary.index >= app.setting.steps.len() {
        return 100;
    }
    let passed = app.setting.steps.iter().take(canary.index + 1).rev();
    passed
        .filter_map(|step| if let Step::SetWeight(weight) = step { Some(*weight) } else { None })
        .next()
        .unwrap_or(0)
}

/// Pods of the new template by its weight.
fn share(app: &App) -> usize {
    (app.setting.replicas as usize * weight(app).min(100) as usize).div_ceil(100)
}

/// Make and end pods so that the weight holds; none of the stable ones ends before its successor is ready.
fn scale(app: &mut App, maker: &mut Maker<'_>, now: f64) {
    let (wanted, share) = (app.setting.replicas as usize, share(app));
    let stable = app.workload.canary.stable.clone();
    let Some(new) = app.workload.sets.last() else { return };
    if new.name == stable {
        grow(app, wanted.saturating_sub(app.workload.sets.last().map_or(0, ReplicaSet::active)), maker, now);
        return end_others(app, &stable, wanted, maker, now);
    }
    let more = share.saturating_sub(new.active());
    grow(app, more, maker, now);
    if let Some((_, at)) = app.workload.canary.aborted {
        restore(app, &stable, wanted, maker, now);
        if now < at + ABORT_DELAY {
            return;
        }
    }
    let Some((new, old)) = app.workload.sets.split_last_mut() else { return };
    let excess = new.active().saturating_sub(share);
    new.end(excess, maker, now, |_| true);
    let keep = wanted.saturating_sub(new.available(now).min(share));
    for set in old {
        let most = set.active().saturating_sub(if set.name == stable { keep } else { 0 });
        set.end(most, maker, now, |_| true);
    }
}

/// Bring the stable replica set back to its full size.
fn restore(app: &mut App, stable: &str, wanted: usize, maker: &mut Maker<'_>, now: f64) {
    let Some(place) = app.workload.sets.iter().position(|set| set.name == stable) else { return };
    let set = &app.workload.sets[place];
    let (missing, images) = (wanted.saturating_sub(set.active()), set.images.clone());
    let pods: Vec<_> = (0..missing).map(|_| maker.pod(app, stable, &images, now)).collect();
    app.workload.sets[place].pods.extend(pods);
}

/// End what is not of the stable replica set, as far as that one is ready.
fn end_others(app: &mut App, stable: &str, wanted: usize, maker: &mut Maker<'_>, now: f64) {
    let ready = app.workload.sets.iter().find(|set| set.name == stable).map_or(0, |set| set.available(now));
    let keep = wanted.saturating_sub(ready);
    for set in app.workload.sets.iter_mut().filter(|set| set.name != stable) {
        let most = set.active().saturating_sub(keep);
        set.end(most, maker, now, |_| true);
    }
}

/// Whether the current step is over.
fn step(app: &mut App, maker: &mut Maker<'_>, now: f64) -> bool {
    let canary = &app.workload.canary;
    let Some(step) = app.setting.steps.get(canary.index) else { return false };
    match step {
        Step::SetWeight(_) => reached(app, now),
        Step::Pause(seconds) => *seconds > 0.0 && now >= canary.began + seconds,
        Step::Analysis(seconds) => analysed(app, *seconds, maker, now),
    }
}

/// Whether the pods of the weight are ready, and no more of the others run.
fn reached(app: &App, now: f64) -> bool {
    let (wanted, share) = (app.setting.replicas as usize, share(app));
    let Some((new, old)) = app.workload.sets.split_last() else { return false };
    new.available(now) >= share && old.iter().map(ReplicaSet::active).sum::<usize>() <= wanted - share
}

/// Run the analysis of a step: whether it has succeeded. One that fails aborts the update.
fn analysed(app: &mut App, seconds: f64, maker: &mut Maker<'_>, now: f64) -> bool {
    let begun = app.workload.canary.began;
    let running = app.workload.canary.analysis.as_ref().is_some_and(|run| run.began >= begun);
    if !running {
        app.workload.canary.analysis = Some(begin(app, seconds, maker, now));
    }
    let Some(run) = &mut app.workload.canary.analysis else { return false };
    if now < run.ends {
        return false;
    }
    if !run.fails {
        run.phase = "Successful".into();
        return true;
    }
    run.phase = "Failed".into();
    run.message = "Metric \"success-rate\" assessed Failed due to failed (1) > failureLimit (0)".into();
    let why = format!("Step-based analysis phase error/failed: {}", run.message);
    let revision = app.workload.sets.last().map_or(0, |set| set.revision);
    let words = format!("RolloutAborted: Rollout aborted update to revision {revision}: {why}");
    app.workload.canary.aborted = Some((words, now));
    true
}

fn begin(app: &App, seconds: f64, maker: &mut Maker<'_>, now: f64) -> Analysis {
    let images: Vec<&str> =
        app.workload.sets.last().map_or(Vec::new(), |set| set.images.iter().map(String::as_str).collect());
    let old = app.workload.sets.last().is_some_and(|set| set.images == app.founding);
    let subject = Subject { old, service: &app.setting.name, images };
    let fails = maker.mischief.strike(
        |fault, spent| matches!(fault, Fault::ArgocdAnalysisFailed(plain) if plain.strikes(&subject, spent)),
    );
    let set = app.workload.sets.last();
    let (hash, revision) = set.map_or(("", 0), |set| (set.hash(), set.revision));
    Analysis {
        name: format!("{}-{hash}-{revision}-{}", app.setting.name, app.workload.canary.index),
        uid: maker.chance.uuid(),
        phase: "Running".into(),
        message: String::new(),
        began: now,
        ends: now + seconds,
        fails,
    }
}

/// Times at which a canary goes on by itself.
pub fn times(app: &App) -> Vec<f64> {
    let canary = &app.workload.canary;
    let mut times: Vec<f64> = canary.aborted.iter().map(|(_, at)| at + ABORT_DELAY).collect();
    if let Some(Step::Pause(seconds)) = app.setting.steps.get(canary.index)
        && *seconds > 0.0
    {
        times.push(canary.began + seconds);
    }
    times.extend(canary.analysis.iter().filter(|run| run.phase == "Running").map(|run| run.ends));
    times
}

/// Phase and message of a Rollout, in Argo Rollouts' words.
pub fn phase(app: &App, now: f64) -> (&'static str, String) {
    let work = &app.workload;
    let wanted = app.setting.replicas as usize;
    let Some((new, old)) = work.sets.split_last() else { return ("Progressing", String::new()) };
    let others: usize = old.iter().map(ReplicaSet::active).sum();
    let done = work.canary.index >= app.setting.steps.len();
    if let Some((words, _)) = &work.canary.aborted {
        return ("Degraded", words.clone());
    }
    if work.paused {
        return ("Paused", "manually paused".into());
    }
    if !work.complete && late(app, now) {
        let words =
            format!("ProgressDeadlineExceeded: ReplicaSet \"{}\" has timed out progressing.", new.name);
        return ("Degraded", words);
    }
    if let (false, Some(Step::Pause(_))) = (done, app.setting.steps.get(work.canary.index)) {
        return ("Paused", "CanaryPauseStep".into());
    }
    let words = if new.active() < share(app).min(wanted) {
        "more replicas need to be updated"
    } else if new.available(now) < new.active() {
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
fn late(app: &App, now: f64) -> bool {
    let waits =
        !matches!(app.setting.steps.get(app.workload.canary.index), Some(Step::Pause(_) | Step::Analysis(_)));
    waits && now >= app.workload.progressed + app.setting.progress_deadline
}

impl ReplicaSet {
    /// What follows the workload's name in its own: `pod-template-hash`.
    pub fn hash(&self) -> &str {
        self.name.rsplit_once('-').map_or("", |(_, hash)| hash)
    }
}

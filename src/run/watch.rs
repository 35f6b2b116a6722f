//! One poll loop for all services: look, judge, act on the verdict. A read error is neither healthy nor failed.

use std::time::Duration;

use futures::future::join_all;

use crate::problem::{Code, Problem};
use crate::release::{Failure, Health, Outcome, Progress, Rollout};
use crate::strategy::{Step, Verdict, Watching, decide};
use crate::sys::signal::Urgency;

use super::unit::{Phase, Unit};
use super::{Job, Tone, atomic, checks, evidence, onward, state, undo};

/// Time between two looks; a tenth of jitter keeps many runs of one account apart.
const PAUSE: Duration = Duration::from_secs(2);
/// Time between two looks while nothing is expected to change.
const CALM: Duration = Duration::from_secs(5);
/// The longest pause after reads that failed.
const LONGEST: Duration = Duration::from_secs(10);

/// How long credentials may be refused while they are perhaps being renewed.
const BLIND: Duration = Duration::from_secs(60);

/// Looks at all rollouts until every one has ended, or the run is cancelled: then what has not ended is closed, also
/// what was never begun.
pub(super) async fn until_done(job: &Job, environment: &str, units: &mut [Unit]) {
    let mut pause = PAUSE;
    atomic::keep_together(job, units).await;
    while units.iter().any(|unit| matches!(unit.phase, Phase::Moving(..) | Phase::Asked)) {
        let looked = undo::or_cancel(job, look(units)).await;
        let Some(looks) = looked.filter(|_| job.cancel.urgency() == Urgency::None) else { break };
        let failed = looks.iter().any(|(_, look)| look.is_err());
        Box::pin(checks::try_all(job, units, &looks)).await;
        for (index, look) in looks {
            step(job, &mut units[index], look).await;
            ended(job, &mut units[index]).await;
        }
        atomic::keep_together(job, units).await;
        job.tell_all(&state::save(job, environment, units));
        pause = if failed { (pause * 2).min(LONGEST) } else { usual(units) };
        if units.iter().any(|unit| matches!(unit.phase, Phase::Moving(..))) {
            let _ = undo::or_cancel(job, tokio::time::sleep(jittered(pause))).await;
        }
    }
    finally(job, environment, units).await;
    let cancelled = job.cancel.urgency() != Urgency::None;
    if cancelled && units.iter().any(|unit| unit.phase != Phase::Done) {
        undo::cancelled(job, environment, units).await;
    }
}

/// Ends that waited for those of the others stand now, unless the run is cancelled.
async fn finally(job: &Job, environment: &str, units: &mut [Unit]) {
    if job.cancel.urgency() != Urgency::None || !units.iter().any(|unit| unit.awaits) {
        return;
    }
    for unit in units.iter_mut().filter(|unit| unit.awaits) {
        unit.awaits = false;
        ended(job, unit).await;
    }
    job.tell_all(&state::save(job, environment, units));
}

/// A bake takes minutes: looking less often leaves the account's requests to others.
fn usual(units: &[Unit]) -> Duration {
    let mut moving = units.iter().filter(|unit| matches!(unit.phase, Phase::Moving(..)));
    let calm = |unit: &Unit| {
        matches!(unit.phase, Phase::Moving(_, Watching::Forward))
            && matches!(unit.step(), Some(Step::Bake(_)))
    };
    if moving.all(calm) { CALM } else { PAUSE }
}

/// What was changed for a movement is put back as soon as it has ended, unless the run is cancelled: then the post
/// step does it.
async fn ended(job: &Job, unit: &mut Unit) {
    if unit.phase != Phase::Done || unit.awaits || job.cancel.urgency() != Urgency::None {
        return;
    }
    if let Some(rollout) = unit.last.clone() {
        let _ = undo::or_cancel(job, onward::settle(job, unit, &rollout)).await;
    }
}

pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.9 + 0.2 * fastrand::f64())
}

/// One look at every rollout, all in one breath so that their reads can share requests.
async fn look(units: &[Unit]) -> Vec<(usize, Result<Health, Problem>)> {
    let moving = units.iter().enumerate().filter_map(|(index, unit)| match &unit.phase {
        Phase::Moving(rollout, _) => Some(async move { (index, unit.target.probe(rollout).await) }),
        _ => None,
    });
    join_all(moving).await
}

async fn step(job: &Job, unit: &mut Unit, look: Result<Health, Problem>) {
    let Phase::Moving(rollout, watching) = unit.phase.clone() else { return };
    let health = match look {
        Ok(health) => {
            unit.blind_since = None;
            health
        }
        Err(problem) if blind(job, unit, &problem) => return undo::blind(job, unit, problem),
        Err(problem) => {
            tell_once(job, unit, &format!("could not be read, looking again: {problem}"));
            Health::Unknown(problem.to_string())
        }
    };
    if let Health::Progressing(progress) = &health {
        tell_progress(job, unit, progress);
    }
    let time_left = match watching {
        Watching::Forward => job.time_left(),
        Watching::Back(_) => job.doors.clock.elapsed() < unit.since + job.reserve(),
    };
    if watching == Watching::Forward {
        evidence::gather(job, unit, &health).await;
    }
    let verdict = decide(&watching, &unit.stand(job), &health, time_left);
    act(job, unit, &rollout, verdict).await;
}

/// Whether credentials have been refused for so long that renewing them surely is over: nothing can be read and
/// nothing be taken back any more, so waiting would only delay the truth.
fn blind(job: &Job, unit: &mut Unit, problem: &Problem) -> bool {
    if !matches!(problem.code, Code::CredentialsMissing | Code::RoleRefused) {
        return false;
    }
    let now = job.doors.clock.elapsed();
    now >= *unit.blind_since.get_or_insert(now) + BLIND
}

async fn act(job: &Job, unit: &mut Unit, rollout: &Rollout, verdict: Verdict) {
    let now = job.doors.clock.now();
    unit.report.took = job.doors.clock.elapsed();
    match verdict {
        Verdict::Wait => {}
        Verdict::Onward(at) => {
            evidence::promoted(job, unit);
            onward::onward(job, unit, rollout, at).await;
        }
        Verdict::Succeeded(proof) => {
            job.teller.tell(
                Some(unit.name()),
                Tone::Good,
                &format!("{} serves: {}", proof.version.label, proof.evidence),
            );
            unit.succeeded(now, super::goal(job), &proof);
            atomic::await_others(job, unit);
        }
        Verdict::Handed(handed) => {
            job.teller.tell(Some(unit.name()), Tone::Good, &handed.evidence);
            checks::unmade(unit);
            unit.handed(now, &handed);
            atomic::await_others(job, unit);
        }
        Verdict::FollowBack(failure) => {
            tell_failure(job, unit, &failure);
            job.moment(unit, Tone::Bad, "the provider is rolling back by itself");
            unit.move_to(job, rollout.clone(), Watching::Back(failure));
        }
        Verdict::Undo(failure) => {
            tell_failure(job, unit, &failure);
            undo::back(job, unit, failure).await;
        }
        Verdict::Returned(failure, to) => {
            unit.returned(now, &failure, to);
            job.teller.tell(Some(unit.name()), Tone::Bad, &unit.report.evidence.clone());
        }
        Verdict::Stranded(failure) => undo::strand(job, unit, failure),
        Verdict::Superseded(by) => superseded(job, unit, &by),
    }
}

/// Ends a service that belongs to somebody newer now.
pub(super) fn superseded(job: &Job, unit: &mut Unit, by: &str) {
    let sentence = format!("A newer deployment took over ({by}); it is left alone.");
    job.teller.tell(Some(unit.name()), Tone::Bad, &sentence);
    unit.lost_sight();
    unit.report.evidence = sentence.clone();
    unit.report.problems.push(
        Problem::error(Code::Superseded, sentence).of(unit.name()).help("Look at the run that started it."),
    );
    unit.end(job.doors.clock.now(), Outcome::Superseded, "superseded by a newer deployment");
}

pub(super) fn tell_failure(job: &Job, unit: &mut Unit, failure: &Failure) {
    job.moment(unit, Tone::Bad, &format!("failed: {}", failure.problem.sentence));
    for line in &failure.logs {
        job.teller.outside(unit.name(), &line.text);
    }
}

fn tell_progress(job: &Job, unit: &mut Unit, progress: &Progress) {
    for event in &progress.events {
        job.teller.outside(unit.name(), event);
        unit.report.moment(job.doors.clock.now(), event.clone());
    }
    tell_once(job, unit, &progress.words());
}

pub(super) fn tell_once(job: &Job, unit: &mut Unit, words: &str) {
    if unit.told != words {
        job.teller.tell(Some(unit.name()), Tone::Plain, words);
        unit.told = words.to_owned();
    }
}

//! The way back: after a failure, and after a cancel. Traffic first, then confirmation.

use std::future::Future;
use std::time::Duration;

use futures::future::join_all;

use crate::action::OnCancel;
use crate::problem::{Code, Problem, capital};
use crate::release::{Failure, Outcome, Rollout, Split};
use crate::rollback::{Undo, undo};
use crate::strategy::Watching;
use crate::sys::signal::Urgency;

use super::unit::{Phase, Unit};
use super::{Job, Tone, atomic, before, state, watch};

/// How long a request that is already on its way may take to answer after a cancel.
pub(super) const LAST_ANSWER: Duration = Duration::from_millis(1500);
/// How long the requests of a cancelled run may take: the runner kills after 10 s.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(4500);

/// Does `work`, or drops it as soon as the run is cancelled: for reads.
pub(super) async fn or_cancel<T>(job: &Job, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = job.cancel.reached(Urgency::Cancel) => None,
    }
}

/// Does `work`; after a cancel its answer is still waited for, but not longer than `patience`: for changes.
pub(super) async fn unless_cancelled<T>(
    job: &Job,
    patience: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let patience = async {
        job.cancel.reached(Urgency::Cancel).await;
        tokio::time::sleep(patience).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = patience => None,
    }
}

/// Takes one service back after `failure` and keeps watching until that is confirmed.
pub(super) async fn back(job: &Job, unit: &mut Unit, failure: Failure) {
    // What was well does not stay for having failed.
    if unit.target.leaves_failed() && failure.problem.code != Code::TakenBack {
        return leave(job, unit, &failure);
    }
    match undo(&unit.seen, unit.moving()) {
        Undo::Nowhere => strand(job, unit, failure),
        Undo::Route(split) => {
            job.moment(unit, Tone::Bad, &format!("rolling back to {}", split.version.label));
            match request(job, unit, &split).await {
                Ok(rollout) => unit.move_to(job, rollout, Watching::Back(failure)),
                Err(problem) if problem.code == Code::Superseded => {
                    watch::superseded(job, unit, problem.cause.as_deref().unwrap_or("no name given"));
                }
                Err(problem) => {
                    unit.report.problems.push(problem);
                    strand(job, unit, failure);
                }
            }
        }
    }
}

/// Ends a service whose failed version stays, as the deploy file says: nothing healthy is proven to serve.
fn leave(job: &Job, unit: &mut Unit, failure: &Failure) {
    let words = "the new version failed and stays: the deploy file says `on-failure: leave`";
    job.teller.tell(Some(unit.name()), Tone::Bad, words);
    let problem = Problem::error(Code::LeftAlone, format!("{}.", capital(words)));
    let help = "Fix it and deploy again, or run `operation: rollback`.";
    unit.report.problems.push(problem.help(help).of(unit.name()));
    unit.stranded(job.doors.clock.now(), failure, words);
}

/// Answers to a rollback that asking again would not change.
const FINAL: [Code; 2] = [Code::PermissionMissing, Code::Superseded];

/// A rollback is asked for again and again while there is time: an error of the network is no reason to give up.
async fn request(job: &Job, unit: &Unit, split: &Split) -> Result<Rollout, Problem> {
    let (mut pause, started) = (Duration::from_secs(1), job.doors.clock.elapsed());
    loop {
        match unit.target.route(split).await {
            Ok(rollout) => return Ok(rollout),
            Err(problem) => {
                let over = job.doors.clock.elapsed() > started + job.reserve() / 2;
                if over || FINAL.contains(&problem.code) || job.cancel.urgency() > Urgency::None {
                    return Err(problem.of(unit.name()));
                }
                job.teller.tell(
                    Some(unit.name()),
                    Tone::Bad,
                    &format!("the rollback was not accepted, asking again: {problem}"),
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
        }
    }
}

/// Ends a service for which nobody can say that something healthy serves.
pub(super) fn strand(job: &Job, unit: &mut Unit, failure: Failure) {
    let (sentence, help) = match unit.seen.refuge() {
        Some(version) => (
            format!("The rollback of `{}` to {} did not succeed.", unit.name(), version.label),
            "Look at the service now: its tasks and events say what is missing. Nothing more is done by this run.",
        ),
        None => (
            format!(
                "`{}` has no earlier version that completed, so there is nothing to roll back to.",
                unit.name()
            ),
            "This was its first deployment, or none ever completed. Fix the cause and deploy again.",
        ),
    };
    job.teller.tell(Some(unit.name()), Tone::Bad, &sentence);
    unit.report
        .problems
        .push(Problem::error(Code::RollbackFailed, sentence.clone()).help(help).of(unit.name()));
    unit.stranded(job.doors.clock.now(), &failure, &sentence);
}

/// Ends a service that can neither be read nor taken back any more.
pub(super) fn blind(job: &Job, unit: &mut Unit, problem: Problem) {
    let words = "the credentials of this run ended: the rollout goes on by itself and nobody watches it";
    job.teller.tell(Some(unit.name()), Tone::Bad, words);
    let sentence = "The credentials of this run ended while it watched, and could not be renewed.";
    let help = "Look at the service now. Give `role-to-assume`: its credentials are renewed for as long as a run waits.";
    let cause = problem.cause.clone().unwrap_or(problem.sentence);
    let problem = Problem::error(problem.code, sentence).cause(cause).help(help).of(unit.name());
    let failure = Failure::permanent(problem);
    unit.stranded(job.doors.clock.now(), &failure, words);
}

/// Ends a cancelled run: every rollout under way is taken back, or left to itself where that was wished.
pub(super) async fn cancelled(job: &Job, environment: &str, units: &mut [Unit]) {
    let leave = job.inputs.on_cancel == OnCancel::Leave;
    atomic::reopen(units, leave);
    let moved = units.iter().filter_map(state::moved).collect();
    let left = state::State { services: moved, ..state::bond(environment, units) };
    let mut open: Vec<&mut Unit> = units.iter_mut().filter(|unit| unit.phase != Phase::Done).collect();
    job.teller.line(
        None,
        if leave { "cancelled: rollouts go on by themselves" } else { "cancelled: asking for rollbacks" },
    );
    let asks = join_all(open.iter().map(|unit| async { (ask(unit, leave).await, before::stop(unit).await) }));
    let answers = tokio::time::timeout(LAST_WORDS, abandonable(job, asks)).await.ok().flatten();
    for (index, unit) in open.iter_mut().enumerate() {
        let answer = answers.as_ref().and_then(|answers| answers.get(index));
        let stopped = answer.and_then(|(_, stopped)| stopped.as_ref());
        close(job, unit, leave, answer.map(|(asked, _)| asked), stopped);
    }
    job.tell_all(&state::save_open(job, left));
}

async fn abandonable<T>(job: &Job, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = job.cancel.reached(Urgency::Abandon) => None,
    }
}

async fn ask(unit: &Unit, leave: bool) -> Option<Result<Rollout, Problem>> {
    let moved = matches!(unit.phase, Phase::Asked | Phase::Moving(_, Watching::Forward));
    match undo(&unit.seen, unit.moving()) {
        Undo::Route(split) if moved && !leave => Some(unit.target.route(&split).await),
        _ => None,
    }
}

/// The words for a service that this run did not touch: what somebody else began is left to him.
fn untouched(flight: Option<&str>, before: &str) -> String {
    match flight {
        Some(label) => {
            format!(
                "cancelled before any change; the rollout of {label} was under way already and goes on by itself"
            )
        }
        None => format!("cancelled before any change: {before} serves"),
    }
}

fn close(
    job: &Job,
    unit: &mut Unit,
    leave: bool,
    answer: Option<&Option<Result<Rollout, Problem>>>,
    stopped: Option<&Result<(), Problem>>,
) {
    let before = super::walk::before(&unit.seen).to_owned();
    let flight = unit.seen.in_flight.as_ref().map(|flight| flight.rollout.label.clone());
    let words = match (&unit.phase, answer) {
        (Phase::Ready, _) => untouched(flight.as_deref(), &before),
        (Phase::Before(command), _) => before::cancelled(command, stopped, &before),
        (Phase::Moving(_, Watching::Back(_)), _) => {
            format!("cancelled while {before} was coming back; the provider goes on with that")
        }
        _ if leave => "cancelled; the rollout goes on by itself".to_owned(),
        (_, Some(Some(Ok(_)))) => {
            format!("cancelled; the rollback to {before} was requested and goes on by itself")
        }
        (_, Some(Some(Err(problem)))) => {
            format!("cancelled; the rollback to {before} was refused: {problem}")
        }
        (_, Some(None)) => "cancelled; there is no earlier version to return to".to_owned(),
        (_, None) => format!("cancelled; the rollback to {before} was sent, but no answer came in time"),
    };
    if flight.is_some() || !matches!(unit.phase, Phase::Ready | Phase::Before(_)) {
        unit.lost_sight();
    }
    unit.report.evidence = words.clone();
    unit.report
        .problems
        .push(Problem::error(Code::Cancelled, format!("{}.", capital(&words))).of(unit.name()));
    job.teller.tell(Some(unit.name()), Tone::Bad, &words);
    unit.report.took = job.doors.clock.elapsed();
    unit.end(job.doors.clock.now(), Outcome::Cancelled, &words);
}

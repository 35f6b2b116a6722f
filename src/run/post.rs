//! The post step: after a cancelled or crashed main step it makes sure that the way back was taken, and says what
//! serves. After a main step that ended by itself it does nothing.

use std::rc::Rc;
use std::time::Duration;

use crate::action::OnCancel;
use crate::problem::Problem;
use crate::release::{
    Health, Observed, OneOffState, Outcome, Release, Rollout, Split, TaskRun, Version, Way,
};
use crate::report::{ActionStep, RunReport};
use crate::sys::environment::Variables;
use crate::targets::{self, Target};

use super::announce::{self, Channels};
use super::books::Books;
use super::state::{self, Moved, State};
use super::{Job, Unit, before, declare, onward, prepare};

/// How long the confirmation may take: the runner gives post steps of a cancelled job about 45 s.
const PATIENCE: Duration = Duration::from_secs(38);
const PAUSE: Duration = Duration::from_secs(2);

/// Whether the main step left something that may still move, or something at GitHub that has to be given back.
pub fn unfinished(variables: &Variables) -> bool {
    state::load(variables).is_some_and(|state| state.is_open())
}

/// Confirms what serves after a main step that did not end by itself; `None` where there is nothing to confirm.
pub async fn post(job: &Job) -> Option<RunReport> {
    let state = state::load(&job.doors.variables).filter(|_| unfinished(&job.doors.variables))?;
    let mut report = job.blank_report();
    report.environment = Some(state.environment.clone());
    let mut channels = Channels::default();
    let moves = state.services.iter().any(|moved| !moved.ended);
    if moves {
        match confirm_all(job, &state, &mut channels).await {
            Ok(services) => report.services = services.into_iter().map(Unit::into_report).collect(),
            Err(problems) => report.problems = problems,
        }
        report.outcome =
            Outcome::worst(report.services.iter().map(|s| s.outcome)).unwrap_or(Outcome::Stranded);
    }
    tidy(job, state, &mut report).await;
    if !moves {
        return None;
    }
    Some(announce::announce(job, &channels, job.closed(report), ActionStep::Post).await)
}

/// Closes the record, and gives back what the main step held at GitHub.
async fn tidy(job: &Job, state: State, report: &mut RunReport) {
    if state.held.is_empty() {
        return;
    }
    if let Some(Ok(books)) = Books::open(job, &state.environment, None) {
        *job.held.borrow_mut() = state.held;
        books.close_late(job, report).await;
        job.teller.line(None, "what the main step held at GitHub is given back");
    }
}

async fn confirm_all(job: &Job, state: &State, channels: &mut Channels) -> Result<Vec<Unit>, Vec<Problem>> {
    let declared = declare::declared_for(job, &state.environment)?;
    *channels = Channels::without_session(&declared);
    let session = prepare::session(job, &declared).await.map_err(|problem| vec![problem])?;
    *channels = Channels::of(&declared, &session);
    let place = prepare::place(job, &session.config, &declared);
    let targets = targets::all(&place, &declared.document.file, &declared.services)?;
    let mut open = Vec::new();
    for (service, target) in declared.services.iter().zip(targets) {
        let left = state.services.iter().find(|moved| moved.service == service.name && !moved.ended);
        if let Some(moved) = left {
            let seen = target.observe().await.map_err(|problem| vec![problem.of(&service.name)])?;
            let release = Release {
                service: service.name.clone(),
                environment: state.environment.clone(),
                image: None,
                tag: None,
                definition: None,
                former: None,
                settings: Vec::new(),
                commit: job.context.commit().map(str::to_owned),
            };
            let mut unit = Unit::new(service.clone(), target.clone(), release, seen);
            unit.report.previous = moved.back_to.clone().map(version);
            unit.report.version = moved.asked_for.clone().map(version);
            open.push((unit, target, moved));
        }
    }
    Ok(confirmed(job, state, open).await)
}

/// A service, its target, and what the main step left of it.
type Left<'s> = (Unit, Rc<dyn Target>, &'s Moved);

/// Services that belong together are taken back, all of them, unless each is proven.
async fn confirmed(job: &Job, state: &State, open: Vec<Left<'_>>) -> Vec<Unit> {
    let mut looked = Vec::new();
    for (unit, target, moved) in open {
        let rollout = moved.rollout.clone().or_else(|| in_flight(&unit.seen, moved));
        let health = match &rollout {
            Some(rollout) => {
                target.probe(rollout).await.unwrap_or_else(|problem| Health::Unknown(problem.to_string()))
            }
            None => unit.seen.health.clone(),
        };
        looked.push((unit, target, moved, rollout, health));
    }
    let proven = |health: &Health| matches!(health, Health::Healthy(_) | Health::Handed(_));
    let whole = !state.apart
        && state.services.iter().all(|moved| moved.before.is_none())
        && looked.iter().all(|(.., health)| proven(health));
    let mut units = Vec::new();
    for (mut unit, target, moved, rollout, health) in looked {
        match &moved.before {
            Some(saved) => stopped(job, &mut unit, saved).await,
            None => {
                let split = takes_back(&health, job.inputs.on_cancel, state.together && !whole);
                let split = if split { back(&unit, moved) } else { None };
                confirm(job, &mut unit, target, (rollout, health), split).await;
            }
        }
        units.push(unit);
    }
    units
}

/// A command that ran before any traffic moved is told to stop, and its end is waited for.
async fn stopped(job: &Job, unit: &mut Unit, saved: &before::Saved) {
    job.teller
        .line(Some(unit.name()), "making sure that the command which was to run before does not run on");
    let words = match before::stop_saved(unit, saved).await {
        Ok(None) => "no command runs".to_owned(),
        Ok(Some(task)) => ended(unit, &task).await,
        Err(problem) => format!("the command could not be told to stop: {problem}"),
    };
    let now = job.doors.clock.now();
    unit.report.took = job.doors.clock.elapsed();
    match unit.seen.health.clone() {
        // Nothing was moved, so there is nothing to return from.
        Health::Healthy(proof) => unit.succeeded(now, Outcome::Unchanged, &proof),
        health => conclude(job, unit, &health),
    }
    unit.report.evidence = format!("{words}; no traffic was moved. {}", unit.report.evidence);
    job.teller.line(Some(unit.name()), &unit.report.evidence.clone());
}

async fn ended(unit: &Unit, task: &TaskRun) -> String {
    let until = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < until {
        match unit.target.watch_once(task).await {
            Ok(OneOffState::Open(_)) | Err(_) => tokio::time::sleep(PAUSE).await,
            Ok(OneOffState::Done(_)) => return format!("`{}` had ended with exit code 0", task.words),
            Ok(OneOffState::Failed(_)) => return format!("`{}` was stopped", task.words),
        }
    }
    format!("`{}` was told to stop and has not ended yet", task.words)
}

async fn confirm(
    job: &Job,
    unit: &mut Unit,
    target: Rc<dyn Target>,
    (rollout, health): (Option<Rollout>, Health),
    split: Option<Split>,
) {
    let watched = match split {
        Some(split) => {
            let words = format!("making sure that {} comes back", split.version.label);
            job.teller.line(Some(unit.name()), &words);
            target.route(&split).await.ok().or(rollout)
        }
        None => rollout,
    };
    let health = match &watched {
        Some(watched) => settle(target.as_ref(), watched, health).await,
        None => health,
    };
    conclude(job, unit, &health);
    put_back(job, unit, watched, &health).await;
}

/// What the main step changed for its movement is put back once that has ended.
async fn put_back(job: &Job, unit: &mut Unit, watched: Option<Rollout>, health: &Health) {
    if let Some(rollout) = watched.filter(|_| !health.is_open()) {
        unit.settled = false;
        onward::settle(job, unit, &rollout).await;
    }
}

/// Whether the way back still has to be taken: not where the new version is proven (unless `others` of those that it belongs
/// together with are not), nor where it is under way.
fn takes_back(health: &Health, on_cancel: OnCancel, others: bool) -> bool {
    let open = matches!(
        health,
        Health::Progressing(_)
            | Health::Holding(_)
            | Health::Failing(_)
            | Health::Stopped(_)
            | Health::Unknown(_)
    );
    let proven = matches!(health, Health::Healthy(_) | Health::Handed(_));
    (open || proven && others) && on_cancel == OnCancel::Rollback
}

fn in_flight(seen: &Observed, moved: &Moved) -> Option<Rollout> {
    let flight = seen.in_flight.as_ref()?;
    (Some(&flight.rollout.version) == moved.asked_for.as_ref()).then(|| flight.rollout.clone())
}

fn back(unit: &Unit, moved: &Moved) -> Option<Split> {
    let id = moved.back_to.clone()?;
    let seen = unit.seen.refuge().cloned().filter(|version| version.id == id);
    let version = seen.unwrap_or_else(|| version(id));
    Some(Split { version, percent: 100, way: Way::Back(moved.rollout.clone()) })
}

/// A version of which only the identifier was kept.
fn version(id: String) -> Version {
    let label = id.rsplit('/').next().unwrap_or(&id).to_owned();
    Version { id, label }
}

async fn settle(target: &dyn Target, rollout: &Rollout, mut health: Health) -> Health {
    let until = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < until {
        health = target.probe(rollout).await.unwrap_or_else(|problem| Health::Unknown(problem.to_string()));
        if !health.is_open() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    health
}

fn conclude(job: &Job, unit: &mut Unit, health: &Health) {
    let now = job.doors.clock.now();
    unit.report.took = job.doors.clock.elapsed();
    match health {
        // What the step is there for is confirmed, so it ends well, although its job was cancelled.
        Health::Healthy(proof) => {
            let back = unit.report.previous.as_ref().is_some_and(|version| version.id == proof.version.id);
            unit.succeeded(now, if back { Outcome::RolledBack } else { super::goal(job) }, proof);
        }
        // What stands in Git is all that can be known; whether that is the way back, its words say.
        Health::Handed(handed) => unit.handed(now, handed),
        Health::RolledBack(failure, to) => {
            unit.returned(now, failure, to.clone());
            unit.report.failure = None;
            unit.report.outcome = Outcome::RolledBack;
        }
        Health::Superseded(by) => {
            unit.end(now, Outcome::Superseded, &format!("a newer deployment took over: {by}"))
        }
        Health::RollingBack(_) => {
            let label = unit.report.previous.as_ref().map_or("the earlier version", |back| &back.label);
            let words = format!("{label} is coming back; the provider goes on with that by itself");
            open(unit, now, words);
        }
        Health::Progressing(_) | Health::Holding(_) => {
            let words =
                "still moving when the time of the post step was over; the provider goes on by itself";
            open(unit, now, words.into());
        }
        Health::Failing(failure) | Health::Stopped(failure) | Health::RollbackFailed(failure) => {
            unit.stranded(now, failure, "the way back did not succeed");
        }
        Health::Unknown(why) => open(unit, now, format!("what serves could not be read: {why}")),
    }
    job.teller.line(Some(unit.name()), &unit.report.evidence.clone());
}

/// Nothing is proven when the time of the post step is over.
fn open(unit: &mut Unit, now: jiff::Timestamp, words: String) {
    unit.lost_sight();
    unit.report.evidence = words.clone();
    unit.end(now, Outcome::Cancelled, &words);
}

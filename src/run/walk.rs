//! The walk: plans are made, steps are taken, rollouts are watched. All services move together.

use std::time::Duration;

use futures::future::join_all;

use crate::plan::{self, Start};
use crate::problem::{Code, Problem};
use crate::release::{Change, Course, Health, Observed, Outcome, Rollout, Split, Version, Way};
use crate::strategy::{Step, Watching};
use crate::sys::signal::Urgency;

use super::books::Books;
use super::evidence::Gathered;
use super::unit::{Phase, Unit};
use super::{Job, Tone, atomic, before, forecast, hold, newest, onward, record, state, timing, undo, watch};

/// Makes the plan and stops there.
pub(super) async fn plan_only(job: &Job, books: Option<&mut Books>, mut units: Vec<Unit>) -> Vec<Unit> {
    make_plans(job, &mut units);
    newest::foretell(job, books, &mut units).await;
    hold::check(job, &mut units, true).await;
    forecast::foretell(job, &mut units, true).await;
    let now = job.doors.clock.now();
    for unit in units.iter_mut().filter(|unit| unit.phase == Phase::Ready) {
        unit.end(now, Outcome::Planned, "planned; nothing was changed");
    }
    units
}

/// Brings every unit to its end, whatever that is.
pub(super) async fn deploy(
    job: &Job,
    environment: &str,
    mut books: Option<&mut Books>,
    mut units: Vec<Unit>,
) -> Vec<Unit> {
    make_plans(job, &mut units);
    if let Some(books) = &mut books {
        books.take(job, &mut units).await;
    }
    newest::check(job, books.as_deref(), &mut units, false).await;
    hold::check(job, &mut units, false).await;
    forecast::foretell(job, &mut units, false).await;
    unchanged(job, &mut units).await;
    if let Some(books) = &mut books {
        record::open(job, books, &units).await;
    }
    if job.cancel.urgency() == Urgency::None {
        atomic::hold_back(job, &mut units);
        stage(job, &mut units).await;
        atomic::hold_back(job, &mut units);
        Box::pin(before::run(job, environment, &mut units)).await;
        atomic::hold_back(job, &mut units);
    }
    start(job, environment, &mut units).await;
    watch::until_done(job, environment, &mut units).await;
    units
}

fn make_plans(job: &Job, units: &mut [Unit]) {
    units.iter_mut().for_each(|unit| make_plan(job, unit));
}

/// Makes the plan of one unit for what was seen last.
pub(super) fn make_plan(job: &Job, unit: &mut Unit) {
    let now = job.doors.clock.now();
    let made = unit.target.changes(&unit.release, &unit.seen).and_then(|mut changes| {
        changes.0.extend(would_build(unit));
        if let Some(former) = &unit.release.former {
            return Ok(plan::back(unit.name(), &former.version, changes, &unit.seen));
        }
        plan::service(
            unit.name(),
            &unit.service.common.strategy,
            &unit.target.ability(&unit.seen),
            changes,
            &unit.seen,
        )
        .map(|plan| {
            let flight = unit.target.flight(&unit.seen, &plan.course);
            with_command(unit, plan::over(plan, flight))
        })
        .and_then(|plan| in_time(job, unit, plan))
        .map_err(|p| vec![p])
    });
    let returns = unit.release.former.is_some();
    let made = made.map(|plan| plan::checked(plan, &unit.service.common.verify, returns));
    match made {
        Ok(plan) => {
            job.teller.line(Some(unit.name()), &plan::explain(&plan));
            unit.report.changes = plan.changes.clone();
            unit.report.expected = expected(&plan, unit);
            unit.report.strategy = unit.way(plan.before.as_deref());
            let moves = plan.changes.is_empty() && !plan.steps.is_empty();
            unit.report.again = moves.then(|| plan.why.clone());
            unit.plan = Some(plan);
        }
        Err(problems) => {
            unit.end(now, Outcome::Invalid, "stopped before any change");
            unit.report.problems.extend(problems);
        }
    }
}

/// The command of the deploy file comes before a version that is new, and before no other.
fn with_command(unit: &Unit, plan: plan::ServicePlan) -> plan::ServicePlan {
    match unit.service.common.before.as_ref().filter(|_| unit.release.is_new()) {
        Some(before) => plan::with_before(plan, &before.run.shown()),
        None => plan,
    }
}

/// The time that the bakes of a plan take, or that the place says it takes; nothing is promised where it decides alone.
fn expected(plan: &plan::ServicePlan, unit: &Unit) -> Option<Duration> {
    let bake = |step: &Step| if let Step::Bake(span) = step { span.0 } else { Duration::ZERO };
    let last = if plan.steps.is_empty() { Duration::ZERO } else { plan.course.bake.0 };
    let bakes = Some(plan.steps.iter().map(bake).sum::<Duration>() + last).filter(|bakes| !bakes.is_zero());
    let told = if plan.course.is_whole() { unit.target.duration(&unit.seen).or(bakes) } else { bakes };
    told.filter(|_| !plan.steps.is_empty() && unit.release.former.is_none())
}

/// A plan whose place needs longer than the run has is refused before any change.
fn in_time(job: &Job, unit: &Unit, plan: plan::ServicePlan) -> Result<plan::ServicePlan, Problem> {
    let starts = matches!(plan.start, Start::Fresh { .. });
    let needed = unit.target.duration(&unit.seen).filter(|_| starts).unwrap_or_default();
    match timing::too_slow(job.inputs.timeout, unit.name(), needed) {
        Some(problem) => Err(problem),
        None => Ok(plan),
    }
}

/// In a plan nothing is built, so the image that would be is told in words.
fn would_build(unit: &Unit) -> Option<Change> {
    let to = unit.would_build.clone()?;
    let from = unit.seen.image.as_ref().map(ToString::to_string);
    Some(Change { field: "image".into(), from, to: Some(to) })
}

/// What serves already is left as it is, but for what an earlier run of ours did not put back.
async fn unchanged(job: &Job, units: &mut [Unit]) {
    let now = job.doors.clock.now();
    for unit in units.iter_mut().filter(|unit| starts(unit, |start| *start == Start::Unchanged)) {
        match unit.seen.health.clone() {
            Health::Healthy(proof) => {
                unit.succeeded(now, Outcome::Unchanged, &proof);
                unit.settled = !unit.seen.leftover;
                let Version { id, label } = proof.version;
                onward::settle(job, unit, &Rollout { version: id, label, ids: Vec::new() }).await;
            }
            Health::Handed(handed) => unit.stands(now, Outcome::Unchanged, &handed),
            _ => {}
        }
    }
}

fn starts(unit: &Unit, is: impl Fn(&Start) -> bool) -> bool {
    unit.phase == Phase::Ready && unit.plan.as_ref().is_some_and(|plan| is(&plan.start))
}

/// Makes the new versions exist. Nobody notices yet, so an error here ends a service with nothing changed.
async fn stage(job: &Job, units: &mut [Unit]) {
    let fresh: Vec<&mut Unit> =
        units.iter_mut().filter(|unit| starts(unit, |start| matches!(start, Start::Fresh { .. }))).collect();
    let staged = join_all(fresh.iter().map(|unit| unit.target.stage(&unit.release, &unit.seen))).await;
    for (unit, staged) in fresh.into_iter().zip(staged) {
        let now = job.doors.clock.now();
        match staged {
            Ok(version) => {
                unit.report.moment(now, format!("version {} is ready", version.label));
                job.teller.line(Some(unit.name()), &format!("version {} is ready", version.label));
                unit.report.version = Some(version);
            }
            Err(problem) => fail_unmoved(unit, now, problem),
        }
    }
}

/// The service was not touched: what served before serves still.
pub(super) fn fail_unmoved(unit: &mut Unit, now: jiff::Timestamp, problem: Problem) {
    let outcome = if problem.code.is_users() { Outcome::Invalid } else { Outcome::Failed };
    unit.report.evidence = "nothing was moved".into();
    unit.refused(now, outcome, problem);
}

/// Moves traffic, or takes up a rollout that an earlier try began. The state is saved before and after, so that a
/// run that dies in between leaves a trace for the post step.
async fn start(job: &Job, environment: &str, units: &mut [Unit]) {
    // Whoever was cancelled by now has nothing to take back: what is under way may be that of a run which holds the lease.
    let goes_on = job.cancel.urgency() == Urgency::None;
    for unit in units.iter_mut().filter(|unit| goes_on && unit.phase == Phase::Ready) {
        match unit.plan.as_ref().map(|plan| plan.start.clone()) {
            Some(Start::Adopt(rollout)) => adopt(job, unit, rollout),
            Some(Start::Fresh { .. }) => unit.phase = Phase::Asked,
            _ => {}
        }
    }
    job.tell_all(&state::save(job, environment, units));
    let mut asked: Vec<&mut Unit> = units.iter_mut().filter(|unit| unit.phase == Phase::Asked).collect();
    let moves = join_all(asked.iter().map(|unit| async { unit.target.route(&split(unit)).await }));
    let answers = undo::unless_cancelled(job, undo::LAST_ANSWER, moves).await;
    let Some(answers) = answers else { return };
    for (unit, answer) in asked.iter_mut().zip(answers) {
        routed(job, unit, answer);
    }
    job.tell_all(&state::save(job, environment, units));
}

fn adopt(job: &Job, unit: &mut Unit, rollout: Rollout) {
    let now = job.doors.clock.now();
    unit.report.version = Some(Version { id: rollout.version.clone(), label: rollout.label.clone() });
    unit.report.moment(now, "took up the rollout that an earlier run began");
    unit.move_to(job, rollout, Watching::Forward);
}

fn split(unit: &Unit) -> Split {
    let version =
        unit.report.version.clone().unwrap_or_else(|| Version { id: String::new(), label: String::new() });
    let course = unit.plan.as_ref().map_or_else(Course::whole, |plan| plan.course.clone());
    let again = unit.plan.as_ref().is_some_and(|plan| plan.start == Start::Fresh { again: true });
    let percent = course.shares.first().copied().unwrap_or(100);
    Split { version, percent, way: Way::Start { course, again } }
}

fn routed(job: &Job, unit: &mut Unit, answer: Result<Rollout, Problem>) {
    let now = job.doors.clock.now();
    match answer {
        Err(problem) if problem.code == Code::Superseded => {
            watch::superseded(job, unit, problem.cause.as_deref().unwrap_or("no name given"));
        }
        Ok(rollout) => {
            let words = format!(
                "rollout of {} started ({})",
                rollout.label,
                rollout.ids.first().map_or("no id", String::as_str)
            );
            job.teller.line(Some(unit.name()), &words);
            unit.report.moment(now, words);
            unit.move_to(job, rollout, Watching::Forward);
        }
        Err(problem) => fail_unmoved(unit, now, problem),
    }
}

impl Unit {
    pub(super) fn move_to(&mut self, job: &Job, rollout: Rollout, watching: Watching) {
        // The time for the way back counts from its first request, however often that is made.
        let goes_on = matches!(self.phase, Phase::Moving(_, Watching::Back(_)));
        if !goes_on {
            self.since = job.doors.clock.elapsed();
        }
        if watching == Watching::Forward {
            self.started(job);
        }
        // Nothing is asked any more for a version that is on its way back.
        if watching != Watching::Forward {
            self.gathered = Gathered::default();
        }
        self.last = Some(rollout.clone());
        self.phase = Phase::Moving(rollout, watching);
    }
}

impl Job {
    pub(super) fn tell_all(&self, problems: &[Problem]) {
        problems.iter().for_each(|problem| self.teller.problem(problem));
    }

    /// Tells a moment and keeps it for the timeline.
    pub(super) fn moment(&self, unit: &mut Unit, tone: Tone, words: &str) {
        self.teller.tell(Some(unit.name()), tone, words);
        unit.report.moment(self.doors.clock.now(), words);
    }
}

/// What was running before, for sentences.
pub(super) fn before(seen: &Observed) -> &str {
    seen.refuge().map_or("nothing", |version| &version.label)
}

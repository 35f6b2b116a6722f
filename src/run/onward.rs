//! Going on: the next step of a service on its way forward, and what is put back when it ended.

use crate::problem::{Code, Problem};
use crate::release::{Rollout, Split, Version, Way};
use crate::strategy::{self, Evidence, Stand, Step};

use super::evidence::Gathered;
use super::unit::{Phase, Unit};
use super::{Job, Tone, undo, watch};

impl Unit {
    fn steps(&self) -> &[Step] {
        self.plan.as_ref().map_or(&[], |plan| &plan.steps)
    }

    /// The step under way.
    pub(super) fn step(&self) -> Option<Step> {
        self.steps().get(self.at).copied()
    }

    /// The share of traffic that the version has, or gets, at the step under way.
    pub(super) fn share(&self) -> Option<u8> {
        strategy::share(self.steps(), self.at)
    }

    /// Where the service stands on its way forward.
    pub(super) fn stand(&self, job: &Job) -> Stand<'_> {
        let strategy = &self.service.common.strategy;
        let analysed = strategy::analysed(strategy);
        Stand {
            steps: self.steps(),
            at: self.at,
            here: job.doors.clock.elapsed().saturating_sub(self.at_since),
            evidence: self.evidence.clone(),
            longest: strategy::longest(strategy).unwrap_or_default(),
            on_inconclusive: analysed.map(|(_, analysis, _)| analysis.on_inconclusive).unwrap_or_default(),
        }
    }

    /// Takes up a step, whose clock starts now.
    pub(super) fn go_to(&mut self, job: &Job, at: usize) {
        (self.at, self.at_since, self.evidence) = (at, job.doors.clock.elapsed(), Evidence::NotNeeded);
        self.gathered = Gathered::default();
    }

    /// Takes up the step after the first that gives traffic: the movement was started.
    pub(super) fn started(&mut self, job: &Job) {
        let first = self.steps().iter().position(|step| matches!(step, Step::Route(_)));
        self.go_to(job, first.map_or(0, |at| at + 1));
        self.settled = self.plan.as_ref().is_none_or(|plan| plan.course.is_whole()) && !self.seen.leftover;
    }
}

/// Goes on with step `at`. A share that cannot be given is asked for again at the next look, from where we stand.
pub(super) async fn onward(job: &Job, unit: &mut Unit, rollout: &Rollout, at: usize) {
    let Some(Step::Route(percent)) = unit.steps().get(at).copied() else {
        return taken_up(job, unit, at);
    };
    let version = Version { id: rollout.version.clone(), label: rollout.label.clone() };
    let split = Split { version, percent, way: Way::Onward(rollout.clone()) };
    match undo::unless_cancelled(job, undo::LAST_ANSWER, unit.target.route(&split)).await {
        None => {}
        Some(Ok(next)) => {
            job.moment(unit, Tone::Plain, &format!("{percent} % of the traffic goes to {}", next.label));
            unit.phase = Phase::Moving(next, strategy::Watching::Forward);
            unit.go_to(job, at + 1);
        }
        Some(Err(problem)) if problem.code == Code::Superseded => {
            watch::superseded(job, unit, problem.cause.as_deref().unwrap_or("no name given"));
        }
        Some(Err(problem)) => {
            watch::tell_once(job, unit, &format!("could not go on, asking again: {problem}"));
        }
    }
}

fn taken_up(job: &Job, unit: &mut Unit, at: usize) {
    unit.go_to(job, at);
    if let (Some(Step::Bake(span)), Some(share)) = (unit.step(), unit.share()) {
        job.moment(unit, Tone::Plain, &format!("watching it with {share} % of the traffic for {span}"));
    }
}

/// Puts back what was changed for a movement that has ended. What cannot be put back is a warning: the next run does.
pub(super) async fn settle(job: &Job, unit: &mut Unit, rollout: &Rollout) {
    if unit.settled {
        return;
    }
    unit.settled = true;
    if let Err(problem) = unit.target.retire(rollout).await {
        let sentence = "Settings that were changed for the deployment could not be put back.";
        let cause = problem
            .cause
            .clone()
            .map_or_else(|| problem.to_string(), |why| format!("{}: {why}", problem.sentence));
        let left = Problem::warning(Code::LeftBehind, sentence).cause(cause).help(
            "The next run puts them back; until then, deployments of others may wait for a word of ours.",
        );
        job.teller.problem(&left);
        unit.report.problems.push(left.of(unit.name()));
    }
}

//! Two ECS services that take turns behind one listener rule: order of calls only. Each of the two is a target of its
//! own, driven by rolling updates; the rule's weights say which one serves.

use std::cell::{Cell, RefCell};

use async_trait::async_trait;
use aws_config::SdkConfig;
use tokio::time::Instant;

use super::pair_client::PairClient;
use super::pair_ids::{Motion, Move};
use super::pair_sight::{Sight, Stance};
use super::read::text;
use super::rule::Side;
use super::settings::PairSettings;
use super::{Declared, Ecs, Settings, Shared, pair_act, pair_checks, pair_look};
use crate::config::Strategy;
use crate::problem::Problem;
use crate::release::{
    Ability, Arm, Changes, Course, Flight, Former, Health, Observed, OneOff, OneOffState, Past, Release,
    Rollout, Span, Split, TaskRun, Traffic, Version, Way,
};
use crate::targets::Target;

/// What the deploy file wishes for the way of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Whether traffic is to move from one service to the other at all.
    pub shifts: bool,
    /// How long the version is watched with all traffic, where a shift is taken up whose course nobody knows any more.
    pub bake: Span,
}

impl Wish {
    /// What a strategy means for a pair.
    pub fn of(strategy: &Strategy) -> Self {
        let (shifts, bake) = match strategy {
            Strategy::Rolling(_) => (false, Span::default()),
            Strategy::BlueGreen(all) => (true, all.bake.0),
            Strategy::Linear(all) => (true, all.final_bake.0),
            Strategy::Canary(all) => (true, all.final_bake.0),
        };
        Self { shifts, bake }
    }
}

/// Two ECS services behind one listener rule.
#[derive(Debug)]
pub struct Pair {
    pub(super) halves: [Ecs; 2],
    pub(super) settings: PairSettings,
    pub(super) client: PairClient,
    pub(super) wish: Wish,
    /// What `observe` saw last.
    seen: RefCell<Option<Sight>>,
    /// The share that was asked for last, also where no answer came.
    pub(super) asked: Cell<Option<u8>>,
    /// Since when the new version is seen with all traffic.
    pub(super) full_since: Cell<Option<Instant>>,
    /// When the alarms were read last.
    pub(super) alarms_at: Cell<Option<Instant>>,
}

impl Pair {
    /// The pair of the service that `settings` name and the one of `pair`; `config` is what `shared` was made from.
    pub fn new(
        settings: &Settings,
        pair: PairSettings,
        (declared, alarms): (Declared, Vec<String>),
        (shared, config): (&Shared, &SdkConfig),
        wish: Wish,
    ) -> Self {
        let half = |service: &String| {
            let settings = Settings { service: service.clone(), pair: None, ..settings.clone() };
            Ecs::new(settings, declared.clone(), alarms.clone(), shared)
        };
        Self {
            halves: [half(&settings.service), half(&pair.service)],
            settings: pair,
            client: PairClient::new(config),
            wish,
            seen: RefCell::default(),
            asked: Cell::default(),
            full_since: Cell::default(),
            alarms_at: Cell::default(),
        }
    }

    /// Says that a command runs once with the new version, and in which container where the deploy file names one.
    #[must_use]
    pub fn running(self, runs: Option<Option<String>>) -> Self {
        let halves = self.halves.map(|half| half.running(runs.clone()));
        Self { halves, ..self }
    }

    /// The target of one side alone.
    pub(super) fn half(&self, side: Side) -> &Ecs {
        side.of(&self.halves)
    }

    /// The service of a side, as the deploy file names it.
    pub(super) fn name(&self, side: Side) -> &str {
        &self.half(side).eyes.settings.service
    }

    /// The side with this name.
    pub(super) fn side(&self, service: &str) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| self.name(*side) == service)
    }

    /// Both services and the rule, read now.
    pub(super) async fn sight(&self) -> Result<Sight, Problem> {
        let [first, second] = &self.halves;
        let rule = async { self.client.rule(self.settings.rule.as_str()).await.map_err(Problem::from) };
        let (first, second, rule) = tokio::try_join!(first.eyes.service(), second.eyes.service(), rule)?;
        Ok(Sight { services: [first, second], rule })
    }

    /// The side whose service was seen.
    fn basis(&self, seen: &Observed) -> Side {
        let arn = text(&seen.raw, "serviceArn");
        let shown = text(&seen.raw, "serviceName");
        let same = |side: &Side| {
            let name = self.name(*side);
            name == shown || name == arn
        };
        Side::BOTH.into_iter().find(same).unwrap_or(Side::First)
    }
}

#[async_trait(?Send)]
impl Target for Pair {
    fn ability(&self, _seen: &Observed) -> Ability {
        let lacks = self.seen.borrow().as_ref().and_then(Sight::lacks);
        Ability { traffic: if lacks.is_some() { Traffic::Whole } else { Traffic::Weighted }, lacks }
    }

    fn flight(&self, _seen: &Observed, course: &Course) -> Flight {
        match self.seen.borrow().as_ref().map(|sight| (sight.stance(), sight)) {
            // Shares are the run's own: a shift is gone on with from any share that the course knows.
            Some((Stance::Shifting { percent, .. }, _)) if course.shares[..].contains(&percent) => {
                Flight::Along
            }
            Some((Stance::Shifting { .. }, sight)) => {
                Flight::Elsewhere(format!("a shift with {}", sight.words()))
            }
            _ if course.is_whole() => Flight::Along,
            _ => Flight::ByItself,
        }
    }

    async fn observe(&self) -> Result<Observed, Problem> {
        let sight = self.sight().await?;
        self.seen.replace(Some(sight.clone()));
        pair_look::observe(self, &sight).await
    }

    fn changes(&self, release: &Release, seen: &Observed) -> Result<Changes, Vec<Problem>> {
        self.half(self.basis(seen)).changes(release, seen)
    }

    async fn check(&self, release: &Release, seen: &Observed) -> Vec<Problem> {
        let basis = self.basis(seen);
        let mut found = self.half(basis).check(release, seen).await;
        found.extend(pair_checks::check(self, basis, release, seen).await);
        found
    }

    async fn versions(&self) -> Result<Vec<Past>, Problem> {
        let [first, second] = &self.halves;
        let (first, second) = tokio::try_join!(first.versions(), second.versions())?;
        Ok(pair_look::merged(first, second))
    }

    async fn recall(&self, version: &Version) -> Result<Former, Problem> {
        self.half(Side::First).recall(version).await
    }

    fn equals(&self, release: &Release, seen: &Observed, former: &Former) -> bool {
        self.half(self.basis(seen)).equals(release, seen, former)
    }

    async fn arms(&self, seen: &Observed) -> Result<Vec<Arm>, Problem> {
        self.half(self.basis(seen)).arms(seen).await
    }

    async fn stage(&self, release: &Release, seen: &Observed) -> Result<Version, Problem> {
        self.half(self.basis(seen)).stage(release, seen).await
    }

    async fn route(&self, split: &Split) -> Result<Rollout, Problem> {
        let moved = match &split.way {
            Way::Start { course, .. } if course.is_whole() => pair_act::roll(self, split).await,
            Way::Start { course, again } => pair_act::start(self, &split.version, course, *again).await,
            Way::Onward(rollout) => pair_act::onward(self, rollout, split.percent).await,
            Way::Back(ours) => pair_act::back(self, split, ours.as_ref().and_then(Move::read)).await,
        };
        moved.map(|moved| moved.rollout())
    }

    async fn probe(&self, rollout: &Rollout) -> Result<Health, Problem> {
        match Move::read(rollout) {
            None => Ok(Health::Unknown("this rollout is not one of a pair of services".into())),
            Some(moved) => pair_look::probe(self, &moved).await,
        }
    }

    async fn run_once(
        &self,
        version: &Version,
        command: &OneOff,
        seen: &Observed,
    ) -> Result<TaskRun, Problem> {
        self.half(self.basis(seen)).run_once(version, command, seen).await
    }

    async fn find_once(&self, owner: &str) -> Result<Option<TaskRun>, Problem> {
        self.half(Side::First).find_once(owner).await
    }

    async fn watch_once(&self, task: &TaskRun) -> Result<OneOffState, Problem> {
        self.half(Side::First).watch_once(task).await
    }

    async fn stop_once(&self, task: &TaskRun) -> Result<(), Problem> {
        self.half(Side::First).stop_once(task).await
    }

    async fn retire(&self, rollout: &Rollout) -> Result<(), Problem> {
        match Move::read(rollout) {
            Some(moved) if matches!(moved.motion, Motion::Shift(_)) && self.settings.scale_down => {
                pair_act::scale_down(self, &moved).await
            }
            _ => Ok(()),
        }
    }
}

//! Two ECS services behind one listener rule: sequences of calls only. Each service is a target of its own, driven by
//! rolling updates; the weights of the rule decide which one serves.

pub mod client;
pub mod find_shift;
pub mod listener_rule;
pub mod mutations;
pub mod observed_pair;
#[cfg(test)]
mod pair_tests;
pub mod preflight;
pub mod rollout_ids;
pub mod state;
pub mod status;
mod weights;

use std::cell::Cell;

use async_trait::async_trait;
use tokio::time::Instant;

use super::Ecs;
use super::Settings;
use super::SharedClients;
use super::read::str_field;
use super::settings::PairSettings;
use crate::config::Strategy;
use crate::problem::Problem;
use crate::release::{
    Changes, CompletedVersion, Diagnosis, HumanDuration, Observed, Release, Resume, RollbackTarget, Rollout,
    RolloutStatus, ShiftKind, Staged, StartedTask, TaskCommand, TaskStatus, TrafficControl, TrafficPlan,
    TrafficShift, TrafficSupport, Variant, Version,
};
use crate::targets::{ChangeError, History, Limits, MetricLabels, OneOffTasks, Target};
use client::PairClient;
use listener_rule::PairMember;
use observed_pair::ObservedPair;
use rollout_ids::{PairOperation, PairRollout};
use state::PairState;

/// How the deploy file rolls a version out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairOptions {
    /// Whether traffic is shifted from one service to the other.
    pub shifts_traffic: bool,
    /// The bake time with all traffic of a resumed shift without a known traffic plan.
    pub bake: HumanDuration,
}

impl PairOptions {
    /// The options of a strategy for a pair.
    pub fn from_strategy(strategy: &Strategy) -> Self {
        let (shifts_traffic, bake) = match strategy {
            Strategy::Rolling(_) => (false, HumanDuration::default()),
            Strategy::BlueGreen(all) => (true, all.bake.0),
            Strategy::Linear(all) => (true, all.final_bake.0),
            Strategy::Canary(all) => (true, all.final_bake.0),
        };
        Self { shifts_traffic, bake }
    }
}

/// Two ECS services behind one listener rule.
#[derive(Debug)]
pub struct ServicePair {
    pub(super) members: [Ecs; 2],
    pub(super) settings: PairSettings,
    pub(super) client: PairClient,
    pub(super) options: PairOptions,
    /// The last requested weight, also if the response was lost.
    pub(super) requested_weight: Cell<Option<u8>>,
    /// Since when the new version has all traffic.
    pub(super) full_weight_since: Cell<Option<Instant>>,
    /// Time of the last read of the alarms.
    pub(super) alarms_read_at: Cell<Option<Instant>>,
}

/// The settings of each service of a pair, as if it stood alone.
pub fn member_settings(settings: &Settings, pair: &PairSettings) -> [Settings; 2] {
    let member = |service: &String| Settings { service: service.clone(), pair: None, ..settings.clone() };
    [member(&settings.service), member(&pair.service)]
}

impl ServicePair {
    /// The pair of two services, of which the second and the rule are those of `settings`.
    pub fn new(
        members: [Ecs; 2],
        settings: PairSettings,
        shared: &SharedClients,
        options: PairOptions,
    ) -> Self {
        Self {
            members,
            settings,
            client: shared.listener_rules.clone(),
            options,
            requested_weight: Cell::default(),
            full_weight_since: Cell::default(),
            alarms_read_at: Cell::default(),
        }
    }

    /// The target of one side alone.
    pub(super) fn member(&self, side: PairMember) -> &Ecs {
        side.select(&self.members)
    }

    /// The service of a member, as the deploy file names it.
    pub(super) fn service_name(&self, side: PairMember) -> &str {
        &self.member(side).reader.settings.service
    }

    /// The member with this name.
    pub(super) fn find_member(&self, service: &str) -> Option<PairMember> {
        PairMember::BOTH.into_iter().find(|side| self.service_name(*side) == service)
    }

    /// Both services and the rule, read now.
    pub(super) async fn read_state(&self) -> Result<PairState, Problem> {
        let [first, second] = &self.members;
        let rule = async { self.client.read_rule(self.settings.rule.as_str()).await.map_err(Problem::from) };
        let (first, second, rule) = tokio::try_join!(first.reader.service(), second.reader.service(), rule)?;
        Ok(PairState { services: [first, second], rule })
    }

    /// The member whose service was observed.
    fn observed_member(&self, seen: &Observed) -> PairMember {
        let arn = str_field(&seen.raw, "serviceArn");
        let shown = str_field(&seen.raw, "serviceName");
        let same = |side: &PairMember| {
            let name = self.service_name(*side);
            name == shown || name == arn
        };
        PairMember::BOTH.into_iter().find(same).unwrap_or(PairMember::First)
    }
}

#[async_trait(?Send)]
impl Target for ServicePair {
    fn limits(&self, seen: &Observed) -> Limits {
        let missing = ObservedPair::read(seen).missing;
        let control = if missing.is_some() { TrafficControl::InPlace } else { TrafficControl::Weighted };
        TrafficSupport { control, missing }.into()
    }

    fn resume(&self, seen: &Observed, course: &TrafficPlan) -> Resume {
        let pair = ObservedPair::read(seen);
        match pair.shifting_percent {
            // Weights are the run's own: a shift is continued from any weight of the plan.
            Some(percent) if course.weights[..].contains(&percent) => Resume::Continue,
            Some(_) => Resume::Restart(format!("a shift with {}", pair.weights)),
            None if course.is_in_place() => Resume::Continue,
            None => Resume::WatchOnly,
        }
    }

    async fn observe(&self) -> Result<Observed, Problem> {
        let sight = self.read_state().await?;
        Ok(ObservedPair::from_state(&sight).save(status::observe(self, &sight).await?))
    }

    fn diff(&self, release: &Release, seen: &Observed) -> Result<Changes, Vec<Problem>> {
        self.member(self.observed_member(seen)).diff(release, seen)
    }

    async fn preflight(&self, release: &Release, seen: &Observed) -> Vec<Problem> {
        let basis = self.observed_member(seen);
        let own = self.member(basis).preflight(release, seen);
        let (mut found, more) = tokio::join!(own, preflight::check(self, basis, release, seen));
        found.extend(more);
        found
    }

    /// The version is on one of the two services.
    async fn diagnose(&self, version: &Version) -> Result<Option<Diagnosis>, Problem> {
        let state = self.read_state().await?;
        let runs = |side: &PairMember| state.service(*side).definition == version.id;
        let side = PairMember::BOTH.into_iter().find(runs).unwrap_or(PairMember::First);
        self.member(side).diagnose(version).await
    }

    async fn ask_ahead(&self) {
        self.member(PairMember::First).ask_ahead().await;
    }

    async fn preflight_image(&self, release: &Release, seen: &Observed) -> Vec<Problem> {
        self.member(self.observed_member(seen)).preflight_image(release, seen).await
    }

    fn history(&self) -> &dyn History {
        self
    }

    fn tasks(&self) -> Option<&dyn OneOffTasks> {
        Some(self)
    }

    fn metric_labels(&self) -> Option<&dyn MetricLabels> {
        Some(self)
    }

    async fn stage(&self, release: &Release, seen: &Observed) -> Result<Staged, Problem> {
        self.member(self.observed_member(seen)).stage(release, seen).await
    }

    async fn shift(&self, staged: &Staged, split: &TrafficShift) -> Result<Rollout, ChangeError> {
        let moved = match &split.kind {
            ShiftKind::Start { plan: course, .. } if course.is_in_place() => {
                mutations::start_rolling(self, staged, split).await
            }
            ShiftKind::Start { plan: course, force: again } => {
                mutations::start_shift(self, staged, course, *again).await
            }
            ShiftKind::Continue(rollout) => mutations::continue_shift(self, rollout, split.percent).await,
            ShiftKind::RollBack(ours) => {
                mutations::roll_back(self, staged, split, ours.as_ref().and_then(PairRollout::parse)).await
            }
        };
        moved.map(|moved| moved.to_rollout())
    }

    async fn find_shift(&self, staged: &Staged, split: &TrafficShift) -> Result<Option<Rollout>, Problem> {
        if let ShiftKind::Continue(rollout) = &split.kind {
            return Ok(Some(rollout.clone()));
        }
        let found = find_shift::find_shift(self, staged, split).await?;
        Ok(found.map(|found| found.to_rollout()))
    }

    async fn status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        match PairRollout::parse(rollout) {
            None => Ok(RolloutStatus::Unknown("this is not a rollout of a pair of services".into())),
            Some(moved) => status::rollout_status(self, &moved).await,
        }
    }

    async fn clean_up(&self, rollout: &Rollout) -> Result<(), Problem> {
        match PairRollout::parse(rollout) {
            Some(moved) if matches!(moved.operation, PairOperation::Shift(_)) && self.settings.scale_down => {
                mutations::scale_down(self, &moved).await
            }
            _ => Ok(()),
        }
    }
}

#[async_trait(?Send)]
impl History for ServicePair {
    async fn list(&self) -> Result<Vec<CompletedVersion>, Problem> {
        let [first, second] = &self.members;
        let (first, second) = tokio::try_join!(first.list(), second.list())?;
        Ok(status::merge_histories(first, second))
    }

    async fn load(&self, version: &Version) -> Result<RollbackTarget, Problem> {
        self.member(PairMember::First).load(version).await
    }

    fn matches(&self, release: &Release, seen: &Observed, former: &RollbackTarget) -> bool {
        self.member(self.observed_member(seen)).matches(release, seen, former)
    }
}

#[async_trait(?Send)]
impl OneOffTasks for ServicePair {
    async fn start(
        &self,
        staged: &Staged,
        command: &TaskCommand,
        seen: &Observed,
    ) -> Result<StartedTask, ChangeError> {
        self.member(self.observed_member(seen)).start(staged, command, seen).await
    }

    async fn find(&self, owner: &str) -> Result<Option<StartedTask>, Problem> {
        self.member(PairMember::First).find(owner).await
    }

    async fn status(&self, task: &StartedTask) -> Result<TaskStatus, Problem> {
        OneOffTasks::status(self.member(PairMember::First), task).await
    }

    async fn stop(&self, task: &StartedTask) -> Result<(), Problem> {
        self.member(PairMember::First).stop(task).await
    }
}

#[async_trait(?Send)]
impl MetricLabels for ServicePair {
    async fn read(&self, seen: &Observed) -> Result<Vec<Variant>, Problem> {
        self.member(self.observed_member(seen)).read(seen).await
    }
}

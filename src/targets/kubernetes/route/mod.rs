//! A Deployment behind an HTTPRoute of the Gateway API: a version gets a weight on a canary, which is made for the rollout, before the
//! Deployment itself gets it. Sequences of calls only.

pub mod backends;
pub mod canary;
pub mod checks;
pub mod client;
pub mod mutations;
pub mod rollout_ids;
pub mod settings;
pub mod state;
pub mod status;

use std::cell::Cell;

use async_trait::async_trait;
use tokio::time::Instant;

use super::KubernetesTarget;
use crate::problem::Problem;
use crate::release::{
    Changes, Diagnosis, Observed, Release, Resume, Rollout, RolloutStatus, ShiftKind, Staged, TrafficControl,
    TrafficPlan, TrafficShift, TrafficSupport, Version,
};
use crate::targets::{ChangeError, History, Limits, OneOffTasks, Target};
use backends::{RouteNames, RouteSplit};
use canary::canary_version;
use rollout_ids::{RouteOperation, RouteRollout};

/// A Deployment behind an HTTPRoute.
pub struct RoutedWorkload {
    pub(super) main: KubernetesTarget,
    /// The canary as a workload of its own.
    pub(super) canary: KubernetesTarget,
    pub(super) names: RouteNames,
    /// The weight that was requested last, also if the answer was lost.
    pub(super) requested_percent: Cell<Option<u8>>,
    /// Since when the workload has all traffic with the new version.
    pub(super) whole_since: Cell<Option<Instant>>,
}

impl RoutedWorkload {
    /// The workload and its canary, behind a route.
    pub fn new(main: KubernetesTarget, canary: KubernetesTarget, names: RouteNames) -> Self {
        Self { main, canary, names, requested_percent: Cell::default(), whole_since: Cell::default() }
    }
}

#[async_trait(?Send)]
impl Target for RoutedWorkload {
    async fn observe(&self) -> Result<Observed, Problem> {
        status::observe(self).await
    }

    fn diff(&self, release: &Release, observed: &Observed) -> Result<Changes, Vec<Problem>> {
        self.main.diff(release, observed)
    }

    async fn preflight(&self, release: &Release, observed: &Observed) -> Vec<Problem> {
        let (mut problems, state) = tokio::join!(self.main.preflight(release, observed), self.read_state());
        let of_route = match state {
            Ok(state) => checks::route_problems(&self.names, &state),
            Err(problem) => vec![problem],
        };
        // A rollback is a rolling update: it needs no route.
        let is_rollback = release.rollback_to.is_some();
        problems.extend(of_route.into_iter().map(|one| if is_rollback { one.into_warning() } else { one }));
        problems
    }

    async fn preflight_image(&self, release: &Release, observed: &Observed) -> Vec<Problem> {
        self.main.preflight_image(release, observed).await
    }

    async fn stage(&self, release: &Release, observed: &Observed) -> Result<Staged, Problem> {
        self.main.stage(release, observed).await
    }

    async fn shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Rollout, ChangeError> {
        let moved = match &shift.kind {
            ShiftKind::Start { plan, .. } if plan.is_in_place() => {
                mutations::start_rolling(self, staged, shift).await
            }
            ShiftKind::Start { plan, .. } => mutations::start_canary(self, staged, plan).await,
            ShiftKind::Continue(rollout) => {
                let rollout = RouteRollout::parse(rollout);
                mutations::continue_shift(self, staged, &rollout, shift.percent).await
            }
            ShiftKind::RollBack(rollout) => {
                let ours = rollout.as_ref().map(RouteRollout::parse);
                mutations::roll_back(self, staged, &shift.version, ours.as_ref()).await
            }
        };
        moved.map(|moved| moved.to_rollout())
    }

    async fn find_shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Option<Rollout>, Problem> {
        let found = match &shift.kind {
            ShiftKind::Start { plan, .. } if !plan.is_in_place() => {
                self.find_canary(plan, &shift.version).await?
            }
            ShiftKind::Continue(rollout) => {
                self.find_weight(staged, &RouteRollout::parse(rollout), shift.percent).await?
            }
            ShiftKind::Start { .. } => {
                let member = self.main.find_shift(staged, shift).await?;
                member.map(|one| RouteRollout::new(&shift.version, RouteOperation::RollingUpdate, one))
            }
            ShiftKind::RollBack(rollout) => {
                let ours = rollout.as_ref().map(RouteRollout::parse);
                self.find_roll_back(staged, &shift.version, ours.as_ref()).await?
            }
        };
        Ok(found.map(|found| found.to_rollout()))
    }

    async fn status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem> {
        status::rollout_status(self, &RouteRollout::parse(rollout)).await
    }

    async fn diagnose(&self, version: &Version) -> Result<Option<Diagnosis>, Problem> {
        self.main.diagnose(version).await
    }

    async fn clean_up(&self, rollout: &Rollout) -> Result<(), Problem> {
        mutations::remove_canary(self, rollout).await
    }

    fn limits(&self, _: &Observed) -> Limits {
        TrafficSupport { control: TrafficControl::Weighted, missing: None }.into()
    }

    /// A rollout of the workload itself has no weights to continue.
    fn resume(&self, observed: &Observed, plan: &TrafficPlan) -> Resume {
        match observed.in_flight.is_some() && !plan.is_in_place() {
            true => Resume::WatchOnly,
            false => Resume::Continue,
        }
    }

    fn history(&self) -> &dyn History {
        &self.main
    }

    fn tasks(&self) -> Option<&dyn OneOffTasks> {
        Some(&self.main)
    }
}

impl RoutedWorkload {
    /// The canary of a version, if it was made.
    async fn find_canary(
        &self,
        plan: &TrafficPlan,
        version: &Version,
    ) -> Result<Option<RouteRollout>, Problem> {
        let state = self.read_state().await?;
        let made = state.own_canary().filter(|one| canary_version(one) == version.id);
        let operation = RouteOperation::Canary { percent: 0, bake: plan.bake.0 };
        Ok(made.map(|one| RouteRollout::new(version, operation, self.canary.rollout_of(version, one))))
    }

    /// The rollout with its next weight, if the route or the workload shows that.
    async fn find_weight(
        &self,
        staged: &Staged,
        rollout: &RouteRollout,
        percent: u8,
    ) -> Result<Option<RouteRollout>, Problem> {
        let RouteOperation::Canary { bake, .. } = rollout.operation else { return Ok(Some(rollout.clone())) };
        if percent == 100 {
            let kind = ShiftKind::Start { plan: TrafficPlan::in_place(), force: false };
            let whole = TrafficShift { version: rollout.version.clone(), percent, kind };
            let member = self.main.find_shift(staged, &whole).await?;
            let operation = RouteOperation::Promotion { bake };
            return Ok(member.map(|one| RouteRollout::new(&rollout.version, operation, one)));
        }
        let state = self.read_state().await?;
        let shows = state.split(self) == RouteSplit::Canary(percent);
        Ok(shows
            .then(|| RouteRollout { operation: RouteOperation::Canary { percent, bake }, ..rollout.clone() }))
    }

    /// The rollback, if the route and the workload show it.
    async fn find_roll_back(
        &self,
        staged: &Staged,
        version: &Version,
        ours: Option<&RouteRollout>,
    ) -> Result<Option<RouteRollout>, Problem> {
        let back = mutations::workload_roll_back(version, ours);
        let member = self.main.find_shift(staged, &back).await?;
        let split = self.find_state().await?.map_or(RouteSplit::Whole, |state| state.split(self));
        let is_whole = split == RouteSplit::Whole;
        let found = member.filter(|_| is_whole);
        Ok(found.map(|one| RouteRollout::new(version, RouteOperation::RollBack, one)))
    }
}

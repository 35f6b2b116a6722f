//! Guard: a version that was rolled back here is not deployed again by automation. Only a person can do that. A version
//! that was rolled back because its run was cancelled is not meant: the deployment records say so.

use async_trait::async_trait;

use crate::github::{DeploymentHistory, RecordEnd, RecordedDeployment};
use crate::plan::{ServicePlan, Start};
use crate::problem::Problem;
use crate::release::Outcome;
use crate::rollback;
use crate::rollback::ReleaseAttempt;
use crate::run::context::RunContext;
use crate::run::coordination::{self, Coordinator};
use crate::run::guard::rule::{Blocked, Guard};
use crate::run::service_run::ServiceRun;

/// Number of versions that are compared at most; each is a read.
const MAX_COMPARED: usize = 5;

/// Stops a service whose release was rolled back before.
pub(super) struct BlockedVersion<'c> {
    coordinator: Option<&'c Coordinator>,
    records: Vec<RecordedDeployment>,
}

impl<'c> BlockedVersion<'c> {
    /// Reads from what `coordinator` has read. Without records every rolled-back version counts as bad.
    pub(super) fn new(coordinator: Option<&'c Coordinator>) -> Self {
        let history = coordinator.and_then(|coordinator| coordinator.history.as_ref());
        Self { coordinator, records: history.map(DeploymentHistory::entries).unwrap_or_default() }
    }

    /// The recorded releases of a service, newest first. An open record of an earlier attempt of this run is of one
    /// that was cut off and could not say so.
    async fn attempts(&self, ctx: &RunContext, service: &str) -> Vec<ReleaseAttempt<'_>> {
        let mut attempts = Vec::new();
        for entry in &self.records {
            let released = entry.record.services.get(service).filter(|released| released.digest().is_some());
            let Some((released, recorded_at)) = released.zip(entry.created_at) else { continue };
            let is_own = self.is_own(entry);
            let is_cut_off = match entry.end {
                RecordEnd::CutOff => true,
                RecordEnd::Open => is_own,
                RecordEnd::Failed | RecordEnd::Proven | RecordEnd::HandedOff => false,
            };
            // A forged record excuses no version.
            let is_cut_off = is_cut_off && !coordination::is_forged(ctx, self.coordinator, entry).await;
            attempts.push(ReleaseAttempt { released, recorded_at, is_cut_off, is_own });
        }
        attempts
    }

    /// Whether an earlier attempt of this run made the record.
    fn is_own(&self, entry: &RecordedDeployment) -> bool {
        let Some((run, number)) = self.coordinator.map(|it| it.run).zip(entry.run) else { return false };
        number.id == run.id && number.attempt < run.attempt
    }

    /// Why the release is blocked. What cannot be read blocks nothing: the guard is there against accidents.
    async fn find_blocked(&self, ctx: &RunContext, service: &ServiceRun) -> Option<Problem> {
        let (history, current) = (&service.observed.history, service.observed.version.as_ref());
        let attempts = self.attempts(ctx, service.name()).await;
        let triggered_by = ctx.triggered_by();
        let blocked = rollback::blocked_versions(history, &attempts, &service.release, triggered_by, current);
        for version in blocked.into_iter().take(MAX_COMPARED) {
            let Ok(loaded) = service.target.history().load(&version.version).await else { continue };
            if service.target.history().matches(&service.release, &service.observed, &loaded) {
                return Some(rollback::blocked_problem(version, history, current));
            }
        }
        None
    }
}

#[async_trait(?Send)]
impl Guard for BlockedVersion<'_> {
    async fn check(
        &self,
        ctx: &RunContext,
        service: &mut ServiceRun,
        plan: &ServicePlan,
    ) -> Result<(), Blocked> {
        if ctx.is_rollback() || !matches!(plan.start, Start::New { .. }) {
            return Ok(());
        }
        match self.find_blocked(ctx, service).await {
            Some(problem) => Err(Blocked { outcome: Outcome::Invalid, problem }),
            None => Ok(()),
        }
    }
}

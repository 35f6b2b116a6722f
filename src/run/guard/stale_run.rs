//! Guard: an older run does not undo a newer one. GitHub says whether the commit that serves contains the run's commit.
//! What cannot be found out stops nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::github::{CommitRelation, DeploymentHistory, RecordedDeployment};
use crate::plan;
use crate::plan::{RecordedRelease, ServicePlan, ServingCommits, Start};
use crate::release::Outcome;
use crate::run::cancel;
use crate::run::context::RunContext;
use crate::run::coordination::{self, Coordinator};
use crate::run::guard::rule::{Blocked, Guard};
use crate::run::service_run::ServiceRun;

/// Stops a service whose serving version is newer than this run.
pub(super) struct StaleRun<'c> {
    coordinator: Option<&'c Coordinator>,
    records: Vec<RecordedDeployment>,
    /// Pairs of commits that were compared already; `None` if GitHub could not say.
    compared: RefCell<BTreeMap<CommitPair, Option<CommitRelation>>>,
}

/// The commit of the run and that of what serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct CommitPair {
    ours: String,
    serving: String,
}

impl<'c> StaleRun<'c> {
    /// Reads from what `coordinator` has read. Without one nothing is stopped.
    pub(super) fn new(coordinator: Option<&'c Coordinator>) -> Self {
        let history = coordinator.and_then(|coordinator| coordinator.history.as_ref());
        let records = history.map(DeploymentHistory::entries).unwrap_or_default();
        Self { coordinator, records, compared: RefCell::default() }
    }

    /// A commit of the serving version that contains that of the run, if there is one. A record is verified before it
    /// stops a run, and before it decides alone.
    async fn newer_commit(&self, ctx: &RunContext, service: &ServiceRun, ours: &str) -> Option<String> {
        let records = self.records.iter();
        let known: Vec<RecordedRelease<'_>> =
            records.map(|entry| RecordedRelease { record: &entry.record, proven: entry.proven }).collect();
        match plan::serving_commits(service.name(), &service.observed, &known) {
            ServingCommits::OfDigest(commits) => {
                for one in commits {
                    if self.is_newer(ctx, ours, one.commit).await && !self.is_forged(ctx, one.record).await {
                        return Some(one.commit.to_owned());
                    }
                }
            }
            ServingCommits::NewestProven(commits) => {
                for one in commits {
                    if !self.is_forged(ctx, one.record).await {
                        return self.is_newer(ctx, ours, one.commit).await.then(|| one.commit.to_owned());
                    }
                }
            }
        }
        let provider = plan::provider_commit(&service.observed)?;
        self.is_newer(ctx, ours, provider).await.then(|| provider.to_owned())
    }

    async fn is_forged(&self, ctx: &RunContext, record: usize) -> bool {
        match self.records.get(record) {
            Some(record) => coordination::is_forged(ctx, self.coordinator, record).await,
            None => false,
        }
    }

    async fn is_newer(&self, ctx: &RunContext, ours: &str, serving: &str) -> bool {
        if serving.is_empty() || serving == ours {
            return false;
        }
        let pair = CommitPair { ours: ours.to_owned(), serving: serving.to_owned() };
        self.compare(ctx, &pair).await == Some(CommitRelation::Behind)
    }

    async fn compare(&self, ctx: &RunContext, pair: &CommitPair) -> Option<CommitRelation> {
        let known = self.compared.borrow().get(pair).copied();
        if let Some(known) = known {
            return known;
        }
        let comparing = self.coordinator?.repository.compare_commits(&pair.ours, &pair.serving);
        let ancestry = cancel::until_cancelled(ctx, comparing).await.and_then(Result::ok);
        self.compared.borrow_mut().insert(pair.clone(), ancestry);
        ancestry
    }
}

#[async_trait(?Send)]
impl Guard for StaleRun<'_> {
    async fn check(
        &self,
        ctx: &RunContext,
        service: &mut ServiceRun,
        plan: &ServicePlan,
    ) -> Result<(), Blocked> {
        // The commit of a pull request is not what would be released, and what `to` names is meant.
        let applies = !ctx.is_rollback() && ctx.inputs.to.is_none() && !ctx.context.is_pull_request();
        if !applies || !matches!(plan.start, Start::New { .. }) {
            return Ok(());
        }
        let Some(ours) = service.release.commit.clone() else { return Ok(()) };
        let Some(serving) = self.newer_commit(ctx, service, &ours).await else { return Ok(()) };
        let problem = plan::stale_run(service.name(), &ours, &serving);
        Err(Blocked { outcome: Outcome::Superseded, problem })
    }
}

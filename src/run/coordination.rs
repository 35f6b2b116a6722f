//! What a run shares with other runs through its own repository at GitHub: leases and deployment records. Only a run of
//! GitHub Actions does. If that does not work it is a notice: the release matters more.

use std::rc::Rc;

use aws_config::SdkConfig;
use futures::future;

use crate::action::Operation;
use crate::github::{ApiError, DeploymentHistory, Owner, RecordEnd, RecordedDeployment, RunRepository};
use crate::plan::proof::ProofRules;
use crate::problem::{Code, Problem};
use crate::release::{CompletedVersion, RecordedService, RunNumber, digests_agree};
use crate::rollback::RecordedResult;
use crate::run::cancel;
use crate::run::context::RunContext;
use crate::run::event::operation;
use crate::run::proof::{RecordVerifier, Verdict};

/// A commit that names this run as the holder of its leases. Nobody sees it until a ref points to it.
pub(in crate::run) struct LeaseCommit {
    /// The run.
    pub(in crate::run) owner: Owner,
    /// The tree that it has.
    pub(in crate::run) tree: String,
    /// The commit.
    pub(in crate::run) commit: String,
}

/// The leases and the deployment records of a run.
pub(in crate::run) struct Coordinator {
    pub(in crate::run) repository: Rc<RunRepository>,
    pub(in crate::run) run: RunNumber,
    /// The environment of the deploy file.
    pub(in crate::run) environment: String,
    verifier: RecordVerifier,
    /// Earlier deployment records; `None` until they are read, and if they cannot be read.
    pub(in crate::run) history: Option<DeploymentHistory>,
    /// Why older records could not be read, if they could not.
    unread_reason: Option<String>,
    /// The tree for the commit of a lease, where it was read already.
    lease_tree: Option<String>,
    /// The commit that the leases will point to, where it was made already.
    pub(in crate::run) lease_commit: Option<LeaseCommit>,
    /// The AWS session, for reading again after a wait; `None` if nothing of AWS is needed.
    pub(in crate::run) session: Option<SdkConfig>,
    /// Runs that ended without releasing their leases.
    pub(in crate::run) ended_owners: Vec<Owner>,
    /// What did not work.
    pub(in crate::run) notices: Vec<Problem>,
}

impl Coordinator {
    /// The coordinator of this run; `None` outside of GitHub Actions and without a token. If the repository cannot be
    /// used, that is a notice in `problems`.
    pub(in crate::run) fn open(
        ctx: &RunContext,
        rules: ProofRules,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let run = ctx.run_number()?;
        let repository = match ctx.run_repository()? {
            Ok(repository) => Rc::new(repository),
            Err(problem) => {
                let sentence = "This run is not recorded, and holds no lease.";
                problems.push(Problem::notice(Code::NotRecorded, sentence).cause(problem.to_string()));
                return None;
            }
        };
        let environment = rules.environment.clone();
        let verifier = RecordVerifier::new(repository.clone(), rules, Some(run));
        Some(Self {
            repository,
            run,
            environment,
            verifier,
            history: None,
            unread_reason: None,
            lease_tree: None,
            lease_commit: None,
            session: None,
            ended_owners: Vec::new(),
            notices: Vec::new(),
        })
    }

    /// Reads the newest deployment records, unless they were read already.
    pub(in crate::run) async fn read_history(&mut self, ctx: &RunContext) {
        if self.history.is_some() {
            return;
        }
        let reading = self.repository.deployment_history(&self.environment);
        if let Some(read) = cancel::until_cancelled(ctx, reading).await {
            self.set_history(read);
        }
    }

    /// Takes what was read of the deployment records.
    pub(in crate::run) fn set_history(&mut self, read: Result<DeploymentHistory, ApiError>) {
        match read {
            Ok(history) => self.history = Some(history),
            Err(error) => self.note_not_recorded(error),
        }
    }

    /// Asks for what the run will need: the newest records with what their check and the guards ask about the newest of
    /// them, and the tree for a lease. What cannot be read now is asked for again when it is needed.
    pub(in crate::run) async fn ask_ahead(&mut self, ctx: &RunContext) {
        let is_dry_run = operation(ctx) == Operation::Plan;
        if is_dry_run && ctx.context.is_pull_request() {
            return;
        }
        let tree = async {
            match is_dry_run {
                true => None,
                false => self.read_lease_tree(ctx).await.ok(),
            }
        };
        let asked = cancel::until_cancelled(ctx, future::join(self.read_history_ahead(ctx), tree)).await;
        let Some((history, tree)) = asked else { return };
        (self.history, self.lease_tree) = (history, tree);
    }

    async fn read_history_ahead(&self, ctx: &RunContext) -> Option<DeploymentHistory> {
        let history = self.repository.deployment_history(&self.environment).await.ok()?;
        let newest = history.entries().into_iter().next();
        if let Some(newest) = newest.filter(|newest| !newest.record.commit.is_empty()) {
            let ours =
                ctx.context.commit().filter(|ours| *ours != newest.record.commit && !ctx.is_rollback());
            let comparing = async {
                if let Some(ours) = ours {
                    let _ = self.repository.compare_commits(ours, &newest.record.commit).await;
                }
            };
            future::join(self.is_forged(&newest), comparing).await;
        }
        Some(history)
    }

    /// Forgets what another run may have changed while this one waited for its leases.
    pub(in crate::run) fn forget_passing_answers(&mut self) {
        self.history = None;
        self.verifier.forget_passing_answers();
    }

    async fn read_lease_tree(&self, ctx: &RunContext) -> Result<String, ApiError> {
        self.repository.tree_sha(ctx.context.sha.as_deref().unwrap_or_default()).await
    }

    /// Makes the commit that this run's leases point to.
    pub(in crate::run) async fn create_lease_commit(
        &self,
        ctx: &RunContext,
    ) -> Result<LeaseCommit, ApiError> {
        let variable = |name: &str| ctx.io.variables.get(name).cloned().unwrap_or_default();
        let owner = Owner {
            run: self.run.id,
            attempt: u64::from(self.run.attempt),
            runner: variable("RUNNER_NAME"),
            url: ctx.context.run_url().unwrap_or_default(),
            held_since: ctx.io.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            nonce: format!("{:016x}", fastrand::u64(..)),
        };
        let tree = match &self.lease_tree {
            Some(tree) => tree.clone(),
            None => self.read_lease_tree(ctx).await?,
        };
        let commit = self.repository.create_lease_commit(&owner, &tree, None).await?;
        Ok(LeaseCommit { owner, tree, commit })
    }

    /// Whether a record was not made by the run that it names. Where GitHub cannot be asked it counts: these records
    /// protect against accidents, and decide nothing about what may be released.
    pub(in crate::run) async fn is_forged(&self, record: &RecordedDeployment) -> bool {
        // The job of this run has not ended, so its own records cannot be verified yet.
        let is_own = record.run.is_some_and(|run| run.id == self.run.id);
        !is_own && matches!(self.verifier.verify_origin(record).await, Verdict::Unbound(_))
    }

    /// What the newest record of a version says of it, among those that were read. A failure counts only where the record is
    /// about this service alone: it does not say which of several failed.
    pub(in crate::run) async fn recorded_result(
        &self,
        service: &str,
        version: &CompletedVersion,
    ) -> RecordedResult {
        let Some(digest) = version.digest.as_ref() else { return RecordedResult::None };
        let is_version = |recorded: &&RecordedService| {
            recorded.digest() == Some(digest)
                && digests_agree(&recorded.container_images, &version.container_images)
        };
        for entry in self.history.iter().flat_map(DeploymentHistory::entries) {
            let services = &entry.record.services;
            if services.get(service).filter(is_version).is_none() {
                continue;
            }
            let is_alone = services.values().filter(|one| !one.unchanged).count() == 1;
            match entry.end {
                RecordEnd::Proven if self.verifier.verify(&entry).await == Verdict::Bound => {
                    return RecordedResult::Proven;
                }
                RecordEnd::Failed if is_alone && !self.is_forged(&entry).await => {
                    return RecordedResult::Failed;
                }
                RecordEnd::Proven
                | RecordEnd::Failed
                | RecordEnd::Open
                | RecordEnd::HandedOff
                | RecordEnd::CutOff => {}
            }
        }
        RecordedResult::None
    }

    /// Reads older deployment records. `false` if there are none that can be read.
    pub(in crate::run) async fn read_older(&mut self, ctx: &RunContext) -> bool {
        let Some(history) = self.history.as_mut() else { return false };
        match cancel::until_cancelled(ctx, self.repository.read_older(history)).await {
            Some(Ok(more)) => more,
            Some(Err(error)) => {
                self.unread_reason = Some(error.reason());
                false
            }
            None => false,
        }
    }

    /// Notes that it is not known which releases of a service were recorded.
    pub(in crate::run) fn note_records_incomplete(&mut self, service: &str) {
        let reason = self.unread_reason.clone();
        let problem = incomplete_problem(&self.environment, reason).for_service(service);
        self.notices.push(problem);
    }

    /// Notes, once, that this run is not recorded.
    pub(in crate::run) fn note_not_recorded(&mut self, error: ApiError) {
        let help = "Later runs do not find it: no promotion from here, and an old run that is started again may \
                    undo it. The job needs `permissions: deployments: write`.";
        let sentence = "What this run releases is not recorded as a deployment in GitHub.";
        self.add_notice(Problem::notice(Code::NotRecorded, sentence).help(help), error);
    }

    /// Notes, once, that this run holds no lease.
    pub(in crate::run) fn note_no_lease(&mut self, error: ApiError) {
        let help = "Nothing but the provider keeps another run from working on the same service at the same time. \
                    The job needs `permissions: contents: write`.";
        let sentence = "This run holds no lease of what it works on.";
        self.add_notice(Problem::notice(Code::LeaseUnavailable, sentence).help(help), error);
    }

    /// Adds a notice, unless there is one of the same code.
    pub(in crate::run) fn add_notice(&mut self, problem: Problem, error: ApiError) {
        if !self.notices.iter().any(|known| known.code == problem.code) {
            self.notices.push(problem.cause(error.reason()));
        }
    }
}

fn incomplete_problem(environment: &str, reason: Option<String>) -> Problem {
    let sentence = "It is not known whether what serves is newer than this run: its release is not among the deployment \
                    records that could be read.";
    let cause = reason
        .unwrap_or_else(|| format!("GitHub has more deployments of `{environment}` than one run reads."));
    Problem::notice(Code::RecordsIncomplete, sentence)
        .cause(cause)
        .help("This release is recorded, so the next run finds it. Give jobs that do not deploy here another environment.")
}

/// Whether a record is forged, as far as that can be found out before a cancel.
pub(in crate::run) async fn is_forged(
    ctx: &RunContext,
    coordinator: Option<&Coordinator>,
    record: &RecordedDeployment,
) -> bool {
    let Some(coordinator) = coordinator else { return false };
    cancel::until_cancelled(ctx, coordinator.is_forged(record)).await.unwrap_or(false)
}

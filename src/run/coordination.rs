//! What a run shares with other runs through its own repository at GitHub: leases and deployment records. Only a run of
//! GitHub Actions does. If that does not work it is a notice: the release matters more.

use std::rc::Rc;

use aws_config::SdkConfig;

use crate::github::{ApiError, DeploymentHistory, Owner, RecordedDeployment, RunRepository};
use crate::plan::proof::ProofRules;
use crate::problem::{Code, Problem};
use crate::release::RunNumber;
use crate::run::cancel;
use crate::run::context::RunContext;
use crate::run::proof::{RecordVerifier, Verdict};

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
        session: Option<SdkConfig>,
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
            session,
            ended_owners: Vec::new(),
            notices: Vec::new(),
        })
    }

    /// Reads the earlier deployment records.
    pub(in crate::run) async fn read_history(&mut self, ctx: &RunContext) {
        let reading = self.repository.deployment_history(&self.environment);
        match cancel::until_cancelled(ctx, reading).await {
            Some(Ok(history)) => self.history = Some(history),
            Some(Err(error)) => self.note_not_recorded(error),
            None => {}
        }
    }

    /// Whether a record was not made by the run that it names. Where GitHub cannot be asked it counts: these records
    /// protect against accidents, and decide nothing about what may be released.
    pub(in crate::run) async fn is_forged(&self, record: &RecordedDeployment) -> bool {
        // The job of this run has not ended, so its own records cannot be verified yet.
        let is_own = record.run.is_some_and(|run| run.id == self.run.id);
        !is_own && matches!(self.verifier.verify_origin(record).await, Verdict::Unbound(_))
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

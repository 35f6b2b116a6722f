//! Whether the run that a deployment record names made it: asked of GitHub, each run once, and not without end. The core
//! decides about what GitHub reports.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::config::Environment;
use crate::github::{ApiError, RecordedDeployment, RunRepository};
use crate::plan::proof::{ProofRules, check_jobs};
use crate::release::{RunNumber, WorkflowJob};
use crate::run::context::RunContext;
use crate::run::event;

/// Number of runs that are looked up at most; each takes four requests.
const MAX_RUNS: usize = 30;

/// What is known of a deployment record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::run) enum Verdict {
    /// The run that it names may prove versions, and wrote it.
    Bound,
    /// It counts for nothing, for this reason.
    Unbound(String),
    /// GitHub could not be asked, for this reason.
    Unknown(String),
}

/// The jobs of an attempt, or why they could not be read.
type ReadJobs = Result<Rc<[WorkflowJob]>, Verdict>;

/// Checks deployment records of one environment.
pub(in crate::run) struct RecordVerifier {
    repository: Rc<RunRepository>,
    rules: ProofRules,
    own: Option<RunNumber>,
    runs: RefCell<BTreeMap<u64, NamedRun>>,
    jobs: RefCell<BTreeMap<RunNumber, ReadJobs>>,
    heads: RefCell<BTreeMap<String, Option<String>>>,
}

/// A run that a record names.
#[derive(Debug, Clone)]
struct NamedRun {
    branch: String,
    /// Whether it may prove versions.
    verdict: Verdict,
}

/// The rules of an environment for this run.
pub(in crate::run) fn proof_rules(ctx: &RunContext, name: &str, environment: &Environment) -> ProofRules {
    ProofRules {
        environment: name.to_owned(),
        repository: ctx.context.repository.clone().unwrap_or_default(),
        branches: environment.branches.clone(),
        own_branch: event::event_decision(ctx).branch.map(str::to_owned),
        workflows: environment.workflows.iter().map(|file| file.path()).collect(),
        own_workflow: ctx.context.workflow_path().map(str::to_owned),
    }
}

impl RecordVerifier {
    /// A verifier that has asked nothing yet. `own` is this run.
    pub(in crate::run) fn new(
        repository: Rc<RunRepository>,
        rules: ProofRules,
        own: Option<RunNumber>,
    ) -> Self {
        let (runs, jobs, heads) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { repository, rules, own, runs, jobs, heads }
    }

    /// Whether the record counts: as a proof, if it says so.
    pub(in crate::run) async fn verify(&self, record: &RecordedDeployment) -> Verdict {
        self.verify_as(record, record.proven).await
    }

    /// Whether the run that the record names can have made it, whatever it proves: the job of a run that released some of
    /// its services ends as a failure, and its record is true of those.
    pub(in crate::run) async fn verify_origin(&self, record: &RecordedDeployment) -> Verdict {
        match self.verify(record).await {
            Verdict::Unbound(_) if record.proven => self.verify_as(record, false).await,
            verdict => verdict,
        }
    }

    async fn verify_as(&self, record: &RecordedDeployment, proven: bool) -> Verdict {
        let Some(run) = record.run else { return Verdict::Unbound("it names no run".into()) };
        let named = |why: String| Verdict::Unbound(format!("run {} {why}", run.id));
        if record.contested {
            return named("is named by another record, too, with another image".into());
        }
        let jobs = async {
            match proven && !self.is_known_unbound(run.id) {
                true => Some(self.check_jobs(run, record).await),
                false => None,
            }
        };
        let (found, jobs) = tokio::join!(self.named_run(run.id), jobs);
        match found.verdict {
            Verdict::Bound => {}
            Verdict::Unbound(why) => return named(why),
            unknown => return unknown,
        }
        let written = match jobs {
            Some(jobs) => jobs,
            None => self.check_commit(&found.branch, &record.record.commit).await,
        };
        match written {
            Verdict::Unbound(why) => named(why),
            other => other,
        }
    }

    /// Keeps what cannot change any more: runs that may prove versions, and jobs that have ended.
    pub(in crate::run) fn forget_passing_answers(&self) {
        self.runs.borrow_mut().retain(|_, run| run.verdict == Verdict::Bound);
        let has_ended = |job: &WorkflowJob| job.conclusion.is_some();
        self.jobs.borrow_mut().retain(|_, jobs| jobs.as_ref().is_ok_and(|jobs| jobs.iter().all(has_ended)));
        self.heads.borrow_mut().clear();
    }

    /// Whether it is known that a run does not count, so that its jobs need not be read.
    fn is_known_unbound(&self, run: u64) -> bool {
        let runs = self.runs.borrow();
        match runs.get(&run) {
            Some(known) => known.verdict != Verdict::Bound,
            None => runs.len() >= MAX_RUNS || self.rules.missing_rule().is_some_and(|_| !self.is_own(run)),
        }
    }

    /// A run and whether it may prove versions.
    async fn named_run(&self, run: u64) -> NamedRun {
        let known = self.runs.borrow().get(&run).cloned();
        if let Some(known) = known {
            return known;
        }
        if self.runs.borrow().len() >= MAX_RUNS {
            let why = format!("Run {run} was not looked up after {MAX_RUNS} others.");
            return NamedRun { branch: String::new(), verdict: Verdict::Unknown(why) };
        }
        let found = self.look_up(run).await;
        self.runs.borrow_mut().insert(run, found.clone());
        found
    }

    async fn look_up(&self, run: u64) -> NamedRun {
        let unread = |verdict| NamedRun { branch: String::new(), verdict };
        let is_own = self.is_own(run);
        if let Some(missing) = self.rules.missing_rule().filter(|_| !is_own) {
            return unread(Verdict::Unknown(missing));
        }
        // Most records are of this run's own branch. Without an answer its head is asked for again.
        let own_head = async {
            if let Some(branch) = &self.rules.own_branch {
                let _ = self.branch_head(branch).await;
            }
        };
        let (found, ()) = tokio::join!(self.repository.workflow_run(run), own_head);
        let found = match found {
            Ok(found) => found,
            Err(error) => return unread(self.unread(error).await),
        };
        let branch = found.branch.clone().unwrap_or_default();
        // The workflow of this run is what GitHub says, also where the runner does not tell it.
        let own_rules =
            is_own.then(|| ProofRules { own_workflow: Some(found.workflow.clone()), ..self.rules.clone() });
        let verdict = match own_rules.as_ref().unwrap_or(&self.rules).check_run(&found) {
            // The event of this run was decided when it began.
            _ if is_own && self.rules.branches.is_empty() => Verdict::Bound,
            Ok(()) => self.check_commit(&branch, &found.commit).await,
            Err(why) => Verdict::Unbound(why),
        };
        NamedRun { branch, verdict }
    }

    fn is_own(&self, run: u64) -> bool {
        self.own.is_some_and(|own| own.id == run)
    }

    /// What it means that a run or its jobs could not be read. A token that may not read runs gets 403 or 404.
    async fn unread(&self, error: ApiError) -> Verdict {
        let no_permission = || Verdict::Unknown(PERMISSION.into());
        match (error, self.own) {
            (ApiError::NotFound(_), Some(own)) => match self.repository.workflow_run(own.id).await {
                Ok(_) => Verdict::Unbound("does not exist in this repository".into()),
                Err(_) => no_permission(),
            },
            (ApiError::NotFound(_), None) => Verdict::Unbound("does not exist, or cannot be read".into()),
            (ApiError::Forbidden(_), _) => no_permission(),
            (error, _) => Verdict::Unknown(format!("GitHub did not return a run. {}", error.reason())),
        }
    }

    /// Whether a commit is on a branch: a tag can have the name of a branch, and a branch can be moved.
    async fn check_commit(&self, branch: &str, commit: &str) -> Verdict {
        let absent = || {
            let short = commit.get(..7).unwrap_or(commit);
            Verdict::Unbound(format!("is of the commit {short}, which is not on the branch `{branch}`"))
        };
        let head = match self.branch_head(branch).await {
            Ok(Some(head)) => head,
            Ok(None) => return absent(),
            Err(error) => return Verdict::Unknown(error.reason()),
        };
        if head == commit {
            return Verdict::Bound;
        }
        match self.repository.compare_commits(&head, commit).await {
            Ok(relation) if relation.contains_base() => Verdict::Bound,
            Ok(_) | Err(ApiError::NotFound(_) | ApiError::Rejected(_)) => absent(),
            Err(error) => Verdict::Unknown(error.reason()),
        }
    }

    async fn branch_head(&self, branch: &str) -> Result<Option<String>, ApiError> {
        let known = self.heads.borrow().get(branch).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let head = match self.repository.branch_head(branch).await {
            Err(ApiError::Rejected(_)) => None,
            read => read?,
        };
        self.heads.borrow_mut().insert(branch.to_owned(), head.clone());
        Ok(head)
    }

    async fn check_jobs(&self, run: RunNumber, record: &RecordedDeployment) -> Verdict {
        match self.jobs(run).await {
            Ok(jobs) => {
                check_jobs(&jobs, record.proven_at).map_or_else(Verdict::Unbound, |()| Verdict::Bound)
            }
            Err(verdict) => verdict,
        }
    }

    async fn jobs(&self, run: RunNumber) -> ReadJobs {
        let known = self.jobs.borrow().get(&run).cloned();
        if let Some(known) = known {
            return known;
        }
        let jobs = match self.repository.attempt_jobs(run).await {
            Ok(jobs) => Ok(Rc::from(jobs)),
            Err(error) => Err(self.unread(error).await),
        };
        self.jobs.borrow_mut().insert(run, jobs.clone());
        jobs
    }
}

/// What a token lacks that cannot read runs.
const PERMISSION: &str = "The token cannot read workflow runs: the job needs `permissions: actions: read`.";

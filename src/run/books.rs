//! What a run keeps in its own repository at GitHub: who works on what (leases), and what was released (records). Only a
//! run of GitHub Actions keeps books. What cannot be kept is a notice: the release matters more.

use aws_config::SdkConfig;

use crate::github::{Ledger, Owner, Project, Setback};
use crate::problem::{Code, Problem};
use crate::report::RunReport;
use crate::sys::signal::Urgency;
use crate::targets::RunNumber;

use super::unit::Phase;
use super::{Job, Unit, lease, prepare, record, state, undo};

/// The books of a run.
pub(super) struct Books {
    pub(super) project: Project,
    pub(super) run: RunNumber,
    /// The environment of the deploy file.
    pub(super) environment: String,
    /// What was recorded before; `None` until it was read, and where it cannot be.
    pub(super) ledger: Option<Ledger>,
    /// What calls to AWS are made with, for looking anew; `None` where nothing of AWS is needed.
    pub(super) session: Option<SdkConfig>,
    /// Runs that ended without giving back what they held.
    pub(super) gone: Vec<Owner>,
    /// What could not be kept.
    notices: Vec<Problem>,
}

impl Books {
    /// The books of this run; `None` outside of a run of GitHub Actions, and without a token.
    pub(super) fn open(
        job: &Job,
        environment: &str,
        session: Option<SdkConfig>,
    ) -> Option<Result<Self, Problem>> {
        let run = prepare::run_number(job)?;
        let books = |project| Self {
            project,
            run,
            environment: environment.to_owned(),
            ledger: None,
            session,
            gone: Vec::new(),
            notices: Vec::new(),
        };
        Some(job.project()?.map(books).map_err(|problem| {
            Problem::notice(Code::NotRecorded, "This run is not recorded, and holds no lease.")
                .cause(problem.to_string())
        }))
    }

    /// Reads what was recorded before.
    pub(super) async fn read(&mut self, job: &Job) {
        let asked = undo::or_cancel(job, self.project.ledger(&self.environment)).await;
        match asked {
            Some(Ok(ledger)) => self.ledger = Some(ledger),
            Some(Err(setback)) => self.unrecorded(setback),
            None => {}
        }
    }

    /// Takes what has to be taken before the first change of `units`.
    pub(super) async fn take(&mut self, job: &Job, units: &mut [Unit]) {
        if units.iter().all(|unit| unit.phase == Phase::Done) {
            return;
        }
        lease::take(job, self, units).await;
        self.read(job).await;
        undo::or_cancel(job, record::close_for(job, self)).await;
    }

    /// Writes down how the run ended, and gives back what it holds; after a cancel that is for the post step.
    pub(super) async fn close(mut self, job: &Job, report: &mut RunReport) {
        if job.cancel.urgency() == Urgency::None {
            record::close(job, &mut self, &record::Ending::of(report)).await;
            lease::give_back(job, &mut self).await;
            job.tell_all(&state::save_held(job));
        }
        report.problems.append(&mut self.notices);
    }

    /// The post step of a run that did not get to it. `report` says what serves now.
    pub(super) async fn close_late(mut self, job: &Job, report: &mut RunReport) {
        record::close_late(job, &mut self, &record::Ending::cut_off(report)).await;
        lease::give_back(job, &mut self).await;
        report.problems.append(&mut self.notices);
    }

    /// Tells once that this run is not recorded.
    pub(super) fn unrecorded(&mut self, setback: Setback) {
        let help = "Later runs do not find it: no promotion from here, and an old run that is started again may \
                    undo it. The job needs `permissions: deployments: write`.";
        let sentence = "What this run releases is not recorded as a deployment in GitHub.";
        self.tell(Problem::notice(Code::NotRecorded, sentence).help(help), setback);
    }

    /// Tells once that this run holds no lease.
    pub(super) fn unleased(&mut self, setback: Setback) {
        let help = "Nothing but the provider keeps another run from working on the same service at the same time. \
                    The job needs `permissions: contents: write`.";
        let sentence = "This run holds no lease of what it works on.";
        self.tell(Problem::notice(Code::NotLeased, sentence).help(help), setback);
    }

    pub(super) fn tell(&mut self, problem: Problem, setback: Setback) {
        if !self.notices.iter().any(|told| told.code == problem.code) {
            self.notices.push(problem.cause(setback.words()));
        }
    }
}

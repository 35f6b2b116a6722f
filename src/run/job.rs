//! Everything a run is given. A rehearsal gives other doors and another builder, and nothing else differs.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use crate::action::files::RunnerFiles;
use crate::action::{Context, Inputs};
use crate::aws;
use crate::github::{Addresses, Commits, Project};
use crate::image::Builder;
use crate::problem::Problem;
use crate::release::Outcome;
use crate::report::RunReport;
use crate::sys::signal::Cancel;

use super::state::Held;
use super::{Teller, timing};

/// What a run is given.
pub struct Job {
    /// What was asked for.
    pub inputs: Inputs,
    /// Where this runs.
    pub context: Context,
    /// HTTP, clock and environment.
    pub doors: aws::Doors,
    /// The wish to end early.
    pub cancel: Cancel,
    /// Who hears of what happens.
    pub teller: Teller,
    /// Who builds images; `None` means buildx.
    pub builder: Option<Rc<dyn Builder>>,
    /// Who knows the commits between two versions; `None` where nobody is asked.
    pub commits: Option<Rc<dyn Commits>>,
    /// The checked-out files.
    pub workspace: PathBuf,
    /// The runner's files for outputs, state and summary.
    pub files: RunnerFiles,
    /// Whether this happens on the embedded cloud.
    pub rehearsal: bool,
    /// The state as it was last written for the post step, so that it is written only when it changed.
    pub saved: RefCell<Option<String>>,
    /// What the run holds at GitHub and has to give back.
    pub held: RefCell<Held>,
}

impl Job {
    /// A report of this run with nothing known yet.
    pub(super) fn blank_report(&self) -> RunReport {
        let now = self.doors.clock.now();
        let report = blank_report(Outcome::Skipped, self.inputs.operation.word(), now, &self.context);
        RunReport { rehearsal: self.rehearsal, ..report }
    }

    /// The run's own repository at GitHub; `None` without a token, or where the run has no repository.
    pub(super) fn project(&self) -> Option<Result<Project, Problem>> {
        let token = self.inputs.github_token.as_ref()?.expose();
        let repository = self.context.repository.as_deref()?;
        let addresses = Addresses::from_variables(&self.doors.variables);
        Some(Project::new(self.doors.http.clone(), &addresses, token, repository))
    }

    /// The report with its end time.
    pub(super) fn closed(&self, mut report: RunReport) -> RunReport {
        report.finished = self.doors.clock.now();
        report
    }

    /// How much of the time given is kept for the way back (invariant I12).
    pub(super) fn reserve(&self) -> Duration {
        timing::reserve(self.inputs.timeout)
    }

    /// Whether a version that is not proven yet may be waited for.
    pub(super) fn time_left(&self) -> bool {
        self.doors.clock.elapsed() + self.reserve() < self.inputs.timeout
    }
}

/// A report of which only is known where it happens.
pub fn blank_report(outcome: Outcome, operation: &str, now: Timestamp, context: &Context) -> RunReport {
    let mut report = RunReport::new(outcome, operation, now);
    report.run_url = context.run_url();
    report.commit = context.commit().map(str::to_owned);
    report.server_url = context.server_url.clone();
    report.repository = context.repository.clone();
    report
}

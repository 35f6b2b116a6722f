//! The end of a run: log, annotations, outputs and summary. A file that cannot be written never changes the result.

use crate::action::files::RunnerFiles;
use crate::problem::Problem;
use crate::report::{RunReport, outputs, summary};
use crate::run::Teller;

/// Tells the end everywhere and gives the exit code.
pub(super) fn finish(teller: &Teller, files: &RunnerFiles, report: &RunReport) -> u8 {
    let clean = report.clone().redacted(&teller.redactor());
    tell(teller, files.outputs(&outputs::outputs(&clean)));
    confirm(teller, files, report)
}

/// As [`finish`], without outputs: those of a post step reach nobody.
pub(super) fn confirm(teller: &Teller, files: &RunnerFiles, report: &RunReport) -> u8 {
    let clean = report.clone().redacted(&teller.redactor());
    tell(teller, files.summary(&summary::summary(&clean)));
    teller.finish(report);
    report.outcome.exit_code()
}

fn tell(teller: &Teller, problems: Vec<Problem>) {
    problems.iter().for_each(|problem| teller.problem(problem));
}

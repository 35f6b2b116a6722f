//! The end of a run: outputs, summary, annotations and log. A file that cannot be written never changes the result.

use crate::action::files::RunnerFiles;
use crate::report::{RunReport, outputs, summary};
use crate::run::Teller;

/// Tells the end everywhere and gives the exit code.
pub(super) fn finish(teller: &Teller, files: &RunnerFiles, report: &RunReport) -> u8 {
    let clean = report.clone().redacted(&teller.redactor());
    let mut report = report.clone();
    report.problems.extend(files.outputs(&outputs::outputs(&clean)));
    confirm(teller, files, &report)
}

/// As [`finish`], without outputs: those of a post step reach nobody.
pub(super) fn confirm(teller: &Teller, files: &RunnerFiles, report: &RunReport) -> u8 {
    let mut report = report.clone();
    let clean = report.clone().redacted(&teller.redactor());
    report.problems.extend(files.summary(&summary::summary(&clean)));
    teller.finish(&report);
    report.outcome.exit_code()
}

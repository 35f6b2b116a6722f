//! The end of a run: outputs, summary, annotations and log. A file that cannot be written never changes the result.

use crate::action::files::RunnerFiles;
use crate::report::{RunReport, outputs, summary};
use crate::run::ProgressLog;

/// Reports the end to every sink and returns the exit code.
pub(super) fn finish(log: &ProgressLog, files: &RunnerFiles, report: &RunReport) -> u8 {
    let clean = report.clone().redacted(&log.redactor());
    let mut report = report.clone();
    report.problems.extend(files.write_outputs(&outputs::outputs(&clean)));
    finish_post_step(log, files, &report)
}

/// As [`finish`], without outputs: no later step reads those of a post step.
pub(super) fn finish_post_step(log: &ProgressLog, files: &RunnerFiles, report: &RunReport) -> u8 {
    let mut report = report.clone();
    let clean = report.clone().redacted(&log.redactor());
    report.problems.extend(files.write_summary(&summary::summary(&clean)));
    log.finish(&report);
    report.outcome.exit_code()
}

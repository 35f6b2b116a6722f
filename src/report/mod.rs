//! A report (values) as log, annotations, summary and outputs. Nothing here decides, nothing here waits.

pub mod analysis;
pub mod annotations;
pub mod check_annotations;
pub mod comment;
#[cfg(test)]
mod fixtures;
pub mod guide;
pub mod headline;
pub mod log;
pub mod markdown;
pub mod notification;
pub mod outputs;
mod pull_request;
pub mod redaction;
mod run_report;
pub mod sections;
pub mod slack;
pub mod summary;
pub mod terminal;
pub mod text;
mod timeline;
pub mod versions;

pub use log::{EventRecorder, LogEvent, LogSink, Reporter};
pub use notification::{ActionStep, Notification};
pub use run_report::{CanaryAnalysis, CommitLine, EntrySource, RunReport, ServiceReport, TimelineEntry};

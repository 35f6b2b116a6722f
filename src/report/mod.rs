//! What happened (values) as log, annotations, summary and outputs. Nothing here decides, nothing here waits.

pub mod analysis;
pub mod annotations;
pub mod comment;
pub mod guide;
pub mod log;
pub mod markdown;
pub mod notification;
pub mod outputs;
pub mod redacted;
pub mod remarks;
#[cfg(test)]
mod samples;
pub mod sections;
pub mod slack;
pub mod summary;
pub mod terminal;
mod values;
pub mod verdict;
pub mod words;

pub use log::{Event, Recorded, Reporter, Sink};
pub use notification::{ActionStep, Notification};
pub use values::{Analysis, CommitLine, Moment, RunReport, ServiceReport};

//! What happened (values) as log, annotations, summary and outputs. Nothing here decides, nothing here waits.

mod values;

pub use values::{CommitLine, Moment, RunReport, ServiceReport};

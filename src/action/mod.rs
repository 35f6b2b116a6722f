//! The runner's protocol: inputs, event, workflow commands, output files, masks. No decision about releases.

pub mod command;
pub mod context;
pub mod event;
pub mod files;
pub mod inputs;
pub mod neutral;
pub mod nonce;
mod parse;
pub mod redact;
pub mod table;

pub use context::Context;
pub use event::{Event, PullRequest};
pub use inputs::{
    ConfigSource, ImageChoice, Inputs, OnCancel, Operation, RawInputs, Read, Services, Setting,
};
pub use redact::{Redactor, Secret};
pub use table::{INPUTS, Input, OUTPUTS, Output};

//! The runner's protocol: inputs, event, workflow commands, output files, masks. No decision about releases.

pub mod checkout;
pub mod command;
pub mod context;
pub mod contract;
mod decode;
pub mod event;
pub mod files;
pub mod inputs;
pub mod nonce;
mod parse;
pub mod redact;
pub mod sanitize;
mod user_info;

pub use context::GithubContext;
pub use contract::{INPUTS, Input, OUTPUTS, Output};
pub use event::{EventPayload, EventPullRequest};
pub use inputs::{
    ConfigSource, Inputs, OnCancel, Operation, ParsedInputs, RawInputs, ServiceSelection, SetEnvEntry,
};
pub use redact::{Redactor, Secret};

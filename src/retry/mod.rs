//! Retry policies, and the one function for ambiguous writes: a change whose response was lost is looked for before it is
//! sent again. The caller classifies errors and looks; nothing here knows a provider.

mod policy;
mod write;
#[cfg(test)]
mod write_tests;

pub use policy::{Jitter, NextAttempt, RetryPolicy};
pub use write::{Look, SendError, SendFailure, WriteError, ambiguous, idempotent};

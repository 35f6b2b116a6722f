//! The only access to process, clock, disk, environment, signals, network and certificates. Used by adapters and the
//! shell, never by the core.
//! The lints that forbid this access elsewhere are lifted here and nowhere else (tests/architecture.rs).
#![allow(clippy::disallowed_methods)]

pub mod blocking;
pub mod clock;
pub mod disk;
pub mod environment;
pub mod http;
mod limited_lines;
pub mod network;
pub mod process;
mod request_error;
pub mod sdk_error;
pub mod signal;
pub mod ssh;
pub mod supervisor;
pub mod terminal;
pub mod tls;

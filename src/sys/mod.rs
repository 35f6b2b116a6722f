//! The only doors to process, clock, disk, environment, signals, plain HTTP and certificates. Used by adapters and the shell, never by the core.
//! The lints that close these doors elsewhere are opened here and nowhere else (tests/architecture.rs).
#![allow(clippy::disallowed_methods)]

pub mod clock;
pub mod disk;
pub mod environment;
pub mod process;
pub mod signal;
pub mod terminal;
pub mod tls;
pub mod web;

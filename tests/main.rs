//! The one integration binary. It needs nothing but Rust; what needs more lives in `tests/external/`.
// A test may fail loudly and may look at the disk and the environment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod architecture;
mod canary;
mod contract;
mod github;
mod history;
mod invariants;
mod native;
mod oidc;
mod pair;
mod permissions;
mod rehearsal;
mod rollback;
mod runner;
mod support;

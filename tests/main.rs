//! The one integration binary. It needs nothing but Rust; what needs more lives in `tests/external/`.
// A test may fail loudly and may look at the disk and the environment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod architecture;
mod atomic;
mod before;
mod canary;
mod changed;
mod contract;
mod edit;
mod examples;
mod flags;
mod github;
mod github_people;
mod github_records;
mod gitops;
mod gitops_laws;
mod history;
mod hub;
mod iam;
mod init;
mod invariants;
mod lease;
mod manifests;
mod native;
mod notify;
mod oidc;
mod pair;
mod permissions;
mod promote;
mod pulls;
mod records;
mod rehearsal;
mod rollback;
mod runner;
mod scale;
mod schedules;
mod selection;
mod set_env;
mod support;
mod trust;
mod verify;

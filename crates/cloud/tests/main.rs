//! The emulator as its users call it, checked against GitHub's API descriptions.
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod github;
mod github_checks;
mod github_deployments;
mod github_faults;
mod github_pulls;
mod github_upload_pack;
mod support;

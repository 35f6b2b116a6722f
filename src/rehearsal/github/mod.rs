//! GitHub: Git repositories, refs, pull requests, and the two APIs to them.

/// A repository as the files of a bare one.
pub mod bare;
/// Commits and histories.
pub mod commits;
/// What can go wrong.
pub mod faults;
/// Request rates.
pub mod limits;
/// Git's objects.
pub mod objects;
/// Pull requests.
pub mod pulls;
/// The block of a scenario.
pub mod settings;
/// What GitHub holds.
pub mod state;
/// Folders.
pub mod trees;

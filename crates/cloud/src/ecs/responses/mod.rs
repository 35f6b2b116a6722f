//! Services, serving versions and tasks as the API shows them

/// The shapes of a service and its deployments in answers.
pub mod service;
/// What tests see of a service.
pub mod serving;
/// Tasks as the API lists, shows and stops them.
pub mod task;

//! The embedded cloud: an in-process AWS with a virtual clock and faults, and the same over HTTP on loopback.
//! It knows wire protocols and AWS's behaviour; it shares no code with the engine, so that a mistake there cannot hide here.

/// What will happen later, in order of virtual time.
pub mod agenda;
/// One request and its answer.
pub mod call;
/// Seeded choices.
pub mod chance;
/// The cloud as a value.
pub mod cloud;
/// Which service answers a call.
pub mod dispatch;
/// Amazon ECS.
pub mod ecs;
/// What can go wrong.
pub mod faults;
/// Credentials, permissions, rates and faults of calls.
pub mod gate;
/// Faults that strike at a time of their own.
pub mod mishaps;
/// Which actions the caller may take.
pub mod policy;
/// What is kept of each call, and the hooks of tests.
pub mod record;
/// The scenario file.
pub mod scenario;
/// The scenarios that come with the cloud.
pub mod scenarios;
/// From a scenario to a world.
pub mod setup;
/// Request-rate buckets.
pub mod throttle;
/// The state that services share.
pub mod world;

#[cfg(test)]
mod tests;

//! The embedded cloud: an in-process AWS, GitHub and Argo CD with a virtual clock and faults, and the same over HTTP on
//! loopback. It knows wire protocols and how these services behave; it shares no code with the engine, so that a
//! mistake there cannot hide here.

/// What will happen later, in order of virtual time.
pub mod agenda;
/// AWS AppConfig.
pub mod appconfig;
/// Argo CD.
pub mod argocd;
/// Load balancers of a scenario.
pub mod balancers;
/// One request and its answer.
pub mod call;
/// Seeded choices.
pub mod chance;
/// The cloud as the AWS SDK's HTTP client.
pub mod client;
/// The cloud as a value.
pub mod cloud;
/// Amazon CloudWatch.
pub mod cloudwatch;
/// How commands end that are run once.
pub mod commands;
/// Which service answers a call.
pub mod dispatch;
/// Amazon ECR.
pub mod ecr;
/// Amazon ECS.
pub mod ecs;
/// Elastic Load Balancing.
pub mod elbv2;
/// What can go wrong.
pub mod faults;
/// Credentials, permissions, rates and faults of calls.
pub mod gate;
/// GitHub, with real Git repositories.
pub mod github;
/// AWS IAM.
pub mod iam;
/// Amazon CloudWatch Logs.
pub mod logs;
/// Reading inputs, cutting answers into pages.
pub mod members;
/// Faults that strike at a time of their own.
pub mod mishaps;
/// The runner's token endpoint.
pub mod oidc;
/// Which actions the caller may take.
pub mod policy;
/// What is kept of each call, and the hooks of tests.
pub mod record;
/// The scenario file.
pub mod scenario;
/// The scenarios that come with the cloud.
pub mod scenarios;
/// The cloud over HTTP on loopback.
pub mod server;
/// From a scenario to a world.
pub mod setup;
/// Amazon SNS.
pub mod sns;
/// AWS STS.
pub mod sts;
/// Request-rate buckets.
pub mod throttle;
/// Times as the cloud writes them.
pub mod time;
/// Traffic through load balancers, and its metrics.
pub mod traffic;
/// What answers at addresses: load balancers, sites, and webhooks.
pub mod web;
/// AWS's protocols.
pub mod wire;
/// The state that services share.
pub mod world;

#[cfg(test)]
mod roundtrip;
#[cfg(test)]
mod tests;

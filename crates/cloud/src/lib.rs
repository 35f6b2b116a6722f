//! The emulator: an in-process AWS, GitHub and Argo CD with a virtual clock and faults, and the same over HTTP on
//! loopback. It knows wire protocols and how these services behave; it shares no code with the engine, so that a
//! mistake there cannot hide here.

/// Credentials, permissions, rates and faults of calls.
pub mod admission;
/// AWS AppConfig.
pub mod appconfig;
/// Argo CD.
pub mod argocd;
/// Application Auto Scaling.
pub mod autoscaling;
/// The scenarios that come with the cloud.
pub mod builtin;
/// What is kept of each call, and the hooks of tests.
pub mod call_log;
/// The cloud as the AWS SDK's HTTP client.
pub mod client;
/// The cloud as a value.
pub mod cloud;
/// Amazon CloudWatch.
pub mod cloudwatch;
/// Servers with Docker Compose.
pub mod compose;
/// Amazon ECR.
pub mod ecr;
/// Amazon ECS.
pub mod ecs;
/// Elastic Load Balancing.
pub mod elbv2;
/// What will happen later, in order of virtual time.
pub mod events;
/// What can go wrong.
pub mod faults;
/// GitHub, with real Git repositories.
pub mod github;
/// AWS IAM.
pub mod iam;
/// Reading inputs, cutting answers into pages.
pub mod input;
/// Kubernetes and Amazon EKS.
pub mod kubernetes;
/// Amazon CloudWatch Logs.
pub mod logs;
/// The runner's token endpoint.
pub mod oidc;
/// How one-off commands end.
pub mod one_off_commands;
/// Which requests a server on loopback takes.
pub mod origin;
/// Outages that begin with a change.
pub mod outage;
/// Which actions the caller may take.
pub mod policy;
/// One request and its answer.
pub mod request;
/// Seeded choices.
pub mod rng;
/// The scenario file.
pub mod scenario;
/// From a scenario to a world.
pub mod seed;
/// The cloud over HTTP on loopback.
pub mod server;
/// What a service of the cloud is, and the list of them.
pub mod service;
/// Amazon SNS.
pub mod sns;
/// AWS STS.
pub mod sts;
/// Faults of tasks and pods.
pub mod task_faults;
/// Request-rate buckets.
pub mod throttle;
/// Times as the cloud writes them.
pub mod time;
/// Faults with a time of their own.
pub mod timed_faults;
/// Traffic through load balancers, and its metrics.
pub mod traffic;
/// URLs: load balancers, sites, and webhooks.
pub mod web;
/// AWS's protocols.
pub mod wire;
/// The state that services share.
pub mod world;

#[cfg(test)]
mod sdk_roundtrip;
#[cfg(test)]
mod tests;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

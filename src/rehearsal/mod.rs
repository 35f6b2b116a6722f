//! The embedded cloud: an in-process AWS with a virtual clock and faults, and the same over HTTP on loopback.
//! It knows wire protocols and AWS's behaviour; it shares no code with the engine, so that a mistake there cannot hide here.

pub mod call;
pub mod client;
pub mod cloudwatch;
pub mod credentials;
pub mod ecr;
pub mod elbv2;
pub mod iam;
pub mod logs;
pub mod members;
pub mod oidc;
pub mod policy;
pub mod server;
pub mod services;
pub mod sts;
pub mod time;
pub mod wire;
pub mod world;

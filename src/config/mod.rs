//! The deploy file: its types, its checks, and the merge of inputs over file over defaults. No I/O.

mod before;
mod bounds;
mod branch;
mod check;
mod document;
mod file;
mod notify;
pub mod paths;
mod placeholder;
mod promotion;
mod read;
mod strategy;
pub mod tree;

pub use before::{Before, Limit, Words};
pub use bounds::{Address, Bake, CanaryPercent, Margin, Milliseconds, PerMinute, Query, Status, StepPercent};
pub use branch::{Choice, choose};
pub use check::{AnswerTime, Check, Contains, Days, HeaderName, HeaderValue, REDIRECTS, Redirects, Statuses};
pub use document::{Document, Service};
pub use file::{Aws, Common, Environment, Placeholders};
pub use notify::{Notify, Place, Topic, Variable, Webhook, secure};
pub use read::read;
pub use strategy::{
    Analysis, BlueGreen, Canary, Latency, Linear, Metric, Nothing, OnInconclusive, Probe, Prometheus,
    Rolling, Strategy,
};

//! The deploy file: its types, its checks, and the merge of inputs over file over defaults. No I/O.

mod branch;
mod document;
mod file;
mod placeholder;
mod read;
mod strategy;
pub mod tree;

pub use branch::{Choice, choose};
pub use document::{Document, Service};
pub use file::{Aws, Common, Environment, Placeholders};
pub use read::read;
pub use strategy::{
    Analysis, Bake, BlueGreen, Canary, CanaryPercent, Check, Latency, Linear, Margin, Metric, Nothing,
    OnInconclusive, Probe, Prometheus, Rolling, StepPercent, Strategy,
};

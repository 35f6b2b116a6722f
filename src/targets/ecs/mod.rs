//! Amazon ECS: order of calls only.

pub mod client;
pub mod keys;
pub mod raw;
pub mod refusal;
pub mod settings;
pub mod causes;
pub mod changes;
pub mod definition;
pub mod document;
pub mod loader;
pub mod read;
pub mod size;
pub mod verdict;
pub mod write;

#[cfg(test)]
mod verdict_tests;

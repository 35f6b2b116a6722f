//! The deploy file: its types, its checks, and the merge of inputs over file over defaults. No I/O.

mod branch;
mod document;
mod file;
mod placeholder;
mod read;
pub mod tree;

pub use branch::{Choice, choose};
pub use document::{Document, Service};
pub use file::{Aws, Common, Environment, Placeholders, Strategy};
pub use read::read;

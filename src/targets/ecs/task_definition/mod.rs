//! Task definitions: the file, its schema and lint, what is registered, and how two differ. Pure.

pub mod definition;
pub mod diff;
pub mod document;
pub mod equality;
pub mod lint;
#[cfg(test)]
mod lint_acceptance_tests;
pub mod lint_container;
pub mod lint_dependencies;
pub mod lint_fargate;
pub mod lint_logs;
pub mod lint_network;
pub mod lint_process;
#[cfg(test)]
mod lint_refusal_tests;
pub mod lint_schema;
pub mod lint_secrets;
pub mod lint_task;
#[cfg(test)]
mod lint_task_refusal_tests;
#[cfg(test)]
mod lint_tests;
#[cfg(test)]
mod lint_value_tests;
pub mod lint_volumes;
pub mod lint_windows;
pub mod log_options;
pub mod normal_form;
pub mod other_formats;
pub mod schema;
pub mod schema_rules;
pub mod set_env;
pub mod size;

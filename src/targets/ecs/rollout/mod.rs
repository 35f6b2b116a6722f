//! A rollout of one service: its changes, its status, the ECS strategies, and the settings restored after it.

pub mod causes;
#[cfg(test)]
mod causes_tests;
pub mod container_exit;
pub mod continue_deployment;
pub mod deployment_configuration;
pub mod ecs_strategy;
#[cfg(test)]
mod ecs_strategy_tests;
#[cfg(test)]
mod fault_tests;
pub mod mutations;
pub mod parallel_version;
pub mod refusals;
pub mod restore_settings;
pub mod rollback_estimate;
pub mod rollout_memory;
#[cfg(test)]
mod rollout_memory_tests;
pub mod serving_proof;
pub mod snapshot;
pub mod status;
#[cfg(test)]
mod status_tests;
pub mod stop_reason;
pub mod stop_rule;
pub mod stop_rules;
pub mod verdict;

//! What the ECS services of a run share.

use std::rc::Rc;

use aws_config::SdkConfig;

use super::{aws_clients, batch_loader, client, pair};
use crate::aws::RateLimiters;

/// What the ECS services of one account and region share: clients, and batched reads.
#[derive(Debug, Clone)]
pub struct SharedClients {
    pub(super) loader: Rc<batch_loader::BatchLoader>,
    pub(super) support: aws_clients::SupportClients,
    pub(super) listener_rules: pair::client::PairClient,
}

impl SharedClients {
    /// Clients over a configuration with credentials, region, retries, time and transport.
    pub fn new(config: &SdkConfig) -> Self {
        Self::with_rate_limits(config, RateLimiters::unlimited())
    }

    /// The same with rate limits.
    pub fn with_rate_limits(config: &SdkConfig, paces: RateLimiters) -> Self {
        let support = aws_clients::SupportClients::new(config, paces.reads.clone());
        let loader = batch_loader::BatchLoader::new(client::EcsClient::new(config, paces), support.clone());
        Self { loader: Rc::new(loader), support, listener_rules: pair::client::PairClient::new(config) }
    }
}

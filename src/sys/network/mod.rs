//! The network of a run, from its variables: proxies, hosts that need none, and certificate authorities. One HTTP client
//! for everything that the action reaches.

mod authorities;
mod connector;
mod failure;
mod no_proxy;
mod private;
mod proxy;
#[cfg(test)]
mod reuse_tests;
mod tunnel;

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::environment::Variables;
use crate::problem::Problem;

pub use authorities::Authorities;
pub use failure::{ConnectionFailure, connection_failure, explain};
pub use private::PrivateClients;
pub use proxy::{Destination, Proxies};
pub use tunnel::open_connection;

/// Proxies and certificate authorities.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// The proxies, and the hosts that are reached without one.
    pub proxies: Arc<Proxies>,
    /// The certificate authorities.
    pub authorities: Authorities,
}

impl Network {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, and the files and folders of certificate authorities.
    /// The error names the variable that cannot be used, without its value.
    pub fn from_variables(variables: &Variables) -> Result<Self, Problem> {
        Ok(Self {
            proxies: Arc::new(Proxies::from_variables(variables).map_err(|failure| failure.problem())?),
            authorities: Authorities::load(variables).map_err(|failure| failure.problem())?,
        })
    }

    /// A client for HTTP and HTTPS. Connections are reused.
    pub fn client(&self) -> SharedHttpClient {
        connector::client(&self.proxies, &self.authorities)
    }
}

//! The run's own repository, through the job's own token: what its records, leases, checks and comments are kept in. What
//! can be asked of it stands in files of its own, one for each kind of thing.

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::addresses::Addresses;
use super::door::Door;
use super::names;
use crate::problem::{Code, Problem};

/// The repository of the run.
pub struct Project {
    pub(super) door: Door,
    /// `owner/name`.
    pub(super) repository: String,
}

impl Project {
    /// Must be called inside a runtime. Errors when an address or the name is none, or the token has characters that no
    /// token has.
    pub fn new(
        http: SharedHttpClient,
        addresses: &Addresses,
        token: &str,
        repository: &str,
    ) -> Result<Self, Problem> {
        let refused = |why: String| {
            Problem::error(Code::TokenRefused, "GitHub cannot be asked about this repository.").cause(why)
        };
        names::repository(repository).map_err(refused)?;
        let door = Door::new(http, addresses, token).map_err(refused)?;
        Ok(Self { door, repository: repository.to_owned() })
    }

    /// `owner/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The route of one thing in this repository: `rest` begins with a slash.
    pub(super) fn route(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.repository)
    }
}

impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project").field("repository", &self.repository).finish_non_exhaustive()
    }
}

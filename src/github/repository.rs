//! The run's own repository, through the job's own token: the store of records, leases, checks and comments. Each
//! kind of
//! object has its own file.

use std::cell::RefCell;
use std::collections::BTreeMap;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::addresses::Addresses;
use super::client::Client;
use super::compare::CommitRelation;
use super::validate;
use crate::problem::{Code, Problem};

/// The repository of the run.
pub struct RunRepository {
    pub(super) client: Client,
    /// `owner/name`.
    pub(super) repository: String,
    /// Relations that were read, by both commits: a commit never changes what it contains.
    pub(super) known_relations: RefCell<BTreeMap<String, CommitRelation>>,
}

impl RunRepository {
    /// Must be called inside a runtime. An error if a URL or the name is not valid, or the token has characters that no
    /// token has.
    pub fn new(
        http: SharedHttpClient,
        addresses: &Addresses,
        token: &str,
        repository: &str,
    ) -> Result<Self, Problem> {
        let refused = |why: String| {
            Problem::error(Code::TokenRefused, "The GitHub URL, token or repository name is not valid.")
                .cause(why)
        };
        validate::repository(repository).map_err(refused)?;
        let client = Client::new(http, addresses, token).map_err(refused)?;
        Ok(Self { client, repository: repository.to_owned(), known_relations: RefCell::default() })
    }

    /// `owner/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The route of an object in this repository: `rest` begins with a slash.
    pub(super) fn route(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.repository)
    }
}

impl std::fmt::Debug for RunRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project").field("repository", &self.repository).finish_non_exhaustive()
    }
}

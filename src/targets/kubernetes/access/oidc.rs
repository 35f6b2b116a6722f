//! Access to a cluster that trusts GitHub: a token of the job for the audience of the cluster, made anew before it dies.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::Instant;

use crate::aws::{Io, OidcTokenSource};
use crate::problem::{Code, Problem};
use crate::targets::TargetContext;

/// GitHub's tokens live for five minutes.
const RENEWAL_AGE: Duration = Duration::from_secs(200);

/// Where the tokens for an audience come from.
pub struct OidcAccess {
    source: OidcTokenSource,
    audience: String,
    io: Io,
    current: RefCell<Option<JobToken>>,
}

/// A token, and when it was made.
#[derive(Clone)]
struct JobToken {
    text: String,
    made_at: Instant,
}

impl OidcAccess {
    /// The source of the runner. Errors where the job may not get tokens; no call is made.
    pub fn open(audience: &str, run: &TargetContext<'_>) -> Result<Self, Problem> {
        let source = OidcTokenSource::from_variables(&run.io.variables).ok_or_else(|| {
            let sentence = "The cluster wants a token of GitHub (`oidc`), and this job gets none.";
            Problem::error(Code::CredentialsMissing, sentence)
                .help("Give the job `permissions: { id-token: write }`.")
        })?;
        Ok(Self { source, audience: audience.to_owned(), io: run.io.clone(), current: RefCell::default() })
    }

    /// A token that is good for some minutes; another one if the last was refused.
    pub async fn token(&self, is_refused: bool) -> Result<String, Problem> {
        let known = self.current.borrow().clone();
        let fresh = known.filter(|token| !is_refused && token.made_at.elapsed() < RENEWAL_AGE);
        if let Some(token) = fresh {
            return Ok(token.text);
        }
        let fetched = self.source.fetch_token(&self.io, &self.audience).await;
        let text = fetched.map_err(|error| {
            let sentence = "GitHub gave no token for the cluster.";
            error.explain(Problem::error(Code::CredentialsMissing, sentence))
        })?;
        *self.current.borrow_mut() = Some(JobToken { text: text.clone(), made_at: Instant::now() });
        Ok(text)
    }
}

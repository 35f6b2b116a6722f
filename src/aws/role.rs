//! Credentials of a role, assumed with the job's OIDC token and renewed for as long as the run waits.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use base64::Engine as _;
use serde_json::Value;

use super::oidc::{TokenEndpoint, said};
use super::session::{Doors, RENEWAL};
use crate::problem::{Code, Problem};

/// How long a renewal may take while the credentials at hand are still good.
const PATIENCE: Duration = Duration::from_secs(8);
/// After a renewal that failed, the credentials at hand are used for so long before the next try.
const PAUSE: Duration = Duration::from_secs(60);

/// Assumes one role again and again.
#[derive(Debug)]
pub(super) struct RoleProvider {
    client: aws_sdk_sts::Client,
    doors: Doors,
    endpoint: TokenEndpoint,
    role: String,
    session_name: String,
    held: Mutex<Held>,
}

/// The credentials at hand.
#[derive(Debug, Default)]
struct Held {
    credentials: Option<Credentials>,
    /// When they could not be renewed, on the run's clock.
    failed: Option<Duration>,
}

impl RoleProvider {
    /// `bare` is the session without credentials: this call is not signed.
    pub(super) fn new(
        bare: &SdkConfig,
        doors: &Doors,
        endpoint: TokenEndpoint,
        role: &str,
        session_name: &str,
    ) -> Self {
        Self {
            client: aws_sdk_sts::Client::new(bare),
            doors: doors.clone(),
            endpoint,
            role: role.to_owned(),
            session_name: session_name_of(session_name),
            held: Mutex::default(),
        }
    }

    /// Assumes the role for the first time.
    pub(super) async fn begin(&self) -> Result<(), Problem> {
        let fresh = self.assume().await?;
        self.keep(fresh);
        Ok(())
    }

    async fn assume(&self) -> Result<Credentials, Problem> {
        let token = self.endpoint.token(&self.doors, "sts.amazonaws.com").await.map_err(no_token)?;
        let call = self.client.assume_role_with_web_identity().role_arn(&self.role);
        let call = call.role_session_name(&self.session_name).web_identity_token(&token);
        let answer = call.send().await.map_err(|error| refused(&self.role, &token, &error))?;
        let given = answer.credentials().ok_or_else(|| unusable(&self.role))?;
        self.doors.mask.add(given.secret_access_key());
        self.doors.mask.add(given.session_token());
        Ok(Credentials::new(
            given.access_key_id(),
            given.secret_access_key(),
            Some(given.session_token().to_owned()),
            SystemTime::try_from(*given.expiration()).ok(),
            "oidc",
        ))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, fresh: Credentials) -> Credentials {
        *self.held() = Held { credentials: Some(fresh.clone()), failed: None };
        fresh
    }

    /// The credentials at hand while they are good, and whether it is time to renew them.
    fn at_hand(&self) -> Option<(Credentials, bool)> {
        let held = self.held();
        let credentials = held.credentials.clone()?;
        let now = SystemTime::from(self.doors.clock.now());
        let left = credentials.expiry()?.duration_since(now).ok().filter(|left| !left.is_zero())?;
        let paused = held.failed.is_some_and(|failed| self.doors.clock.elapsed() < failed + PAUSE);
        Some((credentials, left <= RENEWAL && !paused))
    }

    /// Fresh credentials. A renewal that fails takes nothing away while the old ones are good.
    async fn current(&self) -> provider::Result {
        match self.at_hand() {
            Some((held, false)) => Ok(held),
            Some((held, true)) => match tokio::time::timeout(PATIENCE, self.assume()).await {
                Ok(Ok(fresh)) => Ok(self.keep(fresh)),
                _ => {
                    self.held().failed = Some(self.doors.clock.elapsed());
                    Ok(held)
                }
            },
            None => {
                self.assume().await.map(|fresh| self.keep(fresh)).map_err(CredentialsError::provider_error)
            }
        }
    }
}

/// The same with an end that makes the SDK's cache ask in time: it waits up to half of its buffer longer than it
/// should, by chance. What it gets then is decided here.
fn for_the_cache(credentials: &Credentials) -> Credentials {
    let end = credentials.expiry().map(|end| end - RENEWAL / 2);
    let token = credentials.session_token().map(str::to_owned);
    Credentials::new(credentials.access_key_id(), credentials.secret_access_key(), token, end, "oidc")
}

impl ProvideCredentials for RoleProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.current().await.map(|held| for_the_cache(&held)) })
    }
}

fn no_token(why: String) -> Problem {
    Problem::error(Code::CredentialsMissing, "The runner gave no OIDC token for this job.").cause(why).help(
        "Check `permissions: id-token: write` of the job, and run it again: the token service may be busy.",
    )
}

fn unusable(role: &str) -> Problem {
    Problem::error(Code::ProviderError, format!("STS answered without credentials for the role `{role}`."))
}

/// Says which claims the role's trust policy was held against; the token itself is never shown.
fn refused<E>(role: &str, token: &str, error: &SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some(answer) = error.as_service_error().filter(|answer| decided(answer.code())) else {
        let sentence = format!("STS did not say whether the role `{role}` can be assumed.");
        return Problem::error(Code::ProviderError, sentence).cause(said(error)).help("Run the job again.");
    };
    let words = [answer.code(), answer.message()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    Problem::error(Code::RoleRefused, format!("The role `{role}` cannot be assumed with this job's token."))
        .cause(format!("{words}; {}", claims_of(token)))
        .help(HELP)
}

const HELP: &str = "Let the role's trust policy allow exactly this `sub` and `aud`, in this spelling, and let the account have the \
identity provider token.actions.githubusercontent.com. A job with an `environment` has that in its `sub` instead of \
the branch; newer repositories have their ids in it (`repo:OWNER@ID/NAME@ID:…`).";

/// Throttling and errors of the server are no decision.
fn decided(code: Option<&str>) -> bool {
    let undecided =
        ["Throttl", "TooManyRequests", "RequestLimit", "Internal", "ServiceUnavailable", "IDPCommunication"];
    code.is_some_and(|code| !undecided.iter().any(|start| code.starts_with(start)))
}

fn claims_of(token: &str) -> String {
    let claims = claims(token);
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    format!(
        "the token says sub `{}`, aud `{}`, environment `{}`",
        claim("sub"),
        claim("aud"),
        claim("environment"),
    )
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// STS takes 2 to 64 characters of `[\w+=,.@-]`.
fn session_name_of(text: &str) -> String {
    let good: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' })
        .take(64)
        .collect();
    if good.len() < 2 { "roadstead".into() } else { good }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_fit_what_sts_takes() {
        assert_eq!(session_name_of("acme/app run 7"), "acme-app-run-7");
        assert_eq!(session_name_of(""), "roadstead");
        assert_eq!(session_name_of(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn claims_are_named_and_the_token_is_not() {
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(r#"{"sub":"repo:a/b:ref:x","aud":"sts.amazonaws.com"}"#);
        let text = claims_of(&format!("h.{payload}.signature"));
        assert_eq!(text, "the token says sub `repo:a/b:ref:x`, aud `sts.amazonaws.com`, environment `-`");
        assert_eq!(claims_of("nonsense"), "the token says sub `-`, aud `-`, environment `-`");
    }

    #[test]
    fn a_busy_service_has_decided_nothing() {
        for (code, expected) in [
            (Some("AccessDenied"), true),
            (Some("InvalidIdentityToken"), true),
            (Some("ValidationError"), true),
            (Some("Throttling"), false),
            (Some("InternalFailure"), false),
            (Some("IDPCommunicationError"), false),
            (None, false),
        ] {
            assert_eq!(decided(code), expected, "{code:?}");
        }
    }
}

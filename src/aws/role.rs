//! Credentials of a role, assumed with the job's OIDC token or with other credentials, and renewed while the run lasts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::types::Credentials as StsCredentials;
use base64::Engine as _;
use serde_json::Value;

use super::oidc::OidcTokenSource;
use super::session::{Io, RENEW_BEFORE_EXPIRY};
use crate::problem::{Code, Problem};
use crate::sys::http::RequestError;
use crate::sys::network;
use crate::sys::sdk_error::sdk_error_text;

/// Timeout of a renewal while the current credentials are still valid.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(8);
/// Delay until the next attempt after a failed renewal; the current credentials are used meanwhile.
const RENEWAL_RETRY_DELAY: Duration = Duration::from_secs(60);

/// What a role is assumed with.
#[derive(Debug)]
pub(super) enum RoleSource {
    /// The job's OIDC token; the call is not signed.
    Token(OidcTokenSource),
    /// The credentials that the call is signed with: those of this caller.
    Caller(String),
}

/// Assumes one role repeatedly.
#[derive(Debug)]
pub(super) struct RoleProvider {
    client: aws_sdk_sts::Client,
    io: Io,
    source: RoleSource,
    role: String,
    session_name: String,
    cache: Mutex<CachedCredentials>,
}

/// The current credentials.
#[derive(Debug, Default)]
struct CachedCredentials {
    credentials: Option<Credentials>,
    /// Time of the last failed renewal, by the run's clock.
    renewal_failed_at: Option<Duration>,
}

impl RoleProvider {
    /// `session` is the one that the call is made with: without credentials for a token.
    pub(super) fn new(
        session: &SdkConfig,
        io: &Io,
        source: RoleSource,
        role: &str,
        session_name: &str,
    ) -> Self {
        Self {
            client: aws_sdk_sts::Client::new(session),
            io: io.clone(),
            source,
            role: role.to_owned(),
            session_name: sanitize_session_name(session_name),
            cache: Mutex::default(),
        }
    }

    /// Assumes the role for the first time.
    pub(super) async fn assume_now(&self) -> Result<(), Problem> {
        let fresh = self.assume().await?;
        self.store(fresh);
        Ok(())
    }

    async fn assume(&self) -> Result<Credentials, Problem> {
        let given = match &self.source {
            RoleSource::Token(source) => self.request_with_token(source).await?,
            RoleSource::Caller(caller) => self.request_as_caller(caller).await?,
        };
        let given = given.ok_or_else(|| no_credentials_problem(&self.role))?;
        self.io.mask.add(given.secret_access_key());
        self.io.mask.add(given.session_token());
        Ok(Credentials::new(
            given.access_key_id(),
            given.secret_access_key(),
            Some(given.session_token().to_owned()),
            SystemTime::try_from(*given.expiration()).ok(),
            "oidc",
        ))
    }

    async fn request_with_token(&self, source: &OidcTokenSource) -> Result<Option<StsCredentials>, Problem> {
        let token = source.fetch_token(&self.io, "sts.amazonaws.com").await.map_err(no_token)?;
        let call = self.client.assume_role_with_web_identity().role_arn(&self.role);
        let call = call.role_session_name(&self.session_name).web_identity_token(&token);
        let response = call.send().await.map_err(|error| role_refused_problem(&self.role, &token, &error))?;
        Ok(response.credentials().cloned())
    }

    async fn request_as_caller(&self, caller: &str) -> Result<Option<StsCredentials>, Problem> {
        let call = self.client.assume_role().role_arn(&self.role).role_session_name(&self.session_name);
        let response =
            call.send().await.map_err(|error| caller_refused_problem(&self.role, caller, &error))?;
        Ok(response.credentials().cloned())
    }

    fn lock_cache(&self) -> MutexGuard<'_, CachedCredentials> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, fresh: Credentials) -> Credentials {
        *self.lock_cache() = CachedCredentials { credentials: Some(fresh.clone()), renewal_failed_at: None };
        fresh
    }

    /// The current credentials while they are valid, and whether it is time to renew them.
    fn cached_credentials(&self) -> Option<(Credentials, bool)> {
        let cached = self.lock_cache();
        let credentials = cached.credentials.clone()?;
        let now = SystemTime::from(self.io.clock.now());
        let left = credentials.expiry()?.duration_since(now).ok().filter(|left| !left.is_zero())?;
        let paused = cached
            .renewal_failed_at
            .is_some_and(|failed| self.io.clock.elapsed() < failed + RENEWAL_RETRY_DELAY);
        Some((credentials, left <= RENEW_BEFORE_EXPIRY && !paused))
    }

    /// New credentials. If a renewal fails, the current ones stay in use while they are valid.
    async fn current_credentials(&self) -> provider::Result {
        match self.cached_credentials() {
            Some((cached, false)) => Ok(cached),
            Some((cached, true)) => match tokio::time::timeout(RENEWAL_TIMEOUT, self.assume()).await {
                Ok(Ok(fresh)) => Ok(self.store(fresh)),
                _ => {
                    self.lock_cache().renewal_failed_at = Some(self.io.clock.elapsed());
                    Ok(cached)
                }
            },
            None => {
                self.assume().await.map(|fresh| self.store(fresh)).map_err(CredentialsError::provider_error)
            }
        }
    }
}

/// The same with an expiry that makes the SDK's cache renew in time: at random, it waits up to half of its buffer
/// too long. The renewal is decided here.
fn with_early_expiry(credentials: &Credentials) -> Credentials {
    let end = credentials.expiry().map(|end| end - RENEW_BEFORE_EXPIRY / 2);
    let token = credentials.session_token().map(str::to_owned);
    Credentials::new(credentials.access_key_id(), credentials.secret_access_key(), token, end, "oidc")
}

impl ProvideCredentials for RoleProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.current_credentials().await.map(|cached| with_early_expiry(&cached))
        })
    }
}

fn no_token(error: RequestError) -> Problem {
    let problem = Problem::error(Code::CredentialsMissing, "The runner gave no OIDC token for this job.").help(
        "Check `permissions: id-token: write` of the job, then run it again: the token service may be busy.",
    );
    error.explain(problem)
}

fn no_credentials_problem(role: &str) -> Problem {
    Problem::error(Code::ProviderError, format!("STS returned no credentials for the role `{role}`."))
}

/// Names the caller that the role's trust policy was compared with.
fn caller_refused_problem<E>(role: &str, caller: &str, error: &SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some(response) = error.as_service_error().filter(|response| is_final_error(response.code())) else {
        return undecided_problem(role, "sts:AssumeRole", error);
    };
    let words = [response.code(), response.message()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    Problem::error(Code::RoleRefused, format!("The role `{role}` cannot be assumed by `{caller}`."))
        .cause(words)
        .help("Allow `sts:AssumeRole` for this caller in the role's trust policy, and in the policy of the caller.")
}

/// Throttled, or not answered: nothing is decided.
fn undecided_problem<E>(role: &str, action: &str, error: &SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let sentence = format!("STS failed while assuming the role `{role}`.");
    let problem = Problem::error(Code::ProviderError, sentence).cause(sdk_error_text(action, error));
    network::explain(error, problem.help("Run the job again."))
}

/// Lists the claims that the role's trust policy was compared with; the token itself is never shown.
fn role_refused_problem<E>(role: &str, token: &str, error: &SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some(response) = error.as_service_error().filter(|response| is_final_error(response.code())) else {
        return undecided_problem(role, "sts:AssumeRoleWithWebIdentity", error);
    };
    let words = [response.code(), response.message()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    Problem::error(Code::RoleRefused, format!("The role `{role}` cannot be assumed with this job's token."))
        .cause(format!("{words}; {}", describe_claims(token)))
        .help(TRUST_POLICY_HELP)
}

const TRUST_POLICY_HELP: &str = "Allow exactly this `sub` and `aud` in the role's trust policy, in this spelling. The account needs the \
identity provider token.actions.githubusercontent.com. The `sub` of a job with an `environment` has the environment instead of \
the branch; the `sub` of newer repositories has their ids (`repo:OWNER@ID/NAME@ID:…`).";

/// Throttling and server errors are no decision.
fn is_final_error(code: Option<&str>) -> bool {
    let undecided =
        ["Throttl", "TooManyRequests", "RequestLimit", "Internal", "ServiceUnavailable", "IDPCommunication"];
    code.is_some_and(|code| !undecided.iter().any(|start| code.starts_with(start)))
}

fn describe_claims(token: &str) -> String {
    let claims = parse_claims(token);
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    format!(
        "the token has sub `{}`, aud `{}`, environment `{}`",
        claim("sub"),
        claim("aud"),
        claim("environment"),
    )
}

fn parse_claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// STS accepts 2 to 64 characters of `[\w+=,.@-]`.
fn sanitize_session_name(text: &str) -> String {
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
    fn session_names_are_valid_for_sts() {
        assert_eq!(sanitize_session_name("acme/app run 7"), "acme-app-run-7");
        assert_eq!(sanitize_session_name(""), "roadstead");
        assert_eq!(sanitize_session_name(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn claims_are_shown_and_the_token_is_not() {
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(r#"{"sub":"repo:a/b:ref:x","aud":"sts.amazonaws.com"}"#);
        let text = describe_claims(&format!("h.{payload}.signature"));
        assert_eq!(text, "the token has sub `repo:a/b:ref:x`, aud `sts.amazonaws.com`, environment `-`");
        assert_eq!(describe_claims("nonsense"), "the token has sub `-`, aud `-`, environment `-`");
    }

    #[test]
    fn throttling_and_server_errors_are_not_final() {
        for (code, expected) in [
            (Some("AccessDenied"), true),
            (Some("InvalidIdentityToken"), true),
            (Some("ValidationError"), true),
            (Some("Throttling"), false),
            (Some("InternalFailure"), false),
            (Some("IDPCommunicationError"), false),
            (None, false),
        ] {
            assert_eq!(is_final_error(code), expected, "{code:?}");
        }
    }
}

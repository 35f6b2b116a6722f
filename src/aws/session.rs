//! Opens the session: which credentials, from where, for which region.

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use std::time::{Duration, SystemTime};

use super::body_limit;
use super::laptop;
use super::mask::Mask;
use super::oidc::OidcTokenSource;
use super::role::{RoleProvider, RoleSource};
use crate::problem::{Code, Problem};
use crate::release::may_receive_credentials;
use crate::sys::clock::Clock;
use crate::sys::environment::Variables;
use crate::sys::network::PrivateClients;

/// The io of a session; a rehearsal passes its own.
#[derive(Debug, Clone)]
pub struct Io {
    /// The HTTP client.
    pub http: SharedHttpClient,
    /// The clock.
    pub clock: Clock,
    /// Variables with credentials, region and endpoint.
    pub variables: Variables,
    /// Receives every secret before it is used.
    pub mask: Mask,
    /// Makes clients for servers with an authority of their own.
    pub private_clients: PrivateClients,
}

/// The settings of the session.
#[derive(Debug, Clone, Default)]
pub struct SessionRequest {
    /// Region; falls back to `AWS_REGION` and `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// ARN of the role to assume, with the job's OIDC token or with the credentials that are there.
    pub role: Option<String>,
    /// Name of the role session, for the account's audit log.
    pub session_name: String,
}

/// Opens a session. Notices and warnings about the credentials are returned with it. A role is assumed here, so that an
/// error is reported before any other call; without a role no call of a job is made. The default chain of a laptop reads
/// its own files, and asks IAM Identity Center or a credential process if they say so.
pub async fn open_session(io: &Io, wanted: &SessionRequest) -> Result<(SdkConfig, Vec<Problem>), Problem> {
    let get = |name: &str| io.variables.get(name).filter(|value| !value.is_empty()).cloned();
    let region = wanted.region.clone().or_else(|| get("AWS_REGION")).or_else(|| get("AWS_DEFAULT_REGION"));
    let region = region.ok_or_else(no_region)?;
    if !is_region(&region) {
        return Err(invalid_region(&region));
    }
    let region = Region::new(region);
    let endpoint = get("AWS_ENDPOINT_URL");
    if endpoint.as_deref().is_some_and(|url| !may_receive_credentials(url)) {
        return Err(plain_endpoint());
    }
    let bare = base_config(io, region.clone(), endpoint);
    let (provider, problems) = resolve_credentials(io, wanted, &bare, region).await?;
    Ok((bare.into_builder().credentials_provider(provider).build(), problems))
}

/// No session: for runs that use nothing of AWS. Calls made with it fail.
pub fn disconnected(io: &Io) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(body_limit::limited(io.http.clone()))
        .build()
}

fn base_config(io: &Io, region: Region, endpoint: Option<String>) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(body_limit::limited(io.http.clone()))
        .sleep_impl(TokioSleep::new())
        .time_source(WallClock(io.clock))
        .region(region)
        .identity_cache(identity_cache())
        .retry_config(
            RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_max_backoff(Duration::from_secs(4)),
        )
        .timeout_config(timeouts());
    config.set_endpoint_url(endpoint);
    config.build()
}

/// With a backoff of up to four seconds this survives half a minute of throttling before anything was changed; while a
/// rollout is watched, the poll loop continues after that.
const MAX_ATTEMPTS: u32 = 12;

/// Credentials are renewed ten minutes before they expire: enough to roll back with the rest (invariant I12).
pub(super) const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(600);

fn identity_cache() -> SharedIdentityCache {
    aws_config::identity::IdentityCache::lazy().buffer_time(RENEW_BEFORE_EXPIRY).build()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(40))
        .build()
}

async fn resolve_credentials(
    io: &Io,
    wanted: &SessionRequest,
    bare: &SdkConfig,
    region: Region,
) -> Result<(SharedCredentialsProvider, Vec<Problem>), Problem> {
    let Some(role) = &wanted.role else {
        return own_credentials(io, region).await;
    };
    if let Some(source) = OidcTokenSource::from_variables(&io.variables) {
        let provider = RoleProvider::new(bare, io, RoleSource::Token(source), role, &wanted.session_name);
        provider.assume_now().await?;
        return Ok((SharedCredentialsProvider::new(provider), Vec::new()));
    }
    let own = own_credentials(io, region).await;
    let (own, mut problems) = own.map_err(|problem| if in_runner(io) { no_token(role) } else { problem })?;
    let (provider, warning) = laptop::assume_role(io, wanted, bare, role, own).await?;
    problems.extend(warning);
    Ok((provider, problems))
}

pub(super) fn in_runner(io: &Io) -> bool {
    io.variables.get("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// The credentials that are there: keys in variables, and on a laptop whatever the AWS CLI would use.
async fn own_credentials(
    io: &Io,
    region: Region,
) -> Result<(SharedCredentialsProvider, Vec<Problem>), Problem> {
    if let Some((keys, problems)) = static_keys(&io.variables) {
        return Ok((SharedCredentialsProvider::new(keys), problems));
    }
    if in_runner(io) {
        return Err(no_credentials());
    }
    let configuration = aws_config::provider_config::ProviderConfig::default()
        .with_http_client(body_limit::limited(io.http.clone()))
        .with_region(Some(region.clone()));
    let chain = aws_config::default_provider::credentials::DefaultCredentialsChain::builder()
        .configure(configuration)
        .region(region)
        .build()
        .await;
    chain.provide_credentials().await.map_err(|error| laptop::no_credentials(&error))?;
    Ok((SharedCredentialsProvider::new(chain), Vec::new()))
}

/// Keys from the environment. Keys without a session token live until they are deleted.
fn static_keys(variables: &Variables) -> Option<(Credentials, Vec<Problem>)> {
    let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
    let (id, secret, token) =
        (get("AWS_ACCESS_KEY_ID")?, get("AWS_SECRET_ACCESS_KEY")?, get("AWS_SESSION_TOKEN"));
    let problems = if token.is_none() { vec![static_keys_warning()] } else { Vec::new() };
    Some((Credentials::new(id, secret, token, None, "environment"), problems))
}

fn static_keys_warning() -> Problem {
    Problem::warning(Code::CredentialsStatic, "This run uses long-lived AWS access keys.")
        .help("Use `role-to-assume` and `permissions: id-token: write` instead: those credentials expire after the job.")
}

/// Whether a text can be a region. It becomes a part of the host that gets tokens and credentials, so it must not bring
/// a host of its own.
fn is_region(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 63 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(plain)
}

fn invalid_region(region: &str) -> Problem {
    Problem::error(Code::InputInvalid, format!("`{region}` is not the name of an AWS region."))
        .help("Write it as AWS does, such as `eu-west-1`.")
}

fn plain_endpoint() -> Problem {
    let sentence = "`AWS_ENDPOINT_URL` gets credentials, and it is not a URL of https.";
    Problem::error(Code::InputInvalid, sentence)
        .help("Begin it with `https://`. On loopback `http://` is possible.")
}

fn no_region() -> Problem {
    Problem::error(Code::CredentialsMissing, "No AWS region is set.")
        .help("Set `aws: { region: … }` of the environment in the deploy file, the input `aws-region`, or AWS_REGION.")
}

fn no_credentials() -> Problem {
    Problem::error(Code::CredentialsMissing, "There are no AWS credentials in this job.")
        .help("Set `aws: { role: … }` of the environment (or the input `role-to-assume`) and `permissions: id-token: write`.")
}

fn no_token(role: &str) -> Problem {
    Problem::error(
        Code::CredentialsMissing,
        format!("The role `{role}` cannot be assumed: this job has no OIDC token."),
    )
    .help("Add `permissions: id-token: write` to the job. Pull requests from forks never get an OIDC token.")
}

#[derive(Debug)]
struct WallClock(Clock);

impl TimeSource for WallClock {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_is_a_label_of_a_host_and_nothing_more() {
        for region in ["eu-west-1", "us-gov-east-1", "cn-north-1", "us-iso-east-1"] {
            assert!(is_region(region), "{region}");
        }
        for region in
            ["", "evil.example/", "x@evil.example", "a#", "eu-west-1.evil.example", "EU", "-a", "a b", "1"]
        {
            assert!(!is_region(region), "{region}");
        }
    }
}

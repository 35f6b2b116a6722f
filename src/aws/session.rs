//! Opening the session: which credentials, from where, for which region.

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use std::time::{Duration, SystemTime};

use super::mask::Mask;
use super::oidc::TokenEndpoint;
use super::role::RoleProvider;
use crate::problem::{Code, Problem};
use crate::sys::clock::Clock;
use crate::sys::environment::Variables;

/// The doors to the outside that a session goes through; a rehearsal gives its own.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Where requests go.
    pub http: SharedHttpClient,
    /// Where time comes from.
    pub clock: Clock,
    /// Credentials, region and endpoint are looked up here.
    pub variables: Variables,
    /// Gets every secret before it is used.
    pub mask: Mask,
}

/// What the session is for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Region; falls back to `AWS_REGION` and `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// ARN of the role to assume with the job's OIDC token.
    pub role: Option<String>,
    /// Name of the role session, for the account's audit log.
    pub session_name: String,
}

/// A client for HTTP and HTTPS that trusts the system's certificate authorities.
pub fn https_client() -> SharedHttpClient {
    Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc)).build_https()
}

/// Opens a session. Notices and warnings about the credentials come with it. With a role it is assumed here, so that a
/// refusal is told as one, before any other call; without, no call is made, except that the default chain of a laptop
/// may look at its own files.
pub async fn open(doors: &Doors, wanted: &Wanted) -> Result<(SdkConfig, Vec<Problem>), Problem> {
    let get = |name: &str| doors.variables.get(name).filter(|value| !value.is_empty()).cloned();
    let region = wanted.region.clone().or_else(|| get("AWS_REGION")).or_else(|| get("AWS_DEFAULT_REGION"));
    let region = Region::new(region.ok_or_else(no_region)?);
    let bare = base(doors, region.clone(), get("AWS_ENDPOINT_URL"));
    let (provider, problems) = credentials(doors, wanted, &bare, region).await?;
    Ok((bare.into_builder().credentials_provider(provider).build(), problems))
}

/// No session: for runs that touch nothing of AWS. Calls made with it fail.
pub fn nowhere(doors: &Doors) -> SdkConfig {
    SdkConfig::builder().behavior_version(BehaviorVersion::latest()).http_client(doors.http.clone()).build()
}

fn base(doors: &Doors, region: Region, endpoint: Option<String>) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(doors.http.clone())
        .sleep_impl(TokioSleep::new())
        .time_source(WallClock(doors.clock))
        .region(region)
        .identity_cache(identity_cache())
        .retry_config(
            RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(Duration::from_secs(4)),
        )
        .timeout_config(timeouts());
    config.set_endpoint_url(endpoint);
    config.build()
}

/// With pauses of up to four seconds this rides out half a minute of throttling before anything was changed; while a
/// rollout is watched, the poll loop goes on after that.
const ATTEMPTS: u32 = 12;

/// Credentials are renewed ten minutes before they end: enough to roll back with what is left (invariant I12).
pub(super) const RENEWAL: Duration = Duration::from_secs(600);

fn identity_cache() -> SharedIdentityCache {
    aws_config::identity::IdentityCache::lazy().buffer_time(RENEWAL).build()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(40))
        .build()
}

async fn credentials(
    doors: &Doors,
    wanted: &Wanted,
    bare: &SdkConfig,
    region: Region,
) -> Result<(SharedCredentialsProvider, Vec<Problem>), Problem> {
    if let Some(role) = &wanted.role {
        let endpoint = TokenEndpoint::from_variables(&doors.variables).ok_or_else(|| no_token(role))?;
        let provider = RoleProvider::new(bare, doors, endpoint, role, &wanted.session_name);
        provider.begin().await?;
        return Ok((SharedCredentialsProvider::new(provider), Vec::new()));
    }
    if let Some((keys, problems)) = keys(&doors.variables) {
        return Ok((SharedCredentialsProvider::new(keys), problems));
    }
    if doors.variables.get("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        return Err(no_credentials());
    }
    let configuration = aws_config::provider_config::ProviderConfig::default()
        .with_http_client(doors.http.clone())
        .with_region(Some(region.clone()));
    let chain = aws_config::default_provider::credentials::DefaultCredentialsChain::builder()
        .configure(configuration)
        .region(region)
        .build()
        .await;
    Ok((SharedCredentialsProvider::new(chain), Vec::new()))
}

/// Keys from the environment. Those without a session token live until somebody deletes them.
fn keys(variables: &Variables) -> Option<(Credentials, Vec<Problem>)> {
    let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
    let (id, secret, token) =
        (get("AWS_ACCESS_KEY_ID")?, get("AWS_SECRET_ACCESS_KEY")?, get("AWS_SESSION_TOKEN"));
    let problems = if token.is_none() { vec![long_lived()] } else { Vec::new() };
    Some((Credentials::new(id, secret, token, None, "environment"), problems))
}

fn long_lived() -> Problem {
    Problem::warning(Code::CredentialsStatic, "This run uses long-lived AWS access keys.")
        .help("Give `role-to-assume` and `permissions: id-token: write` instead: such credentials end with the job.")
}

fn no_region() -> Problem {
    Problem::error(Code::CredentialsMissing, "No AWS region is given.")
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
    .help("Add `permissions: id-token: write` to the job. Runs of pull requests from forks never get one.")
}

#[derive(Debug)]
struct WallClock(Clock);

impl TimeSource for WallClock {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}

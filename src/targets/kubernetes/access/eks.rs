//! Access to a cluster of EKS: its address by DescribeCluster, and tokens that are presigned requests of STS.
//! <https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster>

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::LocalBoxFuture;
use serde_json::Value;
use tokio::time::Instant;

use super::{Endpoint, authority_pem, private_client};
use crate::aws::Io;
use crate::problem::{Code, Problem};
use crate::retry::{self, Jitter, RetryPolicy, SendError};
use crate::sys::http::{HttpClient, Request, Response, error_text};
use crate::targets::TargetContext;

/// The server accepts a token for 15 minutes after the time in it.
const RENEWAL_AGE: Duration = Duration::from_secs(600);
/// `X-Amz-Expires` of the presigned request.
const PRESIGNED_LIFETIME: Duration = Duration::from_secs(60);
/// Time limit of DescribeCluster.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(20);
/// Repetitions of DescribeCluster.
const DESCRIBE_RETRY: RetryPolicy =
    RetryPolicy::with_backoff(&[Duration::from_secs(1), Duration::from_secs(3)], Jitter::Shorter);

/// A token, and when it was made.
#[derive(Clone)]
pub struct EksToken {
    /// The token.
    pub text: String,
    made_at: Instant,
}

impl EksToken {
    /// Whether it is good for some minutes more.
    pub fn is_fresh(&self) -> bool {
        self.made_at.elapsed() < RENEWAL_AGE
    }
}

/// A cluster of EKS, and who asks.
pub struct EksAccess {
    cluster: String,
    region: String,
    session: SdkConfig,
    http: HttpClient,
    io: Io,
}

impl EksAccess {
    /// The cluster with this name in the region of the run.
    pub fn new(cluster: &str, run: &TargetContext<'_>) -> Self {
        Self {
            cluster: cluster.to_owned(),
            region: run.region.clone(),
            session: run.session.clone(),
            http: HttpClient::new(run.http.clone()),
            io: run.io.clone(),
        }
    }

    async fn credentials(&self) -> Result<Credentials, Problem> {
        let provider = self.session.credentials_provider().ok_or_else(no_session)?;
        provider.provide_credentials().await.map_err(|error| no_session().cause(error_text(&error)))
    }

    /// Whether the job runs on a machine that can be in the network of the cluster.
    fn is_self_hosted(&self) -> bool {
        self.io.variables.get("RUNNER_ENVIRONMENT").is_some_and(|kind| kind == "self-hosted")
    }

    fn now(&self) -> SystemTime {
        SystemTime::from(self.io.clock.now())
    }

    /// A token: the presigned GetCallerIdentity of these credentials, which is good for this cluster alone.
    pub async fn make_token(&self) -> Result<EksToken, Problem> {
        let credentials = self.credentials().await?;
        let url = presigned_url(&credentials, &self.cluster, &self.region, self.now()).map_err(unsigned)?;
        let text = format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url));
        self.io.mask.add(&text);
        Ok(EksToken { text, made_at: Instant::now() })
    }

    /// The address and the authority of the cluster.
    pub fn find_endpoint(&self) -> LocalBoxFuture<'_, Result<Endpoint, Problem>> {
        Box::pin(async move {
            let answer = self.describe().await?;
            let cluster: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let described = read_cluster(&cluster["cluster"], &self.cluster, self.is_self_hosted())?;
            Ok(Endpoint { server: described.server, http: private_client(&self.io, &described.authority)? })
        })
    }

    async fn describe(&self) -> Result<Response, Problem> {
        let origin = self.session.endpoint_url().map_or_else(
            || format!("https://eks.{}.{}", self.region, dns_suffix(&self.region)),
            |url| url.trim_end_matches('/').to_owned(),
        );
        let url = format!("{origin}/clusters/{}", self.cluster);
        let send = async || {
            let credentials = self.credentials().await.map_err(SendError::rejected)?;
            let request = signed_request(&credentials, &url, &self.region, self.now());
            let request = request.map_err(|why| SendError::rejected(unsigned(why)))?;
            let answer = self.http.send(request, DESCRIBE_TIMEOUT).await.map_err(|error| {
                let problem = Problem::error(Code::ProviderError, "The request to EKS failed.");
                SendError::transient(error.explain(problem))
            })?;
            match answer.status {
                200 => Ok(answer),
                429 | 500..600 => Err(SendError::transient(refused(&self.cluster, &answer))),
                _ => Err(SendError::rejected(refused(&self.cluster, &answer))),
            }
        };
        retry::idempotent(&DESCRIBE_RETRY, send).await.map_err(retry::WriteError::into_error)
    }
}

/// What DescribeCluster says of an API server.
#[derive(Debug, PartialEq, Eq)]
struct DescribedCluster {
    server: String,
    authority: String,
}

/// The address and the authority, or why the cluster cannot be reached. A private endpoint answers a self-hosted runner in its
/// network.
fn read_cluster(cluster: &Value, name: &str, is_self_hosted: bool) -> Result<DescribedCluster, Problem> {
    let text = |pointer: &str| cluster.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let status = text("/status");
    if !matches!(status, "ACTIVE" | "UPDATING") {
        let sentence = format!("The EKS cluster `{name}` is {status}, and cannot be deployed to.");
        return Err(Problem::error(Code::ClusterMissing, sentence).help("Wait until it is ACTIVE."));
    }
    let access = &cluster["resourcesVpcConfig"];
    if access["endpointPublicAccess"] == false && !is_self_hosted {
        let sentence = format!(
            "The API server of the EKS cluster `{name}` has a private endpoint only, which a runner outside of its VPC cannot reach."
        );
        let help = "Run the job on a self-hosted runner in the VPC of the cluster, or enable the public endpoint for the addresses of the runners.";
        return Err(Problem::error(Code::ConnectionFailed, sentence).help(help));
    }
    let authority = authority_pem(text("/certificateAuthority/data"));
    let authority = authority.map_err(|_| unreadable(name))?;
    let server = text("/endpoint").trim_end_matches('/').to_owned();
    if !server.starts_with("https://") {
        return Err(unreadable(name));
    }
    Ok(DescribedCluster { server, authority })
}

fn unreadable(name: &str) -> Problem {
    let sentence = format!("EKS reports no address or no authority of the cluster `{name}`.");
    Problem::error(Code::ProviderError, sentence).help("Wait until the cluster is ACTIVE.")
}

/// What an error of DescribeCluster means.
fn refused(name: &str, answer: &Response) -> Problem {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let message = body.get("message").or_else(|| body.get("Message")).and_then(Value::as_str);
    let cause = message.map_or_else(|| format!("status {}", answer.status), str::to_owned);
    let (code, sentence, help) = match answer.status {
        404 => (
            Code::ClusterMissing,
            format!("There is no EKS cluster `{name}` in this account and region."),
            "Check `cluster.eks`, and account and region of the environment.",
        ),
        403 if cause.contains("not authorized") => (
            Code::PermissionMissing,
            format!("The role of the run may not read the EKS cluster `{name}`."),
            "Allow eks:DescribeCluster; `roadstead policy` prints the policy.",
        ),
        401 | 403 => (
            Code::CredentialsMissing,
            "AWS does not accept the credentials of the run.".to_owned(),
            "Set `role` of the environment, or `role-to-assume`.",
        ),
        _ => (Code::ProviderError, "The request to EKS failed.".to_owned(), "Run the job again."),
    };
    Problem::error(code, sentence).cause(cause).help(help)
}

fn no_session() -> Problem {
    Problem::error(Code::CredentialsMissing, "An EKS cluster needs AWS credentials, and this run has none.")
        .help("Give the environment `aws: { region: …, role: … }`.")
}

fn unsigned(why: String) -> Problem {
    Problem::error(Code::Internal, "A request to AWS could not be signed.").cause(why)
}

fn dns_suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// The presigned GetCallerIdentity; the name of the cluster is signed with it.
fn presigned_url(
    credentials: &Credentials,
    cluster: &str,
    region: &str,
    now: SystemTime,
) -> Result<String, String> {
    let host = format!("sts.{region}.{}", dns_suffix(region));
    let url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(PRESIGNED_LIFETIME);
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| error_text(&error))?
        .into();
    let headers = [("x-k8s-aws-id", cluster)];
    let signable = SignableRequest::new("GET", &url, headers.into_iter(), SignableBody::Bytes(b""));
    let signable = signable.map_err(|error| error_text(&error))?;
    let signed = sign(signable, &params).map_err(|error| error_text(&error))?;
    let (instructions, _) = signed.into_parts();
    let mut query = form_urlencoded::Serializer::new(String::new());
    instructions.params().iter().for_each(|(name, value)| {
        query.append_pair(name, value);
    });
    Ok(format!("{url}&{}", query.finish()))
}

/// A GET that is signed for EKS.
fn signed_request(
    credentials: &Credentials,
    url: &str,
    region: &str,
    now: SystemTime,
) -> Result<Request, String> {
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("eks")
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error_text(&error))?
        .into();
    let none: [(&str, &str); 0] = [];
    let signable = SignableRequest::new("GET", url, none.into_iter(), SignableBody::Bytes(b""));
    let signable = signable.map_err(|error| error_text(&error))?;
    let signed = sign(signable, &params).map_err(|error| error_text(&error))?;
    let (instructions, _) = signed.into_parts();
    let request = Request::get(url);
    Ok(instructions.headers().fold(request, |request, (name, value)| request.header(name, value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn token_is_a_presigned_url_of_sts_with_the_signed_cluster() {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("session".into()), None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let url = presigned_url(&credentials, "acme", "eu-west-1", now).unwrap();
        assert!(url.starts_with(
            "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&"
        ));
        for part in [
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Feu-west-1%2Fsts%2Faws4_request",
            "X-Amz-Date=20260101T000000Z",
            "X-Amz-Expires=60",
            "X-Amz-SignedHeaders=host%3Bx-k8s-aws-id",
            "X-Amz-Security-Token=session",
            "X-Amz-Signature=",
        ] {
            assert_eq!(url.matches(part).count(), 1, "{part} in {url}");
        }
    }

    #[test]
    fn cluster_that_cannot_be_reached_is_explained() {
        let read = |change: Value| {
            let mut cluster = json!({
                "status": "ACTIVE", "endpoint": "https://x", "resourcesVpcConfig": { "endpointPublicAccess": true },
                "certificateAuthority": { "data": "-----BEGIN CERTIFICATE-----" },
            });
            for (key, value) in change.as_object().cloned().unwrap_or_default() {
                cluster.as_object_mut().unwrap().insert(key, value);
            }
            let read = |is_self_hosted| read_cluster(&cluster, "acme", is_self_hosted);
            assert!(change.get("resourcesVpcConfig").is_none() || read(true).is_ok());
            read(false).map_err(|problem| problem.sentence)
        };
        assert!(read(json!({})).is_ok());
        assert!(read(json!({ "status": "CREATING" })).unwrap_err().contains("is CREATING"));
        let private = json!({ "resourcesVpcConfig": { "endpointPublicAccess": false } });
        assert!(read(private).unwrap_err().contains("private endpoint only"));
        assert!(read(json!({ "endpoint": null })).unwrap_err().contains("no address"));
        assert!(read(json!({ "certificateAuthority": {} })).unwrap_err().contains("no authority"));
    }
}

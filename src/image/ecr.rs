//! Amazon ECR as a [`Registry`]: effects, one function a call. Facts of the API: GetAuthorizationToken returns
//! base64 of `AWS:password` for twelve hours; PutImage keeps the bytes and so the digest.

use std::rc::Rc;

use async_trait::async_trait;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::types::{Image, ImageDetail, ImageFailureCode, ImageIdentifier};
use base64::Engine as _;
use jiff::Timestamp;

use super::metadata;
use super::oci_registry::{OciRegistry, TIMEOUT};
use super::registry::{ImageInfo, LoginSource, Registry, RegistryLogin, registry_host};
use crate::problem::{Code, Problem};
use crate::release::{Digest, ImageRef, is_loopback};
use crate::sys::http::HttpClient;
use crate::sys::network;
use crate::sys::sdk_error::sdk_error_text;

/// Masks a secret in everything that is written after.
pub type SharedMask = Rc<dyn Fn(&str)>;

/// The registry of an environment, and its host as in image references. If ECR's endpoint is a
/// registry on loopback, that registry is read directly; the login stays ECR's. Without `web` (in a
/// rehearsal) every call uses ECR's API. `mask` receives every password before its first use.
pub async fn connect_registry(
    config: &aws_config::SdkConfig,
    web: Option<HttpClient>,
    mask: SharedMask,
) -> Result<(Rc<dyn Registry>, String), Problem> {
    let ecr = Rc::new(EcrRegistry { mask: Some(mask), ..EcrRegistry::new(config, web.clone()) });
    let host = ecr.fetch_login().await?.server;
    match web {
        Some(web) if is_loopback(&host) => Ok((Rc::new(OciRegistry::new(ecr, web)), host)),
        _ => Ok((ecr, host)),
    }
}

/// The registry of one account and region.
pub struct EcrRegistry {
    client: Client,
    http: Option<HttpClient>,
    mask: Option<SharedMask>,
}

impl EcrRegistry {
    /// With `web`, the platform of an image without an index is read from its configuration, which ECR stores
    /// at a separate URL; without, it stays unknown.
    pub fn new(config: &aws_config::SdkConfig, http: Option<HttpClient>) -> Self {
        Self { client: Client::new(config), http, mask: None }
    }

    async fn fetch_image(&self, image: &ImageRef) -> Result<Option<Image>, Problem> {
        let id = ImageIdentifier::builder();
        let id = match (&image.digest, &image.tag) {
            (Some(digest), _) => id.image_digest(digest.as_str()),
            (None, Some(tag)) => id.image_tag(tag),
            (None, None) => id.image_tag("latest"),
        };
        let call = self.client.batch_get_image().repository_name(&image.repository).image_ids(id.build());
        let call = metadata::MANIFEST_TYPES.iter().fold(call, |call, kind| call.accepted_media_types(*kind));
        let response = call.set_registry_id(account_of_host(&image.registry)).send().await;
        let response = response.map_err(|error| call_problem(&error, "ecr:BatchGetImage", image))?;
        for failure in response.failures() {
            let known = matches!(failure.failure_code(), Some(ImageFailureCode::ImageNotFound));
            if !known {
                let sentence = format!("ECR cannot return the image `{image}`.");
                let cause = failure.failure_reason().unwrap_or("no reason given");
                return Err(Problem::error(Code::ProviderError, sentence).cause(cause));
            }
        }
        Ok(response.images().first().cloned())
    }

    /// The platform in the configuration of a single manifest; empty if it cannot be read.
    async fn fetch_platform(&self, image: &ImageRef, manifest: &str) -> Option<String> {
        let (web, configuration) = (self.http.as_ref()?, metadata::config_digest(manifest)?);
        let call = self.client.get_download_url_for_layer().repository_name(&image.repository);
        let call =
            call.layer_digest(configuration.as_str()).set_registry_id(account_of_host(&image.registry));
        let url = call.send().await.ok()?.download_url?;
        let response = web.get(&url, TIMEOUT).await.ok().filter(|response| response.status == 200)?;
        metadata::config_platform(&response.text())
    }
}

impl EcrRegistry {
    /// A login for all registries that the credentials may use.
    async fn fetch_login(&self) -> Result<RegistryLogin, Problem> {
        let response = self.client.get_authorization_token().send().await;
        let response = response.map_err(|error| login_problem(&error))?;
        let data = response.authorization_data().first();
        let login = data.and_then(parse_token).ok_or_else(|| {
            Problem::error(Code::RegistryLoginFailed, "ECR returned a login that cannot be parsed.")
        })?;
        if let Some(mask) = &self.mask {
            login.secret_values().iter().for_each(|secret| mask(secret));
        }
        Ok(login)
    }
}

#[async_trait(?Send)]
impl LoginSource for EcrRegistry {
    async fn login(&self) -> Result<Option<RegistryLogin>, Problem> {
        self.fetch_login().await.map(Some)
    }
}

#[async_trait(?Send)]
impl Registry for EcrRegistry {
    async fn find(&self, image: &ImageRef) -> Result<Option<ImageInfo>, Problem> {
        let Some(found) = self.fetch_image(image).await? else { return Ok(None) };
        let digest = found.image_id().and_then(ImageIdentifier::image_digest).unwrap_or_default();
        let digest: Digest = digest.parse().map_err(|why: String| {
            Problem::error(Code::ProviderError, format!("ECR returned no digest for `{image}`.")).cause(why)
        })?;
        let manifest = found.image_manifest().unwrap_or_default();
        let mut platforms = metadata::index_platforms(manifest);
        if platforms.is_empty() {
            platforms.extend(self.fetch_platform(image, manifest).await);
        }
        Ok(Some(ImageInfo { digest, platforms }))
    }

    async fn tag(&self, image: &ImageRef, tag: &str) -> Result<(), Problem> {
        let found = self.fetch_image(image).await?.ok_or_else(|| {
            Problem::error(Code::ImageMissing, format!("The image `{image}` is not in the repository."))
        })?;
        let call = self.client.put_image().repository_name(&image.repository).image_tag(tag);
        let call =
            call.set_image_manifest(found.image_manifest).set_registry_id(account_of_host(&image.registry));
        let call = call.set_image_manifest_media_type(found.image_manifest_media_type);
        let call = call.set_image_digest(image.digest.as_ref().map(ToString::to_string));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ImageAlreadyExistsException") => Ok(()),
            Err(error) if error.code() == Some("ImageTagAlreadyExistsException") => {
                self.check_immutable_tag(image, tag, &error).await
            }
            Err(error) => Err(call_problem(&error, "ecr:PutImage", image)),
        }
    }

    async fn tags(&self, image: &ImageRef) -> Result<Vec<String>, Problem> {
        let is_here = region_of_host(&image.registry).is_some() || is_loopback(&image.registry);
        let Some(digest) = image.digest.as_ref().filter(|_| is_here) else { return Ok(Vec::new()) };
        let id = ImageIdentifier::builder().image_digest(digest.as_str()).build();
        let call = self.client.describe_images().repository_name(&image.repository).image_ids(id);
        match call.set_registry_id(account_of_host(&image.registry)).send().await {
            Ok(response) => {
                Ok(response.image_details().iter().flat_map(ImageDetail::image_tags).cloned().collect())
            }
            // A deleted image has no tags.
            Err(error) if error.code() == Some("ImageNotFoundException") => Ok(Vec::new()),
            Err(error) => Err(call_problem(&error, "ecr:DescribeImages", image)),
        }
    }
}

impl EcrRegistry {
    /// An immutable tag exists: no problem if it names this image.
    async fn check_immutable_tag(
        &self,
        image: &ImageRef,
        tag: &str,
        error: &impl ProvideErrorMetadata,
    ) -> Result<(), Problem> {
        let holder = self.find(&image.with_tag(tag)).await?.map(|found| found.digest);
        if holder.is_some() && holder == image.digest {
            return Ok(());
        }
        let holder = holder.map_or("another image".to_owned(), |digest| digest.to_string());
        let sentence = format!("The tag `{}` names {holder} and is immutable.", image.with_tag(tag));
        let problem = Problem::error(Code::TagImmutable, sentence);
        Err(match error.message() {
            Some(message) => problem.cause(message),
            None => problem,
        })
    }
}

fn parse_token(data: &aws_sdk_ecr::types::AuthorizationData) -> Option<RegistryLogin> {
    let token = base64::engine::general_purpose::STANDARD.decode(data.authorization_token()?).ok()?;
    let token = String::from_utf8(token).ok()?;
    let (username, password) = token.split_once(':')?;
    Some(RegistryLogin {
        server: registry_host(data.proxy_endpoint()?).0.to_owned(),
        username: username.to_owned(),
        password: password.to_owned(),
        expires_at: data.expires_at().and_then(|at| Timestamp::from_second(at.secs()).ok()),
    })
}

/// The host of the private ECR registry of an account and region.
pub fn registry_host_of(account: &str, region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("{account}.dkr.ecr.{region}.amazonaws.com{suffix}")
}

/// The account in the host of a private ECR registry, which can differ from ours.
fn account_of_host(host: &str) -> Option<String> {
    let (account, rest) = host.split_once('.')?;
    let ecr = rest.starts_with("dkr.ecr.") || rest.starts_with("dkr.ecr-fips.");
    (ecr && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then(|| account.to_owned())
}

/// The region in the host of a private ECR registry; `None` for any other registry. Logins are sent to such a host, so
/// it must be AWS's own and not only look like it.
pub fn region_of_host(host: &str) -> Option<&str> {
    account_of_host(host)?;
    let parts: Vec<&str> = host.split('.').collect();
    match parts[3..] {
        [region, "amazonaws", "com"] | [region, "amazonaws", "com", "cn"] => Some(region),
        _ => None,
    }
}

fn login_problem<E>(error: &SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let cause = sdk_error_text("ecr:GetAuthorizationToken", error);
    let problem = Problem::error(Code::RegistryLoginFailed, "ECR returned no login.").cause(cause);
    network::explain(error, problem.help("Allow the role ecr:GetAuthorizationToken on every resource (`*`)."))
}

fn call_problem<E>(error: &SdkError<E>, action: &str, image: &ImageRef) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let name = image.name();
    let problem = |code, sentence| Problem::error(code, sentence).cause(sdk_error_text(action, error));
    match error.code().unwrap_or_default() {
        "RepositoryNotFoundException" => {
            problem(Code::ImageMissing, format!("The repository `{name}` does not exist."))
                .help("Create it; Roadstead does not create repositories.")
        }
        "AccessDeniedException" | "AccessDenied" => {
            problem(Code::PermissionMissing, format!("The call {action} is not allowed on `{name}`."))
                .help(format!("Allow {action} on the repository."))
        }
        "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException" => {
            problem(Code::CredentialsMissing, "ECR rejected the AWS credentials.".into())
        }
        _ => {
            let failed = problem(Code::ProviderError, format!("The call {action} failed for `{name}`."));
            network::explain(error, failed)
        }
    }
}

#[cfg(test)]
#[path = "ecr_tests.rs"]
mod tests;

//! Amazon ECR as a [`Registry`]: effects, one function a call. Facts of the API: GetAuthorizationToken gives
//! base64 of `AWS:password` for twelve hours; PutImage keeps the bytes and so the digest.

use std::rc::Rc;

use async_trait::async_trait;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::types::{Image, ImageDetail, ImageFailureCode, ImageIdentifier};
use base64::Engine as _;
use jiff::Timestamp;

use super::distribution::Distribution;
use super::metadata;
use super::registry::{Found, Login, Registry, host_of, is_loopback};
use super::web::Web;
use crate::problem::{Code, Problem};
use crate::release::{Digest, ImageRef};

/// Hides a secret from everything that is written after.
pub type Mask = Rc<dyn Fn(&str)>;

/// The registry of an environment, and its host as it stands in image references. Where ECR's endpoint is a
/// registry on this machine, that one is asked itself what it has; the login stays ECR's. Without `web` (in a
/// rehearsal) everything is asked of ECR's API. `mask` gets every password before its first use.
pub async fn registry(
    config: &aws_config::SdkConfig,
    web: Option<Web>,
    mask: Mask,
) -> Result<(Rc<dyn Registry>, String), Problem> {
    let ecr = Rc::new(Ecr { mask: Some(mask), ..Ecr::new(config, web.clone()) });
    let host = ecr.login().await?.server;
    match web {
        Some(web) if is_loopback(&host) => Ok((Rc::new(Distribution::new(ecr, web)), host)),
        _ => Ok((ecr, host)),
    }
}

/// The registry of one account and region.
pub struct Ecr {
    client: Client,
    web: Option<Web>,
    mask: Option<Mask>,
}

impl Ecr {
    /// With `web`, the platform of an image without an index is looked up in its configuration, which ECR keeps
    /// behind an address of its own; without, it stays unknown.
    pub fn new(config: &aws_config::SdkConfig, web: Option<Web>) -> Self {
        Self { client: Client::new(config), web, mask: None }
    }

    async fn image(&self, image: &ImageRef) -> Result<Option<Image>, Problem> {
        let id = ImageIdentifier::builder();
        let id = match (&image.digest, &image.tag) {
            (Some(digest), _) => id.image_digest(digest.as_str()),
            (None, Some(tag)) => id.image_tag(tag),
            (None, None) => id.image_tag("latest"),
        };
        let call = self.client.batch_get_image().repository_name(&image.repository).image_ids(id.build());
        let call = metadata::TYPES.iter().fold(call, |call, kind| call.accepted_media_types(*kind));
        let answer = call.set_registry_id(account(&image.registry)).send().await;
        let answer = answer.map_err(|error| explain(&error, "ecr:BatchGetImage", image))?;
        for failure in answer.failures() {
            let known = matches!(failure.failure_code(), Some(ImageFailureCode::ImageNotFound));
            if !known {
                let sentence = format!("ECR cannot give the image `{image}`.");
                let cause = failure.failure_reason().unwrap_or("no reason given");
                return Err(Problem::error(Code::ProviderError, sentence).cause(cause));
            }
        }
        Ok(answer.images().first().cloned())
    }

    /// The platform in the configuration of a single manifest; nothing where it cannot be had.
    async fn platform(&self, image: &ImageRef, manifest: &str) -> Option<String> {
        let (web, configuration) = (self.web.as_ref()?, metadata::configuration(manifest)?);
        let call = self.client.get_download_url_for_layer().repository_name(&image.repository);
        let call = call.layer_digest(configuration.as_str()).set_registry_id(account(&image.registry));
        let url = call.send().await.ok()?.download_url?;
        let text = web.get(&url, &[]).await.ok().filter(|answer| answer.status == 200)?.text();
        metadata::platform_of_configuration(&text)
    }
}

#[async_trait(?Send)]
impl Registry for Ecr {
    async fn login(&self) -> Result<Login, Problem> {
        let answer = self.client.get_authorization_token().send().await;
        let answer = answer.map_err(|error| refused(&error))?;
        let data = answer.authorization_data().first();
        let login = data.and_then(read_token).ok_or_else(|| {
            Problem::error(Code::RegistryLoginFailed, "ECR answered with a login that cannot be read.")
        })?;
        if let Some(mask) = &self.mask {
            login.secrets().iter().for_each(|secret| mask(secret));
        }
        Ok(login)
    }

    async fn find(&self, image: &ImageRef) -> Result<Option<Found>, Problem> {
        let Some(found) = self.image(image).await? else { return Ok(None) };
        let digest = found.image_id().and_then(ImageIdentifier::image_digest).unwrap_or_default();
        let digest: Digest = digest.parse().map_err(|why: String| {
            Problem::error(Code::ProviderError, format!("ECR names no digest for `{image}`.")).cause(why)
        })?;
        let manifest = found.image_manifest().unwrap_or_default();
        let mut platforms = metadata::platforms(manifest);
        if platforms.is_empty() {
            platforms.extend(self.platform(image, manifest).await);
        }
        Ok(Some(Found { digest, platforms }))
    }

    async fn tag(&self, image: &ImageRef, tag: &str) -> Result<(), Problem> {
        let found = self.image(image).await?.ok_or_else(|| {
            Problem::error(Code::ImageMissing, format!("The image `{image}` is not in the repository."))
        })?;
        let call = self.client.put_image().repository_name(&image.repository).image_tag(tag);
        let call = call.set_image_manifest(found.image_manifest).set_registry_id(account(&image.registry));
        let call = call.set_image_manifest_media_type(found.image_manifest_media_type);
        let call = call.set_image_digest(image.digest.as_ref().map(ToString::to_string));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ImageAlreadyExistsException") => Ok(()),
            Err(error) if error.code() == Some("ImageTagAlreadyExistsException") => {
                self.immutable(image, tag, &error).await
            }
            Err(error) => Err(explain(&error, "ecr:PutImage", image)),
        }
    }

    async fn tags(&self, image: &ImageRef) -> Result<Vec<String>, Problem> {
        let Some(digest) = &image.digest else { return Ok(Vec::new()) };
        let id = ImageIdentifier::builder().image_digest(digest.as_str()).build();
        let call = self.client.describe_images().repository_name(&image.repository).image_ids(id);
        match call.set_registry_id(account(&image.registry)).send().await {
            Ok(answer) => {
                Ok(answer.image_details().iter().flat_map(ImageDetail::image_tags).cloned().collect())
            }
            // An image that was deleted has no tags any more.
            Err(error) if error.code() == Some("ImageNotFoundException") => Ok(Vec::new()),
            Err(error) => Err(explain(&error, "ecr:DescribeImages", image)),
        }
    }
}

impl Ecr {
    /// An immutable tag is taken: fine when it is by this image.
    async fn immutable(
        &self,
        image: &ImageRef,
        tag: &str,
        error: &impl ProvideErrorMetadata,
    ) -> Result<(), Problem> {
        let holder = self.find(&image.tagged(tag)).await?.map(|found| found.digest);
        if holder.is_some() && holder == image.digest {
            return Ok(());
        }
        let holder = holder.map_or("another image".to_owned(), |digest| digest.to_string());
        let sentence = format!("The tag `{}` names {holder} and may not be moved.", image.tagged(tag));
        let problem = Problem::error(Code::TagImmutable, sentence);
        Err(match error.message() {
            Some(message) => problem.cause(message),
            None => problem,
        })
    }
}

fn read_token(data: &aws_sdk_ecr::types::AuthorizationData) -> Option<Login> {
    let token = base64::engine::general_purpose::STANDARD.decode(data.authorization_token()?).ok()?;
    let token = String::from_utf8(token).ok()?;
    let (username, password) = token.split_once(':')?;
    Some(Login {
        server: host_of(data.proxy_endpoint()?).0.to_owned(),
        username: username.to_owned(),
        password: password.to_owned(),
        expires: data.expires_at().and_then(|at| Timestamp::from_second(at.secs()).ok()),
    })
}

/// The account in the host of a private ECR registry, since it may be another than ours.
fn account(host: &str) -> Option<String> {
    let (account, rest) = host.split_once('.')?;
    let ecr = rest.starts_with("dkr.ecr.") || rest.starts_with("dkr.ecr-fips.");
    (ecr && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then(|| account.to_owned())
}

/// The region in the host of a private ECR registry; `None` for any other registry. Logins are sent to such a host, so
/// it must be AWS's own and not only look like it.
pub fn region(host: &str) -> Option<&str> {
    account(host)?;
    let parts: Vec<&str> = host.split('.').collect();
    match parts[3..] {
        [region, "amazonaws", "com"] | [region, "amazonaws", "com", "cn"] => Some(region),
        _ => None,
    }
}

fn refused<E>(error: &SdkError<E>) -> Problem
where
    SdkError<E>: ProvideErrorMetadata + std::error::Error,
{
    let problem = Problem::error(Code::RegistryLoginFailed, "ECR gave no login.").cause(cause(error));
    problem.help("The role needs ecr:GetAuthorizationToken on every resource (`*`).")
}

fn explain<E>(error: &SdkError<E>, action: &str, image: &ImageRef) -> Problem
where
    SdkError<E>: ProvideErrorMetadata + std::error::Error,
{
    let name = image.name();
    let problem = |code, sentence| Problem::error(code, sentence).cause(cause(error));
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
            problem(Code::CredentialsMissing, "ECR does not accept the AWS credentials.".into())
        }
        _ => problem(Code::ProviderError, format!("ECR did not answer {action} for `{name}`.")),
    }
}

/// What ECR said, or else why it could not be asked.
fn cause<E>(error: &SdkError<E>) -> String
where
    SdkError<E>: ProvideErrorMetadata + std::error::Error,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => DisplayErrorContext(error).to_string(),
    }
}

#[cfg(test)]
#[path = "ecr_tests.rs"]
mod tests;

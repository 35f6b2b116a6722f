//! Any registry with the distribution specification, as a [`Registry`]: images are read from the registry itself, the login
//! comes from another source (ECR's token, or a fixed one).

use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::metadata;
use super::registry::{
    ImageInfo, LoginSource, Registry, RegistryLogin, api_origin, api_repository, rejection_text,
};
use super::registry_auth::{RegistryAuth, Renewals};
use super::registry_help::{login_help, push_help};
use crate::problem::{Code, Problem, capitalize};
use crate::release::{Digest, ImageRef};
use crate::sys::http::{HttpClient, Method, Request, Response};

/// Timeout of one request.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// A registry behind its own HTTP interface.
pub struct OciRegistry {
    http: HttpClient,
    auth: RegistryAuth,
}

impl OciRegistry {
    /// `login_source` is used for logins only.
    pub fn new(login_source: Rc<dyn LoginSource>, http: HttpClient) -> Self {
        Self { auth: RegistryAuth::new(http.clone(), login_source), http }
    }

    async fn fetch_manifest(&self, image: &ImageRef) -> Result<Option<FetchedManifest>, Problem> {
        let what = match (&image.digest, &image.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, tag) => tag.as_deref().unwrap_or("latest"),
        };
        let response = self
            .send(Method::GET, image, &format!("manifests/{what}"), &metadata::MANIFEST_TYPES.join(","), None)
            .await?;
        match response.status {
            200 => FetchedManifest::from_answer(image, &response).map(Some),
            404 => Ok(None),
            _ => Err(rejected_problem(image, &response)),
        }
    }

    async fn fetch_platform(&self, image: &ImageRef, manifest: &str) -> Option<String> {
        let configuration = metadata::config_digest(manifest)?;
        let response =
            self.send(Method::GET, image, &format!("blobs/{configuration}"), "*/*", None).await.ok()?;
        let response = match response.header("location") {
            // The storage behind a registry has its own authorization in the URL.
            Some(elsewhere) if (300..400).contains(&response.status) => {
                self.http.get(elsewhere, TIMEOUT).await.ok()?
            }
            _ => response,
        };
        metadata::config_platform(&response.text())
    }

    /// One request; it is retried if the registry is busy, and a rejected login is renewed once.
    async fn send(
        &self,
        method: Method,
        image: &ImageRef,
        path: &str,
        accept: &str,
        body: Option<&FetchedManifest>,
    ) -> Result<Response, Problem> {
        let url = format!("{}/v2/{}/{path}", api_origin(&image.registry), api_repository(image));
        let (mut waits, mut renewals) = ([1, 2, 4].into_iter(), Renewals::default());
        loop {
            let request = Request::new(method.clone(), &url).header("accept", accept);
            let mut request = self.auth.authorize(request, &image.repository).await?;
            if let Some(manifest) = body {
                request = request.header("content-type", &manifest.media_type);
                request.body = manifest.text.clone().into_bytes();
            }
            let response = self.http.send(request, TIMEOUT).await;
            match &response {
                Ok(response) if response.status == 401 => {
                    if self.auth.renew(response, image, &mut renewals).await? {
                        continue;
                    }
                }
                Ok(response) if response.status != 429 && response.status < 500 => {}
                Err(error) if error.is_final() => {}
                _ => {
                    if let Some(wait) = waits.next() {
                        tokio::time::sleep(Duration::from_secs(wait)).await;
                        continue;
                    }
                }
            }
            return response.map_err(|error| {
                let sentence = format!("The registry `{}` did not respond.", image.registry);
                error.explain(Problem::error(Code::ProviderError, sentence))
            });
        }
    }
}

/// A manifest as the registry returned it, with the digest of its bytes.
struct FetchedManifest {
    digest: Digest,
    media_type: String,
    text: String,
}

impl FetchedManifest {
    fn from_answer(image: &ImageRef, response: &Response) -> Result<Self, Problem> {
        if !metadata::is_manifest(&response.body) {
            let sentence = format!("The registry returned something else than a manifest for `{image}`.");
            return Err(Problem::error(Code::ProviderError, sentence)
                .help("Check the address of the registry, and what is between it and the runner."));
        }
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&response.body)));
        let other = image.digest.as_ref().map(Digest::as_str).or(response.header("docker-content-digest"));
        if other.is_some_and(|expected| expected != digest) {
            let sentence =
                format!("The content that the registry returned for `{image}` does not match its digest.");
            return Err(Problem::error(Code::DigestMismatch, sentence));
        }
        let digest = digest
            .parse()
            .map_err(|why: String| Problem::error(Code::Internal, "A hash is not a digest.").cause(why))?;
        let kind = response.header("content-type").unwrap_or(metadata::MANIFEST_TYPES[2]).to_owned();
        Ok(Self { digest, media_type: kind, text: response.text() })
    }
}

fn rejected_problem(image: &ImageRef, response: &Response) -> Problem {
    let (name, host) = (image.name(), &image.registry);
    let problem = match response.status {
        401 => {
            let sentence = format!("The registry rejected the login for `{name}`.");
            Problem::error(Code::RegistryLoginFailed, sentence).help(capitalize(&login_help(host)))
        }
        403 => {
            let sentence = format!("The registry does not allow this login to use `{name}`.");
            Problem::error(Code::RegistryLoginFailed, sentence).help(push_help(host))
        }
        404 => Problem::error(Code::ImageMissing, format!("The repository `{name}` does not exist."))
            .help("Create it; Roadstead does not create repositories."),
        429 => {
            let sentence =
                format!("The registry limits requests, and did not respond to those for `{name}` (429).");
            let help =
                format!("Run the job again later, or log in, which has a higher limit: {}", login_help(host));
            Problem::error(Code::ProviderError, sentence).help(help)
        }
        status => {
            Problem::error(Code::ProviderError, format!("The registry responded with {status} for `{name}`."))
        }
    };
    with_rejection(problem, response)
}

fn with_rejection(problem: Problem, response: &Response) -> Problem {
    match rejection_text(&response.body) {
        text if text.is_empty() => problem,
        text => problem.cause(text),
    }
}

#[async_trait(?Send)]
impl LoginSource for OciRegistry {
    async fn login(&self) -> Result<Option<RegistryLogin>, Problem> {
        self.auth.fetch_login().await
    }
}

#[async_trait(?Send)]
impl Registry for OciRegistry {
    async fn find(&self, image: &ImageRef) -> Result<Option<ImageInfo>, Problem> {
        let Some(manifest) = self.fetch_manifest(image).await? else { return Ok(None) };
        let mut platforms = metadata::index_platforms(&manifest.text);
        if platforms.is_empty() {
            platforms.extend(self.fetch_platform(image, &manifest.text).await);
        }
        Ok(Some(ImageInfo { digest: manifest.digest, platforms }))
    }

    async fn tag(&self, image: &ImageRef, tag: &str) -> Result<(), Problem> {
        let manifest = self.fetch_manifest(image).await?.ok_or_else(|| {
            Problem::error(Code::ImageMissing, format!("The image `{image}` is not in the repository."))
        })?;
        let response =
            self.send(Method::PUT, image, &format!("manifests/{tag}"), "*/*", Some(&manifest)).await?;
        if (200..300).contains(&response.status) {
            return Ok(());
        }
        // A registry with immutable tags also rejects the image that has the tag already.
        let holder = self.fetch_manifest(&image.with_tag(tag)).await?.map(|other| other.digest);
        match holder {
            Some(digest) if digest == manifest.digest => Ok(()),
            Some(digest) if response.text().to_ascii_lowercase().contains("immutable") => {
                let sentence = format!("The tag `{}` names {digest} and is immutable.", image.with_tag(tag));
                Err(with_rejection(Problem::error(Code::TagImmutable, sentence), &response))
            }
            _ => Err(rejected_problem(image, &response)),
        }
    }
}

#[cfg(test)]
#[path = "oci_registry_tests.rs"]
mod tests;

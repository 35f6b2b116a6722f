//! One repository of a registry, by the distribution specification: manifests by digest, streamed blobs,
//! mounts. Effects, one function a call; idempotent calls are retried.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

use std::rc::Rc;
use std::time::Duration;

use super::digest_stream::{verify_stream, with_stall_timeout};
use super::ecr;
use super::image_manifest::{Blob, ImageManifest};
use super::metadata;
use super::registry::{LoginSource, api_origin, api_repository, rejection_text};
use super::registry_auth::{RegistryAuth, Renewals};
use super::registry_help::{login_help, push_help};
use crate::problem::{Code, Problem, capitalize};
use crate::release::{Digest, ImageRef};
use crate::sys::http::{HttpClient, Method, OpenResponse, Request, RequestError, Response};

/// Timeout of a response without a blob.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Backoff before a request is retried, in seconds.
const RETRY_DELAYS: [u64; 4] = [1, 2, 4, 8];
/// Maximum redirects for one blob.
const MAX_REDIRECTS: usize = 3;

/// A repository, and its HTTP client.
pub struct RepositoryClient {
    http: HttpClient,
    /// Registry and repository.
    repository: ImageRef,
    auth: RegistryAuth,
}

/// The result of a mount request.
pub enum MountResult {
    /// The blob is mounted.
    Mounted,
    /// It has to be sent, to this URL.
    UploadTo(String),
}

/// Why a blob was not copied.
#[derive(Debug)]
pub enum BlobError {
    /// The same may succeed in a moment; in words.
    Transient(String),
    /// Sending it again does not help.
    Final(Problem),
}

impl From<Problem> for BlobError {
    fn from(problem: Problem) -> Self {
        Self::Final(problem)
    }
}

impl RepositoryClient {
    /// A client of `repository`; `login_source` is used for logins only.
    pub fn new(http: HttpClient, repository: &ImageRef, login_source: Rc<dyn LoginSource>) -> Self {
        Self { auth: RegistryAuth::new(http.clone(), login_source), http, repository: repository.clone() }
    }

    /// Registry and repository.
    pub fn name(&self) -> String {
        self.repository.name()
    }

    /// Whether `other` is in the same registry.
    pub fn same_registry(&self, other: &Self) -> bool {
        self.repository.registry == other.repository.registry
    }

    /// The manifest with this digest; `None` if it does not exist. An error if its content has another digest.
    pub async fn manifest(&self, digest: &Digest) -> Result<Option<ImageManifest>, Problem> {
        let request = self.request(Method::GET, &format!("/manifests/{digest}"));
        let response = self.send(request.header("accept", &metadata::MANIFEST_TYPES.join(","))).await?;
        match response.status {
            200 => self.parse_manifest(digest, &response).map(Some),
            404 => Ok(None),
            _ => Err(self.rejected_problem(&response)),
        }
    }

    fn parse_manifest(&self, digest: &Digest, response: &Response) -> Result<ImageManifest, Problem> {
        let kind = response.header("content-type").unwrap_or(metadata::MANIFEST_TYPES[2]);
        let manifest = ImageManifest::new(kind, &response.body);
        manifest.ok().filter(|manifest| manifest.digest == *digest).ok_or_else(|| {
            let name = self.name();
            let sentence = format!(
                "The content that the registry returned for `{name}@{digest}` does not match its digest."
            );
            Problem::error(Code::DigestMismatch, sentence)
        })
    }

    /// Whether the blob exists.
    pub async fn has_blob(&self, blob: &Blob) -> Result<bool, Problem> {
        let response = self.send(self.request(Method::HEAD, &format!("/blobs/{}", blob.digest))).await?;
        match response.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(self.rejected_problem(&response)),
        }
    }

    /// Requests a mount of the blob from the repository `from` of the same registry.
    pub async fn mount(&self, blob: &Blob, from: &Self) -> Result<MountResult, Problem> {
        let query = format!("?mount={}&from={}", blob.digest, from.repository.repository);
        let response = self.send(self.request(Method::POST, &format!("/blobs/uploads/{query}"))).await?;
        match response.status {
            201 => Ok(MountResult::Mounted),
            202 => self.upload_location(&response).map(MountResult::UploadTo),
            _ => Err(self.rejected_problem(&response)),
        }
    }

    /// The URL for an upload of a blob.
    pub async fn start_upload(&self) -> Result<String, Problem> {
        let response = self.send(self.request(Method::POST, "/blobs/uploads/")).await?;
        if response.status == 202 {
            self.upload_location(&response)
        } else {
            Err(self.rejected_problem(&response))
        }
    }

    fn upload_location(&self, response: &Response) -> Result<String, Problem> {
        let location = response.header("location").unwrap_or_default();
        match location.starts_with('/') {
            true => Ok(format!("{}{location}", self.origin())),
            false if location.contains("://") => Ok(location.to_owned()),
            false => Err(self.no_answer_problem("it returned no URL for the upload".to_owned().into())),
        }
    }

    /// Streams the blob from `from` to the URL `to`.
    pub async fn stream_blob(
        &self,
        blob: &Blob,
        from: &Self,
        to: &str,
        on_progress: impl Fn(u64),
    ) -> Result<(), BlobError> {
        let source = from.open_blob(blob).await?;
        let (body, meter) = verify_stream(source.body, blob);
        let joint = if to.contains('?') { '&' } else { '?' };
        let request = Request::new(Method::PUT, format!("{to}{joint}digest={}", blob.digest))
            .header("content-type", "application/octet-stream")
            .header("content-length", &blob.size.to_string());
        let request = self.with_login(request).await?;
        let sent =
            with_stall_timeout(&meter, on_progress, self.http.send_streaming(request, Some(body))).await;
        if meter.is_corrupt() {
            return Err(digest_mismatch_problem(from, blob).into());
        }
        let response = sent.map_err(|error| self.send_error(error))?;
        match response.status {
            201 => Ok(()),
            401 => Err(self.login_expired(&read_body(response).await).await?),
            status if is_transient(status) => Err(transient_status(status)),
            _ => Err(self.rejected_problem(&read_body(response).await).into()),
        }
    }

    /// A token can expire during a long copy: the same succeeds with a new one.
    async fn login_expired(&self, response: &Response) -> Result<BlobError, Problem> {
        match self.auth.renew(response, &self.repository, &mut Renewals::default()).await? {
            true => Ok(BlobError::Transient("the login has expired".into())),
            false => Ok(self.rejected_problem(response).into()),
        }
    }

    /// The bytes of a blob, wherever the registry stores them. Only the registry itself gets the login.
    async fn open_blob(&self, blob: &Blob) -> Result<OpenResponse, BlobError> {
        let mut request =
            self.with_login(self.request(Method::GET, &format!("/blobs/{}", blob.digest))).await?;
        for _ in 0..=MAX_REDIRECTS {
            let opened = tokio::time::timeout(TIMEOUT, self.http.send_streaming(request, None)).await;
            let late = || Err(format!("no response within {} s", TIMEOUT.as_secs()).into());
            let opened = opened.unwrap_or_else(|_| late()).map_err(|error| self.send_error(error))?;
            let elsewhere = opened.headers.iter().find(|(name, _)| name == "location");
            match (opened.status, elsewhere) {
                (200, _) => return Ok(opened),
                (300..=399, Some((_, url))) if url.starts_with('/') => {
                    let url = format!("{}{url}", self.origin());
                    request = self.with_login(Request::get(url)).await?;
                }
                (300..=399, Some((_, url))) => request = Request::get(url.clone()),
                (401, _) => return Err(self.login_expired(&read_body(opened).await).await?),
                (status, _) if is_transient(status) => return Err(transient_status(status)),
                (404, _) => return Err(self.blob_missing_problem(blob).into()),
                _ => return Err(self.rejected_problem(&read_body(opened).await).into()),
            }
        }
        Err(BlobError::Transient("the registry redirects in a circle".into()))
    }

    /// Writes a manifest under its digest.
    pub async fn put_manifest(&self, manifest: &ImageManifest) -> Result<(), Problem> {
        let mut request = self.request(Method::PUT, &format!("/manifests/{}", manifest.digest));
        request.body = manifest.text.clone().into_bytes();
        let response = self.send(request.header("content-type", &manifest.media_type)).await?;
        if (200..300).contains(&response.status) { Ok(()) } else { Err(self.rejected_problem(&response)) }
    }

    fn origin(&self) -> String {
        api_origin(&self.repository.registry)
    }

    fn request(&self, method: Method, rest: &str) -> Request {
        Request::new(method, format!("{}/v2/{}{rest}", self.origin(), api_repository(&self.repository)))
    }

    /// The request with the login, if it goes to this registry.
    async fn with_login(&self, request: Request) -> Result<Request, Problem> {
        if !request.url.starts_with(&format!("{}/", self.origin())) {
            return Ok(request);
        }
        self.auth.authorize(request, &self.repository.repository).await
    }

    /// One request; it is retried if the registry is busy, and a rejected login is renewed once.
    async fn send(&self, request: Request) -> Result<Response, Problem> {
        let (mut pauses, mut renewals) = (RETRY_DELAYS.into_iter(), Renewals::default());
        loop {
            let signed = self.with_login(request.clone()).await?;
            let response = self.http.send(signed, TIMEOUT).await;
            match &response {
                Ok(response) if response.status == 401 => {
                    if self.auth.renew(response, &self.repository, &mut renewals).await? {
                        continue;
                    }
                }
                Ok(response) if !is_transient(response.status) => {}
                Err(error) if error.is_final() => {}
                _ => {
                    if let Some(pause) = pauses.next() {
                        tokio::time::sleep(Duration::from_secs(pause)).await;
                        continue;
                    }
                }
            }
            return response.map_err(|error| self.no_answer_problem(error));
        }
    }

    fn send_error(&self, error: RequestError) -> BlobError {
        match error {
            RequestError::NotConnected(_) => self.no_answer_problem(error).into(),
            RequestError::NoResponse(why) => BlobError::Transient(why),
        }
    }

    fn no_answer_problem(&self, error: RequestError) -> Problem {
        let sentence = format!("The registry `{}` did not respond.", self.repository.registry);
        let problem = Problem::error(Code::ProviderError, sentence)
            .help("Run the job again. Blobs that arrived are not sent again.");
        error.explain(problem)
    }

    fn blob_missing_problem(&self, blob: &Blob) -> Problem {
        let sentence = format!("The layer {} of the image is no longer in `{}`.", blob.digest, self.name());
        Problem::error(Code::ImageMissing, sentence).help("Check the lifecycle policy of that repository.")
    }

    fn rejected_problem(&self, response: &Response) -> Problem {
        let (name, host) = (self.name(), &self.repository.registry);
        let problem = match response.status {
            401 => Problem::error(
                Code::RegistryLoginFailed,
                format!("The registry rejected the login for `{name}`."),
            )
            .help(capitalize(&login_help(host))),
            403 if ecr::region_of_host(host).is_some() => Problem::error(
                Code::PermissionMissing,
                format!("The role has no permission for this in the repository `{name}`."),
            )
            .help("Allow the actions of a promotion; docs/iam.md lists them for each repository."),
            403 => Problem::error(
                Code::PermissionMissing,
                format!("The registry does not allow this login to use `{name}`."),
            )
            .help(push_help(host)),
            404 => Problem::error(Code::ImageMissing, format!("The repository `{name}` does not exist."))
                .help("Create it; Roadstead does not create repositories."),
            status => Problem::error(
                Code::PushFailed,
                format!("The registry responded with {status} for `{name}`."),
            ),
        };
        match rejection_text(&response.body) {
            text if text.is_empty() => problem,
            text => problem.cause(text),
        }
    }
}

fn transient_status(status: u16) -> BlobError {
    BlobError::Transient(format!("the registry responded with {status}"))
}

/// Statuses after which a retry may help.
fn is_transient(status: u16) -> bool {
    status == 429 || status >= 500
}

fn digest_mismatch_problem(from: &RepositoryClient, blob: &Blob) -> Problem {
    let sentence =
        format!("The content of the layer {} from `{}` does not match its digest.", blob.digest, from.name());
    Problem::error(Code::DigestMismatch, sentence)
        .help("The layer was not stored. Run the job again. If it happens again, build a new image.")
}

/// A response whose body is read for display only, so partially.
async fn read_body(opened: OpenResponse) -> Response {
    use http_body_util::{BodyExt as _, Limited};
    let body = tokio::time::timeout(TIMEOUT, Limited::new(opened.body, 1 << 16).collect()).await;
    let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes().to_vec());
    Response { status: opened.status, headers: opened.headers, body: body.unwrap_or_default() }
}

//! One repository of a registry, by the distribution specification: manifests by digest, blobs that are passed on as they
//! come, mounts. Effects, one function a call; what can be asked twice is.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::inventory::{Blob, Manifest};
use super::metadata;
use super::registry::{Login, Registry, is_loopback};
use super::stream::{checked, while_moving};
use crate::problem::{Code, Problem};
use crate::release::{Digest, ImageRef};
use crate::sys::web::{Answer, Method, Opened, Request, Web};

/// How long an answer without a blob may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pauses before a registry that is busy, or did not answer, is asked again; in seconds.
const PAUSES: [u64; 4] = [1, 2, 4, 8];
/// So often a registry may send its clients elsewhere for one blob.
const REDIRECTS: usize = 3;

/// A repository, and how it is reached.
pub struct Depot {
    web: Web,
    /// Registry and repository.
    place: ImageRef,
    logins: Rc<dyn Registry>,
    known: RefCell<Option<Login>>,
}

/// What came of asking for a blob to be taken over from another repository.
pub enum Mounted {
    /// It is there.
    There,
    /// It has to be sent, to this address.
    Send(String),
}

impl Depot {
    /// The repository of `place`; `logins` is asked for a login and for nothing else.
    pub fn new(web: Web, place: &ImageRef, logins: Rc<dyn Registry>) -> Self {
        Self { web, place: place.clone(), logins, known: RefCell::default() }
    }

    /// Registry and repository.
    pub fn name(&self) -> String {
        self.place.name()
    }

    /// Whether `other` is in the same registry.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.place.registry == other.place.registry
    }

    /// The manifest with this digest; `None` where it is not there. What has another digest is an error.
    pub async fn manifest(&self, digest: &Digest) -> Result<Option<Manifest>, Problem> {
        let request = self.request(Method::GET, &format!("/manifests/{digest}"));
        let answer = self.ask(request.header("accept", &metadata::TYPES.join(","))).await?;
        match answer.status {
            200 => self.read(digest, &answer).map(Some),
            404 => Ok(None),
            _ => Err(self.refused(&answer)),
        }
    }

    fn read(&self, digest: &Digest, answer: &Answer) -> Result<Manifest, Problem> {
        let kind = answer.header("content-type").unwrap_or(metadata::TYPES[2]);
        let manifest = Manifest::new(kind, &answer.body);
        manifest.ok().filter(|manifest| manifest.digest == *digest).ok_or_else(|| {
            let name = self.name();
            let sentence =
                format!("The registry gave other content for `{name}@{digest}` than its digest says.");
            Problem::error(Code::DigestMismatch, sentence)
        })
    }

    /// Whether the blob is there.
    pub async fn has(&self, blob: &Blob) -> Result<bool, Problem> {
        let answer = self.ask(self.request(Method::HEAD, &format!("/blobs/{}", blob.digest))).await?;
        match answer.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Asks for the blob to be taken over from the repository `from` of the same registry.
    pub async fn mount(&self, blob: &Blob, from: &Self) -> Result<Mounted, Problem> {
        let query = format!("?mount={}&from={}", blob.digest, from.place.repository);
        let answer = self.ask(self.request(Method::POST, &format!("/blobs/uploads/{query}"))).await?;
        match answer.status {
            201 => Ok(Mounted::There),
            202 => self.location(&answer).map(Mounted::Send),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Where a blob can be sent.
    pub async fn begin(&self) -> Result<String, Problem> {
        let answer = self.ask(self.request(Method::POST, "/blobs/uploads/")).await?;
        if answer.status == 202 { self.location(&answer) } else { Err(self.refused(&answer)) }
    }

    fn location(&self, answer: &Answer) -> Result<String, Problem> {
        let said = answer.header("location").unwrap_or_default();
        match said.starts_with('/') {
            true => Ok(format!("{}{said}", self.origin())),
            false if said.contains("://") => Ok(said.to_owned()),
            false => Err(self.failed("it names no address for the upload")),
        }
    }

    /// Passes the blob on from `from` to the address `to` without holding it. An error in words may be tried again; a
    /// problem is final.
    pub async fn pass(
        &self,
        blob: &Blob,
        from: &Self,
        to: &str,
        tell: impl Fn(u64),
    ) -> Result<Result<(), String>, Problem> {
        let source = match from.open(blob).await? {
            Ok(opened) => opened,
            Err(why) => return Ok(Err(why)),
        };
        let (body, meter) = checked(source.body, blob);
        let joint = if to.contains('?') { '&' } else { '?' };
        let request = Request::new(Method::PUT, format!("{to}{joint}digest={}", blob.digest))
            .header("content-type", "application/octet-stream")
            .header("content-length", &blob.size.to_string());
        let request = self.signed(request).await?;
        let sent = while_moving(&meter, tell, self.web.open(request, Some(body))).await;
        if meter.is_broken() {
            return Err(broken(from, blob));
        }
        match sent {
            Ok(answer) if answer.status == 201 => Ok(Ok(())),
            Ok(answer) if passing(answer.status) => {
                Ok(Err(format!("the registry answered {}", answer.status)))
            }
            Ok(answer) => Err(self.refused(&whole(answer).await)),
            Err(why) => Ok(Err(why)),
        }
    }

    /// The bytes of a blob, wherever the registry keeps them. The login is shown to the registry alone.
    async fn open(&self, blob: &Blob) -> Result<Result<Opened, String>, Problem> {
        let mut request = self.signed(self.request(Method::GET, &format!("/blobs/{}", blob.digest))).await?;
        for _ in 0..=REDIRECTS {
            let opened = match tokio::time::timeout(PATIENCE, self.web.open(request, None)).await {
                Ok(Ok(opened)) => opened,
                Ok(Err(why)) => return Ok(Err(why)),
                Err(_) => return Ok(Err(format!("no answer in {} s", PATIENCE.as_secs()))),
            };
            let elsewhere = opened.headers.iter().find(|(name, _)| name == "location");
            match (opened.status, elsewhere) {
                (200, _) => return Ok(Ok(opened)),
                (300..=399, Some((_, url))) if url.starts_with('/') => {
                    let url = format!("{}{url}", self.origin());
                    request = self.signed(Request::get(url)).await?;
                }
                (300..=399, Some((_, url))) => request = Request::get(url.clone()),
                (status, _) if passing(status) => return Ok(Err(format!("the registry answered {status}"))),
                (404, _) => return Err(self.lost(blob)),
                _ => return Err(self.refused(&whole(opened).await)),
            }
        }
        Ok(Err("the registry sends its clients round in circles".into()))
    }

    /// Puts a manifest under its digest.
    pub async fn put(&self, manifest: &Manifest) -> Result<(), Problem> {
        let mut request = self.request(Method::PUT, &format!("/manifests/{}", manifest.digest));
        request.body = manifest.text.clone().into_bytes();
        let answer = self.ask(request.header("content-type", &manifest.kind)).await?;
        if (200..300).contains(&answer.status) { Ok(()) } else { Err(self.refused(&answer)) }
    }

    fn origin(&self) -> String {
        let scheme = if is_loopback(&self.place.registry) { "http" } else { "https" };
        format!("{scheme}://{}", self.place.registry)
    }

    fn request(&self, method: Method, rest: &str) -> Request {
        Request::new(method, format!("{}/v2/{}{rest}", self.origin(), self.place.repository))
    }

    /// The request with the login, where it goes to this registry.
    async fn signed(&self, request: Request) -> Result<Request, Problem> {
        if !request.url.starts_with(&format!("{}/", self.origin())) {
            return Ok(request);
        }
        let known = self.known.borrow().clone();
        let login = match known {
            Some(login) => login,
            None => self.logins.login().await?,
        };
        let basic = format!("Basic {}", login.basic());
        self.known.replace(Some(login));
        Ok(request.header("authorization", &basic))
    }

    /// One request; busy registries are asked again, and a refused login is renewed once.
    async fn ask(&self, request: Request) -> Result<Answer, Problem> {
        let (mut pauses, mut renewed) = (PAUSES.into_iter(), false);
        loop {
            let signed = self.signed(request.clone()).await?;
            let answer = self.web.ask(signed, PATIENCE).await;
            match &answer {
                Ok(answer) if answer.status == 401 && !renewed => {
                    renewed = true;
                    self.known.take();
                    continue;
                }
                Ok(answer) if !passing(answer.status) => {}
                _ => {
                    if let Some(pause) = pauses.next() {
                        tokio::time::sleep(Duration::from_secs(pause)).await;
                        continue;
                    }
                }
            }
            return answer.map_err(|why| self.failed(&why));
        }
    }

    fn failed(&self, why: &str) -> Problem {
        let sentence = format!("The registry `{}` did not answer.", self.place.registry);
        Problem::error(Code::ProviderError, sentence)
            .cause(why)
            .help("Run the job again: what arrived already is not sent again.")
    }

    fn lost(&self, blob: &Blob) -> Problem {
        let sentence =
            format!("A layer of the image, {}, is not in `{}` any more.", blob.digest, self.name());
        Problem::error(Code::ImageMissing, sentence).help("Check the lifecycle policy of that repository.")
    }

    fn refused(&self, answer: &Answer) -> Problem {
        let name = self.name();
        let problem = match answer.status {
            401 => Problem::error(
                Code::RegistryLoginFailed,
                format!("The registry refused the login for `{name}`."),
            ),
            403 => Problem::error(
                Code::PermissionMissing,
                format!("The role may not do this in the repository `{name}`."),
            )
            .help("docs/iam.md says which actions a promotion needs, and on which repository."),
            404 => Problem::error(Code::ImageMissing, format!("The repository `{name}` does not exist."))
                .help("Create it; Roadstead does not create repositories."),
            status => {
                Problem::error(Code::PushFailed, format!("The registry answered {status} for `{name}`."))
            }
        };
        problem.cause(String::from_utf8_lossy(&answer.body).chars().take(500).collect::<String>())
    }
}

/// Answers after which asking again may help.
fn passing(status: u16) -> bool {
    status == 429 || status >= 500
}

fn broken(from: &Depot, blob: &Blob) -> Problem {
    let sentence = format!(
        "The layer {} came from `{}` with other content than its digest says.",
        blob.digest,
        from.name()
    );
    Problem::error(Code::DigestMismatch, sentence)
        .help("Nothing of it was kept. Run the job again; if it happens again, build the image anew.")
}

/// An answer whose body is read as far as it is for people.
async fn whole(opened: Opened) -> Answer {
    use http_body_util::{BodyExt as _, Limited};
    let body = tokio::time::timeout(PATIENCE, Limited::new(opened.body, 1 << 16).collect()).await;
    let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes().to_vec());
    Answer { status: opened.status, headers: opened.headers, body: body.unwrap_or_default() }
}

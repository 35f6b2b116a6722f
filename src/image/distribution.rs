//! Any registry that speaks the distribution specification with basic authentication, as a [`Registry`]: what is
//! there is asked of the registry itself, the login comes from somebody else (ECR's token, or a fixed one).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::metadata;
use super::registry::{Found, Login, Registry, is_loopback};
use super::web::{Answer, Web};
use crate::problem::{Code, Problem};
use crate::release::{Digest, ImageRef};

/// A registry behind its own HTTP interface.
pub struct Distribution {
    logins: Rc<dyn Registry>,
    web: Web,
    /// The login in use, kept until the registry refuses it.
    known: RefCell<Option<Login>>,
}

impl Distribution {
    /// `logins` is asked for a login and for nothing else.
    pub fn new(logins: Rc<dyn Registry>, web: Web) -> Self {
        Self { logins, web, known: RefCell::default() }
    }

    async fn manifest(&self, image: &ImageRef) -> Result<Option<Manifest>, Problem> {
        let what = match (&image.digest, &image.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, tag) => tag.as_deref().unwrap_or("latest"),
        };
        let answer =
            self.ask("GET", image, &format!("manifests/{what}"), &metadata::TYPES.join(","), None).await?;
        match answer.status {
            200 => Manifest::read(image, &answer).map(Some),
            404 => Ok(None),
            _ => Err(refused(image, &answer)),
        }
    }

    async fn platform(&self, image: &ImageRef, manifest: &str) -> Option<String> {
        let configuration = metadata::configuration(manifest)?;
        let answer = self.ask("GET", image, &format!("blobs/{configuration}"), "*/*", None).await.ok()?;
        let answer = match answer.header("location") {
            // The store behind a registry has its own authorization in the address.
            Some(elsewhere) if (300..400).contains(&answer.status) => {
                self.web.get(elsewhere, &[]).await.ok()?
            }
            _ => answer,
        };
        metadata::platform_of_configuration(&answer.text())
    }

    /// One request; busy registries are asked again, and a refused login is renewed once.
    async fn ask(
        &self,
        method: &str,
        image: &ImageRef,
        path: &str,
        accept: &str,
        body: Option<&Manifest>,
    ) -> Result<Answer, Problem> {
        let scheme = if is_loopback(&image.registry) { "http" } else { "https" };
        let url = format!("{scheme}://{}/v2/{}/{path}", image.registry, image.repository);
        let (mut waits, mut renewed) = ([1, 2, 4].into_iter(), false);
        loop {
            let known = self.known.borrow().clone();
            let authorization = match known {
                Some(login) => login.basic(),
                None => self.login().await?.basic(),
            };
            let authorization = format!("Basic {authorization}");
            let mut headers = vec![("authorization", authorization.as_str()), ("accept", accept)];
            headers.extend(body.map(|manifest| ("content-type", manifest.kind.as_str())));
            let bytes = body.map(|manifest| manifest.text.clone().into_bytes()).unwrap_or_default();
            let answer = self.web.send(method, &url, &headers, bytes).await;
            match answer.as_ref().map(|answer| answer.status) {
                Ok(401) if !renewed => {
                    renewed = true;
                    self.known.take();
                    continue;
                }
                Ok(status) if status != 429 && status < 500 => {}
                _ => {
                    if let Some(wait) = waits.next() {
                        tokio::time::sleep(Duration::from_secs(wait)).await;
                        continue;
                    }
                }
            }
            return answer.map_err(|cause| {
                let sentence = format!("The registry `{}` did not answer.", image.registry);
                Problem::error(Code::ProviderError, sentence).cause(cause)
            });
        }
    }
}

/// A manifest as the registry gave it, with the digest of its bytes.
struct Manifest {
    digest: Digest,
    kind: String,
    text: String,
}

impl Manifest {
    fn read(image: &ImageRef, answer: &Answer) -> Result<Self, Problem> {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&answer.body)));
        let other = image.digest.as_ref().map(Digest::as_str).or(answer.header("docker-content-digest"));
        if other.is_some_and(|said| said != digest) {
            let sentence = format!("The registry gave other content for `{image}` than its digest says.");
            return Err(Problem::error(Code::DigestMismatch, sentence));
        }
        let digest = digest
            .parse()
            .map_err(|why: String| Problem::error(Code::Internal, "A hash is no digest.").cause(why))?;
        let kind = answer.header("content-type").unwrap_or(metadata::TYPES[2]).to_owned();
        Ok(Self { digest, kind, text: answer.text() })
    }
}

fn refused(image: &ImageRef, answer: &Answer) -> Problem {
    let name = image.name();
    let problem = match answer.status {
        401 | 403 => {
            Problem::error(Code::RegistryLoginFailed, format!("The registry refused the login for `{name}`."))
        }
        status => {
            Problem::error(Code::ProviderError, format!("The registry answered {status} for `{name}`."))
        }
    };
    problem.cause(answer.text().chars().take(500).collect::<String>())
}

#[async_trait(?Send)]
impl Registry for Distribution {
    async fn login(&self) -> Result<Login, Problem> {
        let login = self.logins.login().await?;
        self.known.replace(Some(login.clone()));
        Ok(login)
    }

    async fn find(&self, image: &ImageRef) -> Result<Option<Found>, Problem> {
        let Some(manifest) = self.manifest(image).await? else { return Ok(None) };
        let mut platforms = metadata::platforms(&manifest.text);
        if platforms.is_empty() {
            platforms.extend(self.platform(image, &manifest.text).await);
        }
        Ok(Some(Found { digest: manifest.digest, platforms }))
    }

    async fn tag(&self, image: &ImageRef, tag: &str) -> Result<(), Problem> {
        let manifest = self.manifest(image).await?.ok_or_else(|| {
            Problem::error(Code::ImageMissing, format!("The image `{image}` is not in the repository."))
        })?;
        let answer = self.ask("PUT", image, &format!("manifests/{tag}"), "*/*", Some(&manifest)).await?;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        // A registry with fixed tags refuses also the image that has the tag already.
        let holder = self.manifest(&image.tagged(tag)).await?.map(|other| other.digest);
        match holder {
            Some(digest) if digest == manifest.digest => Ok(()),
            Some(digest) if answer.text().to_ascii_lowercase().contains("immutable") => {
                let sentence =
                    format!("The tag `{}` names {digest} and may not be moved.", image.tagged(tag));
                Err(Problem::error(Code::TagImmutable, sentence).cause(answer.text()))
            }
            _ => Err(refused(image, &answer)),
        }
    }
}

#[cfg(test)]
#[path = "distribution_tests.rs"]
mod tests;

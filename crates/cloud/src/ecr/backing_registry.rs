//! A real registry behind ECR: what it holds is looked up before a call is answered, and what PutImage added is put
//! into it after. Loopback only. What the answers mean is `mod.rs` and `store.rs`, as without a real registry.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, lookup_host};

use super::{image_factory, store};
use crate::input::{list_field, str_field, str_list_field};
use crate::request::ServiceError;
use crate::service::{OutsideWork, WorldChange};
use crate::world::{BackingRegistry, EcrRepository, Image, World};

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// Manifests and configs larger than this are not images of ours.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// A registry on this machine that is silent for so long is down.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(10);

/// `host:port` of the registry, as in image references.
pub fn host(registry: &BackingRegistry) -> &str {
    let endpoint = registry.endpoint.as_str();
    let bare =
        endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://")).unwrap_or(endpoint);
    bare.trim_end_matches('/')
}

/// The registry as an ECR `proxyEndpoint`.
pub fn proxy_endpoint(registry: &BackingRegistry) -> String {
    format!("http://{}", host(registry))
}

/// What must be asked of the real registry before a call can be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryQuery {
    registry: BackingRegistry,
    /// Digests to look for besides the tags, by repository.
    repositories: BTreeMap<String, BTreeSet<String>>,
}

/// What the registry holds, by repository; `pushed_at` is not known and is zero.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RegistryContents(BTreeMap<String, EcrRepository>);

/// Looks up what the real registry holds of a repository, or of all; nothing without a real registry.
pub fn look_up(world: &World, input: &Value, repository: Option<&str>) -> Option<OutsideWork> {
    let query = registry_query(world, input, repository)?;
    Some(Box::pin(async move {
        let found = query.fetch().await?;
        let change: WorldChange = Box::new(move |world, now| found.apply_to(world, now));
        Ok(change)
    }))
}

/// The look-up that an input needs; `None` without a real registry.
pub(super) fn registry_query(
    world: &World,
    input: &Value,
    repository: Option<&str>,
) -> Option<RegistryQuery> {
    let registry = world.backing_registry.clone()?;
    let known = world.repositories().iter().filter(|(name, _)| repository.is_none_or(|only| only == *name));
    let digests = |name: &str, repository: &EcrRepository| {
        let held = repository.images.iter().map(|image| image.digest.clone());
        held.chain(requested_digests(name, input)).filter(|digest| store::is_digest(digest)).collect()
    };
    let repositories = known.map(|(name, repository)| (name.clone(), digests(name, repository))).collect();
    Some(RegistryQuery { registry, repositories })
}

/// Digests that an input names: as image ids, as references of containers, in a manifest to put.
fn requested_digests(name: &str, input: &Value) -> Vec<String> {
    let ids = list_field(input, "imageIds").iter().map(|id| str_field(id, "imageDigest").to_owned());
    let pinned = list_field(input, "containerDefinitions").iter().filter_map(|container| {
        let (before, digest) = str_field(container, "image").split_once('@')?;
        before.ends_with(name).then(|| digest.to_owned())
    });
    let below = store::referenced_digests(str_field(input, "imageManifest")).1;
    ids.chain(pinned).chain(below).chain(str_list_field(input, "layerDigests")).collect()
}

impl RegistryQuery {
    /// Asks the registry. An error says that it did not answer as a registry does.
    pub async fn fetch(&self) -> Result<RegistryContents, ServiceError> {
        let mut found = RegistryContents::default();
        for (name, digests) in &self.repositories {
            found.0.insert(name.clone(), self.fetch_repository(name, digests).await?);
        }
        Ok(found)
    }

    async fn fetch_repository(
        &self,
        name: &str,
        digests: &BTreeSet<String>,
    ) -> Result<EcrRepository, ServiceError> {
        let mut repository = EcrRepository::default();
        for tag in self.fetch_tags(name).await? {
            if let Some(image) = self.fetch_image(name, &tag).await? {
                upsert_image(&mut repository, image).tags.push(tag);
            }
        }
        let mut queue: VecDeque<String> = digests.iter().cloned().collect();
        queue.extend(repository.images.iter().flat_map(|image| store::referenced_digests(&image.manifest).1));
        while let Some(digest) = queue.pop_front() {
            if repository.images.iter().any(|image| image.digest == digest) {
                continue;
            }
            if let Some(image) = self.fetch_image(name, &digest).await? {
                queue.extend(store::referenced_digests(&image.manifest).1);
                upsert_image(&mut repository, image);
            }
        }
        self.fetch_configs(name, &mut repository).await?;
        Ok(repository)
    }

    async fn fetch_tags(&self, name: &str) -> Result<Vec<String>, ServiceError> {
        // A repository that nothing was pushed to is not known to the registry: it has no tags.
        let Some((_, body)) = self.get_text(&format!("{name}/tags/list")).await? else {
            return Ok(Vec::new());
        };
        Ok(str_list_field(&serde_json::from_str(&body).unwrap_or_default(), "tags"))
    }

    async fn fetch_image(&self, name: &str, reference: &str) -> Result<Option<Image>, ServiceError> {
        let got = self.get_text(&format!("{name}/manifests/{reference}")).await?;
        Ok(got.map(|(media_type, manifest)| Image {
            digest: image_factory::sha256_digest(&manifest),
            manifest,
            media_type,
            tags: Vec::new(),
            pushed_at: 0.0,
        }))
    }

    async fn fetch_configs(&self, name: &str, repository: &mut EcrRepository) -> Result<(), ServiceError> {
        let manifests = repository.images.iter().map(|image| serde_json::from_str(&image.manifest));
        let configs: BTreeSet<String> = manifests
            .filter_map(|manifest: Result<Value, _>| {
                Some(str_field(manifest.ok()?.get("config")?, "digest").to_owned())
            })
            .collect();
        for digest in configs {
            if let Some((_, blob)) = self.get_text(&format!("{name}/blobs/{digest}")).await? {
                repository.blobs.insert(digest, blob);
            }
        }
        Ok(())
    }

    /// Media type and text at `/v2/PATH`; `None` when there is nothing.
    async fn get_text(&self, path: &str) -> Result<Option<(String, String)>, ServiceError> {
        let response = send_authenticated(&self.registry, Method::GET, path, "", String::new()).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(registry_error(&self.registry, format!("answered {path} with {status}"))),
        }
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        let body = String::from_utf8(response.into_body().into());
        Ok(Some((
            kind,
            body.map_err(|_| registry_error(&self.registry, format!("answered {path} with no text")))?,
        )))
    }
}

fn upsert_image(repository: &mut EcrRepository, image: Image) -> &mut Image {
    let at = repository.images.iter().position(|known| known.digest == image.digest);
    let at = at.unwrap_or_else(|| {
        repository.images.push(image);
        repository.images.len() - 1
    });
    &mut repository.images[at]
}

impl RegistryContents {
    /// Makes the world's repositories what the registry holds. An image seen for the first time was pushed `now`.
    pub fn apply_to(self, world: &mut World, now: f64) {
        for (name, mut found) in self.0 {
            let known = world.repositories_mut().entry(name).or_default();
            for image in &mut found.images {
                let before = known.images.iter().find(|known| known.digest == image.digest);
                image.pushed_at = before.map_or(now, |known| known.pushed_at);
            }
            found.images.sort_by(|a, b| a.pushed_at.total_cmp(&b.pushed_at));
            known.images = found.images;
            known.blobs = found.blobs;
            known.is_synced = true;
        }
    }
}

/// A manifest for the real registry.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestPush {
    registry: BackingRegistry,
    path: String,
    media_type: String,
    manifest: String,
}

/// Puts the manifest of a PutImage that took effect into the real registry.
pub fn push_manifest(world: &World, input: &Value) -> Option<OutsideWork> {
    let put = manifest_push(world, input)?;
    Some(Box::pin(async move {
        put.send().await?;
        let change: WorldChange = Box::new(|_, _| {});
        Ok(change)
    }))
}

/// The manifest to put into the real registry; `None` when there is none to put.
pub(super) fn manifest_push(world: &World, input: &Value) -> Option<ManifestPush> {
    let registry = world.backing_registry.clone()?;
    let (name, tag) = (str_field(input, "repositoryName"), str_field(input, "imageTag"));
    let digest = image_factory::sha256_digest(str_field(input, "imageManifest"));
    let image = world.repositories().get(name)?.images.iter().find(|image| image.digest == digest)?;
    // Without the tag on it, the call was refused.
    let reference =
        if tag.is_empty() { &image.digest } else { image.tags.iter().find(|known| *known == tag)? };
    Some(ManifestPush {
        registry,
        path: format!("{name}/manifests/{reference}"),
        media_type: image.media_type.clone(),
        manifest: image.manifest.clone(),
    })
}

impl ManifestPush {
    /// Puts it.
    pub async fn send(&self) -> Result<(), ServiceError> {
        let (kind, manifest) = (self.media_type.as_str(), self.manifest.clone());
        let response = send_authenticated(&self.registry, Method::PUT, &self.path, kind, manifest).await?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            status => Err(registry_error(
                &self.registry,
                format!("answered the put of {} with {status}", self.path),
            )),
        }
    }
}

async fn send_authenticated(
    registry: &BackingRegistry,
    method: Method,
    path: &str,
    kind: &str,
    body: String,
) -> Result<Response<Bytes>, ServiceError> {
    let login = STANDARD.encode(format!("{}:{}", registry.username, registry.password));
    let request = Request::builder()
        .method(method)
        .uri(format!("/v2/{path}"))
        .header(header::HOST, host(registry))
        .header(header::AUTHORIZATION, format!("Basic {login}"))
        .header(header::ACCEPT, ACCEPT)
        .header(header::CONTENT_TYPE, kind)
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| registry_error(registry, error))?;
    match tokio::time::timeout(REGISTRY_TIMEOUT, send_to_loopback(registry, request)).await {
        Ok(answered) => answered.map_err(|error| registry_error(registry, error)),
        Err(elapsed) => Err(registry_error(registry, elapsed)),
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn send_to_loopback(
    registry: &BackingRegistry,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, BoxError> {
    let address = lookup_host(host(registry)).await?.find(|address| address.ip().is_loopback());
    let stream = TcpStream::connect(address.ok_or("it is not on a loopback address")?).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await?.to_bytes();
        Ok(Response::from_parts(parts, body))
    };
    // The connection does the work; it ends before the exchange only when it breaks, and then so does the exchange.
    let connection = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answered = exchange => answered,
        () = connection => Err("the connection broke".into()),
    }
}

fn registry_error(registry: &BackingRegistry, why: impl std::fmt::Display) -> ServiceError {
    let message = format!("The registry at {}: {why}", host(registry));
    ServiceError::with_status(500, "ServerException", message)
}

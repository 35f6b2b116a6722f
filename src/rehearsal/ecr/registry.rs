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

use super::{make, store};
use crate::rehearsal::call::{Call, Refusal};
use crate::rehearsal::members::{list, text, texts};
use crate::rehearsal::world::{Image, Registry, Repository, World};

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// Manifests and configs larger than this are not images of ours.
const MOST: usize = 4 * 1024 * 1024;
/// A registry on this machine that is silent for so long is down.
const PATIENCE: Duration = Duration::from_secs(10);

/// `host:port` of the registry, as in image references.
pub fn host(registry: &Registry) -> &str {
    let endpoint = registry.endpoint.as_str();
    let bare =
        endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://")).unwrap_or(endpoint);
    bare.trim_end_matches('/')
}

/// The registry as an ECR `proxyEndpoint`.
pub fn origin(registry: &Registry) -> String {
    format!("http://{}", host(registry))
}

/// What must be asked of the real registry before a call can be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    registry: Registry,
    /// Digests to look for besides the tags, by repository.
    repositories: BTreeMap<String, BTreeSet<String>>,
}

/// What the registry holds, by repository; `pushed_at` is not known and is zero.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found(BTreeMap<String, Repository>);

/// The look-up that `call` needs; `None` without a real registry, and for calls that images do not matter to.
pub fn look(world: &World, call: &Call) -> Option<Look> {
    let registry = world.registry.clone()?;
    let named = match (call.service.as_str(), call.operation.as_str()) {
        ("ecr", "GetAuthorizationToken" | "DescribeRepositories") => return None,
        ("ecr", _) => Some(text(&call.input, "repositoryName")),
        ("ecs", "RegisterTaskDefinition" | "CreateService" | "UpdateService") => None,
        _ => return None,
    };
    let known = world.repositories.iter().filter(|(name, _)| named.is_none_or(|named| named == *name));
    let digests = |name: &str, repository: &Repository| {
        let held = repository.images.iter().map(|image| image.digest.clone());
        held.chain(asked(name, &call.input)).filter(|digest| store::is_digest(digest)).collect()
    };
    let repositories = known.map(|(name, repository)| (name.clone(), digests(name, repository))).collect();
    Some(Look { registry, repositories })
}

/// Digests that an input names: as image ids, as references of containers, in a manifest to put.
fn asked(name: &str, input: &Value) -> Vec<String> {
    let ids = list(input, "imageIds").iter().map(|id| text(id, "imageDigest").to_owned());
    let pinned = list(input, "containerDefinitions").iter().filter_map(|container| {
        let (before, digest) = text(container, "image").split_once('@')?;
        before.ends_with(name).then(|| digest.to_owned())
    });
    let below = store::named(text(input, "imageManifest")).1;
    ids.chain(pinned).chain(below).chain(texts(input, "layerDigests")).collect()
}

impl Look {
    /// Asks the registry. An error says that it did not answer as a registry does.
    pub async fn up(&self) -> Result<Found, Refusal> {
        let mut found = Found::default();
        for (name, digests) in &self.repositories {
            found.0.insert(name.clone(), self.repository(name, digests).await?);
        }
        Ok(found)
    }

    async fn repository(&self, name: &str, digests: &BTreeSet<String>) -> Result<Repository, Refusal> {
        let mut repository = Repository::default();
        for tag in self.tags(name).await? {
            if let Some(image) = self.image(name, &tag).await? {
                add(&mut repository, image).tags.push(tag);
            }
        }
        let mut queue: VecDeque<String> = digests.iter().cloned().collect();
        queue.extend(repository.images.iter().flat_map(|image| store::named(&image.manifest).1));
        while let Some(digest) = queue.pop_front() {
            if repository.images.iter().any(|image| image.digest == digest) {
                continue;
            }
            if let Some(image) = self.image(name, &digest).await? {
                queue.extend(store::named(&image.manifest).1);
                add(&mut repository, image);
            }
        }
        self.configs(name, &mut repository).await?;
        Ok(repository)
    }

    async fn tags(&self, name: &str) -> Result<Vec<String>, Refusal> {
        // A repository that nothing was pushed to is not known to the registry: it has no tags.
        let Some((_, body)) = self.get(&format!("{name}/tags/list")).await? else { return Ok(Vec::new()) };
        Ok(texts(&serde_json::from_str(&body).unwrap_or_default(), "tags"))
    }

    async fn image(&self, name: &str, reference: &str) -> Result<Option<Image>, Refusal> {
        let got = self.get(&format!("{name}/manifests/{reference}")).await?;
        Ok(got.map(|(media_type, manifest)| Image {
            digest: make::digest(&manifest),
            manifest,
            media_type,
            tags: Vec::new(),
            pushed_at: 0.0,
        }))
    }

    async fn configs(&self, name: &str, repository: &mut Repository) -> Result<(), Refusal> {
        let manifests = repository.images.iter().map(|image| serde_json::from_str(&image.manifest));
        let configs: BTreeSet<String> = manifests
            .filter_map(|manifest: Result<Value, _>| {
                Some(text(manifest.ok()?.get("config")?, "digest").to_owned())
            })
            .collect();
        for digest in configs {
            if let Some((_, blob)) = self.get(&format!("{name}/blobs/{digest}")).await? {
                repository.blobs.insert(digest, blob);
            }
        }
        Ok(())
    }

    /// Media type and text at `/v2/PATH`; `None` when there is nothing.
    async fn get(&self, path: &str) -> Result<Option<(String, String)>, Refusal> {
        let response = ask(&self.registry, Method::GET, path, "", String::new()).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(broken(&self.registry, format!("answered {path} with {status}"))),
        }
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        let body = String::from_utf8(response.into_body().into());
        Ok(Some((kind, body.map_err(|_| broken(&self.registry, format!("answered {path} with no text")))?)))
    }
}

fn add(repository: &mut Repository, image: Image) -> &mut Image {
    let at = repository.images.iter().position(|known| known.digest == image.digest);
    let at = at.unwrap_or_else(|| {
        repository.images.push(image);
        repository.images.len() - 1
    });
    &mut repository.images[at]
}

impl Found {
    /// Makes the world's repositories what the registry holds. An image seen for the first time was pushed `now`.
    pub fn settle(self, world: &mut World, now: f64) {
        for (name, mut found) in self.0 {
            let known = world.repositories.entry(name).or_default();
            for image in &mut found.images {
                let before = known.images.iter().find(|known| known.digest == image.digest);
                image.pushed_at = before.map_or(now, |known| known.pushed_at);
            }
            found.images.sort_by(|a, b| a.pushed_at.total_cmp(&b.pushed_at));
            known.images = found.images;
            known.blobs = found.blobs;
            known.looked_up = true;
        }
    }
}

/// A manifest for the real registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    registry: Registry,
    path: String,
    media_type: String,
    manifest: String,
}

/// The manifest to put into the real registry after `call` took effect, whether or not its answer arrives;
/// `None` when there is none to put.
pub fn put(world: &World, call: &Call) -> Option<Put> {
    let registry = world.registry.clone()?;
    if (call.service.as_str(), call.operation.as_str()) != ("ecr", "PutImage") {
        return None;
    }
    let (name, tag) = (text(&call.input, "repositoryName"), text(&call.input, "imageTag"));
    let digest = make::digest(text(&call.input, "imageManifest"));
    let image = world.repositories.get(name)?.images.iter().find(|image| image.digest == digest)?;
    // Without the tag on it, the call was refused.
    let reference =
        if tag.is_empty() { &image.digest } else { image.tags.iter().find(|known| *known == tag)? };
    Some(Put {
        registry,
        path: format!("{name}/manifests/{reference}"),
        media_type: image.media_type.clone(),
        manifest: image.manifest.clone(),
    })
}

impl Put {
    /// Puts it.
    pub async fn store(&self) -> Result<(), Refusal> {
        let (kind, manifest) = (self.media_type.as_str(), self.manifest.clone());
        let response = ask(&self.registry, Method::PUT, &self.path, kind, manifest).await?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            status => Err(broken(&self.registry, format!("answered the put of {} with {status}", self.path))),
        }
    }
}

async fn ask(
    registry: &Registry,
    method: Method,
    path: &str,
    kind: &str,
    body: String,
) -> Result<Response<Bytes>, Refusal> {
    let login = STANDARD.encode(format!("{}:{}", registry.username, registry.password));
    let request = Request::builder()
        .method(method)
        .uri(format!("/v2/{path}"))
        .header(header::HOST, host(registry))
        .header(header::AUTHORIZATION, format!("Basic {login}"))
        .header(header::ACCEPT, ACCEPT)
        .header(header::CONTENT_TYPE, kind)
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| broken(registry, error))?;
    match tokio::time::timeout(PATIENCE, send(registry, request)).await {
        Ok(answered) => answered.map_err(|error| broken(registry, error)),
        Err(elapsed) => Err(broken(registry, elapsed)),
    }
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

async fn send(registry: &Registry, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Fault> {
    let address = lookup_host(host(registry)).await?.find(|address| address.ip().is_loopback());
    let stream = TcpStream::connect(address.ok_or("it is not on a loopback address")?).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MOST).collect().await?.to_bytes();
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

fn broken(registry: &Registry, why: impl std::fmt::Display) -> Refusal {
    let message = format!("The registry at {}: {why}", host(registry));
    Refusal::of(500, "ServerException", message)
}

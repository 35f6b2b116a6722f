//! ECR: the token, repositories, and images whose digests are the SHA-256 of their manifests.
//! Which call does what is here; `store.rs` looks images up and puts them, `make.rs` makes honest ones,
//! `registry.rs` asks a real registry when one stands behind the cloud; `distribution.rs` is the registry itself, as
//! clients of images speak to it, and `shelves.rs` knows those of other accounts.

pub mod distribution;
pub mod make;
pub mod registry;
mod shelves;
pub mod store;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::call::{Answer, Call, Refusal};
use super::dispatch::not_modelled;
use super::members::{count, list, page, text, texts};
use super::wire::get::LAYER_PATH;
use super::world::{Image, Login, Repository, World};

pub use make::{Made, make_image};

/// An authorization token lives for 12 hours.
const TOKEN_LIFE: f64 = 12.0 * 3600.0;

/// Answers a call to ECR at `now`, epoch seconds.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Answer {
    let caller = shelves::caller(world, call);
    shelves::visiting(world, call, |world| answer_here(world, call, &caller, now))
}

fn answer_here(world: &mut World, call: &Call, caller: &str, now: f64) -> Answer {
    let input = &call.input;
    match call.operation.as_str() {
        "GetAuthorizationToken" => Ok(token(world, caller, now)),
        "DescribeRepositories" => repositories(world, input),
        "DescribeImages" => describe(world, input),
        "BatchGetImage" => store::batch_get(world, input),
        "PutImage" => store::put(world, input, now),
        "BatchCheckLayerAvailability" => layers(world, input),
        "GetDownloadUrlForLayer" => link(world, input),
        "GetLayer" => blob(world, input).map(|blob| json!(blob)),
        _ => Err(not_modelled(call)),
    }
}

/// The repository that an input names.
fn repository<'a>(world: &'a World, input: &Value) -> Result<&'a Repository, Refusal> {
    let name = text(input, "repositoryName");
    world.repositories.get(name).ok_or_else(|| no_repository(world, name))
}

fn no_repository(world: &World, name: &str) -> Refusal {
    Refusal::new(
        "RepositoryNotFoundException",
        format!(
            "The repository with name '{name}' does not exist in the registry with id '{}'",
            world.account
        ),
    )
}

fn token(world: &mut World, caller: &str, now: f64) -> Value {
    let (login, endpoint) = match &world.registry {
        Some(real) => (format!("{}:{}", real.username, real.password), registry::origin(real)),
        // Shaped like AWS's: long, opaque, another one every hour.
        None => {
            let password = STANDARD.encode(make::bytes_from(&format!("{caller} {}", now / 3600.0), 96));
            let login = Login { account: caller.to_owned(), expires: now.floor() + TOKEN_LIFE };
            world.logins.insert(password.clone(), login);
            (format!("AWS:{password}"), format!("https://{}", host(world)))
        }
    };
    json!({ "authorizationData": [{
        "authorizationToken": STANDARD.encode(login), "expiresAt": now.floor() + TOKEN_LIFE, "proxyEndpoint": endpoint,
    }] })
}

/// Host of the registry, as in image references.
pub fn host(world: &World) -> String {
    match &world.registry {
        Some(real) => registry::host(real).to_owned(),
        None => format!("{}.dkr.ecr.{}.amazonaws.com", world.account, world.region),
    }
}

fn repositories(world: &World, input: &Value) -> Answer {
    let wanted = texts(input, "repositoryNames");
    if let Some(missing) = wanted.iter().find(|name| !world.repositories.contains_key(*name)) {
        return Err(no_repository(world, missing));
    }
    let known = world.repositories.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    let found = known.map(|(name, repository)| described(world, name, repository)).collect();
    let (repositories, next) = pages(found, input)?;
    Ok(json!({ "repositories": repositories, "nextToken": next }))
}

fn described(world: &World, name: &str, repository: &Repository) -> Value {
    let created = repository.images.iter().map(|image| image.pushed_at).fold(f64::INFINITY, f64::min);
    json!({
        "repositoryArn": format!("arn:aws:ecr:{}:{}:repository/{name}", world.region, world.account),
        "registryId": world.account,
        "repositoryName": name,
        "repositoryUri": format!("{}/{name}", host(world)),
        "createdAt": if created.is_finite() { created } else { 0.0 },
        "imageTagMutability": if repository.immutable { "IMMUTABLE" } else { "MUTABLE" },
        "imageScanningConfiguration": { "scanOnPush": false },
        "encryptionConfiguration": { "encryptionType": "AES256" },
    })
}

fn pages(found: Vec<Value>, input: &Value) -> Result<(Vec<Value>, Option<String>), Refusal> {
    page(found, count(input, "maxResults").unwrap_or(100), text(input, "nextToken"))
        .ok_or_else(|| Refusal::new("InvalidParameterException", "Invalid parameter at 'nextToken'"))
}

fn describe(world: &World, input: &Value) -> Answer {
    let repository = repository(world, input)?;
    let ids = list(input, "imageIds");
    let found = if ids.is_empty() {
        let tagged = text(input.get("filter").unwrap_or(&Value::Null), "tagStatus");
        let fits = |image: &&Image| match tagged {
            "TAGGED" => !image.tags.is_empty(),
            "UNTAGGED" => image.tags.is_empty(),
            _ => true,
        };
        repository.images.iter().filter(fits).collect()
    } else {
        let find = |id| store::find(repository, id).map_err(|_| no_image(world, input, id));
        let mut found = ids.iter().map(find).collect::<Result<Vec<&Image>, _>>()?;
        // Several names of one image are one image.
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|image| seen.insert(image.digest.as_str()));
        found
    };
    let details = found.into_iter().map(|image| detail(world, input, repository, image)).collect();
    let (details, next) = pages(details, input)?;
    Ok(json!({ "imageDetails": details, "nextToken": next }))
}

fn detail(world: &World, input: &Value, repository: &Repository, image: &Image) -> Value {
    json!({
        "registryId": world.account,
        "repositoryName": text(input, "repositoryName"),
        "imageDigest": image.digest,
        "imageTags": (!image.tags.is_empty()).then_some(&image.tags),
        "imageSizeInBytes": store::size(repository, image),
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.media_type,
        "artifactMediaType": store::artifact(image),
        "imageStatus": "ACTIVE",
    })
}

fn no_image(world: &World, input: &Value, id: &Value) -> Refusal {
    let part = |name: &str| match text(id, name) {
        "" => "null".to_owned(),
        text => format!("'{text}'"),
    };
    Refusal::new(
        "ImageNotFoundException",
        format!(
            "The image with imageId {{imageDigest:{}, imageTag:{}}} does not exist within the repository with name \
             '{}' in the registry with id '{}'",
            part("imageDigest"),
            part("imageTag"),
            text(input, "repositoryName"),
            world.account
        ),
    )
}

fn layers(world: &World, input: &Value) -> Answer {
    let repository = repository(world, input)?;
    let (mut layers, mut failures) = (Vec::new(), Vec::new());
    for digest in texts(input, "layerDigests") {
        if !store::is_digest(&digest) {
            failures.push(json!({
                "layerDigest": digest, "failureCode": "InvalidLayerDigest",
                "failureReason": "Invalid layer digest: it must be sha256: and 64 hexadecimal digits",
            }));
            continue;
        }
        layers.push(match store::layer(repository, &digest) {
            Some((size, media_type)) => json!({
                "layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": size, "mediaType": media_type,
            }),
            None => json!({ "layerDigest": digest, "layerAvailability": "UNAVAILABLE" }),
        });
    }
    Ok(json!({ "layers": layers, "failures": failures }))
}

/// A link for the bytes of a blob. It begins with a path: the wire puts the address before it.
fn link(world: &World, input: &Value) -> Answer {
    blob(world, input)?;
    let (name, digest) = (text(input, "repositoryName"), text(input, "layerDigest"));
    Ok(json!({ "downloadUrl": address(world, name, digest), "layerDigest": digest }))
}

/// Where the bytes of a blob are, as a path with a query.
fn address(world: &World, name: &str, digest: &str) -> String {
    let (account, region) = (&world.account, &world.region);
    format!(
        "{LAYER_PATH}{name}/{digest}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600&owner={account}.{region}"
    )
}

fn blob<'a>(world: &'a World, input: &Value) -> Result<&'a str, Refusal> {
    let (name, digest) = (text(input, "repositoryName"), text(input, "layerDigest"));
    repository(world, input)?.blobs.get(digest).map(String::as_str).ok_or_else(|| {
        Refusal::new(
            "LayersNotFoundException",
            format!(
                "The layer with digest '{digest}' is not available in the repository with name '{name}' in the \
                 registry with id '{}'",
                world.account
            ),
        )
    })
}

#[cfg(test)]
mod distribution_tests;
#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod tests;

//! ECR: the token, repositories, and images whose digests are the SHA-256 of their manifests.
//! Which call does what is here; `store.rs` looks images up and puts them, `image_factory.rs` makes honest ones,
//! `backing_registry.rs` asks a real registry when one stands behind the cloud; `distribution.rs` is the registry itself, as
//! clients of images speak to it, and `registries.rs` knows which registry a call means.

pub mod backing_registry;
pub mod distribution;
pub mod image_factory;
pub mod registries;
pub mod scenario;
mod service;
pub mod store;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::input::{count_field, list_field, paginate, str_field, str_list_field};
use super::request::{ServiceCall, ServiceError, ServiceResult};
use super::service::unsupported_operation;
use super::wire::plain_http::LAYER_PATH;
use super::world::{EcrRepository, Image, RegistryPassword, World};

use registries::RegistryId;

pub use image_factory::{BuiltImage, build_image};
pub use service::{Ecr, seed_default_repository};

/// An authorization token lives for 12 hours.
const TOKEN_LIFETIME: f64 = 12.0 * 3600.0;

/// Answers a call to ECR at `now`, epoch seconds.
fn handle(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let at = &registries::find_registry(world, call)?;
    let input = &call.input;
    match call.operation.as_str() {
        "GetAuthorizationToken" => {
            let caller = registries::caller_account(world, call);
            Ok(issue_token(world, at, &caller, now))
        }
        "DescribeRepositories" => describe_repositories(world, at, input),
        "DescribeImages" => describe_images(world, at, input),
        "BatchGetImage" => store::batch_get_image(world, at, input),
        "PutImage" => store::put_image(world, at, input, now),
        "BatchCheckLayerAvailability" => check_layers(world, at, input),
        "GetDownloadUrlForLayer" => get_download_url(world, at, input),
        "GetLayer" => get_layer(world, at, input).map(|blob| json!(blob)),
        _ => Err(unsupported_operation(call)),
    }
}

/// The repository that an input names.
fn find_repository<'a>(
    world: &'a World,
    at: &RegistryId,
    input: &Value,
) -> Result<&'a EcrRepository, ServiceError> {
    let name = str_field(input, "repositoryName");
    world.repositories_at(at).get(name).ok_or_else(|| repository_not_found(at, name))
}

fn repository_not_found(at: &RegistryId, name: &str) -> ServiceError {
    ServiceError::new(
        "RepositoryNotFoundException",
        format!("The repository with name '{name}' does not exist in the registry with id '{}'", at.account),
    )
}

fn issue_token(world: &mut World, at: &RegistryId, caller: &str, now: f64) -> Value {
    let (login, endpoint) = match &world.backing_registry {
        Some(real) => {
            (format!("{}:{}", real.username, real.password), backing_registry::proxy_endpoint(real))
        }
        // Shaped like AWS's: long, opaque, another one every hour.
        None => {
            let password =
                STANDARD.encode(image_factory::bytes_from(&format!("{caller} {}", now / 3600.0), 96));
            let login =
                RegistryPassword { account: caller.to_owned(), expires: now.floor() + TOKEN_LIFETIME };
            world.logins.insert(password.clone(), login);
            (format!("AWS:{password}"), format!("https://{}", host_of(world, at)))
        }
    };
    json!({ "authorizationData": [{
        "authorizationToken": STANDARD.encode(login), "expiresAt": now.floor() + TOKEN_LIFETIME, "proxyEndpoint": endpoint,
    }] })
}

/// Host of the world's own registry, as in image references.
pub fn registry_host(world: &World) -> String {
    host_of(world, &world.own_registry())
}

fn host_of(world: &World, at: &RegistryId) -> String {
    match &world.backing_registry {
        Some(real) => backing_registry::host(real).to_owned(),
        None => format!("{}.dkr.ecr.{}.amazonaws.com", at.account, at.region),
    }
}

fn describe_repositories(world: &World, at: &RegistryId, input: &Value) -> ServiceResult {
    let wanted = str_list_field(input, "repositoryNames");
    if let Some(missing) = wanted.iter().find(|name| !world.repositories_at(at).contains_key(*name)) {
        return Err(repository_not_found(at, missing));
    }
    let known =
        world.repositories_at(at).iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    let found = known.map(|(name, repository)| repository_response(world, at, name, repository)).collect();
    let (repositories, next) = paginate_results(found, input)?;
    Ok(json!({ "repositories": repositories, "nextToken": next }))
}

fn repository_response(world: &World, at: &RegistryId, name: &str, repository: &EcrRepository) -> Value {
    let created = repository.images.iter().map(|image| image.pushed_at).fold(f64::INFINITY, f64::min);
    json!({
        "repositoryArn": format!("arn:aws:ecr:{}:{}:repository/{name}", at.region, at.account),
        "registryId": at.account,
        "repositoryName": name,
        "repositoryUri": format!("{}/{name}", host_of(world, at)),
        "createdAt": if created.is_finite() { created } else { 0.0 },
        "imageTagMutability": if repository.immutable { "IMMUTABLE" } else { "MUTABLE" },
        "imageScanningConfiguration": { "scanOnPush": false },
        "encryptionConfiguration": { "encryptionType": "AES256" },
    })
}

fn paginate_results(found: Vec<Value>, input: &Value) -> Result<(Vec<Value>, Option<String>), ServiceError> {
    paginate(found, count_field(input, "maxResults").unwrap_or(100), str_field(input, "nextToken"))
        .ok_or_else(|| ServiceError::new("InvalidParameterException", "Invalid parameter at 'nextToken'"))
}

fn describe_images(world: &World, at: &RegistryId, input: &Value) -> ServiceResult {
    let repository = find_repository(world, at, input)?;
    let ids = list_field(input, "imageIds");
    let found = if ids.is_empty() {
        let tagged = str_field(input.get("filter").unwrap_or(&Value::Null), "tagStatus");
        let fits = |image: &&Image| match tagged {
            "TAGGED" => !image.tags.is_empty(),
            "UNTAGGED" => image.tags.is_empty(),
            _ => true,
        };
        repository.images.iter().filter(fits).collect()
    } else {
        let find = |id| store::find_image(repository, id).map_err(|_| image_not_found(at, input, id));
        let mut found = ids.iter().map(find).collect::<Result<Vec<&Image>, _>>()?;
        // Several names of one image are one image.
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|image| seen.insert(image.digest.as_str()));
        found
    };
    let details = found.into_iter().map(|image| image_detail(at, input, repository, image)).collect();
    let (details, next) = paginate_results(details, input)?;
    Ok(json!({ "imageDetails": details, "nextToken": next }))
}

fn image_detail(at: &RegistryId, input: &Value, repository: &EcrRepository, image: &Image) -> Value {
    json!({
        "registryId": at.account,
        "repositoryName": str_field(input, "repositoryName"),
        "imageDigest": image.digest,
        "imageTags": (!image.tags.is_empty()).then_some(&image.tags),
        "imageSizeInBytes": store::image_size(repository, image),
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.media_type,
        "artifactMediaType": store::artifact_media_type(image),
        "imageStatus": "ACTIVE",
    })
}

fn image_not_found(at: &RegistryId, input: &Value, id: &Value) -> ServiceError {
    let part = |name: &str| match str_field(id, name) {
        "" => "null".to_owned(),
        text => format!("'{text}'"),
    };
    ServiceError::new(
        "ImageNotFoundException",
        format!(
            "The image with imageId {{imageDigest:{}, imageTag:{}}} does not exist within the repository with name \
             '{}' in the registry with id '{}'",
            part("imageDigest"),
            part("imageTag"),
            str_field(input, "repositoryName"),
            at.account
        ),
    )
}

fn check_layers(world: &World, at: &RegistryId, input: &Value) -> ServiceResult {
    let repository = find_repository(world, at, input)?;
    let (mut layers, mut failures) = (Vec::new(), Vec::new());
    for digest in str_list_field(input, "layerDigests") {
        if !store::is_digest(&digest) {
            failures.push(json!({
                "layerDigest": digest, "failureCode": "InvalidLayerDigest",
                "failureReason": "Invalid layer digest: it must be sha256: and 64 hexadecimal digits",
            }));
            continue;
        }
        layers.push(match store::find_layer(repository, &digest) {
            Some((size, media_type)) => json!({
                "layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": size, "mediaType": media_type,
            }),
            None => json!({ "layerDigest": digest, "layerAvailability": "UNAVAILABLE" }),
        });
    }
    Ok(json!({ "layers": layers, "failures": failures }))
}

/// A link for the bytes of a blob. It begins with a path: the wire puts the address before it.
fn get_download_url(world: &World, at: &RegistryId, input: &Value) -> ServiceResult {
    get_layer(world, at, input)?;
    let (name, digest) = (str_field(input, "repositoryName"), str_field(input, "layerDigest"));
    Ok(json!({ "downloadUrl": layer_path(at, name, digest), "layerDigest": digest }))
}

/// Where the bytes of a blob are, as a path with a query.
fn layer_path(at: &RegistryId, name: &str, digest: &str) -> String {
    let (account, region) = (&at.account, &at.region);
    format!(
        "{LAYER_PATH}{name}/{digest}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600&owner={account}.{region}"
    )
}

fn get_layer<'a>(world: &'a World, at: &RegistryId, input: &Value) -> Result<&'a str, ServiceError> {
    let (name, digest) = (str_field(input, "repositoryName"), str_field(input, "layerDigest"));
    find_repository(world, at, input)?.blobs.get(digest).map(String::as_str).ok_or_else(|| {
        ServiceError::new(
            "LayersNotFoundException",
            format!(
                "The layer with digest '{digest}' is not available in the repository with name '{name}' in the \
                 registry with id '{}'",
                at.account
            ),
        )
    })
}

#[cfg(test)]
mod backing_registry_tests;
#[cfg(test)]
mod distribution_tests;
#[cfg(test)]
mod tests;

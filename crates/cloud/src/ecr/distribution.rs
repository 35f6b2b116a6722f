//! The registry itself, as clients of images speak to it: manifests, blobs, uploads, mounts; with ECR's passwords, its
//! redirects to where blobs are kept, and its refusals.
//! <https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>

use serde_json::{Value, json};

use super::registries::{self, RegistryId};
use super::{image_factory, layer_path, store};
use crate::input::str_field;
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::service::{ErrorCodes, Service, ServiceProtocol};
use crate::world::{BlobUpload, EcrRepository, World};

/// What the registry calls the errors that every service has.
static ERRORS: ErrorCodes =
    ErrorCodes::AWS_JSON.with_throttled(429, "TOOMANYREQUESTS").with_denied(403, "DENIED");

/// The registry of images itself.
pub struct Registry;

impl Service for Registry {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Own
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        answer_call(world, call, now)
    }

    fn required_actions(&self, call: &ServiceCall) -> Vec<String> {
        vec![ecr_action(&call.operation)]
    }
}

/// What ECR asks for when clients of images speak to the registry itself.
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>
pub(super) fn ecr_action(operation: &str) -> String {
    let action = match operation {
        "GetManifest" => "BatchGetImage",
        "GetBlob" => "GetDownloadUrlForLayer",
        "GetBlobHead" => "BatchCheckLayerAvailability",
        "InitiateBlobUpload" | "MountBlob" => "InitiateLayerUpload",
        "UploadBlobChunk" => "UploadLayerPart",
        "CompleteBlobUpload" => "CompleteLayerUpload",
        "PutManifest" => "PutImage",
        _ => "GetAuthorizationToken",
    };
    format!("ecr:{action}")
}

/// Answers a call to the registry at `now`, epoch seconds: status, headers and body.
fn answer_call(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let key = call.access_key.as_deref().unwrap_or_default();
    if !world.logins.get(key).is_some_and(|login| now < login.expires) {
        let words = if key.is_empty() {
            "Not Authorized"
        } else {
            "Your authorization token has expired. Reauthenticate and try again."
        };
        return Err(ServiceError::with_status(401, "UNAUTHORIZED", words));
    }
    let at = &registries::find_registry(world, call)?;
    let input = &call.input;
    match call.operation.as_str() {
        "GetBase" => Ok(json!({ "status": 200, "body": "{}" })),
        "GetManifest" => get_manifest(find_repository(world, at, input)?, input),
        "PutManifest" => put_manifest(world, at, input, now),
        "GetBlobHead" => head_blob(find_repository(world, at, input)?, str_field(input, "digest")),
        "GetBlob" => get_blob(world, at, input),
        "MountBlob" => mount_blob(world, at, input),
        "InitiateBlobUpload" => start_upload(world, at, input),
        "UploadBlobChunk" => append_chunk(world, input).map(|(id, _)| accepted_response(input, &id)),
        "CompleteBlobUpload" => complete_upload(world, at, input),
        other => Err(ServiceError::with_status(
            501,
            "UNSUPPORTED",
            format!("the embedded registry does not model {other}"),
        )),
    }
}

/// The repository of a call; where it is missing, the error of the registry's API in place of that of ECR's.
fn find_repository<'w>(
    world: &'w World,
    at: &RegistryId,
    input: &Value,
) -> Result<&'w EcrRepository, ServiceError> {
    super::find_repository(world, at, input)
        .map_err(|missing| ServiceError::with_status(404, "NAME_UNKNOWN", missing.message))
}

fn get_manifest(repository: &EcrRepository, input: &Value) -> ServiceResult {
    let reference = str_field(input, "reference");
    let named =
        |tags: &[String], digest: &str| digest == reference || tags.iter().any(|tag| tag == reference);
    let image = repository
        .images
        .iter()
        .find(|image| named(&image.tags, &image.digest))
        .ok_or_else(|| ServiceError::with_status(404, "MANIFEST_UNKNOWN", "Requested image not found"))?;
    Ok(json!({
        "status": 200, "body": image.manifest,
        "headers": { "content-type": image.media_type, "docker-content-digest": image.digest },
    }))
}

fn put_manifest(world: &mut World, at: &RegistryId, input: &Value, now: f64) -> ServiceResult {
    let (name, reference) = (str_field(input, "repositoryName").to_owned(), str_field(input, "reference"));
    find_repository(world, at, input)?;
    let (tag, digest) = if store::is_digest(reference) { ("", reference) } else { (reference, "") };
    let body = str_field(input, "body");
    let put = json!({
        "repositoryName": name, "imageManifest": body, "imageManifestMediaType": str_field(input, "mediaType"),
        "imageTag": tag, "imageDigest": digest,
    });
    match store::put_image(world, at, &put, now) {
        Err(refusal) if refusal.code != "ImageAlreadyExistsException" => Err(to_distribution_error(refusal)),
        _ => {
            let digest = image_factory::sha256_digest(body);
            let location = format!("/v2/{name}/manifests/{digest}");
            Ok(json!({ "status": 201, "headers": { "location": location, "docker-content-digest": digest } }))
        }
    }
}

fn to_distribution_error(refusal: ServiceError) -> ServiceError {
    let (status, code) = match refusal.code.as_str() {
        "LayersNotFoundException" => (400, "MANIFEST_BLOB_UNKNOWN"),
        "ReferencedImagesNotFoundException" => (400, "MANIFEST_UNKNOWN"),
        "ImageTagAlreadyExistsException" => (400, "TAG_INVALID"),
        "ImageDigestDoesNotMatchException" => (400, "DIGEST_INVALID"),
        _ => (400, "MANIFEST_INVALID"),
    };
    ServiceError::with_status(status, code, refusal.message)
}

fn head_blob(repository: &EcrRepository, digest: &str) -> ServiceResult {
    store::find_layer(repository, digest).ok_or_else(blob_unknown)?;
    Ok(json!({ "status": 200, "headers": { "docker-content-digest": digest } }))
}

fn blob_unknown() -> ServiceError {
    ServiceError::with_status(404, "BLOB_UNKNOWN", "blob unknown to registry")
}

/// The bytes are in a store of their own, to which the registry sends its clients.
fn get_blob(world: &World, at: &RegistryId, input: &Value) -> ServiceResult {
    let digest = str_field(input, "digest");
    let blobs = &find_repository(world, at, input)?.blobs;
    blobs.contains_key(digest).then_some(()).ok_or_else(blob_unknown)?;
    let link = layer_path(at, str_field(input, "repositoryName"), digest);
    let location = format!("https://layers.{}.invalid{link}", at.region);
    Ok(json!({ "status": 307, "headers": { "location": location } }))
}

/// Takes the layer over where mounting is on and the other repository has it; else the client has to send it.
fn mount_blob(world: &mut World, at: &RegistryId, input: &Value) -> ServiceResult {
    let (name, digest) = (str_field(input, "repositoryName"), str_field(input, "mount"));
    find_repository(world, at, input)?;
    let other = world.repositories_at(at).get(str_field(input, "from"));
    let bytes = other.and_then(|other| other.blobs.get(digest)).filter(|_| world.blob_mounting).cloned();
    let (Some(bytes), Some(known)) = (bytes, world.repository_mut(at, name)) else {
        return start_upload(world, at, input);
    };
    known.blobs.insert(digest.to_owned(), bytes);
    Ok(created_response(name, digest))
}

fn created_response(name: &str, digest: &str) -> Value {
    let location = format!("/v2/{name}/blobs/{digest}");
    json!({ "status": 201, "headers": { "location": location, "docker-content-digest": digest } })
}

fn start_upload(world: &mut World, at: &RegistryId, input: &Value) -> ServiceResult {
    find_repository(world, at, input)?;
    let repository = str_field(input, "repositoryName").to_owned();
    let id = world.rng.hex_digits(32);
    world.uploads.insert(id.clone(), BlobUpload { repository, text: String::new() });
    Ok(accepted_response(input, &id))
}

fn accepted_response(input: &Value, id: &str) -> Value {
    let location = format!("/v2/{}/blobs/uploads/{id}", str_field(input, "repositoryName"));
    json!({ "status": 202, "headers": { "location": location, "docker-upload-uuid": id } })
}

/// Adds what came to the upload that it belongs to.
fn append_chunk(world: &mut World, input: &Value) -> Result<(String, String), ServiceError> {
    let id = str_field(input, "uploadId").to_owned();
    let known =
        world.uploads.get_mut(&id).filter(|known| known.repository == str_field(input, "repositoryName"));
    let known = known.ok_or_else(|| {
        ServiceError::with_status(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    })?;
    known.text.push_str(str_field(input, "body"));
    Ok((id, known.text.clone()))
}

fn complete_upload(world: &mut World, at: &RegistryId, input: &Value) -> ServiceResult {
    let (id, bytes) = append_chunk(world, input)?;
    let (name, digest) = (str_field(input, "repositoryName"), str_field(input, "digest"));
    world.uploads.remove(&id);
    if image_factory::sha256_digest(&bytes) != digest {
        return Err(ServiceError::with_status(
            400,
            "DIGEST_INVALID",
            "provided digest did not match uploaded content",
        ));
    }
    let known = world.repository_mut(at, name).ok_or_else(blob_unknown)?;
    known.blobs.insert(digest.to_owned(), bytes);
    Ok(created_response(name, digest))
}

//! The registry itself, as clients of images speak to it: manifests, blobs, uploads, mounts; with ECR's passwords, its
//! redirects to where blobs are kept, and its refusals.
//! <https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>

use serde_json::{Value, json};

use super::{address, make, shelves, store};
use crate::rehearsal::call::{Answer, Call, Refusal};
use crate::rehearsal::members::text;
use crate::rehearsal::world::{Repository, Upload, World};

/// Answers a call to the registry at `now`, epoch seconds: status, headers and body.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Answer {
    let key = call.access_key.as_deref().unwrap_or_default();
    if !world.logins.get(key).is_some_and(|login| now < login.expires) {
        let words = if key.is_empty() {
            "Not Authorized"
        } else {
            "Your authorization token has expired. Reauthenticate and try again."
        };
        return Err(Refusal::of(401, "UNAUTHORIZED", words));
    }
    shelves::visiting(world, call, |world| here(world, call, now))
}

fn here(world: &mut World, call: &Call, now: f64) -> Answer {
    let input = &call.input;
    match call.operation.as_str() {
        "GetBase" => Ok(json!({ "status": 200, "body": "{}" })),
        "GetManifest" => manifest(repository(world, input)?, input),
        "PutManifest" => put_manifest(world, input, now),
        "GetBlobHead" => blob_there(repository(world, input)?, text(input, "digest")),
        "GetBlob" => blob(world, input),
        "MountBlob" => mount(world, input),
        "InitiateBlobUpload" => begin(world, input),
        "UploadBlobChunk" => append(world, input).map(|(id, _)| accepted(input, &id)),
        "CompleteBlobUpload" => complete(world, input),
        other => {
            Err(Refusal::of(501, "UNSUPPORTED", format!("the embedded registry does not model {other}")))
        }
    }
}

fn repository<'w>(world: &'w World, input: &Value) -> Result<&'w Repository, Refusal> {
    let name = text(input, "repositoryName");
    world.repositories.get(name).ok_or_else(|| {
        let account = &world.account;
        let words =
            format!("The repository with name '{name}' does not exist in the registry with id '{account}'");
        Refusal::of(404, "NAME_UNKNOWN", words)
    })
}

fn manifest(repository: &Repository, input: &Value) -> Answer {
    let reference = text(input, "reference");
    let named =
        |tags: &[String], digest: &str| digest == reference || tags.iter().any(|tag| tag == reference);
    let image = repository
        .images
        .iter()
        .find(|image| named(&image.tags, &image.digest))
        .ok_or_else(|| Refusal::of(404, "MANIFEST_UNKNOWN", "Requested image not found"))?;
    Ok(json!({
        "status": 200, "body": image.manifest,
        "headers": { "content-type": image.media_type, "docker-content-digest": image.digest },
    }))
}

fn put_manifest(world: &mut World, input: &Value, now: f64) -> Answer {
    let (name, reference) = (text(input, "repositoryName").to_owned(), text(input, "reference"));
    repository(world, input)?;
    let (tag, digest) = if store::is_digest(reference) { ("", reference) } else { (reference, "") };
    let body = text(input, "body");
    let put = json!({
        "repositoryName": name, "imageManifest": body, "imageManifestMediaType": text(input, "mediaType"),
        "imageTag": tag, "imageDigest": digest,
    });
    match store::put(world, &put, now) {
        Err(refusal) if refusal.code != "ImageAlreadyExistsException" => {
            Err(in_words_of_the_registry(refusal))
        }
        _ => {
            let digest = make::digest(body);
            let location = format!("/v2/{name}/manifests/{digest}");
            Ok(json!({ "status": 201, "headers": { "location": location, "docker-content-digest": digest } }))
        }
    }
}

fn in_words_of_the_registry(refusal: Refusal) -> Refusal {
    let (status, code) = match refusal.code.as_str() {
        "LayersNotFoundException" => (400, "MANIFEST_BLOB_UNKNOWN"),
        "ReferencedImagesNotFoundException" => (400, "MANIFEST_UNKNOWN"),
        "ImageTagAlreadyExistsException" => (400, "TAG_INVALID"),
        "ImageDigestDoesNotMatchException" => (400, "DIGEST_INVALID"),
        _ => (400, "MANIFEST_INVALID"),
    };
    Refusal::of(status, code, refusal.message)
}

fn blob_there(repository: &Repository, digest: &str) -> Answer {
    store::layer(repository, digest).ok_or_else(no_blob)?;
    Ok(json!({ "status": 200, "headers": { "docker-content-digest": digest } }))
}

fn no_blob() -> Refusal {
    Refusal::of(404, "BLOB_UNKNOWN", "blob unknown to registry")
}

/// The bytes are in a store of their own, to which the registry sends its clients.
fn blob(world: &World, input: &Value) -> Answer {
    let digest = text(input, "digest");
    let blobs = &repository(world, input)?.blobs;
    blobs.contains_key(digest).then_some(()).ok_or_else(no_blob)?;
    let link = address(world, text(input, "repositoryName"), digest);
    let location = format!("https://layers.{}.invalid{link}", world.region);
    Ok(json!({ "status": 307, "headers": { "location": location } }))
}

/// Takes the layer over where mounting is on and the other repository has it; else the client has to send it.
fn mount(world: &mut World, input: &Value) -> Answer {
    let (name, digest) = (text(input, "repositoryName"), text(input, "mount"));
    repository(world, input)?;
    let other = world.repositories.get(text(input, "from"));
    let bytes = other.and_then(|other| other.blobs.get(digest)).filter(|_| world.blob_mounting).cloned();
    let (Some(bytes), Some(known)) = (bytes, world.repositories.get_mut(name)) else {
        return begin(world, input);
    };
    known.blobs.insert(digest.to_owned(), bytes);
    Ok(made(name, digest))
}

fn made(name: &str, digest: &str) -> Value {
    let location = format!("/v2/{name}/blobs/{digest}");
    json!({ "status": 201, "headers": { "location": location, "docker-content-digest": digest } })
}

fn begin(world: &mut World, input: &Value) -> Answer {
    repository(world, input)?;
    let repository = text(input, "repositoryName").to_owned();
    let id = world.chance.hex(32);
    world.uploads.insert(id.clone(), Upload { repository, text: String::new() });
    Ok(accepted(input, &id))
}

fn accepted(input: &Value, id: &str) -> Value {
    let location = format!("/v2/{}/blobs/uploads/{id}", text(input, "repositoryName"));
    json!({ "status": 202, "headers": { "location": location, "docker-upload-uuid": id } })
}

/// Adds what came to the upload that it belongs to.
fn append(world: &mut World, input: &Value) -> Result<(String, String), Refusal> {
    let id = text(input, "uploadId").to_owned();
    let known = world.uploads.get_mut(&id).filter(|known| known.repository == text(input, "repositoryName"));
    let known =
        known.ok_or_else(|| Refusal::of(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"))?;
    known.text.push_str(text(input, "body"));
    Ok((id, known.text.clone()))
}

fn complete(world: &mut World, input: &Value) -> Answer {
    let (id, bytes) = append(world, input)?;
    let (name, digest) = (text(input, "repositoryName"), text(input, "digest"));
    world.uploads.remove(&id);
    if make::digest(&bytes) != digest {
        return Err(Refusal::of(400, "DIGEST_INVALID", "provided digest did not match uploaded content"));
    }
    let known = world.repositories.get_mut(name).ok_or_else(no_blob)?;
    known.blobs.insert(digest.to_owned(), bytes);
    Ok(made(name, digest))
}

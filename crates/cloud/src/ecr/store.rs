//! Images of a repository: looking one up, reading its manifest, putting one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::image_factory::{BuiltImage, sha256_digest};
use super::registries::RegistryId;
use super::{find_repository, repository_not_found};
use crate::input::{list_field, str_field, str_list_field};
use crate::request::{ServiceError, ServiceResult};
use crate::world::{EcrRepository, Image, World};

/// Whether this is a digest that ECR takes.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|rest| rest.len() == 64 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The image that an `imageId` names; else the failure code of BatchGetImage and its reason.
pub(super) fn find_image<'a>(
    repository: &'a EcrRepository,
    id: &Value,
) -> Result<&'a Image, (&'static str, &'static str)> {
    let missing = ("ImageNotFound", "Requested image not found");
    let (wanted, tag) = (str_field(id, "imageDigest"), str_field(id, "imageTag"));
    let tagged = |image: &&Image| image.tags.iter().any(|known| known == tag);
    match (wanted, tag) {
        ("", "") => {
            Err(("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"))
        }
        ("", _) => repository.images.iter().find(tagged).ok_or(missing),
        _ if !is_digest(wanted) => {
            Err(("InvalidImageDigest", "Invalid request parameters: image digest is invalid"))
        }
        _ => {
            let image = repository.images.iter().find(|image| image.digest == wanted).ok_or(missing)?;
            let agrees = tag.is_empty() || tagged(&image);
            agrees
                .then_some(image)
                .ok_or(("ImageTagDoesNotMatchDigest", "Requested image tag does not match digest"))
        }
    }
}

/// BatchGetImage: manifests, byte for byte. One whose media type is not accepted counts as not found.
pub(super) fn batch_get_image(world: &World, at: &RegistryId, input: &Value) -> ServiceResult {
    let repository = find_repository(world, at, input)?;
    let accepted = str_list_field(input, "acceptedMediaTypes");
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in list_field(input, "imageIds") {
        let found = find_image(repository, id).and_then(|image| {
            let fits = accepted.is_empty() || accepted.contains(&image.media_type);
            fits.then_some(image).ok_or(("ImageNotFound", "Requested image not found"))
        });
        match found {
            Ok(image) => images.push(image_response(at, input, image, str_field(id, "imageTag"))),
            Err((code, reason)) => {
                failures.push(json!({ "imageId": id, "failureCode": code, "failureReason": reason }));
            }
        }
    }
    Ok(json!({ "images": images, "failures": failures }))
}

fn image_response(at: &RegistryId, input: &Value, image: &Image, tag: &str) -> Value {
    json!({
        "registryId": at.account,
        "repositoryName": str_field(input, "repositoryName"),
        "imageId": { "imageDigest": image.digest, "imageTag": (!tag.is_empty()).then_some(tag) },
        "imageManifest": image.manifest,
        "imageManifestMediaType": image.media_type,
    })
}

/// PutImage: a new manifest, or a new tag on a known one.
pub(super) fn put_image(world: &mut World, at: &RegistryId, input: &Value, now: f64) -> ServiceResult {
    let image = parse_image(input, now)?;
    let (name, tag) = (str_field(input, "repositoryName"), str_field(input, "imageTag"));
    let known = find_repository(world, at, input)?;
    check_references(known, &image).map_err(|missing| missing_references_error(at, name, &missing))?;
    check_tag(at, known, name, tag, &image.digest)?;
    let Some(known) = world.repository_mut(at, name) else { return Err(repository_not_found(at, name)) };
    let digest = image.digest.clone();
    known.images.iter_mut().for_each(|image| image.tags.retain(|known| known != tag));
    let place = known.images.iter().position(|known| known.digest == digest).unwrap_or(known.images.len());
    if place == known.images.len() {
        known.images.push(image);
    }
    let image = &mut known.images[place];
    if !tag.is_empty() {
        image.tags.push(tag.to_owned());
    }
    Ok(json!({ "image": image_response(at, input, image, tag) }))
}

fn parse_image(input: &Value, now: f64) -> Result<Image, ServiceError> {
    let invalid = |words: &str| ServiceError::new("InvalidParameterException", words);
    let manifest = str_field(input, "imageManifest");
    let parsed: Value = serde_json::from_str(manifest).map_err(|_| {
        invalid("Invalid parameter at 'imageManifest' failed to satisfy constraint: 'not valid JSON'")
    })?;
    let media_type = [str_field(input, "imageManifestMediaType"), str_field(&parsed, "mediaType")]
        .into_iter()
        .find(|known| !known.is_empty())
        .ok_or_else(|| invalid("The image manifest media type is not specified"))?;
    let digest = sha256_digest(manifest);
    let stated = str_field(input, "imageDigest");
    if !stated.is_empty() && stated != digest {
        let words =
            format!("The image digest '{stated}' does not match the digest '{digest}' of the image manifest");
        return Err(ServiceError::new("ImageDigestDoesNotMatchException", words));
    }
    let media_type = media_type.to_owned();
    Ok(Image { digest, manifest: manifest.to_owned(), media_type, tags: Vec::new(), pushed_at: now })
}

/// Puts a whole image, as `docker push` does: what is there already stays, and the tags move to the new one.
pub fn push_image(repository: &mut EcrRepository, made: BuiltImage, tags: &[String], now: f64) {
    let top = made.digest().to_owned();
    repository.blobs.extend(made.blobs);
    repository.images.iter_mut().for_each(|image| image.tags.retain(|tag| !tags.contains(tag)));
    for image in made.images {
        if !repository.images.iter().any(|known| known.digest == image.digest) {
            repository.images.push(Image { pushed_at: now, ..image });
        }
    }
    if let Some(image) = repository.images.iter_mut().find(|image| image.digest == top) {
        image.tags.extend_from_slice(tags);
    }
}

/// What a manifest names that is not in the repository: layers, or the manifests of an index.
enum MissingReferences {
    Layers(Vec<String>),
    Images(Vec<String>),
}

fn check_references(repository: &EcrRepository, image: &Image) -> Result<(), MissingReferences> {
    let (mut layers, mut images) = referenced_digests(&image.manifest);
    layers.retain(|digest| find_layer(repository, digest).is_none());
    images.retain(|digest| !repository.images.iter().any(|image| image.digest == *digest));
    match (layers.is_empty(), images.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(MissingReferences::Layers(layers)),
        (true, false) => Err(MissingReferences::Images(images)),
    }
}

fn missing_references_error(at: &RegistryId, name: &str, missing: &MissingReferences) -> ServiceError {
    let (code, what, digests) = match missing {
        MissingReferences::Layers(digests) => ("LayersNotFoundException", "Layers", digests),
        MissingReferences::Images(digests) => ("ReferencedImagesNotFoundException", "Images", digests),
    };
    let words = format!(
        "{what} with digests '[{}]' required for pushing image into repository with name '{name}' in the registry \
         with id '{}' do not exist",
        digests.join(", "),
        at.account
    );
    ServiceError::new(code, words)
}

/// A tag that points here already, or to another image where tags may not be moved.
fn check_tag(
    at: &RegistryId,
    repository: &EcrRepository,
    name: &str,
    tag: &str,
    digest: &str,
) -> Result<(), ServiceError> {
    let known = repository.images.iter().any(|image| image.digest == digest);
    let holder = repository.images.iter().find(|image| image.tags.iter().any(|known| known == tag));
    let same = if tag.is_empty() { known } else { holder.is_some_and(|image| image.digest == digest) };
    if same {
        let tagged = if tag.is_empty() { "null".to_owned() } else { format!("'{tag}'") };
        let words = format!(
            "Image with digest '{digest}' and tag {tagged} already exists in the repository with name '{name}' in \
             registry with id '{}'",
            at.account
        );
        return Err(ServiceError::new("ImageAlreadyExistsException", words));
    }
    if holder.is_some() && repository.immutable {
        let words = format!(
            "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the \
             tag is immutable."
        );
        return Err(ServiceError::new("ImageTagAlreadyExistsException", words));
    }
    Ok(())
}

/// Digests that a manifest names: of its config and layers, and of the manifests of an index.
pub(super) fn referenced_digests(manifest: &str) -> (Vec<String>, Vec<String>) {
    let parsed: Value = serde_json::from_str(manifest).unwrap_or_default();
    let images =
        list_field(&parsed, "manifests").iter().map(|entry| str_field(entry, "digest").to_owned()).collect();
    (config_and_layers(&parsed).map(|entry| str_field(entry, "digest").to_owned()).collect(), images)
}

fn config_and_layers(manifest: &Value) -> impl Iterator<Item = &Value> {
    manifest.get("config").into_iter().chain(list_field(manifest, "layers"))
}

/// Size and media type of a layer that is in the repository: as a blob, or as a part of an image that is there.
pub(super) fn find_layer(repository: &EcrRepository, digest: &str) -> Option<(u64, String)> {
    let manifests = repository.images.iter().filter(|image| image.manifest.contains(digest));
    let mut stated = manifests.filter_map(|image| {
        let parsed: Value = serde_json::from_str(&image.manifest).ok()?;
        let entry = config_and_layers(&parsed).find(|entry| str_field(entry, "digest") == digest)?;
        Some((entry.get("size")?.as_u64()?, str_field(entry, "mediaType").to_owned()))
    });
    let blob = || {
        let bytes = repository.blobs.get(digest)?;
        Some((u64::try_from(bytes.len()).ok()?, "application/octet-stream".to_owned()))
    };
    stated.next().or_else(blob)
}

/// Bytes of an image's layers; of an index, those of its largest manifest, as ECR counts.
pub(super) fn image_size(repository: &EcrRepository, image: &Image) -> u64 {
    let parsed: Value = serde_json::from_str(&image.manifest).unwrap_or_default();
    let children: BTreeSet<&str> =
        list_field(&parsed, "manifests").iter().map(|entry| str_field(entry, "digest")).collect();
    let below = repository.images.iter().filter(|known| children.contains(known.digest.as_str()));
    let largest = below.map(|child| manifest_size(&child.manifest)).max();
    largest.unwrap_or_default().max(manifest_size(&image.manifest))
}

fn manifest_size(manifest: &str) -> u64 {
    let parsed: Value = serde_json::from_str(manifest).unwrap_or_default();
    config_and_layers(&parsed).filter_map(|entry| entry.get("size")?.as_u64()).sum()
}

/// Media type of an image's config, which ECR shows as the artifact's; an index has none.
pub(super) fn artifact_media_type(image: &Image) -> Option<String> {
    let parsed: Value = serde_json::from_str(&image.manifest).ok()?;
    Some(str_field(parsed.get("config")?, "mediaType").to_owned())
}

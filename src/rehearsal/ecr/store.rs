//! Images of a repository: looking one up, reading its manifest, putting one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::make::{Made, digest};
use super::{no_repository, repository};
use crate::rehearsal::call::{Answer, Refusal};
use crate::rehearsal::members::{list, text, texts};
use crate::rehearsal::world::{Image, Repository, World};

/// Whether this is a digest that ECR takes.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|rest| rest.len() == 64 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The image that an `imageId` names; else the failure code of BatchGetImage and its reason.
pub(super) fn find<'a>(
    repository: &'a Repository,
    id: &Value,
) -> Result<&'a Image, (&'static str, &'static str)> {
    let missing = ("ImageNotFound", "Requested image not found");
    let (wanted, tag) = (text(id, "imageDigest"), text(id, "imageTag"));
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
pub(super) fn batch_get(world: &World, input: &Value) -> Answer {
    let repository = repository(world, input)?;
    let accepted = texts(input, "acceptedMediaTypes");
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in list(input, "imageIds") {
        let found = find(repository, id).and_then(|image| {
            let fits = accepted.is_empty() || accepted.contains(&image.media_type);
            fits.then_some(image).ok_or(("ImageNotFound", "Requested image not found"))
        });
        match found {
            Ok(image) => images.push(shown(world, input, image, text(id, "imageTag"))),
            Err((code, reason)) => {
                failures.push(json!({ "imageId": id, "failureCode": code, "failureReason": reason }));
            }
        }
    }
    Ok(json!({ "images": images, "failures": failures }))
}

fn shown(world: &World, input: &Value, image: &Image, tag: &str) -> Value {
    json!({
        "registryId": world.account,
        "repositoryName": text(input, "repositoryName"),
        "imageId": { "imageDigest": image.digest, "imageTag": (!tag.is_empty()).then_some(tag) },
        "imageManifest": image.manifest,
        "imageManifestMediaType": image.media_type,
    })
}

/// PutImage: a new manifest, or a new tag on a known one.
pub(super) fn put(world: &mut World, input: &Value, now: f64) -> Answer {
    let image = read(input, now)?;
    let (name, tag) = (text(input, "repositoryName"), text(input, "imageTag"));
    let known = repository(world, input)?;
    complete(known, &image).map_err(|missing| incomplete(world, name, &missing))?;
    clash(world, known, name, tag, &image.digest)?;
    let account = world.account.clone();
    let Some(known) = world.repositories.get_mut(name) else { return Err(no_repository(world, name)) };
    let digest = image.digest.clone();
    known.images.iter_mut().for_each(|image| image.tags.retain(|known| known != tag));
    let at = known.images.iter().position(|known| known.digest == digest).unwrap_or(known.images.len());
    if at == known.images.len() {
        known.images.push(image);
    }
    let image = &mut known.images[at];
    if !tag.is_empty() {
        image.tags.push(tag.to_owned());
    }
    let image = image.clone();
    let world = World { account, ..World::default() };
    Ok(json!({ "image": shown(&world, input, &image, tag) }))
}

fn read(input: &Value, now: f64) -> Result<Image, Refusal> {
    let invalid = |words: &str| Refusal::new("InvalidParameterException", words);
    let manifest = text(input, "imageManifest");
    let parsed: Value = serde_json::from_str(manifest).map_err(|_| {
        invalid("Invalid parameter at 'imageManifest' failed to satisfy constraint: 'not valid JSON'")
    })?;
    let media_type = [text(input, "imageManifestMediaType"), text(&parsed, "mediaType")]
        .into_iter()
        .find(|known| !known.is_empty())
        .ok_or_else(|| invalid("The image manifest media type is not specified"))?;
    let digest = digest(manifest);
    let stated = text(input, "imageDigest");
    if !stated.is_empty() && stated != digest {
        let words =
            format!("The image digest '{stated}' does not match the digest '{digest}' of the image manifest");
        return Err(Refusal::new("ImageDigestDoesNotMatchException", words));
    }
    let media_type = media_type.to_owned();
    Ok(Image { digest, manifest: manifest.to_owned(), media_type, tags: Vec::new(), pushed_at: now })
}

/// Puts a whole image, as `docker push` does: what is there already stays, and the tags move to the new one.
pub fn push(repository: &mut Repository, made: Made, tags: &[String], now: f64) {
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
enum Missing {
    Layers(Vec<String>),
    Images(Vec<String>),
}

fn complete(repository: &Repository, image: &Image) -> Result<(), Missing> {
    let (mut layers, mut images) = named(&image.manifest);
    layers.retain(|digest| layer(repository, digest).is_none());
    images.retain(|digest| !repository.images.iter().any(|image| image.digest == *digest));
    match (layers.is_empty(), images.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(Missing::Layers(layers)),
        (true, false) => Err(Missing::Images(images)),
    }
}

fn incomplete(world: &World, name: &str, missing: &Missing) -> Refusal {
    let (code, what, digests) = match missing {
        Missing::Layers(digests) => ("LayersNotFoundException", "Layers", digests),
        Missing::Images(digests) => ("ReferencedImagesNotFoundException", "Images", digests),
    };
    let words = format!(
        "{what} with digests '[{}]' required for pushing image into repository with name '{name}' in the registry \
         with id '{}' do not exist",
        digests.join(", "),
        world.account
    );
    Refusal::new(code, words)
}

/// A tag that points here already, or to another image where tags may not be moved.
fn clash(world: &World, repository: &Repository, name: &str, tag: &str, digest: &str) -> Result<(), Refusal> {
    let known = repository.images.iter().any(|image| image.digest == digest);
    let holder = repository.images.iter().find(|image| image.tags.iter().any(|known| known == tag));
    let same = if tag.is_empty() { known } else { holder.is_some_and(|image| image.digest == digest) };
    if same {
        let tagged = if tag.is_empty() { "null".to_owned() } else { format!("'{tag}'") };
        let words = format!(
            "Image with digest '{digest}' and tag {tagged} already exists in the repository with name '{name}' in \
             registry with id '{}'",
            world.account
        );
        return Err(Refusal::new("ImageAlreadyExistsException", words));
    }
    if holder.is_some() && repository.immutable {
        let words = format!(
            "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the \
             tag is immutable."
        );
        return Err(Refusal::new("ImageTagAlreadyExistsException", words));
    }
    Ok(())
}

/// Digests that a manifest names: of its config and layers, and of the manifests of an index.
pub(super) fn named(manifest: &str) -> (Vec<String>, Vec<String>) {
    let parsed: Value = serde_json::from_str(manifest).unwrap_or_default();
    let images = list(&parsed, "manifests").iter().map(|entry| text(entry, "digest").to_owned()).collect();
    (descriptors(&parsed).map(|entry| text(entry, "digest").to_owned()).collect(), images)
}

fn descriptors(manifest: &Value) -> impl Iterator<Item = &Value> {
    manifest.get("config").into_iter().chain(list(manifest, "layers"))
}

/// Size and media type of a layer that is in the repository: as a blob, or as a part of an image that is there.
pub(super) fn layer(repository: &Repository, digest: &str) -> Option<(u64, String)> {
    let manifests = repository.images.iter().filter(|image| image.manifest.contains(digest));
    let mut stated = manifests.filter_map(|image| {
        let parsed: Value = serde_json::from_str(&image.manifest).ok()?;
        let entry = descriptors(&parsed).find(|entry| text(entry, "digest") == digest)?;
        Some((entry.get("size")?.as_u64()?, text(entry, "mediaType").to_owned()))
    });
    let blob = || {
        let bytes = repository.blobs.get(digest)?;
        Some((u64::try_from(bytes.len()).ok()?, "application/octet-stream".to_owned()))
    };
    stated.next().or_else(blob)
}

/// Bytes of an image's layers; of an index, those of its largest manifest, as ECR counts.
pub(super) fn size(repository: &Repository, image: &Image) -> u64 {
    let parsed: Value = serde_json::from_str(&image.manifest).unwrap_or_default();
    let children: BTreeSet<&str> =
        list(&parsed, "manifests").iter().map(|entry| text(entry, "digest")).collect();
    let below = repository.images.iter().filter(|known| children.contains(known.digest.as_str()));
    let largest = below.map(|child| own_size(&child.manifest)).max();
    largest.unwrap_or_default().max(own_size(&image.manifest))
}

fn own_size(manifest: &str) -> u64 {
    let parsed: Value = serde_json::from_str(manifest).unwrap_or_default();
    descriptors(&parsed).filter_map(|entry| entry.get("size")?.as_u64()).sum()
}

/// Media type of an image's config, which ECR shows as the artifact's; an index has none.
pub(super) fn artifact(image: &Image) -> Option<String> {
    let parsed: Value = serde_json::from_str(&image.manifest).ok()?;
    Some(text(parsed.get("config")?, "mediaType").to_owned())
}

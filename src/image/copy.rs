//! Copies an image from one repository to another, by digest and byte for byte: existing blobs are not sent, blobs that
//! can be mounted are mounted, and the rest is streamed layer by layer. Nothing is unpacked, and no tag is read.

use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::image_manifest::{Blob, ImageManifest, ReferencedDigests, upload_order};
use super::repository_client::{BlobError, MountResult, RepositoryClient};
use crate::problem::{Code, Problem};
use crate::release::Digest;

/// Maximum concurrent blobs.
const MAX_PARALLEL_BLOBS: usize = 3;
/// Backoff before a blob is sent again, in seconds.
const RETRY_DELAYS: [u64; 3] = [1, 4, 9];
/// More manifests than this are not an image.
const MAX_MANIFESTS: usize = 256;

/// The statistics of a copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopySummary {
    /// Blobs that existed already.
    pub existing: usize,
    /// Blobs that the registry mounted from another of its repositories.
    pub mounted: usize,
    /// Blobs that were sent.
    pub sent: usize,
    /// Their size in bytes.
    pub sent_bytes: u64,
}

/// Receives lines of progress.
pub type OnProgress<'a> = &'a dyn Fn(&str);

/// How one blob was copied.
enum BlobTransfer {
    Existing,
    Mounted,
    Sent(u64),
}

/// Copies the image `digest` from `from` to `to`, and verifies that it is there. `image-missing` if `from` does not
/// have it.
pub async fn copy_image(
    from: &RepositoryClient,
    to: &RepositoryClient,
    digest: &Digest,
    on_progress: OnProgress<'_>,
) -> Result<CopySummary, Problem> {
    let found = missing_manifests(from, to, digest).await?;
    let (blobs, manifests) = upload_order(found);
    let (all, sending) = (blobs.len(), stream::iter(blobs.iter().enumerate()));
    let ways = sending.map(|(at, blob)| async move {
        let on_progress = |words: &str| on_progress(&format!("part {} of {all}: {words}", at + 1));
        copy_blob(from, to, blob, &on_progress).await
    });
    let ways: Vec<BlobTransfer> = ways.buffer_unordered(MAX_PARALLEL_BLOBS).try_collect().await?;
    for manifest in &manifests {
        to.put_manifest(manifest).await?;
    }
    match to.manifest(digest).await? {
        Some(_) => Ok(summarize(&ways)),
        None => {
            let sentence = format!("`{}@{digest}` was sent, but the registry does not have it.", to.name());
            Err(Problem::error(Code::PushFailed, sentence).help("Run the job again."))
        }
    }
}

fn summarize(ways: &[BlobTransfer]) -> CopySummary {
    let mut copied = CopySummary::default();
    for way in ways {
        match way {
            BlobTransfer::Existing => copied.existing += 1,
            BlobTransfer::Mounted => copied.mounted += 1,
            BlobTransfer::Sent(bytes) => {
                copied.sent += 1;
                copied.sent_bytes += bytes;
            }
        }
    }
    copied
}

/// Everything below `digest` that the target does not have, top down. A registry that has a manifest has everything it
/// refers to.
async fn missing_manifests(
    from: &RepositoryClient,
    to: &RepositoryClient,
    digest: &Digest,
) -> Result<Vec<(ImageManifest, ReferencedDigests)>, Problem> {
    let (mut open, mut found) = (vec![digest.clone()], Vec::new());
    while let Some(next) = open.pop() {
        if to.manifest(&next).await?.is_some() {
            continue;
        }
        let manifest = from.manifest(&next).await?.ok_or_else(|| image_missing(from, &next))?;
        let parts = manifest.referenced_digests().map_err(|why| image_unreadable(from, &next, why))?;
        open.extend(parts.children.iter().cloned());
        found.push((manifest, parts));
        if found.len() > MAX_MANIFESTS {
            return Err(image_unreadable(
                from,
                digest,
                format!("it has more than {MAX_MANIFESTS} manifests"),
            ));
        }
    }
    Ok(found)
}

/// The problem of an image that is no longer where it was proven.
pub fn image_missing(from: &RepositoryClient, digest: &Digest) -> Problem {
    let sentence = format!("The image `{}@{digest}` is no longer in the registry.", from.name());
    Problem::error(Code::ImageMissing, sentence)
        .help("Check the lifecycle policy of that repository. Then deploy to its environment again, which builds and proves the image.")
}

fn image_unreadable(from: &RepositoryClient, digest: &Digest, why: String) -> Problem {
    let sentence = format!("The image `{}@{digest}` cannot be copied.", from.name());
    Problem::error(Code::Unsupported, sentence).cause(why)
}

async fn copy_blob(
    from: &RepositoryClient,
    to: &RepositoryClient,
    blob: &Blob,
    on_progress: OnProgress<'_>,
) -> Result<BlobTransfer, Problem> {
    let mut pauses = RETRY_DELAYS.into_iter();
    loop {
        // Also after a failure: the lost response may have been a success.
        if to.has_blob(blob).await? {
            return Ok(BlobTransfer::Existing);
        }
        let address = match to.same_registry(from) {
            true => match to.mount(blob, from).await? {
                MountResult::Mounted => return Ok(BlobTransfer::Mounted),
                MountResult::UploadTo(address) => address,
            },
            false => to.start_upload().await?,
        };
        let progress = |passed: u64| on_progress(&format!("{} of {} MB", passed >> 20, blob.size >> 20));
        match (to.stream_blob(blob, from, &address, progress).await, pauses.next()) {
            (Ok(()), _) => return Ok(BlobTransfer::Sent(blob.size)),
            (Err(BlobError::Final(problem)), _) => return Err(problem),
            (Err(BlobError::Transient(why)), Some(pause)) => {
                on_progress(&format!("{}… failed ({why}), sending it again", blob.digest.short()));
                tokio::time::sleep(Duration::from_secs(pause)).await;
            }
            (Err(BlobError::Transient(why)), None) => return Err(upload_failed(to, blob, why)),
        }
    }
}

fn upload_failed(to: &RepositoryClient, blob: &Blob, why: String) -> Problem {
    let sentence = format!("The layer {} could not be sent to `{}`.", blob.digest, to.name());
    Problem::error(Code::PushFailed, sentence)
        .cause(why)
        .help("Run the job again. Blobs that arrived are not sent again.")
}

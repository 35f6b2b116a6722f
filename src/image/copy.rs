//! An image from one repository into another, by digest and byte for byte: what is there already is not sent, what can be
//! mounted is mounted, and the rest is passed on layer by layer. Nothing is unpacked, and no tag is looked up.

use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::depot::{Depot, Mounted};
use super::inventory::{Blob, Manifest, Parts, bill};
use crate::problem::{Code, Problem};
use crate::release::Digest;

/// Blobs on their way at the same time.
const AT_ONCE: usize = 3;
/// Pauses before a blob is sent again, in seconds.
const PAUSES: [u64; 3] = [1, 4, 9];
/// More manifests than this are no image.
const MOST: usize = 256;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Blobs that were there already.
    pub there: usize,
    /// Blobs that the registry took over from another of its repositories.
    pub mounted: usize,
    /// Blobs that were sent.
    pub sent: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Gets lines of progress.
pub type Tell<'a> = &'a dyn Fn(&str);

/// How one blob arrived.
enum Way {
    There,
    Mounted,
    Sent(u64),
}

/// Copies the image `digest` from `from` to `to`, and looks whether it is there. `image-missing` where `from` has none.
pub async fn copy(from: &Depot, to: &Depot, digest: &Digest, tell: Tell<'_>) -> Result<Copied, Problem> {
    let found = inventory(from, to, digest).await?;
    let (blobs, manifests) = bill(found);
    let (all, sending) = (blobs.len(), stream::iter(blobs.iter().enumerate()));
    let ways = sending.map(|(at, blob)| async move {
        let tell = |words: &str| tell(&format!("part {} of {all}: {words}", at + 1));
        bring(from, to, blob, &tell).await
    });
    let ways: Vec<Way> = ways.buffer_unordered(AT_ONCE).try_collect().await?;
    for manifest in &manifests {
        to.put(manifest).await?;
    }
    match to.manifest(digest).await? {
        Some(_) => Ok(counted(&ways)),
        None => {
            let sentence = format!("`{}@{digest}` was sent, and the registry does not have it.", to.name());
            Err(Problem::error(Code::PushFailed, sentence).help("Run the job again."))
        }
    }
}

fn counted(ways: &[Way]) -> Copied {
    let mut copied = Copied::default();
    for way in ways {
        match way {
            Way::There => copied.there += 1,
            Way::Mounted => copied.mounted += 1,
            Way::Sent(bytes) => {
                copied.sent += 1;
                copied.bytes += bytes;
            }
        }
    }
    copied
}

/// Everything below `digest` that the target has not, from the top downwards. A registry that has a manifest has what it
/// names.
async fn inventory(from: &Depot, to: &Depot, digest: &Digest) -> Result<Vec<(Manifest, Parts)>, Problem> {
    let (mut open, mut found) = (vec![digest.clone()], Vec::new());
    while let Some(next) = open.pop() {
        if to.manifest(&next).await?.is_some() {
            continue;
        }
        let manifest = from.manifest(&next).await?.ok_or_else(|| missing(from, &next))?;
        let parts = manifest.parts().map_err(|why| unreadable(from, &next, why))?;
        open.extend(parts.children.iter().cloned());
        found.push((manifest, parts));
        if found.len() > MOST {
            return Err(unreadable(from, digest, format!("it has more than {MOST} manifests")));
        }
    }
    Ok(found)
}

/// The problem of an image that is not where it was proven.
pub fn missing(from: &Depot, digest: &Digest) -> Problem {
    let sentence = format!("The image `{}@{digest}` is not in the registry any more.", from.name());
    Problem::error(Code::ImageMissing, sentence)
        .help("Check the lifecycle policy of that repository; deploy there again, so that it is built and proven anew.")
}

fn unreadable(from: &Depot, digest: &Digest, why: String) -> Problem {
    let sentence = format!("The image `{}@{digest}` cannot be copied.", from.name());
    Problem::error(Code::Unsupported, sentence).cause(why)
}

async fn bring(from: &Depot, to: &Depot, blob: &Blob, tell: Tell<'_>) -> Result<Way, Problem> {
    let mut pauses = PAUSES.into_iter();
    loop {
        // Also after a failure: an answer that was lost may have been a yes.
        if to.has(blob).await? {
            return Ok(Way::There);
        }
        let address = match to.is_beside(from) {
            true => match to.mount(blob, from).await? {
                Mounted::There => return Ok(Way::Mounted),
                Mounted::Send(address) => address,
            },
            false => to.begin().await?,
        };
        let progress = |passed: u64| tell(&format!("{} of {} MB", passed >> 20, blob.size >> 20));
        match (to.pass(blob, from, &address, progress).await?, pauses.next()) {
            (Ok(()), _) => return Ok(Way::Sent(blob.size)),
            (Err(why), Some(pause)) => {
                tell(&format!("{}… did not arrive ({why}), sending it again", blob.digest.short()));
                tokio::time::sleep(Duration::from_secs(pause)).await;
            }
            (Err(why), None) => return Err(undelivered(to, blob, why)),
        }
    }
}

fn undelivered(to: &Depot, blob: &Blob, why: String) -> Problem {
    let sentence = format!("The layer {} could not be sent to `{}`.", blob.digest, to.name());
    Problem::error(Code::PushFailed, sentence)
        .cause(why)
        .help("Run the job again: what arrived already is not sent again.")
}

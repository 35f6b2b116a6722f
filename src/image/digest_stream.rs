//! A blob streamed from one registry to another: counted and hashed, never held in memory. The last chunk is only
//! passed
//! on if the whole blob has its digest.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use sha2::{Digest as _, Sha256};

use super::image_manifest::Blob;
use crate::sys::http::BodyStream;

/// Interval of progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// A blob without progress for this many intervals has stalled.
const MAX_STALLED_INTERVALS: u32 = 12;

/// The progress of a blob.
#[derive(Debug, Default)]
pub struct TransferProgress {
    passed: AtomicU64,
    corrupt: AtomicBool,
}

impl TransferProgress {
    /// Bytes passed so far.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Whether the content does not match the digest.
    pub fn is_corrupt(&self) -> bool {
        self.corrupt.load(Ordering::Relaxed)
    }
}

/// Why a blob is aborted.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("the blob does not match its digest")]
    DigestMismatch,
    #[error("the blob ended early")]
    UnexpectedEnd,
    #[error("{0}")]
    Source(String),
}

struct DigestReader {
    inner: BodyStream,
    hash: Sha256,
    blob: Blob,
    meter: Arc<TransferProgress>,
}

/// `inner` as the body of an upload, with its counter.
pub fn verify_stream(inner: BodyStream, blob: &Blob) -> (BodyStream, Arc<TransferProgress>) {
    let meter = Arc::new(TransferProgress::default());
    let checked = DigestReader { inner, hash: Sha256::new(), blob: blob.clone(), meter: meter.clone() };
    (BodyStream::from_body_1_x(checked), meter)
}

impl DigestReader {
    fn add_bytes(&mut self, piece: &Bytes) -> Result<(), StreamError> {
        self.hash.update(piece);
        let more = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let passed = self.meter.passed.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        match passed.cmp(&self.blob.size) {
            std::cmp::Ordering::Less => Ok(()),
            std::cmp::Ordering::Equal if self.matches_digest() => Ok(()),
            _ => {
                self.meter.corrupt.store(true, Ordering::Relaxed);
                Err(StreamError::DigestMismatch)
            }
        }
    }

    fn matches_digest(&self) -> bool {
        format!("sha256:{}", hex::encode(self.hash.clone().finalize())) == self.blob.digest.as_str()
    }
}

impl Body for DigestReader {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            let next = match Pin::new(&mut this.inner).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(next) => next,
            };
            return Poll::Ready(match next {
                None if this.meter.passed() < this.blob.size => Some(Err(StreamError::UnexpectedEnd.into())),
                None => None,
                Some(Err(error)) => Some(Err(StreamError::Source(error.to_string()).into())),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => {
                        Some(this.add_bytes(&piece).map(|()| Frame::data(piece)).map_err(Into::into))
                    }
                    // Trailers of the source are dropped.
                    Err(_) => continue,
                },
            });
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.blob.size.saturating_sub(self.meter.passed()))
    }
}

/// Runs `work` as long as there is progress, and reports it. An error if there was no progress for two minutes.
pub async fn with_stall_timeout<T, E: From<String>>(
    meter: &TransferProgress,
    on_progress: impl Fn(u64),
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::pin!(work);
    let (mut seen, mut still) = (0, 0);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(PROGRESS_INTERVAL) => {}
        }
        let passed = meter.passed();
        still = if passed == seen { still + 1 } else { 0 };
        seen = passed;
        if still >= MAX_STALLED_INTERVALS {
            let stalled = (PROGRESS_INTERVAL * MAX_STALLED_INTERVALS).as_secs();
            return Err(format!("no progress for {stalled} s").into());
        }
        on_progress(passed);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::image::image_manifest::sha256_digest;

    fn blob(text: &str) -> Blob {
        Blob { digest: sha256_digest(text.as_bytes()).unwrap(), size: text.len() as u64 }
    }

    async fn pass_through(sent: &str, wanted: &Blob) -> (Result<Bytes, String>, bool) {
        let (body, meter) = verify_stream(BodyStream::from(sent.to_owned()), wanted);
        let got = body.collect().await.map(|all| all.to_bytes()).map_err(|error| error.to_string());
        (got, meter.is_corrupt())
    }

    #[tokio::test]
    async fn only_content_with_the_right_digest_passes() {
        let wanted = blob("a layer");
        assert_eq!(pass_through("a layer", &wanted).await, (Ok("a layer".into()), false));
        assert_eq!(
            pass_through("A layer", &wanted).await,
            (Err("the blob does not match its digest".into()), true)
        );
        assert!(pass_through("a layer, and more", &wanted).await.1);
        assert_eq!(pass_through("a lay", &wanted).await, (Err("the blob ended early".into()), false));
        assert_eq!(pass_through("", &blob("")).await, (Ok(Bytes::new()), false));
    }

    #[tokio::test]
    async fn upload_length_is_known_before_it_is_sent() {
        let (body, _) = verify_stream(BodyStream::from("a layer"), &blob("a layer"));
        assert_eq!(hyper::body::Body::size_hint(&body).exact(), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn stalled_transfer_times_out_and_slow_transfer_does_not() {
        let meter = TransferProgress::default();
        let before = tokio::time::Instant::now();
        let stalled = with_stall_timeout(&meter, |_| (), std::future::pending::<Result<(), String>>()).await;
        assert_eq!((stalled, before.elapsed().as_secs()), (Err("no progress for 120 s".into()), 120));
        let slow = async {
            for _ in 0..300 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                meter.passed.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), String>(())
        };
        let told = std::cell::Cell::new(0);
        assert_eq!(with_stall_timeout(&meter, |passed| told.set(passed), slow).await, Ok(()));
        assert!((280..=300).contains(&told.get()), "{}", told.get());
    }
}

//! A blob on its way from one registry to another: counted and hashed as it passes, never held. The last piece is only let
//! through when the whole is what its digest says.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use sha2::{Digest as _, Sha256};

use super::inventory::Blob;
use crate::sys::web::Stream;

/// How often somebody hears how far a blob is.
const TELL: Duration = Duration::from_secs(10);
/// A blob of which so many times nothing has moved has stalled.
const STALLED: u32 = 12;

/// How far a blob is.
#[derive(Debug, Default)]
pub struct Meter {
    passed: AtomicU64,
    broken: AtomicBool,
}

impl Meter {
    /// Bytes that have passed.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Whether what came is not what the digest says.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

/// Why a blob is cut off.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("the blob is not what its digest says")]
    Broken,
    #[error("the blob ended early")]
    Early,
    #[error("{0}")]
    Source(String),
}

struct Checked {
    inner: Stream,
    hash: Sha256,
    blob: Blob,
    meter: Arc<Meter>,
}

/// `inner` as the body of an upload, and what counts it.
pub fn checked(inner: Stream, blob: &Blob) -> (Stream, Arc<Meter>) {
    let meter = Arc::new(Meter::default());
    let checked = Checked { inner, hash: Sha256::new(), blob: blob.clone(), meter: meter.clone() };
    (Stream::from_body_1_x(checked), meter)
}

impl Checked {
    fn take(&mut self, piece: &Bytes) -> Result<(), Cut> {
        self.hash.update(piece);
        let more = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let passed = self.meter.passed.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        match passed.cmp(&self.blob.size) {
            std::cmp::Ordering::Less => Ok(()),
            std::cmp::Ordering::Equal if self.is_whole() => Ok(()),
            _ => {
                self.meter.broken.store(true, Ordering::Relaxed);
                Err(Cut::Broken)
            }
        }
    }

    fn is_whole(&self) -> bool {
        format!("sha256:{}", hex::encode(self.hash.clone().finalize())) == self.blob.digest.as_str()
    }
}

impl Body for Checked {
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
                None if this.meter.passed() < this.blob.size => Some(Err(Cut::Early.into())),
                None => None,
                Some(Err(error)) => Some(Err(Cut::Source(error.to_string()).into())),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => Some(this.take(&piece).map(|()| Frame::data(piece)).map_err(Into::into)),
                    // Trailers are the source's own business.
                    Err(_) => continue,
                },
            });
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.blob.size.saturating_sub(self.meter.passed()))
    }
}

/// Does `work` as long as something moves, and tells how far it is. An error when nothing has moved for two minutes.
pub async fn while_moving<T>(
    meter: &Meter,
    tell: impl Fn(u64),
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    tokio::pin!(work);
    let (mut seen, mut still) = (0, 0);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(TELL) => {}
        }
        let passed = meter.passed();
        still = if passed == seen { still + 1 } else { 0 };
        seen = passed;
        if still >= STALLED {
            return Err(format!("nothing moved for {} s", (TELL * STALLED).as_secs()));
        }
        tell(passed);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::image::inventory::digest_of;

    fn blob(text: &str) -> Blob {
        Blob { digest: digest_of(text.as_bytes()).unwrap(), size: text.len() as u64 }
    }

    async fn passed(sent: &str, wanted: &Blob) -> (Result<Bytes, String>, bool) {
        let (body, meter) = checked(Stream::from(sent.to_owned()), wanted);
        let got = body.collect().await.map(|all| all.to_bytes()).map_err(|error| error.to_string());
        (got, meter.is_broken())
    }

    #[tokio::test]
    async fn only_what_the_digest_says_passes_whole() {
        let wanted = blob("a layer");
        assert_eq!(passed("a layer", &wanted).await, (Ok("a layer".into()), false));
        assert_eq!(
            passed("A layer", &wanted).await,
            (Err("the blob is not what its digest says".into()), true)
        );
        assert!(passed("a layer, and more", &wanted).await.1);
        assert_eq!(passed("a lay", &wanted).await, (Err("the blob ended early".into()), false));
        assert_eq!(passed("", &blob("")).await, (Ok(Bytes::new()), false));
    }

    #[tokio::test]
    async fn its_length_is_known_before_it_is_sent() {
        let (body, _) = checked(Stream::from("a layer"), &blob("a layer"));
        assert_eq!(hyper::body::Body::size_hint(&body).exact(), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn what_stalls_is_given_up_and_what_moves_is_not() {
        let meter = Meter::default();
        let before = tokio::time::Instant::now();
        let stalled = while_moving(&meter, |_| (), std::future::pending::<Result<(), String>>()).await;
        assert_eq!((stalled, before.elapsed().as_secs()), (Err("nothing moved for 120 s".into()), 120));
        let slow = async {
            for _ in 0..300 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                meter.passed.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let told = std::cell::Cell::new(0);
        assert_eq!(while_moving(&meter, |passed| told.set(passed), slow).await, Ok(()));
        assert!((280..=300).contains(&told.get()), "{}", told.get());
    }
}

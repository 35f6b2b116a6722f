//! SIGINT and SIGTERM. As PID 1 of a container neither has a default action, so both are always handled.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

/// The urgency of a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CancelLevel {
    /// Continue.
    None,
    /// SIGINT: request the rollback, write results, exit within 7 s.
    Cancel,
    /// SIGTERM after it, or SIGINT again: exit now.
    Abandon,
}

/// A repeated SIGINT within this time is the same request: a runner and a container engine may both pass it on.
const REPEAT_WINDOW: Duration = Duration::from_secs(1);

/// The requested shutdown; clones share it, also those of other threads. Raised by signals, or by a test.
#[derive(Debug, Clone)]
pub struct CancelToken {
    send: Arc<watch::Sender<CancelLevel>>,
    receive: watch::Receiver<CancelLevel>,
}

impl Default for CancelToken {
    fn default() -> Self {
        let (send, receive) = watch::channel(CancelLevel::None);
        Self { send: Arc::new(send), receive }
    }
}

impl CancelToken {
    /// A shutdown that the signals of this process raise. Must be called inside a runtime.
    pub fn from_signals() -> std::io::Result<Self> {
        let cancel = Self::default();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let send = cancel.send.clone();
        // A lone SIGTERM is a graceful request too (docker stop); it aborts only after a first signal. So does a second
        // SIGINT, of somebody who does not want to wait.
        let listen = async move {
            let mut first = None;
            loop {
                let is_repeated = tokio::select! {
                    _ = interrupt.recv() => {
                        first.is_some_and(|first: Instant| first.elapsed() >= REPEAT_WINDOW)
                    }
                    _ = terminate.recv() => *send.borrow() == CancelLevel::Cancel,
                };
                first.get_or_insert_with(Instant::now);
                raise_level(&send, if is_repeated { CancelLevel::Abandon } else { CancelLevel::Cancel });
            }
        };
        tokio::spawn(listen);
        Ok(cancel)
    }

    /// Raises the urgency; it never goes down again.
    pub fn set(&self, urgency: CancelLevel) {
        raise_level(&self.send, urgency);
    }

    /// The current urgency.
    pub fn level(&self) -> CancelLevel {
        *self.receive.borrow()
    }

    /// Returns once the urgency is at least `urgency`.
    pub async fn wait_for(&self, urgency: CancelLevel) {
        let mut receive = self.receive.clone();
        if receive.wait_for(|now| *now >= urgency).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn raise_level(send: &watch::Sender<CancelLevel>, urgency: CancelLevel) {
    send.send_modify(|now| *now = (*now).max(urgency));
}

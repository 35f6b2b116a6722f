//! SIGINT and SIGTERM. As PID 1 of a container neither has a default action, so both are always handled.

use std::rc::Rc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How urgently a run should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Go on.
    None,
    /// SIGINT: request the rollback, write results, leave within 7 s.
    Cancel,
    /// SIGTERM: leave now.
    Abandon,
}

/// The wish to end; clones share it. Raised by signals, or by a test.
#[derive(Debug, Clone)]
pub struct Cancel {
    send: Rc<watch::Sender<Urgency>>,
    receive: watch::Receiver<Urgency>,
}

impl Default for Cancel {
    fn default() -> Self {
        let (send, receive) = watch::channel(Urgency::None);
        Self { send: Rc::new(send), receive }
    }
}

impl Cancel {
    /// A wish that the signals of this process raise. Must be called inside a runtime.
    pub fn from_signals() -> std::io::Result<Self> {
        let cancel = Self::default();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let send = cancel.send.clone();
        // SIGTERM alone is a polite request too (docker stop); it abandons only after a first signal.
        let listen = async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => raise(&send, Urgency::Cancel),
                    _ = terminate.recv() => {
                        let again = *send.borrow() == Urgency::Cancel;
                        raise(&send, if again { Urgency::Abandon } else { Urgency::Cancel });
                    }
                }
            }
        };
        tokio::task::spawn_local(listen);
        Ok(cancel)
    }

    /// Raises the wish; it never goes down again.
    pub fn raise(&self, urgency: Urgency) {
        raise(&self.send, urgency);
    }

    /// How urgent it is now.
    pub fn urgency(&self) -> Urgency {
        *self.receive.borrow()
    }

    /// Returns once the wish is at least `urgency`.
    pub async fn reached(&self, urgency: Urgency) {
        let mut receive = self.receive.clone();
        if receive.wait_for(|now| *now >= urgency).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn raise(send: &watch::Sender<Urgency>, urgency: Urgency) {
    send.send_modify(|now| *now = (*now).max(urgency));
}

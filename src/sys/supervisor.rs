//! Runs the work of the process on a thread of its own, while the main thread hears signals and the time. So a signal
//! works whatever blocks: a full pipe, a slow disk, a computation.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::signal::{CancelLevel, CancelToken};
use super::terminal;

/// How long work may take to end after SIGINT; half a second later the runner sends SIGTERM.
const CANCEL_LIMIT: Duration = Duration::from_secs(7);
/// How long it may take after a second signal; the runner kills after 2.5 s.
const ABANDON_LIMIT: Duration = Duration::from_millis(1200);
/// The limit of work that has not named its own yet.
const FIRST_LIMIT: Duration = Duration::from_secs(600);
/// The stack of the work: that of a main thread.
const STACK_BYTES: usize = 16 << 20;
const WORK_THREAD: &str = "run";
/// How long the reader of the output is waited for once the end was requested.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// What the work is given.
#[derive(Debug, Clone)]
pub struct Supervision {
    /// The request to end, which signals raise.
    pub cancel: CancelToken,
    /// Why signals cannot be handled, if they cannot.
    pub signal_error: Option<String>,
    started: Instant,
    limit: Arc<watch::Sender<Instant>>,
}

impl Supervision {
    /// Bounds the time of the work, counted from its start.
    pub fn set_limit(&self, limit: Duration) {
        self.limit.send_replace(self.started + limit);
    }
}

/// How the work ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit code.
    Finished(u8),
    /// A bug ended it, at this place in the source.
    Panicked(String),
    /// It did not respond to a request to end.
    Unresponsive,
    /// Its time was over.
    Overdue,
}

/// Runs `work` on a thread of its own until it ends, or until it has to be left alone; then `conclude` gives the exit
/// code. Output that nobody reads is waited for no longer than `output_limit`. After anything but [`Ending::Finished`]
/// the thread may still exist: the process must end.
pub fn supervise(
    output_limit: Duration,
    work: impl FnOnce(Supervision) -> u8 + Send + 'static,
    conclude: impl FnOnce(Ending) -> u8,
) -> std::io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        let (cancel, signal_error) = match CancelToken::from_signals() {
            Ok(cancel) => (cancel, None),
            Err(error) => (CancelToken::default(), Some(error.to_string())),
        };
        let started = Instant::now();
        let limit = Arc::new(watch::Sender::new(started + FIRST_LIMIT));
        let overdue = limit.subscribe();
        let panicked = report_panics();
        let (done, finished) = oneshot::channel();
        let supervision = Supervision { cancel: cancel.clone(), signal_error, started, limit };
        let run = move || {
            let _ = done.send(work(supervision));
        };
        std::thread::Builder::new().name(WORK_THREAD.into()).stack_size(STACK_BYTES).spawn(run)?;
        let code = conclude(wait_for_ending(finished, panicked, &cancel, overdue).await);
        wait_for_output(&cancel, output_limit).await;
        Ok(code)
    });
    runtime.shutdown_background();
    code
}

/// Waits until the output is written, but not for a reader that is gone: only a moment once the end was requested.
async fn wait_for_output(cancel: &CancelToken, limit: Duration) {
    let written = async {
        while !terminal::is_written() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let requested = async {
        cancel.wait_for(CancelLevel::Cancel).await;
        sleep(OUTPUT_GRACE).await;
    };
    tokio::select! {
        biased;
        () = written => {}
        () = requested => {}
        () = sleep(limit) => {}
    }
}

async fn wait_for_ending(
    finished: oneshot::Receiver<u8>,
    mut panicked: mpsc::UnboundedReceiver<String>,
    cancel: &CancelToken,
    overdue: watch::Receiver<Instant>,
) -> Ending {
    tokio::select! {
        biased;
        Some(place) = panicked.recv() => Ending::Panicked(place),
        Ok(code) = finished => Ending::Finished(code),
        () = has_not_responded(cancel) => Ending::Unresponsive,
        () = has_passed(overdue) => Ending::Overdue,
    }
}

async fn has_not_responded(cancel: &CancelToken) {
    cancel.wait_for(CancelLevel::Cancel).await;
    tokio::select! {
        () = sleep(CANCEL_LIMIT) => {}
        () = async {
            cancel.wait_for(CancelLevel::Abandon).await;
            sleep(ABANDON_LIMIT).await;
        } => {}
    }
}

/// Returns once the limit is over, which can be set again.
async fn has_passed(mut limit: watch::Receiver<Instant>) {
    loop {
        let until = *limit.borrow_and_update();
        tokio::select! {
            () = sleep_until(until) => return,
            changed = limit.changed() => {
                if changed.is_err() {
                    return sleep_until(until).await;
                }
            }
        }
    }
}

/// Receives the place of a panic, instead of its end: the main thread ends the process, and reports it before. The
/// message of a panic is not repeated, because it can quote a secret.
fn report_panics() -> mpsc::UnboundedReceiver<String> {
    let (send, receive) = mpsc::unbounded_channel();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        terminal::stderr_line(&format!("Roadstead stopped because of an error in its program, at {place}."));
        let _ = send.send(place);
        // Unwinding or aborting would end the process before the report.
        while std::thread::current().name() != Some("main") {
            std::thread::park();
        }
    }));
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Watched {
        done: Option<oneshot::Sender<u8>>,
        panics: mpsc::UnboundedSender<String>,
        cancel: CancelToken,
        limit: watch::Sender<Instant>,
    }

    /// The ending of work that `act` happens to, and after how long.
    async fn ending_of(act: impl AsyncFnOnce(&mut Watched)) -> (Ending, Duration) {
        let started = Instant::now();
        let (done, finished) = oneshot::channel();
        let (panics, panicked) = mpsc::unbounded_channel();
        let (limit, overdue) = watch::channel(started + FIRST_LIMIT);
        let cancel = CancelToken::default();
        let mut watched = Watched { done: Some(done), panics, cancel: cancel.clone(), limit };
        let wait = wait_for_ending(finished, panicked, &cancel, overdue);
        let act = async {
            act(&mut watched).await;
            std::future::pending::<()>().await;
        };
        let ending = tokio::select! {
            ending = wait => ending,
            () = act => unreachable!(),
        };
        (ending, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn each_ending_comes_within_its_time() {
        let second = Duration::from_secs(1);
        let done = ending_of(async |work| {
            let _ = work.done.take().unwrap().send(3);
        });
        assert_eq!(done.await, (Ending::Finished(3), Duration::ZERO));
        let panicked = ending_of(async |work| work.panics.send("src/x.rs:1:2".into()).unwrap());
        assert_eq!(panicked.await.0, Ending::Panicked("src/x.rs:1:2".into()));
        let cancelled = ending_of(async |work| work.cancel.set(CancelLevel::Cancel));
        assert_eq!(cancelled.await, (Ending::Unresponsive, CANCEL_LIMIT));
        let abandoned = ending_of(async |work| {
            work.cancel.set(CancelLevel::Cancel);
            sleep(second).await;
            work.cancel.set(CancelLevel::Abandon);
        });
        assert_eq!(abandoned.await, (Ending::Unresponsive, second + ABANDON_LIMIT));
        assert_eq!(ending_of(async |_| ()).await, (Ending::Overdue, FIRST_LIMIT));
        let short = ending_of(async |work| {
            let until = Instant::now() + second;
            work.limit.send_replace(until);
        });
        assert_eq!(short.await, (Ending::Overdue, second));
        let after_limit = ending_of(async |work| {
            work.limit.send_replace(Instant::now() + 2 * FIRST_LIMIT);
            sleep(FIRST_LIMIT + second).await;
            let _ = work.done.take().unwrap().send(0);
        });
        assert_eq!(after_limit.await, (Ending::Finished(0), FIRST_LIMIT + second));
    }
}

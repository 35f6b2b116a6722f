//! Work that can block without an end, such as on a slow disk: on a thread of its own, with a limit of time.

use std::sync::mpsc;
use std::time::Duration;

/// The result of `work`, or `None` if it takes longer than `limit`; the work then continues unobserved.
pub fn run_within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (send, receive) = mpsc::channel();
    let report = move || {
        let _ = send.send(work());
    };
    std::thread::Builder::new().name("blocking".into()).spawn(report).ok()?;
    receive.recv_timeout(limit).ok()
}

/// Waits in real time, also where the runtime's time is virtual: for what happens in other processes.
pub async fn real_sleep(time: Duration) {
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let wait = move || {
        std::thread::sleep(time);
        drop(send);
    };
    if std::thread::Builder::new().name("sleep".into()).spawn(wait).is_ok() {
        let _ = receive.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_end_is_left_alone() {
        assert_eq!(run_within(Duration::from_secs(60), || 1), Some(1));
        let started = std::time::Instant::now();
        let (keep, wait) = mpsc::channel::<()>();
        assert_eq!(run_within(Duration::from_millis(20), move || wait.recv().is_ok()), None);
        assert!(started.elapsed() < Duration::from_secs(30));
        drop(keep);
    }
}

//! Requests that are made beside others, because their answers are needed in any case. The caller keeps the answers.

use std::future::Future;
use std::pin::pin;

use futures::future::{Either, select};

/// Does both at once. An error of `main` ends it: what is asked beside it is not waited for then.
pub(in crate::run) async fn beside<T, E>(
    main: impl Future<Output = Result<T, E>>,
    other: impl Future<Output = ()>,
) -> Result<T, E> {
    match select(pin!(main), pin!(other)).await {
        Either::Left((Ok(done), other)) => {
            other.await;
            Ok(done)
        }
        Either::Left((error, _)) => error,
        Either::Right(((), main)) => main.await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    async fn wait_and(seconds: u64, result: Result<u8, u8>) -> Result<u8, u8> {
        sleep(Duration::from_secs(seconds)).await;
        result
    }

    #[tokio::test(start_paused = true)]
    async fn both_are_waited_for_unless_the_first_fails() {
        for (main, other, result, took) in
            [(2, 5, Ok(1), 5), (5, 2, Ok(1), 5), (2, 5, Err(1), 2), (5, 2, Err(1), 5)]
        {
            let begun = Instant::now();
            let done = beside(wait_and(main, result), sleep(Duration::from_secs(other))).await;
            assert_eq!((done, begun.elapsed().as_secs()), (result, took));
        }
    }
}

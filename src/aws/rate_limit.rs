//! Client-side rate limits for runs of many services: AWS counts requests by account and region, so a run that reads
//! two
//! hundred services at once would be throttled, and would get other users' requests throttled too.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Up to this many services, concurrent requests fit into the burst that AWS allows.
const MAX_UNLIMITED_SERVICES: usize = 15;

/// A queue of requests; clones share it.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    interval: Duration,
    /// The burst after a pause.
    burst: u32,
    next_slot: Rc<Cell<Option<Instant>>>,
}

/// The rate limits of one run, from the request rates of ECS
/// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>).
#[derive(Debug, Clone)]
pub struct RateLimiters {
    /// Reads of any kind: most budgets are refilled with 20 requests a second, and reads are spread over several.
    pub reads: RateLimiter,
    /// Registrations: 20 at once, then one a second.
    pub registrations: RateLimiter,
    /// Changes of services: 50 at once, then 5 a second.
    pub changes: RateLimiter,
}

impl RateLimiters {
    /// Whether a run of this many services needs limits.
    pub fn are_needed(services: usize) -> bool {
        services > MAX_UNLIMITED_SERVICES
    }

    /// For a run of this many services. A few need no limit.
    pub fn for_services(services: usize) -> Self {
        if !Self::are_needed(services) {
            return Self::unlimited();
        }
        Self {
            reads: RateLimiter::new(Duration::from_millis(55), 1),
            registrations: RateLimiter::new(Duration::from_millis(1050), 15),
            changes: RateLimiter::new(Duration::from_millis(250), 30),
        }
    }

    /// No limit.
    pub fn unlimited() -> Self {
        let free = || RateLimiter::new(Duration::ZERO, 1);
        Self { reads: free(), registrations: free(), changes: free() }
    }
}

impl RateLimiter {
    fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst, next_slot: Rc::default() }
    }

    /// Waits until one request may be sent.
    pub async fn acquire(&self) {
        if self.interval.is_zero() {
            return;
        }
        let now = Instant::now();
        let rested = now - self.interval * (self.burst - 1);
        let at = self.next_slot.get().map_or(rested, |next| next.max(rested));
        self.next_slot.set(Some(at + self.interval));
        if at > now {
            sleep_until(at).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    /// The delay of each request, in milliseconds.
    async fn acquire_times(pace: &RateLimiter, count: usize) -> Vec<u128> {
        let begun = Instant::now();
        join_all((0..count).map(|_| async { (pace.acquire().await, begun.elapsed().as_millis()).1 })).await
    }

    #[tokio::test(start_paused = true)]
    async fn limiter_spaces_many_services_and_not_few() {
        assert_eq!(
            acquire_times(&RateLimiters::for_services(MAX_UNLIMITED_SERVICES).reads, 100).await,
            [0; 100]
        );
        let paces = RateLimiters::for_services(MAX_UNLIMITED_SERVICES + 1);
        let reads = acquire_times(&paces.reads, 100).await;
        assert_eq!((reads[0], reads[1], reads[99]), (0, 55, 99 * 55));
        let registrations = acquire_times(&paces.registrations, 17).await;
        assert_eq!((registrations[14], registrations[15], registrations[16]), (0, 1050, 2100));
    }

    #[tokio::test(start_paused = true)]
    async fn limiter_after_a_rest_allows_only_the_burst() {
        let pace = RateLimiter::new(Duration::from_millis(100), 3);
        acquire_times(&pace, 10).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(acquire_times(&pace, 5).await, [0, 0, 0, 100, 200]);
    }
}

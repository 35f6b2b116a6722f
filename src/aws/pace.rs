//! Spaced requests for runs of many services: AWS counts requests by account and region, so a run that asks about two
//! hundred services at once would be refused, and would get everybody else's requests refused, too.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Up to so many services the requests of one moment fit into what AWS grants in a burst.
const FEW: usize = 15;

/// Whose turn it is; clones stand in one line.
#[derive(Debug, Clone)]
pub struct Pace {
    space: Duration,
    /// So many go at once after a rest.
    burst: u32,
    next: Rc<Cell<Option<Instant>>>,
}

/// The paces of one run, from the request rates of ECS
/// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>).
#[derive(Debug, Clone)]
pub struct Paces {
    /// Reads of any kind: most budgets are refilled with 20 requests a second, and reads are spread over several.
    pub reads: Pace,
    /// Registrations: 20 at once, then one a second.
    pub registrations: Pace,
    /// Changes of services: 50 at once, then 5 a second.
    pub changes: Pace,
}

impl Paces {
    /// For a run of so many services. Few need not wait.
    pub fn of(services: usize) -> Self {
        if services <= FEW {
            return Self::free();
        }
        Self {
            reads: Pace::new(Duration::from_millis(55), 1),
            registrations: Pace::new(Duration::from_millis(1050), 15),
            changes: Pace::new(Duration::from_millis(250), 30),
        }
    }

    /// No waiting.
    pub fn free() -> Self {
        let free = || Pace::new(Duration::ZERO, 1);
        Self { reads: free(), registrations: free(), changes: free() }
    }
}

impl Pace {
    fn new(space: Duration, burst: u32) -> Self {
        Self { space, burst, next: Rc::default() }
    }

    /// Waits for the turn of one request.
    pub async fn turn(&self) {
        if self.space.is_zero() {
            return;
        }
        let now = Instant::now();
        let rested = now - self.space * (self.burst - 1);
        let at = self.next.get().map_or(rested, |next| next.max(rested));
        self.next.set(Some(at + self.space));
        if at > now {
            sleep_until(at).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    /// After how many milliseconds each of so many requests goes.
    async fn turns(pace: &Pace, count: usize) -> Vec<u128> {
        let begun = Instant::now();
        join_all((0..count).map(|_| async { (pace.turn().await, begun.elapsed().as_millis()).1 })).await
    }

    #[tokio::test(start_paused = true)]
    async fn many_stand_in_line_and_few_do_not() {
        assert_eq!(turns(&Paces::of(FEW).reads, 100).await, [0; 100]);
        let paces = Paces::of(FEW + 1);
        let reads = turns(&paces.reads, 100).await;
        assert_eq!((reads[0], reads[1], reads[99]), (0, 55, 99 * 55));
        let registrations = turns(&paces.registrations, 17).await;
        assert_eq!((registrations[14], registrations[15], registrations[16]), (0, 1050, 2100));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_saved_up_than_the_burst() {
        let pace = Pace::new(Duration::from_millis(100), 3);
        turns(&pace, 10).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(turns(&pace, 5).await, [0, 0, 0, 100, 200]);
    }
}

//! How often something is sent, with which pauses, and how long. Pure but for the jitter, which comes from the seeded
//! random numbers of the thread.

use std::time::Duration;

use super::write::SendFailure;

/// Jitter of the pauses, so that runs that failed together do not retry together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// The pauses of the policy.
    None,
    /// 50 to 100 % of the pause.
    Shorter,
    /// 50 to 150 % of the pause.
    Around,
}

impl Jitter {
    fn apply(self, pause: Duration) -> Duration {
        match self {
            Self::None => pause,
            Self::Shorter => {
                let longest = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                Duration::from_millis(fastrand::u64(longest / 2..=longest))
            }
            Self::Around => pause.mul_f64(0.5 + fastrand::f64()),
        }
    }
}

/// When and how often a request is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The pause before each repetition: as many entries as repetitions.
    pub backoff: &'static [Duration],
    /// Jitter of the pauses.
    pub jitter: Jitter,
    /// Counted from the first failure. Nothing is sent after it; a write in progress is not cancelled.
    pub deadline: Duration,
    /// How long rate limits are waited out, counted from the first failure, with any number of attempts. `None` if a
    /// rate-limited attempt counts like any other.
    pub rate_limit_timeout: Option<Duration>,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextAttempt {
    /// After this pause: look, and send unless it has happened.
    Retry(Duration),
    /// After this pause: look whether it happened; nothing is sent again.
    LastLook(Duration),
    /// Nothing: the failure is final.
    GiveUp,
}

impl RetryPolicy {
    /// One attempt; after a lost response one look at once.
    pub const ONCE: Self = Self::with_backoff(&[], Jitter::None);
    /// Two attempts without a pause.
    pub const TWICE: Self = Self::with_backoff(&[Duration::ZERO], Jitter::None);

    /// Bounded by the number of attempts alone.
    pub const fn with_backoff(backoff: &'static [Duration], jitter: Jitter) -> Self {
        Self { backoff, jitter, deadline: Duration::MAX, rate_limit_timeout: None }
    }

    /// Bounded in time as well.
    pub const fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Waits for the end of a rate limit by time, not by attempts.
    pub const fn with_rate_limit_timeout(self, timeout: Duration) -> Self {
        Self { rate_limit_timeout: Some(timeout), ..self }
    }

    /// The next step after `attempts` attempts: the last ended with `failure`, the first failed `elapsed` ago. `pause`
    /// replaces the backoff, but never leads past the limit of the policy.
    pub fn next_attempt(
        &self,
        attempts: usize,
        elapsed: Duration,
        failure: SendFailure,
        pause: Option<Duration>,
    ) -> NextAttempt {
        let (may_repeat, limit) = match (failure, self.rate_limit_timeout) {
            (SendFailure::Rejected, _) => return NextAttempt::GiveUp,
            (SendFailure::RateLimited, Some(timeout)) => (elapsed < timeout, timeout),
            _ => (attempts <= self.backoff.len() && elapsed < self.deadline, self.deadline),
        };
        // A provider can ask for a pause of any length.
        let fits = pause.is_none_or(|pause| elapsed.saturating_add(pause) <= limit);
        let pause = pause.filter(|_| fits);
        match (may_repeat && fits, failure) {
            (true, _) => NextAttempt::Retry(self.pause_after(attempts, pause)),
            (false, SendFailure::Ambiguous) => NextAttempt::LastLook(self.pause_after(attempts, pause)),
            (false, _) => NextAttempt::GiveUp,
        }
    }

    /// Further pauses are as long as the last.
    fn pause_after(&self, attempts: usize, asked: Option<Duration>) -> Duration {
        let listed = self.backoff.get(attempts.saturating_sub(1)).or_else(|| self.backoff.last());
        asked.or_else(|| listed.map(|pause| self.jitter.apply(*pause))).unwrap_or_default()
    }
}

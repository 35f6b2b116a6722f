//! Time. One clock for real and for virtual runs: a wall-clock start plus the runtime's own elapsed time,
//! so a runtime with paused time makes every wait and every timestamp virtual.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The time of a run. Wall-clock jumps during a run do not move it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch: Timestamp,
    started: Instant,
}

impl Clock {
    /// A clock that starts at the machine's wall-clock time. Must be called inside a runtime.
    pub fn real() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// A clock that starts at `epoch`, for rehearsals and tests. Must be called inside a runtime.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self { epoch, started: Instant::now() }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.elapsed()).unwrap_or(jiff::SignedDuration::MAX);
        self.epoch.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Time since the clock was created.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

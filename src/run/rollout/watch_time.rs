//! How long a rollout is watched in each direction. Nothing is read or changed here.

use std::time::Duration;

use crate::run::context::RunContext;
use crate::run::service_run::ServiceRun;
use crate::strategy::Direction;

/// The most that a rollback is watched after `timeout`, because it plausibly needs that. The run is ended from outside a
/// minute later.
const MAX_OVERTIME: Duration = Duration::from_secs(240);

/// Whether there is time left to watch a rollout in a direction.
pub(in crate::run) fn has_time_left(ctx: &RunContext, service: &ServiceRun, direction: &Direction) -> bool {
    match direction {
        Direction::Forward => ctx.has_time_left(),
        Direction::Back(_) => {
            let estimate = service.target.limits(&service.observed).rollback_duration.unwrap_or_default();
            let times = RollbackTimes {
                timeout: ctx.inputs.timeout,
                reserve: ctx.rollback_reserve(),
                estimate,
                requested_at: service.rollout.phase_started,
            };
            ctx.io.clock.elapsed() < rollback_deadline(times)
        }
    }
}

/// The times of a rollback, on the run's clock.
#[derive(Debug, Clone, Copy)]
struct RollbackTimes {
    timeout: Duration,
    reserve: Duration,
    estimate: Duration,
    requested_at: Duration,
}

/// A rollback is watched for as long as there is time, and never for less than what was kept for it or what it plausibly
/// needs.
fn rollback_deadline(times: RollbackTimes) -> Duration {
    let RollbackTimes { timeout, reserve, estimate, requested_at } = times;
    let needed = (requested_at + estimate).min(timeout + MAX_OVERTIME);
    timeout.max(requested_at + reserve).max(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollback_is_watched_to_the_timeout_and_for_what_it_needs() {
        // timeout, reserve, estimate, requested at, deadline
        let table = [
            (3600, 600, 0, 30, 3600),
            (3600, 600, 400, 2990, 3600),
            (120, 30, 0, 10, 120),
            (120, 30, 0, 110, 140),
            (120, 30, 60, 90, 150),
            (120, 30, 9000, 10, 360),
        ];
        for (timeout, reserve, estimate, requested_at, expected) in table {
            let [timeout, reserve, estimate, requested_at] =
                [timeout, reserve, estimate, requested_at].map(Duration::from_secs);
            let times = RollbackTimes { timeout, reserve, estimate, requested_at };
            assert_eq!(rollback_deadline(times), Duration::from_secs(expected), "{times:?}");
        }
    }
}

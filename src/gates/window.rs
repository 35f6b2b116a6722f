//! Which minutes are judged: whole ones since the canary got its share, closed, and older than a source's lag. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::strategy::judge::Minute;

/// How long after its end a minute of a source is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A minute that is not in so long after its end counts as missing; before, it is merely late.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

const MINUTE: i64 = 60;

/// The time that is judged, in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Where its first minute begins, in seconds since the epoch; a multiple of 60.
    first: i64,
    now: i64,
}

impl Window {
    /// The whole minutes between two instants.
    pub fn between(since: Timestamp, now: Timestamp) -> Self {
        let first = since.as_second().saturating_add(MINUTE - 1).div_euclid(MINUTE) * MINUTE;
        // A second that has begun is not over.
        let first = if since.subsec_nanosecond() > 0 && since.as_second().rem_euclid(MINUTE) == 0 {
            first + MINUTE
        } else {
            first
        };
        Self { first, now: now.as_second() }
    }

    /// The beginnings of the minutes that ended at least `lag` ago, in seconds since the epoch.
    pub fn starts(&self, lag: Span) -> impl Iterator<Item = i64> + use<> {
        let closed = (self.now - lag.0.as_secs() as i64 - self.first).div_euclid(MINUTE).max(0);
        let first = self.first;
        (0..closed).map(move |index| first + index * MINUTE)
    }

    /// Beginning of the first minute and end of the last one that ended at least `lag` ago; `None` where there is none.
    pub fn bounds(&self, lag: Span) -> Option<(i64, i64)> {
        let count = self.starts(lag).count() as i64;
        (count > 0).then_some((self.first, self.first + count * MINUTE))
    }

    /// Takes the last minutes that are not in yet away, and says whether there were any: while they are late they
    /// say nothing, and once they are not late any more, they are missing.
    pub fn settled(&self, mut minutes: Vec<Minute>) -> (Vec<Minute>, bool) {
        let before = minutes.len();
        while let Some(last) = minutes.last() {
            let ended = self.first + minutes.len() as i64 * MINUTE;
            let late = ended + PATIENCE.as_secs() as i64 > self.now;
            if last.both().is_some() || !late {
                break;
            }
            minutes.pop();
        }
        let late = minutes.len() < before;
        (minutes, late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::judge::Count;

    fn window(since: i64, now: i64) -> Window {
        Window::between(Timestamp::from_second(since).unwrap(), Timestamp::from_second(now).unwrap())
    }

    const LAG: Span = Span(Duration::from_secs(120));

    #[test]
    fn only_whole_minutes_that_are_over_and_older_than_the_lag_are_judged() {
        let table: [(i64, i64, &[i64]); 6] = [
            (600, 600, &[]),
            (600, 779, &[]),
            (600, 780, &[600]),
            (601, 780, &[]),
            (601, 840, &[660]),
            (659, 905, &[660, 720]),
        ];
        for (since, now, expected) in table {
            assert_eq!(window(since, now).starts(LAG).collect::<Vec<_>>(), expected, "{since} {now}");
        }
        let half = Timestamp::from_millisecond(600_500).unwrap();
        let window = Window::between(half, Timestamp::from_second(900).unwrap());
        assert_eq!(window.starts(LAG).next(), Some(660), "a minute that had begun is not whole");
    }

    #[test]
    fn the_last_minutes_are_late_first_and_missing_later() {
        let count = Some(Count { total: 5, bad: 0 });
        let (there, gone) = (Minute { canary: count, baseline: count }, Minute::default());
        let one = Minute { canary: count, baseline: None };
        let at = |now| window(600, now).settled(vec![there, gone, there, one, gone]);
        // They end at 660, 720, 780, 840 and 900.
        assert_eq!(at(1000), (vec![there, gone, there], true));
        assert_eq!(at(1140), (vec![there, gone, there, one], true));
        assert_eq!(at(1200), (vec![there, gone, there, one, gone], false));
        assert_eq!(window(600, 2000).settled(Vec::new()), (Vec::new(), false));
    }
}

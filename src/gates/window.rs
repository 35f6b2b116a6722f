//! Which minutes are judged: whole minutes since the canary got its weight, closed, and older than a source's lag.
//! Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::strategy::judge::Minute;

/// How long after its end a minute of a source is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestionLag(pub Duration);

/// A minute without data this long after its end counts as missing; before, it is late.
const MAX_LATENESS: Duration = Duration::from_secs(10 * 60);

const MINUTE: i64 = 60;

/// The judged time, in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalysisWindow {
    /// Start of its first minute, in seconds since the epoch; a multiple of 60.
    first_minute: i64,
    now: i64,
    /// When it has lasted long enough.
    end: i64,
}

impl AnalysisWindow {
    /// The whole minutes between two instants. It is over when all of them are complete.
    pub fn from_range(since: Timestamp, now: Timestamp) -> Self {
        // A second that has begun is not complete.
        let second = since.as_second() + i64::from(since.subsec_nanosecond() > 0);
        let first_minute = second.saturating_add(MINUTE - 1).div_euclid(MINUTE) * MINUTE;
        Self { first_minute, now: now.as_second(), end: now.as_second() }
    }

    /// The same, but over when everything until `enough` is complete.
    pub fn ends_at(self, enough: Timestamp) -> Self {
        Self { end: enough.as_second(), ..self }
    }

    /// The number of minutes that had ended, and had had their time to be complete, at an instant.
    fn closed_minutes(&self, lag: IngestionLag, at: i64) -> i64 {
        (at - lag.0.as_secs() as i64 - self.first_minute).div_euclid(MINUTE).max(0)
    }

    /// The starts of the minutes that ended at least `lag` ago, in seconds since the epoch.
    pub fn minute_starts(&self, lag: IngestionLag) -> impl Iterator<Item = i64> + use<> {
        let first = self.first_minute;
        (0..self.closed_minutes(lag, self.now)).map(move |index| first + index * MINUTE)
    }

    /// Start of the first minute and end of the last one that ended at least `lag` ago; `None` if there is none.
    pub fn bounds(&self, lag: IngestionLag) -> Option<(i64, i64)> {
        let count = self.closed_minutes(lag, self.now);
        (count > 0).then_some((self.first_minute, self.first_minute + count * MINUTE))
    }

    /// Removes the last minutes that are not complete yet: while they are late they prove nothing, and after that
    /// they are missing. Also returns whether the window is over: whether every minute of it is complete or
    /// missing.
    pub fn drop_late_minutes(&self, lag: IngestionLag, mut minutes: Vec<Minute>) -> (Vec<Minute>, bool) {
        while let Some(last) = minutes.last() {
            let ended = self.first_minute + minutes.len() as i64 * MINUTE;
            let late = ended + MAX_LATENESS.as_secs() as i64 > self.now;
            if last.valid_counts().is_some() || !late {
                break;
            }
            minutes.pop();
        }
        let over = self.now >= self.end && minutes.len() as i64 >= self.closed_minutes(lag, self.end);
        (minutes, over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::judge::Count;

    fn window(since: i64, now: i64) -> AnalysisWindow {
        AnalysisWindow::from_range(
            Timestamp::from_second(since).unwrap(),
            Timestamp::from_second(now).unwrap(),
        )
    }

    const LAG: IngestionLag = IngestionLag(Duration::from_secs(120));

    #[test]
    fn minute_starts_only_whole_minutes_older_than_the_lag() {
        let table: [(i64, i64, &[i64]); 6] = [
            (600, 600, &[]),
            (600, 779, &[]),
            (600, 780, &[600]),
            (601, 780, &[]),
            (601, 840, &[660]),
            (659, 905, &[660, 720]),
        ];
        for (since, now, expected) in table {
            assert_eq!(window(since, now).minute_starts(LAG).collect::<Vec<_>>(), expected, "{since} {now}");
        }
        let half = Timestamp::from_millisecond(600_500).unwrap();
        let window = AnalysisWindow::from_range(half, Timestamp::from_second(900).unwrap());
        assert_eq!(window.minute_starts(LAG).next(), Some(660), "a minute that had begun is not whole");
    }

    #[test]
    fn drop_late_minutes_then_counts_them_as_missing() {
        let count = Some(Count { total: 5, bad: 0 });
        let (there, gone) = (Minute { canary: count, baseline: count }, Minute::default());
        let one = Minute { canary: count, baseline: None };
        let at = |now| window(600, now).drop_late_minutes(LAG, vec![there, gone, there, one, gone]);
        // They end at 660, 720, 780, 840 and 900.
        assert_eq!(at(1300), (vec![there, gone, there], false));
        assert_eq!(at(1440).0, vec![there, gone, there, one]);
        assert_eq!(at(1500).0, vec![there, gone, there, one, gone]);
        assert_eq!(window(600, 2000).drop_late_minutes(LAG, Vec::new()), (Vec::new(), false));
    }

    #[test]
    fn window_is_complete_when_all_its_minutes_are_complete() {
        let count = Some(Count { total: 5, bad: 0 });
        let there = Minute { canary: count, baseline: count };
        let over = |now, count| {
            let window = window(600, now).ends_at(Timestamp::from_second(900).unwrap());
            let minutes = (0..5).map(|index| if index < count { there } else { Minute::default() });
            window.drop_late_minutes(LAG, minutes.collect()).1
        };
        // Three minutes are closed at 900; the fourth and fifth may be late for ever.
        assert!(!over(899, 5), "not long enough");
        assert!(over(900, 3));
        assert!(!over(1100, 2), "the third is late");
        assert!(over(1100, 3));
        assert!(over(1500, 2), "the third is missing");
    }
}

//! Which minutes are judged: whole ones since the canary got its share, closed, and older than a source's lag. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::strategy::judge::Minute;

/// How long after its end a minute of a source is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A minute that is not in so long after its end counts as missing; before, it is merely late.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

const MINUTE: i64 = 60;

/// The time that is judged, in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Where its first minute begins, in seconds since the epoch; a multiple of 60.
    first: i64,
    now: i64,
    /// When it has lasted long enough.
    enough: i64,
}

impl Window {
    /// The whole minutes between two instants. All of them must be in for it to be over.
    pub fn between(since: Timestamp, now: Timestamp) -> Self {
        // A second that has begun is not whole.
        let second = since.as_second() + i64::from(since.subsec_nanosecond() > 0);
        let first = second.saturating_add(MINUTE - 1).div_euclid(MINUTE) * MINUTE;
        Self { first, now: now.as_second(), enough: now.as_second() }
    }

    /// The same, which is over once what happened until `enough` is in.
    pub fn enough_at(self, enough: Timestamp) -> Self {
        Self { enough: enough.as_second(), ..self }
    }

    /// How many minutes had ended, and had had their time to come in, at an instant.
    fn closed(&self, lag: Span, at: i64) -> i64 {
        (at - lag.0.as_secs() as i64 - self.first).div_euclid(MINUTE).max(0)
    }

    /// The beginnings of the minutes that ended at least `lag` ago, in seconds since the epoch.
    pub fn starts(&self, lag: Span) -> impl Iterator<Item = i64> + use<> {
        let first = self.first;
        (0..self.closed(lag, self.now)).map(move |index| first + index * MINUTE)
    }

    /// Beginning of the first minute and end of the last one that ended at least `lag` ago; `None` where there is none.
    pub fn bounds(&self, lag: Span) -> Option<(i64, i64)> {
        let count = self.closed(lag, self.now);
        (count > 0).then_some((self.first, self.first + count * MINUTE))
    }

    /// Takes the last minutes that are not in yet away: while they are late they say nothing, and once they are not
    /// late any more, they are missing. Says too whether the window is over: whether every minute of it is in, or
    /// missing.
    pub fn settled(&self, lag: Span, mut minutes: Vec<Minute>) -> (Vec<Minute>, bool) {
        while let Some(last) = minutes.last() {
            let ended = self.first + minutes.len() as i64 * MINUTE;
            let late = ended + PATIENCE.as_secs() as i64 > self.now;
            if last.both().is_some() || !late {
                break;
            }
            minutes.pop();
        }
        let over = self.now >= self.enough && minutes.len() as i64 >= self.closed(lag, self.enough);
        (minutes, over)
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
        let at = |now| window(600, now).settled(LAG, vec![there, gone, there, one, gone]);
        // They end at 660, 720, 780, 840 and 900.
        assert_eq!(at(1300), (vec![there, gone, there], false));
        assert_eq!(at(1440).0, vec![there, gone, there, one]);
        assert_eq!(at(1500).0, vec![there, gone, there, one, gone]);
        assert_eq!(window(600, 2000).settled(LAG, Vec::new()), (Vec::new(), false));
    }

    #[test]
    fn a_window_is_over_when_what_happened_in_it_is_in() {
        let count = Some(Count { total: 5, bad: 0 });
        let there = Minute { canary: count, baseline: count };
        let over = |now, count| {
            let window = window(600, now).enough_at(Timestamp::from_second(900).unwrap());
            let minutes = (0..5).map(|index| if index < count { there } else { Minute::default() });
            window.settled(LAG, minutes.collect()).1
        };
        // Three minutes are closed at 900; the fourth and fifth may be late for ever.
        assert!(!over(899, 5), "not long enough");
        assert!(over(900, 3));
        assert!(!over(1100, 2), "the third is late");
        assert!(over(1100, 3));
        assert!(over(1500, 2), "the third is missing");
    }
}

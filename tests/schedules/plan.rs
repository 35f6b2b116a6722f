//! What a schedule is: which runs of which commits begin when, and how they end. The seed says all of it.

use std::time::Duration;

/// Runs of one world.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) runs: Vec<Planned>,
}

/// One run.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// `GITHUB_RUN_ID`.
    pub(super) id: u64,
    /// Its commit, by its place in the history, from 1.
    pub(super) commit: u64,
    /// What it is about.
    pub(super) services: Vec<&'static str>,
    /// When it begins.
    pub(super) after: Duration,
    /// How it ends.
    pub(super) end: End,
    /// So long after its end it is started again.
    pub(super) again: Option<Duration>,
}

/// How a run ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// By itself.
    Whole,
    /// It is cancelled after so long, and its post step runs.
    Cancelled(Duration),
    /// Its runner is gone after so long; GitHub learns of it later.
    Lost(Duration, Duration),
}

/// Both services; a run may be about one of them.
pub(super) const SERVICES: [&str; 2] = ["backend", "web"];
/// The newest commit: that of the run that comes after all others.
pub(super) const NEWEST: u64 = 6;

impl Schedule {
    /// The schedule of a seed.
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let count = dice.u64(2..=3);
        Self { runs: (0..count).map(|place| planned(&mut dice, 11 + place)).collect() }
    }
}

fn planned(dice: &mut fastrand::Rng, id: u64) -> Planned {
    let seconds = |dice: &mut fastrand::Rng, most: u64| Duration::from_millis(dice.u64(0..most * 1000));
    let services = match dice.u8(0..4) {
        0 => vec!["backend"],
        1 => vec!["web"],
        _ => SERVICES.to_vec(),
    };
    let end = match dice.u8(0..10) {
        0..=1 => End::Cancelled(seconds(dice, 150)),
        2..=4 => End::Lost(seconds(dice, 150), seconds(dice, 120)),
        _ => End::Whole,
    };
    let again = dice.u8(0..4) == 0;
    Planned {
        id,
        // A later run is often, and not always, of a newer commit.
        commit: dice.u64(1..NEWEST),
        services,
        after: seconds(dice, 240),
        end,
        again: again.then(|| seconds(dice, 240)),
    }
}

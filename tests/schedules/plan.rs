//! What a schedule is: which runs of which commits begin when, and how they end. The seed says all of it.

use std::time::Duration;

/// Runs of one world.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Production takes only what staging has proven.
    pub(super) promotion: bool,
    pub(super) runs: Vec<Planned>,
}

/// One run.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// `GITHUB_RUN_ID`.
    pub(super) id: u64,
    /// Its commit, by its place in the history, from 1.
    pub(super) commit: u64,
    /// Where to.
    pub(super) environment: &'static str,
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

/// Seeds from this one on are those of schedules with promotion.
pub(super) const PROMOTIONS: u64 = 1_000_000;

impl Schedule {
    /// The schedule of a seed.
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let promotion = seed >= PROMOTIONS;
        let count = dice.u64(2..=3) + u64::from(promotion);
        let runs = (0..count).map(|place| planned(&mut dice, 11 + place, promotion)).collect();
        Self { promotion, runs }
    }
}

fn planned(dice: &mut fastrand::Rng, id: u64, promotion: bool) -> Planned {
    let seconds = |dice: &mut fastrand::Rng, most: u64| Duration::from_millis(dice.u64(0..most * 1000));
    let services = match dice.u8(0..4) {
        0 => vec!["backend"],
        1 => vec!["web"],
        _ => SERVICES.to_vec(),
    };
    let staging = promotion && dice.u8(0..5) < 3;
    let end = match dice.u8(0..10) {
        0..=1 => End::Cancelled(seconds(dice, 45)),
        2..=4 => End::Lost(seconds(dice, 45), seconds(dice, 60)),
        _ => End::Whole,
    };
    let again = dice.u8(0..4) == 0;
    Planned {
        id,
        // A later run is often, and not always, of a newer commit.
        commit: dice.u64(1..NEWEST),
        environment: if staging { "staging" } else { "production" },
        services: if promotion { vec!["backend"] } else { services },
        after: seconds(dice, 80),
        end,
        again: again.then(|| seconds(dice, 80)),
    }
}

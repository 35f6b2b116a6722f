//! What a schedule is: which runs of which commits begin when, and how they end. The seed says all of it.

use std::time::Duration;

/// Runs of one world.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Production takes only what staging has proven.
    pub(super) is_promotion: bool,
    pub(super) runs: Vec<PlannedRun>,
}

/// One run.
#[derive(Debug, Clone)]
pub(super) struct PlannedRun {
    /// `GITHUB_RUN_ID`.
    pub(super) id: u64,
    /// Its commit, by its place in the history, from 1.
    pub(super) commit: u64,
    /// Where to.
    pub(super) environment: &'static str,
    /// What it is about.
    pub(super) services: Vec<&'static str>,
    /// When it begins.
    pub(super) starts_after: Duration,
    /// How it ends.
    pub(super) end: PlannedEnd,
    /// So long after its end it is started again.
    pub(super) reruns_after: Option<Duration>,
}

/// How a run ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum PlannedEnd {
    /// By itself.
    Completed,
    /// It is cancelled after so long, and its post step runs.
    Cancelled(Duration),
    /// Its runner is gone after so long; GitHub learns of it later.
    Lost(Duration, Duration),
}

/// Both services; a run may be about one of them.
pub(super) const SERVICES: [&str; 2] = ["backend", "web"];
/// The newest commit: that of the run that comes after all others.
pub(super) const NEWEST_COMMIT: u64 = 6;

/// Seeds from this one on are those of schedules with promotion.
pub(super) const FIRST_PROMOTION_SEED: u64 = 1_000_000;

impl Schedule {
    /// The schedule of a seed.
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let is_promotion = seed >= FIRST_PROMOTION_SEED;
        let count = dice.u64(2..=3) + u64::from(is_promotion);
        let runs = (0..count).map(|place| plan_run(&mut dice, 11 + place, is_promotion)).collect();
        Self { is_promotion, runs }
    }
}

fn plan_run(dice: &mut fastrand::Rng, id: u64, promotion: bool) -> PlannedRun {
    let seconds = |dice: &mut fastrand::Rng, most: u64| Duration::from_millis(dice.u64(0..most * 1000));
    let services = match dice.u8(0..4) {
        0 => vec!["backend"],
        1 => vec!["web"],
        _ => SERVICES.to_vec(),
    };
    let staging = promotion && dice.u8(0..5) < 3;
    let end = match dice.u8(0..10) {
        0..=1 => PlannedEnd::Cancelled(seconds(dice, 45)),
        2..=4 => PlannedEnd::Lost(seconds(dice, 45), seconds(dice, 60)),
        _ => PlannedEnd::Completed,
    };
    let again = dice.u8(0..4) == 0;
    PlannedRun {
        id,
        // A later run is often, and not always, of a newer commit.
        commit: dice.u64(1..NEWEST_COMMIT),
        environment: if staging { "staging" } else { "production" },
        services: if promotion { vec!["backend"] } else { services },
        starts_after: seconds(dice, 80),
        end,
        reruns_after: again.then(|| seconds(dice, 80)),
    }
}

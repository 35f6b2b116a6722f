//! What must stay true whatever happens (reliability is these lines): seeds × faults × crash points over the embedded
//! cloud. A failing case prints the line that replays it. `scripts/soak --seeds N --from K` plays more.

mod case;
mod laws;
mod mutants;
mod play;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use case::{BLOWS, Blow, Case, SETTINGS, Setting};

/// Unoptimised, a run that goes back needs more than the two megabytes that a test has.
const STACK: usize = 16 << 20;

fn check(case: Case) -> Option<String> {
    let played = play::play(case, None);
    let log = || if std::env::var("CASE").is_ok() { played.told() } else { String::new() };
    laws::check(&case, &played).err().map(|why| format!("{case}\n  {why}{}", log()))
}

/// Plays all cases on as many threads as there are processors, and says which broke.
fn check_all(cases: &[Case]) {
    let (next, broken) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let work = || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    // Played before the lock is taken, or the threads would take turns.
                    let found = check(*case);
                    broken.lock().unwrap().extend(found);
                }
            };
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap();
        }
    });
    let broken = broken.into_inner().unwrap();
    let count = cases.len();
    assert!(
        count > 0 && broken.is_empty(),
        "{} of {count} cases broke:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Every call of a setting, and every way it can be struck; the last call is one that is never made, so that whatever
/// strikes comes after the end.
fn enumerate(setting: &'static Setting) -> Vec<Case> {
    let case = |call, blow| Case { setting, seed: 1, call, blow };
    let calls = play::calls_of(&case(0, BLOWS[0]));
    let blows: Vec<Blow> = BLOWS.into_iter().filter(|blow| blow.fits(setting)).collect();
    (0..=calls).flat_map(|call| blows.iter().map(move |blow| case(call, *blow))).collect()
}

/// Every crash point of every setting; `EVERY=n` takes each n-th only (a prime, so that every blow has
/// its turn), `SETTING=name` those of one setting.
#[test]
fn every_crash_point_of_every_strategy() {
    let only = std::env::var("SETTING").ok();
    let meant = |setting: &&Setting| only.as_ref().is_none_or(|name| setting.name == name);
    let all: Vec<Case> = SETTINGS.iter().filter(meant).flat_map(enumerate).collect();
    let every = number("EVERY", 191) as usize;
    check_all(&all.into_iter().step_by(every).collect::<Vec<_>>());
}

/// Random cases: the seed says which setting, which call and which blow.
#[test]
fn random_schedules() {
    let (from, seeds) = (number("FROM", 0), number("SEEDS", 60));
    check_all(&(from..from + seeds).map(Case::of).collect::<Vec<_>>());
}

/// Plays the case in `CASE` again, and prints its log and its calls when it breaks a law.
#[test]
fn one_case() {
    let text = std::env::var("CASE").unwrap_or_else(|_| "rolling 1 0 KillBefore".into());
    check_all(&[case::read(&text)]);
}

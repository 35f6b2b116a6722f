//! What must stay true whatever happens (reliability is these lines): seeds × faults × crash points over the embedded
//! cloud. A failing case prints the line that replays it. `scripts/soak --seeds N --from K` plays more.

mod assertions;
mod case;
mod mutants;
mod outages;
mod run;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use case::{Case, FAULTS, FIXTURES, Fault, Fixture};

/// Unoptimised, a run that goes back needs more than the two megabytes that a test has.
const STACK_SIZE: usize = 16 << 20;

fn find_violation(case: Case) -> Option<String> {
    let played = run::run_case(case, None);
    let log = || if std::env::var("CASE").is_ok() { played.log_text() } else { String::new() };
    assertions::check_invariants(&case, &played).err().map(|why| format!("{case}\n  {why}{}", log()))
}

/// Plays all cases on as many threads as there are processors, and says which broke.
fn assert_all(cases: &[Case]) {
    assert_each(cases, |case| find_violation(*case));
}

/// Plays cases on as many threads as there are processors; `find` says what broke.
fn assert_each<C: Sync>(cases: &[C], find: impl Fn(&C) -> Option<String> + Sync) {
    let (next, broken) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let work = || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    // Played before the lock is taken, or the threads would take turns.
                    let found = find(case);
                    broken.lock().unwrap().extend(found);
                }
            };
            std::thread::Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, work).unwrap();
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

fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Every call of a setting, and every way it can be struck; the last call is one that is never made, so that whatever
/// strikes comes after the end.
fn enumerate_cases(setting: &'static Fixture) -> Vec<Case> {
    let case = |call, blow| Case { fixture: setting, seed: 1, call, fault: blow };
    let calls = run::count_calls(&case(0, FAULTS[0]));
    let blows: Vec<Fault> = FAULTS.into_iter().filter(|blow| blow.applies_to(setting)).collect();
    (0..=calls).flat_map(|call| blows.iter().map(move |blow| case(call, *blow))).collect()
}

/// Every crash point of every setting; `EVERY=n` takes each n-th only (a prime, so that every blow has
/// its turn), `SETTING=name` those of one setting.
#[test]
fn every_crash_point_of_every_strategy() {
    let only = std::env::var("SETTING").ok();
    let meant = |setting: &&Fixture| only.as_ref().is_none_or(|name| setting.name == name);
    let all: Vec<Case> = FIXTURES.iter().filter(meant).flat_map(enumerate_cases).collect();
    let every = env_number("EVERY", 191) as usize;
    assert_all(&all.into_iter().step_by(every).collect::<Vec<_>>());
}

/// Random cases: the seed says which setting, which call and which blow.
#[test]
fn random_schedules() {
    let (from, seeds) = (env_number("FROM", 0), env_number("SEEDS", 60));
    assert_all(&(from..from + seeds).map(Case::from_seed).collect::<Vec<_>>());
}

/// Plays the case in `CASE` again, and prints its log and its calls when it breaks a law.
#[test]
fn one_case() {
    let text = std::env::var("CASE").unwrap_or_else(|_| "rolling 1 0 KillBefore".into());
    assert_all(&[case::parse_case(&text)]);
}

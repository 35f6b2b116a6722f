//! One writer, and the newest wins (I9); production gets only proven releases (I3): two or three runs of the action in one
//! world at once, of different commits of one history, some started again, some cancelled, some lost. A schedule that
//! violates an invariant prints the seed that replays it: `SCHEDULE=seed`. `SCHEDULES=n` plays `n` schedules, `FROM=k` begins there.

mod invariants;
mod plan;
mod run;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use plan::FIRST_PROMOTION_SEED;
use roadstead_cloud::call_log::{CallHook, HookPhase, Override};
use run::{CallMutation, EventCounts, LAST_RUNS, run_schedule};
use serde_json::{Value, json};

/// Unoptimised, a run needs more than the two megabytes that a test has.
const STACK_SIZE: usize = 16 << 20;

fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Plays schedules on as many threads as there are processors: what was broken, and what happened in all of them.
fn run_all(seeds: std::ops::Range<u64>, wire: Option<CallMutation>) -> (Vec<String>, EventCounts) {
    let (next, found) = (AtomicU64::new(seeds.start), Mutex::new((Vec::new(), EventCounts::default())));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if !seeds.contains(&seed) {
                    return;
                }
                let played = run_schedule(seed, wire);
                let mut found = found.lock().unwrap();
                found.0.extend(played.violations.iter().map(|why| format!("SCHEDULE={seed}: {why}")));
                found.1.add(&played.event_counts);
            }
        };
        for _ in 0..threads {
            std::thread::Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, work).unwrap();
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn runs_that_meet_take_turns_and_the_newest_wins() {
    let (from, count) = (env_number("FROM", 0), env_number("SCHEDULES", 380));
    let (broken, tally) = run_all(from..from + count, None);
    assert!(broken.is_empty(), "{} laws were broken:\n{}", broken.len(), broken.join("\n"));
    // The laws say nothing where nobody meets.
    let enough = |what: &str, times: u64| assert!(times >= count / 25, "{what}: {times} of {count}");
    enough("waited for another run", tally.waited);
    enough("superseded", tally.superseded);
    enough("cancelled", tally.cancelled);
    enough("lost with a lease", tally.lost_with_lease);
    enough("taken over", tally.taken_over);
}

#[test]
fn production_gets_what_staging_proved() {
    let (from, count) = (FIRST_PROMOTION_SEED + env_number("FROM", 0), env_number("SCHEDULES", 120));
    let (broken, tally) = run_all(from..from + count, None);
    assert!(broken.is_empty(), "{} laws were broken:\n{}", broken.len(), broken.join("\n"));
    // The last run of every schedule promotes; some before it do, too.
    assert!(tally.promoted > count + count / 25, "promoted: {} of {count}", tally.promoted);
}

/// Plays the schedule in `SCHEDULE` again, and prints what happened when it breaks a law.
#[test]
fn one_schedule() {
    let seed = env_number("SCHEDULE", 1);
    let played =
        std::thread::Builder::new().stack_size(STACK_SIZE).spawn(move || run_schedule(seed, None)).unwrap();
    let played = played.join().unwrap();
    assert!(played.violations.is_empty(), "{}\n{}", played.violations.join("\n"), played.log);
}

fn is_before_call(moment: &CallHook<'_>, operation: &str) -> bool {
    moment.phase == HookPhase::Before && moment.call.operation == operation
}

fn answer_with(status: u16, body: Value) -> Override {
    Override::Reply(json!({ "status": status, "headers": {}, "body": body }))
}

/// Engines that misbehave in one way, made by changing what goes over the wire; and the law that finds them.
const ENGINE_MUTANTS: [(&str, u64, CallMutation); 4] = [
    ("one writer: ", 0, |moment| {
        let wanted = &moment.call.input;
        let taken = || answer_with(201, json!({ "ref": wanted["ref"], "object": { "sha": wanted["sha"] } }));
        is_before_call(moment, "git/create-ref").then(taken)
    }),
    ("newest wins: ", 0, |moment| {
        let unknown = || {
            answer_with(200, json!({ "status": "diverged", "ahead_by": 1, "behind_by": 1, "commits": [] }))
        };
        is_before_call(moment, "repos/compare-commits").then(unknown)
    }),
    ("no lease is left: ", 0, |moment| {
        is_before_call(moment, "git/delete-ref").then(|| answer_with(204, Value::Null))
    }),
    ("only what staging proved: ", FIRST_PROMOTION_SEED, |moment| {
        let last = moment.call.access_key == Some(invariants::access_key((LAST_RUNS[1], 1)));
        (is_before_call(moment, "RegisterTaskDefinition") && last).then(|| {
            let mut containers = moment.call.input["containerDefinitions"].clone();
            containers[0]["image"] = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend:v1".into();
            Override::ReplaceInput(json!({ "containerDefinitions": containers }))
        })
    }),
];

#[test]
fn every_invariant_catches_its_mutant() {
    for (law, from, wire) in ENGINE_MUTANTS {
        let (broken, _) = run_all(from..from + 24, Some(wire));
        assert!(broken.iter().any(|why| why.contains(law)), "{law}{broken:#?}");
    }
}

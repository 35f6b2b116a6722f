//! When causes end the wait for a rollout: at once, when enough of its tasks failed, or when something has lasted for too
//! long. Weighed against the size of the service (docs/targets/ecs.md, "Patience"). Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::patience::Patience;
use super::causes::FailureCause;
use super::stop_rule::{Origin, Weight};
use crate::problem::Code;
use crate::release::Failure;

/// What causes are weighed against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scale {
    /// The desired count of the service.
    pub desired: u32,
    /// Running tasks of the new version.
    pub running: u32,
    /// How long a cause that can pass by itself has lasted: since it was first seen, and no task started after it.
    pub stalled: Duration,
}

/// The cause to report, and whether it ends the wait; `None` if nothing failed that could end it.
pub fn judge(causes: &[FailureCause], patience: &Patience, scale: Scale) -> Option<Failure> {
    let ending = ending_cause(causes, patience, scale);
    let harmful = causes.iter().filter(|cause| cause.weight != Weight::Harmless);
    let reported = ending.or_else(|| most_frequent(harmful))?;
    Some(Failure { permanent: ending.is_some(), ..failure_of(reported) })
}

/// The most frequent cause, also one that never ends the wait.
pub fn suspect(causes: &[FailureCause]) -> Option<Failure> {
    most_frequent(causes.iter()).map(failure_of)
}

fn failure_of(cause: &FailureCause) -> Failure {
    Failure { problem: cause.problem.clone(), exit_code: cause.exit_code, logs: Vec::new(), permanent: false }
}

fn of_weight<'a>(
    causes: &'a [FailureCause],
    weights: &'static [Weight],
) -> impl Iterator<Item = &'a FailureCause> + Clone {
    causes.iter().filter(move |cause| weights.contains(&cause.weight))
}

fn ending_cause<'a>(
    causes: &'a [FailureCause],
    patience: &Patience,
    scale: Scale,
) -> Option<&'a FailureCause> {
    if let Some(permanent) = most_frequent(of_weight(causes, &[Weight::Permanent])) {
        return Some(permanent);
    }
    let failed = of_weight(causes, &[Weight::FailedTask]);
    let all_failed = of_weight(causes, &[Weight::FailedTask, Weight::LateFailure]);
    let (early, all) = (count(failed.clone()), count(all_failed.clone()));
    if early >= patience.failed_tasks.limit(scale.desired, scale.running + all) {
        return most_frequent(failed);
    }
    if all >= breaker_threshold(scale.desired) && all > early {
        return most_frequent(all_failed);
    }
    let passing = of_weight(causes, &[Weight::CanPass]).last();
    let blocking = of_weight(causes, &[Weight::UnlessRunning]).last();
    let by_others = all == 0 && count(of_weight(causes, &[Weight::Harmless])) > 0;
    if scale.running == 0 && blocking.is_some() && passing.is_none() && !by_others {
        // The event alone says less than a task that stopped.
        return most_frequent(all_failed).or(blocking);
    }
    // The latest: an earlier one may have passed.
    passing.or(blocking).filter(|_| scale.stalled >= patience.placement.0.0)
}

/// The default threshold of ECS's circuit breaker: half of the desired count, at least 3 and at most 200.
fn breaker_threshold(desired: u32) -> u32 {
    desired.div_ceil(2).clamp(3, 200)
}

fn count<'a>(causes: impl Iterator<Item = &'a FailureCause>) -> u32 {
    u32::try_from(causes.count()).unwrap_or(u32::MAX)
}

/// The most frequent kind of cause: what the version does before what others do. Of one kind the latest, whose log lines
/// are the freshest.
fn most_frequent<'a>(causes: impl Iterator<Item = &'a FailureCause>) -> Option<&'a FailureCause> {
    let mut kinds: BTreeMap<(Origin, Code), (u32, &FailureCause)> = BTreeMap::new();
    for cause in causes {
        let entry = kinds.entry((cause.origin, cause.problem.code)).or_insert((0, cause));
        *entry = (entry.0 + 1, cause);
    }
    let best = kinds.into_iter().max_by_key(|((origin, _), (count, _))| (std::cmp::Reverse(*origin), *count));
    best.map(|(_, (_, cause))| cause)
}

#[cfg(test)]
mod tests {
    use super::super::causes::from_event;
    use super::*;
    use crate::problem::Problem;
    use crate::targets::ecs::patience::FailedTasks;
    use crate::targets::ecs::read::ServiceEvent;

    fn cause(weight: Weight, origin: Origin, code: Code) -> FailureCause {
        FailureCause {
            problem: Problem::error(code, "It failed."),
            origin,
            weight,
            container: None,
            exit_code: None,
            task_id: String::new(),
        }
    }

    fn crash() -> FailureCause {
        cause(Weight::FailedTask, Origin::Version, Code::ContainerExited)
    }

    fn late() -> FailureCause {
        cause(Weight::LateFailure, Origin::Version, Code::ContainerExited)
    }

    fn slow_pull() -> FailureCause {
        cause(Weight::CanPass, Origin::Platform, Code::ImagePullFailed)
    }

    fn killed() -> FailureCause {
        cause(Weight::Harmless, Origin::Person, Code::TaskStopped)
    }

    fn throttled_starts() -> FailureCause {
        let text = "(service s) is unable to consistently start tasks successfully.";
        from_event(&ServiceEvent { id: "e".into(), created_at: 0.0, text: text.into() }).unwrap()
    }

    fn ends(causes: &[FailureCause], desired: u32, running: u32, stalled: u64) -> bool {
        let scale = Scale { desired, running, stalled: Duration::from_secs(stalled) };
        judge(causes, &Patience::default(), scale).is_some_and(|failure| failure.permanent)
    }

    #[test]
    fn failed_tasks_are_weighed_against_the_size() {
        let table = [
            (1, 1, 0, false),
            (2, 1, 0, true),
            (1, 2, 1, false),
            (2, 2, 2, true),
            (2, 8, 6, true),
            (2, 40, 38, false),
            (9, 40, 0, false),
            (10, 40, 0, true),
            (10, 40, 38, false),
            (13, 40, 38, true),
            (40, 40, 40, true),
        ];
        for (failed, desired, running, expected) in table {
            let causes = vec![crash(); failed];
            assert_eq!(ends(&causes, desired, running, 0), expected, "{failed} of {desired}, {running} run");
        }
    }

    #[test]
    fn late_failures_need_the_share_of_the_circuit_breaker() {
        for (failed, desired, expected) in [(2, 4, false), (3, 4, true), (9, 20, false), (10, 20, true)] {
            assert_eq!(ends(&vec![late(); failed], desired, desired, 0), expected, "{failed} of {desired}");
        }
    }

    #[test]
    fn permanent_cause_ends_the_wait_whatever_the_size_and_is_the_one_reported() {
        let missing = cause(Weight::Permanent, Origin::Version, Code::ImagePullFailed);
        let causes = [crash(), crash(), missing];
        let scale = Scale { desired: 40, running: 38, ..Scale::default() };
        let failure = judge(&causes, &Patience::default(), scale).unwrap();
        assert_eq!((failure.problem.code, failure.permanent), (Code::ImagePullFailed, true));
    }

    #[test]
    fn what_can_pass_waits_for_placement_however_often_it_is_seen() {
        for (count, stalled, expected) in [(1, 0, false), (200, 599, false), (1, 600, true)] {
            assert_eq!(ends(&vec![slow_pull(); count], 2, 0, stalled), expected, "{count} for {stalled} s");
        }
        assert!(!ends(&[slow_pull(), throttled_starts()], 2, 0, 30), "the pulls can still succeed");
        assert!(ends(&[throttled_starts()], 2, 0, 0), "nothing runs, and no task can be read");
        assert!(!ends(&[killed(), throttled_starts()], 2, 0, 30), "what others did explains it");
        assert!(ends(&[killed(), late(), throttled_starts()], 2, 0, 0));
        assert!(!ends(&[throttled_starts()], 40, 38, 0));
        assert!(ends(&[throttled_starts()], 40, 38, 600));
    }

    #[test]
    fn cause_that_lasts_is_the_latest_one() {
        let capacity = cause(Weight::CanPass, Origin::Platform, Code::NoCapacity);
        let scale = Scale { desired: 2, running: 0, stalled: Duration::from_secs(600) };
        for (causes, expected) in [
            ([slow_pull(), slow_pull(), capacity.clone()], Code::NoCapacity),
            ([capacity, slow_pull(), throttled_starts()], Code::ImagePullFailed),
        ] {
            let failure = judge(&causes, &Patience::default(), scale).unwrap();
            assert_eq!((failure.problem.code, failure.permanent), (expected, true));
        }
    }

    #[test]
    fn what_others_do_never_ends_the_wait() {
        assert!(!ends(&vec![killed(); 50], 2, 0, 9000));
        assert_eq!(judge(&[killed()], &Patience::default(), Scale::default()), None);
        assert_eq!(suspect(&[killed()]).map(|failure| failure.problem.code), Some(Code::TaskStopped));
        let blamed = suspect(&[killed(), killed(), slow_pull(), crash()]);
        assert_eq!(blamed.map(|failure| failure.problem.code), Some(Code::ContainerExited));
    }

    #[test]
    fn deploy_file_sets_both_limits() {
        let placement = serde_json::from_str(r#"{"placement":"30s"}"#).unwrap();
        let scale = Scale { desired: 40, running: 38, stalled: Duration::from_secs(30) };
        assert!(judge(&[slow_pull()], &placement, scale).is_some_and(|failure| failure.permanent));
        let strict = Patience { failed_tasks: FailedTasks::Count(1), ..Patience::default() };
        assert!(judge(&[crash()], &strict, scale).is_some_and(|failure| failure.permanent));
        let lenient = Patience { failed_tasks: FailedTasks::Count(50), ..Patience::default() };
        assert!(judge(&vec![crash(); 49], &lenient, scale).is_some_and(|failure| !failure.permanent));
        assert_eq!(judge(&[], &strict, scale), None);
    }

    proptest::proptest! {
        #[test]
        fn more_of_a_cause_or_a_longer_stall_never_gives_hope(
            failed in 0usize..60, desired in 0u32..60, running in 0u32..60, stalled in 0u64..1200,
        ) {
            let causes = [vec![crash(); failed], vec![slow_pull()]].concat();
            let more = [causes.clone(), vec![crash(); failed + 20]].concat();
            if ends(&causes, desired, running, stalled) {
                proptest::prop_assert!(ends(&causes, desired, running, stalled + 60));
                proptest::prop_assert!(ends(&more, desired, running, stalled));
            }
        }
    }
}

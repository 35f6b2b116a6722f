//! Whether a release fits into `timeout`, known before the first change. Pure.

use std::time::Duration;

use crate::config::{Check, Service};
use crate::problem::{Code, Problem};
use crate::release::HumanDuration;
use crate::strategy;

/// How long a new version takes to come up at least, beside its bakes.
const STARTUP_TIME: Duration = Duration::from_secs(60);

/// The part of `timeout` that is kept for a rollback: a quarter, at most ten minutes (invariant I12).
pub(in crate::run) fn rollback_reserve(timeout: Duration) -> Duration {
    (timeout / 4).min(Duration::from_secs(600))
}

/// How long the rollout of a service takes at least: a version comes up, then its bakes and checks; or what its target says,
/// if that is longer. In a short run a version has to come up sooner.
pub(in crate::run) fn min_rollout_time(
    timeout: Duration,
    service: &Service,
    own: Option<Duration>,
) -> Duration {
    let bakes =
        strategy::expected_duration(&service.config.strategy) + max_check_duration(&service.config.verify);
    bakes.max(own.unwrap_or_default()) + STARTUP_TIME.min(timeout / 4)
}

/// Why a rollout that takes `needed` is not begun after `elapsed`: it and a rollback no longer fit into `timeout`.
pub(in crate::run) fn no_time_left(
    timeout: Duration,
    elapsed: Duration,
    service: &str,
    needed: Duration,
) -> Option<Problem> {
    let reserve = rollback_reserve(timeout);
    (elapsed + needed + reserve > timeout).then(|| {
        let sentence = format!(
            "There is no time left for the rollout of `{service}`, so it was not begun: it takes {} or more, and of the {} of \
             this run {} are left, of which {} are reserved for a rollback.",
            HumanDuration(needed),
            HumanDuration(timeout),
            HumanDuration(timeout.saturating_sub(elapsed)),
            HumanDuration(reserve)
        );
        Problem::error(Code::TimedOut, sentence)
            .help("Give the input `timeout` more. An image that was built is in the repository and is not built again.")
    })
}

/// What is wrong with the times of services: bakes that are longer than the run, a warm-up that leaves nothing.
pub(in crate::run) fn problems<'s>(
    timeout: Duration,
    services: impl IntoIterator<Item = &'s Service>,
) -> Vec<Problem> {
    let problems_of = |service: &Service| {
        let found = [bakes_exceed_timeout(timeout, service), warm_up_exceeds_bake(service)];
        found.into_iter().flatten().map(|problem| problem.for_service(&service.name)).collect::<Vec<_>>()
    };
    services.into_iter().flat_map(problems_of).collect()
}

/// Why a target that takes `needed` does not fit into `timeout`.
pub(in crate::run) fn exceeds_timeout(timeout: Duration, service: &str, needed: Duration) -> Option<Problem> {
    let fits = needed.is_zero() || needed + STARTUP_TIME + rollback_reserve(timeout) <= timeout;
    (!fits).then(|| {
        let sentence = format!(
            "The deployment of `{service}` takes {}, and the run has {}, of which {} are reserved for a rollback.",
            HumanDuration(needed),
            HumanDuration(timeout),
            HumanDuration(rollback_reserve(timeout))
        );
        Problem::error(Code::InputInvalid, sentence)
            .help(format!("Give the input `timeout: {}` or more, or a quicker strategy.", sufficient_timeout(needed)))
    })
}

/// The time that suffices: what is kept grows with the time given until it is ten minutes.
fn sufficient_timeout(needed: Duration) -> HumanDuration {
    HumanDuration::from_minutes(
        HumanDuration(needed + STARTUP_TIME + rollback_reserve(Duration::MAX)).ceil_minutes(),
    )
}

fn bakes_exceed_timeout(timeout: Duration, service: &Service) -> Option<Problem> {
    let checks = max_check_duration(&service.config.verify);
    let bakes = strategy::expected_duration(&service.config.strategy) + checks;
    let fits = bakes.is_zero() || bakes + STARTUP_TIME + rollback_reserve(timeout) <= timeout;
    (!fits).then(|| {
        let sentence = format!(
            "The {} of `{}` take {} together, and the run has {}, of which {} are reserved for a rollback.",
            if checks.is_zero() { "bakes" } else { "bakes and checks" },
            service.name,
            HumanDuration(bakes),
            HumanDuration(timeout),
            HumanDuration(rollback_reserve(timeout))
        );
        let needed = sufficient_timeout(bakes);
        Problem::error(Code::InputInvalid, sentence)
            .help(format!("Give the input `timeout: {needed}` or more, or shorter ones."))
    })
}

fn warm_up_exceeds_bake(service: &Service) -> Option<Problem> {
    let (bake, analysis, metrics) = strategy::analysis_config(&service.config.strategy)?;
    let warm_up = analysis.warm_up;
    (!metrics.is_empty() && warm_up.0.0 >= bake).then(|| {
        let sentence = format!(
            "`{}` is watched for {} a share, and its `warm-up` of {} leaves no time to judge.",
            service.name,
            HumanDuration(bake),
            warm_up.0
        );
        Problem::error(Code::ConfigInvalid, sentence)
            .help("Make `bake` longer or `analysis: { warm-up: … }` shorter.")
    })
}

/// The longest that the checks of a service may take together: they are tried at the same time.
fn max_check_duration(checks: &[Check]) -> Duration {
    checks.iter().map(|check| check.within.0).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DeployFile, Placeholders};

    fn problem_texts(timeout: u64, strategy: &str) -> Vec<String> {
        let text = format!(
            "environments: {{ a: {{}} }}\nservices:\n  b: {{ ecs: {{ cluster: c, service: d }}, strategy: {strategy} }}\n"
        );
        let document = DeployFile::parse("f.yml", &text).unwrap();
        let (services, problems) = document.services("a", &[], &["ecs"], &Placeholders::new());
        assert!(problems.is_empty(), "{problems:?}");
        let found = super::problems(Duration::from_secs(timeout * 60), &services);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn bakes_must_fit_into_the_time_given() {
        assert_eq!(problem_texts(60, "canary"), Vec::<String>::new());
        assert_eq!(problem_texts(1, "rolling"), Vec::<String>::new());
        insta::assert_snapshot!(problem_texts(25, "canary")[0], @"The bakes of `b` take 20m together, and the run has 25m, of which 6m15s are reserved for a rollback. Give the input `timeout: 31m` or more, or shorter ones.");
        assert_eq!(problem_texts(60, "linear"), Vec::<String>::new());
        insta::assert_snapshot!(problem_texts(60, "{ linear: { step: 10 } }")[0], @"The bakes of `b` take 50m together, and the run has 1h, of which 10m are reserved for a rollback. Give the input `timeout: 1h1m` or more, or shorter ones.");
        assert_eq!(problem_texts(61, "{ linear: { step: 10 } }"), Vec::<String>::new());
    }

    #[test]
    fn rollout_is_not_begun_when_it_and_a_rollback_no_longer_fit() {
        let at = |timeout: u64, elapsed: u64, needed: u64| {
            let [timeout, elapsed, needed] = [timeout, elapsed, needed].map(Duration::from_secs);
            no_time_left(timeout, elapsed, "b", needed)
        };
        assert_eq!((at(180, 15, 120), at(3600, 2880, 120)), (None, None));
        insta::assert_snapshot!(at(180, 75, 105).unwrap(), @"There is no time left for the rollout of `b`, so it was not begun: it takes 1m45s or more, and of the 3m of this run 1m45s are left, of which 45s are reserved for a rollback. Give the input `timeout` more. An image that was built is in the repository and is not built again.");
        assert!(at(3600, 2881, 120).is_some() && at(60, 90, 15).is_some());
    }

    #[test]
    fn a_warm_up_must_leave_something() {
        insta::assert_snapshot!(problem_texts(60, "{ canary: { bake: 3m, metrics: [5xx] } }")[0], @"`b` is watched for 3m a share, and its `warm-up` of 3m leaves no time to judge. Make `bake` longer or `analysis: { warm-up: … }` shorter.");
        assert_eq!(problem_texts(60, "{ canary: { bake: 3m } }"), Vec::<String>::new());
    }
}

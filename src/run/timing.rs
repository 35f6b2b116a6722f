//! Whether a release can be over in the time that was given: said before any change. Pure.

use std::time::Duration;

use super::checks;
use crate::config::Service;
use crate::problem::{Code, Problem};
use crate::release::Span;
use crate::strategy;

/// How long a new version takes to come up at least, beside its bakes.
const ARRIVAL: Duration = Duration::from_secs(60);

/// How much of the time given is kept for the way back: a quarter, at most ten minutes (invariant I12).
pub(super) fn reserve(timeout: Duration) -> Duration {
    (timeout / 4).min(Duration::from_secs(600))
}

/// What is wrong with the times of services: bakes that are longer than the run, a warm-up that leaves nothing.
pub(super) fn problems(timeout: Duration, services: &[Service]) -> Vec<Problem> {
    let of = |service: &Service| {
        let found = [too_long(timeout, service), too_short(service)];
        found.into_iter().flatten().map(|problem| problem.of(&service.name)).collect::<Vec<_>>()
    };
    services.iter().flat_map(of).collect()
}

/// Why a place that takes `needed` to bring a version in cannot be waited for.
pub(super) fn too_slow(timeout: Duration, service: &str, needed: Duration) -> Option<Problem> {
    let fits = needed.is_zero() || needed + ARRIVAL + reserve(timeout) <= timeout;
    (!fits).then(|| {
        let sentence = format!(
            "The deployment of `{service}` takes {}, and the run has {}, of which {} are kept for the way back.",
            Span(needed),
            Span(timeout),
            Span(reserve(timeout))
        );
        Problem::error(Code::InputInvalid, sentence)
            .help(format!("Give the input `timeout: {}` or more, or a quicker strategy.", enough(needed)))
    })
}

/// The time that suffices: what is kept grows with the time given until it is ten minutes.
fn enough(needed: Duration) -> Span {
    Span::minutes(Span(needed + ARRIVAL + reserve(Duration::MAX)).whole_minutes())
}

fn too_long(timeout: Duration, service: &Service) -> Option<Problem> {
    let checks = checks::longest(&service.common.verify);
    let bakes = strategy::expected(&service.common.strategy) + checks;
    let fits = bakes.is_zero() || bakes + ARRIVAL + reserve(timeout) <= timeout;
    (!fits).then(|| {
        let sentence = format!(
            "The {} of `{}` take {} together, and the run has {}, of which {} are kept for the way back.",
            if checks.is_zero() { "bakes" } else { "bakes and checks" },
            service.name,
            Span(bakes),
            Span(timeout),
            Span(reserve(timeout))
        );
        let needed = enough(bakes);
        Problem::error(Code::InputInvalid, sentence)
            .help(format!("Give the input `timeout: {needed}` or more, or shorter ones."))
    })
}

fn too_short(service: &Service) -> Option<Problem> {
    let (bake, analysis, metrics) = strategy::analysed(&service.common.strategy)?;
    let warm_up = analysis.warm_up;
    (!metrics.is_empty() && warm_up.0.0 >= bake).then(|| {
        let sentence = format!(
            "`{}` is watched for {} a share, and its `warm-up` of {} leaves nothing of that to judge.",
            service.name,
            Span(bake),
            warm_up.0
        );
        Problem::error(Code::ConfigInvalid, sentence)
            .help("Make `bake` longer or `analysis: { warm-up: … }` shorter.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Document, Placeholders};

    fn found(timeout: u64, strategy: &str) -> Vec<String> {
        let text = format!(
            "environments: {{ a: {{}} }}\nservices:\n  b: {{ ecs: {{ cluster: c, service: d }}, strategy: {strategy} }}\n"
        );
        let document = Document::parse("f.yml", &text).unwrap();
        let (services, problems) = document.services("a", &[], &["ecs"], &Placeholders::new());
        assert!(problems.is_empty(), "{problems:?}");
        let found = super::problems(Duration::from_secs(timeout * 60), &services);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn bakes_must_fit_into_the_time_given() {
        assert_eq!(found(60, "canary"), Vec::<String>::new());
        assert_eq!(found(1, "rolling"), Vec::<String>::new());
        insta::assert_snapshot!(found(25, "canary")[0], @"The bakes of `b` take 20m together, and the run has 25m, of which 6m15s are kept for the way back. Give the input `timeout: 31m` or more, or shorter ones.");
        assert_eq!(found(60, "linear"), Vec::<String>::new());
        insta::assert_snapshot!(found(60, "{ linear: { step: 10 } }")[0], @"The bakes of `b` take 50m together, and the run has 1h, of which 10m are kept for the way back. Give the input `timeout: 1h1m` or more, or shorter ones.");
        assert_eq!(found(61, "{ linear: { step: 10 } }"), Vec::<String>::new());
    }

    #[test]
    fn a_warm_up_must_leave_something() {
        insta::assert_snapshot!(found(60, "{ canary: { bake: 3m, metrics: [5xx] } }")[0], @"`b` is watched for 3m a share, and its `warm-up` of 3m leaves nothing of that to judge. Make `bake` longer or `analysis: { warm-up: … }` shorter.");
        assert_eq!(found(60, "{ canary: { bake: 3m } }"), Vec::<String>::new());
    }
}

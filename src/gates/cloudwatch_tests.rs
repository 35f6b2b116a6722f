//! What an answer of CloudWatch says of each minute, and what it does not say.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{MessageData, MetricDataResult, StatusCode};
use aws_smithy_types::DateTime;
use jiff::Timestamp;
use proptest::prelude::*;

use super::cloudwatch::{answers, minutes, queries};
use super::window::Window;
use crate::config::{Latency, Metric, Milliseconds, Nothing};
use crate::problem::Code;
use crate::release::{Arm, Arms, Version};
use crate::strategy::judge::{Count, Minute};

const ERRORS: Metric = Metric::Errors(Nothing {});

fn latency(ms: u32) -> Metric {
    Metric::Latency(Latency { over_ms: Milliseconds(ms) })
}

fn arms() -> Arms {
    let arm = |name: &str| Arm {
        version: Version { id: name.into(), label: name.into() },
        labels: BTreeMap::from([
            ("TargetGroup".into(), format!("targetgroup/{name}/1")),
            ("LoadBalancer".into(), "app/web/2".into()),
        ]),
    };
    Arms { canary: arm("green"), baseline: arm("blue") }
}

/// Minutes that begin at 600, 660, … and are closed.
fn window(count: i64) -> Window {
    let at = |second| Timestamp::from_second(second).unwrap();
    Window::between(at(600), at(600 + count * 60 + 120))
}

fn result(id: &str, status: StatusCode, points: &[(i64, f64)]) -> MetricDataResult {
    MetricDataResult::builder()
        .id(id)
        .status_code(status)
        .set_timestamps(Some(points.iter().map(|(at, _)| DateTime::from_secs(*at)).collect()))
        .set_values(Some(points.iter().map(|(_, value)| *value).collect()))
        .build()
}

fn whole(id: &str, points: &[(i64, f64)]) -> MetricDataResult {
    result(id, StatusCode::Complete, points)
}

fn of(results: &[MetricDataResult], metric: &Metric, count: i64) -> Vec<Minute> {
    minutes(&answers(results).unwrap(), metric, &window(count))
}

fn count(total: u64, bad: u64) -> Option<Count> {
    Some(Count { total, bad })
}

#[test]
fn one_request_asks_for_everything_once() {
    let metrics = [ERRORS, latency(300), latency(1000), latency(300)];
    let all = queries(&metrics, Some(&arms())).unwrap();
    let shown: Vec<String> = all
        .iter()
        .map(|query| {
            let stat = query.metric_stat().unwrap();
            let metric = stat.metric().unwrap();
            let group = metric.dimensions()[0].value().unwrap();
            format!(
                "{} {} {} {group}",
                query.id().unwrap(),
                metric.metric_name().unwrap(),
                stat.stat().unwrap()
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    c_requests RequestCount Sum targetgroup/green/1
    c_errors HTTPCode_Target_5XX_Count Sum targetgroup/green/1
    c_within_300 TargetResponseTime PR(:0.3) targetgroup/green/1
    c_within_1000 TargetResponseTime PR(:1) targetgroup/green/1
    b_requests RequestCount Sum targetgroup/blue/1
    b_errors HTTPCode_Target_5XX_Count Sum targetgroup/blue/1
    b_within_300 TargetResponseTime PR(:0.3) targetgroup/blue/1
    b_within_1000 TargetResponseTime PR(:1) targetgroup/blue/1
    ");
}

#[test]
fn without_labels_nothing_is_asked() {
    assert_eq!(queries(&[ERRORS], None).unwrap_err().code, Code::MetricsUnreadable);
    let mut blind = arms();
    blind.baseline.labels.remove("LoadBalancer");
    assert_eq!(queries(&[ERRORS], Some(&blind)).unwrap_err().code, Code::MetricsUnreadable);
    assert_eq!(queries(&[], None), Ok(Vec::new()));
}

#[test]
fn errors_that_are_not_there_are_none_only_where_requests_are() {
    let results = [
        whole("c_requests", &[(600, 10.0), (720, 12.0)]),
        whole("c_errors", &[(600, 2.0), (660, 1.0)]),
        whole("b_requests", &[(720, 90.0), (660, 80.0), (600, 100.0)]),
        whole("b_errors", &[]),
    ];
    let expected = [
        Minute { canary: count(10, 2), baseline: count(100, 0) },
        Minute { canary: None, baseline: count(80, 0) },
        Minute { canary: count(12, 0), baseline: count(90, 0) },
    ];
    assert_eq!(of(&results, &ERRORS, 3), expected);
    assert!(of(&results[..3], &ERRORS, 3).iter().all(|minute| minute.baseline.is_none()), "not even asked");
}

#[test]
fn slow_requests_are_counted_by_their_rank() {
    let results = [
        whole("c_requests", &[(600, 200.0), (660, 10.0), (720, 0.0), (780, 10.0)]),
        whole("c_within_300", &[(600, 97.5), (780, 120.0)]),
    ];
    let canary: Vec<_> = of(&results, &latency(300), 4).iter().map(|minute| minute.canary).collect();
    assert_eq!(canary, [count(200, 5), None, count(0, 0), None]);
}

#[test]
fn an_answer_that_is_not_whole_says_nothing_of_any_minute() {
    for status in [StatusCode::PartialData, StatusCode::InternalError, StatusCode::from("New")] {
        for partial in ["c_requests", "c_errors"] {
            let status_of = |id: &str| if id == partial { status.clone() } else { StatusCode::Complete };
            let results = [
                result("c_requests", status_of("c_requests"), &[(600, 10.0)]),
                result("c_errors", status_of("c_errors"), &[(600, 1.0)]),
            ];
            assert_eq!(of(&results, &ERRORS, 1), [Minute::default()], "{status:?} {partial}");
        }
    }
}

#[test]
fn pages_of_one_query_are_put_together() {
    let results = [
        result("c_requests", StatusCode::PartialData, &[(600, 10.0)]),
        whole("c_requests", &[(660, 11.0)]),
        whole("c_errors", &[]),
    ];
    let canary: Vec<_> = of(&results, &ERRORS, 2).iter().map(|minute| minute.canary).collect();
    assert_eq!(canary, [count(10, 0), count(11, 0)]);
}

#[test]
fn a_refusal_inside_of_a_success_is_one() {
    let message = MessageData::builder().code("Forbidden").value("not authorized").build();
    let refused = MetricDataResult::builder()
        .id("c_errors")
        .status_code(StatusCode::Forbidden)
        .messages(message)
        .build();
    let problem = answers(&[whole("c_requests", &[(600, 1.0)]), refused]).unwrap_err();
    assert_eq!(problem.code, Code::PermissionMissing);
    assert_eq!(problem.cause.as_deref(), Some("Forbidden: not authorized"));
}

proptest! {
    /// Invariant I5: whatever numbers come back, a minute is either a possible count or nothing.
    #[test]
    fn no_answer_makes_a_count_that_cannot_be(
        total in prop_oneof![any::<f64>(), 0.0..1e6],
        bad in prop_oneof![any::<f64>(), 0.0..1e6],
        within in prop_oneof![any::<f64>(), 0.0..100.0],
        complete in any::<bool>(),
    ) {
        let status = if complete { StatusCode::Complete } else { StatusCode::PartialData };
        let results = [
            result("c_requests", status, &[(600, total)]),
            whole("c_errors", &[(600, bad)]),
            whole("c_within_300", &[(600, within)]),
        ];
        for metric in [ERRORS, latency(300)] {
            let minute = of(&results, &metric, 1)[0];
            prop_assert_eq!(minute.baseline, None);
            if let Some(count) = minute.canary {
                prop_assert!(complete && count.bad <= count.total && total.is_finite() && total >= 0.0);
            }
        }
    }
}

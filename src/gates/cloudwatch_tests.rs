//! The counts of each minute in a response of CloudWatch, and the missing ones.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{MessageData, MetricDataResult, StatusCode};
use aws_smithy_types::DateTime;
use jiff::Timestamp;
use proptest::prelude::*;

use super::cloudwatch::{build_queries, minute_counts, parse_results};
use super::window::AnalysisWindow;
use crate::config::{Latency, Metric, Milliseconds, NoOptions};
use crate::problem::Code;
use crate::release::{Variant, Variants, Version};
use crate::strategy::judge::{Count, Minute};

const ERRORS: Metric = Metric::Errors(NoOptions {});

fn latency(ms: u32) -> Metric {
    Metric::Latency(Latency { over_ms: Milliseconds(ms) })
}

fn variants() -> Variants {
    let variant = |name: &str| Variant {
        version: Version { id: name.into(), label: name.into() },
        labels: BTreeMap::from([
            ("TargetGroup".into(), format!("targetgroup/{name}/1")),
            ("LoadBalancer".into(), "app/web/2".into()),
        ]),
    };
    Variants { canary: variant("green"), baseline: variant("blue") }
}

/// Minutes that begin at 600, 660, … and are closed.
fn window(count: i64) -> AnalysisWindow {
    let at = |second| Timestamp::from_second(second).unwrap();
    AnalysisWindow::from_range(at(600), at(600 + count * 60 + 120))
}

fn result(id: &str, status: StatusCode, points: &[(i64, f64)]) -> MetricDataResult {
    MetricDataResult::builder()
        .id(id)
        .status_code(status)
        .set_timestamps(Some(points.iter().map(|(at, _)| DateTime::from_secs(*at)).collect()))
        .set_values(Some(points.iter().map(|(_, value)| *value).collect()))
        .build()
}

fn complete_result(id: &str, points: &[(i64, f64)]) -> MetricDataResult {
    result(id, StatusCode::Complete, points)
}

fn minutes_of(results: &[MetricDataResult], metric: &Metric, count: i64) -> Vec<Minute> {
    minute_counts(&parse_results(results).unwrap(), metric, &window(count))
}

fn count(total: u64, bad: u64) -> Option<Count> {
    Some(Count { total, bad })
}

#[test]
fn build_queries_fits_all_metrics_in_one_request() {
    let metrics = [ERRORS, latency(300), latency(1000), latency(300)];
    let all = build_queries(&metrics, Some(&variants())).unwrap();
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
fn build_queries_without_labels_is_error() {
    assert_eq!(build_queries(&[ERRORS], None).unwrap_err().code, Code::MetricsUnreadable);
    let mut blind = variants();
    blind.baseline.labels.remove("LoadBalancer");
    assert_eq!(build_queries(&[ERRORS], Some(&blind)).unwrap_err().code, Code::MetricsUnreadable);
    assert_eq!(build_queries(&[], None), Ok(Vec::new()));
}

#[test]
fn missing_errors_are_zero_only_in_minutes_with_requests() {
    let results = [
        complete_result("c_requests", &[(600, 10.0), (720, 12.0)]),
        complete_result("c_errors", &[(600, 2.0), (660, 1.0)]),
        complete_result("b_requests", &[(720, 90.0), (660, 80.0), (600, 100.0)]),
        complete_result("b_errors", &[]),
    ];
    let expected = [
        Minute { canary: count(10, 2), baseline: count(100, 0) },
        Minute { canary: None, baseline: count(80, 0) },
        Minute { canary: count(12, 0), baseline: count(90, 0) },
    ];
    assert_eq!(minutes_of(&results, &ERRORS, 3), expected);
    assert!(
        minutes_of(&results[..3], &ERRORS, 3).iter().all(|minute| minute.baseline.is_none()),
        "not even asked"
    );
}

#[test]
fn slow_requests_are_counted_by_percentile_rank() {
    let results = [
        complete_result("c_requests", &[(600, 200.0), (660, 10.0), (720, 0.0), (780, 10.0)]),
        complete_result("c_within_300", &[(600, 97.5), (780, 120.0)]),
    ];
    let canary: Vec<_> = minutes_of(&results, &latency(300), 4).iter().map(|minute| minute.canary).collect();
    assert_eq!(canary, [count(200, 5), None, count(0, 0), None]);
}

#[test]
fn partial_result_gives_no_minute() {
    for status in [StatusCode::PartialData, StatusCode::InternalError, StatusCode::from("New")] {
        for partial in ["c_requests", "c_errors"] {
            let status_of = |id: &str| if id == partial { status.clone() } else { StatusCode::Complete };
            let results = [
                result("c_requests", status_of("c_requests"), &[(600, 10.0)]),
                result("c_errors", status_of("c_errors"), &[(600, 1.0)]),
            ];
            assert_eq!(minutes_of(&results, &ERRORS, 1), [Minute::default()], "{status:?} {partial}");
        }
    }
}

#[test]
fn result_pages_of_one_query_are_merged() {
    let results = [
        result("c_requests", StatusCode::PartialData, &[(600, 10.0)]),
        complete_result("c_requests", &[(660, 11.0)]),
        complete_result("c_errors", &[]),
    ];
    let canary: Vec<_> = minutes_of(&results, &ERRORS, 2).iter().map(|minute| minute.canary).collect();
    assert_eq!(canary, [count(10, 0), count(11, 0)]);
}

#[test]
fn forbidden_status_in_a_result_is_error() {
    let message = MessageData::builder().code("Forbidden").value("not authorized").build();
    let refused = MetricDataResult::builder()
        .id("c_errors")
        .status_code(StatusCode::Forbidden)
        .messages(message)
        .build();
    let problem = parse_results(&[complete_result("c_requests", &[(600, 1.0)]), refused]).unwrap_err();
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
            complete_result("c_errors", &[(600, bad)]),
            complete_result("c_within_300", &[(600, within)]),
        ];
        for metric in [ERRORS, latency(300)] {
            let minute = minutes_of(&results, &metric, 1)[0];
            prop_assert_eq!(minute.baseline, None);
            if let Some(count) = minute.canary {
                prop_assert!(complete && count.bad <= count.total && total.is_finite() && total >= 0.0);
            }
        }
    }
}

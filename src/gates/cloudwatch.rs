//! Counts from the metrics of an Application Load Balancer: the queries, and the counts of each minute in the response.
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html>

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatch::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatch::types::{
    Dimension, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};
use aws_smithy_types::DateTime;

use super::window::{AnalysisWindow, IngestionLag};
use crate::config::Metric;
use crate::problem::{Code, Problem};
use crate::release::{Variant, Variants};
use crate::strategy::judge::{Count, Minute};
use crate::sys::network;
use crate::sys::sdk_error::sdk_error_text;

/// The last one or two minutes are incomplete in CloudWatch.
pub const LAG: IngestionLag = IngestionLag(Duration::from_secs(120));
/// Maximum queries of one request.
pub const MAX_QUERIES: usize = 500;
/// Maximum pages of a response; a day of minutes is one.
const MAX_PAGES: usize = 10;
const NAMESPACE: &str = "AWS/ApplicationELB";

/// The points of one query by the second at which their minute begins; `None` if the response was incomplete.
pub type QueryResults = BTreeMap<String, Option<BTreeMap<i64, f64>>>;

/// The queries for both versions. An error if the target cannot tell their traffic apart.
pub fn build_queries(
    metrics: &[Metric],
    variants: Option<&Variants>,
) -> Result<Vec<MetricDataQuery>, Problem> {
    let wanted = metrics.iter().any(|metric| matches!(metric, Metric::Errors(_) | Metric::Latency(_)));
    if !wanted {
        return Ok(Vec::new());
    }
    let variants = variants.ok_or_else(no_labels_problem)?;
    let mut queries = Vec::new();
    for (prefix, variant) in [('c', &variants.canary), ('b', &variants.baseline)] {
        queries.push(build_query(format!("{prefix}_requests"), variant, "RequestCount", "Sum")?);
        queries.push(build_query(format!("{prefix}_errors"), variant, "HTTPCode_Target_5XX_Count", "Sum")?);
        for limit in latency_limits(metrics) {
            queries.push(build_query(
                format!("{prefix}_within_{limit}"),
                variant,
                "TargetResponseTime",
                &percentile_rank(limit),
            )?);
        }
    }
    if queries.len() > MAX_QUERIES {
        return Err(unreadable_problem(format!(
            "{} queries exceed the limit of {MAX_QUERIES} in one request",
            queries.len()
        )));
    }
    Ok(queries)
}

/// The queries for the traffic of a service, whichever of its variants serves it.
pub fn build_traffic_queries(variants: &[Variant]) -> Result<Vec<MetricDataQuery>, Problem> {
    let mut queries = Vec::new();
    for (index, variant) in variants.iter().enumerate().take(MAX_QUERIES / 2) {
        queries.push(build_query(format!("a{index}_requests"), variant, "RequestCount", "Sum")?);
        queries.push(build_query(format!("a{index}_errors"), variant, "HTTPCode_Target_5XX_Count", "Sum")?);
    }
    Ok(queries)
}

/// The limits of all latency metrics, in milliseconds, each once.
fn latency_limits(metrics: &[Metric]) -> Vec<u32> {
    let mut limits: Vec<u32> = metrics
        .iter()
        .filter_map(|metric| match metric {
            Metric::Latency(latency) => Some(latency.over_ms.0),
            _ => None,
        })
        .collect();
    limits.sort_unstable();
    limits.dedup();
    limits
}

/// The percentile rank of a limit: the percentage of requests that took that long or less.
fn percentile_rank(limit_ms: u32) -> String {
    format!("PR(:{})", f64::from(limit_ms) / 1000.0)
}

fn build_query(id: String, variant: &Variant, metric: &str, stat: &str) -> Result<MetricDataQuery, Problem> {
    let dimension = |name: &str| {
        let value = variant.labels.get(name).ok_or_else(no_labels_problem);
        value.map(|value| Dimension::builder().name(name).value(value).build())
    };
    let metric = aws_sdk_cloudwatch::types::Metric::builder()
        .namespace(NAMESPACE)
        .metric_name(metric)
        .dimensions(dimension("TargetGroup")?)
        .dimensions(dimension("LoadBalancer")?)
        .build();
    let stat = MetricStat::builder().metric(metric).period(60).stat(stat).build();
    Ok(MetricDataQuery::builder().id(id).metric_stat(stat).build())
}

/// Sends all queries in one request.
pub async fn get_metric_data(
    client: &aws_sdk_cloudwatch::Client,
    queries: Vec<MetricDataQuery>,
    window: &AnalysisWindow,
) -> Result<QueryResults, Problem> {
    let Some((from, to)) = window.bounds(LAG) else { return Ok(QueryResults::new()) };
    let (mut results, mut next) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let call = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.clone()))
            .start_time(DateTime::from_secs(from))
            .end_time(DateTime::from_secs(to))
            .scan_by(ScanBy::TimestampAscending)
            .set_next_token(next.take());
        let response = call.send().await.map_err(|error| match error.code() {
            Some(code) => refused_problem(code, error.message().unwrap_or_default()),
            None => {
                let text = sdk_error_text("cloudwatch:GetMetricData", &error);
                network::explain(&error, unreadable_problem(text))
            }
        })?;
        results.extend_from_slice(response.metric_data_results());
        next = response.next_token().map(str::to_owned);
        if next.is_none() {
            return parse_results(&results);
        }
    }
    Err(unreadable_problem(format!("the response has more than {MAX_PAGES} pages")))
}

fn refused_problem(code: &str, message: &str) -> Problem {
    let cause = format!("{code}: {message}");
    if code.starts_with("AccessDenied") {
        return permission_problem(cause);
    }
    let problem = unreadable_problem(cause);
    if code.starts_with("Validation") && message.contains("PR(") {
        return problem.help(
            "CloudWatch rejects percentile ranks here. Compare latency with the metric `prometheus` instead.",
        );
    }
    problem
}

fn permission_problem(cause: String) -> Problem {
    Problem::error(Code::PermissionMissing, "The permission cloudwatch:GetMetricData is missing.")
        .cause(cause)
        .help("Add it to the policy of the role.")
}

fn unreadable_problem(cause: String) -> Problem {
    Problem::error(Code::MetricsUnreadable, "The metrics of the load balancer could not be read.")
        .cause(cause)
}

fn no_labels_problem() -> Problem {
    let cause = "the target does not tell the traffic of the two versions apart";
    unreadable_problem(cause.into()).help(
        "Give each version its own target group behind an Application Load Balancer: the metrics `5xx` and `latency` need it.",
    )
}

/// The pages of a response as points. A success can contain an error.
pub fn parse_results(results: &[MetricDataResult]) -> Result<QueryResults, Problem> {
    let mut all: BTreeMap<String, (BTreeMap<i64, f64>, bool)> = BTreeMap::new();
    for result in results {
        let message = || {
            let texts = result.messages().iter().filter_map(|message| message.value());
            texts.collect::<Vec<_>>().join("; ")
        };
        let status = result.status_code();
        if status == Some(&StatusCode::Forbidden) {
            return Err(permission_problem(format!("Forbidden: {}", message())));
        }
        let (points, whole) = all.entry(result.id().unwrap_or_default().to_owned()).or_default();
        // The last page has the overall status.
        *whole = status == Some(&StatusCode::Complete) && result.timestamps().len() == result.values().len();
        for (at, value) in result.timestamps().iter().zip(result.values()) {
            points.insert(at.secs().div_euclid(60) * 60, *value);
        }
    }
    Ok(all.into_iter().map(|(id, (points, whole))| (id, whole.then_some(points))).collect())
}

fn data_point(results: &QueryResults, id: &str, at: i64) -> Option<f64> {
    results.get(id)?.as_ref()?.get(&at).copied()
}

/// The counts of a metric in each minute of a window.
pub fn minute_counts(results: &QueryResults, metric: &Metric, window: &AnalysisWindow) -> Vec<Minute> {
    super::pair_minutes(window, LAG, |canary, at| {
        minute_count(results, metric, if canary { 'c' } else { 'b' }, at)
    })
}

fn minute_count(results: &QueryResults, metric: &Metric, variant: char, at: i64) -> Option<Count> {
    let total = data_point(results, &format!("{variant}_requests"), at)?;
    match metric {
        Metric::Errors(_) => Count::from_numbers(total, minute_errors(results, variant, at)?),
        Metric::Latency(latency) if total > 0.0 => {
            let within = data_point(results, &format!("{variant}_within_{}", latency.over_ms.0), at)?;
            let readable = (0.0..=100.0).contains(&within);
            readable.then(|| Count::from_numbers(total, (total * (1.0 - within / 100.0)).round())).flatten()
        }
        Metric::Latency(_) => Count::from_numbers(total, 0.0),
        Metric::Prometheus(_) | Metric::Probe(_) => None,
    }
}

/// Errors of a minute that has requests: CloudWatch has no point if there were none. If the whole query
/// has no result, nothing is known.
fn minute_errors(results: &QueryResults, variant: char, at: i64) -> Option<f64> {
    let points = results.get(&format!("{variant}_errors"))?.as_ref()?;
    Some(points.get(&at).copied().unwrap_or(0.0))
}

/// Requests and errors of a service, summed; `None` if nothing was counted.
pub fn sum_traffic(results: &QueryResults) -> Option<(f64, f64)> {
    let sum = |what: &str| {
        let points =
            results.iter().filter(|(id, _)| id.ends_with(what)).filter_map(|(_, points)| points.as_ref());
        let readable = points.flat_map(BTreeMap::values).filter(|value| value.is_finite() && **value >= 0.0);
        readable.copied().reduce(|sum, value| sum + value)
    };
    Some((sum("_requests")?, sum("_errors").unwrap_or(0.0)))
}

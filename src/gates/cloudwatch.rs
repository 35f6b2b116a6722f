//! Counts from the metrics of an Application Load Balancer: what is asked, and what the answer says of each minute.
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html>

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatch::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatch::types::{
    Dimension, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};
use aws_smithy_types::DateTime;
use aws_smithy_types::error::display::DisplayErrorContext;

use super::window::{Span, Window};
use crate::config::Metric;
use crate::problem::{Code, Problem};
use crate::release::{Arm, Arms};
use crate::strategy::judge::{Count, Minute};

/// The last one or two minutes are incomplete in CloudWatch.
pub const LAG: Span = Span(Duration::from_secs(120));
/// Queries that one request may hold.
pub const MOST: usize = 500;
/// Pages of an answer that are read; a day of minutes is one.
const PAGES: usize = 10;
const NAMESPACE: &str = "AWS/ApplicationELB";

/// The points of one query by the second at which their minute begins; `None` where the answer was not whole.
pub type Answers = BTreeMap<String, Option<BTreeMap<i64, f64>>>;

/// What is asked about both versions. Errors where the place does not tell their traffic apart.
pub fn queries(metrics: &[Metric], arms: Option<&Arms>) -> Result<Vec<MetricDataQuery>, Problem> {
    let wanted = metrics.iter().any(|metric| matches!(metric, Metric::Errors(_) | Metric::Latency(_)));
    if !wanted {
        return Ok(Vec::new());
    }
    let arms = arms.ok_or_else(unlabelled)?;
    let mut queries = Vec::new();
    for (prefix, arm) in [('c', &arms.canary), ('b', &arms.baseline)] {
        queries.push(query(format!("{prefix}_requests"), arm, "RequestCount", "Sum")?);
        queries.push(query(format!("{prefix}_errors"), arm, "HTTPCode_Target_5XX_Count", "Sum")?);
        for limit in limits(metrics) {
            queries.push(query(format!("{prefix}_within_{limit}"), arm, "TargetResponseTime", &rank(limit))?);
        }
    }
    if queries.len() > MOST {
        return Err(unreadable(format!("{} queries are more than the {MOST} of one request", queries.len())));
    }
    Ok(queries)
}

/// What is asked about the traffic of a service, whichever of its arms it goes through.
pub fn traffic_queries(arms: &[Arm]) -> Result<Vec<MetricDataQuery>, Problem> {
    let mut queries = Vec::new();
    for (index, arm) in arms.iter().enumerate().take(MOST / 2) {
        queries.push(query(format!("a{index}_requests"), arm, "RequestCount", "Sum")?);
        queries.push(query(format!("a{index}_errors"), arm, "HTTPCode_Target_5XX_Count", "Sum")?);
    }
    Ok(queries)
}

/// The limits of all latency metrics, in milliseconds, each once.
fn limits(metrics: &[Metric]) -> Vec<u32> {
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

/// The percentile rank of a limit: how many percent of the requests took that long or less.
fn rank(limit_ms: u32) -> String {
    format!("PR(:{})", f64::from(limit_ms) / 1000.0)
}

fn query(id: String, arm: &Arm, metric: &str, stat: &str) -> Result<MetricDataQuery, Problem> {
    let dimension = |name: &str| {
        let value = arm.labels.get(name).ok_or_else(unlabelled);
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

/// Asks for all of it at once.
pub async fn read(
    client: &aws_sdk_cloudwatch::Client,
    queries: Vec<MetricDataQuery>,
    window: &Window,
) -> Result<Answers, Problem> {
    let Some((from, to)) = window.bounds(LAG) else { return Ok(Answers::new()) };
    let (mut results, mut next) = (Vec::new(), None);
    for _ in 0..PAGES {
        let call = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.clone()))
            .start_time(DateTime::from_secs(from))
            .end_time(DateTime::from_secs(to))
            .scan_by(ScanBy::TimestampAscending)
            .set_next_token(next.take());
        let answer = call.send().await.map_err(|error| match error.code() {
            Some(code) => refused(code, error.message().unwrap_or_default()),
            None => unreadable(DisplayErrorContext(&error).to_string()),
        })?;
        results.extend_from_slice(answer.metric_data_results());
        next = answer.next_token().map(str::to_owned);
        if next.is_none() {
            return answers(&results);
        }
    }
    Err(unreadable(format!("the answer has more than {PAGES} pages")))
}

fn refused(code: &str, message: &str) -> Problem {
    let cause = format!("{code}: {message}");
    if code.starts_with("AccessDenied") {
        return forbidden(cause);
    }
    let problem = unreadable(cause);
    if code.starts_with("Validation") && message.contains("PR(") {
        return problem
            .help("Percentile ranks are refused here: compare latency by the metric `prometheus` instead.");
    }
    problem
}

fn forbidden(cause: String) -> Problem {
    Problem::error(Code::PermissionMissing, "The permission cloudwatch:GetMetricData is missing.")
        .cause(cause)
        .help("Add it to the policy of the role.")
}

fn unreadable(cause: String) -> Problem {
    Problem::error(Code::MetricsUnreadable, "The metrics of the load balancer could not be read.")
        .cause(cause)
}

fn unlabelled() -> Problem {
    let cause = "the place does not say which traffic is whose";
    unreadable(cause.into()).help(
        "The metrics `5xx` and `latency` need a target group for each version behind an Application Load Balancer.",
    )
}

/// The pages of an answer as points. A refusal can stand inside of a success.
pub fn answers(results: &[MetricDataResult]) -> Result<Answers, Problem> {
    let mut all: BTreeMap<String, (BTreeMap<i64, f64>, bool)> = BTreeMap::new();
    for result in results {
        let said = || {
            let texts = result.messages().iter().filter_map(|message| message.value());
            texts.collect::<Vec<_>>().join("; ")
        };
        let status = result.status_code();
        if status == Some(&StatusCode::Forbidden) {
            return Err(forbidden(format!("Forbidden: {}", said())));
        }
        let (points, whole) = all.entry(result.id().unwrap_or_default().to_owned()).or_default();
        // The last page tells whether all of it came.
        *whole = status == Some(&StatusCode::Complete) && result.timestamps().len() == result.values().len();
        for (at, value) in result.timestamps().iter().zip(result.values()) {
            points.insert(at.secs().div_euclid(60) * 60, *value);
        }
    }
    Ok(all.into_iter().map(|(id, (points, whole))| (id, whole.then_some(points))).collect())
}

fn point(answers: &Answers, id: &str, at: i64) -> Option<f64> {
    answers.get(id)?.as_ref()?.get(&at).copied()
}

/// What the answers say of a metric in each minute of a window.
pub fn minutes(answers: &Answers, metric: &Metric, window: &Window) -> Vec<Minute> {
    super::beside(window, LAG, |canary, at| count(answers, metric, if canary { 'c' } else { 'b' }, at))
}

fn count(answers: &Answers, metric: &Metric, arm: char, at: i64) -> Option<Count> {
    let total = point(answers, &format!("{arm}_requests"), at)?;
    match metric {
        Metric::Errors(_) => Count::read(total, errors(answers, arm, at)?),
        Metric::Latency(latency) if total > 0.0 => {
            let within = point(answers, &format!("{arm}_within_{}", latency.over_ms.0), at)?;
            let readable = (0.0..=100.0).contains(&within);
            readable.then(|| Count::read(total, (total * (1.0 - within / 100.0)).round())).flatten()
        }
        Metric::Latency(_) => Count::read(total, 0.0),
        Metric::Prometheus(_) | Metric::Probe(_) => None,
    }
}

/// Errors of a minute that has requests: CloudWatch has no point where there was none. Where the query as a whole was
/// not answered, nothing is known.
fn errors(answers: &Answers, arm: char, at: i64) -> Option<f64> {
    let points = answers.get(&format!("{arm}_errors"))?.as_ref()?;
    Some(points.get(&at).copied().unwrap_or(0.0))
}

/// Requests and errors of a service, summed; `None` where nothing was counted.
pub fn traffic(answers: &Answers) -> Option<(f64, f64)> {
    let sum = |what: &str| {
        let points =
            answers.iter().filter(|(id, _)| id.ends_with(what)).filter_map(|(_, points)| points.as_ref());
        let readable = points.flat_map(BTreeMap::values).filter(|value| value.is_finite() && **value >= 0.0);
        readable.copied().reduce(|sum, value| sum + value)
    };
    Some((sum("_requests")?, sum("_errors").unwrap_or(0.0)))
}

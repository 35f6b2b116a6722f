//! GetMetricData for the metrics of load balancing: what was published by now, in closed periods, per target group.

use serde_json::{Value, json};

use super::super::faults::Fault;
use super::super::input::{count_field, list_field, paginate, str_field};
use super::super::request::{ServiceError, ServiceResult};
use super::super::world::World;
use super::latency::{self, LatencySample};
use super::stream::{TrafficMinute, TrafficStream, VersionRequests};

/// Most queries of a call, and most values of an answer.
const MAX_QUERIES: usize = 500;
const MAX_VALUES: usize = 100_800;

fn validation_error<T>(words: impl Into<String>) -> Result<T, ServiceError> {
    Err(ServiceError::new("ValidationError", words))
}

/// GetMetricData.
pub fn get_metric_data(world: &World, input: &Value, now: f64) -> ServiceResult {
    let (start, end) = (parse_time(&input["StartTime"])?, parse_time(&input["EndTime"])?);
    if start >= end {
        return validation_error("The parameter StartTime must be less than the parameter EndTime.");
    }
    let queries = list_field(input, "MetricDataQueries");
    if queries.is_empty() || queries.len() > MAX_QUERIES {
        return validation_error("The parameter MetricDataQueries must have between 1 and 500 items.");
    }
    let mut values = Vec::new();
    for (place, query) in queries.iter().enumerate() {
        validate_query(query, &queries[..place])?;
        let wanted = MetricQuery::parse(query)?;
        let mut points = wanted.data_points(world, start, end, now);
        if str_field(input, "ScanBy") != "TimestampAscending" {
            points.reverse();
        }
        if returns_data(query) {
            values.extend(points.into_iter().map(|(at, value)| (place, at, value)));
        }
    }
    let limit = count_field(input, "MaxDatapoints").unwrap_or(MAX_VALUES).min(MAX_VALUES);
    let (values, next) = paginate(values, limit, str_field(input, "NextToken"))
        .ok_or_else(|| ServiceError::new("InvalidNextToken", "The next token specified is invalid."))?;
    let shown = queries.iter().enumerate().filter(|(_, query)| returns_data(query));
    let results: Vec<Value> =
        shown.map(|(place, query)| query_result(world, query, place, &values, next.is_some())).collect();
    Ok(json!({ "MetricDataResults": results, "NextToken": next, "Messages": [] }))
}

fn returns_data(query: &Value) -> bool {
    query["ReturnData"] != false && query["ReturnData"] != "false"
}

/// Epoch seconds; the query protocol writes times as text.
fn parse_time(value: &Value) -> Result<f64, ServiceError> {
    let parsed = match value {
        Value::String(text) => {
            text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond() as f64 / 1000.0)
        }
        other => other.as_f64(),
    };
    parsed.map_or_else(|| validation_error("The parameters StartTime and EndTime are required."), Ok)
}

fn validate_query(query: &Value, earlier: &[Value]) -> Result<(), ServiceError> {
    let id = str_field(query, "Id");
    let valid = id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return validation_error(format!(
            "The value {id} for parameter MetricDataQueries.member.Id is not matching the expected pattern."
        ));
    }
    if earlier.iter().any(|other| str_field(other, "Id") == id) {
        return validation_error("The values for parameter Id in MetricDataQueries are not unique.");
    }
    if !str_field(query, "Expression").is_empty() {
        let message = "the embedded cloud does not model metric math";
        return Err(ServiceError::with_status(501, "NotModelled", message));
    }
    Ok(())
}

/// What a query asks for.
struct MetricQuery {
    metric: String,
    namespace: String,
    group: String,
    balancer: String,
    period: u64,
    stat: Stat,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stat {
    Sum,
    SampleCount,
    Average,
    Percentile(f64),
    PercentileRank(f64, f64),
}

impl MetricQuery {
    fn parse(query: &Value) -> Result<Self, ServiceError> {
        let (asked, metric) = (&query["MetricStat"], &query["MetricStat"]["Metric"]);
        let dimension = |name: &str| {
            let found = list_field(metric, "Dimensions").iter().find(|it| str_field(it, "Name") == name);
            found.map(|it| str_field(it, "Value").to_owned()).unwrap_or_default()
        };
        let period = count_field(asked, "Period").unwrap_or(0) as u64;
        if period == 0 || !period.is_multiple_of(60) {
            return validation_error("The parameter Period must be a multiple of 60.");
        }
        Ok(Self {
            metric: str_field(metric, "MetricName").into(),
            namespace: str_field(metric, "Namespace").into(),
            group: dimension("TargetGroup"),
            balancer: dimension("LoadBalancer"),
            period,
            stat: parse_stat(str_field(asked, "Stat"))?,
        })
    }

    /// Start and value of each period, oldest first. What is not published yet is not there.
    fn data_points(&self, world: &World, start: f64, end: f64, now: f64) -> Vec<(f64, f64)> {
        let known = self.namespace == "AWS/ApplicationELB";
        let stream =
            world.traffic.streams.iter().find(|it| it.balancer.ends_with(&format!("/{}", self.balancer)));
        let (Some(stream), true) = (stream, known && !is_missing(world)) else { return Vec::new() };
        let group = self.target_group(world, stream);
        let from = (start as u64) / 60 * 60;
        let mut periods: Vec<(u64, Vec<&TrafficMinute>)> = Vec::new();
        for (&at, minute) in stream.minutes.range(from..(end.ceil() as u64).max(from)) {
            let period = at / self.period * self.period;
            let whole = is_partial(world) && (at / 60) % 2 == 1;
            if minute.published_at > now || whole {
                continue;
            }
            match periods.last_mut() {
                Some((last, minutes)) if *last == period => minutes.push(minute),
                _ => periods.push((period, vec![minute])),
            }
        }
        let value = |(at, minutes): (u64, Vec<&TrafficMinute>)| {
            Some((at as f64, self.period_value(&group, &minutes)?))
        };
        periods.into_iter().filter_map(value).collect()
    }

    /// The target group's ARN; the other one of the balancer while arms are swapped.
    fn target_group(&self, world: &World, stream: &TrafficStream) -> String {
        let asked = format!(":{}", self.group);
        let swapped = world.faults.list.iter().any(|fault| matches!(fault, Fault::MetricsSwapped(_)));
        let all = stream.minutes.values().flat_map(|minute| minute.groups.keys());
        let other = |arn: &&String| arn.ends_with(&asked) != swapped;
        let found = all.filter(|arn| stream.forwards_to(world, arn)).find(other);
        found.cloned().unwrap_or_default()
    }

    fn period_value(&self, group: &str, minutes: &[&TrafficMinute]) -> Option<f64> {
        if self.metric == "HTTPCode_ELB_5XX_Count" {
            let lost: u64 = minutes.iter().map(|minute| minute.lost_requests).sum();
            return (self.stat == Stat::Sum && self.group.is_empty() && lost > 0).then_some(lost as f64);
        }
        let known: Vec<&Vec<VersionRequests>> =
            minutes.iter().filter_map(|minute| minute.groups.get(group)).collect();
        let parts: Vec<VersionRequests> = known.iter().flat_map(|parts| parts.iter().copied()).collect();
        let times: Vec<LatencySample> = parts.iter().map(|part| part.latency).collect();
        let requests: u64 = times.iter().map(|part| part.requests).sum();
        let bad: u64 = parts.iter().map(|part| part.bad_requests).sum();
        match (self.metric.as_str(), self.stat) {
            // Reported wherever there are targets, and so also when it is zero.
            ("RequestCount", Stat::Sum) => (!known.is_empty()).then_some(requests as f64),
            // Never reported when it is zero.
            ("HTTPCode_Target_5XX_Count", Stat::Sum) => (bad > 0).then_some(bad as f64),
            ("TargetResponseTime", Stat::SampleCount) => (requests > 0).then_some(requests as f64),
            ("TargetResponseTime", Stat::Average) => latency::mean(&times),
            ("TargetResponseTime", Stat::Percentile(percent)) => latency::percentile(&times, percent),
            ("TargetResponseTime", Stat::PercentileRank(from, to)) => {
                latency::percentile_rank(&times, from, to)
            }
            _ => None,
        }
    }
}

/// `Sum`, `SampleCount`, `Average`, `p99.9`, `PR(:0.5)`, `PR(0.5:)`, `PR(0.1:0.5)`.
fn parse_stat(name: &str) -> Result<Stat, ServiceError> {
    let percentile = name.strip_prefix('p').and_then(|it| it.parse::<f64>().ok());
    let range =
        name.strip_prefix("PR(").and_then(|it| it.strip_suffix(')')).and_then(|it| it.split_once(':'));
    let bound = |text: &str, open: f64| if text.is_empty() { Some(open) } else { text.parse::<f64>().ok() };
    let found = match (name, percentile, range) {
        ("Sum", ..) => Some(Stat::Sum),
        ("SampleCount", ..) => Some(Stat::SampleCount),
        ("Average", ..) => Some(Stat::Average),
        (_, Some(percent), _) if (0.0..=100.0).contains(&percent) => Some(Stat::Percentile(percent)),
        (_, _, Some((from, to))) if !(from.is_empty() && to.is_empty()) => {
            bound(from, 0.0).zip(bound(to, f64::INFINITY)).map(|(from, to)| Stat::PercentileRank(from, to))
        }
        _ => None,
    };
    found.map_or_else(
        || validation_error(format!("The value {name} for parameter Stat is not supported.")),
        Ok,
    )
}

fn is_missing(world: &World) -> bool {
    is_forbidden(world) || world.faults.list.iter().any(|fault| matches!(fault, Fault::MetricsMissing(_)))
}

fn is_forbidden(world: &World) -> bool {
    world.faults.list.iter().any(|fault| matches!(fault, Fault::MetricsForbidden(_)))
}

fn is_partial(world: &World) -> bool {
    world.faults.list.iter().any(|fault| matches!(fault, Fault::MetricsPartial(_)))
}

fn query_result(
    world: &World,
    query: &Value,
    place: usize,
    values: &[(usize, f64, f64)],
    more: bool,
) -> Value {
    let own: Vec<&(usize, f64, f64)> = values.iter().filter(|(of, ..)| *of == place).collect();
    let status = match (is_forbidden(world), is_partial(world) || more) {
        (true, _) => "Forbidden",
        (_, true) => "PartialData",
        _ => "Complete",
    };
    let label = if str_field(query, "Label").is_empty() {
        str_field(&query["MetricStat"]["Metric"], "MetricName")
    } else {
        str_field(query, "Label")
    };
    json!({
        "Id": query["Id"], "Label": label, "StatusCode": status,
        "Timestamps": own.iter().map(|(_, at, _)| *at).collect::<Vec<_>>(),
        "Values": own.iter().map(|(.., value)| *value).collect::<Vec<_>>(),
    })
}

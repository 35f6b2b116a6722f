//! GetMetricData for the metrics of load balancing: what was published by now, in closed periods, per target group.

use serde_json::{Value, json};

use super::super::call::{Answer, Refusal};
use super::super::faults::Fault;
use super::super::members::{count, list, page, text};
use super::super::world::World;
use super::model::{Minute, Part, Stream};
use super::spread::{self, Times};

/// Most queries of a call, and most values of an answer.
const QUERIES: usize = 500;
const VALUES: usize = 100_800;

fn invalid<T>(words: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new("ValidationError", words))
}

/// GetMetricData.
pub fn get(world: &World, input: &Value, now: f64) -> Answer {
    let (start, end) = (time(&input["StartTime"])?, time(&input["EndTime"])?);
    if start >= end {
        return invalid("The parameter StartTime must be less than the parameter EndTime.");
    }
    let queries = list(input, "MetricDataQueries");
    if queries.is_empty() || queries.len() > QUERIES {
        return invalid("The parameter MetricDataQueries must have between 1 and 500 items.");
    }
    let mut values = Vec::new();
    for (place, query) in queries.iter().enumerate() {
        check(query, &queries[..place])?;
        let wanted = Wanted::read(query)?;
        let mut points = wanted.points(world, start, end, now);
        if text(input, "ScanBy") != "TimestampAscending" {
            points.reverse();
        }
        if shows(query) {
            values.extend(points.into_iter().map(|(at, value)| (place, at, value)));
        }
    }
    let limit = count(input, "MaxDatapoints").unwrap_or(VALUES).min(VALUES);
    let (values, next) = page(values, limit, text(input, "NextToken"))
        .ok_or_else(|| Refusal::new("InvalidNextToken", "The next token specified is invalid."))?;
    let shown = queries.iter().enumerate().filter(|(_, query)| shows(query));
    let results: Vec<Value> =
        shown.map(|(place, query)| result(world, query, place, &values, next.is_some())).collect();
    Ok(json!({ "MetricDataResults": results, "NextToken": next, "Messages": [] }))
}

fn shows(query: &Value) -> bool {
    query["ReturnData"] != false && query["ReturnData"] != "false"
}

/// Epoch seconds; the query protocol writes times as text.
fn time(value: &Value) -> Result<f64, Refusal> {
    let parsed = match value {
        Value::String(text) => {
            text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond() as f64 / 1000.0)
        }
        other => other.as_f64(),
    };
    parsed.map_or_else(|| invalid("The parameters StartTime and EndTime are required."), Ok)
}

fn check(query: &Value, earlier: &[Value]) -> Result<(), Refusal> {
    let id = text(query, "Id");
    let valid = id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return invalid(format!(
            "The value {id} for parameter MetricDataQueries.member.Id is not matching the expected pattern."
        ));
    }
    if earlier.iter().any(|other| text(other, "Id") == id) {
        return invalid("The values for parameter Id in MetricDataQueries are not unique.");
    }
    if !text(query, "Expression").is_empty() {
        let message = "the embedded cloud does not model metric math";
        return Err(Refusal::of(501, "NotModelled", message));
    }
    Ok(())
}

/// What a query asks for.
struct Wanted {
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
    Samples,
    Average,
    Percentile(f64),
    Rank(f64, f64),
}

impl Wanted {
    fn read(query: &Value) -> Result<Self, Refusal> {
        let (asked, metric) = (&query["MetricStat"], &query["MetricStat"]["Metric"]);
        let dimension = |name: &str| {
            let found = list(metric, "Dimensions").iter().find(|it| text(it, "Name") == name);
            found.map(|it| text(it, "Value").to_owned()).unwrap_or_default()
        };
        let period = count(asked, "Period").unwrap_or(0) as u64;
        if period == 0 || !period.is_multiple_of(60) {
            return invalid("The parameter Period must be a multiple of 60.");
        }
        Ok(Self {
            metric: text(metric, "MetricName").into(),
            namespace: text(metric, "Namespace").into(),
            group: dimension("TargetGroup"),
            balancer: dimension("LoadBalancer"),
            period,
            stat: stat(text(asked, "Stat"))?,
        })
    }

    /// Start and value of each period, oldest first. What is not published yet is not there.
    fn points(&self, world: &World, start: f64, end: f64, now: f64) -> Vec<(f64, f64)> {
        let known = self.namespace == "AWS/ApplicationELB";
        let stream =
            world.traffic.streams.iter().find(|it| it.balancer.ends_with(&format!("/{}", self.balancer)));
        let (Some(stream), true) = (stream, known && !hidden(world)) else { return Vec::new() };
        let group = self.group(world, stream);
        let from = (start as u64) / 60 * 60;
        let mut periods: Vec<(u64, Vec<&Minute>)> = Vec::new();
        for (&at, minute) in stream.minutes.range(from..(end.ceil() as u64).max(from)) {
            let period = at / self.period * self.period;
            let whole = partial(world) && (at / 60) % 2 == 1;
            if minute.published > now || whole {
                continue;
            }
            match periods.last_mut() {
                Some((last, minutes)) if *last == period => minutes.push(minute),
                _ => periods.push((period, vec![minute])),
            }
        }
        let value = |(at, minutes): (u64, Vec<&Minute>)| Some((at as f64, self.value(&group, &minutes)?));
        periods.into_iter().filter_map(value).collect()
    }

    /// The target group's ARN; the other one of the balancer while arms are swapped.
    fn group(&self, world: &World, stream: &Stream) -> String {
        let asked = format!(":{}", self.group);
        let swapped = world.mischief.faults.iter().any(|fault| matches!(fault, Fault::MetricsSwapped(_)));
        let all = stream.minutes.values().flat_map(|minute| minute.groups.keys());
        let other = |arn: &&String| arn.ends_with(&asked) != swapped;
        let found = all.filter(|arn| stream.forwards_to(world, arn)).find(other);
        found.cloned().unwrap_or_default()
    }

    fn value(&self, group: &str, minutes: &[&Minute]) -> Option<f64> {
        if self.metric == "HTTPCode_ELB_5XX_Count" {
            let lost: u64 = minutes.iter().map(|minute| minute.lost).sum();
            return (self.stat == Stat::Sum && self.group.is_empty() && lost > 0).then_some(lost as f64);
        }
        let known: Vec<&Vec<Part>> = minutes.iter().filter_map(|minute| minute.groups.get(group)).collect();
        let parts: Vec<Part> = known.iter().flat_map(|parts| parts.iter().copied()).collect();
        let times: Vec<Times> = parts.iter().map(|part| part.times).collect();
        let requests: u64 = times.iter().map(|part| part.requests).sum();
        let bad: u64 = parts.iter().map(|part| part.bad).sum();
        match (self.metric.as_str(), self.stat) {
            // Reported wherever there are targets, and so also when it is zero.
            ("RequestCount", Stat::Sum) => (!known.is_empty()).then_some(requests as f64),
            // Never reported when it is zero.
            ("HTTPCode_Target_5XX_Count", Stat::Sum) => (bad > 0).then_some(bad as f64),
            ("TargetResponseTime", Stat::Samples) => (requests > 0).then_some(requests as f64),
            ("TargetResponseTime", Stat::Average) => spread::mean(&times),
            ("TargetResponseTime", Stat::Percentile(percent)) => spread::percentile(&times, percent),
            ("TargetResponseTime", Stat::Rank(from, to)) => spread::rank(&times, from, to),
            _ => None,
        }
    }
}

/// `Sum`, `SampleCount`, `Average`, `p99.9`, `PR(:0.5)`, `PR(0.5:)`, `PR(0.1:0.5)`.
fn stat(name: &str) -> Result<Stat, Refusal> {
    let percentile = name.strip_prefix('p').and_then(|it| it.parse::<f64>().ok());
    let range =
        name.strip_prefix("PR(").and_then(|it| it.strip_suffix(')')).and_then(|it| it.split_once(':'));
    let bound = |text: &str, open: f64| if text.is_empty() { Some(open) } else { text.parse::<f64>().ok() };
    let found = match (name, percentile, range) {
        ("Sum", ..) => Some(Stat::Sum),
        ("SampleCount", ..) => Some(Stat::Samples),
        ("Average", ..) => Some(Stat::Average),
        (_, Some(percent), _) if (0.0..=100.0).contains(&percent) => Some(Stat::Percentile(percent)),
        (_, _, Some((from, to))) if !(from.is_empty() && to.is_empty()) => {
            bound(from, 0.0).zip(bound(to, f64::INFINITY)).map(|(from, to)| Stat::Rank(from, to))
        }
        _ => None,
    };
    found.map_or_else(|| invalid(format!("The value {name} for parameter Stat is not supported.")), Ok)
}

fn hidden(world: &World) -> bool {
    forbidden(world) || world.mischief.faults.iter().any(|fault| matches!(fault, Fault::MetricsMissing(_)))
}

fn forbidden(world: &World) -> bool {
    world.mischief.faults.iter().any(|fault| matches!(fault, Fault::MetricsForbidden(_)))
}

fn partial(world: &World) -> bool {
    world.mischief.faults.iter().any(|fault| matches!(fault, Fault::MetricsPartial(_)))
}

fn result(world: &World, query: &Value, place: usize, values: &[(usize, f64, f64)], more: bool) -> Value {
    let own: Vec<&(usize, f64, f64)> = values.iter().filter(|(of, ..)| *of == place).collect();
    let status = match (forbidden(world), partial(world) || more) {
        (true, _) => "Forbidden",
        (_, true) => "PartialData",
        _ => "Complete",
    };
    let label = if text(query, "Label").is_empty() {
        text(&query["MetricStat"]["Metric"], "MetricName")
    } else {
        text(query, "Label")
    };
    json!({
        "Id": query["Id"], "Label": label, "StatusCode": status,
        "Timestamps": own.iter().map(|(_, at, _)| *at).collect::<Vec<_>>(),
        "Values": own.iter().map(|(.., value)| *value).collect::<Vec<_>>(),
    })
}

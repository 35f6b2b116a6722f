//! CloudWatch Logs: reading the events of a stream, and which groups there are.

use std::ops::Range;

use serde_json::{Value, json};

use crate::input::{count_field, paginate, str_field};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::service::{ErrorCodes, Service, ServiceProtocol, unsupported_operation};
use crate::world::World;

/// Events of one answer, at most and unless the client says less.
const MAX_EVENTS: usize = 10_000;

/// What CloudWatch Logs calls the errors that every service has.
static ERRORS: ErrorCodes = ErrorCodes::AWS_JSON.with_internal(503, "ServiceUnavailableException");

/// Amazon CloudWatch Logs. A group without streams is in the world as the stream with an empty name.
pub struct Logs;

impl Service for Logs {
    fn name(&self) -> &'static str {
        "logs"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::AwsJson { target: "Logs_20140328" }
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, _now: f64) -> ServiceResult {
        match call.operation.as_str() {
            "GetLogEvents" => get_log_events(world, &call.input),
            "DescribeLogGroups" => describe_log_groups(world, &call.input),
            _ => Err(unsupported_operation(call)),
        }
    }
}

fn get_log_events(world: &World, input: &Value) -> ServiceResult {
    let limit = match count_field(input, "limit").unwrap_or(MAX_EVENTS) {
        n if n > MAX_EVENTS => return Err(invalid_parameter("limit must be at most 10000")),
        n => n,
    };
    let all = find_stream(world, input)?;
    let bound = |name: &str| input.get(name).and_then(Value::as_i64);
    let (from, to) = (bound("startTime").unwrap_or(i64::MIN), bound("endTime").unwrap_or(i64::MAX));
    let within: Vec<&(i64, String)> = all.iter().filter(|(at, _)| (from..to).contains(at)).collect();
    let head = input.get("startFromHead").and_then(Value::as_bool).unwrap_or_default();
    let span = page_range(str_field(input, "nextToken"), head, limit, within.len())?;
    let shown: Vec<Value> =
        within.get(span.clone()).unwrap_or_default().iter().map(|event| event_response(event)).collect();
    Ok(json!({
        "events": shown,
        "nextForwardToken": format!("f/{:056}/s", span.end),
        "nextBackwardToken": format!("b/{:056}/s", span.start),
    }))
}

fn event_response((at, message): &(i64, String)) -> Value {
    json!({ "timestamp": at, "message": message, "ingestionTime": at })
}

fn find_stream<'a>(world: &'a World, input: &Value) -> Result<&'a [(i64, String)], ServiceError> {
    let (name, stream) = (str_field(input, "logGroupName"), str_field(input, "logStreamName"));
    let group = if name.is_empty() { group_name(str_field(input, "logGroupIdentifier")) } else { name };
    if stream.is_empty() || group.is_empty() {
        return Err(invalid_parameter("A log group and a log stream must be named"));
    }
    let missing = |what: &str| {
        ServiceError::new("ResourceNotFoundException", format!("The specified log {what} does not exist."))
    };
    if !world.logs.keys().any(|(known, _)| known == group) {
        return Err(missing("group"));
    }
    let found = world.logs.get(&(group.to_owned(), stream.to_owned()));
    found.map(Vec::as_slice).ok_or_else(|| missing("stream"))
}

/// A group by name or by ARN.
fn group_name(identifier: &str) -> &str {
    identifier.split_once(":log-group:").map_or(identifier, |(_, name)| name.trim_end_matches(":*"))
}

/// Which events to show. A token stands for a place between two events and a direction; at either end the same token
/// comes back, which is how a client knows that there is no more.
fn page_range(token: &str, head: bool, limit: usize, len: usize) -> Result<Range<usize>, ServiceError> {
    if token.is_empty() {
        return Ok(if head { 0..limit.min(len) } else { len.saturating_sub(limit)..len });
    }
    let (direction, rest) = token.split_once('/').unwrap_or_default();
    let place = rest.strip_suffix("/s").and_then(|digits| digits.parse::<usize>().ok());
    match (direction, place.map(|place| place.min(len))) {
        ("f", Some(place)) => Ok(place..place.saturating_add(limit).min(len)),
        ("b", Some(place)) => Ok(place.saturating_sub(limit)..place),
        _ => Err(invalid_parameter("The specified nextToken is invalid.")),
    }
}

fn invalid_parameter(words: &str) -> ServiceError {
    ServiceError::new("InvalidParameterException", words)
}

fn describe_log_groups(world: &World, input: &Value) -> ServiceResult {
    let mut names: Vec<&str> = world.logs.keys().map(|(group, _)| group.as_str()).collect();
    names.dedup();
    let (prefix, pattern) = (str_field(input, "logGroupNamePrefix"), str_field(input, "logGroupNamePattern"));
    let found = names.into_iter().filter(|name| name.starts_with(prefix) && name.contains(pattern)).collect();
    let (names, next) =
        paginate(found, count_field(input, "limit").unwrap_or(50), str_field(input, "nextToken"))
            .ok_or_else(|| invalid_parameter("The specified nextToken is invalid."))?;
    let groups: Vec<Value> = names.into_iter().map(|name| group_response(world, name)).collect();
    Ok(json!({ "logGroups": groups, "nextToken": next }))
}

fn group_response(world: &World, name: &str) -> Value {
    let arn = format!("arn:aws:logs:{}:{}:log-group:{name}", world.region, world.account);
    json!({
        "logGroupName": name, "arn": format!("{arn}:*"), "logGroupArn": arn, "logGroupClass": "STANDARD",
        "metricFilterCount": 0, "storedBytes": 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let lines = (1..=5).map(|n| (n * 10, format!("line {n}"))).collect();
        let logs = [
            (("/ecs/app".to_owned(), "app/app/1".to_owned()), lines),
            (("/empty".into(), String::new()), vec![]),
        ];
        World { logs: logs.into(), ..World::default() }
    }

    fn get_events(more: Value) -> ServiceResult {
        let mut input = json!({ "logGroupName": "/ecs/app", "logStreamName": "app/app/1" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        get_log_events(&world(), &input)
    }

    fn timestamps(answer: &Value) -> Vec<i64> {
        answer["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["timestamp"].as_i64().unwrap())
            .collect()
    }

    #[test]
    fn the_newest_come_first_unless_asked_from_the_head() {
        assert_eq!(timestamps(&get_events(json!({ "limit": 2 })).unwrap()), [40, 50]);
        assert_eq!(timestamps(&get_events(json!({ "limit": 2, "startFromHead": true })).unwrap()), [10, 20]);
        assert_eq!(timestamps(&get_events(json!({ "startTime": 20, "endTime": 40 })).unwrap()), [20, 30]);
    }

    #[test]
    fn tokens_lead_forward_and_back_and_repeat_at_the_end() {
        let first = get_events(json!({ "limit": 3, "startFromHead": true })).unwrap();
        let second = get_events(json!({ "limit": 3, "nextToken": first["nextForwardToken"] })).unwrap();
        assert_eq!(timestamps(&second), [40, 50]);
        let end = get_events(json!({ "limit": 3, "nextToken": second["nextForwardToken"] })).unwrap();
        assert_eq!(timestamps(&end), Vec::<i64>::new());
        assert_eq!(end["nextForwardToken"], second["nextForwardToken"]);
        assert_eq!(
            timestamps(&get_events(json!({ "limit": 3, "nextToken": second["nextBackwardToken"] })).unwrap()),
            [10, 20, 30]
        );
        assert_eq!(get_events(json!({ "nextToken": "x" })).unwrap_err().code, "InvalidParameterException");
    }

    #[test]
    fn missing_group_and_missing_stream_have_different_errors() {
        let missing = |group: &str| {
            get_log_events(&world(), &json!({ "logGroupIdentifier": group, "logStreamName": "x" }))
                .unwrap_err()
                .message
        };
        assert_eq!(missing("/nope"), "The specified log group does not exist.");
        assert_eq!(
            missing("arn:aws:logs:r:1:log-group:/empty:*"),
            "The specified log stream does not exist."
        );
    }

    #[test]
    fn groups_by_prefix() {
        let answer = describe_log_groups(&world(), &json!({ "logGroupNamePrefix": "/e" })).unwrap();
        assert_eq!(answer["logGroups"].as_array().unwrap().len(), 2);
        assert_eq!(
            describe_log_groups(&world(), &json!({ "logGroupNamePrefix": "/x" })).unwrap()["logGroups"],
            json!([])
        );
    }
}

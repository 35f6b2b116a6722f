//! CloudWatch Logs: reading the events of a stream, and which groups there are.

use std::ops::Range;

use serde_json::{Value, json};

use super::call::{Answer, Call, Refusal};
use super::dispatch::not_modelled;
use super::members::{count, page, text};
use super::world::World;

/// Events of one answer, at most and unless the client says less.
const MOST: usize = 10_000;

/// Answers a call to CloudWatch Logs. A group without streams is in the world as the stream with an empty name.
pub fn answer(world: &World, call: &Call) -> Answer {
    match call.operation.as_str() {
        "GetLogEvents" => events(world, &call.input),
        "DescribeLogGroups" => groups(world, &call.input),
        _ => Err(not_modelled(call)),
    }
}

fn events(world: &World, input: &Value) -> Answer {
    let limit = match count(input, "limit").unwrap_or(MOST) {
        n if n > MOST => return Err(invalid("limit must be at most 10000")),
        n => n,
    };
    let all = stream(world, input)?;
    let bound = |name: &str| input.get(name).and_then(Value::as_i64);
    let (from, to) = (bound("startTime").unwrap_or(i64::MIN), bound("endTime").unwrap_or(i64::MAX));
    let within: Vec<&(i64, String)> = all.iter().filter(|(at, _)| (from..to).contains(at)).collect();
    let head = input.get("startFromHead").and_then(Value::as_bool).unwrap_or_default();
    let span = span(text(input, "nextToken"), head, limit, within.len())?;
    let shown: Vec<Value> =
        within.get(span.clone()).unwrap_or_default().iter().map(|event| shown(event)).collect();
    Ok(json!({
        "events": shown,
        "nextForwardToken": format!("f/{:056}/s", span.end),
        "nextBackwardToken": format!("b/{:056}/s", span.start),
    }))
}

fn shown((at, message): &(i64, String)) -> Value {
    json!({ "timestamp": at, "message": message, "ingestionTime": at })
}

fn stream<'a>(world: &'a World, input: &Value) -> Result<&'a [(i64, String)], Refusal> {
    let (name, stream) = (text(input, "logGroupName"), text(input, "logStreamName"));
    let group = if name.is_empty() { named_by(text(input, "logGroupIdentifier")) } else { name };
    if stream.is_empty() || group.is_empty() {
        return Err(invalid("A log group and a log stream must be named"));
    }
    let missing = |what: &str| {
        Refusal::new("ResourceNotFoundException", format!("The specified log {what} does not exist."))
    };
    if !world.logs.keys().any(|(known, _)| known == group) {
        return Err(missing("group"));
    }
    let found = world.logs.get(&(group.to_owned(), stream.to_owned()));
    found.map(Vec::as_slice).ok_or_else(|| missing("stream"))
}

/// A group by name or by ARN.
fn named_by(identifier: &str) -> &str {
    identifier.split_once(":log-group:").map_or(identifier, |(_, name)| name.trim_end_matches(":*"))
}

/// Which events to show. A token stands for a place between two events and a direction; at either end the same token
/// comes back, which is how a client knows that there is no more.
fn span(token: &str, head: bool, limit: usize, len: usize) -> Result<Range<usize>, Refusal> {
    if token.is_empty() {
        return Ok(if head { 0..limit.min(len) } else { len.saturating_sub(limit)..len });
    }
    let (direction, rest) = token.split_once('/').unwrap_or_default();
    let place = rest.strip_suffix("/s").and_then(|digits| digits.parse::<usize>().ok());
    match (direction, place.map(|place| place.min(len))) {
        ("f", Some(place)) => Ok(place..place.saturating_add(limit).min(len)),
        ("b", Some(place)) => Ok(place.saturating_sub(limit)..place),
        _ => Err(invalid("The specified nextToken is invalid.")),
    }
}

fn invalid(words: &str) -> Refusal {
    Refusal::new("InvalidParameterException", words)
}

fn groups(world: &World, input: &Value) -> Answer {
    let mut names: Vec<&str> = world.logs.keys().map(|(group, _)| group.as_str()).collect();
    names.dedup();
    let (prefix, pattern) = (text(input, "logGroupNamePrefix"), text(input, "logGroupNamePattern"));
    let found = names.into_iter().filter(|name| name.starts_with(prefix) && name.contains(pattern)).collect();
    let (names, next) = page(found, count(input, "limit").unwrap_or(50), text(input, "nextToken"))
        .ok_or_else(|| invalid("The specified nextToken is invalid."))?;
    let groups: Vec<Value> = names.into_iter().map(|name| group(world, name)).collect();
    Ok(json!({ "logGroups": groups, "nextToken": next }))
}

fn group(world: &World, name: &str) -> Value {
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

    fn ask(more: Value) -> Answer {
        let mut input = json!({ "logGroupName": "/ecs/app", "logStreamName": "app/app/1" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        events(&world(), &input)
    }

    fn lines(answer: &Value) -> Vec<i64> {
        answer["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["timestamp"].as_i64().unwrap())
            .collect()
    }

    #[test]
    fn the_newest_come_first_unless_asked_from_the_head() {
        assert_eq!(lines(&ask(json!({ "limit": 2 })).unwrap()), [40, 50]);
        assert_eq!(lines(&ask(json!({ "limit": 2, "startFromHead": true })).unwrap()), [10, 20]);
        assert_eq!(lines(&ask(json!({ "startTime": 20, "endTime": 40 })).unwrap()), [20, 30]);
    }

    #[test]
    fn tokens_lead_forward_and_back_and_repeat_at_the_end() {
        let first = ask(json!({ "limit": 3, "startFromHead": true })).unwrap();
        let second = ask(json!({ "limit": 3, "nextToken": first["nextForwardToken"] })).unwrap();
        assert_eq!(lines(&second), [40, 50]);
        let end = ask(json!({ "limit": 3, "nextToken": second["nextForwardToken"] })).unwrap();
        assert_eq!(lines(&end), Vec::<i64>::new());
        assert_eq!(end["nextForwardToken"], second["nextForwardToken"]);
        assert_eq!(
            lines(&ask(json!({ "limit": 3, "nextToken": second["nextBackwardToken"] })).unwrap()),
            [10, 20, 30]
        );
        assert_eq!(ask(json!({ "nextToken": "x" })).unwrap_err().code, "InvalidParameterException");
    }

    #[test]
    fn a_missing_group_and_a_missing_stream_are_told_apart() {
        let missing = |group: &str| {
            events(&world(), &json!({ "logGroupIdentifier": group, "logStreamName": "x" }))
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
        let answer = groups(&world(), &json!({ "logGroupNamePrefix": "/e" })).unwrap();
        assert_eq!(answer["logGroups"].as_array().unwrap().len(), 2);
        assert_eq!(groups(&world(), &json!({ "logGroupNamePrefix": "/x" })).unwrap()["logGroups"], json!([]));
    }
}

//! CloudWatch: alarms; metrics are those of `traffic`. A name that does not exist is absent from the answer, not an error, as in AWS.

use serde_json::{Value, json};

use super::call::{Answer, Call, Refusal};
use super::dispatch::not_modelled;
use super::members::{count, page, text, texts};
use super::traffic::metrics;
use super::world::{Alarm, World};

/// Alarms a page has when the client does not say, and at most.
const PAGE: usize = 50;
const MOST: usize = 100;

/// Answers a call to CloudWatch.
pub fn answer(world: &World, call: &Call, now: f64) -> Answer {
    match call.operation.as_str() {
        "GetMetricData" => metrics::get(world, &call.input, now),
        "DescribeAlarms" => alarms(world, &call.input),
        _ => Err(not_modelled(call)),
    }
}

fn alarms(world: &World, input: &Value) -> Answer {
    let names = texts(input, "AlarmNames");
    check(&names, input)?;
    let found: Vec<(&String, &Alarm)> =
        world.alarms.iter().filter(|(name, alarm)| wanted(name, alarm, &names, input)).collect();
    let limit = count(input, "MaxRecords").unwrap_or(PAGE);
    let (page, next) = page(found, limit, text(input, "NextToken"))
        .ok_or_else(|| Refusal::new("InvalidNextToken", "The next token specified is invalid."))?;
    let (composite, metric): (Vec<_>, Vec<_>) = page.into_iter().partition(|(_, alarm)| alarm.composite);
    let describe = |list: Vec<(&String, &Alarm)>| -> Vec<Value> {
        list.into_iter().map(|(name, alarm)| described(world, name, alarm)).collect()
    };
    Ok(json!({ "CompositeAlarms": describe(composite), "MetricAlarms": describe(metric), "NextToken": next }))
}

fn check(names: &[String], input: &Value) -> Result<(), Refusal> {
    let invalid = |words: &str| Err(Refusal::new("ValidationError", words));
    if names.len() > MOST {
        return invalid("Member must have length less than or equal to 100");
    }
    if !names.is_empty() && !text(input, "AlarmNamePrefix").is_empty() {
        return invalid("AlarmNames and AlarmNamePrefix cannot be specified together");
    }
    match count(input, "MaxRecords") {
        Some(n) if n > MOST => invalid("Member must have value less than or equal to 100"),
        _ => Ok(()),
    }
}

fn wanted(name: &str, alarm: &Alarm, names: &[String], input: &Value) -> bool {
    let types = texts(input, "AlarmTypes");
    let kind = if alarm.composite { "CompositeAlarm" } else { "MetricAlarm" };
    // Without AlarmTypes only metric alarms come back.
    let of_type = if types.is_empty() { !alarm.composite } else { types.iter().any(|wanted| wanted == kind) };
    let state = text(input, "StateValue");
    of_type
        && (names.is_empty() || names.iter().any(|wanted| wanted == name))
        && name.starts_with(text(input, "AlarmNamePrefix"))
        && (state.is_empty() || state == alarm.state)
}

fn described(world: &World, name: &str, alarm: &Alarm) -> Value {
    let mut described = json!({
        "AlarmName": name,
        "AlarmArn": format!("arn:aws:cloudwatch:{}:{}:alarm:{name}", world.region, world.account),
        "ActionsEnabled": true, "OKActions": [], "AlarmActions": [], "InsufficientDataActions": [],
        "StateValue": alarm.state,
        "StateReason": reason(&alarm.state),
        "StateUpdatedTimestamp": alarm.since,
        "StateTransitionedTimestamp": alarm.since,
    });
    let kind = if alarm.composite { json!({ "AlarmRule": "FALSE" }) } else { metric() };
    if let (Value::Object(all), Value::Object(more)) = (&mut described, kind) {
        all.extend(more);
    }
    described
}

fn reason(state: &str) -> &'static str {
    match state {
        "ALARM" => "Threshold Crossed: 1 datapoint was greater than the threshold (5.0).",
        "OK" => "Threshold Crossed: 1 datapoint was not greater than the threshold (5.0).",
        _ => "Unchecked: Initial alarm creation",
    }
}

/// What a metric alarm watches. The state of an alarm is set by the scenario, so this is for show.
fn metric() -> Value {
    json!({
        "MetricName": "HTTPCode_Target_5XX_Count", "Namespace": "AWS/ApplicationELB", "Statistic": "Sum",
        "Dimensions": [], "Period": 60, "EvaluationPeriods": 1, "DatapointsToAlarm": 1, "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let alarm = |composite| Alarm { state: "OK".into(), since: 1.5, composite };
        let alarms = [("a", false), ("b", false), ("c", true)].map(|(name, kind)| (name.into(), alarm(kind)));
        World { alarms: alarms.into(), ..World::default() }
    }

    fn names(answer: &Value, kind: &str) -> Vec<String> {
        answer[kind].as_array().unwrap().iter().map(|alarm| text(alarm, "AlarmName").into()).collect()
    }

    #[test]
    fn composite_alarms_come_only_when_asked_for_and_unknown_names_not_at_all() {
        let asked = json!({ "AlarmNames": ["a", "c", "nope"] });
        let answer = alarms(&world(), &asked).unwrap();
        assert_eq!(
            (names(&answer, "MetricAlarms"), names(&answer, "CompositeAlarms")),
            (vec!["a".into()], vec![])
        );
        let both = json!({ "AlarmNames": ["a", "c"], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"] });
        let answer = alarms(&world(), &both).unwrap();
        assert_eq!(names(&answer, "CompositeAlarms"), ["c"]);
        assert_eq!(answer["MetricAlarms"][0]["StateUpdatedTimestamp"], json!(1.5));
    }

    #[test]
    fn pages_and_filters() {
        let first = alarms(&world(), &json!({ "MaxRecords": 1 })).unwrap();
        assert_eq!(names(&first, "MetricAlarms"), ["a"]);
        let rest = alarms(&world(), &json!({ "MaxRecords": 1, "NextToken": first["NextToken"] })).unwrap();
        assert_eq!((names(&rest, "MetricAlarms"), &rest["NextToken"]), (vec!["b".into()], &Value::Null));
        assert!(
            names(&alarms(&world(), &json!({ "StateValue": "ALARM" })).unwrap(), "MetricAlarms").is_empty()
        );
        assert_eq!(
            names(&alarms(&world(), &json!({ "AlarmNamePrefix": "b" })).unwrap(), "MetricAlarms"),
            ["b"]
        );
        assert_eq!(alarms(&world(), &json!({ "NextToken": "x" })).unwrap_err().code, "InvalidNextToken");
    }

    #[test]
    fn too_much_is_a_validation_error() {
        for input in [
            json!({ "AlarmNames": vec!["a"; 101] }),
            json!({ "MaxRecords": 101 }),
            json!({ "AlarmNames": ["a"], "AlarmNamePrefix": "a" }),
        ] {
            assert_eq!(alarms(&world(), &input).unwrap_err().code, "ValidationError");
        }
    }
}

//! CloudWatch: alarms; metrics are those of `traffic`. A name that does not exist is absent from the answer, not an error, as in AWS.

/// The built-in scenarios.
mod builtin;
/// What can go wrong.
pub mod faults;
/// CloudWatch in a scenario file.
pub mod scenario;

use serde_json::{Value, json};

use crate::builtin::Builtin;
use crate::faults::Fault;
use crate::input::{count_field, paginate, str_field, str_list_field};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::scenario::{Scenario, check_one_of};
use crate::service::{ErrorCodes, QueryApi, Service, ServiceProtocol, unsupported_operation};
use crate::throttle::RequestRate;
use crate::traffic::metrics;
use crate::world::{Alarm, World};

/// Alarms a page has when the client does not say, and at most.
const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 100;

/// Amazon CloudWatch.
pub struct CloudWatch;

impl Service for CloudWatch {
    fn name(&self) -> &'static str {
        "monitoring"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::JsonCborQuery {
            target: "GraniteServiceVersion20100801",
            query: QueryApi {
                version: "2010-08-01",
                namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
            },
        }
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ErrorCodes::AWS_QUERY
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, began: f64) {
        for alarm in &scenario.alarms {
            let it =
                Alarm { state: alarm.state.clone(), since: began - 86_400.0, composite: alarm.composite };
            world.alarms.insert(alarm.name.clone(), it);
        }
        faults::fire_initial_alarms(world, began);
    }

    fn validate(&self, scenario: &Scenario) -> Result<(), String> {
        let states = ["OK", "ALARM", "INSUFFICIENT_DATA"];
        scenario.alarms.iter().try_for_each(|alarm| check_one_of("state", &alarm.state, &states))
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        match call.operation.as_str() {
            "GetMetricData" => metrics::get_metric_data(world, &call.input, now),
            "DescribeAlarms" => describe_alarms(world, &call.input),
            _ => Err(unsupported_operation(call)),
        }
    }

    /// IAM knows it by another name than its signatures.
    fn required_actions(&self, call: &ServiceCall) -> Vec<String> {
        vec![format!("cloudwatch:{}", call.operation)]
    }

    /// For DescribeAlarms the published quota of 9 a second.
    fn request_rate(&self, operation: &str) -> Option<RequestRate> {
        match operation {
            "DescribeAlarms" => Some(RequestRate::new("describe alarms", 9.0, 9.0)),
            "GetMetricData" => Some(RequestRate::new("metric data", 50.0, 50.0)),
            _ => None,
        }
    }

    fn fault_time(&self, fault: &Fault) -> Option<f64> {
        faults::fault_time(fault)
    }

    fn apply_fault(&self, world: &mut World, fault: &Fault, now: f64) {
        faults::apply_fault(world, fault, now);
    }

    fn scenarios(&self) -> &'static [Builtin] {
        builtin::SCENARIOS
    }
}

fn describe_alarms(world: &World, input: &Value) -> ServiceResult {
    let names = str_list_field(input, "AlarmNames");
    validate_input(&names, input)?;
    let found: Vec<(&String, &Alarm)> =
        world.alarms.iter().filter(|(name, alarm)| matches_filter(name, alarm, &names, input)).collect();
    let limit = count_field(input, "MaxRecords").unwrap_or(DEFAULT_PAGE_SIZE);
    let (page, next) = paginate(found, limit, str_field(input, "NextToken"))
        .ok_or_else(|| ServiceError::new("InvalidNextToken", "The next token specified is invalid."))?;
    let (composite, metric): (Vec<_>, Vec<_>) = page.into_iter().partition(|(_, alarm)| alarm.composite);
    let describe = |list: Vec<(&String, &Alarm)>| -> Vec<Value> {
        list.into_iter().map(|(name, alarm)| alarm_response(world, name, alarm)).collect()
    };
    Ok(json!({ "CompositeAlarms": describe(composite), "MetricAlarms": describe(metric), "NextToken": next }))
}

fn validate_input(names: &[String], input: &Value) -> Result<(), ServiceError> {
    let invalid = |words: &str| Err(ServiceError::new("ValidationError", words));
    if names.len() > MAX_PAGE_SIZE {
        return invalid("Member must have length less than or equal to 100");
    }
    if !names.is_empty() && !str_field(input, "AlarmNamePrefix").is_empty() {
        return invalid("AlarmNames and AlarmNamePrefix cannot be specified together");
    }
    match count_field(input, "MaxRecords") {
        Some(n) if n > MAX_PAGE_SIZE => invalid("Member must have value less than or equal to 100"),
        _ => Ok(()),
    }
}

fn matches_filter(name: &str, alarm: &Alarm, names: &[String], input: &Value) -> bool {
    let types = str_list_field(input, "AlarmTypes");
    let kind = if alarm.composite { "CompositeAlarm" } else { "MetricAlarm" };
    // Without AlarmTypes only metric alarms come back.
    let of_type = if types.is_empty() { !alarm.composite } else { types.iter().any(|wanted| wanted == kind) };
    let state = str_field(input, "StateValue");
    of_type
        && (names.is_empty() || names.iter().any(|wanted| wanted == name))
        && name.starts_with(str_field(input, "AlarmNamePrefix"))
        && (state.is_empty() || state == alarm.state)
}

fn alarm_response(world: &World, name: &str, alarm: &Alarm) -> Value {
    let mut described = json!({
        "AlarmName": name,
        "AlarmArn": format!("arn:aws:cloudwatch:{}:{}:alarm:{name}", world.region, world.account),
        "ActionsEnabled": true, "OKActions": [], "AlarmActions": [], "InsufficientDataActions": [],
        "StateValue": alarm.state,
        "StateReason": state_reason(&alarm.state),
        "StateUpdatedTimestamp": alarm.since,
        "StateTransitionedTimestamp": alarm.since,
    });
    let kind = if alarm.composite { json!({ "AlarmRule": "FALSE" }) } else { metric_fields() };
    if let (Value::Object(all), Value::Object(more)) = (&mut described, kind) {
        all.extend(more);
    }
    described
}

fn state_reason(state: &str) -> &'static str {
    match state {
        "ALARM" => "Threshold Crossed: 1 datapoint was greater than the threshold (5.0).",
        "OK" => "Threshold Crossed: 1 datapoint was not greater than the threshold (5.0).",
        _ => "Unchecked: Initial alarm creation",
    }
}

/// What a metric alarm watches. The state of an alarm is set by the scenario, so this is for show.
fn metric_fields() -> Value {
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
        answer[kind].as_array().unwrap().iter().map(|alarm| str_field(alarm, "AlarmName").into()).collect()
    }

    #[test]
    fn composite_alarms_come_only_when_asked_for_and_unknown_names_not_at_all() {
        let asked = json!({ "AlarmNames": ["a", "c", "nope"] });
        let answer = describe_alarms(&world(), &asked).unwrap();
        assert_eq!(
            (names(&answer, "MetricAlarms"), names(&answer, "CompositeAlarms")),
            (vec!["a".into()], vec![])
        );
        let both = json!({ "AlarmNames": ["a", "c"], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"] });
        let answer = describe_alarms(&world(), &both).unwrap();
        assert_eq!(names(&answer, "CompositeAlarms"), ["c"]);
        assert_eq!(answer["MetricAlarms"][0]["StateUpdatedTimestamp"], json!(1.5));
    }

    #[test]
    fn pages_and_filters() {
        let first = describe_alarms(&world(), &json!({ "MaxRecords": 1 })).unwrap();
        assert_eq!(names(&first, "MetricAlarms"), ["a"]);
        let rest =
            describe_alarms(&world(), &json!({ "MaxRecords": 1, "NextToken": first["NextToken"] })).unwrap();
        assert_eq!((names(&rest, "MetricAlarms"), &rest["NextToken"]), (vec!["b".into()], &Value::Null));
        assert!(
            names(&describe_alarms(&world(), &json!({ "StateValue": "ALARM" })).unwrap(), "MetricAlarms")
                .is_empty()
        );
        assert_eq!(
            names(&describe_alarms(&world(), &json!({ "AlarmNamePrefix": "b" })).unwrap(), "MetricAlarms"),
            ["b"]
        );
        assert_eq!(
            describe_alarms(&world(), &json!({ "NextToken": "x" })).unwrap_err().code,
            "InvalidNextToken"
        );
    }

    #[test]
    fn too_much_is_a_validation_error() {
        for input in [
            json!({ "AlarmNames": vec!["a"; 101] }),
            json!({ "MaxRecords": 101 }),
            json!({ "AlarmNames": ["a"], "AlarmNamePrefix": "a" }),
        ] {
            assert_eq!(describe_alarms(&world(), &input).unwrap_err().code, "ValidationError");
        }
    }
}

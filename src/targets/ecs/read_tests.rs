//! Tests of `read.rs`.

use serde_json::json;

use super::*;

#[test]
fn malformed_answer_is_read_as_default() {
    let service = EcsService::from_json(
        &json!({"status": 3, "deployments": {"a": 1}, "events": [1], "desiredCount": "x"}),
    );
    assert_eq!((service.status.as_str(), service.desired, service.deployments.len()), ("", 0, 0));
    assert_eq!(ServiceDeployment::from_json(&Value::Null), ServiceDeployment::default());
}

#[test]
fn absent_controller_is_ecs() {
    assert_eq!(EcsService::from_json(&json!({})).controller, "ECS");
    assert_eq!(
        EcsService::from_json(&json!({"deploymentController":{"type":"CODE_DEPLOY"}})).controller,
        "CODE_DEPLOY"
    );
}

#[test]
fn alarms_count_only_when_triggered() {
    let read = |alarms| ServiceDeployment::from_json(&json!({"alarms": alarms})).triggered_alarms;
    assert!(read(json!({"status":"MONITORING","alarmNames":["a"]})).is_empty());
    assert_eq!(read(json!({"status":"TRIGGERED","triggeredAlarmNames":["a"]})), ["a"]);
    assert_eq!(read(json!({"status":"TRIGGERED"})), ["?"]);
}

#[test]
fn task_with_desired_status_stopped_is_stopping() {
    let task = EcsTask::from_json(
        &json!({"desiredStatus":"STOPPED","lastStatus":"DEACTIVATING","startedAt":10,"stoppingAt":70.5}),
    );
    assert!(task.is_stopping);
    assert!((task.uptime_seconds - 60.5).abs() < f64::EPSILON);
}

#[test]
fn arn_has_a_short_label() {
    assert_eq!(version_from_arn("arn:aws:ecs:eu-west-1:1:task-definition/a-b:42").label, "a-b:42");
}

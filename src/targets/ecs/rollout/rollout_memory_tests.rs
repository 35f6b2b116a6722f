//! What the memory of a rollout reads next, reports, and takes for progress.

use std::time::Duration;

use tokio::time::Instant;

use super::super::patience::Patience;
use super::super::read::{EcsDeployment, EcsService, EcsTask, ServiceDeployment, ServiceEvent};
use super::rollout_memory::{RolloutMemory, STALL_TIMEOUT};
use super::snapshot::NewerDeployment;
use crate::release::Rollout;

fn rollout() -> Rollout {
    Rollout { version: "new".into(), label: "new".into(), ids: vec!["ecs-svc/2".into()] }
}

fn service(failed: u32, events: &[(&str, f64, &str)]) -> EcsService {
    let own = EcsDeployment {
        id: "ecs-svc/2".into(),
        status: "PRIMARY".into(),
        rollout_state: "IN_PROGRESS".into(),
        failed,
        created_at: 100.0,
        ..EcsDeployment::default()
    };
    let event = |(id, at, text): &(&str, f64, &str)| ServiceEvent {
        id: (*id).into(),
        created_at: *at,
        text: (*text).into(),
    };
    EcsService {
        desired: 2,
        service_deployment_arn: Some("sd".into()),
        deployments: vec![own],
        events: events.iter().map(event).collect(),
        ..EcsService::default()
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_reported_once_and_old_ones_never() {
    let (rollout, now) = (rollout(), Instant::now());
    let mut watch = RolloutMemory::new(&rollout, now);
    let story = [("c", 103.0, "third"), ("b", 102.0, "second"), ("a", 50.0, "old")];
    let mut new_events = |story: &[(&str, f64, &str)]| {
        watch.record_service(&service(0, story), &rollout, now);
        std::mem::take(&mut watch.new_events)
    };
    assert_eq!(new_events(&story[1..]), ["second"]);
    assert_eq!(new_events(&story), ["third"]);
    assert!(new_events(&story).is_empty());
}

#[tokio::test(start_paused = true)]
async fn quiet_rollout_costs_one_extra_read_in_five_polls() {
    let (rollout, now) = (rollout(), Instant::now());
    let mut watch = RolloutMemory::new(&rollout, now);
    let mut reads = 0;
    for _ in 0..20 {
        watch.record_service(&service(0, &[]), &rollout, now);
        if watch.needs_deployment(&service(0, &[]), &rollout) {
            reads += 1;
            let read =
                ServiceDeployment { status: "IN_PROGRESS".into(), created_at: 100.0, ..Default::default() };
            watch.remember_answer(&service(0, &[]), &rollout, Some(read));
        }
        assert!(!watch.needs_tasks(&rollout, now, || panic!("nothing stalls")));
    }
    assert_eq!(reads, 5);
    assert!(watch.needs_deployment(&service(1, &[]), &rollout));
}

#[tokio::test(start_paused = true)]
async fn lagging_service_deployment_is_not_remembered() {
    let (rollout, now) = (rollout(), Instant::now());
    let mut watch = RolloutMemory::new(&rollout, now);
    let old = ServiceDeployment { arn: "sd-1".into(), created_at: 10.0, ..Default::default() };
    watch.remember_answer(&service(0, &[]), &rollout, Some(old));
    assert_eq!((&watch.deployment_arn, watch.last_deployment.is_none()), (&None, true));
    let new = ServiceDeployment { arn: "sd-2".into(), created_at: 100.5, ..Default::default() };
    watch.remember_answer(&service(0, &[]), &rollout, Some(new));
    assert_eq!(watch.deployment_arn.as_deref(), Some("sd-2"));
}

#[tokio::test(start_paused = true)]
async fn failed_tasks_and_stalls_need_task_reads() {
    let (rollout, now) = (rollout(), Instant::now());
    let mut watch = RolloutMemory::new(&rollout, now);
    watch.record_service(&service(1, &[]), &rollout, now);
    let asked: Vec<bool> = (0..4).map(|_| watch.needs_tasks(&rollout, now, || false)).collect();
    assert_eq!(asked, [true, true, true, false]);
    let later = now + STALL_TIMEOUT;
    assert!(watch.needs_tasks(&rollout, later, || true));
    assert!(!watch.needs_tasks(&rollout, later, || true));
}

#[tokio::test(start_paused = true)]
async fn unplaced_task_needs_no_task_read() {
    let (rollout, now) = (rollout(), Instant::now());
    for (line, looks) in [
        ("(service s) was unable to place a task. Reason: Capacity is unavailable at this time.", false),
        ("(service s) is unable to consistently start tasks successfully.", true),
    ] {
        let mut watch = RolloutMemory::new(&rollout, now);
        watch.record_service(&service(0, &[("a", 103.0, line)]), &rollout, now);
        assert_eq!(watch.needs_tasks(&rollout, now, || false), looks, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_come_and_go_are_no_progress() {
    let (rollout, now) = (rollout(), Instant::now());
    let mut watch = RolloutMemory::new(&rollout, now);
    let mut service = service(0, &[]);
    for (second, running) in [(0, 1), (10, 0), (15, 1), (19, 0)] {
        service.deployments[0].running = running;
        watch.record_service(&service, &rollout, now + Duration::from_secs(second));
    }
    assert!(watch.needs_tasks(&rollout, now + STALL_TIMEOUT, || true));
}

#[tokio::test(start_paused = true)]
async fn stall_lasts_until_another_task_runs() {
    let (rollout, now) = (rollout(), Instant::now());
    let mut watch = RolloutMemory::new(&rollout, now);
    let line = "(service s) was unable to place a task. Reason: Capacity is unavailable at this time.";
    let mut service = service(0, &[("a", 103.0, line)]);
    let ends = |watch: &RolloutMemory, service: &EcsService, second: u64| {
        let at = now + Duration::from_secs(second);
        watch.top_failure(service, &rollout, &Patience::default(), at).is_some_and(|it| it.permanent)
    };
    watch.record_service(&service, &rollout, now);
    assert_eq!((ends(&watch, &service, 599), ends(&watch, &service, 600)), (false, true));
    service.deployments[0].pending = 1;
    watch.record_service(&service, &rollout, now + Duration::from_secs(590));
    assert!(!ends(&watch, &service, 2000), "a task has been placed since");
}

#[tokio::test(start_paused = true)]
async fn task_that_starts_in_vain_ends_no_stall() {
    let (rollout, now) = (rollout(), Instant::now());
    let mut watch = RolloutMemory::new(&rollout, now);
    let pull = EcsTask::from_json(&serde_json::json!({
        "taskArn": "arn:task/1", "startedBy": "ecs-svc/2", "desiredStatus": "STOPPED", "lastStatus": "STOPPED",
        "stopCode": "TaskFailedToStart", "stoppedReason": "CannotPullContainerError: dial tcp 10.0.0.1:443: i/o timeout",
        "containers": [{"name": "app"}],
    }));
    let mut service = service(0, &[]);
    watch.record_tasks(&[pull], &rollout, now);
    let mut ends_after = |running: u32, pending: u32| {
        (service.deployments[0].running, service.deployments[0].pending) = (running, pending);
        watch.record_service(&service, &rollout, now + Duration::from_secs(300));
        let at = now + Duration::from_secs(600);
        watch.top_failure(&service, &rollout, &Patience::default(), at).is_some_and(|it| it.permanent)
    };
    assert_eq!((ends_after(0, 2), ends_after(1, 1)), (true, false));
}

#[tokio::test(start_paused = true)]
async fn task_without_exit_codes_is_read_again() {
    let (rollout, now) = (rollout(), Instant::now());
    let mut watch = RolloutMemory::new(&rollout, now);
    let task = |exit_code: serde_json::Value| {
        EcsTask::from_json(&serde_json::json!({
            "taskArn": "arn:task/1", "startedBy": "ecs-svc/2", "desiredStatus": "STOPPED",
            "lastStatus": "STOPPING", "stopCode": "EssentialContainerExited",
            "containers": [{"name": "app", "exitCode": exit_code}],
        }))
    };
    watch.record_tasks(&[task(serde_json::Value::Null)], &rollout, now);
    assert!(!watch.knows_task("arn:task/1"));
    watch.record_tasks(&[task(serde_json::json!(3))], &rollout, now);
    assert!(watch.knows_task("arn:task/1"));
    assert_eq!(watch.suspected_failure().and_then(|failure| failure.exit_code), Some(3));
}

#[tokio::test(start_paused = true)]
async fn newer_deployment_of_the_same_version_is_followed_once_it_is_primary() {
    let (rollout, now) = (rollout(), Instant::now());
    let newer =
        |definition: &str| NewerDeployment { arn: "sd-3".into(), definition: Some(definition.into()) };
    let shown = |id: &str, definition: &str| {
        let mut service = service(0, &[]);
        (service.deployments[0].id, service.deployments[0].definition) = (id.into(), definition.into());
        service
    };
    // newer deployment, PRIMARY, its definition, followed ids
    let table = [
        (newer("new"), "ecs-svc/3", "new", Some(["ecs-svc/3", "sd-3"])),
        (newer("new"), "ecs-svc/2", "new", None),
        (newer("third"), "ecs-svc/3", "third", None),
        (newer("new"), "ecs-svc/4", "third", None),
    ];
    for (newer, id, definition, expected) in table {
        let mut watch = RolloutMemory::new(&rollout, now);
        watch.follow_same_version(Some(&newer), &shown(id, definition), &rollout);
        let ids = watch.followed.as_ref().map(|followed| followed.ids.clone());
        assert_eq!(ids, expected.map(|ids| ids.map(String::from).to_vec()), "{newer:?} {id}");
        assert_eq!(watch.deployment_arn.as_deref(), expected.map(|[_, arn]| arn), "{newer:?} {id}");
    }
}

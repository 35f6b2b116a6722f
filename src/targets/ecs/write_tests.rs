//! Tables of the update that leads from the observed to the requested state.

use serde_json::json;

use super::read::{EcsDeployment, EcsService, ServiceDeployment, version_from_arn};
use super::staged::ObservedPrimary;
use super::write::*;
use crate::release::{HumanDuration, Rollout, ShiftKind, TrafficPlan, TrafficShift};

fn traffic_shift(to: &str, instead_of: Option<&[&str]>) -> TrafficShift {
    let instead_of = instead_of.map(|ids| Rollout {
        version: "new".into(),
        label: "new".into(),
        ids: ids.iter().map(ToString::to_string).collect(),
    });
    let start = ShiftKind::Start { plan: TrafficPlan::in_place(), force: false };
    let way = instead_of.map_or(start, |rollout| ShiftKind::RollBack(Some(rollout)));
    TrafficShift { version: version_from_arn(to), percent: 100, kind: way }
}

/// A service whose last service deployment `sd` over `source` has `status`.
fn state(status: &str, source: Option<&str>, wish: &str, rollout: &str) -> ServiceState {
    let primary = EcsDeployment {
        id: "ecs-svc/1".into(),
        status: "PRIMARY".into(),
        definition: wish.into(),
        rollout_state: rollout.into(),
        ..EcsDeployment::default()
    };
    ServiceState {
        service: EcsService {
            definition: wish.into(),
            service_deployment_arn: Some("sd".into()),
            deployments: vec![primary],
            ..EcsService::default()
        },
        last_deployment: Some(ServiceDeployment {
            arn: "sd".into(),
            status: status.into(),
            ..Default::default()
        }),
        rollback_definition: source.map(Into::into),
        deployed_definition: None,
    }
}

fn describe(movement: &UpdatePlan) -> String {
    match movement {
        UpdatePlan::NoOp(rollout) => format!("nothing {:?}", rollout.ids),
        UpdatePlan::Update(ServiceUpdate { definition, force, configuration }) => {
            let with = configuration.as_ref().map(|set| format!(" {}", set["strategy"].as_str().unwrap()));
            format!("update {definition} {force}{}", with.unwrap_or_default())
        }
        UpdatePlan::Unsupported => "unsupported".into(),
        UpdatePlan::StopAndRollBack { arn } => format!("stop {arn}"),
        UpdatePlan::Superseded(by) => format!("superseded {by}"),
    }
}

#[test]
fn plan_update_forward() {
    let flying = || state("IN_PROGRESS", Some("old"), "new", "IN_PROGRESS");
    let table = [
        (state("SUCCESSFUL", None, "old", "COMPLETED"), "new", "update new false"),
        (state("SUCCESSFUL", Some("old"), "new", "COMPLETED"), "new", "nothing []"),
        (flying(), "new", r#"nothing ["ecs-svc/1", "sd"]"#),
        (flying(), "old", "stop sd"),
        (flying(), "third", "update third false"),
        (state("IN_PROGRESS", None, "new", "IN_PROGRESS"), "old", "update old false"),
        (
            state("ROLLBACK_IN_PROGRESS", Some("old"), "old", "IN_PROGRESS"),
            "old",
            r#"nothing ["rollback", "sd"]"#,
        ),
        (state("ROLLBACK_IN_PROGRESS", Some("old"), "old", "IN_PROGRESS"), "new", "update new false"),
        (state("ROLLBACK_SUCCESSFUL", Some("old"), "old", "COMPLETED"), "new", "update new false"),
    ];
    for (situation, to, expected) in table {
        assert_eq!(
            describe(&plan_update(&situation, &traffic_shift(to, None))),
            expected,
            "{to} {situation:?}"
        );
    }
    let way = ShiftKind::Start { plan: TrafficPlan::in_place(), force: true };
    let forced = TrafficShift { kind: way, ..traffic_shift("new", None) };
    assert_eq!(describe(&plan_update(&flying(), &forced)), "update new true");
}

#[test]
fn plan_rollback_does_not_touch_newer_deployment() {
    let ours: &[&str] = &["ecs-svc/1", "sd"];
    let older: &[&str] = &["ecs-svc/0", "sd-0"];
    let by_id: &[&str] = &["ecs-svc/1"];
    let flying = || state("IN_PROGRESS", Some("old"), "new", "IN_PROGRESS");
    let table = [
        (flying(), ours, "stop sd"),
        (flying(), by_id, "stop sd"),
        (flying(), older, "superseded sd"),
        (state("IN_PROGRESS", None, "new", "IN_PROGRESS"), ours, "update old false"),
        (
            state("ROLLBACK_REQUESTED", Some("old"), "new", "IN_PROGRESS"),
            ours,
            r#"nothing ["rollback", "sd"]"#,
        ),
        (state("SUCCESSFUL", Some("old"), "new", "COMPLETED"), ours, "update old false"),
        (state("STOPPED", Some("old"), "new", "FAILED"), ours, "update old false"),
        (state("ROLLBACK_SUCCESSFUL", Some("old"), "old", "COMPLETED"), ours, "nothing []"),
        (state("STOPPED", Some("old"), "old", "FAILED"), ours, "update old true"),
        (state("SUCCESSFUL", Some("new"), "old", "COMPLETED"), older, "nothing []"),
    ];
    for (situation, ids, expected) in table {
        assert_eq!(
            describe(&plan_update(&situation, &traffic_shift("old", Some(ids)))),
            expected,
            "{ids:?} {situation:?}"
        );
    }
}

#[test]
fn traffic_plan_is_one_update_and_rolling_update_restores_settings() {
    let course = |shares: &[u8]| TrafficPlan {
        weights: shares.to_vec(),
        bake: HumanDuration::from_minutes(5),
        hook_timeout: HumanDuration::from_minutes(30),
    };
    let start = |seen: &ServiceState, shares: &[u8]| {
        let way = ShiftKind::Start { plan: course(shares), force: false };
        plan_update(seen, &TrafficShift { kind: way, ..traffic_shift("new", None) })
    };
    let mut seen = state("SUCCESSFUL", None, "old", "COMPLETED");
    assert_eq!(describe(&start(&seen, &[0, 10, 100])), "update new false CANARY");
    assert_eq!(describe(&start(&seen, &[0, 7, 9, 100])), "unsupported");
    let UpdatePlan::Update(update) = start(&seen, &[0, 100]) else { panic!() };
    let members = update.request_body();
    assert_eq!((&members["taskDefinition"], members.get("forceNewDeployment")), (&json!("new"), None));
    assert_eq!(members["deploymentConfiguration"]["strategy"], "BLUE_GREEN");

    seen.service.raw = json!({"deploymentConfiguration": members["deploymentConfiguration"]});
    assert_eq!(describe(&start(&seen, &[100])), "update new false ROLLING");
    assert_eq!(describe(&start(&seen, &[0, 10, 100])), "update new false CANARY");
    let back = TrafficShift { kind: ShiftKind::RollBack(None), ..traffic_shift("new", None) };
    assert_eq!(describe(&plan_update(&seen, &back)), "update new false ROLLING");
}

#[test]
fn staged_deployment_is_rolled_back_by_stopping_it() {
    let ours: &[&str] = &["ecs-svc/1", "sd"];
    for source in [None, Some("old"), Some("older")] {
        let mut flying = state("IN_PROGRESS", source, "new", "IN_PROGRESS");
        flying.last_deployment.as_mut().unwrap().configuration = json!({"strategy":"CANARY"});
        assert_eq!(describe(&plan_update(&flying, &traffic_shift("old", Some(ours)))), "stop sd");
    }
}

#[test]
fn lagging_answer_does_not_name_previous_deployment() {
    let before = state("SUCCESSFUL", None, "old", "COMPLETED").service;
    let mut after = state("x", None, "new", "IN_PROGRESS").service;
    after.deployments[0].id = "ecs-svc/2".into();
    assert_eq!(rollout_after_update(&before, &after, "new").ids, ["ecs-svc/2"]);
    after.service_deployment_arn = Some("sd-2".into());
    assert_eq!(rollout_after_update(&before, &after, "new").ids, ["ecs-svc/2", "sd-2"]);
}

/// A state with a PRIMARY deployment that began at `created`, after that of the plan, which began at 10.
fn later_state(created: f64, definition: &str, deployed: Option<&str>, status: &str) -> ServiceState {
    let mut state = state(status, None, definition, "IN_PROGRESS");
    state.service.deployments[0].created_at = created;
    state.last_deployment.as_mut().unwrap().created_at = created;
    state.deployed_definition = deployed.map(Into::into);
    state
}

#[test]
fn shift_that_was_requested_before_is_found_and_not_sent_again() {
    let since =
        ObservedPrimary { id: "ecs-svc/0".into(), created_at: 10.0, service_deployment: Some("sd-0".into()) };
    let way = |force| ShiftKind::Start { plan: TrafficPlan::in_place(), force };
    let table = [
        ("started", later_state(20.0, "new", Some("new"), "IN_PROGRESS"), r#"nothing ["ecs-svc/1", "sd"]"#),
        (
            "started, its deployment is hidden",
            later_state(20.0, "new", None, "IN_PROGRESS"),
            r#"nothing ["ecs-svc/1", "sd"]"#,
        ),
        (
            "rolled back by ECS since",
            later_state(20.0, "old", Some("new"), "ROLLBACK_SUCCESSFUL"),
            r#"nothing ["", "sd"]"#,
        ),
        ("somebody else's", later_state(20.0, "third", Some("third"), "IN_PROGRESS"), "superseded ecs-svc/1"),
    ];
    for (name, state, expected) in table {
        for force in [true, false] {
            let shift = TrafficShift { kind: way(force), ..traffic_shift("new", None) };
            let request = ShiftRequest { staged: "new", shift: &shift, since: Some(&since) };
            assert_eq!(describe(&plan_shift(&state, &request)), expected, "{name} {force}");
        }
    }
    let mut before = later_state(10.0, "new", None, "STOPPED");
    before.service.deployments[0].id = "ecs-svc/0".into();
    let again = TrafficShift { kind: way(true), ..traffic_shift("new", None) };
    let request = ShiftRequest { staged: "new", shift: &again, since: Some(&since) };
    assert_eq!(describe(&plan_shift(&before, &request)), "update new true", "not there yet");
}

#[test]
fn rollout_that_ended_before_the_plan_is_not_this_shift() {
    // ECS rolled an earlier rollout of the same version back: the PRIMARY deployment is the one from before it.
    let since =
        ObservedPrimary { id: "ecs-svc/1".into(), created_at: 10.0, service_deployment: Some("sd".into()) };
    let mut state = later_state(10.0, "old", Some("new"), "ROLLBACK_SUCCESSFUL");
    state.last_deployment.as_mut().unwrap().created_at = 20.0;
    let shift = traffic_shift("new", None);
    let request = ShiftRequest { staged: "new", shift: &shift, since: Some(&since) };
    assert_eq!(describe(&plan_shift(&state, &request)), "update new false");
}

#[test]
fn rollback_without_a_known_rollout_leaves_a_foreign_version_alone() {
    let back = TrafficShift { kind: ShiftKind::RollBack(None), ..traffic_shift("old", None) };
    let table = [
        ("new", "new", "update old false"),
        ("new", "old", "nothing []"),
        ("new", "third", "superseded sd"),
        // Without a staged version, nothing says what is foreign.
        ("old", "third", "update old false"),
    ];
    for (staged, serving, expected) in table {
        let state = state("SUCCESSFUL", None, serving, "COMPLETED");
        let request = ShiftRequest { staged, shift: &back, since: None };
        assert_eq!(describe(&plan_shift(&state, &request)), expected, "{staged} {serving}");
    }
}

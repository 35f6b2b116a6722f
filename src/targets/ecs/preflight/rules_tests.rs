//! Tests of `rules.rs`.

use serde_json::json;

use super::*;

fn read(raw: &Value) -> EcsService {
    EcsService::from_json(raw)
}

#[test]
fn account_and_region_must_match_deploy_file() {
    let declared = ExpectedAccount { account: Some("222222222222".into()), region: Some("eu-west-1".into()) };
    assert!(check_region(&declared, "eu-west-1").is_empty());
    assert_eq!(check_region(&declared, "us-east-1")[0].code, Code::AccountMismatch);
    assert_eq!(check_account(&declared, "222222222222"), None);
    assert_eq!(check_account(&declared, "111111111111").unwrap().code, Code::AccountMismatch);
    assert_eq!(check_account(&ExpectedAccount::default(), "111111111111"), None);
}

#[test]
fn service_must_be_active_with_ecs_controller() {
    let table = [
        (json!({"status":"ACTIVE"}), vec![]),
        (json!({"status":"DRAINING"}), vec![Code::ServiceMissing]),
        (
            json!({"status":"ACTIVE","deploymentController":{"type":"CODE_DEPLOY"}}),
            vec![Code::DeploymentControllerUnsupported],
        ),
    ];
    for (raw, codes) in table {
        let found: Vec<Code> = check_service(&read(&raw), "web").iter().map(|p| p.code).collect();
        assert_eq!(found, codes, "{raw}");
    }
}

#[test]
fn own_strategy_notice_ignores_our_leftover_strategy() {
    let notice =
        |configured: Value| own_strategy_notice(&read(&json!({"deploymentConfiguration":configured})), "web");
    assert_eq!(notice(json!({"strategy":"ROLLING"})), None);
    assert!(notice(json!({"strategy":"CANARY"})).unwrap().sentence.contains("CANARY"));
    let ours = json!({"targetType":"PAUSE","hookDetails":{"roadstead":{"was":{"strategy":"ROLLING"}}}});
    assert_eq!(notice(json!({"strategy":"CANARY","lifecycleHooks":[ours]})), None);
}

#[test]
fn rule_must_forward_to_both_target_groups() {
    let rule = "arn:aws:elasticloadbalancing:r:1:listener-rule/app/web/1/2/3";
    let advanced = json!({"alternateTargetGroupArn":"arn:b","productionListenerRule":rule});
    let service = read(
        &json!({"loadBalancers":[{"targetGroupArn":"arn:a","advancedConfiguration":advanced},{"targetGroupArn":"arn:c"}]}),
    );
    let all = production_rules(&service);
    assert_eq!(all.len(), 1);
    let both = ["arn:a".to_owned(), "arn:b".to_owned()];
    assert_eq!(serves_traffic(&all[0], Some(&both)), None);
    assert!(serves_traffic(&all[0], Some(&both[..1])).unwrap().sentence.contains("does not forward to b,"));
    assert!(serves_traffic(&all[0], None).unwrap().sentence.contains("does not exist"));
}

#[test]
fn percentages_must_leave_room_for_a_task() {
    let stuck = |desired: u32, least: u32, most: u32| {
        let raw = json!({"desiredCount":desired,"deploymentConfiguration":{"minimumHealthyPercent":least,"maximumPercent":most}});
        check_percentages(&read(&raw)).map(|p| p.is_error())
    };
    assert_eq!(stuck(2, 100, 200), None);
    assert_eq!(stuck(1, 100, 100), Some(true));
    assert_eq!(stuck(1, 50, 100), Some(true));
    assert_eq!(stuck(1, 100, 150), Some(true));
    assert_eq!(stuck(2, 50, 100), None);
    assert_eq!(stuck(3, 90, 125), Some(true));
    assert_eq!(stuck(4, 100, 125), None);
    assert_eq!(stuck(1, 0, 100), Some(false));
    assert_eq!(stuck(0, 100, 100), None);
    assert_eq!(check_percentages(&read(&json!({"desiredCount":1}))), None);
}

#[test]
fn firing_and_missing_alarms_have_different_codes() {
    let raw = json!({"deploymentConfiguration":{"alarms":{"enable":true,"alarmNames":["a","b"]}}});
    let names = alarm_names(&read(&raw), &["c".into(), "a".into()]);
    assert_eq!(names, ["a", "b", "c"]);
    let state = |name: &str, state: &str| AlarmState {
        name: name.into(),
        state: state.into(),
        since: 0.0,
        reason: String::new(),
    };
    let severities = |passes| {
        let states = [state("a", "ALARM"), state("b", "INSUFFICIENT_DATA")];
        let found = check_alarms(&names, &states, passes);
        assert_eq!(
            found.iter().map(|p| p.code).collect::<Vec<_>>(),
            [Code::AlarmAlreadyFiring, Code::AlarmMissing]
        );
        [found[0].is_error(), found[1].is_error()]
    };
    assert_eq!((severities(false), severities(true)), ([true, true], [false, true]));
    let off = json!({"deploymentConfiguration":{"alarms":{"enable":false,"alarmNames":["a"]}}});
    assert!(alarm_names(&read(&off), &[]).is_empty());
}

#[test]
fn the_balancer_needs_its_container_and_port() {
    let service = read(&json!({"loadBalancers":[{"containerName":"app","containerPort":80}]}));
    let with =
        |port: u32| json!({"containerDefinitions":[{"name":"app","portMappings":[{"containerPort":port}]}]});
    assert!(check_traffic_container(&service, &with(80)).is_empty());
    assert_eq!(check_traffic_container(&service, &with(81)).len(), 1);
}

#[test]
fn platform_must_match() {
    assert_eq!(check_platform("i", "linux/amd64", &[]), None);
    assert_eq!(check_platform("i", "linux/amd64", &["linux/amd64".into()]), None);
    assert_eq!(
        check_platform("i", "linux/amd64", &["linux/arm64".into()]).unwrap().code,
        Code::PlatformMissing
    );
}

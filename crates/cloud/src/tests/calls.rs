//! Faults of calls: throttled, failing, stale, lost, denied, expired; and the hooks of tests.

use super::super::call_log::{CallOutcome, HookPhase, Override};
use super::super::ecs::faults::*;
use super::super::faults::*;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_its_effect() {
    let lost = Fault::ResponseLost(OperationCalls { operation: "UpdateService".into(), times: 1 });
    let cloud = Cloud::new(scenario().with_fault(lost), 1);
    let before = describe_service(&cloud).await["currentServiceDeployment"].clone();
    let update = json!({"cluster": "acme", "service": "web", "forceNewDeployment": true});
    assert_eq!(send(&cloud, "UpdateService", update).await, Delivery::ConnectionLost);
    assert_ne!(describe_service(&cloud).await["currentServiceDeployment"], before);
    let call = cloud.calls().into_iter().find(|call| call.operation == "UpdateService").unwrap();
    assert_eq!((call.outcome, call.is_mutating, call.took_effect), (CallOutcome::ConnectionLost, true, true));
}

#[tokio::test(start_paused = true)]
async fn stale_reads_show_the_time_before_the_update_for_a_while() {
    let cloud =
        Cloud::new(scenario().with_fault(Fault::StaleReads(StaleReads { lasts: 20.0, in_answer: false })), 2);
    let before = describe_service(&cloud).await["deployments"][0]["id"].clone();
    let (_, arn) = deploy_v2(&cloud).await;
    let lagging = describe_service(&cloud).await;
    assert_eq!(lagging["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(lagging["deployments"][0]["id"], before);
    let input = json!({"serviceDeploymentArns": [arn]});
    assert_eq!(
        call_ok(&cloud, "DescribeServiceDeployments", input).await["failures"][0]["reason"],
        "MISSING"
    );
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(describe_service(&cloud).await["deployments"].as_array().unwrap().len(), 2);
    assert_eq!(collect_statuses(&cloud, &arn, 600).await.last().unwrap(), "SUCCESSFUL");
}

#[tokio::test(start_paused = true)]
async fn throttling_comes_from_faults_and_from_the_documented_rates() {
    let throttle = Fault::Throttle(OperationCalls { operation: "DescribeServices".into(), times: 2 });
    let cloud = Cloud::new(scenario().with_fault(throttle), 3);
    let input = json!({"cluster": "acme", "services": ["web"]});
    for _ in 0..2 {
        assert_eq!(call_error(&cloud, "DescribeServices", input.clone()).await.code, "ThrottlingException");
    }
    call_ok(&cloud, "DescribeServices", input).await;
    let mut refused = 0;
    for _ in 0..40 {
        let input =
            json!({"family": "x", "containerDefinitions": [{"name": "a", "image": "b", "memory": 64}]});
        let delivery = send(&cloud, "RegisterTaskDefinition", input).await;
        refused += usize::from(matches!(delivery, Delivery::Reply(Err(_))));
    }
    assert!(refused >= 15, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_server_errors_passes() {
    let burst = ErrorWindow { from: 10.0, lasts: 30.0, operation: None };
    let cloud = Cloud::new(scenario().with_fault(Fault::ServerErrors(burst)), 4);
    let (_, arn) = deploy_v2(&cloud).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let input = json!({"serviceDeploymentArns": [arn]});
    let refusal = call_error(&cloud, "DescribeServiceDeployments", input).await;
    assert_eq!((refusal.status, refusal.code.as_str()), (500, "ServerException"));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(collect_statuses(&cloud, &arn, 600).await.last().unwrap(), "SUCCESSFUL");
}

#[tokio::test(start_paused = true)]
async fn a_denied_action_is_refused_without_effect() {
    let deny = |action: &str| Fault::Deny(DeniedAction { action: action.into() });
    let cloud =
        Cloud::new(scenario().with_fault(deny("ecs:UpdateService")).with_fault(deny("iam:PassRole")), 5);
    let update = json!({"cluster": "acme", "service": "web", "forceNewDeployment": true});
    let refused = call_error(&cloud, "UpdateService", update).await;
    assert_eq!(refused.code, "AccessDeniedException");
    assert_eq!(
        refused.message,
        "User: arn:aws:sts::111111111111:assumed-role/deploy/roadstead is not authorized to perform: ecs:UpdateService \
         on resource: arn:aws:ecs:eu-west-1:111111111111:service/acme/web because no identity-based policy allows the ecs:UpdateService action"
    );
    let family = call_ok(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": "web"})).await;
    let refused = call_error(&cloud, "RegisterTaskDefinition", family["taskDefinition"].clone()).await;
    assert!(
        refused
            .message
            .contains("iam:PassRole on resource: arn:aws:iam::111111111111:role/ecsTaskExecutionRole")
    );
    assert_eq!(describe_service(&cloud).await["deployments"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn credentials_expire_and_newer_ones_work() {
    let cloud =
        Cloud::new(scenario().with_fault(Fault::ExpiredCredentials(CredentialExpiry { after: 60.0 })), 6);
    describe_service(&cloud).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    let input = json!({"cluster": "acme", "services": ["web"]});
    assert_eq!(call_error(&cloud, "DescribeServices", input).await.code, "ExpiredTokenException");
    cloud.change(|world, now| {
        let session =
            super::super::world::StsSession { issued: now, expires: now + 900.0, arn: "arn:x".into() };
        world.sessions.insert("AKIATEST".into(), session);
    });
    describe_service(&cloud).await;
    tokio::time::sleep(Duration::from_secs(901)).await;
    let input = json!({"cluster": "acme", "services": ["web"]});
    assert_eq!(call_error(&cloud, "DescribeServices", input).await.code, "ExpiredTokenException");
}

#[tokio::test(start_paused = true)]
async fn call_hook_overrides_before_and_after_the_effect() {
    let cloud = Cloud::new(scenario(), 7);
    cloud.on_call(Box::new(|moment| match (moment.call.operation.as_str(), moment.phase) {
        ("UpdateService", HookPhase::Before) => Override::Fail(ServiceError::new("ClientException", "no")),
        ("RegisterTaskDefinition", HookPhase::After) => Override::Disconnect,
        ("ListServices", HookPhase::Before) => Override::NoReply,
        _ => Override::Pass,
    }));
    let family = call_ok(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": "web"})).await;
    let registered = send(&cloud, "RegisterTaskDefinition", family["taskDefinition"].clone()).await;
    assert_eq!(registered, Delivery::ConnectionLost);
    let newest = call_ok(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": "web"})).await;
    assert_eq!(newest["taskDefinition"]["revision"], 2);
    let update = json!({"cluster": "acme", "service": "web", "forceNewDeployment": true});
    assert_eq!(call_error(&cloud, "UpdateService", update).await.message, "no");
    assert_eq!(describe_service(&cloud).await["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(send(&cloud, "ListServices", json!({"cluster": "acme"})).await, Delivery::NoReply);
    let effective: Vec<_> =
        cloud.calls().into_iter().filter(|c| c.is_mutating && c.took_effect).map(|c| c.operation).collect();
    assert_eq!(effective, ["RegisterTaskDefinition"]);
}

#[tokio::test(start_paused = true)]
async fn unsupported_operation_is_an_error_that_names_it() {
    let cloud = Cloud::new(scenario(), 8);
    let refused = call_error(&cloud, "CreateCapacityProvider", json!({})).await;
    assert_eq!((refused.status, refused.code.as_str()), (501, "NotModelled"));
    assert_eq!(refused.message, "the embedded cloud does not model CreateCapacityProvider of ecs");
}

//! Every service through the real SDK, so that each protocol is read and written by someone else's code.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use aws_sdk_ecr::types::ImageIdentifier;
use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;
use aws_sdk_iam::types::PolicyEvaluationDecisionType;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use bytes::Bytes;
use http::{Request, StatusCode};

use super::client::http_client;
use super::cloud::Cloud;
use super::oidc;
use super::rng::seconds_range;
use super::scenario::Scenario;
use super::wire::{self, RequestIds, TransportReply};
use super::world::{Alarm, TargetState};

/// When the default scenario begins.
const NOW: f64 = 1_772_442_000.0;
const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/shop/0123456789abcdef";

/// A calm cloud, and a few things in it.
fn cloud() -> Cloud {
    let mut scenario = Scenario::default();
    scenario.timings.latency = seconds_range(0.0, 0.0);
    scenario.policy.deny = vec!["iam:PassRole".into()];
    let cloud = Cloud::new(scenario, 1);
    cloud.change(|world, now| {
        let alarm = |composite| Alarm { state: "ALARM".into(), since: now - 0.5, composite };
        world.alarms = [("5xx".into(), alarm(false)), ("all".into(), alarm(true))].into();
        let line = (1, "panic: <no> & \"yes\"".into());
        world.logs = [(("/ecs/shop".into(), "app/app/1".into()), vec![line])].into();
        let target = TargetState {
            id: "10.0.0.1".into(),
            port: 8080,
            state: "unhealthy".into(),
            reason: "Target.ResponseCodeMismatch".into(),
            description: "Health checks failed with these codes: [503]".into(),
        };
        world.targets = [(GROUP.into(), vec![target])].into();
    });
    cloud.push_image("acme/shop", &["v1"], "linux/amd64", "1");
    cloud
}

fn sdk_config(cloud: &Cloud, keys: Credentials) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("eu-west-1"))
        .endpoint_url("http://cloud.invalid")
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(http_client(cloud.clone()))
        .build()
}

fn user_credentials() -> Credentials {
    Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test")
}

#[tokio::test(start_paused = true)]
async fn cloudwatch_speaks_cbor() {
    let client = aws_sdk_cloudwatch::Client::new(&sdk_config(&cloud(), user_credentials()));
    let types = [AlarmType::MetricAlarm, AlarmType::CompositeAlarm];
    let answer = client
        .describe_alarms()
        .alarm_names("5xx")
        .alarm_names("all")
        .set_alarm_types(Some(types.into()))
        .send()
        .await
        .unwrap();
    let alarm = &answer.metric_alarms()[0];
    assert_eq!(alarm.state_value(), Some(&StateValue::Alarm));
    assert_eq!(alarm.state_updated_timestamp().unwrap().as_secs_f64(), NOW - 0.5);
    assert_eq!((alarm.threshold(), alarm.period()), (Some(5.0), Some(60)));
    assert_eq!(answer.composite_alarms()[0].alarm_name(), Some("all"));
    let error = client.describe_alarms().next_token("x").send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_invalid_next_token(), "{error:?}");
    let error = client.delete_dashboards().dashboard_names("x").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NotModelled"));
    let words = "the embedded cloud does not model DeleteDashboards of monitoring";
    assert_eq!(error.message(), Some(words));
}

#[tokio::test(start_paused = true)]
async fn load_balancing_speaks_query() {
    let client = aws_sdk_elasticloadbalancingv2::Client::new(&sdk_config(&cloud(), user_credentials()));
    let answer = client.describe_target_health().target_group_arn(GROUP).send().await.unwrap();
    let described = &answer.target_health_descriptions()[0];
    let health = described.target_health().unwrap();
    assert_eq!(health.state(), Some(&TargetHealthStateEnum::Unhealthy));
    assert_eq!(health.description(), Some("Health checks failed with these codes: [503]"));
    assert_eq!(described.target().unwrap().port(), Some(8080));
    let groups = client.describe_target_groups().names("shop").send().await.unwrap();
    assert_eq!(groups.target_groups()[0].health_check_interval_seconds(), Some(30));
    let error = client.describe_target_health().target_group_arn("arn:x").send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_target_group_not_found_exception(), "{error:?}");
}

/// A service with a pair of target groups and traffic, deployed as a canary by the SDK.
#[tokio::test(start_paused = true)]
async fn a_canary_is_paused_continued_and_measured_through_the_sdk() {
    use aws_sdk_cloudwatch::primitives::DateTime;
    use aws_sdk_cloudwatch::types as cw;
    use aws_sdk_ecs::types as ecs;
    let world = Scenario::default_for([("acme", "web")]);
    let cloud =
        Cloud::new(super::builtin::find_builtin("canary-healthy").unwrap().apply_to(world).unwrap(), 1);
    let config = sdk_config(&cloud, user_credentials());
    let client = aws_sdk_ecs::Client::new(&config);
    let hook = ecs::DeploymentLifecycleHook::builder()
        .target_type(ecs::DeploymentLifecycleHookTargetType::Pause)
        .lifecycle_stages(ecs::DeploymentLifecycleHookStage::PreProductionTrafficShift)
        .build();
    let canary =
        ecs::CanaryConfiguration::builder().canary_percent(20.0).canary_bake_time_in_minutes(1).build();
    let configuration = ecs::DeploymentConfiguration::builder()
        .strategy(ecs::DeploymentStrategy::Canary)
        .canary_configuration(canary)
        .lifecycle_hooks(hook)
        .build();
    let update = client.update_service().cluster("acme").service("web").force_new_deployment(true);
    let updated = update.deployment_configuration(configuration).send().await.unwrap();
    let arn = updated.service().unwrap().current_service_deployment().unwrap().to_owned();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(600)).await;
        let seen = client.describe_service_deployments().service_deployment_arns(&arn).send().await.unwrap();
        let hooks = seen.service_deployments()[0].lifecycle_hook_details();
        let open = hooks
            .iter()
            .find(|hook| hook.status() == Some(&ecs::DeploymentLifecycleHookStatus::AwaitingAction));
        let go = client.continue_service_deployment().service_deployment_arn(&arn);
        go.hook_id(open.unwrap().hook_id().unwrap()).send().await.unwrap();
    }
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&config);
    let rule = cloud.read(|world| super::elbv2::balancers::listener_rule_arn(world, "web", 443));
    let rules = elb.describe_rules().rule_arns(&rule).send().await.unwrap();
    let actions = rules.rules()[0].actions().to_vec();
    let groups = actions[0].forward_config().unwrap().target_groups().to_vec();
    assert_eq!(groups.iter().map(|group| group.weight().unwrap()).sum::<i32>(), 100);
    let modified = elb.modify_rule().rule_arn(&rule).set_actions(Some(actions.clone())).send().await.unwrap();
    assert_eq!(modified.rules()[0].actions(), actions);
    let suffix = |arn: &str| arn.rsplit_once(':').unwrap().1.to_owned();
    let dimension = |name: &str, value: String| cw::Dimension::builder().name(name).value(value).build();
    let balancer = cloud.read(|world| {
        super::elbv2::balancers::load_balancer_arn(world, "web").split_once("/").unwrap().1.to_owned()
    });
    let metric = cw::Metric::builder().namespace("AWS/ApplicationELB").metric_name("RequestCount");
    let metric = metric.dimensions(dimension("LoadBalancer", balancer));
    let metric =
        metric.dimensions(dimension("TargetGroup", suffix(groups[0].target_group_arn().unwrap()))).build();
    let stat = cw::MetricStat::builder().metric(metric).period(60).stat("Sum").build();
    let query = cw::MetricDataQuery::builder().id("requests").metric_stat(stat).build();
    let now = cloud.now();
    let ask = aws_sdk_cloudwatch::Client::new(&config).get_metric_data().metric_data_queries(query);
    let ask = ask.start_time(DateTime::from_secs_f64(now - 900.0)).end_time(DateTime::from_secs_f64(now));
    let answer = ask.send().await.unwrap();
    let found = &answer.metric_data_results()[0];
    assert_eq!(found.status_code(), Some(&cw::StatusCode::Complete));
    assert_eq!(found.timestamps().len(), found.values().len());
    assert!(found.values().iter().sum::<f64>() > 500.0, "{found:?}");
    assert!(found.timestamps()[0].secs() > found.timestamps()[1].secs());
}

#[tokio::test(start_paused = true)]
async fn iam_decides_by_the_policy() {
    let client = aws_sdk_iam::Client::new(&sdk_config(&cloud(), user_credentials()));
    let role = "arn:aws:iam::111111111111:role/deploy";
    let ask = client.simulate_principal_policy().policy_source_arn(role).action_names("ecs:UpdateService");
    let answer = ask.action_names("iam:PassRole").resource_arns("*").send().await.unwrap();
    let decisions: Vec<_> =
        answer.evaluation_results().iter().map(|result| result.eval_decision().clone()).collect();
    let expected = [PolicyEvaluationDecisionType::Allowed, PolicyEvaluationDecisionType::ExplicitDeny];
    assert_eq!(decisions, expected);
    assert!(!answer.is_truncated());
}

#[tokio::test(start_paused = true)]
async fn logs_and_ecr_speak_json() {
    let config = sdk_config(&cloud(), user_credentials());
    let logs = aws_sdk_cloudwatchlogs::Client::new(&config);
    let ask = logs.get_log_events().log_group_name("/ecs/shop").limit(20);
    let answer = ask.clone().log_stream_name("app/app/1").send().await.unwrap();
    assert_eq!(answer.events()[0].message(), Some("panic: <no> & \"yes\""));
    let error = ask.log_stream_name("x").send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_resource_not_found_exception());
    assert_eq!(error.message(), Some("The specified log stream does not exist."));

    let ecr = aws_sdk_ecr::Client::new(&config);
    let id = ImageIdentifier::builder().image_tag("v1").build();
    let got = ecr.batch_get_image().repository_name("acme/shop").image_ids(id).send().await.unwrap();
    let manifest = got.images()[0].image_manifest().unwrap();
    let again = ecr.put_image().repository_name("acme/shop").image_manifest(manifest).image_tag("v2");
    let put = again.clone().send().await.unwrap();
    assert_eq!(
        put.image().unwrap().image_id(),
        got.images()[0]
            .image_id()
            .map(|id| {
                ImageIdentifier::builder()
                    .image_tag("v2")
                    .set_image_digest(id.image_digest().map(String::from))
                    .build()
            })
            .as_ref()
    );
    let error = again.send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_image_already_exists_exception(), "{error:?}");
    let token = ecr.get_authorization_token().send().await.unwrap();
    let until = token.authorization_data()[0].expires_at().unwrap().as_secs_f64();
    assert_eq!(until, NOW + 43_200.0);
}

/// A GET as an in-process client makes it.
async fn get_text(cloud: &Cloud, uri: &str, bearer: &str) -> (StatusCode, String) {
    let request = Request::builder().uri(uri).header("authorization", bearer).body(Bytes::new()).unwrap();
    match wire::handle_request(cloud, &RequestIds::default(), &request).await {
        TransportReply::Respond(response) => {
            (response.status(), String::from_utf8(response.body().to_vec()).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_runner_becomes_a_session_that_expires() {
    let cloud = cloud();
    let url = format!(
        "http://cloud.invalid{}?api-version=2&audience=sts.amazonaws.com",
        wire::plain_http::OIDC_PATH
    );
    assert_eq!(get_text(&cloud, &url, "").await.0, StatusCode::UNAUTHORIZED);
    let (_, body) = get_text(&cloud, &url, "Bearer t").await;
    let token =
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["value"].as_str().unwrap().to_owned();

    let sts = aws_sdk_sts::Client::new(&sdk_config(&cloud, user_credentials()));
    let assume = sts.assume_role_with_web_identity().role_arn("arn:aws:iam::111111111111:role/deploy");
    let assume = assume.role_session_name("GitHubActions").duration_seconds(900);
    let answer = assume.clone().web_identity_token(token).send().await.unwrap();
    let keys = answer.credentials().unwrap();
    assert_eq!(keys.expiration().as_secs_f64(), NOW + 900.0);
    let session = Some(keys.session_token().to_owned());
    let keys = Credentials::new(keys.access_key_id(), keys.secret_access_key(), session, None, "test");
    let who = aws_sdk_sts::Client::new(&sdk_config(&cloud, keys.clone()));
    let arn = "arn:aws:sts::111111111111:assumed-role/deploy/GitHubActions";
    assert_eq!(who.get_caller_identity().send().await.unwrap().arn(), Some(arn));

    tokio::time::advance(Duration::from_secs(900)).await;
    assert_eq!(who.get_caller_identity().send().await.unwrap_err().code(), Some("ExpiredToken"));
    let ecr = aws_sdk_ecr::Client::new(&sdk_config(&cloud, keys));
    let error = ecr.get_authorization_token().send().await.unwrap_err();
    assert_eq!(error.code(), Some("ExpiredTokenException"));

    let old = oidc::issue_token(&oidc::Workflow::default(), "sts.amazonaws.com", NOW + 600.0);
    let error = assume.clone().web_identity_token(old).send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_expired_token_exception(), "{error:?}");
    let error = assume.web_identity_token("abc").send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_invalid_identity_token_exception(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_config_of_an_image_is_downloaded_by_its_link() {
    let cloud = cloud();
    let digest = cloud.read(|world| {
        let mut blobs = world.repositories()["acme/shop"].blobs.iter();
        blobs.find(|(_, blob)| blob.starts_with('{')).map(|(digest, _)| digest.clone()).unwrap()
    });
    let ecr = aws_sdk_ecr::Client::new(&sdk_config(&cloud, user_credentials()));
    let ask = ecr.get_download_url_for_layer().repository_name("acme/shop").layer_digest(digest);
    let url = ask.send().await.unwrap().download_url().unwrap().to_owned();
    assert!(url.starts_with("http://cloud.invalid/"), "{url}");
    let (status, blob) = get_text(&cloud, &url, "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&blob).unwrap()["os"], "linux");
}

#[tokio::test(start_paused = true)]
async fn ecs_deploys_through_the_sdk_and_every_call_is_in_the_log() {
    let cloud = Cloud::new(Scenario::default_for([("acme", "web")]), 1);
    let ecs = aws_sdk_ecs::Client::new(&sdk_config(&cloud, user_credentials()));
    let update = ecs.update_service().cluster("acme").service("web").force_new_deployment(true);
    let updated = update.send().await.unwrap();
    let service = updated.service().unwrap();
    let arn = service.current_service_deployment().unwrap().to_owned();
    assert_eq!(service.deployments().len(), 2);
    assert!(service.created_at().unwrap().as_secs_f64() < NOW);
    tokio::time::sleep(Duration::from_secs(1800)).await;
    let seen = ecs.describe_service_deployments().service_deployment_arns(arn).send().await.unwrap();
    let status = seen.service_deployments()[0].status().unwrap();
    assert_eq!(status, &aws_sdk_ecs::types::ServiceDeploymentStatus::Successful);
    let log = wire::Handler::call_log(&cloud);
    assert_eq!(log.as_array().unwrap().len(), 2);
    assert_eq!((&log[0]["operation"], &log[0]["effective"]), (&"UpdateService".into(), &true.into()));
}

#[tokio::test(start_paused = true)]
async fn temporary_keys_that_sts_never_issued_are_invalid() {
    let keys = Credentials::new("ASIAIOSFODNN7EXAMPLE", "secret", Some("t".into()), None, "test");
    let config = sdk_config(&cloud(), keys);
    let ecr = aws_sdk_ecr::Client::new(&config).get_authorization_token().send().await.unwrap_err();
    assert_eq!(ecr.code(), Some("UnrecognizedClientException"));
    let sts = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap_err();
    assert_eq!(sts.code(), Some("InvalidClientTokenId"));
}

//! Traffic, its split by weights, and what GetMetricData shows of it.

use super::super::builtin;
use super::super::elbv2::balancers::{self, LISTENER_PORTS};
use super::super::faults::*;
use super::staged_deployments::deploy_with;
use super::*;

async fn call_service(
    cloud: &Cloud,
    service: &str,
    operation: &str,
    input: Value,
) -> Result<Value, ServiceError> {
    let call = ServiceCall {
        service: service.into(),
        operation: operation.into(),
        input,
        region: "eu-west-1".into(),
        access_key: Some("AKIATEST".into()),
    };
    match cloud.handle(call).await {
        Delivery::Reply(answer) => answer,
        other => panic!("{operation}: {other:?}"),
    }
}

fn builtin_scenario(name: &str) -> Scenario {
    builtin::find_builtin(name).unwrap().apply_to(scenario()).unwrap()
}

/// The dimension of a target group of the first load balancer.
fn group_dimension(cloud: &Cloud, name: &str) -> String {
    cloud.read(|world| {
        let arn = balancers::target_group_arn(world, name);
        arn.rsplit_once(':').unwrap().1.to_owned()
    })
}

async fn metric_data(cloud: &Cloud, group: &str, metric: &str, stat: &str, minutes: f64) -> Value {
    let balancer = cloud.read(|world| {
        balancers::load_balancer_arn(world, "web").split_once("loadbalancer/").unwrap().1.to_owned()
    });
    let mut dimensions = vec![json!({"Name": "LoadBalancer", "Value": balancer})];
    if !group.is_empty() {
        dimensions.push(json!({"Name": "TargetGroup", "Value": group}));
    }
    let metric = json!({"Namespace": "AWS/ApplicationELB", "MetricName": metric, "Dimensions": dimensions});
    let query = json!({"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}});
    let (start, end) = (cloud.now() - minutes * 60.0, cloud.now());
    let input = json!({"StartTime": start, "EndTime": end, "MetricDataQueries": [query], "ScanBy": "TimestampAscending"});
    call_service(cloud, "monitoring", "GetMetricData", input).await.unwrap()["MetricDataResults"][0].clone()
}

fn sum_values(result: &Value) -> f64 {
    result["Values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).sum()
}

/// A canary at 20 percent, ten minutes after its traffic began.
async fn start_canary(scenario: Scenario) -> Cloud {
    let cloud = Cloud::new(scenario, 1);
    let configuration = json!({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 20, "canaryBakeTimeInMinutes": 60}});
    deploy_with(&cloud, configuration).await;
    tokio::time::sleep(Duration::from_secs(900)).await;
    cloud
}

#[tokio::test(start_paused = true)]
async fn requests_follow_the_weights_and_bad_ones_the_version() {
    let cloud = start_canary(builtin_scenario("canary-5xx")).await;
    let (blue, green) = (group_dimension(&cloud, "web"), group_dimension(&cloud, "web-alternate"));
    let (old, new) = (
        sum_values(&metric_data(&cloud, &blue, "RequestCount", "Sum", 12.0).await),
        sum_values(&metric_data(&cloud, &green, "RequestCount", "Sum", 12.0).await),
    );
    let share = new / (old + new);
    assert!((0.18..0.22).contains(&share), "{share}");
    let bad = sum_values(&metric_data(&cloud, &green, "HTTPCode_Target_5XX_Count", "Sum", 12.0).await) / new;
    assert!((0.03..0.07).contains(&bad), "{bad}");
    let bad = sum_values(&metric_data(&cloud, &blue, "HTTPCode_Target_5XX_Count", "Sum", 12.0).await) / old;
    assert!(bad < 0.004, "{bad}");
    let serving = cloud.serving_state("acme", "web").unwrap();
    let shares: Vec<f64> = serving.traffic.values().copied().collect();
    assert_eq!((shares, serving.lost_percent), (vec![80.0, 20.0], 0.0));
}

#[tokio::test(start_paused = true)]
async fn latency_is_shown_as_percentiles_and_ranks() {
    let cloud = start_canary(builtin_scenario("canary-slow")).await;
    let (blue, green) = (group_dimension(&cloud, "web"), group_dimension(&cloud, "web-alternate"));
    for (group, median, within) in [(&blue, 0.08, 99.0..=100.0), (&green, 0.8, 10.0..=25.0)] {
        let p50 = metric_data(&cloud, group, "TargetResponseTime", "p50", 8.0).await;
        let mean = sum_values(&p50) / p50["Values"].as_array().unwrap().len() as f64;
        assert!((mean / median - 1.0).abs() < 0.1, "{mean}");
        let rank = metric_data(&cloud, group, "TargetResponseTime", "PR(:0.5)", 8.0).await;
        let over = metric_data(&cloud, group, "TargetResponseTime", "PR(0.5:)", 8.0).await;
        let mean = sum_values(&rank) / rank["Values"].as_array().unwrap().len() as f64;
        assert!(within.contains(&mean), "{mean}");
        let first = rank["Values"][0].as_f64().unwrap() + over["Values"][0].as_f64().unwrap();
        assert!((first - 100.0).abs() < 1e-9, "{first}");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_come_late_partly_swapped_or_not_at_all() {
    let age = |cloud: &Cloud, result: &Value| {
        result["Timestamps"].as_array().unwrap().last().map(|at| cloud.now() - at.as_f64().unwrap())
    };
    let usual = start_canary(builtin_scenario("canary-healthy")).await;
    let blue = group_dimension(&usual, "web");
    let found = metric_data(&usual, &blue, "RequestCount", "Sum", 15.0).await;
    assert!((120.0..=240.0).contains(&age(&usual, &found).unwrap()), "{found}");
    let again = metric_data(&usual, &blue, "RequestCount", "Sum", 15.0).await;
    assert_eq!(found, again, "the same question has the same answer");
    let late = start_canary(builtin_scenario("canary-late-metrics")).await;
    let found = metric_data(&late, &blue, "RequestCount", "Sum", 15.0).await;
    assert!((420.0..=540.0).contains(&age(&late, &found).unwrap()), "{found}");
    let none = start_canary(builtin_scenario("canary-no-metrics")).await;
    let found = metric_data(&none, &blue, "RequestCount", "Sum", 15.0).await;
    assert_eq!((&found["Values"], &found["StatusCode"]), (&json!([]), &"Complete".into()));
    let partial = start_canary(builtin_scenario("canary-partial-metrics")).await;
    let found = metric_data(&partial, &blue, "RequestCount", "Sum", 12.0).await;
    assert_eq!(found["StatusCode"], "PartialData");
    assert!(found["Values"].as_array().unwrap().len() <= 6);
    let forbidden = start_canary(builtin_scenario("canary-forbidden-metrics")).await;
    assert_eq!(metric_data(&forbidden, &blue, "RequestCount", "Sum", 12.0).await["StatusCode"], "Forbidden");
    let swapped = start_canary(builtin_scenario("canary-swapped-metrics")).await;
    let green = group_dimension(&swapped, "web-alternate");
    let (old, new) = (
        sum_values(&metric_data(&swapped, &blue, "RequestCount", "Sum", 10.0).await),
        sum_values(&metric_data(&swapped, &green, "RequestCount", "Sum", 10.0).await),
    );
    assert!(new > old * 2.0, "{old} {new}");
}

#[tokio::test(start_paused = true)]
async fn shared_outage_affects_both_variants() {
    let cloud = start_canary(builtin_scenario("canary-shared-outage")).await;
    for name in ["web", "web-alternate"] {
        let group = group_dimension(&cloud, name);
        let bad = sum_values(&metric_data(&cloud, &group, "HTTPCode_Target_5XX_Count", "Sum", 14.0).await);
        let all = sum_values(&metric_data(&cloud, &group, "RequestCount", "Sum", 14.0).await);
        assert!((0.04..0.16).contains(&(bad / all)), "{name}: {bad} of {all}");
    }
}

#[tokio::test(start_paused = true)]
async fn metric_queries_out_of_range_are_rejected() {
    let cloud = Cloud::new(builtin_scenario("canary-healthy"), 2);
    let query = |id: &str, stat: &str, period: u32| {
        let metric = json!({"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount"});
        json!({"Id": id, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}})
    };
    let ask = |start: f64, queries: Value| json!({"StartTime": start, "EndTime": 1000.0, "MetricDataQueries": queries});
    for wrong in [
        ask(1000.0, json!([query("a", "Sum", 60)])),
        ask(0.0, json!([])),
        ask(0.0, json!([query("A", "Sum", 60)])),
        ask(0.0, json!([query("a", "Sum", 60), query("a", "Sum", 60)])),
        ask(0.0, json!([query("a", "Sum", 61)])),
        ask(0.0, json!([query("a", "PR(:)", 60)])),
        ask(0.0, (0..501).map(|n| query(&format!("m{n}"), "Sum", 60)).collect()),
    ] {
        let refused = call_service(&cloud, "monitoring", "GetMetricData", wrong.clone()).await.unwrap_err();
        assert_eq!(refused.code, "ValidationError", "{wrong}");
    }
    let paged = json!({"StartTime": 0.0, "EndTime": 60.0, "MetricDataQueries": [query("a", "Sum", 60)], "NextToken": "x"});
    assert_eq!(
        call_service(&cloud, "monitoring", "GetMetricData", paged).await.unwrap_err().code,
        "InvalidNextToken"
    );
}

#[tokio::test(start_paused = true)]
async fn two_services_share_a_rule_whose_weights_anybody_may_set() {
    let mut scenario = builtin_scenario("two-services");
    scenario.balancers[0].authenticate = true;
    let cloud = Cloud::new(scenario, 3);
    let (rule, blue, green) = cloud.read(|world| {
        let group = |name: &str| balancers::target_group_arn(world, name);
        (balancers::listener_rule_arn(world, "web", LISTENER_PORTS[0]), group("web"), group("web-green"))
    });
    let elb = async |operation: &str, input: Value| {
        call_service(&cloud, "elasticloadbalancing", operation, input).await
    };
    let known = elb("DescribeRules", json!({"RuleArns": [rule]})).await.unwrap()["Rules"][0].clone();
    assert_eq!(known["Actions"][0]["Type"], "authenticate-oidc");
    assert!(known["Actions"][0]["AuthenticateOidcConfig"].get("ClientSecret").is_none());
    let mut actions = known["Actions"].clone();
    let share = |first: i64, second: i64| json!([{"TargetGroupArn": blue, "Weight": first}, {"TargetGroupArn": green, "Weight": second}]);
    actions[1]["ForwardConfig"]["TargetGroups"] = share(75, 25);
    let modify = |actions: &Value| json!({"RuleArn": rule, "Actions": actions});
    let refused = elb("ModifyRule", modify(&actions)).await.unwrap_err();
    assert_eq!(refused.code, "InvalidLoadBalancerAction");
    actions[0]["AuthenticateOidcConfig"]["UseExistingClientSecret"] = "true".into();
    let set = elb("ModifyRule", modify(&actions)).await.unwrap();
    assert_eq!(set["Rules"][0]["Actions"][1]["ForwardConfig"]["TargetGroups"], share(75, 25));
    let serving = |name: &str| cloud.serving_state("acme", name).unwrap();
    assert_eq!(serving("web-green").traffic.values().sum::<f64>(), 25.0);
    actions[1]["ForwardConfig"]["TargetGroups"] = share(1000, 0);
    assert_eq!(elb("ModifyRule", modify(&actions)).await.unwrap_err().code, "ValidationError");
    actions[1]["ForwardConfig"]["TargetGroups"] = share(0, 0);
    elb("ModifyRule", modify(&actions)).await.unwrap();
    assert_eq!((serving("web").lost_percent, serving("web").traffic.len()), (100.0, 0));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let lost = sum_values(&metric_data(&cloud, "", "HTTPCode_ELB_5XX_Count", "Sum", 6.0).await);
    assert!(lost > 1000.0, "{lost}");
    assert_eq!(elb("DescribeRules", json!({"RuleArns": ["arn:x"]})).await.unwrap_err().code, "RuleNotFound");
    assert_eq!(elb("ModifyRule", json!({"RuleArn": "arn:x"})).await.unwrap_err().code, "RuleNotFound");
    let listener = cloud.read(|world| world.load_balancing.rules[&rule].listener.clone());
    let rules = elb("DescribeRules", json!({"ListenerArn": listener})).await.unwrap();
    assert_eq!(rules["Rules"].as_array().unwrap().len(), 2);
    let balancer = cloud.read(|world| balancers::load_balancer_arn(world, "web"));
    let listeners = elb("DescribeListeners", json!({"LoadBalancerArn": balancer})).await.unwrap();
    assert_eq!(listeners["Listeners"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_traffic() {
    let (one, two) = (
        start_canary(builtin_scenario("canary-healthy")).await,
        start_canary(builtin_scenario("canary-healthy")).await,
    );
    // Both live in one runtime: the first one is older by now.
    let begin = |cloud: &Cloud| {
        cloud.read(|world| world.traffic.streams[0].minutes.clone().into_iter().take(12).collect::<Vec<_>>())
    };
    assert_eq!(begin(&one), begin(&two));
    let denied = scenario().with_fault(Fault::MetricsMissing(NoOptions {}));
    assert!(Cloud::new(denied, 1).read(|world| world.traffic.streams.is_empty()));
}

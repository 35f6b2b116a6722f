//! Deployments by ECS's own strategies: what a service can do, whose hook waits, which share comes next. Pure.

use serde_json::Value;

use super::configuration::{self, STAGE};
use super::read::{FiredHook, Service, ServiceDeployment, list, text};
use super::write::ROLLBACK;
use crate::release::{Ability, Rollout, Traffic};

/// Members of `advancedConfiguration` that ECS needs to shift traffic.
const NEEDED: [&str; 3] = ["alternateTargetGroupArn", "productionListenerRule", "roleArn"];

/// Whose word a deployment waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    /// Nobody's.
    None,
    /// Ours, at the hook with this id.
    Ours(String),
    /// Somebody else's.
    Theirs,
}

/// What a service can do with its traffic as it is set up.
pub fn ability(service: &Service) -> Ability {
    let lacks = lacks(service);
    Ability { traffic: if lacks.is_some() { Traffic::Whole } else { Traffic::Weighted }, lacks }
}

fn lacks(service: &Service) -> Option<String> {
    if service.controller != "ECS" {
        return Some(format!(
            "The service is driven by {}: set its deploymentController to ECS (UpdateService can).",
            service.controller
        ));
    }
    if service.raw["schedulingStrategy"] == "DAEMON" {
        return Some(
            "It is a DAEMON service, and ECS replaces the tasks of those in place: use `rolling`.".into(),
        );
    }
    let balancers = list(&service.raw, "loadBalancers");
    if balancers.is_empty() {
        let sentence = "It is a service with no load balancer, so no share of its traffic can be sent to the new version. \
                        Give it a load balancer (`aws ecs update-service --load-balancers …`) with an `advancedConfiguration`, or use `rolling`.";
        return Some(sentence.into());
    }
    let missing: Vec<String> = balancers.iter().filter_map(|balancer| missing(service, balancer)).collect();
    if !missing.is_empty() {
        return Some(missing.join(" "));
    }
    configuration::same_place(&service.raw["deploymentConfiguration"]).then(|| {
        format!(
            "It has a pause hook of its own at {STAGE}, where ours has to wait, and ECS does not say which of the two waits. \
             Move it to another stage, such as POST_TEST_TRAFFIC_SHIFT."
        )
    })
}

fn missing(service: &Service, balancer: &Value) -> Option<String> {
    let advanced = &balancer["advancedConfiguration"];
    let missing: Vec<&str> = NEEDED.into_iter().filter(|member| text(advanced, member).is_empty()).collect();
    if missing.is_empty() {
        return None;
    }
    let group = group_label(&text(balancer, "targetGroupArn"));
    let (cluster, name) = (text(&service.raw, "clusterArn"), text(&service.raw, "serviceName"));
    let cluster = cluster.rsplit('/').next().unwrap_or_default();
    Some(format!(
        "The load balancer entry with `{group}` has no `advancedConfiguration` with {}. Create a second target group; let the \
         production listener rule forward to both with the weights 1 and 0; create an infrastructure role for ECS with \
         AmazonECSInfrastructureRolePolicyForLoadBalancers; and name all three in `aws ecs update-service --cluster {cluster} \
         --service {name} --load-balancers \
         targetGroupArn=…,containerName=…,containerPort=…,advancedConfiguration={{alternateTargetGroupArn=…,productionListenerRule=…,roleArn=…}}`.",
        missing.iter().map(|member| format!("`{member}`")).collect::<Vec<_>>().join(", ")
    ))
}

/// The configuration that a deployment goes by: its own, or else the service's as it is now.
pub fn configuration<'a>(deployment: &'a ServiceDeployment, service: &'a Service) -> &'a Value {
    let own = &deployment.configuration;
    if own["strategy"].is_string() { own } else { &service.raw["deploymentConfiguration"] }
}

/// Whether a deployment goes by one of ECS's own strategies rather than replacing task by task.
pub fn is_native(deployment: &ServiceDeployment, service: &Service) -> bool {
    matches!(
        configuration(deployment, service)["strategy"].as_str(),
        Some("BLUE_GREEN" | "CANARY" | "LINEAR")
    )
}

/// Whose word a deployment waits for. AWS does not say which of the configured hooks a fired one is, so it is
/// concluded from the stage and from what else is configured; in doubt it is not ours.
pub fn pause(deployment: &ServiceDeployment, service: &Service) -> Pause {
    let awaits = |hook: &&FiredHook| hook.pauses && hook.status == "AWAITING_ACTION";
    let Some(waiting) = deployment.hooks.iter().rev().find(awaits) else { return Pause::None };
    let configured = configuration(deployment, service);
    let pauses = |hook: &Value| hook["targetType"] == "PAUSE";
    let alone = !configuration::their_hooks(configured).any(pauses);
    let shifting = deployment.stage == STAGE || deployment.stage == "PRODUCTION_TRAFFIC_SHIFT";
    let ours = configuration::our_hook(configured).is_some()
        && (alone || (shifting && !configuration::same_place(configured)));
    if ours { Pause::Ours(waiting.id.clone()) } else { Pause::Theirs }
}

/// Whether a rollout consists of taking another one back.
pub fn returning(rollout: &Rollout) -> bool {
    rollout.ids.first().is_some_and(|id| id == ROLLBACK)
}

/// The share of production traffic that the new version has, in whole percent.
pub fn share(deployment: &ServiceDeployment) -> u8 {
    deployment.weight.unwrap_or_default().round().clamp(0.0, 100.0) as u8
}

/// The share that comes after the one it has.
pub fn next_share(deployment: &ServiceDeployment, service: &Service) -> u8 {
    let (now, configured) = (share(deployment), configuration(deployment, service));
    let percent = |steps: &str, member: &str| {
        configured[steps][member].as_f64().map(|percent| percent.round().clamp(0.0, 100.0) as u8)
    };
    match configured["strategy"].as_str() {
        // Without a version before there is nothing to share the traffic with.
        _ if deployment.sources.is_empty() => 100,
        Some("CANARY") => {
            percent("canaryConfiguration", "canaryPercent").filter(|canary| *canary > now).unwrap_or(100)
        }
        Some("LINEAR") => {
            now.saturating_add(percent("linearConfiguration", "stepPercent").unwrap_or(100)).min(100)
        }
        _ => 100,
    }
}

/// What a source of evidence calls a target group: `arn:…:targetgroup/blue/1` is `targetgroup/blue/1`.
pub fn group_label(arn: &str) -> String {
    arn.rsplit(':').next().unwrap_or(arn).to_owned()
}

/// What a source of evidence calls a load balancer: `arn:…:loadbalancer/app/web/2` is `app/web/2`.
pub fn balancer_label(arn: &str) -> String {
    arn.rsplit_once("loadbalancer/").map_or(arn, |(_, label)| label).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::{Course, Span};

    fn advanced() -> Value {
        json!({"alternateTargetGroupArn":"arn:b","productionListenerRule":"arn:rule","roleArn":"arn:role"})
    }

    fn with(balancers: Value) -> Service {
        Service::read(
            &json!({"serviceName":"web","clusterArn":"arn:x:cluster/acme","loadBalancers":balancers}),
        )
    }

    #[test]
    fn a_service_with_a_pair_of_groups_can_weigh_its_traffic() {
        let whole = json!({"targetGroupArn":"arn:a","advancedConfiguration":advanced()});
        assert_eq!(
            ability(&with(json!([whole.clone()]))),
            Ability { traffic: Traffic::Weighted, lacks: None }
        );
        let bare = json!({"targetGroupArn":"arn:aws:elasticloadbalancing:r:1:targetgroup/blue/1"});
        let lacks = ability(&with(json!([whole, bare]))).lacks.unwrap();
        for word in [
            "`targetgroup/blue/1`",
            "`alternateTargetGroupArn`, `productionListenerRule`, `roleArn`",
            "--cluster acme",
            "--service web",
        ] {
            assert!(lacks.contains(word), "{lacks}");
        }
        let none = ability(&with(json!([])));
        assert_eq!(none.traffic, Traffic::Whole);
        assert!(none.lacks.unwrap().contains("a service with no load balancer"));
    }

    #[test]
    fn a_pause_hook_of_somebody_else_in_our_place_stops_us_in_the_plan() {
        let mut service = with(json!([{"targetGroupArn":"arn:a","advancedConfiguration":advanced()}]));
        let hook = |stage: &str| json!({"lifecycleHooks":[{"targetType":"PAUSE","lifecycleStages":[stage]}]});
        service.raw["deploymentConfiguration"] = hook("POST_SCALE_UP");
        assert_eq!(ability(&service).traffic, Traffic::Weighted);
        service.raw["deploymentConfiguration"] = hook(STAGE);
        assert!(ability(&service).lacks.unwrap().contains(STAGE));
    }

    fn flying(shares: &[u8], theirs: Value, stage: &str, weight: f64) -> ServiceDeployment {
        let course = Course { shares: shares.to_vec(), bake: Span::default(), patience: Span::minutes(30) };
        let hook = |id: &str, status: &str| FiredHook {
            id: id.into(),
            pauses: true,
            status: status.into(),
            ..FiredHook::default()
        };
        ServiceDeployment {
            status: "IN_PROGRESS".into(),
            stage: stage.into(),
            weight: Some(weight),
            sources: vec!["rev-1".into()],
            hooks: vec![hook("h1", "SUCCEEDED"), hook("h2", "AWAITING_ACTION")],
            configuration: configuration::start(&json!({"lifecycleHooks": theirs}), &course, "td").unwrap(),
            ..ServiceDeployment::default()
        }
    }

    #[test]
    fn only_our_own_hook_is_ours() {
        let service = Service::default();
        let ours = Pause::Ours("h2".into());
        let at = |theirs: Value, stage: &str| pause(&flying(&[0, 10, 100], theirs, stage, 0.0), &service);
        let pauses = |stage: &str| json!([{"targetType":"PAUSE","lifecycleStages":[stage]}]);
        let lambda = json!([{"targetType":"AWS_LAMBDA","lifecycleStages":[STAGE]}]);
        assert_eq!(at(json!([]), "PRODUCTION_TRAFFIC_SHIFT"), ours);
        assert_eq!(at(json!([]), "POST_TEST_TRAFFIC_SHIFT"), ours);
        assert_eq!(at(lambda, "POST_TEST_TRAFFIC_SHIFT"), ours);
        assert_eq!(at(pauses("POST_SCALE_UP"), "PRODUCTION_TRAFFIC_SHIFT"), ours);
        assert_eq!(at(pauses("POST_SCALE_UP"), "POST_SCALE_UP"), Pause::Theirs);
        assert_eq!(at(pauses(STAGE), "PRODUCTION_TRAFFIC_SHIFT"), Pause::Theirs);
        let mut done = flying(&[0, 100], json!([]), STAGE, 0.0);
        done.hooks.pop();
        assert_eq!(pause(&done, &service), Pause::None);
        let mut foreign = flying(&[0, 100], json!([]), STAGE, 0.0);
        foreign.configuration = json!({"strategy":"BLUE_GREEN"});
        assert_eq!(pause(&foreign, &service), Pause::Theirs);
    }

    #[test]
    fn the_next_share_follows_the_strategy() {
        let next = |shares: &[u8], weight: f64| {
            next_share(&flying(shares, json!([]), STAGE, weight), &Service::default())
        };
        assert_eq!(
            (next(&[0, 100], 0.0), next(&[0, 10, 100], 0.0), next(&[0, 10, 100], 10.0)),
            (100, 10, 100)
        );
        assert_eq!(
            (next(&[0, 40, 80, 100], 0.0), next(&[0, 40, 80, 100], 40.0), next(&[0, 40, 80, 100], 80.0)),
            (40, 80, 100)
        );
        let first = ServiceDeployment { sources: Vec::new(), ..flying(&[0, 10, 100], json!([]), STAGE, 0.0) };
        assert_eq!(next_share(&first, &Service::default()), 100);
    }

    #[test]
    fn labels_are_those_of_the_metrics() {
        assert_eq!(group_label("arn:aws:elasticloadbalancing:r:1:targetgroup/blue/1"), "targetgroup/blue/1");
        assert_eq!(balancer_label("arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/2"), "app/web/2");
    }
}

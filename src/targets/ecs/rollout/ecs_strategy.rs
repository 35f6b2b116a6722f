//! Deployments by ECS's own strategies: what a service supports, whose hook is paused, and the next weight. Pure.

use serde_json::Value;

use super::super::read::{EcsService, FiredHook, ServiceDeployment, list_field, str_field};
use super::super::write::ROLLBACK_ID;
use super::deployment_configuration::{self, PAUSE_STAGE};
use crate::release::{Rollout, TrafficControl, TrafficSupport};

/// Members of `advancedConfiguration` that ECS needs to shift traffic.
const REQUIRED_MEMBERS: [&str; 3] = ["alternateTargetGroupArn", "productionListenerRule", "roleArn"];

/// Whether a deployment is paused, and at whose hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PauseState {
    /// Nobody's.
    NotPaused,
    /// At ours, with this id.
    AtOurHook(String),
    /// At a foreign hook.
    AtForeignHook,
}

/// The traffic control that a service supports with its current configuration.
pub fn traffic_support(service: &EcsService) -> TrafficSupport {
    let lacks = missing_requirements(service);
    TrafficSupport {
        control: if lacks.is_some() { TrafficControl::InPlace } else { TrafficControl::Weighted },
        missing: lacks,
    }
}

fn missing_requirements(service: &EcsService) -> Option<String> {
    if service.controller != "ECS" {
        return Some(format!(
            "The service has the deployment controller {}: set it to ECS with UpdateService.",
            service.controller
        ));
    }
    if service.raw["schedulingStrategy"] == "DAEMON" {
        return Some("It is a DAEMON service, and ECS replaces its tasks in place: use `rolling`.".into());
    }
    let balancers = list_field(&service.raw, "loadBalancers");
    if balancers.is_empty() {
        let sentence = "It is a service with no load balancer, so its traffic cannot be shifted by weight. \
                        Give it a load balancer (`aws ecs update-service --load-balancers …`) with an `advancedConfiguration`, or use `rolling`.";
        return Some(sentence.into());
    }
    let missing: Vec<String> =
        balancers.iter().filter_map(|balancer| missing_members(service, balancer)).collect();
    if !missing.is_empty() {
        return Some(missing.join(" "));
    }
    deployment_configuration::same_stage(&service.raw["deploymentConfiguration"]).then(|| {
        format!(
            "It has a pause hook at {PAUSE_STAGE}, the stage of ours, and ECS does not report which of the two is paused. \
             Move it to another stage, such as POST_TEST_TRAFFIC_SHIFT."
        )
    })
}

fn missing_members(service: &EcsService, balancer: &Value) -> Option<String> {
    let advanced = &balancer["advancedConfiguration"];
    let missing: Vec<&str> =
        REQUIRED_MEMBERS.into_iter().filter(|member| str_field(advanced, member).is_empty()).collect();
    if missing.is_empty() {
        return None;
    }
    let group = target_group_label(&str_field(balancer, "targetGroupArn"));
    let (cluster, name) = (str_field(&service.raw, "clusterArn"), str_field(&service.raw, "serviceName"));
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

/// The configuration of a deployment: its own, else the service's current one.
pub fn effective_configuration<'a>(deployment: &'a ServiceDeployment, service: &'a EcsService) -> &'a Value {
    let own = &deployment.configuration;
    if own["strategy"].is_string() { own } else { &service.raw["deploymentConfiguration"] }
}

/// Whether a deployment uses one of ECS's own strategies instead of a rolling update.
pub fn uses_ecs_strategy(deployment: &ServiceDeployment, service: &EcsService) -> bool {
    matches!(
        effective_configuration(deployment, service)["strategy"].as_str(),
        Some("BLUE_GREEN" | "CANARY" | "LINEAR")
    )
}

/// The hook at which a deployment is paused. AWS does not report which of the configured hooks it is, so the stage and
/// the other hooks decide; if that is ambiguous, it is not ours.
pub fn pause_state(deployment: &ServiceDeployment, service: &EcsService) -> PauseState {
    let awaits = |hook: &&FiredHook| hook.is_pause && hook.status == "AWAITING_ACTION";
    let Some(waiting) = deployment.fired_hooks.iter().rev().find(awaits) else {
        return PauseState::NotPaused;
    };
    let configured = effective_configuration(deployment, service);
    let pauses = |hook: &Value| hook["targetType"] == "PAUSE";
    let alone = !deployment_configuration::foreign_hooks(configured).any(pauses);
    let shifting =
        deployment.lifecycle_stage == PAUSE_STAGE || deployment.lifecycle_stage == "PRODUCTION_TRAFFIC_SHIFT";
    let ours = deployment_configuration::our_hook(configured).is_some()
        && (alone || (shifting && !deployment_configuration::same_stage(configured)));
    if ours { PauseState::AtOurHook(waiting.id.clone()) } else { PauseState::AtForeignHook }
}

/// Whether a rollout is the rollback of another one.
pub fn is_rolling_back(rollout: &Rollout) -> bool {
    rollout.ids.first().is_some_and(|id| id == ROLLBACK_ID)
}

/// The weight of the new version in production traffic, in whole percent.
pub fn current_weight(deployment: &ServiceDeployment) -> u8 {
    deployment.traffic_weight.unwrap_or_default().round().clamp(0.0, 100.0) as u8
}

/// The next weight.
pub fn next_weight(deployment: &ServiceDeployment, service: &EcsService) -> u8 {
    let (now, configured) = (current_weight(deployment), effective_configuration(deployment, service));
    let percent = |steps: &str, member: &str| {
        configured[steps][member].as_f64().map(|percent| percent.round().clamp(0.0, 100.0) as u8)
    };
    match configured["strategy"].as_str() {
        // Without a version before, no traffic can be split.
        _ if deployment.source_revisions.is_empty() => 100,
        Some("CANARY") => {
            percent("canaryConfiguration", "canaryPercent").filter(|canary| *canary > now).unwrap_or(100)
        }
        Some("LINEAR") => {
            now.saturating_add(percent("linearConfiguration", "stepPercent").unwrap_or(100)).min(100)
        }
        _ => 100,
    }
}

/// A target group as metrics name it: `arn:…:targetgroup/blue/1` is `targetgroup/blue/1`.
pub fn target_group_label(arn: &str) -> String {
    arn.rsplit(':').next().unwrap_or(arn).to_owned()
}

/// A load balancer as metrics name it: `arn:…:loadbalancer/app/web/2` is `app/web/2`.
pub fn load_balancer_label(arn: &str) -> String {
    arn.rsplit_once("loadbalancer/").map_or(arn, |(_, label)| label).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::{HumanDuration, TrafficPlan};

    fn advanced() -> Value {
        json!({"alternateTargetGroupArn":"arn:b","productionListenerRule":"arn:rule","roleArn":"arn:role"})
    }

    fn with(balancers: Value) -> EcsService {
        EcsService::from_json(
            &json!({"serviceName":"web","clusterArn":"arn:x:cluster/acme","loadBalancers":balancers}),
        )
    }

    #[test]
    fn service_with_two_target_groups_supports_weighted_traffic() {
        let whole = json!({"targetGroupArn":"arn:a","advancedConfiguration":advanced()});
        assert_eq!(
            traffic_support(&with(json!([whole.clone()]))),
            TrafficSupport { control: TrafficControl::Weighted, missing: None }
        );
        let bare = json!({"targetGroupArn":"arn:aws:elasticloadbalancing:r:1:targetgroup/blue/1"});
        let lacks = traffic_support(&with(json!([whole, bare]))).missing.unwrap();
        for word in [
            "`targetgroup/blue/1`",
            "`alternateTargetGroupArn`, `productionListenerRule`, `roleArn`",
            "--cluster acme",
            "--service web",
        ] {
            assert!(lacks.contains(word), "{lacks}");
        }
        let none = traffic_support(&with(json!([])));
        assert_eq!(none.control, TrafficControl::InPlace);
        assert!(none.missing.unwrap().contains("a service with no load balancer"));
    }

    #[test]
    fn foreign_pause_hook_at_same_stage_is_a_missing_requirement() {
        let mut service = with(json!([{"targetGroupArn":"arn:a","advancedConfiguration":advanced()}]));
        let hook = |stage: &str| json!({"lifecycleHooks":[{"targetType":"PAUSE","lifecycleStages":[stage]}]});
        service.raw["deploymentConfiguration"] = hook("POST_SCALE_UP");
        assert_eq!(traffic_support(&service).control, TrafficControl::Weighted);
        service.raw["deploymentConfiguration"] = hook(PAUSE_STAGE);
        assert!(traffic_support(&service).missing.unwrap().contains(PAUSE_STAGE));
    }

    fn in_flight(shares: &[u8], theirs: Value, stage: &str, weight: f64) -> ServiceDeployment {
        let course = TrafficPlan {
            weights: shares.to_vec(),
            bake: HumanDuration::default(),
            hook_timeout: HumanDuration::from_minutes(30),
        };
        let hook = |id: &str, status: &str| FiredHook {
            id: id.into(),
            is_pause: true,
            status: status.into(),
            ..FiredHook::default()
        };
        ServiceDeployment {
            status: "IN_PROGRESS".into(),
            lifecycle_stage: stage.into(),
            traffic_weight: Some(weight),
            source_revisions: vec!["rev-1".into()],
            fired_hooks: vec![hook("h1", "SUCCEEDED"), hook("h2", "AWAITING_ACTION")],
            configuration: deployment_configuration::start_configuration(
                &json!({"lifecycleHooks": theirs}),
                &course,
                "td",
            )
            .unwrap(),
            ..ServiceDeployment::default()
        }
    }

    #[test]
    fn pause_state_tells_our_hook_from_foreign_hooks() {
        let service = EcsService::default();
        let ours = PauseState::AtOurHook("h2".into());
        let at =
            |theirs: Value, stage: &str| pause_state(&in_flight(&[0, 10, 100], theirs, stage, 0.0), &service);
        let pauses = |stage: &str| json!([{"targetType":"PAUSE","lifecycleStages":[stage]}]);
        let lambda = json!([{"targetType":"AWS_LAMBDA","lifecycleStages":[PAUSE_STAGE]}]);
        assert_eq!(at(json!([]), "PRODUCTION_TRAFFIC_SHIFT"), ours);
        assert_eq!(at(json!([]), "POST_TEST_TRAFFIC_SHIFT"), ours);
        assert_eq!(at(lambda, "POST_TEST_TRAFFIC_SHIFT"), ours);
        assert_eq!(at(pauses("POST_SCALE_UP"), "PRODUCTION_TRAFFIC_SHIFT"), ours);
        assert_eq!(at(pauses("POST_SCALE_UP"), "POST_SCALE_UP"), PauseState::AtForeignHook);
        assert_eq!(at(pauses(PAUSE_STAGE), "PRODUCTION_TRAFFIC_SHIFT"), PauseState::AtForeignHook);
        let mut done = in_flight(&[0, 100], json!([]), PAUSE_STAGE, 0.0);
        done.fired_hooks.pop();
        assert_eq!(pause_state(&done, &service), PauseState::NotPaused);
        let mut foreign = in_flight(&[0, 100], json!([]), PAUSE_STAGE, 0.0);
        foreign.configuration = json!({"strategy":"BLUE_GREEN"});
        assert_eq!(pause_state(&foreign, &service), PauseState::AtForeignHook);
    }

    #[test]
    fn next_weight_follows_the_strategy() {
        let next = |shares: &[u8], weight: f64| {
            next_weight(&in_flight(shares, json!([]), PAUSE_STAGE, weight), &EcsService::default())
        };
        assert_eq!(
            (next(&[0, 100], 0.0), next(&[0, 10, 100], 0.0), next(&[0, 10, 100], 10.0)),
            (100, 10, 100)
        );
        assert_eq!(
            (next(&[0, 40, 80, 100], 0.0), next(&[0, 40, 80, 100], 40.0), next(&[0, 40, 80, 100], 80.0)),
            (40, 80, 100)
        );
        let first = ServiceDeployment {
            source_revisions: Vec::new(),
            ..in_flight(&[0, 10, 100], json!([]), PAUSE_STAGE, 0.0)
        };
        assert_eq!(next_weight(&first, &EcsService::default()), 100);
    }

    #[test]
    fn labels_are_those_of_the_metrics() {
        assert_eq!(
            target_group_label("arn:aws:elasticloadbalancing:r:1:targetgroup/blue/1"),
            "targetgroup/blue/1"
        );
        assert_eq!(
            load_balancer_label("arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/2"),
            "app/web/2"
        );
    }
}

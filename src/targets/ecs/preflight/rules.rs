//! The meaning of the pre-flight responses: values in, problems out. Pure.

use serde_json::Value;

use super::super::aws_clients::AlarmState;
use super::super::ecr_image::parse_ecr_image;
use super::super::read::{EcsService, list_field, optional_str, str_field};
use super::super::rollout::deployment_configuration;
use super::super::rollout::ecs_strategy::target_group_label;
use super::super::settings::ExpectedAccount;
use super::super::task_definition::definition::containers;
use super::super::task_definition::lint;
use crate::problem::{Code, Problem};

/// The region must be the declared one.
pub fn check_region(declared: &ExpectedAccount, region: &str) -> Vec<Problem> {
    let wrong = declared.region.as_deref().filter(|wanted| *wanted != region);
    let problem = |wanted: &str| {
        let sentence = format!(
            "The credentials are for the region `{region}`, but the deploy file declares `{wanted}`."
        );
        Problem::error(Code::AccountMismatch, sentence)
            .help("Set `aws-region` or `aws.region` to the region of the service.")
    };
    wrong.map(problem).into_iter().collect()
}

/// The account must be the declared one.
pub fn check_account(declared: &ExpectedAccount, account: &str) -> Option<Problem> {
    let wanted = declared.account.as_deref().filter(|wanted| *wanted != account)?;
    let sentence =
        format!("The credentials are of account {account}, but the deploy file declares {wanted}.");
    Some(Problem::error(Code::AccountMismatch, sentence).help("Check the role of this environment."))
}

/// The service must be ACTIVE and driven by ECS itself.
pub fn check_service(service: &EcsService, name: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    if service.status != "ACTIVE" {
        let sentence = format!("The service `{name}` is {}, not ACTIVE.", service.status);
        found.push(Problem::error(Code::ServiceMissing, sentence).help("Create the service again."));
    }
    if service.controller != "ECS" {
        let sentence =
            format!("The service `{name}` has the deployment controller {}, not ECS.", service.controller);
        let help = "Change deploymentController to ECS with UpdateService, or deploy with that controller.";
        found.push(Problem::error(Code::DeploymentControllerUnsupported, sentence).help(help));
    }
    found
}

/// A rolling release uses the strategy of the service itself; a leftover strategy of ours is restored first.
pub fn own_strategy_notice(service: &EcsService, name: &str) -> Option<Problem> {
    let now = &service.raw["deploymentConfiguration"];
    let back = deployment_configuration::restored(now);
    let strategy =
        str_field(back.as_ref().filter(|back| back["strategy"].is_string()).unwrap_or(now), "strategy");
    (!matches!(strategy.as_str(), "" | "ROLLING")).then(|| {
        let sentence =
            format!("The service `{name}` is configured for {strategy}; ECS will use that strategy.");
        Problem::notice(Code::Unsupported, sentence)
    })
}

/// A listener rule and the two target groups that it splits production traffic between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductionRule {
    /// Rule ARN.
    pub arn: String,
    /// Target group ARNs.
    pub target_groups: [String; 2],
}

/// The pairs of a service; those of a network load balancer have no rule.
pub fn production_rules(service: &EcsService) -> Vec<ProductionRule> {
    let pair = |balancer: &Value| {
        let advanced = &balancer["advancedConfiguration"];
        let rule = str_field(advanced, "productionListenerRule");
        let groups = [str_field(balancer, "targetGroupArn"), str_field(advanced, "alternateTargetGroupArn")];
        rule.contains(":listener-rule/").then_some(ProductionRule { arn: rule, target_groups: groups })
    };
    list_field(&service.raw, "loadBalancers").iter().filter_map(pair).collect()
}

/// A requirement that a production rule does not meet; `groups` are those that it forwards to, `None` if it does not
/// exist.
pub fn serves_traffic(pair: &ProductionRule, groups: Option<&[String]>) -> Option<Problem> {
    let rule = pair.arn.rsplit(':').next().unwrap_or_default();
    let missing: Vec<String> = pair
        .target_groups
        .iter()
        .filter(|group| !groups.unwrap_or_default().contains(group))
        .map(|group| target_group_label(group))
        .collect();
    let sentence = match groups {
        None => format!("The production listener rule {rule} of the service does not exist."),
        Some(_) if missing.is_empty() => return None,
        Some(_) => format!(
            "The production listener rule {rule} does not forward to {}, so ECS would roll the deployment back.",
            missing.join(" and ")
        ),
    };
    let help = "Forward to both target groups, with the weights 1 and 0.";
    Some(Problem::error(Code::Unsupported, sentence).help(help))
}

/// The percentages must leave room to stop or to start one task.
pub fn check_percentages(service: &EcsService) -> Option<Problem> {
    let configured = &service.raw["deploymentConfiguration"];
    let percent = |key: &str| configured[key].as_u64();
    let desired = u64::from(service.desired);
    let (Some(most), Some(least)) = (percent("maximumPercent"), percent("minimumHealthyPercent")) else {
        return None;
    };
    if desired == 0 || service.raw["schedulingStrategy"] == "DAEMON" {
        return None;
    }
    let (most, least_running) = (desired * most / 100, (desired * least).div_ceil(100));
    if most <= desired && least_running >= desired {
        let tasks = if desired == 1 { "task" } else { "tasks" };
        let sentence = format!(
            "With {desired} {tasks}, at most {most} and at least {least_running} running, ECS cannot replace a single one."
        );
        let help = "Raise maximumPercent or lower minimumHealthyPercent of the service.";
        return Some(Problem::error(Code::DeploymentPercentagesDeadlock, sentence).help(help));
    }
    (least_running == 0 && most <= desired).then(|| {
        let sentence = "The service may have no running task while its tasks are replaced: expect downtime.";
        Problem::warning(Code::DeploymentPercentagesDeadlock, sentence)
            .help("Set minimumHealthyPercent above 0.")
    })
}

/// The load balancer's container and port must be in the definition.
pub fn check_traffic_container(service: &EcsService, wanted: &Value) -> Vec<Problem> {
    let missing = |balancer: &&Value| {
        let (name, port) = (str_field(balancer, "containerName"), &balancer["containerPort"]);
        let has_port = |c: &Value| {
            let ports = list_field(c, "portMappings");
            ports.iter().any(|p| p["containerPort"] == *port || p.get("containerPortRange").is_some())
        };
        !containers(wanted).iter().any(|c| c["name"] == name.as_str() && has_port(c))
    };
    let problem = |balancer: &Value| {
        let (name, port) = (str_field(balancer, "containerName"), &balancer["containerPort"]);
        let sentence = format!(
            "The load balancer uses port {port} of the container `{name}`, which the task definition does not have."
        );
        Problem::error(Code::TaskDefinitionInvalid, sentence)
            .help("Add it to `portMappings`, or change the service.")
    };
    list_field(&service.raw, "loadBalancers").iter().filter(missing).map(problem).collect()
}

/// The alarms of a deployment: the service's own if enabled, and the declared ones.
pub fn alarm_names(service: &EcsService, declared: &[String]) -> Vec<String> {
    let own = &service.raw["deploymentConfiguration"]["alarms"];
    let enabled = own["enable"] == true;
    let own = list_field(own, "alarmNames")
        .iter()
        .filter(|_| enabled)
        .filter_map(|name| name.as_str().map(Into::into));
    let mut names: Vec<String> = own.chain(declared.iter().cloned()).collect();
    names.sort();
    names.dedup();
    names.truncate(100);
    names
}

/// Alarms must exist and must not be firing: ECS ignores an alarm that fires from the start. Where `passes`, a firing alarm
/// stops nothing.
pub fn check_alarms(names: &[String], states: &[AlarmState], passes: bool) -> Vec<Problem> {
    let mut found = Vec::new();
    for name in names {
        match states.iter().find(|alarm| alarm.name == *name) {
            None => {
                let sentence = format!("The alarm `{name}` does not exist.");
                found.push(
                    Problem::error(Code::AlarmMissing, sentence).help("Check its name, account and region."),
                );
            }
            Some(alarm) if alarm.state == "ALARM" => {
                let problem = if passes { firing_alarm_passed(name) } else { firing_alarm(name) };
                found
                    .push(Problem { cause: Some(alarm.reason.clone()).filter(|r| !r.is_empty()), ..problem });
            }
            Some(_) => {}
        }
    }
    found
}

fn firing_alarm(name: &str) -> Problem {
    let sentence = format!("The alarm `{name}` is firing already; ECS would ignore it for this deployment.");
    Problem::error(Code::AlarmAlreadyFiring, sentence).help(
        "Resolve the alarm, then deploy again. To deploy the fix while it fires, start the workflow by hand \
         (`workflow_dispatch`) or run `roadstead deploy` on a laptop. `operation: rollback` is possible at any time.",
    )
}

fn firing_alarm_passed(name: &str) -> Problem {
    let sentence = format!(
        "The alarm `{name}` is firing already, so ECS and this run ignore it until this deployment has ended."
    );
    Problem::warning(Code::AlarmAlreadyFiring, sentence)
        .help("It does not protect this deployment. Look at it afterwards.")
}

/// The state of the alarms is not known, where they stop nothing.
pub fn alarms_unread(refusal: Problem) -> Problem {
    let sentence = "The state of the alarms was not read, so no alarm protects this deployment.";
    Problem::warning(refusal.code, sentence)
        .cause(refusal.cause.unwrap_or(refusal.sentence))
        .help(refusal.help)
}

/// The images of a definition, each once.
pub fn image_references(definition: &Value) -> Vec<String> {
    let mut all: Vec<String> =
        containers(definition).iter().filter_map(|c| optional_str(c, "image")).collect();
    all.sort();
    all.dedup();
    all
}

/// An image that ECR does not have.
pub fn image_missing(reference: &str) -> Problem {
    let sentence = format!("The image {reference} is not in ECR.");
    Problem::error(Code::ImageMissing, sentence)
        .help("Push the image, or check repository, account and region.")
}

/// Fargate pulls from ECR with the execution role; RegisterTaskDefinition refuses a definition without one.
pub fn check_pull_role(definition: &Value) -> Option<Problem> {
    if !lint::is_fargate(definition) || optional_str(definition, "executionRoleArn").is_some() {
        return None;
    }
    let image = image_references(definition).into_iter().find(|image| parse_ecr_image(image).is_some())?;
    let sentence =
        format!("Fargate needs `executionRoleArn` in the task definition to pull {image} from ECR.");
    let help = "Set it to a role that may pull from ECR (`AmazonECSTaskExecutionRolePolicy`).";
    Some(Problem::error(Code::TaskDefinitionInvalid, sentence).help(help))
}

/// An image outside of ECR of this region.
pub fn image_unchecked(reference: &str) -> Problem {
    let sentence = format!("The existence of the image {reference} was not checked.");
    Problem::notice(Code::ImageMissing, sentence).help("Only images in ECR of the same region are checked.")
}

/// An image must have the task's platform; `found` is empty if its platform cannot be read.
pub fn check_platform(reference: &str, wanted: &str, found: &[String]) -> Option<Problem> {
    if found.is_empty() || found.iter().any(|platform| platform == wanted) {
        return None;
    }
    let sentence = format!("The image {reference} is for {}, the task runs on {wanted}.", found.join(", "));
    let help = "Build it for that platform (`build.platforms`), or set runtimePlatform.cpuArchitecture.";
    Some(Problem::error(Code::PlatformMissing, sentence).help(help))
}

/// No version to roll back to.
pub fn no_rollback_version() -> Problem {
    let sentence = "No earlier deployment completed, so there is no version to roll back to.";
    Problem::notice(Code::RollbackTargetMissing, sentence)
        .help("If this deployment fails, the service cannot be rolled back. The next successful deployment becomes a rollback version.")
}

/// The version that a failure would be rolled back to cannot start. Going forward is possible all the same.
pub fn last_known_good_broken(label: &str, why: &str) -> Problem {
    let sentence = format!("A failure could not be rolled back to {label}: {why}.");
    Problem::warning(Code::RollbackTargetBroken, sentence).help(
        "The next successful deployment becomes a rollback version. Keep its revision ACTIVE and its image in ECR: \
         check what deregisters revisions, and the lifecycle policy of the repository.",
    )
}

/// The requested rollback version cannot start.
pub fn rollback_version_broken(label: &str, why: &str) -> Problem {
    let sentence = format!("A rollback to {label} could not start: {why}.");
    Problem::error(Code::RollbackTargetBroken, sentence)
        .help("Restore it, or deploy a good version first; check the repository's lifecycle policy.")
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;

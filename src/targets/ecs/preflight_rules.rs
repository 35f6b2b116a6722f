//! What pre-flight answers mean: values in, problems out. Pure.

use serde_json::Value;

use super::configuration;
use super::definition::containers;
use super::native::group_label;
use super::neighbours::AlarmState;
use super::read::{Service, list, some_text, text};
use super::settings::Declared;
use crate::problem::{Code, Problem};

/// The region must be the declared one.
pub fn region(declared: &Declared, region: &str) -> Vec<Problem> {
    let wrong = declared.region.as_deref().filter(|wanted| *wanted != region);
    let problem = |wanted: &str| {
        let sentence =
            format!("The credentials are set up for the region `{region}`, the deploy file says `{wanted}`.");
        Problem::error(Code::AccountMismatch, sentence)
            .help("Set `aws-region` or `aws.region` to the right one.")
    };
    wrong.map(problem).into_iter().collect()
}

/// The account must be the declared one.
pub fn account(declared: &Declared, account: &str) -> Option<Problem> {
    let wanted = declared.account.as_deref().filter(|wanted| *wanted != account)?;
    let sentence = format!("The credentials belong to the account {account}, the deploy file says {wanted}.");
    Some(Problem::error(Code::AccountMismatch, sentence).help("Check the role of this environment."))
}

/// The service must be ACTIVE and driven by ECS itself.
pub fn service(service: &Service, name: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    if service.status != "ACTIVE" {
        let sentence = format!("The service `{name}` is {}, not ACTIVE.", service.status);
        found.push(Problem::error(Code::ServiceMissing, sentence).help("Create the service again."));
    }
    if service.controller != "ECS" {
        let sentence = format!("The service `{name}` is driven by {}, not by ECS.", service.controller);
        let help = "Change deploymentController to ECS (UpdateService can), or deploy with what drives it.";
        found.push(Problem::error(Code::ControllerForeign, sentence).help(help));
    }
    found
}

/// A strategy of the service itself is what a rolling release goes by; one that we left behind is put back.
pub fn own_strategy(service: &Service, name: &str) -> Option<Problem> {
    let now = &service.raw["deploymentConfiguration"];
    let back = configuration::put_back(now);
    let strategy = text(back.as_ref().filter(|back| back["strategy"].is_string()).unwrap_or(now), "strategy");
    (!matches!(strategy.as_str(), "" | "ROLLING")).then(|| {
        let sentence =
            format!("The service `{name}` is set to deploy by {strategy}; that is what ECS will do.");
        Problem::notice(Code::Unsupported, sentence)
    })
}

/// A listener rule and the two target groups that it shares the production traffic between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Rule ARN.
    pub rule: String,
    /// Target group ARNs.
    pub groups: [String; 2],
}

/// The pairs of a service; those of a network load balancer have no rule.
pub fn pairs(service: &Service) -> Vec<Pair> {
    let pair = |balancer: &Value| {
        let advanced = &balancer["advancedConfiguration"];
        let rule = text(advanced, "productionListenerRule");
        let groups = [text(balancer, "targetGroupArn"), text(advanced, "alternateTargetGroupArn")];
        rule.contains(":listener-rule/").then_some(Pair { rule, groups })
    };
    list(&service.raw, "loadBalancers").iter().filter_map(pair).collect()
}

/// What a production rule lacks; `groups` are those that it forwards to, `None` when there is no such rule.
pub fn carries(pair: &Pair, groups: Option<&[String]>) -> Option<Problem> {
    let rule = pair.rule.rsplit(':').next().unwrap_or_default();
    let missing: Vec<String> = pair
        .groups
        .iter()
        .filter(|group| !groups.unwrap_or_default().contains(group))
        .map(|group| group_label(group))
        .collect();
    let sentence = match groups {
        None => format!("The production listener rule {rule} of the service does not exist."),
        Some(_) if missing.is_empty() => return None,
        Some(_) => format!(
            "The production listener rule {rule} does not forward to {}, so ECS would take the deployment back.",
            missing.join(" and ")
        ),
    };
    let help = "Let it forward to both target groups, with the weights 1 and 0.";
    Some(Problem::error(Code::Unsupported, sentence).help(help))
}

/// The percentages must leave room to stop or to start one task.
pub fn percentages(service: &Service) -> Option<Problem> {
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
        let sentence = format!(
            "With {desired} tasks, at most {most} and at least {least_running} running, ECS cannot replace a single one."
        );
        let help = "Raise maximumPercent or lower minimumHealthyPercent of the service.";
        return Some(Problem::error(Code::PercentagesStuck, sentence).help(help));
    }
    (least_running == 0 && most <= desired).then(|| {
        let sentence = "The service allows that no task runs while its tasks are replaced: expect downtime.";
        Problem::warning(Code::PercentagesStuck, sentence).help("Set minimumHealthyPercent above 0.")
    })
}

/// The load balancer's container and port must be in the definition.
pub fn container(service: &Service, wanted: &Value) -> Vec<Problem> {
    let missing = |balancer: &&Value| {
        let (name, port) = (text(balancer, "containerName"), &balancer["containerPort"]);
        let has_port = |c: &Value| {
            let ports = list(c, "portMappings");
            ports.iter().any(|p| p["containerPort"] == *port || p.get("containerPortRange").is_some())
        };
        !containers(wanted).iter().any(|c| c["name"] == name.as_str() && has_port(c))
    };
    let problem = |balancer: &Value| {
        let (name, port) = (text(balancer, "containerName"), &balancer["containerPort"]);
        let sentence = format!(
            "The load balancer wants port {port} of the container `{name}`, which the task definition lacks."
        );
        Problem::error(Code::TaskDefinitionInvalid, sentence)
            .help("Add it to `portMappings`, or change the service.")
    };
    list(&service.raw, "loadBalancers").iter().filter(missing).map(problem).collect()
}

/// The alarms that a deployment is watched by: the service's own where enabled, and the declared ones.
pub fn alarm_names(service: &Service, declared: &[String]) -> Vec<String> {
    let own = &service.raw["deploymentConfiguration"]["alarms"];
    let enabled = own["enable"] == true;
    let own =
        list(own, "alarmNames").iter().filter(|_| enabled).filter_map(|name| name.as_str().map(Into::into));
    let mut names: Vec<String> = own.chain(declared.iter().cloned()).collect();
    names.sort();
    names.dedup();
    names.truncate(100);
    names
}

/// Alarms must exist and must not be red: ECS ignores one that is red from the start.
pub fn alarms(names: &[String], states: &[AlarmState]) -> Vec<Problem> {
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
                let sentence =
                    format!("The alarm `{name}` is red already; ECS would ignore it for this deployment.");
                let problem = Problem::error(Code::AlarmRed, sentence).help("Deploy when it is green again.");
                found
                    .push(Problem { cause: Some(alarm.reason.clone()).filter(|r| !r.is_empty()), ..problem });
            }
            Some(_) => {}
        }
    }
    found
}

/// The images of a definition, each once.
pub fn images(definition: &Value) -> Vec<String> {
    let mut all: Vec<String> = containers(definition).iter().filter_map(|c| some_text(c, "image")).collect();
    all.sort();
    all.dedup();
    all
}

/// An image that ECR does not have.
pub fn image_missing(reference: &str) -> Problem {
    let sentence = format!("The image {reference} is not in ECR.");
    Problem::error(Code::ImageMissing, sentence).help("Push it, or check repository, account and region.")
}

/// An image that cannot be looked at from here.
pub fn image_unchecked(reference: &str) -> Problem {
    let sentence = format!("Whether the image {reference} exists was not checked.");
    Problem::notice(Code::ImageMissing, sentence).help("Only images in ECR of the same region are checked.")
}

/// An image must have the task's platform; `found` is empty when its platform cannot be read.
pub fn platform(reference: &str, wanted: &str, found: &[String]) -> Option<Problem> {
    if found.is_empty() || found.iter().any(|platform| platform == wanted) {
        return None;
    }
    let sentence = format!("The image {reference} is for {}, the task runs on {wanted}.", found.join(", "));
    let help = "Build it for that platform (`build.platforms`), or set runtimePlatform.cpuArchitecture.";
    Some(Problem::error(Code::PlatformMissing, sentence).help(help))
}

/// There is nothing to go back to.
pub fn no_refuge() -> Problem {
    let sentence = "No earlier deployment completed, so there is no version to roll back to.";
    Problem::notice(Code::RollbackTargetMissing, sentence)
        .help("If this deployment fails, the service stays as it is; the next success changes that.")
}

/// What one would go back to cannot start.
pub fn refuge_broken(label: &str, why: &str) -> Problem {
    let sentence = format!("A rollback to {label} could not start: {why}.");
    Problem::error(Code::RollbackTargetBroken, sentence)
        .help("Restore it, or deploy a good version first; check the repository's lifecycle policy.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(raw: &Value) -> Service {
        Service::read(raw)
    }

    #[test]
    fn account_and_region_are_held_to_the_file() {
        let declared = Declared { account: Some("222222222222".into()), region: Some("eu-west-1".into()) };
        assert!(region(&declared, "eu-west-1").is_empty());
        assert_eq!(region(&declared, "us-east-1")[0].code, Code::AccountMismatch);
        assert_eq!(account(&declared, "222222222222"), None);
        assert_eq!(account(&declared, "111111111111").unwrap().code, Code::AccountMismatch);
        assert_eq!(account(&Declared::default(), "111111111111"), None);
    }

    #[test]
    fn only_an_active_service_of_ecs_will_do() {
        let table = [
            (json!({"status":"ACTIVE"}), vec![]),
            (json!({"status":"DRAINING"}), vec![Code::ServiceMissing]),
            (
                json!({"status":"ACTIVE","deploymentController":{"type":"CODE_DEPLOY"}}),
                vec![Code::ControllerForeign],
            ),
        ];
        for (raw, codes) in table {
            let found: Vec<Code> = service(&read(&raw), "web").iter().map(|p| p.code).collect();
            assert_eq!(found, codes, "{raw}");
        }
    }

    #[test]
    fn a_strategy_of_the_service_is_told_and_one_that_we_left_is_not() {
        let told =
            |configured: Value| own_strategy(&read(&json!({"deploymentConfiguration":configured})), "web");
        assert_eq!(told(json!({"strategy":"ROLLING"})), None);
        assert!(told(json!({"strategy":"CANARY"})).unwrap().sentence.contains("CANARY"));
        let ours = json!({"targetType":"PAUSE","hookDetails":{"roadstead":{"was":{"strategy":"ROLLING"}}}});
        assert_eq!(told(json!({"strategy":"CANARY","lifecycleHooks":[ours]})), None);
    }

    #[test]
    fn a_rule_must_carry_both_groups() {
        let rule = "arn:aws:elasticloadbalancing:r:1:listener-rule/app/web/1/2/3";
        let advanced = json!({"alternateTargetGroupArn":"arn:b","productionListenerRule":rule});
        let service = read(
            &json!({"loadBalancers":[{"targetGroupArn":"arn:a","advancedConfiguration":advanced},{"targetGroupArn":"arn:c"}]}),
        );
        let all = pairs(&service);
        assert_eq!(all.len(), 1);
        let both = ["arn:a".to_owned(), "arn:b".to_owned()];
        assert_eq!(carries(&all[0], Some(&both)), None);
        assert!(carries(&all[0], Some(&both[..1])).unwrap().sentence.contains("does not forward to b,"));
        assert!(carries(&all[0], None).unwrap().sentence.contains("does not exist"));
    }

    #[test]
    fn percentages_leave_room_or_not() {
        let stuck = |desired: u32, least: u32, most: u32| {
            let raw = json!({"desiredCount":desired,"deploymentConfiguration":{"minimumHealthyPercent":least,"maximumPercent":most}});
            percentages(&read(&raw)).map(|p| p.is_error())
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
        assert_eq!(percentages(&read(&json!({"desiredCount":1}))), None);
    }

    #[test]
    fn red_and_missing_alarms_are_told_apart() {
        let raw = json!({"deploymentConfiguration":{"alarms":{"enable":true,"alarmNames":["a","b"]}}});
        let names = alarm_names(&read(&raw), &["c".into(), "a".into()]);
        assert_eq!(names, ["a", "b", "c"]);
        let state = |name: &str, state: &str| AlarmState {
            name: name.into(),
            state: state.into(),
            reason: String::new(),
        };
        let found = alarms(&names, &[state("a", "ALARM"), state("b", "INSUFFICIENT_DATA")]);
        assert_eq!(found.iter().map(|p| p.code).collect::<Vec<_>>(), [Code::AlarmRed, Code::AlarmMissing]);
        let off = json!({"deploymentConfiguration":{"alarms":{"enable":false,"alarmNames":["a"]}}});
        assert!(alarm_names(&read(&off), &[]).is_empty());
    }

    #[test]
    fn the_balancer_needs_its_container_and_port() {
        let service = read(&json!({"loadBalancers":[{"containerName":"app","containerPort":80}]}));
        let with = |port: u32| json!({"containerDefinitions":[{"name":"app","portMappings":[{"containerPort":port}]}]});
        assert!(container(&service, &with(80)).is_empty());
        assert_eq!(container(&service, &with(81)).len(), 1);
    }

    #[test]
    fn a_platform_must_be_there() {
        assert_eq!(platform("i", "linux/amd64", &[]), None);
        assert_eq!(platform("i", "linux/amd64", &["linux/amd64".into()]), None);
        assert_eq!(
            platform("i", "linux/amd64", &["linux/arm64".into()]).unwrap().code,
            Code::PlatformMissing
        );
    }
}

//! The text of a first deploy file: minimal, with a comment where the user has a choice. Pure.

use super::InitPlan;
use super::messages;
use super::yaml::{comment, scalar, value_scalar};
use crate::targets::ecs::discover::DiscoveredService;

/// The deploy file for the discovered services.
pub(super) fn deploy_file_text(plan: &InitPlan) -> String {
    let mut text = environments_block(plan);
    for (name, found) in &plan.services {
        text += &service_block(name, found);
    }
    for found in &plan.unsupported {
        let reason =
            comment(&format!("{}/{}: {}", found.cluster, found.service, messages::unsupported_reason(found)));
        text += &format!("  # Left out: {reason}\n");
    }
    text
}

fn environments_block(plan: &InitPlan) -> String {
    let (region, account) =
        plan.any_service().map(|it| (it.region.as_str(), it.account.as_str())).unwrap_or_default();
    format!(
        "# The services on Amazon ECS, as `roadstead init` found them. Every key: docs/deploy-file.md of Roadstead.\n\
         environments:\n  {}:\n    branches: [{}]\n    aws:\n      region: {}\n      account: {}\n      \
         # The role of the workflow. `roadstead trust` prints its trust policy, `roadstead policy` its permissions.\n      \
         # role: {}\n\nservices:\n",
        scalar(&plan.environment),
        scalar(&plan.branch),
        scalar(region),
        // Always quoted: a number would lose its leading zeros.
        format_args!("\"{}\"", account.chars().filter(char::is_ascii_digit).collect::<String>()),
        comment(&messages::role_arn(account, region)),
    )
}

fn service_block(name: &str, found: &DiscoveredService) -> String {
    let mut lines = vec![format!("  {}:", scalar(name))];
    match &found.repository {
        Some(repository) => {
            lines.push(format!("    repository: {}", value_scalar(repository)));
            lines.push(
                "    # build: { context: . }   # the folder of its Dockerfile, if that is another".into(),
            );
        }
        None => lines.push(format!("    {}", no_build_comment(found))),
    }
    lines.push(format!("    ecs: {{ {} }}", ecs_block(found)));
    if !found.alarms.is_empty() {
        let alarms: Vec<String> = found.alarms.iter().map(|name| value_scalar(name)).collect();
        lines.push(format!("    alarms: [{}]", alarms.join(", ")));
    }
    lines.push(format!("    strategy: rolling # {}", strategy_hint(found)));
    lines.join("\n") + "\n"
}

/// Why no image is built for a service.
fn no_build_comment(found: &DiscoveredService) -> String {
    let image = found.image.as_deref().map_or("It has no image".to_owned(), |image| format!("`{image}`"));
    let image = comment(&image);
    format!(
        "# repository:   # {image} is not in ECR of this account: set a repository there, or pass the input `image`"
    )
}

fn ecs_block(found: &DiscoveredService) -> String {
    let known = [("cluster", Some(&found.cluster)), ("service", Some(&found.service))];
    let all = known.into_iter().chain([("container", found.container.as_ref())]);
    let pairs = all.filter_map(|(key, text)| Some(format!("{key}: {}", value_scalar(text?))));
    pairs.collect::<Vec<_>>().join(", ")
}

fn strategy_hint(found: &DiscoveredService) -> &'static str {
    if found.can_shift_traffic {
        "its load balancer also supports blue-green, linear and canary"
    } else {
        "blue-green, linear and canary need a pair of target groups"
    }
}

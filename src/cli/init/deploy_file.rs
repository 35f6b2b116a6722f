//! The text of a first deploy file: as small as it can be, with a comment where the choice is the user's. Pure.

use super::Plan;
use super::words;
use super::yaml::{comment, scalar, value};
use crate::targets::ecs::survey::Found;

/// The deploy file for what was found.
pub(super) fn text(plan: &Plan) -> String {
    let mut text = environments(plan);
    for (name, found) in &plan.services {
        text += &service(name, found);
    }
    for found in &plan.left_out {
        let why = comment(&format!("{}/{}: {}", found.cluster, found.service, words::against(found)));
        text += &format!("  # Left out: {why}\n");
    }
    text
}

fn environments(plan: &Plan) -> String {
    let (region, account) =
        plan.first().map(|it| (it.region.as_str(), it.account.as_str())).unwrap_or_default();
    format!(
        "# What runs on Amazon ECS, as `roadstead init` found it. Every key is in docs/deploy-file.md of Roadstead.\n\
         environments:\n  {}:\n    branches: [{}]\n    aws:\n      region: {}\n      account: {}\n      \
         # The role of the workflow. `roadstead trust` prints whom it trusts, `roadstead policy` what it may do.\n      \
         # role: {}\n\nservices:\n",
        scalar(&plan.environment),
        scalar(&plan.branch),
        scalar(region),
        // Always in quotes: a number would lose its leading zeros.
        format_args!("\"{}\"", account.chars().filter(char::is_ascii_digit).collect::<String>()),
        comment(&words::role(account, region)),
    )
}

fn service(name: &str, found: &Found) -> String {
    let mut lines = vec![format!("  {}:", scalar(name))];
    match &found.repository {
        Some(repository) => {
            lines.push(format!("    repository: {}", value(repository)));
            lines.push(
                "    # build: { context: . }   # the folder of its Dockerfile, where that is another".into(),
            );
        }
        None => lines.push(format!("    {}", unbuilt(found))),
    }
    lines.push(format!("    ecs: {{ {} }}", place(found)));
    if !found.alarms.is_empty() {
        let alarms: Vec<String> = found.alarms.iter().map(|name| value(name)).collect();
        lines.push(format!("    alarms: [{}]", alarms.join(", ")));
    }
    lines.push(format!("    strategy: rolling # {}", strategies(found)));
    lines.join("\n") + "\n"
}

/// Why nothing is built for a service.
fn unbuilt(found: &Found) -> String {
    let image = found.image.as_deref().map_or("It has no image".to_owned(), |image| format!("`{image}`"));
    let image = comment(&image);
    format!(
        "# repository:   # {image} is not in ECR of this account: name a repository there, or give the input `image`"
    )
}

fn place(found: &Found) -> String {
    let known = [("cluster", Some(&found.cluster)), ("service", Some(&found.service))];
    let all = known.into_iter().chain([("container", found.container.as_ref())]);
    let pairs = all.filter_map(|(key, text)| Some(format!("{key}: {}", value(text?))));
    pairs.collect::<Vec<_>>().join(", ")
}

fn strategies(found: &Found) -> &'static str {
    if found.shifts {
        "its load balancer can also do blue-green, linear and canary"
    } else {
        "blue-green, linear and canary need a pair of target groups"
    }
}

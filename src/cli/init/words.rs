//! What is said at the end: what was found, what was written, what comes next. Pure.

use std::path::PathBuf;

use super::Plan;
use crate::problem::Problem;
use crate::targets::ecs::survey::Found;

/// The lines for a person.
pub(super) fn told(plan: &Plan, files: &[PathBuf], notices: &[Problem]) -> Vec<String> {
    let (region, account) =
        plan.first().map(|it| (it.region.clone(), it.account.clone())).unwrap_or_default();
    let mut lines = vec![format!("found in {region}, account {account}:")];
    lines.extend(plan.services.iter().map(|(name, found)| line(name, found)));
    lines.extend(
        plan.left_out.iter().map(|it| format!("  {}/{}: left out. {}", it.cluster, it.service, against(it))),
    );
    lines.extend(files.iter().map(|path| format!("wrote {}", path.display())));
    lines.extend(notices.iter().map(|problem| format!("{}: {problem}", problem.code)));
    lines.push(String::new());
    lines.extend(next(plan, &account, &region));
    lines
}

fn line(name: &str, found: &Found) -> String {
    let container = found.container.as_deref().unwrap_or("none");
    let image = match (&found.repository, &found.image) {
        (Some(repository), _) => format!("repository {repository}"),
        (None, Some(image)) => format!("image {image}, not in ECR of this account: nothing is built"),
        (None, None) => "no image".into(),
    };
    format!("  {}/{} as `{name}`: container {container}, {image}", found.cluster, found.service)
}

/// Why a service is left out.
pub(super) fn against(found: &Found) -> &str {
    found.against.as_deref().unwrap_or_default()
}

/// The ARN of a role that is still to be made.
pub(super) fn role(account: &str, region: &str) -> String {
    format!("arn:{}:iam::{account}:role/deploy", partition(region))
}

/// The partition of a region.
fn partition(region: &str) -> &'static str {
    match region {
        cn if cn.starts_with("cn-") => "aws-cn",
        gov if gov.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn next(plan: &Plan, account: &str, region: &str) -> Vec<String> {
    let environment = &plan.environment;
    let partition = match partition(region) {
        "aws" => String::new(),
        other => format!(" --partition {other}"),
    };
    let lines = [
        "next:".to_owned(),
        "  1. make the role of the workflow, and write its ARN into the deploy file; no secret is needed:".into(),
        format!(
            "       roadstead trust --repository OWNER/NAME --environment {environment} --account {account}{partition} > trust.json"
        ),
        format!("       roadstead policy --environment {environment} > policy.json"),
        "       aws iam create-role --role-name deploy --assume-role-policy-document file://trust.json".into(),
        "       aws iam put-role-policy --role-name deploy --policy-name roadstead --policy-document file://policy.json"
            .into(),
        "  2. write the commit of a release into the workflow, in the place of the zeros".into(),
        "  3. roadstead rehearse: the whole release on the embedded cloud, in seconds".into(),
        format!("  4. roadstead plan --environment {environment}: what would change, with your own credentials"),
    ];
    lines.into()
}

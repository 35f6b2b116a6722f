//! The lines at the end: what was found, what was written, and the next steps. Pure.

use std::path::PathBuf;

use super::InitPlan;
use crate::problem::Problem;
use crate::targets::ecs::discover::DiscoveredService;

/// The lines for the user.
pub(super) fn closing_text(plan: &InitPlan, files: &[PathBuf], notices: &[Problem]) -> Vec<String> {
    let (region, account) =
        plan.any_service().map(|it| (it.region.clone(), it.account.clone())).unwrap_or_default();
    let mut lines = vec![format!("found in {region}, account {account}:")];
    lines.extend(plan.services.iter().map(|(name, found)| service_line(name, found)));
    lines.extend(
        plan.unsupported
            .iter()
            .map(|it| format!("  {}/{}: skipped. {}", it.cluster, it.service, unsupported_reason(it))),
    );
    lines.extend(files.iter().map(|path| format!("wrote {}", path.display())));
    lines.extend(notices.iter().map(|problem| format!("{}: {problem}", problem.code)));
    lines.push(String::new());
    lines.extend(next_steps(plan, &account, &region));
    lines
}

fn service_line(name: &str, found: &DiscoveredService) -> String {
    let container = found.container.as_deref().unwrap_or("none");
    let image = match (&found.repository, &found.image) {
        (Some(repository), _) => format!("repository {repository}"),
        (None, Some(image)) => format!("image {image}, not in ECR of this account: no image is built"),
        (None, None) => "no image".into(),
    };
    format!("  {}/{} as `{name}`: container {container}, {image}", found.cluster, found.service)
}

/// Why a service is skipped.
pub(super) fn unsupported_reason(found: &DiscoveredService) -> &str {
    found.unsupported_reason.as_deref().unwrap_or_default()
}

/// The ARN of a role that does not exist yet.
pub(super) fn role_arn(account: &str, region: &str) -> String {
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

fn next_steps(plan: &InitPlan, account: &str, region: &str) -> Vec<String> {
    let environment = &plan.environment;
    let partition = match partition(region) {
        "aws" => String::new(),
        other => format!(" --partition {other}"),
    };
    let lines = [
        "next:".to_owned(),
        "  1. create the role of the workflow and write its ARN into the deploy file; no secret is needed:".into(),
        format!(
            "       roadstead trust --repository OWNER/NAME --environment {environment} --account {account}{partition} > trust.json"
        ),
        format!("       roadstead policy --environment {environment} > policy.json"),
        "       aws iam create-role --role-name deploy --assume-role-policy-document file://trust.json".into(),
        "       aws iam put-role-policy --role-name deploy --policy-name roadstead --policy-document file://policy.json"
            .into(),
        "  2. replace the zeros in the workflow with the commit of a release".into(),
        "  3. roadstead rehearse: the whole release against the emulator, in seconds".into(),
        format!("  4. roadstead plan --environment {environment}: what would change, with your own credentials"),
    ];
    lines.into()
}

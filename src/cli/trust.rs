//! `roadstead trust`: the trust policy of a workflow's role, for both forms of the subject in GitHub's tokens. Makes no
//! call.

use serde_json::{Value, json};

use crate::github::validate;
use crate::problem::{Code, Problem};
use crate::sys::terminal;

use super::arguments::TrustOptions;

const ISSUER: &str = "token.actions.githubusercontent.com";
const AUDIENCE: &str = "sts.amazonaws.com";

/// Prints the policy, or every problem of the options.
pub(super) fn main(options: &TrustOptions) -> u8 {
    match trust_policy(options) {
        Ok(text) => {
            terminal::stdout_line(&text);
            if options.owner_id.is_none() {
                terminal::stderr_line(&missing_ids_hint(&options.repository));
            }
            0
        }
        Err(problems) => {
            problems
                .iter()
                .for_each(|problem| terminal::stderr_line(&format!("error {}: {problem}", problem.code)));
            2
        }
    }
}

/// The policy, pretty-printed. Errors name every invalid option.
pub fn trust_policy(options: &TrustOptions) -> Result<String, Vec<Problem>> {
    let problems: Vec<Problem> = option_problems(options).into_iter().flatten().collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let TrustOptions { partition, account, .. } = options;
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "Workflow",
            "Effect": "Allow",
            "Principal": { "Federated": format!("arn:{partition}:iam::{account}:oidc-provider/{ISSUER}") },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": { "StringEquals": conditions(&subjects(options)) },
        }],
    });
    Ok(serde_json::to_string_pretty(&policy).unwrap_or_default())
}

fn conditions(subjects: &[String]) -> Value {
    let mut conditions = serde_json::Map::new();
    conditions.insert(format!("{ISSUER}:aud"), AUDIENCE.into());
    conditions.insert(format!("{ISSUER}:sub"), subjects.into());
    conditions.into()
}

/// The subjects of the jobs, as GitHub writes them (<https://docs.github.com/actions/reference/security/oidc>): first
/// with names alone, then, where the numbers are known, with names and numbers, as newer repositories have it.
fn subjects(options: &TrustOptions) -> Vec<String> {
    let (owner, name) = options.repository.split_once('/').unwrap_or_default();
    let mut prefixes = vec![format!("{owner}/{name}")];
    if let (Some(owner_id), Some(id)) = (options.owner_id, options.repository_id) {
        prefixes.push(format!("{owner}@{owner_id}/{name}@{id}"));
    }
    let jobs = job_subjects(options);
    prefixes.iter().flat_map(|prefix| jobs.iter().map(move |job| format!("repo:{prefix}:{job}"))).collect()
}

/// The last part of the subjects. A colon in a name is written as `%3A`.
fn job_subjects(options: &TrustOptions) -> Vec<String> {
    let environments =
        options.environment.iter().map(|name| format!("environment:{}", name.replace(':', "%3A")));
    let branches = options.branch.iter().map(|name| format!("ref:refs/heads/{name}"));
    let pulls = options.pull_requests.then(|| "pull_request".to_owned());
    environments.chain(branches).chain(pulls).collect()
}

fn option_problems(options: &TrustOptions) -> Vec<Option<Problem>> {
    let invalid = |option: &str, reason: String| {
        Problem::error(Code::InputInvalid, format!("The option --{option} is not valid.")).cause(reason)
    };
    let account = options.account.len() == 12 && options.account.bytes().all(|b| b.is_ascii_digit());
    let partition = ["aws", "aws-cn", "aws-us-gov"].contains(&options.partition.as_str());
    let environments = options.environment.iter().map(|name| {
        let odd = |c: char| c.is_control() || "$*?".contains(c);
        let reason = || {
            format!(
                "`{}` is empty, or contains characters that are special to IAM or GitHub",
                name.escape_default()
            )
        };
        (name.is_empty() || name.contains(odd)).then(|| invalid("environment", reason()))
    });
    let branches = options.branch.iter().map(|name| {
        let name = validate::branch(name).and_then(|name| match name.contains('$') {
            true => Err(format!("`{name}` contains a character that is special to IAM")),
            false => Ok(name),
        });
        let help = "To trust a pattern of branches, use an `environment:` of the job with a branch policy.";
        name.err().map(|reason| invalid("branch", reason).help(help))
    });
    let repository =
        validate::repository(&options.repository).err().map(|reason| invalid("repository", reason));
    let account = (!account).then(|| invalid("account", format!("`{}` is not 12 digits", options.account)));
    let partition = (!partition)
        .then(|| invalid("partition", format!("`{}` is not a partition of AWS", options.partition)));
    [repository, account, partition].into_iter().chain(environments).chain(branches).collect()
}

/// What is not trusted without the numeric ids, and how to find them.
fn missing_ids_hint(repository: &str) -> String {
    format!(
        "Only the subjects with names are trusted. Repositories created, renamed or transferred after 15 July 2026 \
         have numeric ids in their subjects. `gh api repos/{repository} --jq '\"--owner-id \\(.owner.id) --repository-id \\(.id)\"'` \
         prints the options that add those."
    )
}

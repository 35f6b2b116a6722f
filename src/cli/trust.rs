//! `roadstead trust`: the trust policy of a workflow's role, in both forms that GitHub gives to the subject of a token.
//! Makes no call.

use serde_json::{Value, json};

use crate::github::names;
use crate::problem::{Code, Problem};
use crate::sys::terminal;

use super::arguments::TrustOptions;

const ISSUER: &str = "token.actions.githubusercontent.com";
const AUDIENCE: &str = "sts.amazonaws.com";

/// Prints the policy, or everything that is wrong with the options.
pub(super) fn main(options: &TrustOptions) -> u8 {
    match trust(options) {
        Ok(text) => {
            terminal::line(&text);
            if options.owner_id.is_none() {
                terminal::aside(&unnumbered(&options.repository));
            }
            0
        }
        Err(problems) => {
            problems
                .iter()
                .for_each(|problem| terminal::aside(&format!("error {}: {problem}", problem.code)));
            2
        }
    }
}

/// The policy, pretty-printed. Errors name every option that cannot be what it is.
pub fn trust(options: &TrustOptions) -> Result<String, Vec<Problem>> {
    let problems: Vec<Problem> = wrong(options).into_iter().flatten().collect();
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

/// The subjects of the jobs, as GitHub writes them (<https://docs.github.com/actions/reference/security/oidc>): first with
/// names alone, then, where the numbers are known, with names and numbers, as newer repositories have it.
fn subjects(options: &TrustOptions) -> Vec<String> {
    let (owner, name) = options.repository.split_once('/').unwrap_or_default();
    let mut prefixes = vec![format!("{owner}/{name}")];
    if let (Some(owner_id), Some(id)) = (options.owner_id, options.repository_id) {
        prefixes.push(format!("{owner}@{owner_id}/{name}@{id}"));
    }
    let jobs = jobs(options);
    prefixes.iter().flat_map(|prefix| jobs.iter().map(move |job| format!("repo:{prefix}:{job}"))).collect()
}

/// What stands behind the repository. A colon inside of a name is written as `%3A`.
fn jobs(options: &TrustOptions) -> Vec<String> {
    let environments =
        options.environment.iter().map(|name| format!("environment:{}", name.replace(':', "%3A")));
    let branches = options.branch.iter().map(|name| format!("ref:refs/heads/{name}"));
    let pulls = options.pull_requests.then(|| "pull_request".to_owned());
    environments.chain(branches).chain(pulls).collect()
}

fn wrong(options: &TrustOptions) -> Vec<Option<Problem>> {
    let invalid = |option: &str, why: String| {
        Problem::error(Code::InputInvalid, format!("The option --{option} cannot be read.")).cause(why)
    };
    let account = options.account.len() == 12 && options.account.bytes().all(|b| b.is_ascii_digit());
    let partition = ["aws", "aws-cn", "aws-us-gov"].contains(&options.partition.as_str());
    let environments = options.environment.iter().map(|name| {
        let odd = |c: char| c.is_control() || "$*?".contains(c);
        let why = || {
            format!(
                "`{}` is empty, or has characters that IAM or GitHub give a meaning",
                name.escape_default()
            )
        };
        (name.is_empty() || name.contains(odd)).then(|| invalid("environment", why()))
    });
    let branches = options.branch.iter().map(|name| {
        let name = names::branch(name).and_then(|name| match name.contains('$') {
            true => Err(format!("`{name}` has a character that IAM gives a meaning")),
            false => Ok(name),
        });
        let help = "A pattern of branches is better given by an `environment:` of the job, which says which branches may use it.";
        name.err().map(|why| invalid("branch", why).help(help))
    });
    let repository = names::repository(&options.repository).err().map(|why| invalid("repository", why));
    let account = (!account).then(|| invalid("account", format!("`{}` is not 12 digits", options.account)));
    let partition =
        (!partition).then(|| invalid("partition", format!("`{}` is none of AWS's", options.partition)));
    [repository, account, partition].into_iter().chain(environments).chain(branches).collect()
}

/// What is missing without the numbers, and how to find them.
fn unnumbered(repository: &str) -> String {
    format!(
        "Only the subjects with names are trusted. Repositories that were made, renamed or transferred after 15 July 2026 \
         have numbers in theirs. `gh api repos/{repository} --jq '\"--owner-id \\(.owner.id) --repository-id \\(.id)\"'` \
         prints the options that add those."
    )
}

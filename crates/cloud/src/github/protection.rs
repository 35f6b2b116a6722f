//! Branch protection: who may move a branch directly, and what a pull request needs.

use super::responses::{graphql_error, unprocessable};
use super::scenario::BranchProtection;
use super::state::GitHubRepository;
use crate::request::ServiceError;

/// The reason why this login may not push to a branch.
pub fn push_violation<'a>(
    it: &'a GitHubRepository,
    branch: &str,
    login: &str,
) -> Option<(&'a BranchProtection, String)> {
    let rule = it.protection(branch)?;
    if rule.allowed.iter().any(|allowed| allowed == login) {
        return None;
    }
    let sentence = match (rule.required_reviews, rule.required_checks.as_slice()) {
        (0, []) if rule.allowed.is_empty() => return None,
        (0, []) => "You're not authorized to push to this branch.".to_owned(),
        (0, checks) => expected_checks(checks),
        _ => "Changes must be made through a pull request.".to_owned(),
    };
    Some((rule, sentence))
}

/// What a pull request to this branch still needs, when nothing of it is there.
pub fn missing_requirements(rule: &BranchProtection) -> Option<String> {
    match (rule.required_reviews, rule.required_checks.as_slice()) {
        (0, []) => None,
        (0, checks) => Some(expected_checks(checks)),
        (1, _) => Some("At least 1 approving review is required by reviewers with write access.".into()),
        (many, _) => {
            Some(format!("At least {many} approving reviews are required by reviewers with write access."))
        }
    }
}

fn expected_checks(checks: &[String]) -> String {
    match checks {
        [one] => format!("Required status check \"{one}\" is expected."),
        many => format!("{0} of {0} required status checks are expected.", many.len()),
    }
}

/// The same as the refusal of a GraphQL mutation. The type that rulesets give is not documented.
pub fn graphql_violation(rule: &BranchProtection, sentence: &str) -> ServiceError {
    match rule.ruleset {
        true => graphql_error("UNPROCESSABLE", ruleset_message(sentence)),
        false => graphql_error("BRANCH_PROTECTION_RULE_VIOLATION", sentence),
    }
}

/// The same as the refusal of a REST call.
pub fn rest_violation(rule: &BranchProtection, sentence: &str) -> ServiceError {
    if rule.ruleset { unprocessable(ruleset_message(sentence)) } else { unprocessable(sentence) }
}

fn ruleset_message(sentence: &str) -> String {
    format!("Repository rule violations found\n\n{sentence}\n\n")
}

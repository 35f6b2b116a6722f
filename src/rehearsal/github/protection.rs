//! Branch protection: who may move a branch directly, and what a pull request needs.

use super::answers::{graphql, invalid};
use super::settings::Protection;
use super::state::Repository;
use crate::rehearsal::call::Refusal;

/// Why this login may not move a branch by itself.
pub fn violation<'a>(it: &'a Repository, branch: &str, login: &str) -> Option<(&'a Protection, String)> {
    let rule = it.protection(branch)?;
    if rule.allowed.iter().any(|allowed| allowed == login) {
        return None;
    }
    let sentence = match (rule.required_reviews, rule.required_checks.as_slice()) {
        (0, []) if rule.allowed.is_empty() => return None,
        (0, []) => "You're not authorized to push to this branch.".to_owned(),
        (0, checks) => expected(checks),
        _ => "Changes must be made through a pull request.".to_owned(),
    };
    Some((rule, sentence))
}

/// What a pull request to this branch still needs, when nothing of it is there.
pub fn needs(rule: &Protection) -> Option<String> {
    match (rule.required_reviews, rule.required_checks.as_slice()) {
        (0, []) => None,
        (0, checks) => Some(expected(checks)),
        (1, _) => Some("At least 1 approving review is required by reviewers with write access.".into()),
        (many, _) => {
            Some(format!("At least {many} approving reviews are required by reviewers with write access."))
        }
    }
}

fn expected(checks: &[String]) -> String {
    match checks {
        [one] => format!("Required status check \"{one}\" is expected."),
        many => format!("{0} of {0} required status checks are expected.", many.len()),
    }
}

/// The same as the refusal of a GraphQL mutation. The type that rulesets give is not documented.
pub fn by_graphql(rule: &Protection, sentence: &str) -> Refusal {
    match rule.ruleset {
        true => graphql("UNPROCESSABLE", ruled(sentence)),
        false => graphql("BRANCH_PROTECTION_RULE_VIOLATION", sentence),
    }
}

/// The same as the refusal of a REST call.
pub fn by_rest(rule: &Protection, sentence: &str) -> Refusal {
    if rule.ruleset { invalid(ruled(sentence)) } else { invalid(sentence) }
}

fn ruled(sentence: &str) -> String {
    format!("Repository rule violations found\n\n{sentence}\n\n")
}

//! Which environment a run is for: the one that is named, or the one whose branches match.

use std::collections::BTreeMap;

use super::Environment;
use crate::problem::{Code, Problem, suggest};

/// The environment of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Environment(String),
    /// None, for this reason; nothing is to be done.
    None(String),
}

/// Chooses by name where one is given, else by branch. `branch` is `None` for a tag or a detached commit.
pub fn choose(
    environments: &BTreeMap<String, Environment>,
    named: Option<&str>,
    branch: Option<&str>,
) -> Result<Choice, Problem> {
    if let Some(name) = named {
        return by_name(environments, name);
    }
    let Some(branch) = branch else {
        return Ok(Choice::None("this run is not for a branch, and no environment was named".into()));
    };
    let matching: Vec<&String> = environments
        .iter()
        .filter(|(_, e)| e.branches.iter().any(|p| matches(p, branch)))
        .map(|(n, _)| n)
        .collect();
    match matching.as_slice() {
        [] => Ok(Choice::None(no_match(environments, branch))),
        [one] => Ok(Choice::Environment((*one).clone())),
        many => {
            let names = many.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
            Err(Problem::error(Code::BranchAmbiguous, format!("The branch `{branch}` belongs to {names}."))
                .help("Give each branch to one environment."))
        }
    }
}

fn by_name(environments: &BTreeMap<String, Environment>, name: &str) -> Result<Choice, Problem> {
    if environments.contains_key(name) {
        return Ok(Choice::Environment(name.to_owned()));
    }
    let known = environments.keys().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    let near =
        suggest(name, environments.keys().map(String::as_str)).map(|n| format!("Did you mean `{n}`? "));
    Err(Problem::error(Code::NameUnknown, format!("There is no environment `{name}` in the deploy file."))
        .help(format!("{}Known: {known}.", near.unwrap_or_default())))
}

fn no_match(environments: &BTreeMap<String, Environment>, branch: &str) -> String {
    let mapped = environments
        .iter()
        .flat_map(|(name, e)| e.branches.iter().map(move |branch| format!("`{branch}` → {name}")))
        .collect::<Vec<_>>()
        .join(", ");
    let mapped = if mapped.is_empty() { "no environment lists any".to_owned() } else { mapped };
    format!("no environment takes the branch `{branch}` ({mapped})")
}

/// Branches that an environment of a deploy file takes, and where that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim<'d> {
    pub(super) environment: &'d str,
    pub(super) pattern: String,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Claims that take a branch which an earlier one gives to another environment, as far as a look at the names can tell,
/// and for `branch` whatever the patterns are.
pub(super) fn clashes(file: &str, claims: &[Claim<'_>], branch: Option<&str>) -> Vec<Problem> {
    let clash = |(at, claim): (usize, &Claim<'_>)| {
        let (earlier, shared) =
            claims[..at].iter().find_map(|earlier| Some((earlier, shared(earlier, claim, branch)?)))?;
        let sentence = format!(
            "The branch `{shared}` belongs to `{}` and `{}`.",
            earlier.environment, claim.environment
        );
        let problem = Problem::error(Code::BranchAmbiguous, sentence).help(format!(
            "Give each branch to one environment; the other claim is in line {}.",
            earlier.line
        ));
        Some(problem.at(file, claim.line, claim.column))
    };
    claims.iter().enumerate().filter_map(clash).collect()
}

/// A branch, or a pattern of branches, that two environments take.
fn shared(one: &Claim<'_>, other: &Claim<'_>, branch: Option<&str>) -> Option<String> {
    let literal = |pattern: &str| !pattern.contains('*');
    let (a, b) = (one.pattern.as_str(), other.pattern.as_str());
    let of_run = branch.filter(|branch| matches(a, branch) && matches(b, branch));
    let found = of_run
        .or_else(|| (literal(a) && matches(b, a)).then_some(a))
        .or_else(|| (a == b || (literal(b) && matches(a, b))).then_some(b));
    found.filter(|_| one.environment != other.environment).map(str::to_owned)
}

/// `*` matches within one path part, `**` across parts.
fn matches(pattern: &str, branch: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == branch,
        Some((head, rest)) => {
            let Some(tail) = branch.strip_prefix(head) else { return false };
            let (rest, deep) = rest.strip_prefix('*').map_or((rest, false), |rest| (rest, true));
            let end = if deep { tail.len() } else { tail.find('/').unwrap_or(tail.len()) };
            (0..=end).filter(|at| tail.is_char_boundary(*at)).any(|at| matches(rest, &tail[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environments(list: &[(&str, &[&str])]) -> BTreeMap<String, Environment> {
        list.iter()
            .map(|(name, branches)| {
                let branches = branches.iter().map(|b| (*b).to_owned()).collect();
                ((*name).to_owned(), Environment { branches, ..Environment::default() })
            })
            .collect()
    }

    #[test]
    fn branches_decide_and_names_win() {
        let all = environments(&[("staging", &["develop", "release/*"]), ("production", &["main"])]);
        let chosen = |named, branch| match choose(&all, named, branch) {
            Ok(Choice::Environment(name)) => name,
            Ok(Choice::None(why)) => format!("none: {why}"),
            Err(problem) => problem.to_string(),
        };
        insta::assert_snapshot!([
            chosen(None, Some("main")),
            chosen(None, Some("release/1.2")),
            chosen(None, Some("release/1/2")),
            chosen(Some("production"), Some("develop")),
            chosen(Some("prodution"), None),
            chosen(None, None),
        ].join("\n"), @r"
        production
        staging
        none: no environment takes the branch `release/1/2` (`main` → production, `develop` → staging, `release/*` → staging)
        production
        There is no environment `prodution` in the deploy file. Did you mean `production`? Known: `production`, `staging`.
        none: this run is not for a branch, and no environment was named
        ");
    }

    #[test]
    fn a_branch_of_two_environments_is_refused() {
        let all = environments(&[("a", &["main"]), ("b", &["m**"])]);
        assert_eq!(choose(&all, None, Some("main")).unwrap_err().code, Code::BranchAmbiguous);
    }
}

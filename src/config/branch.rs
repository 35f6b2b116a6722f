//! The environment of a run: the named one, or the one whose branches match.

use std::collections::BTreeMap;

use super::Environment;
use super::limits::{MAX_BRANCH_BYTES, MAX_BRANCHES, MAX_PATTERN_BYTES};
use crate::problem::list::{for_first, name_list};
use crate::problem::{Code, Problem, suggest};

/// Branches that the reason of a run without an environment names.
const MAX_NAMED_BRANCHES: usize = 20;

/// The environment of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentSelection {
    /// This one.
    Environment(String),
    /// None, for this reason; there is nothing to do.
    NoEnvironment(String),
}

/// Selects by name if one is given, else by branch. `branch` is `None` for a tag or a detached commit.
pub fn select_environment(
    environments: &BTreeMap<String, Environment>,
    named: Option<&str>,
    branch: Option<&str>,
) -> Result<EnvironmentSelection, Problem> {
    if let Some(name) = named {
        return select_by_name(environments, name);
    }
    let Some(branch) = branch else {
        return Ok(EnvironmentSelection::NoEnvironment(
            "this run has no branch, and no environment was named".into(),
        ));
    };
    let matching: Vec<&String> =
        environments.iter().filter(|(_, e)| matches_any(&e.branches, branch)).map(|(n, _)| n).collect();
    match matching.as_slice() {
        [] => Ok(EnvironmentSelection::NoEnvironment(no_match_reason(environments, branch))),
        [one] => Ok(EnvironmentSelection::Environment((*one).clone())),
        many => {
            let names = many.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
            Err(Problem::error(Code::BranchAmbiguous, format!("The branch `{branch}` matches {names}."))
                .help("Give each branch to one environment."))
        }
    }
}

/// Whether a branch deploys to an environment with these `branches`.
pub fn matches_any(patterns: &[String], branch: &str) -> bool {
    patterns.iter().any(|pattern| matches_pattern(pattern, branch))
}

fn select_by_name(
    environments: &BTreeMap<String, Environment>,
    name: &str,
) -> Result<EnvironmentSelection, Problem> {
    if environments.contains_key(name) {
        return Ok(EnvironmentSelection::Environment(name.to_owned()));
    }
    let known = name_list(environments.keys().map(String::as_str));
    let near =
        suggest(name, environments.keys().map(String::as_str)).map(|n| format!("Did you mean `{n}`? "));
    Err(Problem::error(Code::NameUnknown, format!("There is no environment `{name}` in the deploy file."))
        .help(format!("{}Known: {known}.", near.unwrap_or_default())))
}

fn no_match_reason(environments: &BTreeMap<String, Environment>, branch: &str) -> String {
    let mapped = environments
        .iter()
        .flat_map(|(name, e)| e.branches.iter().map(move |branch| format!("`{branch}` → {name}")))
        .take(MAX_NAMED_BRANCHES)
        .collect::<Vec<_>>()
        .join(", ");
    let mapped = if mapped.is_empty() { "no environment lists any".to_owned() } else { mapped };
    format!("no environment matches the branch `{branch}` ({mapped})")
}

/// Branches of an environment of a deploy file, and their location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BranchRule<'d> {
    pub(super) environment: &'d str,
    pub(super) pattern: String,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Branches that an earlier environment matches already, as far as names and patterns show, and exactly for `branch`.
pub(super) fn conflicts(file: &str, claims: &[BranchRule<'_>], branch: Option<&str>) -> Vec<Problem> {
    let clash = |(at, claim): (usize, &BranchRule<'_>)| {
        let (earlier, shared) = claims[..at]
            .iter()
            .find_map(|earlier| Some((earlier, shared_branch(earlier, claim, branch)?)))?;
        let sentence = format!(
            "The branch `{shared}` matches both `{}` and `{}`.",
            earlier.environment, claim.environment
        );
        let problem = Problem::error(Code::BranchAmbiguous, sentence)
            .help(format!("Give each branch to one environment; the other one is in line {}.", earlier.line));
        Some(problem.at_location(file, claim.line, claim.column))
    };
    claims.iter().enumerate().filter_map(clash).collect()
}

/// A branch, or a pattern of branches, that two environments match.
fn shared_branch(one: &BranchRule<'_>, other: &BranchRule<'_>, branch: Option<&str>) -> Option<String> {
    let literal = |pattern: &str| !pattern.contains('*');
    let (a, b) = (one.pattern.as_str(), other.pattern.as_str());
    let of_run = branch.filter(|branch| matches_pattern(a, branch) && matches_pattern(b, branch));
    let found = of_run
        .or_else(|| (literal(a) && matches_pattern(b, a)).then_some(a))
        .or_else(|| (a == b || (literal(b) && matches_pattern(a, b))).then_some(b));
    found.filter(|_| one.environment != other.environment).map(str::to_owned)
}

/// Problems of branches that are too long, or too many to be compared with each other.
pub(super) fn excess_branches(file: &str, claims: &[BranchRule<'_>]) -> Vec<Problem> {
    let too_many = claims.get(MAX_BRANCHES).map(|claim| {
        let sentence = format!("The environments have {} branches, more than {MAX_BRANCHES}.", claims.len());
        Problem::error(Code::ConfigInvalid, sentence).help("Use patterns, such as `release/*`.").at_location(
            file,
            claim.line,
            claim.column,
        )
    });
    let long = claims.iter().filter(|claim| claim.pattern.len() > MAX_BRANCH_BYTES);
    let too_long = for_first(long, |claim| {
        let sentence = format!("A branch of `{}` has more than {MAX_BRANCH_BYTES} bytes.", claim.environment);
        Problem::error(Code::ConfigInvalid, sentence).help("Correct the name or the pattern.").at_location(
            file,
            claim.line,
            claim.column,
        )
    });
    too_many.into_iter().chain(too_long).collect()
}

/// `*` matches within one path part, `**` across parts.
pub(super) fn matches_pattern(pattern: &str, branch: &str) -> bool {
    match pattern.contains('*') {
        false => pattern == branch,
        true => pattern.len() <= MAX_PATTERN_BYTES && StarAutomaton::parse(pattern).matches(branch),
    }
}

/// A pattern with stars as an automaton whose states are the bits of a number: bit `n` stands for the first `n` pieces
/// of the pattern. A piece is a character or a star, so reading a branch takes linear time.
#[derive(Default)]
struct StarAutomaton {
    /// For each character the pieces that it matches.
    characters: BTreeMap<char, u128>,
    /// The pieces `*`.
    within_part: u128,
    /// The pieces `**`.
    across_parts: u128,
    length: usize,
}

impl StarAutomaton {
    fn parse(pattern: &str) -> Self {
        let (mut automaton, mut rest) = (Self::default(), pattern);
        while let Some(c) = rest.chars().next() {
            let piece = match c {
                '*' if rest.starts_with("**") => &mut automaton.across_parts,
                '*' => &mut automaton.within_part,
                c => automaton.characters.entry(c).or_default(),
            };
            *piece |= 1 << automaton.length;
            automaton.length += 1;
            rest = if c == '*' { rest.trim_start_matches('*') } else { &rest[c.len_utf8()..] };
        }
        automaton
    }

    fn matches(&self, branch: &str) -> bool {
        let stars = self.within_part | self.across_parts;
        // A star can also match nothing, and two stars are never adjacent.
        let skip_stars = |states: u128| states | ((states & stars) << 1);
        let states = branch.chars().fold(skip_stars(1), |states, c| {
            let read = states & self.characters.get(&c).copied().unwrap_or_default();
            let repeating = self.across_parts | if c == '/' { 0 } else { self.within_part };
            skip_stars((read << 1) | (states & repeating))
        });
        states & (1 << self.length) != 0
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
    fn named_environment_wins_over_the_branch() {
        let all = environments(&[("staging", &["develop", "release/*"]), ("production", &["main"])]);
        let chosen = |named, branch| match select_environment(&all, named, branch) {
            Ok(EnvironmentSelection::Environment(name)) => name,
            Ok(EnvironmentSelection::NoEnvironment(why)) => format!("none: {why}"),
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
        none: no environment matches the branch `release/1/2` (`main` → production, `develop` → staging, `release/*` → staging)
        production
        There is no environment `prodution` in the deploy file. Did you mean `production`? Known: `production`, `staging`.
        none: this run has no branch, and no environment was named
        ");
    }

    #[test]
    fn star_matches_within_a_part_and_two_stars_across_parts() {
        for (pattern, fits, others) in [
            ("main", vec!["main"], vec!["main2", "mai", ""]),
            ("*", vec!["main", ""], vec!["a/b"]),
            ("**", vec!["main", "a/b", ""], vec![]),
            ("release/*", vec!["release/1", "release/"], vec!["release/1/2", "release"]),
            ("release/**", vec!["release/1/2"], vec!["release"]),
            ("**/1", vec!["release/1", "a/b/1", "/1"], vec!["1"]),
            ("m**", vec!["main", "m/a"], vec!["am"]),
            ("a?[b]+\\c", vec!["a?[b]+\\c"], vec!["ab+c", "abc"]),
            ("*-*", vec!["a-b", "--"], vec!["a", "a/-"]),
        ] {
            assert!(fits.iter().all(|branch| matches_pattern(pattern, branch)), "{pattern} {fits:?}");
            assert!(!others.iter().any(|branch| matches_pattern(pattern, branch)), "{pattern} {others:?}");
        }
    }

    /// Backtracking would take practically forever.
    #[test]
    fn matching_time_of_a_branch_is_bounded() {
        assert!(!matches_pattern(&"*a".repeat(60), &"a".repeat(250).replace("aaaaa", "aaaab")));
        assert!(!matches_pattern(&"**a".repeat(40), &("a".repeat(250) + "b")));
    }

    #[test]
    fn branch_of_two_environments_is_rejected() {
        let all = environments(&[("a", &["main"]), ("b", &["m**"])]);
        assert_eq!(select_environment(&all, None, Some("main")).unwrap_err().code, Code::BranchAmbiguous);
    }
}

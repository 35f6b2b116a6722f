//! Checks of `promote-from` that need the deploy file alone: the environment exists, and there is no circle.

use std::collections::BTreeMap;

use super::Environment;
use super::tree::ConfigNode;
use crate::problem::list::name_list;
use crate::problem::{Code, Problem, suggest};

/// Problems of `promote-from` of the environments, each with its line. `node` is their block.
pub(super) fn problems(
    file: &str,
    node: Option<&ConfigNode>,
    environments: &BTreeMap<String, Environment>,
) -> Vec<Problem> {
    let entries = node.map(ConfigNode::entries).unwrap_or_default().iter();
    let wrong = entries.filter_map(|entry| {
        let at = entry.value.get("promote-from")?;
        let problem = promotion_problem(&entry.key, environments)?;
        Some(problem.at_location(file, at.line, at.column))
    });
    wrong.collect()
}

fn promotion_problem(name: &str, environments: &BTreeMap<String, Environment>) -> Option<Problem> {
    let from = |name: &str| environments.get(name)?.promote_from.as_deref();
    let source = from(name)?;
    if !environments.contains_key(source) {
        return Some(unknown_source(source, environments));
    }
    if source == name {
        let sentence = format!("`{name}` cannot be promoted from itself.");
        return Some(Problem::error(Code::ConfigInvalid, sentence).help(SOURCE_HELP));
    }
    let mut chain = vec![name];
    let mut next = Some(source);
    while let Some(at) = next {
        if at == name {
            return circular_promotion(&chain);
        }
        // A circle further on is reported at its own lines.
        if chain.contains(&at) {
            return None;
        }
        chain.push(at);
        next = from(at);
    }
    None
}

const SOURCE_HELP: &str = "Name the environment in which versions are proven first.";

fn unknown_source(source: &str, environments: &BTreeMap<String, Environment>) -> Problem {
    let known = name_list(environments.keys().map(String::as_str));
    let near = suggest(source, environments.keys().map(String::as_str));
    let near = near.map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
    Problem::error(Code::NameUnknown, format!("There is no environment `{source}` in the deploy file."))
        .help(format!("{near}Known: {known}."))
}

/// A circle is reported once, by the first of its names.
fn circular_promotion(chain: &[&str]) -> Option<Problem> {
    let first = chain.iter().min()?;
    let names = chain.iter().chain(&chain[..1]).map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let sentence =
        format!("Nothing can ever be promoted: {} are promoted in a circle.", names.join(" from "));
    (chain[0] == *first).then(|| Problem::error(Code::ConfigInvalid, sentence).help(SOURCE_HELP))
}

#[cfg(test)]
mod tests {
    use crate::config::DeployFile;

    fn problems(environments: &str) -> String {
        let text = format!("environments:\n{environments}services:\n  a: {{ ecs: {{}} }}\n");
        let (_, problems) = DeployFile::parse("f.yml", &text).unwrap().environments();
        let line = |p: crate::problem::Problem| {
            let at = p.location.clone().unwrap();
            format!("{}:{} {p}", at.line, at.column)
        };
        problems.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn promotion_chain_is_valid() {
        let chain = "  dev: {}\n  staging: { promote-from: dev }\n  production: { promote-from: staging }\n  abroad: { promote-from: staging }\n";
        assert_eq!(problems(chain), "");
    }

    #[test]
    fn invalid_promote_from_is_reported_on_its_line() {
        insta::assert_snapshot!(problems("  staging: {}\n  production: { promote-from: stagin }\n  self: { promote-from: self }\n  a: { promote-from: c }\n  b: { promote-from: a }\n  c: { promote-from: b }\n  d: { promote-from: a }\n"), @"
        3:31 There is no environment `stagin` in the deploy file. Did you mean `staging`? Known: `a`, `b`, `c`, `d`, `production`, `self`, `staging`.
        4:25 `self` cannot be promoted from itself. Name the environment in which versions are proven first.
        5:22 Nothing can ever be promoted: `a` from `c` from `b` from `a` are promoted in a circle. Name the environment in which versions are proven first.
        ");
    }
}

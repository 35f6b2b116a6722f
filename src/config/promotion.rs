//! What can be said about `promote-from` in the deploy file alone: that there is such an environment, and an end.

use std::collections::BTreeMap;

use super::Environment;
use super::tree::Node;
use crate::problem::{Code, Problem, suggest};

/// What is wrong with the `promote-from` of the environments, each on its line. `node` is their block.
pub(super) fn problems(
    file: &str,
    node: Option<&Node>,
    environments: &BTreeMap<String, Environment>,
) -> Vec<Problem> {
    let entries = node.map(Node::entries).unwrap_or_default().iter();
    let wrong = entries.filter_map(|entry| {
        let at = entry.value.get("promote-from")?;
        let problem = problem(&entry.key, environments)?;
        Some(problem.at(file, at.line, at.column))
    });
    wrong.collect()
}

fn problem(name: &str, environments: &BTreeMap<String, Environment>) -> Option<Problem> {
    let from = |name: &str| environments.get(name)?.promote_from.as_deref();
    let source = from(name)?;
    if !environments.contains_key(source) {
        return Some(unknown(source, environments));
    }
    if source == name {
        let sentence = format!("`{name}` cannot be promoted from itself.");
        return Some(Problem::error(Code::ConfigInvalid, sentence).help(HELP));
    }
    let mut way = vec![name];
    let mut next = Some(source);
    while let Some(at) = next {
        if at == name {
            return circle(&way);
        }
        // A circle further on is told on the lines of its own.
        if way.contains(&at) {
            return None;
        }
        way.push(at);
        next = from(at);
    }
    None
}

const HELP: &str = "Name the environment in which versions are proven first.";

fn unknown(source: &str, environments: &BTreeMap<String, Environment>) -> Problem {
    let known = environments.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let near = suggest(source, environments.keys().map(String::as_str));
    let near = near.map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
    Problem::error(Code::NameUnknown, format!("There is no environment `{source}` in the deploy file."))
        .help(format!("{near}Known: {known}."))
}

/// A circle is told once, by the first of its names.
fn circle(way: &[&str]) -> Option<Problem> {
    let first = way.iter().min()?;
    let names = way.iter().chain(&way[..1]).map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let sentence = format!("Nothing can ever come in: {} are promoted in a circle.", names.join(" from "));
    (way[0] == *first).then(|| Problem::error(Code::ConfigInvalid, sentence).help(HELP))
}

#[cfg(test)]
mod tests {
    use crate::config::Document;

    fn problems(environments: &str) -> String {
        let text = format!("environments:\n{environments}services:\n  a: {{ ecs: {{}} }}\n");
        let (_, problems) = Document::parse("f.yml", &text).unwrap().environments();
        let line = |p: crate::problem::Problem| {
            let at = p.at.clone().unwrap();
            format!("{}:{} {p}", at.line, at.column)
        };
        problems.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_chain_has_an_end() {
        let chain = "  dev: {}\n  staging: { promote-from: dev }\n  production: { promote-from: staging }\n  abroad: { promote-from: staging }\n";
        assert_eq!(problems(chain), "");
    }

    #[test]
    fn what_leads_nowhere_is_told_on_its_line() {
        insta::assert_snapshot!(problems("  staging: {}\n  production: { promote-from: stagin }\n  self: { promote-from: self }\n  a: { promote-from: c }\n  b: { promote-from: a }\n  c: { promote-from: b }\n  d: { promote-from: a }\n"), @"
        3:31 There is no environment `stagin` in the deploy file. Did you mean `staging`? Known: `a`, `b`, `c`, `d`, `production`, `self`, `staging`.
        4:25 `self` cannot be promoted from itself. Name the environment in which versions are proven first.
        5:22 Nothing can ever come in: `a` from `c` from `b` from `a` are promoted in a circle. Name the environment in which versions are proven first.
        ");
    }
}

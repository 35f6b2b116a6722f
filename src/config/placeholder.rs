//! `${environment}` and its few siblings, replaced in values after parsing: what they stand for is never read as YAML.

use super::Placeholders;
use super::tree::Node;
use crate::problem::{Code, Problem, suggest};

/// Replaces the placeholders in every string of `node`. `$${` writes `${`.
pub(super) fn fill(file: &str, node: &mut Node, known: &Placeholders) -> Vec<Problem> {
    let mut problems = Vec::new();
    node.each_string(&mut |text, line, column| match filled(text, known) {
        Ok(filled) => *text = filled,
        Err(problem) => problems.push(problem.at(file, line, column)),
    });
    problems
}

fn filled(text: &str, known: &Placeholders) -> Result<String, Problem> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(kept) = before.strip_suffix('$') {
            out += kept;
            out += "${";
            rest = after;
            continue;
        }
        let name = after.split_once('}').map(|(name, _)| name).unwrap_or(after);
        out += before;
        out += known.get(name).ok_or_else(|| unknown(name, known))?;
        rest = after.get(name.len() + 1..).unwrap_or_default();
    }
    Ok(out + rest)
}

fn unknown(name: &str, known: &Placeholders) -> Problem {
    let list = known.keys().map(|k| format!("`${{{k}}}`")).collect::<Vec<_>>().join(", ");
    let near = suggest(name, known.keys().copied())
        .map(|n| format!("Did you mean `${{{n}}}`? "))
        .unwrap_or_default();
    Problem::error(
        Code::NameUnknown,
        format!("`${{{name}}}` is not a placeholder that has a value in this run."),
    )
    .help(format!("{near}Known: {list}; `$${{` writes `${{`."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_once_and_never_parsed() {
        let known: Placeholders =
            [("environment", "a: ${sha}".to_owned()), ("sha", "c0ffee1".to_owned())].into();
        assert_eq!(filled("x-${environment}-${sha}", &known).unwrap(), "x-a: ${sha}-c0ffee1");
        assert_eq!(filled("$${HOME} $5 $", &known).unwrap(), "${HOME} $5 $");
        assert!(
            filled("${enviroment}", &known).unwrap_err().help.starts_with("Did you mean `${environment}`?")
        );
        assert!(filled("${open", &known).is_err());
    }
}

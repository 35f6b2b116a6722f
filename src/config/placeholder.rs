//! `${environment}` and the other placeholders, replaced in values after parsing: their values are never read as YAML.

use super::Placeholders;
use super::tree::ConfigNode;
use super::unset_placeholders::OPTIONAL;
use crate::problem::list::for_first;
use crate::problem::{Code, Problem, suggest};

/// Replaces the placeholders in every string of `node`. `$${` writes `${`.
pub(super) fn substitute(file: &str, node: &mut ConfigNode, known: &Placeholders) -> Vec<Problem> {
    let mut unfilled = Vec::new();
    node.map_strings(&mut |text, line, column| match substitute_text(text, known) {
        Ok(filled) => *text = filled,
        Err(name) => unfilled.push(UnknownPlaceholder { name, line, column }),
    });
    for_first(unfilled, |it| unknown_placeholder(&it.name, known).at_location(file, it.line, it.column))
}

struct UnknownPlaceholder {
    name: String,
    line: usize,
    column: usize,
}

/// The text with its values; the error is the first name without one.
fn substitute_text(text: &str, known: &Placeholders) -> Result<String, String> {
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
        out += known.get(name).ok_or_else(|| name.to_owned())?;
        rest = after.get(name.len() + 1..).unwrap_or_default();
    }
    Ok(out + rest)
}

fn unknown_placeholder(name: &str, known: &Placeholders) -> Problem {
    let list = known.keys().map(|k| format!("`${{{k}}}`")).collect::<Vec<_>>().join(", ");
    let near = suggest(name, known.keys().copied())
        .map(|n| format!("Did you mean `${{{n}}}`? "))
        .unwrap_or_default();
    let problem =
        Problem::error(Code::NameUnknown, format!("The placeholder `${{{name}}}` has no value in this run."));
    if OPTIONAL.contains(&name) {
        let has = if name == "tag" { "a Git tag" } else { "a branch" };
        return problem.help(format!(
            "Only a run of {has} has it. In `build.tags` and `build.args` such an entry is left out; elsewhere use a placeholder \
             that every run has, such as `${{sha}}`."
        ));
    }
    problem.help(format!("{near}Known: {list}; `$${{` writes `${{`."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_once_and_never_parsed() {
        let known: Placeholders =
            [("environment", "a: ${sha}".to_owned()), ("sha", "c0ffee1".to_owned())].into();
        assert_eq!(substitute_text("x-${environment}-${sha}", &known).unwrap(), "x-a: ${sha}-c0ffee1");
        assert_eq!(substitute_text("$${HOME} $5 $", &known).unwrap(), "${HOME} $5 $");
        let name = substitute_text("${enviroment}", &known).unwrap_err();
        assert!(unknown_placeholder(&name, &known).help.starts_with("Did you mean `${environment}`?"));
        assert!(substitute_text("${open", &known).is_err());
    }
}

//! What the checked-out files show of the `paths` of a service: folders without `/**`, other spellings, and a build that no
//! pattern is about. The files are read elsewhere.

use super::paths::{matches_below, split_negation};
use super::tree::{ConfigNode, ConfigValue};
use crate::problem::list::for_first;
use crate::problem::{Code, Problem, suggest};

/// What stands at a path of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathEntry {
    /// A file, a submodule, or a link.
    File,
    /// A folder.
    Folder,
    /// Nothing.
    Missing,
}

/// Patterns that are compared with the checked-out files: each takes calls to the disk.
const MAX_LOOKED_UP: usize = 1000;

/// The checked-out files.
pub trait CheckedOutFiles {
    /// What stands at a path.
    fn entry_at(&self, path: &str) -> PathEntry;
    /// The names of what is in a folder.
    fn names_in(&self, folder: &str) -> Vec<String>;
}

/// Problems of the `paths` of a service that the checked-out files show, each on its line: a folder without `/**`, and
/// a name that exists in another spelling.
pub fn workspace_problems(
    file: &str,
    service: &str,
    node: &ConfigNode,
    files: &dyn CheckedOutFiles,
) -> Vec<Problem> {
    let ConfigValue::Sequence(items) = &node.kind else { return Vec::new() };
    let wrong = items.iter().take(MAX_LOOKED_UP).filter_map(|item| {
        let pattern = item.to_value().as_str()?.to_owned();
        let problem = workspace_problem(service, &pattern, files)?;
        Some(problem.at_location(file, item.line, item.column))
    });
    for_first(wrong, |problem| problem)
}

fn workspace_problem(service: &str, pattern: &str, files: &dyn CheckedOutFiles) -> Option<Problem> {
    let (body, includes) = split_negation(pattern);
    let sign = if includes { "" } else { "!" };
    let fixed = fixed_folder(body);
    let is_plain = fixed == body;
    match files.entry_at(fixed) {
        PathEntry::Folder if is_plain => {
            let sentence = format!(
                "The path `{pattern}` of service `{service}` can never match: `{body}` is a folder, and only files change."
            );
            let help = format!("Did you mean `{sign}{body}/**`?");
            Some(Problem::error(Code::ConfigInvalid, sentence).help(help))
        }
        // A folder that does not exist may be one that is not checked out, or that comes later.
        PathEntry::Missing => {
            let near = find_spelling(fixed, files)?;
            let rest = body.strip_prefix(fixed).unwrap_or_default();
            let sentence = format!(
                "The path `{pattern}` of service `{service}` matches nothing now: there is no `{fixed}` in the checked-out files."
            );
            let help = format!("Did you mean `{sign}{near}{rest}`?");
            Some(Problem::warning(Code::ConfigInvalid, sentence).help(help))
        }
        _ => None,
    }
}

/// A path that exists, in which one part has another spelling than in `path`.
fn find_spelling(path: &str, files: &dyn CheckedOutFiles) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let is_missing = |end: &usize| files.entry_at(&parts[..=*end].join("/")) == PathEntry::Missing;
    let at = (0..parts.len()).find(is_missing)?;
    let names = files.names_in(&parts[..at].join("/"));
    let near = suggest(parts[at], names.iter().map(String::as_str))?;
    let found = [&parts[..at], &[near], &parts[at + 1..]].concat().join("/");
    (files.entry_at(&found) != PathEntry::Missing).then_some(found)
}

/// The folder of a build, if no pattern includes anything in it.
pub fn context_outside(patterns: &[String], context: &str) -> Option<String> {
    let parts: Vec<&str> = context.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let folder = parts.join("/");
    let is_known = !patterns.is_empty() && !folder.is_empty() && !parts.contains(&"..");
    (is_known && !matches_below(patterns, &folder)).then_some(folder)
}

/// The part of a pattern before its first sign, up to a slash; all of a pattern without signs.
fn fixed_folder(body: &str) -> &str {
    match body.find(['*', '?', '+', '[', '\\']) {
        None => body,
        Some(at) => body[..at].rfind('/').map_or("", |slash| &body[..slash]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checked_out_files_show_folders_and_names_that_do_not_exist() {
        struct Files;
        impl CheckedOutFiles for Files {
            fn entry_at(&self, path: &str) -> PathEntry {
                match path {
                    "" | "api" | "api/src" | "libs" => PathEntry::Folder,
                    "Makefile" | "libs/shared" => PathEntry::File,
                    _ => PathEntry::Missing,
                }
            }
            fn names_in(&self, folder: &str) -> Vec<String> {
                let names: &[&str] = match folder {
                    "" => &["api", "libs", "Makefile"],
                    "api" => &["src"],
                    _ => &[],
                };
                names.iter().map(|&name| name.to_owned()).collect()
            }
        }
        let found =
            |pattern: &str| workspace_problem("a", pattern, &Files).map(|it| (it.is_error(), it.help));
        assert_eq!(found("api"), Some((true, "Did you mean `api/**`?".into())));
        assert_eq!(found("!api/src"), Some((true, "Did you mean `!api/src/**`?".into())));
        for fine in
            ["api/**", "Makefile", "libs/shared", "**", "*.md", "api/s*/x", "later/**", "api/generated/**"]
        {
            assert_eq!(found(fine), None, "{fine}");
        }
        assert_eq!(found("API/**"), Some((false, "Did you mean `api/**`?".into())));
        assert_eq!(found("apu/src/*.rs"), Some((false, "Did you mean `api/src/*.rs`?".into())));
        assert_eq!(found("!api/Src/**"), Some((false, "Did you mean `!api/src/**`?".into())));
    }

    #[test]
    fn context_of_a_build_is_compared_with_the_patterns() {
        let outside = |patterns: &[&str], context: &str| {
            context_outside(&patterns.iter().map(|&it| it.to_owned()).collect::<Vec<_>>(), context)
        };
        assert_eq!(outside(&["services/api/**"], "./backend/"), Some("backend".into()));
        for (patterns, context) in [
            (&["backend/**"][..], "backend"),
            (&["backend/src/*.rs"], "backend"),
            (&["**/*.rs"], "backend"),
            (&["a/**"], "."),
            (&[], "b"),
        ] {
            assert_eq!(outside(patterns, context), None, "{patterns:?} {context}");
        }
    }
}

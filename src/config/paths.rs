//! Path patterns as GitHub's own path filters have them: `*`, `**`, `?`, `+`, `[]`, and `!` at the start; the last
//! pattern
//! that matches decides. <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>

use std::collections::BTreeSet;

use super::tree::{ConfigNode, ConfigValue};
use crate::problem::list::for_first;
use crate::problem::{Code, Problem};

/// The longest pattern: matching takes time in proportion to pattern and path.
const MAX_PATTERN_BYTES: usize = 1000;

/// Whether `path`, which is relative to the workspace, names something outside of it. Links are not known here.
pub fn leaves_workspace(path: &str) -> bool {
    let mut depth = 0_usize;
    path.starts_with('/')
        || path.split('/').any(|part| match part {
            "" | "." => false,
            ".." if depth == 0 => true,
            ".." => {
                depth -= 1;
                false
            }
            _ => {
                depth += 1;
                false
            }
        })
}

/// A path without `.`, `..` and slashes that mean nothing, as Git writes it.
pub fn to_git_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether a change of `path` matches: the last pattern that matches it has no `!`.
pub fn is_match(patterns: &[String], path: &str) -> bool {
    let fits = |pattern: &String| {
        let (body, within) = split_negation(pattern);
        PathPattern::parse(body).is_match(path).then_some(within)
    };
    patterns.iter().rev().find_map(fits).unwrap_or(false)
}

/// Whether something below `folder` may match, if only the folder is known to have changed (a submodule).
pub fn matches_below(patterns: &[String], folder: &str) -> bool {
    let within = |pattern: &String| matches!(split_negation(pattern), (body, true) if PathPattern::parse(body).can_match_below(folder));
    is_match(patterns, folder) || patterns.iter().any(within)
}

/// A pattern without its sign, and whether it includes (true) or excludes.
pub(super) fn split_negation(pattern: &str) -> (&str, bool) {
    pattern.strip_prefix('!').map_or((pattern, true), |body| (body, false))
}

/// A part of a pattern; each is a state of the automaton that reads a path.
enum PatternPiece {
    /// One character of these.
    One(CharSet),
    /// Any number of these.
    Many(CharSet),
    /// The next parts are optional; how many.
    Optional(usize),
}

enum CharSet {
    Char(char),
    Ranges(Vec<(char, char)>),
    /// Anything but a slash.
    NotSlash,
    Any,
}

impl CharSet {
    fn contains(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Ranges(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)),
            Self::NotSlash => c != '/',
            Self::Any => true,
        }
    }
}

struct PathPattern(Vec<PatternPiece>);

impl PathPattern {
    fn parse(text: &str) -> Self {
        let (mut pieces, mut rest) = (Vec::new(), text);
        let mut starts_part = true;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("**/").filter(|_| starts_part) {
                pieces.extend([
                    PatternPiece::Optional(2),
                    PatternPiece::Many(CharSet::Any),
                    PatternPiece::One(CharSet::Char('/')),
                ]);
                rest = after;
                continue;
            }
            if c == '*' {
                let star = if rest.starts_with("**") { CharSet::Any } else { CharSet::NotSlash };
                pieces.push(PatternPiece::Many(star));
                rest = rest.trim_start_matches('*');
            } else {
                let (set, after) = parse_char_or_class(rest, c);
                rest = after;
                push_quantified(&mut pieces, set, &mut rest);
            }
            starts_part = c == '/';
        }
        Self(pieces)
    }

    fn is_match(&self, path: &str) -> bool {
        self.states_after(path)[self.0.len()]
    }

    fn can_match_below(&self, folder: &str) -> bool {
        let states = self.states_after(&format!("{folder}/"));
        states[..self.0.len()].contains(&true)
    }

    /// The states that the automaton can be in after `path`.
    fn states_after(&self, path: &str) -> Vec<bool> {
        let mut states = vec![false; self.0.len() + 1];
        states[0] = true;
        self.add_empty_transitions(&mut states);
        for c in path.chars() {
            if !states.contains(&true) {
                break;
            }
            let mut next = vec![false; states.len()];
            for (at, piece) in self.0.iter().enumerate().filter(|(at, _)| states[*at]) {
                match piece {
                    PatternPiece::One(set) if set.contains(c) => next[at + 1] = true,
                    PatternPiece::Many(set) if set.contains(c) => next[at] = true,
                    _ => {}
                }
            }
            self.add_empty_transitions(&mut next);
            states = next;
        }
        states
    }

    /// Adds the states that are reached without reading a character.
    fn add_empty_transitions(&self, states: &mut [bool]) {
        for (at, piece) in self.0.iter().enumerate() {
            if states[at] {
                match piece {
                    PatternPiece::One(_) => {}
                    PatternPiece::Many(_) => states[at + 1] = true,
                    PatternPiece::Optional(over) => {
                        states[at + 1] = true;
                        states[at + 1 + over] = true;
                    }
                }
            }
        }
    }
}

/// The character or class at the start of `rest`, which begins with `c`; and the remainder.
fn parse_char_or_class(rest: &str, c: char) -> (CharSet, &str) {
    let after = &rest[c.len_utf8()..];
    match c {
        '\\' => {
            let escaped = after.chars().next().unwrap_or('\\');
            (CharSet::Char(escaped), after.get(escaped.len_utf8()..).unwrap_or_default())
        }
        '[' => match after.split_once(']') {
            Some((class, after)) => (CharSet::Ranges(parse_ranges(class)), after),
            None => (CharSet::Char('['), after),
        },
        c => (CharSet::Char(c), after),
    }
}

fn parse_ranges(class: &str) -> Vec<(char, char)> {
    let (mut found, chars) = (Vec::new(), class.chars().collect::<Vec<_>>());
    let mut at = 0;
    while let Some(from) = chars.get(at) {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(to)) => {
                found.push((*from, *to));
                at += 3;
            }
            _ => {
                found.push((*from, *from));
                at += 1;
            }
        }
    }
    found
}

/// Adds a character with the sign that may follow it: `?` for at most once, `+` for at least once.
fn push_quantified(pieces: &mut Vec<PatternPiece>, set: CharSet, rest: &mut &str) {
    if let Some(after) = rest.strip_prefix('?') {
        *rest = after;
        pieces.extend([PatternPiece::Optional(1), PatternPiece::One(set)]);
    } else if let Some(after) = rest.strip_prefix('+') {
        *rest = after;
        let again = match &set {
            CharSet::Char(c) => CharSet::Char(*c),
            CharSet::Ranges(ranges) => CharSet::Ranges(ranges.clone()),
            CharSet::NotSlash => CharSet::NotSlash,
            CharSet::Any => CharSet::Any,
        };
        pieces.extend([PatternPiece::One(set), PatternPiece::Many(again)]);
    } else {
        pieces.push(PatternPiece::One(set));
    }
}

/// Problems of the `paths` of a service, with their lines: patterns that can never match.
pub(super) fn problems(file: &str, service: &str, node: Option<&ConfigNode>) -> Vec<Problem> {
    let Some(ConfigNode { kind: ConfigValue::Sequence(items), line, column, .. }) = node else {
        return Vec::new();
    };
    let text = |item: &ConfigNode| item.to_value().as_str().map(str::to_owned);
    let patterns: Vec<(&ConfigNode, String)> =
        items.iter().filter_map(|item| Some((item, text(item)?))).collect();
    let wrong = patterns.iter().filter_map(|(item, pattern)| Some((item, pattern, pattern_fault(pattern)?)));
    let mut found = for_first(wrong, |(item, pattern, fault)| {
        let sentence = format!("The path `{pattern}` of service `{service}` {}.", fault.reason);
        Problem::error(Code::ConfigInvalid, sentence).help(fault.help).at_location(
            file,
            item.line,
            item.column,
        )
    });
    let texts: Vec<&str> = patterns.iter().map(|(_, pattern)| pattern.as_str()).collect();
    if !texts.is_empty() && found.is_empty() && excludes_all(&texts) {
        let sentence = format!("`paths` of service `{service}` only excludes, so no change can match.");
        let problem = Problem::error(Code::ConfigInvalid, sentence).help(
            "Begin with a pattern that includes, such as `**`. The last pattern that matches a file decides.",
        );
        found.push(problem.at_location(file, *line, *column));
    }
    found
}

/// Whether each pattern that includes is taken back by one after it.
fn excludes_all(patterns: &[&str]) -> bool {
    let mut taken_back = BTreeSet::new();
    patterns.iter().rev().all(|pattern| match pattern.strip_prefix('!') {
        Some(body) => {
            taken_back.insert(body);
            true
        }
        None => taken_back.contains("**") || taken_back.contains(pattern),
    })
}

/// Why no file can match a pattern, and what to write.
struct PatternFault {
    /// The end of a sentence about the pattern.
    reason: String,
    help: String,
}

fn pattern_fault(pattern: &str) -> Option<PatternFault> {
    let (body, includes) = split_negation(pattern);
    let reason = fault_reason(body)?.to_owned();
    let near = probable_pattern(body).filter(|near| fault_reason(near).is_none());
    let sign = if includes { "" } else { "!" };
    let help = near.map(|near| format!("Did you mean `{sign}{near}`?")).unwrap_or_default();
    Some(PatternFault { reason, help })
}

fn fault_reason(body: &str) -> Option<&'static str> {
    if body.trim().is_empty() {
        Some("is empty")
    } else if body.len() > MAX_PATTERN_BYTES {
        Some("has more than 1000 bytes")
    } else if body.starts_with('/') || body.split('/').any(|part| part == "." || part == "..") {
        Some(
            "can never match: paths are relative to the root of the repository, without a leading slash or dot",
        )
    } else if body.ends_with('/') {
        Some("can never match: it names a folder, and only files change")
    } else if body.contains("//") {
        Some("can never match: a path has no empty part")
    } else if has_separating_backslash(body) {
        Some("can never match: a path has `/` between its parts, and `\\` takes a sign literally")
    } else if body != body.trim() {
        Some("can never match: it begins or ends with a blank")
    } else {
        None
    }
}

/// Whether a backslash stands where it escapes no sign: between the parts of a path.
fn has_separating_backslash(body: &str) -> bool {
    let escapes =
        |rest: &str| rest.starts_with(['*', '?', '+', '[', ']', '!', '\\']) && !rest.starts_with("**");
    body.match_indices('\\').any(|(at, _)| !escapes(&body[at + 1..]) && !body[..at].ends_with('\\'))
}

/// The pattern that was probably meant: without dots, doubled slashes and backslashes; a folder with all that is in it.
fn probable_pattern(body: &str) -> Option<String> {
    let slashes = body.trim().replace('\\', "/");
    let parts: Vec<&str> = slashes.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let is_folder = slashes.ends_with('/') || matches!(slashes.as_str(), "." | "./");
    let whole = if is_folder { [&parts[..], &["**"]].concat() } else { parts };
    (!whole.is_empty()).then(|| whole.join("/"))
}

#[cfg(test)]
mod tests;

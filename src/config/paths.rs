//! Path patterns as GitHub's own path filters have them: `*`, `**`, `?`, `+`, `[]`, and `!` at the start; the last pattern
//! that fits decides. <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>

use super::tree::{Kind, Node};
use crate::problem::{Code, Problem};

/// Whether a change of `path` is meant: the last pattern that fits it is none with `!`.
pub fn meant(patterns: &[String], path: &str) -> bool {
    let fits = |pattern: &String| {
        let (body, within) = sign(pattern);
        Pattern::read(body).fits(path).then_some(within)
    };
    patterns.iter().rev().find_map(fits).unwrap_or(false)
}

/// Whether something below `folder` may be meant, of which only the folder is known to have changed (a submodule).
pub fn meant_below(patterns: &[String], folder: &str) -> bool {
    let within =
        |pattern: &String| matches!(sign(pattern), (body, true) if Pattern::read(body).reaches_below(folder));
    meant(patterns, folder) || patterns.iter().any(within)
}

/// A pattern without its sign, and whether it takes in (true) or leaves out.
fn sign(pattern: &str) -> (&str, bool) {
    pattern.strip_prefix('!').map_or((pattern, true), |body| (body, false))
}

/// A piece of a pattern; each stands for a state of the automaton that reads a path.
enum Piece {
    /// One character of these.
    One(Set),
    /// Any number of these.
    Many(Set),
    /// What follows may be passed over, so many pieces of it.
    Maybe(usize),
}

enum Set {
    Char(char),
    Within(Vec<(char, char)>),
    /// Anything but a slash.
    Part,
    Anything,
}

impl Set {
    fn has(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Within(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)),
            Self::Part => c != '/',
            Self::Anything => true,
        }
    }
}

struct Pattern(Vec<Piece>);

impl Pattern {
    fn read(text: &str) -> Self {
        let (mut pieces, mut rest) = (Vec::new(), text);
        let mut starts_part = true;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("**/").filter(|_| starts_part) {
                pieces.extend([Piece::Maybe(2), Piece::Many(Set::Anything), Piece::One(Set::Char('/'))]);
                rest = after;
                continue;
            }
            if c == '*' {
                let deep = rest.starts_with("**");
                pieces.push(Piece::Many(if deep { Set::Anything } else { Set::Part }));
                rest = rest.trim_start_matches('*');
            } else {
                let (set, after) = one(rest, c);
                rest = after;
                repeated(&mut pieces, set, &mut rest);
            }
            starts_part = c == '/';
        }
        Self(pieces)
    }

    fn fits(&self, path: &str) -> bool {
        self.after(path)[self.0.len()]
    }

    fn reaches_below(&self, folder: &str) -> bool {
        let states = self.after(&format!("{folder}/"));
        states[..self.0.len()].contains(&true)
    }

    /// The states that the automaton can be in after `path`.
    fn after(&self, path: &str) -> Vec<bool> {
        let mut states = vec![false; self.0.len() + 1];
        states[0] = true;
        self.spread(&mut states);
        for c in path.chars() {
            let mut next = vec![false; states.len()];
            for (at, piece) in self.0.iter().enumerate().filter(|(at, _)| states[*at]) {
                match piece {
                    Piece::One(set) if set.has(c) => next[at + 1] = true,
                    Piece::Many(set) if set.has(c) => next[at] = true,
                    _ => {}
                }
            }
            self.spread(&mut next);
            states = next;
        }
        states
    }

    /// Adds the states that are reached without a character.
    fn spread(&self, states: &mut [bool]) {
        for (at, piece) in self.0.iter().enumerate() {
            if states[at] {
                match piece {
                    Piece::One(_) => {}
                    Piece::Many(_) => states[at + 1] = true,
                    Piece::Maybe(over) => {
                        states[at + 1] = true;
                        states[at + 1 + over] = true;
                    }
                }
            }
        }
    }
}

/// The character or class at the start of `rest`, which begins with `c`; and what follows.
fn one(rest: &str, c: char) -> (Set, &str) {
    let after = &rest[c.len_utf8()..];
    match c {
        '\\' => {
            let escaped = after.chars().next().unwrap_or('\\');
            (Set::Char(escaped), after.get(escaped.len_utf8()..).unwrap_or_default())
        }
        '[' => match after.split_once(']') {
            Some((class, after)) => (Set::Within(ranges(class)), after),
            None => (Set::Char('['), after),
        },
        c => (Set::Char(c), after),
    }
}

fn ranges(class: &str) -> Vec<(char, char)> {
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
fn repeated(pieces: &mut Vec<Piece>, set: Set, rest: &mut &str) {
    if let Some(after) = rest.strip_prefix('?') {
        *rest = after;
        pieces.extend([Piece::Maybe(1), Piece::One(set)]);
    } else if let Some(after) = rest.strip_prefix('+') {
        *rest = after;
        let again = match &set {
            Set::Char(c) => Set::Char(*c),
            Set::Within(ranges) => Set::Within(ranges.clone()),
            Set::Part => Set::Part,
            Set::Anything => Set::Anything,
        };
        pieces.extend([Piece::One(set), Piece::Many(again)]);
    } else {
        pieces.push(Piece::One(set));
    }
}

/// What is wrong with the `paths` of a service, on their lines: patterns that can never fit.
pub(super) fn problems(file: &str, service: &str, node: Option<&Node>) -> Vec<Problem> {
    let Some(Node { kind: Kind::Sequence(items), line, column }) = node else { return Vec::new() };
    let text = |item: &Node| item.to_value().as_str().map(str::to_owned);
    let patterns: Vec<(&Node, String)> = items.iter().filter_map(|item| Some((item, text(item)?))).collect();
    let mut found: Vec<Problem> = patterns
        .iter()
        .filter_map(|(item, pattern)| Some(wrong(service, pattern)?.at(file, item.line, item.column)))
        .collect();
    if !patterns.is_empty() && patterns.iter().all(|(_, pattern)| pattern.starts_with('!')) {
        let sentence = format!("`paths` of service `{service}` only leaves out, so no change is ever meant.");
        let problem = Problem::error(Code::ConfigInvalid, sentence)
            .help("Begin with a pattern that takes in, such as `**`.");
        found.push(problem.at(file, *line, *column));
    }
    found
}

fn wrong(service: &str, pattern: &str) -> Option<Problem> {
    let (body, _) = sign(pattern);
    let why = if body.is_empty() {
        "is empty"
    } else if body.starts_with('/') || body.starts_with("./") || body.starts_with("../") {
        "can never fit: paths begin at the root of the repository, without a slash or a dot before"
    } else if body.ends_with('/') {
        "can never fit: it names a folder, and only files change; write `/**` at its end"
    } else {
        return None;
    };
    let sentence = format!("The path `{pattern}` of service `{service}` {why}.");
    Some(Problem::error(Code::ConfigInvalid, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
    }

    /// The rows of GitHub's cheat sheet, and the corners of each sign.
    #[test]
    fn patterns_fit_as_github_says() {
        for (pattern, fits, others) in [
            ("*", vec!["README.md", "server.rb"], vec!["docs/README.md"]),
            ("*.jsx?", vec!["page.js", "page.jsx"], vec!["page.jsxx", "a/page.js"]),
            ("**", vec!["all/the/files.md", "a"], vec![]),
            ("*.js", vec!["app.js"], vec!["js/app.js", "app.jsx"]),
            ("**.js", vec!["index.js", "js/index.js", "src/js/app.js"], vec!["index.ts"]),
            ("docs/*", vec!["docs/README.md"], vec!["docs/a/b.md", "docs", "other/docs/a"]),
            ("docs/**", vec!["docs/README.md", "docs/mona/octocat.txt"], vec!["docs", "docs2/a", "a/docs/b"]),
            (
                "docs/**/*.md",
                vec!["docs/README.md", "docs/mona/hello.md", "docs/a/md/f.md"],
                vec!["docs/a.txt"],
            ),
            (
                "**/docs/**",
                vec!["docs/hello.md", "dir/docs/my.txt", "space/docs/plan/space.doc"],
                vec!["mydocs/a"],
            ),
            ("**/README.md", vec!["README.md", "js/README.md"], vec!["js/XREADME.md"]),
            ("**/*src/**", vec!["a/src/app.js", "my-src/code/js/app.js"], vec!["src.js"]),
            ("**/*-post.md", vec!["my-post.md", "path/their-post.md"], vec!["post.md"]),
            (
                "**/migrate-*.sql",
                vec!["migrate-10909.sql", "db/migrate-v1.0.sql"],
                vec!["db/sept/unmigrate-v1.sql"],
            ),
            ("v[12].[0-9]+.txt", vec!["v1.0.txt", "v2.100.txt"], vec!["v3.0.txt", "v1..txt"]),
            ("a\\*b", vec!["a*b"], vec!["axb"]),
            ("a[b", vec!["a[b"], vec!["ab"]),
            ("größe/*", vec!["größe/ä"], vec!["gr/ä"]),
        ] {
            for path in fits {
                assert!(meant(&list(&[pattern]), path), "{pattern} fits {path}");
            }
            for path in others {
                assert!(!meant(&list(&[pattern]), path), "{pattern} does not fit {path}");
            }
        }
    }

    #[test]
    fn the_last_pattern_that_fits_decides() {
        let but = list(&["sub/**", "!sub/docs/**"]);
        assert!(meant(&but, "sub/a.rs") && !meant(&but, "sub/docs/a.md") && !meant(&but, "other"));
        let again = list(&["sub/**", "!sub/docs/**", "sub/docs/api.md"]);
        assert!(meant(&again, "sub/docs/api.md"));
        assert!(!meant(&list(&["!sub/docs/**", "!x"]), "y"));
    }

    #[test]
    fn a_submodule_is_meant_by_patterns_below_it() {
        for (patterns, expected) in [
            (vec!["libs/shared"], true),
            (vec!["libs/shared/**"], true),
            (vec!["libs/**/*.c"], true),
            (vec!["libs/shared/src/*.c"], true),
            (vec!["**/*.c"], true),
            (vec!["libs/shared/**", "!libs/shared/docs/**"], true),
            (vec!["libs/*"], true),
            (vec!["libs/other/**"], false),
            (vec!["*.c"], false),
            (vec!["app/**", "!libs/shared/**"], false),
        ] {
            assert_eq!(meant_below(&list(&patterns), "libs/shared"), expected, "{patterns:?}");
        }
    }

    /// Backtracking would take longer than the world lasts.
    #[test]
    fn no_pattern_takes_long() {
        let pattern = list(&[&"*a".repeat(200)]);
        assert!(!meant(&pattern, &"a".repeat(4000).replace("aaaa", "aaab")));
    }

    #[test]
    fn patterns_that_never_fit_are_told() {
        let node = crate::config::tree::parse("f.yml", "- /a\n- ./b\n- c/\n- ''\n- d/**\n").unwrap();
        let lines = |node| {
            problems("f.yml", "web", Some(node))
                .iter()
                .map(|p| p.at.as_ref().unwrap().line)
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(&node), [1, 2, 3, 4]);
        assert_eq!(lines(&crate::config::tree::parse("f.yml", "- '!a'\n- '!b'\n").unwrap()), [1]);
    }
}

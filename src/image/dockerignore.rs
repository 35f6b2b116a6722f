//! `.dockerignore`: which files of a context are excluded. Pure; the rules are those of Docker's own
//! matcher (moby/patternmatcher): later lines win, a match on a folder covers what is in it, `**` spans folders.

/// The lines of a `.dockerignore`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dockerignore {
    patterns: Vec<IgnorePattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct IgnorePattern {
    tokens: Vec<PatternToken>,
    is_exception: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PatternToken {
    /// This character.
    Literal(char),
    /// `?`: one character, not a slash.
    SingleChar,
    /// `[a-z]`, `[^a-z]`: one character of these ranges, or none of them.
    Class { ranges: Vec<(char, char)>, negated: bool },
    /// `*`: any characters but slashes.
    Star,
    /// `**/`: nothing, or any folders.
    Folders,
    /// `**` at the end: everything.
    Rest,
}

impl Dockerignore {
    /// Parses a `.dockerignore`. The error names the line that is not a pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.trim_start_matches('\u{feff}').lines();
        let meant =
            lines.filter(|line| !line.starts_with('#')).map(str::trim).filter(|line| !line.is_empty());
        Ok(Self { patterns: meant.map(parse_pattern).collect::<Result<_, _>>()? })
    }

    /// Whether the file at `path` (relative to the context, slashes between folders) is excluded.
    pub fn excludes(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        self.patterns.iter().fold(false, |out, pattern| {
            // A line can only change the result in its own direction, so half of them can be skipped.
            if out == pattern.is_exception && pattern.matches(&path) { !out } else { out }
        })
    }
}

impl IgnorePattern {
    /// Whether the whole path or one of the folders above it matches: all positions in the path that the pattern can
    /// reach are followed together, so no pattern takes more than tokens × characters.
    fn matches(&self, path: &[char]) -> bool {
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for token in &self.tokens {
            reached = token.advance(&reached, path);
        }
        (1..=path.len()).any(|end| reached[end] && path.get(end).is_none_or(|c| *c == '/'))
    }
}

impl PatternToken {
    /// From the positions reached before this token to those after it.
    fn advance(&self, from: &[bool], path: &[char]) -> Vec<bool> {
        let mut to = vec![false; from.len()];
        let mut any = false;
        for end in 0..from.len() {
            let before = end.checked_sub(1);
            let last = before.map(|i| path[i]);
            let came = before.is_some_and(|i| from[i]);
            to[end] = match self {
                Self::Star => from[end] || (before.is_some_and(|i| to[i]) && last != Some('/')),
                Self::Folders => from[end] || (any && last == Some('/')),
                Self::Rest => from[end] || any,
                single => came && last.is_some_and(|c| single.accepts(c)),
            };
            any |= from[end];
        }
        to
    }

    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Literal(wanted) => c == *wanted,
            Self::SingleChar => c != '/',
            Self::Class { ranges, negated } => {
                c != '/' && ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
            Self::Star | Self::Folders | Self::Rest => false,
        }
    }
}

fn parse_pattern(line: &str) -> Result<IgnorePattern, String> {
    let (readmits, text) = match line.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, line),
    };
    if text.is_empty() {
        return Err(format!("`{line}` re-admits nothing"));
    }
    let tokens = tokenize(&normalize_path(text)).ok_or_else(|| format!("`{line}` is not a pattern"))?;
    Ok(IgnorePattern { tokens, is_exception: readmits })
}

/// The shortest equal path: no `.`, no `//`, no leading slash; `..` removes the folder before it.
fn normalize_path(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." && parts.last().is_some_and(|last| *last != "..") {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// The tokens of a cleaned pattern; `None` if a bracket or a backslash is left open.
fn tokenize(text: &str) -> Option<Vec<PatternToken>> {
    let mut rest = text.chars().peekable();
    let mut found = Vec::new();
    while let Some(c) = rest.next() {
        found.push(match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                if rest.peek().is_some() { PatternToken::Folders } else { PatternToken::Rest }
            }
            '*' => PatternToken::Star,
            '?' => PatternToken::SingleChar,
            '[' => parse_class(&mut rest)?,
            '\\' => PatternToken::Literal(rest.next()?),
            c => PatternToken::Literal(c),
        });
    }
    Some(found)
}

fn parse_class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<PatternToken> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let low = match rest.next()? {
            ']' if !ranges.is_empty() => return Some(PatternToken::Class { ranges, negated }),
            '\\' => rest.next()?,
            c => c,
        };
        let high = if rest.next_if_eq(&'-').is_some() { rest.next()? } else { low };
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerignore_matches_the_documented_rules() {
        for (lines, path, excluded) in [
            ("# comment\n\n", "comment", false),
            ("*/temp*", "somedir/temporary.txt", true),
            ("*/temp*", "temp", false),
            ("*/temp*", "somedir/temp/deep/file", true),
            ("*/*/temp*", "somedir/subdir/temporary.txt", true),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("**/*.go", "main.go", true),
            ("**/*.go", "a/b/main.go", true),
            ("*.go", "a/main.go", false),
            ("/foo/bar", "foo/bar", true),
            ("foo/bar", "foo/bar/baz", true),
            ("foo/bar", "x/foo/bar", false),
            ("*.md\n!README.md", "README.md", false),
            ("*.md\n!README.md", "CHANGES.md", true),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
            ("*\n!src", "src/main.rs", false),
            ("*\n!src", "target/x", true),
            ("**", "a/b", true),
            ("docs/**", "docs/a/b", true),
            ("docs/**", "docs", false),
            ("**/node_modules", "a/b/node_modules/c.js", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("./a//b/../c", "a/c", true),
            ("[a-c].txt", "b.txt", true),
            ("[^a-c].txt", "b.txt", false),
            ("\\*", "x", false),
            ("\\*", "*", true),
            (".git", ".gitignore", false),
            ("\u{feff}x", "x", true),
            (" # not a comment", "# not a comment", true),
        ] {
            assert_eq!(Dockerignore::parse(lines).unwrap().excludes(path), excluded, "{lines:?} on {path}");
        }
    }

    #[test]
    fn invalid_pattern_is_named() {
        for line in ["!", "[a", "x\\", "[]"] {
            assert!(Dockerignore::parse(line).unwrap_err().contains(line), "{line}");
        }
    }

    #[test]
    fn hostile_pattern_is_matched_in_bounded_time() {
        let pattern = "*a".repeat(50);
        assert!(
            !Dockerignore::parse(&pattern)
                .unwrap()
                .excludes(&"a".repeat(2000).replace("aaaaaaaaaa", "aaaaaaaaab"))
        );
    }
}

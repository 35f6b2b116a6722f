//! What a Dockerfile says about its stages and base images. Pure; what BuildKit alone can know stays unknown.

use std::collections::{BTreeMap, BTreeSet};

use crate::release::DOCKER_HUB;

/// A Dockerfile, as its instructions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dockerfile {
    instructions: Vec<Instruction>,
    /// The image of `# syntax=…`.
    syntax: Option<String>,
}

/// An instruction, continuation lines joined, without the text of its here-documents.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Instruction {
    /// Its first line, from 1.
    line: usize,
    text: String,
}

impl Dockerfile {
    /// Reads the text of a Dockerfile. Lines that are no instructions are kept as they are.
    pub(super) fn parse(text: &str) -> Self {
        let mut parsed = Self { syntax: directive(text, "syntax"), ..Self::default() };
        let escape = directive(text, "escape").and_then(|value| value.chars().next()).unwrap_or('\\');
        let (mut is_open, mut documents) = (false, Vec::<HereDocument>::new());
        for (index, line) in text.lines().enumerate() {
            if let Some(document) = documents.first() {
                if document.is_end(line) {
                    documents.remove(0);
                }
                continue;
            }
            let is_comment = line.trim_start().starts_with('#');
            if is_comment || (is_open && line.trim().is_empty()) {
                continue;
            }
            let body = line.trim_end();
            let words = body.strip_suffix(escape).unwrap_or(body);
            match parsed.instructions.last_mut() {
                Some(last) if is_open => last.text.push_str(words),
                _ => parsed.instructions.push(Instruction { line: index + 1, text: words.to_owned() }),
            }
            is_open = body.ends_with(escape);
            if !is_open {
                documents = parsed.instructions.last().map(|it| here_documents(&it.text)).unwrap_or_default();
            }
        }
        parsed
    }

    /// The line where the instruction `words` begins, if it occurs exactly once.
    pub(super) fn find_instruction(&self, words: &str) -> Option<usize> {
        let same = |text: &str| text.split_whitespace().eq(words.split_whitespace());
        let mut found = self.instructions.iter().filter(|it| same(&it.text));
        let line = found.next()?.line;
        found.next().is_none().then_some(line)
    }

    /// The names of the stages.
    pub(super) fn stage_names(&self) -> Vec<&str> {
        self.stages().flatten().collect()
    }

    /// Whether a stage has this name, in any case, or this number.
    pub(super) fn has_stage(&self, target: &str) -> bool {
        let count = self.stages().count();
        target.parse::<usize>().is_ok_and(|number| number < count)
            || self.stages().flatten().any(|name| name.eq_ignore_ascii_case(target))
    }

    /// The stages, by name if they have one.
    fn stages(&self) -> impl Iterator<Item = Option<&str>> {
        self.instructions.iter().filter_map(|it| {
            let mut words = it.text.split_whitespace();
            words.next().filter(|word| word.eq_ignore_ascii_case("FROM"))?;
            let mut words = words.skip_while(|word| word.starts_with("--")).skip(1);
            Some(words.next().filter(|word| word.eq_ignore_ascii_case("AS")).and(words.next()))
        })
    }

    /// The images that it takes from registries, each once, with the build arguments `args`. An image whose name depends on
    /// something else keeps its `$`.
    pub(super) fn base_images(&self, args: &BTreeMap<String, String>) -> Vec<String> {
        let values = self.global_arguments(args);
        let (mut stages, mut found) = (BTreeSet::new(), Vec::new());
        for it in &self.instructions {
            let Some(image) = source_image(&it.text) else { continue };
            let image = expand(image, &values);
            let is_stage = stages.contains(&image.to_ascii_lowercase()) || image.parse::<usize>().is_ok();
            if !is_stage && image != "scratch" && !found.contains(&image) {
                found.push(image);
            }
            let words: Vec<&str> = it.text.split_whitespace().collect();
            if let [from, .., keyword, name] = words.as_slice()
                && from.eq_ignore_ascii_case("FROM")
                && keyword.eq_ignore_ascii_case("AS")
            {
                stages.insert(name.to_ascii_lowercase());
            }
        }
        found
    }

    /// The values of the `ARG` before the first stage; those that are given win.
    fn global_arguments(&self, given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for it in &self.instructions {
            let (keyword, rest) = it.text.trim_start().split_once(char::is_whitespace).unwrap_or_default();
            if keyword.eq_ignore_ascii_case("FROM") {
                break;
            }
            for word in rest.split_whitespace().filter(|_| keyword.eq_ignore_ascii_case("ARG")) {
                let (name, default) = word.split_once('=').unwrap_or((word, ""));
                let default = expand(default.trim_matches(['"', '\'']), &values);
                let value = given.get(name).cloned().or(Some(default).filter(|_| word.contains('=')));
                values.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
        values
    }

    /// The registries that it names, as far as they contain no variables, and that of names without one.
    pub(super) fn registries(&self) -> BTreeSet<String> {
        let images = self.instructions.iter().filter_map(|it| source_image(&it.text));
        let images = images.chain(self.syntax.as_deref());
        let hosts = images.filter(|image| !image.contains('$')).filter_map(|image| {
            let (first, _) = image.split_once('/')?;
            (first.contains(['.', ':']) || first == "localhost").then(|| first.to_owned())
        });
        hosts.chain([DOCKER_HUB.to_owned()]).collect()
    }
}

/// The image in `FROM …` or `COPY --from=…`.
fn source_image(instruction: &str) -> Option<&str> {
    let mut words = instruction.split_whitespace();
    match words.next()?.to_ascii_uppercase().as_str() {
        "FROM" => words.find(|word| !word.starts_with("--")),
        "COPY" | "ADD" => words.find_map(|word| word.strip_prefix("--from=")),
        _ => None,
    }
}

/// The value of a parser directive, `# name=value` before everything else.
fn directive(text: &str, name: &str) -> Option<String> {
    let comments = text.lines().map(str::trim).map_while(|line| line.strip_prefix('#'));
    let mut pairs = comments.map_while(|comment| comment.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// A text that follows an instruction, up to a line with its word.
#[derive(Debug, PartialEq, Eq)]
struct HereDocument {
    word: String,
    strips_tabs: bool,
}

impl HereDocument {
    fn is_end(&self, line: &str) -> bool {
        let line = if self.strips_tabs { line.trim_start_matches('\t') } else { line };
        line == self.word
    }
}

/// The here-documents of `RUN`, `COPY` and `ADD`.
fn here_documents(instruction: &str) -> Vec<HereDocument> {
    let keyword = instruction.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if !matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") {
        return Vec::new();
    }
    let document = |rest: &str| {
        let strips_tabs = rest.starts_with('-');
        let rest = rest.trim_start_matches('-').trim_start_matches(['"', '\'']);
        let word: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        (!word.is_empty()).then_some(HereDocument { word, strips_tabs })
    };
    // `<<<` passes a text to a shell and begins no document.
    instruction.replace("<<<", "").split("<<").skip(1).filter_map(document).collect()
}

/// `text` with `$NAME`, `${NAME}` and `${NAME:-default}` replaced; what has no value stays.
fn expand(text: &str, values: &BTreeMap<String, String>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out += &rest[..at];
        let variable = &rest[at..];
        let (whole, name, default) = match variable.strip_prefix("${").and_then(|inner| inner.split_once('}'))
        {
            Some((inner, _)) => {
                let (name, default) =
                    inner.split_once(":-").map_or((inner, None), |(name, it)| (name, Some(it)));
                (inner.len() + 3, name, default)
            }
            None => {
                let name = variable[1..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
                let name = name.unwrap_or_default();
                (name.len() + 1, name, None)
            }
        };
        let value = values.get(name).map(String::as_str).filter(|value| !value.is_empty()).or(default);
        out += value.unwrap_or(&variable[..whole]);
        rest = &variable[whole..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(text: &str, args: &[(&str, &str)]) -> Vec<String> {
        let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Dockerfile::parse(text).base_images(&args)
    }

    #[test]
    fn base_images_are_found_with_their_arguments() {
        for (text, args, expected) in [
            ("FROM debian:12", &[][..], &["debian:12"][..]),
            ("from scratch\nCOPY a /", &[], &[]),
            (
                "FROM a AS b\nFROM B\nCOPY --from=b /x /\nCOPY --from=0 /x /\nCOPY --from=c/d /x /",
                &[],
                &["a", "c/d"],
            ),
            ("ARG V=1\nFROM --platform=$BUILDPLATFORM node:${V}-alpine as x", &[], &["node:1-alpine"]),
            ("ARG V=1\nFROM node:$V", &[("V", "2")], &["node:2"]),
            ("ARG V\nFROM node:${V:-3}", &[], &["node:3"]),
            ("ARG V\nFROM node:$V", &[], &["node:$V"]),
            ("ARG A=x B=\"y\"\nARG C=$A/$B\nFROM $C", &[], &["x/y"]),
            ("FROM a\nRUN <<EOF\nFROM b\nEOF\nFROM c", &[], &["a", "c"]),
            (
                "FROM a\nRUN python <<-'X' && cat <<Y\nfrom os import x\n\tX\nFROM d\nY\nFROM e",
                &[],
                &["a", "e"],
            ),
            ("FROM a\nRUN echo \\\n# comment\n\n  from b\nFROM c", &[], &["a", "c"]),
            ("# escape=`\nFROM a\nRUN dir C:\\\nFROM b", &[], &["a", "b"]),
            ("FROM a\nRUN cat <<< FROM\nFROM b", &[], &["a", "b"]),
            ("# syntax=docker/dockerfile:1\n# FROM no\nFROM a@sha256:00", &[], &["a@sha256:00"]),
            ("FROM $", &[], &["$"]),
            ("FROM ${", &[], &["${"]),
        ] {
            assert_eq!(bases(text, args), expected, "{text}");
        }
    }

    #[test]
    fn stages_have_names_and_numbers() {
        let file = Dockerfile::parse("FROM a AS Build\nFROM b\nFROM --platform=x c as run\n");
        assert_eq!(file.stage_names(), ["Build", "run"]);
        for (target, exists) in
            [("build", true), ("run", true), ("0", true), ("2", true), ("3", false), ("b", false)]
        {
            assert_eq!(file.has_stage(target), exists, "{target}");
        }
        assert!(!Dockerfile::parse("").has_stage("0"));
    }

    #[test]
    fn registries_are_named() {
        let text = "# syntax=tools.example/dockerfile:1\nARG X\nFROM --platform=$BUILDPLATFORM mirror.example:5000/node:22 AS a\n\
                    from alpine\nFROM library/alpine\nFROM $X/b.example/c\nCOPY --chown=1 --from=other.example/x /a /b\n\
                    COPY --from=a /a /b\nRUN echo FROM no.example/x\nFROM localhost/x";
        let found: Vec<_> = Dockerfile::parse(text).registries().into_iter().collect();
        assert_eq!(
            found,
            ["docker.io", "localhost", "mirror.example:5000", "other.example", "tools.example"]
        );
        assert_eq!(Dockerfile::parse("").registries().into_iter().collect::<Vec<_>>(), ["docker.io"]);
    }

    #[test]
    fn instruction_is_found_where_it_is_unique() {
        let file = Dockerfile::parse("FROM debian\n# comment\nRUN a; \\\n  b\nRUN c\nRUN c\n");
        assert_eq!(file.find_instruction("RUN a;   b"), Some(3));
        assert_eq!((file.find_instruction("RUN c"), file.find_instruction("RUN d")), (None, None));
    }
}

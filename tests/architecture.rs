//! The house rules as tests: who may know whom, who may touch the world, how large things get.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(root: &str) -> Vec<(PathBuf, String)> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(root)];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|e| e == "rs") => {
                    let text = fs::read_to_string(&path).unwrap();
                    found.push((path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned(), text));
                }
                false => {}
            }
        }
    }
    assert!(found.len() > 5, "no sources under {root}");
    found.sort();
    found
}

/// The module directly below `src` that a file belongs to.
fn module(path: &Path) -> String {
    let second = path.iter().nth(1).unwrap().to_string_lossy();
    second.trim_end_matches(".rs").to_owned()
}

/// Source without its unit tests, comments and strings that span lines.
fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether a file is only compiled for tests: declared under `#[cfg(test)]` (or with it), or below a folder that is.
fn is_test_file(path: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    path.ancestors().take_while(|at| at.iter().count() > 1).any(|at| {
        let stem = at.file_stem().unwrap().to_string_lossy().into_owned();
        let folder = root.join(at.parent().unwrap());
        let parents = [folder.join("mod.rs"), folder.join("lib.rs"), folder.with_extension("rs")];
        parents.iter().filter_map(|parent| fs::read_to_string(parent).ok()).any(|text| {
            let mut lines = text.lines().peekable();
            std::iter::from_fn(|| {
                lines.next().map(|line| (line.to_owned(), lines.peek().map(|next| (*next).to_owned())))
            })
            .any(|(line, next)| {
                line.starts_with("#[cfg(") && line.contains("test") && next == Some(format!("mod {stem};"))
            })
        })
    })
}

/// What each module may name, as `crate::<module>`. `problem` and `release` are for everybody.
fn arrows() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("problem", &[][..]),
        ("release", &["problem"]),
        ("config", &["release", "problem"]),
        ("strategy", &["config", "release", "problem"]),
        ("rollback", &["release", "problem"]),
        ("plan", &["strategy", "rollback", "config", "release", "problem"]),
        ("sys", &[]),
        ("action", &["sys", "release", "problem"]),
        ("aws", &["sys", "problem"]),
        ("image", &["sys", "config", "release", "problem"]),
        ("github", &["sys", "release", "problem"]),
        ("manifest", &["release", "problem"]),
        ("targets", &["manifest", "aws", "github", "sys", "config", "release", "problem"]),
        ("gates", &["sys", "strategy", "config", "release", "problem"]),
        ("notify", &["sys", "config", "report", "problem"]),
        ("report", &["action", "strategy", "release", "problem"]),
        ("rehearsal", &["rehearsal"]),
        ("trials", &["strategy"]),
        (
            "run",
            &[
                "action", "aws", "image", "targets", "gates", "github", "notify", "report", "sys", "plan",
                "strategy", "rollback", "config", "release", "problem",
            ],
        ),
        (
            "cli",
            &[
                "run",
                "rehearsal",
                "trials",
                "manifest",
                "strategy",
                "action",
                "aws",
                "image",
                "targets",
                "github",
                "report",
                "sys",
                "config",
                "release",
                "problem",
            ],
        ),
    ])
}

#[test]
fn modules_know_only_whom_they_may() {
    let arrows = arrows();
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let from = module(&path);
        if ["lib", "main"].contains(&from.as_str()) || is_test_file(&path) {
            continue;
        }
        let allowed = arrows
            .get(from.as_str())
            .unwrap_or_else(|| panic!("{from} is not on the map: add it to arrows()"));
        for name in code(&text).split("crate::").skip(1) {
            let to: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !to.is_empty() && to != from && !allowed.contains(&to.as_str()) {
                wrong.push(format!("{} names crate::{to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const CORE: [&str; 7] = ["problem", "release", "config", "manifest", "strategy", "rollback", "plan"];

#[test]
fn the_core_neither_waits_nor_touches_the_world() {
    let forbidden = [
        "async ",
        ".await",
        "tokio::",
        "std::fs",
        "std::env",
        "std::process",
        "SystemTime",
        "Instant",
        "println!",
        "aws_sdk",
        "octocrab",
    ];
    for (path, text) in sources("src") {
        if CORE.contains(&module(&path).as_str()) {
            for word in forbidden {
                assert!(!code(&text).contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn only_sys_opens_the_doors() {
    for (path, text) in sources("src") {
        let opens = text.contains("allow(clippy::disallowed_methods)");
        assert!(!opens || module(&path) == "sys", "{} opens a door", path.display());
        let silences = code(&text).contains("allow(clippy::") && module(&path) != "sys";
        assert!(!silences || is_test_file(&path), "{} silences a lint", path.display());
    }
}

/// The cloud is a peer outside: a mistake of the engine must not be able to hide in it.
#[test]
fn the_embedded_cloud_and_the_engine_do_not_know_each_other() {
    for (path, text) in sources("src") {
        let from = module(&path);
        if from != "rehearsal" && !["cli", "lib"].contains(&from.as_str()) && !is_test_file(&path) {
            assert!(!code(&text).contains("crate::rehearsal"), "{} knows the cloud", path.display());
        }
    }
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    let all = sources("src");
    let mut lengths: Vec<usize> = Vec::new();
    for (path, text) in &all {
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
        assert!(text.starts_with("//! "), "{} has no header", path.display());
        assert!(path.iter().count() <= 5, "{} is more than two folders below src", path.display());
        lengths.push(lines);
    }
    lengths.sort_unstable();
    let main = all.iter().find(|(path, _)| path.ends_with("main.rs")).unwrap();
    assert!(main.1.lines().count() <= 40, "main.rs decides nothing and needs no more than 40 lines");
}

/// Lengths of functions by indentation: from `fn` to the closing brace of the same depth.
fn functions(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_function =
            ["fn ", "pub fn ", "async fn ", "pub async fn ", "pub(super) fn ", "pub(super) async fn "]
                .iter()
                .any(|head| trimmed.starts_with(head));
        if is_function && !trimmed.ends_with(';') {
            let close = format!("{}}}", " ".repeat(line.len() - trimmed.len()));
            let end = lines[start..].iter().position(|line| *line == close);
            found.push(end.map_or(1, |end| end + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let files = sources("src").into_iter().filter(|(path, _)| !is_test_file(path));
    let mut lengths: Vec<(usize, PathBuf)> = files
        .flat_map(|(path, text)| functions(&code(&text)).into_iter().map(move |lines| (lines, path.clone())))
        .collect();
    lengths.sort_unstable();
    let (median, longest) = (lengths[lengths.len() / 2].0, &lengths[lengths.len() - 1]);
    assert!(median <= 12, "the median function has {median} lines");
    assert!(longest.0 <= 60, "the longest function has {} lines, in {}", longest.0, longest.1.display());
}

#[test]
fn every_target_has_the_same_inner_names_and_a_page() {
    for name in roadstead::targets::NAMES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in ["mod.rs", "settings.rs", "read.rs", "write.rs", "client.rs"] {
            let path = root.join("src/targets").join(name).join(file);
            assert!(path.exists(), "{} is missing", path.display());
        }
        assert!(root.join(format!("docs/targets/{name}.md")).exists(), "docs/targets/{name}.md is missing");
    }
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["todo!", "unimplemented!", "FIXME", "XXX"];
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        if !path.ends_with("architecture.rs") {
            for word in words {
                assert!(!text.contains(word), "{} says {word}", path.display());
            }
        }
    }
}

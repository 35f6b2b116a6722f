//! The house rules as tests: who may know whom, who may touch the world, how large things get.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn read_sources(root: &str) -> Vec<(PathBuf, String)> {
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

/// The sources of the engine and of the emulator, for the rules that hold for both.
fn read_all_sources() -> Vec<(PathBuf, String)> {
    read_sources("src").into_iter().chain(read_sources(CLOUD)).collect()
}

/// The emulator, a crate of its own that imports nothing of this one: the compiler holds that.
pub(crate) const CLOUD: &str = "crates/cloud/src";

/// The module directly below `src` that a file belongs to.
pub(crate) fn top_module(path: &Path) -> String {
    let below = path.iter().skip_while(|part| *part != "src").nth(1);
    below.unwrap().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Source without its unit tests, comments and strings that span lines.
pub(crate) fn code_without_tests(text: &str) -> String {
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether a file is only compiled for tests: declared under `#[cfg(test)]` (or with it), or below a folder that is.
pub(crate) fn is_test_file(path: &Path) -> bool {
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
fn allowed_dependencies() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("problem", &[][..]),
        ("release", &["problem"]),
        ("retry", &[]),
        ("config", &["release", "problem"]),
        ("strategy", &["config", "release", "problem"]),
        ("rollback", &["release", "problem"]),
        ("plan", &["strategy", "rollback", "config", "release", "problem"]),
        ("sys", &["release", "problem"]),
        ("action", &["sys", "release", "problem"]),
        ("aws", &["sys", "release", "problem"]),
        ("image", &["sys", "config", "release", "problem"]),
        ("github", &["sys", "retry", "release", "problem"]),
        ("manifest", &["release", "problem"]),
        ("targets", &["manifest", "aws", "github", "sys", "config", "retry", "release", "problem"]),
        ("gates", &["sys", "strategy", "config", "release", "problem"]),
        ("notify", &["sys", "config", "report", "problem"]),
        ("report", &["action", "strategy", "release", "problem"]),
        ("judge_bench", &["strategy"]),
        (
            "run",
            &[
                "action", "aws", "image", "targets", "gates", "github", "notify", "report", "sys", "plan",
                "strategy", "rollback", "config", "retry", "release", "problem",
            ],
        ),
        (
            "cli",
            &[
                "run",
                "judge_bench",
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
fn modules_import_only_allowed_modules() {
    let arrows = allowed_dependencies();
    let mut wrong = Vec::new();
    for (path, text) in read_sources("src") {
        let from = top_module(&path);
        if ["lib", "main"].contains(&from.as_str()) || is_test_file(&path) {
            continue;
        }
        let allowed = arrows
            .get(from.as_str())
            .unwrap_or_else(|| panic!("{from} is not on the map: add it to arrows()"));
        for name in code_without_tests(&text).split("crate::").skip(1) {
            let to: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !to.is_empty() && to != from && !allowed.contains(&to.as_str()) {
                wrong.push(format!("{} names crate::{to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `retry` is beside them in the arrows, but awaits what it is given and pauses on tokio's clock.
const CORE: [&str; 7] = ["problem", "release", "config", "manifest", "strategy", "rollback", "plan"];

#[test]
fn core_is_free_of_async_and_io() {
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
    for (path, text) in read_sources("src") {
        if CORE.contains(&top_module(&path).as_str()) {
            for word in forbidden {
                assert!(!code_without_tests(&text).contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn only_sys_allows_disallowed_methods() {
    for (path, text) in read_all_sources() {
        let opens = text.contains("allow(clippy::disallowed_methods)");
        assert!(!opens || top_module(&path) == "sys", "{} opens a door", path.display());
        let silences = code_without_tests(&text).contains("allow(clippy::") && top_module(&path) != "sys";
        assert!(!silences || is_test_file(&path), "{} silences a lint", path.display());
    }
}

/// Files that index JSON to write to it, because they build it themselves: of other JSON that panics if it is no object.
const BUILD_THEIR_JSON: [&str; 6] = [
    "src/github/checks.rs",
    "src/github/commit.rs",
    "src/github/pulls.rs",
    "src/github/deployment_history.rs",
    "src/targets/ecs/rollout/ecs_strategy.rs",
    "src/targets/policy.rs",
];

#[test]
fn json_from_outside_is_not_indexed_to_write_to_it() {
    let mut wrong = Vec::new();
    for (path, text) in read_sources("src").into_iter().filter(|(path, _)| !is_test_file(path)) {
        let code = code_without_tests(&text);
        let writes = |line: &&str| {
            let assigns = line.split_once("\"] = ").is_some_and(|(before, _)| !before.contains("let "));
            let is_place = |c: char| c.is_alphanumeric() || "_.".contains(c);
            let borrows = |rest: &str| rest.trim_start_matches(is_place).starts_with("[\"");
            assigns || line.contains("\"].take()") || line.split("&mut ").skip(1).any(borrows)
        };
        let own = BUILD_THEIR_JSON.iter().any(|own| path == Path::new(own));
        wrong.extend(
            code.lines().filter(writes).filter(|_| !own).map(|line| format!("{}: {line}", path.display())),
        );
    }
    assert!(wrong.is_empty(), "use get_mut or as_object_mut: {wrong:#?}");
}

/// The cloud is a peer outside: a mistake of the engine must not be able to hide in it.
#[test]
fn only_the_command_line_joins_engine_and_cloud() {
    let mut names_it = 0;
    for (path, text) in read_sources("src").into_iter().filter(|(path, _)| !is_test_file(path)) {
        if code_without_tests(&text).contains("roadstead_cloud") {
            assert_eq!(top_module(&path), "cli", "{} knows the cloud", path.display());
            names_it += 1;
        }
    }
    assert!(names_it > 0, "nothing names the cloud: has its crate another name?");
}

#[test]
fn files_are_small_and_have_a_header() {
    let all = read_all_sources();
    let mut lengths: Vec<usize> = Vec::new();
    for (path, text) in &all {
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
        assert!(text.starts_with("//! "), "{} has no header", path.display());
        let from_src = path.iter().skip_while(|part| *part != "src").count();
        assert!(from_src <= 5, "{} is more than three folders below src", path.display());
        lengths.push(lines);
    }
    lengths.sort_unstable();
    let main = all.iter().find(|(path, _)| path.ends_with("main.rs")).unwrap();
    assert!(main.1.lines().count() <= 40, "main.rs decides nothing and needs no more than 40 lines");
}

/// How the line of a function begins.
const FUNCTION_HEADS: [&str; 10] = [
    "fn ",
    "async fn ",
    "pub fn ",
    "pub async fn ",
    "pub(super) fn ",
    "pub(super) async fn ",
    "pub(crate) fn ",
    "pub(crate) async fn ",
    "pub(in crate::run) fn ",
    "pub(in crate::run) async fn ",
];

/// Lengths of functions by indentation: from `fn` to the closing brace of the same depth.
fn function_lengths(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_function = FUNCTION_HEADS.iter().any(|head| trimmed.starts_with(head));
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
    let files = read_all_sources().into_iter().filter(|(path, _)| !is_test_file(path));
    let mut lengths: Vec<(usize, PathBuf)> = files
        .flat_map(|(path, text)| {
            function_lengths(&code_without_tests(&text)).into_iter().map(move |lines| (lines, path.clone()))
        })
        .collect();
    lengths.sort_unstable();
    let (median, longest) = (lengths[lengths.len() / 2].0, &lengths[lengths.len() - 1]);
    assert!(median <= 12, "the median function has {median} lines");
    assert!(longest.0 <= 60, "the longest function has {} lines, in {}", longest.0, longest.1.display());
}

#[test]
fn sources_have_no_todo_markers() {
    let words = ["todo!", "unimplemented!", "FIXME", "XXX"];
    for (path, text) in read_all_sources().into_iter().chain(read_sources("tests")) {
        if !path.ends_with("architecture.rs") {
            for word in words {
                assert!(!text.contains(word), "{} says {word}", path.display());
            }
        }
    }
}

//! The house rules of folders: targets, the files of `run`, and the emulator's services.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use roadstead_cloud::service::SERVICES;

use crate::architecture::{CLOUD, code_without_tests, is_test_file, read_sources, top_module};

/// The paths that `text` names below `head`, with every brace of a `use` written out: `a::{b, c::D}` gives `a::b`, `a::c::D`.
fn paths_below(text: &str, head: &str) -> Vec<String> {
    let compact: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    compact.split(head).skip(1).flat_map(expand_path).collect()
}

fn expand_path(text: &str) -> Vec<String> {
    let simple: String = text.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
    let Some(inner) = text[simple.len()..].strip_prefix('{') else { return vec![simple] };
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let item = inner[start..at].trim();
                if !item.is_empty() {
                    found.extend(expand_path(item).into_iter().map(|item| format!("{simple}{item}")));
                }
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

/// For each file of `src/run`, the files of `src/run` that it names.
fn run_imports() -> BTreeMap<String, Vec<String>> {
    let module = |path: &Path| {
        let inside = path.strip_prefix("src/run").unwrap().with_extension("");
        inside.to_string_lossy().trim_end_matches("mod").trim_end_matches('/').replace('/', "::")
    };
    let files: BTreeMap<String, String> =
        read_sources("src/run").into_iter().map(|(path, text)| (module(&path), text)).collect();
    // The file in which a path such as `guard::lease::release_leases` is written.
    let file_of = |path: &str| {
        let mut path = path.trim_end_matches("::self").trim_end_matches("::").to_owned();
        while !files.contains_key(&path) {
            path = path.rsplit_once("::").map(|(parent, _)| parent.to_owned()).unwrap_or_default();
        }
        path
    };
    let imports = |name: &String, text: &String| {
        let code = code_without_tests(text);
        let parent = name.rsplit_once("::").map(|(parent, _)| format!("{parent}::")).unwrap_or_default();
        let absolute = paths_below(&code.replace("pub(in crate::run)", "pub"), "crate::run::");
        let relative = paths_below(&code.replace("pub(super)", "pub"), "super::");
        let below = if name.is_empty() { String::new() } else { format!("{name}::") };
        let children = code.lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
        let mut all: Vec<String> = absolute.iter().map(|path| file_of(path)).collect();
        all.extend(relative.iter().map(|path| file_of(&format!("{parent}{path}"))));
        all.extend(children.map(|child| format!("{below}{child}")).filter(|path| files.contains_key(path)));
        all.retain(|other| other != name);
        all
    };
    files.iter().map(|(name, text)| (name.clone(), imports(name, text))).collect()
}

#[test]
fn files_of_run_import_each_other_without_a_cycle() {
    let mut open = run_imports();
    assert!(open.len() > 30, "{} files", open.len());
    assert!(open["guard"].contains(&"guard::lease".to_owned()), "a folder imports what is in it");
    assert!(open["planning"].contains(&"service_run".to_owned()), "imports are found");
    // Take away what imports nothing that is left; a cycle stays.
    while let Some(name) = open
        .iter()
        .find(|(_, imports)| imports.iter().all(|other| !open.contains_key(other)))
        .map(|(n, _)| n.clone())
    {
        open.remove(&name);
    }
    assert!(open.is_empty(), "these files import each other in a circle, or import one that does: {open:#?}");
}

#[test]
fn every_target_has_the_standard_files_and_a_page() {
    for name in roadstead::targets::keys(roadstead::targets::KINDS) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in ["mod.rs", "kind.rs", "settings.rs", "read.rs", "write.rs", "client.rs"] {
            let path = root.join("src/targets").join(name).join(file);
            assert!(path.exists(), "{} is missing", path.display());
        }
        assert!(root.join(format!("docs/targets/{name}.md")).exists(), "docs/targets/{name}.md is missing");
    }
}

/// The folders in `src/targets`, each of which is a kind of target.
fn target_folders() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/targets");
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> =
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_target_folder_is_a_registered_kind_with_a_schema() {
    let mut keys = roadstead::targets::keys(roadstead::targets::KINDS);
    keys.sort_unstable();
    assert_eq!(target_folders(), keys, "one folder in src/targets and one line in KINDS");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/roadstead.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let service = &schema["properties"]["services"]["additionalProperties"]["properties"];
    for key in keys {
        assert!(service[key].is_object(), "the schema of the deploy file has no block `{key}`");
    }
}

/// What is true of one kind is asked of the kind: a literal or a match elsewhere is a default for those to come.
#[test]
fn target_keys_stand_only_in_their_folder() {
    let mut wrong = Vec::new();
    for (path, text) in read_sources("src") {
        let code = code_without_tests(&text);
        if is_test_file(&path) {
            continue;
        }
        for key in target_folders() {
            let own = path.starts_with(Path::new("src/targets").join(&key));
            if !own && code.contains(&format!("\"{key}\"")) {
                wrong.push(format!("{} has the literal \"{key}\"", path.display()));
            }
        }
        if code.contains("target.as_str() {") {
            wrong.push(format!("{} matches on the name of a target", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Parts of the emulator that every service goes through.
const SHARED_BY_SERVICES: [&str; 12] = [
    "admission.rs",
    "builtin.rs",
    "cloud.rs",
    "events.rs",
    "faults.rs",
    "policy.rs",
    "scenario.rs",
    "seed.rs",
    "task_faults.rs",
    "throttle.rs",
    "timed_faults.rs",
    "world.rs",
];

/// Folders of the emulator that are not services.
const NO_SERVICES: [&str; 3] = ["tests", "traffic", "wire"];

#[test]
fn every_folder_of_the_cloud_is_a_service_and_shared_files_name_none() {
    let registered: Vec<&str> = SERVICES.iter().map(|service| service.name()).collect();
    let sources = read_sources(CLOUD);
    let implementations = |folder: &str| -> Vec<String> {
        let inside = sources.iter().filter(|(path, _)| top_module(path) == folder);
        let code = inside.map(|(_, text)| text.split("impl Service for ").skip(1));
        code.flatten().filter_map(|it| it.split('"').nth(1)).map(str::to_owned).collect()
    };
    let folders: BTreeSet<String> = sources
        .iter()
        .filter(|(path, _)| path.iter().count() > 4)
        .map(|(path, _)| top_module(path))
        .collect();
    assert!(folders.len() > 10, "the services are folders: {folders:?}");
    for folder in folders.iter().filter(|folder| !NO_SERVICES.contains(&folder.as_str())) {
        let names = implementations(folder);
        assert!(!names.is_empty(), "{folder} implements no service");
        for name in names {
            assert!(registered.contains(&name.as_str()), "{name} of {folder} is not in SERVICES");
        }
    }
    for (path, text) in sources
        .iter()
        .filter(|(path, _)| SHARED_BY_SERVICES.iter().any(|it| *path == Path::new(CLOUD).join(it)))
    {
        for name in &registered {
            let literal = format!("\"{name}\"");
            assert!(!code_without_tests(text).contains(&literal), "{} names {name}", path.display());
        }
    }
}

//! Words for files of the repository that are not there: what was probably meant, and a workspace without a checkout.

use std::path::Path;

use crate::action::ConfigSource;
use crate::config::workspace_paths::{CheckedOutFiles, PathEntry};
use crate::problem::{Code, Problem, suggest};
use crate::run::context::RunContext;
use crate::sys::disk;

/// Where the deploy file is by default, with either extension.
const DEFAULTS: [&str; 2] = [".github/roadstead.yml", ".github/roadstead.yaml"];
/// Where deploy files stand, besides the folder that was named.
const FOLDERS: [&str; 4] = [".github", "", "deploy", ".github/workflows"];

/// The problem of a deploy file that cannot be read.
pub(super) fn deploy_file_problem(workspace: &Path, path: &str, error: &anyhow::Error) -> Problem {
    if disk::exists(&workspace.join(path)) {
        let sentence = format!("The deploy file `{path}` cannot be read.");
        return Problem::error(Code::ConfigMissing, sentence)
            .cause(format!("{error:#}"))
            .help("Check the input `config`.");
    }
    let sentence = format!("There is no deploy file `{path}`.");
    let default = || DEFAULTS.into_iter().find(|path| disk::exists(&workspace.join(path))).map(str::to_owned);
    let help = match find_meant(workspace, path).or_else(default) {
        _ if is_empty_workspace(workspace) => NO_CHECKOUT.to_owned(),
        Some(near) => format!("There is `{near}`: rename it, or name it in the input `config`."),
        None => {
            "Check the input `config`, and that the repository was checked out before this step.".to_owned()
        }
    };
    Problem::error(Code::ConfigMissing, sentence).help(help)
}

const NO_CHECKOUT: &str = "The workspace is empty: add a step with `actions/checkout` before this one.";

/// The problem of another file that the deploy file names.
pub(super) fn source_file_problem(
    workspace: &Path,
    description: &str,
    path: &str,
    error: &anyhow::Error,
) -> Problem {
    if disk::exists(&workspace.join(path)) {
        let sentence = format!("The {description} `{path}` cannot be read.");
        return Problem::error(Code::FileUnreadable, sentence).cause(format!("{error:#}"));
    }
    let sentence = format!("There is no {description} `{path}` in the checked-out files.");
    let help = match find_meant(workspace, path) {
        _ if is_empty_workspace(workspace) => NO_CHECKOUT.to_owned(),
        Some(near) => format!("Did you mean `{near}`?"),
        None => {
            "Paths are relative to the root of the repository. `sparse-checkout` leaves files out.".to_owned()
        }
    };
    Problem::error(Code::FileUnreadable, sentence).help(help)
}

/// A warning where the deploy file exists with both extensions: only one of them is read.
pub(super) fn other_extension_warning(ctx: &RunContext) -> Option<Problem> {
    let ConfigSource::Path(path) = &ctx.inputs.config else { return None };
    let other = other_extension(path).filter(|other| disk::exists(&ctx.workspace.join(other)))?;
    let sentence = format!("There is also a deploy file `{other}`, which is not read.");
    let problem = Problem::warning(Code::ConfigInvalid, sentence);
    Some(problem.help(format!("Remove one of the two; this run reads `{path}`.")).at_location(path, 1, 1))
}

/// The files of the workspace.
pub(super) struct Workspace<'w>(pub(super) &'w Path);

impl CheckedOutFiles for Workspace<'_> {
    fn entry_at(&self, path: &str) -> PathEntry {
        path_entry(self.0, path)
    }

    fn names_in(&self, folder: &str) -> Vec<String> {
        disk::file_names(&self.0.join(folder))
    }
}

/// What stands at a path of the workspace. A folder with a `.git` is a submodule, which changes as a file does.
fn path_entry(workspace: &Path, path: &str) -> PathEntry {
    let full = workspace.join(path);
    match (disk::is_folder(&full), disk::exists(&full)) {
        (true, _) if path.is_empty() || !disk::exists(&full.join(".git")) => PathEntry::Folder,
        (false, false) => PathEntry::Missing,
        _ => PathEntry::File,
    }
}

/// The same path with the other extension of YAML.
fn other_extension(path: &str) -> Option<String> {
    let yaml = path.strip_suffix(".yml").map(|stem| format!("{stem}.yaml"));
    yaml.or_else(|| path.strip_suffix(".yaml").map(|stem| format!("{stem}.yml")))
}

/// The file that was probably meant: with the other extension, in another usual folder, or with a name like this.
fn find_meant(workspace: &Path, path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let names = [Some(name.to_owned()), other_extension(name)];
    let folders = std::iter::once(folder).chain(FOLDERS);
    let usual = folders.flat_map(|folder| names.iter().flatten().map(move |name| join(folder, name)));
    let is_there = |path: &String| path_entry(workspace, path) == PathEntry::File;
    usual.into_iter().find(is_there).or_else(|| {
        let beside = disk::file_names(&workspace.join(folder));
        suggest(name, beside.iter().map(String::as_str)).map(|near| join(folder, near)).filter(is_there)
    })
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn is_empty_workspace(workspace: &Path) -> bool {
    disk::file_names(workspace).iter().all(|name| name == ".git")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            disk::write(&folder.path().join(file), b"x").unwrap();
        }
        folder
    }

    fn help(files: &[&str], path: &str) -> String {
        let folder = workspace(files);
        deploy_file_problem(folder.path(), path, &anyhow::anyhow!("gone")).help
    }

    #[test]
    fn missing_deploy_file_names_the_one_that_is_there() {
        let path = ".github/roadstead.yml";
        for (files, near) in [
            (&[".github/roadstead.yaml"][..], ".github/roadstead.yaml"),
            (&["roadstead.yml"], "roadstead.yml"),
            (&["deploy/roadstead.yaml"], "deploy/roadstead.yaml"),
            (&[".github/roadsted.yml"], ".github/roadsted.yml"),
        ] {
            assert!(help(files, path).starts_with(&format!("There is `{near}`:")), "{files:?}");
        }
        assert!(help(&["README.md"], path).starts_with("Check the input `config`"));
        assert!(help(&[], path).starts_with("The workspace is empty"));
    }

    #[test]
    fn missing_source_file_names_the_one_that_is_there() {
        let folder = workspace(&["deploy/backend.yaml", "deploy/worker.json"]);
        let help = |path: &str| {
            source_file_problem(folder.path(), "task definition", path, &anyhow::anyhow!("gone")).help
        };
        assert_eq!(help("deploy/backend.yml"), "Did you mean `deploy/backend.yaml`?");
        assert_eq!(help("deploy/wroker.json"), "Did you mean `deploy/worker.json`?");
        assert!(help("other/x.json").starts_with("Paths are relative"));
    }

    #[test]
    fn folder_is_told_from_a_file_and_a_submodule() {
        let folder = workspace(&["api/a", "libs/shared/.git", "Makefile"]);
        let entry = |path| path_entry(folder.path(), path);
        assert_eq!(
            [entry("api"), entry("libs/shared"), entry("Makefile"), entry("API"), entry("")],
            [PathEntry::Folder, PathEntry::File, PathEntry::File, PathEntry::Missing, PathEntry::Folder]
        );
    }
}

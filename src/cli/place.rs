//! Where a deploy file is, and the repository that its paths count from. A command finds it from every folder of the
//! repository.

use std::path::{Path, PathBuf};

use crate::sys::disk;

/// The usual path of the deploy file in its repository.
pub(super) const DEFAULT_PATH: &str = ".github/roadstead.yml";

/// Folders above the current one that are searched outside of a repository.
const MAX_LEVELS: usize = 4;

/// A deploy file, and the folder that its paths count from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeployFilePlace {
    /// The root of the repository.
    pub(super) root: PathBuf,
    /// The deploy file, relative to the root, or absolute if it is elsewhere.
    pub(super) config: String,
}

impl DeployFilePlace {
    /// The place of the deploy file that a command in `folder` names. The usual one is searched in the folders above, up to the
    /// root of the repository.
    pub(super) fn find(folder: &Path, named: &str) -> Self {
        let folder = disk::real_path(folder).unwrap_or_else(|| folder.to_owned());
        if named == DEFAULT_PATH
            && let Some(root) = search_root(&folder)
        {
            return Self { root, config: named.to_owned() };
        }
        Self::of_file(&folder, named).unwrap_or_else(|| Self { root: folder, config: named.to_owned() })
    }

    /// The place of a file that exists. The file of a link counts where the link is.
    fn of_file(folder: &Path, named: &str) -> Option<Self> {
        let given = folder.join(named);
        let file = disk::real_path(given.parent()?)?.join(given.file_name()?);
        if !disk::exists(&file) {
            return None;
        }
        let of_github = || file.parent().filter(|parent| parent.ends_with(".github"))?.parent();
        // A copy elsewhere is about the repository that the command runs in.
        let root = repository_of(&file)
            .or_else(|| of_github().map(Path::to_owned))
            .or_else(|| repository_above(folder))
            .unwrap_or_else(|| folder.to_owned());
        let inside = file.strip_prefix(&root).ok().map(Path::to_owned);
        Some(Self { root, config: inside.unwrap_or(file).to_string_lossy().into_owned() })
    }

    /// The deploy file as a person in `folder` would name it.
    pub(super) fn shown_from(&self, folder: &Path, named: &str) -> String {
        let folder = disk::real_path(folder).unwrap_or_else(|| folder.to_owned());
        match folder.strip_prefix(&self.root) {
            Ok(below) if named == DEFAULT_PATH => {
                format!("{}{}", "../".repeat(below.components().count()), self.config)
            }
            _ => named.to_owned(),
        }
    }

    /// The path of the deploy file.
    pub(super) fn path(&self) -> PathBuf {
        self.root.join(&self.config)
    }
}

/// The repository that a file is in.
fn repository_of(file: &Path) -> Option<PathBuf> {
    repository_above(file.parent()?)
}

/// The nearest folder, from `folder` upwards, that is the root of a repository.
fn repository_above(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| disk::exists(&folder.join(".git"))).map(Path::to_owned)
}

/// The folder with the usual deploy file: `folder`, or one above it in the same repository.
fn search_root(folder: &Path) -> Option<PathBuf> {
    let top = repository_above(folder);
    let is_within = |level: usize, above: &Path| match &top {
        Some(top) => above.starts_with(top),
        None => level <= MAX_LEVELS,
    };
    let mut above = folder.ancestors().enumerate().filter(|(level, above)| is_within(*level, above));
    above.find(|(_, above)| disk::exists(&above.join(DEFAULT_PATH))).map(|(_, above)| above.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files.
    fn tree(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            disk::write(&folder.path().join(name), b"x").unwrap();
        }
        folder
    }

    /// Root and file, relative to the folder of the test.
    fn place(folder: &tempfile::TempDir, current: &str, named: &str) -> (String, String) {
        let base = disk::real_path(folder.path()).unwrap();
        let place = DeployFilePlace::find(&folder.path().join(current), named);
        let shown = |path: &Path| path.strip_prefix(&base).unwrap_or(path).to_string_lossy().into_owned();
        (shown(&place.root), shown(Path::new(&place.config)))
    }

    #[test]
    fn paths_count_from_the_repository_of_the_deploy_file() {
        let folder = tree(&[
            "shop/.git/HEAD",
            "shop/.github/roadstead.yml",
            "shop/web/src/x",
            "shop/deploy/other.yml",
            "bare/.github/roadstead.yml",
            "bare/web/x",
            "tmp/copy.yml",
        ]);
        let usual = DEFAULT_PATH;
        for (current, named, root, config) in [
            ("shop", usual, "shop", usual),
            ("shop/web/src", usual, "shop", usual),
            ("shop/web", "../deploy/other.yml", "shop", "deploy/other.yml"),
            ("tmp", "../shop/.github/roadstead.yml", "shop", usual),
            ("tmp", "../bare/.github/roadstead.yml", "bare", usual),
            ("bare/web", usual, "bare", usual),
            ("shop/web", "../../tmp/copy.yml", "shop", "tmp/copy.yml"),
            ("shop", "missing.yml", "shop", "missing.yml"),
        ] {
            assert_eq!(place(&folder, current, named), (root.into(), config.into()), "{current} {named}");
        }
    }

    #[test]
    fn deploy_file_of_another_repository_above_is_not_taken() {
        let folder = tree(&[".github/roadstead.yml", "inner/.git/HEAD", "inner/web/x"]);
        let root = place(&folder, "inner/web", DEFAULT_PATH).0;
        assert_eq!(root, "inner/web");
    }
}

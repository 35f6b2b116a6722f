//! The commit that is checked out in the workspace, read from Git's own files. No `git` is run: it refuses a repository that
//! another user owns, as in a container. What cannot be read is not known. <https://git-scm.com/docs/gitrepository-layout>

use std::path::{Path, PathBuf};

use crate::sys::disk;

/// The commit that is checked out in `folder` of the workspace, or in the nearest folder above it. `None` if there is no
/// repository, or if it is a checkout of another one than `repository`.
pub fn checked_out_commit(workspace: &Path, folder: &Path, repository: Option<&str>) -> Option<String> {
    let root =
        folder.ancestors().map(|part| workspace.join(part)).find(|root| disk::exists(&root.join(".git")))?;
    let git = GitFolder::open(&root)?;
    if let Some((url, repository)) = git.origin_url().zip(repository)
        && !is_url_of(&url, repository)
    {
        return None;
    }
    git.head()
}

/// The folders in which Git keeps a checkout: a linked worktree has its own HEAD and shares the rest.
struct GitFolder {
    own: PathBuf,
    shared: PathBuf,
}

impl GitFolder {
    fn open(root: &Path) -> Option<Self> {
        let path = root.join(".git");
        let own = match disk::read_text(&path) {
            Ok(text) => root.join(text.strip_prefix("gitdir:")?.trim()),
            Err(_) => path,
        };
        let common = disk::read_text(&own.join("commondir")).ok();
        let shared = common.map_or_else(|| own.clone(), |common| own.join(common.trim()));
        Some(Self { own, shared })
    }

    fn head(&self) -> Option<String> {
        let head = disk::read_text(&self.own.join("HEAD")).ok()?;
        match head.trim().strip_prefix("ref:") {
            None => commit_id(&head),
            Some(name) => self.resolve(name.trim()),
        }
    }

    /// The commit of a ref, from its file or from the packed refs.
    fn resolve(&self, name: &str) -> Option<String> {
        if !name.starts_with("refs/") || name.split('/').any(|part| part == "..") {
            return None;
        }
        let loose = [&self.own, &self.shared].into_iter().find_map(|at| disk::read_text(&at.join(name)).ok());
        loose.as_deref().and_then(commit_id).or_else(|| {
            let packed = disk::read_text(&self.shared.join("packed-refs")).ok()?;
            let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
            lines.find(|(_, packed)| *packed == name).and_then(|(id, _)| commit_id(id))
        })
    }

    fn origin_url(&self) -> Option<String> {
        origin_url(&disk::read_text(&self.shared.join("config")).ok()?)
    }
}

/// A commit id: SHA-1 or SHA-256.
fn commit_id(text: &str) -> Option<String> {
    let text = text.trim();
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_ascii_lowercase())
}

/// The URL of the remote `origin` in a configuration of Git.
fn origin_url(config: &str) -> Option<String> {
    let mut is_origin = false;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            is_origin = line == "[remote \"origin\"]";
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_origin)
            && key.trim() == "url"
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

/// Whether a URL, such as `git@github.com:acme/shop.git`, is that of `acme/shop`.
fn is_url_of(url: &str, repository: &str) -> bool {
    let url = url.trim_end_matches('/').trim_end_matches(".git").to_ascii_lowercase();
    let rest = url.strip_suffix(&repository.to_ascii_lowercase());
    rest.is_some_and(|rest| rest.ends_with(['/', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff00112233";

    fn workspace(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            disk::write(&folder.path().join(path), text.as_bytes()).unwrap();
        }
        folder
    }

    fn read(files: &[(&str, &str)], folder: &str) -> Option<String> {
        checked_out_commit(workspace(files).path(), Path::new(folder), Some("acme/shop"))
    }

    #[test]
    fn commit_is_read_from_a_detached_head_a_branch_or_packed_refs() {
        let packed =
            format!("# pack-refs with: peeled\n{} refs/heads/main2\n{ID} refs/heads/main\n", "1".repeat(40));
        for files in [
            vec![(".git/HEAD", ID)],
            vec![(".git/HEAD", "ref: refs/heads/main\n"), (".git/refs/heads/main", ID)],
            vec![(".git/HEAD", "ref: refs/heads/main\n"), (".git/packed-refs", packed.as_str())],
            // A linked worktree or a submodule.
            vec![
                (".git", "gitdir: store/worktrees/w\n"),
                ("store/worktrees/w/HEAD", "ref: refs/heads/main\n"),
                ("store/worktrees/w/commondir", "../..\n"),
                ("store/refs/heads/main", ID),
            ],
        ] {
            assert_eq!(read(&files, "").as_deref(), Some(ID), "{files:?}");
        }
    }

    #[test]
    fn repository_in_a_folder_is_found_from_the_deploy_file() {
        let files = [("shop/.git/HEAD", ID), ("shop/.github/roadstead.yml", "")];
        assert_eq!(read(&files, "shop/.github").as_deref(), Some(ID));
        assert_eq!(read(&files, ""), None);
    }

    #[test]
    fn what_is_no_commit_is_not_known() {
        for files in [
            vec![],
            vec![(".git/HEAD", "")],
            vec![(".git/HEAD", "main")],
            vec![(".git/HEAD", "ref: refs/heads/main")],
            vec![(".git/HEAD", "ref: refs/../../secret"), ("secret", ID)],
            vec![(".git/HEAD", "ref: /etc/hostname")],
            vec![(".git", "nowhere")],
        ] {
            assert_eq!(read(&files, ""), None, "{files:?}");
        }
    }

    #[test]
    fn checkout_of_another_repository_does_not_count() {
        for (url, expected) in [
            ("https://github.com/acme/shop", true),
            ("https://github.com/Acme/Shop.git", true),
            ("git@github.com:acme/shop.git", true),
            ("https://github.com/acme/shop/", true),
            ("https://github.com/acme/manifests", false),
            ("https://github.com/other-acme/shop", false),
        ] {
            let config = format!(
                "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = {url}\n[remote \"x\"]\n\turl = y\n"
            );
            let found = read(&[(".git/HEAD", ID), (".git/config", &config)], "");
            assert_eq!(found.is_some(), expected, "{url}");
        }
    }
}

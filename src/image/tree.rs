//! The digest of a source tree: what decides whether an image of the same source is already in the repository.
//! Reads the context as the builder would see it; content is streamed, never held.

use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::builder::BuildRequest;
use super::ignore::Ignore;
use crate::problem::{Code, Problem};
use crate::release::Digest;
use crate::sys::disk;

/// The digest of everything that decides what the image holds: the files of the context (path, executable bit,
/// link target, content) without those that `.dockerignore` names, the Dockerfile, arguments, target, platforms,
/// the names of secrets, and the labels of the deploy file. A `.git` folder in the context counts as its commit.
pub fn digest(request: &BuildRequest) -> Result<Digest, Problem> {
    let mut sum = Sum::new();
    let dockerfile = request.dockerfile();
    let text = disk::read_bytes(&dockerfile).map_err(|error| {
        Problem::error(
            Code::FileUnreadable,
            format!("The Dockerfile `{}` cannot be read.", request.dockerfile_name()),
        )
        .cause(format!("{error:#}"))
        .help("`dockerfile` is relative to `context`, which is relative to the workspace.")
        .of(&request.service)
    })?;
    sum.field(&text);
    settings(&mut sum, request)?;
    files(&mut sum, request).map_err(|problem| problem.of(&request.service))?;
    sum.finish()
}

fn settings(sum: &mut Sum, request: &BuildRequest) -> Result<(), Problem> {
    let settings = &request.settings;
    let target = settings.target.as_deref().unwrap_or_default();
    let secrets: Vec<String> = settings.read_secrets()?.into_iter().map(|secret| secret.id).collect();
    // What goes into JSON here has one form only: the maps are sorted, the lists keep the user's order.
    let all = serde_json::json!([
        settings.args,
        target,
        settings.platforms,
        secrets,
        settings.labels,
        settings.provenance
    ]);
    sum.field(all.to_string().as_bytes());
    Ok(())
}

fn files(sum: &mut Sum, request: &BuildRequest) -> Result<(), Problem> {
    let context = request.context();
    let ignore = ignored(request)?;
    let unreadable = |error: anyhow::Error| {
        let sentence = format!("The build context `{}` cannot be read.", request.settings.context);
        Problem::error(Code::FileUnreadable, sentence).cause(format!("{error:#}"))
    };
    for path in disk::walk(&context).map_err(unreadable)? {
        let name = path.to_string_lossy();
        if ignore.excludes(&name) {
            continue;
        }
        if path.starts_with(".git") {
            sum.git = true;
            continue;
        }
        sum.field(name.as_bytes());
        entry(sum, &context.join(&path)).map_err(unreadable)?;
    }
    if sum.git {
        // The files in there change with every checkout; what they stand for is the commit.
        sum.field(request.commit.as_bytes());
    }
    Ok(())
}

fn entry(sum: &mut Sum, path: &Path) -> anyhow::Result<()> {
    if let Some(target) = disk::link_target(path) {
        sum.field(b"link");
        sum.field(target.to_string_lossy().as_bytes());
    } else if let Some(mut file) = disk::open_regular(path)? {
        sum.field(if disk::is_executable(path) { b"program" } else { b"file" });
        sum.content(&mut file)?;
    }
    Ok(())
}

/// `Dockerfile.dockerignore` beside the Dockerfile wins over `.dockerignore` in the context.
fn ignored(request: &BuildRequest) -> Result<Ignore, Problem> {
    let mut own = request.dockerfile().into_os_string();
    own.push(".dockerignore");
    let candidates = [own.into(), request.context().join(".dockerignore")];
    let Some(path) = candidates.into_iter().find(|path: &std::path::PathBuf| disk::exists(path)) else {
        return Ok(Ignore::default());
    };
    disk::read_text(&path).map_err(|error| format!("{error:#}")).and_then(|text| Ignore::read(&text)).map_err(
        |cause| Problem::error(Code::FileUnreadable, "The .dockerignore file cannot be read.").cause(cause),
    )
}

/// A hash over fields, each with its length, so that no two lists of fields look the same.
struct Sum {
    hash: Sha256,
    git: bool,
}

impl Sum {
    fn new() -> Self {
        let mut sum = Self { hash: Sha256::new(), git: false };
        sum.field(b"roadstead tree 1");
        sum
    }

    fn field(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }

    fn content(&mut self, file: &mut std::fs::File) -> anyhow::Result<()> {
        let (mut inner, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => inner.update(&buffer[..count]),
            }
        }
        self.field(&inner.finalize());
        Ok(())
    }

    fn finish(self) -> Result<Digest, Problem> {
        let text = format!("sha256:{}", hex::encode(self.hash.finalize()));
        text.parse().map_err(|why: String| Problem::error(Code::Internal, "A hash is no digest.").cause(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::settings::Build;

    fn request(root: &Path) -> BuildRequest {
        BuildRequest {
            service: "app".into(),
            repository: "r.example/acme/app".parse().unwrap(),
            workspace: root.into(),
            settings: Build::default(),
            commit: "c0ffee".into(),
            branch: None,
            source: None,
        }
    }

    fn folder() -> tempfile::TempDir {
        let folder = disk::private_folder().unwrap();
        for (path, text) in [("Dockerfile", "FROM scratch"), ("src/a", "a"), ("b", "b"), (".git/index", "1")]
        {
            disk::write(&folder.path().join(path), text.as_bytes()).unwrap();
        }
        folder
    }

    fn tag(request: &BuildRequest) -> String {
        digest(request).unwrap().to_string()
    }

    #[test]
    fn the_same_source_elsewhere_has_the_same_digest() {
        let (one, two) = (folder(), folder());
        assert_eq!(tag(&request(one.path())), tag(&request(two.path())));
    }

    #[test]
    fn whatever_goes_into_the_image_changes_the_digest() {
        let folder = folder();
        let base = request(folder.path());
        let mut seen = vec![tag(&base)];
        let mut note = |request: &BuildRequest| {
            let digest = tag(request);
            assert!(!seen.contains(&digest), "{request:?}");
            seen.push(digest);
        };
        for yaml in
            ["args: { A: b }", "target: x", "platforms: [linux/arm64]", "secrets: [S]", "provenance: false"]
        {
            note(&BuildRequest { settings: serde_saphyr::from_str(yaml).unwrap(), ..base.clone() });
        }
        note(&BuildRequest { commit: "another".into(), ..base.clone() });
        for (path, text) in
            [("src/a", "changed"), ("Dockerfile", "FROM x"), ("new", ""), (".dockerignore", "# x")]
        {
            disk::write(&folder.path().join(path), text.as_bytes()).unwrap();
            note(&base);
        }
        std::os::unix::fs::symlink("b", folder.path().join("link")).unwrap();
        note(&base);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path().join("b"), mode).unwrap();
        note(&base);
    }

    #[test]
    fn what_does_not_go_into_the_image_does_not() {
        let folder = folder();
        disk::write(&folder.path().join(".dockerignore"), b".git\n*.log\n").unwrap();
        let base = request(folder.path());
        let before = tag(&base);
        disk::write(&folder.path().join("x.log"), b"x").unwrap();
        disk::write(&folder.path().join(".git/index"), b"2").unwrap();
        let other = BuildRequest { commit: "another".into(), branch: Some("x".into()), ..base };
        assert_eq!(tag(&other), before);
    }

    #[test]
    fn a_git_folder_counts_as_its_commit_and_not_as_its_files() {
        let folder = folder();
        let before = tag(&request(folder.path()));
        disk::write(&folder.path().join(".git/index"), b"2").unwrap();
        assert_eq!(tag(&request(folder.path())), before);
    }

    #[test]
    fn a_missing_dockerfile_is_named() {
        let folder = disk::private_folder().unwrap();
        let problem = digest(&request(folder.path())).unwrap_err();
        assert_eq!((problem.code, problem.service.as_deref()), (Code::FileUnreadable, Some("app")));
    }
}

//! The digest of a source tree: it decides whether an image of the same source is already in the repository.
//! Reads the same context as the builder; content is streamed.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::build_check::read_dockerfile;
use super::builder::BuildRequest;
use super::dockerignore::Dockerignore;
use crate::problem::{Code, Problem};
use crate::release::Digest;
use crate::sys::disk;

/// The digest of everything that decides the content of the image: the files of the context (path, executable bit,
/// link target, content) except those in `.dockerignore`, the Dockerfile, arguments, target, platforms,
/// the names of secrets, and the labels of the deploy file. A `.git` folder in the context counts as its commit. `more` is
/// what else makes another image of it, such as the digests of base images.
pub fn source_digest(request: &BuildRequest, more: &[String]) -> Result<Digest, Problem> {
    let mut sum = FieldHasher::new();
    let text = read_dockerfile(request)?;
    sum.add_field(&text);
    add_settings(&mut sum, request)?;
    add_files(&mut sum, request).map_err(|problem| problem.for_service(&request.service))?;
    more.iter().for_each(|field| sum.add_field(field.as_bytes()));
    sum.finish()
}

fn add_settings(sum: &mut FieldHasher, request: &BuildRequest) -> Result<(), Problem> {
    let settings = &request.settings;
    let target = settings.target.as_deref().unwrap_or_default();
    let secrets: Vec<String> = settings.parse_secrets()?.into_iter().map(|secret| secret.id).collect();
    // The JSON of these values is deterministic: the maps are sorted, the lists keep the user's order.
    let all = serde_json::json!([
        settings.args,
        target,
        settings.platforms,
        secrets,
        settings.labels,
        settings.provenance
    ]);
    sum.add_field(all.to_string().as_bytes());
    Ok(())
}

fn add_files(sum: &mut FieldHasher, request: &BuildRequest) -> Result<(), Problem> {
    let unreadable = |error: anyhow::Error| unreadable_context(request, format!("{error:#}"));
    let context = disk::resolve_within(&request.workspace, Path::new(&request.settings.context));
    let context = context.map_err(unreadable)?;
    let (mut has_git_folder, files) = (false, context_files(request, &context)?);
    for path in &files {
        if path.starts_with(".git") {
            has_git_folder = true;
            continue;
        }
        sum.add_field(path.to_string_lossy().as_bytes());
        add_entry(sum, &context.join(path)).map_err(unreadable)?;
    }
    if has_git_folder {
        // The files in there change with every checkout; they are represented by the commit.
        sum.add_field(request.commit.as_bytes());
    }
    Ok(())
}

/// The files of the context that are sent to the builder, relative to it.
pub(super) fn context_files(request: &BuildRequest, context: &Path) -> Result<Vec<PathBuf>, Problem> {
    let ignore = read_dockerignore(request)?;
    let files = disk::walk(context).map_err(|error| unreadable_context(request, format!("{error:#}")))?;
    Ok(files.into_iter().filter(|path| !ignore.excludes(&path.to_string_lossy())).collect())
}

/// The problem of a context that cannot be read.
pub(super) fn unreadable_context(request: &BuildRequest, cause: String) -> Problem {
    let sentence = format!("The build context `{}` cannot be read.", request.settings.context);
    Problem::error(Code::FileUnreadable, sentence)
        .cause(cause)
        .help("Check the path: `context` is a folder, relative to the root of the repository.")
        .for_service(&request.service)
}

fn add_entry(sum: &mut FieldHasher, path: &Path) -> anyhow::Result<()> {
    if let Some(target) = disk::link_target(path) {
        sum.add_field(b"link");
        sum.add_field(target.to_string_lossy().as_bytes());
    } else if let Some(mut file) = disk::open_regular(path)? {
        sum.add_field(if disk::is_executable(path) { b"program" } else { b"file" });
        sum.add_content(&mut file)?;
    }
    Ok(())
}

/// `Dockerfile.dockerignore` next to the Dockerfile wins over `.dockerignore` in the context.
pub(super) fn read_dockerignore(request: &BuildRequest) -> Result<Dockerignore, Problem> {
    let mut own = request.dockerfile_path().into_os_string();
    own.push(".dockerignore");
    let candidates = [own.into(), Path::new(&request.settings.context).join(".dockerignore")];
    let exists = |path: &PathBuf| disk::exists(&request.workspace.join(path));
    let Some(path) = candidates.into_iter().find(exists) else {
        return Ok(Dockerignore::default());
    };
    disk::read_text_within(&request.workspace, &path)
        .map_err(|error| format!("{error:#}"))
        .and_then(|text| Dockerignore::parse(&text))
        .map_err(|cause| {
            Problem::error(Code::FileUnreadable, "The .dockerignore file cannot be read.").cause(cause)
        })
}

/// A hash over fields, each with its length, so that different lists of fields never look the same.
struct FieldHasher {
    hash: Sha256,
}

impl FieldHasher {
    fn new() -> Self {
        let mut sum = Self { hash: Sha256::new() };
        sum.add_field(b"roadstead tree 1");
        sum
    }

    fn add_field(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }

    fn add_content(&mut self, file: &mut std::fs::File) -> anyhow::Result<()> {
        let (mut inner, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => inner.update(&buffer[..count]),
            }
        }
        self.add_field(&inner.finalize());
        Ok(())
    }

    fn finish(self) -> Result<Digest, Problem> {
        let text = format!("sha256:{}", hex::encode(self.hash.finalize()));
        text.parse()
            .map_err(|why: String| Problem::error(Code::Internal, "A hash is not a digest.").cause(why))
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
            tag_suffix: None,
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

    fn tag_of(request: &BuildRequest) -> String {
        source_digest(request, &[]).unwrap().to_string()
    }

    #[test]
    fn same_source_in_another_folder_has_the_same_digest() {
        let (one, two) = (folder(), folder());
        assert_eq!(tag_of(&request(one.path())), tag_of(&request(two.path())));
    }

    #[test]
    fn every_input_of_the_image_changes_the_digest() {
        let folder = folder();
        let base = request(folder.path());
        let mut seen = vec![tag_of(&base)];
        let mut assert_new = |request: &BuildRequest| {
            let digest = tag_of(request);
            assert!(!seen.contains(&digest), "{request:?}");
            seen.push(digest);
        };
        for yaml in
            ["args: { A: b }", "target: x", "platforms: [linux/arm64]", "secrets: [S]", "provenance: false"]
        {
            assert_new(&BuildRequest { settings: serde_saphyr::from_str(yaml).unwrap(), ..base.clone() });
        }
        assert_new(&BuildRequest { commit: "another".into(), ..base.clone() });
        for (path, text) in
            [("src/a", "changed"), ("Dockerfile", "FROM x"), ("new", ""), (".dockerignore", "# x")]
        {
            disk::write(&folder.path().join(path), text.as_bytes()).unwrap();
            assert_new(&base);
        }
        std::os::unix::fs::symlink("b", folder.path().join("link")).unwrap();
        assert_new(&base);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path().join("b"), mode).unwrap();
        assert_new(&base);
    }

    #[test]
    fn other_files_do_not_change_the_digest() {
        let folder = folder();
        disk::write(&folder.path().join(".dockerignore"), b".git\n*.log\n").unwrap();
        let base = request(folder.path());
        let before = tag_of(&base);
        disk::write(&folder.path().join("x.log"), b"x").unwrap();
        disk::write(&folder.path().join(".git/index"), b"2").unwrap();
        let other = BuildRequest { commit: "another".into(), branch: Some("x".into()), ..base };
        assert_eq!(tag_of(&other), before);
    }

    #[test]
    fn git_folder_is_hashed_as_its_commit() {
        let folder = folder();
        let before = tag_of(&request(folder.path()));
        disk::write(&folder.path().join(".git/index"), b"2").unwrap();
        assert_eq!(tag_of(&request(folder.path())), before);
    }

    /// A link in the workspace can lead anywhere, and `buildx` would send what is there.
    #[test]
    fn link_out_of_the_workspace_is_rejected() {
        let (folder, outside) = (folder(), folder());
        let link = |name: &str, target: &Path| {
            std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
        };
        link("out", outside.path());
        link("zero", Path::new("/dev/zero"));
        link("own.dockerignore", Path::new("/dev/zero"));
        disk::write(&folder.path().join("own"), b"FROM scratch").unwrap();
        for (yaml, cause) in [
            ("{ context: out }", "outside of the workspace"),
            ("{ dockerfile: out/Dockerfile }", "outside of the workspace"),
            ("{ dockerfile: zero }", "outside of the workspace"),
            ("{ dockerfile: own }", "outside of the workspace"),
            ("{ dockerfile: src }", "is a folder"),
        ] {
            let settings = serde_saphyr::from_str(yaml).unwrap();
            let problem =
                source_digest(&BuildRequest { settings, ..request(folder.path()) }, &[]).unwrap_err();
            assert_eq!(problem.code, Code::FileUnreadable, "{yaml}");
            assert!(problem.cause.as_ref().unwrap().contains(cause), "{yaml}: {problem}");
        }
    }

    #[test]
    fn missing_dockerfile_is_reported() {
        let folder = disk::private_folder().unwrap();
        let problem = source_digest(&request(folder.path()), &[]).unwrap_err();
        assert_eq!((problem.code, problem.service.as_deref()), (Code::FileUnreadable, Some("app")));
    }
}

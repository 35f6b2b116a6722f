//! Files: small, whole reads and writes, with the path in every error. Only regular files are read or appended to, and
//! limits hold while a file is read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::blocking;

/// The largest file that is read into memory.
const MAX_BYTES: u64 = 8 << 20;
/// How long one append may take. What it writes must not keep a run from rolling back.
const APPEND_TIMEOUT: Duration = Duration::from_millis(1500);

/// The text of a regular file; links are followed. Errors when it is missing, not UTF-8, or larger than 8 MiB.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("reading {}: it is not UTF-8", path.display()))
}

/// The bytes of a regular file; links are followed. Errors when it is larger than 8 MiB.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let context = || format!("reading {}", path.display());
    let metadata = std::fs::metadata(path).with_context(context)?;
    let bytes = read_limited(open(path, &metadata, 0)?, MAX_BYTES).with_context(context)?;
    anyhow::ensure!(bytes.len() as u64 <= MAX_BYTES, "reading {}: it is larger than 8 MiB", path.display());
    Ok(bytes)
}

/// As [`read_text`], for a file of the workspace at `root`: a path or link that leads out of it is an error.
pub fn read_text_within(root: &Path, path: &Path) -> Result<String> {
    read_text(&resolve_within(root, path)?)
}

/// As [`read_bytes`], for a file of the workspace at `root`.
pub fn read_bytes_within(root: &Path, path: &Path) -> Result<Vec<u8>> {
    read_bytes(&resolve_within(root, path)?)
}

/// The real path of what is at `path` below `root`, all links resolved. An error if it is not below `root`.
pub fn resolve_within(root: &Path, path: &Path) -> Result<PathBuf> {
    let real = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        std::fs::canonicalize(path).with_context(|| format!("reading {}", path.display()))
    };
    let (workspace, found) = (real(root)?, real(&root.join(path))?);
    anyhow::ensure!(
        found.starts_with(&workspace),
        "{} leads to {}, which is outside of the workspace",
        path.display(),
        found.display()
    );
    Ok(found)
}

/// The absolute path of what is at `path`, all links resolved; `None` if nothing is there.
pub fn real_path(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()
}

/// Opens a regular file without waiting: a FIFO without a writer would block, and a device has no end.
fn open(path: &Path, metadata: &Metadata, flags: i32) -> Result<File> {
    ensure_regular(path, metadata)?;
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | flags).open(path);
    let file = file.with_context(|| format!("reading {}", path.display()))?;
    // What stands at the path can have changed since.
    ensure_regular(path, &file.metadata().with_context(|| format!("reading {}", path.display()))?)?;
    Ok(file)
}

fn ensure_regular(path: &Path, metadata: &Metadata) -> Result<()> {
    match kind_of(metadata) {
        None => Ok(()),
        Some(kind) => Err(anyhow::anyhow!("{} is {kind}, not a regular file", path.display())),
    }
}

/// What a file is that is not a regular file.
fn kind_of(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    let kinds = [
        (kind.is_dir(), "a folder"),
        (kind.is_fifo(), "a FIFO"),
        (kind.is_socket(), "a socket"),
        (kind.is_char_device() || kind.is_block_device(), "a device"),
        (kind.is_symlink(), "a link"),
        (!kind.is_file(), "something else"),
    ];
    kinds.into_iter().find_map(|(is, name)| is.then_some(name))
}

/// At most `limit` bytes and one more: the size that a file states can be wrong.
fn read_limited(file: File, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file, creating the folders above it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    }
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// Appends to a regular file in one write, creating it if it is missing. An error if the disk takes longer than a
/// moment; the text can still be written later.
pub fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let (target, text) = (path.to_owned(), bytes.to_owned());
    let done = blocking::run_within(APPEND_TIMEOUT, move || append_now(&target, &text));
    done.with_context(|| format!("appending to {}: the disk does not respond", path.display()))?
}

fn append_now(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("appending to {}", path.display());
    if let Ok(metadata) = std::fs::metadata(path) {
        ensure_regular(path, &metadata)?;
    }
    let mut options = OpenOptions::new();
    let opened = options.append(true).create(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let mut file = opened.with_context(context)?;
    ensure_regular(path, &file.metadata().with_context(context)?)?;
    file.write_all(bytes).with_context(context)
}

/// Whether something is at `path`.
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// Whether a folder is at `path`; links are followed.
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// The names of what is in a folder, sorted; none if it cannot be listed. At most a thousand: they are for suggestions.
pub fn file_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.take(1000).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Whether a folder without entries is at `path`.
pub fn is_empty_folder(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// The size of the regular file at `path`; `None` if it is none.
pub fn file_size(path: &Path) -> Option<u64> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    metadata.is_file().then_some(metadata.len())
}

/// Every file and symbolic link below `root`, relative to it, sorted by path; links are not followed.
pub fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = open.pop() {
        let full = root.join(&folder);
        for entry in std::fs::read_dir(&full).with_context(|| format!("listing {}", full.display()))? {
            let entry = entry.with_context(|| format!("listing {}", full.display()))?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// The target of a symbolic link, or `None` if `path` is none.
pub fn link_target(path: &Path) -> Option<PathBuf> {
    std::fs::read_link(path).ok()
}

/// Whether the owner may execute the file at `path`.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0)
}

/// Opens the file at `path` for reading; `None` if it is not a regular file (a pipe would never end).
pub fn open_regular(path: &Path) -> Result<Option<File>> {
    let metadata = std::fs::symlink_metadata(path).with_context(|| format!("reading {}", path.display()))?;
    if !metadata.is_file() {
        return Ok(None);
    }
    open(path, &metadata, libc::O_NOFOLLOW).map(Some)
}

/// At most `limit` bytes of a regular file and one more, so that a larger file is recognized.
/// An error on symbolic links and on everything else that is not a regular file.
pub fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let context = || format!("reading {}", path.display());
    let metadata = std::fs::symlink_metadata(path).with_context(context)?;
    read_limited(open(path, &metadata, libc::O_NOFOLLOW)?, limit).with_context(context)
}

/// New content for a file, complete on disk next to it. The file is unchanged until [`Staged::commit`].
pub struct AtomicWrite {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

/// Writes new content for the file at `path` next to it, with the file's permissions, and its owner if allowed.
pub fn prepare_write(path: &Path, bytes: &[u8]) -> Result<AtomicWrite> {
    use std::os::unix::fs::MetadataExt as _;
    let context = || format!("writing {}", path.display());
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().prefix(".roadstead-").tempfile_in(folder).with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    let meta = std::fs::symlink_metadata(path).with_context(context)?;
    // In a container action this process is root, and the checkout belongs to the runner.
    let _ = std::os::unix::fs::chown(file.path(), Some(meta.uid()), Some(meta.gid()));
    file.as_file().set_permissions(meta.permissions()).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    Ok(AtomicWrite { file, path: path.to_owned() })
}

impl AtomicWrite {
    /// Replaces the file with the new content, in one step.
    pub fn commit(self) -> Result<()> {
        let context = format!("writing {}", self.path.display());
        self.file.persist(&self.path).map(drop).map_err(|error| error.error).context(context)
    }
}

/// Writes a file that only this user can read.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("writing {}", path.display());
    let mut options = std::fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(path).with_context(context)?;
    file.write_all(bytes).with_context(context)
}

/// A folder that only this user can read, deleted when the value is dropped.
pub fn private_folder() -> Result<tempfile::TempDir> {
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let mut folder = tempfile::Builder::new();
    folder.prefix("roadstead-").permissions(owner_only).tempdir().context("creating a temporary folder")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn fifo(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }

    /// The reason why nothing is read, which must come at once.
    fn refusal<T>(result: Result<T>) -> String {
        result.err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn only_regular_files_are_read_and_appended_to() {
        let folder = private_folder().unwrap();
        let path = |name: &str| folder.path().join(name);
        fifo(&path("fifo"));
        let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        for (name, target) in [("zero", "/dev/zero"), ("random", "/dev/urandom"), ("to-fifo", "fifo")] {
            symlink(target, path(name)).unwrap();
        }
        for (name, kind) in [
            ("fifo", "a FIFO"),
            ("to-fifo", "a FIFO"),
            ("socket", "a socket"),
            ("folder", "a folder"),
            ("zero", "a device"),
            ("random", "a device"),
        ] {
            let path = path(name);
            for why in [refusal(read_text(&path)), refusal(read_bytes(&path)), refusal(append(&path, b"x"))] {
                assert!(why.contains(&format!("is {kind}, not a regular file")), "{name}: {why}");
            }
            assert!(read_regular(&path, 100).is_err(), "{name}");
        }
    }

    #[test]
    fn limits_hold_while_reading() {
        let folder = private_folder().unwrap();
        let path = folder.path().join("large");
        std::fs::File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(refusal(read_text(&path)).contains("larger than 8 MiB"));
        std::fs::File::create(&path).unwrap().set_len(MAX_BYTES).unwrap();
        assert_eq!(read_bytes(&path).unwrap().len() as u64, MAX_BYTES);
        // The files of /proc state a size of 0.
        assert!(!read_text(Path::new("/proc/self/status")).unwrap().is_empty());
        assert_eq!(read_regular(Path::new("/proc/self/status"), 10).unwrap().len(), 11);
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(refusal(read_text(&path)).contains("not UTF-8"));
    }

    #[test]
    fn files_of_a_workspace_stay_in_it() {
        let folder = private_folder().unwrap();
        let (outside, root) = (folder.path().join("outside"), folder.path().join("workspace"));
        std::fs::create_dir_all(root.join("deploy")).unwrap();
        std::fs::write(&outside, "secret").unwrap();
        std::fs::write(root.join("file"), "ours").unwrap();
        symlink("../file", root.join("deploy/link")).unwrap();
        symlink(&outside, root.join("deploy/out")).unwrap();
        symlink("../..", root.join("deploy/up")).unwrap();
        for path in ["file", "deploy/link", "deploy/../file"] {
            assert_eq!(read_text_within(&root, Path::new(path)).unwrap(), "ours", "{path}");
        }
        for path in ["../outside", "deploy/out", "deploy/up/outside", "/etc/passwd", "deploy/../../outside"] {
            let why = refusal(read_bytes_within(&root, Path::new(path)));
            assert!(why.contains("outside of the workspace"), "{path}: {why}");
        }
        assert!(refusal(read_text_within(&root, Path::new("none"))).starts_with("reading "));
    }
}

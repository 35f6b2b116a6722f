//! Files: small, whole reads and writes, with the path in every error.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The text of a file. Errors when it is missing, not UTF-8, or larger than 8 MiB.
pub fn read_text(path: &Path) -> Result<String> {
    let size = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
    anyhow::ensure!(size <= 8 << 20, "reading {}: {size} bytes are more than 8 MiB", path.display());
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// The bytes of a file.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// Writes a file anew, creating the folders above it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    }
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// Appends to a file in one write, creating it when missing.
pub fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("appending to {}", path.display());
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).with_context(context)?;
    file.write_all(bytes).with_context(context)
}

/// Whether something is at `path`.
pub fn exists(path: &Path) -> bool {
    path.exists()
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

/// Where a symbolic link points, or `None` where `path` is none.
pub fn link_target(path: &Path) -> Option<PathBuf> {
    std::fs::read_link(path).ok()
}

/// Whether the owner may execute the file at `path`.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0)
}

/// Opens the file at `path` for reading; `None` where it is no plain file (a pipe would never end).
pub fn open_regular(path: &Path) -> Result<Option<std::fs::File>> {
    let meta = std::fs::symlink_metadata(path).with_context(|| format!("reading {}", path.display()))?;
    if !meta.is_file() {
        return Ok(None);
    }
    std::fs::File::open(path).map(Some).with_context(|| format!("reading {}", path.display()))
}

/// The bytes of a plain file of at most `limit` bytes and one more, by which a larger one is told.
/// Errors on symbolic links and on everything else that is no plain file.
pub fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let file = open_regular(path)?.with_context(|| format!("{} is no plain file", path.display()))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
    Ok(bytes)
}

/// New content for a file, complete on disk beside it. The file is as it was until [`Staged::commit`].
pub struct Staged {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

/// Makes new content for the file at `path` ready, with the permissions that the file has, and its owner where allowed.
pub fn stage(path: &Path, bytes: &[u8]) -> Result<Staged> {
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
    Ok(Staged { file, path: path.to_owned() })
}

impl Staged {
    /// Puts the new content in the place of the old, in one step.
    pub fn commit(self) -> Result<()> {
        let context = format!("writing {}", self.path.display());
        self.file.persist(&self.path).map(drop).map_err(|error| error.error).context(context)
    }
}

/// Writes a file anew that only this user can read.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let context = || format!("writing {}", path.display());
    let mut options = std::fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(path).with_context(context)?;
    file.write_all(bytes).with_context(context)
}

/// A folder that only this user can read and that is gone when the value is dropped.
pub fn private_folder() -> Result<tempfile::TempDir> {
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let mut folder = tempfile::Builder::new();
    folder.prefix("roadstead-").permissions(owner_only).tempdir().context("creating a temporary folder")
}

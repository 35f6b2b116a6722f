//! The files that a release is made from, read from the workspace once. A rollback needs none of them.

use std::path::Path;

use super::settings::Settings;
use crate::problem::{Code, Problem};
use crate::release::DefinitionFile;
use crate::sys::disk;

/// The files of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSource {
    /// The Compose files, in order.
    pub files: Vec<DefinitionFile>,
    /// The variables.
    pub env: Option<String>,
}

/// Reads the files that the settings name. Errors are all files that cannot be read.
pub fn read_source(settings: &Settings, workspace: &Path) -> Result<ReleaseSource, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut read = |path: &String| match disk::read_text_within(workspace, Path::new(path)) {
        Ok(text) => Some(DefinitionFile { path: path.clone(), text }),
        Err(error) => {
            problems.push(unreadable_problem(path, &format!("{error:#}")));
            None
        }
    };
    let files: Vec<DefinitionFile> = settings.files.0.iter().filter_map(&mut read).collect();
    let env = settings.env_file.as_ref().and_then(&mut read).map(|file| file.text);
    if problems.is_empty() { Ok(ReleaseSource { files, env }) } else { Err(problems) }
}

fn unreadable_problem(path: &str, why: &str) -> Problem {
    Problem::error(Code::FileUnreadable, format!("The file `{path}` cannot be read."))
        .cause(why)
        .help("Paths count from the root of the repository; is the repository checked out?")
}

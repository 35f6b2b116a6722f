//! `roadstead edit`: sets an image in files on disk. All files are checked before any is written.

use std::path::Path;

use crate::action::sanitize::sanitize_line;
use crate::manifest::{self, EditedFile, HelmPin, ImageUpdate, MAX_BYTES};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;
use crate::sys::disk::{self, AtomicWrite};
use crate::sys::terminal;

use super::arguments::EditOptions;

/// Edits the files, or reports every problem and changes none.
pub(super) fn main(options: &EditOptions) -> u8 {
    match edit_all(options) {
        Ok(lines) => {
            lines.iter().for_each(|line| terminal::stdout_line(&sanitize_line(line)));
            0
        }
        Err(problems) => {
            problems.iter().for_each(|problem| terminal::stdout_line(&sanitize_line(&problem_line(problem))));
            2
        }
    }
}

/// One line for each value.
fn edit_all(options: &EditOptions) -> Result<Vec<String>, Vec<Problem>> {
    let update =
        ImageUpdate { image: parse_image(options).map_err(|problem| vec![problem])?, pin: HelmPin::Digest };
    let mut problems = Vec::new();
    let mut ready = Vec::new();
    for file in &options.files {
        match prepare_edit(file, &update) {
            Ok((edited, staged)) => ready.push((file, edited, staged)),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut lines = Vec::new();
    for (file, edited, staged) in ready {
        staged
            .map_or(Ok(()), AtomicWrite::commit)
            .map_err(|error| vec![write_problem(file, &lines, &error)])?;
        lines.extend(change_lines(file, &edited));
    }
    Ok(lines)
}

/// The image as the options name it.
fn parse_image(options: &EditOptions) -> Result<ImageRef, Problem> {
    let invalid = |option: &str, reason: String| {
        Problem::error(Code::InputInvalid, format!("The option --{option} is not valid.")).cause(reason)
    };
    let mut image: ImageRef = options.image.parse().map_err(|reason| invalid("image", reason))?;
    if image.tag.is_some() || image.digest.is_some() {
        let reason =
            format!("`{}` contains more than a name; pass the rest as --tag and --digest", options.image);
        return Err(invalid("image", reason));
    }
    if let Some(tag) = &options.tag {
        let reference = format!("{}:{tag}", image.name());
        let read: ImageRef = reference.parse().map_err(|reason| invalid("tag", reason))?;
        image = read
            .digest
            .is_none()
            .then_some(read)
            .ok_or_else(|| invalid("tag", format!("`{tag}` is not a tag")))?;
    }
    let digest = options.digest.as_deref().map(str::parse).transpose();
    Ok(ImageRef { digest: digest.map_err(|reason| invalid("digest", reason))?, ..image })
}

/// The file after the edit, written next to the original if something changes.
fn prepare_edit(file: &str, update: &ImageUpdate) -> Result<(EditedFile, Option<AtomicWrite>), Problem> {
    let path = Path::new(file);
    let unreadable = |error: anyhow::Error| {
        Problem::error(Code::FileUnreadable, format!("`{file}` was not edited.")).cause(format!("{error:#}"))
    };
    if disk::link_target(path).is_some() {
        return Err(unreadable(anyhow::anyhow!("it is a symbolic link; pass the file that it points to")));
    }
    let before = disk::read_regular(path, MAX_BYTES as u64).map_err(unreadable)?;
    let edited = manifest::edit_file(file, &before, update).map_err(|error| error.problem(file))?;
    let staged = match edited.replacements.is_empty() {
        true => None,
        false => Some(disk::prepare_write(path, &edited.bytes).map_err(unreadable)?),
    };
    Ok((edited, staged))
}

fn change_lines(file: &str, edited: &EditedFile) -> Vec<String> {
    if edited.replacements.is_empty() {
        return vec![format!("{file}: unchanged")];
    }
    let quoted =
        |text: &Option<String>| text.as_ref().map_or_else(|| "(none)".into(), |text| format!("`{text}`"));
    let one = |it: &manifest::Replacement| {
        format!("{file}:{}: {}: {} -> {}", it.line, it.path, quoted(&it.from), quoted(&it.to))
    };
    edited.replacements.iter().map(one).collect()
}

/// Reached only if writing fails between two files.
fn write_problem(file: &str, written: &[String], error: &anyhow::Error) -> Problem {
    let done = if written.is_empty() { "No file was changed." } else { "The files before it were changed." };
    let sentence = format!("`{file}` could not be written. {done}");
    Problem::error(Code::FileUnreadable, sentence).cause(format!("{error:#}")).help(written.join("; "))
}

fn problem_line(problem: &Problem) -> String {
    let position = problem.location.as_ref().map(|at| format!("{}:{}:{}: ", at.file, at.line, at.column));
    format!("{}error {}: {problem}", position.unwrap_or_default(), problem.code)
}

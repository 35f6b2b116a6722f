//! `roadstead edit`: sets an image in files on disk. All files are checked before any is written.

use std::path::Path;

use crate::action::neutral::neutralise;
use crate::manifest::{self, Edited, MAX_BYTES, Pin, Wish};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;
use crate::sys::disk::{self, Staged};
use crate::sys::terminal;

use super::arguments::EditOptions;

/// Edits the files, or says everything that is in the way and changes none.
pub(super) fn main(options: &EditOptions) -> u8 {
    match edit(options) {
        Ok(lines) => {
            lines.iter().for_each(|line| terminal::line(&neutralise(line)));
            0
        }
        Err(problems) => {
            problems.iter().for_each(|problem| terminal::line(&neutralise(&told(problem))));
            2
        }
    }
}

/// What was done, a line for each value.
fn edit(options: &EditOptions) -> Result<Vec<String>, Vec<Problem>> {
    let wish = Wish { image: image(options).map_err(|problem| vec![problem])?, pin: Pin::Digest };
    let mut problems = Vec::new();
    let mut ready = Vec::new();
    for file in &options.files {
        match change(file, &wish) {
            Ok((edited, staged)) => ready.push((file, edited, staged)),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut lines = Vec::new();
    for (file, edited, staged) in ready {
        staged.map_or(Ok(()), Staged::commit).map_err(|error| vec![unwritten(file, &lines, &error)])?;
        lines.extend(words(file, &edited));
    }
    Ok(lines)
}

/// The image as the options name it.
fn image(options: &EditOptions) -> Result<ImageRef, Problem> {
    let invalid = |option: &str, why: String| {
        Problem::error(Code::InputInvalid, format!("The option --{option} cannot be read.")).cause(why)
    };
    let mut image: ImageRef = options.image.parse().map_err(|why| invalid("image", why))?;
    if image.tag.is_some() || image.digest.is_some() {
        let why = format!("`{}` says more than a name; give the rest as --tag and --digest", options.image);
        return Err(invalid("image", why));
    }
    if let Some(tag) = &options.tag {
        let whole = format!("{}:{tag}", image.name());
        let read: ImageRef = whole.parse().map_err(|why| invalid("tag", why))?;
        image = read
            .digest
            .is_none()
            .then_some(read)
            .ok_or_else(|| invalid("tag", format!("`{tag}` is no tag")))?;
    }
    let digest = options.digest.as_deref().map(str::parse).transpose();
    Ok(ImageRef { digest: digest.map_err(|why| invalid("digest", why))?, ..image })
}

/// The file as it will be, ready beside it where something changes.
fn change(file: &str, wish: &Wish) -> Result<(Edited, Option<Staged>), Problem> {
    let path = Path::new(file);
    let unreadable = |error: anyhow::Error| {
        Problem::error(Code::FileUnreadable, format!("`{file}` cannot be edited."))
            .cause(format!("{error:#}"))
    };
    if disk::link_target(path).is_some() {
        return Err(unreadable(anyhow::anyhow!("it is a symbolic link; name the file that it points to")));
    }
    let before = disk::read_regular(path, MAX_BYTES as u64).map_err(unreadable)?;
    let edited = manifest::edit_file(file, &before, wish).map_err(|refusal| refusal.problem(file))?;
    let staged = match edited.replaced.is_empty() {
        true => None,
        false => Some(disk::stage(path, &edited.bytes).map_err(unreadable)?),
    };
    Ok((edited, staged))
}

fn words(file: &str, edited: &Edited) -> Vec<String> {
    if edited.replaced.is_empty() {
        return vec![format!("{file}: unchanged")];
    }
    let quoted =
        |text: &Option<String>| text.as_ref().map_or_else(|| "(none)".into(), |text| format!("`{text}`"));
    let one = |it: &manifest::Replaced| {
        format!("{file}:{}: {}: {} -> {}", it.line, it.path, quoted(&it.from), quoted(&it.to))
    };
    edited.replaced.iter().map(one).collect()
}

/// Only a disk that fails between two files can lead here.
fn unwritten(file: &str, written: &[String], error: &anyhow::Error) -> Problem {
    let done = if written.is_empty() { "No file was changed." } else { "Files before it were changed." };
    let sentence = format!("`{file}` could not be written. {done}");
    Problem::error(Code::FileUnreadable, sentence).cause(format!("{error:#}")).help(written.join("; "))
}

fn told(problem: &Problem) -> String {
    let place = problem.at.as_ref().map(|at| format!("{}:{}:{}: ", at.file, at.line, at.column));
    format!("{}error {}: {problem}", place.unwrap_or_default(), problem.code)
}

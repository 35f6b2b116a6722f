//! Files of a build context that the checkout left without their content: pointers of Git LFS, and empty submodules. An
//! image with them would be built, and would be broken.

use std::path::{Path, PathBuf};

use super::builder::BuildRequest;
use super::dockerignore::Dockerignore;
use super::source_digest::read_dockerignore;
use crate::problem::list::name_list;
use crate::problem::{Code, Problem};
use crate::sys::disk;

/// How a pointer begins. <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>
const POINTER_STARTS: [&[u8]; 2] =
    [b"version https://git-lfs.github.com/spec/v1\n", b"version https://git-lfs.github.com/spec/v1\r\n"];
/// A pointer is smaller than this, by its specification.
const MAX_POINTER_BYTES: u64 = 1024;
/// How many files a problem names.
const MAX_NAMED: usize = 5;

/// What is wrong with the files of a context, `files` of the folder `context`.
pub(super) fn find(request: &BuildRequest, context: &Path, files: &[PathBuf]) -> Vec<Problem> {
    let own = files.iter().filter(|path| !path.starts_with(".git"));
    let pointers = own.filter(|path| is_pointer(&context.join(path))).map(|path| path.display().to_string());
    let pointers: Vec<String> = pointers.collect();
    [pointer_problem(request, &pointers), submodule_problem(request, context)].into_iter().flatten().collect()
}

fn is_pointer(path: &Path) -> bool {
    let is_small = disk::file_size(path).is_some_and(|size| size < MAX_POINTER_BYTES);
    let text =
        is_small.then(|| disk::read_regular(path, MAX_POINTER_BYTES).ok()).flatten().unwrap_or_default();
    POINTER_STARTS.iter().any(|start| text.starts_with(start))
        && text.windows(11).any(|part| part == b"oid sha256:")
}

fn pointer_problem(request: &BuildRequest, pointers: &[String]) -> Option<Problem> {
    let sentence = format!(
        "The build context `{}` has pointers of Git LFS in place of {}.",
        request.settings.context,
        count_and_names(pointers, "file")?
    );
    Some(Problem::error(Code::CheckoutIncomplete, sentence).help(
        "Give `actions/checkout` the input `lfs: true`. If the image does not need these files, list them in `.dockerignore`.",
    ))
}

fn submodule_problem(request: &BuildRequest, context: &Path) -> Option<Problem> {
    let root = disk::resolve_within(&request.workspace, Path::new(".")).ok()?;
    let ignore = read_dockerignore(request).unwrap_or_default();
    let modules = disk::read_text_within(&root, Path::new(".gitmodules")).unwrap_or_default();
    let is_empty = |path: &&str| {
        is_in_context(&root.join(path), context, &ignore) && disk::is_empty_folder(&root.join(path))
    };
    let empty: Vec<String> = submodule_paths(&modules).filter(is_empty).map(str::to_owned).collect();
    let sentence = format!(
        "The build context `{}` contains {}, without content.",
        request.settings.context,
        count_and_names(&empty, "submodule")?
    );
    Some(Problem::error(Code::CheckoutIncomplete, sentence).help(
        "Give `actions/checkout` the input `submodules: true` (or `recursive`). If the image does not need them, list them in \
         `.dockerignore`.",
    ))
}

/// Whether a folder is sent to the builder, or contains the context.
fn is_in_context(folder: &Path, context: &Path, ignore: &Dockerignore) -> bool {
    match folder.strip_prefix(context) {
        Ok(inner) => {
            let inner = inner.to_string_lossy();
            !ignore.excludes(&inner) && !ignore.excludes(&format!("{inner}/file"))
        }
        Err(_) => context.starts_with(folder),
    }
}

/// The folders of the submodules that a `.gitmodules` names.
fn submodule_paths(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (key.trim() == "path" && !value.is_empty() && !value.starts_with('/') && !value.contains(".."))
            .then_some(value)
    })
}

/// `2 files: a, b`; `None` if there are none.
fn count_and_names(names: &[String], noun: &str) -> Option<String> {
    let shown = names.iter().take(MAX_NAMED).map(String::as_str);
    let more = names.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let plural = if names.len() == 1 { "" } else { "s" };
    (!names.is_empty()).then(|| format!("{} {noun}{plural}: {}{more}", names.len(), name_list(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::build_check::check_files;

    const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

    fn found(files: &[(&str, &str)], folders: &[&str], context: &str) -> Vec<String> {
        let folder = disk::private_folder().unwrap();
        for (path, text) in files {
            disk::write(&folder.path().join(path), text.as_bytes()).unwrap();
        }
        for path in folders {
            std::fs::DirBuilder::new().recursive(true).create(folder.path().join(path)).unwrap();
        }
        let request = BuildRequest {
            service: "app".into(),
            repository: "r.example/acme/app".parse().unwrap(),
            workspace: folder.path().into(),
            settings: serde_saphyr::from_str(&format!("context: {context}")).unwrap(),
            commit: "c0ffee".into(),
            branch: None,
            tag_suffix: None,
            source: None,
        };
        check_files(&request)
            .iter()
            .map(|problem| format!("{} {}", problem.code.name(), problem.sentence))
            .collect()
    }

    const DOCKERFILE: (&str, &str) = ("app/Dockerfile", "FROM a");

    #[test]
    fn lfs_pointer_in_the_context_is_refused() {
        let models =
            [DOCKERFILE, ("app/model.bin", POINTER), ("app/a/b.png", POINTER), ("other/c.bin", POINTER)];
        insta::assert_snapshot!(found(&models, &[], "app").join("\n"), @"checkout-incomplete The build context `app` has pointers of Git LFS in place of 2 files: `a/b.png`, `model.bin`.");
        let crlf = POINTER.replace('\n', "\r\n");
        assert_eq!(found(&[DOCKERFILE, ("app/x", &crlf)], &[], "app").len(), 1);
        let many: Vec<(String, &str)> = (0..9).map(|n| (format!("app/{n}"), POINTER)).collect();
        let many: Vec<(&str, &str)> =
            many.iter().map(|(name, text)| (name.as_str(), *text)).chain([DOCKERFILE]).collect();
        assert!(
            found(&many, &[], "app")[0].contains("9 files: ")
                && found(&many, &[], "app")[0].contains("and 4 more")
        );
    }

    #[test]
    fn ignored_pointer_and_texts_about_pointers_are_accepted() {
        let long = format!("{POINTER}{}", "x".repeat(2000));
        for (name, text) in
            [("app/x.md", "About version https://git-lfs.github.com/spec/v1\n"), ("app/y", &long)]
        {
            assert_eq!(found(&[DOCKERFILE, (name, text)], &[], "app"), [""; 0], "{name}");
        }
        let ignored = [DOCKERFILE, ("app/m/x.bin", POINTER), ("app/.dockerignore", "m/*.bin\n")];
        assert_eq!(found(&ignored, &[], "app"), [""; 0]);
        let kept = [DOCKERFILE, ("app/m/x.bin", POINTER), ("app/.dockerignore", "*.bin\n!m\n")];
        assert_eq!(found(&kept, &[], "app").len(), 1);
    }

    const MODULES: (&str, &str) = (
        ".gitmodules",
        "[submodule \"lib\"]\n\tpath = app/vendor/lib\n\turl = ../lib\n[submodule \"x\"]\n\tpath = x\n",
    );

    #[test]
    fn empty_submodule_in_the_context_is_refused() {
        let empty = ["app/vendor/lib", "x"];
        insta::assert_snapshot!(found(&[DOCKERFILE, MODULES], &empty, "app").join("\n"), @"checkout-incomplete The build context `app` contains 1 submodule: `app/vendor/lib`, without content.");
        assert_eq!(found(&[("Dockerfile", "FROM a"), MODULES], &empty, ".").len(), 1);
        for others in [
            &[DOCKERFILE, MODULES, ("app/vendor/lib/file", "")][..],
            &[DOCKERFILE, MODULES, ("app/.dockerignore", "vendor")],
            &[DOCKERFILE, MODULES, ("app/.dockerignore", "vendor/lib/*")],
            &[DOCKERFILE, MODULES, ("app/.dockerignore", "**\n!src")],
            &[DOCKERFILE],
        ] {
            let result = found(others, &empty, "app");
            assert_eq!(result, [""; 0], "{others:?}");
        }
    }
}

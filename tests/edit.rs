//! `roadstead edit`, the real binary on real files: what it changes, what it says, and that it is all or nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

const KUSTOMIZATION: &str = "images:\n- name: reg.io:5000/acme/app\n  newTag: v1 # live\n";
const VALUES: &str = "# ours\nimage:\n    repository: reg.io:5000/acme/app\n    tag: \"v1\"\n";
const MANIFEST: &str =
    "kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - image: reg.io:5000/acme/app:v1\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("kustomization.yaml", KUSTOMIZATION);
        folder.write("values.yaml", VALUES);
        folder.write("pod.yaml", MANIFEST);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// Exit code and output of `roadstead edit --image reg.io:5000/acme/app` with these words behind it.
    fn edit(&self, words: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roadstead"));
        command.args(["edit", "--image", "reg.io:5000/acme/app"]).args(words);
        let done = command.current_dir(self.path()).env_clear().output().unwrap();
        assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
        (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
    }
}

#[test]
fn three_kinds_of_files_in_one_call() {
    let folder = Folder::new();
    fs::set_permissions(folder.path().join("pod.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    let files = ["kustomization.yaml", "values.yaml", "pod.yaml"];
    let (code, said) = folder.edit(&[&["--tag", "v2"], &files[..]].concat());
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        said,
        "kustomization.yaml:3: images[0].newTag: `v1` -> `v2`\n\
         values.yaml:4: image.tag: `v1` -> `v2`\n\
         pod.yaml:5: spec.containers[0].image: `reg.io:5000/acme/app:v1` -> `reg.io:5000/acme/app:v2`\n"
    );
    for (name, before) in files.iter().zip([KUSTOMIZATION, VALUES, MANIFEST]) {
        assert_eq!(
            folder.read(name),
            before.replace("v1 #", "v2 #").replace("\"v1\"", "\"v2\"").replace(":v1", ":v2")
        );
    }
    let mode = fs::metadata(folder.path().join("pod.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "something was left behind");
    let (code, said) = folder.edit(&[&["--tag", "v2"], &files[..]].concat());
    assert_eq!(
        (code, said.as_str()),
        (0, "kustomization.yaml: unchanged\nvalues.yaml: unchanged\npod.yaml: unchanged\n")
    );
}

#[test]
fn a_digest_alone_leaves_no_tag_behind() {
    let folder = Folder::new();
    let (code, said) = folder.edit(&["--digest", DIGEST, "kustomization.yaml", "pod.yaml"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        folder.read("kustomization.yaml"),
        format!("images:\n- name: reg.io:5000/acme/app\n  digest: {DIGEST}\n")
    );
    assert!(folder.read("pod.yaml").ends_with(&format!("image: reg.io:5000/acme/app@{DIGEST}\n")));
    assert!(said.contains("images[0].newTag: `v1` -> (none)"), "{said}");
}

#[test]
fn one_file_that_cannot_be_edited_keeps_all_as_they_are() {
    let folder = Folder::new();
    folder.write("broken.yaml", "a: [\n");
    folder.write("other.yaml", "image: other\n");
    folder.write("twice.yaml", "image: &i reg.io:5000/acme/app:v1\nb: *i\n");
    symlink("values.yaml", folder.path().join("link.yaml")).unwrap();
    let files = ["values.yaml", "broken.yaml", "other.yaml", "twice.yaml", "link.yaml", "none.yaml", "."];
    let (code, said) = folder.edit(&[&["--tag", "v2"], &files[..]].concat());
    assert_eq!(code, 2, "{said}");
    let heads = [
        "broken.yaml:1:4: error manifest-unreadable: `broken.yaml` is left as it is",
        "error manifest-unclear: `other.yaml` is left as it is: no `repository`",
        "twice.yaml:1:11: error manifest-unclear: `twice.yaml` is left as it is: `image` is used in other places",
        "error file-unreadable: `link.yaml` cannot be edited. (it is a symbolic link",
        "error file-unreadable: `none.yaml` cannot be edited.",
        "error file-unreadable: `.` cannot be edited.",
    ];
    assert_eq!(said.lines().count(), heads.len(), "{said}");
    for (line, head) in said.lines().zip(heads) {
        assert!(line.starts_with(head), "{line}\n{head}");
    }
    assert_eq!(folder.read("values.yaml"), VALUES);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 7, "something was left behind");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let folder = Folder::new();
    for (words, wanted) in [
        (&["values.yaml"][..], "<--tag <TAG>|--digest <DIGEST>>"),
        (&["--tag", "v2"], "<FILES>..."),
        (&["--tag", "v 2", "values.yaml"], "The option --tag cannot be read."),
        (&["--tag", "", "values.yaml"], "The option --tag cannot be read."),
        (&["--tag", "v2@sha256:00", "values.yaml"], "The option --tag cannot be read."),
        (&["--digest", "sha256:00", "values.yaml"], "The option --digest cannot be read."),
    ] {
        let (code, said) = folder.edit(words);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(wanted), "{said}");
    }
    assert_eq!(folder.read("values.yaml"), VALUES);
}

#[test]
fn nothing_in_a_file_becomes_a_command_of_the_runner() {
    let folder = Folder::new();
    folder.write("values.yaml", "\"a\\n::error::x\": {image: {repository: reg.io:5000/acme/app, tag: \"v1\\n::set-env name=A::b\"}}\n");
    let (code, said) = folder.edit(&["--tag", "v2", "values.yaml"]);
    assert_eq!((code, said.lines().count()), (0, 1), "{said}");
    assert!(!said.contains("\n::") && !said.contains("##["), "{said}");
}

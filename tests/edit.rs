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

struct EditFolder(tempfile::TempDir);

impl EditFolder {
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
    let folder = EditFolder::new();
    fs::set_permissions(folder.path().join("pod.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    let files = ["kustomization.yaml", "values.yaml", "pod.yaml"];
    let (code, output) = folder.edit(&[&["--tag", "v2"], &files[..]].concat());
    assert_eq!(code, 0, "{output}");
    assert_eq!(
        output,
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
    let (code, output) = folder.edit(&[&["--tag", "v2"], &files[..]].concat());
    assert_eq!(
        (code, output.as_str()),
        (0, "kustomization.yaml: unchanged\nvalues.yaml: unchanged\npod.yaml: unchanged\n")
    );
}

#[test]
fn digest_without_tag_removes_the_old_tag() {
    let folder = EditFolder::new();
    let (code, output) = folder.edit(&["--digest", DIGEST, "kustomization.yaml", "pod.yaml"]);
    assert_eq!(code, 0, "{output}");
    assert_eq!(
        folder.read("kustomization.yaml"),
        format!("images:\n- name: reg.io:5000/acme/app\n  digest: {DIGEST}\n")
    );
    assert!(folder.read("pod.yaml").ends_with(&format!("image: reg.io:5000/acme/app@{DIGEST}\n")));
    assert!(output.contains("images[0].newTag: `v1` -> (none)"), "{output}");
}

#[test]
fn one_failed_edit_leaves_all_files_unchanged() {
    let folder = EditFolder::new();
    folder.write("broken.yaml", "a: [\n");
    folder.write("other.yaml", "image: other\n");
    folder.write("twice.yaml", "image: {repository: reg.io:5000/acme/app, tag: &i v1}\nb: *i\n");
    symlink("values.yaml", folder.path().join("link.yaml")).unwrap();
    let files = ["values.yaml", "broken.yaml", "other.yaml", "twice.yaml", "link.yaml", "none.yaml", "."];
    let (code, output) = folder.edit(&[&["--tag", "v2"], &files[..]].concat());
    assert_eq!(code, 2, "{output}");
    let heads = [
        "broken.yaml:1:4: error manifest-unreadable: `broken.yaml` was not changed",
        "error manifest-ambiguous: `other.yaml` was not changed: no image in the file is `reg.io:5000/acme/app`. The file has `other`",
        "twice.yaml:1:51: error manifest-ambiguous: `twice.yaml` was not changed: `image.tag` is also used elsewhere",
        "error file-unreadable: `link.yaml` was not edited. (it is a symbolic link",
        "error file-unreadable: `none.yaml` was not edited.",
        "error file-unreadable: `.` was not edited.",
    ];
    assert_eq!(output.lines().count(), heads.len(), "{output}");
    for (line, head) in output.lines().zip(heads) {
        assert!(line.starts_with(head), "{line}\n{head}");
    }
    assert_eq!(folder.read("values.yaml"), VALUES);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 7, "something was left behind");
}

#[test]
fn contradictory_options_are_rejected() {
    let folder = EditFolder::new();
    for (words, wanted) in [
        (&["values.yaml"][..], "<--tag <TAG>|--digest <DIGEST>>"),
        (&["--tag", "v2"], "<FILES>..."),
        (&["--tag", "v 2", "values.yaml"], "The option --tag is not valid."),
        (&["--tag", "", "values.yaml"], "The option --tag is not valid."),
        (&["--tag", "v2@sha256:00", "values.yaml"], "The option --tag is not valid."),
        (&["--digest", "sha256:00", "values.yaml"], "The option --digest is not valid."),
    ] {
        let (code, output) = folder.edit(words);
        assert_eq!(code, 2, "{output}");
        assert!(output.contains(wanted), "{output}");
    }
    assert_eq!(folder.read("values.yaml"), VALUES);
}

#[test]
fn file_content_is_never_a_workflow_command() {
    let folder = EditFolder::new();
    folder.write("values.yaml", "\"a\\n::error::x\": {image: {repository: reg.io:5000/acme/app, tag: \"v1\\n::set-env name=A::b\"}}\n");
    let (code, output) = folder.edit(&["--tag", "v2", "values.yaml"]);
    assert_eq!((code, output.lines().count()), (0, 1), "{output}");
    assert!(!output.contains("\n::") && !output.contains("##["), "{output}");
}

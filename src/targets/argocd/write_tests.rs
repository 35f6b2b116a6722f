//! Wishes on files as they are: who may write over whom, and what is already there.

use jiff::Timestamp;

use super::intent::samples::intent;
use super::intent::{Expect, Intent, Operation};
use super::record::Entry;
use super::write::{Applied, Tree, apply, canonical, preview};
use crate::release::ImageRef;
use crate::targets::RunNumber;

fn image(text: &str) -> ImageRef {
    text.parse().unwrap()
}

/// The kustomization of `app` with this tag.
fn tree(tag: &str) -> Tree {
    let text = format!("# of the shop\nimages:\n  - name: acme/app # ours\n    newTag: \"{tag}\"\n");
    Tree::from([("apps/app/kustomization.yaml".into(), text.into_bytes())])
}

fn entry(oid: &str, tag: &str, run: u64, operation: Operation) -> Entry {
    Entry {
        oid: oid.into(),
        at: Timestamp::UNIX_EPOCH,
        image: image(&format!("acme/app:{tag}")),
        digest: None,
        previous: None,
        source: None,
        run: Some(RunNumber { id: run, attempt: 1 }),
        operation,
        undoes: None,
    }
}

/// The plan was made when `1.2` stood there.
fn release(tag: &str) -> Intent {
    intent("app", &format!("acme/app:{tag}"))
}

fn word(applied: &Applied) -> String {
    match applied {
        Applied::Edited { written, .. } => format!("write {written}"),
        Applied::Stands => "stands".into(),
        Applied::Overtaken(by) => format!("overtaken by {by}"),
        Applied::Broken(problem) => problem.to_string(),
    }
}

#[test]
fn newest_wins_whoever_comes_first() {
    use Operation::{Deploy, Undo};
    let none: &[Entry] = &[];
    let rows = [
        ("as planned", tree("1.2"), none.to_vec(), "write acme/app:1.3"),
        ("there already", tree("1.3"), none.to_vec(), "stands"),
        ("a person wrote", tree("9"), none.to_vec(), "overtaken by somebody wrote acme/app:9 there"),
        ("an older run wrote", tree("1.1"), vec![entry("a1", "1.1", 69, Deploy)], "write acme/app:1.3"),
        (
            "a newer run wrote",
            tree("1.4"),
            vec![entry("a1", "1.4", 71, Deploy)],
            "overtaken by run 71, commit a1",
        ),
        (
            "a newer run wrote what we planned on",
            tree("1.2"),
            vec![entry("a1", "1.2", 71, Deploy)],
            "overtaken by run 71, commit a1",
        ),
        (
            "a newer run wrote the same",
            tree("1.3"),
            vec![entry("a1", "1.3", 71, Deploy)],
            "overtaken by run 71, commit a1",
        ),
        ("our other attempt wrote it", tree("1.3"), vec![entry("a1", "1.3", 70, Deploy)], "stands"),
        (
            "a person wrote over an older run",
            tree("9"),
            vec![entry("a1", "1.1", 69, Deploy)],
            "overtaken by somebody wrote acme/app:9 there",
        ),
        (
            "we wrote it, and then a person did",
            tree("9"),
            vec![entry("a1", "1.3", 70, Deploy)],
            "overtaken by somebody wrote acme/app:9 there",
        ),
        (
            "we wrote it and took it back",
            tree("1.2"),
            vec![entry("b1", "1.2", 70, Undo)],
            "write acme/app:1.3",
        ),
        ("an older run took back", tree("1.1"), vec![entry("b1", "1.1", 69, Undo)], "write acme/app:1.3"),
    ];
    for (case, tree, entries, expected) in rows {
        assert_eq!(word(&apply(&tree, &entries, &release("1.3"))), expected, "{case}");
    }
}

#[test]
fn only_what_is_ours_is_taken_back() {
    let back = |expect| Intent { expect, operation: Operation::Undo, ..release("1.2") };
    let ours = || Expect::Ours(image("acme/app:1.3"));
    let rows = [
        (ours(), tree("1.3"), vec![], "write acme/app:1.2"),
        (ours(), tree("1.2"), vec![], "stands"),
        (ours(), tree("1.4"), vec![], "overtaken by somebody wrote acme/app:1.4 there"),
        (
            Expect::OursByRecord,
            tree("1.3"),
            vec![entry("a1", "1.3", 70, Operation::Deploy)],
            "write acme/app:1.2",
        ),
        (
            Expect::OursByRecord,
            tree("1.3"),
            vec![entry("a1", "1.3", 69, Operation::Deploy)],
            "overtaken by commit a1",
        ),
        (Expect::OursByRecord, tree("1.3"), vec![], "overtaken by somebody wrote acme/app:1.3 there"),
    ];
    for (expect, tree, entries, expected) in rows {
        assert_eq!(word(&apply(&tree, &entries, &back(expect.clone()))), expected, "{expect:?}");
    }
}

#[test]
fn nothing_but_the_value_changes() {
    let Applied::Edited { files, .. } = apply(&tree("1.2"), &[], &release("1.3")) else { panic!() };
    let text = String::from_utf8(files["apps/app/kustomization.yaml"].clone()).unwrap();
    assert_eq!(text, "# of the shop\nimages:\n  - name: acme/app # ours\n    newTag: \"1.3\"\n");
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let problem = preview(&Tree::new(), &release("1.3")).unwrap_err();
    assert!(problem.sentence.contains("apps/app/kustomization.yaml"), "{problem}");
}

#[test]
fn the_image_with_a_digest_speaks_for_all() {
    let pinned = image(&format!("acme/app:1@sha256:{}", "a".repeat(64)));
    let all = [None, Some(image("acme/app:1")), Some(pinned.clone())];
    assert_eq!(canonical(&all), Some(pinned));
    assert_eq!(canonical(&all[..2]), Some(image("acme/app:1")));
    assert_eq!(canonical(&[None]), None);
}

//! Edits on current files: which run may overwrite which, and images that are already there.

use jiff::Timestamp;

use super::image_edit::fixtures::image_edit;
use super::image_edit::{EditKind, ImageEdit, Precondition};
use super::trailers::EditRecord;
use super::write::{EditOutcome, FileTree, apply_edit, canonical_image, preview_edit};
use crate::release::ImageRef;
use crate::targets::RunNumber;

fn image(text: &str) -> ImageRef {
    text.parse().unwrap()
}

/// The kustomization of `app` with this tag.
fn files(tag: &str) -> FileTree {
    let text = format!("# of the shop\nimages:\n  - name: acme/app # ours\n    newTag: \"{tag}\"\n");
    FileTree::from([("apps/app/kustomization.yaml".into(), text.into_bytes())])
}

fn record(oid: &str, tag: &str, run: u64, operation: EditKind) -> EditRecord {
    EditRecord {
        oid: oid.into(),
        committed_at: Timestamp::UNIX_EPOCH,
        image: image(&format!("acme/app:{tag}")),
        digest: None,
        previous_image: None,
        source_commit: None,
        run: Some(RunNumber { id: run, attempt: 1 }),
        kind: operation,
        reverts_commit: None,
    }
}

/// The plan was made when the files had `1.2`.
fn edit(tag: &str) -> ImageEdit {
    image_edit("app", &format!("acme/app:{tag}"))
}

fn outcome_text(applied: &EditOutcome) -> String {
    match applied {
        EditOutcome::Edited { image: written, .. } => format!("write {written}"),
        EditOutcome::AlreadyWritten => "unchanged".into(),
        EditOutcome::Superseded(by) => format!("superseded by {by}"),
        EditOutcome::Invalid(problem) => problem.to_string(),
    }
}

#[test]
fn apply_edit_newest_run_wins() {
    use EditKind::{AutoRollback, Deploy};
    let none: &[EditRecord] = &[];
    let rows = [
        ("as planned", files("1.2"), none.to_vec(), "write acme/app:1.3"),
        ("there already", files("1.3"), none.to_vec(), "unchanged"),
        ("another writer wrote", files("9"), none.to_vec(), "superseded by another writer set acme/app:9"),
        ("an older run wrote", files("1.1"), vec![record("a1", "1.1", 69, Deploy)], "write acme/app:1.3"),
        (
            "a newer run wrote",
            files("1.4"),
            vec![record("a1", "1.4", 71, Deploy)],
            "superseded by run 71, commit a1",
        ),
        (
            "a newer run wrote what we planned on",
            files("1.2"),
            vec![record("a1", "1.2", 71, Deploy)],
            "superseded by run 71, commit a1",
        ),
        (
            "a newer run wrote the same",
            files("1.3"),
            vec![record("a1", "1.3", 71, Deploy)],
            "superseded by run 71, commit a1",
        ),
        ("our other attempt wrote it", files("1.3"), vec![record("a1", "1.3", 70, Deploy)], "unchanged"),
        (
            "another writer overwrote an older run",
            files("9"),
            vec![record("a1", "1.1", 69, Deploy)],
            "superseded by another writer set acme/app:9",
        ),
        (
            "this run wrote it, and then another writer did",
            files("9"),
            vec![record("a1", "1.3", 70, Deploy)],
            "superseded by another writer set acme/app:9",
        ),
        (
            "this run wrote it and rolled it back",
            files("1.2"),
            vec![record("b1", "1.2", 70, AutoRollback)],
            "write acme/app:1.3",
        ),
        (
            "an older run rolled back",
            files("1.1"),
            vec![record("b1", "1.1", 69, AutoRollback)],
            "write acme/app:1.3",
        ),
    ];
    for (case, tree, entries, expected) in rows {
        assert_eq!(outcome_text(&apply_edit(&tree, &entries, &edit("1.3"))), expected, "{case}");
    }
}

#[test]
fn apply_edit_rolls_back_only_our_image() {
    let back = |expect| ImageEdit { precondition: expect, kind: EditKind::AutoRollback, ..edit("1.2") };
    let ours = || Precondition::OurImage(image("acme/app:1.3"));
    let rows = [
        (ours(), files("1.3"), vec![], "write acme/app:1.2"),
        (ours(), files("1.2"), vec![], "unchanged"),
        (ours(), files("1.4"), vec![], "superseded by another writer set acme/app:1.4"),
        (
            Precondition::OurLastEdit,
            files("1.3"),
            vec![record("a1", "1.3", 70, EditKind::Deploy)],
            "write acme/app:1.2",
        ),
        (
            Precondition::OurLastEdit,
            files("1.3"),
            vec![record("a1", "1.3", 69, EditKind::Deploy)],
            "superseded by commit a1",
        ),
        (Precondition::OurLastEdit, files("1.3"), vec![], "superseded by another writer set acme/app:1.3"),
    ];
    for (expect, tree, entries, expected) in rows {
        assert_eq!(outcome_text(&apply_edit(&tree, &entries, &back(expect.clone()))), expected, "{expect:?}");
    }
}

#[test]
fn apply_edit_changes_only_the_value() {
    let EditOutcome::Edited { files, .. } = apply_edit(&files("1.2"), &[], &edit("1.3")) else { panic!() };
    let text = String::from_utf8(files["apps/app/kustomization.yaml"].clone()).unwrap();
    assert_eq!(text, "# of the shop\nimages:\n  - name: acme/app # ours\n    newTag: \"1.3\"\n");
}

#[test]
fn preview_edit_missing_file_is_named() {
    let problem = preview_edit(&FileTree::new(), &edit("1.3")).unwrap_err();
    assert!(problem.sentence.contains("apps/app/kustomization.yaml"), "{problem}");
}

#[test]
fn canonical_image_prefers_a_digest() {
    let pinned = image(&format!("acme/app:1@sha256:{}", "a".repeat(64)));
    let all = [None, Some(image("acme/app:1")), Some(pinned.clone())];
    assert_eq!(canonical_image(&all), Some(pinned));
    assert_eq!(canonical_image(&all[..2]), Some(image("acme/app:1")));
    assert_eq!(canonical_image(&[None]), None);
}

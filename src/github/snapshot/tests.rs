//! The query of a snapshot, and what its answers mean.

use super::*;

fn paths(of: &[&str]) -> Vec<String> {
    of.iter().map(|path| (*path).to_owned()).collect()
}

#[test]
fn user_text_is_in_the_variables_and_never_in_the_query() {
    let odd = "x\"){id}} #";
    let (document, variables) =
        query(&format!("acme/{odd}"), SnapshotStart::Branch(odd), &paths(&["a.yaml", odd]), 20);
    insta::assert_snapshot!(document, @"query Snapshot($owner:String!,$name:String!,$ref:String!,$depth:Int!,$p0:String!,$p1:String!){repository(owner:$owner,name:$name){isArchived viewerPermission ref(qualifiedName:$ref){name refUpdateRule{viewerCanPush} target{...on Commit{oid f0:file(path:$p0){mode type object{...on Blob{oid byteSize text}}} h0:history(first:$depth,path:$p0){nodes{oid message committedDate}} f1:file(path:$p1){mode type object{...on Blob{oid byteSize text}}} h1:history(first:$depth,path:$p1){nodes{oid message committedDate}}}}}}}");
    assert_eq!(
        variables,
        json!({"owner": "acme", "name": odd, "ref": format!("refs/heads/{odd}"), "depth": 20, "p0": "a.yaml", "p1": odd})
    );
    let (document, variables) = query("acme/shop", SnapshotStart::Commit("c0ffee1"), &paths(&["a"]), 0);
    insta::assert_snapshot!(document, @"query Snapshot($owner:String!,$name:String!,$oid:GitObjectID!,$p0:String!){repository(owner:$owner,name:$name){isArchived viewerPermission object(oid:$oid){...on Commit{oid f0:file(path:$p0){mode type object{...on Blob{oid byteSize text}}}}}}}");
    assert_eq!(variables, json!({"owner": "acme", "name": "shop", "oid": "c0ffee1", "p0": "a"}));
    let (document, _) = query("acme/shop", SnapshotStart::DefaultBranch, &[], 5);
    assert!(document.contains("defaultBranchRef{name") && !document.contains("$depth"), "{document}");
}

fn blob(text: &str) -> Value {
    json!({"oid": blob_oid(text.as_bytes()), "byteSize": text.len(), "text": text})
}

fn entry(mode: u64, kind: &str, object: Value) -> Value {
    json!({ "mode": mode, "type": kind, "object": object })
}

fn parse_with(files: Value, errors: &[GraphqlError]) -> Result<SnapshotPage, ApiError> {
    let mut commit = json!({ "oid": "c0ffee1" });
    commit.as_object_mut().unwrap().extend(files.as_object().unwrap().clone());
    let reference = json!({ "name": "main", "refUpdateRule": null, "target": commit });
    let data = json!({"repository": {"isArchived": false, "viewerPermission": "WRITE", "ref": reference}});
    parse_page(&data, errors, SnapshotStart::Branch("main"), &paths(&["a", "b"]))
}

#[test]
fn text_is_used_only_when_it_matches_the_blob() {
    let whole = "\u{feff}a: 1\r\nb: ü";
    let mut other = blob("x\n");
    other["text"] = json!("x");
    let part = parse_with(
        json!({"f0": entry(0o100_644, "blob", blob(whole)), "f1": entry(0o100_755, "blob", other)}),
        &[],
    )
    .unwrap();
    assert_eq!((part.branch.as_str(), part.head.as_str(), part.can_push), ("main", "c0ffee1", Some(true)));
    let file = RepositoryFile { mode: FileMode::Regular, bytes: whole.into() };
    assert_eq!(part.files[0], ("a".into(), FoundFile::Complete(file)));
    let missing = FoundFile::BlobOnly { mode: FileMode::Executable, oid: blob_oid(b"x\n") };
    assert_eq!(part.files[1], ("b".into(), missing));
    // As computed by `git hash-object`.
    assert_eq!(blob_oid(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    let mut binary = blob("x");
    binary["text"] = Value::Null;
    let part = parse_with(json!({"f0": entry(0o100_664, "blob", binary)}), &[]).unwrap();
    assert_eq!(
        part.files,
        [("a".into(), FoundFile::BlobOnly { mode: FileMode::Regular, oid: blob_oid(b"x") })]
    );
}

#[test]
fn folders_links_and_submodules_are_rejected_with_a_reason() {
    let large = json!({"oid": "x", "byteSize": MAX_FILE_BYTES + 1, "text": null});
    for (entry, reason) in [
        (entry(0o120_000, "blob", blob("../x")), "a symbolic link"),
        (entry(0o160_000, "commit", Value::Null), "a submodule"),
        (entry(0o040_000, "tree", json!({})), "a folder"),
        (entry(0o100_644, "blob", large), "bytes large"),
    ] {
        let Err(ApiError::Rejected(why)) = parse_with(json!({ "f0": entry }), &[]) else {
            panic!("{reason}")
        };
        assert!(why.starts_with("`a` is") && why.contains(reason), "{why}");
    }
    let untold = parse_with(json!({"f0": entry(0o100_644, "blob", json!({}))}), &[]);
    assert!(matches!(untold, Err(ApiError::Transient(_))), "{untold:?}");
}

fn graphql_error(kind: &str, field: &str) -> GraphqlError {
    GraphqlError { kind: kind.into(), field: field.into(), message: "GitHub's words".into() }
}

#[test]
fn missing_file_and_withheld_permission_hint_are_no_error() {
    let errors = [
        graphql_error("NOT_FOUND", "f0"),
        graphql_error("FORBIDDEN", "viewerPermission"),
        graphql_error("FORBIDDEN", "refUpdateRule"),
    ];
    assert_eq!(parse_with(json!({"f0": null, "f1": null}), &errors).unwrap().files, []);
    let of = |error| parse_with(json!({}), &[error]).unwrap_err();
    assert_eq!(of(graphql_error("NOT_FOUND", "repository")), ApiError::NotFound("the repository".into()));
    assert_eq!(of(graphql_error("FORBIDDEN", "f0")), ApiError::Forbidden("GitHub's words".into()));
    assert_eq!(of(graphql_error("", "")), ApiError::Rejected("GitHub's words".into()));
}

#[test]
fn missing_resource_is_named() {
    let missing = |repository: Value, start| {
        let data = json!({ "repository": repository });
        let Err(ApiError::NotFound(what)) = parse_page(&data, &[], start, &[]) else { panic!() };
        what
    };
    assert_eq!(missing(Value::Null, SnapshotStart::DefaultBranch), "the repository");
    assert_eq!(missing(json!({"defaultBranchRef": null}), SnapshotStart::DefaultBranch), "a first commit");
    assert_eq!(missing(json!({"ref": null}), SnapshotStart::Branch("x")), "the branch `x`");
    assert_eq!(missing(json!({"object": null}), SnapshotStart::Commit("c0ffee1")), "the commit `c0ffee1`");
}

#[test]
fn can_push_is_only_what_github_reports() {
    let of = |role: Value, rule: Value| {
        can_push(&json!({ "viewerPermission": role }), &json!({ "refUpdateRule": rule }))
    };
    assert_eq!(of(json!("WRITE"), Value::Null), Some(true));
    assert_eq!(of(json!("ADMIN"), json!({"viewerCanPush": false})), Some(false));
    assert_eq!(of(json!("READ"), json!({"viewerCanPush": true})), Some(false));
    assert_eq!(of(Value::Null, json!({"viewerCanPush": true})), None);
}

#[test]
fn merged_history_keeps_the_order_of_each_path() {
    let commit = |oid: &str, second: i64, path: &str| HistoryCommit {
        oid: oid.into(),
        message: "m".into(),
        committed_at: Timestamp::from_second(second).unwrap(),
        paths: vec![path.into()],
    };
    let a = vec![commit("e", 50, "a"), commit("c", 30, "a"), commit("a", 10, "a")];
    // The clock of `d` is ahead, and it still comes after `c`, which precedes it here.
    let b = vec![commit("c", 30, "b"), commit("d", 60, "b"), commit("a", 10, "b")];
    let all = merge_histories(vec![a, b, vec![]]);
    let order: Vec<(&str, usize)> = all.iter().map(|c| (c.oid.as_str(), c.paths.len())).collect();
    assert_eq!(order, [("e", 1), ("c", 2), ("d", 1), ("a", 2)]);
    // Orders that contradict each other end as well.
    let (x, y) = (commit("x", 1, "a"), commit("y", 2, "a"));
    assert_eq!(merge_histories(vec![vec![x.clone(), y.clone()], vec![y, x]]).len(), 3);
}

#[test]
fn invalid_query_is_rejected() {
    let good = SnapshotQuery {
        repository: "acme/shop".into(),
        branch: Some("main".into()),
        paths: paths(&["a/b.yaml"]),
        history_depth: 1,
    };
    assert_eq!(validate(&good), Ok(()));
    for odd in [
        SnapshotQuery { repository: "acme".into(), ..good.clone() },
        SnapshotQuery { branch: Some("a..b".into()), ..good.clone() },
        SnapshotQuery { paths: paths(&["../x"]), ..good.clone() },
    ] {
        assert!(matches!(validate(&odd), Err(ApiError::Rejected(_))), "{odd:?}");
    }
}

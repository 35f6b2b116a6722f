//! A branch as it is at one moment: its head, some files, and the commits that touched them. The question, and what its
//! answer says. Pure: text of users is in the variables, never in the document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::names;
use super::reply::{self, Aim, Complaint};
use super::setback::Setback;

/// So many paths are asked for at once.
pub const CHUNK: usize = 50;
/// The largest file that is read or written, in bytes.
pub const LARGEST: u64 = 8 << 20;

/// What is to be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// owner/name.
    pub repository: String,
    /// Its name without `refs/heads/`; `None` is the repository's default branch.
    pub branch: Option<String>,
    /// Files, relative to the root of the repository.
    pub paths: Vec<String>,
    /// How many commits of each path are wanted; at most 100.
    pub depth: usize,
}

/// What a branch is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name, also where the default branch was asked for.
    pub branch: String,
    /// The commit that it points to.
    pub head: String,
    /// The wanted files that exist, by path.
    pub files: BTreeMap<String, File>,
    /// The newest commits that touched the wanted files, newest first.
    pub history: Vec<PastCommit>,
    /// Whether the token may push to the branch, as far as GitHub says so beforehand. A hint: the answer to the commit
    /// is what counts.
    pub can_push: Option<bool>,
    /// Whether the repository is archived: then nobody can write to it.
    pub archived: bool,
}

/// A file, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Whether it can be executed.
    pub mode: Mode,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The mode of a plain file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// 100644.
    #[default]
    Plain,
    /// 100755.
    Executable,
}

impl Mode {
    /// As Git writes it.
    pub fn octal(self) -> &'static str {
        match self {
            Self::Plain => "100644",
            Self::Executable => "100755",
        }
    }
}

/// A commit that touched wanted files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCommit {
    /// Its name, in full.
    pub oid: String,
    /// The whole message.
    pub message: String,
    /// When it was committed.
    pub at: Timestamp,
    /// The wanted paths that it touched, as far as they are among the newest commits of their path.
    pub paths: Vec<String>,
}

/// Where the question starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// The default branch.
    Default,
    /// A branch.
    Branch(&'a str),
    /// A commit.
    Commit(&'a str),
}

/// What an answer says about some of the paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The branch; empty where a commit was asked for.
    pub branch: String,
    /// The commit.
    pub head: String,
    /// As in [`Snapshot`].
    pub can_push: Option<bool>,
    /// As in [`Snapshot`].
    pub archived: bool,
    /// Every path that exists.
    pub files: Vec<(String, Found)>,
    /// The commits of each path, newest first.
    pub histories: Vec<Vec<PastCommit>>,
}

/// A file in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Its bytes are proven to be those of the blob.
    Whole(File),
    /// The answer does not have its bytes.
    Blob {
        /// Its mode.
        mode: Mode,
        /// The name of the blob.
        oid: String,
    },
}

/// Checks what becomes part of a question.
pub fn valid(wanted: &Wanted) -> Result<(), Setback> {
    let branch = wanted.branch.as_deref().map_or(Ok(""), names::branch);
    let paths = wanted.paths.iter().try_for_each(|path| names::path(path).map(drop));
    names::repository(&wanted.repository).map(drop).and(branch.map(drop)).and(paths).map_err(Setback::Refused)
}

/// The document and its variables.
pub fn question(repository: &str, start: Start<'_>, paths: &[String], depth: usize) -> (String, Value) {
    let (owner, name) = repository.split_once('/').unwrap_or_default();
    let mut variables = Map::from_iter([("owner".into(), json!(owner)), ("name".into(), json!(name))]);
    let mut head = "$owner:String!,$name:String!".to_owned();
    let (opening, closing) = match start {
        Start::Default => ("defaultBranchRef{name refUpdateRule{viewerCanPush} target{", "}}"),
        Start::Branch(branch) => {
            variables.insert("ref".into(), json!(format!("refs/heads/{branch}")));
            head += ",$ref:String!";
            ("ref(qualifiedName:$ref){name refUpdateRule{viewerCanPush} target{", "}}")
        }
        Start::Commit(oid) => {
            variables.insert("oid".into(), json!(oid));
            head += ",$oid:GitObjectID!";
            ("object(oid:$oid){", "}")
        }
    };
    let mut fields = String::from("oid");
    if depth > 0 && !paths.is_empty() {
        variables.insert("depth".into(), json!(depth.min(100)));
        head += ",$depth:Int!";
    }
    for (index, path) in paths.iter().enumerate() {
        variables.insert(format!("p{index}"), json!(path));
        let _ = write!(head, ",$p{index}:String!");
        let blob = "object{...on Blob{oid byteSize text}}";
        let _ = write!(fields, " f{index}:file(path:$p{index}){{mode type {blob}}}");
        if depth > 0 {
            let nodes = "nodes{oid message committedDate}";
            let _ = write!(fields, " h{index}:history(first:$depth,path:$p{index}){{{nodes}}}");
        }
    }
    let about = "isArchived viewerPermission";
    let document = format!(
        "query Snapshot({head}){{repository(owner:$owner,name:$name){{{about} {opening}...on Commit{{{fields}}}{closing}}}}}"
    );
    (document, Value::Object(variables))
}

/// Reads an answer to [`question`].
pub fn read(
    data: &Value,
    complaints: &[Complaint],
    start: Start<'_>,
    paths: &[String],
) -> Result<Part, Setback> {
    if let Some(complaint) = complaints.iter().find(|complaint| !is_bearable(complaint)) {
        return Err(reply::named(reply::verdict(complaint, Aim::Read), "the repository"));
    }
    let repository = &data["repository"];
    if repository.is_null() {
        return Err(Setback::Missing("the repository".into()));
    }
    let (reference, commit, noun) = match start {
        Start::Default => {
            let at = &repository["defaultBranchRef"];
            (at, &at["target"], "a first commit".to_owned())
        }
        Start::Branch(name) => {
            (&repository["ref"], &repository["ref"]["target"], format!("the branch `{name}`"))
        }
        Start::Commit(oid) => (&Value::Null, &repository["object"], format!("the commit `{oid}`")),
    };
    let head = commit["oid"].as_str().ok_or(Setback::Missing(noun))?;
    let (mut files, mut histories) = (Vec::new(), Vec::new());
    for (index, path) in paths.iter().enumerate() {
        if let Some(found) = file(path, &commit[format!("f{index}")])? {
            files.push((path.clone(), found));
        }
        histories.push(history(path, &commit[format!("h{index}")]));
    }
    Ok(Part {
        branch: reference["name"].as_str().unwrap_or_default().to_owned(),
        head: head.to_owned(),
        can_push: can_push(repository, reference),
        archived: repository["isArchived"].as_bool().unwrap_or_default(),
        files,
        histories,
    })
}

/// A missing file is a complaint beside the data, and so is a hint that this token may not have.
fn is_bearable(complaint: &Complaint) -> bool {
    let hint = ["viewerPermission", "refUpdateRule", "viewerCanPush"].contains(&complaint.field.as_str());
    let number = complaint.field.strip_prefix('f').filter(|number| !number.is_empty());
    let file = number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
    let missing = complaint.kind == "NOT_FOUND" || complaint.message.starts_with("Could not resolve file");
    hint || file && missing
}

fn can_push(repository: &Value, reference: &Value) -> Option<bool> {
    let role = match repository["viewerPermission"].as_str()? {
        "ADMIN" | "MAINTAIN" | "WRITE" => true,
        "READ" | "TRIAGE" => false,
        _ => return None,
    };
    Some(role && reference["refUpdateRule"]["viewerCanPush"].as_bool().unwrap_or(true))
}

/// What stands at a path; `None` where nothing does.
fn file(path: &str, entry: &Value) -> Result<Option<Found>, Setback> {
    let Some(mode) = entry["mode"].as_u64() else { return Ok(None) };
    let refuse = |what: &str| Err(Setback::Refused(format!("`{path}` is {what}.")));
    let mode = match (entry["type"].as_str(), mode) {
        (Some("tree"), _) | (_, 0o040_000) => return refuse("a folder"),
        (Some("commit"), _) | (_, 0o160_000) => return refuse("a submodule"),
        (_, 0o120_000) => return refuse("a symbolic link"),
        (_, mode) if mode & 0o111 != 0 => Mode::Executable,
        _ => Mode::Plain,
    };
    let blob = &entry["object"];
    let (Some(oid), Some(size)) = (blob["oid"].as_str(), blob["byteSize"].as_u64()) else {
        return Err(Setback::Passing(format!("the answer says nothing about what `{path}` is")));
    };
    if size > LARGEST {
        return refuse(&format!("{size} bytes large; {LARGEST} are the most that is read"));
    }
    let text = blob["text"].as_str().filter(|text| blob_oid(text.as_bytes()) == oid);
    Ok(Some(match text {
        Some(text) => Found::Whole(File { mode, bytes: text.as_bytes().to_vec() }),
        None => Found::Blob { mode, oid: oid.to_owned() },
    }))
}

/// The name that Git gives to bytes. Text that went through another encoding does not have it.
pub fn blob_oid(bytes: &[u8]) -> String {
    use sha1::Digest as _;
    let mut hash = sha1::Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hex::encode(hash.finalize())
}

fn history(path: &str, history: &Value) -> Vec<PastCommit> {
    let commit = |node: &Value| {
        Some(PastCommit {
            oid: node["oid"].as_str()?.to_owned(),
            message: node["message"].as_str().unwrap_or_default().to_owned(),
            at: node["committedDate"].as_str()?.parse().ok()?,
            paths: vec![path.to_owned()],
        })
    };
    history["nodes"].as_array().into_iter().flatten().filter_map(commit).collect()
}

/// The histories of several paths as one: each keeps its own order, and between them the later commit comes first. A
/// commit that touched several paths is there once.
pub fn merged(mut histories: Vec<Vec<PastCommit>>) -> Vec<PastCommit> {
    histories.iter_mut().for_each(|history| history.reverse());
    let mut all: Vec<PastCommit> = Vec::new();
    loop {
        let later = |oid: &str| {
            let below =
                |history: &Vec<PastCommit>| history.iter().rev().skip(1).any(|commit| commit.oid == oid);
            histories.iter().any(below)
        };
        let heads = || histories.iter().filter_map(|history| history.last());
        let free = heads().filter(|commit| !later(&commit.oid)).max_by_key(|commit| commit.at);
        let Some(next) = free.or_else(|| heads().max_by_key(|commit| commit.at)).cloned() else { return all };
        let mut paths = Vec::new();
        for history in &mut histories {
            if let Some(commit) = history.pop_if(|commit| commit.oid == next.oid) {
                paths.extend(commit.paths);
            }
        }
        all.push(PastCommit { paths, ..next });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(of: &[&str]) -> Vec<String> {
        of.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn text_of_users_is_in_the_variables_and_never_in_the_document() {
        let odd = "x\"){id}} #";
        let (document, variables) =
            question(&format!("acme/{odd}"), Start::Branch(odd), &paths(&["a.yaml", odd]), 20);
        insta::assert_snapshot!(document, @"query Snapshot($owner:String!,$name:String!,$ref:String!,$depth:Int!,$p0:String!,$p1:String!){repository(owner:$owner,name:$name){isArchived viewerPermission ref(qualifiedName:$ref){name refUpdateRule{viewerCanPush} target{...on Commit{oid f0:file(path:$p0){mode type object{...on Blob{oid byteSize text}}} h0:history(first:$depth,path:$p0){nodes{oid message committedDate}} f1:file(path:$p1){mode type object{...on Blob{oid byteSize text}}} h1:history(first:$depth,path:$p1){nodes{oid message committedDate}}}}}}}");
        assert_eq!(
            variables,
            json!({"owner": "acme", "name": odd, "ref": format!("refs/heads/{odd}"), "depth": 20, "p0": "a.yaml", "p1": odd})
        );
        let (document, variables) = question("acme/shop", Start::Commit("c0ffee1"), &paths(&["a"]), 0);
        insta::assert_snapshot!(document, @"query Snapshot($owner:String!,$name:String!,$oid:GitObjectID!,$p0:String!){repository(owner:$owner,name:$name){isArchived viewerPermission object(oid:$oid){...on Commit{oid f0:file(path:$p0){mode type object{...on Blob{oid byteSize text}}}}}}}");
        assert_eq!(variables, json!({"owner": "acme", "name": "shop", "oid": "c0ffee1", "p0": "a"}));
        let (document, _) = question("acme/shop", Start::Default, &[], 5);
        assert!(document.contains("defaultBranchRef{name") && !document.contains("$depth"), "{document}");
    }

    fn blob(text: &str) -> Value {
        json!({"oid": blob_oid(text.as_bytes()), "byteSize": text.len(), "text": text})
    }

    fn entry(mode: u64, kind: &str, object: Value) -> Value {
        json!({ "mode": mode, "type": kind, "object": object })
    }

    fn seen(files: Value, complaints: &[Complaint]) -> Result<Part, Setback> {
        let mut commit = json!({ "oid": "c0ffee1" });
        commit.as_object_mut().unwrap().extend(files.as_object().unwrap().clone());
        let reference = json!({ "name": "main", "refUpdateRule": null, "target": commit });
        let data =
            json!({"repository": {"isArchived": false, "viewerPermission": "WRITE", "ref": reference}});
        read(&data, complaints, Start::Branch("main"), &paths(&["a", "b"]))
    }

    #[test]
    fn bytes_are_taken_only_when_they_are_those_of_the_blob() {
        let whole = "\u{feff}a: 1\r\nb: ü";
        let mut other = blob("x\n");
        other["text"] = json!("x");
        let part = seen(
            json!({"f0": entry(0o100_644, "blob", blob(whole)), "f1": entry(0o100_755, "blob", other)}),
            &[],
        )
        .unwrap();
        assert_eq!(
            (part.branch.as_str(), part.head.as_str(), part.can_push),
            ("main", "c0ffee1", Some(true))
        );
        let file = File { mode: Mode::Plain, bytes: whole.into() };
        assert_eq!(part.files[0], ("a".into(), Found::Whole(file)));
        let missing = Found::Blob { mode: Mode::Executable, oid: blob_oid(b"x\n") };
        assert_eq!(part.files[1], ("b".into(), missing));
        // As `git hash-object` says.
        assert_eq!(blob_oid(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        let mut binary = blob("x");
        binary["text"] = Value::Null;
        let part = seen(json!({"f0": entry(0o100_664, "blob", binary)}), &[]).unwrap();
        assert_eq!(part.files, [("a".into(), Found::Blob { mode: Mode::Plain, oid: blob_oid(b"x") })]);
    }

    #[test]
    fn what_is_no_plain_file_is_refused_with_its_reason() {
        let large = json!({"oid": "x", "byteSize": LARGEST + 1, "text": null});
        for (entry, reason) in [
            (entry(0o120_000, "blob", blob("../x")), "a symbolic link"),
            (entry(0o160_000, "commit", Value::Null), "a submodule"),
            (entry(0o040_000, "tree", json!({})), "a folder"),
            (entry(0o100_644, "blob", large), "bytes large"),
        ] {
            let Err(Setback::Refused(why)) = seen(json!({ "f0": entry }), &[]) else { panic!("{reason}") };
            assert!(why.starts_with("`a` is") && why.contains(reason), "{why}");
        }
        let untold = seen(json!({"f0": entry(0o100_644, "blob", json!({}))}), &[]);
        assert!(matches!(untold, Err(Setback::Passing(_))), "{untold:?}");
    }

    fn complaint(kind: &str, field: &str) -> Complaint {
        Complaint { kind: kind.into(), field: field.into(), message: "GitHub's words".into() }
    }

    #[test]
    fn a_missing_file_and_a_hint_that_is_withheld_are_no_setback() {
        let complaints = [
            complaint("NOT_FOUND", "f0"),
            complaint("FORBIDDEN", "viewerPermission"),
            complaint("FORBIDDEN", "refUpdateRule"),
        ];
        assert_eq!(seen(json!({"f0": null, "f1": null}), &complaints).unwrap().files, []);
        let of = |complaint| seen(json!({}), &[complaint]).unwrap_err();
        assert_eq!(of(complaint("NOT_FOUND", "repository")), Setback::Missing("the repository".into()));
        assert_eq!(of(complaint("FORBIDDEN", "f0")), Setback::Forbidden("GitHub's words".into()));
        assert_eq!(of(complaint("", "")), Setback::Refused("GitHub's words".into()));
    }

    #[test]
    fn what_is_not_there_has_a_name() {
        let missing = |repository: Value, start| {
            let data = json!({ "repository": repository });
            let Err(Setback::Missing(what)) = read(&data, &[], start, &[]) else { panic!() };
            what
        };
        assert_eq!(missing(Value::Null, Start::Default), "the repository");
        assert_eq!(missing(json!({"defaultBranchRef": null}), Start::Default), "a first commit");
        assert_eq!(missing(json!({"ref": null}), Start::Branch("x")), "the branch `x`");
        assert_eq!(missing(json!({"object": null}), Start::Commit("c0ffee1")), "the commit `c0ffee1`");
    }

    #[test]
    fn the_right_to_push_is_only_what_github_says() {
        let of = |role: Value, rule: Value| {
            can_push(&json!({ "viewerPermission": role }), &json!({ "refUpdateRule": rule }))
        };
        assert_eq!(of(json!("WRITE"), Value::Null), Some(true));
        assert_eq!(of(json!("ADMIN"), json!({"viewerCanPush": false})), Some(false));
        assert_eq!(of(json!("READ"), json!({"viewerCanPush": true})), Some(false));
        assert_eq!(of(Value::Null, json!({"viewerCanPush": true})), None);
    }

    #[test]
    fn histories_become_one_that_keeps_the_order_of_each() {
        let commit = |oid: &str, second: i64, path: &str| PastCommit {
            oid: oid.into(),
            message: "m".into(),
            at: Timestamp::from_second(second).unwrap(),
            paths: vec![path.into()],
        };
        let a = vec![commit("e", 50, "a"), commit("c", 30, "a"), commit("a", 10, "a")];
        // `d` has a clock that is ahead, and still comes after `c`, which is above it here.
        let b = vec![commit("c", 30, "b"), commit("d", 60, "b"), commit("a", 10, "b")];
        let all = merged(vec![a, b, vec![]]);
        let order: Vec<(&str, usize)> = all.iter().map(|c| (c.oid.as_str(), c.paths.len())).collect();
        assert_eq!(order, [("e", 1), ("c", 2), ("d", 1), ("a", 2)]);
        // Orders that contradict each other end as well.
        let (x, y) = (commit("x", 1, "a"), commit("y", 2, "a"));
        assert_eq!(merged(vec![vec![x.clone(), y.clone()], vec![y, x]]).len(), 3);
    }

    #[test]
    fn what_becomes_part_of_a_question_is_checked() {
        let good = Wanted {
            repository: "acme/shop".into(),
            branch: Some("main".into()),
            paths: paths(&["a/b.yaml"]),
            depth: 1,
        };
        assert_eq!(valid(&good), Ok(()));
        for odd in [
            Wanted { repository: "acme".into(), ..good.clone() },
            Wanted { branch: Some("a..b".into()), ..good.clone() },
            Wanted { paths: paths(&["../x"]), ..good.clone() },
        ] {
            assert!(matches!(valid(&odd), Err(Setback::Refused(_))), "{odd:?}");
        }
    }
}

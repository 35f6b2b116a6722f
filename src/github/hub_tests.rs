//! Reading and committing, against answers of a test's own, in virtual time.

use std::time::Duration;

use serde_json::{Value, json};

use super::scripted::{Reply, Script, branch, committed, complaint, data, rest};
use super::snapshot::blob_oid;
use super::{Addresses, FileChange, Landed, Mode, NewCommit, Setback, Wanted};

const HEAD: &str = "c0ffee0000000000000000000000000000000000";
const NEXT: &str = "decade0000000000000000000000000000000000";

fn wanted(paths: &[&str]) -> Wanted {
    Wanted {
        repository: "acme/manifests".into(),
        branch: Some("main".into()),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        depth: 0,
    }
}

fn commit(mode: Mode) -> NewCommit {
    let change = FileChange { path: "a.yaml".into(), bytes: b"b: 2\n".to_vec(), mode };
    NewCommit {
        repository: "acme/manifests".into(),
        branch: "main".into(),
        expected_head: HEAD.into(),
        headline: "Deploy".into(),
        body: String::new(),
        changes: vec![change],
    }
}

fn landed(oid: &str) -> Landed {
    Landed { oid: oid.into(), url: format!("https://github.com/acme/manifests/commit/{oid}") }
}

#[tokio::test(start_paused = true)]
async fn a_commit_takes_two_requests_and_the_token_stands_in_a_header_only() {
    let (hub, script) = Script::hub(vec![branch("main", HEAD, &["a: 1\n"]), committed(NEXT)]);
    let seen = hub.snapshot(&wanted(&["a.yaml"])).await.unwrap();
    assert_eq!((seen.branch.as_str(), seen.head.as_str()), ("main", HEAD));
    assert_eq!(seen.files["a.yaml"].bytes, b"a: 1\n");
    assert_eq!(hub.commit(&commit(Mode::Plain)).await, Ok(landed(NEXT)));
    assert_eq!(script.calls(), ["POST /graphql", "POST /graphql"]);
    for asked in script.asked() {
        assert_eq!(asked.token.as_deref(), Some("Bearer t0ken"));
        assert!(!asked.body.to_string().contains("t0ken"));
    }
    assert_eq!(script.asked()[1].body["variables"]["input"]["expectedHeadOid"], HEAD);
    assert!(!format!("{hub:?}").contains("t0ken"));
}

#[tokio::test(start_paused = true)]
async fn an_enterprise_server_has_its_own_addresses() {
    let addresses = Addresses::of("https://git.acme.dev/api/v3");
    let answers = vec![
        branch("main", HEAD, &[]),
        rest(200, json!({"status": "ahead"})),
        rest(200, json!([{"sha": NEXT, "commit": {"message": "Deploy\n\nRoadstead-Run: 7.1"}}])),
    ];
    let (hub, script) = Script::at(&addresses, answers);
    hub.snapshot(&wanted(&[])).await.unwrap();
    assert_eq!(hub.contains("acme/manifests", HEAD, NEXT).await, Ok(true));
    let found = hub.landed("acme/manifests", "release/1", "Roadstead-Run: 7.1").await.unwrap().unwrap();
    assert_eq!(found.url, format!("https://git.acme.dev/acme/manifests/commit/{NEXT}"));
    assert_eq!(
        script.calls(),
        [
            "POST https://git.acme.dev/api/graphql".to_owned(),
            format!(
                "GET https://git.acme.dev/api/v3/repos/acme/manifests/compare/{HEAD}...{NEXT}?per_page=1"
            ),
            "GET https://git.acme.dev/api/v3/repos/acme/manifests/commits?sha=release%2F1&per_page=100"
                .into(),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn beyond_fifty_paths_the_rest_is_read_at_the_same_head() {
    let paths: Vec<String> = (0..120).map(|n| format!("f{n}.yaml")).collect();
    let pinned = || data(json!({"repository": {"object": {"oid": HEAD}}}));
    let (hub, script) = Script::hub(vec![branch("main", HEAD, &["x"]), pinned(), pinned()]);
    let seen = hub.snapshot(&Wanted { paths, ..wanted(&[]) }).await.unwrap();
    assert_eq!(seen.files.keys().collect::<Vec<_>>(), ["f0.yaml"]);
    assert_eq!(script.calls().len(), 3);
    let asked = script.asked();
    assert_eq!(asked[1].body["variables"]["oid"], HEAD);
    assert_eq!(asked[2].body["variables"]["p19"], "f119.yaml");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_text_come_from_the_blob_and_are_proven() {
    let bytes = b"\xff\xfe\0a";
    let oid = blob_oid(bytes);
    let entry =
        json!({"mode": 0o100_755, "type": "blob", "object": {"oid": oid, "byteSize": 4, "text": null}});
    let seen =
        || data(json!({"repository": {"ref": {"name": "main", "target": {"oid": HEAD, "f0": entry}}}}));
    let blob = |content: &str| rest(200, json!({"content": content, "encoding": "base64"}));
    let (hub, script) = Script::hub(vec![seen(), blob("//4A\nYQ==\n")]);
    let file = hub.snapshot(&wanted(&["a.bin"])).await.unwrap().files["a.bin"].clone();
    assert_eq!((file.mode, file.bytes.as_slice()), (Mode::Executable, &bytes[..]));
    assert_eq!(script.calls()[1], format!("GET /repos/acme/manifests/git/blobs/{oid}"));
    let (hub, _) = Script::hub(vec![seen(), blob("YQ==")]);
    assert!(matches!(hub.snapshot(&wanted(&["a.bin"])).await, Err(Setback::Passing(_))));
}

#[tokio::test(start_paused = true)]
async fn a_write_is_sent_once_whatever_becomes_of_its_answer() {
    let stale = "Expected branch to point to \"x\" but it did not.  Pull and try again.";
    for (reply, setback) in [
        (Reply::Lost, Setback::Uncertain("dispatch failure: io error: connection reset by peer".into())),
        (Reply::Silence, Setback::Uncertain("no answer in 30 s".into())),
        (
            rest(502, json!({"message": "Bad Gateway"})),
            Setback::Uncertain("GitHub answered 502: Bad Gateway".into()),
        ),
        (
            Reply::Said(200, vec![], "<html>".into()),
            Setback::Uncertain("GitHub answered 200 without JSON".into()),
        ),
        (
            data(json!({"createCommitOnBranch": null})),
            Setback::Uncertain("GitHub answered without a commit".into()),
        ),
        (complaint("STALE_DATA", stale), Setback::Moved),
        (complaint("NOT_FOUND", "Could not resolve"), Setback::Missing("the branch `main`".into())),
        (complaint("BRANCH_PROTECTION_RULE_VIOLATION", "no"), Setback::Protected("no".into())),
    ] {
        let (hub, script) = Script::hub(vec![reply.clone()]);
        assert_eq!(hub.commit(&commit(Mode::Plain)).await, Err(setback), "{reply:?}");
        assert_eq!(script.calls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mode_that_the_mutation_would_lose_is_kept_in_five_requests() {
    let made = |oid: &str| rest(201, json!({ "sha": oid }));
    let (base, blob) = (rest(200, json!({"tree": {"sha": "7ee"}})), blob_oid(b"b: 2\n"));
    let answers = vec![
        base,
        Reply::Lost,
        made(&blob),
        made("7ee2"),
        rest(500, json!({})),
        made(NEXT),
        rest(200, json!({"ref": "refs/heads/main"})),
    ];
    let (hub, script) = Script::hub(answers);
    assert_eq!(hub.commit(&commit(Mode::Executable)).await, Ok(landed(NEXT)));
    let git = "/repos/acme/manifests/git";
    assert_eq!(
        script.calls(),
        [
            format!("GET {git}/commits/{HEAD}"),
            format!("POST {git}/blobs"),
            format!("POST {git}/blobs"),
            format!("POST {git}/trees"),
            format!("POST {git}/commits"),
            format!("POST {git}/commits"),
            format!("PATCH {git}/refs/heads/main"),
        ]
    );
    let asked = script.asked();
    assert_eq!(
        asked[3].body,
        json!({"base_tree": "7ee", "tree": [{"path": "a.yaml", "mode": "100755", "type": "blob", "sha": blob}]})
    );
    assert_eq!(asked[5].body, json!({"message": "Deploy", "tree": "7ee2", "parents": [HEAD]}));
    assert_eq!(asked[6].body, json!({"sha": NEXT, "force": false}));
}

#[tokio::test(start_paused = true)]
async fn moving_the_branch_is_never_repeated_and_other_bytes_are_no_blob() {
    let made = |oid: &str| rest(201, json!({ "sha": oid }));
    let begin = || {
        vec![rest(200, json!({"tree": {"sha": "7ee"}})), made(&blob_oid(b"b: 2\n")), made("7ee2"), made(NEXT)]
    };
    let no = |text: &str| rest(422, json!({ "message": text }));
    for (last, setback) in [
        (no("Update is not a fast forward"), Setback::Moved),
        (no("Reference does not exist"), Setback::Missing("the branch `main`".into())),
        (Reply::Lost, Setback::Uncertain("dispatch failure: io error: connection reset by peer".into())),
    ] {
        let (hub, script) = Script::hub([begin(), vec![last]].concat());
        assert_eq!(hub.commit(&commit(Mode::Executable)).await, Err(setback));
        assert_eq!(script.calls().len(), 5);
    }
    let (hub, script) = Script::hub(vec![rest(200, json!({"tree": {"sha": "7ee"}})), made("0dd")]);
    assert!(matches!(hub.commit(&commit(Mode::Executable)).await, Err(Setback::Passing(_))));
    assert_eq!(script.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_with_pauses_that_grow_and_end() {
    let bad = || rest(502, json!({}));
    let broken = || complaint("", "Something went wrong while executing your query.");
    let (hub, script) = Script::hub(vec![bad(), Reply::Lost, broken(), branch("main", HEAD, &[])]);
    assert!(hub.snapshot(&wanted(&[])).await.is_ok());
    let at: Vec<Duration> = script.asked().iter().map(|asked| asked.at).collect();
    for (index, low) in [(0, 150), (1, 450), (2, 1350)] {
        let pause = (at[index + 1] - at[index]).as_millis();
        assert!((low..low * 3 + 2).contains(&pause), "{index}: {pause}");
    }
    let (hub, script) = Script::hub(vec![bad(), bad(), bad(), bad(), bad(), bad()]);
    assert!(matches!(hub.snapshot(&wanted(&[])).await, Err(Setback::Passing(_))));
    assert_eq!(script.calls().len(), 6);
    let before = tokio::time::Instant::now();
    let (hub, _) = Script::hub(vec![Reply::Silence, Reply::Silence]);
    assert_eq!(hub.snapshot(&wanted(&[])).await, Err(Setback::Passing("no answer in 60 s".into())));
    assert_eq!(before.elapsed(), Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn limits_grow_until_something_succeeds_and_nothing_is_sent_meanwhile() {
    let slow =
        || Reply::Said(403, vec![], r#"{"message":"You have exceeded a secondary rate limit."}"#.into());
    let told = Reply::Said(429, vec![("retry-after", "7".into())], String::new());
    let answers = vec![slow(), slow(), told, branch("main", HEAD, &[]), slow()];
    let (hub, script) = Script::hub(answers);
    let waits = async |hub: &super::Hub| match hub.snapshot(&wanted(&[])).await {
        Err(Setback::Limited { wait, .. }) => wait.as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!([waits(&hub).await, waits(&hub).await, waits(&hub).await], [60, 120, 7]);
    assert!(hub.snapshot(&wanted(&[])).await.is_ok());
    assert!(matches!(
        hub.commit(&commit(Mode::Plain)).await,
        Err(Setback::Limited { wait, .. }) if wait == Duration::from_secs(60)
    ));
    assert_eq!(script.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_contained_where_it_is_the_same_or_behind() {
    for (status, contained) in [("identical", true), ("ahead", true), ("behind", false), ("diverged", false)]
    {
        let (hub, _) = Script::hub(vec![rest(200, json!({ "status": status }))]);
        assert_eq!(hub.contains("acme/manifests", HEAD, NEXT).await, Ok(contained), "{status}");
    }
    let (hub, _) = Script::hub(vec![rest(404, json!({"message": "Not Found"}))]);
    assert!(matches!(hub.contains("acme/manifests", HEAD, NEXT).await, Err(Setback::Missing(_))));
    let (hub, script) = Script::hub(vec![]);
    assert!(matches!(hub.contains("acme/manifests", "main", NEXT).await, Err(Setback::Refused(_))));
    assert_eq!(script.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_of_the_past_is_there_or_not_and_its_commit_too() {
    let at = |commit: Value| data(json!({"repository": {"object": commit}}));
    let entry = json!({"mode": 0o100_644, "type": "blob", "object": {"oid": blob_oid(b"x"), "byteSize": 1, "text": "x"}});
    let there = at(json!({"oid": HEAD, "f0": entry}));
    let (hub, script) = Script::hub(vec![there, at(json!({"oid": HEAD, "f0": null})), at(Value::Null)]);
    assert_eq!(hub.file_at("acme/manifests", HEAD, "a").await, Ok(Some(b"x".to_vec())));
    assert_eq!(hub.file_at("acme/manifests", HEAD, "a").await, Ok(None));
    let missing = Setback::Missing(format!("the commit `{HEAD}`"));
    assert_eq!(hub.file_at("acme/manifests", HEAD, "a").await, Err(missing));
    assert!(matches!(hub.file_at("acme/manifests", HEAD, "../a").await, Err(Setback::Refused(_))));
    assert_eq!(script.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn our_commit_is_found_by_a_whole_line_and_never_by_an_empty_one() {
    let entry = |oid: &str, message: &str| json!({"sha": oid, "commit": {"message": message}});
    let list = || {
        rest(
            200,
            json!([
                entry("a", "say Roadstead-Run: 7.1"),
                entry("b", "Deploy\n\nRoadstead-Run: 7.10"),
                entry(NEXT, "Deploy\n\nA: b\nRoadstead-Run: 7.1\nC: d"),
            ]),
        )
    };
    let (hub, _) = Script::hub(vec![list(), list(), list()]);
    let found = async |marker| hub.landed("acme/manifests", "main", marker).await.unwrap();
    assert_eq!(found("Roadstead-Run: 7.1").await, Some(landed(NEXT)));
    assert_eq!(found("Roadstead-Run: 7").await, None);
    assert_eq!(found("").await, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_valid_is_not_sent() {
    let (hub, script) = Script::hub(vec![]);
    let odd = NewCommit { headline: "a\nb".into(), ..commit(Mode::Plain) };
    assert!(matches!(hub.commit(&odd).await, Err(Setback::Refused(_))));
    assert!(matches!(hub.snapshot(&wanted(&["../x"])).await, Err(Setback::Refused(_))));
    assert!(matches!(hub.landed("acme", "main", "x").await, Err(Setback::Refused(_))));
    assert_eq!(script.calls().len(), 0);
}

#[tokio::test]
async fn a_token_that_is_none_is_refused_without_being_repeated() {
    for token in ["", "a\nb", "sec ret", "s\u{fc}cret"] {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let problem = super::Hub::new(http, &Addresses::of("https://api.github.com"), token).unwrap_err();
        assert!(problem.cause.as_deref().unwrap().contains("characters"), "{problem}");
        assert!(token.is_empty() || !problem.to_string().contains(token));
    }
}

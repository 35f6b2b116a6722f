//! Reading and committing, against the test's own responses, in virtual time.

use std::time::Duration;

use serde_json::{Value, json};

use super::mock::{
    MockGitHub, MockReply, branch_reply, commit_reply, graphql_error_reply, graphql_reply, rest_reply,
};
use super::snapshot::blob_oid;
use super::{Addresses, ApiError, CreatedCommit, FileChange, FileMode, NewCommit, SnapshotQuery};

const HEAD: &str = "c0ffee0000000000000000000000000000000000";
const NEXT: &str = "decade0000000000000000000000000000000000";

fn snapshot_query(paths: &[&str]) -> SnapshotQuery {
    SnapshotQuery {
        repository: "acme/manifests".into(),
        branch: Some("main".into()),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        history_depth: 0,
    }
}

fn commit(mode: FileMode) -> NewCommit {
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

fn created_commit(oid: &str) -> CreatedCommit {
    CreatedCommit { oid: oid.into(), url: format!("https://github.com/acme/manifests/commit/{oid}") }
}

#[tokio::test(start_paused = true)]
async fn commit_takes_two_requests_and_sends_the_token_in_a_header_only() {
    let (client, script) =
        MockGitHub::branch_client(vec![branch_reply("main", HEAD, &["a: 1\n"]), commit_reply(NEXT)]);
    let seen = client.snapshot(&snapshot_query(&["a.yaml"])).await.unwrap();
    assert_eq!((seen.branch.as_str(), seen.head.as_str()), ("main", HEAD));
    assert_eq!(seen.files["a.yaml"].bytes, b"a: 1\n");
    assert_eq!(client.commit(&commit(FileMode::Regular)).await, Ok(created_commit(NEXT)));
    assert_eq!(script.calls(), ["POST /graphql", "POST /graphql"]);
    for asked in script.asked() {
        assert_eq!(asked.token.as_deref(), Some("Bearer t0ken"));
        assert!(!asked.body.to_string().contains("t0ken"));
    }
    assert_eq!(script.asked()[1].body["variables"]["input"]["expectedHeadOid"], HEAD);
    assert!(!format!("{client:?}").contains("t0ken"));
}

#[tokio::test(start_paused = true)]
async fn enterprise_server_has_its_own_urls() {
    let addresses = Addresses::from_api_url("https://git.acme.dev/api/v3");
    let answers = vec![
        branch_reply("main", HEAD, &[]),
        rest_reply(200, json!({"status": "ahead"})),
        rest_reply(200, json!([{"sha": NEXT, "commit": {"message": "Deploy\n\nRoadstead-Run: 7.1"}}])),
    ];
    let (client, script) = MockGitHub::branch_client_at(&addresses, answers);
    client.snapshot(&snapshot_query(&[])).await.unwrap();
    assert_eq!(client.contains("acme/manifests", HEAD, NEXT).await, Ok(true));
    let found =
        client.find_commit("acme/manifests", "release/1", "Roadstead-Run: 7.1").await.unwrap().unwrap();
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
    let pinned = || graphql_reply(json!({"repository": {"object": {"oid": HEAD}}}));
    let (client, script) =
        MockGitHub::branch_client(vec![branch_reply("main", HEAD, &["x"]), pinned(), pinned()]);
    let seen = client.snapshot(&SnapshotQuery { paths, ..snapshot_query(&[]) }).await.unwrap();
    assert_eq!(seen.files.keys().collect::<Vec<_>>(), ["f0.yaml"]);
    assert_eq!(script.calls().len(), 3);
    let asked = script.asked();
    assert_eq!(asked[1].body["variables"]["oid"], HEAD);
    assert_eq!(asked[2].body["variables"]["p19"], "f119.yaml");
}

#[tokio::test(start_paused = true)]
async fn binary_file_is_read_from_the_blob_and_verified() {
    let bytes = b"\xff\xfe\0a";
    let oid = blob_oid(bytes);
    let entry =
        json!({"mode": 0o100_755, "type": "blob", "object": {"oid": oid, "byteSize": 4, "text": null}});
    let seen = || {
        graphql_reply(json!({"repository": {"ref": {"name": "main", "target": {"oid": HEAD, "f0": entry}}}}))
    };
    let blob = |content: &str| rest_reply(200, json!({"content": content, "encoding": "base64"}));
    let (client, script) = MockGitHub::branch_client(vec![seen(), blob("//4A\nYQ==\n")]);
    let file = client.snapshot(&snapshot_query(&["a.bin"])).await.unwrap().files["a.bin"].clone();
    assert_eq!((file.mode, file.bytes.as_slice()), (FileMode::Executable, &bytes[..]));
    assert_eq!(script.calls()[1], format!("GET /repos/acme/manifests/git/blobs/{oid}"));
    let (client, _) = MockGitHub::branch_client(vec![seen(), blob("YQ==")]);
    assert!(matches!(client.snapshot(&snapshot_query(&["a.bin"])).await, Err(ApiError::Transient(_))));
}

#[tokio::test(start_paused = true)]
async fn write_is_sent_once_for_any_reply() {
    let stale = "Expected branch to point to \"x\" but it did not.  Pull and try again.";
    for (reply, error) in [
        (
            MockReply::ConnectionReset,
            ApiError::Ambiguous("dispatch failure: io error: connection reset by peer".into()),
        ),
        (MockReply::NoResponse, ApiError::Ambiguous("no response within 30 s".into())),
        (
            rest_reply(502, json!({"message": "Bad Gateway"})),
            ApiError::Ambiguous("GitHub responded with 502: Bad Gateway".into()),
        ),
        (
            MockReply::Response(200, vec![], "<html>".into()),
            ApiError::Ambiguous("GitHub responded with 200 and a body that is not JSON".into()),
        ),
        (
            graphql_reply(json!({"createCommitOnBranch": null})),
            ApiError::Ambiguous("GitHub returned no commit".into()),
        ),
        (graphql_error_reply("STALE_DATA", stale), ApiError::HeadMoved),
        (
            graphql_error_reply("NOT_FOUND", "Could not resolve"),
            ApiError::NotFound("the branch `main`".into()),
        ),
        (graphql_error_reply("BRANCH_PROTECTION_RULE_VIOLATION", "no"), ApiError::Protected("no".into())),
    ] {
        let (client, script) = MockGitHub::branch_client(vec![reply.clone()]);
        assert_eq!(client.commit(&commit(FileMode::Regular)).await, Err(error), "{reply:?}");
        assert_eq!(script.calls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn executable_mode_is_kept_in_five_requests() {
    let made = |oid: &str| rest_reply(201, json!({ "sha": oid }));
    let (base, blob) = (rest_reply(200, json!({"tree": {"sha": "7ee"}})), blob_oid(b"b: 2\n"));
    let answers = vec![
        base,
        MockReply::ConnectionReset,
        made(&blob),
        made("7ee2"),
        rest_reply(500, json!({})),
        made(NEXT),
        rest_reply(200, json!({"ref": "refs/heads/main"})),
    ];
    let (client, script) = MockGitHub::branch_client(answers);
    assert_eq!(client.commit(&commit(FileMode::Executable)).await, Ok(created_commit(NEXT)));
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
async fn fast_forward_is_sent_once_and_other_bytes_are_rejected() {
    let made = |oid: &str| rest_reply(201, json!({ "sha": oid }));
    let begin = || {
        vec![
            rest_reply(200, json!({"tree": {"sha": "7ee"}})),
            made(&blob_oid(b"b: 2\n")),
            made("7ee2"),
            made(NEXT),
        ]
    };
    let no = |text: &str| rest_reply(422, json!({ "message": text }));
    for (last, error) in [
        (no("Update is not a fast forward"), ApiError::HeadMoved),
        (no("Reference does not exist"), ApiError::NotFound("the branch `main`".into())),
        (
            MockReply::ConnectionReset,
            ApiError::Ambiguous("dispatch failure: io error: connection reset by peer".into()),
        ),
    ] {
        let (client, script) = MockGitHub::branch_client([begin(), vec![last]].concat());
        assert_eq!(client.commit(&commit(FileMode::Executable)).await, Err(error));
        assert_eq!(script.calls().len(), 5);
    }
    let (client, script) =
        MockGitHub::branch_client(vec![rest_reply(200, json!({"tree": {"sha": "7ee"}})), made("0dd")]);
    assert!(matches!(client.commit(&commit(FileMode::Executable)).await, Err(ApiError::Transient(_))));
    assert_eq!(script.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn read_is_retried_with_backoff_until_the_deadline() {
    let bad = || rest_reply(502, json!({}));
    let broken = || graphql_error_reply("", "Something went wrong while executing your query.");
    let (client, script) = MockGitHub::branch_client(vec![
        bad(),
        MockReply::ConnectionReset,
        broken(),
        branch_reply("main", HEAD, &[]),
    ]);
    assert!(client.snapshot(&snapshot_query(&[])).await.is_ok());
    let at: Vec<Duration> = script.asked().iter().map(|asked| asked.elapsed).collect();
    for (index, low) in [(0, 150), (1, 450), (2, 1350)] {
        let pause = (at[index + 1] - at[index]).as_millis();
        assert!((low..low * 3 + 2).contains(&pause), "{index}: {pause}");
    }
    let (client, script) = MockGitHub::branch_client(vec![bad(), bad(), bad(), bad(), bad(), bad()]);
    assert!(matches!(client.snapshot(&snapshot_query(&[])).await, Err(ApiError::Transient(_))));
    assert_eq!(script.calls().len(), 6);
    let before = tokio::time::Instant::now();
    let (client, _) = MockGitHub::branch_client(vec![MockReply::NoResponse, MockReply::NoResponse]);
    assert_eq!(
        client.snapshot(&snapshot_query(&[])).await,
        Err(ApiError::Transient("no response within 60 s".into()))
    );
    assert_eq!(before.elapsed(), Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn rate_limit_wait_grows_until_a_success() {
    let slow = || {
        MockReply::Response(403, vec![], r#"{"message":"You have exceeded a secondary rate limit."}"#.into())
    };
    let told = MockReply::Response(429, vec![("retry-after", "7".into())], String::new());
    let answers = vec![slow(), slow(), told, branch_reply("main", HEAD, &[]), slow()];
    let (client, script) = MockGitHub::branch_client(answers);
    let waits = async |client: &super::BranchClient| match client.snapshot(&snapshot_query(&[])).await {
        Err(ApiError::RateLimited { retry_after, .. }) => retry_after.as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!([waits(&client).await, waits(&client).await, waits(&client).await], [60, 120, 7]);
    assert!(client.snapshot(&snapshot_query(&[])).await.is_ok());
    assert!(matches!(
        client.commit(&commit(FileMode::Regular)).await,
        Err(ApiError::RateLimited { retry_after, .. }) if retry_after == Duration::from_secs(60)
    ));
    assert_eq!(script.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn commit_is_contained_when_identical_or_behind() {
    for (status, contained) in [("identical", true), ("ahead", true), ("behind", false), ("diverged", false)]
    {
        let (client, _) = MockGitHub::branch_client(vec![rest_reply(200, json!({ "status": status }))]);
        assert_eq!(client.contains("acme/manifests", HEAD, NEXT).await, Ok(contained), "{status}");
    }
    let (client, _) = MockGitHub::branch_client(vec![rest_reply(404, json!({"message": "Not Found"}))]);
    assert!(matches!(client.contains("acme/manifests", HEAD, NEXT).await, Err(ApiError::NotFound(_))));
    let (client, script) = MockGitHub::branch_client(vec![]);
    assert!(matches!(client.contains("acme/manifests", "main", NEXT).await, Err(ApiError::Rejected(_))));
    assert_eq!(script.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn file_at_commit_is_read_or_missing() {
    let at = |commit: Value| graphql_reply(json!({"repository": {"object": commit}}));
    let entry = json!({"mode": 0o100_644, "type": "blob", "object": {"oid": blob_oid(b"x"), "byteSize": 1, "text": "x"}});
    let there = at(json!({"oid": HEAD, "f0": entry}));
    let (client, script) =
        MockGitHub::branch_client(vec![there, at(json!({"oid": HEAD, "f0": null})), at(Value::Null)]);
    assert_eq!(client.file_at("acme/manifests", HEAD, "a").await, Ok(Some(b"x".to_vec())));
    assert_eq!(client.file_at("acme/manifests", HEAD, "a").await, Ok(None));
    let missing = ApiError::NotFound(format!("the commit `{HEAD}`"));
    assert_eq!(client.file_at("acme/manifests", HEAD, "a").await, Err(missing));
    assert!(matches!(client.file_at("acme/manifests", HEAD, "../a").await, Err(ApiError::Rejected(_))));
    assert_eq!(script.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn commit_is_found_by_a_full_marker_line() {
    let entry = |oid: &str, message: &str| json!({"sha": oid, "commit": {"message": message}});
    let list = || {
        rest_reply(
            200,
            json!([
                entry("a", "say Roadstead-Run: 7.1"),
                entry("b", "Deploy\n\nRoadstead-Run: 7.10"),
                entry(NEXT, "Deploy\n\nA: b\nRoadstead-Run: 7.1\nC: d"),
            ]),
        )
    };
    let (client, _) = MockGitHub::branch_client(vec![list(), list(), list()]);
    let found = async |marker| client.find_commit("acme/manifests", "main", marker).await.unwrap();
    assert_eq!(found("Roadstead-Run: 7.1").await, Some(created_commit(NEXT)));
    assert_eq!(found("Roadstead-Run: 7").await, None);
    assert_eq!(found("").await, None);
}

#[tokio::test(start_paused = true)]
async fn invalid_query_is_not_sent() {
    let (client, script) = MockGitHub::branch_client(vec![]);
    let odd = NewCommit { headline: "a\nb".into(), ..commit(FileMode::Regular) };
    assert!(matches!(client.commit(&odd).await, Err(ApiError::Rejected(_))));
    assert!(matches!(client.snapshot(&snapshot_query(&["../x"])).await, Err(ApiError::Rejected(_))));
    assert!(matches!(client.find_commit("acme", "main", "x").await, Err(ApiError::Rejected(_))));
    assert_eq!(script.calls().len(), 0);
}

#[tokio::test]
async fn invalid_token_is_rejected_without_being_repeated() {
    for token in ["", "a\nb", "sec ret", "s\u{fc}cret"] {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let problem =
            super::BranchClient::new(http, &Addresses::from_api_url("https://api.github.com"), token)
                .unwrap_err();
        assert!(problem.cause.as_deref().unwrap().contains("characters"), "{problem}");
        assert!(token.is_empty() || !problem.to_string().contains(token));
    }
}

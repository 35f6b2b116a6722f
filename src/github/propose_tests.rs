//! Proposals, against the test's own responses, in virtual time.

use serde_json::{Value, json};

use super::mock::{
    MockGitHub, MockReply, branch_reply, commit_reply, edit, graphql_error_reply, graphql_reply, rest_reply,
};
use super::{ApiError, CreatedCommit, Edit, Proposal, ProposedPullRequest, Snapshot};

const BASE: &str = "ba5e000000000000000000000000000000000000";
const TIP: &str = "c0ffee0000000000000000000000000000000000";
const NEXT: &str = "decade0000000000000000000000000000000000";
const BRANCH: &str = "roadstead/production";

fn proposal() -> Proposal {
    Proposal {
        repository: "acme/manifests".into(),
        base: "main".into(),
        branch: BRANCH.into(),
        title: "Deploy".into(),
        body: "what".into(),
        paths: vec!["a.yaml".into()],
        commit_marker: "Roadstead-Service: ".into(),
        auto_merge: false,
    }
}

/// Requests `new` as the content of the file.
fn edit_if_needed(seen: &Snapshot) -> Result<Option<Edit>, ApiError> {
    Ok((seen.files["a.yaml"].bytes != b"new").then(|| edit("new")))
}

fn pull(number: u64) -> Value {
    json!({
        "number": number, "node_id": "PR_1", "html_url": "https://x/1", "title": "Deploy", "body": "what",
        "base": {"ref": "main"}, "head": {"ref": BRANCH, "sha": TIP, "repo": {"full_name": "acme/manifests"}},
        "auto_merge": null, "merged_at": null,
    })
}

fn empty_list_reply() -> MockReply {
    rest_reply(200, json!([]))
}

fn pull_list_reply() -> MockReply {
    rest_reply(200, json!([pull(7)]))
}

fn ref_reply(oid: &str) -> MockReply {
    rest_reply(200, json!({"object": {"sha": oid}}))
}

fn created_commit() -> CreatedCommit {
    CreatedCommit { oid: NEXT.into(), url: format!("https://github.com/acme/manifests/commit/{NEXT}") }
}

async fn propose_with_mock(
    replies: Vec<MockReply>,
    proposal: &Proposal,
) -> (Result<Option<ProposedPullRequest>, ApiError>, Vec<String>, Vec<Value>) {
    let (client, script) = MockGitHub::branch_client(replies);
    let result = client.propose(proposal, edit_if_needed).await;
    let calls = script.calls().into_iter().map(|call| call.replace("/repos/acme/manifests", "")).collect();
    (result, calls, script.asked().into_iter().map(|asked| asked.body).collect())
}

const LIST: &str = "GET /pulls?state=open&head=acme%3Aroadstead%2Fproduction&per_page=100";

#[tokio::test(start_paused = true)]
async fn first_proposal_creates_the_branch_at_the_base_head() {
    let replies = vec![
        empty_list_reply(),
        branch_reply("main", BASE, &["old"]),
        rest_reply(404, json!({"message": "Not Found"})),
        rest_reply(201, json!({})),
        branch_reply(BRANCH, BASE, &["old"]),
        commit_reply(NEXT),
        rest_reply(201, pull(7)),
    ];
    let (result, calls, bodies) = propose_with_mock(replies, &proposal()).await;
    let pull = result.unwrap().unwrap();
    assert_eq!((pull.number, pull.created, pull.merged, pull.auto_merge), (7, true, false, false));
    assert_eq!((pull.commit, pull.not_merged_reason), (Some(created_commit()), None));
    assert_eq!(
        calls,
        [
            LIST,
            "POST /graphql",
            "GET /git/ref/heads/roadstead/production",
            "POST /git/refs",
            "POST /graphql",
            "POST /graphql",
            "POST /pulls"
        ]
    );
    assert_eq!(bodies[3], json!({"ref": "refs/heads/roadstead/production", "sha": BASE}));
    assert_eq!(bodies[5]["variables"]["input"]["branch"]["branchName"], BRANCH);
    assert_eq!(bodies[6], json!({"title": "Deploy", "body": "what", "head": BRANCH, "base": "main"}));
}

#[tokio::test(start_paused = true)]
async fn branch_created_concurrently_or_not_visible_yet_is_read_again() {
    let missing = || rest_reply(404, json!({"message": "Not Found"}));
    let exists = rest_reply(422, json!({"message": "Reference already exists"}));
    let unseen = graphql_reply(json!({"repository": {"ref": null}}));
    let begin = vec![empty_list_reply(), branch_reply("main", BASE, &["old"]), missing(), exists, unseen];
    let end = vec![branch_reply(BRANCH, TIP, &["old"]), commit_reply(NEXT), rest_reply(201, pull(7))];
    let (result, calls, bodies) = propose_with_mock([begin, end].concat(), &proposal()).await;
    assert_eq!((result.unwrap().unwrap().commit, calls.len()), (Some(created_commit()), 8));
    assert_eq!(bodies[6]["variables"]["input"]["expectedHeadOid"], TIP);
}

#[tokio::test(start_paused = true)]
async fn change_already_in_the_base_is_not_proposed() {
    let (result, calls, _) =
        propose_with_mock(vec![empty_list_reply(), branch_reply("main", BASE, &["new"])], &proposal()).await;
    assert_eq!(result, Ok(None));
    assert_eq!(calls, [LIST, "POST /graphql"]);
}

#[tokio::test(start_paused = true)]
async fn open_pull_request_is_updated_and_not_duplicated() {
    let replies = vec![
        pull_list_reply(),
        branch_reply(BRANCH, TIP, &["old"]),
        commit_reply(NEXT),
        rest_reply(200, json!({})),
    ];
    let changed = Proposal { title: "Deploy 2".into(), ..proposal() };
    let (result, calls, bodies) = propose_with_mock(replies, &changed).await;
    let pull = result.unwrap().unwrap();
    assert_eq!((pull.number, pull.created, pull.commit), (7, false, Some(created_commit())));
    assert_eq!(calls, [LIST, "POST /graphql", "POST /graphql", "PATCH /pulls/7"]);
    assert_eq!(bodies[3], json!({"title": "Deploy 2", "body": "what", "base": "main"}));
    // The same proposal again changes nothing.
    let (result, calls, _) =
        propose_with_mock(vec![pull_list_reply(), branch_reply(BRANCH, NEXT, &["new"])], &proposal()).await;
    assert_eq!(result.unwrap().unwrap().commit, None);
    assert_eq!(calls.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn moved_branch_or_ambiguous_write_is_read_again() {
    let moved = graphql_error_reply("STALE_DATA", "x");
    let replies = vec![
        pull_list_reply(),
        branch_reply(BRANCH, TIP, &["old"]),
        moved,
        branch_reply(BRANCH, BASE, &["old"]),
        commit_reply(NEXT),
    ];
    let (result, _, bodies) = propose_with_mock(replies, &proposal()).await;
    assert_eq!(result.unwrap().unwrap().commit, Some(created_commit()));
    assert_eq!(bodies[4]["variables"]["input"]["expectedHeadOid"], BASE);
    let replies = vec![
        pull_list_reply(),
        branch_reply(BRANCH, TIP, &["old"]),
        MockReply::ConnectionReset,
        branch_reply(BRANCH, NEXT, &["new"]),
    ];
    let (result, calls, _) = propose_with_mock(replies, &proposal()).await;
    assert_eq!(result.unwrap().unwrap().commit, Some(created_commit()));
    assert_eq!(calls.len(), 4);
    let mut replies = vec![pull_list_reply()];
    for _ in 0..10 {
        replies.extend([branch_reply(BRANCH, TIP, &["old"]), graphql_error_reply("STALE_DATA", "x")]);
    }
    assert_eq!(propose_with_mock(replies, &proposal()).await.0, Err(ApiError::HeadMoved));
}

/// The branch exists at `TIP` without an open pull request: its comparison with the base.
fn leftover_branch_replies(status: &str, message: &str) -> Vec<MockReply> {
    let commits = match status {
        "behind" => json!([]),
        _ => json!([{"sha": TIP, "parents": [1], "commit": {"message": message}}]),
    };
    let total = commits.as_array().unwrap().len();
    let comparison = rest_reply(200, json!({"status": status, "commits": commits, "total_commits": total}));
    vec![empty_list_reply(), branch_reply("main", BASE, &["old"]), ref_reply(TIP), comparison]
}

#[tokio::test(start_paused = true)]
async fn leftover_branch_is_reused_only_when_all_commits_are_own() {
    let ours = "Deploy\n\nRoadstead-Service: production/x";
    let ok = || rest_reply(200, json!({}));
    let end = || vec![branch_reply(BRANCH, BASE, &["old"]), commit_reply(NEXT), rest_reply(201, pull(8))];
    for (status, between, calls) in [
        ("behind", vec![ok()], &["PATCH /git/refs/heads/roadstead/production"][..]),
        ("ahead", vec![], &[]),
        (
            "diverged",
            vec![MockReply::Response(204, vec![], String::new()), ok()],
            &["DELETE /git/refs/heads/roadstead/production", "POST /git/refs"],
        ),
    ] {
        let replies = [leftover_branch_replies(status, ours), between, end()].concat();
        let (result, made, bodies) = propose_with_mock(replies, &proposal()).await;
        assert_eq!(result.unwrap().unwrap().number, 8, "{status}");
        assert_eq!(made[3], format!("GET /compare/{BASE}...{TIP}?per_page=100"));
        assert_eq!(&made[4..4 + calls.len()], calls, "{status}");
        if status == "behind" {
            assert_eq!(bodies[4], json!({"sha": BASE, "force": false}));
        }
    }
    let (result, calls, _) =
        propose_with_mock(leftover_branch_replies("diverged", "by hand"), &proposal()).await;
    assert!(matches!(result, Err(ApiError::Rejected(why)) if why.contains(TIP) && why.contains(BRANCH)));
    assert_eq!(calls.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn ambiguous_open_is_searched_before_it_is_retried() {
    let begin = || {
        let missing = rest_reply(404, json!({}));
        let made = rest_reply(201, json!({}));
        vec![
            empty_list_reply(),
            branch_reply("main", BASE, &["old"]),
            missing,
            made,
            branch_reply(BRANCH, BASE, &["old"]),
            commit_reply(NEXT),
        ]
    };
    let exists = rest_reply(
        422,
        json!({"message": "Validation Failed", "errors": [{"message": "A pull request already exists for acme:x."}]}),
    );
    for (after, posts) in [
        (vec![MockReply::ConnectionReset, pull_list_reply()], 1),
        (vec![exists, pull_list_reply()], 1),
        (vec![MockReply::ConnectionReset, empty_list_reply(), rest_reply(201, pull(7))], 2),
    ] {
        let (result, calls, _) = propose_with_mock([begin(), after].concat(), &proposal()).await;
        assert_eq!(result.unwrap().unwrap().number, 7);
        assert_eq!(calls.iter().filter(|call| *call == "POST /pulls").count(), posts);
    }
    let denied = rest_reply(
        403,
        json!({"message": "GitHub Actions is not permitted to create or approve pull requests."}),
    );
    let (result, _, _) = propose_with_mock([begin(), vec![denied]].concat(), &proposal()).await;
    assert!(matches!(result, Err(ApiError::Forbidden(why)) if why.contains("not permitted")));
}

#[tokio::test(start_paused = true)]
async fn merge_is_scheduled_done_or_explained() {
    let begin = |more: Vec<MockReply>| {
        let squash = rest_reply(200, json!({"allow_merge_commit": false, "allow_squash_merge": true}));
        [vec![pull_list_reply(), branch_reply(BRANCH, TIP, &["old"]), commit_reply(NEXT), squash], more]
            .concat()
    };
    let auto_merge = Proposal { auto_merge: true, ..proposal() };
    let on = graphql_reply(json!({"enablePullRequestAutoMerge": {"pullRequest": {"number": 7}}}));
    let clean = || graphql_error_reply("UNPROCESSABLE", "Pull request Pull request is in clean status");
    let done = json!({"merged_at": "2026-11-24T12:00:00Z", "merge_commit_sha": "7e57", "number": 7});
    for (more, merged, auto, reason) in [
        (vec![on], None, true, None),
        (vec![clean(), rest_reply(200, json!({"sha": "7e57", "merged": true}))], Some("7e57"), false, None),
        (vec![clean(), MockReply::ConnectionReset, rest_reply(200, done)], Some("7e57"), false, None),
        (
            vec![clean(), rest_reply(405, json!({"message": "Not mergeable"}))],
            None,
            false,
            Some("Not mergeable"),
        ),
        (
            vec![graphql_error_reply("UNPROCESSABLE", "Auto merge is not allowed")],
            None,
            false,
            Some("not allowed"),
        ),
        (
            vec![MockReply::ConnectionReset, rest_reply(200, json!({"number": 7, "auto_merge": {}}))],
            None,
            true,
            None,
        ),
    ] {
        let (result, _, bodies) = propose_with_mock(begin(more), &auto_merge).await;
        let pull = result.unwrap().unwrap();
        assert_eq!(
            (pull.merge_commit.as_deref(), pull.merged, pull.auto_merge),
            (merged, merged.is_some(), auto)
        );
        assert_eq!(pull.not_merged_reason.is_some(), reason.is_some());
        assert!(pull.not_merged_reason.unwrap_or_default().contains(reason.unwrap_or_default()));
        let input = &bodies[4]["variables"]["input"];
        assert_eq!((&input["expectedHeadOid"], &input["mergeMethod"]), (&json!(NEXT), &json!("SQUASH")));
        assert_eq!(input["commitBody"], "Roadstead-Service: production/x");
    }
    let mut on = pull(7);
    on["auto_merge"] = json!({"merge_method": "merge"});
    let replies = vec![rest_reply(200, json!([on])), branch_reply(BRANCH, NEXT, &["new"])];
    assert!(propose_with_mock(replies, &auto_merge).await.0.unwrap().unwrap().auto_merge);
}

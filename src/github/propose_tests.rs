//! Proposing, against answers of a test's own, in virtual time.

use serde_json::{Value, json};

use super::scripted::{Reply, Script, branch, committed, complaint, data, edit, rest};
use super::{Edit, Landed, Proposal, PullRequest, Setback, Snapshot};

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
        mark: "Roadstead-Service: ".into(),
        auto_merge: false,
    }
}

/// Wants `new` in the file.
fn change(seen: &Snapshot) -> Result<Option<Edit>, Setback> {
    Ok((seen.files["a.yaml"].bytes != b"new").then(|| edit("new")))
}

fn pull(number: u64) -> Value {
    json!({
        "number": number, "node_id": "PR_1", "html_url": "https://x/1", "title": "Deploy", "body": "what",
        "base": {"ref": "main"}, "head": {"ref": BRANCH, "sha": TIP, "repo": {"full_name": "acme/manifests"}},
        "auto_merge": null, "merged_at": null,
    })
}

fn none() -> Reply {
    rest(200, json!([]))
}

fn one() -> Reply {
    rest(200, json!([pull(7)]))
}

fn at(oid: &str) -> Reply {
    rest(200, json!({"object": {"sha": oid}}))
}

fn landed() -> Landed {
    Landed { oid: NEXT.into(), url: format!("https://github.com/acme/manifests/commit/{NEXT}") }
}

async fn proposed(
    answers: Vec<Reply>,
    proposal: &Proposal,
) -> (Result<Option<PullRequest>, Setback>, Vec<String>, Vec<Value>) {
    let (hub, script) = Script::hub(answers);
    let result = hub.propose(proposal, change).await;
    let calls = script.calls().into_iter().map(|call| call.replace("/repos/acme/manifests", "")).collect();
    (result, calls, script.asked().into_iter().map(|asked| asked.body).collect())
}

const LIST: &str = "GET /pulls?state=open&head=acme%3Aroadstead%2Fproduction&per_page=100";

#[tokio::test(start_paused = true)]
async fn the_first_time_a_branch_is_made_at_the_head_of_the_base() {
    let answers = vec![
        none(),
        branch("main", BASE, &["old"]),
        rest(404, json!({"message": "Not Found"})),
        rest(201, json!({})),
        branch(BRANCH, BASE, &["old"]),
        committed(NEXT),
        rest(201, pull(7)),
    ];
    let (result, calls, bodies) = proposed(answers, &proposal()).await;
    let pull = result.unwrap().unwrap();
    assert_eq!((pull.number, pull.created, pull.merged, pull.auto_merge), (7, true, false, false));
    assert_eq!((pull.commit, pull.note), (Some(landed()), None));
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
async fn a_branch_that_somebody_else_just_made_or_that_is_not_seen_yet_is_read_again() {
    let missing = || rest(404, json!({"message": "Not Found"}));
    let exists = rest(422, json!({"message": "Reference already exists"}));
    let unseen = data(json!({"repository": {"ref": null}}));
    let begin = vec![none(), branch("main", BASE, &["old"]), missing(), exists, unseen];
    let end = vec![branch(BRANCH, TIP, &["old"]), committed(NEXT), rest(201, pull(7))];
    let (result, calls, bodies) = proposed([begin, end].concat(), &proposal()).await;
    assert_eq!((result.unwrap().unwrap().commit, calls.len()), (Some(landed()), 8));
    assert_eq!(bodies[6]["variables"]["input"]["expectedHeadOid"], TIP);
}

#[tokio::test(start_paused = true)]
async fn what_the_base_has_already_is_not_proposed() {
    let (result, calls, _) = proposed(vec![none(), branch("main", BASE, &["new"])], &proposal()).await;
    assert_eq!(result, Ok(None));
    assert_eq!(calls, [LIST, "POST /graphql"]);
}

#[tokio::test(start_paused = true)]
async fn an_open_one_is_updated_and_not_doubled() {
    let answers = vec![one(), branch(BRANCH, TIP, &["old"]), committed(NEXT), rest(200, json!({}))];
    let changed = Proposal { title: "Deploy 2".into(), ..proposal() };
    let (result, calls, bodies) = proposed(answers, &changed).await;
    let pull = result.unwrap().unwrap();
    assert_eq!((pull.number, pull.created, pull.commit), (7, false, Some(landed())));
    assert_eq!(calls, [LIST, "POST /graphql", "POST /graphql", "PATCH /pulls/7"]);
    assert_eq!(bodies[3], json!({"title": "Deploy 2", "body": "what", "base": "main"}));
    // The same again changes nothing.
    let (result, calls, _) = proposed(vec![one(), branch(BRANCH, NEXT, &["new"])], &proposal()).await;
    assert_eq!(result.unwrap().unwrap().commit, None);
    assert_eq!(calls.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_moved_or_may_have_is_read_again() {
    let moved = complaint("STALE_DATA", "x");
    let answers =
        vec![one(), branch(BRANCH, TIP, &["old"]), moved, branch(BRANCH, BASE, &["old"]), committed(NEXT)];
    let (result, _, bodies) = proposed(answers, &proposal()).await;
    assert_eq!(result.unwrap().unwrap().commit, Some(landed()));
    assert_eq!(bodies[4]["variables"]["input"]["expectedHeadOid"], BASE);
    let answers = vec![one(), branch(BRANCH, TIP, &["old"]), Reply::Lost, branch(BRANCH, NEXT, &["new"])];
    let (result, calls, _) = proposed(answers, &proposal()).await;
    assert_eq!(result.unwrap().unwrap().commit, Some(landed()));
    assert_eq!(calls.len(), 4);
    let mut answers = vec![one()];
    for _ in 0..10 {
        answers.extend([branch(BRANCH, TIP, &["old"]), complaint("STALE_DATA", "x")]);
    }
    assert_eq!(proposed(answers, &proposal()).await.0, Err(Setback::Moved));
}

/// A branch is there at `TIP`, and no open pull request: how it compares with the base.
fn leftover(status: &str, message: &str) -> Vec<Reply> {
    let commits = match status {
        "behind" => json!([]),
        _ => json!([{"sha": TIP, "parents": [1], "commit": {"message": message}}]),
    };
    let total = commits.as_array().unwrap().len();
    let comparison = rest(200, json!({"status": status, "commits": commits, "total_commits": total}));
    vec![none(), branch("main", BASE, &["old"]), at(TIP), comparison]
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_was_left_is_used_again_only_as_far_as_it_is_ours() {
    let ours = "Deploy\n\nRoadstead-Service: production/x";
    let ok = || rest(200, json!({}));
    let end = || vec![branch(BRANCH, BASE, &["old"]), committed(NEXT), rest(201, pull(8))];
    for (status, between, calls) in [
        ("behind", vec![ok()], &["PATCH /git/refs/heads/roadstead/production"][..]),
        ("ahead", vec![], &[]),
        (
            "diverged",
            vec![Reply::Said(204, vec![], String::new()), ok()],
            &["DELETE /git/refs/heads/roadstead/production", "POST /git/refs"],
        ),
    ] {
        let answers = [leftover(status, ours), between, end()].concat();
        let (result, made, bodies) = proposed(answers, &proposal()).await;
        assert_eq!(result.unwrap().unwrap().number, 8, "{status}");
        assert_eq!(made[3], format!("GET /compare/{BASE}...{TIP}?per_page=100"));
        assert_eq!(&made[4..4 + calls.len()], calls, "{status}");
        if status == "behind" {
            assert_eq!(bodies[4], json!({"sha": BASE, "force": false}));
        }
    }
    let (result, calls, _) = proposed(leftover("diverged", "by hand"), &proposal()).await;
    assert!(matches!(result, Err(Setback::Refused(why)) if why.contains(TIP) && why.contains(BRANCH)));
    assert_eq!(calls.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn opening_is_looked_for_before_it_is_tried_again() {
    let begin = || {
        let missing = rest(404, json!({}));
        let made = rest(201, json!({}));
        vec![
            none(),
            branch("main", BASE, &["old"]),
            missing,
            made,
            branch(BRANCH, BASE, &["old"]),
            committed(NEXT),
        ]
    };
    let exists = rest(
        422,
        json!({"message": "Validation Failed", "errors": [{"message": "A pull request already exists for acme:x."}]}),
    );
    for (after, posts) in [
        (vec![Reply::Lost, one()], 1),
        (vec![exists, one()], 1),
        (vec![Reply::Lost, none(), rest(201, pull(7))], 2),
    ] {
        let (result, calls, _) = proposed([begin(), after].concat(), &proposal()).await;
        assert_eq!(result.unwrap().unwrap().number, 7);
        assert_eq!(calls.iter().filter(|call| *call == "POST /pulls").count(), posts);
    }
    let denied =
        rest(403, json!({"message": "GitHub Actions is not permitted to create or approve pull requests."}));
    let (result, _, _) = proposed([begin(), vec![denied]].concat(), &proposal()).await;
    assert!(matches!(result, Err(Setback::Forbidden(why)) if why.contains("not permitted")));
}

#[tokio::test(start_paused = true)]
async fn merging_is_promised_done_or_explained() {
    let begin = |more: Vec<Reply>| {
        let squash = rest(200, json!({"allow_merge_commit": false, "allow_squash_merge": true}));
        [vec![one(), branch(BRANCH, TIP, &["old"]), committed(NEXT), squash], more].concat()
    };
    let wish = Proposal { auto_merge: true, ..proposal() };
    let on = data(json!({"enablePullRequestAutoMerge": {"pullRequest": {"number": 7}}}));
    let clean = || complaint("UNPROCESSABLE", "Pull request Pull request is in clean status");
    let done = json!({"merged_at": "2026-11-24T12:00:00Z", "merge_commit_sha": "7e57", "number": 7});
    for (more, merged, auto, note) in [
        (vec![on], None, true, None),
        (vec![clean(), rest(200, json!({"sha": "7e57", "merged": true}))], Some("7e57"), false, None),
        (vec![clean(), Reply::Lost, rest(200, done)], Some("7e57"), false, None),
        (vec![clean(), rest(405, json!({"message": "Not mergeable"}))], None, false, Some("Not mergeable")),
        (vec![complaint("UNPROCESSABLE", "Auto merge is not allowed")], None, false, Some("not allowed")),
        (vec![Reply::Lost, rest(200, json!({"number": 7, "auto_merge": {}}))], None, true, None),
    ] {
        let (result, _, bodies) = proposed(begin(more), &wish).await;
        let pull = result.unwrap().unwrap();
        assert_eq!(
            (pull.merge_commit.as_deref(), pull.merged, pull.auto_merge),
            (merged, merged.is_some(), auto)
        );
        assert_eq!(pull.note.is_some(), note.is_some());
        assert!(pull.note.unwrap_or_default().contains(note.unwrap_or_default()));
        let input = &bodies[4]["variables"]["input"];
        assert_eq!((&input["expectedHeadOid"], &input["mergeMethod"]), (&json!(NEXT), &json!("SQUASH")));
        assert_eq!(input["commitBody"], "Roadstead-Service: production/x");
    }
    let mut on = pull(7);
    on["auto_merge"] = json!({"merge_method": "merge"});
    let answers = vec![rest(200, json!([on])), branch(BRANCH, NEXT, &["new"])];
    assert!(proposed(answers, &wish).await.0.unwrap().unwrap().auto_merge);
}

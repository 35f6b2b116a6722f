//! The embedded GitHub, asked by hand: what it does, and that its requests and answers are those that GitHub describes.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::record::Outcome;
use roadstead::rehearsal::scenario::Scenario;
use serde_json::{Value, json};

use crate::support::github::{Asker, faults};
use crate::support::virtually;

const WORLD: &str = r#"
github:
  repositories:
    - name: acme/manifests
      files: { apps/web/kustomization.yaml: "newTag: v1\r\n", run.sh: "echo\n", README.md: "hello\n" }
      executables: [run.sh]
      symlinks: { latest: apps/web }
"#;

const COMMIT: &str = "mutation Commit($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid url } ref { name target { oid } } }
}";

const SNAPSHOT: &str = "query Snapshot($owner: String!, $name: String!, $branch: String!, $path: String!) {
  repository(owner: $owner, name: $name) {
    nameWithOwner viewerPermission isArchived autoMergeAllowed
    defaultBranchRef { name }
    ref(qualifiedName: $branch) {
      name
      refUpdateRule { viewerCanPush requiredStatusCheckContexts requiredApprovingReviewCount }
      target { oid ... on Commit {
        f0: file(path: $path) { ...File }
        f1: file(path: \"latest\") { ...File }
        f2: file(path: \"none\") { ...File }
        h0: history(first: 2, path: $path) { totalCount nodes { oid message committedDate } pageInfo { hasNextPage } }
      } }
    }
  }
}
fragment File on TreeEntry { mode object { __typename ... on Blob { oid byteSize isBinary isTruncated text } } }";

fn cloud(scenario: &str) -> Cloud {
    Cloud::new(Scenario::parse(scenario).unwrap(), 1)
}

/// The small world with these keys in its repository, and these faults.
fn world(repository: &str, rest: &str) -> Cloud {
    cloud(&format!("{WORLD}      {repository}\n{rest}"))
}

fn head(cloud: &Cloud) -> String {
    cloud.read(|world| world.github.head("acme/manifests", "main")).unwrap()
}

fn text(cloud: &Cloud, path: &str) -> Option<String> {
    let head = head(cloud);
    let bytes = cloud.read(|world| world.github.file("acme/manifests", &head, path))?;
    Some(String::from_utf8(bytes).unwrap())
}

fn commit(head: &str, changes: Value) -> Value {
    json!({ "input": {
        "branch": { "repositoryNameWithOwner": "acme/manifests", "branchName": "main" },
        "expectedHeadOid": head, "message": { "headline": "Deploy", "body": "Trailer: x" }, "fileChanges": changes,
    } })
}

fn addition(path: &str, text: &str) -> Value {
    json!({ "additions": [{ "path": path, "contents": STANDARD.encode(text) }] })
}

fn error(body: &Value) -> (&str, &str) {
    let error = &body["errors"][0];
    (error["type"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
}

#[test]
fn a_snapshot_is_one_query() {
    virtually(async {
        let asker = Asker::of(&cloud(WORLD));
        let variables =
            json!({ "owner": "acme", "name": "manifests", "branch": "refs/heads/main", "path": "run.sh" });
        let body = asker.graphql(SNAPSHOT, variables).await;
        assert_eq!(body["errors"], Value::Null);
        let repository = &body["data"]["repository"];
        assert_eq!(repository["viewerPermission"], "WRITE");
        assert_eq!(repository["ref"]["refUpdateRule"], Value::Null);
        let target = &repository["ref"]["target"];
        assert_eq!(target["oid"], head(&asker.cloud));
        assert_eq!(target["f0"]["mode"], 0o100_755);
        assert_eq!(target["f0"]["object"]["text"], "echo\n");
        assert_eq!(
            (&target["f1"]["mode"], &target["f1"]["object"]["text"]),
            (&json!(0o120_000), &json!("apps/web"))
        );
        assert_eq!(target["f2"], Value::Null);
        assert_eq!(target["h0"]["totalCount"], 1);
        let calls = asker.cloud.calls();
        assert_eq!((calls[0].operation.as_str(), calls[0].mutating), ("graphql/Snapshot", false));
    });
}

#[test]
fn a_commit_needs_the_head_that_it_expects() {
    virtually(async {
        let asker = Asker::of(&cloud(WORLD));
        let first = head(&asker.cloud);
        let changes = json!({
            "additions": [{ "path": "run.sh", "contents": STANDARD.encode("true\n") }], "deletions": [{ "path": "README.md" }],
        });
        let body = asker.graphql(COMMIT, commit(&first, changes.clone())).await;
        let made = &body["data"]["createCommitOnBranch"];
        assert_eq!(made["commit"]["oid"], head(&asker.cloud));
        assert_eq!(made["ref"]["target"]["oid"], head(&asker.cloud));
        assert_eq!(
            (text(&asker.cloud, "run.sh").as_deref(), text(&asker.cloud, "README.md")),
            (Some("true\n"), None)
        );
        let second = head(&asker.cloud);
        let history = asker.cloud.read(|world| world.github.history("acme/manifests", &second, None));
        assert_eq!(history[0].1.message, "Deploy\n\nTrailer: x");
        assert_eq!((history[0].1.author.name.as_str(), history.len()), ("github-actions[bot]", 2));
        let files = asker.cloud.read(|world| world.github.files("acme/manifests", &second));
        assert_eq!(files["run.sh"].mode, "100644", "the executable bit is lost, as it is at GitHub");

        let body = asker.graphql(COMMIT, commit(&first, changes)).await;
        let words = format!("Expected branch to point to \"{first}\" but it did not. Pull and try again.");
        assert_eq!(error(&body), ("STALE_DATA", words.as_str()));
        assert_eq!(body["data"]["createCommitOnBranch"], Value::Null);
        let last = asker.cloud.calls().pop().unwrap();
        assert_eq!(last.outcome, Outcome::Refused("STALE_DATA".into()));
        assert!(last.mutating && !last.effective);
    });
}

#[test]
fn what_github_refuses_in_a_commit_is_refused() {
    virtually(async {
        let asker = Asker::of(&cloud(WORLD));
        let first = head(&asker.cloud);
        let table = [
            (json!({ "deletions": [{ "path": "nowhere" }] }), "UNPROCESSABLE", "requested for deletion"),
            (addition("/etc/passwd", "x"), "UNPROCESSABLE", "not valid"),
            (addition("a/../b", "x"), "UNPROCESSABLE", "not valid"),
            (addition(".git/config", "x"), "UNPROCESSABLE", "not valid"),
            (json!({ "additions": [{ "path": "a", "contents": "YQ" }] }), "", "Base64String"),
            (json!({ "additions": null }), "", "Something went wrong"),
            (
                json!({ "additions": [{ "path": "a", "contents": "" }], "deletions": [{ "path": "a" }] }),
                "UNPROCESSABLE",
                "more than once",
            ),
        ];
        for (changes, kind, words) in table {
            let body = asker.graphql(COMMIT, commit(&first, changes.clone())).await;
            let (is, says) = error(&body);
            assert!(is == kind && says.contains(words), "{changes}: {body}");
        }
        let mut elsewhere = commit(&first, json!({}));
        elsewhere["input"]["branch"]["repositoryNameWithOwner"] = "acme/nothing".into();
        assert_eq!(error(&asker.graphql(COMMIT, elsewhere).await).0, "NOT_FOUND");
        assert_eq!(head(&asker.cloud), first);
    });
}

#[test]
fn a_document_that_the_schema_does_not_allow_is_refused_and_found() {
    virtually(async {
        let asker = Asker::of(&cloud(WORLD));
        let ask = |document: &str, variables: Value| {
            let body = json!({ "query": document, "variables": variables }).to_string();
            let asker = &asker;
            async move { asker.bare("POST", "https://h/api/graphql", &body).await.unwrap().body }
        };
        let body = ask("{ repository(owner: \"acme\", name: \"manifests\") { colour } }", Value::Null).await;
        assert_eq!(error(&body).1, "Field 'colour' doesn't exist on type 'Repository'");
        assert_eq!(body["errors"][0]["extensions"]["code"], "undefinedField");
        assert_eq!(body.get("data"), None);
        let query = "query Q($owner: String!) { repository(owner: $owner, name: \"manifests\") { name } }";
        assert!(error(&ask(query, json!({})).await).1.contains("was provided invalid value"));
        assert!(error(&ask("{ viewer { login", Value::Null).await).1.starts_with("Parse error"));
        let query = "query Q($unused: Int) { viewer { login } }";
        assert!(error(&ask(query, json!({})).await).1.contains("not used"));
        assert_eq!(faults(&asker.cloud.calls()).len(), 4);
        let before = head(&asker.cloud);
        let wrong = COMMIT.replace("oid url", "oid colour");
        assert!(error(&ask(&wrong, commit(&before, addition("a", "1"))).await).1.contains("colour"));
        assert_eq!(head(&asker.cloud), before, "nothing is done before the document is checked");
    });
}

/// A change through the Git database: blob, tree, commit; returns the commit.
async fn written(asker: &Asker, parent: &str, path: &str, mode: &str, text: &str) -> String {
    let at = |rest: &str| format!("/repos/acme/manifests/git/{rest}");
    let blob = json!({ "content": STANDARD.encode(text), "encoding": "base64" });
    let blob = asker.rest("POST", &at("blobs"), blob).await.body["sha"].clone();
    let read = asker.rest("GET", &at(&format!("blobs/{}", blob.as_str().unwrap())), Value::Null).await.body;
    assert_eq!(
        STANDARD.decode(read["content"].as_str().unwrap().replace('\n', "")).unwrap(),
        text.as_bytes()
    );
    let entry = json!({ "path": path, "mode": mode, "type": "blob", "sha": blob });
    let tree = asker.rest("POST", &at("trees"), json!({ "base_tree": parent, "tree": [entry] })).await;
    let commit = json!({ "message": "By hand", "tree": tree.body["sha"], "parents": [parent] });
    let commit = asker.rest("POST", &at("commits"), commit).await;
    assert_eq!(commit.status, 201);
    commit.body["sha"].as_str().unwrap().to_owned()
}

#[test]
fn the_git_database_keeps_modes_and_refs_only_go_forward() {
    virtually(async {
        let asker = Asker::of(&cloud(WORLD));
        let first = head(&asker.cloud);
        let second = written(&asker, &first, "run.sh", "100755", "true\n").await;
        let main = "/repos/acme/manifests/git/refs/heads/main";
        assert_eq!(asker.rest("PATCH", main, json!({ "sha": second, "force": false })).await.status, 200);
        let files = asker.cloud.read(|world| world.github.files("acme/manifests", &second));
        assert_eq!((head(&asker.cloud), files["run.sh"].mode.as_str()), (second.clone(), "100755"));
        let back = asker.rest("PATCH", main, json!({ "sha": first })).await;
        assert_eq!((back.status, back.body["message"].as_str()), (422, Some("Update is not a fast forward")));

        let refs = "/repos/acme/manifests/git/refs";
        let made = json!({ "ref": "refs/heads/deploy/web", "sha": first });
        assert_eq!(asker.rest("POST", refs, made.clone()).await.status, 201);
        let again = asker.rest("POST", refs, made).await;
        assert_eq!((again.status, again.body["message"].as_str()), (422, Some("Reference already exists")));
        let one = "/repos/acme/manifests/git/ref/heads/deploy/web";
        assert_eq!(asker.rest("GET", one, Value::Null).await.body["object"]["sha"], first.as_str());
        let delete = "/repos/acme/manifests/git/refs/heads/deploy/web";
        assert_eq!(asker.rest("DELETE", delete, Value::Null).await.status, 204);
        assert_eq!(asker.rest("GET", one, Value::Null).await.status, 404);
        assert_eq!(asker.rest("DELETE", delete, Value::Null).await.status, 422);
    });
}

#[test]
fn repositories_contents_commits_and_comparisons() {
    virtually(async {
        let asker = Asker::of(&cloud(WORLD));
        let first = head(&asker.cloud);
        asker.graphql(COMMIT, commit(&first, addition("README.md", "hello\nworld\n"))).await;
        let second = head(&asker.cloud);
        let get = |rest: String| {
            let asker = &asker;
            async move { asker.rest("GET", &format!("/repos/acme/manifests{rest}"), Value::Null).await }
        };
        let repository = get(String::new()).await;
        assert_eq!(repository.body["permissions"]["push"], true);
        assert_eq!(repository.headers["x-ratelimit-resource"], "core");
        assert_eq!(get("/contents/README.md".into()).await.body["size"], 12);
        assert_eq!(get(format!("/contents/README.md?ref={first}")).await.body["size"], 6);
        assert_eq!(get("/contents/latest".into()).await.body["type"], "symlink");
        assert_eq!(get("/contents/apps".into()).await.body[0]["path"], "apps/web");
        assert_eq!(get("/contents/none".into()).await.status, 404);
        assert_eq!(get("/branches/main".into()).await.body["commit"]["sha"], second.as_str());
        assert_eq!(get("/git/trees/main?recursive=1".into()).await.body["tree"].as_array().unwrap().len(), 6);
        assert_eq!(get(format!("/git/commits/{second}")).await.body["message"], "Deploy\n\nTrailer: x");
        assert_eq!(get(format!("/commits/{second}")).await.body["stats"]["additions"], 1);
        let one = get("/commits?per_page=1".into()).await;
        assert_eq!(one.body[0]["sha"], second.as_str());
        assert!(one.headers["link"].to_str().unwrap().contains("page=2>; rel=\"next\""));
        assert_eq!(get("/commits?path=run.sh".into()).await.body.as_array().unwrap().len(), 1);
        let compared = get(format!("/compare/{first}...main")).await.body;
        assert_eq!((&compared["status"], &compared["total_commits"]), (&json!("ahead"), &json!(1)));
        assert_eq!(compared["files"][0]["additions"], 1);
        assert_eq!(get(format!("/compare/main...{first}")).await.body["status"], "behind");
        assert_eq!(get("/compare/main...main".into()).await.body["status"], "identical");
    });
}

/// A branch with one commit beyond main, and the pull request for it.
async fn proposed(asker: &Asker) -> Value {
    let first = head(&asker.cloud);
    let made = json!({ "ref": "refs/heads/deploy", "sha": first });
    asker.rest("POST", "/repos/acme/manifests/git/refs", made).await;
    let request = json!({ "title": "Deploy", "head": "deploy", "base": "main", "body": "words" });
    let early = asker.rest("POST", "/repos/acme/manifests/pulls", request.clone()).await;
    assert_eq!(early.body["errors"][0]["message"], "No commits between main and deploy");
    let mut input = commit(&first, addition("run.sh", "true\n"));
    input["input"]["branch"]["branchName"] = "deploy".into();
    assert_eq!(asker.graphql(COMMIT, input).await["errors"], Value::Null);
    let made = asker.rest("POST", "/repos/acme/manifests/pulls", request.clone()).await;
    assert_eq!(made.status, 201);
    let again = asker.rest("POST", "/repos/acme/manifests/pulls", request).await;
    assert_eq!(again.body["errors"][0]["message"], "A pull request already exists for acme:deploy.");
    made.body
}

#[test]
fn pull_requests_are_opened_once_changed_and_merged() {
    virtually(async {
        let asker = Asker::of(&cloud(WORLD));
        let made = proposed(&asker).await;
        assert_eq!((&made["mergeable_state"], &made["changed_files"]), (&json!("clean"), &json!(1)));
        let list = |query: &str| {
            let path = format!("/repos/acme/manifests/pulls?{query}");
            let asker = &asker;
            async move { asker.rest("GET", &path, Value::Null).await.body.as_array().unwrap().len() }
        };
        assert_eq!(list("head=acme:deploy&base=main&state=open").await, 1);
        assert_eq!(list("head=acme:other").await, 0);
        assert_eq!(list("head=other").await, 1, "a head without an owner is not looked at");
        let one = "/repos/acme/manifests/pulls/1";
        let changed = asker.rest("PATCH", one, json!({ "title": "Deploy 2" })).await;
        assert_eq!(changed.body["title"], "Deploy 2");
        let stale = asker.rest("PUT", &format!("{one}/merge"), json!({ "sha": head(&asker.cloud) })).await;
        assert_eq!(stale.status, 409);
        let sha = &made["head"]["sha"];
        let merged =
            asker.rest("PUT", &format!("{one}/merge"), json!({ "sha": sha, "merge_method": "squash" })).await;
        assert_eq!(merged.body["sha"], head(&asker.cloud));
        assert_eq!(text(&asker.cloud, "run.sh").as_deref(), Some("true\n"));
        assert_eq!(asker.rest("GET", one, Value::Null).await.body["merged"], true);
        assert_eq!(list("state=open").await, 0);
    });
}

const AUTO: &str = "mutation($input: EnablePullRequestAutoMergeInput!) {
  enablePullRequestAutoMerge(input: $input) { pullRequest { number state autoMergeRequest { mergeMethod } } }
}";

#[test]
fn github_merges_by_itself_once_it_may() {
    virtually(async {
        let protected = "protected: [{ branch: main, required-checks: [ci], met-after: 90 }]";
        let asker = Asker::of(&world(&format!("auto-merge: true\n      {protected}"), ""));
        let first = head(&asker.cloud);
        let made = proposed(&asker).await;
        assert_eq!(made["mergeable_state"], "blocked");
        let refused = asker.rest("PUT", "/repos/acme/manifests/pulls/1/merge", json!({})).await;
        assert_eq!(
            (refused.status, refused.body["message"].as_str()),
            (405, Some("Required status check \"ci\" is expected."))
        );
        let input = json!({ "input": { "pullRequestId": made["node_id"], "mergeMethod": "SQUASH" } });
        let enabled = asker.graphql(AUTO, input.clone()).await;
        assert_eq!(
            enabled["data"]["enablePullRequestAutoMerge"]["pullRequest"]["autoMergeRequest"]["mergeMethod"],
            "SQUASH"
        );
        assert_eq!(head(&asker.cloud), first);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_ne!(head(&asker.cloud), first);
        assert_eq!(error(&asker.graphql(AUTO, input).await), ("UNPROCESSABLE", "Pull request is closed"));

        let asker = Asker::of(&world("auto-merge: true", ""));
        let made = proposed(&asker).await;
        let input = json!({ "input": { "pullRequestId": made["node_id"] } });
        assert_eq!(
            error(&asker.graphql(AUTO, input).await).1,
            "Pull request Pull request is in clean status"
        );
        let asker = Asker::of(&cloud(WORLD));
        let input = json!({ "input": { "pullRequestId": proposed(&asker).await["node_id"] } });
        assert_eq!(
            error(&asker.graphql(AUTO, input).await).1,
            "Auto merge is not allowed for this repository"
        );
    });
}

#[test]
fn protection_and_rights_are_those_of_the_token() {
    virtually(async {
        let rule = "protected: [{ branch: main, required-reviews: 1, allowed: [robot] }]";
        let tokens = r#"
  tokens: { robot: { login: robot }, reader: { access: read }, none: { access: none }, bad: { access: invalid } }
"#;
        let cloud = world(&format!("private: true\n      {rule}"), tokens.trim_start_matches('\n'));
        let asker = |token: &str| Asker { token: Some(token.into()), ..Asker::of(&cloud) };
        let wish = || commit(&head(&cloud), addition("a", "1"));
        let body = asker("t").graphql(COMMIT, wish()).await;
        assert_eq!(
            error(&body),
            ("BRANCH_PROTECTION_RULE_VIOLATION", "Changes must be made through a pull request.")
        );
        assert_eq!(asker("robot").graphql(COMMIT, wish()).await["errors"], Value::Null);
        assert_eq!(
            error(&asker("reader").graphql(COMMIT, wish()).await),
            ("FORBIDDEN", "Resource not accessible by integration")
        );
        assert_eq!(error(&asker("none").graphql(COMMIT, wish()).await).0, "NOT_FOUND");
        let main = "/repos/acme/manifests/git/refs/heads/main";
        let move_main = || json!({ "sha": head(&cloud) });
        let refused = asker("reader").rest("PATCH", main, move_main()).await;
        assert_eq!(
            (refused.status, refused.body["message"].as_str()),
            (403, Some("Resource not accessible by integration"))
        );
        assert_eq!(asker("none").rest("PATCH", main, move_main()).await.status, 404);
        assert_eq!(asker("bad").rest("PATCH", main, move_main()).await.body["message"], "Bad credentials");
        assert_eq!(asker("t").rest("PATCH", main, move_main()).await.status, 422);
        let nobody = Asker { token: None, ..Asker::of(&cloud) };
        assert_eq!(nobody.rest("GET", "/repos/acme/manifests", Value::Null).await.status, 404);
    });
}

#[test]
fn rivals_are_faster_and_may_touch_the_same_file() {
    virtually(async {
        let faults = "faults: [rival-commit: { times: 2 }, rival-commit: { times: 1, same-file: true }]";
        let asker = Asker::of(&cloud(&format!("{WORLD}{faults}")));
        for expected in ["STALE_DATA", "STALE_DATA", "STALE_DATA", ""] {
            let body = asker.graphql(COMMIT, commit(&head(&asker.cloud), addition("run.sh", "true\n"))).await;
            assert_eq!(error(&body).0, expected, "{body}");
            if expected == "STALE_DATA" {
                assert_ne!(text(&asker.cloud, "run.sh").as_deref(), Some("true\n"));
            }
        }
        let head = head(&asker.cloud);
        let history = asker.cloud.read(|world| world.github.history("acme/manifests", &head, Some("run.sh")));
        let names: Vec<&str> = history.iter().map(|(_, commit)| commit.author.name.as_str()).collect();
        assert_eq!(names, ["github-actions[bot]", "Rival", "Ada"]);
    });
}

#[test]
fn rates_gateways_and_replicas_fail_as_told() {
    virtually(async {
        let faults = "faults:
  - rate-limit: { operation: createCommitOnBranch, retry-after: 60 }
  - rate-limit: { operation: createCommitOnBranch }
  - rate-limit: { operation: createCommitOnBranch, resets-after: 120 }
  - bad-gateway: { operation: createCommitOnBranch }
  - bad-gateway: { operation: createCommitOnBranch, effect: true }
  - replica-lag: { for: 10 }
";
        let asker = Asker::of(&cloud(&format!("{WORLD}{faults}")));
        let first = head(&asker.cloud);
        let send = || {
            let body =
                json!({ "query": COMMIT, "variables": commit(&first, addition("a", "1")) }).to_string();
            let asker = &asker;
            async move { asker.bare("POST", "https://h/graphql", &body).await.unwrap() }
        };
        let told = send().await;
        assert_eq!((told.status, told.headers["retry-after"].to_str().unwrap()), (403, "60"));
        assert!(told.body["message"].as_str().unwrap().contains("secondary rate limit"));
        assert!(!send().await.headers.contains_key("retry-after"));
        let primary = send().await;
        assert_eq!((primary.status, &primary.headers["x-ratelimit-remaining"]), (403, &"0".parse().unwrap()));
        let reset: f64 = primary.headers["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
        assert!((reset - asker.cloud.now() - 120.0).abs() < 2.0);
        assert_eq!(send().await.status, 403, "until then, nothing passes");
        tokio::time::sleep(Duration::from_secs(121)).await;
        assert_eq!(send().await.status, 502);
        assert_eq!(head(&asker.cloud), first);
        assert_eq!(send().await.status, 502);
        assert_ne!(head(&asker.cloud), first, "this one was done");
        let seen = "/repos/acme/manifests/git/ref/heads/main";
        assert_eq!(asker.rest("GET", seen, Value::Null).await.body["object"]["sha"], first.as_str());
        tokio::time::sleep(Duration::from_secs(11)).await;
        let now = asker.rest("GET", seen, Value::Null).await.body["object"]["sha"].clone();
        assert_eq!(now, head(&asker.cloud));
    });
}

#[test]
fn ten_writers_lose_nothing() {
    virtually(async {
        let cloud = cloud(WORLD);
        let writers = (0..10).map(|number| {
            let asker = Asker::of(&cloud);
            async move {
                let mut tries = 0;
                loop {
                    tries += 1;
                    let wish = commit(&head(&asker.cloud), addition(&format!("apps/{number}"), "1"));
                    if asker.graphql(COMMIT, wish).await["errors"].is_null() {
                        return tries;
                    }
                    tokio::time::sleep(Duration::from_millis(100 + 37 * number)).await;
                }
            }
        });
        let tries: Vec<u32> = futures::future::join_all(writers).await;
        assert!(tries.iter().any(|tries| *tries > 1), "nobody was in anybody's way");
        let head = head(&cloud);
        let files = cloud.read(|world| world.github.files("acme/manifests", &head));
        assert!((0..10).all(|number| files.contains_key(&format!("apps/{number}"))));
        assert_eq!(cloud.read(|world| world.github.history("acme/manifests", &head, None)).len(), 11);
    });
}

#[test]
fn the_same_seed_gives_the_same_commits() {
    let run = |seed: u64| {
        virtually(async move {
            let cloud = Cloud::new(Scenario::parse(WORLD).unwrap(), seed);
            let asker = Asker::of(&cloud);
            asker.graphql(COMMIT, commit(&head(&cloud), addition("a", "1"))).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            cloud.commit("acme/manifests", "main", "Grace", "by hand", &[("b", Some(b"2"))]).unwrap();
            head(&cloud)
        })
    };
    assert_eq!(run(7), run(7));
}

#[test]
fn ten_thousand_files_are_one_snapshot_and_one_commit() {
    virtually(async {
        let asker = Asker::of(&world("filler: 10000", ""));
        let first = head(&asker.cloud);
        let path = "filler/0042/004217.yaml";
        let variables = json!({ "owner": "acme", "name": "manifests", "branch": "main", "path": path });
        let body = asker.graphql(SNAPSHOT, variables).await;
        assert_eq!(body["data"]["repository"]["ref"]["target"]["f0"]["object"]["text"], "group: 42\n");
        asker.graphql(COMMIT, commit(&first, addition(path, "group: none\n"))).await;
        assert_eq!(text(&asker.cloud, path).as_deref(), Some("group: none\n"));
        assert_eq!(asker.cloud.calls().len(), 2);
    });
}

#[test]
fn the_repository_itself_is_served_to_git() {
    virtually(async {
        let asker = Asker::of(&cloud(WORLD));
        let file = |path: &str| {
            let uri = format!("http://127.0.0.1:1/acme/manifests.git/{path}");
            let asker = &asker;
            async move { asker.bare("GET", &uri, "").await.unwrap() }
        };
        assert_eq!(file("HEAD").await.bytes, "ref: refs/heads/main\n");
        let refs = file("info/refs?service=git-upload-pack").await;
        assert_eq!(refs.bytes, format!("{}\trefs/heads/main\n", head(&asker.cloud)));
        assert_eq!(file("objects/00/00").await.status, 404);
        assert!(asker.cloud.calls().iter().all(|call| !call.mutating));
    });
}

//! The emulated GitHub: commits, the Git database, repositories. Requests and responses follow GitHub's API descriptions.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadstead_cloud::call_log::CallOutcome;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::scenario::Scenario;
use serde_json::{Value, json};

use crate::support::github::{GitHubTestClient, request_violations};
use crate::support::run_in_virtual_time;

pub(crate) const SCENARIO: &str = r#"
github:
  repositories:
    - name: acme/manifests
      files: { apps/web/kustomization.yaml: "newTag: v1\r\n", run.sh: "echo\n", README.md: "hello\n" }
      executables: [run.sh]
      symlinks: { latest: apps/web }
"#;

pub(crate) const COMMIT: &str = "mutation Commit($input: CreateCommitOnBranchInput!) {
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

pub(crate) fn start_cloud(scenario: &str) -> Cloud {
    Cloud::new(Scenario::parse(scenario).unwrap(), 1)
}

/// The small world with these keys in its repository, and these faults.
pub(crate) fn cloud_with(repository: &str, rest: &str) -> Cloud {
    start_cloud(&format!("{SCENARIO}      {repository}\n{rest}"))
}

pub(crate) fn main_head(cloud: &Cloud) -> String {
    cloud.read(|world| world.github.head("acme/manifests", "main")).unwrap()
}

pub(crate) fn file_text(cloud: &Cloud, path: &str) -> Option<String> {
    let head = main_head(cloud);
    let bytes = cloud.read(|world| world.github.read_file("acme/manifests", &head, path))?;
    Some(String::from_utf8(bytes).unwrap())
}

pub(crate) fn commit_input(head: &str, changes: Value) -> Value {
    json!({ "input": {
        "branch": { "repositoryNameWithOwner": "acme/manifests", "branchName": "main" },
        "expectedHeadOid": head, "message": { "headline": "Deploy", "body": "Trailer: x" }, "fileChanges": changes,
    } })
}

pub(crate) fn addition(path: &str, text: &str) -> Value {
    json!({ "additions": [{ "path": path, "contents": STANDARD.encode(text) }] })
}

pub(crate) fn first_error(body: &Value) -> (&str, &str) {
    let error = &body["errors"][0];
    (error["type"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
}

#[test]
fn a_snapshot_is_one_query() {
    run_in_virtual_time(async {
        let client = GitHubTestClient::new(&start_cloud(SCENARIO));
        let variables =
            json!({ "owner": "acme", "name": "manifests", "branch": "refs/heads/main", "path": "run.sh" });
        let body = client.call_graphql(SNAPSHOT, variables).await;
        assert_eq!(body["errors"], Value::Null);
        let repository = &body["data"]["repository"];
        assert_eq!(repository["viewerPermission"], "WRITE");
        assert_eq!(repository["ref"]["refUpdateRule"], Value::Null);
        let target = &repository["ref"]["target"];
        assert_eq!(target["oid"], main_head(&client.cloud));
        assert_eq!(target["f0"]["mode"], 0o100_755);
        assert_eq!(target["f0"]["object"]["text"], "echo\n");
        assert_eq!(
            (&target["f1"]["mode"], &target["f1"]["object"]["text"]),
            (&json!(0o120_000), &json!("apps/web"))
        );
        assert_eq!(target["f2"], Value::Null);
        assert_eq!(target["h0"]["totalCount"], 1);
        let calls = client.cloud.calls();
        assert_eq!((calls[0].operation.as_str(), calls[0].is_mutating), ("graphql/Snapshot", false));
    });
}

#[test]
fn commit_with_stale_head_is_rejected() {
    run_in_virtual_time(async {
        let client = GitHubTestClient::new(&start_cloud(SCENARIO));
        let first = main_head(&client.cloud);
        let changes = json!({
            "additions": [{ "path": "run.sh", "contents": STANDARD.encode("true\n") }], "deletions": [{ "path": "README.md" }],
        });
        let body = client.call_graphql(COMMIT, commit_input(&first, changes.clone())).await;
        let made = &body["data"]["createCommitOnBranch"];
        assert_eq!(made["commit"]["oid"], main_head(&client.cloud));
        assert_eq!(made["ref"]["target"]["oid"], main_head(&client.cloud));
        assert_eq!(
            (file_text(&client.cloud, "run.sh").as_deref(), file_text(&client.cloud, "README.md")),
            (Some("true\n"), None)
        );
        let second = main_head(&client.cloud);
        let history = client.cloud.read(|world| world.github.history("acme/manifests", &second, None));
        assert_eq!(history[0].1.message, "Deploy\n\nTrailer: x");
        assert_eq!((history[0].1.author.name.as_str(), history.len()), ("github-actions[bot]", 2));
        let files = client.cloud.read(|world| world.github.list_files("acme/manifests", &second));
        assert_eq!(files["run.sh"].mode, "100644", "the executable bit is lost, as it is at GitHub");

        let body = client.call_graphql(COMMIT, commit_input(&first, changes)).await;
        let words = format!("Expected branch to point to \"{first}\" but it did not. Pull and try again.");
        assert_eq!(first_error(&body), ("STALE_DATA", words.as_str()));
        assert_eq!(body["data"]["createCommitOnBranch"], Value::Null);
        let last = client.cloud.calls().pop().unwrap();
        assert_eq!(last.outcome, CallOutcome::Failed("STALE_DATA".into()));
        assert!(last.is_mutating && !last.took_effect);
    });
}

#[test]
fn invalid_commit_is_rejected() {
    run_in_virtual_time(async {
        let client = GitHubTestClient::new(&start_cloud(SCENARIO));
        let first = main_head(&client.cloud);
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
            let body = client.call_graphql(COMMIT, commit_input(&first, changes.clone())).await;
            let (is, says) = first_error(&body);
            assert!(is == kind && says.contains(words), "{changes}: {body}");
        }
        let mut elsewhere = commit_input(&first, json!({}));
        elsewhere["input"]["branch"]["repositoryNameWithOwner"] = "acme/nothing".into();
        assert_eq!(first_error(&client.call_graphql(COMMIT, elsewhere).await).0, "NOT_FOUND");
        assert_eq!(main_head(&client.cloud), first);
    });
}

#[test]
fn invalid_graphql_document_is_rejected_and_reported() {
    run_in_virtual_time(async {
        let client = GitHubTestClient::new(&start_cloud(SCENARIO));
        let ask = |document: &str, variables: Value| {
            let body = json!({ "query": document, "variables": variables }).to_string();
            let client = &client;
            async move { client.send_unchecked("POST", "https://h/api/graphql", &body).await.unwrap().body }
        };
        let body = ask("{ repository(owner: \"acme\", name: \"manifests\") { colour } }", Value::Null).await;
        assert_eq!(first_error(&body).1, "Field 'colour' doesn't exist on type 'Repository'");
        assert_eq!(body["errors"][0]["extensions"]["code"], "undefinedField");
        assert_eq!(body.get("data"), None);
        let query = "query Q($owner: String!) { repository(owner: $owner, name: \"manifests\") { name } }";
        assert!(first_error(&ask(query, json!({})).await).1.contains("was provided invalid value"));
        assert!(first_error(&ask("{ viewer { login", Value::Null).await).1.starts_with("Parse error"));
        let query = "query Q($unused: Int) { viewer { login } }";
        assert!(first_error(&ask(query, json!({})).await).1.contains("not used"));
        assert_eq!(request_violations(&client.cloud.calls()).len(), 4);
        let before = main_head(&client.cloud);
        let wrong = COMMIT.replace("oid url", "oid colour");
        assert!(
            first_error(&ask(&wrong, commit_input(&before, addition("a", "1"))).await).1.contains("colour")
        );
        assert_eq!(main_head(&client.cloud), before, "nothing is done before the document is checked");
    });
}

/// A change through the Git database: blob, tree, commit; returns the commit.
async fn create_git_commit(
    client: &GitHubTestClient,
    parent: &str,
    path: &str,
    mode: &str,
    text: &str,
) -> String {
    let at = |rest: &str| format!("/repos/acme/manifests/git/{rest}");
    let blob = json!({ "content": STANDARD.encode(text), "encoding": "base64" });
    let blob = client.call_rest("POST", &at("blobs"), blob).await.body["sha"].clone();
    let read =
        client.call_rest("GET", &at(&format!("blobs/{}", blob.as_str().unwrap())), Value::Null).await.body;
    assert_eq!(
        STANDARD.decode(read["content"].as_str().unwrap().replace('\n', "")).unwrap(),
        text.as_bytes()
    );
    let entry = json!({ "path": path, "mode": mode, "type": "blob", "sha": blob });
    let tree = client.call_rest("POST", &at("trees"), json!({ "base_tree": parent, "tree": [entry] })).await;
    let commit = json!({ "message": "By hand", "tree": tree.body["sha"], "parents": [parent] });
    let commit = client.call_rest("POST", &at("commits"), commit).await;
    assert_eq!(commit.status, 201);
    commit.body["sha"].as_str().unwrap().to_owned()
}

#[test]
fn the_git_database_keeps_modes_and_refs_only_go_forward() {
    run_in_virtual_time(async {
        let client = GitHubTestClient::new(&start_cloud(SCENARIO));
        let first = main_head(&client.cloud);
        let second = create_git_commit(&client, &first, "run.sh", "100755", "true\n").await;
        let main = "/repos/acme/manifests/git/refs/heads/main";
        assert_eq!(
            client.call_rest("PATCH", main, json!({ "sha": second, "force": false })).await.status,
            200
        );
        let files = client.cloud.read(|world| world.github.list_files("acme/manifests", &second));
        assert_eq!((main_head(&client.cloud), files["run.sh"].mode.as_str()), (second.clone(), "100755"));
        let back = client.call_rest("PATCH", main, json!({ "sha": first })).await;
        assert_eq!((back.status, back.body["message"].as_str()), (422, Some("Update is not a fast forward")));

        let refs = "/repos/acme/manifests/git/refs";
        let made = json!({ "ref": "refs/heads/deploy/web", "sha": first });
        assert_eq!(client.call_rest("POST", refs, made.clone()).await.status, 201);
        let again = client.call_rest("POST", refs, made).await;
        assert_eq!((again.status, again.body["message"].as_str()), (422, Some("Reference already exists")));
        let one = "/repos/acme/manifests/git/ref/heads/deploy/web";
        assert_eq!(client.call_rest("GET", one, Value::Null).await.body["object"]["sha"], first.as_str());
        let delete = "/repos/acme/manifests/git/refs/heads/deploy/web";
        assert_eq!(client.call_rest("DELETE", delete, Value::Null).await.status, 204);
        assert_eq!(client.call_rest("GET", one, Value::Null).await.status, 404);
        assert_eq!(client.call_rest("DELETE", delete, Value::Null).await.status, 422);
    });
}

#[test]
fn repositories_contents_commits_and_comparisons() {
    run_in_virtual_time(async {
        let client = GitHubTestClient::new(&start_cloud(SCENARIO));
        let first = main_head(&client.cloud);
        client.call_graphql(COMMIT, commit_input(&first, addition("README.md", "hello\nworld\n"))).await;
        let second = main_head(&client.cloud);
        let get = |rest: String| {
            let client = &client;
            async move { client.call_rest("GET", &format!("/repos/acme/manifests{rest}"), Value::Null).await }
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

#[test]
fn the_same_seed_gives_the_same_commits() {
    let run = |seed: u64| {
        run_in_virtual_time(async move {
            let cloud = Cloud::new(Scenario::parse(SCENARIO).unwrap(), seed);
            let client = GitHubTestClient::new(&cloud);
            client.call_graphql(COMMIT, commit_input(&main_head(&cloud), addition("a", "1"))).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            cloud.push_commit("acme/manifests", "main", "Grace", "by hand", &[("b", Some(b"2"))]).unwrap();
            main_head(&cloud)
        })
    };
    assert_eq!(run(7), run(7));
}

#[test]
fn ten_thousand_files_are_one_snapshot_and_one_commit() {
    run_in_virtual_time(async {
        let client = GitHubTestClient::new(&cloud_with("filler: 10000", ""));
        let first = main_head(&client.cloud);
        let path = "filler/0042/004217.yaml";
        let variables = json!({ "owner": "acme", "name": "manifests", "branch": "main", "path": path });
        let body = client.call_graphql(SNAPSHOT, variables).await;
        assert_eq!(body["data"]["repository"]["ref"]["target"]["f0"]["object"]["text"], "group: 42\n");
        client.call_graphql(COMMIT, commit_input(&first, addition(path, "group: none\n"))).await;
        assert_eq!(file_text(&client.cloud, path).as_deref(), Some("group: none\n"));
        assert_eq!(client.cloud.calls().len(), 2);
    });
}

//! Pull requests, automatic merges and branch protection of the emulated GitHub.

use std::time::Duration;

use serde_json::{Value, json};

use crate::github::{
    COMMIT, SCENARIO, addition, cloud_with, commit_input, file_text, first_error, main_head, start_cloud,
};
use crate::support::github::GitHubTestClient;
use crate::support::run_in_virtual_time;

/// A branch with one commit beyond main, and the pull request for it.
async fn open_pull_request(client: &GitHubTestClient) -> Value {
    let first = main_head(&client.cloud);
    let made = json!({ "ref": "refs/heads/deploy", "sha": first });
    client.call_rest("POST", "/repos/acme/manifests/git/refs", made).await;
    let request = json!({ "title": "Deploy", "head": "deploy", "base": "main", "body": "words" });
    let early = client.call_rest("POST", "/repos/acme/manifests/pulls", request.clone()).await;
    assert_eq!(early.body["errors"][0]["message"], "No commits between main and deploy");
    let mut input = commit_input(&first, addition("run.sh", "true\n"));
    input["input"]["branch"]["branchName"] = "deploy".into();
    assert_eq!(client.call_graphql(COMMIT, input).await["errors"], Value::Null);
    let made = client.call_rest("POST", "/repos/acme/manifests/pulls", request.clone()).await;
    assert_eq!(made.status, 201);
    let again = client.call_rest("POST", "/repos/acme/manifests/pulls", request).await;
    assert_eq!(again.body["errors"][0]["message"], "A pull request already exists for acme:deploy.");
    made.body
}

#[test]
fn pull_requests_are_opened_once_changed_and_merged() {
    run_in_virtual_time(async {
        let client = GitHubTestClient::new(&start_cloud(SCENARIO));
        let made = open_pull_request(&client).await;
        assert_eq!((&made["mergeable_state"], &made["changed_files"]), (&json!("clean"), &json!(1)));
        let list = |query: &str| {
            let path = format!("/repos/acme/manifests/pulls?{query}");
            let client = &client;
            async move { client.call_rest("GET", &path, Value::Null).await.body.as_array().unwrap().len() }
        };
        assert_eq!(list("head=acme:deploy&base=main&state=open").await, 1);
        assert_eq!(list("head=acme:other").await, 0);
        assert_eq!(list("head=other").await, 1, "a head without an owner is not looked at");
        let one = "/repos/acme/manifests/pulls/1";
        let changed = client.call_rest("PATCH", one, json!({ "title": "Deploy 2" })).await;
        assert_eq!(changed.body["title"], "Deploy 2");
        let stale = client
            .call_rest("PUT", &format!("{one}/merge"), json!({ "sha": main_head(&client.cloud) }))
            .await;
        assert_eq!(stale.status, 409);
        let sha = &made["head"]["sha"];
        let merged = client
            .call_rest("PUT", &format!("{one}/merge"), json!({ "sha": sha, "merge_method": "squash" }))
            .await;
        assert_eq!(merged.body["sha"], main_head(&client.cloud));
        assert_eq!(file_text(&client.cloud, "run.sh").as_deref(), Some("true\n"));
        assert_eq!(client.call_rest("GET", one, Value::Null).await.body["merged"], true);
        assert_eq!(list("state=open").await, 0);
    });
}

const ENABLE_AUTO_MERGE: &str = "mutation($input: EnablePullRequestAutoMergeInput!) {
  enablePullRequestAutoMerge(input: $input) { pullRequest { number state autoMergeRequest { mergeMethod } } }
}";

#[test]
fn github_merges_by_itself_once_it_may() {
    run_in_virtual_time(async {
        let protected = "protected: [{ branch: main, required-checks: [ci], met-after: 90 }]";
        let client = GitHubTestClient::new(&cloud_with(&format!("auto-merge: true\n      {protected}"), ""));
        let first = main_head(&client.cloud);
        let made = open_pull_request(&client).await;
        assert_eq!(made["mergeable_state"], "blocked");
        let refused = client.call_rest("PUT", "/repos/acme/manifests/pulls/1/merge", json!({})).await;
        assert_eq!(
            (refused.status, refused.body["message"].as_str()),
            (405, Some("Required status check \"ci\" is expected."))
        );
        let input = json!({ "input": { "pullRequestId": made["node_id"], "mergeMethod": "SQUASH" } });
        let enabled = client.call_graphql(ENABLE_AUTO_MERGE, input.clone()).await;
        assert_eq!(
            enabled["data"]["enablePullRequestAutoMerge"]["pullRequest"]["autoMergeRequest"]["mergeMethod"],
            "SQUASH"
        );
        assert_eq!(main_head(&client.cloud), first);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_ne!(main_head(&client.cloud), first);
        assert_eq!(
            first_error(&client.call_graphql(ENABLE_AUTO_MERGE, input).await),
            ("UNPROCESSABLE", "Pull request is closed")
        );

        let client = GitHubTestClient::new(&cloud_with("auto-merge: true", ""));
        let made = open_pull_request(&client).await;
        let input = json!({ "input": { "pullRequestId": made["node_id"] } });
        assert_eq!(
            first_error(&client.call_graphql(ENABLE_AUTO_MERGE, input).await).1,
            "Pull request Pull request is in clean status"
        );
        let client = GitHubTestClient::new(&start_cloud(SCENARIO));
        let input = json!({ "input": { "pullRequestId": open_pull_request(&client).await["node_id"] } });
        assert_eq!(
            first_error(&client.call_graphql(ENABLE_AUTO_MERGE, input).await).1,
            "Auto merge is not allowed for this repository"
        );
    });
}

#[test]
fn protection_and_rights_are_those_of_the_token() {
    run_in_virtual_time(async {
        let rule = "protected: [{ branch: main, required-reviews: 1, allowed: [robot] }]";
        let tokens = r#"
  tokens: { robot: { login: robot }, reader: { access: read }, none: { access: none }, bad: { access: invalid } }
"#;
        let cloud = cloud_with(&format!("private: true\n      {rule}"), tokens.trim_start_matches('\n'));
        let client =
            |token: &str| GitHubTestClient { token: Some(token.into()), ..GitHubTestClient::new(&cloud) };
        let input = || commit_input(&main_head(&cloud), addition("a", "1"));
        let body = client("t").call_graphql(COMMIT, input()).await;
        assert_eq!(
            first_error(&body),
            ("BRANCH_PROTECTION_RULE_VIOLATION", "Changes must be made through a pull request.")
        );
        assert_eq!(client("robot").call_graphql(COMMIT, input()).await["errors"], Value::Null);
        assert_eq!(
            first_error(&client("reader").call_graphql(COMMIT, input()).await),
            ("FORBIDDEN", "Resource not accessible by integration")
        );
        assert_eq!(first_error(&client("none").call_graphql(COMMIT, input()).await).0, "NOT_FOUND");
        let main = "/repos/acme/manifests/git/refs/heads/main";
        let move_main = || json!({ "sha": main_head(&cloud) });
        let refused = client("reader").call_rest("PATCH", main, move_main()).await;
        assert_eq!(
            (refused.status, refused.body["message"].as_str()),
            (403, Some("Resource not accessible by integration"))
        );
        assert_eq!(client("none").call_rest("PATCH", main, move_main()).await.status, 404);
        assert_eq!(
            client("bad").call_rest("PATCH", main, move_main()).await.body["message"],
            "Bad credentials"
        );
        assert_eq!(client("t").call_rest("PATCH", main, move_main()).await.status, 422);
        let nobody = GitHubTestClient { token: None, ..GitHubTestClient::new(&cloud) };
        assert_eq!(nobody.call_rest("GET", "/repos/acme/manifests", Value::Null).await.status, 404);
    });
}

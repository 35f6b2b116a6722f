//! Check runs, comments and comparisons of the emulated GitHub, and the permissions of tokens for them. Requests and responses
//! follow GitHub's API descriptions.

use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::scenario::Scenario;
use serde_json::{Value, json};

use crate::github_deployments::full_sha;
use crate::support::github::{GitHubTestClient, TestResponse};
use crate::support::run_in_virtual_time;

const SCENARIO: &str = r#"
github:
  repositories:
    - name: acme/shop
      private: true
      files: { web/a.txt: "a\n", web/old.txt: "moved\n", api/b.txt: "b\n", gone.txt: "c\n" }
      history:
        - { id: a1, submodules: { vendor/lib: "11" } }
        - id: a2
          files: { web/a.txt: "aa\n", new.txt: "n\n" }
          renamed: { web/old.txt: shared/new.txt }
          removed: [gone.txt]
          submodules: { vendor/lib: "22" }
      issues: [7]
      comments: [{ issue: 7, author: mallory, body: "hello" }]
  tokens: { person: { login: ann }, fork: { access: read } }
"#;

fn test_client(scenario: &str) -> GitHubTestClient {
    GitHubTestClient::new(&Cloud::new(Scenario::parse(scenario).unwrap(), 1))
}

async fn call_rest(client: &GitHubTestClient, method: &str, rest: &str, body: Value) -> TestResponse {
    client.call_rest(method, &format!("/repos/acme/shop{rest}"), body).await
}

/// Status and message of a request that GitHub's API description does not allow.
async fn call_rejected(client: &GitHubTestClient, method: &str, rest: &str, body: Value) -> (u16, String) {
    let uri = format!("https://api.github.com/repos/acme/shop{rest}");
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let answered = client.send_unchecked(method, &uri, &text).await.unwrap();
    let errors = &answered.body["errors"][0]["message"];
    (answered.status, errors.as_str().or(answered.body["message"].as_str()).unwrap_or_default().to_owned())
}

fn annotations(number: usize) -> Value {
    let one = json!({
        "path": ".github/roadstead.yml", "start_line": 3, "end_line": 3, "start_column": 1, "end_column": 9,
        "annotation_level": "warning", "message": "words", "title": "A finding",
    });
    vec![one; number].into()
}

#[test]
fn check_runs_are_created_updated_and_listed_by_name() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        let head = full_sha("a2");
        let input = json!({
            "name": "roadstead / plan", "head_sha": head, "conclusion": "neutral", "external_id": "7",
            "output": { "title": "3 changes", "summary": "words", "annotations": annotations(50) },
        });
        let made = call_rest(&client, "POST", "/check-runs", input.clone()).await;
        assert_eq!((made.status, &made.body["status"]), (201, &json!("completed")), "a conclusion ends it");
        let one = format!("/check-runs/{}", made.body["id"]);
        let more =
            json!({ "output": { "title": "3 changes", "summary": "more", "annotations": annotations(2) } });
        let grown = call_rest(&client, "PATCH", &one, more).await;
        assert_eq!(
            (&grown.body["output"]["annotations_count"], &grown.body["output"]["summary"]),
            (&json!(52), &json!("more"))
        );
        let again = call_rest(&client, "POST", "/check-runs", input).await.body["id"].clone();
        let list = |query: &str| {
            let path = format!("/commits/{head}/check-runs?{query}");
            let client = &client;
            async move { call_rest(client, "GET", &path, Value::Null).await.body }
        };
        let found = list("check_name=roadstead%20%2F%20plan").await;
        assert_eq!((&found["total_count"], &found["check_runs"][0]["id"]), (&json!(1), &again));
        assert_eq!(list("filter=all").await["total_count"], 2);
        assert_eq!(list("check_name=other").await["total_count"], 0);
    });
}

#[test]
fn invalid_check_run_is_rejected() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        let check = |output: Value| json!({ "name": "plan", "head_sha": full_sha("a2"), "output": output });
        let many = json!({ "title": "t", "summary": "s", "annotations": annotations(51) });
        let long = json!({ "title": "t", "summary": "s".repeat(65_536) });
        let mut lines = json!({ "title": "t", "summary": "s", "annotations": annotations(1) });
        lines["annotations"][0]["end_line"] = 4.into();
        for (output, words) in [
            (many, "No more than 50 items are allowed; 51 were supplied."),
            (long, "Only 65535 characters are allowed"),
            (lines, "can only be used on one line"),
        ] {
            let (status, message) = call_rejected(&client, "POST", "/check-runs", check(output)).await;
            assert!(status == 422 && message.contains(words), "{message}");
        }
        let mut elsewhere = check(json!({ "title": "t", "summary": "s" }));
        elsewhere["head_sha"] = full_sha("dead").into();
        let (status, message) = call_rejected(&client, "POST", "/check-runs", elsewhere).await;
        assert_eq!((status, message), (422, format!("No commit found for SHA: {}", full_sha("dead"))));
        let person =
            GitHubTestClient { token: Some("person".into()), ..GitHubTestClient::new(&client.cloud) };
        let refused = call_rejected(&person, "POST", "/check-runs", check(Value::Null)).await;
        assert_eq!(refused, (403, "You must authenticate via a GitHub App.".into()));
        assert!(client.cloud.read(|world| world.github.repositories["acme/shop"].check_runs.is_empty()));
    });
}

#[test]
fn comments_are_paged_created_and_updated() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        let path = "/issues/7/comments";
        let made = call_rest(&client, "POST", path, json!({ "body": "one" })).await;
        assert_eq!((made.status, &made.body["user"]["login"]), (201, &json!("github-actions[bot]")));
        for number in 0..99 {
            call_rest(&client, "POST", path, json!({ "body": format!("{number}") })).await;
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        let first = call_rest(&client, "GET", &format!("{path}?per_page=100"), Value::Null).await;
        assert_eq!(
            (first.body.as_array().unwrap().len(), &first.body[0]["user"]["login"]),
            (100, &json!("mallory"))
        );
        assert!(first.headers["link"].to_str().unwrap().contains("page=2>; rel=\"next\""));
        let second = call_rest(&client, "GET", &format!("{path}?per_page=100&page=2"), Value::Null).await;
        assert_eq!(second.body[0]["body"], "98");
        let one = format!("/issues/comments/{}", made.body["id"]);
        assert_eq!(call_rest(&client, "PATCH", &one, json!({ "body": "two" })).await.body["body"], "two");
        assert_eq!(
            call_rest(&client, "PATCH", "/issues/comments/4711", json!({ "body": "two" })).await.status,
            404
        );
        assert_eq!(
            call_rest(&client, "POST", "/issues/8/comments", json!({ "body": "two" })).await.status,
            404
        );
        let long = call_rejected(&client, "POST", path, json!({ "body": "x".repeat(65_537) })).await;
        assert_eq!(long, (422, "Body is too long (maximum is 65536 characters)".into()));
        assert_eq!(call_rejected(&client, "PATCH", &one, json!({ "body": " " })).await.0, 422);
    });
}

/// The files of a comparison: status, path, and earlier path.
fn files(answered: &TestResponse) -> Vec<String> {
    let files = answered.body["files"].as_array().unwrap();
    let word = |file: &Value, name: &str| file[name].as_str().unwrap_or_default().to_owned();
    let line = |file: &Value| {
        let line = ["status", "filename", "previous_filename"].map(|name| word(file, name)).join(" ");
        line.trim_end().to_owned()
    };
    files.iter().map(line).collect()
}

#[test]
fn a_comparison_names_files_renames_and_submodules() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        let compared = call_rest(
            &client,
            "GET",
            &format!("/compare/{}...{}", full_sha("a1"), full_sha("a2")),
            Value::Null,
        )
        .await;
        let wanted = [
            "removed gone.txt",
            "added new.txt",
            "renamed shared/new.txt web/old.txt",
            "modified vendor/lib",
            "modified web/a.txt",
        ];
        assert_eq!(files(&compared), wanted);
        let module = &compared.body["files"][3];
        assert_eq!((&module["sha"], &module["changes"]), (&json!(full_sha("22")), &json!(2)));
    });
}

#[test]
fn a_comparison_names_three_hundred_files_on_its_first_page_only() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        let paths: Vec<String> = (0..301).map(|number| format!("many/{number}")).collect();
        let changes: Vec<(&str, Option<&[u8]>)> =
            paths.iter().map(|path| (path.as_str(), Some(&b"x"[..]))).collect();
        client.cloud.push_commit("acme/shop", "main", "Ada", "Many", &changes).unwrap();
        let path = format!("/compare/{}...main", full_sha("a2"));
        assert_eq!(files(&call_rest(&client, "GET", &path, Value::Null).await).len(), 300);
        assert_eq!(
            call_rest(&client, "GET", &format!("{path}?page=2"), Value::Null).await.body["files"],
            Value::Null
        );
    });
}

#[test]
fn token_is_limited_to_its_permissions() {
    run_in_virtual_time(async {
        let limited = "  job-token: { permissions: { deployments: read, checks: none, pull-requests: none, issues: none, actions: none } }\n";
        let client = test_client(&format!("{SCENARIO}{limited}"));
        let deployment = || json!({ "ref": full_sha("a1"), "auto_merge": false, "required_contexts": [] });
        assert_eq!(call_rest(&client, "GET", "/deployments", Value::Null).await.status, 200);
        let integration = (403, "Resource not accessible by integration".to_owned());
        assert_eq!(call_rejected(&client, "POST", "/deployments", deployment()).await, integration);
        let check = || json!({ "name": "plan", "head_sha": full_sha("a1") });
        assert_eq!(call_rejected(&client, "POST", "/check-runs", check()).await, integration);
        assert_eq!(
            call_rejected(&client, "POST", "/issues/7/comments", json!({ "body": "x" })).await,
            integration
        );
        assert_eq!(call_rejected(&client, "GET", "/actions/runs/7", Value::Null).await, integration);
        let reference = || json!({ "ref": "refs/roadstead/x", "sha": full_sha("a1") });
        assert_eq!(
            call_rest(&client, "POST", "/git/refs", reference()).await.status,
            201,
            "what is not listed stays"
        );

        let fork = GitHubTestClient { token: Some("fork".into()), ..GitHubTestClient::new(&client.cloud) };
        for (rest, body) in [
            ("/deployments", deployment()),
            ("/check-runs", check()),
            ("/issues/7/comments", json!({ "body": "x" })),
            ("/git/refs", reference()),
        ] {
            assert_eq!(call_rejected(&fork, "POST", rest, body).await, integration, "{rest}");
        }
        assert_eq!(call_rest(&fork, "GET", "/deployments", Value::Null).await.status, 200);
    });
}

#[test]
fn a_query_without_the_permission_has_no_data() {
    run_in_virtual_time(async {
        let limited = "  job-token: { permissions: { deployments: none } }\n";
        let client = test_client(&format!("{SCENARIO}{limited}"));
        let query = "query Deployments($owner: String!, $name: String!) {
          repository(owner: $owner, name: $name) { deployments(first: 1) { nodes { payload } } }
        }";
        let body = client.call_graphql(query, json!({ "owner": "acme", "name": "shop" })).await;
        assert_eq!(body["data"]["repository"]["deployments"], Value::Null);
        assert_eq!(body["errors"][0]["type"], "FORBIDDEN");
        assert_eq!(body["errors"][0]["path"], json!(["repository", "deployments"]));
    });
}

#[test]
fn content_creation_has_its_own_rate_limit() {
    run_in_virtual_time(async {
        let client = test_client(&SCENARIO.replace("issues: [7]", "issues: [7, 9]"));
        let mut statuses = Vec::new();
        for _ in 0..90 {
            let body = json!({ "body": "x" }).to_string();
            let uri = "https://api.github.com/repos/acme/shop/issues/9/comments";
            statuses.push(client.send_unchecked("POST", uri, &body).await.unwrap().status);
        }
        let refused = statuses.iter().filter(|status| **status == 403).count();
        assert!((1..=10).contains(&refused), "80 a minute: {refused} of 90 were refused");
    });
}

//! Deployments, statuses, workflow runs, custom refs and the history of the emulated GitHub. Requests and responses follow
//! GitHub's API descriptions.

use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::github::run::RunStart;
use roadstead_cloud::scenario::Scenario;
use serde_json::{Value, json};

use crate::support::github::{GitHubTestClient, TestResponse};
use crate::support::run_in_virtual_time;

const SCENARIO: &str = r#"
github:
  repositories:
    - name: acme/shop
      private: true
      files: { web/a.txt: "a\n", api/b.txt: "b\n" }
      history:
        - { id: a1, files: { web/a.txt: "aa\n" } }
        - { id: a2, files: { api/b.txt: "bb\n" } }
        - { id: b1, branch: topic, parent: a1, files: { topic.txt: "x\n" } }
      runs:
        - { id: 6, attempt: 2, conclusion: cancelled }
        - { id: 5, status: in_progress }
"#;

pub(crate) fn full_sha(short: &str) -> String {
    format!("{short:0<40}")
}

fn test_client(scenario: &str) -> GitHubTestClient {
    GitHubTestClient::new(&Cloud::new(Scenario::parse(scenario).unwrap(), 1))
}

async fn get(client: &GitHubTestClient, rest: &str) -> TestResponse {
    client.call_rest("GET", &format!("/repos/acme/shop{rest}"), Value::Null).await
}

async fn post(client: &GitHubTestClient, rest: &str, body: Value) -> TestResponse {
    client.call_rest("POST", &format!("/repos/acme/shop{rest}"), body).await
}

fn error_message(answered: &TestResponse) -> &str {
    answered.body["message"].as_str().unwrap_or_default()
}

/// A deployment as the action creates it.
fn deployment_body(sha: &str, environment: &str) -> Value {
    json!({
        "ref": sha, "auto_merge": false, "required_contexts": [], "environment": environment, "payload": { "k": 1 },
        "description": "words", "task": "deploy:web",
    })
}

async fn create_deployment(client: &GitHubTestClient, sha: &str, environment: &str) -> u64 {
    let made = post(client, "/deployments", deployment_body(sha, environment)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["id"].as_u64().unwrap()
}

async fn create_status(client: &GitHubTestClient, id: u64, body: Value) -> TestResponse {
    post(client, &format!("/deployments/{id}/statuses"), body).await
}

#[test]
fn deployments_are_created_listed_and_given_statuses() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        let (a1, a2) = (full_sha("a1"), full_sha("a2"));
        let first = create_deployment(&client, &a1, "staging").await;
        let second = create_deployment(&client, &a2, "staging").await;
        let live = create_deployment(&client, &a1, "production").await;
        let ids = |answered: &TestResponse| -> Vec<u64> {
            answered.body.as_array().unwrap().iter().map(|it| it["id"].as_u64().unwrap()).collect()
        };
        assert_eq!(ids(&get(&client, "/deployments").await), [live, second, first]);
        assert_eq!(ids(&get(&client, "/deployments?environment=staging").await), [second, first]);
        assert_eq!(
            ids(&get(&client, &format!("/deployments?sha={a1}&task=deploy:web")).await),
            [live, first]
        );
        assert_eq!(ids(&get(&client, "/deployments?ref=main").await), [0; 0]);
        let page = get(&client, "/deployments?per_page=1&page=2").await;
        assert_eq!(ids(&page), [second]);
        assert!(page.headers["link"].to_str().unwrap().contains("rel=\"next\""));
        let one = get(&client, &format!("/deployments/{first}")).await.body;
        assert_eq!(
            (&one["payload"]["k"], &one["sha"], &one["description"]),
            (&json!(1), &json!(a1), &json!("words"))
        );
        assert_eq!(one["creator"]["login"], "github-actions[bot]");
        assert_eq!(get(&client, "/deployments/999").await.status, 404);

        let words = json!({
            "state": "success", "description": "ok", "log_url": "https://github.com/acme/shop/actions/runs/7",
            "environment_url": "https://staging.acme.dev",
        });
        assert_eq!(create_status(&client, first, words.clone()).await.status, 201);
        assert_eq!(
            create_status(&client, second, words).await.body["environment_url"],
            "https://staging.acme.dev"
        );
        let statuses = get(&client, &format!("/deployments/{first}/statuses")).await.body;
        let states: Vec<&Value> = statuses.as_array().unwrap().iter().map(|it| &it["state"]).collect();
        assert_eq!(
            states,
            ["inactive", "success"],
            "the newer success ends the older one, the newest is first"
        );
        let long =
            create_status(&client, first, json!({ "state": "failure", "description": "x".repeat(141) }))
                .await;
        assert_eq!(
            (long.status, long.body["errors"][0]["message"].as_str()),
            (422, Some("description is too long (maximum is 140 characters)"))
        );
    });
}

#[test]
fn deployment_with_defaults_auto_merges_or_requires_contexts() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        let nowhere = post(&client, "/deployments", deployment_body(&full_sha("dead"), "staging")).await;
        assert_eq!(
            (nowhere.status, error_message(&nowhere)),
            (422, format!("No ref found for: {}", full_sha("dead")).as_str())
        );
        let merged = post(&client, "/deployments", json!({ "ref": "topic", "required_contexts": [] })).await;
        assert_eq!(
            (merged.status, error_message(&merged)),
            (202, "Auto-merged main into topic on deployment.")
        );
        let made = post(&client, "/deployments", json!({ "ref": "topic", "required_contexts": [] })).await;
        assert_eq!((made.status, &made.body["production_environment"]), (201, &json!(true)));
        // Run 5 runs for the head of main: its own job is a check that has not succeeded.
        let waits = post(&client, "/deployments", json!({ "ref": "main" })).await;
        assert_eq!(
            (waits.status, error_message(&waits)),
            (409, "Conflict: Commit status checks failed for main.")
        );
        client.cloud.end_run("acme/shop", 5, "success");
        let named = json!({ "ref": "main", "required_contexts": ["ci/none"] });
        assert_eq!(post(&client, "/deployments", named).await.status, 409);
    });
}

const DEPLOYMENTS: &str = "query Deployments($owner: String!, $name: String!, $in: [String!]) {
  repository(owner: $owner, name: $name) {
    deployments(environments: $in, first: 2, orderBy: { field: CREATED_AT, direction: DESC }) {
      totalCount
      nodes {
        databaseId payload commitOid createdAt state task environment creator { login } commit { oid }
        latestStatus { state }
        statuses(first: 1) { nodes { state description logUrl environmentUrl } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}";

#[test]
fn deployments_are_one_query() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        for (id, environment) in
            [("a1", "staging"), ("a2", "staging"), ("a2", "production"), ("a1", "staging")]
        {
            let id = create_deployment(&client, &full_sha(id), environment).await;
            create_status(
                &client,
                id,
                json!({ "state": "success", "description": "ok", "log_url": "https://x/y" }),
            )
            .await;
        }
        let variables = json!({ "owner": "acme", "name": "shop", "in": ["staging"] });
        let body = client.call_graphql(DEPLOYMENTS, variables).await;
        assert_eq!(body["errors"], Value::Null);
        let list = &body["data"]["repository"]["deployments"];
        assert_eq!((&list["totalCount"], &list["pageInfo"]["hasNextPage"]), (&json!(3), &json!(true)));
        let (newest, second) = (&list["nodes"][0], &list["nodes"][1]);
        assert_eq!((&newest["commitOid"], &newest["state"]), (&json!(full_sha("a1")), &json!("ACTIVE")));
        assert_eq!(
            (&newest["payload"], &newest["creator"]["login"]),
            (&json!("{\"k\":1}"), &json!("github-actions[bot]"))
        );
        let statuses = json!({ "state": "SUCCESS", "description": "ok", "logUrl": "https://x/y", "environmentUrl": null });
        assert_eq!(newest["statuses"]["nodes"][0], statuses);
        assert_eq!(
            (&second["commit"]["oid"], &second["state"]),
            (&json!(full_sha("a2")), &json!("INACTIVE"))
        );
        assert_eq!(second["latestStatus"]["state"], "INACTIVE");
    });
}

#[test]
fn deployments_by_others_are_listed_in_pages_and_by_their_node_ids() {
    run_in_virtual_time(async {
        let foreign = SCENARIO
            .replace("      runs:", "      deployments: [{ environment: staging, count: 230 }]\n      runs:");
        let client = test_client(&foreign);
        let own = create_deployment(&client, &full_sha("a1"), "staging").await;
        let (mut found, mut after, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let document = "query($after:String){repository(owner:\"acme\",name:\"shop\"){deployments(first:100,after:$after,\
                orderBy:{field:CREATED_AT,direction:DESC}){nodes{databaseId} pageInfo{hasNextPage endCursor}}}}";
            let body = client.call_graphql(document, json!({ "after": after })).await;
            let list = body["data"]["repository"]["deployments"].clone();
            found.extend(
                list["nodes"].as_array().unwrap().iter().map(|one| one["databaseId"].as_u64().unwrap()),
            );
            (after, pages) = (list["pageInfo"]["endCursor"].clone(), pages + 1);
            if list["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!((found.len(), found[0], pages), (231, own, 3));
        found.dedup();
        assert_eq!(found.len(), 231, "each once");
        let listed = get(&client, "/deployments?task=deploy&environment=staging&per_page=100").await.body;
        let ids: Vec<Value> =
            listed.as_array().unwrap().iter().take(2).map(|one| one["node_id"].clone()).collect();
        let nodes = "query($ids:[ID!]!){nodes(ids:$ids){...on Deployment{databaseId}}}";
        let body = client.call_graphql(nodes, json!({ "ids": ids })).await;
        assert_eq!(body["data"]["nodes"][0]["databaseId"], listed[0]["id"]);
        assert_eq!(body["data"]["nodes"].as_array().unwrap().len(), 2);
        let missing = client.call_graphql(nodes, json!({ "ids": ["DE_1:99999"] })).await;
        assert_eq!(missing["errors"][0]["type"], "NOT_FOUND");
        for (size, kind) in [
            ("first:101", "EXCESSIVE_PAGINATION"),
            ("environments:[\"staging\"]", "MISSING_PAGINATION_BOUNDARIES"),
        ] {
            let document =
                format!("{{repository(owner:\"acme\",name:\"shop\"){{deployments({size}){{totalCount}}}}}}");
            let body = client.call_graphql(&document, Value::Null).await;
            assert_eq!(body["errors"][0]["type"], kind, "{body}");
        }
    });
}

#[test]
fn workflow_runs_start_and_end() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        let one = get(&client, "/actions/runs/6").await.body;
        assert_eq!((&one["status"], &one["conclusion"]), (&json!("completed"), &json!("cancelled")));
        assert_eq!(
            (&one["run_attempt"], &one["html_url"]),
            (&json!(2), &json!("https://github.com/acme/shop/actions/runs/6"))
        );
        assert_eq!(get(&client, "/actions/runs/5").await.body["status"], "in_progress");
        assert_eq!(get(&client, "/actions/runs/404").await.status, 404);
        let sha = full_sha("c0ffee");
        let start = |attempt| RunStart {
            repository: "acme/shop",
            sha: &sha,
            reference: "refs/heads/main",
            run_id: Some(19_876_543_210),
            attempt,
            event: "push",
            environment: Some("staging"),
        };
        client.cloud.start_run(start(1));
        client.cloud.start_run(start(1));
        let path = "/actions/runs/19876543210";
        let begun = get(&client, path).await.body;
        assert_eq!(
            (&begun["status"], &begun["conclusion"], &begun["head_sha"]),
            (&json!("in_progress"), &Value::Null, &json!(sha))
        );
        let made = get(&client, "/deployments").await.body;
        assert_eq!(
            made.as_array().unwrap().len(),
            1,
            "GitHub makes one deployment for a job with an environment"
        );
        let statuses = get(&client, &format!("/deployments/{}/statuses", made[0]["id"])).await.body;
        assert_eq!(statuses[0]["state"], "in_progress");
        assert_eq!(
            statuses[0]["log_url"],
            "https://github.com/acme/shop/actions/runs/19876543210/job/19876543211"
        );
        client.cloud.end_run("acme/shop", 19_876_543_210, "cancelled");
        assert_eq!(get(&client, path).await.body["conclusion"], "cancelled");
        client.cloud.start_run(start(2));
        assert_eq!(get(&client, path).await.body["status"], "in_progress");
        assert_eq!(get(&client, &format!("{path}/attempts/1")).await.body["conclusion"], "cancelled");
        assert_eq!(get(&client, &format!("{path}/attempts/3")).await.status, 404);
        assert_eq!(get(&client, "/branches/main").await.body["commit"]["sha"], sha, "somebody pushed it");
    });
}

#[test]
fn custom_refs_are_created_once_and_only_fast_forward() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        let (name, refs) = ("refs/roadstead/lease/production/web", "/git/refs");
        let of = |sha: &str| json!({ "ref": name, "sha": sha });
        let tree =
            get(&client, &format!("/git/commits/{}", full_sha("a1"))).await.body["tree"]["sha"].clone();
        let commit = |parent: &str| json!({ "message": "held by run 7", "tree": tree, "parents": [parent] });
        let one = post(&client, "/git/commits", commit(&full_sha("a1"))).await.body["sha"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(post(&client, refs, of(&one)).await.status, 201);
        let again = post(&client, refs, of(&full_sha("a1"))).await;
        assert_eq!((again.status, error_message(&again)), (422, "Reference already exists"));
        let path = "/repos/acme/shop/git/refs/roadstead/lease/production/web";
        let aside = post(&client, "/git/commits", commit(&full_sha("a2"))).await.body["sha"].clone();
        let refused = client.call_rest("PATCH", path, json!({ "sha": aside, "force": false })).await;
        assert_eq!((refused.status, error_message(&refused)), (422, "Update is not a fast forward"));
        let next = post(&client, "/git/commits", commit(&one)).await.body["sha"].clone();
        assert_eq!(client.call_rest("PATCH", path, json!({ "sha": next, "force": false })).await.status, 200);
        assert_eq!(get(&client, "/git/ref/roadstead/lease/production/web").await.body["object"]["sha"], next);
        assert_eq!(
            get(&client, "/git/matching-refs/roadstead/lease").await.body.as_array().unwrap().len(),
            1
        );
        assert_eq!(
            get(&client, "/branches/main").await.body["commit"]["sha"],
            full_sha("a2"),
            "no branch moves"
        );
        assert_eq!(client.call_rest("DELETE", path, Value::Null).await.status, 204);
        assert_eq!(client.call_rest("DELETE", path, Value::Null).await.status, 422);
        assert_eq!(get(&client, "/git/ref/roadstead/lease/production/web").await.status, 404);
    });
}

#[test]
fn run_repository_exists_with_seeded_history() {
    run_in_virtual_time(async {
        let client = test_client(SCENARIO);
        let status = |pair: String| {
            let client = &client;
            async move { get(client, &format!("/compare/{pair}")).await.body["status"].clone() }
        };
        assert_eq!(status(format!("{}...{}", full_sha("a1"), full_sha("a2"))).await, "ahead");
        assert_eq!(status(format!("{}...{}", full_sha("a2"), full_sha("a1"))).await, "behind");
        assert_eq!(status(format!("{}...topic", full_sha("a2"))).await, "diverged");
        assert_eq!(get(&client, &format!("/compare/{}...main", full_sha("dead"))).await.status, 404);
        let missing = get(&client, &format!("/commits/{}", full_sha("dead"))).await;
        assert_eq!(error_message(&missing), format!("No commit found for SHA: {}", full_sha("dead")));

        let bare = self::test_client("{}");
        assert_eq!(get(&bare, "").await.body["private"], true, "it is in every world");
        assert!(
            Scenario::parse("github: { repositories: [{ name: a/b, history: [{ id: main }] }] }").is_err()
        );
    });
}

//! What the embedded GitHub keeps for runs: deployments, their statuses, runs, refs of one's own, and the repository with
//! its past. Asked by hand; requests and answers are judged by GitHub's own descriptions.

use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::github::project::Start;
use roadstead::rehearsal::scenario::Scenario;
use serde_json::{Value, json};

use crate::support::github::{Answered, Asker};
use crate::support::virtually;

const WORLD: &str = r#"
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

pub(crate) fn sha(short: &str) -> String {
    format!("{short:0<40}")
}

fn asker(scenario: &str) -> Asker {
    Asker::of(&Cloud::new(Scenario::parse(scenario).unwrap(), 1))
}

async fn get(asker: &Asker, rest: &str) -> Answered {
    asker.rest("GET", &format!("/repos/acme/shop{rest}"), Value::Null).await
}

async fn post(asker: &Asker, rest: &str, body: Value) -> Answered {
    asker.rest("POST", &format!("/repos/acme/shop{rest}"), body).await
}

fn message(answered: &Answered) -> &str {
    answered.body["message"].as_str().unwrap_or_default()
}

/// A deployment as the action makes one.
fn wish(sha: &str, environment: &str) -> Value {
    json!({
        "ref": sha, "auto_merge": false, "required_contexts": [], "environment": environment, "payload": { "k": 1 },
        "description": "words", "task": "deploy:web",
    })
}

async fn deployed(asker: &Asker, sha: &str, environment: &str) -> u64 {
    let made = post(asker, "/deployments", wish(sha, environment)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["id"].as_u64().unwrap()
}

async fn say(asker: &Asker, id: u64, body: Value) -> Answered {
    post(asker, &format!("/deployments/{id}/statuses"), body).await
}

#[test]
fn deployments_are_made_found_and_spoken_of() {
    virtually(async {
        let asker = asker(WORLD);
        let (a1, a2) = (sha("a1"), sha("a2"));
        let first = deployed(&asker, &a1, "staging").await;
        let second = deployed(&asker, &a2, "staging").await;
        let live = deployed(&asker, &a1, "production").await;
        let ids = |answered: &Answered| -> Vec<u64> {
            answered.body.as_array().unwrap().iter().map(|it| it["id"].as_u64().unwrap()).collect()
        };
        assert_eq!(ids(&get(&asker, "/deployments").await), [live, second, first]);
        assert_eq!(ids(&get(&asker, "/deployments?environment=staging").await), [second, first]);
        assert_eq!(ids(&get(&asker, &format!("/deployments?sha={a1}&task=deploy:web")).await), [live, first]);
        assert_eq!(ids(&get(&asker, "/deployments?ref=main").await), [0; 0]);
        let page = get(&asker, "/deployments?per_page=1&page=2").await;
        assert_eq!(ids(&page), [second]);
        assert!(page.headers["link"].to_str().unwrap().contains("rel=\"next\""));
        let one = get(&asker, &format!("/deployments/{first}")).await.body;
        assert_eq!(
            (&one["payload"]["k"], &one["sha"], &one["description"]),
            (&json!(1), &json!(a1), &json!("words"))
        );
        assert_eq!(one["creator"]["login"], "github-actions[bot]");
        assert_eq!(get(&asker, "/deployments/999").await.status, 404);

        let words = json!({
            "state": "success", "description": "ok", "log_url": "https://github.com/acme/shop/actions/runs/7",
            "environment_url": "https://staging.acme.dev",
        });
        assert_eq!(say(&asker, first, words.clone()).await.status, 201);
        assert_eq!(say(&asker, second, words).await.body["environment_url"], "https://staging.acme.dev");
        let said = get(&asker, &format!("/deployments/{first}/statuses")).await.body;
        let states: Vec<&Value> = said.as_array().unwrap().iter().map(|it| &it["state"]).collect();
        assert_eq!(
            states,
            ["inactive", "success"],
            "the newer success ends the older one, the newest is first"
        );
        let long = say(&asker, first, json!({ "state": "failure", "description": "x".repeat(141) })).await;
        assert_eq!(
            (long.status, long.body["errors"][0]["message"].as_str()),
            (422, Some("description is too long (maximum is 140 characters)"))
        );
    });
}

#[test]
fn a_deployment_that_says_too_little_merges_or_waits() {
    virtually(async {
        let asker = asker(WORLD);
        let nowhere = post(&asker, "/deployments", wish(&sha("dead"), "staging")).await;
        assert_eq!(
            (nowhere.status, message(&nowhere)),
            (422, format!("No ref found for: {}", sha("dead")).as_str())
        );
        let merged = post(&asker, "/deployments", json!({ "ref": "topic", "required_contexts": [] })).await;
        assert_eq!((merged.status, message(&merged)), (202, "Auto-merged main into topic on deployment."));
        let made = post(&asker, "/deployments", json!({ "ref": "topic", "required_contexts": [] })).await;
        assert_eq!((made.status, &made.body["production_environment"]), (201, &json!(true)));
        // Run 5 runs for the head of main: its own job is a check that has not succeeded.
        let waits = post(&asker, "/deployments", json!({ "ref": "main" })).await;
        assert_eq!((waits.status, message(&waits)), (409, "Conflict: Commit status checks failed for main."));
        asker.cloud.end("acme/shop", 5, "success");
        let named = json!({ "ref": "main", "required_contexts": ["ci/none"] });
        assert_eq!(post(&asker, "/deployments", named).await.status, 409);
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
    virtually(async {
        let asker = asker(WORLD);
        for (id, environment) in
            [("a1", "staging"), ("a2", "staging"), ("a2", "production"), ("a1", "staging")]
        {
            let id = deployed(&asker, &sha(id), environment).await;
            say(&asker, id, json!({ "state": "success", "description": "ok", "log_url": "https://x/y" }))
                .await;
        }
        let variables = json!({ "owner": "acme", "name": "shop", "in": ["staging"] });
        let body = asker.graphql(DEPLOYMENTS, variables).await;
        assert_eq!(body["errors"], Value::Null);
        let list = &body["data"]["repository"]["deployments"];
        assert_eq!((&list["totalCount"], &list["pageInfo"]["hasNextPage"]), (&json!(3), &json!(true)));
        let (newest, second) = (&list["nodes"][0], &list["nodes"][1]);
        assert_eq!((&newest["commitOid"], &newest["state"]), (&json!(sha("a1")), &json!("ACTIVE")));
        assert_eq!(
            (&newest["payload"], &newest["creator"]["login"]),
            (&json!("{\"k\":1}"), &json!("github-actions[bot]"))
        );
        let said = json!({ "state": "SUCCESS", "description": "ok", "logUrl": "https://x/y", "environmentUrl": null });
        assert_eq!(newest["statuses"]["nodes"][0], said);
        assert_eq!((&second["commit"]["oid"], &second["state"]), (&json!(sha("a2")), &json!("INACTIVE")));
        assert_eq!(second["latestStatus"]["state"], "INACTIVE");
    });
}

#[test]
fn runs_are_known_begin_and_end() {
    virtually(async {
        let asker = asker(WORLD);
        let one = get(&asker, "/actions/runs/6").await.body;
        assert_eq!((&one["status"], &one["conclusion"]), (&json!("completed"), &json!("cancelled")));
        assert_eq!(
            (&one["run_attempt"], &one["html_url"]),
            (&json!(2), &json!("https://github.com/acme/shop/actions/runs/6"))
        );
        assert_eq!(get(&asker, "/actions/runs/5").await.body["status"], "in_progress");
        assert_eq!(get(&asker, "/actions/runs/404").await.status, 404);
        let sha = sha("c0ffee");
        let start = |attempt| Start {
            repository: "acme/shop",
            sha: &sha,
            reference: "refs/heads/main",
            run: Some(19_876_543_210),
            attempt,
            environment: Some("staging"),
        };
        asker.cloud.start(start(1));
        asker.cloud.start(start(1));
        let path = "/actions/runs/19876543210";
        let begun = get(&asker, path).await.body;
        assert_eq!(
            (&begun["status"], &begun["conclusion"], &begun["head_sha"]),
            (&json!("in_progress"), &Value::Null, &json!(sha))
        );
        let made = get(&asker, "/deployments").await.body;
        assert_eq!(
            made.as_array().unwrap().len(),
            1,
            "GitHub makes one deployment for a job with an environment"
        );
        let said = get(&asker, &format!("/deployments/{}/statuses", made[0]["id"])).await.body;
        assert_eq!(said[0]["state"], "in_progress");
        assert_eq!(
            said[0]["log_url"],
            "https://github.com/acme/shop/actions/runs/19876543210/job/19876543211"
        );
        asker.cloud.end("acme/shop", 19_876_543_210, "cancelled");
        assert_eq!(get(&asker, path).await.body["conclusion"], "cancelled");
        asker.cloud.start(start(2));
        assert_eq!(get(&asker, path).await.body["status"], "in_progress");
        assert_eq!(get(&asker, &format!("{path}/attempts/1")).await.body["conclusion"], "cancelled");
        assert_eq!(get(&asker, &format!("{path}/attempts/3")).await.status, 404);
        assert_eq!(get(&asker, "/branches/main").await.body["commit"]["sha"], sha, "somebody pushed it");
    });
}

#[test]
fn refs_of_ones_own_are_taken_once_and_only_go_forward() {
    virtually(async {
        let asker = asker(WORLD);
        let (name, refs) = ("refs/roadstead/lease/production/web", "/git/refs");
        let of = |sha: &str| json!({ "ref": name, "sha": sha });
        let tree = get(&asker, &format!("/git/commits/{}", sha("a1"))).await.body["tree"]["sha"].clone();
        let commit = |parent: &str| json!({ "message": "held by run 7", "tree": tree, "parents": [parent] });
        let one =
            post(&asker, "/git/commits", commit(&sha("a1"))).await.body["sha"].as_str().unwrap().to_owned();
        assert_eq!(post(&asker, refs, of(&one)).await.status, 201);
        let again = post(&asker, refs, of(&sha("a1"))).await;
        assert_eq!((again.status, message(&again)), (422, "Reference already exists"));
        let path = "/repos/acme/shop/git/refs/roadstead/lease/production/web";
        let aside = post(&asker, "/git/commits", commit(&sha("a2"))).await.body["sha"].clone();
        let refused = asker.rest("PATCH", path, json!({ "sha": aside, "force": false })).await;
        assert_eq!((refused.status, message(&refused)), (422, "Update is not a fast forward"));
        let next = post(&asker, "/git/commits", commit(&one)).await.body["sha"].clone();
        assert_eq!(asker.rest("PATCH", path, json!({ "sha": next, "force": false })).await.status, 200);
        assert_eq!(get(&asker, "/git/ref/roadstead/lease/production/web").await.body["object"]["sha"], next);
        assert_eq!(get(&asker, "/git/matching-refs/roadstead/lease").await.body.as_array().unwrap().len(), 1);
        assert_eq!(get(&asker, "/branches/main").await.body["commit"]["sha"], sha("a2"), "no branch moves");
        assert_eq!(asker.rest("DELETE", path, Value::Null).await.status, 204);
        assert_eq!(asker.rest("DELETE", path, Value::Null).await.status, 422);
        assert_eq!(get(&asker, "/git/ref/roadstead/lease/production/web").await.status, 404);
    });
}

#[test]
fn the_repository_of_the_run_is_there_and_its_past_can_be_told() {
    virtually(async {
        let asker = asker(WORLD);
        let status = |pair: String| {
            let asker = &asker;
            async move { get(asker, &format!("/compare/{pair}")).await.body["status"].clone() }
        };
        assert_eq!(status(format!("{}...{}", sha("a1"), sha("a2"))).await, "ahead");
        assert_eq!(status(format!("{}...{}", sha("a2"), sha("a1"))).await, "behind");
        assert_eq!(status(format!("{}...topic", sha("a2"))).await, "diverged");
        assert_eq!(get(&asker, &format!("/compare/{}...main", sha("dead"))).await.status, 404);
        let missing = get(&asker, &format!("/commits/{}", sha("dead"))).await;
        assert_eq!(message(&missing), format!("No commit found for SHA: {}", sha("dead")));

        let bare = self::asker("{}");
        assert_eq!(get(&bare, "").await.body["private"], true, "it is in every world");
        assert!(
            Scenario::parse("github: { repositories: [{ name: a/b, history: [{ id: main }] }] }").is_err()
        );
    });
}

//! Faults of the emulated GitHub, and many writers of one branch.

use std::time::Duration;

use serde_json::{Value, json};

use crate::github::{
    COMMIT, SCENARIO, addition, commit_input, file_text, first_error, main_head, start_cloud,
};
use crate::support::github::GitHubTestClient;
use crate::support::run_in_virtual_time;

#[test]
fn outside_commit_lands_first_also_in_the_same_file() {
    run_in_virtual_time(async {
        let faults = "faults: [rival-commit: { times: 2 }, rival-commit: { times: 1, same-file: true }]";
        let client = GitHubTestClient::new(&start_cloud(&format!("{SCENARIO}{faults}")));
        for expected in ["STALE_DATA", "STALE_DATA", "STALE_DATA", ""] {
            let body = client
                .call_graphql(COMMIT, commit_input(&main_head(&client.cloud), addition("run.sh", "true\n")))
                .await;
            assert_eq!(first_error(&body).0, expected, "{body}");
            if expected == "STALE_DATA" {
                assert_ne!(file_text(&client.cloud, "run.sh").as_deref(), Some("true\n"));
            }
        }
        let head = main_head(&client.cloud);
        let history =
            client.cloud.read(|world| world.github.history("acme/manifests", &head, Some("run.sh")));
        let names: Vec<&str> = history.iter().map(|(_, commit)| commit.author.name.as_str()).collect();
        assert_eq!(names, ["github-actions[bot]", "Rival", "Ada"]);
    });
}

#[test]
fn rate_limit_gateway_and_replica_faults_are_applied() {
    run_in_virtual_time(async {
        let faults = "faults:
  - rate-limit: { operation: createCommitOnBranch, retry-after: 60 }
  - rate-limit: { operation: createCommitOnBranch }
  - rate-limit: { operation: createCommitOnBranch, resets-after: 120 }
  - bad-gateway: { operation: createCommitOnBranch }
  - bad-gateway: { operation: createCommitOnBranch, effect: true }
  - replica-lag: { for: 10 }
";
        let client = GitHubTestClient::new(&start_cloud(&format!("{SCENARIO}{faults}")));
        let first = main_head(&client.cloud);
        let send = || {
            let body =
                json!({ "query": COMMIT, "variables": commit_input(&first, addition("a", "1")) }).to_string();
            let client = &client;
            async move { client.send_unchecked("POST", "https://h/graphql", &body).await.unwrap() }
        };
        let limited = send().await;
        assert_eq!((limited.status, limited.headers["retry-after"].to_str().unwrap()), (403, "60"));
        assert!(limited.body["message"].as_str().unwrap().contains("secondary rate limit"));
        assert!(!send().await.headers.contains_key("retry-after"));
        let primary = send().await;
        assert_eq!((primary.status, &primary.headers["x-ratelimit-remaining"]), (403, &"0".parse().unwrap()));
        let reset: f64 = primary.headers["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
        assert!((reset - client.cloud.now() - 120.0).abs() < 2.0);
        assert_eq!(send().await.status, 403, "until then, nothing passes");
        tokio::time::sleep(Duration::from_secs(121)).await;
        assert_eq!(send().await.status, 502);
        assert_eq!(main_head(&client.cloud), first);
        assert_eq!(send().await.status, 502);
        assert_ne!(main_head(&client.cloud), first, "this one was done");
        let seen = "/repos/acme/manifests/git/ref/heads/main";
        assert_eq!(client.call_rest("GET", seen, Value::Null).await.body["object"]["sha"], first.as_str());
        tokio::time::sleep(Duration::from_secs(11)).await;
        let now = client.call_rest("GET", seen, Value::Null).await.body["object"]["sha"].clone();
        assert_eq!(now, main_head(&client.cloud));
    });
}

#[test]
fn ten_writers_lose_nothing() {
    run_in_virtual_time(async {
        let cloud = start_cloud(SCENARIO);
        let writers = (0..10).map(|number| {
            let client = GitHubTestClient::new(&cloud);
            async move {
                let mut tries = 0;
                loop {
                    tries += 1;
                    let input =
                        commit_input(&main_head(&client.cloud), addition(&format!("apps/{number}"), "1"));
                    if client.call_graphql(COMMIT, input).await["errors"].is_null() {
                        return tries;
                    }
                    tokio::time::sleep(Duration::from_millis(100 + 37 * number)).await;
                }
            }
        });
        let tries: Vec<u32> = futures::future::join_all(writers).await;
        assert!(tries.iter().any(|tries| *tries > 1), "nobody was in anybody's way");
        let head = main_head(&cloud);
        let files = cloud.read(|world| world.github.list_files("acme/manifests", &head));
        assert!((0..10).all(|number| files.contains_key(&format!("apps/{number}"))));
        assert_eq!(cloud.read(|world| world.github.history("acme/manifests", &head, None)).len(), 11);
    });
}

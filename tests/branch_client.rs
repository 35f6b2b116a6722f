//! The branch client against the emulated GitHub: Git repositories, branch rules and rate limits, in virtual time.

use std::time::Duration;

use futures::future::join_all;
use roadstead::github::{
    Addresses, ApiError, BranchClient, CreatedCommit, Edit, FileChange, FileMode, NewCommit, Proposal,
    Snapshot, SnapshotQuery,
};
use roadstead_cloud::client::http_client;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::scenario::Scenario;
use tokio::time::Instant;

use crate::support::run_in_virtual_time;

const REPOSITORY: &str = "acme/manifests";
const PATH: &str = "apps/x/values.yaml";

/// A repository with one file of ten lines, and more of the block `github` and of `faults`.
fn world(repository: &str, faults: &str) -> Cloud {
    let lines: String = (0..10).map(|n| format!("s{n}: old\\n")).collect();
    let text = format!(
        "github:
  repositories: [{{ name: {REPOSITORY}, files: {{ {PATH}: \"{lines}\", run.sh: \"exit 0\\n\" }}, executables: [run.sh]{repository} }}]
  tokens: {{ reader: {{ access: read }}, stranger: {{ access: none }}, revoked: {{ access: invalid }} }}
faults: [{faults}]
"
    );
    Cloud::new(Scenario::parse(&text).unwrap(), 1)
}

fn hub(cloud: &Cloud) -> BranchClient {
    with(cloud, "t0ken", "https://api.github.com")
}

fn with(cloud: &Cloud, token: &str, api: &str) -> BranchClient {
    BranchClient::new(http_client(cloud.clone()), &Addresses::from_api_url(api), token).unwrap()
}

fn wanted(path: &str) -> SnapshotQuery {
    let (repository, paths) = (REPOSITORY.into(), vec![path.to_owned()]);
    SnapshotQuery { repository, branch: None, paths, history_depth: 100 }
}

/// The commit that replaces the file of the snapshot with `text`.
fn new_commit(seen: &Snapshot, path: &str, text: String, trailer: &str) -> NewCommit {
    let mode = seen.files[path].mode;
    NewCommit {
        repository: REPOSITORY.into(),
        branch: seen.branch.clone(),
        expected_head: seen.head.clone(),
        headline: "Deploy".into(),
        body: trailer.into(),
        changes: vec![FileChange { path: path.into(), bytes: text.into_bytes(), mode }],
    }
}

fn file_text(seen: &Snapshot, path: &str) -> String {
    String::from_utf8(seen.files[path].bytes.clone()).unwrap()
}

/// Commits an edit of the file, and starts over whenever the branch moved.
async fn commit_edit(
    hub: &BranchClient,
    edit: impl Fn(String) -> String,
    trailer: &str,
) -> (CreatedCommit, u32) {
    for tried in 1..=10 {
        let seen = hub.snapshot(&wanted(PATH)).await.unwrap();
        match hub.commit(&new_commit(&seen, PATH, edit(file_text(&seen, PATH)), trailer)).await {
            Ok(landed) => return (landed, tried),
            Err(ApiError::HeadMoved) => {
                let pause = Duration::from_millis(400) * tried;
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("ten tries did not suffice")
}

/// One commit of the file.
async fn tried(hub: &BranchClient, path: &str) -> Result<CreatedCommit, ApiError> {
    let seen = hub.snapshot(&wanted(path)).await?;
    hub.commit(&new_commit(&seen, path, "new\n".into(), "Roadstead-Run: 7.1")).await
}

#[test]
fn concurrent_commits_on_one_branch_all_land() {
    run_in_virtual_time(async {
        let cloud = world("", "");
        fastrand::seed(7);
        let began = Instant::now();
        let runs = (0..10).map(|n| {
            let hub = hub(&cloud);
            async move {
                let edit = move |text: String| text.replace(&format!("s{n}: old"), &format!("s{n}: new"));
                commit_edit(&hub, edit, &format!("Roadstead-Run: {n}.1")).await.1
            }
        });
        let tries: u32 = join_all(runs).await.into_iter().sum();
        let took = began.elapsed();
        let seen = hub(&cloud).snapshot(&wanted(PATH)).await.unwrap();
        assert!(!file_text(&seen, PATH).contains("old"), "{}", file_text(&seen, PATH));
        let ours = seen.history.iter().filter(|commit| commit.message.contains("Roadstead-Run")).count();
        assert_eq!(ours, 10);
        assert!(tries > 10, "nobody was in anybody's way");
        assert!(took < Duration::from_secs(30), "{took:?}");
    });
}

#[test]
fn faster_outside_commit_is_preserved() {
    run_in_virtual_time(async {
        let cloud = world("", "rival-commit: { times: 3, same-file: true }");
        let (_, tries) = commit_edit(&hub(&cloud), |text| text.replace("s3: old", "s3: new"), "").await;
        let seen = hub(&cloud).snapshot(&wanted(PATH)).await.unwrap();
        let text = file_text(&seen, PATH);
        assert_eq!(tries, 4);
        assert!(text.contains("s3: new") && text.ends_with("# rival 1\n# rival 2\n# rival 3\n"), "{text}");
    });
}

#[test]
fn replica_lag_only_costs_retries() {
    run_in_virtual_time(async {
        let cloud = world("", "replica-lag: { for: 4 }");
        for n in 0..3 {
            commit_edit(&hub(&cloud), |text| text.replace(&format!("s{n}: old"), &format!("s{n}: new")), "")
                .await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let seen = hub(&cloud).snapshot(&wanted(PATH)).await.unwrap();
        assert!(file_text(&seen, PATH).starts_with("s0: new\ns1: new\ns2: new\ns3: old\n"));
    });
}

#[test]
fn commit_with_lost_answer_is_found_by_trailer() {
    for (effect, found) in [(true, true), (false, false)] {
        run_in_virtual_time(async {
            let fault = format!("bad-gateway: {{ operation: createCommitOnBranch, effect: {effect} }}");
            let (cloud, marker) = (world("", &fault), "Roadstead-Run: 7.1");
            let hub = hub(&cloud);
            assert!(matches!(tried(&hub, PATH).await, Err(ApiError::Ambiguous(_))));
            let landed = hub.find_commit(REPOSITORY, "main", marker).await.unwrap();
            let seen = hub.snapshot(&wanted(PATH)).await.unwrap();
            assert_eq!(landed.is_some(), found);
            assert!(!found || landed.unwrap().oid == seen.head);
            let sent = cloud.calls().iter().filter(|call| call.operation == "createCommitOnBranch").count();
            assert_eq!((sent, file_text(&seen, PATH) == "new\n"), (1, found));
            assert!(tried(&hub, PATH).await.is_ok());
        });
    }
}

#[test]
fn executable_mode_is_kept() {
    run_in_virtual_time(async {
        let cloud = world("", "");
        let hub = hub(&cloud);
        let before = hub.snapshot(&wanted("run.sh")).await.unwrap();
        let landed = tried(&hub, "run.sh").await.unwrap();
        let after = hub.snapshot(&wanted("run.sh")).await.unwrap();
        assert_eq!(
            (after.head.as_str(), after.files["run.sh"].mode),
            (landed.oid.as_str(), FileMode::Executable)
        );
        assert_eq!(landed.url, format!("https://github.com/{REPOSITORY}/commit/{}", landed.oid));
        assert_eq!(after.history[0].message, "Deploy\n\nRoadstead-Run: 7.1");
        assert_eq!((before.can_push, before.archived), (Some(true), false));
        assert_eq!(hub.contains(REPOSITORY, &before.head, &after.head).await, Ok(true));
        assert_eq!(hub.contains(REPOSITORY, &after.head, &before.head).await, Ok(false));
        let old = hub.file_at(REPOSITORY, &before.head, "run.sh").await;
        assert_eq!(old, Ok(Some(b"exit 0\n".to_vec())));
        assert_eq!(hub.file_at(REPOSITORY, &after.head, "gone").await, Ok(None));
    });
}

#[test]
fn moved_head_is_detected_by_both_commit_apis() {
    run_in_virtual_time(async {
        let cloud = world("", "rival-commit: { times: 2 }");
        for path in [PATH, "run.sh"] {
            assert_eq!(tried(&hub(&cloud), path).await, Err(ApiError::HeadMoved), "{path}");
        }
        for path in [PATH, "run.sh"] {
            assert!(tried(&hub(&cloud), path).await.is_ok(), "{path}");
        }
    });
}

#[test]
fn protected_branch_rejects_both_commit_apis() {
    for rule in ["required-reviews: 1", "required-checks: [build]", "required-reviews: 1, ruleset: true"] {
        run_in_virtual_time(async {
            let cloud = world(&format!(", protected: [{{ branch: main, {rule} }}]"), "");
            for path in [PATH, "run.sh"] {
                let refused = tried(&hub(&cloud), path).await;
                assert!(matches!(refused, Err(ApiError::Protected(_))), "{rule} {path}: {refused:?}");
            }
        });
    }
}

#[test]
fn missing_permission_differs_from_missing_repository() {
    run_in_virtual_time(async {
        let cloud = world(", private: true", "");
        let by = async |token: &str| tried(&with(&cloud, token, "https://api.github.com"), PATH).await;
        assert!(matches!(by("reader").await, Err(ApiError::Forbidden(_))));
        assert_eq!(by("stranger").await, Err(ApiError::NotFound("the repository".into())));
        assert!(
            matches!(by("revoked").await, Err(ApiError::Forbidden(why)) if why.contains("Bad credentials"))
        );
        let hub = hub(&cloud);
        let gone = SnapshotQuery { branch: Some("gone".into()), ..wanted(PATH) };
        assert_eq!(hub.snapshot(&gone).await, Err(ApiError::NotFound("the branch `gone`".into())));
        assert!(hub.snapshot(&wanted("gone.yaml")).await.unwrap().files.is_empty());
        assert!(matches!(hub.find_commit(REPOSITORY, "gone", "x").await, Err(ApiError::NotFound(_))));
    });
}

#[test]
fn rate_limit_reports_wait_and_writes_nothing() {
    for (fault, low, high) in [
        ("operation: createCommitOnBranch, retry-after: 30", 30, 30),
        ("operation: createCommitOnBranch", 60, 60),
        ("operation: createCommitOnBranch, resets-after: 90", 60, 92),
    ] {
        run_in_virtual_time(async {
            let cloud = world("", &format!("rate-limit: {{ {fault} }}"));
            let hub = hub(&cloud);
            let Err(ApiError::RateLimited { retry_after: wait, .. }) = tried(&hub, PATH).await else {
                panic!("{fault}")
            };
            assert!((low..=high).contains(&wait.as_secs()), "{fault}: {wait:?}");
            tokio::time::sleep(wait.max(Duration::from_secs(high))).await;
            assert!(tried(&hub, PATH).await.is_ok(), "{fault}");
            assert_eq!(hub.snapshot(&wanted(PATH)).await.unwrap().history.len(), 2);
        });
    }
}

#[test]
fn a_commit_to_ten_thousand_files_needs_six_requests_at_most() {
    run_in_virtual_time(async {
        let cloud = world(", filler: 10000", "");
        for (path, most) in [(PATH, 2), ("run.sh", 6)] {
            let before = cloud.calls().len();
            tried(&hub(&cloud), path).await.unwrap();
            assert_eq!(cloud.calls().len() - before, most, "{path}");
        }
    });
}

#[test]
fn an_enterprise_server_answers_at_its_own_addresses() {
    run_in_virtual_time(async {
        let cloud = world("", "");
        let hub = with(&cloud, "t0ken", "https://git.acme.dev/api/v3");
        let landed = tried(&hub, "run.sh").await.unwrap();
        assert_eq!(landed.url, format!("https://git.acme.dev/{REPOSITORY}/commit/{}", landed.oid));
    });
}

fn create_proposal(auto_merge: bool) -> Proposal {
    Proposal {
        repository: REPOSITORY.into(),
        base: "main".into(),
        branch: "roadstead/production/x".into(),
        title: "Deploy x".into(),
        body: "What it is.".into(),
        paths: vec![PATH.into()],
        commit_marker: "Roadstead-Service: ".into(),
        auto_merge,
    }
}

/// An edit that sets the first line to `value`.
fn set_value(value: &str) -> impl Fn(&Snapshot) -> Result<Option<Edit>, ApiError> {
    move |seen| {
        let old = file_text(seen, PATH);
        let rest = old.split_once('\n').unwrap().1;
        let new = format!("s0: {value}\n{rest}");
        let change =
            FileChange { path: PATH.into(), bytes: new.clone().into_bytes(), mode: FileMode::Regular };
        let (headline, body) = ("Deploy".into(), "Roadstead-Service: production/x".into());
        Ok((new != old).then(|| Edit { headline, body, changes: vec![change] }))
    }
}

#[test]
fn one_pull_request_is_updated_and_merged_by_a_person() {
    run_in_virtual_time(async {
        let cloud = world("", "");
        let hub = hub(&cloud);
        let first = hub.propose(&create_proposal(false), set_value("1")).await.unwrap().unwrap();
        let second = hub.propose(&create_proposal(false), set_value("2")).await.unwrap().unwrap();
        let third = hub.propose(&create_proposal(false), set_value("2")).await.unwrap().unwrap();
        assert_eq!((first.number, first.created, second.created), (second.number, true, false));
        assert!(second.commit.is_some() && third.commit.is_none());
        assert_eq!(
            hub.propose(&create_proposal(false), set_value("old")).await.unwrap().unwrap().number,
            first.number
        );
        let main = hub.snapshot(&wanted(PATH)).await.unwrap();
        assert!(file_text(&main, PATH).starts_with("s0: old\n"));
        let opened = cloud.calls().iter().filter(|call| call.operation == "pulls/create").count();
        assert_eq!(opened, 1);
    });
}

#[test]
fn unblocked_pull_request_is_merged_at_once_and_branch_is_reused() {
    run_in_virtual_time(async {
        let cloud = world(", auto-merge: true", "");
        let hub = hub(&cloud);
        for value in ["1", "2"] {
            let pull = hub.propose(&create_proposal(true), set_value(value)).await.unwrap().unwrap();
            assert!(pull.created && pull.merged && pull.not_merged_reason.is_none(), "{pull:?}");
            let main = hub.snapshot(&wanted(PATH)).await.unwrap();
            assert_eq!(pull.merge_commit.as_deref(), Some(main.head.as_str()));
            assert!(file_text(&main, PATH).starts_with(&format!("s0: {value}\n")));
        }
        assert_eq!(hub.propose(&create_proposal(true), set_value("2")).await, Ok(None));
    });
}

#[test]
fn blocked_pull_request_is_auto_merged_or_waits() {
    let rule = "protected: [{ branch: main, required-checks: [build], met-after: 120 }]";
    run_in_virtual_time(async {
        let cloud = world(&format!(", auto-merge: true, {rule}"), "");
        let hub = hub(&cloud);
        let pull = hub.propose(&create_proposal(true), set_value("1")).await.unwrap().unwrap();
        assert_eq!((pull.auto_merge, pull.merged), (true, false), "{pull:?}");
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(file_text(&hub.snapshot(&wanted(PATH)).await.unwrap(), PATH).starts_with("s0: 1\n"));
    });
    run_in_virtual_time(async {
        let cloud = world(&format!(", {rule}"), "");
        let pull = hub(&cloud).propose(&create_proposal(true), set_value("1")).await.unwrap().unwrap();
        assert_eq!((pull.auto_merge, pull.merged), (false, false), "{pull:?}");
        assert!(pull.not_merged_reason.unwrap().contains("not allowed"));
    });
}

#[test]
fn lost_answer_opens_one_pull_request() {
    for operation in ["pulls/create", "git/create-ref", "createCommitOnBranch"] {
        run_in_virtual_time(async {
            let cloud = world("", &format!("bad-gateway: {{ operation: {operation}, effect: true }}"));
            let hub = hub(&cloud);
            let mut result = hub.propose(&create_proposal(false), set_value("1")).await;
            if matches!(result, Err(ApiError::Ambiguous(_))) {
                result = hub.propose(&create_proposal(false), set_value("1")).await;
            }
            let pull = result.unwrap().unwrap();
            assert!(pull.commit.is_some(), "{operation}: {pull:?}");
            let branch = Some(create_proposal(false).branch);
            let seen = hub.snapshot(&SnapshotQuery { branch, ..wanted(PATH) }).await.unwrap();
            let ours = seen.history.iter().filter(|commit| commit.message.contains("Roadstead-")).count();
            assert_eq!((pull.number, ours), (1, 1), "{operation}");
        });
    }
}

#[test]
fn branch_with_outside_commits_is_left_alone() {
    run_in_virtual_time(async {
        let cloud = world(", auto-merge: true", "");
        let hub = hub(&cloud);
        let pull = hub.propose(&create_proposal(true), set_value("1")).await.unwrap().unwrap();
        assert!(pull.merged);
        let branch = create_proposal(false).branch;
        cloud.push_commit(REPOSITORY, &branch, "Grace", "By hand", &[("hand.txt", Some(b"x"))]).unwrap();
        let refused = hub.propose(&create_proposal(false), set_value("2")).await;
        assert!(
            matches!(&refused, Err(ApiError::Rejected(why)) if why.contains("another author")),
            "{refused:?}"
        );
    });
}

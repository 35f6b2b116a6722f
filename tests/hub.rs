//! The hub against the embedded GitHub, with its Git repositories, rules and rates, in virtual time.

use std::time::Duration;

use futures::future::join_all;
use roadstead::github::{
    Addresses, Edit, FileChange, Hub, Landed, Mode, NewCommit, Proposal, Setback, Snapshot, Wanted,
};
use roadstead::rehearsal::client::http_client;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::scenario::Scenario;
use tokio::time::Instant;

use crate::support::virtually;

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

fn hub(cloud: &Cloud) -> Hub {
    with(cloud, "t0ken", "https://api.github.com")
}

fn with(cloud: &Cloud, token: &str, api: &str) -> Hub {
    Hub::new(http_client(cloud.clone()), &Addresses::of(api), token).unwrap()
}

fn wanted(path: &str) -> Wanted {
    let (repository, paths) = (REPOSITORY.into(), vec![path.to_owned()]);
    Wanted { repository, branch: None, paths, depth: 100 }
}

/// The commit that puts `text` in the place of what was seen.
fn changed(seen: &Snapshot, path: &str, text: String, trailer: &str) -> NewCommit {
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

fn text(seen: &Snapshot, path: &str) -> String {
    String::from_utf8(seen.files[path].bytes.clone()).unwrap()
}

/// Commits an edit of the file, from anew whenever the branch moved.
async fn edited(hub: &Hub, edit: impl Fn(String) -> String, trailer: &str) -> (Landed, u32) {
    for tried in 1..=10 {
        let seen = hub.snapshot(&wanted(PATH)).await.unwrap();
        match hub.commit(&changed(&seen, PATH, edit(text(&seen, PATH)), trailer)).await {
            Ok(landed) => return (landed, tried),
            Err(Setback::Moved) => {
                let pause = Duration::from_millis(400) * tried;
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("ten tries did not suffice")
}

/// One commit of the file, to see what becomes of it.
async fn tried(hub: &Hub, path: &str) -> Result<Landed, Setback> {
    let seen = hub.snapshot(&wanted(path)).await?;
    hub.commit(&changed(&seen, path, "new\n".into(), "Roadstead-Run: 7.1")).await
}

#[test]
fn ten_committers_on_one_branch_all_land_and_lose_nothing() {
    virtually(async {
        let cloud = world("", "");
        fastrand::seed(7);
        let began = Instant::now();
        let runs = (0..10).map(|n| {
            let hub = hub(&cloud);
            async move {
                let edit = move |text: String| text.replace(&format!("s{n}: old"), &format!("s{n}: new"));
                edited(&hub, edit, &format!("Roadstead-Run: {n}.1")).await.1
            }
        });
        let tries: u32 = join_all(runs).await.into_iter().sum();
        let took = began.elapsed();
        let seen = hub(&cloud).snapshot(&wanted(PATH)).await.unwrap();
        assert!(!text(&seen, PATH).contains("old"), "{}", text(&seen, PATH));
        let ours = seen.history.iter().filter(|commit| commit.message.contains("Roadstead-Run")).count();
        assert_eq!(ours, 10);
        assert!(tries > 10, "nobody was in anybody's way");
        assert!(took < Duration::from_secs(30), "{took:?}");
    });
}

#[test]
fn whoever_was_faster_keeps_what_he_changed() {
    virtually(async {
        let cloud = world("", "rival-commit: { times: 3, same-file: true }");
        let (_, tries) = edited(&hub(&cloud), |text| text.replace("s3: old", "s3: new"), "").await;
        let seen = hub(&cloud).snapshot(&wanted(PATH)).await.unwrap();
        let text = text(&seen, PATH);
        assert_eq!(tries, 4);
        assert!(text.contains("s3: new") && text.ends_with("# rival 1\n# rival 2\n# rival 3\n"), "{text}");
    });
}

#[test]
fn reads_that_lag_behind_cost_tries_and_nothing_else() {
    virtually(async {
        let cloud = world("", "replica-lag: { for: 4 }");
        for n in 0..3 {
            edited(&hub(&cloud), |text| text.replace(&format!("s{n}: old"), &format!("s{n}: new")), "").await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let seen = hub(&cloud).snapshot(&wanted(PATH)).await.unwrap();
        assert!(text(&seen, PATH).starts_with("s0: new\ns1: new\ns2: new\ns3: old\n"));
    });
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_by_its_trailer() {
    for (effect, found) in [(true, true), (false, false)] {
        virtually(async {
            let fault = format!("bad-gateway: {{ operation: createCommitOnBranch, effect: {effect} }}");
            let (cloud, marker) = (world("", &fault), "Roadstead-Run: 7.1");
            let hub = hub(&cloud);
            assert!(matches!(tried(&hub, PATH).await, Err(Setback::Uncertain(_))));
            let landed = hub.landed(REPOSITORY, "main", marker).await.unwrap();
            let seen = hub.snapshot(&wanted(PATH)).await.unwrap();
            assert_eq!(landed.is_some(), found);
            assert!(!found || landed.unwrap().oid == seen.head);
            let sent = cloud.calls().iter().filter(|call| call.operation == "createCommitOnBranch").count();
            assert_eq!((sent, text(&seen, PATH) == "new\n"), (1, found));
            assert!(tried(&hub, PATH).await.is_ok());
        });
    }
}

#[test]
fn an_executable_stays_one_and_a_commit_names_its_place() {
    virtually(async {
        let cloud = world("", "");
        let hub = hub(&cloud);
        let before = hub.snapshot(&wanted("run.sh")).await.unwrap();
        let landed = tried(&hub, "run.sh").await.unwrap();
        let after = hub.snapshot(&wanted("run.sh")).await.unwrap();
        assert_eq!(
            (after.head.as_str(), after.files["run.sh"].mode),
            (landed.oid.as_str(), Mode::Executable)
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
fn a_moved_branch_is_seen_by_both_ways_of_committing() {
    virtually(async {
        let cloud = world("", "rival-commit: { times: 2 }");
        for path in [PATH, "run.sh"] {
            assert_eq!(tried(&hub(&cloud), path).await, Err(Setback::Moved), "{path}");
        }
        for path in [PATH, "run.sh"] {
            assert!(tried(&hub(&cloud), path).await.is_ok(), "{path}");
        }
    });
}

#[test]
fn rules_of_a_branch_refuse_both_ways_of_committing_in_their_words() {
    for rule in ["required-reviews: 1", "required-checks: [build]", "required-reviews: 1, ruleset: true"] {
        virtually(async {
            let cloud = world(&format!(", protected: [{{ branch: main, {rule} }}]"), "");
            for path in [PATH, "run.sh"] {
                let refused = tried(&hub(&cloud), path).await;
                assert!(matches!(refused, Err(Setback::Protected(_))), "{rule} {path}: {refused:?}");
            }
        });
    }
}

#[test]
fn a_token_without_rights_is_told_from_a_repository_that_is_not_there() {
    virtually(async {
        let cloud = world(", private: true", "");
        let by = async |token: &str| tried(&with(&cloud, token, "https://api.github.com"), PATH).await;
        assert!(matches!(by("reader").await, Err(Setback::Forbidden(_))));
        assert_eq!(by("stranger").await, Err(Setback::Missing("the repository".into())));
        assert!(
            matches!(by("revoked").await, Err(Setback::Forbidden(why)) if why.contains("Bad credentials"))
        );
        let hub = hub(&cloud);
        let gone = Wanted { branch: Some("gone".into()), ..wanted(PATH) };
        assert_eq!(hub.snapshot(&gone).await, Err(Setback::Missing("the branch `gone`".into())));
        assert!(hub.snapshot(&wanted("gone.yaml")).await.unwrap().files.is_empty());
        assert!(matches!(hub.landed(REPOSITORY, "gone", "x").await, Err(Setback::Missing(_))));
    });
}

#[test]
fn limits_say_how_long_to_wait_and_nothing_was_done() {
    for (fault, low, high) in [
        ("operation: createCommitOnBranch, retry-after: 30", 30, 30),
        ("operation: createCommitOnBranch", 60, 60),
        ("operation: createCommitOnBranch, resets-after: 90", 60, 92),
    ] {
        virtually(async {
            let cloud = world("", &format!("rate-limit: {{ {fault} }}"));
            let hub = hub(&cloud);
            let Err(Setback::Limited { wait, .. }) = tried(&hub, PATH).await else { panic!("{fault}") };
            assert!((low..=high).contains(&wait.as_secs()), "{fault}: {wait:?}");
            tokio::time::sleep(wait.max(Duration::from_secs(high))).await;
            assert!(tried(&hub, PATH).await.is_ok(), "{fault}");
            assert_eq!(hub.snapshot(&wanted(PATH)).await.unwrap().history.len(), 2);
        });
    }
}

#[test]
fn a_commit_to_ten_thousand_files_needs_six_requests_at_most() {
    virtually(async {
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
    virtually(async {
        let cloud = world("", "");
        let hub = with(&cloud, "t0ken", "https://git.acme.dev/api/v3");
        let landed = tried(&hub, "run.sh").await.unwrap();
        assert_eq!(landed.url, format!("https://git.acme.dev/{REPOSITORY}/commit/{}", landed.oid));
    });
}

fn proposal(auto_merge: bool) -> Proposal {
    Proposal {
        repository: REPOSITORY.into(),
        base: "main".into(),
        branch: "roadstead/production/x".into(),
        title: "Deploy x".into(),
        body: "What it is.".into(),
        paths: vec![PATH.into()],
        mark: "Roadstead-Service: ".into(),
        auto_merge,
    }
}

/// Wants the first line to say `value`.
fn wish(value: &str) -> impl Fn(&Snapshot) -> Result<Option<Edit>, Setback> {
    move |seen| {
        let old = text(seen, PATH);
        let rest = old.split_once('\n').unwrap().1;
        let new = format!("s0: {value}\n{rest}");
        let change = FileChange { path: PATH.into(), bytes: new.clone().into_bytes(), mode: Mode::Plain };
        let (headline, body) = ("Deploy".into(), "Roadstead-Service: production/x".into());
        Ok((new != old).then(|| Edit { headline, body, changes: vec![change] }))
    }
}

#[test]
fn there_is_one_pull_request_which_is_updated_and_merged_by_a_person() {
    virtually(async {
        let cloud = world("", "");
        let hub = hub(&cloud);
        let first = hub.propose(&proposal(false), wish("1")).await.unwrap().unwrap();
        let second = hub.propose(&proposal(false), wish("2")).await.unwrap().unwrap();
        let third = hub.propose(&proposal(false), wish("2")).await.unwrap().unwrap();
        assert_eq!((first.number, first.created, second.created), (second.number, true, false));
        assert!(second.commit.is_some() && third.commit.is_none());
        assert_eq!(hub.propose(&proposal(false), wish("old")).await.unwrap().unwrap().number, first.number);
        let main = hub.snapshot(&wanted(PATH)).await.unwrap();
        assert!(text(&main, PATH).starts_with("s0: old\n"));
        let opened = cloud.calls().iter().filter(|call| call.operation == "pulls/create").count();
        assert_eq!(opened, 1);
    });
}

#[test]
fn what_nothing_holds_back_is_merged_at_once_and_the_branch_is_used_again() {
    virtually(async {
        let cloud = world(", auto-merge: true", "");
        let hub = hub(&cloud);
        for value in ["1", "2"] {
            let pull = hub.propose(&proposal(true), wish(value)).await.unwrap().unwrap();
            assert!(pull.created && pull.merged && pull.note.is_none(), "{pull:?}");
            let main = hub.snapshot(&wanted(PATH)).await.unwrap();
            assert_eq!(pull.merge_commit.as_deref(), Some(main.head.as_str()));
            assert!(text(&main, PATH).starts_with(&format!("s0: {value}\n")));
        }
        assert_eq!(hub.propose(&proposal(true), wish("2")).await, Ok(None));
    });
}

#[test]
fn what_rules_hold_back_is_merged_by_github_or_waits() {
    let rule = "protected: [{ branch: main, required-checks: [build], met-after: 120 }]";
    virtually(async {
        let cloud = world(&format!(", auto-merge: true, {rule}"), "");
        let hub = hub(&cloud);
        let pull = hub.propose(&proposal(true), wish("1")).await.unwrap().unwrap();
        assert_eq!((pull.auto_merge, pull.merged), (true, false), "{pull:?}");
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(text(&hub.snapshot(&wanted(PATH)).await.unwrap(), PATH).starts_with("s0: 1\n"));
    });
    virtually(async {
        let cloud = world(&format!(", {rule}"), "");
        let pull = hub(&cloud).propose(&proposal(true), wish("1")).await.unwrap().unwrap();
        assert_eq!((pull.auto_merge, pull.merged), (false, false), "{pull:?}");
        assert!(pull.note.unwrap().contains("not allowed"));
    });
}

#[test]
fn a_lost_answer_opens_nothing_twice() {
    for operation in ["pulls/create", "git/create-ref", "createCommitOnBranch"] {
        virtually(async {
            let cloud = world("", &format!("bad-gateway: {{ operation: {operation}, effect: true }}"));
            let hub = hub(&cloud);
            let mut result = hub.propose(&proposal(false), wish("1")).await;
            if matches!(result, Err(Setback::Uncertain(_))) {
                result = hub.propose(&proposal(false), wish("1")).await;
            }
            let pull = result.unwrap().unwrap();
            assert!(pull.commit.is_some(), "{operation}: {pull:?}");
            let branch = Some(proposal(false).branch);
            let seen = hub.snapshot(&Wanted { branch, ..wanted(PATH) }).await.unwrap();
            let ours = seen.history.iter().filter(|commit| commit.message.contains("Roadstead-")).count();
            assert_eq!((pull.number, ours), (1, 1), "{operation}");
        });
    }
}

#[test]
fn a_branch_with_somebody_elses_work_is_left_alone() {
    virtually(async {
        let cloud = world(", auto-merge: true", "");
        let hub = hub(&cloud);
        let pull = hub.propose(&proposal(true), wish("1")).await.unwrap().unwrap();
        assert!(pull.merged);
        let branch = proposal(false).branch;
        cloud.commit(REPOSITORY, &branch, "Grace", "By hand", &[("hand.txt", Some(b"x"))]).unwrap();
        let refused = hub.propose(&proposal(false), wish("2")).await;
        assert!(matches!(&refused, Err(Setback::Refused(why)) if why.contains("not ours")), "{refused:?}");
    });
}

//! Forged proofs: what an attacker with one token or another can make of deployment records, of the leases and of the
//! state of the post step. Whole runs over the embedded cloud and GitHub; each attacker has a test.

use std::time::Duration;

use roadstead_cloud::github::workflow_runs::RunJob;

use crate::support::promotion::{CONFIG, HISTORY, HOST, PromotionHarness, full_sha};
use crate::support::run_in_virtual_time;
use crate::support::runner::StepResult;

const EVIL: &str =
    "docker.io/attacker/evil@sha256:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
const DEVELOP: &str = "refs/heads/develop";

/// A branch that nobody reviewed, from the newest commit of `develop`.
fn history() -> String {
    HISTORY.replace("services:", "        - { id: e1, branch: evil, parent: d2 }\nservices:")
}

/// Nothing is promoted, nothing is changed; gives the annotations.
async fn assert_refused(world: &PromotionHarness) -> String {
    let before = world.cloud.calls().len();
    let step = world.run(&world.push_runner("main", "aa")).await;
    assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "{:#?}", step.lines);
    assert_eq!(world.count_ecs_changes(before), 0);
    step.annotation_lines()
}

fn assert_promoted(step: &StepResult, image: &str) {
    assert_eq!((step.exit_code, step.output("image")), (0, image), "{:#?}", step.lines);
}

/// A job of an unreviewed branch has `deployments: write`: it can say anything, and names whatever run it likes.
#[test]
fn token_that_writes_deployments_proves_nothing() {
    for (attack, reason) in [
        ("none", "run 1 does not exist in this repository"),
        ("own", "was on `evil`, which is not among the `branches` of `staging`"),
        ("earlier", "had no job at the time of the record"),
        ("failed", "Nothing is proven in `staging` yet"),
        ("another image", "is named by another record, too, with another image"),
        (
            "another registry",
            "its image is in `docker.io/attacker/evil`, and `staging` has those of `backend` in",
        ),
    ] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(CONFIG, &history());
            let image = world.push_image("acme/backend", "e1");
            let claim = async |image: &str, run: u64| {
                world.claim_proven("staging", "d1", &[("backend", image)], run).await;
            };
            match attack {
                "none" => claim(&image, 1).await,
                "own" => {
                    let run = world.start_run("refs/heads/evil", "e1", "push");
                    claim(&image, run).await;
                    world.cloud.end_run("acme/shop", run, "success");
                }
                "earlier" => {
                    let run = world.start_run(DEVELOP, "d1", "push");
                    world.cloud.end_run("acme/shop", run, "success");
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                    claim(&image, run).await;
                }
                "failed" => {
                    let run = world.start_run(DEVELOP, "d1", "push");
                    let record = world.claim_open("staging", "d1", &[("backend", &image)], run).await;
                    world.say(record, "failure", "Roadstead: failed").await;
                    world.say(record, "success", "Roadstead: deployed").await;
                    world.cloud.end_run("acme/shop", run, "success");
                }
                "another image" => {
                    let proven = world.push_image("acme/backend", "d1");
                    let run = world.start_run(DEVELOP, "d1", "push");
                    claim(&proven, run).await;
                    claim(&image, run).await;
                    world.cloud.end_run("acme/shop", run, "success");
                }
                _ => {
                    let run = world.start_run(DEVELOP, "d1", "push");
                    claim(EVIL, run).await;
                    world.cloud.end_run("acme/shop", run, "success");
                }
            }
            let told = assert_refused(&world).await;
            assert!(told.contains(reason), "{attack}: {told}");
        })
    }
}

/// What is left to that token, as SECURITY.md says: an image that is in the repository already, while a job of the branch
/// runs that succeeds and records nothing of this service itself.
#[test]
fn claim_during_a_successful_job_is_what_remains() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, &history());
        let image = world.push_image("acme/backend", "d2");
        let run = world.start_run(DEVELOP, "d1", "push");
        world.claim_proven("staging", "d1", &[("backend", &image)], run).await;
        world.cloud.end_run("acme/shop", run, "success");
        assert_promoted(&world.run(&world.push_runner("main", "aa")).await, &image);
    });
}

/// Runs of code that is not merged: of a pull request from a fork or from this repository, of a branch, of a tag with the
/// name of a branch, of another workflow.
#[test]
fn run_of_other_code_proves_nothing() {
    for (attack, reason) in [
        ("fork", "has the code of another repository (mallory/shop)"),
        ("pull request", "was started by `pull_request`, whose code is not released"),
        ("branch", "was on `evil`, which is not among the `branches` of `staging`"),
        ("tag", "is of the commit e100000, which is not on the branch `develop`"),
        (
            "workflow",
            "was of the workflow `.github/workflows/test.yml`, and only `.github/workflows/deploy.yml` may prove",
        ),
    ] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(CONFIG, &history());
            let image = world.push_image("acme/backend", "e1");
            let run = match attack {
                "fork" => world.start_run(DEVELOP, "d1", "push"),
                "pull request" => world.start_run(DEVELOP, "d1", "pull_request"),
                "branch" => world.start_run("refs/heads/evil", "e1", "workflow_dispatch"),
                "tag" => world.start_run("refs/tags/develop", "e1", "push"),
                _ => world.start_run(DEVELOP, "d1", "push"),
            };
            world.change_run(run, |run| match attack {
                "fork" => run.head_repository = Some("mallory/shop".into()),
                "workflow" => run.path = ".github/workflows/test.yml".into(),
                _ => {}
            });
            world.claim_proven("staging", "d1", &[("backend", &image)], run).await;
            world.cloud.end_run("acme/shop", run, "success");
            let told = assert_refused(&world).await;
            assert!(told.contains(reason), "{attack}: {told}");
        })
    }
}

/// Whoever may push to the registry only has no record.
#[test]
fn image_without_a_record_is_not_promoted() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let proven = world.push_image("acme/backend", "d1");
        world.record_proven("staging", "d1", &[("backend", &proven)]).await;
        world.cloud.push_image("acme/backend", &["sha-d100000", "develop"], "linux/amd64", "evil");
        assert_promoted(&world.run(&world.push_runner("main", "aa")).await, &proven);
    });
}

/// `actions: write` starts runs, also on a branch and again; a run proves what its own job recorded, and nothing else.
#[test]
fn rerun_of_an_old_run_moves_no_proof() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, &history());
        let (old, new) = (world.push_image("acme/backend", "d1"), world.push_image("acme/backend", "e1"));
        let run = world.start_run(DEVELOP, "d1", "push");
        world.claim_proven("staging", "d1", &[("backend", &old)], run).await;
        world.cloud.end_run("acme/shop", run, "success");
        tokio::time::sleep(Duration::from_secs(600)).await;
        let sha = full_sha("e1");
        world.cloud.start_run(roadstead_cloud::github::run::RunStart {
            repository: "acme/shop",
            sha: &sha,
            reference: "refs/heads/evil",
            run_id: Some(run),
            attempt: 2,
            event: "push",
            environment: None,
        });
        world.claim_proven("staging", "d1", &[("backend", &new)], run).await;
        world.cloud.end_run("acme/shop", run, "success");
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "attempt 1 is contested");
    });
}

/// A forged record is skipped, and the true one behind it is promoted.
#[test]
fn true_proof_is_found_behind_forged_ones() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let image = world.push_image("acme/backend", "d1");
        world.record_proven("staging", "d1", &[("backend", &image)]).await;
        for run in 1..=5 {
            world.claim_proven("staging", "d1", &[("backend", EVIL)], run).await;
        }
        assert_promoted(&world.run(&world.push_runner("main", "aa")).await, &image);
        let digest = EVIL.split('@').nth(1).unwrap();
        let named = world.run(&world.dispatch_runner("aa").with_variable("INPUT_TO", digest)).await;
        assert_eq!((named.exit_code, named.output("outcome")), (2, "invalid"));
    });
}

/// Thirty forged records cost a bounded number of requests.
#[test]
fn lookups_are_bounded() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        for _ in 0..30 {
            let run = world.start_run(DEVELOP, "d1", "push");
            world.claim_proven("staging", "d1", &[("backend", EVIL)], run).await;
        }
        let before = world.cloud.calls().len();
        assert_refused(&world).await;
        let calls = world.cloud.calls();
        let asked = calls[before..].iter().filter(|call| call.operation.starts_with("actions/")).count();
        assert!((30..=60).contains(&asked), "{asked}");
    });
}

/// The job that recorded it counts, not the end of its run: a later job can fail, wait, or be the one that promotes.
#[test]
fn job_of_the_record_decides_and_not_its_run() {
    for (own, attempt) in [(true, "1"), (true, "2"), (false, "1")] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(CONFIG, HISTORY);
            let image = world.push_image("acme/backend", "d1");
            let run = world.start_run(DEVELOP, "d1", "push");
            world.claim_proven("staging", "d1", &[("backend", &image)], run).await;
            tokio::time::sleep(Duration::from_secs(120)).await;
            let now = world.cloud.read(|world| {
                world.github.repositories["acme/shop"].deployments.last().unwrap().updated_at + 60.0
            });
            world.change_run(run, |run| {
                let started_at = run.attempts[0].started_at;
                let staging = RunJob {
                    name: "staging".into(),
                    conclusion: Some("success".into()),
                    started_at,
                    completed_at: Some(now),
                };
                let production = RunJob { name: "production".into(), started_at: now, ..RunJob::default() };
                run.attempts[0].jobs = vec![staging, production];
            });
            if attempt == "2" {
                world.cloud.end_run("acme/shop", run, "failure");
            }
            let runner = world.push_runner("main", "aa").with_variable("GITHUB_RUN_ATTEMPT", attempt);
            let runner = match own {
                // A runner that does not tell the workflow: GitHub knows that of this run.
                true if attempt == "1" => {
                    let runner = runner.with_variable("GITHUB_RUN_ID", &run.to_string());
                    runner.with_variable("GITHUB_WORKFLOW_REF", "")
                }
                true => runner.with_variable("GITHUB_RUN_ID", &run.to_string()),
                false => runner,
            };
            assert_promoted(&world.run(&runner).await, &image);
        });
    }
}

#[test]
fn job_in_progress_of_another_run_proves_nothing_yet() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let image = world.push_image("acme/backend", "d1");
        let run = world.start_run(DEVELOP, "d1", "push");
        world.claim_proven("staging", "d1", &[("backend", &image)], run).await;
        let told = assert_refused(&world).await;
        assert!(told.contains("has not ended the job that recorded it"), "{told}");
        world.cloud.end_run("acme/shop", run, "success");
        assert_promoted(&world.run(&world.push_runner("main", "aa")).await, &image);
    });
}

/// The number of the promoting run is public while it runs: a record that names it proves nothing.
#[test]
fn record_in_the_name_of_the_promoting_run_proves_nothing() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let image = world.push_image("acme/backend", "d1");
        let run = world.start_run("refs/heads/main", "aa", "push");
        world.claim_proven("staging", "d1", &[("backend", &image)], run).await;
        let runner = world.push_runner("main", "aa").with_variable("GITHUB_RUN_ID", &run.to_string());
        let step = world.run(&runner).await;
        assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "{:#?}", step.lines);
    });
}

/// The deploy file says which workflows prove, and from where images come.
#[test]
fn deploy_file_allows_other_workflows_and_repositories() {
    let workflows = CONFIG.replace("branches: [develop]", "branches: [develop], workflows: [stage.yml]");
    for (config, path, promoted) in [
        (CONFIG, ".github/workflows/stage.yml", false),
        (&workflows, ".github/workflows/stage.yml", true),
        (&workflows, ".github/workflows/deploy.yml", false),
    ] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(config, HISTORY);
            let image = world.push_image("acme/backend", "d1");
            let run = world.start_run(DEVELOP, "d1", "push");
            world.change_run(run, |run| run.path = path.into());
            world.claim_proven("staging", "d1", &[("backend", &image)], run).await;
            world.cloud.end_run("acme/shop", run, "success");
            let step = world.run(&world.push_runner("main", "aa")).await;
            assert_eq!(step.exit_code == 0, promoted, "{path}: {:#?}", step.lines);
        });
    }
    let listed = CONFIG
        .replace("branches: [develop]", "branches: [develop], image-repositories: [\"ghcr.io/acme/*\"]");
    let elsewhere = EVIL.replace("docker.io/attacker/evil", "ghcr.io/acme/backend");
    for (config, promoted) in [(CONFIG, false), (&listed, true)] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(config, HISTORY);
            world.record_proven("staging", "d1", &[("backend", &elsewhere)]).await;
            let step = world.run(&world.push_runner("main", "aa")).await;
            assert_eq!(step.output("image") == elsewhere, promoted, "{:#?}", step.lines);
            let told = step.annotation_lines();
            assert_eq!(told.contains("`staging` has those of `backend` in"), !promoted, "{told}");
        });
    }
}

/// Without a `repository` in the source environment nothing says where its images are.
#[test]
fn source_without_a_repository_is_refused_with_the_keys_that_help() {
    let config = CONFIG.replace("    repository: acme/backend\n", "");
    run_in_virtual_time(async {
        let world = PromotionHarness::new(&config, HISTORY);
        let image = world.push_image("acme/backend", "d1");
        world.record_proven("staging", "d1", &[("backend", &image)]).await;
        let told = assert_refused(&world).await;
        assert!(told.contains("neither a `repository` for `backend` nor `image-repositories`"), "{told}");
    });
    let only_source = format!("{config}    environments: {{ staging: {{ repository: acme/backend }} }}\n");
    run_in_virtual_time(async {
        let world = PromotionHarness::new(&only_source, HISTORY);
        let image = world.push_image("acme/backend", "d1");
        world.record_proven("staging", "d1", &[("backend", &image)]).await;
        assert_promoted(&world.run(&world.push_runner("main", "aa")).await, &image);
        let gone = format!("{HOST}/acme/backend@sha256:{}", "0".repeat(64));
        world.record_proven("staging", "d1", &[("backend", &gone)]).await;
        let told = assert_refused(&world).await;
        assert!(told.contains("is no longer in the registry"), "{told}");
    });
}

/// Without `actions: read`, and outside of a workflow, nothing can be checked, and the message says what to add.
#[test]
fn proof_that_cannot_be_checked_is_refused() {
    let blind = HISTORY.replace("github:\n", "github:\n  job-token: { permissions: { actions: none } }\n");
    let workflow = "acme/shop/.github/workflows/deploy.yml@refs/heads/main";
    for (scenario, workflow, reason) in [
        (blind.as_str(), workflow, "the job needs `permissions: actions: read`"),
        (HISTORY, "", "under `workflows` of the environment `staging`"),
    ] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(CONFIG, scenario);
            let image = world.push_image("acme/backend", "d1");
            world.record_proven("staging", "d1", &[("backend", &image)]).await;
            let runner = world.dispatch_runner("aa").with_variable("GITHUB_WORKFLOW_REF", workflow);
            let step = world.run(&runner).await;
            assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"));
            let told = step.annotation_lines();
            assert!(told.contains(reason) && told.contains("It cannot be checked"), "{told}");
        });
    }
}

/// A record that somebody made in advance, in the name of a run, does not become proven by that run.
#[test]
fn record_that_names_our_run_is_not_taken_for_ours() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let runner = world.push_runner("develop", "d1");
        let run = runner.variables["GITHUB_RUN_ID"].parse().unwrap();
        world.claim_open("staging", "d1", &[("backend", EVIL)], run).await;
        let step = world.run(&runner).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
        assert_eq!(world.proven_commits("staging").await.len(), 1, "only its own record");
        let proven = world.proven_images("staging", "backend").await;
        assert_eq!(proven, [step.output("image")]);
    });
}

/// A forged record neither stops a release as stale nor lets an old run pass.
#[test]
fn forged_record_supersedes_nothing_and_hides_nothing() {
    for run in [1, 900] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(CONFIG, &history());
            let served = world.run(&world.push_runner("develop", "d1")).await.output("image").to_owned();
            if run == 900 {
                let evil = world.start_run("refs/heads/evil", "e1", "push");
                world.claim_proven("staging", "e1", &[("backend", &served)], evil).await;
                world.cloud.end_run("acme/shop", evil, "success");
            } else {
                world.claim_proven("staging", "e1", &[("backend", &served)], run).await;
            }
            let newer = world.run(&world.push_runner("develop", "d2")).await;
            assert_eq!(newer.output("outcome"), "deployed", "{:#?}", newer.lines);
            let serving = newer.output("image").to_owned();
            world.claim_proven("staging", "d1", &[("backend", &serving)], run).await;
            let old = world.run(&world.push_runner("develop", "d1")).await;
            assert_eq!((old.exit_code, old.output("outcome")), (5, "superseded"), "{:#?}", old.lines);
        });
    }
}

/// A forged record does not make a changed service count as unchanged.
#[test]
fn forged_record_hides_no_change() {
    let config = CONFIG.replace("    repository:", "    paths: [\"src/**\"]\n    repository:");
    let scenario =
        HISTORY.replace("{ id: d2, branch: develop }", "{ id: d2, branch: develop, files: { src/a: b } }");
    run_in_virtual_time(async {
        let world = PromotionHarness::new(&config, &scenario);
        let changed =
            |commit: &str| world.push_runner("develop", commit).with_variable("INPUT_SERVICES", "changed");
        let first = world.run(&changed("d1")).await;
        assert_eq!(first.output("outcome"), "deployed", "{:#?}", first.lines);
        world.claim_proven("staging", "d2", &[("backend", first.output("image"))], 1).await;
        let step = world.run(&changed("d2")).await;
        assert_eq!(step.output("outcome"), "deployed", "{:#?}", step.lines);
    });
}

/// The state of the post step comes through the environment of the job: another step can write it.
#[test]
fn forged_state_of_the_post_step_rolls_nothing_back() {
    let state = |run: &str, lease: &str| {
        format!(
            "{{\"environment\":\"production\",\"atomic\":true,\"broken\":true,\"run\":\"{run}\",\"services\":[{{\"service\":\"backend\",\
             \"requested_version\":\"arn:x/backend:9\",\"rollout\":null,\"rollback_to\":\"arn:aws:ecs:eu-west-1:111111111111:\
             task-definition/evil:1\",\"ended\":false}}],\"held\":{{\"record\":null,\"leases\":[{{\"reference\":\
             \"{lease}\",\"commit\":\"{}\"}}]}}}}",
            full_sha("aa")
        )
    };
    for (run, lease) in [("101/1", "refs/heads/main"), ("7/1", "refs/roadstead/lease/production/backend")] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(CONFIG, HISTORY);
            let runner = world.push_runner("main", "aa").with_variable("STATE_walk", &state(run, lease));
            let before = world.cloud.calls().len();
            let step = world.run_post(&runner).await;
            assert_eq!(world.count_ecs_changes(before), 0, "{:#?}", step.lines);
            let calls = world.cloud.calls();
            let deleted = calls[before..].iter().any(|call| call.operation == "git/delete-ref");
            assert!(!deleted, "{:#?}", step.lines);
        });
    }
}

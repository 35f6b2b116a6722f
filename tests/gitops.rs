//! Whole runs of services in Git on the emulator: commits, outcomes, output.

use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::report::RunReport;
use roadstead_cloud::cloud::Cloud;

use crate::support::runner::{ROLE, Runner, TOKEN};
use crate::support::{RunHarness, TestRun, run_in_virtual_time};

pub(crate) const REPOSITORY: &str = "acme/manifests";
pub(crate) const FILE: &str = "apps/analytics/production/kustomization.yaml";

/// One service in a kustomization, watched.
pub(crate) const WATCHED: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  analytics:
    repository: acme/analytics
    argocd:
      repository: acme/manifests
      files: [ { path: \"apps/analytics/${environment}/kustomization.yaml\" } ]
      application: analytics
      server: https://argocd.acme.dev
";

pub(crate) fn test_run(scenario: &str, config: &str) -> TestRun {
    let mut trial = TestRun::builtin(scenario);
    trial.config = config.into();
    trial
}

fn with_setting(config: &str, more: &str) -> String {
    config.replace("      application:", &format!("      {more}\n      application:"))
}

/// A run of a workflow with this number.
pub(crate) fn set_workflow_run(trial: &mut TestRun, id: u64, commit: &str, event: &str) {
    let set = [
        ("GITHUB_RUN_ID", id.to_string()),
        ("GITHUB_RUN_ATTEMPT", "1".into()),
        ("GITHUB_SHA", commit.into()),
        ("GITHUB_REF", "refs/heads/main".into()),
        ("GITHUB_EVENT_NAME", event.into()),
        ("GITHUB_REPOSITORY", "acme/shop".into()),
        ("GITHUB_ACTIONS", "true".into()),
    ];
    trial.variables.extend(set.map(|(name, value)| (name.to_owned(), value)));
}

/// The commits of the branch, newest first, without the first one that was there before. GitHub's own descriptions of
/// its APIs judge every request that led there.
pub(crate) fn commit_messages(cloud: &Cloud) -> Vec<String> {
    assert_eq!(crate::support::github::request_violations(&cloud.calls()), Vec::<String>::new());
    cloud.read(|world| {
        let head = world.github.head(REPOSITORY, "main").unwrap();
        let all = world.github.history(REPOSITORY, &head, None);
        all.iter().rev().skip(1).rev().map(|(_, commit)| commit.message.clone()).collect()
    })
}

pub(crate) fn file_text(cloud: &Cloud, path: &str) -> String {
    cloud.read(|world| {
        let head = world.github.head(REPOSITORY, "main").unwrap();
        String::from_utf8(world.github.read_file(REPOSITORY, &head, path).unwrap()).unwrap()
    })
}

pub(crate) fn problem_codes(report: &RunReport) -> Vec<&'static str> {
    report.all_problems().iter().map(|problem| problem.code.name()).collect()
}

/// Calls to GitHub that were made.
pub(crate) fn github_calls(cloud: &Cloud) -> Vec<String> {
    let calls = cloud.calls();
    calls.iter().filter(|call| call.service == "github").map(|call| call.operation.clone()).collect()
}

#[test]
fn release_is_one_commit_and_is_verified_live() {
    let ran = test_run("gitops-happy", WATCHED).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    let commits = commit_messages(&ran.cloud);
    assert_eq!(commits.len(), 1);
    let service = &ran.report.services[0];
    let digest = service.serving_digest.as_ref().unwrap().as_str();
    assert_eq!(Some(digest), service.digest.as_ref().map(|digest| digest.as_str()));
    let after = file_text(&ran.cloud, FILE);
    assert!(after.contains(&format!("digest: {digest}")), "{after}");
    assert!(commits[0].contains("\nRoadstead-Service: production/analytics\n"), "{}", commits[0]);
    assert!(commits[0].contains(&format!("\nRoadstead-Digest: {digest}\n")), "{}", commits[0]);
    assert_eq!(
        github_calls(&ran.cloud)[..2],
        ["graphql/Snapshot", "createCommitOnBranch"],
        "two requests and no clone"
    );
}

#[test]
fn same_release_again_changes_nothing() {
    run_in_virtual_time(async {
        let stage = test_run("gitops-happy", WATCHED).set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        assert_eq!(stage.run().await.outcome, Outcome::Unchanged);
        assert_eq!(commit_messages(&stage.cloud).len(), 1);
    });
}

#[test]
fn every_scenario_reports_the_actual_state() {
    let table = [
        ("argocd-degraded", Outcome::Failed, "health-check-failed", 2),
        ("argocd-image-pull", Outcome::Failed, "image-pull-failed", 2),
        ("argocd-sync-failed", Outcome::Failed, "sync-failed", 2),
        ("argocd-operation-error", Outcome::Failed, "sync-failed", 2),
        ("argocd-missing", Outcome::Failed, "sync-failed", 2),
        ("argocd-never-syncs", Outcome::Failed, "timed-out", 2),
        ("argocd-analysis-failed", Outcome::Failed, "health-check-failed", 2),
        ("git-protected", Outcome::Invalid, "", 0),
    ];
    for (scenario, outcome, code, count) in table {
        let ran = test_run(scenario, WATCHED).run();
        let service = &ran.report.services;
        let found = service.iter().filter_map(|s| s.failure.as_ref()).map(|f| f.problem.code.name()).next();
        assert_eq!(
            (ran.report.outcome, found.unwrap_or_default()),
            (outcome, code),
            "{scenario}: {:#?}",
            ran.lines
        );
        assert_eq!(commit_messages(&ran.cloud).len(), count, "{scenario}");
        assert!(
            file_text(&ran.cloud, FILE).contains("v1"),
            "{scenario}: the image before stands there again"
        );
    }
}

#[test]
fn transient_errors_do_not_change_the_outcome() {
    for scenario in [
        "argocd-stale",
        "argocd-busy",
        "argocd-outage",
        "argocd-canary",
        "git-rate-limited",
        "git-lost-answer",
        "git-bad-gateway",
        "git-replica-lag",
    ] {
        let ran = test_run(scenario, WATCHED).run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{scenario}: {:#?}", ran.lines);
        let ours =
            commit_messages(&ran.cloud).iter().filter(|message| message.contains("Roadstead-")).count();
        assert_eq!(ours, 1, "{scenario}: one commit, also after retries");
    }
}

#[test]
fn edit_is_recomputed_on_a_moved_head() {
    let ran = test_run("git-moved-head", WATCHED).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(commit_messages(&ran.cloud).len(), 4, "three of somebody else, and ours");
}

/// A rollback restores the file byte for byte.
#[test]
fn rollback_restores_every_byte() {
    let (before, after) = run_in_virtual_time(async {
        let stage = test_run("argocd-image-pull", WATCHED).set_up();
        let before = file_text(&stage.cloud, FILE);
        assert_eq!(stage.run().await.outcome, Outcome::Failed);
        (before, file_text(&stage.cloud, FILE))
    });
    assert_eq!(before, after);
}

#[test]
fn failed_version_is_kept_if_configured() {
    let ran = test_run("argocd-image-pull", &with_setting(WATCHED, "on-failure: leave")).run();
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    assert!(problem_codes(&ran.report).contains(&"failed-version-kept"), "{:?}", problem_codes(&ran.report));
    assert_eq!(commit_messages(&ran.cloud).len(), 1);
}

#[test]
fn outcome_is_committed_without_a_server() {
    let config = WATCHED.replace("      server: https://argocd.acme.dev\n", "");
    run_in_virtual_time(async {
        let stage = test_run("gitops-happy", &config).set_up();
        let first = stage.run().await;
        assert_eq!((first.outcome, first.outcome.exit_code()), (Outcome::Committed, 0));
        assert!(first.services[0].evidence.contains("was not watched"), "{}", first.services[0].evidence);
        assert_eq!(first.services[0].serving_version, None);
        assert_eq!(stage.run().await.outcome, Outcome::Unchanged);
        assert_eq!(commit_messages(&stage.cloud).len(), 1);
    });
}

const TWO_SERVICES: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  web:
    repository: acme/web
    argocd:
      repository: acme/manifests
      files:
        - { path: charts/web/values.yaml, image: web.image }
        - { path: apps/web/cron.yaml, container: report }
      application: web
      server: https://argocd.acme.dev
  worker:
    repository: acme/worker
    argocd:
      repository: acme/manifests
      files: [ { path: apps/worker/kustomization.yaml } ]
      application: worker
      server: https://argocd.acme.dev
";

#[test]
fn several_files_of_several_services_are_one_commit() {
    let ran = test_run("gitops-happy", TWO_SERVICES).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    let commits = commit_messages(&ran.cloud);
    assert_eq!(commits.len(), 1, "{commits:?}");
    assert_eq!(commits[0].matches("Roadstead-Service: production/").count(), 2);
    for (path, service) in
        [("charts/web/values.yaml", 0), ("apps/web/cron.yaml", 0), ("apps/worker/kustomization.yaml", 1)]
    {
        let digest = ran.report.services[service].digest.as_ref().unwrap().as_str();
        assert!(file_text(&ran.cloud, path).contains(digest), "{path}: {}", file_text(&ran.cloud, path));
    }
}

/// Three releases, then the button; and the push that comes again.
#[test]
fn rollback_returns_to_last_known_good_and_blocks_the_version() {
    run_in_virtual_time(async {
        let mut first = test_run("gitops-happy", WATCHED);
        set_workflow_run(&mut first, 100, &"a".repeat(40), "push");
        let stage = first.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let good = file_text(&stage.cloud, FILE);
        let (outcome, _) = next_run(&stage, 101, 'b', "push", RawInputs::default()).await;
        assert_eq!(outcome, Outcome::Deployed);
        let rollback = RawInputs { operation: Some("rollback".into()), ..RawInputs::default() };
        let (outcome, report) = next_run(&stage, 102, 'b', "workflow_dispatch", rollback.clone()).await;
        assert_eq!(outcome, Outcome::RolledBack, "{:?}", problem_codes(&report));
        assert_eq!(file_text(&stage.cloud, FILE), good, "the bytes of the earlier version");
        let (outcome, report) = next_run(&stage, 103, 'b', "push", RawInputs::default()).await;
        assert_eq!(
            (outcome, problem_codes(&report)),
            (Outcome::Invalid, vec!["version-blocked-after-rollback"])
        );
        let (outcome, _) = next_run(&stage, 104, 'b', "workflow_dispatch", RawInputs::default()).await;
        assert_eq!(outcome, Outcome::Deployed, "a person may");
        let to = RawInputs { to: Some("a".repeat(40)), ..rollback };
        let (outcome, report) = next_run(&stage, 105, 'b', "workflow_dispatch", to).await;
        assert_eq!(outcome, Outcome::RolledBack, "by the commit of the source: {:?}", problem_codes(&report));
        let nothing = RawInputs {
            operation: Some("rollback".into()),
            to: Some("analytics:nothing".into()),
            ..RawInputs::default()
        };
        let (outcome, report) = next_run(&stage, 106, 'b', "workflow_dispatch", nothing).await;
        assert_eq!((outcome, problem_codes(&report)), (Outcome::Invalid, vec!["version-unknown"]));
        assert_eq!(commit_messages(&stage.cloud).len(), 5);
    });
}

/// Another run on the same world.
async fn next_run(
    stage: &RunHarness,
    id: u64,
    commit: char,
    event: &str,
    inputs: RawInputs,
) -> (Outcome, RunReport) {
    let mut trial = test_run("gitops-happy", WATCHED);
    set_workflow_run(&mut trial, id, &commit.to_string().repeat(40), event);
    trial.inputs = inputs;
    let report = stage.with_test_run(&trial).run().await;
    (report.outcome, report)
}

#[test]
fn stale_run_is_superseded() {
    run_in_virtual_time(async {
        let mut newer = test_run("gitops-happy", WATCHED);
        set_workflow_run(&mut newer, 200, &"b".repeat(40), "push");
        let stage = newer.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = file_text(&stage.cloud, FILE);
        let (outcome, report) = next_run(&stage, 150, 'a', "push", RawInputs::default()).await;
        assert_eq!((outcome, problem_codes(&report)), (Outcome::Superseded, vec!["superseded"]));
        assert_eq!(file_text(&stage.cloud, FILE), before);
    });
}

#[test]
fn outside_image_change_is_left_alone() {
    run_in_virtual_time(async {
        let stage = test_run("gitops-happy", WATCHED).set_up();
        let by_hand = file_text(&stage.cloud, FILE).replace("v1", "v9");
        let cloud = stage.cloud.clone();
        let once = std::sync::atomic::AtomicBool::new(true);
        let pushed = by_hand.clone();
        stage.cloud.on_call(Box::new(move |moment| {
            use roadstead_cloud::call_log::{HookPhase, Override};
            let commit = moment.call.operation == "createCommitOnBranch" && moment.phase == HookPhase::Before;
            if commit && once.swap(false, std::sync::atomic::Ordering::Relaxed) {
                let change = [(FILE, Some(pushed.as_bytes()))];
                cloud.push_commit(REPOSITORY, "main", "Ann", "By hand", &change).unwrap();
            }
            Override::Pass
        }));
        let report = stage.run().await;
        assert_eq!(report.outcome, Outcome::Superseded, "{:?}", problem_codes(&report));
        assert_eq!(file_text(&stage.cloud, FILE), by_hand);
    });
}

#[test]
fn a_pull_request_is_opened_once_and_kept_up_to_date() {
    let config = with_setting(WATCHED, "pull-request: true");
    run_in_virtual_time(async {
        let mut first = test_run("git-protected", &config);
        set_workflow_run(&mut first, 300, &"a".repeat(40), "push");
        let stage = first.set_up();
        let report = stage.run().await;
        assert_eq!(
            (report.outcome, report.outcome.exit_code()),
            (Outcome::Proposed, 0),
            "{:?}",
            problem_codes(&report)
        );
        assert!(report.services[0].evidence.contains("#1"), "{}", report.services[0].evidence);
        let mut again = test_run("git-protected", &config);
        set_workflow_run(&mut again, 301, &"b".repeat(40), "push");
        let report = stage.with_test_run(&again).run().await;
        assert_eq!(report.outcome, Outcome::Proposed, "{:?}", problem_codes(&report));
        assert!(report.services[0].evidence.contains("#1"), "the same one: {}", report.services[0].evidence);
        assert!(commit_messages(&stage.cloud).is_empty(), "nothing reached the branch");
        let pulls = stage.cloud.read(|world| world.github.repositories[REPOSITORY].pulls.len());
        assert_eq!(pulls, 1);
    });
}

/// A step of a workflow with its runner's files.
fn action_runner(scenario: &str) -> Runner {
    Runner::builtin(scenario)
        .with_config(&WATCHED.replace(
            "aws: { region: eu-west-1 }",
            &format!("aws: {{ region: eu-west-1, role: \"{ROLE}\" }}"),
        ))
        .with_variable("INPUT_ARGOCD-TOKEN", "argocd-s3cret-token")
}

#[test]
fn summary_and_outputs_show_live_image_and_no_token() {
    let main = action_runner("gitops-happy").run_main();
    assert_eq!(main.exit_code, 0, "{:#?}", main.lines);
    assert_eq!(main.output("outcome"), "deployed");
    assert!(main.output("version").starts_with("analytics:sha-"), "{}", main.plain_outputs());
    assert_eq!(main.output("url"), "https://argocd.acme.dev/applications/analytics");
    assert!(main.summary.contains("Synced at"), "{}", main.summary);
    let unmasked = main.lines.iter().filter(|line| !line.starts_with("::add-mask::"));
    let output = unmasked.cloned().chain([main.summary.clone()]).collect::<Vec<_>>().join("\n");
    assert!(!output.contains("argocd-s3cret-token") && !output.contains(TOKEN));
}

#[test]
fn cancelled_run_reverts_the_image_and_post_step_confirms() {
    for after in [3, 6, 15] {
        let mut runner = action_runner("gitops-happy");
        runner.cancel_after = Some(Duration::from_secs(after));
        run_in_virtual_time(async {
            let (cloud, clock) = runner.start_cloud();
            let before = file_text(&cloud, FILE);
            let main = runner.run_main_on(&cloud, clock).await;
            assert_eq!(main.exit_code, 130, "{after}: {:#?}", main.lines);
            assert!(main.elapsed < Duration::from_secs(after + 7), "{after}: {:?}", main.elapsed);
            assert_eq!(file_text(&cloud, FILE), before, "{after}: the image before stands there again");
            let post = runner.run_post_on(&cloud, clock).await;
            assert_eq!(post.exit_code, 0, "{after}: {:#?}", post.lines);
            assert!(post.summary.contains("v1"), "{after}: {}", post.summary);
        });
    }
}

/// Values of an environment that have the tag alone: the registry is the environment's, which the file does not name.
#[test]
fn values_with_a_tag_alone_are_released_once() {
    const VALUES: &str = "charts/analytics/values.yaml";
    let scenario = format!(
        "github: {{ repositories: [ {{ name: acme/manifests, files: {{ {VALUES}: \"image:\\n  tag: v1 # live\\n\" }} }} ] }}\n"
    );
    let mut trial = TestRun::custom(&scenario);
    trial.config = WATCHED
        .replace(
            "{ path: \"apps/analytics/${environment}/kustomization.yaml\" }",
            "{ path: charts/analytics/values.yaml, image: image }",
        )
        .replace("      server: https://argocd.acme.dev\n", "");
    run_in_virtual_time(async {
        let stage = trial.set_up();
        let first = stage.run().await;
        assert_eq!(first.outcome, Outcome::Committed, "{:?}", problem_codes(&first));
        let after = file_text(&stage.cloud, VALUES);
        assert!(after.contains("@sha256:") && after.ends_with(" # live\n"), "{after}");
        assert_eq!(stage.run().await.outcome, Outcome::Unchanged);
        assert_eq!(commit_messages(&stage.cloud).len(), 1);
    });
}

/// The image is named with its digest, so nothing is built or looked up, whatever the service's `repository` is.
#[test]
fn named_image_needs_no_aws() {
    for repository in ["    repository: acme/analytics\n", ""] {
        let config = WATCHED
            .replace(", aws: { region: eu-west-1 }", "")
            .replace("    repository: acme/analytics\n", repository)
            .replace("      server: https://argocd.acme.dev\n", "");
        let mut trial = test_run("gitops-happy", &config);
        trial.inputs.image = Some(format!("ghcr.io/acme/analytics:v2@sha256:{}", "0a".repeat(32)));
        let ran = trial.run();
        assert_eq!(ran.report.outcome, Outcome::Committed, "{repository}{:#?}", ran.lines);
        let services: std::collections::BTreeSet<_> =
            ran.calls.iter().map(|call| call.service.clone()).collect();
        assert_eq!(services.into_iter().collect::<Vec<_>>(), ["github"]);
    }
}

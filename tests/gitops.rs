//! Whole runs of services in Git on the embedded cloud: what is committed, what becomes of it, what is said.

use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::release::Outcome;
use roadstead::report::RunReport;

use crate::support::runner::{ROLE, Runner, TOKEN};
use crate::support::{Stage, Trial, virtually};

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

pub(crate) fn trial(scenario: &str, config: &str) -> Trial {
    let mut trial = Trial::named(scenario);
    trial.config = config.into();
    trial
}

fn with(config: &str, more: &str) -> String {
    config.replace("      application:", &format!("      {more}\n      application:"))
}

/// A run of a workflow with this number.
pub(crate) fn in_run(trial: &mut Trial, id: u64, commit: &str, event: &str) {
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
pub(crate) fn commits(cloud: &Cloud) -> Vec<String> {
    assert_eq!(crate::support::github::faults(&cloud.calls()), Vec::<String>::new());
    cloud.read(|world| {
        let head = world.github.head(REPOSITORY, "main").unwrap();
        let all = world.github.history(REPOSITORY, &head, None);
        all.iter().rev().skip(1).rev().map(|(_, commit)| commit.message.clone()).collect()
    })
}

pub(crate) fn text(cloud: &Cloud, path: &str) -> String {
    cloud.read(|world| {
        let head = world.github.head(REPOSITORY, "main").unwrap();
        String::from_utf8(world.github.file(REPOSITORY, &head, path).unwrap()).unwrap()
    })
}

fn codes(report: &RunReport) -> Vec<&'static str> {
    report.all_problems().iter().map(|problem| problem.code.name()).collect()
}

/// Calls to GitHub that were made.
fn asked(cloud: &Cloud) -> Vec<String> {
    let calls = cloud.calls();
    calls.iter().filter(|call| call.service == "github").map(|call| call.operation.clone()).collect()
}

#[test]
fn a_release_is_one_commit_that_changes_the_value_and_is_proven_live() {
    let ran = trial("gitops-happy", WATCHED).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    let commits = commits(&ran.cloud);
    assert_eq!(commits.len(), 1);
    let service = &ran.report.services[0];
    let digest = service.serves_digest.as_ref().unwrap().as_str();
    assert_eq!(Some(digest), service.digest.as_ref().map(|digest| digest.as_str()));
    let after = text(&ran.cloud, FILE);
    assert!(after.contains(&format!("digest: {digest}")), "{after}");
    assert!(commits[0].contains("\nRoadstead-Service: production/analytics\n"), "{}", commits[0]);
    assert!(commits[0].contains(&format!("\nRoadstead-Digest: {digest}\n")), "{}", commits[0]);
    assert_eq!(
        asked(&ran.cloud)[..2],
        ["graphql/Snapshot", "createCommitOnBranch"],
        "two requests and no clone"
    );
}

#[test]
fn the_same_again_changes_nothing() {
    virtually(async {
        let stage = trial("gitops-happy", WATCHED).stage();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        assert_eq!(stage.run().await.outcome, Outcome::Unchanged);
        assert_eq!(commits(&stage.cloud).len(), 1);
    });
}

#[test]
fn every_scenario_ends_with_the_truth() {
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
        let ran = trial(scenario, WATCHED).run();
        let service = &ran.report.services;
        let found = service.iter().filter_map(|s| s.failure.as_ref()).map(|f| f.problem.code.name()).next();
        assert_eq!(
            (ran.report.outcome, found.unwrap_or_default()),
            (outcome, code),
            "{scenario}: {:#?}",
            ran.lines
        );
        assert_eq!(commits(&ran.cloud).len(), count, "{scenario}");
        assert!(text(&ran.cloud, FILE).contains("v1"), "{scenario}: the image before stands there again");
    }
}

#[test]
fn trouble_on_the_way_changes_nothing_about_the_end() {
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
        let ran = trial(scenario, WATCHED).run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{scenario}: {:#?}", ran.lines);
        let ours = commits(&ran.cloud).iter().filter(|message| message.contains("Roadstead-")).count();
        assert_eq!(ours, 1, "{scenario}: one commit, however often it was asked for");
    }
}

#[test]
fn on_a_head_that_moved_the_edit_is_made_afresh() {
    let ran = trial("git-moved-head", WATCHED).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(commits(&ran.cloud).len(), 4, "three of somebody else, and ours");
}

/// What was taken back comes as it was: byte for byte.
#[test]
fn the_way_back_restores_every_byte() {
    let (before, after) = virtually(async {
        let stage = trial("argocd-image-pull", WATCHED).stage();
        let before = text(&stage.cloud, FILE);
        assert_eq!(stage.run().await.outcome, Outcome::Failed);
        (before, text(&stage.cloud, FILE))
    });
    assert_eq!(before, after);
}

#[test]
fn a_failed_version_stays_where_that_is_wished() {
    let ran = trial("argocd-image-pull", &with(WATCHED, "on-failure: leave")).run();
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    assert!(codes(&ran.report).contains(&"left-alone"), "{:?}", codes(&ran.report));
    assert_eq!(commits(&ran.cloud).len(), 1);
}

#[test]
fn without_a_server_the_commit_is_the_result_and_nothing_more_is_claimed() {
    let config = WATCHED.replace("      server: https://argocd.acme.dev\n", "");
    virtually(async {
        let stage = trial("gitops-happy", &config).stage();
        let first = stage.run().await;
        assert_eq!((first.outcome, first.outcome.exit_code()), (Outcome::Committed, 0));
        assert!(first.services[0].evidence.contains("not observed"), "{}", first.services[0].evidence);
        assert_eq!(first.services[0].serves, None);
        assert_eq!(stage.run().await.outcome, Outcome::Unchanged);
        assert_eq!(commits(&stage.cloud).len(), 1);
    });
}

const TWO: &str = "environments:
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
    let ran = trial("gitops-happy", TWO).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    let commits = commits(&ran.cloud);
    assert_eq!(commits.len(), 1, "{commits:?}");
    assert_eq!(commits[0].matches("Roadstead-Service: production/").count(), 2);
    for (path, service) in
        [("charts/web/values.yaml", 0), ("apps/web/cron.yaml", 0), ("apps/worker/kustomization.yaml", 1)]
    {
        let digest = ran.report.services[service].digest.as_ref().unwrap().as_str();
        assert!(text(&ran.cloud, path).contains(digest), "{path}: {}", text(&ran.cloud, path));
    }
}

/// Three releases, then the button; and the push that comes again.
#[test]
fn a_rollback_returns_to_the_last_good_version_and_holds() {
    virtually(async {
        let mut first = trial("gitops-happy", WATCHED);
        in_run(&mut first, 100, &"a".repeat(40), "push");
        let stage = first.stage();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let good = text(&stage.cloud, FILE);
        let (outcome, _) = next(&stage, 101, 'b', "push", RawInputs::default()).await;
        assert_eq!(outcome, Outcome::Deployed);
        let rollback = RawInputs { operation: Some("rollback".into()), ..RawInputs::default() };
        let (outcome, report) = next(&stage, 102, 'b', "workflow_dispatch", rollback.clone()).await;
        assert_eq!(outcome, Outcome::RolledBack, "{:?}", codes(&report));
        assert_eq!(text(&stage.cloud, FILE), good, "the very bytes of the version before");
        let (outcome, report) = next(&stage, 103, 'b', "push", RawInputs::default()).await;
        assert_eq!((outcome, codes(&report)), (Outcome::Invalid, vec!["rolled-back-before"]));
        let (outcome, _) = next(&stage, 104, 'b', "workflow_dispatch", RawInputs::default()).await;
        assert_eq!(outcome, Outcome::Deployed, "a person may");
        let to = RawInputs { to: Some("a".repeat(40)), ..rollback };
        let (outcome, report) = next(&stage, 105, 'b', "workflow_dispatch", to).await;
        assert_eq!(outcome, Outcome::RolledBack, "by the commit of the source: {:?}", codes(&report));
        let nothing = RawInputs {
            operation: Some("rollback".into()),
            to: Some("analytics:nothing".into()),
            ..RawInputs::default()
        };
        let (outcome, report) = next(&stage, 106, 'b', "workflow_dispatch", nothing).await;
        assert_eq!((outcome, codes(&report)), (Outcome::Invalid, vec!["version-unknown"]));
        assert_eq!(commits(&stage.cloud).len(), 5);
    });
}

/// Another run on the same world.
async fn next(stage: &Stage, id: u64, commit: char, event: &str, inputs: RawInputs) -> (Outcome, RunReport) {
    let mut trial = trial("gitops-happy", WATCHED);
    in_run(&mut trial, id, &commit.to_string().repeat(40), event);
    trial.inputs = inputs;
    let report = stage.other(&trial).run().await;
    (report.outcome, report)
}

#[test]
fn an_old_run_that_is_started_again_is_superseded() {
    virtually(async {
        let mut newer = trial("gitops-happy", WATCHED);
        in_run(&mut newer, 200, &"b".repeat(40), "push");
        let stage = newer.stage();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = text(&stage.cloud, FILE);
        let (outcome, report) = next(&stage, 150, 'a', "push", RawInputs::default()).await;
        assert_eq!((outcome, codes(&report)), (Outcome::Superseded, vec!["superseded"]));
        assert_eq!(text(&stage.cloud, FILE), before);
    });
}

#[test]
fn an_image_that_somebody_wrote_in_between_is_left_alone() {
    virtually(async {
        let stage = trial("gitops-happy", WATCHED).stage();
        let by_hand = text(&stage.cloud, FILE).replace("v1", "v9");
        let cloud = stage.cloud.clone();
        let once = std::sync::atomic::AtomicBool::new(true);
        let pushed = by_hand.clone();
        stage.cloud.on_call(Box::new(move |moment| {
            use roadstead::rehearsal::record::{Interrupt, Phase};
            let commit = moment.call.operation == "createCommitOnBranch" && moment.phase == Phase::Before;
            if commit && once.swap(false, std::sync::atomic::Ordering::Relaxed) {
                let change = [(FILE, Some(pushed.as_bytes()))];
                cloud.commit(REPOSITORY, "main", "Ann", "By hand", &change).unwrap();
            }
            Interrupt::Pass
        }));
        let report = stage.run().await;
        assert_eq!(report.outcome, Outcome::Superseded, "{:?}", codes(&report));
        assert_eq!(text(&stage.cloud, FILE), by_hand);
    });
}

#[test]
fn a_pull_request_is_opened_once_and_kept_up_to_date() {
    let config = with(WATCHED, "pull-request: true");
    virtually(async {
        let mut first = trial("git-protected", &config);
        in_run(&mut first, 300, &"a".repeat(40), "push");
        let stage = first.stage();
        let report = stage.run().await;
        assert_eq!(
            (report.outcome, report.outcome.exit_code()),
            (Outcome::Proposed, 0),
            "{:?}",
            codes(&report)
        );
        assert!(report.services[0].evidence.contains("#1"), "{}", report.services[0].evidence);
        let mut again = trial("git-protected", &config);
        in_run(&mut again, 301, &"b".repeat(40), "push");
        let report = stage.other(&again).run().await;
        assert_eq!(report.outcome, Outcome::Proposed, "{:?}", codes(&report));
        assert!(report.services[0].evidence.contains("#1"), "the same one: {}", report.services[0].evidence);
        assert!(commits(&stage.cloud).is_empty(), "nothing reached the branch");
        let pulls = stage.cloud.read(|world| world.github.repositories[REPOSITORY].pulls.len());
        assert_eq!(pulls, 1);
    });
}

#[test]
fn files_that_leave_it_open_where_the_image_is_stop_the_run() {
    let table = [
        (
            "images: [ { name: acme/analytics, newTag: v1 }, { name: acme/analytics, newTag: v2 } ]\n",
            "manifest-unclear",
        ),
        ("images:\n  - name: acme/analytics\n    newTag: v1\n    newTag: v2\n", "manifest-unclear"),
        ("images: [\n", "manifest-unreadable"),
    ];
    for (file, code) in table {
        let scenario = format!(
            "github: {{ repositories: [ {{ name: acme/manifests, files: {{ {FILE}: {} }} }} ] }}\n",
            serde_json::to_string(file).unwrap()
        );
        let mut trial = Trial::told(&scenario);
        trial.config = WATCHED.into();
        let ran = trial.run();
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{file}: {:#?}", ran.lines);
        assert!(ran.codes().contains(&code), "{file}: {:?}", ran.codes());
        assert!(commits(&ran.cloud).is_empty());
    }
}

#[test]
fn slips_of_the_deploy_file_are_all_found_before_anything_is_asked() {
    let rows = [
        ("      files: [ { path: ../x.yaml } ]\n", "config-invalid"),
        ("      files: []\n", "config-invalid"),
        ("      files: [ { path: values.yaml } ]\n", "config-invalid"),
        ("      files: [ { path: a.yaml, image: x, container: y } ]\n", "config-invalid"),
        ("      files: [ { path: a.yaml, container: y } ]\n      pull-requests: true\n", "config-invalid"),
        ("      files: [ { path: a.yaml, container: y } ]\n      server: https://u:p@x\n", "config-invalid"),
    ];
    for (files, code) in rows {
        let config = format!(
            "environments:\n  production: {{ branches: [main] }}\nservices:\n  a:\n    argocd:\n      repository: acme/manifests\n{files}"
        );
        let ran = virtually(async {
            let mut trial = trial("gitops-happy", WATCHED);
            let stage = trial.stage();
            trial.config = config.clone();
            let report = stage.other(&trial).run().await;
            (report, stage.cloud.calls().len())
        });
        assert_eq!((ran.0.outcome, ran.1), (Outcome::Invalid, 0), "{files}");
        assert!(codes(&ran.0).contains(&code), "{files}: {:?}", codes(&ran.0));
    }
}

#[test]
fn a_strategy_of_ours_is_refused_with_what_to_do() {
    let config = WATCHED.replace("    argocd:", "    strategy: canary\n    argocd:");
    let ran = trial("gitops-happy", &config).run();
    assert_eq!(ran.report.outcome, Outcome::Invalid);
    assert!(commits(&ran.cloud).is_empty());
}

/// Ten runs at once, each with a service of its own in the same file.
#[test]
fn ten_at_once_all_land_within_half_a_minute() {
    let images: String = (0..10).map(|n| format!("- name: acme/s{n}\n  newTag: v1\n")).collect();
    let scenario = format!(
        "github: {{ repositories: [ {{ name: acme/manifests, files: {{ all/kustomization.yaml: {} }} }} ] }}\n",
        serde_json::to_string(&format!("images:\n{images}")).unwrap()
    );
    virtually(async {
        let config = |n: usize| {
            format!(
                "environments:\n  production: {{ branches: [main] }}\nservices:\n  s{n}:\n    argocd: {{ repository: acme/manifests, files: [ {{ path: all/kustomization.yaml, image: acme/s{n} }} ] }}\n"
            )
        };
        let mut base = Trial::told(&scenario);
        base.config = config(0);
        let stage = base.stage();
        let began = tokio::time::Instant::now();
        let runs = (0..10).map(|n| {
            let mut one = Trial::told(&scenario);
            one.config = config(n);
            in_run(&mut one, 500 + n as u64, &"c".repeat(40), "push");
            one.inputs = RawInputs { image: Some(format!("acme/s{n}:v2")), ..RawInputs::default() };
            let stage = stage.other(&one);
            async move { stage.run().await.outcome }
        });
        let outcomes = futures::future::join_all(runs).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Committed), "{outcomes:?}");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        let after = text(&stage.cloud, "all/kustomization.yaml");
        assert_eq!(after.matches("newTag: v2").count(), 10, "{after}");
        assert_eq!(commits(&stage.cloud).len(), 10);
    });
}

#[test]
fn a_repository_of_ten_thousand_files_costs_no_more() {
    let scenario = format!(
        "github: {{ repositories: [ {{ name: acme/manifests, filler: 10000, files: {{ {FILE}: \"images: [ {{ name: acme/analytics, newTag: v1 }} ]\" }} }} ] }}\n"
    );
    let mut trial = Trial::told(&scenario);
    trial.config = WATCHED.replace("      server: https://argocd.acme.dev\n", "");
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Committed, "{:#?}", ran.lines);
    assert!(asked(&ran.cloud).len() <= 6, "{:?}", asked(&ran.cloud));
}

/// A step of a workflow with its runner's files.
fn step(scenario: &str) -> Runner {
    Runner::named(scenario)
        .config(&WATCHED.replace(
            "aws: { region: eu-west-1 }",
            &format!("aws: {{ region: eu-west-1, role: \"{ROLE}\" }}"),
        ))
        .with("INPUT_ARGOCD-TOKEN", "argocd-s3cret-token")
}

#[test]
fn the_summary_and_the_outputs_say_what_is_live_and_no_token() {
    let main = step("gitops-happy").main();
    assert_eq!(main.code, 0, "{:#?}", main.lines);
    assert_eq!(main.output("outcome"), "deployed");
    assert!(main.output("version").starts_with("analytics:sha-"), "{}", main.short_outputs());
    assert_eq!(main.output("url"), "https://argocd.acme.dev/applications/analytics");
    assert!(main.summary.contains("Synced at"), "{}", main.summary);
    let unmasked = main.lines.iter().filter(|line| !line.starts_with("::add-mask::"));
    let said = unmasked.cloned().chain([main.summary.clone()]).collect::<Vec<_>>().join("\n");
    assert!(!said.contains("argocd-s3cret-token") && !said.contains(TOKEN));
}

#[test]
fn a_cancelled_run_commits_the_image_before_back_and_the_post_step_confirms_it() {
    for after in [3, 6, 15] {
        let mut runner = step("gitops-happy");
        runner.cancel_after = Some(Duration::from_secs(after));
        virtually(async {
            let (cloud, clock) = runner.cloud();
            let before = text(&cloud, FILE);
            let main = runner.main_on(&cloud, clock).await;
            assert_eq!(main.code, 130, "{after}: {:#?}", main.lines);
            assert!(main.took < Duration::from_secs(after + 7), "{after}: {:?}", main.took);
            assert_eq!(text(&cloud, FILE), before, "{after}: the image before stands there again");
            let post = runner.post_on(&cloud, clock).await;
            assert_eq!(post.code, 0, "{after}: {:#?}", post.lines);
            assert!(post.summary.contains("v1"), "{after}: {}", post.summary);
        });
    }
}

/// Nothing to build, and no image is named: saying `unchanged` would hide that nothing was asked for.
#[test]
fn a_service_without_any_image_to_commit_is_refused() {
    let config = WATCHED.replace("    repository: acme/analytics\n", "");
    let ran = trial("gitops-happy", &config).run();
    assert_eq!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
    assert!(codes(&ran.report).contains(&"config-invalid"), "{:?}", codes(&ran.report));
    let mut named = trial("gitops-happy", &config);
    named.inputs.image = Some("analytics=acme/analytics:v2".into());
    let ran = named.run();
    assert_ne!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
}

#[test]
fn a_rollback_of_the_only_version_offers_none() {
    let config = WATCHED.replace("      server: https://argocd.acme.dev\n", "");
    let mut only = trial("gitops-happy", &config);
    only.inputs.operation = Some("rollback".into());
    let ran = only.run();
    assert_eq!((ran.report.outcome, ran.codes()), (Outcome::Invalid, vec!["version-unknown"]));
    let problem = ran.report.all_problems()[0].to_string();
    assert!(!problem.contains("It can return to"), "{problem}");
}

//! Whole runs of services in Git whose application is more than one healthy workload: the verdict is about ours, compared
//! with what was true before the commit.

use roadstead::release::Outcome;
use roadstead_cloud::call_log::{HookPhase, Override};

use crate::gitops::{FILE, REPOSITORY, WATCHED, commit_messages, file_text, problem_codes};
use crate::support::{RunResult, TestRun, run_in_virtual_time};

/// A run on an application with these settings, and with these faults.
fn verdict_test(application: &str, rest: &str, faults: &str) -> TestRun {
    let scenario = format!(
        "argocd: {{ applications: [{{ name: analytics, {application} }}], {rest} }}\nfaults: {faults}\n"
    );
    let mut trial = TestRun::custom(&scenario);
    trial.config = WATCHED.into();
    trial
}

const SOURCE: &str = "sources: [{ repository: acme/manifests, branch: main }]";

fn verdict_run(application: &str, rest: &str, faults: &str) -> RunResult {
    verdict_test(&format!("{SOURCE}, {application}"), rest, faults).run()
}

fn failure_text(ran: &RunResult) -> String {
    let failure = ran.report.services[0].failure.as_ref();
    failure.map(|failure| format!("{:?}", failure.problem)).unwrap_or_default()
}

#[test]
fn what_was_so_before_is_a_remark() {
    let rows = [
        "{ kind: CronJob, group: batch, name: report, health: Degraded, message: last run failed }",
        "{ kind: Job, group: batch, name: later, health: Suspended }",
        "{ kind: Ingress, group: networking.k8s.io, name: web, health: Progressing }",
        "{ kind: Widget, group: acme.dev, name: odd, health: Unknown }",
        "{ kind: Deployment, group: apps, name: other, health: Missing }",
        "{ kind: MutatingWebhookConfiguration, name: hook, out-of-sync: true }",
        "{ kind: ConfigMap, name: settings-1, requires-pruning: true }",
        "{ kind: Job, group: batch, name: migrate, sync-error: field is immutable, out-of-sync: true }",
    ];
    for resource in rows {
        let ran = verdict_run(&format!("prune: false, resources: [{resource}]"), "", "[]");
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{resource}: {:#?}", ran.lines);
        assert!(
            problem_codes(&ran.report).contains(&"application-not-healthy"),
            "{resource}: {:?}",
            ran.lines
        );
        assert_eq!(commit_messages(&ran.cloud).len(), 1, "{resource}");
    }
}

#[test]
fn what_the_release_made_worse_is_its_failure() {
    let worse = "resources: [{ kind: CronJob, group: batch, name: report, health: Healthy, health-after: Degraded, message-after: broke }]";
    let ran = verdict_run(worse, "", "[]");
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    let text = failure_text(&ran);
    assert!(text.contains("CronJob/report is degraded") && text.contains("broke"), "{text}");
    assert!(file_text(&ran.cloud, FILE).contains("v1"));
}

/// An application of applications leads to the one that runs the image.
#[test]
fn application_of_applications_leads_to_its_child() {
    let root = format!(
        "{SOURCE}, workload: None, resources: [{{ kind: Application, group: argoproj.io, name: child, health: Healthy }}] }}, {{ name: child, sources: [{{ repository: acme/manifests, branch: main, files: [{FILE}] }}]"
    );
    let ran = verdict_run_of(&root, "[]");
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert!(
        ran.report.services[0].evidence.contains("Deployment/child"),
        "{}",
        ran.report.services[0].evidence
    );
    let ran = verdict_run_of(&root, "[image-not-found: {}]");
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
}

fn verdict_run_of(application: &str, faults: &str) -> RunResult {
    verdict_test(application, "", faults).run()
}

/// The live manifest proves, and pods where there are any: not the images that the application's summary lists.
#[test]
fn live_manifest_is_the_proof() {
    let rows = [
        ("workload: CronJob", "CronJob/analytics"),
        ("replicas: 0", "Deployment/analytics"),
        ("workload: StatefulSet", "StatefulSet/analytics"),
        ("mirror: mirror.acme.dev", "mirror.acme.dev"),
    ];
    for (application, words) in rows {
        let ran = verdict_run(application, "", "[]");
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{application}: {:#?}", ran.lines);
        let service = &ran.report.services[0];
        assert!(service.evidence.contains(words), "{application}: {}", service.evidence);
        assert_eq!(service.serving_digest, service.digest, "{application}");
    }
}

#[test]
fn obstacles_are_reported_before_the_commit() {
    let sync = WATCHED.replace("      application:", "      sync: true\n      application:");
    let image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/analytics:v1";
    let rows = [
        (format!("{SOURCE}, image-overrides: [{image}]"), "", "[]", WATCHED, "unsupported"),
        (format!("{SOURCE}, windows: [{{}}]"), "", "[]", WATCHED, "sync-failed"),
        (format!("{SOURCE}, automated: false, windows: [{{}}]"), "", "[]", sync.as_str(), "sync-failed"),
        (format!("{SOURCE}, automated: false"), "rights: [get]", "[]", sync.as_str(), "permission-missing"),
        (format!("{SOURCE}, automated: false"), "", "[]", WATCHED, "unsupported"),
        (SOURCE.into(), "", "[argocd-comparison-error: {}]", WATCHED, "sync-failed"),
        (
            "sources: [{ repository: acme/manifests, branch: release-1 }]".into(),
            "",
            "[]",
            WATCHED,
            "service-missing",
        ),
    ];
    for (application, rest, faults, config, code) in rows {
        let mut trial = verdict_test(&application, rest, faults);
        trial.config = config.into();
        let ran = trial.run();
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{application}: {:#?}", ran.lines);
        assert!(problem_codes(&ran.report).contains(&code), "{application}: {:?}", ran.lines);
        assert!(commit_messages(&ran.cloud).is_empty(), "{application}");
    }
}

/// A sync by hand needs no right to name a commit, and a window that allows it is none.
#[test]
fn manual_sync_needs_the_right_to_sync_alone() {
    let sync = WATCHED.replace("      application:", "      sync: true\n      application:");
    for (application, rest, faults) in [
        ("automated: false", "rights: [get, sync]", "[]"),
        ("automated: false, windows: [{ manual-sync: true }]", "", "[]"),
        ("automated: false", "", "[argocd-busy: { for: 90 }]"),
    ] {
        let mut trial = verdict_test(&format!("{SOURCE}, {application}"), rest, faults);
        trial.config.clone_from(&sync);
        let ran = trial.run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{application}: {:#?}", ran.lines);
    }
}

#[test]
fn source_that_follows_the_branch_counts() {
    let pinned = "sources: [{ repository: acme/manifests, branch: stable }, { repository: acme/manifests, branch: main, files: [apps/analytics/production/kustomization.yaml] }]";
    let hydrated = format!("{SOURCE}, hydrated-branch: environments/production");
    for application in [pinned, &hydrated] {
        let kustomization = "images:\n  - name: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/analytics\n    newTag: v1\n";
        let scenario = format!(
            "github: {{ repositories: [{{ name: acme/manifests, files: {{ {FILE}: {} }}, history: [{{ id: a1, branch: stable, files: {{ x.yaml: 'x: 1' }} }}] }}] }}\n\
             argocd: {{ applications: [{{ name: analytics, {application} }}] }}\n",
            serde_json::to_string(kustomization).unwrap()
        );
        let mut trial = TestRun::custom(&scenario);
        trial.config = WATCHED.into();
        let ran = trial.run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{application}: {:#?}", ran.lines);
    }
}

/// Argo CD that cannot render has the name of the branch where a commit stands otherwise.
#[test]
fn render_error_after_the_commit_is_reported_within_its_minute() {
    let ran = verdict_run("retry: 0", "", "[argocd-comparison-error: { after: 3, message: no such base }]");
    let text = failure_text(&ran);
    assert!(text.contains("ComparisonError") && text.contains("no such base"), "{text}: {:#?}", ran.lines);
    assert!(file_text(&ran.cloud, FILE).contains("v1"), "the image before stands there again");
}

#[test]
fn window_that_opens_while_the_commit_waits_is_named() {
    let ran = verdict_run("windows: [{ from: 1, schedule: '0 8 * * *' }]", "", "[]");
    assert_ne!(ran.report.outcome, Outcome::Deployed);
    let lines = format!("{:?} {:?}", ran.lines, ran.report.all_problems());
    assert!(lines.contains("a sync window (`0 8 * * *`, 1h)"), "{lines}");
}

#[test]
fn slow_refresh_is_not_waited_for() {
    let ran = verdict_run("replicas: 1", "refresh: 45", "[]");
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
}

/// Argo CD starts no sync of the rollback before the failing one is over.
#[test]
fn failing_sync_is_ended_for_the_way_back() {
    let ran = verdict_run("retry: 5", "", "[argocd-sync-failed: {}]");
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert!(ran.calls.iter().any(|call| call.operation == "TerminateOperation"));
    assert!(file_text(&ran.cloud, FILE).contains("v1"));
}

#[test]
fn pod_that_an_ordered_stateful_set_keeps_is_named() {
    let ran = verdict_run("workload: StatefulSet", "", "[image-not-found: {}]");
    assert_eq!(ran.report.outcome, Outcome::Stranded, "{:#?}", ran.lines);
    let text = format!("{:?} {:?}", ran.lines, ran.report.all_problems());
    assert!(text.contains("delete pod analytics-1"), "{text}");
}

#[test]
fn causes_come_from_where_they_are() {
    let rows = [
        ("crash-on-start: { log: ['panic: no database'] }", "container-exited", "BackOff"),
        ("image-not-found: {}", "image-pull-failed", "Failed to pull image"),
        ("secret-missing: {}", "resource-setup-failed", "analytics-secrets"),
        ("failing-health-check: {}", "health-check-failed", "Readiness probe failed"),
    ];
    for (fault, code, words) in rows {
        let ran = verdict_run("replicas: 2", "", &format!("[{fault}]"));
        assert_eq!(ran.report.outcome, Outcome::Failed, "{fault}: {:#?}", ran.lines);
        let failure = ran.report.services[0].failure.as_ref().unwrap();
        assert_eq!(failure.problem.code.name(), code, "{fault}: {failure:?}");
        assert_eq!(!failure.logs.is_empty(), fault.starts_with("crash"), "{fault}: {:?}", failure.logs);
        let cause = failure.problem.cause.as_deref().unwrap_or_default();
        assert!(cause.contains(words), "{fault}: {cause}");
    }
}

/// Somebody commits to another manifest of the application while our sync runs.
#[test]
fn later_commit_of_somebody_else_is_no_drift() {
    const OTHER: &str = "apps/analytics/production/settings.yaml";
    let config = WATCHED.replace("      application:", "      sync: true\n      application:");
    let mut trial = verdict_test(
        &format!(
            "automated: false, sources: [{{ repository: acme/manifests, branch: main, files: [{OTHER}, {FILE}] }}]"
        ),
        "",
        "[]",
    );
    trial.config = config;
    let image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/analytics";
    let text = format!(
        "github: {{ repositories: [{{ name: acme/manifests, files: {{ {OTHER}: 'a: 1', {FILE}: {} }} }}] }}\n",
        serde_json::to_string(&format!("images:\n  - name: {image}\n    newTag: v1\n")).unwrap()
    );
    let mut world = trial.scenario.base_scenario();
    world.github = roadstead_cloud::scenario::Scenario::parse(&text).unwrap().github;
    trial.scenario = roadstead::cli::rehearse::ScenarioSource::Custom(Box::new(world));
    run_in_virtual_time(async {
        let stage = trial.set_up();
        let cloud = stage.cloud.clone();
        let once = std::sync::atomic::AtomicBool::new(true);
        stage.cloud.on_call(Box::new(move |moment| {
            let sync = moment.call.operation == "SyncApplication" && moment.phase == HookPhase::After;
            if sync && once.swap(false, std::sync::atomic::Ordering::Relaxed) {
                let change = [(OTHER, Some("a: 2".as_bytes()))];
                cloud.push_commit(REPOSITORY, "main", "Ann", "Settings", &change).unwrap();
            }
            Override::Pass
        }));
        let report = stage.run().await;
        assert_eq!(report.outcome, Outcome::Deployed, "{:?}", problem_codes(&report));
    });
}

/// Each place gets the bytes that it had, whatever they were.
#[test]
fn way_back_restores_every_place() {
    let registry = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/analytics";
    let values = "charts/analytics/values.yaml";
    let texts = [
        format!("image:\n  repository: {registry}\n  tag: \"\"  # the chart's own\n"),
        format!("image:\n  repository: {registry}\n"),
        format!("image: {{ repository: {registry}, tag: v1 }}\n"),
    ];
    for text in texts {
        let scenario = format!(
            "github: {{ repositories: [{{ name: acme/manifests, files: {{ {values}: {} }} }}] }}\nfaults: [image-not-found: {{}}]\n",
            serde_json::to_string(&text).unwrap()
        );
        let mut trial = TestRun::custom(&scenario);
        trial.config = WATCHED.replace(
            "{ path: \"apps/analytics/${environment}/kustomization.yaml\" }",
            "{ path: charts/analytics/values.yaml, image: image }",
        );
        let ran = trial.run();
        assert_eq!(file_text(&ran.cloud, values), text, "{:#?}", ran.lines);
        assert_eq!(ran.report.outcome, Outcome::Failed, "{text}: {:#?}", ran.lines);
    }
}

/// A kustomization without `images` gets an entry, and loses it again; what served is known from the workload.
#[test]
fn entry_that_was_added_is_taken_out_again() {
    let registry = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/analytics";
    let folder = "apps/analytics/production";
    let kustomization = "kind: Kustomization\nresources:\n  - deploy.yaml\n";
    let deploy = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec: {{ template: {{ spec: {{ containers: [{{ name: app, image: '{registry}:v1' }}] }} }} }}\n"
    );
    let scenario = format!(
        "github: {{ repositories: [{{ name: acme/manifests, files: {{ {FILE}: {}, {folder}/deploy.yaml: {} }} }}] }}\nfaults: [image-not-found: {{}}]\n",
        serde_json::to_string(kustomization).unwrap(),
        serde_json::to_string(&deploy).unwrap()
    );
    let mut trial = TestRun::custom(&scenario);
    trial.config = WATCHED.into();
    let ran = trial.run();
    assert_eq!(file_text(&ran.cloud, FILE), kustomization, "{:#?}", ran.lines);
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
}

#[test]
fn places_that_differed_get_their_own_images_back() {
    let registry = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/analytics";
    let values = "charts/analytics/values.yaml";
    let text = format!(
        "a:\n  image: {{ repository: {registry}, tag: v1 }}\nb:\n  image: {{ repository: {registry}, tag: v0 }}\n"
    );
    let scenario = format!(
        "github: {{ repositories: [{{ name: acme/manifests, files: {{ {values}: {} }} }}] }}\nfaults: [image-not-found: {{}}]\n",
        serde_json::to_string(&text).unwrap()
    );
    let mut trial = TestRun::custom(&scenario);
    trial.config = WATCHED.replace(
        "[ { path: \"apps/analytics/${environment}/kustomization.yaml\" } ]",
        "[ { path: charts/analytics/values.yaml, image: a.image }, { path: charts/analytics/values.yaml, image: b.image } ]",
    );
    let ran = trial.run();
    assert_eq!(file_text(&ran.cloud, values), text, "{:#?}", ran.lines);
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
}

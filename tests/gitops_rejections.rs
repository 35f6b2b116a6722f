//! Runs of services in Git that end before their commit: the deploy file, the files in the branch or the inputs do not allow it.

use roadstead::release::Outcome;

use crate::gitops::{FILE, WATCHED, commit_messages, problem_codes, test_run};
use crate::support::{TestRun, run_in_virtual_time};

#[test]
fn ambiguous_image_location_stops_the_run() {
    let table = [
        (
            "images: [ { name: acme/analytics, newTag: v1 }, { name: acme/analytics, newTag: v2 } ]\n",
            "manifest-ambiguous",
        ),
        ("images:\n  - name: acme/analytics\n    newTag: v1\n    newTag: v2\n", "manifest-ambiguous"),
        ("images: [\n", "manifest-unreadable"),
    ];
    for (file, code) in table {
        let scenario = format!(
            "github: {{ repositories: [ {{ name: acme/manifests, files: {{ {FILE}: {} }} }} ] }}\n",
            serde_json::to_string(file).unwrap()
        );
        let mut trial = TestRun::custom(&scenario);
        trial.config = WATCHED.into();
        let ran = trial.run();
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{file}: {:#?}", ran.lines);
        assert!(ran.problem_codes().contains(&code), "{file}: {:?}", ran.problem_codes());
        assert!(commit_messages(&ran.cloud).is_empty());
    }
}

#[test]
fn deploy_file_problems_are_all_reported_before_any_call() {
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
        let ran = run_in_virtual_time(async {
            let mut trial = test_run("gitops-happy", WATCHED);
            let stage = trial.set_up();
            trial.config = config.clone();
            let report = stage.with_test_run(&trial).run().await;
            (report, stage.cloud.calls().len())
        });
        assert_eq!((ran.0.outcome, ran.1), (Outcome::Invalid, 0), "{files}");
        assert!(problem_codes(&ran.0).contains(&code), "{files}: {:?}", problem_codes(&ran.0));
    }
}

#[test]
fn strategy_on_gitops_service_is_rejected_with_advice() {
    let config = WATCHED.replace("    argocd:", "    strategy: canary\n    argocd:");
    let ran = test_run("gitops-happy", &config).run();
    assert_eq!(ran.report.outcome, Outcome::Invalid);
    assert!(commit_messages(&ran.cloud).is_empty());
}

/// Nothing to build, and no image is named: saying `unchanged` would hide that nothing was requested.
#[test]
fn service_without_image_is_rejected() {
    let config = WATCHED.replace("    repository: acme/analytics\n", "");
    let ran = test_run("gitops-happy", &config).run();
    assert_eq!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
    assert!(problem_codes(&ran.report).contains(&"config-invalid"), "{:?}", problem_codes(&ran.report));
    let mut named = test_run("gitops-happy", &config);
    named.inputs.image = Some("analytics=acme/analytics:v2".into());
    let ran = named.run();
    assert_ne!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
}

#[test]
fn rollback_of_the_only_version_is_rejected() {
    let config = WATCHED.replace("      server: https://argocd.acme.dev\n", "");
    let mut only = test_run("gitops-happy", &config);
    only.inputs.operation = Some("rollback".into());
    let ran = only.run();
    assert_eq!((ran.report.outcome, ran.problem_codes()), (Outcome::Invalid, vec!["version-unknown"]));
    let problem = ran.report.all_problems()[0].to_string();
    assert!(!problem.contains("Possible versions"), "{problem}");
}

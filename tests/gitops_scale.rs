//! Many commits at once, and large repositories.

use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;

use crate::gitops::{FILE, WATCHED, commit_messages, file_text, github_calls, set_workflow_run};
use crate::support::{TestRun, run_in_virtual_time};

/// Ten runs at once, each with a service of its own in the same file.
#[test]
fn ten_concurrent_commits_all_land_within_half_a_minute() {
    let images: String = (0..10).map(|n| format!("- name: acme/s{n}\n  newTag: v1\n")).collect();
    let scenario = format!(
        "github: {{ repositories: [ {{ name: acme/manifests, files: {{ all/kustomization.yaml: {} }} }} ] }}\n",
        serde_json::to_string(&format!("images:\n{images}")).unwrap()
    );
    run_in_virtual_time(async {
        let config = |n: usize| {
            format!(
                "environments:\n  production: {{ branches: [main] }}\nservices:\n  s{n}:\n    argocd: {{ repository: acme/manifests, files: [ {{ path: all/kustomization.yaml, image: acme/s{n} }} ] }}\n"
            )
        };
        let mut base = TestRun::custom(&scenario);
        base.config = config(0);
        let stage = base.set_up();
        let began = tokio::time::Instant::now();
        let runs = (0..10).map(|n| {
            let mut one = TestRun::custom(&scenario);
            one.config = config(n);
            set_workflow_run(&mut one, 500 + n as u64, &"c".repeat(40), "push");
            one.inputs = RawInputs { image: Some(format!("acme/s{n}:v2")), ..RawInputs::default() };
            let stage = stage.with_test_run(&one);
            async move { stage.run().await.outcome }
        });
        let outcomes = futures::future::join_all(runs).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Committed), "{outcomes:?}");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        let after = file_text(&stage.cloud, "all/kustomization.yaml");
        assert_eq!(after.matches("newTag: v2").count(), 10, "{after}");
        assert_eq!(commit_messages(&stage.cloud).len(), 10);
    });
}

#[test]
fn large_repository_needs_no_more_calls() {
    let scenario = format!(
        "github: {{ repositories: [ {{ name: acme/manifests, filler: 10000, files: {{ {FILE}: \"images: [ {{ name: acme/analytics, newTag: v1 }} ]\" }} }} ] }}\n"
    );
    let mut trial = TestRun::custom(&scenario);
    trial.config = WATCHED.replace("      server: https://argocd.acme.dev\n", "");
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Committed, "{:#?}", ran.lines);
    assert!(github_calls(&ran.cloud).len() <= 6, "{:?}", github_calls(&ran.cloud));
}

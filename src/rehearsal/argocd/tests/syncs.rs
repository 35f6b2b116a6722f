//! What goes well: the old state before the refresh, the sync, the roll-out.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_old_state_is_shown_until_somebody_refreshes_or_the_poll_comes() {
    let cloud = start("", "[]");
    let before = app(&cloud).await;
    let old = brief(&before);
    assert_eq!((old.0.as_str(), old.1.as_str()), ("Synced", "Healthy"));
    let commit = push(&cloud, "v2");
    sleep(20).await;
    assert_eq!(brief(&app(&cloud).await), old, "nobody looked at Git yet");
    let seen = healthy_at(&cloud, &commit, 400).await;
    let both = json!(["acme/web:v1", "acme/web:v2"]);
    assert_eq!(seen["status"]["summary"]["images"], both, "old pods that still end are among them");
    sleep(10).await;
    let seen = app(&cloud).await;
    assert_eq!(seen["status"]["summary"]["images"], json!(["acme/web:v2"]));
    assert_eq!(seen["status"]["history"].as_array().unwrap().len(), 2);
    assert_eq!(word(&seen, "/status/operationState/syncResult/revision"), commit);
    assert_eq!(seen["status"]["operationState"]["operation"]["initiatedBy"], json!({ "automated": true }));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_answered_once_it_is_worked_and_the_sync_begins() {
    let cloud = start("", "[]");
    let commit = push(&cloud, "v2");
    let asked = tokio::time::Instant::now();
    let seen = refreshed(&cloud).await;
    let took = asked.elapsed().as_secs_f64();
    assert!((0.5..2.2).contains(&took), "{took}");
    assert_eq!(brief(&seen), ("OutOfSync".into(), "Healthy".into(), commit.clone()));
    assert_eq!(seen["metadata"].get("annotations"), None);
    assert_eq!(word(&seen, "/operation/sync/revision"), commit);
    assert_eq!(seen["status"].get("operationState"), None, "the controller has not taken it up");
    sleep(1).await;
    assert_eq!(word(&app(&cloud).await, "/status/operationState/phase"), "Running");
    // The sync succeeds before its pods are there.
    let synced = until(&cloud, 20, |app| brief(app).0 == "Synced").await;
    assert_eq!(brief(&synced).1, "Progressing");
    assert_eq!(synced.get("operation"), None);
    let message = word(&synced, "/status/resources/1/health/message").to_owned();
    assert!(message.starts_with("Waiting for rollout to finish: "), "{message}");
    let done = healthy_at(&cloud, &commit, 120).await;
    assert_eq!(word(&done, "/status/operationState/message"), "successfully synced (all tasks run)");
}

#[tokio::test(start_paused = true)]
async fn while_a_refresh_is_pending_others_see_the_old_state_with_its_annotation() {
    let cloud = start("", "[]");
    let commit = push(&cloud, "v2");
    let other = cloud.clone();
    let waiting = async { refreshed(&cloud).await };
    let looking = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        app(&other).await
    };
    let (new, old) = tokio::join!(waiting, looking);
    assert_eq!(old["metadata"]["annotations"]["argocd.argoproj.io/refresh"], "normal");
    assert_ne!(word(&old, "/status/sync/revision"), commit);
    assert_eq!(word(&new, "/status/sync/revision"), commit);
}

#[tokio::test(start_paused = true)]
async fn old_and_new_pods_stand_side_by_side_and_never_too_few_are_ready() {
    let cloud = start("replicas: 4", "[]");
    let commit = push(&cloud, "v2");
    refreshed(&cloud).await;
    let mut both = false;
    for _ in 0..120 {
        let pods = nodes(&cloud, "Pod").await;
        let ready = pods.iter().filter(|pod| pod["health"]["status"] == "Healthy").count();
        assert!(ready >= 3, "{pods:#?}");
        let of = |image: &str| pods.iter().any(|pod| pod["images"] == json!([image]));
        both |= of("acme/web:v1") && of("acme/web:v2");
        sleep(1).await;
    }
    assert!(both);
    healthy_at(&cloud, &commit, 5).await;
    let pods = nodes(&cloud, "Pod").await;
    assert_eq!(pods.len(), 4);
    let set = nodes(&cloud, "ReplicaSet")
        .await
        .into_iter()
        .find(|set| set["uid"] == pods[0]["parentRefs"][0]["uid"]);
    assert_eq!(set.unwrap()["info"], json!([{ "name": "Revision", "value": "Rev:2" }]));
}

#[tokio::test(start_paused = true)]
async fn a_commit_without_a_difference_moves_the_revision_and_starts_nothing() {
    let cloud = start("", "[]");
    let first = word(&app(&cloud).await, "/status/sync/revision").to_owned();
    let commit = commit(&cloud, "# a comment\nimages: [{ name: acme/web, newTag: v1 }]\n");
    let seen = refreshed(&cloud).await;
    assert_eq!(brief(&seen), ("Synced".into(), "Healthy".into(), commit));
    assert_eq!(word(&seen, "/status/operationState/syncResult/revision"), first);
    assert_eq!(seen["status"]["history"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_automation_somebody_must_sync() {
    let cloud = start("automated: false", "[]");
    let first = push(&cloud, "v2");
    refreshed(&cloud).await;
    sleep(600).await;
    let waiting = app(&cloud).await;
    assert_eq!(brief(&waiting), ("OutOfSync".into(), "Healthy".into(), first.clone()));
    assert_eq!(waiting["spec"]["syncPolicy"].get("automated"), None);
    let second = push(&cloud, "v3");
    let (status, body) =
        ask(&cloud, "POST", "/web/sync", &json!({ "revision": first, "dryRun": true }).to_string()).await;
    assert_eq!(status, 200, "{body}");
    sleep(10).await;
    let dry = app(&cloud).await;
    assert_eq!(word(&dry, "/status/operationState/message"), "successfully synced (dry run)");
    assert_eq!(dry["status"]["summary"]["images"], json!(["acme/web:v1"]));
    assert_eq!(ask(&cloud, "POST", "/web/sync", r#"{"prune":true}"#).await.0, 200);
    let done = healthy_at(&cloud, &second, 120).await;
    assert_eq!(done["status"]["operationState"]["operation"]["initiatedBy"]["username"], "roadstead");
}

#[tokio::test(start_paused = true)]
async fn several_sources_have_several_revisions() {
    let chart = "{ repository: stable, chart: web, branch: 1.2.3 }";
    let git = "{ repository: acme/manifests, branch: main, files: [apps/web/kustomization.yaml] }";
    let cloud = started(&format!("{{ name: web, sources: [{chart}, {git}] }}"), "", "[]");
    let commit = push(&cloud, "v2");
    refreshed(&cloud).await;
    let seen = until(&cloud, 120, |app| brief(app).1 == "Healthy" && brief(app).0 == "Synced").await;
    let revisions = json!(["1.2.3", commit]);
    assert_eq!(seen["status"]["sync"]["revisions"], revisions);
    assert_eq!(seen["status"]["sync"].get("revision"), None);
    assert_eq!(seen["status"]["operationState"]["syncResult"]["revisions"], revisions);
    assert_eq!(seen["status"]["history"][1]["revisions"], revisions);
    assert_eq!(seen["spec"]["sources"][0]["chart"], "web");
    assert_eq!(seen["spec"].get("source"), None);
}

#[tokio::test(start_paused = true)]
async fn hooks_run_before_anything_is_applied() {
    let cloud = start("hooks: [{ name: migrate, seconds: 30 }]", "[]");
    push(&cloud, "v2");
    refreshed(&cloud).await;
    sleep(10).await;
    let seen = app(&cloud).await;
    assert_eq!(
        word(&seen, "/status/operationState/message"),
        "waiting for completion of hook batch/Job/migrate"
    );
    let hook = &seen["status"]["operationState"]["syncResult"]["resources"][0];
    assert_eq!((word(hook, "/hookType"), word(hook, "/hookPhase")), ("PreSync", "Running"));
    assert_eq!(seen["status"]["summary"]["images"], json!(["acme/web:v1"]));
    let seen = until(&cloud, 60, |app| word(app, "/status/operationState/phase") == "Succeeded").await;
    let resources = seen["status"]["operationState"]["syncResult"]["resources"].as_array().unwrap().clone();
    assert_eq!(word(&resources[0], "/hookPhase"), "Succeeded");
    assert_eq!(word(&resources[2], "/message"), "deployment.apps/web configured");
}

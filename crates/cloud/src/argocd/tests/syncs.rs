//! What goes well: the old state before the refresh, the sync, the roll-out.

use super::*;

#[tokio::test(start_paused = true)]
async fn old_state_is_shown_until_refresh_or_poll() {
    let cloud = start_with_app("", "[]");
    let before = get_app(&cloud).await;
    let old = sync_health_revision(&before);
    assert_eq!((old.0.as_str(), old.1.as_str()), ("Synced", "Healthy"));
    let commit = commit_tag(&cloud, "v2");
    sleep(20).await;
    assert_eq!(sync_health_revision(&get_app(&cloud).await), old, "nobody looked at Git yet");
    let seen = wait_until_healthy(&cloud, &commit, 400).await;
    let both = json!(["acme/web:v1", "acme/web:v2"]);
    assert_eq!(seen["status"]["summary"]["images"], both, "old pods that still end are among them");
    sleep(10).await;
    let seen = get_app(&cloud).await;
    assert_eq!(seen["status"]["summary"]["images"], json!(["acme/web:v2"]));
    assert_eq!(seen["status"]["history"].as_array().unwrap().len(), 2);
    assert_eq!(str_at(&seen, "/status/operationState/syncResult/revision"), commit);
    assert_eq!(seen["status"]["operationState"]["operation"]["initiatedBy"], json!({ "automated": true }));
}

#[tokio::test(start_paused = true)]
async fn refresh_returns_after_comparison_and_sync_begins() {
    let cloud = start_with_app("", "[]");
    let commit = commit_tag(&cloud, "v2");
    let asked = tokio::time::Instant::now();
    let seen = refresh_app(&cloud).await;
    let took = asked.elapsed().as_secs_f64();
    assert!((0.5..2.2).contains(&took), "{took}");
    assert_eq!(sync_health_revision(&seen), ("OutOfSync".into(), "Healthy".into(), commit.clone()));
    assert_eq!(seen["metadata"].get("annotations"), None);
    assert_eq!(str_at(&seen, "/operation/sync/revision"), commit);
    assert_eq!(seen["status"].get("operationState"), None, "the controller has not taken it up");
    sleep(1).await;
    assert_eq!(str_at(&get_app(&cloud).await, "/status/operationState/phase"), "Running");
    // The sync succeeds before its pods are there.
    let synced = wait_until(&cloud, 20, |app| sync_health_revision(app).0 == "Synced").await;
    assert_eq!(sync_health_revision(&synced).1, "Progressing");
    assert_eq!(synced.get("operation"), None);
    let message = str_at(&synced, "/status/resources/1/health/message").to_owned();
    assert!(message.starts_with("Waiting for rollout to finish: "), "{message}");
    let done = wait_until_healthy(&cloud, &commit, 120).await;
    assert_eq!(str_at(&done, "/status/operationState/message"), "successfully synced (all tasks run)");
}

#[tokio::test(start_paused = true)]
async fn while_a_refresh_is_pending_others_see_the_old_state_with_its_annotation() {
    let cloud = start_with_app("", "[]");
    let commit = commit_tag(&cloud, "v2");
    let other = cloud.clone();
    let waiting = async { refresh_app(&cloud).await };
    let looking = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        get_app(&other).await
    };
    let (new, old) = tokio::join!(waiting, looking);
    assert_eq!(old["metadata"]["annotations"]["argocd.argoproj.io/refresh"], "normal");
    assert_ne!(str_at(&old, "/status/sync/revision"), commit);
    assert_eq!(str_at(&new, "/status/sync/revision"), commit);
}

#[tokio::test(start_paused = true)]
async fn rolling_update_keeps_enough_pods_ready() {
    let cloud = start_with_app("replicas: 4", "[]");
    let commit = commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    let mut both = false;
    for _ in 0..120 {
        let pods = tree_nodes(&cloud, "Pod").await;
        let ready = pods.iter().filter(|pod| pod["health"]["status"] == "Healthy").count();
        assert!(ready >= 3, "{pods:#?}");
        let of = |image: &str| pods.iter().any(|pod| pod["images"] == json!([image]));
        both |= of("acme/web:v1") && of("acme/web:v2");
        sleep(1).await;
    }
    assert!(both);
    wait_until_healthy(&cloud, &commit, 5).await;
    let pods = tree_nodes(&cloud, "Pod").await;
    assert_eq!(pods.len(), 4);
    let set = tree_nodes(&cloud, "ReplicaSet")
        .await
        .into_iter()
        .find(|set| set["uid"] == pods[0]["parentRefs"][0]["uid"]);
    assert_eq!(set.unwrap()["info"], json!([{ "name": "Revision", "value": "Rev:2" }]));
}

#[tokio::test(start_paused = true)]
async fn a_commit_without_a_difference_moves_the_revision_and_starts_nothing() {
    let cloud = start_with_app("", "[]");
    let first = str_at(&get_app(&cloud).await, "/status/sync/revision").to_owned();
    let commit = commit_file(&cloud, "# a comment\nimages: [{ name: acme/web, newTag: v1 }]\n");
    let seen = refresh_app(&cloud).await;
    assert_eq!(sync_health_revision(&seen), ("Synced".into(), "Healthy".into(), commit));
    assert_eq!(str_at(&seen, "/status/operationState/syncResult/revision"), first);
    assert_eq!(seen["status"]["history"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn manual_sync_is_required_without_automation() {
    let cloud = start_with_app("automated: false", "[]");
    let first = commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    sleep(600).await;
    let waiting = get_app(&cloud).await;
    assert_eq!(sync_health_revision(&waiting), ("OutOfSync".into(), "Healthy".into(), first.clone()));
    assert_eq!(waiting["spec"]["syncPolicy"].get("automated"), None);
    let second = commit_tag(&cloud, "v3");
    let (status, body) =
        send_request(&cloud, "POST", "/web/sync", &json!({ "revision": first, "dryRun": true }).to_string())
            .await;
    assert_eq!(status, 200, "{body}");
    sleep(10).await;
    let dry = get_app(&cloud).await;
    assert_eq!(str_at(&dry, "/status/operationState/message"), "successfully synced (dry run)");
    assert_eq!(dry["status"]["summary"]["images"], json!(["acme/web:v1"]));
    assert_eq!(send_request(&cloud, "POST", "/web/sync", r#"{"prune":true}"#).await.0, 200);
    let done = wait_until_healthy(&cloud, &second, 120).await;
    assert_eq!(done["status"]["operationState"]["operation"]["initiatedBy"]["username"], "roadstead");
}

#[tokio::test(start_paused = true)]
async fn several_sources_have_several_revisions() {
    let chart = "{ repository: stable, chart: web, branch: 1.2.3 }";
    let git = "{ repository: acme/manifests, branch: main, files: [apps/web/kustomization.yaml] }";
    let cloud = start_with(&format!("{{ name: web, sources: [{chart}, {git}] }}"), "", "[]");
    let commit = commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    let seen = wait_until(&cloud, 120, |app| {
        sync_health_revision(app).1 == "Healthy" && sync_health_revision(app).0 == "Synced"
    })
    .await;
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
    let cloud = start_with_app("hooks: [{ name: migrate, seconds: 30 }]", "[]");
    commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    sleep(10).await;
    let seen = get_app(&cloud).await;
    assert_eq!(
        str_at(&seen, "/status/operationState/message"),
        "waiting for completion of hook batch/Job/migrate"
    );
    let hook = &seen["status"]["operationState"]["syncResult"]["resources"][0];
    assert_eq!((str_at(hook, "/hookType"), str_at(hook, "/hookPhase")), ("PreSync", "Running"));
    assert_eq!(seen["status"]["summary"]["images"], json!(["acme/web:v1"]));
    let seen = wait_until(&cloud, 60, |app| str_at(app, "/status/operationState/phase") == "Succeeded").await;
    let resources = seen["status"]["operationState"]["syncResult"]["resources"].as_array().unwrap().clone();
    assert_eq!(str_at(&resources[0], "/hookPhase"), "Succeeded");
    assert_eq!(str_at(&resources[2], "/message"), "deployment.apps/web configured");
}

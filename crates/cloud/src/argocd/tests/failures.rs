//! What goes wrong in the cluster or in Argo CD.

use super::*;

#[tokio::test(start_paused = true)]
async fn missing_image_degrades_the_pod_at_once_and_the_application_at_its_deadline() {
    let cloud = start_with_app("", "[image-not-found: {}]");
    commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    let mut degraded = None;
    for second in 0..60 {
        let pods = tree_nodes(&cloud, "Pod").await;
        if let Some(pod) = pods.iter().find(|pod| str_at(pod, "/info/0/value") == "ImagePullBackOff") {
            degraded = Some((second, pod.clone()));
            break;
        }
        sleep(1).await;
    }
    let (_, pod) = degraded.unwrap();
    assert_eq!(pod["health"]["status"], "Degraded");
    assert_eq!(str_at(&pod, "/health/message"), "Back-off pulling image \"acme/web:v2\"");
    assert_eq!(
        sync_health_revision(&get_app(&cloud).await).1,
        "Progressing",
        "the Deployment has its deadline still"
    );
    let path = format!(
        "/web/events?resourceName={}&resourceUID={}&resourceNamespace=default",
        str_at(&pod, "/name"),
        str_at(&pod, "/uid")
    );
    let events = get_json(&cloud, &path).await;
    let failed =
        events["items"].as_array().unwrap().iter().find(|event| event["reason"] == "Failed").unwrap();
    assert!(str_at(failed, "/message").contains("acme/web:v2: not found"), "{failed}");
    let seen = wait_until(&cloud, 700, |app| sync_health_revision(app).1 == "Degraded").await;
    assert_eq!(
        str_at(&seen, "/status/resources/1/health/message"),
        "Deployment \"web\" exceeded its progress deadline"
    );
    let old =
        tree_nodes(&cloud, "Pod").await.iter().filter(|pod| pod["images"] == json!(["acme/web:v1"])).count();
    assert_eq!(old, 2, "the old version serves on");
}

#[tokio::test(start_paused = true)]
async fn reverted_commit_heals_the_application() {
    let cloud = start_with_app("", "[crash-on-start: {}]");
    commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    sleep(60).await;
    let pods = tree_nodes(&cloud, "Pod").await;
    assert!(pods.iter().any(|pod| str_at(pod, "/info/0/value") == "CrashLoopBackOff"), "{pods:#?}");
    let back = commit_tag(&cloud, "v1");
    refresh_app(&cloud).await;
    wait_until_healthy(&cloud, &back, 60).await;
}

#[tokio::test(start_paused = true)]
async fn failed_sync_is_retried_five_times_and_then_reported() {
    let cloud =
        start_with_app("", "[argocd-sync-failed: { message: 'admission webhook denied the request' }]");
    let commit = commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    let retrying = wait_until(&cloud, 30, |app| app["status"]["operationState"]["retryCount"] == 1).await;
    assert_eq!(str_at(&retrying, "/status/operationState/phase"), "Running");
    assert!(str_at(&retrying, "/status/operationState/message").contains("Retrying attempt #1 at 2"));
    let failed = wait_until(&cloud, 300, |app| str_at(app, "/status/operationState/phase") == "Failed").await;
    let state = &failed["status"]["operationState"];
    assert_eq!(
        str_at(state, "/message"),
        "one or more synchronization tasks completed unsuccessfully, reason: admission webhook denied the request (retried 5 times)."
    );
    let resource = &state["syncResult"]["resources"][1];
    assert_eq!((str_at(resource, "/kind"), str_at(resource, "/status")), ("Deployment", "SyncFailed"));
    sleep(10).await;
    let seen = get_app(&cloud).await;
    assert_eq!(sync_health_revision(&seen), ("OutOfSync".into(), "Healthy".into(), commit));
    assert_eq!(str_at(&seen, "/status/conditions/0/type"), "SyncError");
    let back = commit_tag(&cloud, "v1");
    refresh_app(&cloud).await;
    wait_until_healthy(&cloud, &back, 10).await;
}

#[tokio::test(start_paused = true)]
async fn invalid_operation_ends_in_error() {
    let cloud = start_with_app("", "[argocd-operation-error: {}]");
    commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    let seen = wait_until(&cloud, 30, |app| str_at(app, "/status/operationState/phase") == "Error").await;
    assert!(str_at(&seen, "/status/operationState/message").contains("i/o timeout"));
    assert_eq!(seen["status"]["summary"]["images"], json!(["acme/web:v1"]));
}

#[tokio::test(start_paused = true)]
async fn an_application_that_never_syncs_stays_out_of_sync() {
    let cloud = start_with_app("", "[argocd-never-syncs: {}]");
    let commit = commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    sleep(3000).await;
    assert_eq!(sync_health_revision(&get_app(&cloud).await), ("OutOfSync".into(), "Healthy".into(), commit));
}

#[tokio::test(start_paused = true)]
async fn stale_reads_of_git_show_the_old_revision_even_after_a_refresh() {
    let cloud = start_with_app("", "[argocd-stale: { for: 60 }]");
    let old = sync_health_revision(&get_app(&cloud).await);
    let commit = commit_tag(&cloud, "v2");
    assert_eq!(sync_health_revision(&refresh_app(&cloud).await), old);
    sleep(30).await;
    assert_eq!(sync_health_revision(&refresh_app(&cloud).await), old);
    sleep(30).await;
    assert_eq!(sync_health_revision(&refresh_app(&cloud).await).2, commit);
    wait_until_healthy(&cloud, &commit, 120).await;
}

#[tokio::test(start_paused = true)]
async fn failed_comparison_is_unknown_with_a_condition() {
    let cloud = start_with_app("", "[]");
    commit_file(&cloud, "images: [");
    let seen = refresh_app(&cloud).await;
    assert_eq!(sync_health_revision(&seen), ("Unknown".into(), "Healthy".into(), "main".into()));
    let condition = &seen["status"]["conditions"][0];
    assert_eq!(str_at(condition, "/type"), "ComparisonError");
    assert!(str_at(condition, "/message").contains("apps/web/kustomization.yaml: "), "{condition}");
    let cloud = start_with_app("", "[argocd-comparison-error: { after: 10 }]");
    assert_eq!(sync_health_revision(&refresh_app(&cloud).await).0, "Synced");
    sleep(10).await;
    assert_eq!(sync_health_revision(&refresh_app(&cloud).await).0, "Unknown");
}

#[tokio::test(start_paused = true)]
async fn flapping_slow_and_deleted_workloads_are_shown() {
    let cloud = start_with_app("", "[flapping-health: { healthy: 30 }]");
    let commit = commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    wait_until_healthy(&cloud, &commit, 300).await;
    wait_until(&cloud, 60, |app| sync_health_revision(app).1 == "Progressing").await;
    wait_until_healthy(&cloud, &commit, 90).await;

    let cloud = start_with_app("", "[slow-start: { seconds: 120 }]");
    let commit = commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    sleep(120).await;
    assert_eq!(sync_health_revision(&get_app(&cloud).await).1, "Progressing");
    wait_until_healthy(&cloud, &commit, 300).await;

    let cloud = start_with_app("", "[argocd-missing: {}]");
    commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    let seen = wait_until(&cloud, 30, |app| sync_health_revision(app).1 == "Missing").await;
    assert_eq!(str_at(&seen, "/status/resources/1/health/status"), "Missing");
    assert!(tree_nodes(&cloud, "Pod").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_paused_workload_is_suspended_and_keeps_its_pods() {
    let cloud = start_with_app("", "[argocd-suspended: {}]");
    let commit = commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    sleep(60).await;
    assert_eq!(sync_health_revision(&get_app(&cloud).await), ("Synced".into(), "Suspended".into(), commit));
    assert!(tree_nodes(&cloud, "Pod").await.iter().all(|pod| pod["images"] == json!(["acme/web:v1"])));
}

#[tokio::test(start_paused = true)]
async fn manual_change_is_reverted_only_by_self_heal() {
    let healed = start_with_app("self-heal: true", "[argocd-drift: { at: 10 }]");
    sleep(12).await;
    assert_eq!(sync_health_revision(&get_app(&healed).await).0, "OutOfSync");
    sleep(120).await;
    let seen = get_app(&healed).await;
    assert_eq!(sync_health_revision(&seen).0, "Synced");
    assert_eq!(seen["status"]["summary"]["images"], json!(["acme/web:v1"]));
    let left = start_with_app("", "[argocd-drift: { at: 10 }]");
    sleep(600).await;
    let seen = get_app(&left).await;
    assert_eq!(sync_health_revision(&seen).0, "OutOfSync");
    assert_eq!(seen["status"]["summary"]["images"], json!(["somebody/else:v0"]));
}

#[tokio::test(start_paused = true)]
async fn outside_commit_supersedes_our_image() {
    let cloud = start_with_app("", "[superseding-deployment: { at: 40 }]");
    let ours = commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    sleep(45).await;
    let seen = refresh_app(&cloud).await;
    let newest = sync_health_revision(&seen).2;
    assert_ne!(newest, ours);
    wait_until_healthy(&cloud, &newest, 120).await;
    sleep(10).await;
    assert_eq!(get_app(&cloud).await["status"]["summary"]["images"], json!(["acme/web:somebody-else"]));
}

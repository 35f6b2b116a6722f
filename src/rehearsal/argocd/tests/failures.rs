//! What goes wrong in the cluster or in Argo CD.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_degrades_the_pod_at_once_and_the_application_at_its_deadline() {
    let cloud = start("", "[image-not-found: {}]");
    push(&cloud, "v2");
    refreshed(&cloud).await;
    let mut degraded = None;
    for second in 0..60 {
        let pods = nodes(&cloud, "Pod").await;
        if let Some(pod) = pods.iter().find(|pod| word(pod, "/info/0/value") == "ImagePullBackOff") {
            degraded = Some((second, pod.clone()));
            break;
        }
        sleep(1).await;
    }
    let (_, pod) = degraded.unwrap();
    assert_eq!(pod["health"]["status"], "Degraded");
    assert_eq!(word(&pod, "/health/message"), "Back-off pulling image \"acme/web:v2\"");
    assert_eq!(brief(&app(&cloud).await).1, "Progressing", "the Deployment has its deadline still");
    let path = format!(
        "/web/events?resourceName={}&resourceUID={}&resourceNamespace=default",
        word(&pod, "/name"),
        word(&pod, "/uid")
    );
    let events = get(&cloud, &path).await;
    let failed =
        events["items"].as_array().unwrap().iter().find(|event| event["reason"] == "Failed").unwrap();
    assert!(word(failed, "/message").contains("acme/web:v2: not found"), "{failed}");
    let seen = until(&cloud, 700, |app| brief(app).1 == "Degraded").await;
    assert_eq!(
        word(&seen, "/status/resources/1/health/message"),
        "Deployment \"web\" exceeded its progress deadline"
    );
    let old = nodes(&cloud, "Pod").await.iter().filter(|pod| pod["images"] == json!(["acme/web:v1"])).count();
    assert_eq!(old, 2, "the old version serves on");
}

#[tokio::test(start_paused = true)]
async fn taking_the_commit_back_heals() {
    let cloud = start("", "[crash-on-start: {}]");
    push(&cloud, "v2");
    refreshed(&cloud).await;
    sleep(60).await;
    let pods = nodes(&cloud, "Pod").await;
    assert!(pods.iter().any(|pod| word(pod, "/info/0/value") == "CrashLoopBackOff"), "{pods:#?}");
    let back = push(&cloud, "v1");
    refreshed(&cloud).await;
    healthy_at(&cloud, &back, 60).await;
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_fails_is_tried_again_five_times_and_then_named() {
    let cloud = start("", "[argocd-sync-failed: { message: 'admission webhook denied the request' }]");
    let commit = push(&cloud, "v2");
    refreshed(&cloud).await;
    let retrying = until(&cloud, 30, |app| app["status"]["operationState"]["retryCount"] == 1).await;
    assert_eq!(word(&retrying, "/status/operationState/phase"), "Running");
    assert!(word(&retrying, "/status/operationState/message").contains("Retrying attempt #1 at 9:00AM"));
    let failed = until(&cloud, 300, |app| word(app, "/status/operationState/phase") == "Failed").await;
    let state = &failed["status"]["operationState"];
    assert_eq!(
        word(state, "/message"),
        "one or more objects failed to apply, reason: admission webhook denied the request (retried 5 times)."
    );
    let resource = &state["syncResult"]["resources"][1];
    assert_eq!((word(resource, "/kind"), word(resource, "/status")), ("Deployment", "SyncFailed"));
    sleep(10).await;
    let seen = app(&cloud).await;
    assert_eq!(brief(&seen), ("OutOfSync".into(), "Healthy".into(), commit));
    assert_eq!(word(&seen, "/status/conditions/0/type"), "SyncError");
    let back = push(&cloud, "v1");
    refreshed(&cloud).await;
    healthy_at(&cloud, &back, 10).await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_cannot_be_carried_out_is_an_error() {
    let cloud = start("", "[argocd-operation-error: {}]");
    push(&cloud, "v2");
    refreshed(&cloud).await;
    let seen = until(&cloud, 30, |app| word(app, "/status/operationState/phase") == "Error").await;
    assert!(word(&seen, "/status/operationState/message").contains("i/o timeout"));
    assert_eq!(seen["status"]["summary"]["images"], json!(["acme/web:v1"]));
}

#[tokio::test(start_paused = true)]
async fn an_application_that_never_syncs_stays_out_of_sync() {
    let cloud = start("", "[argocd-never-syncs: {}]");
    let commit = push(&cloud, "v2");
    refreshed(&cloud).await;
    sleep(3000).await;
    assert_eq!(brief(&app(&cloud).await), ("OutOfSync".into(), "Healthy".into(), commit));
}

#[tokio::test(start_paused = true)]
async fn stale_reads_of_git_show_the_old_revision_even_after_a_refresh() {
    let cloud = start("", "[argocd-stale: { for: 60 }]");
    let old = brief(&app(&cloud).await);
    let commit = push(&cloud, "v2");
    assert_eq!(brief(&refreshed(&cloud).await), old);
    sleep(30).await;
    assert_eq!(brief(&refreshed(&cloud).await), old);
    sleep(30).await;
    assert_eq!(brief(&refreshed(&cloud).await).2, commit);
    healthy_at(&cloud, &commit, 120).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_compared_is_unknown_with_a_condition() {
    let cloud = start("", "[]");
    let old = brief(&app(&cloud).await);
    commit(&cloud, "images: [");
    let seen = refreshed(&cloud).await;
    assert_eq!(brief(&seen), ("Unknown".into(), "Healthy".into(), old.2));
    let condition = &seen["status"]["conditions"][0];
    assert_eq!(word(condition, "/type"), "ComparisonError");
    assert!(word(condition, "/message").contains("apps/web/kustomization.yaml: "), "{condition}");
    let cloud = start("", "[argocd-comparison-error: { after: 10 }]");
    assert_eq!(brief(&refreshed(&cloud).await).0, "Synced");
    sleep(10).await;
    assert_eq!(brief(&refreshed(&cloud).await).0, "Unknown");
}

#[tokio::test(start_paused = true)]
async fn health_flaps_slow_pods_come_and_a_deleted_workload_is_missing() {
    let cloud = start("", "[flapping-health: { healthy: 30 }]");
    let commit = push(&cloud, "v2");
    refreshed(&cloud).await;
    healthy_at(&cloud, &commit, 300).await;
    until(&cloud, 60, |app| brief(app).1 == "Progressing").await;
    healthy_at(&cloud, &commit, 90).await;

    let cloud = start("", "[slow-start: { seconds: 120 }]");
    let commit = push(&cloud, "v2");
    refreshed(&cloud).await;
    sleep(120).await;
    assert_eq!(brief(&app(&cloud).await).1, "Progressing");
    healthy_at(&cloud, &commit, 300).await;

    let cloud = start("", "[argocd-missing: {}]");
    push(&cloud, "v2");
    refreshed(&cloud).await;
    let seen = until(&cloud, 30, |app| brief(app).1 == "Missing").await;
    assert_eq!(word(&seen, "/status/resources/1/health/status"), "Missing");
    assert!(nodes(&cloud, "Pod").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_paused_workload_is_suspended_and_keeps_its_pods() {
    let cloud = start("", "[argocd-suspended: {}]");
    let commit = push(&cloud, "v2");
    refreshed(&cloud).await;
    sleep(60).await;
    assert_eq!(brief(&app(&cloud).await), ("Synced".into(), "Suspended".into(), commit));
    assert!(nodes(&cloud, "Pod").await.iter().all(|pod| pod["images"] == json!(["acme/web:v1"])));
}

#[tokio::test(start_paused = true)]
async fn a_change_by_hand_is_taken_back_only_by_self_healing() {
    let healed = start("self-heal: true", "[argocd-drift: { at: 10 }]");
    sleep(12).await;
    assert_eq!(brief(&app(&healed).await).0, "OutOfSync");
    sleep(120).await;
    let seen = app(&healed).await;
    assert_eq!(brief(&seen).0, "Synced");
    assert_eq!(seen["status"]["summary"]["images"], json!(["acme/web:v1"]));
    let left = start("", "[argocd-drift: { at: 10 }]");
    sleep(600).await;
    let seen = app(&left).await;
    assert_eq!(brief(&seen).0, "OutOfSync");
    assert_eq!(seen["status"]["summary"]["images"], json!(["somebody/else:v0"]));
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_newer_image_comes_after_ours() {
    let cloud = start("", "[superseding-deployment: { at: 40 }]");
    let ours = push(&cloud, "v2");
    refreshed(&cloud).await;
    sleep(45).await;
    let seen = refreshed(&cloud).await;
    let newest = brief(&seen).2;
    assert_ne!(newest, ours);
    healthy_at(&cloud, &newest, 120).await;
    sleep(10).await;
    assert_eq!(app(&cloud).await["status"]["summary"]["images"], json!(["acme/web:somebody-else"]));
}

//! Rollouts: steps, pauses, analysis, abort, and rollback.

use super::*;

const STEPS: &str = "workload: Rollout, replicas: 4, steps: [set-weight: 25, pause: 60, analysis: 30, set-weight: 50, pause: 30]";

async fn get_rollout(cloud: &Cloud) -> Value {
    let path =
        "/web/resource?resourceName=web&namespace=default&group=argoproj.io&version=v1alpha1&kind=Rollout";
    let answer = get_json(cloud, path).await;
    serde_json::from_str(answer["manifest"].as_str().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_canary_goes_through_its_steps() {
    let cloud = start_with_app(STEPS, "[]");
    let commit = commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    let paused = wait_until(&cloud, 90, |app| sync_health_revision(app).1 == "Suspended").await;
    assert_eq!(sync_health_revision(&paused), ("Synced".into(), "Suspended".into(), commit.clone()));
    assert_eq!(str_at(&paused, "/status/resources/1/health/message"), "CanaryPauseStep");
    sleep(10).await;
    let live = get_rollout(&cloud).await;
    assert_eq!(live["status"]["currentStepIndex"], 1);
    assert_eq!(live["status"]["canary"]["weights"]["canary"]["weight"], 25);
    assert_eq!(str_at(&live, "/status/phase"), "Paused");
    let pods = tree_nodes(&cloud, "Pod").await;
    let new = pods.iter().filter(|pod| pod["images"] == json!(["acme/web:v2"])).count();
    assert_eq!((pods.len(), new), (4, 1));
    sleep(51).await;
    let run = tree_nodes(&cloud, "AnalysisRun").await;
    assert_eq!(str_at(&run[0], "/health/status"), "Progressing");
    wait_until_healthy(&cloud, &commit, 300).await;
    sleep(10).await;
    let done = get_app(&cloud).await;
    assert_eq!(done["status"]["summary"]["images"], json!(["acme/web:v2"]));
    let live = get_rollout(&cloud).await;
    assert_eq!(live["status"]["currentStepIndex"], 5);
    assert_eq!(live["status"]["stableRS"], live["status"]["currentPodHash"]);
    assert_eq!(str_at(&tree_nodes(&cloud, "AnalysisRun").await[0], "/health/status"), "Healthy");
}

#[tokio::test(start_paused = true)]
async fn failed_analysis_aborts_and_rollback_skips_the_steps() {
    let cloud = start_with_app(STEPS, "[argocd-analysis-failed: {}]");
    commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    let seen = wait_until(&cloud, 300, |app| sync_health_revision(app).1 == "Degraded").await;
    let message = str_at(&seen, "/status/resources/1/health/message").to_owned();
    assert!(message.starts_with("RolloutAborted: Rollout aborted update to revision 2: "), "{message}");
    assert_eq!(str_at(&tree_nodes(&cloud, "AnalysisRun").await[0], "/health/status"), "Degraded");
    let live = get_rollout(&cloud).await;
    assert_eq!((live["status"]["abort"].as_bool(), str_at(&live, "/status/phase")), (Some(true), "Degraded"));
    sleep(60).await;
    let pods = tree_nodes(&cloud, "Pod").await;
    assert!(pods.len() == 4 && pods.iter().all(|pod| pod["images"] == json!(["acme/web:v1"])), "{pods:#?}");
    let back = commit_tag(&cloud, "v1");
    refresh_app(&cloud).await;
    wait_until_healthy(&cloud, &back, 20).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_end_stays_and_a_bad_canary_runs_into_its_deadline() {
    let cloud = start_with_app("workload: Rollout, replicas: 2, steps: [set-weight: 50, pause: 0]", "[]");
    commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    sleep(7200).await;
    assert_eq!(sync_health_revision(&get_app(&cloud).await).1, "Suspended");
    let cloud = start_with_app(STEPS, "[crash-on-start: {}]");
    commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    sleep(60).await;
    assert_eq!(sync_health_revision(&get_app(&cloud).await).1, "Progressing");
    let seen = wait_until(&cloud, 700, |app| sync_health_revision(app).1 == "Degraded").await;
    assert!(str_at(&seen, "/status/resources/1/health/message").starts_with("ProgressDeadlineExceeded: "));
}

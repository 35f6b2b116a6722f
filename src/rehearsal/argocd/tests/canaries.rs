//! Rollouts: steps, pauses, analysis, abort, and the way back.

use super::*;

const STEPS: &str = "workload: Rollout, replicas: 4, steps: [set-weight: 25, pause: 60, analysis: 30, set-weight: 50, pause: 30]";

async fn rollout(cloud: &Cloud) -> Value {
    let path =
        "/web/resource?resourceName=web&namespace=default&group=argoproj.io&version=v1alpha1&kind=Rollout";
    let answer = get(cloud, path).await;
    serde_json::from_str(answer["manifest"].as_str().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_canary_goes_through_its_steps() {
    let cloud = start(STEPS, "[]");
    let commit = push(&cloud, "v2");
    refreshed(&cloud).await;
    let paused = until(&cloud, 90, |app| brief(app).1 == "Suspended").await;
    assert_eq!(brief(&paused), ("Synced".into(), "Suspended".into(), commit.clone()));
    assert_eq!(word(&paused, "/status/resources/1/health/message"), "CanaryPauseStep");
    sleep(10).await;
    let live = rollout(&cloud).await;
    assert_eq!(live["status"]["currentStepIndex"], 1);
    assert_eq!(live["status"]["canary"]["weights"]["canary"]["weight"], 25);
    assert_eq!(word(&live, "/status/phase"), "Paused");
    let pods = nodes(&cloud, "Pod").await;
    let new = pods.iter().filter(|pod| pod["images"] == json!(["acme/web:v2"])).count();
    assert_eq!((pods.len(), new), (4, 1));
    sleep(51).await;
    let run = nodes(&cloud, "AnalysisRun").await;
    assert_eq!(word(&run[0], "/health/status"), "Progressing");
    healthy_at(&cloud, &commit, 300).await;
    sleep(10).await;
    let done = app(&cloud).await;
    assert_eq!(done["status"]["summary"]["images"], json!(["acme/web:v2"]));
    let live = rollout(&cloud).await;
    assert_eq!(live["status"]["currentStepIndex"], 5);
    assert_eq!(live["status"]["stableRS"], live["status"]["currentPodHash"]);
    assert_eq!(word(&nodes(&cloud, "AnalysisRun").await[0], "/health/status"), "Healthy");
}

#[tokio::test(start_paused = true)]
async fn an_analysis_that_fails_aborts_and_the_way_back_skips_the_steps() {
    let cloud = start(STEPS, "[argocd-analysis-failed: {}]");
    push(&cloud, "v2");
    refreshed(&cloud).await;
    let seen = until(&cloud, 300, |app| brief(app).1 == "Degraded").await;
    let message = word(&seen, "/status/resources/1/health/message").to_owned();
    assert!(message.starts_with("RolloutAborted: Rollout aborted update to revision 2: "), "{message}");
    assert_eq!(word(&nodes(&cloud, "AnalysisRun").await[0], "/health/status"), "Degraded");
    let live = rollout(&cloud).await;
    assert_eq!((live["status"]["abort"].as_bool(), word(&live, "/status/phase")), (Some(true), "Degraded"));
    sleep(60).await;
    let pods = nodes(&cloud, "Pod").await;
    assert!(pods.len() == 4 && pods.iter().all(|pod| pod["images"] == json!(["acme/web:v1"])), "{pods:#?}");
    let back = push(&cloud, "v1");
    refreshed(&cloud).await;
    healthy_at(&cloud, &back, 20).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_end_stays_and_a_bad_canary_runs_into_its_deadline() {
    let cloud = start("workload: Rollout, replicas: 2, steps: [set-weight: 50, pause: 0]", "[]");
    push(&cloud, "v2");
    refreshed(&cloud).await;
    sleep(7200).await;
    assert_eq!(brief(&app(&cloud).await).1, "Suspended");
    let cloud = start(STEPS, "[crash-on-start: {}]");
    push(&cloud, "v2");
    refreshed(&cloud).await;
    sleep(60).await;
    assert_eq!(brief(&app(&cloud).await).1, "Progressing");
    let seen = until(&cloud, 700, |app| brief(app).1 == "Degraded").await;
    assert!(word(&seen, "/status/resources/1/health/message").starts_with("ProgressDeadlineExceeded: "));
}

//! Who may ask what, and how errors read.

use super::*;

fn error(body: &str) -> (u64, String) {
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"], body["message"]);
    (body["code"].as_u64().unwrap(), word(&body, "/message").to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_unknown_application_is_forbidden_unless_its_project_is_named() {
    let cloud = start("project: shop", "[]");
    let (status, body) = ask(&cloud, "GET", "/nothing", "").await;
    assert_eq!((status, error(&body)), (403, (7, "permission denied".into())));
    let (status, body) = ask(&cloud, "GET", "/nothing?project=shop", "").await;
    assert_eq!((status, error(&body)), (404, (5, "applications.argoproj.io \"nothing\" not found".into())));
    assert_eq!(ask(&cloud, "GET", "/web?project=other", "").await.0, 404);
    assert_eq!(ask(&cloud, "GET", "/web?project=shop&appNamespace=argocd", "").await.0, 200);
    assert_eq!(ask(&cloud, "GET", "/web?appNamespace=elsewhere", "").await.0, 403);
    assert_eq!(get(&cloud, "").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rights_and_tokens() {
    let own = format!("{{ name: web, {SOURCE} }}");
    let cloud = started(&own, "rights: [get]", "[]");
    let (status, body) = ask(&cloud, "POST", "/web/sync", "{}").await;
    assert_eq!(status, 403);
    assert!(error(&body).1.starts_with("permission denied: applications, sync, default/web"));
    let cloud = started(&own, "token: other", "[]");
    assert_eq!(ask(&cloud, "GET", "/web", "").await.0, 401);
    let cloud = start("", "[argocd-token-expires: { after: 60 }]");
    assert_eq!(ask(&cloud, "GET", "/web", "").await.0, 200);
    sleep(60).await;
    let (status, body) = ask(&cloud, "GET", "/web", "").await;
    let words = "invalid session: token has invalid claims: token is expired";
    assert_eq!((status, error(&body)), (401, (16, words.into())));
    let cloud = start("", "[deny: { action: 'argocd:SyncApplication' }]");
    assert_eq!(ask(&cloud, "POST", "/web/sync", "{}").await.0, 403);
    assert_eq!(ask(&cloud, "GET", "/web", "").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_sync_beside_another_and_one_against_the_automation_are_refused() {
    let cloud = start("", "[argocd-busy: { for: 100 }]");
    let commit = push(&cloud, "v2");
    let (status, body) = ask(&cloud, "POST", "/web/sync", "{}").await;
    let words = "error setting app operation: rpc error: code = FailedPrecondition desc = another operation is already \
                 in progress";
    assert_eq!((status, error(&body)), (400, (9, words.into())));
    let seen = refreshed(&cloud).await;
    assert_eq!(word(&seen, "/status/operationState/operation/initiatedBy/username"), "somebody-else");
    assert_eq!(brief(&seen).0, "OutOfSync");
    // Once the other one has ended, ours begins by itself.
    healthy_at(&cloud, &commit, 300).await;
    let (status, body) = ask(&cloud, "POST", "/web/sync", r#"{"revision":"abc"}"#).await;
    let words = "Cannot sync to abc: auto-sync currently set to main";
    assert_eq!((status, error(&body)), (400, (9, words.into())));
}

#[tokio::test(start_paused = true)]
async fn an_operation_can_be_terminated_and_what_is_not_modelled_says_so() {
    let cloud = start("", "[argocd-busy: { for: 100 }]");
    assert_eq!(ask(&cloud, "DELETE", "/web/operation", "").await.0, 200);
    let seen = app(&cloud).await;
    assert_eq!(word(&seen, "/status/operationState/message"), "Operation terminated");
    assert_eq!(ask(&cloud, "DELETE", "/web/operation", "").await.0, 400);
    let (status, body) = ask(&cloud, "GET", "/web/manifests", "").await;
    assert_eq!((status, error(&body).0), (501, 12));
    let reads =
        cloud.calls().iter().filter(|call| call.operation.starts_with("Get")).all(|call| !call.mutating);
    assert!(reads);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_answers_in_its_place_during_an_outage() {
    let cloud = start("", "[server-errors: { from: 5, for: 30 }]");
    push(&cloud, "v2");
    refreshed(&cloud).await;
    sleep(10).await;
    let (status, body) = ask(&cloud, "GET", "/web", "").await;
    assert_eq!(status, 502);
    assert!(body.starts_with("<html>"));
    sleep(30).await;
    assert_eq!(ask(&cloud, "GET", "/web", "").await.0, 200);
}

//! Who may ask what, and how errors read.

use super::*;

fn parse_error(body: &str) -> (u64, String) {
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"], body["message"]);
    (body["code"].as_u64().unwrap(), str_at(&body, "/message").to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_unknown_application_is_forbidden_unless_its_project_is_named() {
    let cloud = start_with_app("project: shop", "[]");
    let (status, body) = send_request(&cloud, "GET", "/nothing", "").await;
    assert_eq!((status, parse_error(&body)), (403, (7, "permission denied".into())));
    let (status, body) = send_request(&cloud, "GET", "/nothing?project=shop", "").await;
    assert_eq!(
        (status, parse_error(&body)),
        (404, (5, "applications.argoproj.io \"nothing\" not found".into()))
    );
    assert_eq!(send_request(&cloud, "GET", "/web?project=other", "").await.0, 404);
    assert_eq!(send_request(&cloud, "GET", "/web?project=shop&appNamespace=argocd", "").await.0, 200);
    assert_eq!(send_request(&cloud, "GET", "/web?appNamespace=elsewhere", "").await.0, 403);
    assert_eq!(get_json(&cloud, "").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rights_and_tokens_are_checked() {
    let own = format!("{{ name: web, {SOURCE} }}");
    let cloud = start_with(&own, "rights: [get]", "[]");
    let (status, body) = send_request(&cloud, "POST", "/web/sync", "{}").await;
    assert_eq!(status, 403);
    assert!(parse_error(&body).1.starts_with("permission denied: applications, sync, default/web"));
    let cloud = start_with(&own, "token: other", "[]");
    assert_eq!(send_request(&cloud, "GET", "/web", "").await.0, 401);
    let cloud = start_with_app("", "[argocd-token-expires: { after: 60 }]");
    assert_eq!(send_request(&cloud, "GET", "/web", "").await.0, 200);
    sleep(60).await;
    let (status, body) = send_request(&cloud, "GET", "/web", "").await;
    let words = "invalid session: token has invalid claims: token is expired";
    assert_eq!((status, parse_error(&body)), (401, (16, words.into())));
    let cloud = start_with_app("", "[deny: { action: 'argocd:SyncApplication' }]");
    assert_eq!(send_request(&cloud, "POST", "/web/sync", "{}").await.0, 403);
    assert_eq!(send_request(&cloud, "GET", "/web", "").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn concurrent_sync_and_sync_against_auto_sync_are_rejected() {
    let cloud = start_with_app("", "[argocd-busy: { for: 100 }]");
    let commit = commit_tag(&cloud, "v2");
    let (status, body) = send_request(&cloud, "POST", "/web/sync", "{}").await;
    let words = "error setting app operation: rpc error: code = FailedPrecondition desc = another operation is already \
                 in progress";
    assert_eq!((status, parse_error(&body)), (400, (9, words.into())));
    let seen = refresh_app(&cloud).await;
    assert_eq!(str_at(&seen, "/status/operationState/operation/initiatedBy/username"), "somebody-else");
    assert_eq!(sync_health_revision(&seen).0, "OutOfSync");
    // Once the other one has ended, ours begins by itself.
    wait_until_healthy(&cloud, &commit, 300).await;
    let (status, body) = send_request(&cloud, "POST", "/web/sync", r#"{"revision":"abc"}"#).await;
    let words = "Cannot sync to abc: auto-sync currently set to main";
    assert_eq!((status, parse_error(&body)), (400, (9, words.into())));
}

#[tokio::test(start_paused = true)]
async fn running_operation_is_terminated_and_unknown_calls_are_not_modelled() {
    let cloud = start_with_app("", "[argocd-busy: { for: 100 }]");
    assert_eq!(send_request(&cloud, "DELETE", "/web/operation", "").await.0, 200);
    let seen = get_app(&cloud).await;
    assert_eq!(str_at(&seen, "/status/operationState/message"), "Operation terminated");
    assert_eq!(send_request(&cloud, "DELETE", "/web/operation", "").await.0, 400);
    let (status, body) = send_request(&cloud, "GET", "/web/manifests", "").await;
    assert_eq!((status, parse_error(&body).0), (501, 12));
    let reads =
        cloud.calls().iter().filter(|call| call.operation.starts_with("Get")).all(|call| !call.is_mutating);
    assert!(reads);
}

#[tokio::test(start_paused = true)]
async fn proxy_error_is_returned_during_an_outage() {
    let cloud = start_with_app("", "[server-errors: { from: 5, for: 30 }]");
    commit_tag(&cloud, "v2");
    refresh_app(&cloud).await;
    sleep(10).await;
    let (status, body) = send_request(&cloud, "GET", "/web", "").await;
    assert_eq!(status, 502);
    assert!(body.starts_with("<html>"));
    sleep(30).await;
    assert_eq!(send_request(&cloud, "GET", "/web", "").await.0, 200);
}

//! Tests of `sts`.

use super::*;
use crate::oidc::{Workflow, issue_token};

const ROLE: &str = "arn:aws:iam::111111111111:role/ci/deploy";

fn assume_at(world: &mut World, now: f64, change: impl FnOnce(&mut Value)) -> ServiceResult {
    let mut input = json!({
        "RoleArn": ROLE, "RoleSessionName": "GitHubActions",
        "WebIdentityToken": issue_token(&Workflow::default(), AUDIENCE, 1000.0),
    });
    change(&mut input);
    assume_role(world, &input, now)
}

fn error_parts(answer: ServiceResult) -> (u16, String, String) {
    let refusal = answer.unwrap_err();
    (refusal.status, refusal.code, refusal.message)
}

#[test]
fn a_session_has_keys_an_end_and_an_identity() {
    let mut world = World { account: "222222222222".into(), ..World::default() };
    let answer = assume_at(&mut world, 1000.0, |input| input["DurationSeconds"] = json!(900)).unwrap();
    let key = str_field(&answer["Credentials"], "AccessKeyId").to_owned();
    assert!(key.starts_with("ASIA") && key.len() == 20, "{key}");
    assert_eq!(str_field(&answer["Credentials"], "SecretAccessKey").len(), 40);
    assert_eq!(answer["Credentials"]["Expiration"], json!(1900.0));
    assert_eq!(world.sessions[&key].expires, 1900.0);
    let who = caller_identity(&world, Some(&key));
    assert_eq!(who["Arn"], "arn:aws:sts::111111111111:assumed-role/deploy/GitHubActions");
    assert_eq!(who["Account"], "111111111111");
    assert_eq!(who["UserId"], answer["AssumedRoleUser"]["AssumedRoleId"]);
    assert_eq!(caller_identity(&world, Some("AKIA"))["Account"], "222222222222");
    let again = assume_at(&mut world, 1000.0, |_| {}).unwrap();
    assert_ne!(again["Credentials"]["AccessKeyId"], json!(key));
}

#[test]
fn wrong_or_expired_tokens_are_rejected_with_aws_messages() {
    let mut world = World::default();
    let mut refused = |token: String, now| {
        error_parts(assume_at(&mut world, now, |i| i["WebIdentityToken"] = json!(token)))
    };
    let workflow = Workflow::default();
    assert_eq!(refused("abc".into(), 0.0).1, "InvalidIdentityToken");
    assert_eq!(
        refused(issue_token(&workflow, "https://github.com/acme", 0.0), 0.0),
        (400, "InvalidIdentityToken".into(), "Incorrect token audience".into())
    );
    let late = refused(issue_token(&workflow, AUDIENCE, 0.0), 300.0);
    assert_eq!((late.0, late.1.as_str()), (400, "ExpiredTokenException"));
    assert_eq!(
        late.2,
        "Token expired: current date/time 1970-01-01T00:05:00Z must be before the expiration date/time 1970-01-01T00:05:00Z"
    );
}

#[test]
fn a_role_that_does_not_trust_the_subject_is_not_authorized() {
    let denied =
        (403, "AccessDenied".into(), "Not authorized to perform sts:AssumeRoleWithWebIdentity".into());
    let mut world = World::default();
    world.trust.subjects = vec!["repo:acme/shop:environment:*".into()];
    assert_eq!(error_parts(assume_at(&mut world, 1000.0, |_| {})), denied);
    world.trust.subjects = vec!["repo:acme/shop:ref:refs/heads/*".into()];
    assert!(assume_at(&mut world, 1000.0, |_| {}).is_ok());
    world.trust.roles = vec!["arn:aws:iam::111111111111:role/other".into()];
    assert_eq!(error_parts(assume_at(&mut world, 1000.0, |_| {})), denied);
    world.trust.provider = false;
    assert_eq!(
        error_parts(assume_at(&mut world, 1000.0, |_| {})).2,
        "No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com"
    );
}

#[test]
fn members_out_of_range_are_validation_errors() {
    let mut world = World::default();
    for (member, value) in [
        ("RoleArn", json!("deploy")),
        ("RoleSessionName", json!("a b")),
        ("DurationSeconds", json!(60)),
        ("DurationSeconds", json!(7200)),
    ] {
        let refused = error_parts(assume_at(&mut world, 1000.0, |input| input[member] = value.clone()));
        assert_eq!(refused.1, "ValidationError", "{member}");
    }
    assert!(world.sessions.is_empty());
}

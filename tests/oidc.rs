//! Credentials: roles by the job's OIDC token, renewed while a run waits; what is said when they are missing or
//! refused; and that no secret of theirs is in anything that leaves the process.

use crate::support::Trial;
use crate::support::runner::{BEARER, CONFIG, ROLE, Runner, Step, TOKEN};
use roadstead::rehearsal::record::{Interrupt, Phase};
use roadstead::release::Outcome;

/// What was masked, in order.
fn masked(step: &Step) -> Vec<&str> {
    step.lines.iter().filter_map(|line| line.strip_prefix("::add-mask::")).collect()
}

/// No secret is in anything but the commands that mask it, and those come before any other line.
fn sealed(step: &Step) {
    let secrets = masked(step);
    let rest: Vec<&str> =
        step.lines.iter().map(String::as_str).filter(|line| !line.starts_with("::add-mask::")).collect();
    let rest = format!("{}\n{:?}\n{}\n{:?}", rest.join("\n"), step.outputs, step.summary, step.state);
    for secret in secrets.into_iter().chain([TOKEN, BEARER]) {
        assert!(!rest.contains(secret), "{secret} is in {rest}");
    }
}

#[test]
fn a_role_is_assumed_once_with_a_fresh_token() {
    let step = Runner::named("happy").main();
    assert_eq!((step.code, step.times("GetIdToken"), step.times("AssumeRoleWithWebIdentity")), (0, 1, 1));
    let assume = step.calls.iter().find(|call| call.operation == "AssumeRoleWithWebIdentity").unwrap();
    assert_eq!(assume.input["RoleArn"], ROLE);
    assert_eq!(assume.input["RoleSessionName"], "roadstead-acme-shop-7");
    let order: Vec<&str> = step.calls.iter().take(3).map(|call| call.operation.as_str()).collect();
    assert_eq!(order[..2], ["GetIdToken", "AssumeRoleWithWebIdentity"], "before any other call");
    assert_eq!(
        masked(&step).len(),
        7,
        "two tokens of the job, the OIDC token, secret key, session token, and the registry password in both forms"
    );
    let last = step.lines.iter().rposition(|line| line.starts_with("::add-mask::")).unwrap();
    assert!(step.lines[..last].iter().all(|line| line.starts_with("::add-mask::")), "masked before any line");
    sealed(&step);
}

#[test]
fn the_inputs_role_wins_over_the_files() {
    let other = "arn:aws:iam::111111111111:role/other";
    let step = Runner::named("happy").with("INPUT_ROLE-TO-ASSUME", other).main();
    let assume = step.calls.iter().find(|call| call.operation == "AssumeRoleWithWebIdentity").unwrap();
    assert_eq!((step.code, &assume.input["RoleArn"]), (0, &serde_json::json!(other)));
}

/// The wait is longer than the credentials live.
const LONG: &str = "trust: { session-duration: 900 }\nfaults: [slow-start: { seconds: 600 }]";

fn assumed(step: &Step) -> Vec<f64> {
    let begin = step.calls[0].at;
    let calls = step.calls.iter().filter(|call| call.operation == "AssumeRoleWithWebIdentity");
    calls.map(|call| call.at - begin).collect()
}

#[test]
fn credentials_are_renewed_ten_minutes_before_they_end() {
    let step = Runner::told(LONG).with("INPUT_TIMEOUT", "3h").main();
    assert_eq!(step.code, 0, "{:#?}", step.lines);
    let times = assumed(&step);
    assert!(
        times.len() > 2 && times.windows(2).all(|pair| (298.0..310.0).contains(&(pair[1] - pair[0]))),
        "{times:?}"
    );
    assert_eq!(masked(&step).len(), 4 + 3 * times.len(), "every new set of secrets is masked too");
    sealed(&step);
}

#[test]
fn a_renewal_that_fails_takes_nothing_away() {
    let runner = Runner::told(LONG).with("INPUT_TIMEOUT", "3h");
    let step = crate::support::virtually(async {
        let (cloud, clock) = runner.cloud();
        let begin = cloud.now();
        cloud.on_call(Box::new(move |moment| {
            let outage = (200.0..500.0).contains(&(moment.at - begin));
            let sts = moment.call.service == "sts" || moment.call.service == "oidc";
            match moment.phase {
                Phase::Before if outage && sts => Interrupt::Lose,
                _ => Interrupt::Pass,
            }
        }));
        runner.main_on(&cloud, clock).await
    });
    assert_eq!(step.code, 0, "{:#?}", step.lines);
    let renewed = assumed(&step).into_iter().find(|at| *at > 500.0).unwrap();
    assert!((500.0..900.0).contains(&renewed), "renewed after the outage and before the end: {renewed}");
    let trouble: Vec<&String> = step.lines.iter().filter(|line| line.contains("could not be read")).collect();
    assert!(trouble.is_empty(), "{trouble:#?}");
}

#[test]
fn without_a_token_it_is_said_what_is_missing() {
    let step = Runner::named("happy").with("ACTIONS_ID_TOKEN_REQUEST_URL", "").main();
    assert_eq!((step.code, step.calls.len()), (2, 0));
    insta::assert_snapshot!(step.annotated(), @"::error title=credentials missing::The role `arn:aws:iam::111111111111:role/deploy` cannot be assumed: this job has no OIDC token.%0AAdd `permissions: id-token: write` to the job. Runs of pull requests from forks never get one.");
    let step = Runner::named("happy")
        .with("ACTIONS_ID_TOKEN_REQUEST_URL", "https://runner.invalid/elsewhere")
        .main();
    assert_eq!(step.code, 2);
    insta::assert_snapshot!(step.annotated(), @"::error title=credentials missing::The runner gave no OIDC token for this job.%0Aresponse error: the runner's token endpoint answered 404 without a token%0ACheck `permissions: id-token: write` of the job, and run it again: the token service may be busy.");
    sealed(&step);
}

#[test]
fn a_job_without_any_credentials_is_told_how_to_get_some() {
    let config = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend: { ecs: { cluster: acme, service: backend } }
";
    let step = Runner::named("happy").config(config).main();
    assert_eq!((step.code, step.calls.len()), (2, 0));
    insta::assert_snapshot!(step.annotated(), @"::error title=credentials missing::There are no AWS credentials in this job.%0ASet `aws: { role: … }` of the environment (or the input `role-to-assume`) and `permissions: id-token: write`.");
}

#[test]
fn long_lived_keys_work_and_are_warned_about() {
    let config = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend: { repository: backend, ecs: { cluster: acme, service: backend } }
";
    let secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPLEKEY0";
    let keys = Runner::named("happy").config(config).with("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE000000001");
    let step = keys.with("AWS_SECRET_ACCESS_KEY", secret).main();
    assert_eq!((step.code, step.times("AssumeRoleWithWebIdentity")), (0, 0));
    insta::assert_snapshot!(step.annotated(), @"::warning title=credentials static::This run uses long-lived AWS access keys.%0AGive `role-to-assume` and `permissions: id-token: write` instead: such credentials end with the job.");
    assert!(step.summary.contains("credentials-static"), "{}", step.summary);
    assert!(masked(&step).contains(&secret));
    sealed(&step);
}

#[test]
fn a_refused_role_shows_the_claims_and_not_the_token() {
    let trust = "trust: { subjects: [\"repo:acme/shop:environment:production\"] }";
    let step = Runner::told(trust).main();
    assert_eq!((step.code, step.changes()), (2, 0));
    assert_eq!(step.calls.len(), 2, "one token, one refusal, and nothing after it");
    insta::assert_snapshot!(step.annotated(), @"::error title=role refused::The role `arn:aws:iam::111111111111:role/deploy` cannot be assumed with this job's token.%0AAccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity; the token says sub `repo:acme/shop:ref:refs/heads/main`, aud `sts.amazonaws.com`, environment `-`%0ALet the role's trust policy allow exactly this `sub` and `aud`, in this spelling, and let the account have the identity provider token.actions.githubusercontent.com. A job with an `environment` has that in its `sub` instead of the branch; newer repositories have their ids in it (`repo:OWNER@ID/NAME@ID:…`).");
    assert!(step.summary.contains("role-refused"), "{}", step.summary);
    sealed(&step);
}

#[test]
fn an_account_that_does_not_know_github_refuses_too() {
    let step = Runner::told("trust: { provider: false }").main();
    assert_eq!(step.code, 2);
    assert!(
        step.summary.contains("role-refused") && step.summary.contains("No OpenIDConnect provider"),
        "{}",
        step.summary
    );
}

#[test]
fn a_busy_sts_has_refused_nothing() {
    let step = Runner::told("faults: [throttle: { operation: AssumeRoleWithWebIdentity, times: 3 }]").main();
    assert_eq!(step.code, 0, "{:#?}", step.lines);
    let step =
        Runner::told("faults: [throttle: { operation: AssumeRoleWithWebIdentity, times: 1000 }]").main();
    assert_eq!((step.code, step.changes()), (2, 0));
    assert!(
        step.summary.contains("provider-error") && !step.summary.contains("role-refused"),
        "{}",
        step.summary
    );
}

#[test]
fn credentials_that_expire_during_the_wait_are_replaced_for_the_rollback() {
    let step = Runner::told(LONG).with("INPUT_TIMEOUT", "15m").main();
    assert_eq!(step.code, 3, "{:#?}", step.lines);
    assert!(assumed(&step).len() > 2);
    assert_eq!(step.times("StopServiceDeployment"), 1);
}

#[test]
fn a_deploy_file_with_a_role_can_be_rehearsed() {
    let mut trial = Trial::named("happy");
    trial.config = CONFIG.into();
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert!(ran.calls.iter().any(|call| call.operation == "AssumeRoleWithWebIdentity"));
}

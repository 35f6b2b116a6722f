//! Credentials: roles by the job's OIDC token, renewed while a run waits; the problems when they are missing or
//! refused; and that no secret of theirs is in anything that leaves the process.

use crate::support::TestRun;
use crate::support::runner::{CONFIG, OIDC_REQUEST_TOKEN, ROLE, Runner, StepResult, TOKEN};
use roadstead::release::Outcome;
use roadstead_cloud::call_log::{HookPhase, Override};

/// What was masked, in order.
fn masked_values(step: &StepResult) -> Vec<&str> {
    step.lines.iter().filter_map(|line| line.strip_prefix("::add-mask::")).collect()
}

/// No secret is in anything but the commands that mask it, and those come before any other line.
fn assert_secrets_masked(step: &StepResult) {
    let secrets = masked_values(step);
    let rest: Vec<&str> =
        step.lines.iter().map(String::as_str).filter(|line| !line.starts_with("::add-mask::")).collect();
    let rest = format!("{}\n{:?}\n{}\n{:?}", rest.join("\n"), step.outputs, step.summary, step.state);
    for secret in secrets.into_iter().chain([TOKEN, OIDC_REQUEST_TOKEN]) {
        assert!(!rest.contains(secret), "{secret} is in {rest}");
    }
}

#[test]
fn a_role_is_assumed_once_with_a_fresh_token() {
    let step = Runner::builtin("happy").run_main();
    assert_eq!(
        (step.exit_code, step.count_calls("GetIdToken"), step.count_calls("AssumeRoleWithWebIdentity")),
        (0, 1, 1)
    );
    let assume = step.calls.iter().find(|call| call.operation == "AssumeRoleWithWebIdentity").unwrap();
    assert_eq!(assume.input["RoleArn"], ROLE);
    assert_eq!(assume.input["RoleSessionName"], "roadstead-acme-shop-7");
    let of_aws = step.calls.iter().filter(|call| call.service != "github");
    let order: Vec<&str> = of_aws.take(3).map(|call| call.operation.as_str()).collect();
    assert_eq!(order[..2], ["GetIdToken", "AssumeRoleWithWebIdentity"], "before any other call to AWS");
    assert_eq!(
        masked_values(&step).len(),
        7,
        "two tokens of the job, the OIDC token, secret key, session token, and the registry password in both forms"
    );
    let last = step.lines.iter().rposition(|line| line.starts_with("::add-mask::")).unwrap();
    assert!(step.lines[..last].iter().all(|line| line.starts_with("::add-mask::")), "masked before any line");
    assert_secrets_masked(&step);
}

#[test]
fn the_inputs_role_wins_over_the_files() {
    let other = "arn:aws:iam::111111111111:role/other";
    let step = Runner::builtin("happy").with_variable("INPUT_ROLE-TO-ASSUME", other).run_main();
    let assume = step.calls.iter().find(|call| call.operation == "AssumeRoleWithWebIdentity").unwrap();
    assert_eq!((step.exit_code, &assume.input["RoleArn"]), (0, &serde_json::json!(other)));
}

/// The wait is longer than the credentials live.
const SLOW_START: &str = "trust: { session-duration: 900 }\nfaults: [slow-start: { seconds: 600 }]";

fn assume_role_times(step: &StepResult) -> Vec<f64> {
    let begin = step.calls[0].at;
    let calls = step.calls.iter().filter(|call| call.operation == "AssumeRoleWithWebIdentity");
    calls.map(|call| call.at - begin).collect()
}

#[test]
fn credentials_are_renewed_ten_minutes_before_they_end() {
    let step = Runner::custom(SLOW_START).with_variable("INPUT_TIMEOUT", "3h").run_main();
    assert_eq!(step.exit_code, 0, "{:#?}", step.lines);
    let times = assume_role_times(&step);
    assert!(
        times.len() > 2 && times.windows(2).all(|pair| (298.0..310.0).contains(&(pair[1] - pair[0]))),
        "{times:?}"
    );
    assert_eq!(masked_values(&step).len(), 4 + 3 * times.len(), "every new set of secrets is masked too");
    assert_secrets_masked(&step);
}

#[test]
fn failed_renewal_keeps_the_old_credentials() {
    let runner = Runner::custom(SLOW_START).with_variable("INPUT_TIMEOUT", "3h");
    let step = crate::support::run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let begin = cloud.now();
        cloud.on_call(Box::new(move |moment| {
            let outage = (200.0..500.0).contains(&(moment.at - begin));
            let sts = moment.call.service == "sts" || moment.call.service == "oidc";
            match moment.phase {
                HookPhase::Before if outage && sts => Override::Disconnect,
                _ => Override::Pass,
            }
        }));
        runner.run_main_on(&cloud, clock).await
    });
    assert_eq!(step.exit_code, 0, "{:#?}", step.lines);
    let renewed = assume_role_times(&step).into_iter().find(|at| *at > 500.0).unwrap();
    assert!((500.0..900.0).contains(&renewed), "renewed after the outage and before the end: {renewed}");
    let trouble: Vec<&String> = step.lines.iter().filter(|line| line.contains("could not be read")).collect();
    assert!(trouble.is_empty(), "{trouble:#?}");
}

#[test]
fn missing_id_token_permission_is_reported() {
    let step = Runner::builtin("happy").with_variable("ACTIONS_ID_TOKEN_REQUEST_URL", "").run_main();
    assert_eq!((step.exit_code, step.calls.len()), (2, 0));
    insta::assert_snapshot!(step.annotation_lines(), @"::error title=credentials missing::The role `arn:aws:iam::111111111111:role/deploy` cannot be assumed: this job has no OIDC token.%0AAdd `permissions: id-token: write` to the job. Pull requests from forks never get an OIDC token.");
    let step = Runner::builtin("happy")
        .with_variable("ACTIONS_ID_TOKEN_REQUEST_URL", "https://runner.invalid/elsewhere")
        .run_main();
    assert_eq!(step.exit_code, 2);
    insta::assert_snapshot!(step.annotation_lines(), @"::error title=credentials missing::The runner gave no OIDC token for this job.%0Aresponse error: the runner's token endpoint responded with 404 and no token%0ACheck `permissions: id-token: write` of the job, then run it again: the token service may be busy.");
    assert_secrets_masked(&step);
}

#[test]
fn job_without_credentials_gets_advice() {
    let config = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend: { ecs: { cluster: acme, service: backend } }
";
    let step = Runner::builtin("happy").with_config(config).run_main();
    assert_eq!((step.exit_code, step.calls.len()), (2, 0));
    insta::assert_snapshot!(step.annotation_lines(), @"::error title=credentials missing::There are no AWS credentials in this job.%0ASet `aws: { role: … }` of the environment (or the input `role-to-assume`) and `permissions: id-token: write`.");
}

#[test]
fn long_lived_keys_work_and_are_warned_about() {
    let config = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend: { repository: backend, ecs: { cluster: acme, service: backend } }
";
    let secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPLEKEY0";
    let keys = Runner::builtin("happy")
        .with_config(config)
        .with_variable("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE000000001");
    let step = keys.with_variable("AWS_SECRET_ACCESS_KEY", secret).run_main();
    assert_eq!((step.exit_code, step.count_calls("AssumeRoleWithWebIdentity")), (0, 0));
    insta::assert_snapshot!(step.annotation_lines(), @"::warning title=credentials static::This run uses long-lived AWS access keys.%0AUse `role-to-assume` and `permissions: id-token: write` instead: those credentials expire after the job.");
    assert!(step.summary.contains("credentials-static"), "{}", step.summary);
    assert!(masked_values(&step).contains(&secret));
    assert_secrets_masked(&step);
}

#[test]
fn rejected_role_shows_claims_but_no_token() {
    let trust = "trust: { subjects: [\"repo:acme/shop:environment:production\"] }";
    let step = Runner::custom(trust).run_main();
    assert_eq!((step.exit_code, step.count_changes()), (2, 0));
    let of_aws = step.calls.iter().filter(|call| call.service != "github").count();
    assert_eq!(of_aws, 2, "one token, one refusal, and nothing after it");
    insta::assert_snapshot!(step.annotation_lines(), @"::error title=role refused::The role `arn:aws:iam::111111111111:role/deploy` cannot be assumed with this job's token.%0AAccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity; the token has sub `repo:acme/shop:ref:refs/heads/main`, aud `sts.amazonaws.com`, environment `-`%0AAllow exactly this `sub` and `aud` in the role's trust policy, in this spelling. The account needs the identity provider token.actions.githubusercontent.com. The `sub` of a job with an `environment` has the environment instead of the branch; the `sub` of newer repositories has their ids (`repo:OWNER@ID/NAME@ID:…`).");
    assert!(step.summary.contains("role-refused"), "{}", step.summary);
    assert_secrets_masked(&step);
}

#[test]
fn an_account_that_does_not_know_github_refuses_too() {
    let step = Runner::custom("trust: { provider: false }").run_main();
    assert_eq!(step.exit_code, 2);
    assert!(
        step.summary.contains("role-refused") && step.summary.contains("No OpenIDConnect provider"),
        "{}",
        step.summary
    );
}

#[test]
fn throttled_sts_is_retried() {
    let step =
        Runner::custom("faults: [throttle: { operation: AssumeRoleWithWebIdentity, times: 3 }]").run_main();
    assert_eq!(step.exit_code, 0, "{:#?}", step.lines);
    let step = Runner::custom("faults: [throttle: { operation: AssumeRoleWithWebIdentity, times: 1000 }]")
        .run_main();
    assert_eq!((step.exit_code, step.count_changes()), (2, 0));
    assert!(
        step.summary.contains("provider-error") && !step.summary.contains("role-refused"),
        "{}",
        step.summary
    );
}

#[test]
fn credentials_that_expire_during_the_wait_are_replaced_for_the_rollback() {
    let step = Runner::custom(SLOW_START).with_variable("INPUT_TIMEOUT", "15m").run_main();
    assert_eq!(step.exit_code, 3, "{:#?}", step.lines);
    assert!(assume_role_times(&step).len() > 2);
    assert_eq!(step.count_calls("StopServiceDeployment"), 1);
}

#[test]
fn a_deploy_file_with_a_role_can_be_rehearsed() {
    let mut trial = TestRun::builtin("happy");
    trial.config = CONFIG.into();
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert!(ran.calls.iter().any(|call| call.operation == "AssumeRoleWithWebIdentity"));
}

/// A job or a laptop with keys in variables and without an OIDC token.
fn keys_without_token(scenario: &str) -> Runner {
    Runner::custom(scenario)
        .with_config(&CONFIG.replace("role/deploy", "role/release"))
        .with_variable("ACTIONS_ID_TOKEN_REQUEST_URL", "")
        .with_variable("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE000000001")
        .with_variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPLEKEY0")
        .with_variable("AWS_SESSION_TOKEN", "session-token-of-the-caller")
}

#[test]
fn role_is_assumed_with_the_credentials_that_are_there() {
    let step = keys_without_token("faults: []").run_main();
    assert_eq!(step.exit_code, 0, "{:#?}", step.lines);
    assert_eq!((step.count_calls("AssumeRole"), step.count_calls("AssumeRoleWithWebIdentity")), (1, 0));
    assert_secrets_masked(&step);
}

#[test]
fn caller_that_may_not_assume_the_role_ends_a_job() {
    let step =
        keys_without_token("trust: { callers: [\"arn:aws:iam::111111111111:user/other\"] }").run_main();
    assert_eq!((step.exit_code, step.count_changes()), (2, 0), "{:#?}", step.lines);
    assert!(step.annotation_lines().contains("role refused"), "{}", step.annotation_lines());
    assert!(step.annotation_lines().contains("assumed-role/deploy"), "{}", step.annotation_lines());
}

#[test]
fn person_in_the_account_of_the_role_uses_own_credentials_with_a_warning() {
    let laptop = |trust: &str| {
        keys_without_token(trust)
            .with_variable("GITHUB_ACTIONS", "")
            .with_variable("INPUT_ENVIRONMENT", "production")
    };
    let step = laptop("trust: { callers: [\"arn:aws:iam::111111111111:user/other\"] }").run_main();
    assert_eq!(step.exit_code, 0, "{:#?}", step.lines);
    let warned = step.lines.iter().any(|line| line.contains("role-refused") && line.contains("used instead"));
    assert!(warned, "{:#?}", step.lines);
    let elsewhere = CONFIG.replace("111111111111:role", "222222222222:role");
    let step = laptop("faults: []").with_config(&elsewhere).run_main();
    assert_eq!((step.exit_code, step.count_changes()), (2, 0), "{:#?}", step.lines);
}

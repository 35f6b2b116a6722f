//! The trust policy that is printed: it lets in the jobs that it names, in both forms of the subject, and nobody else.

use roadstead::cli::{self, TrustOptions};
use serde_json::Value;

use crate::support::runner::Runner;

fn trust_options() -> TrustOptions {
    TrustOptions {
        repository: "acme/shop".into(),
        account: "111111111111".into(),
        partition: "aws".into(),
        ..TrustOptions::default()
    }
}

fn options_with_ids() -> TrustOptions {
    TrustOptions { owner_id: Some(71), repository_id: Some(1_296_269), ..trust_options() }
}

/// The subjects of the policy.
fn subjects(options: &TrustOptions) -> Vec<String> {
    let policy: Value = serde_json::from_str(&cli::trust::trust_policy(options).unwrap()).unwrap();
    let equals = &policy["Statement"][0]["Condition"]["StringEquals"];
    let all = equals["token.actions.githubusercontent.com:sub"].as_array().unwrap();
    all.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// Whether a job is let in by a role that trusts these subjects: the emulator issues its token by GitHub's rules.
fn is_let_in(subjects: &[String], workflow: &str) -> bool {
    let trust = serde_json::to_string(subjects).unwrap();
    let step = Runner::custom(&format!("trust: {{ subjects: {trust} }}\nworkflow: {workflow}\n")).run_main();
    assert!(step.exit_code == 0 || step.output("outcome") == "invalid", "{:#?}", step.lines);
    step.exit_code == 0
}

#[test]
fn job_is_allowed_by_environment_in_both_subject_forms() {
    let trusted = subjects(&TrustOptions { environment: vec!["production".into()], ..options_with_ids() });
    assert_eq!(
        trusted,
        ["repo:acme/shop:environment:production", "repo:acme@71/shop@1296269:environment:production"]
    );
    for (workflow, expected) in [
        ("{ environment: production }", true),
        ("{ environment: production, numbers: { owner: 71, repository: 1296269 } }", true),
        // Somebody else who took the name over.
        ("{ environment: production, numbers: { owner: 72, repository: 1296269 } }", false),
        ("{ environment: staging }", false),
        ("{}", false),
        ("{ repository: acme/other, environment: production }", false),
        ("{ repository: Acme/shop, environment: production }", false),
    ] {
        assert_eq!(is_let_in(&trusted, workflow), expected, "{workflow}");
    }
}

#[test]
fn job_without_environment_is_allowed_by_branch() {
    let trusted = subjects(&TrustOptions { branch: vec!["main".into()], ..trust_options() });
    assert_eq!(trusted, ["repo:acme/shop:ref:refs/heads/main"]);
    assert!(is_let_in(&trusted, "{}"));
    assert!(!is_let_in(&trusted, "{ reference: refs/heads/develop }"));
    assert!(
        !is_let_in(&trusted, "{ environment: production }"),
        "the environment is in the subject, not the branch"
    );
}

#[test]
fn a_colon_in_a_name_is_written_as_github_writes_it() {
    let trusted = subjects(&TrustOptions { environment: vec!["prod:eu".into()], ..trust_options() });
    assert_eq!(trusted, ["repo:acme/shop:environment:prod%3Aeu"]);
    assert!(is_let_in(&trusted, "{ environment: \"prod:eu\" }"));
}

#[test]
fn several_jobs_and_pull_requests_can_be_named() {
    let all = TrustOptions {
        environment: vec!["a".into(), "b".into()],
        branch: vec!["main".into()],
        pull_requests: true,
        ..trust_options()
    };
    let ends = ["environment:a", "environment:b", "ref:refs/heads/main", "pull_request"];
    assert_eq!(subjects(&all), ends.map(|end| format!("repo:acme/shop:{end}")));
}

#[test]
fn the_policy_names_provider_and_audience() {
    let options = TrustOptions { partition: "aws-cn".into(), branch: vec!["main".into()], ..trust_options() };
    insta::assert_snapshot!(cli::trust::trust_policy(&options).unwrap(), @r#"
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Sid": "Workflow",
              "Effect": "Allow",
              "Principal": {
                "Federated": "arn:aws-cn:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"
              },
              "Action": "sts:AssumeRoleWithWebIdentity",
              "Condition": {
                "StringEquals": {
                  "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                  "token.actions.githubusercontent.com:sub": [
                    "repo:acme/shop:ref:refs/heads/main"
                  ]
                }
              }
            }
          ]
        }
    "#);
}

#[test]
fn invalid_trust_options_are_all_reported() {
    let options = TrustOptions {
        repository: "acme".into(),
        account: "1111".into(),
        partition: "aws-us".into(),
        environment: vec!["prod*".into(), "${aws:username}".into(), String::new()],
        branch: vec!["release/*".into(), "a${b}".into()],
        ..TrustOptions::default()
    };
    let problems = cli::trust::trust_policy(&options).unwrap_err();
    let problem_text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(problem_text, @r#"
        The option --repository is not valid. (`acme` is not owner/name)
        The option --account is not valid. (`1111` is not 12 digits)
        The option --partition is not valid. (`aws-us` is not a partition of AWS)
        The option --environment is not valid. (`prod*` is empty, or contains characters that are special to IAM or GitHub)
        The option --environment is not valid. (`${aws:username}` is empty, or contains characters that are special to IAM or GitHub)
        The option --environment is not valid. (`` is empty, or contains characters that are special to IAM or GitHub)
        The option --branch is not valid. (`release/*` cannot be the name of a branch) To trust a pattern of branches, use an `environment:` of the job with a branch policy.
        The option --branch is not valid. (`a${b}` contains a character that is special to IAM) To trust a pattern of branches, use an `environment:` of the job with a branch policy.
    "#);
}

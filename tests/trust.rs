//! The trust policy that is printed: it lets in the jobs that it names, in both forms of the subject, and nobody else.

use roadstead::cli::{self, TrustOptions};
use serde_json::Value;

use crate::support::runner::Runner;

fn options() -> TrustOptions {
    TrustOptions {
        repository: "acme/shop".into(),
        account: "111111111111".into(),
        partition: "aws".into(),
        ..TrustOptions::default()
    }
}

fn numbered() -> TrustOptions {
    TrustOptions { owner_id: Some(71), repository_id: Some(1_296_269), ..options() }
}

/// The subjects of the policy.
fn subjects(options: &TrustOptions) -> Vec<String> {
    let policy: Value = serde_json::from_str(&cli::trust::trust(options).unwrap()).unwrap();
    let equals = &policy["Statement"][0]["Condition"]["StringEquals"];
    let all = equals["token.actions.githubusercontent.com:sub"].as_array().unwrap();
    all.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// Whether a job is let in by a role that trusts these subjects: the embedded cloud issues its token by GitHub's rules.
fn let_in(subjects: &[String], workflow: &str) -> bool {
    let trust = serde_json::to_string(subjects).unwrap();
    let step = Runner::told(&format!("trust: {{ subjects: {trust} }}\nworkflow: {workflow}\n")).main();
    assert!(step.code == 0 || step.output("outcome") == "invalid", "{:#?}", step.lines);
    step.code == 0
}

#[test]
fn a_job_gets_in_by_its_environment_in_both_forms() {
    let trusted = subjects(&TrustOptions { environment: vec!["production".into()], ..numbered() });
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
        assert_eq!(let_in(&trusted, workflow), expected, "{workflow}");
    }
}

#[test]
fn a_job_without_an_environment_gets_in_by_its_branch() {
    let trusted = subjects(&TrustOptions { branch: vec!["main".into()], ..options() });
    assert_eq!(trusted, ["repo:acme/shop:ref:refs/heads/main"]);
    assert!(let_in(&trusted, "{}"));
    assert!(!let_in(&trusted, "{ reference: refs/heads/develop }"));
    assert!(
        !let_in(&trusted, "{ environment: production }"),
        "the environment is in the subject, not the branch"
    );
}

#[test]
fn a_colon_in_a_name_is_written_as_github_writes_it() {
    let trusted = subjects(&TrustOptions { environment: vec!["prod:eu".into()], ..options() });
    assert_eq!(trusted, ["repo:acme/shop:environment:prod%3Aeu"]);
    assert!(let_in(&trusted, "{ environment: \"prod:eu\" }"));
}

#[test]
fn several_jobs_and_pull_requests_can_be_named() {
    let all = TrustOptions {
        environment: vec!["a".into(), "b".into()],
        branch: vec!["main".into()],
        pull_requests: true,
        ..options()
    };
    let ends = ["environment:a", "environment:b", "ref:refs/heads/main", "pull_request"];
    assert_eq!(subjects(&all), ends.map(|end| format!("repo:acme/shop:{end}")));
}

#[test]
fn the_policy_names_provider_and_audience() {
    let options = TrustOptions { partition: "aws-cn".into(), branch: vec!["main".into()], ..options() };
    insta::assert_snapshot!(cli::trust::trust(&options).unwrap(), @r#"
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
fn what_cannot_be_meant_is_refused_all_at_once() {
    let options = TrustOptions {
        repository: "acme".into(),
        account: "1111".into(),
        partition: "aws-us".into(),
        environment: vec!["prod*".into(), "${aws:username}".into(), String::new()],
        branch: vec!["release/*".into(), "a${b}".into()],
        ..TrustOptions::default()
    };
    let problems = cli::trust::trust(&options).unwrap_err();
    let told = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(told, @r#"
        The option --repository cannot be read. (`acme` is not owner/name)
        The option --account cannot be read. (`1111` is not 12 digits)
        The option --partition cannot be read. (`aws-us` is none of AWS's)
        The option --environment cannot be read. (`prod*` is empty, or has characters that IAM or GitHub give a meaning)
        The option --environment cannot be read. (`${aws:username}` is empty, or has characters that IAM or GitHub give a meaning)
        The option --environment cannot be read. (`` is empty, or has characters that IAM or GitHub give a meaning)
        The option --branch cannot be read. (`release/*` cannot be the name of a branch) A pattern of branches is better given by an `environment:` of the job, which says which branches may use it.
        The option --branch cannot be read. (`a${b}` has a character that IAM gives a meaning) A pattern of branches is better given by an `environment:` of the job, which says which branches may use it.
    "#);
}

//! Reports of finished runs, for the tests of every sink.

use std::time::Duration;

use jiff::Timestamp;

use super::run_report::{CommitLine, RunReport, ServiceReport};
use crate::problem::{Code, Problem};
use crate::release::{Change, Changes, Digest, Failure, LogLine, Outcome, Version};

pub(super) const OLD_COMMIT: &str = "badcafe000000000000000000000000000000000";
pub(super) const NEW_COMMIT: &str = "c0ffee1000000000000000000000000000000000";

pub(super) fn sample_time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_262_620 + seconds).unwrap()
}

pub(super) fn version(name: &str, number: u32) -> Version {
    Version { id: format!("arn:{name}:{number}"), label: format!("{name}:{number}") }
}

pub(super) fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
}

/// A run of one service, `backend`, with this outcome.
pub(super) fn sample_report(outcome: Outcome) -> RunReport {
    let mut report = RunReport::new(outcome, "deploy", sample_time(0));
    report.finished = sample_time(72);
    report.environment = Some("production".into());
    report.run_url = Some("https://github.com/acme/app/actions/runs/12/attempts/1".into());
    report.commit = Some(NEW_COMMIT.into());
    report.server_url = Some("https://github.com".into());
    report.repository = Some("acme/app".into());
    report.services.push(sample_service("backend", outcome));
    match outcome {
        Outcome::RolledBack => report.operation = "rollback".into(),
        Outcome::Verified => report.operation = "verify".into(),
        Outcome::Planned => report.operation = "plan".into(),
        Outcome::Skipped => report.reason = Some("no environment has a branch `docs`".into()),
        Outcome::Invalid => report.problems = sample_problems(),
        _ => {}
    }
    report
}

/// One service with this outcome.
pub(super) fn sample_service(name: &str, outcome: Outcome) -> ServiceReport {
    let (old, new) = (version(name, 41), version(name, 42));
    let mut service = ServiceReport::new(name, outcome);
    service.target = format!("ecs acme-production/{name}");
    service.strategy = "rolling".into();
    service.previous_version = Some(old.clone());
    service.previous_commit = Some(OLD_COMMIT.into());
    service.commit = Some(NEW_COMMIT.into());
    service.image = Some("registry.example/acme/app:sha-c0ffee1".parse().unwrap());
    service.digest = Some(digest('9'));
    service.elapsed = Duration::from_secs(72);
    service.changes = Changes(vec![change("image", Some("acme/app:1"), Some("acme/app:2"))]);
    match outcome {
        Outcome::Deployed => set_serving(
            &mut service,
            new.clone(),
            '9',
            "service deployment SUCCESSFUL, 4 of 4 targets healthy",
        ),
        Outcome::Unchanged => set_serving(&mut service, old, '7', "same definition and digest"),
        Outcome::Superseded => {
            set_serving(&mut service, version(name, 43), '5', "a newer service deployment is SUCCESSFUL")
        }
        Outcome::Committed => set_handed_off(
            &mut service,
            "committed to acme/manifests as 3f2a9c1; its rollout was not watched",
        ),
        Outcome::Proposed => set_handed_off(
            &mut service,
            "proposed as pull request #12: https://github.com/acme/manifests/pull/12",
        ),
        Outcome::Stranded => service.evidence = "no answer since 12:04:30".into(),
        _ => set_serving(&mut service, old, '7', "rolled back, 4 of 4 targets healthy on the old digest"),
    }
    match outcome {
        Outcome::Unchanged | Outcome::Verified => service.changes = Changes::default(),
        Outcome::Planned => service.expected_duration = Some(Duration::from_secs(19 * 60)),
        _ => {}
    }
    if !matches!(outcome, Outcome::Planned | Outcome::Invalid | Outcome::Skipped | Outcome::Unchanged) {
        service.version = Some(new);
    }
    if matches!(outcome, Outcome::Failed | Outcome::Stranded) {
        service.failure = Some(failure());
    }
    service
}

fn set_handed_off(service: &mut ServiceReport, evidence: &str) {
    service.evidence = evidence.into();
}

fn set_serving(service: &mut ServiceReport, version: Version, letter: char, evidence: &str) {
    service.serving_version = Some(version);
    service.serving_digest = Some(digest(letter));
    service.evidence = evidence.into();
}

pub(super) fn change(field: &str, from: Option<&str>, to: Option<&str>) -> Change {
    Change::shown(field, from.map(str::to_owned), to.map(str::to_owned))
}

/// A container that exits by itself.
pub(super) fn failure() -> Failure {
    let line = |second: i64, text: &str| LogLine {
        at_ms: sample_time(31 + second).as_millisecond(),
        text: text.into(),
    };
    Failure {
        problem: Problem::error(Code::ContainerExited, "The container `app` exits by itself, twice in 18 s.")
            .cause("EssentialContainerExited: Essential container in task exited")
            .help("Its last lines say why. Fix it and run the job again; nothing else is needed.")
            .for_service("backend"),
        exit_code: Some(3),
        logs: vec![
            line(0, "connecting to db.internal:5432"),
            line(0, "FATAL: password authentication failed for user \"app\""),
        ],
        permanent: true,
    }
}

/// Two errors and a warning in the user's files.
pub(super) fn sample_problems() -> Vec<Problem> {
    vec![
        Problem::error(Code::ConfigInvalid, "There is no key `strateggy` here.")
            .help("Did you mean `strategy`?")
            .at_location(".github/roadstead.yml", 12, 5),
        Problem::error(Code::ClusterMissing, "There is no cluster `acme-production`.")
            .cause("ClusterNotFoundException: Cluster not found.")
            .for_service("backend"),
        Problem::warning(Code::SecretInPlainText, "`API_TOKEN` looks like a secret in plain `environment`.")
            .help("Use `secrets`.")
            .at_location("deploy/backend.json", 31, 9)
            .for_service("backend"),
    ]
}

pub(super) fn commit_line(sha: &str, subject: &str, author: &str) -> CommitLine {
    CommitLine { sha: sha.into(), subject: subject.into(), author: author.into() }
}

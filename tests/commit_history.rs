//! The commits between what served before and what was released: read from the tags of the images, shown in the
//! summary, and never a reason for another result.

use std::rc::Rc;

use async_trait::async_trait;
use roadstead::github::{CommitHistory, CommitSummary, ComparedCommits};
use roadstead::problem::{Code, Problem};

use crate::support::runner::{Runner, SHA};

/// The image that serves before is of one commit, and of a second one that changed nothing in it.
const TAGGED_IMAGE: &str =
    "repositories: { backend: { images: [{ tags: [v1, main, sha-beef123, sha-abcdef0] }] } }\n";

/// Knows 25 commits since `beef123` and two since `abcdef0`.
struct KnownCommits;

#[async_trait(?Send)]
impl CommitHistory for KnownCommits {
    async fn commits_between(
        &self,
        repository: &str,
        from: &str,
        to: &str,
    ) -> Result<ComparedCommits, Problem> {
        assert_eq!((repository, to), ("acme/shop", SHA));
        let commit = |n: usize| CommitSummary {
            sha: format!("{n:040x}"),
            subject: format!("Change {n} <b>[x](https://evil.example)"),
            author: "ann".into(),
        };
        match from {
            "beef123" => Ok(ComparedCommits { commits: (0..20).map(commit).collect(), total: 25 }),
            "abcdef0" => Ok(ComparedCommits { commits: (0..2).map(commit).collect(), total: 2 }),
            other => panic!("asked from {other}"),
        }
    }
}

/// Does not answer.
struct HangingCommits;

#[async_trait(?Send)]
impl CommitHistory for HangingCommits {
    async fn commits_between(&self, _: &str, _: &str, _: &str) -> Result<ComparedCommits, Problem> {
        std::future::pending().await
    }
}

/// Has an error to tell.
struct FailingCommits;

#[async_trait(?Send)]
impl CommitHistory for FailingCommits {
    async fn commits_between(&self, _: &str, _: &str, _: &str) -> Result<ComparedCommits, Problem> {
        Err(Problem::notice(Code::HistoryUnknown, "The commits could not be read.")
            .cause("GitHub responded with 404"))
    }
}

fn runner_with_commits(scenario: &str, commits: fn() -> Option<Rc<dyn CommitHistory>>) -> Runner {
    let mut runner = Runner::custom(scenario);
    runner.commits = commits;
    runner
}

fn known_commits() -> Option<Rc<dyn CommitHistory>> {
    Some(Rc::new(KnownCommits))
}

#[test]
fn summary_lists_commits_between_versions() {
    let step = runner_with_commits(TAGGED_IMAGE, known_commits).run_main();
    assert_eq!((step.exit_code, step.count_calls("DescribeImages")), (0, 1));
    let text = step.stable_summary();
    let section = text.split("<details>").find(|part| part.contains("commits since")).unwrap();
    insta::assert_snapshot!(section.trim(), @r"
    <summary>backend: 2 commits since abcdef0</summary>

    - [`0000000`](https://github.com/acme/shop/commit/…) Change 0 &lt;b&gt;\[x\](https:&#8203;//evil.example) — ann
    - [`0000000`](https://github.com/acme/shop/commit/…) Change 1 &lt;b&gt;\[x\](https:&#8203;//evil.example) — ann
    - [all changes](https://github.com/acme/shop/compare/abcdef0...0123456789abcdef0123456789abcdef01234567)

    </details>

    <sub>Roadstead deploy · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC · … s</sub>
    ");
}

#[test]
fn failed_version_lists_its_commits() {
    let crash = format!("{TAGGED_IMAGE}faults: [crash-on-start: {{ exit-code: 1, after: 2 }}]");
    let step = runner_with_commits(&crash, known_commits).run_main();
    assert_eq!(step.exit_code, 3);
    assert!(step.summary.contains("2 commits since abcdef0"), "{}", step.summary);
}

#[test]
fn named_image_commit_comes_from_its_tag() {
    let images = "images: [{ tags: [v1, sha-beef123] }, { tags: [v2, sha-0123456789abcdef0123456789abcdef01234567], platform: linux/amd64 }]";
    let image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v2";
    let scenario = format!("repositories: {{ backend: {{ {images} }} }}");
    let step = runner_with_commits(&scenario, known_commits)
        .with_variable("INPUT_IMAGE", image)
        .with_variable("GITHUB_SHA", &"9".repeat(40))
        .run_main();
    assert_eq!((step.exit_code, step.count_calls("DescribeImages")), (0, 2));
    assert!(step.summary.contains("25 commits since beef123"), "{}", step.summary);
}

#[test]
fn commits_are_not_read_when_nothing_was_released() {
    let step = runner_with_commits(TAGGED_IMAGE, || None).run_main();
    assert_eq!((step.exit_code, step.count_calls("DescribeImages")), (0, 0), "without a token");
    let plan =
        runner_with_commits(TAGGED_IMAGE, known_commits).with_variable("INPUT_OPERATION", "plan").run_main();
    assert_eq!((plan.exit_code, plan.count_calls("DescribeImages")), (0, 0), "a plan");
    let untagged = runner_with_commits("start: 2026-03-02T09:00:00Z", known_commits).run_main();
    assert_eq!(
        (untagged.exit_code, untagged.count_calls("DescribeImages")),
        (0, 1),
        "an image without a commit"
    );
    assert!(!untagged.summary.contains("commits"), "{}", untagged.summary);
}

#[test]
fn unreadable_history_is_a_notice() {
    let step = runner_with_commits(TAGGED_IMAGE, || Some(Rc::new(FailingCommits))).run_main();
    assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"));
    let notice = "::notice title=backend%3A history unknown::The commits could not be read.%0AGitHub responded with 404";
    assert_eq!(step.annotation_lines(), notice);
    let denied = format!("{TAGGED_IMAGE}policy: {{ deny: [\"ecr:DescribeImages\"] }}");
    let step = runner_with_commits(&denied, known_commits).run_main();
    assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"));
    assert!(step.summary.contains("ecr:DescribeImages"), "{}", step.summary);
}

#[test]
fn history_read_is_bounded_in_time() {
    let begin = |step: &crate::support::runner::StepResult| step.calls[0].at;
    let answered = runner_with_commits(TAGGED_IMAGE, known_commits).run_main();
    let silent = runner_with_commits(TAGGED_IMAGE, || Some(Rc::new(HangingCommits))).run_main();
    assert_eq!((silent.exit_code, silent.output("outcome")), (0, "deployed"));
    assert_eq!(begin(&answered), begin(&silent));
    let (quick, slow) = (answered.elapsed, silent.elapsed);
    assert!(slow - quick < std::time::Duration::from_secs(7), "{quick:?} {slow:?}");
}

//! The commits between what served before and what was released: learnt from the tags of the images, told in the
//! summary, and never a reason for another result.

use std::rc::Rc;

use async_trait::async_trait;
use roadstead::github::{Commit, Commits, History};
use roadstead::problem::{Code, Problem};

use crate::support::runner::{Runner, SHA};

/// The image that serves before is of one commit, and of a second one that changed nothing in it.
const TAGGED: &str =
    "repositories: { backend: { images: [{ tags: [v1, main, sha-beef123, sha-abcdef0] }] } }\n";

/// Knows 25 commits since `beef123` and two since `abcdef0`.
struct Known;

#[async_trait(?Send)]
impl Commits for Known {
    async fn between(&self, repository: &str, from: &str, to: &str) -> Result<History, Problem> {
        assert_eq!((repository, to), ("acme/shop", SHA));
        let commit = |n: usize| Commit {
            sha: format!("{n:040x}"),
            subject: format!("Change {n} <b>[x](https://evil.example)"),
            author: "ann".into(),
        };
        match from {
            "beef123" => Ok(History { commits: (0..20).map(commit).collect(), total: 25 }),
            "abcdef0" => Ok(History { commits: (0..2).map(commit).collect(), total: 2 }),
            other => panic!("asked from {other}"),
        }
    }
}

/// Does not answer.
struct Silent;

#[async_trait(?Send)]
impl Commits for Silent {
    async fn between(&self, _: &str, _: &str, _: &str) -> Result<History, Problem> {
        std::future::pending().await
    }
}

/// Has an error to tell.
struct Failing;

#[async_trait(?Send)]
impl Commits for Failing {
    async fn between(&self, _: &str, _: &str, _: &str) -> Result<History, Problem> {
        Err(Problem::notice(Code::HistoryUnknown, "The commits could not be read.")
            .cause("GitHub answered 404"))
    }
}

fn runner(scenario: &str, commits: fn() -> Option<Rc<dyn Commits>>) -> Runner {
    let mut runner = Runner::told(scenario);
    runner.commits = commits;
    runner
}

fn known() -> Option<Rc<dyn Commits>> {
    Some(Rc::new(Known))
}

#[test]
fn the_summary_lists_what_lies_between() {
    let step = runner(TAGGED, known).main();
    assert_eq!((step.code, step.times("DescribeImages")), (0, 1));
    let text = step.steady();
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
fn a_version_that_failed_has_its_commits_too() {
    let crash = format!("{TAGGED}faults: [crash-on-start: {{ exit-code: 1, after: 2 }}]");
    let step = runner(&crash, known).main();
    assert_eq!(step.code, 3);
    assert!(step.summary.contains("2 commits since abcdef0"), "{}", step.summary);
}

#[test]
fn a_named_image_is_of_the_commit_that_its_own_tag_says() {
    let images = "images: [{ tags: [v1, sha-beef123] }, { tags: [v2, sha-0123456789abcdef0123456789abcdef01234567], platform: linux/amd64 }]";
    let image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v2";
    let scenario = format!("repositories: {{ backend: {{ {images} }} }}");
    let step = runner(&scenario, known).with("INPUT_IMAGE", image).with("GITHUB_SHA", &"9".repeat(40)).main();
    assert_eq!((step.code, step.times("DescribeImages")), (0, 2));
    assert!(step.summary.contains("25 commits since beef123"), "{}", step.summary);
}

#[test]
fn nobody_is_asked_where_nothing_was_released() {
    let step = runner(TAGGED, || None).main();
    assert_eq!((step.code, step.times("DescribeImages")), (0, 0), "without a token");
    let plan = runner(TAGGED, known).with("INPUT_OPERATION", "plan").main();
    assert_eq!((plan.code, plan.times("DescribeImages")), (0, 0), "a plan");
    let untagged = runner("start: 2026-03-02T09:00:00Z", known).main();
    assert_eq!((untagged.code, untagged.times("DescribeImages")), (0, 1), "an image without a commit");
    assert!(!untagged.summary.contains("commits"), "{}", untagged.summary);
}

#[test]
fn what_cannot_be_learnt_is_a_notice_and_nothing_else() {
    let step = runner(TAGGED, || Some(Rc::new(Failing))).main();
    assert_eq!((step.code, step.output("outcome")), (0, "deployed"));
    let notice =
        "::notice title=backend%3A history unknown::The commits could not be read.%0AGitHub answered 404";
    assert_eq!(step.annotated(), notice);
    let denied = format!("{TAGGED}policy: {{ deny: [\"ecr:DescribeImages\"] }}");
    let step = runner(&denied, known).main();
    assert_eq!((step.code, step.output("outcome")), (0, "deployed"));
    assert!(step.summary.contains("ecr:DescribeImages"), "{}", step.summary);
}

#[test]
fn nobody_waits_long_for_the_past() {
    let begin = |step: &crate::support::runner::Step| step.calls[0].at;
    let answered = runner(TAGGED, known).main();
    let silent = runner(TAGGED, || Some(Rc::new(Silent))).main();
    assert_eq!((silent.code, silent.output("outcome")), (0, "deployed"));
    assert_eq!(begin(&answered), begin(&silent));
    let (quick, slow) = (answered.took, silent.took);
    assert!(slow - quick < std::time::Duration::from_secs(7), "{quick:?} {slow:?}");
}

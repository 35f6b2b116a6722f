//! Plans of pull requests as people see them at GitHub: a check at the commit, one comment, nothing twice; and
//! events that
//! release nothing. Whole steps of the action; every request is judged by GitHub's own description.

use std::collections::BTreeSet;
use std::fs;

use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::github::check_runs::GitHubCheckRun;
use serde_json::json;

use crate::support::github::request_violations;
use crate::support::run_in_virtual_time;
use crate::support::runner::{CONFIG, Runner, SHA, StepResult};

/// A service with a definition of its own, and pull request 7 with its commit.
pub(crate) const SCENARIO: &str = r#"
repositories: { backend: { images: [{ tags: [v1] }] } }
services:
  - cluster: acme
    name: backend
    container: app
    task-definition:
      family: backend
      requiresCompatibilities: [FARGATE]
      networkMode: awsvpc
      cpu: "256"
      memory: "512"
      executionRoleArn: "arn:aws:iam::111111111111:role/execution"
      containerDefinitions:
        - name: app
          image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1
          essential: true
          portMappings: [{ containerPort: 8080 }]
          environment: [{ name: LOG_LEVEL, value: private-1 }, { name: OLD, value: private-2 }]
github:
  repositories:
    - name: acme/shop
      private: true
      issues: [7]
      history: [{ id: "0123456789abcdef0123456789abcdef01234567", branch: topic, files: { a.txt: "a" } }]
"#;

/// The definition that the pull request would bring.
fn definition(memory: &str, environment: &[(&str, &str)]) -> String {
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let definition = json!({
        "family": "backend", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256",
        "memory": memory, "executionRoleArn": "arn:aws:iam::111111111111:role/execution",
        "containerDefinitions": [{
            "name": "app", "image": "replaced", "essential": true, "portMappings": [{ "containerPort": 8080 }],
            "environment": environment,
        }],
    });
    serde_json::to_string_pretty(&definition).unwrap()
}

const NEW_ENVIRONMENT: [(&str, &str); 3] =
    [("LOG_LEVEL", "private-3"), ("NEW_FLAG", "private-4"), ("API_TOKEN", "private-5")];

fn config() -> String {
    let block = "container: app, task-definition: deploy/backend.json }";
    CONFIG.replace("container: app }", block) + "    strategy: { rolling: { bake: 3m } }\n"
}

/// What GitHub tells of a pull request of the repository with the id `head` into `main` of the one with id 1.
pub(crate) fn pull_request_event(head: u64, action: &str) -> String {
    let event = json!({ "action": action, "pull_request": {
        "number": 7, "head": { "sha": SHA, "ref": "topic", "repo": { "id": head } },
        "base": { "ref": "main", "repo": { "id": 1 } },
    } });
    event.to_string()
}

pub(crate) fn pull_request_runner(world: &str) -> Runner {
    Runner::custom(world)
        .with_variable("GITHUB_EVENT_NAME", "pull_request")
        .with_variable("GITHUB_REF", "refs/pull/7/merge")
        .with_variable("GITHUB_REF_NAME", "7/merge")
        .with_variable("GITHUB_HEAD_REF", "topic")
        .with_variable("GITHUB_BASE_REF", "main")
        .with_variable("GITHUB_SHA", &"7e57".repeat(10))
        .with_file("event.json", &pull_request_event(1, "opened"))
        .with_file("workspace/.github/roadstead.yml", &config())
        .with_file("workspace/deploy/backend.json", &definition("1024", &NEW_ENVIRONMENT))
}

/// What a run left at GitHub.
pub(crate) struct PullRequestResult {
    pub(crate) step: StepResult,
    pub(crate) comments: Vec<(String, String)>,
    pub(crate) checks: Vec<GitHubCheckRun>,
}

impl PullRequestResult {
    fn collect(step: StepResult, cloud: &Cloud) -> Self {
        assert_eq!(request_violations(&step.calls), Vec::<String>::new());
        let (comments, checks) = cloud.read(|world| {
            let it = &world.github.repositories["acme/shop"];
            let comments = it.comments.iter().map(|one| (one.author.clone(), one.body.clone())).collect();
            (comments, it.check_runs.clone())
        });
        Self { step, comments, checks }
    }

    /// The calls to GitHub that wrote.
    pub(crate) fn github_writes(&self) -> Vec<&str> {
        let ours = self.step.calls.iter().filter(|call| call.service == "github" && call.is_mutating);
        ours.map(|call| call.operation.as_str()).collect()
    }

    pub(crate) fn calls_github(&self) -> bool {
        self.step.calls.iter().any(|call| call.service == "github")
    }
}

pub(crate) fn run_step(runner: &Runner) -> PullRequestResult {
    run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let step = runner.run_main_on(&cloud, clock).await;
        PullRequestResult::collect(step, &cloud)
    })
}

/// Two runs on one world; in between `change`.
fn run_twice(
    runner: Runner,
    change: impl FnOnce(Runner) -> Runner,
) -> (PullRequestResult, PullRequestResult) {
    run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let first = PullRequestResult::collect(runner.run_main_on(&cloud, clock).await, &cloud);
        fs::remove_file(runner.path("summary")).unwrap();
        let runner = change(runner);
        let mut second = PullRequestResult::collect(runner.run_main_on(&cloud, clock).await, &cloud);
        second.step.calls.drain(..first.step.calls.len());
        (first, second)
    })
}

fn check_text(check: &GitHubCheckRun) -> String {
    let annotation = |it: &serde_json::Value| {
        let text = |name: &str| it[name].as_str().unwrap_or_default().replace('\n', " / ");
        let place = format!("{}:{}", text("path"), it["start_line"]);
        format!("{} {place} {}: {}", text("annotation_level"), text("title"), text("message"))
    };
    let (title, end) = (check.title.clone().unwrap(), check.conclusion.clone().unwrap_or_default());
    let mut lines = vec![format!("{} on {} is {} {end}", check.name, &check.sha[..7], check.status), title];
    lines.extend(check.annotations.iter().map(annotation));
    lines.join("\n")
}

/// How many annotations there are, none of them twice.
fn count_annotations(check: &GitHubCheckRun) -> usize {
    let all: BTreeSet<String> = check.annotations.iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), check.annotations.len(), "an annotation is there twice");
    all.len()
}

#[test]
fn a_pull_request_has_its_plan_as_a_check_and_a_comment() {
    let left = run_step(&pull_request_runner(SCENARIO));
    assert_eq!((left.step.exit_code, left.step.output("outcome")), (0, "planned"), "{:#?}", left.step.lines);
    assert_eq!(left.github_writes(), ["checks/create", "issues/create-comment"]);
    let (author, body) = &left.comments[0];
    assert_eq!((left.comments.len(), author.as_str()), (1, "github-actions[bot]"));
    let head =
        "<!-- roadstead:plan:.github/roadstead.yml -->\n### Roadstead plan · production · if merged now\n\n";
    assert!(body.starts_with(&format!("{head}📋 production: `backend` would get ")), "{body}");
    let row = "→ built from `0123456`; env +`API_TOKEN`, ~`LOG_LEVEL`, +`NEW_FLAG`, −`OLD`; memory `512` → `1024` | ";
    assert!(body.contains("| image `") && body.contains(row) && body.contains(" | ≈ 3 min |"), "{body}");
    assert!(body.contains("#secret-in-plain-text) · `backend` · [`deploy/backend.json:"), "{body}");
    let check = check_text(&left.checks[0]);
    assert!(check.starts_with("roadstead / plan on 0123456 is completed success\n"), "{check}");
    assert!(check.contains("\nwarning deploy/backend.json:"), "{check}");
    assert!(check.contains("\nnotice .github/roadstead.yml:5 backend: would change: "), "{check}");
    let names = "environment API_TOKEN: added (value hidden) / environment LOG_LEVEL: changed (value hidden) / environment NEW_FLAG: added (value hidden) / environment OLD: removed (value hidden) / ";
    assert!(check.contains(names), "{check}");
    let check = &left.checks[0];
    let summary = check.summary.clone().unwrap();
    assert_eq!(body.split_once('\n').unwrap().1.trim_end(), summary.trim_end());
    assert_eq!(check.details_url.as_deref(), Some("https://github.com/acme/shop/actions/runs/7/attempts/1"));
    for text in [body, &check_text(check)] {
        assert!(!text.contains("private-"), "{text}");
    }
}

#[test]
fn same_plan_updates_nothing_and_new_plan_replaces_it() {
    let (first, again) =
        run_twice(pull_request_runner(SCENARIO), |runner| runner.with_variable("GITHUB_RUN_ATTEMPT", "2"));
    assert_eq!(first.github_writes().len(), 2);
    assert_eq!(again.github_writes(), Vec::<&str>::new());
    let smaller = |runner: Runner| {
        runner.with_file("workspace/deploy/backend.json", &definition("2048", &NEW_ENVIRONMENT))
    };
    let (_, other) = run_twice(pull_request_runner(SCENARIO), smaller);
    assert_eq!(other.github_writes(), ["checks/create", "issues/update-comment"]);
    assert_eq!(other.comments.len(), 1);
    assert!(other.comments[0].1.contains("→ `2048`"), "{}", other.comments[0].1);
}

#[test]
fn emptied_plan_is_reported() {
    let same = [("LOG_LEVEL", "private-1"), ("OLD", "private-2")];
    let image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1";
    // Without a repository nothing is built, and the image is the one of the file.
    let (_, empty) = run_twice(pull_request_runner(SCENARIO), |runner| {
        let file = definition("512", &same).replace("replaced", image);
        let runner = runner.with_file("workspace/deploy/backend.json", &file);
        runner
            .with_file("workspace/.github/roadstead.yml", &config().replace("    repository: backend\n", ""))
    });
    assert_eq!(empty.comments.len(), 1);
    assert!(empty.comments[0].1.contains("| no changes | – | – |"), "{}", empty.comments[0].1);
}

#[test]
fn failed_plan_fails_its_check() {
    let wrong = config().replace("strategy:", "strategie:");
    let left = run_step(&pull_request_runner(SCENARIO).with_file("workspace/.github/roadstead.yml", &wrong));
    assert_eq!((left.step.exit_code, left.step.output("outcome")), (2, "invalid"));
    let check = check_text(&left.checks[0]);
    assert!(check.starts_with("roadstead / plan on 0123456 is completed failure\n"), "{check}");
    let finding = "\nfailure .github/roadstead.yml:8 backend: config invalid: `strategie` is not a key of service `backend`.";
    assert!(check.contains(finding), "{check}");
    assert!(
        left.comments[0].1.contains("nothing was changed — 1 problem to fix first"),
        "{}",
        left.comments[0].1
    );
}

#[test]
fn annotations_beyond_fifty_are_sent_in_batches() {
    let names: Vec<String> = (0..120).map(|n| format!("KEY_{n}_TOKEN")).collect();
    let all: Vec<(&str, &str)> =
        names.iter().map(|name| (name.as_str(), "private-0123456789abcdef")).collect();
    let left = run_step(
        &pull_request_runner(SCENARIO).with_file("workspace/deploy/backend.json", &definition("512", &all)),
    );
    assert_eq!(
        left.github_writes(),
        ["checks/create", "checks/update", "checks/update", "issues/create-comment"]
    );
    let check = &left.checks[0];
    assert_eq!((check.status.as_str(), count_annotations(check)), ("completed", 121));
    assert!(!left.comments[0].1.contains("private-"));
    let cut = format!("{SCENARIO}faults: [bad-gateway: {{ operation: checks/update, effect: true }}]");
    let left = run_step(
        &pull_request_runner(&cut).with_file("workspace/deploy/backend.json", &definition("512", &all)),
    );
    assert_eq!((left.checks.len(), count_annotations(&left.checks[0])), (1, 121), "nothing is there twice");
    assert_eq!(left.checks[0].conclusion.as_deref(), Some("success"));
}

#[test]
fn a_merge_queue_gets_a_check_and_no_comment() {
    let group = json!({ "action": "checks_requested", "merge_group": {
        "head_sha": SHA, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-c0ffee", "base_ref": "refs/heads/main",
    } });
    let runner = pull_request_runner(SCENARIO)
        .with_variable("GITHUB_EVENT_NAME", "merge_group")
        .with_variable("GITHUB_REF", "refs/heads/gh-readonly-queue/main/pr-7-c0ffee")
        .with_variable("GITHUB_HEAD_REF", "")
        .with_variable("GITHUB_BASE_REF", "")
        .with_variable("GITHUB_SHA", SHA)
        .with_file("event.json", &group.to_string());
    let left = run_step(&runner);
    assert_eq!((left.step.output("outcome"), left.step.output("environment")), ("planned", "production"));
    assert_eq!((left.checks.len(), left.comments.len()), (1, 0));
}

#[test]
fn a_pull_request_to_another_branch_has_a_neutral_check() {
    let docs = pull_request_event(1, "opened").replace("\"main\"", "\"docs\"");
    let left = run_step(
        &pull_request_runner(SCENARIO)
            .with_variable("GITHUB_BASE_REF", "docs")
            .with_file("event.json", &docs),
    );
    assert_eq!((left.step.output("outcome"), left.comments.len()), ("skipped", 0));
    assert_eq!(left.checks[0].conclusion.as_deref(), Some("neutral"));
    // One that was for `main` before is corrected.
    let moved =
        |runner: Runner| runner.with_variable("GITHUB_BASE_REF", "docs").with_file("event.json", &docs);
    let (_, second) = run_twice(pull_request_runner(SCENARIO), moved);
    assert_eq!(second.comments.len(), 1);
    assert!(
        second.comments[0].1.contains("no environment matches the branch `docs`"),
        "{}",
        second.comments[0].1
    );
}

#[test]
fn jobs_of_one_pull_request_do_not_take_each_others_place() {
    let (_, both) = run_twice(pull_request_runner(SCENARIO), |runner| {
        runner.with_variable("INPUT_ENVIRONMENT", "staging")
    });
    let names: Vec<&str> = both.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["roadstead / plan", "roadstead / plan (staging)"]);
    assert_eq!(both.comments.len(), 2);
}

#[test]
fn comment_of_a_person_is_left_alone() {
    let copied = "      comments: [{ issue: 7, author: eve, body: \"<!-- roadstead:plan:.github/roadstead.yml -->\" }]\n";
    let left = run_step(&pull_request_runner(&format!("{SCENARIO}{copied}")));
    assert_eq!((left.comments.len(), left.comments[0].0.as_str()), (2, "eve"));
    assert_eq!(left.github_writes(), ["checks/create", "issues/create-comment"]);
}

#[test]
fn hostile_names_are_escaped_in_the_comment() {
    let evil = "x|@acme/all <img src=x> [a](https://evil.example) --> #1";
    let event = pull_request_event(1, "opened").replace("topic", evil);
    let config = config().replace("backend:\n", &format!("\"{evil}\":\n"));
    let runner = pull_request_runner(SCENARIO)
        .with_variable("GITHUB_HEAD_REF", evil)
        .with_file("event.json", &event)
        .with_file("workspace/.github/roadstead.yml", &config);
    let left = run_step(&runner);
    let body = &left.comments[0].1;
    let outside: String = body.split('`').step_by(2).collect();
    for wrong in ["<img", "@acme", "](https://evil.example)"] {
        assert!(!outside.contains(wrong), "{wrong}: {body}");
    }
    assert_eq!(body.lines().filter(|line| line.starts_with("| ")).count(), 2, "{body}");
}

#[test]
fn push_writes_only_the_summary() {
    let left = run_step(&Runner::custom(SCENARIO).with_variable("INPUT_OPERATION", "plan"));
    assert_eq!((left.step.output("outcome"), left.checks.len(), left.comments.len()), ("planned", 0, 0));
    assert!(
        !left.github_writes().iter().any(|call| call.starts_with("checks") || call.starts_with("issues"))
    );
}

#[test]
fn event_without_release_reports_the_reason() {
    let push = || Runner::custom(SCENARIO);
    let gone = push().with_file("event.json", r#"{"ref": "refs/heads/topic", "deleted": true}"#);
    let tag = || push().with_variable("GITHUB_REF", "refs/tags/v1").with_variable("GITHUB_REF_TYPE", "tag");
    let run_of =
        |text: &str| push().with_variable("GITHUB_EVENT_NAME", "workflow_run").with_file("event.json", text);
    let failed = run_of(
        r#"{"workflow_run": {"conclusion": "failure", "event": "push", "head_repository": {"id": 1}}, "repository": {"id": 1}}"#,
    );
    let comment = push()
        .with_variable("GITHUB_EVENT_NAME", "issue_comment")
        .with_variable("INPUT_ENVIRONMENT", "production")
        .with_file("event.json", r#"{"issue": {"number": 7, "pull_request": {}}}"#);
    for (runner, why) in [
        (gone, "was deleted"),
        (tag(), "`v1` is a tag"),
        (failed, "ended as `failure`"),
        (comment, "code that is not merged is not released"),
    ] {
        let left = run_step(&runner);
        assert_eq!(
            (left.step.exit_code, left.step.output("outcome"), left.calls_github()),
            (0, "skipped", false),
            "{why}"
        );
        assert!(left.step.summary.contains(why), "{why}: {}", left.step.summary);
    }
    let named = run_step(&tag().with_variable("INPUT_ENVIRONMENT", "production"));
    assert_eq!(named.step.output("outcome"), "deployed");
}

#[test]
fn a_branch_of_two_environments_is_invalid_even_when_one_is_named() {
    let twice = CONFIG.replace("branches: [develop]", "branches: [develop, main]");
    let named = Runner::custom(SCENARIO)
        .with_file("workspace/.github/roadstead.yml", &twice)
        .with_variable("INPUT_ENVIRONMENT", "production");
    let left = run_step(&named);
    assert_eq!((left.step.exit_code, left.step.count_changes()), (2, 0));
    let refused = "::error title=branch ambiguous,file=.github/roadstead.yml,line=3,col=28::The branch `main` matches both `staging` and `production`.";
    assert!(left.step.annotation_lines().contains(refused), "{}", left.step.annotation_lines());
}

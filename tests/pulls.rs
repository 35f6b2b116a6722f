//! Plans of pull requests as people see them at GitHub: a check at the commit, one comment, nothing twice; and events that
//! release nothing. Whole steps of the action; every request is judged by GitHub's own description.

use std::collections::BTreeSet;
use std::fs;

use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::github::checks::Check;
use serde_json::json;

use crate::support::github::faults;
use crate::support::runner::{CONFIG, Runner, SHA, Step};
use crate::support::virtually;

/// A service with a definition of its own, and pull request 7 with its commit.
const WORLD: &str = r#"
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

const NEW: [(&str, &str); 3] =
    [("LOG_LEVEL", "private-3"), ("NEW_FLAG", "private-4"), ("API_TOKEN", "private-5")];

fn config() -> String {
    let block = "container: app, task-definition: deploy/backend.json }";
    CONFIG.replace("container: app }", block) + "    strategy: { rolling: { bake: 3m } }\n"
}

/// What GitHub tells of a pull request of the repository with the id `head` into `main` of the one with id 1.
fn event(head: u64, action: &str) -> String {
    let event = json!({ "action": action, "pull_request": {
        "number": 7, "head": { "sha": SHA, "ref": "topic", "repo": { "id": head } },
        "base": { "ref": "main", "repo": { "id": 1 } },
    } });
    event.to_string()
}

fn pull(world: &str) -> Runner {
    Runner::told(world)
        .with("GITHUB_EVENT_NAME", "pull_request")
        .with("GITHUB_REF", "refs/pull/7/merge")
        .with("GITHUB_REF_NAME", "7/merge")
        .with("GITHUB_HEAD_REF", "topic")
        .with("GITHUB_BASE_REF", "main")
        .with("GITHUB_SHA", &"7e57".repeat(10))
        .file("event.json", &event(1, "opened"))
        .file("workspace/.github/roadstead.yml", &config())
        .file("workspace/deploy/backend.json", &definition("1024", &NEW))
}

/// What a run left at GitHub.
struct Left {
    step: Step,
    comments: Vec<(String, String)>,
    checks: Vec<Check>,
}

impl Left {
    fn of(step: Step, cloud: &Cloud) -> Self {
        assert_eq!(faults(&step.calls), Vec::<String>::new());
        let (comments, checks) = cloud.read(|world| {
            let it = &world.github.repositories["acme/shop"];
            let comments = it.comments.iter().map(|one| (one.author.clone(), one.body.clone())).collect();
            (comments, it.checks.clone())
        });
        Self { step, comments, checks }
    }

    /// The calls to GitHub that wrote.
    fn writes(&self) -> Vec<&str> {
        let ours = self.step.calls.iter().filter(|call| call.service == "github" && call.mutating);
        ours.map(|call| call.operation.as_str()).collect()
    }

    fn asks_github(&self) -> bool {
        self.step.calls.iter().any(|call| call.service == "github")
    }
}

fn run(runner: &Runner) -> Left {
    virtually(async {
        let (cloud, clock) = runner.cloud();
        let step = runner.main_on(&cloud, clock).await;
        Left::of(step, &cloud)
    })
}

/// Two runs on one world; in between `change`.
fn twice(runner: Runner, change: impl FnOnce(Runner) -> Runner) -> (Left, Left) {
    virtually(async {
        let (cloud, clock) = runner.cloud();
        let first = Left::of(runner.main_on(&cloud, clock).await, &cloud);
        fs::remove_file(runner.path("summary")).unwrap();
        let runner = change(runner);
        let mut second = Left::of(runner.main_on(&cloud, clock).await, &cloud);
        second.step.calls.drain(..first.step.calls.len());
        (first, second)
    })
}

fn shown(check: &Check) -> String {
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
fn found(check: &Check) -> usize {
    let all: BTreeSet<String> = check.annotations.iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), check.annotations.len(), "an annotation is there twice");
    all.len()
}

#[test]
fn a_pull_request_has_its_plan_as_a_check_and_a_comment() {
    let left = run(&pull(WORLD));
    assert_eq!((left.step.code, left.step.output("outcome")), (0, "planned"), "{:#?}", left.step.lines);
    assert_eq!(left.writes(), ["checks/create", "issues/create-comment"]);
    let (author, body) = &left.comments[0];
    assert_eq!((left.comments.len(), author.as_str()), (1, "github-actions[bot]"));
    let head = "<!-- roadstead:plan:.github/roadstead.yml -->\n### Roadstead plan · production · if this were merged now\n\n";
    assert!(body.starts_with(&format!("{head}📋 production: `backend` would change in ")), "{body}");
    let row = "→ built from `0123456`; env ~`API_TOKEN`, ~`LOG_LEVEL`, +`NEW_FLAG`, −`OLD`; memory `512` → `1024` | ";
    assert!(body.contains("| image `") && body.contains(row) && body.contains(" | ≈ 3 min |"), "{body}");
    assert!(body.contains("`secret-in-plain-text` · `backend` · [`deploy/backend.json:"), "{body}");
    let told = shown(&left.checks[0]);
    assert!(told.starts_with("roadstead / plan on 0123456 is completed success\n"), "{told}");
    assert!(told.contains("\nwarning deploy/backend.json:"), "{told}");
    assert!(told.contains("\nnotice .github/roadstead.yml:5 backend: would change: "), "{told}");
    let names =
        "~ environment API_TOKEN / ~ environment LOG_LEVEL / + environment NEW_FLAG / − environment OLD / ";
    assert!(told.contains(names), "{told}");
    let check = &left.checks[0];
    let summary = check.summary.clone().unwrap();
    assert_eq!(body.split_once('\n').unwrap().1.trim_end(), summary.trim_end());
    assert_eq!(check.details.as_deref(), Some("https://github.com/acme/shop/actions/runs/7/attempts/1"));
    for text in [body, &shown(check)] {
        assert!(!text.contains("private-"), "{text}");
    }
}

#[test]
fn the_same_plan_is_told_once_and_another_one_takes_its_place() {
    let (first, again) = twice(pull(WORLD), |runner| runner.with("GITHUB_RUN_ATTEMPT", "2"));
    assert_eq!(first.writes().len(), 2);
    assert_eq!(again.writes(), Vec::<&str>::new());
    let smaller = |runner: Runner| runner.file("workspace/deploy/backend.json", &definition("2048", &NEW));
    let (_, other) = twice(pull(WORLD), smaller);
    assert_eq!(other.writes(), ["checks/create", "issues/update-comment"]);
    assert_eq!(other.comments.len(), 1);
    assert!(other.comments[0].1.contains("→ `2048`"), "{}", other.comments[0].1);
}

#[test]
fn a_plan_that_becomes_empty_says_so() {
    let same = [("LOG_LEVEL", "private-1"), ("OLD", "private-2")];
    let image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1";
    // Without a repository nothing is built, and the image is the one of the file.
    let (_, empty) = twice(pull(WORLD), |runner| {
        let file = definition("512", &same).replace("replaced", image);
        let runner = runner.file("workspace/deploy/backend.json", &file);
        runner.file("workspace/.github/roadstead.yml", &config().replace("    repository: backend\n", ""))
    });
    assert_eq!(empty.comments.len(), 1);
    assert!(empty.comments[0].1.contains("| nothing | – | – |"), "{}", empty.comments[0].1);
}

#[test]
fn a_plan_that_cannot_be_made_fails_its_check() {
    let wrong = config().replace("strategy:", "strategie:");
    let left = run(&pull(WORLD).file("workspace/.github/roadstead.yml", &wrong));
    assert_eq!((left.step.code, left.step.output("outcome")), (2, "invalid"));
    let told = shown(&left.checks[0]);
    assert!(told.starts_with("roadstead / plan on 0123456 is completed failure\n"), "{told}");
    let finding = "\nfailure .github/roadstead.yml:8 backend: config invalid: `strategie` is not a key of service `backend`.";
    assert!(told.contains(finding), "{told}");
    assert!(
        left.comments[0].1.contains("nothing was changed — 1 problem to fix first"),
        "{}",
        left.comments[0].1
    );
}

#[test]
fn more_than_fifty_annotations_go_in_several_requests() {
    let names: Vec<String> = (0..120).map(|n| format!("KEY_{n}_TOKEN")).collect();
    let all: Vec<(&str, &str)> =
        names.iter().map(|name| (name.as_str(), "private-0123456789abcdef")).collect();
    let left = run(&pull(WORLD).file("workspace/deploy/backend.json", &definition("512", &all)));
    assert_eq!(left.writes(), ["checks/create", "checks/update", "checks/update", "issues/create-comment"]);
    let check = &left.checks[0];
    assert_eq!((check.status.as_str(), found(check)), ("completed", 121));
    assert!(!left.comments[0].1.contains("private-"));
    let cut = format!("{WORLD}faults: [bad-gateway: {{ operation: checks/update, effect: true }}]");
    let left = run(&pull(&cut).file("workspace/deploy/backend.json", &definition("512", &all)));
    assert_eq!((left.checks.len(), found(&left.checks[0])), (1, 121), "nothing is there twice");
    assert_eq!(left.checks[0].conclusion.as_deref(), Some("success"));
}

#[test]
fn an_answer_that_is_lost_makes_nothing_twice() {
    for effect in [true, false] {
        let lost = ["issues/create-comment", "checks/create"]
            .map(|operation| format!("  - bad-gateway: {{ operation: {operation}, effect: {effect} }}\n"));
        let left = run(&pull(&format!("{WORLD}faults:\n{}", lost.join(""))));
        assert_eq!((left.step.code, left.comments.len(), left.checks.len()), (0, 1, 1), "{effect}");
        assert!(!left.step.annotated().contains("not published"), "{effect}: {}", left.step.annotated());
    }
}

#[test]
fn a_limit_that_is_soon_over_is_waited_for_and_a_long_one_is_a_notice() {
    let limited = |wait: u64| {
        let fault =
            format!("faults: [rate-limit: {{ operation: issues/create-comment, retry-after: {wait} }}]");
        run(&pull(&format!("{WORLD}{fault}")))
    };
    assert_eq!(limited(10).comments.len(), 1);
    let long = limited(600);
    assert_eq!((long.step.code, long.comments.len(), long.checks.len()), (0, 0, 1));
    assert!(long.step.annotated().contains("::notice title=not published::"), "{}", long.step.annotated());
}

#[test]
fn a_right_that_is_missing_is_one_notice_and_nothing_else() {
    let without = |rights: &str| {
        let token = format!("  job-token: {{ permissions: {{ {rights} }} }}\n");
        run(&pull(&format!("{WORLD}{token}")))
    };
    let left = without("checks: read, pull-requests: read, issues: read");
    assert_eq!((left.step.code, left.step.output("outcome")), (0, "planned"));
    assert_eq!((left.comments.len(), left.checks.len()), (0, 0));
    let all = left.step.annotations();
    let notices: Vec<&&str> = all.iter().filter(|line| line.contains("not published")).collect();
    let sentence = "The plan is not shown as a check and a comment: the job's token lacks `checks: write` and `pull-requests: write`.";
    assert_eq!(notices.len(), 1, "{notices:#?}");
    assert!(notices[0].starts_with(&format!("::notice title=not published::{sentence}")), "{notices:#?}");
    let left = without("checks: none");
    assert_eq!((left.comments.len(), left.checks.len()), (1, 0));
    assert!(left.step.annotated().contains("`permissions: { checks: write }`"), "{}", left.step.annotated());
}

#[test]
fn code_of_others_gets_nothing_from_us() {
    let fork = pull(WORLD).file("event.json", &event(2, "opened"));
    let dependabot = pull(WORLD).with("GITHUB_ACTOR", "dependabot[bot]");
    let target = pull(WORLD).with("GITHUB_EVENT_NAME", "pull_request_target");
    let closed = pull(WORLD).file("event.json", &event(1, "closed"));
    let named =
        pull(WORLD).with("GITHUB_EVENT_NAME", "pull_request_target").with("INPUT_ENVIRONMENT", "production");
    for (what, runner) in
        [("fork", fork), ("dependabot", dependabot), ("target", target), ("closed", closed), ("named", named)]
    {
        let left = run(&runner);
        assert_eq!((left.step.code, left.step.output("outcome")), (0, "skipped"), "{what}");
        assert_eq!(left.step.calls.len(), 0, "{what}");
        assert!(left.step.summary.contains("nothing to do — "), "{what}: {}", left.step.summary);
    }
}

#[test]
fn a_merge_queue_gets_a_check_and_no_comment() {
    let group = json!({ "action": "checks_requested", "merge_group": {
        "head_sha": SHA, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-c0ffee", "base_ref": "refs/heads/main",
    } });
    let runner = pull(WORLD)
        .with("GITHUB_EVENT_NAME", "merge_group")
        .with("GITHUB_REF", "refs/heads/gh-readonly-queue/main/pr-7-c0ffee")
        .with("GITHUB_HEAD_REF", "")
        .with("GITHUB_BASE_REF", "")
        .with("GITHUB_SHA", SHA)
        .file("event.json", &group.to_string());
    let left = run(&runner);
    assert_eq!((left.step.output("outcome"), left.step.output("environment")), ("planned", "production"));
    assert_eq!((left.checks.len(), left.comments.len()), (1, 0));
}

#[test]
fn a_pull_request_to_another_branch_has_a_neutral_check() {
    let docs = event(1, "opened").replace("\"main\"", "\"docs\"");
    let left = run(&pull(WORLD).with("GITHUB_BASE_REF", "docs").file("event.json", &docs));
    assert_eq!((left.step.output("outcome"), left.comments.len()), ("skipped", 0));
    assert_eq!(left.checks[0].conclusion.as_deref(), Some("neutral"));
    // One that was for `main` before is corrected.
    let moved = |runner: Runner| runner.with("GITHUB_BASE_REF", "docs").file("event.json", &docs);
    let (_, second) = twice(pull(WORLD), moved);
    assert_eq!(second.comments.len(), 1);
    assert!(
        second.comments[0].1.contains("no environment takes the branch `docs`"),
        "{}",
        second.comments[0].1
    );
}

#[test]
fn jobs_of_one_pull_request_do_not_take_each_others_place() {
    let (_, both) = twice(pull(WORLD), |runner| runner.with("INPUT_ENVIRONMENT", "staging"));
    let names: Vec<&str> = both.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["roadstead / plan", "roadstead / plan (staging)"]);
    assert_eq!(both.comments.len(), 2);
}

#[test]
fn what_a_person_wrote_is_left_as_it_is() {
    let copied = "      comments: [{ issue: 7, author: eve, body: \"<!-- roadstead:plan:.github/roadstead.yml -->\" }]\n";
    let left = run(&pull(&format!("{WORLD}{copied}")));
    assert_eq!((left.comments.len(), left.comments[0].0.as_str()), (2, "eve"));
    assert_eq!(left.writes(), ["checks/create", "issues/create-comment"]);
}

#[test]
fn names_from_outside_are_letters_in_a_comment() {
    let evil = "x|@acme/all <img src=x> [a](https://evil.example) --> #1";
    let event = event(1, "opened").replace("topic", evil);
    let config = config().replace("backend:\n", &format!("\"{evil}\":\n"));
    let runner = pull(WORLD)
        .with("GITHUB_HEAD_REF", evil)
        .file("event.json", &event)
        .file("workspace/.github/roadstead.yml", &config);
    let left = run(&runner);
    let body = &left.comments[0].1;
    let outside: String = body.split('`').step_by(2).collect();
    for wrong in ["<img", "@acme", "](https://evil.example)"] {
        assert!(!outside.contains(wrong), "{wrong}: {body}");
    }
    assert_eq!(body.lines().filter(|line| line.starts_with("| ")).count(), 2, "{body}");
}

#[test]
fn a_push_tells_nobody_but_its_summary() {
    let left = run(&Runner::told(WORLD).with("INPUT_OPERATION", "plan"));
    assert_eq!((left.step.output("outcome"), left.checks.len(), left.comments.len()), ("planned", 0, 0));
    assert!(!left.writes().iter().any(|call| call.starts_with("checks") || call.starts_with("issues")));
}

#[test]
fn what_releases_nothing_says_why() {
    let push = || Runner::told(WORLD);
    let gone = push().file("event.json", r#"{"ref": "refs/heads/topic", "deleted": true}"#);
    let tag = || push().with("GITHUB_REF", "refs/tags/v1").with("GITHUB_REF_TYPE", "tag");
    let run_of = |text: &str| push().with("GITHUB_EVENT_NAME", "workflow_run").file("event.json", text);
    let failed = run_of(
        r#"{"workflow_run": {"conclusion": "failure", "event": "push", "head_repository": {"id": 1}}, "repository": {"id": 1}}"#,
    );
    let comment = push()
        .with("GITHUB_EVENT_NAME", "issue_comment")
        .with("INPUT_ENVIRONMENT", "production")
        .file("event.json", r#"{"issue": {"number": 7, "pull_request": {}}}"#);
    for (runner, why) in [
        (gone, "was deleted"),
        (tag(), "`v1` is a tag"),
        (failed, "ended as `failure`"),
        (comment, "what is not merged is not released"),
    ] {
        let left = run(&runner);
        assert_eq!(
            (left.step.code, left.step.output("outcome"), left.asks_github()),
            (0, "skipped", false),
            "{why}"
        );
        assert!(left.step.summary.contains(why), "{why}: {}", left.step.summary);
    }
    let named = run(&tag().with("INPUT_ENVIRONMENT", "production"));
    assert_eq!(named.step.output("outcome"), "deployed");
}

#[test]
fn a_branch_of_two_environments_is_invalid_even_when_one_is_named() {
    let twice = CONFIG.replace("branches: [develop]", "branches: [develop, main]");
    let named = Runner::told(WORLD)
        .file("workspace/.github/roadstead.yml", &twice)
        .with("INPUT_ENVIRONMENT", "production");
    let left = run(&named);
    assert_eq!((left.step.code, left.step.changes()), (2, 0));
    let refused = "::error title=branch ambiguous,file=.github/roadstead.yml,line=3,col=28::The branch `main` belongs to `staging` and `production`.";
    assert!(left.step.annotated().contains(refused), "{}", left.step.annotated());
}

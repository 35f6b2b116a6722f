//! What is lost without a permission of the job's token: each is taken away, and the same situations are run on the
//! emulator. docs/permissions.md has the table that comes of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::recorded_deployments::{MultiRunHarness, full_sha};
use crate::support::run_in_virtual_time;
use crate::support::runner::{CONFIG, Runner, StepResult};

/// The token of the run that is looked at. Runs before it have the full one.
const TOKEN: &str = "ghs_weak0123456789abcdefghijklmnopqrstuv";

/// A permission that is taken away, or lowered: the row of the table, and what the token has then.
const WITHOUT: [(&str, &str); 8] = [
    ("none is missing", ""),
    ("`contents: write`, has `read`", "contents: read"),
    ("`contents: read`", "contents: none"),
    ("`deployments: write`, has `read`", "deployments: read"),
    ("`deployments: read`", "deployments: none"),
    ("`actions: read`", "actions: none"),
    ("`checks: write`", "checks: read"),
    ("`pull-requests: write`", "pull-requests: read, issues: read"),
];

fn scenario(permissions: &str) -> String {
    format!(
        "github:
  repositories:
    - name: acme/shop
      private: true
      issues: [7]
      history: [{{ id: c1 }}, {{ id: c2 }}, {{ id: c3 }}, {{ id: d2, branch: topic, parent: c1 }}]
  tokens:
    {TOKEN}: {{ login: \"github-actions[bot]\", access: write, repositories: [acme/shop], permissions: {{ {permissions} }} }}
"
    )
}

fn weak(runner: Runner) -> Runner {
    runner.with_variable("INPUT_GITHUB-TOKEN", TOKEN).with_variable("INPUT_TIMEOUT", "20m")
}

/// The outcome, and the codes of what is said beside it.
fn describe(step: &StepResult) -> String {
    let codes: BTreeSet<String> = step.annotations().iter().filter_map(|line| code_of(line)).collect();
    let codes: Vec<String> = codes.into_iter().map(|code| format!("`{code}`")).collect();
    format!("{} {}", step.output("outcome"), codes.join(" ")).trim_end().to_owned()
}

/// The code in the title of an annotation, whose words are written with blanks.
fn code_of(annotation: &str) -> Option<String> {
    let (_, title) = annotation.split_once("title=")?;
    let title = title.split([',', ':']).next()?;
    Some(title.rsplit("%3A ").next()?.replace(' ', "-"))
}

async fn deploy(world: &MultiRunHarness) -> StepResult {
    world.run(&weak(world.runner(7, "c2"))).await
}

/// A run meets the lease of one whose runner was lost, and which GitHub knows to have ended.
async fn after_lost_run(world: &MultiRunHarness) -> StepResult {
    let lost = world.runner(6, "c1");
    assert!(world.run_until_lost(&lost, 40).await.is_none());
    world.end_run(&lost);
    tokio::time::sleep(Duration::from_secs(300)).await;
    deploy(world).await
}

/// The run of an older commit begins after that of a newer one.
async fn older_commit(world: &MultiRunHarness) -> StepResult {
    world.run(&world.runner(6, "c3")).await;
    deploy(world).await
}

/// The second attempt of a run that was cancelled in its bake, when the version had completed at ECS.
async fn after_cancel(world: &MultiRunHarness) -> StepResult {
    let bake = |runner: Runner| {
        runner.with_config(&format!("{CONFIG}    strategy: {{ rolling: {{ bake: 1m }} }}\n"))
    };
    let mut first = bake(world.runner(7, "c2"));
    first.cancel_after = Some(Duration::from_secs(140));
    world.run_main(&first).await;
    world.run_post(&first).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    world.run(&weak(bake(world.runner(7, "c2")).with_variable("GITHUB_RUN_ATTEMPT", "2"))).await
}

/// The check of a merged commit.
async fn check_run(world: &MultiRunHarness) -> StepResult {
    let event = json!({"check_run": {"head_sha": full_sha("c2"), "pull_requests": []},
        "repository": {"id": 1, "default_branch": "main"}});
    let runner = weak(world.runner(7, "c3"))
        .with_variable("GITHUB_EVENT_NAME", "check_run")
        .with_variable("INPUT_ENVIRONMENT", "production")
        .with_file("event.json", &event.to_string());
    world.run(&runner).await
}

async fn plan_of_pull_request(world: &MultiRunHarness) -> StepResult {
    let event = json!({"action": "opened", "pull_request": {
        "number": 7, "head": {"sha": full_sha("d2"), "ref": "topic", "repo": {"id": 1}},
        "base": {"ref": "main", "repo": {"id": 1}}}});
    let runner = weak(world.runner(7, "d2"))
        .with_variable("GITHUB_EVENT_NAME", "pull_request")
        .with_variable("GITHUB_REF", "refs/pull/7/merge")
        .with_variable("GITHUB_HEAD_REF", "topic")
        .with_variable("GITHUB_BASE_REF", "main")
        .with_file("event.json", &event.to_string());
    world.run(&runner).await
}

/// The situations, in the order of the columns.
async fn situation(column: usize, world: &MultiRunHarness) -> StepResult {
    match column {
        0 => Box::pin(deploy(world)).await,
        1 => Box::pin(after_lost_run(world)).await,
        2 => Box::pin(older_commit(world)).await,
        3 => Box::pin(after_cancel(world)).await,
        4 => Box::pin(check_run(world)).await,
        _ => Box::pin(plan_of_pull_request(world)).await,
    }
}

const HEAD: &str = "| missing | a push | after a lost run | of an older commit | again after a cancel | check of a merged commit | pull request |
|---|---|---|---|---|---|---|";

fn table() -> String {
    let mut lines = vec![HEAD.to_owned()];
    for (row, permissions) in WITHOUT {
        let cells: Vec<String> = (0..6)
            .map(|column| {
                run_in_virtual_time(async {
                    let world = MultiRunHarness::new(&scenario(permissions));
                    describe(&situation(column, &world).await)
                })
            })
            .collect();
        lines.push(format!("| {row} | {} |", cells.join(" | ")));
    }
    lines.join("\n")
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/permissions.md")).unwrap()
}

#[test]
fn page_has_what_happens_without_each_permission() {
    let table = table();
    assert!(page().contains(&table), "docs/permissions.md does not have this table:\n{table}");
}

/// Every permission that a job can have, as GitHub's reference of workflows lists them.
const ALL: [&str; 17] = [
    "actions",
    "artifact-metadata",
    "attestations",
    "checks",
    "code-quality",
    "contents",
    "deployments",
    "discussions",
    "id-token",
    "issues",
    "models",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "security-events",
    "statuses",
];

#[test]
fn page_names_every_permission_once() {
    let page = page();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let unused = page.lines().find(|line| line.starts_with("Not used: ")).unwrap();
    for name in ALL {
        let used = rows.iter().any(|row| row.contains(&format!("| `{name}: ")));
        let is_unused = unused.contains(&format!("`{name}`"));
        assert!(used != is_unused, "{name}: in the table {used}, among the unused {is_unused}");
    }
}

#[test]
fn without_id_token_nothing_of_aws_is_called() {
    let runner = Runner::builtin("happy")
        .with_variable("ACTIONS_ID_TOKEN_REQUEST_URL", "")
        .with_variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "");
    let step = runner.run_main();
    assert_eq!((step.exit_code, describe(&step).as_str()), (2, "invalid `credentials-missing`"));
    assert_eq!(step.count_changes(), 0);
    assert!(page().contains("invalid `credentials-missing`"));
}

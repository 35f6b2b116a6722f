//! Whole steps of the action as the runner starts them: what stands in outputs, summary and annotations, and that
//! nothing from outside gets further than text.

use std::fs;
use std::time::Duration;

use crate::support::runner::{Runner, SHA, Step};

const FAST: &str = "timings: { schedule: 1, provision: 1, pull: 1, start: 1, health: 1, deregistration: 1, stop: 1, deprovision: 1, complete: 1 }\n";

#[test]
fn a_push_is_deployed() {
    let step = Runner::named("happy").main();
    assert_eq!((step.code, step.changes()), (0, 8), "two at AWS; lease and record at GitHub");
    insta::assert_snapshot!(step.short_outputs(), @"
    outcome=deployed
    environment=production
    image=111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    digest=sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    version=backend:2
    previous=backend:1
    url=https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.steady(), @"
    ## ✅ production: `backend` `backend:2` serves 100 % — proven after … s

    _A rehearsal on the embedded cloud: nothing real was touched._

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1` → `backend:2`<br>`sha256:d7293da258f4…` · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | `backend:2` · `sha256:d7293da258f4…` | service deployment SUCCESSFUL, 2 of 2 targets healthy | … s |

    <details><summary>backend: what changed, 1 place</summary>

    | field | from | to |
    |---|---|---|
    | image | `111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1` | `111111111111.dkr.ecr.eu-west-1.amazonaws…56:d7293da258f4…` |

    </details>

    <details><summary>Timeline</summary>

    | UTC |  |
    |---|---|
    | hh:mm:ss | built and pushed: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@&#8203;sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342 |
    | hh:mm:ss | version backend:2 is ready |
    | hh:mm:ss | rollout of backend:2 started (ecs-svc/…) |
    | hh:mm:ss | proven: service deployment SUCCESSFUL, 2 of 2 targets healthy |

    </details>

    <sub>Roadstead deploy · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC · … s</sub>
    ");
    assert_eq!(step.annotations(), Vec::<&str>::new());
    let services: serde_json::Value = serde_json::from_str(step.output("services")).unwrap();
    assert_eq!(services["backend"]["version"], "backend:2");
    let plan: serde_json::Value = serde_json::from_str(step.output("plan")).unwrap();
    assert_eq!(plan["backend"], services["backend"]["plan"]);
}

#[test]
fn a_version_that_crashes_is_taken_back() {
    let step = Runner::named("crash-on-start").main();
    assert_eq!(step.code, 3);
    insta::assert_snapshot!(step.short_outputs(), @"
    outcome=failed
    environment=production
    image=111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    digest=sha256:028817b3422c85b0ef01767ec229a0dde39ce7e73e0d052bfd7a9eb3b59a92b8
    version=backend:1
    previous=backend:1
    url=https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.top(), @"
    ## ❌ production: `backend` failed and was rolled back — `backend:1` serves, as before

    _A rehearsal on the embedded cloud: nothing real was touched._

    **Cause**: The container `app` exits with code 1. Exit code **1**.

    ```text
    Essential container in task exited
    ```

    Last 2 lines of the container:

    ```text
    hh:mm:ss starting
    hh:mm:ss panic: DATABASE_URL is not set
    ```

    **What to do**: Read the lines that it wrote.

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1` → `backend:2`<br>`sha256:d7293da258f4…` · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | `backend:1` · `sha256:028817b3422c…` | rolled back, confirmed: backend:1 serves | … s |
    ");
    insta::assert_snapshot!(step.annotated(), @"::error title=container exited::The container `app` exits with code 1.%0AEssential container in task exited%0ARead the lines that it wrote.%0AExit code 1.%0Ahh:mm:ss starting%0Ahh:mm:ss panic: DATABASE_URL is not set");
}

#[test]
fn what_serves_already_is_unchanged() {
    let runner = Runner::named("happy");
    let (first, second) = crate::support::virtually(async {
        let (cloud, clock) = runner.cloud();
        let first = runner.main_on(&cloud, clock).await;
        fs::remove_file(runner.path("summary")).unwrap();
        (first, runner.main_on(&cloud, clock).await)
    });
    assert_eq!((first.code, second.code), (0, 0));
    assert_eq!(second.changes(), first.changes(), "the second push of the same commit changes nothing");
    insta::assert_snapshot!(second.short_outputs(), @"
    outcome=deployed
    environment=production
    image=111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    digest=sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    version=backend:2
    previous=backend:1
    url=https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1
    commit=0123456789abcdef0123456789abcdef01234567
    outcome=unchanged
    environment=production
    image=111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    digest=sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    version=backend:2
    previous=backend:2
    url=https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(second.top(), @"
    ## ✅ production: `backend` is unchanged — `backend:2` already serves

    _A rehearsal on the embedded cloud: nothing real was touched._

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | unchanged<br>`sha256:d7293da258f4…` · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | `backend:2` · `sha256:d7293da258f4…` | rollout COMPLETED SUCCESSFUL | – |
    ");
}

#[test]
fn everything_that_is_wrong_with_the_file_comes_at_once() {
    let config = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend:
    repositry: backend
    ecs: { cluster: acme, servce: backend }
";
    let step = Runner::named("happy").file("workspace/.github/roadstead.yml", config).main();
    assert_eq!((step.code, step.calls.len()), (2, 0));
    insta::assert_snapshot!(step.short_outputs(), @"
    outcome=invalid
    environment=production
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.top(), @"
    ## ❌ production: nothing was changed — 2 problems to fix first

    _A rehearsal on the embedded cloud: nothing real was touched._

    **2 problems**

    - `config-invalid` · `backend` · [`.github/roadstead.yml:5`](https://github.com/acme/shop/blob/0123456789abcdef0123456789abcdef01234567/.github/roadstead.yml#L5) — `repositry` is not a key of service `backend`. Did you mean `repository`? Known: `paths`, `repository`, `strategy`, `before`, `alarms`, `verify`, `build`, `environments`, `ecs`, `argocd`, `appconfig`.
    - `credentials-missing` — There are no AWS credentials in this job. Set `aws: { role: … }` of the environment (or the input `role-to-assume`) and `permissions: id-token: write`.

    <sub>Roadstead deploy · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC</sub>
    ");
    insta::assert_snapshot!(step.annotated(), @"
    ::error title=backend%3A config invalid,file=.github/roadstead.yml,line=5,col=5::`repositry` is not a key of service `backend`.%0ADid you mean `repository`? Known: `paths`, `repository`, `strategy`, `before`, `alarms`, `verify`, `build`, `environments`, `ecs`, `argocd`, `appconfig`.
    ::error title=credentials missing::There are no AWS credentials in this job.%0ASet `aws: { role: … }` of the environment (or the input `role-to-assume`) and `permissions: id-token: write`.
    ");
}

#[test]
fn wrong_inputs_come_at_once() {
    let step = Runner::named("happy").with("INPUT_TIMEOUT", "soon").with("INPUT_ON-CANCEL", "panic").main();
    assert_eq!((step.code, step.calls.len()), (2, 0));
    insta::assert_snapshot!(step.short_outputs(), @"
    outcome=invalid
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.annotated(), @"
    ::error title=input invalid::Input `on-cancel`: `panic` is not one of `rollback`, `leave`.
    ::error title=input invalid::Input `timeout`: `soon` is not a time such as `90s`, `30m` or `1h30m`.
    ");
}

#[test]
fn a_missing_deploy_file_is_named() {
    let runner = Runner::named("happy").with("INPUT_CONFIG", "deploy.yml");
    let step = runner.main();
    assert_eq!((step.code, step.calls.len()), (2, 0));
    insta::assert_snapshot!(step.top().replace(&*runner.path("workspace").to_string_lossy(), "/workspace"), @"
    ## ❌ nothing was changed — 1 problem to fix first

    _A rehearsal on the embedded cloud: nothing real was touched._

    **1 problem**

    - `config-missing` — The deploy file `deploy.yml` cannot be read. (reading /workspace/deploy.yml: No such file or directory (os error 2)) Check the input `config`, and that the repository was checked out before this step.

    <sub>Roadstead deploy · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC</sub>
    ");
}

#[test]
fn a_branch_of_no_environment_is_skipped() {
    let runner = Runner::named("happy").with("GITHUB_REF", "refs/heads/docs").with("GITHUB_REF_NAME", "docs");
    let step = runner.main();
    assert_eq!((step.code, step.calls.len()), (0, 0));
    insta::assert_snapshot!(step.short_outputs(), @"
    outcome=skipped
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.top(), @"
    ## ⏩ nothing to do — no environment takes the branch `docs` (`main` → production, `develop` → staging)

    _A rehearsal on the embedded cloud: nothing real was touched._

    <sub>Roadstead deploy · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC</sub>
    ");
}

/// A pull request from the repository with the id `head` into the one with id 1.
fn pull_request(head: u64) -> Runner {
    let event = format!(
        r#"{{"pull_request": {{"number": 7, "head": {{"sha": "{SHA}", "ref": "topic", "repo": {{"id": {head}}}}}, "base": {{"ref": "main", "repo": {{"id": 1}}}}}}}}"#
    );
    let commit = format!("{{ id: \"{SHA}\", branch: topic, files: {{ a.txt: a }} }}");
    let repository = format!("{{ name: acme/shop, private: true, issues: [7], history: [{commit}] }}");
    Runner::told(&format!("github: {{ repositories: [{repository}] }}"))
        .with("GITHUB_EVENT_NAME", "pull_request")
        .with("GITHUB_REF", "refs/pull/7/merge")
        .with("GITHUB_REF_NAME", "7/merge")
        .with("GITHUB_HEAD_REF", "topic")
        .with("GITHUB_BASE_REF", "main")
        .with("GITHUB_SHA", "7e577e577e577e577e577e577e577e577e577e57")
        .file("event.json", &event)
}

#[test]
fn a_pull_request_gets_a_plan_and_never_a_change() {
    let step = pull_request(1).main();
    let changed = step.calls.iter().filter(|call| call.mutating && call.effective);
    // Its check and its comment are all that there is anew.
    let changed: Vec<&str> = changed.map(|call| call.operation.as_str()).collect();
    assert_eq!((step.code, changed), (0, vec!["checks/create", "issues/create-comment"]));
    insta::assert_snapshot!(step.short_outputs(), @"
    outcome=planned
    environment=production
    digest=sha256:028817b3422c85b0ef01767ec229a0dde39ce7e73e0d052bfd7a9eb3b59a92b8
    version=backend:1
    previous=backend:1
    url=https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.top(), @"
    ## 📋 production: `backend` would change in 1 place — this is a plan, nothing was touched

    _A rehearsal on the embedded cloud: nothing real was touched._

    | service | what changes | how | expected |
    |---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | image `111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1` → `backend, built from 0123456` | rolling | – |
    ");
}

#[test]
fn a_fork_gets_nothing_and_is_told_why() {
    let fork = pull_request(2)
        .with("INPUT_GITHUB-TOKEN", "")
        .with("ACTIONS_ID_TOKEN_REQUEST_URL", "")
        .with("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "");
    let step = fork.main();
    assert_eq!((step.code, step.calls.len()), (0, 0));
    insta::assert_snapshot!(step.short_outputs(), @"
    outcome=skipped
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.top(), @"
    ## ⏩ nothing to do — GitHub gives no secrets and no OIDC token to this run (a fork or Dependabot), so nothing could be read or changed

    _A rehearsal on the embedded cloud: nothing real was touched._

    <sub>Roadstead deploy · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC</sub>
    ");
}

#[test]
fn a_cancelled_run_asks_for_the_rollback_and_the_post_step_confirms_it() {
    let mut runner = Runner::told(&format!("{FAST}faults: [slow-start: {{ seconds: 300 }}]"));
    runner.cancel_after = Some(Duration::from_secs(60));
    let (main, post) = runner.main_and_post();
    assert_eq!((main.code, main.times("StopServiceDeployment")), (130, 1));
    insta::assert_snapshot!(main.short_outputs(), @"
    outcome=cancelled
    environment=production
    image=111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    previous=backend:1
    url=https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(main.top(), @"
    ## 🛑 production: `backend` was cancelled — what serves now is not known

    _A rehearsal on the embedded cloud: nothing real was touched._

    **1 problem**

    - `cancelled` · `backend` — Cancelled; the rollback to backend:1 was requested and goes on by itself.

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1` → `backend:2`<br>`sha256:d7293da258f4…` · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | – | cancelled; the rollback to backend:1 was requested and goes on by itself | … s |
    ");
    insta::assert_snapshot!(post.top(), @"
    ## ✅ production: `backend` is rolled back — `backend:1` serves 100 %, proven after … s

    _A rehearsal on the embedded cloud: nothing real was touched._

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1` → `backend:2`<br>[`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | `backend:1` | rolled back, confirmed: backend:1 serves | … s |
    ");
    assert_eq!(post.times("StopServiceDeployment"), 1, "it was asked for already");
    assert_eq!(post.outputs, [], "outputs of a post step reach nobody");
}

#[test]
fn a_post_step_that_runs_out_of_time_says_what_goes_on() {
    let mut runner = Runner::named("slow-start");
    runner.cancel_after = Some(Duration::from_secs(60));
    let (_, post) = runner.main_and_post();
    insta::assert_snapshot!(post.top(), @"
    ## 🛑 production: `backend` was cancelled — what serves now is not known

    _A rehearsal on the embedded cloud: nothing real was touched._

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1` → `backend:2`<br>[`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | – | backend:1 is coming back; the provider goes on with that by itself | … s |
    ");
}

#[test]
fn a_cancel_before_any_change_is_no_skip() {
    for after in [1, 150, 400] {
        let mut runner = Runner::named("happy");
        runner.cancel_after = Some(Duration::from_millis(after));
        let (main, post) = runner.main_and_post();
        assert_eq!((main.code, main.output("outcome")), (130, "cancelled"), "{after}: {:#?}", main.lines);
        assert_eq!(main.times("UpdateService"), 0, "{after}");
        assert_eq!(post.code, 0, "{after}: {:#?}", post.lines);
    }
}

#[test]
fn after_a_run_that_ended_the_post_step_is_silent() {
    let (main, post) = Runner::named("happy").main_and_post();
    assert_eq!((main.code, post.code, post.summary.as_str()), (0, 0, ""));
    assert_eq!(post.calls.len(), main.calls.len(), "nothing is asked");
    let (main, post) = Runner::named("happy").with("INPUT_TIMEOUT", "soon").main_and_post();
    assert_eq!((main.code, post.code, post.annotations()), (2, 0, vec![]), "problems are told once");
}

#[test]
fn files_that_cannot_be_written_change_no_result() {
    for name in ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_STATE"] {
        let step = Runner::named("happy").with(name, "/nonexistent/file").main();
        assert_eq!((step.code, step.changes()), (0, 8), "{name}");
        let log = step.lines.join("\n");
        assert!(log.contains("runner-file-unwritable") && log.contains(name), "{name}: {log}");
        assert!(log.contains("backend:2 serves 100 %"), "{name}");
    }
}

const EVIL: &str = "x::error title=pwned::y`<img src=x onerror=1>|[a](https://evil.example)\u{1b}[31m%0A::set-env name=PATH::z";

#[test]
fn text_from_outside_stays_text() {
    let event = serde_json::json!({ "pull_request": {
        "number": 7, "title": EVIL, "head": { "sha": EVIL, "ref": EVIL, "repo": { "id": 1 } },
        "base": { "ref": "main", "repo": { "id": 1 } } } });
    let runner = pull_request(1).with("GITHUB_HEAD_REF", EVIL).file("event.json", &event.to_string());
    harmless(&runner.with("GITHUB_ACTOR", EVIL).main());
    let branch = format!("refs/heads/{EVIL}");
    harmless(&Runner::named("happy").with("GITHUB_REF", &branch).with("GITHUB_REF_NAME", EVIL).main());
    let environment = Runner::named("happy").with("INPUT_ENVIRONMENT", "production\n::error::pwned");
    harmless(&environment.main());
    let log = "[\"::error title=pwned::x\", \"##[error]pwned\", \"::add-mask::backend\", \"<script>pwned</script>\"]";
    let crash = format!("faults: [crash-on-start: {{ exit-code: 1, after: 2, log: {log} }}]");
    let step = Runner::told(&crash).main();
    harmless(&step);
    assert_eq!(step.code, 3);
}

fn harmless(step: &Step) {
    let known = ["add-mask", "group", "endgroup", "error", "warning", "notice"];
    for line in &step.lines {
        assert!(!line.contains('\n') && !line.contains('\u{1b}'), "{line}");
        // The runner reads a line that begins with two colons as that command, whatever its data has in it.
        assert!(line.starts_with("::") || !line.contains("##[error]"), "{line}");
        if let Some(command) = line.trim_start().strip_prefix("::") {
            let name = command.split([' ', ':']).next().unwrap();
            assert!(known.contains(&name), "{line}");
            assert!(!command.starts_with("error title=pwned") && command != "add-mask::backend", "{line}");
        }
    }
    let prose = without_code(&step.summary);
    for wrong in ["<img", "<script", "](https://evil.example)"] {
        assert!(!prose.contains(wrong), "{wrong}: {}", step.summary);
    }
}

/// Markdown without its fences and its code spans, which end with as many backticks as they began with.
fn without_code(markdown: &str) -> String {
    let (mut out, mut rest, mut fenced) = (String::new(), String::new(), false);
    for line in markdown.lines() {
        match line.starts_with("```") {
            true => fenced = !fenced,
            // A backtick behind a backslash begins nothing.
            false if !fenced => rest.push_str(&format!("{}\n", line.replace("\\`", ""))),
            false => {}
        }
    }
    let mut rest = rest.as_str();
    while let Some(at) = rest.find('`') {
        let ticks: String = rest[at..].chars().take_while(|c| *c == '`').collect();
        out.push_str(&rest[..at]);
        let inside = &rest[at + ticks.len()..];
        rest = inside.find(&ticks).map_or("", |end| &inside[end + ticks.len()..]);
    }
    out + rest
}

//! Whole steps of the action as the runner starts them: outputs, summary and annotations, and that
//! nothing from outside gets further than text.

use std::fs;

use crate::support::runner::{Runner, SHA, StepResult};

pub(crate) const FAST: &str = "timings: { schedule: 1, provision: 1, pull: 1, start: 1, health: 1, deregistration: 1, stop: 1, deprovision: 1, complete: 1 }\n";

#[test]
fn a_push_is_deployed() {
    let step = Runner::builtin("happy").run_main();
    assert_eq!((step.exit_code, step.count_changes()), (0, 8), "two at AWS; lease and record at GitHub");
    insta::assert_snapshot!(step.plain_outputs(), @"
    outcome=deployed
    environment=production
    image=111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    digest=sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    version=backend:2
    previous=backend:1
    url=https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.stable_summary(), @r"
    ## ✅ production: `backend` deployed; `backend:2` serves 100 % of traffic (verified in … s)

    _Rehearsal on the emulator: no real resource was changed._

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:2`<br>`sha256:d7293da258f4…` | `backend:1` → `backend:2`<br>`sha256:d7293da258f4…` · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | service deployment SUCCESSFUL, 2 of 2 targets healthy | … s |

    <details><summary>backend: changes (1)</summary>

    | field | from | to |
    |---|---|---|
    | image | `111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1` | `…/backend@sha256:d7293da258f4…` |

    </details>

    <details><summary>Timeline</summary>

    | UTC |  |
    |---|---|
    | hh:mm:ss | not built in a rehearsal; the emulated registry has an image for it: …/backend@&#8203;sha256:d7293da258f4… |
    | hh:mm:ss | version backend:2 is ready |
    | hh:mm:ss | rollout of backend:2 started (ecs-svc/…) |
    | hh:mm:ss | proven: service deployment SUCCESSFUL, 2 of 2 targets healthy |

    <details><summary>8 events of the provider</summary>

    | UTC |  |
    |---|---|

    </details>

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
fn crashing_version_is_rolled_back() {
    let step = Runner::builtin("crash-on-start").run_main();
    assert_eq!(step.exit_code, 3);
    insta::assert_snapshot!(step.plain_outputs(), @"
    outcome=failed
    environment=production
    image=111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@sha256:d7293da258f4ae907f370bbb54b13006e3d3ca6cd16401cd3a503abb60e3f342
    digest=sha256:028817b3422c85b0ef01767ec229a0dde39ce7e73e0d052bfd7a9eb3b59a92b8
    version=backend:1
    previous=backend:1
    url=https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.visible_summary(), @r"
    ## ❌ production: `backend` failed and was rolled back — `backend:1` serves, as before

    _Rehearsal on the emulator: no real resource was changed._

    **Cause**: The container `app` exits with code 1. ([`container-exited`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#container-exited))

    > Essential container in task exited

    Last 2 lines of the container:

    ```text
    hh:mm:ss starting
    hh:mm:ss panic: DATABASE_URL is not set
    ```

    **What to do**: Check its log lines.

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1`<br>`sha256:028817b3422c…` | `backend:1` → `backend:2`<br>`sha256:d7293da258f4…` · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | rolled back, confirmed: backend:1 serves | … s |
    ");
    insta::assert_snapshot!(step.annotation_lines(), @"::error title=container exited::The container `app` exits with code 1.%0AEssential container in task exited%0ACheck its log lines.%0Ahh:mm:ss starting%0Ahh:mm:ss panic: DATABASE_URL is not set");
}

#[test]
fn serving_version_is_unchanged() {
    let runner = Runner::builtin("happy");
    let (first, second) = crate::support::run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let first = runner.run_main_on(&cloud, clock).await;
        fs::remove_file(runner.path("summary")).unwrap();
        (first, runner.run_main_on(&cloud, clock).await)
    });
    assert_eq!((first.exit_code, second.exit_code), (0, 0));
    assert_eq!(
        second.count_changes(),
        first.count_changes(),
        "the second push of the same commit changes nothing"
    );
    insta::assert_snapshot!(second.plain_outputs(), @"
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
    insta::assert_snapshot!(second.visible_summary(), @r"
    ## ✅ production: `backend` is unchanged — `backend:2` already serves

    _Rehearsal on the emulator: no real resource was changed._

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:2`<br>`sha256:d7293da258f4…` | unchanged<br>`sha256:d7293da258f4…` · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) | rollout COMPLETED SUCCESSFUL, 2 of 2 targets healthy | – |
    ");
}

#[test]
fn all_deploy_file_problems_are_reported_at_once() {
    let config = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend:
    repositry: backend
    ecs: { cluster: acme, servce: backend }
";
    let step = Runner::builtin("happy").with_file("workspace/.github/roadstead.yml", config).run_main();
    assert_eq!((step.exit_code, step.calls.len()), (2, 0));
    insta::assert_snapshot!(step.plain_outputs(), @"
    outcome=invalid
    environment=production
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.visible_summary(), @r"
    ## ❌ production: nothing was changed — 2 problems to fix first

    _Rehearsal on the emulator: no real resource was changed._

    **2 problems**

    - [`config-invalid`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#config-invalid) · `backend` · [`.github/roadstead.yml:5`](https://github.com/acme/shop/blob/0123456789abcdef0123456789abcdef01234567/.github/roadstead.yml#L5) — `repositry` is not a key of service `backend`. Did you mean `repository`? Known: `paths`, `repository`, `strategy`, `show-env`, `before`, `alarms`, `verify`, `build`, `environments`, `ecs`, `argocd`, `appconfig`, `compose`, `kubernetes`.
    - [`credentials-missing`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#credentials-missing) — There are no AWS credentials in this job. Set `aws: { role: … }` of the environment (or the input `role-to-assume`) and `permissions: id-token: write`.

    <sub>Roadstead deploy · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC</sub>
    ");
    insta::assert_snapshot!(step.annotation_lines(), @r"
    ::error title=backend%3A config invalid,file=.github/roadstead.yml,line=5,col=5::`repositry` is not a key of service `backend`.%0ADid you mean `repository`? Known: `paths`, `repository`, `strategy`, `show-env`, `before`, `alarms`, `verify`, `build`, `environments`, `ecs`, `argocd`, `appconfig`, `compose`, `kubernetes`.
    ::error title=credentials missing::There are no AWS credentials in this job.%0ASet `aws: { role: … }` of the environment (or the input `role-to-assume`) and `permissions: id-token: write`.
    ");
}

#[test]
fn all_input_problems_are_reported_at_once() {
    let step = Runner::builtin("happy")
        .with_variable("INPUT_TIMEOUT", "soon")
        .with_variable("INPUT_ON-CANCEL", "panic")
        .run_main();
    assert_eq!((step.exit_code, step.calls.len()), (2, 0));
    insta::assert_snapshot!(step.plain_outputs(), @"
    outcome=invalid
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.annotation_lines(), @"
    ::error title=input invalid::Input `on-cancel`: `panic` is not one of `rollback`, `leave`.
    ::error title=input invalid::Input `timeout`: `soon` is not a time such as `90s`, `30m` or `1h30m`.
    ");
}

#[test]
fn a_missing_deploy_file_is_named() {
    let runner = Runner::builtin("happy").with_variable("INPUT_CONFIG", "deploy.yml");
    let step = runner.run_main();
    assert_eq!((step.exit_code, step.calls.len()), (2, 0));
    insta::assert_snapshot!(step.visible_summary().replace(&*runner.path("workspace").to_string_lossy(), "/workspace"), @r"
    ## ❌ nothing was changed — 1 problem to fix first

    _Rehearsal on the emulator: no real resource was changed._

    **1 problem**

    - [`config-missing`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#config-missing) — There is no deploy file `deploy.yml`. There is `.github/roadstead.yml`: rename it, or name it in the input `config`.

    <sub>Roadstead deploy · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC</sub>
    ");
}

#[test]
fn a_branch_of_no_environment_is_skipped() {
    let runner = Runner::builtin("happy")
        .with_variable("GITHUB_REF", "refs/heads/docs")
        .with_variable("GITHUB_REF_NAME", "docs");
    let step = runner.run_main();
    assert_eq!((step.exit_code, step.calls.len()), (0, 0));
    insta::assert_snapshot!(step.plain_outputs(), @"
    outcome=skipped
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.visible_summary(), @"
    ## ⏩ nothing to do — no environment matches the branch `docs` (`main` → production, `develop` → staging)

    _Rehearsal on the emulator: no real resource was changed._

    <sub>Roadstead deploy · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC</sub>
    ");
}

/// A pull request from the repository with the id `head` into the one with id 1.
fn pull_request_runner(head: u64) -> Runner {
    let event = format!(
        r#"{{"pull_request": {{"number": 7, "head": {{"sha": "{SHA}", "ref": "topic", "repo": {{"id": {head}}}}}, "base": {{"ref": "main", "repo": {{"id": 1}}}}}}}}"#
    );
    let commit = format!("{{ id: \"{SHA}\", branch: topic, files: {{ a.txt: a }} }}");
    let repository = format!("{{ name: acme/shop, private: true, issues: [7], history: [{commit}] }}");
    Runner::custom(&format!("github: {{ repositories: [{repository}] }}"))
        .with_variable("GITHUB_EVENT_NAME", "pull_request")
        .with_variable("GITHUB_REF", "refs/pull/7/merge")
        .with_variable("GITHUB_REF_NAME", "7/merge")
        .with_variable("GITHUB_HEAD_REF", "topic")
        .with_variable("GITHUB_BASE_REF", "main")
        .with_variable("GITHUB_SHA", "7e577e577e577e577e577e577e577e577e577e57")
        .with_file("event.json", &event)
}

#[test]
fn a_pull_request_gets_a_plan_and_never_a_change() {
    let step = pull_request_runner(1).run_main();
    let changed = step.calls.iter().filter(|call| call.is_mutating && call.took_effect);
    // Its check and its comment are the only changes.
    let changed: Vec<&str> = changed.map(|call| call.operation.as_str()).collect();
    assert_eq!((step.exit_code, changed), (0, vec!["checks/create", "issues/create-comment"]));
    insta::assert_snapshot!(step.plain_outputs(), @"
    outcome=planned
    environment=production
    digest=sha256:028817b3422c85b0ef01767ec229a0dde39ce7e73e0d052bfd7a9eb3b59a92b8
    version=backend:1
    previous=backend:1
    url=https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.visible_summary(), @"
    ## 📋 production: `backend` would get 1 change — plan only, no changes were made

    _Rehearsal on the emulator: no real resource was changed._

    | service | changes | strategy | expected |
    |---|---|---|---|
    | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | image `111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1` → `backend, built from 0123456` | rolling | – |
    ");
}

#[test]
fn fork_gets_no_release_and_the_reason() {
    let fork = pull_request_runner(2)
        .with_variable("INPUT_GITHUB-TOKEN", "")
        .with_variable("ACTIONS_ID_TOKEN_REQUEST_URL", "")
        .with_variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "");
    let step = fork.run_main();
    assert_eq!((step.exit_code, step.calls.len()), (0, 0));
    insta::assert_snapshot!(step.plain_outputs(), @"
    outcome=skipped
    commit=0123456789abcdef0123456789abcdef01234567
    ");
    insta::assert_snapshot!(step.visible_summary(), @"
    ## ⏩ nothing to do — GitHub gives no secrets and no OIDC token to this run (a fork or Dependabot), so nothing can be read or changed

    _Rehearsal on the emulator: no real resource was changed._

    <sub>Roadstead deploy · [`0123456`](https://github.com/acme/shop/commit/0123456789abcdef0123456789abcdef01234567) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC</sub>
    ");
}

#[test]
fn unwritable_files_do_not_change_the_outcome() {
    for name in ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_STATE"] {
        let step = Runner::builtin("happy").with_variable(name, "/nonexistent/file").run_main();
        assert_eq!((step.exit_code, step.count_changes()), (0, 8), "{name}");
        let log = step.lines.join("\n");
        assert!(log.contains("runner-file-unwritable") && log.contains(name), "{name}: {log}");
        assert!(log.contains("backend:2 serves 100 %"), "{name}");
    }
}

const HOSTILE_TEXT: &str = "x::error title=pwned::y`<img src=x onerror=1>|[a](https://evil.example)\u{1b}[31m%0A::set-env name=PATH::z";

#[test]
fn text_from_outside_stays_text() {
    let event = serde_json::json!({ "pull_request": {
        "number": 7, "title": HOSTILE_TEXT, "head": { "sha": HOSTILE_TEXT, "ref": HOSTILE_TEXT, "repo": { "id": 1 } },
        "base": { "ref": "main", "repo": { "id": 1 } } } });
    let runner = pull_request_runner(1)
        .with_variable("GITHUB_HEAD_REF", HOSTILE_TEXT)
        .with_file("event.json", &event.to_string());
    assert_harmless(&runner.with_variable("GITHUB_ACTOR", HOSTILE_TEXT).run_main());
    let branch = format!("refs/heads/{HOSTILE_TEXT}");
    assert_harmless(
        &Runner::builtin("happy")
            .with_variable("GITHUB_REF", &branch)
            .with_variable("GITHUB_REF_NAME", HOSTILE_TEXT)
            .run_main(),
    );
    let environment =
        Runner::builtin("happy").with_variable("INPUT_ENVIRONMENT", "production\n::error::pwned");
    assert_harmless(&environment.run_main());
    let log = "[\"::error title=pwned::x\", \"##[error]pwned\", \"::add-mask::backend\", \"<script>pwned</script>\"]";
    let crash = format!("faults: [crash-on-start: {{ exit-code: 1, after: 2, log: {log} }}]");
    let step = Runner::custom(&crash).run_main();
    assert_harmless(&step);
    assert_eq!(step.exit_code, 3);
}

fn assert_harmless(step: &StepResult) {
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

//! Summaries as people see them, one for each outcome.

use super::*;
use crate::problem::{Code, Problem};
use crate::report::fixtures::{self, sample_time};

#[test]
fn deployed() {
    let mut report = fixtures::sample_report(Outcome::Deployed);
    let service = &mut report.services[0];
    service.url = Some("https://backend.acme.dev".into());
    service.add_timeline_entry(
        sample_time(0),
        "pre-flight: image for linux/amd64 found, alarms green, `backend:41` can be returned to",
    );
    service.add_timeline_entry(sample_time(2), "registered backend:42, deployment started");
    service.add_timeline_entry(sample_time(72), "proven");
    service.commits = vec![fixtures::commit_line(fixtures::NEW_COMMIT, "Add a flag", "octocat")];
    insta::assert_snapshot!(summary(&report), @"
    ## ✅ production: `backend` deployed; `backend:42` serves 100 % of traffic (verified in 1 min 12 s)

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | [`backend`](https://backend.acme.dev) | `backend:42`<br>`sha256:999999999999…` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | service deployment SUCCESSFUL, 4 of 4 targets healthy | 1 min 12 s |

    <details><summary>backend: changes (1)</summary>

    | field | from | to |
    |---|---|---|
    | image | `acme/app:1` | `acme/app:2` |

    </details>

    <details><summary>Timeline</summary>

    | UTC |  |
    |---|---|
    | 12:03:40 | pre-flight: image for linux/amd64 found, alarms green, `backend:41` can be returned to |
    | 12:03:42 | registered backend:42, deployment started |
    | 12:04:52 | proven |

    </details>

    <details><summary>backend: 1 commit since badcafe</summary>

    - [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) Add a flag — octocat
    - [all changes](https://github.com/acme/app/compare/badcafe000000000000000000000000000000000...c0ffee1000000000000000000000000000000000)

    </details>

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    ");
}

#[test]
fn failed_with_cause() {
    let mut report = fixtures::sample_report(Outcome::Failed);
    report.services[0].changes.0.clear();
    insta::assert_snapshot!(summary(&report), @r#"
    ## ❌ production: `backend` failed and was rolled back — `backend:41` serves, as before

    **Cause**: The container `app` exits by itself, twice in 18 s. Exit code **3**. ([`container-exited`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#container-exited))

    > EssentialContainerExited: Essential container in task exited

    Last 2 lines of the container:

    ```text
    12:04:11 connecting to db.internal:5432
    12:04:11 FATAL: password authentication failed for user "app"
    ```

    **What to do**: Its last lines say why. Fix it and run the job again; nothing else is needed.

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | `backend` | `backend:41`<br>`sha256:777777777777…` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | rolled back, 4 of 4 targets healthy on the old digest | 1 min 12 s |

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn superseded() {
    let mut report = fixtures::sample_report(Outcome::Superseded);
    report.services[0].changes.0.clear();
    insta::assert_snapshot!(summary(&report), @r#"
    ## ⏩ production: `backend` was superseded by a newer deployment, which was not changed — `backend:43` serves

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | `backend` | `backend:43`<br>`sha256:555555555555…` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | a newer service deployment is SUCCESSFUL | 1 min 12 s |

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn cancelled() {
    let mut report = fixtures::sample_report(Outcome::Cancelled);
    report.services[0].changes.0.clear();
    insta::assert_snapshot!(summary(&report), @r#"
    ## 🛑 production: `backend` was cancelled — `backend:41` serves, as before

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | `backend` | `backend:41`<br>`sha256:777777777777…` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | rolled back, 4 of 4 targets healthy on the old digest | 1 min 12 s |

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn stranded() {
    let mut report = fixtures::sample_report(Outcome::Stranded);
    let service = &mut report.services[0];
    service.changes.0.clear();
    service.problems.push(
        Problem::error(Code::RollbackFailed, "The rollback to `backend:41` failed too.")
            .help("Look at the service now; nothing moves it any more.")
            .for_service("backend"),
    );
    insta::assert_snapshot!(summary(&report), @r#"
    ## 🚨 production: `backend` needs manual action: the new version failed, and the rollback failed — the serving version is unknown

    **1 problem**

    - [`rollback-failed`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#rollback-failed) · `backend` — The rollback to `backend:41` failed too. Look at the service now; nothing moves it any more.

    **Cause**: The container `app` exits by itself, twice in 18 s. Exit code **3**. ([`container-exited`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#container-exited))

    > EssentialContainerExited: Essential container in task exited

    Last 2 lines of the container:

    ```text
    12:04:11 connecting to db.internal:5432
    12:04:11 FATAL: password authentication failed for user "app"
    ```

    **What to do**: Its last lines say why. Fix it and run the job again; nothing else is needed.

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | `backend` | – | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | no answer since 12:04:30 | 1 min 12 s |

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn invalid_with_several_problems() {
    let mut report = fixtures::sample_report(Outcome::Invalid);
    report.services.clear();
    insta::assert_snapshot!(summary(&report), @"
    ## ❌ production: nothing was changed — 2 problems to fix first

    **2 problems**

    - [`config-invalid`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#config-invalid) · [`.github/roadstead.yml:12`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/.github/roadstead.yml#L12) — There is no key `strateggy` here. Did you mean `strategy`?
    - [`cluster-missing`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#cluster-missing) · `backend` — There is no cluster `acme-production`. (ClusterNotFoundException: Cluster not found.)

    **1 warning**

    - [`secret-in-plain-text`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#secret-in-plain-text) · `backend` · [`deploy/backend.json:31`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/deploy/backend.json#L31) — `API_TOKEN` looks like a secret in plain `environment`. Use `secrets`.

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    ");
}

#[test]
fn unchanged() {
    insta::assert_snapshot!(summary(&fixtures::sample_report(Outcome::Unchanged)), @r#"
    ## ✅ production: `backend` is unchanged — `backend:41` already serves

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | `backend` | `backend:41`<br>`sha256:777777777777…` | unchanged<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | same definition and digest | 1 min 12 s |

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn planned() {
    let mut report = fixtures::sample_report(Outcome::Planned);
    let changes = &mut report.services[0].changes.0;
    let (old, new) = (fixtures::digest('7'), fixtures::digest('9'));
    changes[0] =
        fixtures::change("image", Some(&format!("acme/app@{old}")), Some(&format!("acme/app@{new}")));
    changes.push(fixtures::change("environment NEW_FLAG", None, Some("on")));
    changes.push(fixtures::change("environment API_TOKEN", None, None));
    changes.push(fixtures::change("environment OLD_FLAG", Some("off"), None));
    changes.push(fixtures::change("memory", Some("512"), Some("1024")));
    let mut analytics = fixtures::sample_service("analytics", Outcome::Unchanged);
    analytics.outcome = Outcome::Planned;
    report.services.push(analytics);
    report.problems = fixtures::sample_problems().into_iter().filter(|problem| !problem.is_error()).collect();
    insta::assert_snapshot!(summary(&report), @r#"
    ## 📋 production: 1 of 2 services would change — plan only, no changes were made

    | service | changes | strategy | expected |
    |---|---|---|---|
    | `backend` | image `acme/app@sha256:777777777777…` → `acme/app@sha256:999999999999…`<br>+ environment NEW\_FLAG `on`<br>~ environment API\_TOKEN<br>− environment OLD\_FLAG `off`<br>… and 1 more | rolling | ≈ 19 min |
    | `analytics` | no changes | – | – |

    **1 warning**

    - [`secret-in-plain-text`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#secret-in-plain-text) · `backend` · [`deploy/backend.json:31`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/deploy/backend.json#L31) — `API_TOKEN` looks like a secret in plain `environment`. Use `secrets`.

    <details><summary>backend: planned changes (5)</summary>

    | field | from | to |
    |---|---|---|
    | image | `acme/app@sha256:777777777777…` | `acme/app@sha256:999999999999…` |
    | environment NEW\_FLAG | – | `on` |
    | environment API\_TOKEN | – | – |
    | environment OLD\_FLAG | `off` | – |
    | memory | `512` | `1024` |

    </details>

    <sub>Roadstead plan · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn several_services() {
    let mut report = fixtures::sample_report(Outcome::Failed);
    report.services[0].add_timeline_entry(sample_time(31), "task 5d2e stopped: exit code 3");
    report.services.push(fixtures::sample_service("worker", Outcome::Deployed));
    report.services.push(fixtures::sample_service("mailer", Outcome::Unchanged));
    report.services[1].add_timeline_entry(sample_time(12), "proven");
    report.services.iter_mut().for_each(|service| service.changes.0.clear());
    report.rehearsal = true;
    insta::assert_snapshot!(summary(&report), @r#"
    ## ❌ production: `backend` failed and was rolled back (`backend:41` serves, as before) — 1 deployed, 1 unchanged

    _Rehearsal on the emulator: no real resource was changed._

    **Cause** of `backend`: The container `app` exits by itself, twice in 18 s. Exit code **3**. ([`container-exited`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#container-exited))

    > EssentialContainerExited: Essential container in task exited

    Last 2 lines of the container:

    ```text
    12:04:11 connecting to db.internal:5432
    12:04:11 FATAL: password authentication failed for user "app"
    ```

    **What to do**: Its last lines say why. Fix it and run the job again; nothing else is needed.

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | `backend` | `backend:41`<br>`sha256:777777777777…` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | rolled back, 4 of 4 targets healthy on the old digest | 1 min 12 s |
    | `worker` | `worker:42`<br>`sha256:999999999999…` | `worker:41` → `worker:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | service deployment SUCCESSFUL, 4 of 4 targets healthy | 1 min 12 s |
    | `mailer` | `mailer:41`<br>`sha256:777777777777…` | unchanged<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | same definition and digest | 1 min 12 s |

    <details><summary>Timeline</summary>

    | UTC |  |
    |---|---|
    | 12:03:52 | `worker` proven |
    | 12:04:11 | `backend` task 5d2e stopped: exit code 3 |

    </details>

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn proposed() {
    let mut report = fixtures::sample_report(Outcome::Proposed);
    report.services[0].changes.0.clear();
    let evidence = report.services[0].evidence.clone();
    report.services[0].add_timeline_entry(sample_time(2), evidence);
    insta::assert_snapshot!(summary(&report), @r"
    ## 📨 production: `backend` is proposed — merge [`acme/manifests#12`](https://github.com/acme/manifests/pull/12) to deploy it

    | service | serving | from → to | evidence | took |
    |---|---|---|---|---|
    | `backend` | – | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | proposed as pull request #&#8203;12: [`acme/manifests#12`](https://github.com/acme/manifests/pull/12) | 1 min 12 s |

    <details><summary>Timeline</summary>

    | UTC |  |
    |---|---|
    | 12:03:42 | proposed as pull request #&#8203;12: [`acme/manifests#12`](https://github.com/acme/manifests/pull/12) |

    </details>

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    ");
}

#[test]
fn two_failures_have_a_short_heading() {
    let mut report = fixtures::sample_report(Outcome::Failed);
    report.services.push(fixtures::sample_service("worker", Outcome::Failed));
    report.services.push(fixtures::sample_service("mailer", Outcome::Deployed));
    let text = summary(&report);
    insta::assert_snapshot!(text.lines().next().unwrap(), @"## ❌ production: `backend` and `worker` failed; their previous versions serve — 1 deployed");
}

#[test]
fn provider_events_are_folded_with_short_names() {
    let mut report = fixtures::sample_report(Outcome::Deployed);
    let service = &mut report.services[0];
    service.changes.0.clear();
    service.add_timeline_entry(sample_time(2), "rollout of backend:42 started");
    let group = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/backend/10e08a";
    service.add_provider_event(
        sample_time(9),
        format!("(service backend) registered 1 targets in (target-group {group})"),
    );
    let text = summary(&report);
    insta::assert_snapshot!(text.split_once("<details>").unwrap().1.split_once("<sub>").unwrap().0, @"
    <summary>Timeline</summary>

    | UTC |  |
    |---|---|
    | 12:03:42 | rollout of backend:42 started |

    <details><summary>1 event of the provider</summary>

    | UTC |  |
    |---|---|
    | 12:03:49 | (service backend) registered 1 targets in (target-group targetgroup/backend/10e08a) |

    </details>

    </details>
    ");
}

#[test]
fn cause_of_several_lines_stays_a_block() {
    let mut report = fixtures::sample_report(Outcome::Failed);
    let failure = report.services[0].failure.as_mut().unwrap();
    failure.problem = failure.problem.clone().cause("line 1\nline 2");
    assert!(summary(&report).contains("```text\nline 1\nline 2\n```"));
}

#[test]
fn exit_code_is_said_once() {
    let mut report = fixtures::sample_report(Outcome::Failed);
    report.services[0].failure.as_mut().unwrap().problem.sentence =
        "The container `app` exits with code 3.".into();
    let text = summary(&report);
    assert!(text.contains("exits with code 3. ([") && !text.contains("Exit code"), "{text}");
}

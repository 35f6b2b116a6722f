//! Summaries as people see them, and what hostile text makes of them: nothing.

use super::*;
use crate::problem::{Code, Problem};
use crate::report::samples::{self, at};
use crate::report::{CommitLine, ServiceReport};

#[test]
fn deployed() {
    let mut report = samples::ended(Outcome::Deployed);
    let service = &mut report.services[0];
    service.url = Some("https://backend.acme.dev".into());
    service.moment(
        at(0),
        "pre-flight: image for linux/amd64 found, alarms green, `backend:41` can be returned to",
    );
    service.moment(at(2), "registered backend:42, deployment started");
    service.moment(at(72), "proven");
    service.commits = vec![samples::commit(samples::NEW_COMMIT, "Add a flag", "octocat")];
    insta::assert_snapshot!(summary(&report), @r#"
    ## ✅ production: `backend` `backend:42` serves 100 % — proven after 1 min 12 s

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | [`backend`](https://backend.acme.dev) | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | `backend:42` · `sha256:999999999999…` | service deployment SUCCESSFUL, 4 of 4 targets healthy | 1 min 12 s |

    <details><summary>backend: what changed, 1 place</summary>

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
    "#);
}

#[test]
fn failed_with_cause() {
    let mut report = samples::ended(Outcome::Failed);
    report.services[0].changes.0.clear();
    insta::assert_snapshot!(summary(&report), @r#"
    ## ❌ production: `backend` failed and was rolled back — `backend:41` serves, as before

    **Cause**: The container `app` exits by itself, twice in 18 s. Exit code **3**.

    ```text
    EssentialContainerExited: Essential container in task exited
    ```

    Last 2 lines of the container:

    ```text
    12:04:11 connecting to db.internal:5432
    12:04:11 FATAL: password authentication failed for user "app"
    ```

    **What to do**: Its last lines say why. Fix it and run the job again; nothing else is needed.

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | `backend` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | `backend:41` · `sha256:777777777777…` | rolled back, 4 of 4 targets healthy on the old digest | 1 min 12 s |

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn superseded() {
    let mut report = samples::ended(Outcome::Superseded);
    report.services[0].changes.0.clear();
    insta::assert_snapshot!(summary(&report), @r#"
    ## ⏩ production: `backend` was overtaken by a newer deployment, which was left alone — `backend:43` serves

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | `backend` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | `backend:43` · `sha256:555555555555…` | a newer service deployment is SUCCESSFUL | 1 min 12 s |

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn cancelled() {
    let mut report = samples::ended(Outcome::Cancelled);
    report.services[0].changes.0.clear();
    insta::assert_snapshot!(summary(&report), @r#"
    ## 🛑 production: `backend` was cancelled — `backend:41` serves, as before

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | `backend` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | `backend:41` · `sha256:777777777777…` | rolled back, 4 of 4 targets healthy on the old digest | 1 min 12 s |

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn stranded() {
    let mut report = samples::ended(Outcome::Stranded);
    let service = &mut report.services[0];
    service.changes.0.clear();
    service.problems.push(
        Problem::error(Code::RollbackFailed, "The rollback to `backend:41` failed too.")
            .help("Look at the service now; nothing moves it any more.")
            .of("backend"),
    );
    insta::assert_snapshot!(summary(&report), @r#"
    ## 🚨 production: `backend` needs a person now: the new version failed, and so did the rollback — what serves now is not known

    **1 problem**

    - `rollback-failed` · `backend` — The rollback to `backend:41` failed too. Look at the service now; nothing moves it any more.

    **Cause**: The container `app` exits by itself, twice in 18 s. Exit code **3**.

    ```text
    EssentialContainerExited: Essential container in task exited
    ```

    Last 2 lines of the container:

    ```text
    12:04:11 connecting to db.internal:5432
    12:04:11 FATAL: password authentication failed for user "app"
    ```

    **What to do**: Its last lines say why. Fix it and run the job again; nothing else is needed.

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | `backend` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | – | no answer since 12:04:30 | 1 min 12 s |

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn invalid_with_several_problems() {
    let mut report = samples::ended(Outcome::Invalid);
    report.services.clear();
    insta::assert_snapshot!(summary(&report), @r#"
    ## ❌ production: nothing was changed — 2 problems to fix first

    **2 problems**

    - `config-invalid` · [`.github/roadstead.yml:12`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/.github/roadstead.yml#L12) — There is no key `strateggy` here. Did you mean `strategy`?
    - `cluster-missing` · `backend` — There is no cluster `acme-production`. (ClusterNotFoundException: Cluster not found.)

    **1 warning**

    - `secret-in-plain-text` · `backend` · [`deploy/backend.json:31`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/deploy/backend.json#L31) — `API_TOKEN` looks like a secret in plain `environment`. Use `secrets`.

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn unchanged() {
    insta::assert_snapshot!(summary(&samples::ended(Outcome::Unchanged)), @r#"
    ## ✅ production: `backend` is unchanged — `backend:41` already serves

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | `backend` | unchanged<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | `backend:41` · `sha256:777777777777…` | same definition and digest | 1 min 12 s |

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

#[test]
fn planned() {
    let mut report = samples::ended(Outcome::Planned);
    let changes = &mut report.services[0].changes.0;
    let (old, new) = (samples::digest('7'), samples::digest('9'));
    changes[0] = samples::change("image", Some(&format!("acme/app@{old}")), Some(&format!("acme/app@{new}")));
    changes.push(samples::change("environment NEW_FLAG", None, Some("on")));
    changes.push(samples::change("environment API_TOKEN", None, None));
    changes.push(samples::change("environment OLD_FLAG", Some("off"), None));
    changes.push(samples::change("memory", Some("512"), Some("1024")));
    let mut analytics = samples::service("analytics", Outcome::Unchanged);
    analytics.outcome = Outcome::Planned;
    report.services.push(analytics);
    report.problems = samples::wrong().into_iter().filter(|problem| !problem.is_error()).collect();
    insta::assert_snapshot!(summary(&report), @r#"
    ## 📋 production: 1 of 2 services would change — this is a plan, nothing was touched

    | service | what changes | how | expected |
    |---|---|---|---|
    | `backend` | image `acme/app@sha256:777777777777…` → `acme/app@sha256:999999999999…`<br>+ environment NEW\_FLAG `on`<br>~ environment API\_TOKEN<br>− environment OLD\_FLAG `off`<br>… and 1 more | rolling | ≈ 19 min |
    | `analytics` | nothing | – | – |

    **1 warning**

    - `secret-in-plain-text` · `backend` · [`deploy/backend.json:31`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/deploy/backend.json#L31) — `API_TOKEN` looks like a secret in plain `environment`. Use `secrets`.

    <details><summary>backend: what would change, 5 places</summary>

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
    let mut report = samples::ended(Outcome::Failed);
    report.services[0].moment(at(31), "task 5d2e stopped: exit code 3");
    report.services.push(samples::service("worker", Outcome::Deployed));
    report.services.push(samples::service("mailer", Outcome::Unchanged));
    report.services[1].moment(at(12), "proven");
    report.services.iter_mut().for_each(|service| service.changes.0.clear());
    report.rehearsal = true;
    insta::assert_snapshot!(summary(&report), @r#"
    ## ❌ production: `backend` failed and was rolled back (`backend:41` serves, as before) — 1 deployed, 1 unchanged

    _A rehearsal on the embedded cloud: nothing real was touched._

    **Cause** of `backend`: The container `app` exits by itself, twice in 18 s. Exit code **3**.

    ```text
    EssentialContainerExited: Essential container in task exited
    ```

    Last 2 lines of the container:

    ```text
    12:04:11 connecting to db.internal:5432
    12:04:11 FATAL: password authentication failed for user "app"
    ```

    **What to do**: Its last lines say why. Fix it and run the job again; nothing else is needed.

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | `backend` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | `backend:41` · `sha256:777777777777…` | rolled back, 4 of 4 targets healthy on the old digest | 1 min 12 s |
    | `worker` | `worker:41` → `worker:42`<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | `worker:42` · `sha256:999999999999…` | service deployment SUCCESSFUL, 4 of 4 targets healthy | 1 min 12 s |
    | `mailer` | unchanged<br>`sha256:999999999999…` · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) | `mailer:41` · `sha256:777777777777…` | same definition and digest | 1 min 12 s |

    <details><summary>Timeline</summary>

    | UTC |  |
    |---|---|
    | 12:03:52 | `worker` proven |
    | 12:04:11 | `backend` task 5d2e stopped: exit code 3 |

    </details>

    <sub>Roadstead deploy · [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · [run](https://github.com/acme/app/actions/runs/12/attempts/1) · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

const EVIL: &str = "x|`<img src=x onerror=alert(1)>`\r\n</details>\n# @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) \u{202e}\u{1b}[31m$x$ https://evil.example";

fn hostile(evil: &str) -> RunReport {
    let mut report = samples::ended(Outcome::Failed);
    let problem = || Problem::error(Code::Internal, evil).cause(evil).help(evil).at(evil, 1, 1).of(evil);
    report.environment = Some(evil.into());
    report.run_url = Some(format!("javascript:{evil}"));
    report.repository = Some(evil.into());
    report.commit = Some(evil.into());
    report.problems = vec![problem(), Problem::warning(Code::Internal, evil)];
    let service = &mut report.services[0];
    service.name = evil.into();
    service.evidence = evil.into();
    service.url = Some(format!("javascript:{evil}"));
    service.commit = Some(evil.into());
    service.commits = vec![CommitLine { sha: evil.into(), subject: evil.into(), author: evil.into() }];
    service.moment(at(1), evil);
    service.serves.as_mut().unwrap().label = evil.into();
    service.changes.0 = vec![samples::change(evil, Some(evil), Some(evil))];
    let failure = service.failure.as_mut().unwrap();
    failure.problem = problem();
    failure.logs[0].text = evil.into();
    report
}

#[test]
fn hostile_text_stays_text() {
    insta::assert_snapshot!(summary(&hostile(EVIL)), @r#"
    ## ❌ x&#124;`<img src=x onerror=alert(1)>`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example: ``x|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` failed and was rolled back — ``x|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` serves

    **Cause**: x&#124;`<img src=x onerror=alert(1)>`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example Exit code **3**.

    ```text
    x|`<img src=x onerror=alert(1)>`

    </details>
    # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example
    ```

    Last 2 lines of the container:

    ```text
    12:04:11 x|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example
    12:04:11 FATAL: password authentication failed for user "app"
    ```

    **What to do**: x&#124;`<img src=x onerror=alert(1)>`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example

    | service | from → to | serves now | how it is known | took |
    |---|---|---|---|---|
    | ``x\|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · ``x\|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` | ``x\|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` · `sha256:777777777777…` | x&#124;`<img src=x onerror=alert(1)>`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example | 1 min 12 s |

    **1 warning**

    - `internal` — x&#124;`<img src=x onerror=alert(1)>`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example

    <details><summary>x|`&lt;img src=x onerror=alert(1)&gt;`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 ](javascript:alert(1)) ![a](https:&#8203;//evil.example/x) $x$ https:&#8203;//evil.example: what was to change, 1 place</summary>

    | field | from | to |
    |---|---|---|
    | x&#124;\`&lt;img src=x onerror=alert(1)&gt;\`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example | ``x\|`<img src=x onerror=alert(1)>`  </deta…s://evil.example`` | ``x\|`<img src=x onerror=alert(1)>`  </deta…s://evil.example`` |

    </details>

    <details><summary>Timeline</summary>

    | UTC |  |
    |---|---|
    | 12:03:41 | x&#124;`<img src=x onerror=alert(1)>`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example |

    </details>

    <details><summary>x|`&lt;img src=x onerror=alert(1)&gt;`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 ](javascript:alert(1)) ![a](https:&#8203;//evil.example/x) $x$ https:&#8203;//evil.example: 1 commit since badcafe</summary>

    - ``x|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` x&#124;\`&lt;img src=x onerror=alert(1)&gt;\`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example — x&#124;\`&lt;img src=x onerror=alert(1)&gt;\`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example

    </details>

    <sub>Roadstead deploy · ``x|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` · run · 2026-11-21 12:04 UTC · 1 min 12 s</sub>
    "#);
}

/// What is left when code, fences and our own tags are taken away has no tag, no link and no mention in it.
fn active_parts(markdown: &str) -> Vec<String> {
    let ours = ["<details><summary>", "</summary>", "</details>", "<sub>", "</sub>", "<br>"];
    let mut active = Vec::new();
    for line in outside_fences(markdown) {
        let is_title = line.starts_with("<details>");
        let line =
            ours.iter().fold(without_code(&line), |line, tag| line.replace(tag, "")).replace("\\]", "");
        // A title of a fold is HTML, in which brackets mean nothing.
        let marks = ["<", "@a", "https://", "#1 "];
        let link = !is_title && line.contains("](");
        if link || marks.iter().any(|mark| line.contains(mark)) {
            active.push(line);
        }
    }
    active
}

fn outside_fences(markdown: &str) -> Vec<String> {
    let (mut out, mut open) = (Vec::new(), None::<String>);
    for line in markdown.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &open {
            Some(fence) if line.trim_end() == fence => open = None,
            Some(_) => {}
            None if ticks.len() >= 3 && line[ticks.len()..].trim() == "text" => open = Some(ticks),
            None => out.push(line.to_owned()),
        }
    }
    assert_eq!(open, None, "every fence is closed");
    out
}

/// Takes code spans out as CommonMark finds them: a run of backticks to the next run of the same length.
fn without_code(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('`') {
        let escaped = rest[..at].ends_with('\\');
        let length = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let ticks = &rest[at..at + length];
        out.push_str(&rest[..at]);
        rest = &rest[at + length..];
        if escaped {
            continue;
        }
        let mut from = 0;
        while let Some(found) = rest[from..].find(ticks) {
            let (start, end) = (from + found, from + found + length);
            let longer = rest[end..].starts_with('`') || rest[..start].ends_with('`');
            if !longer {
                rest = &rest[end..];
                break;
            }
            from = end + rest[end..].len() - rest[end..].trim_start_matches('`').len();
        }
    }
    out + rest
}

#[test]
fn hostile_text_is_never_active() {
    assert_eq!(active_parts(&summary(&hostile(EVIL))), Vec::<String>::new());
    assert_eq!(active_parts("a <b> c").len(), 1, "the check can fail");
}

proptest::proptest! {
    #[test]
    fn no_text_is_active(evil in "(`|<|>|\\||\\]\\(|@a|https://|#1 |```|\n|\\\\|\\*|~|x| ){0,14}") {
        let active = active_parts(&summary(&hostile(&evil)));
        proptest::prop_assert!(active.is_empty(), "{:#?}", active);
    }
}

#[test]
fn a_summary_is_cut_between_sections_and_keeps_its_verdict() {
    let mut report = samples::ended(Outcome::Failed);
    for n in 0..300 {
        let mut service: ServiceReport = samples::service(&format!("service-{n}"), Outcome::Failed);
        service.evidence = "e".repeat(3000);
        service.moment(at(n), "m".repeat(3000));
        service.failure.as_mut().unwrap().logs[0].text = "l".repeat(3000);
        report.services.push(service);
    }
    let text = summary(&report);
    assert!(text.len() <= LONGEST, "{}", text.len());
    assert!(text.starts_with("## ❌ production: "));
    assert!(text.contains("_Too long to show here: ") && text.ends_with("</sub>\n"));
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    outside_fences(&text);
}

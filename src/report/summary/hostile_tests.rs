//! Hostile text in summaries stays text, and long summaries are cut between sections.

use super::*;
use crate::problem::{Code, Problem};
use crate::report::fixtures::{self, sample_time};
use crate::report::guide::section_url;
use crate::report::{CommitLine, ServiceReport};

const EVIL: &str = "x|`<img src=x onerror=alert(1)>`\r\n</details>\n# @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) \u{202e}\u{1b}[31m$x$ https://evil.example";

fn hostile(evil: &str) -> RunReport {
    let mut report = fixtures::sample_report(Outcome::Failed);
    let problem = || {
        Problem::error(Code::Internal, evil).cause(evil).help(evil).at_location(evil, 1, 1).for_service(evil)
    };
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
    service.add_timeline_entry(sample_time(1), evil);
    service.serving_version.as_mut().unwrap().label = evil.into();
    service.changes.0 = vec![fixtures::change(evil, Some(evil), Some(evil))];
    let failure = service.failure.as_mut().unwrap();
    failure.problem = problem();
    failure.logs[0].text = evil.into();
    report
}

#[test]
fn hostile_text_stays_text() {
    insta::assert_snapshot!(summary(&hostile(EVIL)), @r#"
## ❌ x&#124;`<img src=x onerror=alert(1)>`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example: ``x|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` failed and was rolled back — ``x|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` serves

**Cause**: x&#124;`<img src=x onerror=alert(1)>`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example Exit code **3**. ([`internal`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#internal))

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

| service | serving | from → to | evidence | took |
|---|---|---|---|---|
| ``x\|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` | ``x\|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example``<br>`sha256:777777777777…` | `backend:41` → `backend:42`<br>`sha256:999999999999…` · ``x\|`<img src=x onerror=alert(1)>`  </details> # @acme/all #1 ](javascript:alert(1)) ![a](https://evil.example/x) $x$ https://evil.example`` | x&#124;`<img src=x onerror=alert(1)>`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example | 1 min 12 s |

**1 warning**

- [`internal`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#internal) — x&#124;`<img src=x onerror=alert(1)>`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 \](javascript:alert(1)) !\[a\](https:&#8203;//evil.example/x) &#36;x&#36; https:&#8203;//evil.example

<details><summary>x|`&lt;img src=x onerror=alert(1)&gt;`  &lt;/details&gt; #&#8203; @&#8203;acme/all #&#8203;1 ](javascript:alert(1)) ![a](https:&#8203;//evil.example/x) $x$ https:&#8203;//evil.example: attempted changes (1)</summary>

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

/// What is left when code, fences, our own tags and the link of the problem's code are taken away has no tag, no link and
/// no mention in it.
fn active_parts(markdown: &str) -> Vec<String> {
    let ours = ["<details><summary>", "</summary>", "</details>", "<sub>", "</sub>", "<br>"];
    let mut active = Vec::new();
    for line in outside_fences(markdown) {
        let is_title = line.starts_with("<details>");
        let line =
            ours.iter().fold(without_code(&line), |line, tag| line.replace(tag, "")).replace("\\]", "");
        let line = line.replacen(&format!("[]({})", section_url(Code::Internal)), "", 1);
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
    let mut report = fixtures::sample_report(Outcome::Failed);
    for n in 0..300 {
        let mut service: ServiceReport = fixtures::sample_service(&format!("service-{n}"), Outcome::Failed);
        service.evidence = "e".repeat(3000);
        service.add_timeline_entry(sample_time(n), "m".repeat(3000));
        service.failure.as_mut().unwrap().logs[0].text = "l".repeat(3000);
        report.services.push(service);
    }
    let text = summary(&report);
    assert!(text.len() <= MAX_BYTES, "{}", text.len());
    assert!(text.starts_with("## ❌ production: "));
    assert!(text.contains("_Too long to show here: ") && text.ends_with("</sub>\n"));
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    outside_fences(&text);
}

//! What the judge of a canary saw, as a block of the summary: both versions side by side, the verdict in words, a small
//! chart. Names of metrics come from outside.

use super::markdown::{details, table, text};
use crate::strategy::judge::{Count, Finding, Opinion, Rates, Ruling, grouped, number};

/// Points of a chart that can still be told apart.
const POINTS: usize = 30;
/// Letters of a metric's name in a chart's title.
const TITLE: usize = 40;

/// The block, as Markdown; `share` is the canary's share of the traffic in percent, as it was configured.
pub fn lines(opinion: &Opinion, share: u8) -> String {
    let mut blocks = Vec::new();
    if !opinion.findings.is_empty() {
        blocks.push(table(&["", "canary", "baseline"], &arms(&opinion.findings, share)));
    }
    blocks.push(verdict(opinion));
    blocks.extend(decisive(opinion).and_then(chart));
    if !opinion.findings.is_empty() {
        blocks.push(details("How it was judged", &numbers(&opinion.findings)));
    }
    blocks.join("\n\n")
}

fn arms(findings: &[Finding], share: u8) -> Vec<Vec<String>> {
    let mut rows = vec![shares(findings, share)];
    if let Some(first) = findings.first() {
        let total = |count: Count| grouped(count.total);
        rows.push(vec!["requests".into(), total(first.canary), total(first.baseline)]);
        rows.extend(findings.iter().map(|finding| {
            let cell = |count: Count, of: Count| bad(count, count.total != of.total);
            vec![
                text(&finding.name),
                cell(finding.canary, first.canary),
                cell(finding.baseline, first.baseline),
            ]
        }));
    }
    rows
}

fn shares(findings: &[Finding], share: u8) -> Vec<String> {
    let split = findings.iter().find(|finding| finding.share.is_some());
    let seen = split.and_then(|finding| {
        let all = finding.canary.total + finding.baseline.total;
        (all > 0).then(|| finding.canary.total as f64 / all as f64)
    });
    let seen = seen.map_or(String::new(), |seen| format!(" (seen {:.1} %)", 100.0 * seen));
    let rest = 100_u8.saturating_sub(share);
    vec!["share of traffic".into(), format!("{share} %{seen}"), format!("{rest} %")]
}

/// `11 (0.09 %)`, or `11 of 9,000 (0.12 %)` where the metric has requests of its own.
fn bad(count: Count, own: bool) -> String {
    let of = if own { format!(" of {}", grouped(count.total)) } else { String::new() };
    match count.rate() {
        Some(rate) => format!("{}{of} ({:.2} %)", grouped(count.bad), 100.0 * rate),
        None => format!("{}{of}", grouped(count.bad)),
    }
}

fn verdict(opinion: &Opinion) -> String {
    let word = match opinion.ruling {
        Ruling::Pass => "PASS",
        Ruling::Fail => "FAIL",
        Ruling::Inconclusive => "INCONCLUSIVE",
        Ruling::Undecided => "UNDECIDED",
    };
    let close = |finding: &&Finding| finding.highest_evidence / finding.evidence_limit;
    let highest = opinion.findings.iter().max_by(|a, b| close(a).total_cmp(&close(b)));
    let evidence = highest.map_or(String::new(), |finding| {
        let (most, limit) = (number(finding.highest_evidence), number(finding.evidence_limit));
        match opinion.ruling {
            Ruling::Fail => String::new(),
            _ => format!(" Evidence against it never rose above {most} of the {limit} needed to stop."),
        }
    });
    format!("**Verdict {word}**: {}.{evidence}", text(&opinion.reason))
}

/// The metric that the ruling rests on.
fn decisive(opinion: &Opinion) -> Option<&Finding> {
    let of_ruling = opinion.findings.iter().find(|finding| finding.ruling == opinion.ruling);
    of_ruling.or(opinion.findings.first())
}

fn chart(finding: &Finding) -> Option<String> {
    let points = points(&finding.rates);
    if points.len() < 2 {
        return None;
    }
    let list =
        |pick: fn(&(usize, f64, f64)) -> String| points.iter().map(pick).collect::<Vec<_>>().join(", ");
    let lines = [
        "```mermaid".to_owned(),
        "xychart-beta".to_owned(),
        format!("  title \"{} per 1,000, by minute: canary, baseline\"", title(&finding.name)),
        format!("  x-axis [{}]", list(|(minute, _, _)| minute.to_string())),
        format!("  line [{}]", list(|(_, canary, _)| per_thousand(*canary))),
        format!("  line [{}]", list(|(_, _, baseline)| per_thousand(*baseline))),
        "```".to_owned(),
    ];
    Some(lines.join("\n"))
}

/// Minutes in which both rates are known, in at most [`POINTS`] groups: the group's last minute and the means.
fn points(rates: &[Rates]) -> Vec<(usize, f64, f64)> {
    let minutes = rates.iter().zip(1_usize..);
    let known: Vec<_> =
        minutes.filter_map(|(rates, at)| Some((at, rates.canary?, rates.baseline?))).collect();
    let mean = |group: &[(usize, f64, f64)]| {
        let many = group.len() as f64;
        let sums = group.iter().fold((0.0, 0.0), |sums, (_, c, b)| (sums.0 + c, sums.1 + b));
        group.last().map(|(at, _, _)| (*at, sums.0 / many, sums.1 / many))
    };
    known.chunks(known.len().div_ceil(POINTS).max(1)).filter_map(mean).collect()
}

/// Letters that mean nothing in a chart, a fence or a quoted title.
fn title(name: &str) -> String {
    let harmless = |c: &char| c.is_alphanumeric() || " -_.,/%".contains(*c);
    let kept: String = name.chars().filter(harmless).take(TITLE).collect();
    if kept.trim().is_empty() { "bad requests".into() } else { kept.trim().to_owned() }
}

fn numbers(findings: &[Finding]) -> String {
    let row = |finding: &Finding| {
        let bound = finding.upper_bound.map_or("–".into(), |bound| format!("{:.2}", 100.0 * bound));
        let (used, rejected) = (finding.minutes_used, finding.minutes_rejected);
        vec![
            text(&finding.name),
            text(&finding.reason),
            format!("{} of {}", number(finding.evidence), number(finding.evidence_limit)),
            format!("{bound} of {:.2}", 100.0 * finding.margin),
            format!("{:.1}", finding.dispersion),
            format!("{used} used, {rejected} missing"),
        ]
    };
    let head = [
        "metric",
        "result",
        "evidence, of limit",
        "worse by at most, points, of limit",
        "bad requests that count as one",
        "minutes",
    ];
    table(&head, &findings.iter().map(row).collect::<Vec<_>>())
}

fn per_thousand(rate: f64) -> String {
    let value = 1000.0 * rate;
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::judge::{Minute, Series, Settings, rule};

    fn series(name: &str, minutes: usize, canary: (u64, u64), baseline: (u64, u64)) -> Series {
        let count = |(total, bad)| Some(Count { total, bad });
        let minute = Minute { canary: count(canary), baseline: count(baseline) };
        Series { name: name.into(), minutes: vec![minute; minutes], share: Some(0.1) }
    }

    fn block(series: &[Series]) -> String {
        lines(&rule(&Settings::default(), series, true), 10)
    }

    #[test]
    fn a_canary_that_passed() {
        let both =
            [series("5xx", 20, (600, 1), (5400, 5)), series("slower than 300 ms", 20, (580, 5), (5400, 44))];
        insta::assert_snapshot!(block(&both), @r#"
|  | canary | baseline |
|---|---|---|
| share of traffic | 10 % (seen 10.0 %) | 90 % |
| requests | 10,200 | 91,800 |
| 5xx | 17 (0.17 %) | 85 (0.09 %) |
| slower than 300 ms | 85 of 9,860 (0.86 %) | 748 (0.81 %) |

**Verdict PASS**: 5xx: with 95 % confidence the canary is at most 0.16 percentage points worse (limit 1.0); slower than 300 ms: with 95 % confidence the canary is at most 0.22 percentage points worse (limit 1.0). Evidence against it never rose above 4.2 of the 200 needed to stop.

```mermaid
xychart-beta
  title "5xx per 1,000, by minute: canary, baseline"
  x-axis [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
  line [1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7]
  line [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
```

<details><summary>How it was judged</summary>

| metric | result | evidence, of limit | worse by at most, points, of limit | bad requests that count as one | minutes |
|---|---|---|---|---|---|
| 5xx | with 95 % confidence the canary is at most 0.16 percentage points worse (limit 1.0) | 4.2 of 200 | 0.16 of 1.00 | 1.0 | 17 used, 0 missing |
| slower than 300 ms | with 95 % confidence the canary is at most 0.22 percentage points worse (limit 1.0) | 0.0 of 200 | 0.22 of 1.00 | 1.0 | 17 used, 0 missing |

</details>
"#);
    }

    #[test]
    fn a_canary_that_failed() {
        insta::assert_snapshot!(block(&[series("5xx", 12, (60, 3), (540, 1))]), @r#"
|  | canary | baseline |
|---|---|---|
| share of traffic | 10 % (seen 10.0 %) | 90 % |
| requests | 540 | 4,860 |
| 5xx | 27 (5.00 %) | 9 (0.19 %) |

**Verdict FAIL**: 5xx: bad were 5.0 % of 540 requests of the canary, and 0.19 % of 4,860 requests of the baseline; the evidence against it is more than 1,000,000 where 100 is needed to stop it.

```mermaid
xychart-beta
  title "5xx per 1,000, by minute: canary, baseline"
  x-axis [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
  line [50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50]
  line [1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9]
```

<details><summary>How it was judged</summary>

| metric | result | evidence, of limit | worse by at most, points, of limit | bad requests that count as one | minutes |
|---|---|---|---|---|---|
| 5xx | bad were 5.0 % of 540 requests of the canary, and 0.19 % of 4,860 requests of the baseline; the evidence against it is more than 1,000,000 where 100 is needed to stop it | more than 1,000,000 of 100 | 6.60 of 1.00 | 1.0 | 9 used, 0 missing |

</details>
"#);
    }

    #[test]
    fn a_canary_with_too_little_traffic() {
        insta::assert_snapshot!(block(&[series("5xx", 5, (6, 0), (54, 0))]), @r#"
|  | canary | baseline |
|---|---|---|
| share of traffic | 10 % (seen 10.0 %) | 90 % |
| requests | 12 | 108 |
| 5xx | 0 (0.00 %) | 0 (0.00 %) |

**Verdict INCONCLUSIVE**: 5xx: the canary had 12 requests, and at least 268 are needed. Evidence against it never rose above 1.0 of the 100 needed to stop.

```mermaid
xychart-beta
  title "5xx per 1,000, by minute: canary, baseline"
  x-axis [1, 2, 3, 4, 5]
  line [0.0, 0.0, 0.0, 0.0, 0.0]
  line [0.0, 0.0, 0.0, 0.0, 0.0]
```

<details><summary>How it was judged</summary>

| metric | result | evidence, of limit | worse by at most, points, of limit | bad requests that count as one | minutes |
|---|---|---|---|---|---|
| 5xx | the canary had 12 requests, and at least 268 are needed | 1.0 of 100 | 18.40 of 1.00 | 1.0 | 2 used, 0 missing |

</details>
"#);
    }

    #[test]
    fn nothing_measured() {
        assert_eq!(block(&[]), "**Verdict INCONCLUSIVE**: nothing was measured.");
    }

    #[test]
    fn a_name_is_letters_everywhere() {
        let evil = "```\n</details>\"|<img src=x> @acme";
        let block = block(&[series(evil, 12, (60, 3), (540, 1))]);
        assert_eq!(block.matches("```").count(), 2, "{block}");
        assert_eq!(block.matches("</details>").count(), 1, "{block}");
        assert!(!block.contains("<img") && !block.contains(" @acme"), "{block}");
        assert!(block.contains("title \"/detailsimg srcx acme per 1,000, by minute"), "{block}");
    }

    #[test]
    fn a_long_window_has_a_small_chart() {
        let rates: Vec<Rates> = (0..95)
            .map(|at| Rates { canary: Some(f64::from(at)), baseline: (at != 3).then_some(1.0) })
            .collect();
        let points = points(&rates);
        assert!(points.len() <= POINTS && points.len() > POINTS / 2);
        assert_eq!(points[0], (5, (0.0 + 1.0 + 2.0 + 4.0) / 4.0, 1.0));
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}

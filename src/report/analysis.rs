//! The analysis of a canary as a section of the summary: both versions side by side, the verdict, a small chart. Metric
//! names are untrusted.

use super::markdown::{details, escape_all, table};
use crate::strategy::judge::{
    BadRates, Count, Judgement, MetricResult, Verdict, format_e_value, group_thousands,
};

/// Points of a chart that are still distinguishable.
const MAX_POINTS: usize = 30;
/// Characters of a metric's name in the title of a chart.
const MAX_TITLE_CHARS: usize = 40;

/// The section, as Markdown; `weight` is the canary's configured traffic weight in percent. A reason that the cause of
/// the failure states already is not repeated.
pub fn render_analysis(judgement: &Judgement, weight: u8, cause: Option<&str>) -> String {
    let mut blocks = Vec::new();
    if !judgement.metric_results.is_empty() {
        blocks.push(table(&["", "canary", "baseline"], &variant_rows(&judgement.metric_results, weight)));
    }
    blocks.push(verdict_line(judgement, cause));
    blocks.extend(decisive_result(judgement).and_then(render_chart));
    if !judgement.metric_results.is_empty() {
        blocks.push(details("How it was judged", &details_table(&judgement.metric_results)));
    }
    blocks.join("\n\n")
}

fn variant_rows(results: &[MetricResult], weight: u8) -> Vec<Vec<String>> {
    let mut rows = vec![weight_row(results, weight)];
    if let Some(first) = results.first() {
        let total = |count: Count| group_thousands(count.total);
        rows.push(vec!["requests".into(), total(first.canary), total(first.baseline)]);
        rows.extend(results.iter().map(|result| {
            let cell = |count: Count, of: Count| format_bad_count(count, count.total != of.total);
            vec![
                escape_all(&result.name),
                cell(result.canary, first.canary),
                cell(result.baseline, first.baseline),
            ]
        }));
    }
    rows
}

fn weight_row(results: &[MetricResult], weight: u8) -> Vec<String> {
    let split = results.iter().find(|result| result.share.is_some());
    let observed = split.and_then(|result| {
        let all = result.canary.total + result.baseline.total;
        (all > 0).then(|| result.canary.total as f64 / all as f64)
    });
    let observed =
        observed.map_or(String::new(), |observed| format!(" (observed {:.1} %)", 100.0 * observed));
    let rest = 100_u8.saturating_sub(weight);
    vec!["traffic weight".into(), format!("{weight} %{observed}"), format!("{rest} %")]
}

/// `11 (0.09 %)`, or `11 of 9,000 (0.12 %)` if the metric counts requests of its own.
fn format_bad_count(count: Count, own: bool) -> String {
    let of = if own { format!(" of {}", group_thousands(count.total)) } else { String::new() };
    match count.rate() {
        Some(rate) => format!("{}{of} ({:.2} %)", group_thousands(count.bad), 100.0 * rate),
        None => format!("{}{of}", group_thousands(count.bad)),
    }
}

fn verdict_line(judgement: &Judgement, cause: Option<&str>) -> String {
    let verdict = verdict_word(judgement.verdict);
    let close = |result: &&MetricResult| result.max_e_value / result.e_value_limit;
    let highest = judgement.metric_results.iter().max_by(|a, b| close(a).total_cmp(&close(b)));
    let e_value = highest.map_or(String::new(), |result| {
        let (most, limit) = (format_e_value(result.max_e_value), format_e_value(result.e_value_limit));
        match judgement.verdict {
            Verdict::Fail => String::new(),
            _ => format!(" The e-value never exceeded {most}; the limit is {limit}."),
        }
    });
    if cause == Some(judgement.reason.as_str()) {
        return format!("**Verdict {verdict}**{e_value}");
    }
    format!("**Verdict {verdict}**: {}.{e_value}", escape_all(&judgement.reason))
}

fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Pending => "UNDECIDED",
    }
}

/// The metric that decides the verdict.
fn decisive_result(judgement: &Judgement) -> Option<&MetricResult> {
    let decisive = judgement.metric_results.iter().find(|result| result.verdict == judgement.verdict);
    decisive.or(judgement.metric_results.first())
}

fn render_chart(result: &MetricResult) -> Option<String> {
    let points = chart_points(&result.rates);
    if points.len() < 2 {
        return None;
    }
    let list =
        |pick: fn(&(usize, f64, f64)) -> String| points.iter().map(pick).collect::<Vec<_>>().join(", ");
    let lines = [
        "```mermaid".to_owned(),
        "xychart-beta".to_owned(),
        format!("  title \"{} per 1,000, by minute: canary, baseline\"", chart_title(&result.name)),
        format!("  x-axis [{}]", list(|(minute, _, _)| minute.to_string())),
        format!("  line [{}]", list(|(_, canary, _)| per_thousand(*canary))),
        format!("  line [{}]", list(|(_, _, baseline)| per_thousand(*baseline))),
        "```".to_owned(),
    ];
    Some(lines.join("\n"))
}

/// Minutes in which both rates are known, in at most [`POINTS`] groups: the group's last minute and the means.
fn chart_points(rates: &[BadRates]) -> Vec<(usize, f64, f64)> {
    let minutes = rates.iter().zip(1_usize..);
    let known: Vec<_> =
        minutes.filter_map(|(rates, at)| Some((at, rates.canary?, rates.baseline?))).collect();
    let mean = |group: &[(usize, f64, f64)]| {
        let many = group.len() as f64;
        let sums = group.iter().fold((0.0, 0.0), |sums, (_, c, b)| (sums.0 + c, sums.1 + b));
        group.last().map(|(at, _, _)| (*at, sums.0 / many, sums.1 / many))
    };
    known.chunks(known.len().div_ceil(MAX_POINTS).max(1)).filter_map(mean).collect()
}

/// Drops characters with a meaning in a chart, a fence or a quoted title.
fn chart_title(name: &str) -> String {
    let harmless = |c: &char| c.is_alphanumeric() || " -_.,/%".contains(*c);
    let kept: String = name.chars().filter(harmless).take(MAX_TITLE_CHARS).collect();
    if kept.trim().is_empty() { "bad requests".into() } else { kept.trim().to_owned() }
}

fn details_table(results: &[MetricResult]) -> String {
    let row = |result: &MetricResult| {
        let bound = result.upper_bound.map_or("–".into(), |bound| format!("{:.2}", 100.0 * bound));
        let (used, rejected) = (result.minutes_used, result.minutes_rejected);
        vec![
            escape_all(&result.name),
            verdict_word(result.verdict).to_lowercase(),
            format!("{} of {}", format_e_value(result.e_value), format_e_value(result.e_value_limit)),
            format!("{bound} of {:.2}", 100.0 * result.margin),
            format!("{:.1}", result.dispersion),
            format!("{used} used, {rejected} missing"),
        ]
    };
    let head = [
        "metric",
        "result",
        "e-value, of limit",
        "upper bound of the difference, of limit (points)",
        "overdispersion",
        "minutes",
    ];
    table(&head, &results.iter().map(row).collect::<Vec<_>>())
}

fn per_thousand(rate: f64) -> String {
    let value = 1000.0 * rate;
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::judge::{JudgeSettings, MetricSeries, Minute, judge};

    fn series(name: &str, minutes: usize, canary: (u64, u64), baseline: (u64, u64)) -> MetricSeries {
        let count = |(total, bad)| Some(Count { total, bad });
        let minute = Minute { canary: count(canary), baseline: count(baseline) };
        MetricSeries { name: name.into(), minutes: vec![minute; minutes], share: Some(0.1) }
    }

    fn block(series: &[MetricSeries]) -> String {
        render_analysis(&judge(&JudgeSettings::default(), series, true), 10, None)
    }

    #[test]
    fn a_canary_that_passed() {
        let both =
            [series("5xx", 20, (600, 1), (5400, 5)), series("slower than 300 ms", 20, (580, 5), (5400, 44))];
        insta::assert_snapshot!(block(&both), @r#"
|  | canary | baseline |
|---|---|---|
| traffic weight | 10 % (observed 10.0 %) | 90 % |
| requests | 10,200 | 91,800 |
| 5xx | 17 (0.17 %) | 85 (0.09 %) |
| slower than 300 ms | 85 of 9,860 (0.86 %) | 748 (0.81 %) |

**Verdict PASS**: 5xx: with 95 % confidence the canary is at most 0.16 percentage points worse (limit 1.0); slower than 300 ms: with 95 % confidence the canary is at most 0.22 percentage points worse (limit 1.0). The e-value never exceeded 4.2; the limit is 200.

```mermaid
xychart-beta
  title "5xx per 1,000, by minute: canary, baseline"
  x-axis [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
  line [1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7]
  line [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
```

<details><summary>How it was judged</summary>

| metric | result | e-value, of limit | upper bound of the difference, of limit (points) | overdispersion | minutes |
|---|---|---|---|---|---|
| 5xx | pass | 4.2 of 200 | 0.16 of 1.00 | 1.0 | 17 used, 0 missing |
| slower than 300 ms | pass | 0.0 of 200 | 0.22 of 1.00 | 1.0 | 17 used, 0 missing |

</details>
"#);
    }

    #[test]
    fn a_canary_that_failed() {
        insta::assert_snapshot!(block(&[series("5xx", 12, (60, 3), (540, 1))]), @r#"
|  | canary | baseline |
|---|---|---|
| traffic weight | 10 % (observed 10.0 %) | 90 % |
| requests | 540 | 4,860 |
| 5xx | 27 (5.00 %) | 9 (0.19 %) |

**Verdict FAIL**: 5xx: 5.0 % of 540 requests were bad on the canary, and 0.19 % of 4,860 requests on the baseline; the e-value is more than 1,000,000, and 100 fails the canary.

```mermaid
xychart-beta
  title "5xx per 1,000, by minute: canary, baseline"
  x-axis [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
  line [50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50]
  line [1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9]
```

<details><summary>How it was judged</summary>

| metric | result | e-value, of limit | upper bound of the difference, of limit (points) | overdispersion | minutes |
|---|---|---|---|---|---|
| 5xx | fail | more than 1,000,000 of 100 | 6.60 of 1.00 | 1.0 | 9 used, 0 missing |

</details>
"#);
    }

    #[test]
    fn a_canary_with_too_little_traffic() {
        insta::assert_snapshot!(block(&[series("5xx", 5, (6, 0), (54, 0))]), @r#"
|  | canary | baseline |
|---|---|---|
| traffic weight | 10 % (observed 10.0 %) | 90 % |
| requests | 12 | 108 |
| 5xx | 0 (0.00 %) | 0 (0.00 %) |

**Verdict INCONCLUSIVE**: 5xx: the canary had 12 requests; at least 268 are needed. The e-value never exceeded 1.0; the limit is 100.

```mermaid
xychart-beta
  title "5xx per 1,000, by minute: canary, baseline"
  x-axis [1, 2, 3, 4, 5]
  line [0.0, 0.0, 0.0, 0.0, 0.0]
  line [0.0, 0.0, 0.0, 0.0, 0.0]
```

<details><summary>How it was judged</summary>

| metric | result | e-value, of limit | upper bound of the difference, of limit (points) | overdispersion | minutes |
|---|---|---|---|---|---|
| 5xx | inconclusive | 1.0 of 100 | 18.40 of 1.00 | 1.0 | 2 used, 0 missing |

</details>
"#);
    }

    #[test]
    fn reason_in_the_cause_is_not_repeated() {
        let judgement = judge(&JudgeSettings::default(), &[series("5xx", 12, (60, 3), (540, 1))], true);
        let block = render_analysis(&judgement, 10, Some(&judgement.reason));
        assert!(block.contains("**Verdict FAIL**\n") && !block.contains("540 requests were"), "{block}");
    }

    #[test]
    fn nothing_measured() {
        assert_eq!(block(&[]), "**Verdict INCONCLUSIVE**: nothing was measured.");
    }

    #[test]
    fn metric_name_is_escaped_everywhere() {
        let evil = "```\n</details>\"|<img src=x> @acme";
        let block = block(&[series(evil, 12, (60, 3), (540, 1))]);
        assert_eq!(block.matches("```").count(), 2, "{block}");
        assert_eq!(block.matches("</details>").count(), 1, "{block}");
        assert!(!block.contains("<img") && !block.contains(" @acme"), "{block}");
        assert!(block.contains("title \"/detailsimg srcx acme per 1,000, by minute"), "{block}");
    }

    #[test]
    fn a_long_window_has_a_small_chart() {
        let rates: Vec<BadRates> = (0..95)
            .map(|at| BadRates { canary: Some(f64::from(at)), baseline: (at != 3).then_some(1.0) })
            .collect();
        let points = chart_points(&rates);
        assert!(points.len() <= MAX_POINTS && points.len() > MAX_POINTS / 2);
        assert_eq!(points[0], (5, (0.0 + 1.0 + 2.0 + 4.0) / 4.0, 1.0));
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(group_thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}

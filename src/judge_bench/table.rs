//! The results of a benchmark as Markdown.

use super::cases::CaseKind;
use super::limits::ErrorLimit;
use super::simulation::{Counts, Judge, ResultCell};

/// One row per cell: for each judge, the percentage rolled back, in which minute (median), promoted and without a
/// result.
pub fn results_table(cells: &[ResultCell], judges: &[Judge]) -> String {
    let mut lines = table_header(&["requests per minute", "canary"], judges);
    for cell in cells {
        let ends = cell.counts.iter().map(|tally| cell_text(cell, tally)).collect::<Vec<_>>().join(" | ");
        let ResultCell { level, case, .. } = cell;
        lines.push(format!("| {}/{} | {} | {ends} |", level.canary, level.baseline, case.name));
    }
    lines.join("\n")
}

fn table_header(first: &[&str], judges: &[Judge]) -> Vec<String> {
    let columns: Vec<&str> = first.iter().copied().chain(judges.iter().map(|judge| judge.name())).collect();
    vec![format!("| {} |", columns.join(" | ")), format!("|{}", "---|".repeat(columns.len()))]
}

fn cell_text(cell: &ResultCell, tally: &Counts) -> String {
    let bad = matches!(cell.case.kind, CaseKind::Between | CaseKind::Worse | CaseKind::Down);
    let minute = match tally.median_rollback_minute() {
        Some(minute) if bad && tally.rollback_rate() > 0.05 => format!("@{minute}"),
        _ => String::new(),
    };
    let wrong = match cell.case.kind {
        CaseKind::Worse | CaseKind::Down if tally.promoted_runs > 0 => " **wrong**",
        _ => "",
    };
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    format!(
        "{}{minute} (p {}{wrong}, i {})",
        percent(tally.rollback_rate()),
        percent(tally.promotion_rate()),
        percent(tally.inconclusive_rate())
    )
}

/// Means and maxima over the cells, in percent.
pub fn summary_table(cells: &[ResultCell], judges: &[Judge]) -> String {
    let mut lines = vec![
        "| judge | healthy rolled back: mean / max | bad rolled back: mean | bad promoted: mean / max | \
         bad without a result: mean | healthy without a result: mean |"
            .to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    for (at, judge) in judges.iter().enumerate() {
        let over = |kinds: &[CaseKind], value: fn(&Counts) -> f64| {
            let values: Vec<f64> = cells
                .iter()
                .filter(|cell| kinds.contains(&cell.case.kind))
                .map(|cell| 100.0 * value(&cell.counts[at]))
                .collect();
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
            (mean, values.iter().copied().fold(0.0, f64::max))
        };
        let (healthy, bad) = ([CaseKind::Healthy, CaseKind::Adversarial], [CaseKind::Worse, CaseKind::Down]);
        let (wrong, caught) = (over(&healthy, Counts::rollback_rate), over(&bad, Counts::rollback_rate));
        let (promoted, open) = (over(&bad, Counts::promotion_rate), over(&bad, Counts::inconclusive_rate));
        let idle = over(&healthy, Counts::inconclusive_rate);
        lines.push(format!(
            "| {} | {:.1} / {:.1} | {:.1} | {:.1} / {:.1} | {:.1} | {:.1} |",
            judge.name(),
            wrong.0,
            wrong.1,
            caught.0,
            promoted.0,
            promoted.1,
            open.0,
            idle.0
        ));
    }
    lines.join("\n")
}

/// The limits, and whether each is met.
pub fn limits_table(limits: &[ErrorLimit]) -> String {
    let mut lines = vec!["| limit | measured | |".to_owned(), "|---|---|---|".to_owned()];
    let word = |holds| if holds { "holds" } else { "**broken**" };
    lines.extend(
        limits
            .iter()
            .map(|limit| format!("| {} | {} | {} |", limit.requirement, limit.measured, word(limit.holds))),
    );
    lines.join("\n")
}

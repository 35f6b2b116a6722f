//! The results of a contest as Markdown.

use super::contest::{Cell, Judge, Tally};
use super::gate::Limit;
use super::scenario::Kind;

/// A row a cell: for each judge, how many percent were rolled back, in which minute (median), promoted and without a
/// result.
pub fn table(cells: &[Cell], judges: &[Judge]) -> String {
    let mut lines = head(&["requests a minute", "canary"], judges);
    for cell in cells {
        let ends = cell.tallies.iter().map(|tally| ends(cell, tally)).collect::<Vec<_>>().join(" | ");
        let Cell { level, case, .. } = cell;
        lines.push(format!("| {}/{} | {} | {ends} |", level.canary, level.baseline, case.name));
    }
    lines.join("\n")
}

fn head(first: &[&str], judges: &[Judge]) -> Vec<String> {
    let columns: Vec<&str> = first.iter().copied().chain(judges.iter().map(|judge| judge.name())).collect();
    vec![format!("| {} |", columns.join(" | ")), format!("|{}", "---|".repeat(columns.len()))]
}

fn ends(cell: &Cell, tally: &Tally) -> String {
    let bad = matches!(cell.case.kind, Kind::Between | Kind::Worse | Kind::Down);
    let minute = match tally.median() {
        Some(minute) if bad && tally.rolled_back() > 0.05 => format!("@{minute}"),
        _ => String::new(),
    };
    let wrong = match cell.case.kind {
        Kind::Worse | Kind::Down if tally.passed > 0 => " **wrong**",
        _ => "",
    };
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    format!(
        "{}{minute} (p {}{wrong}, i {})",
        percent(tally.rolled_back()),
        percent(tally.promoted()),
        percent(tally.undecided())
    )
}

/// Means and maxima over the cells, in percent.
pub fn summary(cells: &[Cell], judges: &[Judge]) -> String {
    let mut lines = vec![
        "| judge | healthy rolled back: mean / max | bad rolled back: mean | bad promoted: mean / max | \
         bad without a result: mean | healthy without a result: mean |"
            .to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    for (at, judge) in judges.iter().enumerate() {
        let over = |kinds: &[Kind], value: fn(&Tally) -> f64| {
            let values: Vec<f64> = cells
                .iter()
                .filter(|cell| kinds.contains(&cell.case.kind))
                .map(|cell| 100.0 * value(&cell.tallies[at]))
                .collect();
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
            (mean, values.iter().copied().fold(0.0, f64::max))
        };
        let (healthy, bad) = ([Kind::Healthy, Kind::Adversarial], [Kind::Worse, Kind::Down]);
        let (wrong, caught) = (over(&healthy, Tally::rolled_back), over(&bad, Tally::rolled_back));
        let (promoted, open) = (over(&bad, Tally::promoted), over(&bad, Tally::undecided));
        let idle = over(&healthy, Tally::undecided);
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

/// The limits, and whether each holds.
pub fn verdicts(limits: &[Limit]) -> String {
    let mut lines = vec!["| limit | measured | |".to_owned(), "|---|---|---|".to_owned()];
    let word = |holds| if holds { "holds" } else { "**broken**" };
    lines.extend(
        limits
            .iter()
            .map(|limit| format!("| {} | {} | {} |", limit.promise, limit.measured, word(limit.holds))),
    );
    lines.join("\n")
}

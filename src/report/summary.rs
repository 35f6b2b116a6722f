//! The job summary: verdict first, then cause, table, warnings and folded details, cut on a border between sections.

use super::headline::headline;
use super::run_report::RunReport;
use super::sections;
use super::text::TextStyle;
use super::timeline::timeline;
use crate::problem::Severity;
use crate::release::Outcome;

/// GitHub drops a summary of more than 1 MiB whole; this leaves room for what other steps' tools append.
pub const MAX_BYTES: usize = 900 << 10;

/// The whole summary as Markdown, at most [`MAX_BYTES`] bytes, ending with a line end.
pub fn summary(report: &RunReport) -> String {
    let headline = format!("## {}", headline(report, TextStyle::Markdown));
    assemble(headline, ordered_sections(report), &sections::footer(report), MAX_BYTES)
}

/// The sections in the order in which people need them, by name.
fn ordered_sections(report: &RunReport) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    if report.rehearsal {
        all.push(("note", "_Rehearsal on the emulator: no real resource was changed._".to_owned()));
    }
    let mut add = |name, texts: Vec<String>| all.extend(texts.into_iter().map(|text| (name, text)));
    let problems = sections::problems(report, Severity::Error).into_iter().collect();
    // A failed rollback comes before the cause of the failed release.
    if report.outcome == Outcome::Stranded {
        add("problems", problems);
        add("cause", sections::causes(report));
    } else {
        add("cause", sections::causes(report));
        add("problems", problems);
    }
    add("services", sections::services(report).into_iter().collect());
    add("analysis", sections::analyses(report));
    add("warnings", sections::problems(report, Severity::Warning).into_iter().collect());
    add("notices", sections::problems(report, Severity::Notice).into_iter().collect());
    add("changes", sections::changes(report));
    add("timeline", timeline(report).into_iter().collect());
    add("commits", sections::commits(report));
    all
}

/// Headline and footer always; of the sections those that fit, and the names of those that do not.
pub(super) fn assemble(
    headline: String,
    sections: Vec<(&'static str, String)>,
    footer: &str,
    longest: usize,
) -> String {
    let mut room = longest.saturating_sub(headline.len() + footer.len() + 200);
    let (mut parts, mut left_out) = (vec![headline], Vec::new());
    for (name, text) in sections {
        if text.len() + 2 <= room {
            room -= text.len() + 2;
            parts.push(text);
        } else if !left_out.contains(&name) {
            left_out.push(name);
        }
    }
    if !left_out.is_empty() {
        parts.push(format!("_Too long to show here: {}. See the log._", left_out.join(", ")));
    }
    parts.push(footer.to_owned());
    parts.join("\n\n") + "\n"
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

//! The timeline of the job summary: entries of the run, and folded below them the events of the provider.

use jiff::Timestamp;

use super::markdown::{code_span, details, table};
use super::pull_request::escape_but_link;
use super::run_report::{EntrySource, RunReport, ServiceReport, TimelineEntry};
use super::sections::MAX_ROWS;
use super::text::{format_time, pluralize, shorten_arns};

/// An entry, ready to be shown.
struct Row {
    at: Timestamp,
    source: EntrySource,
    text: String,
}

/// The entries of all services, in order of time.
pub(super) fn timeline(report: &RunReport) -> Option<String> {
    let several = report.services.len() > 1;
    let rows_of = |service: &ServiceReport| {
        let name = if several { format!("{} ", code_span(&service.name)) } else { String::new() };
        service.timeline.iter().map(|entry| timeline_row(report, &name, entry)).collect::<Vec<_>>()
    };
    let mut rows: Vec<Row> = report.services.iter().flat_map(rows_of).collect();
    rows.sort_by_key(|row| row.at);
    let (own, provider): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| row.source == EntrySource::Run);
    let events = fold(&format!("{} of the provider", pluralize(provider.len(), "event")), &provider);
    match (own.is_empty(), events) {
        (true, events) => events,
        (false, None) => fold("Timeline", &own),
        (false, Some(events)) => {
            Some(details(&title("Timeline", &own), &format!("{}\n\n{events}", times(&own))))
        }
    }
}

fn timeline_row(report: &RunReport, name: &str, entry: &TimelineEntry) -> Row {
    let text = escape_but_link(report, &shorten_arns(&entry.text));
    Row { at: entry.at, source: entry.source, text: format!("{name}{text}") }
}

fn fold(name: &str, rows: &[Row]) -> Option<String> {
    (!rows.is_empty()).then(|| details(&title(name, rows), &times(rows)))
}

fn title(name: &str, rows: &[Row]) -> String {
    if rows.len() > MAX_ROWS { format!("{name}, the last {MAX_ROWS}") } else { name.to_owned() }
}

/// The last rows that people still read.
fn times(rows: &[Row]) -> String {
    let shown = &rows[rows.len().saturating_sub(MAX_ROWS)..];
    let cells: Vec<Vec<String>> =
        shown.iter().map(|row| vec![format_time(row.at), row.text.clone()]).collect();
    table(&["UTC", ""], &cells)
}

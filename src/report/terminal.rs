//! The report as plain text, for a terminal and for the end of the log: headline, cause, table, timeline.

use super::guide::section_url;
use super::headline::headline;
use super::run_report::{EntrySource, RunReport, ServiceReport};
use super::sections::unmentioned_exit_code;
use super::text::{TextStyle, format_duration, format_time, truncate};
use crate::action::sanitize::sanitize_line;
use crate::problem::{Code, Problem, Severity};
use crate::release::{Change, Failure, Outcome};

/// The whole report, ending with a line end.
pub fn terminal(report: &RunReport) -> String {
    let mut parts = vec![headline(report, TextStyle::Plain)];
    if report.rehearsal {
        parts.push("Rehearsal on the emulator: no real resource was changed.".into());
    }
    let several = report.services.len() > 1;
    let failures = report.services.iter().filter_map(|service| Some((service, service.failure.as_ref()?)));
    parts.extend(failures.map(|(service, failure)| cause(service, failure, several)));
    parts.extend(
        [Severity::Error, Severity::Warning, Severity::Notice].iter().filter_map(|s| problems(report, *s)),
    );
    parts.extend(services(report));
    parts.extend(report.services.iter().filter_map(|service| changes(service, several)));
    parts.extend(timeline(report));
    parts.join("\n\n") + "\n"
}

fn cause(service: &ServiceReport, failure: &Failure, several: bool) -> String {
    let of = if several { format!(" of {}", sanitize_line(&service.name)) } else { String::new() };
    let exit = unmentioned_exit_code(failure).map(|code| format!(" Exit code {code}.")).unwrap_or_default();
    let mut lines = vec![format!("Cause{of}: {}{exit}", sanitize_line(&failure.problem.sentence))];
    let reported =
        failure.problem.cause.iter().flat_map(|cause| crate::action::sanitize::sanitize_lines(cause));
    lines.extend(reported.map(|line| format!("  {line}")));
    for line in &failure.logs {
        let at = line.time().map(|at| format!("{} ", format_time(at))).unwrap_or_default();
        lines.push(format!("  {at}│ {}", sanitize_line(&line.text)));
    }
    if !failure.problem.help.is_empty() {
        lines.push(format!("What to do: {}", sanitize_line(&failure.problem.help)));
    }
    lines.push(code_line(failure.problem.code));
    lines.join("\n")
}

fn problems(report: &RunReport, severity: Severity) -> Option<String> {
    let is_cause = |problem: &Problem| {
        report.services.iter().any(|s| s.failure.as_ref().is_some_and(|failure| failure.problem == *problem))
    };
    let severity_name = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    };
    let describe = |problem: &Problem| {
        let position = problem.location.as_ref().map(|at| format!(" {}:{}:{}", at.file, at.line, at.column));
        let service = problem.service.as_ref().map(|service| format!(" {service}"));
        let (position, service) = (position.unwrap_or_default(), service.unwrap_or_default());
        sanitize_line(&format!("{severity_name} {}{service}{position}: {problem}", problem.code))
    };
    let all: Vec<&Problem> =
        report.problems_of(severity).into_iter().filter(|problem| !is_cause(problem)).collect();
    let mut codes: Vec<Code> = all.iter().map(|problem| problem.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let mut lines: Vec<String> = all.into_iter().map(describe).collect();
    lines.extend(codes.into_iter().map(code_line));
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A code, and where it is explained.
fn code_line(code: Code) -> String {
    format!("  {code}: {}", section_url(code))
}

fn services(report: &RunReport) -> Option<String> {
    let head = ["service", "outcome", "from", "to", "serving", "took", "evidence"].map(str::to_owned);
    let label = |version: &Option<crate::release::Version>| {
        version.as_ref().map_or("–".to_owned(), |version| sanitize_line(&version.label))
    };
    let row = |service: &ServiceReport| {
        [
            sanitize_line(&service.name),
            service.outcome.to_string(),
            label(&service.previous_version),
            label(&service.version),
            label(&service.serving_version),
            format_duration(service.elapsed),
            sanitize_line(&service.evidence),
        ]
    };
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(report.services.iter().map(row)).collect();
    let hidden = report.services.is_empty() || report.outcome == Outcome::Planned;
    (!hidden).then(|| align_columns(&rows))
}

/// Rows with their columns below each other.
pub(super) fn align_columns<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: Vec<usize> =
        (0..N).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn changes(service: &ServiceReport, several: bool) -> Option<String> {
    let shown = |value: &Option<String>| value.as_deref().map_or("–".to_owned(), truncate);
    let describe = |change: &Change| match (&change.from, &change.to) {
        (None, None) => {
            let words = change.hidden.map(|hidden| format!(": {}", hidden.text())).unwrap_or_default();
            sanitize_line(&format!("  {}{words}", change.field))
        }
        (from, to) => sanitize_line(&format!("  {}: {} → {}", change.field, shown(from), shown(to))),
    };
    let of = if several { format!(" of {}", sanitize_line(&service.name)) } else { String::new() };
    let expected = service.expected_duration.map(|expected| format!(", about {}", format_duration(expected)));
    let how = format!("{}{}", sanitize_line(&service.strategy), expected.unwrap_or_default());
    let lines: Vec<String> = service.changes.0.iter().map(describe).collect();
    (!lines.is_empty()).then(|| format!("Changes{of} ({how}):\n{}", lines.join("\n")))
}

fn timeline(report: &RunReport) -> Option<String> {
    let several = report.services.len() > 1;
    let of = |service: &ServiceReport| {
        let name = if several { format!("{} ", service.name) } else { String::new() };
        let line = |moment: &super::TimelineEntry| {
            (moment.at, sanitize_line(&format!("  {} {name}{}", format_time(moment.at), moment.text)))
        };
        // The events of the provider stand in the log already.
        let own = service.timeline.iter().filter(|entry| entry.source == EntrySource::Run);
        own.map(line).collect::<Vec<_>>()
    };
    let mut moments: Vec<_> = report.services.iter().flat_map(of).collect();
    moments.sort_by_key(|(at, _)| *at);
    let lines: Vec<String> = moments.into_iter().map(|(_, line)| line).collect();
    (!lines.is_empty()).then(|| format!("Timeline (UTC):\n{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    #[test]
    fn failure_report_in_a_terminal() {
        let mut report = fixtures::sample_report(Outcome::Failed);
        report.rehearsal = true;
        report.services[0].add_timeline_entry(fixtures::sample_time(2), "registered `backend:42`");
        report.services[0].add_timeline_entry(fixtures::sample_time(31), "task 5d2e stopped: exit code 3");
        insta::assert_snapshot!(terminal(&report), @r#"
        ❌ production: backend failed and was rolled back — backend:41 serves, as before

        Rehearsal on the emulator: no real resource was changed.

        Cause: The container `app` exits by itself, twice in 18 s. Exit code 3.
          EssentialContainerExited: Essential container in task exited
          12:04:11 │ connecting to db.internal:5432
          12:04:11 │ FATAL: password authentication failed for user "app"
        What to do: Its last lines say why. Fix it and run the job again; nothing else is needed.
          container-exited: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#container-exited

        service  outcome  from        to          serving     took        evidence
        backend  failed   backend:41  backend:42  backend:41  1 min 12 s  rolled back, 4 of 4 targets healthy on the old digest

        Changes (rolling):
          image: acme/app:1 → acme/app:2

        Timeline (UTC):
          12:03:42 registered `backend:42`
          12:04:11 task 5d2e stopped: exit code 3
        "#);
    }

    #[test]
    fn plan_report_in_a_terminal() {
        insta::assert_snapshot!(terminal(&fixtures::sample_report(Outcome::Planned)), @r#"
        📋 production: backend would get 1 change — plan only, no changes were made

        Changes (rolling, about 19 min):
          image: acme/app:1 → acme/app:2
        "#);
    }
}

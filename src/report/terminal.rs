//! The report as plain text, for a terminal and for the end of the log: verdict, cause, table, timeline.

use super::values::{RunReport, ServiceReport};
use super::verdict::verdict;
use super::words::{Dress, brief, clock, span};
use crate::action::neutral::neutralise;
use crate::problem::{Problem, Severity};
use crate::release::{Change, Failure, Outcome};

/// The whole report, ending with a line end.
pub fn terminal(report: &RunReport) -> String {
    let mut parts = vec![verdict(report, Dress::Plain)];
    if report.rehearsal {
        parts.push("A rehearsal on the embedded cloud: nothing real was touched.".into());
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
    let of = if several { format!(" of {}", neutralise(&service.name)) } else { String::new() };
    let exit = failure.exit_code.map(|code| format!(" Exit code {code}.")).unwrap_or_default();
    let mut lines = vec![format!("Cause{of}: {}{exit}", neutralise(&failure.problem.sentence))];
    let reported = failure.problem.cause.iter().flat_map(|cause| crate::action::neutral::lines(cause));
    lines.extend(reported.map(|line| format!("  {line}")));
    for line in &failure.logs {
        let at = jiff::Timestamp::from_millisecond(line.at_ms).map(clock).unwrap_or_default();
        lines.push(format!("  {at} │ {}", neutralise(&line.text)));
    }
    if !failure.problem.help.is_empty() {
        lines.push(format!("What to do: {}", neutralise(&failure.problem.help)));
    }
    lines.join("\n")
}

fn problems(report: &RunReport, severity: Severity) -> Option<String> {
    let is_cause = |problem: &Problem| {
        report.services.iter().any(|s| s.failure.as_ref().is_some_and(|failure| failure.problem == *problem))
    };
    let word = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    };
    let told = |problem: &Problem| {
        let place = problem.at.as_ref().map(|at| format!(" {}:{}:{}", at.file, at.line, at.column));
        let service = problem.service.as_ref().map(|service| format!(" {service}"));
        let (place, service) = (place.unwrap_or_default(), service.unwrap_or_default());
        neutralise(&format!("{word} {}{service}{place}: {problem}", problem.code))
    };
    let all = report.problems_of(severity);
    let lines: Vec<String> = all.into_iter().filter(|problem| !is_cause(problem)).map(told).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn services(report: &RunReport) -> Option<String> {
    let head =
        ["service", "outcome", "from", "to", "serves now", "took", "how it is known"].map(str::to_owned);
    let label = |version: &Option<crate::release::Version>| {
        version.as_ref().map_or("–".to_owned(), |version| neutralise(&version.label))
    };
    let row = |service: &ServiceReport| {
        [
            neutralise(&service.name),
            service.outcome.to_string(),
            label(&service.previous),
            label(&service.version),
            label(&service.serves),
            span(service.took),
            neutralise(&service.evidence),
        ]
    };
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(report.services.iter().map(row)).collect();
    let hidden = report.services.is_empty() || report.outcome == Outcome::Planned;
    (!hidden).then(|| align(&rows))
}

fn align<const N: usize>(rows: &[[String; N]]) -> String {
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
    let shown = |value: &Option<String>| value.as_deref().map_or("–".to_owned(), brief);
    let told = |change: &Change| match (&change.from, &change.to) {
        (None, None) => neutralise(&format!("  {}", change.field)),
        (from, to) => neutralise(&format!("  {}: {} → {}", change.field, shown(from), shown(to))),
    };
    let of = if several { format!(" of {}", neutralise(&service.name)) } else { String::new() };
    let expected = service.expected.map(|expected| format!(", about {}", span(expected)));
    let how = format!("{}{}", neutralise(&service.strategy), expected.unwrap_or_default());
    let lines: Vec<String> = service.changes.0.iter().map(told).collect();
    (!lines.is_empty()).then(|| format!("Changes{of} ({how}):\n{}", lines.join("\n")))
}

fn timeline(report: &RunReport) -> Option<String> {
    let several = report.services.len() > 1;
    let of = |service: &ServiceReport| {
        let name = if several { format!("{} ", service.name) } else { String::new() };
        let line = |moment: &super::Moment| {
            (moment.at, neutralise(&format!("  {} {name}{}", clock(moment.at), moment.text)))
        };
        service.timeline.iter().map(line).collect::<Vec<_>>()
    };
    let mut moments: Vec<_> = report.services.iter().flat_map(of).collect();
    moments.sort_by_key(|(at, _)| *at);
    let lines: Vec<String> = moments.into_iter().map(|(_, line)| line).collect();
    (!lines.is_empty()).then(|| format!("Timeline (UTC):\n{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn a_failure_reads_well_in_a_terminal() {
        let mut report = samples::ended(Outcome::Failed);
        report.rehearsal = true;
        report.services[0].moment(samples::at(2), "registered `backend:42`");
        report.services[0].moment(samples::at(31), "task 5d2e stopped: exit code 3");
        insta::assert_snapshot!(terminal(&report), @r#"
        ❌ production: backend failed and was rolled back — backend:41 serves, as before

        A rehearsal on the embedded cloud: nothing real was touched.

        Cause: The container `app` exits by itself, twice in 18 s. Exit code 3.
          EssentialContainerExited: Essential container in task exited
          12:04:11 │ connecting to db.internal:5432
          12:04:11 │ FATAL: password authentication failed for user "app"
        What to do: Its last lines say why. Fix it and run the job again; nothing else is needed.

        service  outcome  from        to          serves now  took        how it is known
        backend  failed   backend:41  backend:42  backend:41  1 min 12 s  rolled back, 4 of 4 targets healthy on the old digest

        Changes (rolling):
          image: acme/app:1 → acme/app:2

        Timeline (UTC):
          12:03:42 registered `backend:42`
          12:04:11 task 5d2e stopped: exit code 3
        "#);
    }

    #[test]
    fn a_plan_reads_well_in_a_terminal() {
        insta::assert_snapshot!(terminal(&samples::ended(Outcome::Planned)), @r#"
        📋 production: backend would change in 1 place — this is a plan, nothing was touched

        Changes (rolling, about 19 min):
          image: acme/app:1 → acme/app:2
        "#);
    }
}

//! The parts of the job summary, each a function of the report; `summary` puts them in order and cuts.

use super::markdown::{code, details, fence, link, prose, table, text};
use super::values::{RunReport, ServiceReport};
use super::words::{brief, clock, count, date, is_commit, short_commit, span};
use crate::problem::{Problem, Severity};
use crate::release::{Change, Digest, Failure, LogLine, Outcome, Version};

/// Rows of a table that people still read.
pub(super) const ROWS: usize = 200;
/// Changes that still fit into a cell.
const CELL: usize = 4;

/// One line per service: from, to, what serves now and how that is known. A plan has its own columns.
pub fn services(report: &RunReport) -> Option<String> {
    if report.services.is_empty() {
        return None;
    }
    let shown = report.services.iter().take(ROWS);
    let mut out = if report.outcome == Outcome::Planned {
        let rows: Vec<_> = shown.map(planned_row).collect();
        table(&["service", "what changes", "how", "expected"], &rows)
    } else {
        let rows: Vec<_> = shown.map(|service| row(report, service)).collect();
        table(&["service", "from → to", "serves now", "how it is known", "took"], &rows)
    };
    if report.services.len() > ROWS {
        out.push_str(&format!("\n\n… and {} more.", count(report.services.len() - ROWS, "service")));
    }
    Some(out)
}

fn row(report: &RunReport, service: &ServiceReport) -> Vec<String> {
    let commit = service.commit.as_deref().map(|sha| commit_link(report, sha));
    let origin = service.origin.as_deref().map(text);
    let asked = [service.digest.as_ref().map(short), commit, origin];
    let asked = asked.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let way = way(service);
    let serves = [service.serves.as_ref().map(label), service.serves_digest.as_ref().map(short)];
    vec![
        name(service),
        if asked.is_empty() { way } else { format!("{way}<br>{asked}") },
        or_dash(serves.into_iter().flatten().collect::<Vec<_>>().join(" · ")),
        or_dash(prose(&service.evidence)),
        span(service.took),
    ]
}

fn way(service: &ServiceReport) -> String {
    match (&service.previous, &service.version) {
        _ if service.outcome == Outcome::Unchanged => "unchanged".into(),
        (Some(from), Some(to)) if from == to => label(from),
        (from, to) => {
            let end = |version: &Option<Version>| version.as_ref().map_or("–".to_owned(), label);
            format!("{} → {}", end(from), end(to))
        }
    }
}

fn planned_row(service: &ServiceReport) -> Vec<String> {
    planned_cells(service, few_changes(&service.changes.0))
}

/// The row of a plan: what would change, how, and how long that takes.
pub(super) fn planned_cells(service: &ServiceReport, changes: String) -> Vec<String> {
    let what = match (service.changes.is_empty(), &service.again) {
        (false, _) => changes,
        (true, Some(why)) => format!("nothing, and yet it would be rolled out: {}", prose(why)),
        (true, None) => return vec![name(service), "nothing".into(), "–".into(), "–".into()],
    };
    let expected = service.expected.map_or("–".to_owned(), |expected| format!("≈ {}", span(expected)));
    vec![name(service), what, or_dash(text(&service.strategy)), expected]
}

fn few_changes(changes: &[Change]) -> String {
    let mut shown: Vec<String> = changes.iter().take(CELL).map(change).collect();
    if changes.len() > CELL {
        shown.push(format!("… and {} more", changes.len() - CELL));
    }
    shown.join("<br>")
}

/// `field` old → new; `+` and `−` where one side is missing, `~` where values must not be shown.
fn change(change: &Change) -> String {
    let value = |value: &String| code(&brief(value));
    let field = text(&change.field);
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{field} {} → {}", value(from), value(to)),
        (None, Some(to)) => format!("+ {field} {}", value(to)),
        (Some(from), None) => format!("− {field} {}", value(from)),
        (None, None) => format!("~ {field}"),
    }
}

/// Why each service failed, its last lines, and what to do.
pub fn causes(report: &RunReport) -> Vec<String> {
    let several = report.services.len() > 1;
    let failed = report.services.iter().filter_map(|service| Some((service, service.failure.as_ref()?)));
    failed.map(|(service, failure)| cause(several.then_some(service), failure)).collect()
}

fn cause(service: Option<&ServiceReport>, failure: &Failure) -> String {
    let problem = &failure.problem;
    let of = service.map(|service| format!(" of {}", code(&service.name))).unwrap_or_default();
    let mut first = format!("**Cause**{of}: {}", prose(&problem.sentence));
    if let Some(exit) = failure.exit_code {
        first.push_str(&format!(" Exit code **{exit}**."));
    }
    let mut parts = vec![first];
    parts.extend(problem.cause.as_deref().map(|cause| fence(&lines(cause))));
    if !failure.logs.is_empty() {
        parts.push(format!("Last {} of the container:", count(failure.logs.len(), "line")));
        parts.push(fence(&failure.logs.iter().map(log_line).collect::<Vec<_>>()));
    }
    if !problem.help.is_empty() {
        parts.push(format!("**What to do**: {}", prose(&problem.help)));
    }
    parts.join("\n\n")
}

fn log_line(line: &LogLine) -> String {
    match jiff::Timestamp::from_millisecond(line.at_ms) {
        Ok(at) => format!("{} {}", clock(at), line.text),
        Err(_) => line.text.clone(),
    }
}

fn lines(cause: &str) -> Vec<String> {
    cause.trim().split(['\n', '\r']).take(20).map(str::to_owned).collect()
}

/// What the judge of each canary saw.
pub fn analyses(report: &RunReport) -> Vec<String> {
    let several = report.services.len() > 1;
    let judged = report.services.iter().filter_map(|service| Some((service, service.analysis.as_ref()?)));
    let block = |(service, analysis): (&ServiceReport, &super::Analysis)| {
        let of = if several { format!(" of {}", code(&service.name)) } else { String::new() };
        format!("**Canary{of}**\n\n{}", super::analysis::lines(&analysis.opinion, analysis.share))
    };
    judged.map(block).collect()
}

/// Problems of one severity, but those that `causes` tells.
pub fn problems(report: &RunReport, severity: Severity) -> Option<String> {
    let told = |problem: &&Problem| {
        let told = report.services.iter().filter_map(|service| service.failure.as_ref());
        !told.map(|failure| &failure.problem).any(|cause| cause == *problem)
    };
    let all: Vec<&Problem> = report.problems_of(severity).into_iter().filter(told).collect();
    let what = match severity {
        Severity::Error => "problem",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    };
    let mut items: Vec<String> = all.iter().take(ROWS).map(|problem| item(report, problem)).collect();
    if all.len() > ROWS {
        items.push(format!("- … and {} more", all.len() - ROWS));
    }
    (!all.is_empty()).then(|| format!("**{}**\n\n{}", count(all.len(), what), items.join("\n")))
}

fn item(report: &RunReport, problem: &Problem) -> String {
    let mut out = format!("- {}", code(problem.code.name()));
    if let Some(service) = &problem.service {
        out.push_str(&format!(" · {}", code(service)));
    }
    if let Some(at) = &problem.at {
        let place = code(&format!("{}:{}", at.file, at.line));
        out.push_str(&format!(
            " · {}",
            link(&place, &line_address(report, &at.file, at.line).unwrap_or_default())
        ));
    }
    out.push_str(&format!(" — {}", prose(&problem.sentence)));
    if let Some(cause) = &problem.cause {
        out.push_str(&format!(" ({})", text(cause)));
    }
    if !problem.help.is_empty() {
        out.push_str(&format!(" {}", prose(&problem.help)));
    }
    out
}

/// Everything that changed, or would change, where a cell of the first table is too small for it.
pub fn changes(report: &RunReport) -> Vec<String> {
    let planned = report.outcome == Outcome::Planned;
    let long = |service: &&ServiceReport| service.changes.0.len() > if planned { CELL } else { 0 };
    report.services.iter().filter(long).map(|service| change_table(service, planned)).collect()
}

fn change_table(service: &ServiceReport, planned: bool) -> String {
    let shown = |value: &Option<String>| value.as_ref().map_or("–".to_owned(), |value| code(&brief(value)));
    let row = |change: &Change| vec![text(&change.field), shown(&change.from), shown(&change.to)];
    let mut rows: Vec<_> = service.changes.0.iter().take(ROWS).map(row).collect();
    if service.changes.0.len() > ROWS {
        rows.push(vec![
            format!("… and {} more", service.changes.0.len() - ROWS),
            String::new(),
            String::new(),
        ]);
    }
    let what = if planned { "what would change" } else { "what was to change" };
    let what = if matches!(service.outcome, Outcome::Deployed | Outcome::RolledBack) {
        "what changed"
    } else {
        what
    };
    let title = format!("{}: {what}, {}", service.name, count(service.changes.0.len(), "place"));
    details(&title, &table(&["field", "from", "to"], &rows))
}

/// What happened when, of all services together.
pub fn timeline(report: &RunReport) -> Option<String> {
    let several = report.services.len() > 1;
    let of = |service: &'_ ServiceReport| {
        let name = if several { code(&service.name) } else { String::new() };
        service
            .timeline
            .iter()
            .map(move |moment| (moment.at, name.clone(), prose(&moment.text)))
            .collect::<Vec<_>>()
    };
    let mut moments: Vec<_> = report.services.iter().flat_map(of).collect();
    moments.sort_by_key(|(at, _, _)| *at);
    let left_out = moments.len().saturating_sub(ROWS);
    let rows: Vec<Vec<String>> = moments[left_out..]
        .iter()
        .map(|(at, name, what)| {
            let what = if name.is_empty() { what.clone() } else { format!("{name} {what}") };
            vec![clock(*at), what]
        })
        .collect();
    let title =
        if left_out == 0 { "Timeline".to_owned() } else { format!("Timeline, the last {ROWS} moments") };
    (!rows.is_empty()).then(|| details(&title, &table(&["UTC", ""], &rows)))
}

/// The commits between the two versions of each service.
pub fn commits(report: &RunReport) -> Vec<String> {
    report
        .services
        .iter()
        .filter(|service| !service.commits.is_empty())
        .map(|s| commit_list(report, s))
        .collect()
}

fn commit_list(report: &RunReport, service: &ServiceReport) -> String {
    let line = |commit: &super::CommitLine| {
        format!("- {} {} — {}", commit_link(report, &commit.sha), text(&commit.subject), text(&commit.author))
    };
    let total = service.commits.len().max(service.commits_total);
    let mut items: Vec<String> = service.commits.iter().take(50).map(line).collect();
    if total > items.len() {
        items.push(format!("- … and {} more", total - items.len()));
    }
    if let Some(address) = compare_address(report, service) {
        items.push(format!("- {}", link("all changes", &address)));
    }
    let since = service.previous_commit.as_deref().map(|sha| format!(" since {}", short_commit(sha)));
    let number = count(total, "commit");
    let title = format!("{}: {number}{}", service.name, since.unwrap_or_default());
    details(&title, &items.join("\n"))
}

/// Where this comes from, in small letters.
pub fn footer(report: &RunReport) -> String {
    let parts = [
        Some(format!("Roadstead {}", text(&report.operation))),
        report.commit.as_deref().map(|sha| commit_link(report, sha)),
        report.run_url.as_deref().map(|address| link("run", address)),
        Some(date(report.finished)),
        Some(span(report.took())).filter(|took| took != "–"),
    ];
    format!("<sub>{}</sub>", parts.into_iter().flatten().collect::<Vec<_>>().join(" · "))
}

fn name(service: &ServiceReport) -> String {
    link(&code(&service.name), service.url.as_deref().unwrap_or_default())
}

fn label(version: &Version) -> String {
    code(&version.label)
}

pub(super) fn short(digest: &Digest) -> String {
    code(&format!("sha256:{}…", digest.short()))
}

fn or_dash(cell: String) -> String {
    if cell.is_empty() { "–".into() } else { cell }
}

pub(super) fn commit_link(report: &RunReport, sha: &str) -> String {
    let address = base(report).filter(|_| is_commit(sha)).map(|base| format!("{base}/commit/{sha}"));
    link(&code(short_commit(sha)), &address.unwrap_or_default())
}

fn compare_address(report: &RunReport, service: &ServiceReport) -> Option<String> {
    let (from, to) = (service.previous_commit.as_deref()?, service.commit.as_deref()?);
    let base = base(report).filter(|_| is_commit(from) && is_commit(to))?;
    Some(format!("{base}/compare/{from}...{to}"))
}

fn line_address(report: &RunReport, file: &str, line: usize) -> Option<String> {
    let commit = report.commit.as_deref().filter(|sha| is_commit(sha))?;
    Some(format!("{}/blob/{commit}/{}#L{line}", base(report)?, file.trim_start_matches("./")))
}

/// The repository's address, where server and repository look like what they should be.
fn base(report: &RunReport) -> Option<String> {
    let (server, repository) = (report.server_url.as_deref()?, report.repository.as_deref()?);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    (repository.matches('/').count() == 1 && repository.chars().all(plain))
        .then(|| format!("{}/{repository}", server.trim_end_matches('/')))
}

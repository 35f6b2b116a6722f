//! The parts of the job summary, each a function of the report; `summary` puts them in order and cuts.

use super::guide::section_url;
use super::markdown::{code_block, code_span, details, escape, escape_all, link, table};
use super::pull_request::escape_but_link;
use super::run_report::{RunReport, ServiceReport};
use super::text::{format_date, format_duration, is_commit, log_line, pluralize, short_commit, truncate};
use crate::problem::{Code, Problem, Severity};
use crate::release::{Change, Digest, Failure, Outcome, Version};

/// Rows of a table that are still readable.
pub(super) const MAX_ROWS: usize = 200;
/// Changes that still fit into a cell.
const MAX_CELL_CHANGES: usize = 4;

/// One row for each service. The serving version is the second column, so that a phone shows it. A plan has its own columns.
pub fn services(report: &RunReport) -> Option<String> {
    if report.services.is_empty() {
        return None;
    }
    let shown = report.services.iter().take(MAX_ROWS);
    let mut out = if report.outcome == Outcome::Planned {
        let rows: Vec<_> = shown.map(planned_row).collect();
        table(&["service", "changes", "strategy", "expected"], &rows)
    } else {
        let rows: Vec<_> = shown.map(|service| service_row(report, service)).collect();
        table(&["service", "serving", "from → to", "evidence", "took"], &rows)
    };
    if report.services.len() > MAX_ROWS {
        out.push_str(&format!("\n\n… and {} more.", pluralize(report.services.len() - MAX_ROWS, "service")));
    }
    Some(out)
}

fn service_row(report: &RunReport, service: &ServiceReport) -> Vec<String> {
    let commit = service.commit.as_deref().map(|sha| commit_link(report, sha));
    let origin = service.origin.as_deref().map(escape_all);
    let release = [service.digest.as_ref().map(short_digest), commit, origin];
    let release = release.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let release = [release].into_iter().chain(container_digests(service)).filter(|line| !line.is_empty());
    let release = release.collect::<Vec<_>>().join("<br>");
    let change = version_change(service);
    let serving = [
        service.serving_version.as_ref().map(version_label),
        service.serving_digest.as_ref().map(short_digest),
    ];
    vec![
        service_link(service),
        or_dash(serving.into_iter().flatten().collect::<Vec<_>>().join("<br>")),
        if release.is_empty() { change } else { format!("{change}<br>{release}") },
        or_dash(escape_but_link(report, &service.evidence)),
        format_duration(service.elapsed),
    ]
}

/// The requested images of further containers, a line each.
fn container_digests(service: &ServiceReport) -> impl Iterator<Item = String> {
    service.container_images.iter().map(|(name, image)| {
        let digest = image.digest.as_ref();
        let shown = digest.map_or_else(|| code_span(&truncate(&image.to_string())), short_digest);
        format!("{} {shown}", code_span(name))
    })
}

fn version_change(service: &ServiceReport) -> String {
    match (&service.previous_version, &service.version) {
        _ if service.outcome == Outcome::Unchanged => "unchanged".into(),
        (Some(from), Some(to)) if from == to => version_label(from),
        (from, to) => {
            let end = |version: &Option<Version>| version.as_ref().map_or("–".to_owned(), version_label);
            format!("{} → {}", end(from), end(to))
        }
    }
}

fn planned_row(service: &ServiceReport) -> Vec<String> {
    planned_cells(service, change_preview(&service.changes.0))
}

/// The row of a plan: what would change, how, and how long that takes.
pub(super) fn planned_cells(service: &ServiceReport, changes: String) -> Vec<String> {
    let what = match (service.changes.is_empty(), &service.redeploy_reason) {
        (false, _) => changes,
        (true, Some(why)) => format!("no changes; redeployed: {}", escape(why)),
        (true, None) => return vec![service_link(service), "no changes".into(), "–".into(), "–".into()],
    };
    let expected = service
        .expected_duration
        .map_or("–".to_owned(), |expected| format!("≈ {}", format_duration(expected)));
    vec![service_link(service), what, or_dash(escape_all(&service.strategy)), expected]
}

fn change_preview(changes: &[Change]) -> String {
    let mut shown: Vec<String> = changes.iter().take(MAX_CELL_CHANGES).map(change_text).collect();
    if changes.len() > MAX_CELL_CHANGES {
        shown.push(format!("… and {} more", changes.len() - MAX_CELL_CHANGES));
    }
    shown.join("<br>")
}

/// `field` old → new; `+` and `−` where one side is missing, and in words where values must not be shown.
fn change_text(change: &Change) -> String {
    let value = |value: &String| code_span(&truncate(value));
    let field = escape_all(&change.field);
    if let Some(hidden) = change.hidden {
        return format!("{field}: {}", hidden.text());
    }
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
    failed.map(|(service, failure)| failure_cause(several.then_some(service), failure)).collect()
}

fn failure_cause(service: Option<&ServiceReport>, failure: &Failure) -> String {
    let problem = &failure.problem;
    let of = service.map(|service| format!(" of {}", code_span(&service.name))).unwrap_or_default();
    let exit = unmentioned_exit_code(failure).map(|exit| format!(" Exit code **{exit}**."));
    let first = format!(
        "**Cause**{of}: {}{} ({})",
        escape(&problem.sentence),
        exit.unwrap_or_default(),
        code_link(problem.code)
    );
    let mut parts = vec![first];
    parts.extend(problem.cause.as_deref().map(cause_block));
    if !failure.logs.is_empty() {
        parts.push(format!("Last {} of the container:", pluralize(failure.logs.len(), "line")));
        parts.push(code_block(&failure.logs.iter().map(log_line).collect::<Vec<_>>()));
    }
    if !problem.help.is_empty() {
        parts.push(format!("**What to do**: {}", escape(&problem.help)));
    }
    parts.join("\n\n")
}

/// The exit code, if the sentence does not name it.
pub(super) fn unmentioned_exit_code(failure: &Failure) -> Option<i64> {
    let sentence = &failure.problem.sentence;
    failure.exit_code.filter(|code| !sentence.trim_end_matches('.').ends_with(&format!("code {code}")))
}

/// The code of a problem, linked to its section of docs/problems.md.
fn code_link(code: Code) -> String {
    link(&code_span(code.name()), &section_url(code))
}

/// A single line is a quotation, because a code block would not wrap it. Several lines stay as they are.
fn cause_block(cause: &str) -> String {
    let lines: Vec<String> = cause.trim().split(['\n', '\r']).take(20).map(str::to_owned).collect();
    match lines.as_slice() {
        [line] => format!("> {}", escape_all(line.trim())),
        lines => code_block(lines),
    }
}

/// The analysis of each canary.
pub fn analyses(report: &RunReport) -> Vec<String> {
    let several = report.services.len() > 1;
    let analyzed = report.services.iter().filter_map(|service| Some((service, service.analysis.as_ref()?)));
    let block = |(service, analysis): (&ServiceReport, &super::CanaryAnalysis)| {
        let of = if several { format!(" of {}", code_span(&service.name)) } else { String::new() };
        format!(
            "**Canary{of}**\n\n{}",
            super::analysis::render_analysis(&analysis.judgement, analysis.weight, stated_cause(service))
        )
    };
    analyzed.map(block).collect()
}

fn stated_cause(service: &ServiceReport) -> Option<&str> {
    service.failure.as_ref()?.problem.cause.as_deref()
}

/// Problems of one severity, without those that `causes` shows.
pub fn problems(report: &RunReport, severity: Severity) -> Option<String> {
    let is_no_cause = |problem: &&Problem| {
        let failures = report.services.iter().filter_map(|service| service.failure.as_ref());
        !failures.map(|failure| &failure.problem).any(|cause| cause == *problem)
    };
    let all: Vec<&Problem> = report.problems_of(severity).into_iter().filter(is_no_cause).collect();
    let what = match severity {
        Severity::Error => "problem",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    };
    let mut items: Vec<String> =
        all.iter().take(MAX_ROWS).map(|problem| problem_item(report, problem)).collect();
    if all.len() > MAX_ROWS {
        items.push(format!("- … and {} more", all.len() - MAX_ROWS));
    }
    (!all.is_empty()).then(|| format!("**{}**\n\n{}", pluralize(all.len(), what), items.join("\n")))
}

fn problem_item(report: &RunReport, problem: &Problem) -> String {
    let mut out = format!("- {}", code_link(problem.code));
    if let Some(service) = &problem.service {
        out.push_str(&format!(" · {}", code_span(service)));
    }
    if let Some(at) = &problem.location {
        let position = code_span(&format!("{}:{}", at.file, at.line));
        out.push_str(&format!(
            " · {}",
            link(&position, &line_url(report, &at.file, at.line).unwrap_or_default())
        ));
    }
    out.push_str(&format!(" — {}", escape(&problem.sentence)));
    if let Some(cause) = &problem.cause {
        out.push_str(&format!(" ({})", escape_all(cause)));
    }
    if !problem.help.is_empty() {
        out.push_str(&format!(" {}", escape(&problem.help)));
    }
    out
}

/// All changes of each service, if a cell of the first table is too small for them.
pub fn changes(report: &RunReport) -> Vec<String> {
    let planned = report.outcome == Outcome::Planned;
    let long =
        |service: &&ServiceReport| service.changes.0.len() > if planned { MAX_CELL_CHANGES } else { 0 };
    report.services.iter().filter(long).map(|service| change_table(service, planned)).collect()
}

fn change_table(service: &ServiceReport, planned: bool) -> String {
    let shown =
        |value: &Option<String>| value.as_ref().map_or("–".to_owned(), |value| code_span(&truncate(value)));
    let row = |change: &Change| match change.hidden {
        Some(hidden) => vec![escape_all(&change.field), String::new(), hidden.text().to_owned()],
        None => vec![escape_all(&change.field), shown(&change.from), shown(&change.to)],
    };
    let mut rows: Vec<_> = service.changes.0.iter().take(MAX_ROWS).map(row).collect();
    if service.changes.0.len() > MAX_ROWS {
        rows.push(vec![
            format!("… and {} more", service.changes.0.len() - MAX_ROWS),
            String::new(),
            String::new(),
        ]);
    }
    let is_done = matches!(service.outcome, Outcome::Deployed | Outcome::RolledBack);
    let what = match (planned, is_done) {
        (true, _) => "planned changes",
        (false, true) => "changes",
        (false, false) => "attempted changes",
    };
    let title = format!("{}: {what} ({})", service.name, service.changes.0.len());
    details(&title, &table(&["field", "from", "to"], &rows))
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
        format!(
            "- {} {} — {}",
            commit_link(report, &commit.sha),
            escape_all(&commit.subject),
            escape_all(&commit.author)
        )
    };
    let total = service.commits.len().max(service.commits_total);
    let mut items: Vec<String> = service.commits.iter().take(50).map(line).collect();
    if total > items.len() {
        items.push(format!("- … and {} more", total - items.len()));
    }
    if let Some(address) = compare_url(report, service) {
        items.push(format!("- {}", link("all changes", &address)));
    }
    let since = service.previous_commit.as_deref().map(|sha| format!(" since {}", short_commit(sha)));
    let number = pluralize(total, "commit");
    let title = format!("{}: {number}{}", service.name, since.unwrap_or_default());
    details(&title, &items.join("\n"))
}

/// Where this comes from, in small letters.
pub fn footer(report: &RunReport) -> String {
    let parts = [
        Some(format!("Roadstead {}", escape_all(&report.operation))),
        report.commit.as_deref().map(|sha| commit_link(report, sha)),
        report.run_url.as_deref().map(|address| link("run", address)),
        Some(format_date(report.finished)),
        Some(format_duration(report.elapsed())).filter(|took| took != "–"),
    ];
    format!("<sub>{}</sub>", parts.into_iter().flatten().collect::<Vec<_>>().join(" · "))
}

fn service_link(service: &ServiceReport) -> String {
    link(&code_span(&service.name), service.url.as_deref().unwrap_or_default())
}

fn version_label(version: &Version) -> String {
    code_span(&version.label)
}

pub(super) fn short_digest(digest: &Digest) -> String {
    code_span(&format!("sha256:{}…", digest.short()))
}

fn or_dash(cell: String) -> String {
    if cell.is_empty() { "–".into() } else { cell }
}

pub(super) fn commit_link(report: &RunReport, sha: &str) -> String {
    let address =
        repository_url(report).filter(|_| is_commit(sha)).map(|base| format!("{base}/commit/{sha}"));
    link(&code_span(short_commit(sha)), &address.unwrap_or_default())
}

fn compare_url(report: &RunReport, service: &ServiceReport) -> Option<String> {
    let (from, to) = (service.previous_commit.as_deref()?, service.commit.as_deref()?);
    let base = repository_url(report).filter(|_| is_commit(from) && is_commit(to))?;
    Some(format!("{base}/compare/{from}...{to}"))
}

fn line_url(report: &RunReport, file: &str, line: usize) -> Option<String> {
    let commit = report.commit.as_deref().filter(|sha| is_commit(sha))?;
    Some(format!("{}/blob/{commit}/{}#L{line}", repository_url(report)?, file.trim_start_matches("./")))
}

/// The repository's address, where server and repository look like what they should be.
fn repository_url(report: &RunReport) -> Option<String> {
    let (server, repository) = (report.server_url.as_deref()?, report.repository.as_deref()?);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    (repository.matches('/').count() == 1 && repository.chars().all(plain))
        .then(|| format!("{}/{repository}", server.trim_end_matches('/')))
}

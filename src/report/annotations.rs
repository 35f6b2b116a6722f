//! Problems as annotations, within the runner's limits: errors first, ten per severity, the rest in the summary.

use super::headline::headline;
use super::run_report::{RunReport, ServiceReport};
use super::sections::unmentioned_exit_code;
use super::text::{TextStyle, log_line};
use crate::action::command::Annotation;
use crate::action::sanitize::{sanitize_line, strip_escapes};
use crate::problem::{Problem, Severity};

/// Annotations per severity and step that the runner stores.
const MAX_PER_SEVERITY: usize = 10;
/// Log lines in the annotation of a cause.
const MAX_LOG_LINES: usize = 5;

/// Errors, then warnings, then notices. A run that ends badly always has an error, since the runner reports nothing
/// when a container action fails.
pub fn annotations(report: &RunReport) -> Vec<Annotation> {
    let mut errors = annotations_of(report, Severity::Error);
    if errors.is_empty() && report.outcome.exit_code() != 0 {
        let title = format!("Roadstead: {}", report.outcome);
        errors.push(Annotation {
            severity: Severity::Error,
            title,
            message: headline(report, TextStyle::Plain),
            location: None,
        });
    }
    errors
        .into_iter()
        .chain(annotations_of(report, Severity::Warning))
        .chain(annotations_of(report, Severity::Notice))
        .collect()
}

fn annotations_of(report: &RunReport, severity: Severity) -> Vec<Annotation> {
    let all = report.problems_of(severity);
    let shown = if all.len() > MAX_PER_SEVERITY { MAX_PER_SEVERITY - 1 } else { all.len() };
    let mut list: Vec<Annotation> =
        all[..shown].iter().map(|problem| problem_annotation(report, problem)).collect();
    if all.len() > shown {
        let message = format!("and {} more in the summary", all.len() - shown);
        list.push(Annotation { severity, title: "Roadstead".into(), message, location: None });
    }
    list
}

pub(super) fn problem_annotation(report: &RunReport, problem: &Problem) -> Annotation {
    let mut lines = vec![problem.sentence.clone()];
    lines.extend(problem.cause.iter().map(|cause| cause.trim().to_owned()));
    if !problem.help.is_empty() {
        lines.push(problem.help.clone());
    }
    lines.extend(failure_excerpt(report, problem));
    Annotation {
        severity: problem.severity,
        title: annotation_title(problem),
        message: strip_escapes(&lines.join("\n")),
        location: problem.location.as_ref().map(|at| (sanitize_line(&at.file), at.line, at.column)),
    }
}

/// `backend: image pull failed`.
fn annotation_title(problem: &Problem) -> String {
    let title = problem.code.name().replace('-', " ");
    match &problem.service {
        Some(service) => format!("{}: {title}", sanitize_line(service)),
        None => title,
    }
}

/// Exit code and last log lines, if the problem is the cause of a failure.
fn failure_excerpt(report: &RunReport, problem: &Problem) -> Vec<String> {
    let failure =
        |service: &ServiceReport| service.failure.clone().filter(|failure| failure.problem == *problem);
    let Some(failure) = report.services.iter().find_map(failure) else { return Vec::new() };
    let exit = unmentioned_exit_code(&failure).map(|code| format!("Exit code {code}."));
    let last = failure.logs[failure.logs.len().saturating_sub(MAX_LOG_LINES)..].iter();
    exit.into_iter().chain(last.map(log_line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::command::oracle;
    use crate::problem::Code;
    use crate::release::Outcome;
    use crate::report::fixtures;

    fn commands(report: &RunReport) -> Vec<String> {
        annotations(report).iter().map(Annotation::command).collect()
    }

    #[test]
    fn a_cause_comes_with_its_last_lines() {
        insta::assert_snapshot!(commands(&fixtures::sample_report(Outcome::Failed)).join("\n"), @r#"
        ::error title=backend%3A container exited::The container `app` exits by itself, twice in 18 s.%0AEssentialContainerExited: Essential container in task exited%0AIts last lines say why. Fix it and run the job again; nothing else is needed.%0AExit code 3.%0A12:04:11 connecting to db.internal:5432%0A12:04:11 FATAL: password authentication failed for user "app"
        "#);
    }

    #[test]
    fn problems_stand_on_their_lines_errors_first() {
        insta::assert_snapshot!(commands(&fixtures::sample_report(Outcome::Invalid)).join("\n"), @r#"
        ::error title=config invalid,file=.github/roadstead.yml,line=12,col=5::There is no key `strateggy` here.%0ADid you mean `strategy`?
        ::error title=backend%3A cluster missing::There is no cluster `acme-production`.%0AClusterNotFoundException: Cluster not found.
        ::warning title=backend%3A secret in plain text,file=deploy/backend.json,line=31,col=9::`API_TOKEN` looks like a secret in plain `environment`.%0AUse `secrets`.
        "#);
    }

    #[test]
    fn never_more_than_ten_of_a_kind_and_all_are_counted() {
        let mut report = fixtures::sample_report(Outcome::Deployed);
        let warning = |n: usize| Problem::warning(Code::AlarmMissing, format!("Warning {n}."));
        report.problems = (0..11).map(warning).collect();
        let eleven = annotations(&report);
        assert_eq!(eleven.len(), 10);
        assert_eq!(eleven[9].message, "and 2 more in the summary");
        report.problems.pop();
        assert_eq!(annotations(&report)[9].message, "Warning 9.");
    }

    #[test]
    fn failed_run_without_problem_has_an_error_annotation() {
        let list = annotations(&fixtures::sample_report(Outcome::Superseded));
        assert_eq!((list.len(), list[0].severity), (1, Severity::Error));
        assert_eq!(annotations(&fixtures::sample_report(Outcome::Deployed)), []);
    }

    #[test]
    fn text_from_outside_stays_inside_its_command() {
        let evil = "x\r\n::add-mask::y\n##[error]z,line=1::";
        let mut report = fixtures::sample_report(Outcome::Invalid);
        report.problems = vec![
            Problem::error(Code::ConfigInvalid, evil).cause(evil).at_location(evil, 1, 2).for_service(evil),
        ];
        let commands = commands(&report);
        assert_eq!(commands.len(), 1);
        assert!(!commands[0].contains(['\n', '\r']));
        let parsed = oracle::parse(&commands[0]).unwrap();
        assert_eq!((parsed.name.as_str(), parsed.properties["line"].as_str()), ("error", "1"));
        assert!(parsed.data.contains("::add-mask::y"));
    }
}

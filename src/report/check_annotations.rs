//! The annotations of a plan's check: problems at their lines, and at each service the planned changes. Unlike the
//! annotations of a step they are not limited to ten, and they are plain text.

use super::annotations::problem_annotation;
use super::run_report::{RunReport, ServiceReport};
use super::text::{pluralize, truncate};
use crate::action::command::Annotation;
use crate::action::sanitize::{sanitize_line, strip_escapes};
use crate::problem::Severity;
use crate::release::Change;

/// The most annotations of one check; each fifty are a request.
pub const MAX_ANNOTATIONS: usize = 500;
/// Changes in one annotation.
const MAX_LISTED_CHANGES: usize = 30;

/// Everything that has a line, errors first, at most [`MAX_ANNOTATIONS`].
pub fn check_annotations(report: &RunReport) -> Vec<Annotation> {
    let all = [Severity::Error, Severity::Warning, Severity::Notice];
    let found = all.into_iter().flat_map(|severity| report.problems_of(severity));
    let found =
        found.filter(|problem| problem.location.is_some()).map(|problem| problem_annotation(report, problem));
    found.chain(report.services.iter().filter_map(changes_annotation)).take(MAX_ANNOTATIONS).collect()
}

/// The planned changes, at the line of the service. Values of variables are not shown.
fn changes_annotation(service: &ServiceReport) -> Option<Annotation> {
    let at = service.declared_at.as_ref()?;
    let lines = match (service.changes.0.as_slice(), &service.redeploy_reason) {
        ([], None) => return None,
        ([], Some(reason)) => vec![reason.clone()],
        (changes, _) => change_lines(changes),
    };
    Some(Annotation {
        severity: Severity::Notice,
        title: format!("{}: would change", sanitize_line(&service.name)),
        message: strip_escapes(&lines.join("\n")),
        location: Some((sanitize_line(&at.file), at.line, at.column)),
    })
}

fn change_lines(changes: &[Change]) -> Vec<String> {
    let mut lines: Vec<String> = changes.iter().take(MAX_LISTED_CHANGES).map(change_line).collect();
    if changes.len() > MAX_LISTED_CHANGES {
        lines.push(format!("and {} more", pluralize(changes.len() - MAX_LISTED_CHANGES, "change")));
    }
    lines
}

fn change_line(change: &Change) -> String {
    let hidden = change.field.contains("environment ") || change.field.contains("secrets ");
    let value = |value: &Option<String>| value.as_deref().filter(|_| !hidden).map(truncate);
    if let Some(hidden) = change.hidden {
        return format!("{}: {}", change.field, hidden.text());
    }
    match (value(&change.from), value(&change.to), &change.from, &change.to) {
        (Some(from), Some(to), ..) => format!("{}: {from} → {to}", change.field),
        (None, Some(to), ..) => format!("+ {}: {to}", change.field),
        (_, _, None, Some(_)) => format!("+ {}", change.field),
        (_, _, Some(_), None) => format!("− {}", change.field),
        _ => format!("~ {}", change.field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Location, Problem};
    use crate::release::{Changes, Outcome};
    use crate::report::fixtures::{change, sample_problems, sample_report};

    #[test]
    fn problems_and_changes_are_annotated_on_their_lines() {
        let mut report = sample_report(Outcome::Planned);
        report.problems = sample_problems();
        let service = &mut report.services[0];
        service.declared_at = Some(Location { file: ".github/roadstead.yml".into(), line: 4, column: 3 });
        service.changes = Changes(vec![
            change("image", Some("a:1"), Some("a, built from c0ffee1")),
            change("environment MODE", Some("private-1"), Some("private-2")),
            change("environment NEW", None, Some("private-3")),
            change("environment OLD", Some("private-4"), None),
            change("memory", None, Some("512")),
        ]);
        let commands =
            check_annotations(&report).iter().map(Annotation::command).collect::<Vec<_>>().join("\n");
        assert!(!commands.contains("private"), "{commands}");
        insta::assert_snapshot!(commands, @"
        ::error title=config invalid,file=.github/roadstead.yml,line=12,col=5::There is no key `strateggy` here.%0ADid you mean `strategy`?
        ::warning title=backend%3A secret in plain text,file=deploy/backend.json,line=31,col=9::`API_TOKEN` looks like a secret in plain `environment`.%0AUse `secrets`.
        ::notice title=backend%3A would change,file=.github/roadstead.yml,line=4,col=3::image: a:1 → a, built from c0ffee1%0A~ environment MODE%0A+ environment NEW%0A− environment OLD%0A+ memory: 512
        ");
    }

    #[test]
    fn annotations_need_a_line_and_are_limited() {
        let mut report = sample_report(Outcome::Planned);
        assert_eq!(check_annotations(&report), []);
        let problem = |n: usize| {
            Problem::warning(crate::problem::Code::Internal, format!("{n}.")).at_location("f", n, 1)
        };
        report.problems = (1..=MAX_ANNOTATIONS + 10).map(problem).collect();
        assert_eq!(check_annotations(&report).len(), MAX_ANNOTATIONS);
    }
}

//! What stands on lines of the user's files in the check of a plan: findings, and at each service what would change.
//! Unlike the annotations of a step there may be many, and they are plain text.

use super::annotations::annotation;
use super::values::{RunReport, ServiceReport};
use super::words::{brief, count};
use crate::action::command::Annotation;
use crate::action::neutral::{neutralise, strip};
use crate::problem::Severity;
use crate::release::Change;

/// More than so many nobody reads; each fifty are a request.
pub const MOST: usize = 500;
/// Changes that one remark lists.
const LISTED: usize = 30;

/// Everything that has a line, errors first, at most [`MOST`].
pub fn remarks(report: &RunReport) -> Vec<Annotation> {
    let all = [Severity::Error, Severity::Warning, Severity::Notice];
    let found = all.into_iter().flat_map(|severity| report.problems_of(severity));
    let found = found.filter(|problem| problem.at.is_some()).map(|problem| annotation(report, problem));
    found.chain(report.services.iter().filter_map(changes)).take(MOST).collect()
}

/// What would change, at the line of the service. Values of variables are not shown.
fn changes(service: &ServiceReport) -> Option<Annotation> {
    let at = service.at.as_ref()?;
    let lines = match (service.changes.0.as_slice(), &service.again) {
        ([], None) => return None,
        ([], Some(why)) => vec![why.clone()],
        (changes, _) => listed(changes),
    };
    Some(Annotation {
        severity: Severity::Notice,
        title: format!("{}: would change", neutralise(&service.name)),
        message: strip(&lines.join("\n")),
        place: Some((neutralise(&at.file), at.line, at.column)),
    })
}

fn listed(changes: &[Change]) -> Vec<String> {
    let mut lines: Vec<String> = changes.iter().take(LISTED).map(line).collect();
    if changes.len() > LISTED {
        lines.push(format!("and {} more", count(changes.len() - LISTED, "place")));
    }
    lines
}

fn line(change: &Change) -> String {
    let hidden = change.field.contains("environment ") || change.field.contains("secrets ");
    let value = |value: &Option<String>| value.as_deref().filter(|_| !hidden).map(brief);
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
    use crate::report::samples::{change, ended, wrong};

    #[test]
    fn findings_and_changes_stand_on_their_lines() {
        let mut report = ended(Outcome::Planned);
        report.problems = wrong();
        let service = &mut report.services[0];
        service.at = Some(Location { file: ".github/roadstead.yml".into(), line: 4, column: 3 });
        service.changes = Changes(vec![
            change("image", Some("a:1"), Some("a, built from c0ffee1")),
            change("environment MODE", Some("private-1"), Some("private-2")),
            change("environment NEW", None, Some("private-3")),
            change("environment OLD", Some("private-4"), None),
            change("memory", None, Some("512")),
        ]);
        let told = remarks(&report).iter().map(Annotation::command).collect::<Vec<_>>().join("\n");
        assert!(!told.contains("private"), "{told}");
        insta::assert_snapshot!(told, @"
        ::error title=config invalid,file=.github/roadstead.yml,line=12,col=5::There is no key `strateggy` here.%0ADid you mean `strategy`?
        ::warning title=backend%3A secret in plain text,file=deploy/backend.json,line=31,col=9::`API_TOKEN` looks like a secret in plain `environment`.%0AUse `secrets`.
        ::notice title=backend%3A would change,file=.github/roadstead.yml,line=4,col=3::image: a:1 → a, built from c0ffee1%0A~ environment MODE%0A+ environment NEW%0A− environment OLD%0A+ memory: 512
        ");
    }

    #[test]
    fn what_has_no_line_is_left_to_the_summary_and_there_is_an_end() {
        let mut report = ended(Outcome::Planned);
        assert_eq!(remarks(&report), []);
        let problem =
            |n: usize| Problem::warning(crate::problem::Code::Internal, format!("{n}.")).at("f", n, 1);
        report.problems = (1..=MOST + 10).map(problem).collect();
        assert_eq!(remarks(&report).len(), MOST);
    }
}

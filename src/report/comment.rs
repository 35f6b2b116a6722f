//! The plan as people read it at a pull request, in its comment and in its check: per service what would change, how,
//! and how long that takes. Names of variables, never their values; a comment is read by more people than a log.

use super::markdown::{code, details, table, text};
use super::sections::{self, ROWS, commit_link, planned_cells, short};
use super::summary::assemble;
use super::values::{RunReport, ServiceReport};
use super::verdict::verdict;
use super::words::{Dress, brief, count};
use crate::problem::Severity;
use crate::release::{Change, Outcome};

/// GitHub takes 65,536 characters in a comment and 65,535 in a check; this leaves room for a marker.
pub const LONGEST: usize = 65_000;
/// Names of variables that still fit into a cell, of each kind.
const NAMES: usize = 12;
/// Other fields that still fit into a cell.
const FIELDS: usize = 6;

/// The plan as Markdown, at most [`LONGEST`] bytes. The same plan of the same commit gives the same text.
pub fn plan(report: &RunReport) -> String {
    let mut all = vec![("verdict", verdict(report, Dress::Markdown))];
    if report.rehearsal {
        all.push(("note", "_A rehearsal on the embedded cloud: nothing real was touched._".to_owned()));
    }
    let mut add = |name, texts: Vec<String>| all.extend(texts.into_iter().map(|text| (name, text)));
    add("problems", sections::problems(report, Severity::Error).into_iter().collect());
    add("services", services(report).into_iter().collect());
    add("warnings", sections::problems(report, Severity::Warning).into_iter().collect());
    add("changes", report.services.iter().filter(|service| is_cut(service)).map(whole).collect());
    assemble(headline(report), all, &footer(report), LONGEST)
}

fn headline(report: &RunReport) -> String {
    let place = report.environment.as_deref().map(|name| format!(" · {}", text(name))).unwrap_or_default();
    format!("### Roadstead plan{place} · if this were merged now")
}

fn footer(report: &RunReport) -> String {
    let of = report.commit.as_deref().map(|sha| format!(" of {}", commit_link(report, sha)));
    format!("<sub>Plan{} · nothing was changed</sub>", of.unwrap_or_default())
}

fn services(report: &RunReport) -> Option<String> {
    if report.outcome != Outcome::Planned || report.services.is_empty() {
        return None;
    }
    let row = |service: &ServiceReport| planned_cells(service, cell(service));
    let rows: Vec<_> = report.services.iter().take(ROWS).map(row).collect();
    let mut out = table(&["service", "what changes", "how", "expected"], &rows);
    if report.services.len() > ROWS {
        out.push_str(&format!("\n\n… and {} more.", count(report.services.len() - ROWS, "service")));
    }
    Some(out)
}

/// A field of a definition, as far as this page tells kinds of them apart.
enum Field<'c> {
    /// A variable or a secret: of which list, and its name.
    Named(String, &'c str),
    Image,
    Other,
}

/// `environment NAME`, `secrets NAME`, and the same of another container: `sidecar: environment NAME`.
fn field(change: &Change) -> Field<'_> {
    for (list, word) in [("environment ", "env"), ("secrets ", "secrets")] {
        let Some((of, name)) = change.field.split_once(list) else { continue };
        if of.is_empty() || of.ends_with(": ") {
            return Field::Named(format!("{of}{word}"), name);
        }
    }
    if change.field == "image" { Field::Image } else { Field::Other }
}

/// Images first, then names of variables by list, then other fields.
fn cell(service: &ServiceReport) -> String {
    let (mut images, mut lists, mut others) = (Vec::new(), Vec::<(String, Vec<String>)>::new(), Vec::new());
    for change in &service.changes.0 {
        match field(change) {
            Field::Image => images.push(image(service, change)),
            Field::Other => others.push(other(change)),
            Field::Named(list, name) => {
                let name = format!("{}{}", sign(change), code(name));
                match lists.iter_mut().find(|(known, _)| *known == list) {
                    Some((_, names)) => names.push(name),
                    None => lists.push((list, vec![name])),
                }
            }
        }
    }
    let lists = lists.iter().map(|(list, names)| format!("{} {}", text(list), few(names, NAMES, ", ")));
    let others = (!others.is_empty()).then(|| few(&others, FIELDS, "; "));
    images.into_iter().chain(lists).chain(others).collect::<Vec<_>>().join("; ")
}

fn few(words: &[String], most: usize, between: &str) -> String {
    let mut shown = words[..words.len().min(most)].join(between);
    if words.len() > most {
        shown.push_str(&format!("{between}… and {} more", words.len() - most));
    }
    shown
}

/// `image` old → new: by digest where that is known, and by commit where it is not built yet.
fn image(service: &ServiceReport, change: &Change) -> String {
    let running = service.serves_digest.as_ref().map(short);
    let from = running.or_else(|| change.from.as_deref().map(|from| code(&brief(from))));
    let to = change.to.as_deref().map_or("–".to_owned(), |to| match to.rsplit_once(", built from ") {
        Some((_, commit)) => format!("built from {}", code(commit)),
        None => code(&brief(to)),
    });
    format!("image {} → {to}", from.unwrap_or_else(|| "–".into()))
}

fn other(change: &Change) -> String {
    let shown = |value: &Option<String>| value.as_deref().map(|value| code(&brief(value)));
    let field = text(&change.field);
    match (shown(&change.from), shown(&change.to)) {
        (Some(from), Some(to)) => format!("{field} {from} → {to}"),
        (None, Some(to)) => format!("+{field} {to}"),
        (Some(_), None) => format!("−{field}"),
        (None, None) => format!("~{field}"),
    }
}

/// Added, removed, or changed: also where the values must not be shown.
fn sign(change: &Change) -> &'static str {
    match (&change.from, &change.to) {
        (None, Some(_)) => "+",
        (Some(_), None) => "−",
        _ => "~",
    }
}

fn is_cut(service: &ServiceReport) -> bool {
    let named = |change: &&Change| matches!(field(change), Field::Named(..));
    let names = service.changes.0.iter().filter(named).count();
    let others = service.changes.0.len() - names;
    service.outcome == Outcome::Planned && (names > NAMES || others > FIELDS + 1)
}

/// Everything that would change, folded; of variables the names alone.
fn whole(service: &ServiceReport) -> String {
    let shown = |value: &Option<String>| value.as_ref().map_or("–".to_owned(), |value| code(&brief(value)));
    let row = |change: &Change| match field(change) {
        Field::Named(..) => {
            vec![format!("{}{}", sign(change), text(&change.field)), String::new(), String::new()]
        }
        _ => vec![text(&change.field), shown(&change.from), shown(&change.to)],
    };
    let rows: Vec<_> = service.changes.0.iter().take(ROWS).map(row).collect();
    let title = format!("{}: what would change, {}", service.name, count(service.changes.0.len(), "place"));
    details(&title, &table(&["field", "from", "to"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Code, Problem};
    use crate::release::Changes;
    use crate::report::samples::{change, ended, service};

    #[test]
    fn a_plan_says_what_would_change_and_how() {
        let mut report = ended(Outcome::Planned);
        let backend = &mut report.services[0];
        backend.strategy = "canary 10 %, 15m bake".into();
        backend.changes = Changes(vec![
            change("image", Some("acme/app:1"), Some("acme/app, built from c0ffee1")),
            change("memory", Some("512"), Some("1024")),
            change("environment NEW_FLAG", None, Some("on")),
            change("environment LOG_LEVEL", Some("info"), Some("debug")),
            change("environment OLD", Some("x"), None),
            change("secrets DB", None, None),
            change("proxy: environment MODE", Some("a"), Some("b")),
            change("proxy: image", Some("envoy:1"), Some("envoy:2")),
        ]);
        let mut idle = service("analytics", Outcome::Planned);
        idle.changes = Changes::default();
        let mut again = service("worker", Outcome::Planned);
        again.changes = Changes::default();
        again.again = Some("this version was asked for before and does not serve".into());
        again.expected = None;
        report.services.extend([idle, again]);
        report.problems.push(
            Problem::warning(
                Code::SecretInPlainText,
                "`API_TOKEN` looks like a secret in plain `environment`.",
            )
            .at("deploy/backend.json", 31, 9)
            .of("backend"),
        );
        let text = plan(&report);
        assert!(!text.contains("debug"), "values of variables are not shown");
        insta::assert_snapshot!(text, @"
        ### Roadstead plan · production · if this were merged now

        📋 production: 1 of 3 services would change — this is a plan, nothing was touched

        | service | what changes | how | expected |
        |---|---|---|---|
        | `backend` | image `sha256:777777777777…` → built from `c0ffee1`; env +`NEW_FLAG`, ~`LOG_LEVEL`, −`OLD`; secrets ~`DB`; proxy: env ~`MODE`; memory `512` → `1024`; proxy: image `envoy:1` → `envoy:2` | canary 10 %, 15m bake | ≈ 19 min |
        | `analytics` | nothing | – | – |
        | `worker` | nothing, and yet it would be rolled out: this version was asked for before and does not serve | rolling | – |

        **1 warning**

        - `secret-in-plain-text` · `backend` · [`deploy/backend.json:31`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/deploy/backend.json#L31) — `API_TOKEN` looks like a secret in plain `environment`.

        <sub>Plan of [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · nothing was changed</sub>
        ");
    }

    #[test]
    fn a_plan_that_cannot_be_made_says_why() {
        insta::assert_snapshot!(plan(&ended(Outcome::Invalid)), @"
        ### Roadstead plan · production · if this were merged now

        ❌ production: nothing was changed — 2 problems to fix first; `backend:41` serves, as before

        **2 problems**

        - `config-invalid` · [`.github/roadstead.yml:12`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/.github/roadstead.yml#L12) — There is no key `strateggy` here. Did you mean `strategy`?
        - `cluster-missing` · `backend` — There is no cluster `acme-production`. (ClusterNotFoundException: Cluster not found.)

        **1 warning**

        - `secret-in-plain-text` · `backend` · [`deploy/backend.json:31`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/deploy/backend.json#L31) — `API_TOKEN` looks like a secret in plain `environment`. Use `secrets`.

        <sub>Plan of [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · nothing was changed</sub>
        ");
    }

    #[test]
    fn what_does_not_fit_into_a_cell_is_folded() {
        let mut report = ended(Outcome::Planned);
        let named = |n: usize| change(&format!("environment V{n}"), None, Some("private"));
        report.services[0].changes = Changes((0..14).map(named).collect());
        let text = plan(&report);
        assert!(
            text.contains("`V11`, … and 2 more |") && text.contains("what would change, 14 places"),
            "{text}"
        );
        assert!(text.contains("+environment V13") && !text.contains("private"), "{text}");
    }

    #[test]
    fn text_from_outside_stays_text() {
        let evil = "x | y\n@acme/all `<img src=x>` [a](https://evil.example) <!-- roadstead:plan:x -->";
        let mut report = ended(Outcome::Planned);
        report.environment = Some(evil.into());
        let service = &mut report.services[0];
        (service.name, service.strategy) = (evil.into(), evil.into());
        service.changes = Changes(vec![
            change("image", Some(evil), Some(evil)),
            change(&format!("environment {evil}"), None, Some(evil)),
            change(evil, Some(evil), Some(evil)),
        ]);
        report.problems.push(Problem::warning(Code::Internal, evil).at(evil, 1, 1).of(evil));
        let text = plan(&report);
        let rest = without_code(&text);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(!text.lines().any(|line| line.starts_with("<!--")), "{text}");
        assert!(!rest.contains("<img") && !rest.contains("@acme"), "{rest}");
    }

    /// Code spans end with as many backticks as they began with; a backtick behind a backslash is a letter.
    fn without_code(text: &str) -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find('`') {
            let letter = rest[..at].ends_with('\\');
            let ticks = if letter { 1 } else { rest[at..].len() - rest[at..].trim_start_matches('`').len() };
            out.push_str(&rest[..at]);
            let inside = &rest[at + ticks..];
            let end = if letter { Some(0) } else { inside.find(&"`".repeat(ticks)).map(|end| end + ticks) };
            rest = &inside[end.unwrap()..];
        }
        out + rest
    }

    #[test]
    fn two_hundred_services_fit() {
        let mut report = ended(Outcome::Planned);
        let many = |n: usize| {
            let mut one = service(&format!("service-{n}"), Outcome::Planned);
            one.changes =
                Changes((0..40).map(|v| change(&format!("environment V{v}"), None, None)).collect());
            one
        };
        report.services = (0..200).map(many).collect();
        let text = plan(&report);
        assert!(text.len() <= LONGEST, "{}", text.len());
        assert!(
            text.contains("| [`service-199`]") || text.contains("| `service-199`"),
            "the table comes first"
        );
        assert!(text.contains("Too long to show here: changes"), "{}", &text[text.len() - 300..]);
    }
}

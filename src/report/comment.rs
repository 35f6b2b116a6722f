//! The plan for the readers of a pull request, in its comment and its check: per service the changes, the strategy and
//! the expected time. Names of variables, never their values: a comment has more readers than a log.

use super::headline::headline;
use super::markdown::{code_span, details, escape_all, table};
use super::run_report::{RunReport, ServiceReport};
use super::sections::{self, MAX_ROWS, commit_link, planned_cells, short_digest};
use super::summary::assemble;
use super::text::{TextStyle, pluralize, truncate};
use crate::problem::Severity;
use crate::release::{Change, HiddenChange, Outcome};

/// GitHub limits comments to 65,536 characters and checks to 65,535; this leaves room for a marker.
pub const MAX_BYTES: usize = 65_000;
/// Variable names per kind in a cell.
const MAX_NAMES: usize = 12;
/// Other fields in a cell.
const MAX_FIELDS: usize = 6;

/// The plan as Markdown, at most [`MAX_BYTES`] bytes. The same plan of the same commit gives the same text.
pub fn render_plan(report: &RunReport) -> String {
    let mut all = vec![("verdict", headline(report, TextStyle::Markdown))];
    if report.rehearsal {
        all.push(("note", "_Rehearsal on the emulator: no real resource was changed._".to_owned()));
    }
    let mut add = |name, texts: Vec<String>| all.extend(texts.into_iter().map(|text| (name, text)));
    add("problems", sections::problems(report, Severity::Error).into_iter().collect());
    add("services", services_table(report).into_iter().collect());
    add("warnings", sections::problems(report, Severity::Warning).into_iter().collect());
    add(
        "changes",
        report.services.iter().filter(|service| is_truncated(service)).map(full_change_table).collect(),
    );
    assemble(heading(report), all, &footer(report), MAX_BYTES)
}

fn heading(report: &RunReport) -> String {
    let place =
        report.environment.as_deref().map(|name| format!(" · {}", escape_all(name))).unwrap_or_default();
    format!("### Roadstead plan{place} · if merged now")
}

fn footer(report: &RunReport) -> String {
    let of = report.commit.as_deref().map(|sha| format!(" of {}", commit_link(report, sha)));
    format!("<sub>Plan{} · no changes were made</sub>", of.unwrap_or_default())
}

fn services_table(report: &RunReport) -> Option<String> {
    if report.outcome != Outcome::Planned || report.services.is_empty() {
        return None;
    }
    let row = |service: &ServiceReport| planned_cells(service, changes_cell(service));
    let rows: Vec<_> = report.services.iter().take(MAX_ROWS).map(row).collect();
    let mut out = table(&["service", "changes", "strategy", "expected"], &rows);
    if report.services.len() > MAX_ROWS {
        out.push_str(&format!("\n\n… and {} more.", pluralize(report.services.len() - MAX_ROWS, "service")));
    }
    Some(out)
}

/// A field of a task definition, by the way it is shown.
enum ChangedField<'c> {
    /// A variable or a secret: its list and its name.
    Variable(String, &'c str),
    Image,
    Other,
}

/// `environment NAME`, `secrets NAME`, and the same of another container: `sidecar: environment NAME`.
fn classify_change(change: &Change) -> ChangedField<'_> {
    for (list, word) in [("environment ", "env"), ("secrets ", "secrets")] {
        let Some((of, name)) = change.field.split_once(list) else { continue };
        if of.is_empty() || of.ends_with(": ") {
            return ChangedField::Variable(format!("{of}{word}"), name);
        }
    }
    if change.field == "image" { ChangedField::Image } else { ChangedField::Other }
}

/// Images first, then names of variables by list, then other fields.
fn changes_cell(service: &ServiceReport) -> String {
    let (mut images, mut lists, mut others) = (Vec::new(), Vec::<(String, Vec<String>)>::new(), Vec::new());
    for change in &service.changes.0 {
        match classify_change(change) {
            ChangedField::Image => images.push(image_change(service, change)),
            ChangedField::Other => others.push(other_change(change)),
            ChangedField::Variable(list, name) => {
                let name = format!("{}{}", change_sign(change), code_span(name));
                match lists.iter_mut().find(|(known, _)| *known == list) {
                    Some((_, names)) => names.push(name),
                    None => lists.push((list, vec![name])),
                }
            }
        }
    }
    let lists = lists
        .iter()
        .map(|(list, names)| format!("{} {}", escape_all(list), join_limited(names, MAX_NAMES, ", ")));
    let others = (!others.is_empty()).then(|| join_limited(&others, MAX_FIELDS, "; "));
    images.into_iter().chain(lists).chain(others).collect::<Vec<_>>().join("; ")
}

fn join_limited(words: &[String], most: usize, between: &str) -> String {
    let mut shown = words[..words.len().min(most)].join(between);
    if words.len() > most {
        shown.push_str(&format!("{between}… and {} more", words.len() - most));
    }
    shown
}

/// `image` old → new: by digest if that is known, by commit if the image is not built yet.
fn image_change(service: &ServiceReport, change: &Change) -> String {
    let running = service.serving_digest.as_ref().map(short_digest);
    let from = running.or_else(|| change.from.as_deref().map(|from| code_span(&truncate(from))));
    let to = change.to.as_deref().map_or("–".to_owned(), |to| match to.rsplit_once(", built from ") {
        Some((_, commit)) => format!("built from {}", code_span(commit)),
        None => code_span(&truncate(to)),
    });
    format!("image {} → {to}", from.unwrap_or_else(|| "–".into()))
}

fn other_change(change: &Change) -> String {
    let shown = |value: &Option<String>| value.as_deref().map(|value| code_span(&truncate(value)));
    let field = escape_all(&change.field);
    match (shown(&change.from), shown(&change.to)) {
        (Some(from), Some(to)) => format!("{field} {from} → {to}"),
        (None, Some(to)) => format!("+{field} {to}"),
        (Some(_), None) => format!("−{field}"),
        (None, None) => format!("{}{field}", change_sign(change)),
    }
}

/// Added, removed, or changed, even if the values are hidden.
fn change_sign(change: &Change) -> &'static str {
    match (change.hidden, &change.from, &change.to) {
        (Some(HiddenChange::Added), ..) | (None, None, Some(_)) => "+",
        (Some(HiddenChange::Removed), ..) | (None, Some(_), None) => "−",
        _ => "~",
    }
}

fn is_truncated(service: &ServiceReport) -> bool {
    let named = |change: &&Change| matches!(classify_change(change), ChangedField::Variable(..));
    let names = service.changes.0.iter().filter(named).count();
    let others = service.changes.0.len() - names;
    service.outcome == Outcome::Planned && (names > MAX_NAMES || others > MAX_FIELDS + 1)
}

/// All planned changes, folded; of variables only the names.
fn full_change_table(service: &ServiceReport) -> String {
    let shown =
        |value: &Option<String>| value.as_ref().map_or("–".to_owned(), |value| code_span(&truncate(value)));
    let row = |change: &Change| match classify_change(change) {
        ChangedField::Variable(..) => {
            vec![
                format!("{}{}", change_sign(change), escape_all(&change.field)),
                String::new(),
                String::new(),
            ]
        }
        _ => vec![escape_all(&change.field), shown(&change.from), shown(&change.to)],
    };
    let rows: Vec<_> = service.changes.0.iter().take(MAX_ROWS).map(row).collect();
    let title = format!("{}: planned changes ({})", service.name, service.changes.0.len());
    details(&title, &table(&["field", "from", "to"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Code, Problem};
    use crate::release::Changes;
    use crate::report::fixtures::{change, sample_report, sample_service};

    #[test]
    fn a_plan_says_what_would_change_and_how() {
        let mut report = sample_report(Outcome::Planned);
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
        let mut idle = sample_service("analytics", Outcome::Planned);
        idle.changes = Changes::default();
        let mut again = sample_service("worker", Outcome::Planned);
        again.changes = Changes::default();
        again.redeploy_reason = Some("this version was requested before and does not serve".into());
        again.expected_duration = None;
        report.services.extend([idle, again]);
        report.problems.push(
            Problem::warning(
                Code::SecretInPlainText,
                "`API_TOKEN` looks like a secret in plain `environment`.",
            )
            .at_location("deploy/backend.json", 31, 9)
            .for_service("backend"),
        );
        let text = render_plan(&report);
        assert!(!text.contains("debug"), "values of variables are not shown");
        insta::assert_snapshot!(text, @"
        ### Roadstead plan · production · if merged now

        📋 production: 1 of 3 services would change — plan only, no changes were made

        | service | changes | strategy | expected |
        |---|---|---|---|
        | `backend` | image `sha256:777777777777…` → built from `c0ffee1`; env +`NEW_FLAG`, ~`LOG_LEVEL`, −`OLD`; secrets ~`DB`; proxy: env ~`MODE`; memory `512` → `1024`; proxy: image `envoy:1` → `envoy:2` | canary 10 %, 15m bake | ≈ 19 min |
        | `analytics` | no changes | – | – |
        | `worker` | no changes; redeployed: this version was requested before and does not serve | rolling | – |

        **1 warning**

        - [`secret-in-plain-text`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#secret-in-plain-text) · `backend` · [`deploy/backend.json:31`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/deploy/backend.json#L31) — `API_TOKEN` looks like a secret in plain `environment`.

        <sub>Plan of [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · no changes were made</sub>
        ");
    }

    #[test]
    fn a_plan_that_cannot_be_made_says_why() {
        insta::assert_snapshot!(render_plan(&sample_report(Outcome::Invalid)), @"
        ### Roadstead plan · production · if merged now

        ❌ production: nothing was changed — 2 problems to fix first; `backend:41` serves, as before

        **2 problems**

        - [`config-invalid`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#config-invalid) · [`.github/roadstead.yml:12`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/.github/roadstead.yml#L12) — There is no key `strateggy` here. Did you mean `strategy`?
        - [`cluster-missing`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#cluster-missing) · `backend` — There is no cluster `acme-production`. (ClusterNotFoundException: Cluster not found.)

        **1 warning**

        - [`secret-in-plain-text`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#secret-in-plain-text) · `backend` · [`deploy/backend.json:31`](https://github.com/acme/app/blob/c0ffee1000000000000000000000000000000000/deploy/backend.json#L31) — `API_TOKEN` looks like a secret in plain `environment`. Use `secrets`.

        <sub>Plan of [`c0ffee1`](https://github.com/acme/app/commit/c0ffee1000000000000000000000000000000000) · no changes were made</sub>
        ");
    }

    #[test]
    fn what_does_not_fit_into_a_cell_is_folded() {
        let mut report = sample_report(Outcome::Planned);
        let named = |n: usize| change(&format!("environment V{n}"), None, Some("private"));
        report.services[0].changes = Changes((0..14).map(named).collect());
        let text = render_plan(&report);
        assert!(text.contains("`V11`, … and 2 more |") && text.contains("planned changes (14)"), "{text}");
        assert!(text.contains("+environment V13") && !text.contains("private"), "{text}");
    }

    #[test]
    fn text_from_outside_stays_text() {
        let evil = "x | y\n@acme/all `<img src=x>` [a](https://evil.example) <!-- roadstead:plan:x -->";
        let mut report = sample_report(Outcome::Planned);
        report.environment = Some(evil.into());
        let service = &mut report.services[0];
        (service.name, service.strategy) = (evil.into(), evil.into());
        service.changes = Changes(vec![
            change("image", Some(evil), Some(evil)),
            change(&format!("environment {evil}"), None, Some(evil)),
            change(evil, Some(evil), Some(evil)),
        ]);
        report
            .problems
            .push(Problem::warning(Code::Internal, evil).at_location(evil, 1, 1).for_service(evil));
        let text = render_plan(&report);
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
        let mut report = sample_report(Outcome::Planned);
        let many = |n: usize| {
            let mut one = sample_service(&format!("service-{n}"), Outcome::Planned);
            one.changes =
                Changes((0..40).map(|v| change(&format!("environment V{v}"), None, None)).collect());
            one
        };
        report.services = (0..200).map(many).collect();
        let text = render_plan(&report);
        assert!(text.len() <= MAX_BYTES, "{}", text.len());
        assert!(
            text.contains("| [`service-199`]") || text.contains("| `service-199`"),
            "the table comes first"
        );
        assert!(text.contains("Too long to show here: changes"), "{}", &text[text.len() - 300..]);
    }
}

//! The address of a pull request as a link. Of all addresses in a text it is the only one that becomes one: a person must
//! open it, and it is on the run's own GitHub.

use super::markdown::{code_span, escape, link};
use super::run_report::{RunReport, ServiceReport};
use super::text::TextStyle;
use crate::release::Outcome;

/// Pull requests that fit into a heading.
const MAX_LINKS: usize = 3;

/// A pull request in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PullRequestLink<'t> {
    url: &'t str,
    /// `owner/name#12`.
    label: String,
}

impl PullRequestLink<'_> {
    fn format(&self, style: TextStyle) -> String {
        match style {
            TextStyle::Markdown => link(&code_span(&self.label), self.url),
            TextStyle::Plain => self.url.to_owned(),
        }
    }
}

/// The pull requests that services wait for, each once, for a sentence.
pub(super) fn awaited_links(report: &RunReport, style: TextStyle) -> Vec<String> {
    let proposed = |service: &&ServiceReport| service.outcome == Outcome::Proposed;
    let mut links: Vec<String> = Vec::new();
    for service in report.services.iter().filter(proposed) {
        let Some(found) = find_link(report, &service.evidence) else { continue };
        let text = found.format(style);
        if !links.contains(&text) && links.len() < MAX_LINKS {
            links.push(text);
        }
    }
    links
}

/// A sentence as Markdown. The address of a pull request becomes a link; every other address stays text.
pub(super) fn escape_but_link(report: &RunReport, text: &str) -> String {
    let Some(found) = find_link(report, text) else { return escape(text) };
    let Some((before, after)) = text.split_once(found.url) else { return escape(text) };
    format!("{}{}{}", escape(before), found.format(TextStyle::Markdown), escape(after))
}

/// The first address of a pull request on the run's GitHub.
fn find_link<'t>(report: &RunReport, text: &'t str) -> Option<PullRequestLink<'t>> {
    let server = report.server_url.as_deref().unwrap_or("https://github.com").trim_end_matches('/');
    let is_of_address = |c: char| c.is_ascii_alphanumeric() || "-._/:".contains(c);
    let candidates = text.match_indices(server).map(|(at, _)| {
        let rest = &text[at..];
        &rest[..rest.find(|c| !is_of_address(c)).unwrap_or(rest.len())]
    });
    candidates.filter_map(|url| parse_url(server, url)).next()
}

fn parse_url<'t>(server: &str, url: &'t str) -> Option<PullRequestLink<'t>> {
    let path: Vec<&str> = url.strip_prefix(server)?.strip_prefix('/')?.split('/').collect();
    let [owner, name, "pull", number] = path.as_slice() else { return None };
    let digits = number.len() - number.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let is_name = |name: &str| !name.is_empty() && !name.contains(':');
    if digits == 0 || !is_name(owner) || !is_name(name) {
        return None;
    }
    // A sentence may go on right behind the number.
    let url = &url[..url.len() - (number.len() - digits)];
    Some(PullRequestLink { url, label: format!("{owner}/{name}#{}", &number[..digits]) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::sample_report;

    fn escaped(text: &str) -> String {
        escape_but_link(&sample_report(Outcome::Proposed), text)
    }

    #[test]
    fn pull_request_address_is_a_link() {
        assert_eq!(
            escaped("proposed as #12: https://github.com/acme/manifests/pull/12 — see `x`"),
            "proposed as #&#8203;12: [`acme/manifests#12`](https://github.com/acme/manifests/pull/12) — see `x`"
        );
        assert_eq!(
            escaped("(https://github.com/acme/manifests/pull/12)."),
            "([`acme/manifests#12`](https://github.com/acme/manifests/pull/12))."
        );
    }

    #[test]
    fn any_other_address_is_text() {
        for text in [
            "https://github.com/acme/manifests/pull/x",
            "https://github.com/acme/pull/12",
            "https://github.com.evil.example/acme/manifests/pull/12",
            "https://evil.example/https://github.com",
            "https://github.com/acme/manifests/issues/12",
            "https://github.com/acme/manifests/pull/12/files",
        ] {
            assert!(!escaped(text).contains("]("), "{text}");
        }
    }
}

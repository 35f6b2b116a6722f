//! Whether a response meets the expectations of a check: values in, all mismatches out. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::{Check, Redirects};

/// Maximum redirects that are followed.
pub const MAX_REDIRECTS: usize = 5;

/// The response of a URL, after all redirects that were followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedResponse {
    /// The status.
    pub status: u16,
    /// The location that it redirects to, as an absolute URL.
    pub location: Option<String>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// The total time.
    pub elapsed: Duration,
}

/// All mismatches of a response, as text; empty if there are none.
pub fn mismatches(check: &Check, response: &ObservedResponse) -> Vec<String> {
    let status = (!check.accepts(response.status))
        .then(|| format!("it responded with {} instead of {}", response.status, check.describe_statuses()));
    [
        status,
        redirect_mismatch(check, response),
        body_mismatch(check, response),
        latency_mismatch(check, response),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn redirect_mismatch(check: &Check, response: &ObservedResponse) -> Option<String> {
    let Redirects::To(wanted) = &check.redirects else { return None };
    match &response.location {
        Some(location) if with_root_path(location) == with_root_path(wanted.as_str()) => None,
        Some(location) => {
            Some(format!("it redirects to {} instead of {}", without_query(location), wanted.as_str()))
        }
        None => Some(format!("it does not redirect; {} is expected", wanted.as_str())),
    }
}

/// A location for people: a query may contain a token.
fn without_query(location: &str) -> String {
    location.split_once('?').map_or_else(|| location.to_owned(), |(start, _)| format!("{start}?…"))
}

/// A URL without a path is that of the root.
fn with_root_path(address: &str) -> String {
    let bare = address.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']));
    if bare { format!("{address}/") } else { address.to_owned() }
}

fn body_mismatch(check: &Check, response: &ObservedResponse) -> Option<String> {
    let wanted = check.body.as_ref()?.as_str();
    let body = String::from_utf8_lossy(&response.body);
    (!body.contains(wanted)).then(|| match body.trim() {
        "" => format!("its body is empty; `{wanted}` is expected in it"),
        // The body itself is not shown: it may contain what is not for everybody who reads the log.
        _ => format!("its body ({} bytes) does not contain `{wanted}`", response.body.len()),
    })
}

fn latency_mismatch(check: &Check, response: &ObservedResponse) -> Option<String> {
    let limit = check.latency?;
    let took = response.elapsed.as_millis();
    (response.elapsed > limit.0).then(|| format!("it took {took} ms, more than {limit}"))
}

/// Why a certificate with that expiry is not valid for long enough; `None` if it is.
pub fn certificate_expires_soon(check: &Check, until: Timestamp, now: Timestamp) -> Option<String> {
    let wanted = i64::from(check.certificate_days?.0);
    let left = until.duration_since(now).as_secs().div_euclid(86_400);
    let date = until.strftime("%Y-%m-%d");
    (left < wanted).then(|| match left {
        i64::MIN..0 => format!("its certificate expired on {date}; {wanted} days are required"),
        _ => format!("its certificate expires on {date}, in {left} days; {wanted} are required"),
    })
}

/// The URL of `location` in a response from `base` (RFC 3986, 5.2); an error is the reason why it is not followed.
pub fn resolve_location(base: &str, location: &str) -> Result<String, String> {
    let (scheme, rest) = base.split_once("://").ok_or("it is not a URL")?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let to = location.split('#').next().unwrap_or_default();
    let target = if let Some((kind, _)) = to.split_once("://") {
        match (scheme, kind.to_ascii_lowercase().as_str()) {
            ("https", "http") => return Err("it redirects from https to http".into()),
            (_, "http" | "https") => to.to_owned(),
            _ => return Err("it redirects to something other than HTTP".into()),
        }
    } else if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else if to.starts_with('/') {
        format!("{scheme}://{host}{}", remove_dot_segments(to))
    } else if to.starts_with('?') {
        format!("{scheme}://{host}{path}{to}")
    } else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{host}{}", remove_dot_segments(&format!("{folder}/{to}")))
    };
    let plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    let fits = target.len() <= 2000 && target.chars().all(plain);
    fits.then_some(target).ok_or_else(|| "it redirects to something that is not a URL".into())
}

/// A path without `.` and `..`.
fn remove_dot_segments(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let open = path.ends_with("/.") || path.ends_with("/..");
    format!("/{}{}{query}", parts.join("/"), if open && !parts.is_empty() { "/" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, CertificateDays, LatencyLimit, Statuses};

    fn address(text: &str) -> Address {
        Address::try_from(text.to_owned()).unwrap()
    }

    fn check() -> Check {
        Check::new(address("https://x.example/health"))
    }

    fn response(status: u16) -> ObservedResponse {
        ObservedResponse {
            status,
            location: None,
            body: b"all is ok\n".to_vec(),
            elapsed: Duration::from_millis(20),
        }
    }

    #[test]
    fn mismatches_status_must_be_the_expected_one() {
        assert_eq!(mismatches(&check(), &response(200)), Vec::<String>::new());
        for status in [204, 301, 404, 500] {
            assert_eq!(
                mismatches(&check(), &response(status)),
                [format!("it responded with {status} instead of 200")]
            );
        }
        let both =
            Check { status: Some(Statuses::try_from(serde_json::json!([200, 204])).unwrap()), ..check() };
        assert_eq!(mismatches(&both, &response(204)), Vec::<String>::new());
        assert_eq!(mismatches(&both, &response(500)), ["it responded with 500 instead of 200 or 204"]);
    }

    #[test]
    fn mismatches_are_all_reported_at_once() {
        let strict = Check {
            body: Some("version 2".to_owned().try_into().unwrap()),
            latency: Some(LatencyLimit(Duration::from_millis(500))),
            ..check()
        };
        let late = ObservedResponse { elapsed: Duration::from_millis(812), ..response(200) };
        assert_eq!(
            mismatches(&strict, &late),
            ["its body (10 bytes) does not contain `version 2`", "it took 812 ms, more than 500 ms"]
        );
        let just = ObservedResponse {
            elapsed: Duration::from_millis(500),
            body: b"\xff version 2".to_vec(),
            ..late
        };
        assert_eq!(mismatches(&strict, &just), Vec::<String>::new());
        let empty = ObservedResponse { body: Vec::new(), ..just };
        assert_eq!(mismatches(&strict, &empty), ["its body is empty; `version 2` is expected in it"]);
    }

    #[test]
    fn mismatches_redirect_must_lead_to_the_expected_address() {
        let to = Check { redirects: Redirects::To(address("https://y.example")), ..check() };
        let leads = |status, location: Option<&str>| {
            mismatches(&to, &ObservedResponse { location: location.map(str::to_owned), ..response(status) })
        };
        assert_eq!(leads(301, Some("https://y.example/")), Vec::<String>::new());
        assert_eq!(
            leads(308, Some("https://z.example/")),
            ["it redirects to https://z.example/ instead of https://y.example"]
        );
        assert_eq!(leads(200, None).len(), 2);
    }

    #[test]
    fn certificate_with_too_few_days_expires_soon() {
        let wanting = Check { certificate_days: Some(CertificateDays(14)), ..check() };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-03-02T12:00:00Z");
        assert_eq!(certificate_expires_soon(&wanting, at("2026-03-16T12:00:00Z"), now), None);
        insta::assert_snapshot!(certificate_expires_soon(&wanting, at("2026-03-16T11:59:59Z"), now).unwrap(), @"its certificate expires on 2026-03-16, in 13 days; 14 are required");
        insta::assert_snapshot!(certificate_expires_soon(&wanting, at("2026-03-02T11:59:59Z"), now).unwrap(), @"its certificate expired on 2026-03-02; 14 days are required");
        assert_eq!(certificate_expires_soon(&check(), at("2026-03-01T00:00:00Z"), now), None, "nobody asked");
    }

    #[test]
    fn resolve_location_returns_an_absolute_url() {
        let from = "https://x.example/a/b?c=d";
        for (location, whole) in [
            ("https://y.example/z", "https://y.example/z"),
            ("//y.example/z#top", "https://y.example/z"),
            ("/z?q=/..", "https://x.example/z?q=/.."),
            ("?q", "https://x.example/a/b?q"),
            ("c", "https://x.example/a/c"),
            ("../c/./d", "https://x.example/c/d"),
            ("../../../c", "https://x.example/c"),
            ("..", "https://x.example/"),
        ] {
            assert_eq!(resolve_location(from, location), Ok(whole.to_owned()), "{location}");
        }
        assert_eq!(resolve_location("https://x.example", "c"), Ok("https://x.example/c".into()));
        for bad in ["http://x.example/", "ftp://x", "javascript://x", "/a b", "/a\r\nb", "/`x`"] {
            assert!(resolve_location(from, bad).is_err(), "{bad}");
        }
    }
}

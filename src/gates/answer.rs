//! Whether an answer is the one that a check wants: values in, everything that is amiss out. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::{Check, Redirects};

/// Letters of a body that are shown of one in which the wanted text is missing.
const SHOWN: usize = 80;
/// Redirects that are followed at most.
pub const FOLLOWED: usize = 5;

/// What came when an address was asked, after all redirects that were followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The address that it leads to, made whole.
    pub location: Option<String>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// How long it took in all.
    pub took: Duration,
}

/// Everything in which an answer is not the wanted one, in words; empty when it is.
pub fn misses(check: &Check, answered: &Answered) -> Vec<String> {
    let status = (!check.accepts(answered.status))
        .then(|| format!("it answered {} instead of {}", answered.status, check.statuses()));
    [status, elsewhere(check, answered), textless(check, answered), slow(check, answered)]
        .into_iter()
        .flatten()
        .collect()
}

fn elsewhere(check: &Check, answered: &Answered) -> Option<String> {
    let Redirects::To(wanted) = &check.redirects else { return None };
    match &answered.location {
        Some(location) if whole(location) == whole(wanted.as_str()) => None,
        Some(location) => Some(format!("it leads to {location} instead of {}", wanted.as_str())),
        None => Some(format!("it leads nowhere, and {} is wanted", wanted.as_str())),
    }
}

/// An address without a path is that of the root.
fn whole(address: &str) -> String {
    let bare = address.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']));
    if bare { format!("{address}/") } else { address.to_owned() }
}

fn textless(check: &Check, answered: &Answered) -> Option<String> {
    let wanted = check.body.as_ref()?.as_str();
    let body = String::from_utf8_lossy(&answered.body);
    (!body.contains(wanted)).then(|| match body.trim() {
        "" => format!("its body is empty, and `{wanted}` is wanted in it"),
        text => {
            let begin: String = text.chars().take(SHOWN).collect();
            let more = if text.chars().count() > SHOWN { "…" } else { "" };
            format!("its body does not have `{wanted}`; it begins with `{begin}{more}`")
        }
    })
}

fn slow(check: &Check, answered: &Answered) -> Option<String> {
    let limit = check.latency?;
    let took = answered.took.as_millis();
    (answered.took > limit.0).then(|| format!("it took {took} ms, more than {limit}"))
}

/// Why a certificate that is good until then is not good for long enough, when it is not.
pub fn expiring(check: &Check, until: Timestamp, now: Timestamp) -> Option<String> {
    let wanted = i64::from(check.certificate_days?.0);
    let left = until.duration_since(now).as_secs().div_euclid(86_400);
    let date = until.strftime("%Y-%m-%d");
    (left < wanted).then(|| match left {
        i64::MIN..0 => format!("its certificate ended on {date}, and {wanted} days are wanted"),
        _ => format!("its certificate ends on {date}, in {left} days, and {wanted} are wanted"),
    })
}

/// The address that `location` of an answer from `base` stands for (RFC 3986, 5.2); an error says why it is not followed.
pub fn joined(base: &str, location: &str) -> Result<String, String> {
    let (scheme, rest) = base.split_once("://").ok_or("it is no address")?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let to = location.split('#').next().unwrap_or_default();
    let target = if let Some((kind, _)) = to.split_once("://") {
        match (scheme, kind.to_ascii_lowercase().as_str()) {
            ("https", "http") => return Err("it leads from https to http".into()),
            (_, "http" | "https") => to.to_owned(),
            _ => return Err("it leads to something that is not HTTP".into()),
        }
    } else if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else if to.starts_with('/') {
        format!("{scheme}://{host}{}", dotless(to))
    } else if to.starts_with('?') {
        format!("{scheme}://{host}{path}{to}")
    } else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{host}{}", dotless(&format!("{folder}/{to}")))
    };
    let plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    let fits = target.len() <= 2000 && target.chars().all(plain);
    fits.then_some(target).ok_or_else(|| "it leads to what is no address".into())
}

/// A path without `.` and `..`.
fn dotless(path: &str) -> String {
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
    use crate::config::{Address, AnswerTime, Days, Statuses};

    fn address(text: &str) -> Address {
        Address::try_from(text.to_owned()).unwrap()
    }

    fn check() -> Check {
        Check::of(address("https://x.example/health"))
    }

    fn answered(status: u16) -> Answered {
        Answered { status, location: None, body: b"all is ok\n".to_vec(), took: Duration::from_millis(20) }
    }

    #[test]
    fn only_the_wanted_status_holds() {
        assert_eq!(misses(&check(), &answered(200)), Vec::<String>::new());
        for status in [204, 301, 404, 500] {
            assert_eq!(misses(&check(), &answered(status)), [format!("it answered {status} instead of 200")]);
        }
        let both =
            Check { status: Some(Statuses::try_from(serde_json::json!([200, 204])).unwrap()), ..check() };
        assert_eq!(misses(&both, &answered(204)), Vec::<String>::new());
        assert_eq!(misses(&both, &answered(500)), ["it answered 500 instead of 200 or 204"]);
    }

    #[test]
    fn everything_that_is_amiss_is_said_at_once() {
        let strict = Check {
            body: Some("version 2".to_owned().try_into().unwrap()),
            latency: Some(AnswerTime(Duration::from_millis(500))),
            ..check()
        };
        let late = Answered { took: Duration::from_millis(812), ..answered(200) };
        assert_eq!(
            misses(&strict, &late),
            [
                "its body does not have `version 2`; it begins with `all is ok`",
                "it took 812 ms, more than 500 ms"
            ]
        );
        let just = Answered { took: Duration::from_millis(500), body: b"\xff version 2".to_vec(), ..late };
        assert_eq!(misses(&strict, &just), Vec::<String>::new());
        let empty = Answered { body: Vec::new(), ..just };
        assert_eq!(misses(&strict, &empty), ["its body is empty, and `version 2` is wanted in it"]);
    }

    #[test]
    fn a_redirect_leads_where_it_should() {
        let to = Check { redirects: Redirects::To(address("https://y.example")), ..check() };
        let leads = |status, location: Option<&str>| {
            misses(&to, &Answered { location: location.map(str::to_owned), ..answered(status) })
        };
        assert_eq!(leads(301, Some("https://y.example/")), Vec::<String>::new());
        assert_eq!(
            leads(308, Some("https://z.example/")),
            ["it leads to https://z.example/ instead of https://y.example"]
        );
        assert_eq!(leads(200, None).len(), 2);
    }

    #[test]
    fn a_certificate_must_be_good_for_long_enough() {
        let wanting = Check { certificate_days: Some(Days(14)), ..check() };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-03-02T12:00:00Z");
        assert_eq!(expiring(&wanting, at("2026-03-16T12:00:00Z"), now), None);
        insta::assert_snapshot!(expiring(&wanting, at("2026-03-16T11:59:59Z"), now).unwrap(), @"its certificate ends on 2026-03-16, in 13 days, and 14 are wanted");
        insta::assert_snapshot!(expiring(&wanting, at("2026-03-02T11:59:59Z"), now).unwrap(), @"its certificate ended on 2026-03-02, and 14 days are wanted");
        assert_eq!(expiring(&check(), at("2026-03-01T00:00:00Z"), now), None, "nobody asked");
    }

    #[test]
    fn a_location_is_made_whole() {
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
            assert_eq!(joined(from, location), Ok(whole.to_owned()), "{location}");
        }
        assert_eq!(joined("https://x.example", "c"), Ok("https://x.example/c".into()));
        for bad in ["http://x.example/", "ftp://x", "javascript://x", "/a b", "/a\r\nb", "/`x`"] {
            assert!(joined(from, bad).is_err(), "{bad}");
        }
    }
}

//! An HTTP check as the deploy file has it. `gates` decides whether a response passes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::bounded::{Address, Status};
use super::parsed_string::parsed_string;
use super::tree::{ConfigNode, ConfigValue};
use crate::problem::list::for_first;
use crate::problem::{Code, Problem};
use crate::release::HumanDuration;

/// An HTTP check.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Check {
    /// The URL.
    pub http: Address,
    /// The expected status, or several; 200 by default, and any redirect if `redirects` is a URL.
    pub status: Option<Statuses>,
    /// Text that the first 1 MB of the response must contain.
    pub body: Option<BodyText>,
    /// Maximum response time, such as `500ms` or `2s`; 5 s by default.
    pub latency: Option<LatencyLimit>,
    /// Minimum remaining days of the server's certificate.
    pub certificate_days: Option<CertificateDays>,
    /// Handling of redirects: `none` checks the redirect itself, `follow` follows up to five, a URL is the expected
    /// location.
    #[serde(default)]
    pub redirects: Redirects,
    /// Headers of the request. Secrets are rejected, because the file is not secret.
    #[serde(default)]
    pub headers: BTreeMap<HeaderName, HeaderValue>,
    /// Time limit for the check to pass.
    #[serde(default = "a_minute")]
    pub within: HumanDuration,
}

fn a_minute() -> HumanDuration {
    HumanDuration::from_minutes(1)
}

impl Check {
    /// A check of `http` for status 200 within a minute.
    pub fn new(http: Address) -> Self {
        Self {
            http,
            status: None,
            body: None,
            latency: None,
            certificate_days: None,
            redirects: Redirects::None,
            headers: BTreeMap::new(),
            within: a_minute(),
        }
    }

    /// Whether a response with this status passes.
    pub fn accepts(&self, status: u16) -> bool {
        match (&self.status, &self.redirects) {
            (Some(wanted), _) => wanted.0.iter().any(|one| one.0 == status),
            (None, Redirects::To(_)) => REDIRECT_STATUSES.contains(&status),
            (None, _) => Status::OK.0 == status,
        }
    }

    /// The expected statuses as text.
    pub fn describe_statuses(&self) -> String {
        let listed = |all: &[u16]| all.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        match (&self.status, &self.redirects) {
            (Some(wanted), _) => listed(&wanted.0.iter().map(|one| one.0).collect::<Vec<_>>()),
            (None, Redirects::To(_)) => listed(&REDIRECT_STATUSES),
            (None, _) => listed(&[Status::OK.0]),
        }
    }
}

/// Problems of a service's checks beyond their types: `certificate-days` for a URL without a certificate.
pub(super) fn problems(file: &str, service: &ConfigNode) -> Vec<Problem> {
    let strategies = service.get("strategy").map(ConfigNode::entries).unwrap_or_default();
    let tests = strategies.iter().filter_map(|entry| entry.value.get("test"));
    let lists = service.get("verify").into_iter().chain(tests);
    let items = lists.flat_map(|list| match &list.kind {
        ConfigValue::Sequence(items) => items.as_slice(),
        _ => &[],
    });
    for_first(items.filter_map(|item| check_certificate_needs_https(file, item)), |problem| problem)
}

fn check_certificate_needs_https(file: &str, item: &ConfigNode) -> Option<Problem> {
    let (days, http) = (item.get("certificate-days")?, item.get("http")?.to_value());
    let plain = http.as_str().is_some_and(|address| address.starts_with("http://"));
    let sentence = "`certificate-days` needs a URL with a certificate.";
    plain.then(|| {
        Problem::error(Code::ConfigInvalid, sentence)
            .help("Use a URL that begins with `https://`.")
            .at_location(file, days.line, days.column)
    })
}

/// Redirect statuses (RFC 9110, 15.4).
pub const REDIRECT_STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// One status or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Statuses(pub Vec<Status>);

impl TryFrom<Value> for Statuses {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let one = |value: &Value| {
            let number =
                value.as_u64().ok_or_else(|| format!("{value} is not an HTTP status such as 200"))?;
            Status::try_from(number)
        };
        match &value {
            Value::Array(all) if all.is_empty() => Err("the list of statuses is empty".into()),
            Value::Array(all) => all.iter().map(one).collect::<Result<_, _>>().map(Self),
            value => one(value).map(|status| Self(vec![status])),
        }
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Status>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

parsed_string!(
    /// An expected text, up to 1000 bytes.
    BodyText,
    #[schemars(length(min = 1, max = 1000))]
    check_body_text
);

fn check_body_text(text: &str) -> Result<(), String> {
    let fits = (1..=1000).contains(&text.len());
    fits.then_some(()).ok_or_else(|| "the text must have 1 to 1000 bytes".into())
}

/// A short time: `500ms`, or whole seconds; 1 ms to 60 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LatencyLimit(pub Duration);

impl JsonSchema for LatencyLimit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AnswerTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A short time such as `500ms` or `2s`, 1 ms to 60 s.",
            "pattern": "^([0-9]+ms|([0-9]+m)?([0-9]+s)?)$",
            "minLength": 2,
        })
    }
}

impl TryFrom<String> for LatencyLimit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let millis =
            text.strip_suffix("ms").and_then(|number| number.parse().ok()).map(Duration::from_millis);
        let limit = match millis {
            Some(limit) => limit,
            None => {
                text.parse::<HumanDuration>()
                    .map_err(|_| format!("`{text}` is not a time such as `500ms` or `2s`"))?
                    .0
            }
        };
        let fits = (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&limit);
        fits.then_some(Self(limit)).ok_or_else(|| format!("{text} is not between 1ms and 60s"))
    }
}

impl fmt::Display for LatencyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}

/// Days, 1 to 3650.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u64")]
pub struct CertificateDays(#[schemars(range(min = 1, max = 3650))] pub u16);

impl TryFrom<u64> for CertificateDays {
    type Error = String;

    fn try_from(days: u64) -> Result<Self, String> {
        let fits = u16::try_from(days).ok().filter(|days| (1..=3650).contains(days));
        fits.map(Self).ok_or_else(|| format!("{days} is not between 1 and 3650 days"))
    }
}

/// Handling of redirects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Redirects {
    /// The redirect itself is checked.
    #[default]
    None,
    /// It is followed, and the final response is checked.
    Follow,
    /// It must lead to this URL.
    To(Address),
}

impl<'de> Deserialize<'de> for Redirects {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "none" => Ok(Self::None),
            "follow" => Ok(Self::Follow),
            _ => Address::try_from(text).map(Self::To).map_err(|why| {
                serde::de::Error::custom(format!("neither `none` nor `follow` nor a URL: {why}"))
            }),
        }
    }
}

impl JsonSchema for Redirects {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Redirects".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let address = generator.subschema_for::<Address>();
        json_schema!({ "anyOf": [{ "enum": ["none", "follow"] }, address] })
    }
}

/// The name of a header.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct HeaderName(String);

/// Headers that carry secrets, and headers that the HTTP client sets.
const FORBIDDEN_HEADERS: [&str; 10] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "connection",
    "content-length",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

impl HeaderName {
    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HeaderName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || name.len() > 100 || !name.chars().all(token) {
            return Err(format!("`{text}` is not a header name"));
        }
        match FORBIDDEN_HEADERS.iter().position(|known| *known == name) {
            Some(0..4) => Err(format!("`{text}` carries a secret; the deploy file must not contain secrets")),
            Some(_) => Err(format!("`{text}` is set by the HTTP client")),
            None => Ok(Self(name)),
        }
    }
}

parsed_string!(
    /// The value of a header: visible ASCII and spaces.
    HeaderValue,
    check_header_value
);

fn check_header_value(text: &str) -> Result<(), String> {
    let plain = text.len() <= 1000 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    plain.then_some(()).ok_or_else(|| "a header value is visible ASCII, at most 1000 bytes".into())
}

#[cfg(test)]
mod tests {
    use super::super::{read, tree};
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let node = tree::parse("f.yml", text).unwrap();
        let problems = read::<Check>("f.yml", "a check", &node).err().unwrap_or_default();
        problems.iter().map(|p| format!("{} {p}", p.location.as_ref().unwrap().line)).collect()
    }

    #[test]
    fn every_error_of_a_check_is_reported_on_its_line() {
        let text = "http: \"https://x.example\"\nstatus: [200, 99]\nbody: \"\"\nlatency: 2h\ncertificate-days: 0\nredirects: folow\nheaders:\n  Authorization: x\n  \"a b\": x\n  Accept: \"\\n\"\nwithin: 5\n";
        insta::assert_snapshot!(problems(text).join("\n"), @"
        2 `status` of a check: 99 is not between 100 and 599 as an HTTP status is.
        3 `body` of a check: the text must have 1 to 1000 bytes.
        4 `latency` of a check: 2h is not between 1ms and 60s.
        5 `certificate-days` of a check: 0 is not between 1 and 3650 days.
        6 `redirects` of a check: neither `none` nor `follow` nor a URL: `folow` does not begin with `https://` or `http://`.
        8 `headers.Authorization` of a check: `Authorization` carries a secret; the deploy file must not contain secrets.
        9 `headers.a b` of a check: `a b` is not a header name.
        10 `headers.Accept` of a check: a header value is visible ASCII, at most 1000 bytes.
        11 `within` of a check: `5` has no unit: write `5m` or `5s`.
        ");
    }

    #[test]
    fn valid_check_is_read_completely() {
        let text = "{ http: \"https://x.example/\", status: [200, 204], body: ok, latency: 500ms, certificate-days: 14, redirects: \"https://y.example/\", headers: { Accept: text/html }, within: 90s }";
        let check: Check = read("f.yml", "a check", &tree::parse("f.yml", text).unwrap()).unwrap();
        assert_eq!(check.latency, Some(LatencyLimit(Duration::from_millis(500))));
        assert!(check.accepts(204) && !check.accepts(301));
        assert_eq!(check.headers.keys().next().unwrap().as_str(), "accept");
        let to = Check { status: None, ..check };
        assert!(to.accepts(308) && !to.accepts(200));
        assert_eq!(to.describe_statuses(), "301 or 302 or 303 or 307 or 308");
    }
}

//! An address that must answer well, as the deploy file says it. Whether an answer is good is ruled in `gates`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::bounds::{Address, Status};
use super::tree::{Kind, Node};
use crate::problem::{Code, Problem};
use crate::release::Span;

/// An address that must answer well.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Check {
    /// The address.
    pub http: Address,
    /// The status that a good answer has, or several; 200 when left out, and any redirect where `redirects` is an address.
    pub status: Option<Statuses>,
    /// Text that the first 1 MB of a good answer contain.
    pub body: Option<Contains>,
    /// The longest that a good answer may take, such as `500ms` or `2s`; 5 s when left out.
    pub latency: Option<AnswerTime>,
    /// How many days the certificate of the address must be good for, at least.
    pub certificate_days: Option<Days>,
    /// What is done with a redirect: `none` takes it for the answer, `follow` follows up to five, an address is the one
    /// that it must lead to.
    #[serde(default)]
    pub redirects: Redirects,
    /// Headers of the request. No secrets: they would stand in the file.
    #[serde(default)]
    pub headers: BTreeMap<HeaderName, HeaderValue>,
    /// How long it may take until the address answers well.
    #[serde(default = "a_minute")]
    pub within: Span,
}

fn a_minute() -> Span {
    Span::minutes(1)
}

impl Check {
    /// A check of `http` that is content with status 200 within a minute.
    pub fn of(http: Address) -> Self {
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

    /// Whether a good answer may have this status.
    pub fn accepts(&self, status: u16) -> bool {
        match (&self.status, &self.redirects) {
            (Some(wanted), _) => wanted.0.iter().any(|one| one.0 == status),
            (None, Redirects::To(_)) => REDIRECTS.contains(&status),
            (None, _) => Status::OK.0 == status,
        }
    }

    /// The statuses that a good answer may have, in words.
    pub fn statuses(&self) -> String {
        let listed = |all: &[u16]| all.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        match (&self.status, &self.redirects) {
            (Some(wanted), _) => listed(&wanted.0.iter().map(|one| one.0).collect::<Vec<_>>()),
            (None, Redirects::To(_)) => listed(&REDIRECTS),
            (None, _) => listed(&[Status::OK.0]),
        }
    }
}

/// What is wrong with the checks of a service beyond their types: a certificate is asked of an address without one.
pub(super) fn problems(file: &str, service: &Node) -> Vec<Problem> {
    let strategies = service.get("strategy").map(Node::entries).unwrap_or_default();
    let tests = strategies.iter().filter_map(|entry| entry.value.get("test"));
    let lists = service.get("verify").into_iter().chain(tests);
    let items = lists.flat_map(|list| match &list.kind {
        Kind::Sequence(items) => items.as_slice(),
        _ => &[],
    });
    items.filter_map(|item| certificateless(file, item)).collect()
}

fn certificateless(file: &str, item: &Node) -> Option<Problem> {
    let (days, http) = (item.get("certificate-days")?, item.get("http")?.to_value());
    let plain = http.as_str().is_some_and(|address| address.starts_with("http://"));
    let sentence = "`certificate-days` is asked of an address without a certificate.";
    plain.then(|| {
        Problem::error(Code::ConfigInvalid, sentence)
            .help("Give the check an address that begins with `https://`.")
            .at(file, days.line, days.column)
    })
}

/// Statuses by which an answer leads elsewhere (RFC 9110, 15.4).
pub const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// One status or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Statuses(pub Vec<Status>);

impl TryFrom<Value> for Statuses {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let one = |value: &Value| {
            let number =
                value.as_u64().ok_or_else(|| format!("{value} is no status of HTTP, such as 200"))?;
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

/// A text to look for, up to 1000 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Contains(#[schemars(length(min = 1, max = 1000))] String);

impl Contains {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Contains {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = (1..=1000).contains(&text.len());
        fits.then_some(Self(text)).ok_or_else(|| "a text of 1 to 1000 bytes is looked for".into())
    }
}

/// A short time: `500ms`, or a span of whole seconds; 1 ms to 60 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AnswerTime(pub Duration);

impl JsonSchema for AnswerTime {
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

impl TryFrom<String> for AnswerTime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let millis =
            text.strip_suffix("ms").and_then(|number| number.parse().ok()).map(Duration::from_millis);
        let limit = match millis {
            Some(limit) => limit,
            None => {
                text.parse::<Span>().map_err(|_| format!("`{text}` is not a time such as `500ms` or `2s`"))?.0
            }
        };
        let fits = (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&limit);
        fits.then_some(Self(limit)).ok_or_else(|| format!("{text} is not between 1ms and 60s"))
    }
}

impl fmt::Display for AnswerTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}

/// Days, 1 to 3650.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u64")]
pub struct Days(#[schemars(range(min = 1, max = 3650))] pub u16);

impl TryFrom<u64> for Days {
    type Error = String;

    fn try_from(days: u64) -> Result<Self, String> {
        let fits = u16::try_from(days).ok().filter(|days| (1..=3650).contains(days));
        fits.map(Self).ok_or_else(|| format!("{days} is not between 1 and 3650 days"))
    }
}

/// What is done with a redirect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Redirects {
    /// It is the answer.
    #[default]
    None,
    /// It is followed, and what is found at the end is the answer.
    Follow,
    /// It must lead to this address.
    To(Address),
}

impl<'de> Deserialize<'de> for Redirects {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "none" => Ok(Self::None),
            "follow" => Ok(Self::Follow),
            _ => Address::try_from(text).map(Self::To).map_err(|why| {
                serde::de::Error::custom(format!("neither `none` nor `follow` nor an address: {why}"))
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

/// Headers that carry secrets, and headers that are the connection's own business.
const FORBIDDEN: [&str; 10] = [
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
    /// The name, in small letters.
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
            return Err(format!("`{text}` is no name of a header"));
        }
        match FORBIDDEN.iter().position(|known| *known == name) {
            Some(0..4) => Err(format!("`{text}` would carry a secret, and this file is no place for one")),
            Some(_) => Err(format!("`{text}` is the connection's own business")),
            None => Ok(Self(name)),
        }
    }
}

/// The value of a header: visible ASCII and spaces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct HeaderValue(String);

impl HeaderValue {
    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HeaderValue {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = text.len() <= 1000 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        plain
            .then_some(Self(text))
            .ok_or_else(|| "the value of a header is visible ASCII, 1000 bytes at most".into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{read, tree};
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let node = tree::parse("f.yml", text).unwrap();
        let problems = read::<Check>("f.yml", "a check", &node).err().unwrap_or_default();
        problems.iter().map(|p| format!("{} {p}", p.at.as_ref().unwrap().line)).collect()
    }

    #[test]
    fn every_slip_of_a_check_stands_on_its_line() {
        let text = "http: \"https://x.example\"\nstatus: [200, 99]\nbody: \"\"\nlatency: 2h\ncertificate-days: 0\nredirects: folow\nheaders:\n  Authorization: x\n  \"a b\": x\n  Accept: \"\\n\"\nwithin: 5\n";
        insta::assert_snapshot!(problems(text).join("\n"), @"
        2 `status` of a check: 99 is not between 100 and 599 as statuses of HTTP are.
        3 `body` of a check: a text of 1 to 1000 bytes is looked for.
        4 `latency` of a check: 2h is not between 1ms and 60s.
        5 `certificate-days` of a check: 0 is not between 1 and 3650 days.
        6 `redirects` of a check: neither `none` nor `follow` nor an address: `folow` does not begin with `https://` or `http://`.
        8 `headers.Authorization` of a check: `Authorization` would carry a secret, and this file is no place for one.
        9 `headers.a b` of a check: `a b` is no name of a header.
        10 `headers.Accept` of a check: the value of a header is visible ASCII, 1000 bytes at most.
        11 `within` of a check: integer `5`, expected a string. Put the value in quotes.
        ");
    }

    #[test]
    fn a_good_check_is_read_whole() {
        let text = "{ http: \"https://x.example/\", status: [200, 204], body: ok, latency: 500ms, certificate-days: 14, redirects: \"https://y.example/\", headers: { Accept: text/html }, within: 90s }";
        let check: Check = read("f.yml", "a check", &tree::parse("f.yml", text).unwrap()).unwrap();
        assert_eq!(check.latency, Some(AnswerTime(Duration::from_millis(500))));
        assert!(check.accepts(204) && !check.accepts(301));
        assert_eq!(check.headers.keys().next().unwrap().as_str(), "accept");
        let to = Check { status: None, ..check };
        assert!(to.accepts(308) && !to.accepts(200));
        assert_eq!(to.statuses(), "301 or 302 or 303 or 307 or 308");
    }
}

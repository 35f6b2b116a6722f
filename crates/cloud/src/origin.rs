//! Which requests a server on loopback takes. A page of any site can send requests to loopback, under a name of its own that
//! it lets point there (DNS rebinding), or as a form. Both are refused before the request is read. Pure.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, StatusCode};

/// The names by which the server may be addressed, besides those of loopback.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNames(Vec<String>);

impl HostNames {
    /// Names without a port; one that begins with a dot stands for all names below it.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether `name`, without a port, is one of loopback or of these.
    fn contains(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let listed = |known: &String| match known.strip_prefix('.') {
            Some(domain) => name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => *known == name,
        };
        is_loopback_name(&name) || self.0.iter().any(listed)
    }
}

/// Whether a name can only be this machine's. `localhost` and what is below it never leave it (RFC 6761).
fn is_loopback_name(name: &str) -> bool {
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || name == "localhost"
        || name.ends_with(".localhost")
}

/// Why a request is refused, with its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRefusal {
    /// The status to answer.
    pub status: StatusCode,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Why a request is refused; `None` for one that may be read.
pub fn refusal(parts: &Parts, names: &HostNames) -> Option<OriginRefusal> {
    let refuse = |status, message: String| Some(OriginRefusal { status, message });
    let Some(host) = request_host(parts) else {
        return refuse(StatusCode::BAD_REQUEST, "The request names no host.".into());
    };
    if !names.contains(without_port(host)) {
        let message = format!(
            "This server does not answer as `{}`. Address it as 127.0.0.1 or localhost, or start it with `--host`.",
            without_port(host)
        );
        return refuse(StatusCode::MISDIRECTED_REQUEST, message);
    }
    if is_cross_site(&parts.headers, host) {
        let message = "This server takes no requests that a page of another site sends.";
        return refuse(StatusCode::FORBIDDEN, message.into());
    }
    if is_unsigned_form(&parts.headers) {
        let message =
            "This server takes no such forms without `Authorization`; no client of an API sends them.";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, message.into());
    }
    None
}

/// The host with its port. A request has one `Host`; a target with an authority must agree with it.
fn request_host(parts: &Parts) -> Option<&str> {
    let mut hosts = parts.headers.get_all("host").iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(one), None) => one.to_str().ok(),
        (None, _) => parts.uri.authority().map(http::uri::Authority::as_str),
        (Some(_), Some(_)) => None,
    }?;
    let agrees = parts.uri.authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(named));
    Some(named).filter(|named| agrees && !named.is_empty() && !named.contains('@'))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Browsers state where a request comes from; clients of APIs do not.
fn is_cross_site(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let other_site = text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    let same =
        |origin: &str| origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host));
    other_site || text("origin").is_some_and(|origin| !same(origin))
}

/// Content types that a form can have, besides the one of AWS's query protocol.
fn is_unsigned_form(headers: &HeaderMap) -> bool {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    ["text/plain", "multipart/form-data"].contains(&kind.as_str()) && !headers.contains_key("authorization")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn status(uri: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method("POST").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let names = HostNames::new(["Cloud.Example.test".to_owned(), ".amazonaws.com".to_owned()]);
        refusal(&parts, &names).map_or(200, |refusal| refusal.status.as_u16())
    }

    #[test]
    fn only_own_names_are_answered() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:4566",
            "127.9.9.9:1",
            "localhost",
            "LOCALHOST:4566",
            "api.localhost:80",
            "[::1]",
            "[::1]:4566",
            "cloud.example.test:1",
            "ecs.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(status("/", &[("host", host)]), 200, "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:4566",
            "127.evil.example",
            "localhost.evil.example",
            "evil-localhost",
            "amazonaws.com",
            "evilamazonaws.com",
            "10.0.0.1",
            "0.0.0.0:4566",
            "[::2]:80",
            "x.cloud.example.test",
        ] {
            assert_eq!(status("/", &[("host", host)]), 421, "{host}");
        }
    }

    #[test]
    fn host_must_be_one_and_certain() {
        assert_eq!(status("/", &[]), 400);
        assert_eq!(status("/", &[("host", "")]), 400);
        assert_eq!(status("/", &[("host", "localhost"), ("host", "evil.example")]), 400);
        assert_eq!(status("/", &[("host", "user@localhost")]), 400);
        assert_eq!(status("http://evil.example/", &[("host", "localhost")]), 400);
        assert_eq!(status("http://localhost/", &[("host", "localhost")]), 200);
        assert_eq!(status("http://evil.example/", &[]), 421);
    }

    #[test]
    fn requests_of_other_sites_are_refused() {
        let from = |name, value| status("/", &[("host", "localhost:4566"), (name, value)]);
        for (name, value, expected) in [
            ("origin", "http://localhost:4566", 200),
            ("origin", "http://localhost:3000", 403),
            ("origin", "https://evil.example", 403),
            ("origin", "null", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("content-type", "application/x-amz-json-1.1", 200),
            ("content-type", "application/x-www-form-urlencoded", 200),
            ("content-type", "text/plain; charset=utf-8", 415),
            ("content-type", "Multipart/Form-Data; boundary=x", 415),
        ] {
            assert_eq!(from(name, value), expected, "{name}: {value}");
        }
        let signed =
            [("host", "localhost"), ("content-type", "text/plain"), ("authorization", "AWS4-HMAC-SHA256 x")];
        assert_eq!(status("/", &signed), 200, "AppConfig takes content of any type");
    }
}

//! The proxies of a run, as its variables name them, and which request goes through which. Pure.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::failure::ConnectionFailure;
use super::no_proxy::NoProxy;
use crate::sys::environment::Variables;

/// Server and port of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Whether it is reached with TLS.
    pub is_tls: bool,
    /// Host name or address; an address of IPv6 in brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// The proxies of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    no_proxy: NoProxy,
    /// The list of exceptions as given.
    no_proxy_text: String,
}

/// One proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The proxy itself.
    pub server: Destination,
    login: Option<Login>,
}

/// User and password, decoded.
#[derive(Clone, PartialEq, Eq)]
struct Login {
    user: String,
    password: String,
}

/// Characters that stay as they are in the user info of a URL.
const USER_INFO: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Destination {
    /// The server of an HTTP URL, which may have user info.
    pub fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, if is_tls { 443 } else { 80 }),
        };
        let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        is_host.then(|| Self { is_tls, host: host.to_owned(), port })
    }

    /// The host without the brackets of IPv6.
    pub fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Proxies {
    /// Reads the variables; in upper case they win, as in buildx. The error names the variable, not its value.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConnectionFailure> {
        let all = proxy_of(variables, "ALL_PROXY");
        let specific = |name: &str| match proxy_of(variables, name) {
            Ok(None) => all.clone(),
            other => other,
        };
        let no_proxy_text = value_of(variables, "NO_PROXY").map_or_else(String::new, |found| found.value);
        Ok(Self {
            http: specific("HTTP_PROXY")?,
            https: specific("HTTPS_PROXY")?,
            no_proxy: NoProxy::parse(&no_proxy_text),
            no_proxy_text,
        })
    }

    /// The proxy for a request; `None` if it goes to the server directly.
    pub fn route(&self, to: &Destination) -> Option<&Proxy> {
        let proxy = if to.is_tls { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.no_proxy.contains(to))
    }

    /// The proxies for HTTP and for HTTPS.
    pub(super) fn by_scheme(&self) -> (Option<&Proxy>, Option<&Proxy>) {
        (self.http.as_ref(), self.https.as_ref())
    }

    /// Passwords, and users with passwords, in every spelling that could be shown.
    pub fn secrets(&self) -> Vec<String> {
        let logins = [&self.http, &self.https].into_iter().flatten().filter_map(|proxy| proxy.login.as_ref());
        logins.flat_map(Login::secrets).collect()
    }

    /// The same settings for a child process, in both cases: some programs read only one, and not all of them read
    /// `ALL_PROXY`.
    pub fn child_variables(&self) -> Variables {
        let url = |proxy: &Option<Proxy>| proxy.as_ref().map(Proxy::url);
        let text = Some(self.no_proxy_text.clone()).filter(|text| !text.is_empty());
        let all = [("http_proxy", url(&self.http)), ("https_proxy", url(&self.https)), ("no_proxy", text)];
        let set = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        set.flat_map(|(name, value)| [(name.to_owned(), value.clone()), (name.to_uppercase(), value)])
            .collect()
    }
}

impl Proxy {
    /// Its URL, with the login if it has one.
    pub(super) fn url(&self) -> String {
        let scheme = if self.server.is_tls { "https" } else { "http" };
        match &self.login {
            Some(login) => format!("{scheme}://{}@{}", login.encoded(), self.server),
            None => format!("{scheme}://{}", self.server),
        }
    }

    /// The value of `Proxy-Authorization`, if it has a login.
    pub(super) fn authorization(&self) -> Option<String> {
        use base64::Engine as _;
        let login = self.login.as_ref()?;
        let both = format!("{}:{}", login.user, login.password);
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both)))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.server)
    }
}

impl Login {
    fn encoded(&self) -> String {
        let encode = |text| utf8_percent_encode(text, USER_INFO).to_string();
        match self.password.as_str() {
            "" => encode(&self.user),
            password => format!("{}:{}", encode(&self.user), encode(password)),
        }
    }

    fn secrets(&self) -> Vec<String> {
        if self.password.is_empty() {
            return Vec::new();
        }
        let encoded = self.encoded();
        let password = encoded.split_once(':').map(|(_, password)| password.to_owned());
        let both = format!("{}:{}", self.user, self.password);
        [Some(self.password.clone()), password, Some(both), Some(encoded)].into_iter().flatten().collect()
    }
}

/// A variable that is set, as it is spelled.
struct Found {
    name: String,
    value: String,
}

fn value_of(variables: &Variables, name: &str) -> Option<Found> {
    let found = |name: String| {
        let value = variables.get(&name)?.trim().to_owned();
        (!value.is_empty()).then_some(Found { name, value })
    };
    found(name.to_owned()).or_else(|| found(name.to_lowercase()))
}

fn proxy_of(variables: &Variables, name: &str) -> Result<Option<Proxy>, ConnectionFailure> {
    let Some(found) = value_of(variables, name) else { return Ok(None) };
    let invalid = |what: &str| ConnectionFailure {
        reason: format!("the variable `{}` {what}", found.name),
        help: URL_HELP,
    };
    let (scheme, rest) = found.value.split_once("://").unwrap_or(("http", &found.value));
    if scheme.to_ascii_lowercase().starts_with("socks") {
        return Err(invalid("names a SOCKS proxy, which is not supported"));
    }
    let (login, host) = rest.rsplit_once('@').map_or((None, rest), |(login, host)| (Some(login), host));
    let server = Destination::of_url(&format!("{scheme}://{host}"));
    let server = server.ok_or_else(|| invalid("is not the URL of an HTTP proxy"))?;
    Ok(Some(Proxy { server, login: login.map(parse_login) }))
}

const URL_HELP: &str =
    "Set it to http://HOST:PORT. A login is `USER:PASSWORD@` before the host, each percent-encoded.";

fn parse_login(text: &str) -> Login {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    Login { user: decode(user), password: decode(password) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn proxies(pairs: &[(&str, &str)]) -> Proxies {
        Proxies::from_variables(&variables(pairs)).unwrap()
    }

    /// The proxy of each of two requests.
    fn routes(pairs: &[(&str, &str)]) -> [String; 2] {
        let proxies = proxies(pairs);
        ["http://x.example/", "https://x.example/"].map(|url| {
            let found = proxies.route(&Destination::of_url(url).unwrap());
            found.map_or("direct".to_owned(), |proxy| proxy.server.to_string())
        })
    }

    #[test]
    fn destination_is_that_of_the_url() {
        for (url, expected) in [
            ("https://x.example/a:b", Some(("x.example", 443, true))),
            ("https://x.example:8443?x", Some(("x.example", 8443, true))),
            ("https://[::1]", Some(("[::1]", 443, true))),
            ("https://[::1]:8443/", Some(("[::1]", 8443, true))),
            ("HTTP://u:p@x.example#y", Some(("x.example", 80, false))),
            ("https://x.example:port/", None),
            ("https:///x", None),
            ("ftp://x.example/", None),
            ("x.example", None),
        ] {
            let found = Destination::of_url(url);
            let found = found.as_ref().map(|to| (to.host.as_str(), to.port, to.is_tls));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        for (set, http, https) in [
            (&[][..], "direct", "direct"),
            (&[("HTTPS_PROXY", "http://p:3128")], "direct", "p:3128"),
            (&[("HTTP_PROXY", "http://p:3128")], "p:3128", "direct"),
            (&[("ALL_PROXY", "http://p:3128")], "p:3128", "p:3128"),
            (&[("all_proxy", "p:1"), ("HTTPS_PROXY", "q:2")], "p:1", "q:2"),
            (&[("https_proxy", "low:1"), ("HTTPS_PROXY", "up:2")], "direct", "up:2"),
            (&[("https_proxy", "low:1"), ("HTTPS_PROXY", "")], "direct", "low:1"),
            (&[("HTTPS_PROXY", " https://p ")], "direct", "p:443"),
            (&[("HTTPS_PROXY", "http://p/")], "direct", "p:80"),
            (&[("HTTPS_PROXY", "http://[::1]:3128")], "direct", "[::1]:3128"),
            (&[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "example")], "direct", "direct"),
            (&[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "a"), ("no_proxy", "example")], "direct", "p:1"),
        ] {
            assert_eq!(routes(set), [http, https], "{set:?}");
        }
    }

    #[test]
    fn invalid_proxy_is_named_without_its_value() {
        for value in
            ["http://u:hunter2@", "ftp://u:hunter2@p", "http://u:hunt/er2@p:port", "socks5://u:hunter2@p:1"]
        {
            let failure = Proxies::from_variables(&variables(&[("HTTPS_PROXY", value)])).unwrap_err();
            assert!(
                failure.reason.starts_with("the variable `HTTPS_PROXY` ")
                    && !failure.to_string().contains("hunt")
            );
        }
        // What is not used is not read.
        let both = [("ALL_PROXY", "socks5://p:1"), ("HTTPS_PROXY", "p:1"), ("HTTP_PROXY", "p:1")];
        assert_eq!(routes(&both), ["p:1", "p:1"]);
    }

    #[test]
    fn login_is_decoded_encoded_again_and_secret() {
        let proxies = proxies(&[("HTTPS_PROXY", "http://us%40er:p@ss%3a/w@p:3128")]);
        let proxy = proxies.https.as_ref().unwrap();
        assert_eq!(proxy.url(), "http://us%40er:p%40ss%3A%2Fw@p:3128");
        assert_eq!(proxy.authorization().unwrap(), "Basic dXNAZXI6cEBzczovdw==");
        let secrets = ["p@ss:/w", "p%40ss%3A%2Fw", "us@er:p@ss:/w", "us%40er:p%40ss%3A%2Fw"];
        assert_eq!(proxies.secrets(), secrets);
        assert!(!format!("{proxies:?}").contains("ss"), "{proxies:?}");
    }

    #[test]
    fn child_gets_both_spellings() {
        let child = proxies(&[("ALL_PROXY", "p:1"), ("https_proxy", "http://u:w@q:2"), ("NO_PROXY", "a,b")]);
        let words: Vec<_> =
            child.child_variables().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        insta::assert_snapshot!(words.join(" "), @"HTTPS_PROXY=http://u:w@q:2 HTTP_PROXY=http://p:1 NO_PROXY=a,b http_proxy=http://p:1 https_proxy=http://u:w@q:2 no_proxy=a,b");
        assert!(proxies(&[]).child_variables().is_empty());
    }
}

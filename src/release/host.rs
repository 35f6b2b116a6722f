//! Hosts in URLs and in image references: which of them are this machine, and which URLs a credential may be sent to.
//! Pure; no name is resolved.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether a host, with or without a port, is this machine: `127.0.0.0/8`, `[::1]` or `localhost`. A name that only
/// begins like an address, such as `127.evil.example`, is a name.
pub fn is_loopback(host_and_port: &str) -> bool {
    let Some(host) = without_port(host_and_port) else { return false };
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => {
            host.eq_ignore_ascii_case("localhost")
                || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

/// Whether a credential may be sent to `url`: over TLS, or to this machine.
pub fn may_receive_credentials(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_host = !host.is_empty() && !host.contains('@');
    is_host
        && (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") && is_loopback(host))
}

/// The host without its port; `None` if what follows the colon is no port.
fn without_port(text: &str) -> Option<&str> {
    let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at(end);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_and_localhost_are_this_machine() {
        for host in
            ["127.0.0.1", "127.0.0.1:5077", "127.9.8.7:1", "localhost", "LOCALHOST:80", "[::1]", "[::1]:5000"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "127.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:80.evil.example",
            "127.1",
            "128.0.0.1",
            "localhost.example.com",
            "localhost@evil.example",
            "[::2]",
            "[::1].evil.example",
            "[::1",
            "::1",
            "[127.0.0.1]",
            "0x7f.0.0.1",
            "127.0.0.1@evil.example",
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn credentials_go_over_tls_or_to_this_machine() {
        for url in [
            "https://x.example",
            "HTTPS://x.example/a",
            "http://127.0.0.1:80/a?b",
            "http://localhost",
            "http://[::1]:80/x",
        ] {
            assert!(may_receive_credentials(url), "{url}");
        }
        for url in [
            "",
            "x.example",
            "https://",
            "https:///a",
            "http://x.example",
            "http://127.evil.example/",
            "http://127.0.0.1@evil.example/",
            "http://127.0.0.1\\@evil.example/",
            "https://u:p@x.example/",
            "ftp://127.0.0.1/",
        ] {
            assert!(!may_receive_credentials(url), "{url}");
        }
    }
}

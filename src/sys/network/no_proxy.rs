//! The hosts that are reached without a proxy: those of `NO_PROXY`, and always this machine and the metadata service of
//! the cloud. Pure.

use std::net::IpAddr;

use super::proxy::Destination;

/// Exceptions from the proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NoProxy {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    hosts: Hosts,
    /// Any port if absent.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    /// A domain, in lower case, with its subdomains.
    Domain(String),
    /// The subdomains of a domain.
    Subdomains(String),
    /// The addresses with this prefix, of this many bits.
    Network(IpAddr, u32),
}

impl NoProxy {
    /// Reads a list with commas or spaces. Entries that cannot be read match nothing.
    pub(super) fn parse(text: &str) -> Self {
        let entries = text.split([',', ' ', '\t', '\n', '\r']).filter(|entry| !entry.is_empty());
        Self { rules: entries.filter_map(parse_rule).collect() }
    }

    /// Whether `to` is reached without a proxy.
    pub(super) fn contains(&self, to: &Destination) -> bool {
        let host = to.host.trim_end_matches('.').to_ascii_lowercase();
        let address = bare(&host).parse::<IpAddr>().ok().map(|address| address.to_canonical());
        is_always_direct(&host, address)
            || self.rules.iter().any(|rule| {
                rule.port.is_none_or(|port| port == to.port) && rule.hosts.contain(&host, address)
            })
    }
}

/// This machine, and addresses of its own network segment: the metadata services of EC2, ECS and EKS.
fn is_always_direct(host: &str, address: Option<IpAddr>) -> bool {
    let metadata = [(IpAddr::from([169, 254, 0, 0]), 16), (METADATA_V6, 32)];
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_some_and(|address| {
            address.is_loopback()
                || metadata.iter().any(|(network, bits)| is_within(address, *network, *bits))
        })
}

/// fd00:ec2::/32
const METADATA_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0));

impl Hosts {
    fn contain(&self, host: &str, address: Option<IpAddr>) -> bool {
        let below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        match self {
            Self::All => true,
            Self::Domain(domain) => host == domain || below(domain),
            Self::Subdomains(domain) => below(domain),
            Self::Network(network, bits) => {
                address.is_some_and(|address| is_within(address, *network, *bits))
            }
        }
    }
}

fn parse_rule(entry: &str) -> Option<Rule> {
    let entry = entry.to_ascii_lowercase();
    if let Some(network) = parse_network(&entry) {
        return Some(Rule { hosts: network, port: None });
    }
    let (host, port) = split_port(&entry)?;
    let host = host.trim_end_matches('.');
    let hosts = match (host, parse_network(host)) {
        ("*", _) => Hosts::All,
        (_, Some(network)) => network,
        (name, None) => match name.strip_prefix("*.") {
            Some(domain) => Hosts::Subdomains(domain.to_owned()),
            None => Hosts::Domain(name.trim_start_matches('.').to_owned()),
        },
    };
    let is_named = !matches!(&hosts, Hosts::Domain(name) | Hosts::Subdomains(name) if name.is_empty());
    is_named.then_some(Rule { hosts, port })
}

/// An address, or a network such as `10.0.0.0/8`.
fn parse_network(text: &str) -> Option<Hosts> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = bare(address).parse().ok()?;
    let width = width(address);
    let bits = bits.unwrap_or(width);
    (bits <= width).then_some(Hosts::Network(address, bits))
}

/// Host and port of an entry; an address of IPv6 with a port has brackets.
fn split_port(entry: &str) -> Option<(&str, Option<u16>)> {
    match entry.rsplit_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((entry, None)),
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    // Left-aligned, so that one comparison serves both kinds.
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    width(address) == width(network) && (number(address) ^ number(network)) & mask == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excepts(list: &str, url: &str) -> bool {
        NoProxy::parse(list).contains(&Destination::of_url(url).unwrap())
    }

    #[test]
    fn each_form_of_an_entry_matches_what_it_names() {
        for (list, yes, no) in [
            ("corp.example", "https://corp.example/", "https://notcorp.example/"),
            ("corp.example", "https://git.corp.example/", "https://corp.example.evil/"),
            (".corp.example", "https://git.corp.example/", "https://xcorp.example/"),
            (".corp.example", "https://corp.example/", "https://example/"),
            ("*.corp.example", "https://git.corp.example/", "https://corp.example/"),
            ("CORP.Example.", "https://Git.corp.EXAMPLE./", "https://corp.test/"),
            ("git.corp.example:8443", "https://git.corp.example:8443/", "https://git.corp.example/"),
            ("corp.example:443", "https://git.corp.example/x", "http://git.corp.example/x"),
            ("10.0.0.0/8", "https://10.1.2.3/", "https://11.1.2.3/"),
            ("10.1.2.3", "http://10.1.2.3:80/", "http://10.1.2.4/"),
            ("10.1.2.3:80", "http://10.1.2.3/", "https://10.1.2.3/"),
            ("172.16.0.0/12", "https://172.31.255.255/", "https://172.32.0.0/"),
            ("0.0.0.0/0", "https://8.8.8.8/", "https://[2001:db8::1]/"),
            ("2001:db8::/32", "https://[2001:db8:1::5]/", "https://[2001:db9::5]/"),
            ("2001:db8::1", "https://[2001:db8::1]:8443/", "https://[2001:db8::2]/"),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/", "https://[2001:db8::1]/"),
            ("a.example, b.example", "https://b.example/", "https://c.example/"),
            ("a.example b.example", "https://a.example/", "https://c.example/"),
            ("a.example:x, b.example", "https://b.example/", "https://a.example/"),
            ("10.0.0.0/33 ,, . b.example", "https://b.example/", "https://10.0.0.1/"),
        ] {
            assert!(excepts(list, yes), "{list} and {yes}");
            assert!(!excepts(list, no), "{list} and {no}");
        }
        assert!(excepts("*", "https://any.example/") && excepts("x,*", "https://[2001:db8::1]/"));
        assert!(excepts("*:8443", "https://any.example:8443/") && !excepts("*:8443", "https://any.example/"));
    }

    #[test]
    fn this_machine_and_metadata_services_need_no_proxy() {
        for url in [
            "http://127.0.0.1:8080/",
            "http://127.9.9.9/",
            "http://localhost/",
            "http://app.localhost:3000/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/latest/",
            "http://169.254.170.2/v2/credentials",
            "http://[fd00:ec2::254]/",
            "http://[fd00:ec2::23]/",
        ] {
            assert!(excepts("", url), "{url}");
        }
        for url in ["http://127.evil.example/", "http://localhost.evil.example/", "http://1.2.3.4/"] {
            assert!(!excepts("", url), "{url}");
        }
    }
}

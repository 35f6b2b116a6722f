//! The settings `compose:` of the deploy file. Types only; placeholders and merging are in `config`.

use std::net::Ipv6Addr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::parsed_string;
use crate::release::HumanDuration;
use crate::sys::ssh::{HostKeyPin, HostKeys, RemoteHost};

use super::proxy::ProxySettings;

/// A service of a Compose file on a server, which is reached by SSH.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The servers, each with its own copy of the service; a release reaches them one after the other, in this order.
    pub hosts: ServerList,
    /// How many servers are changed at the same time. Default: 1. With weights (`blue-green`, `canary`, `linear`) all are.
    #[serde(default)]
    pub batch: BatchSize,
    /// The folder of the application on the server, which must exist, such as `/srv/shop`.
    pub directory: ServerPath,
    /// The Compose files, relative to the repository, in the order of Compose's `-f`.
    #[serde(default = "default_files")]
    pub files: ComposeFiles,
    /// The service of the Compose file that gets the image.
    pub service: ServiceName,
    /// Compose's project name. Default: `name` of the first Compose file, else the last part of `directory`.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// File with the variables of the release, relative to the repository. It becomes `.env` in `directory`.
    #[serde(default)]
    pub env_file: Option<String>,
    /// The file of a reverse proxy that decides which container gets traffic. Without it, the container is replaced in place.
    #[serde(default)]
    pub proxy: Option<ProxySettings>,
    /// A command that runs in `directory` on the server before the containers change, such as `["./backup.sh"]`. If it
    /// fails, nothing is changed.
    #[serde(default)]
    pub backup: Vec<String>,
    /// How many releases stay on the server, with their images.
    #[serde(default)]
    pub keep: KeptReleases,
    /// How long a new container may take to become healthy.
    #[serde(default = "default_start_timeout", deserialize_with = "read_wait")]
    #[schemars(with = "String")]
    pub start_timeout: HumanDuration,
    /// How long a new container must stay healthy, without a restart, before the release counts as complete.
    #[serde(default = "default_settle", deserialize_with = "read_wait")]
    #[schemars(with = "String")]
    pub settle: HumanDuration,
}

fn default_files() -> ComposeFiles {
    ComposeFiles(vec!["compose.yaml".into()])
}

fn default_start_timeout() -> HumanDuration {
    HumanDuration::from_minutes(2)
}

fn default_settle() -> HumanDuration {
    HumanDuration(Duration::from_secs(10))
}

/// How long the server may be told to wait: nothing below a second is seen, and a job ends before the rest.
const WAITS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

fn read_wait<'d, D: serde::Deserializer<'d>>(input: D) -> Result<HumanDuration, D::Error> {
    let wait = HumanDuration::deserialize(input)?;
    let is_possible = WAITS.contains(&wait.0);
    is_possible
        .then_some(wait)
        .ok_or_else(|| serde::de::Error::custom(format!("{wait} is not a duration from 1s to 1h")))
}

/// How many servers a service may have.
const MAX_HOSTS: usize = 20;

/// The servers of a service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<HostSettings>")]
pub struct ServerList(#[schemars(length(min = 1, max = 20))] Vec<HostSettings>);

impl TryFrom<Vec<HostSettings>> for ServerList {
    type Error = String;

    fn try_from(hosts: Vec<HostSettings>) -> Result<Self, String> {
        if hosts.is_empty() || hosts.len() > MAX_HOSTS {
            return Err(format!("it needs 1 to {MAX_HOSTS} hosts, and there are {}", hosts.len()));
        }
        let place = |host: &HostSettings| (host.ssh.host().to_lowercase(), host.ssh.port());
        let twice = hosts
            .iter()
            .enumerate()
            .find(|(at, host)| hosts[..*at].iter().any(|other| place(other) == place(host)));
        match twice {
            Some((_, host)) => Err(format!("the host `{}` is in it twice", host.ssh.host())),
            None => Ok(Self(hosts)),
        }
    }
}

impl ServerList {
    /// The hosts, in order.
    pub fn remote_hosts(&self) -> Vec<RemoteHost> {
        self.0.iter().map(HostSettings::remote_host).collect()
    }

    /// The addresses of all hosts, and of those that they are reached through, as URLs.
    pub fn urls(&self) -> Vec<String> {
        let hops = |host| std::iter::successors(Some(host), |hop: &&HostSettings| hop.jump.as_deref());
        let mut urls: Vec<String> =
            self.0.iter().flat_map(hops).map(|hop| format!("ssh://{}", hop.ssh.0)).collect();
        urls.sort();
        urls.dedup();
        urls
    }

    /// Their addresses, for people, in order.
    pub fn addresses(&self) -> Vec<String> {
        self.0.iter().map(|host| host.ssh.0.clone()).collect()
    }
}

/// How many servers are changed at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "usize")]
pub struct BatchSize(#[schemars(range(min = 1, max = 20))] pub(super) usize);

impl Default for BatchSize {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<usize> for BatchSize {
    type Error = String;

    fn try_from(count: usize) -> Result<Self, String> {
        let fits = (1..=MAX_HOSTS).contains(&count);
        fits.then_some(Self(count))
            .ok_or_else(|| format!("{count} is not a number of servers from 1 to {MAX_HOSTS}"))
    }
}

/// A server and how to log in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostSettings {
    /// User, name and port, such as `deploy@app1.acme.dev` or `deploy@app1.acme.dev:2222`.
    pub ssh: SshAddress,
    /// Fingerprints (`SHA256:…`) or public keys of the host; any of them is accepted. Beside them counts the input
    /// `ssh-known-hosts`.
    #[serde(default)]
    pub host_keys: Vec<HostKey>,
    /// The host through which it is reached, with keys of its own.
    #[serde(default)]
    pub jump: Option<Box<HostSettings>>,
}

impl HostSettings {
    fn remote_host(&self) -> RemoteHost {
        let pins = self.host_keys.iter().map(|key| key.0.clone());
        RemoteHost {
            name: self.ssh.host().to_owned(),
            port: self.ssh.port(),
            user: self.ssh.user().to_owned(),
            host_keys: HostKeys::from_pins(pins),
            jump: self.jump.as_ref().map(|jump| Box::new(jump.remote_host())),
        }
    }
}

/// A key that a host may show.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct HostKey(#[schemars(with = "String")] HostKeyPin);

impl TryFrom<String> for HostKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

parsed_string!(
    /// User, name and port of a host.
    SshAddress,
    check_ssh_address
);

parsed_string!(
    /// An absolute path on a server, of letters, digits and `/._-`.
    ServerPath,
    check_server_path
);

parsed_string!(
    /// The name of a service in a Compose file.
    ServiceName,
    check_service_name
);

parsed_string!(
    /// The name of a Compose project: lower-case letters, digits, `_` and `-`.
    ProjectName,
    check_project_name
);

impl SshAddress {
    fn parts(&self) -> (&str, &str, u16) {
        split_address(&self.0).unwrap_or_default()
    }

    /// The user.
    pub fn user(&self) -> &str {
        self.parts().0
    }

    /// The name or address of the host.
    pub fn host(&self) -> &str {
        self.parts().1
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.parts().2
    }
}

/// `user@host`, `user@host:port`, `user@[IPv6]:port`.
fn split_address(text: &str) -> Option<(&str, &str, u16)> {
    let (user, rest) = text.split_once('@')?;
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
        None if rest.matches(':').count() > 1 => (rest, None),
        None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(22), |port| port.parse().ok().filter(|port| *port > 0))?;
    let is_user = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
    let fits = |text: &str, is_part: fn(char) -> bool| {
        !text.is_empty() && !text.starts_with('-') && text.chars().all(is_part)
    };
    (fits(user, is_user) && fits(host, is_host) && is_plain_or_ipv6(host)).then_some((user, host, port))
}

/// A colon is only in an IPv6 address, which can have a zone (`fe80::1%eth0`).
fn is_plain_or_ipv6(host: &str) -> bool {
    let address = host.split_once('%').map_or(host, |(address, _)| address);
    !host.contains([':', '%']) || address.parse::<Ipv6Addr>().is_ok()
}

fn check_ssh_address(text: &str) -> Result<(), String> {
    let wrong = || format!("`{}` is not `user@host` or `user@host:port`", text.escape_debug());
    split_address(text).map(|_| ()).ok_or_else(wrong)
}

pub(super) fn check_server_path(text: &str) -> Result<(), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let fits = text.starts_with('/')
        && text.len() > 1
        && text.chars().all(is_part)
        && !text.split('/').any(|part| part == "..");
    let wrong = || format!("`{}` is not an absolute path of letters, digits and `/._-`", text.escape_debug());
    fits.then_some(()).ok_or_else(wrong)
}

fn check_service_name(text: &str) -> Result<(), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let fits = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_part);
    fits.then_some(())
        .ok_or_else(|| format!("`{}` is not the name of a service in Compose", text.escape_debug()))
}

fn check_project_name(text: &str) -> Result<(), String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let fits =
        text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) && text.chars().all(is_part);
    let wrong = "is not a project name: lower-case letters, digits, `_` and `-`";
    fits.then_some(()).ok_or_else(|| format!("`{}` {wrong}", text.escape_debug()))
}

/// The Compose files, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<String>")]
pub struct ComposeFiles(#[schemars(length(min = 1))] pub(super) Vec<String>);

impl TryFrom<Vec<String>> for ComposeFiles {
    type Error = String;

    fn try_from(files: Vec<String>) -> Result<Self, String> {
        let is_empty = files.is_empty() || files.iter().any(String::is_empty);
        (!is_empty && files.len() <= 20).then_some(Self(files)).ok_or_else(|| "it needs 1 to 20 files".into())
    }
}

/// How many releases stay on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
pub struct KeptReleases(#[schemars(range(min = 2, max = 100))] pub(super) u32);

impl Default for KeptReleases {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<u32> for KeptReleases {
    type Error = String;

    fn try_from(count: u32) -> Result<Self, String> {
        let wrong = || format!("{count} is not from 2 to 100: a rollback needs the release before");
        (2..=100).contains(&count).then_some(Self(count)).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_user_host_and_port() {
        let table = [
            ("deploy@app1.acme.dev", Some(("deploy", "app1.acme.dev", 22))),
            ("deploy@app1.acme.dev:2222", Some(("deploy", "app1.acme.dev", 2222))),
            ("deploy@192.0.2.7", Some(("deploy", "192.0.2.7", 22))),
            ("deploy@2001:db8::7", Some(("deploy", "2001:db8::7", 22))),
            ("deploy@[2001:db8::7]:2222", Some(("deploy", "2001:db8::7", 2222))),
            ("deploy@[2001:db8::7]", Some(("deploy", "2001:db8::7", 22))),
            ("app1.acme.dev", None),
            ("deploy@", None),
            ("@app1", None),
            ("deploy@app1:0", None),
            ("deploy@app1:70000", None),
            ("deploy@app1:x", None),
            ("deploy@[::1]:22", Some(("deploy", "::1", 22))),
            ("deploy@fe80::1%eth0", Some(("deploy", "fe80::1%eth0", 22))),
            ("deploy@app1:22:33", None),
            ("deploy@[app1:22]:33", None),
            ("deploy@[::1]22", None),
            ("deploy@[::1", None),
            ("deploy@app1%eth0", None),
            ("-oProxyCommand=x@app1", None),
            ("deploy@-oProxyCommand=x", None),
            ("deploy@app1;id", None),
            ("deploy@app 1", None),
            ("ssh://deploy@app1", None),
        ];
        for (text, expected) in table {
            assert_eq!(split_address(text), expected, "{text}");
        }
    }

    #[test]
    fn directory_is_a_plain_absolute_path() {
        let accepted = ["/srv/shop", "/home/deploy/shop_2.0-x"];
        let rejected =
            ["", "/", "srv/shop", "~/shop", "/srv/a b", "/srv/$X", "/srv/../etc", "/srv/a:b", "/srv/a'b"];
        assert!(accepted.iter().all(|path| check_server_path(path).is_ok()));
        assert!(rejected.iter().all(|path| check_server_path(path).is_err()));
    }

    #[test]
    fn waits_are_from_a_second_to_an_hour() {
        let read = |settle: &str| {
            let text = format!(
                r#"{{"hosts":[{{"ssh":"deploy@app1"}}],"directory":"/srv/shop","service":"web","settle":"{settle}"}}"#
            );
            serde_json::from_str::<Settings>(&text)
                .map(|it| it.settle.to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!((read("1s"), read("1h")), (Ok("1s".into()), Ok("1h".into())));
        for wrong in ["0s", "48h"] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("is not a duration from 1s to 1h"), "{error}");
        }
    }

    #[test]
    fn settings_have_defaults_and_reject_what_is_unknown() {
        let text = r#"{"hosts":[{"ssh":"deploy@app1"}],"directory":"/srv/shop","service":"web"}"#;
        let read: Settings = serde_json::from_str(text).unwrap();
        assert_eq!(
            (read.keep.0, &*read.files.0, read.settle.to_string()),
            (5, &["compose.yaml".to_owned()][..], "10s".into())
        );
        for (from, to) in [
            ("[{\"ssh\":\"deploy@app1\"}]", "[]"),
            ("[{\"ssh\":\"deploy@app1\"}]", "[{\"ssh\":\"deploy@app1\"},{\"ssh\":\"root@APP1:22\"}]"),
            ("\"service\"", "\"batch\":0,\"service\""),
            ("\"web\"", "\"-web\""),
            ("\"service\"", "\"services\""),
            ("\"service\"", "\"keep\":1,\"service\""),
            ("\"service\"", "\"files\":[],\"service\""),
            ("\"service\"", "\"project\":\"Shop\",\"service\""),
        ] {
            assert!(serde_json::from_str::<Settings>(&text.replace(from, to)).is_err(), "{to}");
        }
    }
}

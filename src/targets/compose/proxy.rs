//! A reverse proxy that takes one file: what stands in it for one or two containers, and how the proxy tests and reloads it. Pure.

use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::check_server_path;

/// The file of a reverse proxy, which decides which container gets traffic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProxySettings {
    /// File with the `upstream` block, absolute or relative to `directory`. nginx's configuration includes it.
    pub nginx: ProxyPath,
    /// Name of the proxy's container on the server.
    pub container: ProxyName,
    /// Port of the service in its container.
    pub port: ContainerPort,
    /// Name of the upstream. Default: `app`.
    #[serde(default)]
    pub upstream: ProxyName,
}

/// The path of a file on a server, absolute or relative, of letters, digits and `/._-`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct ProxyPath(String);

impl TryFrom<String> for ProxyPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("`{}` is not the path of a file of letters, digits and `/._-`", text.escape_debug());
        let fits = check_server_path(&format!("/{text}")).is_ok() && !text.ends_with('/');
        if fits { Ok(Self(text)) } else { Err(wrong()) }
    }
}

/// The name of a container or of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct ProxyName(String);

impl Default for ProxyName {
    fn default() -> Self {
        Self("app".into())
    }
}

impl ProxyName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProxyName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let fits = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_part);
        let wrong = format!("`{}` is not a name of letters, digits and `._-`", text.escape_debug());
        if fits { Ok(Self(text)) } else { Err(wrong) }
    }
}

/// A port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u16")]
pub struct ContainerPort(#[schemars(range(min = 1, max = 65535))] u16);

impl TryFrom<u16> for ContainerPort {
    type Error = String;

    fn try_from(port: u16) -> Result<Self, String> {
        if port > 0 { Ok(Self(port)) } else { Err("0 is not a port".into()) }
    }
}

impl ProxySettings {
    /// Its path on the server.
    pub fn path(&self, directory: &str) -> String {
        match self.nginx.0.as_str() {
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            relative => format!("{directory}/{relative}"),
        }
    }

    /// The file while the new container has all traffic. The server puts the container's name in the place of `@NEW@`.
    pub fn single(&self) -> String {
        self.render(&["@NEW@"], &["100"])
    }

    /// The file while both have some.
    pub fn split(&self) -> String {
        self.render(&["@OLD@", "@NEW@"], &["@OLD_WEIGHT@", "@NEW_WEIGHT@"])
    }

    fn render(&self, hosts: &[&str], weights: &[&str]) -> String {
        let (port, upstream) = (self.port.0, self.upstream.as_str());
        let servers = hosts
            .iter()
            .zip(weights)
            .map(|(host, weight)| format!("  server {host}:{port} weight={weight};\n"));
        format!("upstream {upstream} {{\n{}  keepalive 16;\n}}", servers.collect::<String>())
    }

    /// The command in the proxy's container that tests its configuration, as fixed words.
    pub fn test_command(&self) -> &'static str {
        "nginx -t -q"
    }

    /// The command in the proxy's container that makes it read its configuration, as fixed words.
    pub fn reload_command(&self) -> &'static str {
        "nginx -s reload"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<ProxySettings, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn file_names_both_containers_with_their_weights() {
        let proxy = settings(r#"{"nginx":"proxy/web.conf","container":"edge-1","port":8080}"#).unwrap();
        insta::assert_snapshot!(format!("{}\n{}", proxy.single(), proxy.split()), @"
        upstream app {
          server @NEW@:8080 weight=100;
          keepalive 16;
        }
        upstream app {
          server @OLD@:8080 weight=@OLD_WEIGHT@;
          server @NEW@:8080 weight=@NEW_WEIGHT@;
          keepalive 16;
        }
        ");
    }

    #[test]
    fn path_and_names_are_plain() {
        let text = r#"{"nginx":"proxy/web.conf","container":"edge-1","port":8080}"#;
        assert_eq!(settings(text).unwrap().path("/srv/shop"), "/srv/shop/proxy/web.conf");
        let absolute = text.replace("proxy/web.conf", "/srv/edge/web.conf");
        assert_eq!(settings(&absolute).unwrap().path("/srv/shop"), "/srv/edge/web.conf");
        for (from, to) in [
            ("proxy/web.conf", "../web.conf"),
            ("proxy/web.conf", "a b"),
            ("proxy/web.conf", "proxy/"),
            ("edge-1", "edge 1"),
            ("edge-1", "-edge"),
            ("8080", "0"),
            ("nginx", "apache"),
        ] {
            assert!(settings(&text.replace(from, to)).is_err(), "{to}");
        }
    }
}

//! A reverse proxy that takes one file: which proxies there are, and where their file is. What stands in it is in `proxy_file`. Pure.

use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::check_server_path;

/// The file of a reverse proxy, which decides which container gets traffic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "ProxyBlock")]
#[schemars(with = "ProxyBlock")]
pub struct ProxySettings {
    /// Which proxy it is.
    pub kind: ProxyKind,
    /// Its file.
    pub file: ProxyPath,
    /// Where its own configuration is in its container, if that is set.
    pub config: Option<ProxyPath>,
    /// Its container.
    pub container: ProxyName,
    /// Port of the service in its container.
    pub port: ContainerPort,
    /// Name of the upstream.
    pub upstream: ProxyName,
}

/// A proxy whose configuration can be split into files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// nginx, whose configuration includes the file.
    Nginx,
    /// Caddy, whose Caddyfile imports the file.
    Caddy,
    /// HAProxy, which reads the folder of the file.
    HaProxy,
    /// Traefik, whose file provider watches the folder of the file.
    Traefik,
}

/// The proxy: one of `nginx`, `caddy`, `haproxy` and `traefik` with the path of its file, and its container.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProxyBlock {
    /// File with the `upstream` block, absolute or relative to `directory`. nginx's configuration includes it.
    #[serde(default)]
    nginx: Option<ProxyPath>,
    /// File with a snippet that has the `reverse_proxy`, absolute or relative to `directory`. The Caddyfile imports the file,
    /// and the snippet.
    #[serde(default)]
    caddy: Option<ProxyPath>,
    /// File `*.cfg` with the `backend`, absolute or relative to `directory`, in a folder that HAProxy reads (`-f FOLDER`).
    #[serde(default)]
    haproxy: Option<ProxyPath>,
    /// File `*.yml` with the service, absolute or relative to `directory`, in the folder of Traefik's file provider.
    #[serde(default)]
    traefik: Option<ProxyPath>,
    /// Where the proxy's own configuration is in its container. Default: `/etc/caddy/Caddyfile`, `/usr/local/etc/haproxy`. For
    /// Caddy and HAProxy only.
    #[serde(default)]
    config: Option<ProxyPath>,
    /// Name of the proxy's container on the server.
    container: ProxyName,
    /// Port of the service in its container.
    port: ContainerPort,
    /// Name of the upstream, snippet, backend or service in the file. Default: `app`.
    #[serde(default)]
    upstream: ProxyName,
}

impl TryFrom<ProxyBlock> for ProxySettings {
    type Error = String;

    fn try_from(block: ProxyBlock) -> Result<Self, String> {
        let ProxyBlock { nginx, caddy, haproxy, traefik, config, container, port, upstream } = block;
        let named = [
            (ProxyKind::Nginx, nginx),
            (ProxyKind::Caddy, caddy),
            (ProxyKind::HaProxy, haproxy),
            (ProxyKind::Traefik, traefik),
        ];
        let mut named = named.into_iter().filter_map(|(kind, file)| Some((kind, file?)));
        let (Some((kind, file)), None) = (named.next(), named.next()) else {
            return Err("it needs exactly one of `nginx`, `caddy`, `haproxy` and `traefik`".into());
        };
        check_ending(kind, &file)?;
        match &config {
            Some(_) if matches!(kind, ProxyKind::Nginx | ProxyKind::Traefik) => {
                return Err("`config` is for `caddy` and `haproxy` only".into());
            }
            Some(path) if !path.0.starts_with('/') => {
                return Err("`config` is an absolute path in the proxy's container".into());
            }
            _ => {}
        }
        Ok(Self { kind, file, config, container, port, upstream })
    }
}

/// HAProxy and Traefik leave out files with other endings in silence.
fn check_ending(kind: ProxyKind, file: &ProxyPath) -> Result<(), String> {
    let endings: &[&str] = match kind {
        ProxyKind::Nginx | ProxyKind::Caddy => &[""],
        ProxyKind::HaProxy => &[".cfg"],
        ProxyKind::Traefik => &[".yml", ".yaml"],
    };
    let fits = endings.iter().any(|ending| file.0.ends_with(ending));
    fits.then_some(()).ok_or_else(|| format!("`{}` must end with `{}`", file.0, endings.join("` or `")))
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

impl ContainerPort {
    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl ProxySettings {
    /// Its path on the server.
    pub fn path(&self, directory: &str) -> String {
        match self.file.0.as_str() {
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            relative => format!("{directory}/{relative}"),
        }
    }

    /// Where its own configuration is in its container; empty where it knows that itself.
    pub fn config_path(&self) -> &str {
        match (&self.config, self.kind) {
            (Some(path), _) => &path.0,
            (None, ProxyKind::Caddy) => "/etc/caddy/Caddyfile",
            (None, ProxyKind::HaProxy) => "/usr/local/etc/haproxy",
            (None, ProxyKind::Nginx | ProxyKind::Traefik) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<ProxySettings, String> {
        let read: Result<ProxySettings, _> = serde_json::from_str(text);
        // The position is that of the test's text.
        read.map_err(|error| error.to_string().split(" at line ").next().unwrap_or_default().to_owned())
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

    #[test]
    fn block_names_one_proxy_with_what_fits_it() {
        let read = |keys: &str| {
            let read = settings(&format!(r#"{{{keys}"container":"edge-1","port":8080}}"#));
            read.map(|read| format!("{:?} {}", read.kind, read.config_path()))
        };
        let table = [
            (r#""nginx":"a.conf","#, Ok("Nginx ")),
            (r#""caddy":"a.caddy","#, Ok("Caddy /etc/caddy/Caddyfile")),
            (r#""caddy":"a.caddy","config":"/srv/Caddyfile","#, Ok("Caddy /srv/Caddyfile")),
            (r#""haproxy":"a.cfg","#, Ok("HaProxy /usr/local/etc/haproxy")),
            (r#""traefik":"a.yml","#, Ok("Traefik ")),
            (r#""traefik":"a.yaml","#, Ok("Traefik ")),
            ("", Err("it needs exactly one of `nginx`, `caddy`, `haproxy` and `traefik`")),
            (
                r#""nginx":"a.conf","caddy":"a.caddy","#,
                Err("it needs exactly one of `nginx`, `caddy`, `haproxy` and `traefik`"),
            ),
            (r#""haproxy":"a.conf","#, Err("`a.conf` must end with `.cfg`")),
            (r#""traefik":"a.conf","#, Err("`a.conf` must end with `.yml` or `.yaml`")),
            (r#""nginx":"a.conf","config":"/etc/nginx","#, Err("`config` is for `caddy` and `haproxy` only")),
            (
                r#""caddy":"a.caddy","config":"Caddyfile","#,
                Err("`config` is an absolute path in the proxy's container"),
            ),
        ];
        for (keys, expected) in table {
            assert_eq!(read(keys), expected.map(str::to_owned).map_err(str::to_owned), "{keys}");
        }
    }
}

//! What stands in the file of a reverse proxy for one or two containers, and how the proxy tests and reloads it. Pure. The server puts
//! names and weights in the places of `@NEW@`, `@OLD@`, `@NEW_WEIGHT@` and `@OLD_WEIGHT@`.

use super::proxy::{ProxyKind, ProxySettings};

/// How long the old container serves what it already has, after the proxy sends it nothing new.
const DRAIN_SECONDS: u64 = 3;
/// Traefik has no reload that could be waited for: it reads a changed file within its throttle of 2 s.
const WATCHED_DRAIN_SECONDS: u64 = 10;

/// How a proxy reads its configuration again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    /// By a command in its container, as fixed words.
    Command(String),
    /// By a signal to its container.
    Signal(&'static str),
    /// It watches the file.
    Watched,
}

/// A container in the file.
struct Member {
    host: &'static str,
    weight: &'static str,
    suffix: &'static str,
}

const ALONE: Member = Member { host: "@NEW@", weight: "100", suffix: "new" };
const OLD: Member = Member { host: "@OLD@", weight: "@OLD_WEIGHT@", suffix: "old" };
const NEW: Member = Member { host: "@NEW@", weight: "@NEW_WEIGHT@", suffix: "new" };

impl ProxySettings {
    /// The file while the new container has all traffic.
    pub fn single(&self) -> String {
        self.render(&[ALONE])
    }

    /// The file while both have some.
    pub fn split(&self) -> String {
        self.render(&[OLD, NEW])
    }

    fn render(&self, members: &[Member]) -> String {
        match self.kind {
            ProxyKind::Nginx => self.nginx_upstream(members),
            ProxyKind::Caddy => self.caddy_snippet(members),
            ProxyKind::HaProxy => self.haproxy_backend(members),
            ProxyKind::Traefik => self.traefik_service(members),
        }
    }

    fn nginx_upstream(&self, members: &[Member]) -> String {
        let (port, name) = (self.port.number(), self.upstream.as_str());
        let line = |it: &Member| format!("  server {}:{port} weight={};\n", it.host, it.weight);
        format!("upstream {name} {{\n{}  keepalive 16;\n}}", members.iter().map(line).collect::<String>())
    }

    fn caddy_snippet(&self, members: &[Member]) -> String {
        let (port, name) = (self.port.number(), self.upstream.as_str());
        let hosts: String = members.iter().map(|it| format!(" {}:{port}", it.host)).collect();
        let weights: String = members.iter().map(|it| format!(" {}", it.weight)).collect();
        format!(
            "({name}) {{\n  reverse_proxy{hosts} {{\n    lb_policy weighted_round_robin{weights}\n  }}\n}}"
        )
    }

    fn haproxy_backend(&self, members: &[Member]) -> String {
        let (port, name) = (self.port.number(), self.upstream.as_str());
        let line = |it: &Member| format!("\n  server {0} {0}:{port} weight {1}", it.host, it.weight);
        format!("backend {name}{}", members.iter().map(line).collect::<String>())
    }

    fn traefik_service(&self, members: &[Member]) -> String {
        let (port, name) = (self.port.number(), self.upstream.as_str());
        let servers = |it: &Member| {
            format!("{{ loadBalancer: {{ servers: [{{ url: \"http://{}:{port}\" }}] }} }}", it.host)
        };
        if let [one] = members {
            return format!("http:\n  services:\n    {name}: {}", servers(one));
        }
        let share = |it: &Member| format!("{{ name: {name}-{}, weight: {} }}", it.suffix, it.weight);
        let shares = members.iter().map(share).collect::<Vec<_>>().join(", ");
        let each = members.iter().map(|it| format!("\n    {name}-{}: {}", it.suffix, servers(it)));
        format!(
            "http:\n  services:\n    {name}: {{ weighted: {{ services: [{shares}] }} }}{}",
            each.collect::<String>()
        )
    }

    /// The command in the proxy's container that tests its configuration, as fixed words; empty where it has none.
    pub fn test_command(&self) -> String {
        let config = self.config_path();
        match self.kind {
            ProxyKind::Nginx => "nginx -t -q".into(),
            ProxyKind::Caddy => format!("caddy validate --config {config}"),
            ProxyKind::HaProxy => format!("haproxy -c -q -f {config}"),
            ProxyKind::Traefik => String::new(),
        }
    }

    /// How it reads its configuration again, without losing a request.
    pub fn reload(&self) -> Reload {
        match self.kind {
            ProxyKind::Nginx => Reload::Command("nginx -s reload".into()),
            ProxyKind::Caddy => Reload::Command(format!("caddy reload --config {}", self.config_path())),
            ProxyKind::HaProxy => Reload::Signal("USR2"),
            ProxyKind::Traefik => Reload::Watched,
        }
    }

    /// How long the old container stays after the file changed, in seconds.
    pub fn drain_seconds(&self) -> u64 {
        if self.reload() == Reload::Watched { WATCHED_DRAIN_SECONDS } else { DRAIN_SECONDS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(kind: &str, file: &str) -> ProxySettings {
        let text = format!(r#"{{"{kind}":"{file}","container":"edge-1","port":8080}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn files(kind: &str, file: &str) -> String {
        let proxy = settings(kind, file);
        format!("{}\n{}", proxy.single(), proxy.split())
    }

    #[test]
    fn nginx_upstream_names_the_containers_with_their_weights() {
        insta::assert_snapshot!(files("nginx", "web.conf"), @"
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
    fn caddy_snippet_names_the_containers_with_their_weights() {
        insta::assert_snapshot!(files("caddy", "web.caddy"), @"
        (app) {
          reverse_proxy @NEW@:8080 {
            lb_policy weighted_round_robin 100
          }
        }
        (app) {
          reverse_proxy @OLD@:8080 @NEW@:8080 {
            lb_policy weighted_round_robin @OLD_WEIGHT@ @NEW_WEIGHT@
          }
        }
        ");
    }

    #[test]
    fn haproxy_backend_names_the_containers_with_their_weights() {
        insta::assert_snapshot!(files("haproxy", "web.cfg"), @"
        backend app
          server @NEW@ @NEW@:8080 weight 100
        backend app
          server @OLD@ @OLD@:8080 weight @OLD_WEIGHT@
          server @NEW@ @NEW@:8080 weight @NEW_WEIGHT@
        ");
    }

    #[test]
    fn traefik_service_names_the_containers_with_their_weights() {
        insta::assert_snapshot!(files("traefik", "web.yml"), @r#"
        http:
          services:
            app: { loadBalancer: { servers: [{ url: "http://@NEW@:8080" }] } }
        http:
          services:
            app: { weighted: { services: [{ name: app-old, weight: @OLD_WEIGHT@ }, { name: app-new, weight: @NEW_WEIGHT@ }] } }
            app-old: { loadBalancer: { servers: [{ url: "http://@OLD@:8080" }] } }
            app-new: { loadBalancer: { servers: [{ url: "http://@NEW@:8080" }] } }
        "#);
    }

    #[test]
    fn traefik_file_is_yaml_once_names_and_weights_are_in_it() {
        let text = settings("traefik", "web.yml").split();
        let filled = text.replace("@OLD_WEIGHT@", "90").replace("@NEW_WEIGHT@", "10");
        let filled = filled.replace("@OLD@", "shop-web-1").replace("@NEW@", "shop-web-2");
        let read: serde_json::Value = serde_saphyr::from_str(&filled).unwrap();
        assert_eq!(read["http"]["services"]["app"]["weighted"]["services"][1]["weight"], 10);
        let new = &read["http"]["services"]["app-new"]["loadBalancer"]["servers"][0]["url"];
        assert_eq!(new, "http://shop-web-2:8080");
    }

    #[test]
    fn each_proxy_is_tested_and_reloaded_in_its_own_way() {
        let all = [("nginx", "a.conf"), ("caddy", "a.caddy"), ("haproxy", "a.cfg"), ("traefik", "a.yml")];
        let each = all.map(|(kind, file)| {
            let proxy = settings(kind, file);
            format!("{kind}: {} | {:?} | {} s", proxy.test_command(), proxy.reload(), proxy.drain_seconds())
        });
        insta::assert_snapshot!(each.join("\n"), @r#"
        nginx: nginx -t -q | Command("nginx -s reload") | 3 s
        caddy: caddy validate --config /etc/caddy/Caddyfile | Command("caddy reload --config /etc/caddy/Caddyfile") | 3 s
        haproxy: haproxy -c -q -f /usr/local/etc/haproxy | Signal("USR2") | 3 s
        traefik:  | Watched | 10 s
        "#);
    }
}

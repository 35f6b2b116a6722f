//! The logins of a job, by registry: those of the deploy file, of the job's token, and of a Docker configuration.

use std::collections::BTreeMap;
use std::rc::Rc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::oci_registry::OciRegistry;
use super::registry::{LoginSource, Registry, RegistryLogin, canonical_host};
use crate::problem::Problem;
use crate::sys::http::HttpClient;

/// Logins by the host of their registry, at most one for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryLogins(BTreeMap<String, RegistryLogin>);

impl RegistryLogins {
    /// The logins in the text of a Docker `config.json`; helpers for credentials are not called.
    pub fn from_docker_config(text: &str) -> Self {
        let config: Value = serde_json::from_str(text).unwrap_or_default();
        let auths = config.get("auths").and_then(Value::as_object);
        let logins = auths.into_iter().flatten().filter_map(|(key, value)| read_login(key, value));
        logins.fold(Self::default(), Self::with)
    }

    /// These and `login`, which replaces another one for the same registry.
    pub fn with(mut self, login: RegistryLogin) -> Self {
        self.0.insert(login.server.clone(), login);
        self
    }

    /// The login for a registry.
    pub fn get(&self, host: &str) -> Option<&RegistryLogin> {
        self.0.get(canonical_host(host))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &RegistryLogin> {
        self.0.values()
    }
}

fn read_login(key: &str, value: &Value) -> Option<RegistryLogin> {
    let field = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let decoded = field("auth").and_then(|auth| String::from_utf8(STANDARD.decode(auth).ok()?).ok());
    let (username, password) = match (&decoded, field("username"), field("password")) {
        (Some(pair), _, _) => pair.split_once(':')?,
        (None, Some(username), Some(password)) => (username, password),
        _ => return None,
    };
    let password = password.trim_end_matches('\0').to_owned();
    let (server, username) = (canonical_host(key).to_owned(), username.to_owned());
    (!password.is_empty()).then_some(RegistryLogin { server, username, password, expires_at: None })
}

/// A login that does not change; without one, requests are anonymous.
struct FixedLogin(Option<RegistryLogin>);

#[async_trait(?Send)]
impl LoginSource for FixedLogin {
    async fn login(&self) -> Result<Option<RegistryLogin>, Problem> {
        Ok(self.0.clone())
    }
}

/// How the registries of the world are reached: with these logins, through this client.
#[derive(Clone)]
pub struct RegistryAccess {
    /// The client.
    pub http: HttpClient,
    /// The logins.
    pub logins: RegistryLogins,
}

impl RegistryAccess {
    /// The registry at `host`, with its login or anonymously.
    pub fn registry(&self, host: &str) -> Rc<dyn Registry> {
        Rc::new(OciRegistry::new(self.login_source(host), self.http.clone()))
    }

    /// The login of the registry at `host`.
    pub fn login_source(&self, host: &str) -> Rc<dyn LoginSource> {
        Rc::new(FixedLogin(self.logins.get(host).cloned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_of_a_docker_config_are_found_by_host() {
        let auth = STANDARD.encode("ann:s3cr:et");
        let text = format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}},"ghcr.io":{{"username":"b","password":"c"}},
               "https://registry.acme.dev:5000/v2/":{{"auth":"{auth}"}},"helper.example":{{}},"bad.example":{{"auth":"%"}}}}}}"#
        );
        let logins = RegistryLogins::from_docker_config(&text);
        let found = |host: &str| logins.get(host).map(|it| format!("{}:{}", it.username, it.password));
        for host in ["docker.io", "index.docker.io", "registry-1.docker.io", "", "registry.acme.dev:5000"] {
            assert_eq!(found(host).as_deref(), Some("ann:s3cr:et"), "{host}");
        }
        assert_eq!(found("ghcr.io").as_deref(), Some("b:c"));
        assert_eq!(
            (found("helper.example"), found("bad.example"), found("other.example")),
            (None, None, None)
        );
        for odd in ["", "[]", r#"{"auths":[]}"#, r#"{"auths":{"x":5}}"#] {
            assert_eq!(RegistryLogins::from_docker_config(odd), RegistryLogins::default(), "{odd}");
        }
    }
}

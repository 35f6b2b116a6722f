//! A kubeconfig, as far as it is accepted: a server, its authority, and a token. Pure.

use serde_json::Value;

use super::authority_pem;
use crate::problem::{Code, Problem};

/// What a kubeconfig says of one context.
#[derive(Debug, PartialEq, Eq)]
pub struct KubeconfigContext {
    /// URL of the API server.
    pub server: String,
    /// The certificates of its authority, as PEM.
    pub authority: Option<String>,
    /// The token.
    pub token: String,
}

/// Ways of logging in that are refused, and what to use instead.
const REFUSED_USER_KEYS: [(&str, &str); 7] = [
    ("exec", "it runs a program; for EKS, use `cluster: { eks: NAME }`"),
    ("auth-provider", "it was removed from Kubernetes; use a token"),
    ("client-certificate", "client certificates are not supported; use a token"),
    ("client-certificate-data", "client certificates are not supported; use a token"),
    ("username", "passwords were removed from Kubernetes; use a token"),
    ("tokenFile", "it names a file of another machine; write the token itself as `token`"),
    ("as", "impersonation is not supported; use a token of that user"),
];

/// Ways of reaching a server that are refused, and what to use instead.
const REFUSED_CLUSTER_KEYS: [(&str, &str); 2] =
    [("proxy-url", "set HTTPS_PROXY of the step"), ("tls-server-name", "write that name into `server`")];

/// Reads a context; the current one where none is named.
pub fn read(text: &str, context: Option<&str>) -> Result<KubeconfigContext, String> {
    let config: Value = serde_saphyr::from_str(text).map_err(|_| "it is not YAML".to_owned())?;
    let current = config["current-context"].as_str().filter(|name| !name.is_empty());
    let name = context.or(current).ok_or("it has no current context; name one in `context`")?;
    let context = find(&config, "contexts", "context", name)?;
    let part =
        |key: &str| context[key].as_str().ok_or_else(|| format!("its context `{name}` names no {key}"));
    let cluster = find(&config, "clusters", "cluster", part("cluster")?)?;
    let user = find(&config, "users", "user", part("user")?)?;
    if cluster["insecure-skip-tls-verify"] == true {
        return Err("`insecure-skip-tls-verify` is refused: give `certificate-authority-data`".into());
    }
    if let Some((key, why)) = REFUSED_USER_KEYS.iter().find(|(key, _)| !user[*key].is_null()) {
        return Err(format!("its user has `{key}`: {why}"));
    }
    if let Some((key, help)) = REFUSED_CLUSTER_KEYS.iter().find(|(key, _)| !cluster[*key].is_null()) {
        return Err(format!("its cluster has `{key}`, which is not supported: {help}"));
    }
    if !cluster["certificate-authority"].is_null() {
        return Err("`certificate-authority` names a file: give `certificate-authority-data`".into());
    }
    let server = cluster["server"].as_str().ok_or("its cluster has no server")?;
    if !crate::release::may_receive_credentials(server) {
        return Err(format!("its server `{server}` does not begin with `https://`"));
    }
    let authority = cluster["certificate-authority-data"].as_str().map(authority_pem).transpose();
    let authority = authority.map_err(|_| "`certificate-authority-data` is no certificate".to_owned())?;
    let token = user["token"].as_str().filter(|token| !token.is_empty()).ok_or("its user has no `token`")?;
    Ok(KubeconfigContext { server: server.to_owned(), authority, token: token.to_owned() })
}

/// The named entry of a list of the kubeconfig.
fn find<'c>(config: &'c Value, list: &str, key: &str, name: &str) -> Result<&'c Value, String> {
    let entries = config[list].as_array().map_or(&[][..], Vec::as_slice);
    let found = entries.iter().find(|entry| entry["name"] == name);
    found.map(|entry| &entry[key]).ok_or_else(|| format!("it has no {key} `{name}`"))
}

/// A kubeconfig that cannot be used.
pub fn problem(variable: &str, why: &str) -> Problem {
    let sentence = format!("The kubeconfig in the variable `{variable}` cannot be used: {why}.");
    Problem::error(Code::CredentialsMissing, sentence)
        .help("Use a kubeconfig with the token of a ServiceAccount, or `server`, `ca` and `token`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(cluster: &str, user: &str) -> String {
        format!(
            "current-context: c\ncontexts: [{{ name: c, context: {{ cluster: k, user: u }} }}]\n\
             clusters: [{{ name: k, cluster: {{ {cluster} }} }}]\nusers: [{{ name: u, user: {{ {user} }} }}]\n"
        )
    }

    #[test]
    fn token_and_server_are_read() {
        let read = read(&config("server: \"https://k:6443\"", "token: t"), None).unwrap();
        assert_eq!(
            read,
            KubeconfigContext { server: "https://k:6443".into(), authority: None, token: "t".into() }
        );
    }

    #[test]
    fn what_is_refused_is_named() {
        let server = "server: \"https://k\"";
        let table = [
            (config(server, "exec: { command: aws }"), "its user has `exec`"),
            (config(server, "auth-provider: { name: gcp }"), "its user has `auth-provider`"),
            (config(server, "client-certificate-data: AA"), "client certificates are not supported"),
            (config(server, "tokenFile: /x"), "its user has `tokenFile`"),
            (config(server, "token: ''"), "has no `token`"),
            (config("server: \"http://k\"", "token: t"), "does not begin with `https://`"),
            (
                config(&format!("{server}, insecure-skip-tls-verify: true"), "token: t"),
                "`insecure-skip-tls-verify`",
            ),
            (config(&format!("{server}, certificate-authority: /ca"), "token: t"), "names a file"),
            (config(&format!("{server}, proxy-url: \"http://p\""), "token: t"), "set HTTPS_PROXY"),
            (
                config(&format!("{server}, tls-server-name: k"), "token: t"),
                "its cluster has `tls-server-name`",
            ),
            ("a: b".to_owned(), "no current context"),
            ("a: [".to_owned(), "it is not YAML"),
        ];
        for (text, expected) in table {
            let error = read(&text, None).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(read(&config(server, "token: t"), Some("other")).unwrap_err().contains("no context `other`"));
    }
}

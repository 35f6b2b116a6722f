//! URLs of GitHub.com or an Enterprise Server. Pure.

use std::collections::BTreeMap;

use http::Uri;

/// The URLs of one GitHub, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// REST: `https://api.github.com` or `https://HOST/api/v3`.
    pub api: String,
    /// GraphQL: `https://api.github.com/graphql` or `https://HOST/api/graphql`.
    pub graphql: String,
    /// The web interface: `https://github.com` or `https://HOST`.
    pub server: String,
}

impl Addresses {
    /// From `GITHUB_API_URL`, `GITHUB_GRAPHQL_URL` and `GITHUB_SERVER_URL`; a missing one follows from the others. They
    /// are those of GitHub.com only if all are missing.
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let api = get("GITHUB_API_URL").map(str::to_owned);
        let api = api.or_else(|| get("GITHUB_SERVER_URL").map(api_of_server));
        let mut addresses = Self::from_api_url(api.as_deref().unwrap_or(DOTCOM_API));
        if let Some(graphql) = get("GITHUB_GRAPHQL_URL") {
            addresses.graphql = trim_slash(graphql);
        }
        if let Some(server) = get("GITHUB_SERVER_URL") {
            addresses.server = trim_slash(server);
        }
        addresses
    }

    /// From the REST URL alone.
    pub fn from_api_url(api: &str) -> Self {
        let api = trim_slash(api);
        let (graphql, server) = match api.strip_suffix("/api/v3") {
            Some(server) => (format!("{server}/api/graphql"), server.to_owned()),
            None => (format!("{api}/graphql"), api.replacen("://api.", "://", 1)),
        };
        Self { api, graphql, server }
    }

    /// The web page of a commit.
    pub fn commit_url(&self, repository: &str, oid: &str) -> String {
        format!("{}/{repository}/commit/{oid}", self.server)
    }

    /// Both API URLs, parsed; the error names the invalid one.
    pub(super) fn uris(&self) -> Result<(Uri, Uri), String> {
        let uri = |text: &str, name: &str| {
            let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some() && uri.host().is_some());
            uri.ok_or_else(|| format!("{name} is not a URL"))
        };
        Ok((uri(&self.api, "GITHUB_API_URL")?, uri(&self.graphql, "GITHUB_GRAPHQL_URL")?))
    }
}

const DOTCOM_API: &str = "https://api.github.com";

/// The REST URL of a server. GitHub.com and GitHub Enterprise Cloud have a host for it, an Enterprise Server has a path.
fn api_of_server(server: &str) -> String {
    let server = trim_slash(server);
    match server.split_once("://") {
        Some((scheme, host)) if host == "github.com" || host.ends_with(".ghe.com") => {
            format!("{scheme}://api.{host}")
        }
        _ => format!("{server}/api/v3"),
    }
}

fn trim_slash(address: &str) -> String {
    address.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls_from(pairs: &[(&str, &str)]) -> [String; 3] {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let Addresses { api, graphql, server } = Addresses::from_variables(&pairs.collect());
        [api, graphql, server]
    }

    #[test]
    fn missing_variables_are_derived_from_the_api_url() {
        let dotcom = ["https://api.github.com", "https://api.github.com/graphql", "https://github.com"];
        assert_eq!(urls_from(&[]), dotcom);
        assert_eq!(urls_from(&[("GITHUB_API_URL", ""), ("GITHUB_GRAPHQL_URL", "")]), dotcom);
        assert_eq!(
            urls_from(&[("GITHUB_API_URL", "https://git.acme.dev/api/v3/")]),
            ["https://git.acme.dev/api/v3", "https://git.acme.dev/api/graphql", "https://git.acme.dev"]
        );
        assert_eq!(
            urls_from(&[("GITHUB_API_URL", "https://api.acme.ghe.com")]),
            ["https://api.acme.ghe.com", "https://api.acme.ghe.com/graphql", "https://acme.ghe.com"]
        );
        for (server, api) in [
            ("https://github.com", "https://api.github.com"),
            ("https://acme.ghe.com/", "https://api.acme.ghe.com"),
            ("https://git.acme.dev", "https://git.acme.dev/api/v3"),
            ("https://github.com.acme.dev", "https://github.com.acme.dev/api/v3"),
        ] {
            assert_eq!(urls_from(&[("GITHUB_SERVER_URL", server)])[0], api);
        }
        let all = [
            ("GITHUB_API_URL", "http://127.0.0.1:9/a"),
            ("GITHUB_GRAPHQL_URL", "http://127.0.0.1:9/g/"),
            ("GITHUB_SERVER_URL", "http://127.0.0.1:9/s/"),
        ];
        assert_eq!(urls_from(&all), ["http://127.0.0.1:9/a", "http://127.0.0.1:9/g", "http://127.0.0.1:9/s"]);
    }

    #[test]
    fn invalid_url_is_named() {
        let why = |api: &str| Addresses::from_api_url(api).uris().unwrap_err();
        assert_eq!(why("no address"), "GITHUB_API_URL is not a URL");
        assert_eq!(why("/api/v3"), "GITHUB_API_URL is not a URL");
        let odd = Addresses { graphql: "x".into(), ..Addresses::from_api_url("https://api.github.com") };
        assert_eq!(odd.uris().unwrap_err(), "GITHUB_GRAPHQL_URL is not a URL");
    }
}

//! Where GitHub is: GitHub.com, or an Enterprise Server of one's own. Pure.

use std::collections::BTreeMap;

use http::Uri;

/// The addresses of one GitHub, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// REST: `https://api.github.com` or `https://HOST/api/v3`.
    pub api: String,
    /// GraphQL: `https://api.github.com/graphql` or `https://HOST/api/graphql`.
    pub graphql: String,
    /// What people open: `https://github.com` or `https://HOST`.
    pub server: String,
}

impl Addresses {
    /// From `GITHUB_API_URL`, `GITHUB_GRAPHQL_URL` and `GITHUB_SERVER_URL`; what is not set is that of GitHub.com, or
    /// follows from the address of REST.
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let api = get("GITHUB_API_URL").unwrap_or("https://api.github.com");
        let mut addresses = Self::of(api);
        if let Some(graphql) = get("GITHUB_GRAPHQL_URL") {
            addresses.graphql = trimmed(graphql);
        }
        if let Some(server) = get("GITHUB_SERVER_URL") {
            addresses.server = trimmed(server);
        }
        addresses
    }

    /// From the address of REST alone.
    pub fn of(api: &str) -> Self {
        let api = trimmed(api);
        let (graphql, server) = match api.strip_suffix("/api/v3") {
            Some(server) => (format!("{server}/api/graphql"), server.to_owned()),
            None => (format!("{api}/graphql"), api.replacen("://api.", "://", 1)),
        };
        Self { api, graphql, server }
    }

    /// Where people see a commit.
    pub fn commit(&self, repository: &str, oid: &str) -> String {
        format!("{}/{repository}/commit/{oid}", self.server)
    }

    /// Both addresses that are asked, or which of them is none.
    pub(super) fn uris(&self) -> Result<(Uri, Uri), String> {
        let uri = |text: &str, name: &str| {
            let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some() && uri.host().is_some());
            uri.ok_or_else(|| format!("{name} is no address"))
        };
        Ok((uri(&self.api, "GITHUB_API_URL")?, uri(&self.graphql, "GITHUB_GRAPHQL_URL")?))
    }
}

fn trimmed(address: &str) -> String {
    address.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> [String; 3] {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let Addresses { api, graphql, server } = Addresses::from_variables(&pairs.collect());
        [api, graphql, server]
    }

    #[test]
    fn what_is_not_set_follows_from_what_is() {
        let dotcom = ["https://api.github.com", "https://api.github.com/graphql", "https://github.com"];
        assert_eq!(of(&[]), dotcom);
        assert_eq!(of(&[("GITHUB_API_URL", ""), ("GITHUB_GRAPHQL_URL", "")]), dotcom);
        assert_eq!(
            of(&[("GITHUB_API_URL", "https://git.acme.dev/api/v3/")]),
            ["https://git.acme.dev/api/v3", "https://git.acme.dev/api/graphql", "https://git.acme.dev"]
        );
        assert_eq!(
            of(&[("GITHUB_API_URL", "https://api.acme.ghe.com")]),
            ["https://api.acme.ghe.com", "https://api.acme.ghe.com/graphql", "https://acme.ghe.com"]
        );
        let all = [
            ("GITHUB_API_URL", "http://127.0.0.1:9/a"),
            ("GITHUB_GRAPHQL_URL", "http://127.0.0.1:9/g/"),
            ("GITHUB_SERVER_URL", "http://127.0.0.1:9/s/"),
        ];
        assert_eq!(of(&all), ["http://127.0.0.1:9/a", "http://127.0.0.1:9/g", "http://127.0.0.1:9/s"]);
    }

    #[test]
    fn what_is_no_address_is_named() {
        let why = |api: &str| Addresses::of(api).uris().unwrap_err();
        assert_eq!(why("no address"), "GITHUB_API_URL is no address");
        assert_eq!(why("/api/v3"), "GITHUB_API_URL is no address");
        let odd = Addresses { graphql: "x".into(), ..Addresses::of("https://api.github.com") };
        assert_eq!(odd.uris().unwrap_err(), "GITHUB_GRAPHQL_URL is no address");
    }
}

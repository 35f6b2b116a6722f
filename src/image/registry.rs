//! What is asked of a registry beside pushing: a login, what a reference stands for, and one more tag for a digest.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::problem::Problem;
use crate::release::{Digest, ImageRef};

/// Credentials for a registry. Whoever gets them masks [`Login::secrets`] before anything else.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Host with optional port, as it stands in image references.
    pub server: String,
    /// User name; `AWS` for ECR.
    pub username: String,
    /// Password.
    pub password: String,
    /// When the registry stops accepting it, where that is known.
    pub expires: Option<Timestamp>,
}

impl Login {
    /// User and password as the `Authorization: Basic` header and Docker's config.json carry them.
    pub fn basic(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", self.username, self.password))
    }

    /// Every form of the secret that could turn up in a log.
    pub fn secrets(&self) -> [String; 2] {
        [self.password.clone(), self.basic()]
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({} at {})", self.username, self.server)
    }
}

/// An image that is in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Digest of the manifest or index that the reference stands for.
    pub digest: Digest,
    /// Platforms such as `linux/arm64`; empty where the registry does not tell (a single manifest keeps its
    /// platform in the configuration blob).
    pub platforms: Vec<String>,
}

/// A registry, as seen by one environment.
#[async_trait(?Send)]
pub trait Registry {
    /// Credentials to push and pull with.
    async fn login(&self) -> Result<Login, Problem>;

    /// What `image` stands for, by its digest or else its tag; `None` when it is not there (or not pullable).
    async fn find(&self, image: &ImageRef) -> Result<Option<Found>, Problem>;

    /// Lets `tag` name the image `image`, which is pinned by digest. Succeeds when it already does;
    /// [`TagImmutable`](crate::problem::Code::TagImmutable) when the tag names another digest and may not move.
    async fn tag(&self, image: &ImageRef, tag: &str) -> Result<(), Problem>;

    /// The tags that name `image`, which is pinned by digest, in no order. None where the registry cannot tell: the
    /// distribution specification lists the tags of a repository, and to learn which of them name one digest every
    /// single one would have to be asked for.
    async fn tags(&self, _image: &ImageRef) -> Result<Vec<String>, Problem> {
        Ok(Vec::new())
    }
}

/// The host part of a registry's address, and whether it is reached without TLS.
pub fn host_of(endpoint: &str) -> (&str, bool) {
    let plain = endpoint.starts_with("http://");
    let host = endpoint.trim_start_matches("https://").trim_start_matches("http://");
    (host.split('/').next().unwrap_or(host), plain)
}

/// Whether a registry host is this machine.
pub fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name == "[::1]" || name.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_of_a_token_gives_the_host_of_references() {
        let ecr = "https://111111111111.dkr.ecr.eu-west-1.amazonaws.com";
        assert_eq!(host_of(ecr), ("111111111111.dkr.ecr.eu-west-1.amazonaws.com", false));
        assert_eq!(host_of("http://127.0.0.1:5077/"), ("127.0.0.1:5077", true));
    }

    #[test]
    fn loopback_is_told_from_names_that_look_like_it() {
        for (host, expected) in [
            ("127.0.0.1:5077", true),
            ("localhost", true),
            ("[::1]:5000", true),
            ("localhost.example.com", false),
            ("111111111111.dkr.ecr.eu-west-1.amazonaws.com", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn a_login_does_not_show_its_password() {
        let login = Login {
            server: "r.example".into(),
            username: "AWS".into(),
            password: "hunter2".into(),
            expires: None,
        };
        assert_eq!(format!("{login:?}"), "Login(AWS at r.example)");
        assert_eq!(login.basic(), "QVdTOmh1bnRlcjI=");
    }
}

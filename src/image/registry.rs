//! A registry, except for pushing: a login, the image of a reference, and one more tag for a digest. And how registries are
//! named: in image references, in URLs and in Docker's configuration.

use async_trait::async_trait;
use jiff::Timestamp;

use super::registry_help::login_help;
use crate::problem::{Code, Problem, capitalize};
use crate::release::{DOCKER_HUB, Digest, ImageRef, canonical_registry, is_loopback};

/// The most that is quoted of a registry's messages.
const MAX_REJECTION_CHARS: usize = 500;

/// Credentials for a registry. The caller masks [`Login::secrets`] before anything else.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    /// Host with optional port, as in image references.
    pub server: String,
    /// User name; `AWS` for ECR.
    pub username: String,
    /// Password.
    pub password: String,
    /// When the registry stops accepting it, if known.
    pub expires_at: Option<Timestamp>,
}

impl RegistryLogin {
    /// User and password as the `Authorization: Basic` header and Docker's config.json carry them.
    pub fn basic_auth(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", self.username, self.password))
    }

    /// Whether it is sent with every request: ECR accepts nothing else. Other registries ask for what they want.
    pub(super) fn is_sent_unasked(&self) -> bool {
        self.username == "AWS"
    }

    /// Every form of the secret that could occur in a log.
    pub fn secret_values(&self) -> [String; 2] {
        [self.password.clone(), self.basic_auth()]
    }
}

impl std::fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({} at {})", self.username, self.server)
    }
}

/// An image that is in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// Digest of the manifest or index of the reference.
    pub digest: Digest,
    /// Platforms such as `linux/arm64`; empty if the registry does not report them (a single manifest has its
    /// platform in the configuration blob).
    pub platforms: Vec<String>,
}

/// Where the login of a registry comes from.
#[async_trait(?Send)]
pub trait LoginSource {
    /// Credentials to push and pull with; `None` if requests are anonymous.
    async fn login(&self) -> Result<Option<RegistryLogin>, Problem>;
}

/// A registry, as seen by one environment.
#[async_trait(?Send)]
pub trait Registry: LoginSource {
    /// The image of a reference, by its digest or else its tag; `None` if it does not exist (or is not pullable).
    async fn find(&self, image: &ImageRef) -> Result<Option<ImageInfo>, Problem>;

    /// Adds `tag` to the image `image`, which is pinned by digest. Succeeds if the image has it already;
    /// [`TagImmutable`](crate::problem::Code::TagImmutable) if the tag names another digest and is immutable.
    async fn tag(&self, image: &ImageRef, tag: &str) -> Result<(), Problem>;

    /// The tags of `image`, which is pinned by digest, in no order. None if the registry cannot list them: the
    /// distribution specification lists the tags of a repository, and to find those of one digest every
    /// single tag would have to be read.
    async fn tags(&self, _image: &ImageRef) -> Result<Vec<String>, Problem> {
        Ok(Vec::new())
    }
}

/// What a registry says about a request that it rejected: codes and messages of the distribution specification. Other
/// content of the response is not repeated: it may be anything.
pub fn rejection_text(body: &[u8]) -> String {
    let parsed: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let word = |error: &serde_json::Value, key: &str| error[key].as_str().map(str::to_owned);
    let text = |error: &serde_json::Value| {
        [word(error, "code"), word(error, "message")].into_iter().flatten().collect::<Vec<_>>().join(": ")
    };
    let errors = parsed.get("errors").and_then(serde_json::Value::as_array);
    let texts = errors.into_iter().flatten().map(text).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join("; ").chars().take(MAX_REJECTION_CHARS).collect()
}

/// The host of GitHub's registry, which the token of a job opens.
pub const GITHUB_REGISTRY: &str = "ghcr.io";

/// The one name of a registry that has several. The text may be a URL, as in Docker's configuration.
pub fn canonical_host(text: &str) -> &str {
    canonical_registry(registry_host(text).0)
}

/// The beginning of the URLs of a registry.
pub(super) fn api_origin(host: &str) -> String {
    match canonical_host(host) {
        DOCKER_HUB => "https://registry-1.docker.io".into(),
        host if is_loopback(host) => format!("http://{host}"),
        host => format!("https://{host}"),
    }
}

/// The path of a repository in URLs: images of Docker Hub without a namespace are in `library`.
pub(super) fn api_repository(image: &ImageRef) -> String {
    let is_official = canonical_host(&image.registry) == DOCKER_HUB && !image.repository.contains('/');
    if is_official { format!("library/{}", image.repository) } else { image.repository.clone() }
}

/// The key of a registry in Docker's `config.json`.
pub(super) fn docker_config_key(host: &str) -> &str {
    match canonical_host(host) {
        DOCKER_HUB => "https://index.docker.io/v1/",
        host => host,
    }
}

/// The problem of a registry that nobody here has a login for.
pub fn missing_login_problem(host: &str) -> Problem {
    let sentence = format!("There is no login for the registry `{host}`, so nothing can be pushed there.");
    Problem::error(Code::RegistryLoginFailed, sentence).help(capitalize(&login_help(host)))
}

/// The host part of a registry's URL, and whether it is used without TLS.
pub fn registry_host(endpoint: &str) -> (&str, bool) {
    let plain = endpoint.starts_with("http://");
    let host = endpoint.trim_start_matches("https://").trim_start_matches("http://");
    (host.split('/').next().unwrap_or(host), plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_endpoint_gives_the_registry_host() {
        let ecr = "https://111111111111.dkr.ecr.eu-west-1.amazonaws.com";
        assert_eq!(registry_host(ecr), ("111111111111.dkr.ecr.eu-west-1.amazonaws.com", false));
        assert_eq!(registry_host("http://127.0.0.1:5077/"), ("127.0.0.1:5077", true));
    }

    #[test]
    fn registries_have_one_name_and_their_own_urls() {
        for (host, name, origin, key) in [
            ("", "docker.io", "https://registry-1.docker.io", "https://index.docker.io/v1/"),
            ("docker.io", "docker.io", "https://registry-1.docker.io", "https://index.docker.io/v1/"),
            (
                "https://index.docker.io/v1/",
                "docker.io",
                "https://registry-1.docker.io",
                "https://index.docker.io/v1/",
            ),
            ("ghcr.io", "ghcr.io", "https://ghcr.io", "ghcr.io"),
            ("127.0.0.1:5000", "127.0.0.1:5000", "http://127.0.0.1:5000", "127.0.0.1:5000"),
        ] {
            assert_eq!((canonical_host(host), docker_config_key(host)), (name, key), "{host}");
            assert_eq!(api_origin(host), origin, "{host}");
        }
        for (image, path) in
            [("debian:12", "library/debian"), ("docker.io/acme/app", "acme/app"), ("ghcr.io/app", "app")]
        {
            assert_eq!(api_repository(&image.parse().unwrap()), path, "{image}");
        }
    }

    #[test]
    fn rejection_has_codes_and_messages_and_nothing_else() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no access","detail":"SENTINEL"},{"code":"X"}],"x":"SENTINEL"}"#;
        assert_eq!(rejection_text(body), "DENIED: no access; X");
        for body in ["SENTINEL", "", "{}", r#"{"errors":"SENTINEL"}"#, r#"{"errors":["SENTINEL"]}"#] {
            assert_eq!(rejection_text(body.as_bytes()), "", "{body}");
        }
    }

    #[test]
    fn login_debug_hides_the_password() {
        let login = RegistryLogin {
            server: "r.example".into(),
            username: "AWS".into(),
            password: "hunter2".into(),
            expires_at: None,
        };
        assert_eq!(format!("{login:?}"), "Login(AWS at r.example)");
        assert_eq!(login.basic_auth(), "QVdTOmh1bnRlcjI=");
    }
}

//! The runner's OIDC endpoint: one GET for a short-lived token that identifies this job.
//! <https://docs.github.com/actions/reference/security/oidc>

use std::time::Duration;

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::interceptors::context::Error;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use super::body_limit;
use super::session::Io;
use crate::sys::environment::Variables;
use crate::sys::http::{RequestError, require_confidential};

/// The URL of the token, and the bearer token that allows the request.
#[derive(Clone)]
pub struct OidcTokenSource {
    url: String,
    bearer: String,
}

impl std::fmt::Debug for OidcTokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenEndpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

impl OidcTokenSource {
    /// The endpoint of the runner; `None` without `permissions: id-token: write`.
    pub fn from_variables(variables: &Variables) -> Option<Self> {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        Some(Self {
            url: get("ACTIONS_ID_TOKEN_REQUEST_URL")?,
            bearer: get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?,
        })
    }

    /// A token for `audience`. Tokens live about five minutes, so one is fetched for each use.
    pub async fn fetch_token(&self, io: &Io, audience: &str) -> Result<String, RequestError> {
        require_confidential(&self.url)?;
        let (origin, path) = origin_and_path(&self.url, audience)?;
        let bearer = self.bearer.clone();
        let operation = Operation::builder()
            .service_name("GitHubOIDC")
            .operation_name("GetIdToken")
            .http_client(body_limit::limited(io.http.clone()))
            .endpoint_url(&origin)
            .no_auth()
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .standard_retry(&RetryConfig::standard().with_max_attempts(5))
            .retry_classifier(TransientErrorClassifier::<Error>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .timeout_config(
                TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(5)).build(),
            )
            .serializer(move |path: String| build_request(&path, &bearer))
            .deserializer(|response| {
                let body = response.body().bytes().unwrap_or_default();
                parse_token(response.status().as_u16(), body)
                    .map_err(OrchestratorError::<std::io::Error>::other)
            })
            .build();
        let token = operation.invoke(path).await.map_err(|error| RequestError::from_error(&error))?;
        io.mask.add(&token);
        Ok(token)
    }
}

/// Origin and path with query of the URL for `audience`. The client joins them: with an absolute URL on
/// both sides the path would occur twice.
fn origin_and_path(url: &str, audience: &str) -> Result<(String, String), String> {
    let wrong = || "ACTIONS_ID_TOKEN_REQUEST_URL is not a URL".to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if path.starts_with('/') { "" } else { "/" };
    let separator = if path.contains('?') { '&' } else { '?' };
    let audience: String = form_urlencoded::byte_serialize(audience.as_bytes()).collect();
    Ok((format!("{scheme}://{host}"), format!("{slash}{path}{separator}audience={audience}")))
}

fn build_request(
    path: &str,
    bearer: &str,
) -> Result<HttpRequest, aws_smithy_runtime_api::box_error::BoxError> {
    let request = http::Request::builder()
        .uri(path)
        .header("authorization", format!("Bearer {bearer}"))
        .header("accept", "application/json; api-version=2.0")
        .header("user-agent", "actions/oidc-client")
        .body(SdkBody::empty())?;
    Ok(HttpRequest::try_from(request)?)
}

fn parse_token(status: u16, body: &[u8]) -> Result<String, String> {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let token = value.get("value").and_then(serde_json::Value::as_str).map(str::to_owned);
    token
        .filter(|_| status == 200)
        .ok_or_else(|| format!("the runner's token endpoint responded with {status} and no token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_url_keeps_its_path_and_gets_the_audience() {
        for (url, expected) in [
            (
                "https://x.example/7//idtoken/a?api-version=2.0",
                "/7//idtoken/a?api-version=2.0&audience=sts%3A1",
            ),
            ("http://127.0.0.1:80/token", "/token?audience=sts%3A1"),
            ("http://127.0.0.1:80?a=b", "/?a=b&audience=sts%3A1"),
            ("http://127.0.0.1:80", "/?audience=sts%3A1"),
        ] {
            let (origin, path) = origin_and_path(url, "sts:1").unwrap();
            assert_eq!(path, expected);
            assert!(url.starts_with(&origin) && !origin.ends_with('/'), "{origin}");
        }
        assert!(origin_and_path("nonsense", "a").is_err());
    }

    #[test]
    fn invalid_token_response_is_error_without_body() {
        assert_eq!(parse_token(200, br#"{"value":"a.b.c"}"#).unwrap(), "a.b.c");
        for (status, body) in [(500, r#"{"value":"a.b.c"}"#), (200, "{}"), (200, "a.b.c"), (401, "")] {
            let why = parse_token(status, body.as_bytes()).unwrap_err();
            assert!(why.contains(&status.to_string()) && !why.contains("a.b.c"), "{why}");
        }
    }
}

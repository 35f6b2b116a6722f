//! The runner's OIDC endpoint: one GET for a short-lived token that proves which job this is.
//! <https://docs.github.com/actions/reference/security/oidc>

use std::time::Duration;

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::interceptors::context::Error;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use super::session::Doors;
use crate::sys::environment::Variables;

/// Where the token is fetched, and the bearer token that allows it.
#[derive(Clone)]
pub struct TokenEndpoint {
    url: String,
    bearer: String,
}

impl std::fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenEndpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

impl TokenEndpoint {
    /// The endpoint that the runner names; `None` without `permissions: id-token: write`.
    pub fn from_variables(variables: &Variables) -> Option<Self> {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        Some(Self {
            url: get("ACTIONS_ID_TOKEN_REQUEST_URL")?,
            bearer: get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?,
        })
    }

    /// A token for `audience`. Tokens live about five minutes, so one is fetched for each use.
    pub(super) async fn token(&self, doors: &Doors, audience: &str) -> Result<String, String> {
        let (origin, path) = address(&self.url, audience)?;
        let bearer = self.bearer.clone();
        let operation = Operation::builder()
            .service_name("GitHubOIDC")
            .operation_name("GetIdToken")
            .http_client(doors.http.clone())
            .endpoint_url(&origin)
            .no_auth()
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .standard_retry(&RetryConfig::standard().with_max_attempts(5))
            .retry_classifier(TransientErrorClassifier::<Error>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .timeout_config(
                TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(5)).build(),
            )
            .serializer(move |path: String| request(&path, &bearer))
            .deserializer(|response| {
                let body = response.body().bytes().unwrap_or_default();
                read(response.status().as_u16(), body).map_err(OrchestratorError::<std::io::Error>::other)
            })
            .build();
        let token = operation.invoke(path).await.map_err(|error| said(&error))?;
        doors.mask.add(&token);
        Ok(token)
    }
}

/// What an error and its causes say, each once. The debug form would repeat the answer, which may hold a token.
pub(super) fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let mut words: Vec<String> = Vec::new();
    for error in chain {
        let text = error.to_string();
        if !words.iter().any(|known| known.contains(&text)) {
            words.push(text);
        }
    }
    words.join(": ")
}

/// Origin and path with query of the address for `audience`. The client joins them by itself: with a whole address on
/// both sides the path would be there twice.
fn address(url: &str, audience: &str) -> Result<(String, String), String> {
    let wrong = || "ACTIONS_ID_TOKEN_REQUEST_URL is no address".to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if path.starts_with('/') { "" } else { "/" };
    let separator = if path.contains('?') { '&' } else { '?' };
    let audience: String = form_urlencoded::byte_serialize(audience.as_bytes()).collect();
    Ok((format!("{scheme}://{host}"), format!("{slash}{path}{separator}audience={audience}")))
}

fn request(path: &str, bearer: &str) -> Result<HttpRequest, aws_smithy_runtime_api::box_error::BoxError> {
    let request = http::Request::builder()
        .uri(path)
        .header("authorization", format!("Bearer {bearer}"))
        .header("accept", "application/json; api-version=2.0")
        .header("user-agent", "actions/oidc-client")
        .body(SdkBody::empty())?;
    Ok(HttpRequest::try_from(request)?)
}

fn read(status: u16, body: &[u8]) -> Result<String, String> {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let token = value.get("value").and_then(serde_json::Value::as_str).map(str::to_owned);
    token
        .filter(|_| status == 200)
        .ok_or_else(|| format!("the runner's token endpoint answered {status} without a token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_keeps_its_path_and_gets_the_audience() {
        for (url, expected) in [
            (
                "https://x.example/7//idtoken/a?api-version=2.0",
                "/7//idtoken/a?api-version=2.0&audience=sts%3A1",
            ),
            ("http://127.0.0.1:80/token", "/token?audience=sts%3A1"),
            ("http://127.0.0.1:80?a=b", "/?a=b&audience=sts%3A1"),
            ("http://127.0.0.1:80", "/?audience=sts%3A1"),
        ] {
            let (origin, path) = address(url, "sts:1").unwrap();
            assert_eq!(path, expected);
            assert!(url.starts_with(&origin) && !origin.ends_with('/'), "{origin}");
        }
        assert!(address("nonsense", "a").is_err());
    }

    #[test]
    fn what_is_no_token_is_an_error_without_the_answer() {
        assert_eq!(read(200, br#"{"value":"a.b.c"}"#).unwrap(), "a.b.c");
        for (status, body) in [(500, r#"{"value":"a.b.c"}"#), (200, "{}"), (200, "a.b.c"), (401, "")] {
            let why = read(status, body.as_bytes()).unwrap_err();
            assert!(why.contains(&status.to_string()) && !why.contains("a.b.c"), "{why}");
        }
    }
}

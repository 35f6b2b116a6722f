//! Plain GETs to addresses of the deploy file, through the HTTP client of the run, so that there is one TLS stack and a
//! rehearsal stays inside. Redirects are not followed: what an address answers is what is judged.

use std::error::Error as StdError;
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;

/// The client.
#[derive(Debug, Clone)]
pub struct Web {
    http: SharedHttpClient,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Web {
    /// Asks through `http`.
    pub fn new(http: SharedHttpClient) -> Self {
        Self { http }
    }

    /// One try to read `url` within `patience`. An error says, in words, why there was no answer.
    pub async fn get(&self, url: &str, patience: Duration) -> Result<Page, String> {
        let (origin, path) = split(url)?;
        let operation = Operation::builder()
            .service_name("Web")
            .operation_name("Get")
            .http_client(self.http.clone())
            .endpoint_url(&origin)
            .no_auth()
            .no_retry()
            .sleep_impl(TokioSleep::new())
            .timeout_config(TimeoutConfig::builder().operation_timeout(patience).build())
            .serializer(|path: String| request(&path))
            .deserializer(|response| {
                let body = response.body().bytes().unwrap_or_default().to_vec();
                let page = Page { status: response.status().as_u16(), body };
                Ok::<_, OrchestratorError<std::io::Error>>(page)
            })
            .build();
        let answer = tokio::time::timeout(patience, operation.invoke(path)).await;
        let late = || format!("no answer in {} s", patience.as_secs());
        let answer = answer.map_err(|_| late())?;
        answer.map_err(|error| said(&error))
    }
}

fn request(path: &str) -> Result<HttpRequest, BoxError> {
    let agent = concat!("roadstead/", env!("CARGO_PKG_VERSION"));
    let request = http::Request::builder().uri(path).header("user-agent", agent).body(SdkBody::empty())?;
    Ok(HttpRequest::try_from(request)?)
}

/// Origin and path with query of an address: the client joins them by itself.
fn split(url: &str) -> Result<(String, String), String> {
    let wrong = || "it is no address of HTTP".to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((format!("{scheme}://{host}"), format!("{slash}{path}")))
}

/// What an error and its causes say, each once.
fn said(error: &(dyn StdError + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !words.iter().any(|known| known.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_into_origin_and_path() {
        for (url, origin, path) in [
            ("https://x.example/a?b=c#d", "https://x.example", "/a?b=c"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80", "/"),
            ("http://x?a=/b", "http://x", "/?a=/b"),
        ] {
            assert_eq!(split(url), Ok((origin.to_owned(), path.to_owned())));
        }
        assert!(split("x.example").is_err());
    }
}

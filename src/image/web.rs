//! Plain HTTP requests to registries, through the HTTP client of the AWS SDK, so that there is one TLS stack.

use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use super::registry::{host_of, is_loopback};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client for registries.
#[derive(Debug, Clone)]
pub struct Web {
    loopback: SharedHttpConnector,
    network: SharedHttpConnector,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers with lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, bytes that are not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Web {
    /// Over the network with TLS and the proxies of the environment; on this machine directly.
    pub fn new() -> Self {
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        let network =
            Connector::builder().proxy_config(ProxyConfig::from_env()).tls_provider(provider).build();
        Self {
            loopback: SharedHttpConnector::new(Connector::builder().build_http()),
            network: SharedHttpConnector::new(network),
        }
    }

    /// Reads `url`.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        self.send("GET", url, headers, Vec::new()).await
    }

    /// Sends one request; an error means that there was no answer.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).map_err(|error| error.to_string())?;
        request.set_uri(url).map_err(|error| error.to_string())?;
        for (name, value) in headers {
            request
                .headers_mut()
                .try_insert((*name).to_owned(), (*value).to_owned())
                .map_err(|e| e.to_string())?;
        }
        let here = is_loopback(host_of(url).0);
        let connector = if here { &self.loopback } else { &self.network };
        let answer = async { read(connector.call(request).await).await };
        tokio::time::timeout(PATIENCE, answer)
            .await
            .map_err(|_| format!("no answer in {} s", PATIENCE.as_secs()))?
    }
}

impl Default for Web {
    fn default() -> Self {
        Self::new()
    }
}

async fn read(
    answer: Result<
        aws_smithy_runtime_api::client::orchestrator::HttpResponse,
        aws_smithy_runtime_api::client::result::ConnectorError,
    >,
) -> Result<Answer, String> {
    use aws_smithy_types::error::display::DisplayErrorContext;
    let answer = answer.map_err(|error| DisplayErrorContext(error).to_string())?;
    let status = answer.status().as_u16();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let body = ByteStream::new(answer.into_body()).collect().await.map_err(|error| error.to_string())?;
    Ok(Answer { status, headers, body: body.into_bytes().to_vec() })
}

//! The HTTP client: routes each request directly or to its proxy, and replaces an error that another attempt cannot
//! change by one that the SDK does not retry.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::authorities::Authorities;
use super::failure::{self, ConnectionFailure, Meaning};
use super::proxy::{Destination, Proxies, Proxy};
use super::tunnel::{self, TunnelError};

/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit of a connection whose client sets none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit of the request that asks a proxy why it rejected a tunnel.
const DIAGNOSIS_TIMEOUT: Duration = Duration::from_secs(3);
/// Pauses before a host without an address is looked up again.
const LOOKUP_PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(900)];

/// A client that uses these proxies and authorities.
pub(super) fn client(proxies: &Arc<Proxies>, authorities: &Authorities) -> SharedHttpClient {
    let context = authorities.tls_context();
    let (http, https) = proxies.by_scheme();
    let through = |proxy: Option<&Proxy>| proxy.and_then(|proxy| proxied_client(proxy, &context));
    SharedHttpClient::new(RoutedClient {
        proxies: proxies.clone(),
        direct: plain_client(ProxyConfig::disabled(), &context),
        http: through(http),
        https: through(https),
    })
}

fn proxied_client(proxy: &Proxy, context: &TlsContext) -> Option<SharedHttpClient> {
    // The URL is valid: it was made from its parts.
    ProxyConfig::all(proxy.url()).ok().map(|config| plain_client(config, context))
}

fn plain_client(proxy: ProxyConfig, context: &TlsContext) -> SharedHttpClient {
    let context = context.clone();
    Builder::new().pool_idle_timeout(IDLE_TIMEOUT).build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder();
        builder.set_pool_idle_timeout(Some(Some(IDLE_TIMEOUT)));
        builder.set_connector_settings(Some(with_connect_timeout(settings)));
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.set_proxy_config(Some(proxy.clone()));
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        builder.tls_provider(provider).tls_context(context.clone()).build()
    })
}

/// The settings of a client, with a limit on the time to connect in any case.
fn with_connect_timeout(settings: Option<&HttpConnectorSettings>) -> HttpConnectorSettings {
    let mut builder = HttpConnectorSettings::builder();
    let connect = settings.and_then(HttpConnectorSettings::connect_timeout).unwrap_or(CONNECT_TIMEOUT);
    builder.set_connect_timeout(Some(connect));
    builder.set_read_timeout(settings.and_then(HttpConnectorSettings::read_timeout));
    builder.build()
}

/// One client for each route, so that connections are kept apart.
#[derive(Debug)]
struct RoutedClient {
    proxies: Arc<Proxies>,
    direct: SharedHttpClient,
    http: Option<SharedHttpClient>,
    https: Option<SharedHttpClient>,
}

impl HttpClient for RoutedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connect = |client: &SharedHttpClient| client.http_connector(settings, components);
        SharedHttpConnector::new(RoutedConnector {
            proxies: self.proxies.clone(),
            direct: connect(&self.direct),
            http: self.http.as_ref().map(connect),
            https: self.https.as_ref().map(connect),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.direct.connector_metadata()
    }
}

#[derive(Debug)]
struct RoutedConnector {
    proxies: Arc<Proxies>,
    direct: SharedHttpConnector,
    http: Option<SharedHttpConnector>,
    https: Option<SharedHttpConnector>,
}

impl HttpConnector for RoutedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(to) = Destination::of_url(request.uri()) else {
            return HttpConnectorFuture::ready(Err(ConnectorError::user("it is not a URL of HTTP".into())));
        };
        let proxy = self.proxies.route(&to).cloned();
        let proxied = if to.is_tls { &self.https } else { &self.http };
        let connector = proxied.as_ref().filter(|_| proxy.is_some()).unwrap_or(&self.direct).clone();
        let attempt = Attempt { to, proxy, connector };
        HttpConnectorFuture::new(attempt.send(request))
    }
}

/// One request on its route.
struct Attempt {
    to: Destination,
    proxy: Option<Proxy>,
    connector: SharedHttpConnector,
}

impl Attempt {
    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut pauses = LOOKUP_PAUSES.iter();
        let mut next = Some(request);
        while let Some(request) = next.take() {
            // A body that is streamed cannot be sent twice.
            let again = request.try_clone();
            let error = match self.connector.call(request).await {
                Ok(response) => return self.check_response(response),
                Err(error) => error,
            };
            match (failure::classify(&error, &self.to), pauses.next()) {
                (Meaning::UnknownHost, Some(pause)) if again.is_some() => {
                    tokio::time::sleep(*pause).await;
                    next = again;
                }
                (meaning, _) => return Err(self.explain(meaning, error).await),
            }
        }
        Err(ConnectorError::other("the request was not sent".into(), None))
    }

    /// A proxy that forwards a request without TLS rejects a missing login with a response of its own.
    fn check_response(&self, response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
        let proxy = self.proxy.as_ref().filter(|_| !self.to.is_tls && response.status().as_u16() == 407);
        let failure =
            proxy.and_then(|proxy| failure::rejected_tunnel(&proxy.server.to_string(), &self.to, 407));
        failure.map_or(Ok(response), |failure| Err(final_error(failure)))
    }

    async fn explain(&self, meaning: Meaning, error: ConnectorError) -> ConnectorError {
        match (meaning, &self.proxy) {
            (Meaning::Final(failure), _) => final_error(failure),
            (Meaning::UnknownHost, None) => final_error(failure::unknown_host(&self.to.host)),
            (Meaning::UnknownHost, Some(proxy)) => final_error(failure::unknown_host(&proxy.server.host)),
            (Meaning::TunnelRejected, Some(proxy)) => self.explain_rejection(proxy, error).await,
            (_, Some(proxy)) => through_proxy(proxy, error),
            (_, None) => error,
        }
    }

    /// Asks the proxy once more, to learn the status.
    async fn explain_rejection(&self, proxy: &Proxy, error: ConnectorError) -> ConnectorError {
        if proxy.server.is_tls {
            return through_proxy(proxy, error);
        }
        let asked = tokio::time::timeout(DIAGNOSIS_TIMEOUT, tunnel::open_tunnel(proxy, &self.to)).await;
        let Ok(Err(TunnelError::Rejected(status))) = asked else { return through_proxy(proxy, error) };
        match failure::rejected_tunnel(&proxy.server.to_string(), &self.to, status) {
            Some(failure) => final_error(failure),
            None => ConnectorError::io(
                format!("the proxy `{}` responded with {status} for `{}`", proxy.server, self.to).into(),
            ),
        }
    }
}

/// An error without a kind: the SDK does not retry it.
fn final_error(failure: ConnectionFailure) -> ConnectorError {
    ConnectorError::other(failure.into(), None)
}

/// The same error, which names the proxy. Its kind, and so whether it is retried, stays.
fn through_proxy(proxy: &Proxy, error: ConnectorError) -> ConnectorError {
    let (is_timeout, is_io, kind) = (error.is_timeout(), error.is_io(), error.as_other());
    let text = format!("through the proxy `{}`: {}", proxy.server, crate::sys::http::error_text(&error));
    match (is_timeout, is_io) {
        (true, _) => ConnectorError::timeout(text.into()),
        (_, true) => ConnectorError::io(text.into()),
        _ => ConnectorError::other(text.into(), kind),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::Network;
    use crate::sys::environment::Variables;
    use crate::sys::http::{HttpClient, RequestError, Response};

    const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

    /// A proxy that gives `answer` to every request, and the heads of the requests.
    async fn proxy(answer: &'static str) -> (u16, std::sync::Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, heads) =
            (listener.local_addr().unwrap().port(), std::sync::Arc::<Mutex<Vec<String>>>::default());
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let length = socket.read(&mut head).await.unwrap();
                seen.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).into_owned());
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        (port, heads)
    }

    async fn get(answer: &'static str, url: &str) -> (Result<Response, RequestError>, Vec<String>) {
        let (port, heads) = proxy(answer).await;
        let all = ("ALL_PROXY".to_owned(), format!("http://u%40x:w@127.0.0.1:{port}"));
        let variables: Variables = [all, ("NO_PROXY".to_owned(), "direct.invalid".to_owned())].into();
        let client = HttpClient::new(Network::from_variables(&variables).unwrap().client());
        let result = client.get(url, TIMEOUT).await;
        let heads = heads.lock().unwrap().clone();
        (result, heads)
    }

    #[tokio::test]
    async fn plain_request_is_forwarded_with_the_login() {
        let (result, heads) = get("HTTP/1.1 204 No Content\r\n\r\n", "http://x.invalid/a?b=c").await;
        assert_eq!(result.unwrap().status, 204);
        let head = heads[0].to_lowercase();
        assert!(head.starts_with("get http://x.invalid/a?b=c http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nproxy-authorization: basic dub4onc=\r\n"), "{head}");
    }

    #[tokio::test]
    async fn rejected_tunnel_is_final_and_a_busy_proxy_is_not() {
        for (answer, is_final, words) in [
            (
                "HTTP/1.1 403 Forbidden\r\n\r\n",
                true,
                "rejected the connection to `x.invalid:443` with status 403",
            ),
            ("HTTP/1.1 407 Login\r\n\r\n", true, "the proxy requires a login"),
            ("HTTP/1.1 503 Busy\r\n\r\n", false, "responded with 503 for `x.invalid:443`"),
        ] {
            let (result, heads) = get(answer, "https://x.invalid/").await;
            let error = result.unwrap_err();
            assert_eq!(error.is_final(), is_final, "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(
                heads.iter().all(|head| head.starts_with("CONNECT x.invalid:443 HTTP/1.1\r\n")),
                "{heads:?}"
            );
            assert!(heads.len() <= 2 && !error.to_string().contains("u%40x"), "{error}");
        }
        let (result, _) = get("HTTP/1.1 407 Login\r\n\r\n", "http://x.invalid/").await;
        assert!(result.unwrap_err().is_final());
    }

    #[tokio::test]
    async fn excepted_host_does_not_use_the_proxy() {
        let (result, heads) = get("HTTP/1.1 204 No Content\r\n\r\n", "http://direct.invalid/").await;
        assert!(result.is_err() && heads.is_empty(), "{result:?} {heads:?}");
    }
}

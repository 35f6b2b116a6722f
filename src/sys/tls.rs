//! The certificate of a server, read by a separate handshake: the HTTP client of the run does not expose it. That client
//! decides whether it is trusted; here an expired certificate must be readable too.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::http::error_text;
use super::network::{Destination, Proxies, open_connection};

/// The certificate, in DER, that `server` presents, within `timeout`; through its proxy, if it has one. An error is the
/// reason why there is none. Nothing is sent but the handshake.
pub async fn fetch_certificate(
    proxies: &Proxies,
    server: &Destination,
    timeout: Duration,
) -> Result<Vec<u8>, String> {
    let shown = tokio::time::timeout(timeout, perform_handshake(proxies, server));
    let late = || format!("no handshake in {} s", timeout.as_secs_f64());
    shown.await.unwrap_or_else(|_| Err(late()))
}

async fn perform_handshake(proxies: &Proxies, server: &Destination) -> Result<Vec<u8>, String> {
    let name = ServerName::try_from(server.bare_host().to_owned()).map_err(|error| error_text(&error))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error_text(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAnyCertificate(provider)))
        .with_no_client_auth();
    let socket = open_connection(proxies, server).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, socket).await.map_err(|error| error_text(&error))?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    shown.map(|one| one.to_vec()).ok_or_else(|| "the server presents no certificate".into())
}

/// Accepts every certificate whose key the server holds. Only the handshake goes over the
/// connection, so no data reaches a wrong server.
#[derive(Debug)]
struct AcceptAnyCertificate(Arc<CryptoProvider>);

impl AcceptAnyCertificate {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.0.signature_verification_algorithms
    }
}

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const LONG: (&[u8], &[u8]) = (
        include_bytes!("../../tests/fixtures/certificates/long.der"),
        include_bytes!("../../tests/fixtures/certificates/long.key.der"),
    );
    const SHORT: (&[u8], &[u8]) = (
        include_bytes!("../../tests/fixtures/certificates/short.der"),
        include_bytes!("../../tests/fixtures/certificates/short.key.der"),
    );
    const PATIENCE: Duration = Duration::from_secs(5);

    async fn fetch(port: u16, timeout: Duration) -> Result<Vec<u8>, String> {
        let server = Destination { is_tls: true, host: "127.0.0.1".into(), port };
        fetch_certificate(&Proxies::default(), &server, timeout).await
    }

    /// Presents a certificate to every client, or never responds.
    async fn server(shown: Option<(&'static [u8], &'static [u8])>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = shown.map(|(certificate, key)| {
            let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key).into());
            TlsAcceptor::from(Arc::new(config.unwrap()))
        });
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                match &acceptor {
                    Some(acceptor) => drop(acceptor.accept(socket).await),
                    None => held.push(socket),
                }
            }
        });
        port
    }

    #[tokio::test]
    async fn certificate_is_that_of_the_server() {
        for shown in [LONG, SHORT] {
            let port = server(Some(shown)).await;
            assert_eq!(fetch(port, PATIENCE).await.as_deref(), Ok(shown.0));
        }
    }

    #[tokio::test]
    async fn fetch_certificate_silent_or_closed_port_is_error() {
        let port = server(None).await;
        let late = fetch(port, Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(late, "no handshake in 0.2 s");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = listener.local_addr().unwrap().port();
        drop(listener);
        let refused = fetch(closed, PATIENCE).await.unwrap_err();
        assert!(refused.contains("refused"), "{refused}");
    }
}

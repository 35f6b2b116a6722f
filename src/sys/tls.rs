//! The certificate that a server shows, by a handshake of our own: the HTTP client of the run keeps it to itself. Whether
//! it is to be trusted is that client's business; here an expired one must be readable, too.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::web::said;

/// The certificate, in DER, that `host` shows at `port`, within `patience`. An error says, in words, why there is none.
/// Nothing is sent but the handshake.
pub async fn certificate(host: &str, port: u16, patience: Duration) -> Result<Vec<u8>, String> {
    let shown = tokio::time::timeout(patience, shake_hands(host, port));
    let late = || format!("no handshake in {} s", patience.as_secs_f64());
    shown.await.unwrap_or_else(|_| Err(late()))
}

async fn shake_hands(host: &str, port: u16) -> Result<Vec<u8>, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare.clone()).map_err(|error| said(&error))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| said(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Shown(provider)))
        .with_no_client_auth();
    let socket = TcpStream::connect((bare.as_str(), port)).await.map_err(|error| said(&error))?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, socket).await.map_err(|error| said(&error))?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    shown.map(|one| one.to_vec()).ok_or_else(|| "the server shows no certificate".into())
}

/// Takes every certificate, as long as whoever shows it holds its key. Nothing but the handshake goes over the
/// connection, so that nothing can be told to the wrong server.
#[derive(Debug)]
struct Shown(Arc<CryptoProvider>);

impl Shown {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.0.signature_verification_algorithms
    }
}

impl ServerCertVerifier for Shown {
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

    /// Shows a certificate to whoever comes, or says nothing to anybody.
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
    async fn the_certificate_is_the_one_that_the_server_shows() {
        for shown in [LONG, SHORT] {
            let port = server(Some(shown)).await;
            assert_eq!(certificate("127.0.0.1", port, PATIENCE).await.as_deref(), Ok(shown.0));
        }
    }

    #[tokio::test]
    async fn silence_and_a_closed_port_are_said() {
        let port = server(None).await;
        let late = certificate("127.0.0.1", port, Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(late, "no handshake in 0.2 s");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = listener.local_addr().unwrap().port();
        drop(listener);
        let refused = certificate("127.0.0.1", closed, PATIENCE).await.unwrap_err();
        assert!(refused.contains("refused"), "{refused}");
    }
}

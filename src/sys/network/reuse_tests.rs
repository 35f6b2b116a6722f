//! A connection is used for more than one request, and a TLS session for more than one connection: on a long line each
//! costs round trips.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Network;
use crate::sys::environment::Variables;
use crate::sys::http::HttpClient;

const TIMEOUT: Duration = Duration::from_secs(10);
const KEPT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CLOSED: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";

/// Answers every request of a connection, or one and then closes it.
async fn answer_requests(mut socket: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    let mut head = Vec::new();
    while socket.read_buf(&mut head).await.is_ok_and(|count| count > 0) {
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        socket.write_all(answer.as_bytes()).await.unwrap();
        socket.flush().await.unwrap();
        if answer == CLOSED {
            let _ = socket.shutdown().await;
            return;
        }
    }
}

/// A server without TLS: its port, and the number of connections that it accepted.
async fn plain_server(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, accepted) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let count = accepted.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer_requests(socket, answer));
        }
    });
    (port, accepted)
}

/// A server with TLS: its port, and the kind of each handshake.
async fn tls_server(answer: &'static str) -> (u16, Arc<Mutex<Vec<HandshakeKind>>>) {
    let certificate: &[u8] = include_bytes!("../../../tests/fixtures/certificates/server.der");
    let key: &[u8] = include_bytes!("../../../tests/fixtures/certificates/server.key.der");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key).into());
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, kinds) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<HandshakeKind>>>::default());
    let seen = kinds.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let socket = acceptor.accept(socket).await.unwrap();
            seen.lock().unwrap().push(socket.get_ref().1.handshake_kind().unwrap());
            tokio::spawn(answer_requests(socket, answer));
        }
    });
    (port, kinds)
}

/// Clients as the parts of a run make them: each its own, over the one network.
async fn send_requests(network: &Network, url: &str) {
    let http = network.client();
    for _ in 0..4 {
        let response = HttpClient::new(http.clone()).get(url, TIMEOUT).await.unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    }
}

fn trusting_network() -> Network {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certificates/authority.pem");
    let variables: Variables = [("AWS_CA_BUNDLE".to_owned(), file.to_owned())].into();
    Network::from_variables(&variables).unwrap()
}

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let (port, accepted) = plain_server(KEPT).await;
    send_requests(&Network::default(), &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    let (port, accepted) = plain_server(CLOSED).await;
    send_requests(&Network::default(), &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(accepted.load(Ordering::SeqCst), 4, "the server closes them");
}

#[tokio::test]
async fn tls_session_is_resumed_by_the_next_connection() {
    let (port, kinds) = tls_server(KEPT).await;
    send_requests(&trusting_network(), &format!("https://127.0.0.1:{port}/")).await;
    assert_eq!(kinds.lock().unwrap().len(), 1);
    let (port, kinds) = tls_server(CLOSED).await;
    send_requests(&trusting_network(), &format!("https://127.0.0.1:{port}/")).await;
    let kinds = kinds.lock().unwrap().clone();
    assert_eq!((kinds[0], kinds.len()), (HandshakeKind::Full, 4));
    assert!(kinds[1..].iter().all(|kind| *kind == HandshakeKind::Resumed), "{kinds:?}");
}

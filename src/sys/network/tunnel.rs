//! A bare connection to a server, through the proxy if it has one: for the certificate reader, and to learn the status
//! with which a proxy rejects a tunnel, which the HTTP client does not tell.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::proxy::{Destination, Proxies, Proxy};
use crate::sys::http::error_text;

/// The longest head of a proxy's response that is read.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Why there is no tunnel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TunnelError {
    /// The proxy responded with this status.
    Rejected(u16),
    /// There is no response that can be read.
    NoResponse(String),
}

/// A connection to `to`; through a tunnel if it has a proxy. The caller limits the time.
pub async fn open_connection(proxies: &Proxies, to: &Destination) -> Result<TcpStream, String> {
    let Some(proxy) = proxies.route(to) else { return connect(to).await };
    if proxy.server.is_tls {
        return Err(format!("the proxy `{}` itself uses TLS, which is not supported here", proxy.server));
    }
    open_tunnel(proxy, to).await.map_err(|error| match error {
        TunnelError::Rejected(status) => {
            format!("the proxy `{}` rejected the connection with status {status}", proxy.server)
        }
        TunnelError::NoResponse(why) => format!("the proxy `{}`: {why}", proxy.server),
    })
}

/// Asks `proxy`, which does not use TLS itself, for a tunnel to `to`.
pub(super) async fn open_tunnel(proxy: &Proxy, to: &Destination) -> Result<TcpStream, TunnelError> {
    let mut socket = connect(&proxy.server).await.map_err(TunnelError::NoResponse)?;
    let login = proxy.authorization().map(|value| format!("Proxy-Authorization: {value}\r\n"));
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{}\r\n", login.unwrap_or_default());
    let lost = |error: std::io::Error| TunnelError::NoResponse(error_text(&error));
    socket.write_all(request.as_bytes()).await.map_err(lost)?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head belongs to the tunnel.
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD_BYTES {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) => return Err(lost(error)),
        }
    }
    match parse_status(&head) {
        Some(200..=299) => Ok(socket),
        Some(status) => Err(TunnelError::Rejected(status)),
        None => Err(TunnelError::NoResponse("its response is not HTTP".into())),
    }
}

async fn connect(to: &Destination) -> Result<TcpStream, String> {
    TcpStream::connect((to.bare_host(), to.port)).await.map_err(|error| error_text(&error))
}

/// The status of `HTTP/1.1 200 Connection established`.
fn parse_status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    let (version, rest) = line.split_once(' ')?;
    version.starts_with("HTTP/1.").then(|| rest.get(..3)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::sys::environment::Variables;

    /// A proxy that answers one request with `answer`, and the request.
    async fn proxy(answer: &'static [u8]) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            socket.write_all(answer).await.unwrap();
            String::from_utf8(head).unwrap()
        });
        (port, asked)
    }

    async fn tunnel(answer: &'static [u8]) -> (Result<Vec<u8>, String>, String) {
        let (port, asked) = proxy(answer).await;
        let url = format!("http://u:w@127.0.0.1:{port}");
        let variables: Variables = [("HTTPS_PROXY".to_owned(), url)].into();
        let to = Destination::of_url("https://x.example:8443/a").unwrap();
        let opened = match open_connection(&Proxies::from_variables(&variables).unwrap(), &to).await {
            Ok(mut socket) => {
                let mut rest = Vec::new();
                socket.read_to_end(&mut rest).await.unwrap();
                Ok(rest)
            }
            Err(why) => Err(why.replace(&port.to_string(), "PORT")),
        };
        (opened, asked.await.unwrap())
    }

    #[tokio::test]
    async fn tunnel_carries_the_login_and_keeps_the_first_bytes() {
        let (opened, asked) = tunnel(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\nHELLO").await;
        assert_eq!(opened, Ok(b"HELLO".to_vec()));
        assert_eq!(
            asked,
            "CONNECT x.example:8443 HTTP/1.1\r\nHost: x.example:8443\r\nProxy-Authorization: Basic dTp3\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn rejected_tunnel_has_the_status() {
        let why = |status| format!("the proxy `127.0.0.1:PORT` rejected the connection with status {status}");
        assert_eq!(tunnel(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.0, Err(why(403)));
        assert_eq!(tunnel(b"HTTP/1.0 407 x\r\n\r\n").await.0, Err(why(407)));
        let odd = tunnel(b"SSH-2.0-x\r\n\r\n").await.0.unwrap_err();
        assert!(odd.ends_with("its response is not HTTP"), "{odd}");
        let cut = tunnel(b"HTTP/1.1 200").await.0.unwrap_err();
        assert!(cut.starts_with("the proxy `127.0.0.1:PORT`: "), "{cut}");
    }
}

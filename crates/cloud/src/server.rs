//! The emulator over HTTP on loopback, for clients that are not in this process. It is meant for tests: it verifies no
//! signature, so it listens on no other address, and answers no request that a page of another site sends.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::origin::{self, HostNames};
use super::wire::{self, Handler, RequestIds, TransportReply};

/// Bodies larger than this are refused with 413.
pub const MAX_BODY: usize = 8 * 1024 * 1024;
/// Connections beyond these are closed at once.
pub const MAX_CONNECTIONS: usize = 1024;

/// Opens a listener. An address that is not loopback is refused: anyone who reaches the cloud may use it.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        let words = format!("{address} is not a loopback address: the embedded cloud checks no signatures");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    TcpListener::bind(address).await
}

/// Serves `cloud` until `stop` ends, by the names of loopback and by `names`. Connections that are open then are closed.
/// Beside AWS's protocols it answers `GET /_roadstead/health` and `GET /_roadstead/calls` (the call log as JSON).
pub async fn serve(
    cloud: impl Handler,
    names: HostNames,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    if !listener.local_addr()?.ip().is_loopback() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the listener is not on a loopback address"));
    }
    let shared = ServerState { cloud, names, ids: RequestIds::default() };
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            // Finished connections are dropped as they end; what went wrong on one is its client's affair.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => if let Ok((stream, _)) = accepted
                && connections.len() < MAX_CONNECTIONS
            {
                connections.spawn(serve_connection(shared.clone(), stream));
            },
        }
    }
}

#[derive(Clone)]
struct ServerState<A> {
    cloud: A,
    names: HostNames,
    ids: RequestIds,
}

/// An answer that never arrives: hyper closes the connection when a service ends with an error.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost")]
struct LostResponse;

async fn serve_connection<A: Handler>(served: ServerState<A>, stream: TcpStream) {
    // Answers are small and written at once: waiting to fill a packet would only add 40 ms to each.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let served = served.clone();
        async move { served.respond(request).await }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl<A: Handler> ServerState<A> {
    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, LostResponse> {
        let (parts, body) = request.into_parts();
        if let Some(refusal) = origin::refusal(&parts, &self.names) {
            return Ok(json_response(refusal.status, &json!({ "message": refusal.message })));
        }
        if let Some(about) = self.status_page(&parts.method, parts.uri.path()) {
            return Ok(json_response(StatusCode::OK, &about));
        }
        let Some(body) = read_body(body).await else {
            return Ok(json_response(
                StatusCode::PAYLOAD_TOO_LARGE,
                &json!({ "message": "The body is too large" }),
            ));
        };
        let request = Request::from_parts(parts, body);
        match wire::handle_request(&self.cloud, &self.ids, &request).await {
            TransportReply::Respond(response) => Ok(response.map(Full::new)),
            TransportReply::Disconnect => Err(LostResponse),
            TransportReply::NoReply => std::future::pending().await,
        }
    }

    fn status_page(&self, method: &Method, path: &str) -> Option<Value> {
        match path {
            _ if method != Method::GET => None,
            "/_roadstead/health" => Some(json!({ "status": "ok" })),
            "/_roadstead/calls" => Some(self.cloud.call_log()),
            _ => None,
        }
    }
}

/// The whole body; `None` when it breaks off or is too large, which a declared length says before a byte is read.
async fn read_body(body: Incoming) -> Option<Bytes> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return None;
    }
    Limited::new(body, MAX_BODY).collect().await.ok().map(|body| body.to_bytes())
}

fn json_response(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::request::{Delivery, ServiceCall};

    /// Echoes the operation; `Lose` loses its answer.
    #[derive(Clone, Default)]
    struct Echo(Arc<Mutex<Vec<Value>>>);

    impl Handler for Echo {
        async fn handle(&self, call: ServiceCall) -> Delivery {
            self.0.lock().unwrap().push(json!(call.operation));
            match call.operation.as_str() {
                "Lose" => Delivery::ConnectionLost,
                other => Delivery::Reply(Ok(json!({ "operation": other }))),
            }
        }

        fn call_log(&self) -> Value {
            Value::Array(self.0.lock().unwrap().clone())
        }
    }

    async fn start_server() -> SocketAddr {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(Echo::default(), HostNames::default(), listener, std::future::pending()));
        address
    }

    async fn send_raw(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn post_request(operation: &str) -> String {
        format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.1\r\n\
             x-amz-target: AmazonEC2ContainerServiceV20141113.{operation}\r\ncontent-length: 2\r\n\r\n{{}}"
        )
    }

    #[tokio::test]
    async fn answers_are_served_and_calls_are_logged() {
        let address = start_server().await;
        let answer = send_raw(address, &post_request("ListClusters")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.ends_with(r#"{"operation":"ListClusters"}"#), "{answer}");
        assert_eq!(send_raw(address, &post_request("Lose")).await, "", "closed without a byte");
        let log = send_raw(
            address,
            "GET /_roadstead/calls HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        )
        .await;
        let (_, body) = log.split_once("\r\n\r\n").unwrap();
        let calls: Value = serde_json::from_str(body).unwrap();
        assert_eq!(calls, json!(["ListClusters", "Lose"]));
    }

    #[tokio::test]
    async fn other_names_and_other_sites_get_no_answer() {
        let address = start_server().await;
        for (head, status) in [
            ("host: evil.example", 421),
            ("host: localhost\r\norigin: https://evil.example", 403),
            ("host: localhost\r\nsec-fetch-site: cross-site", 403),
        ] {
            for path in ["/_roadstead/calls", "/_roadstead/health", "/", "/repos/acme/shop"] {
                let request = format!("GET {path} HTTP/1.1\r\n{head}\r\nconnection: close\r\n\r\n");
                let answer = send_raw(address, &request).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head} {path}: {answer}");
            }
        }
        let log = "GET /_roadstead/calls HTTP/1.1\r\nhost: [::1]\r\nconnection: close\r\n\r\n";
        assert!(send_raw(address, log).await.ends_with("\r\n\r\n[]"), "nothing reached the cloud");
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused() {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            MAX_BODY + 1
        );
        assert!(send_raw(start_server().await, &head).await.starts_with("HTTP/1.1 413"));
    }

    #[tokio::test]
    async fn only_loopback_is_listened_on() {
        let error = listen("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "0.0.0.0:0 is not a loopback address: the embedded cloud checks no signatures"
        );
    }

    #[tokio::test]
    async fn stopping_closes_open_connections() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(serve(Echo::default(), HostNames::default(), listener, async {
            drop(stopped.await)
        }));
        let mut open = TcpStream::connect(address).await.unwrap();
        drop(stop);
        serving.await.unwrap().unwrap();
        assert_eq!(open.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}

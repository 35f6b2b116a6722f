//! The embedded cloud over HTTP on loopback, for clients that are not in this process. It is meant for tests:
//! it verifies no signature, so it listens on no other address.

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

use super::wire::{self, Answerer, Exchange, RequestIds};

/// Bodies larger than this are refused with 413.
pub const MAX_BODY: usize = 8 * 1024 * 1024;

/// Opens a listener. An address that is not loopback is refused: anyone who reaches the cloud may use it.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        let words = format!("{address} is not a loopback address: the embedded cloud checks no signatures");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    TcpListener::bind(address).await
}

/// Serves `cloud` until `stop` ends. Connections that are open then are closed.
/// Beside AWS's protocols it answers `GET /_roadstead/health` and `GET /_roadstead/calls` (the call log as JSON).
pub async fn serve(
    cloud: impl Answerer,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    if !listener.local_addr()?.ip().is_loopback() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the listener is not on a loopback address"));
    }
    let shared = Served { cloud, ids: RequestIds::default() };
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            // Finished connections are dropped as they end; what went wrong on one is its client's affair.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(connection(shared.clone(), stream));
            },
        }
    }
}

#[derive(Clone)]
struct Served<A> {
    cloud: A,
    ids: RequestIds,
}

/// An answer that never arrives: hyper closes the connection when a service ends with an error.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost")]
struct Lost;

async fn connection<A: Answerer>(served: Served<A>, stream: TcpStream) {
    // Answers are small and written at once: waiting to fill a packet would only add 40 ms to each.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let served = served.clone();
        async move { served.respond(request).await }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl<A: Answerer> Served<A> {
    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Lost> {
        if let Some(about) = self.about(request.method(), request.uri().path()) {
            return Ok(plain(StatusCode::OK, &about));
        }
        let (parts, body) = request.into_parts();
        let Some(body) = whole(body).await else {
            return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "message": "The body is too large" })));
        };
        let request = Request::from_parts(parts, body);
        match wire::exchange(&self.cloud, &self.ids, &request).await {
            Exchange::Respond(response) => Ok(response.map(Full::new)),
            Exchange::Lost => Err(Lost),
            Exchange::Silence => std::future::pending().await,
        }
    }

    fn about(&self, method: &Method, path: &str) -> Option<Value> {
        match path {
            _ if method != Method::GET => None,
            "/_roadstead/health" => Some(json!({ "status": "ok" })),
            "/_roadstead/calls" => Some(self.cloud.log()),
            _ => None,
        }
    }
}

/// The whole body; `None` when it breaks off or is too large, which a declared length says before a byte is read.
async fn whole(body: Incoming) -> Option<Bytes> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return None;
    }
    Limited::new(body, MAX_BODY).collect().await.ok().map(|body| body.to_bytes())
}

fn plain(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
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
    use crate::rehearsal::call::{Call, Delivery};

    /// Echoes the operation; `Lose` loses its answer.
    #[derive(Clone, Default)]
    struct Echo(Arc<Mutex<Vec<Value>>>);

    impl Answerer for Echo {
        async fn answer(&self, call: Call) -> Delivery {
            self.0.lock().unwrap().push(json!(call.operation));
            match call.operation.as_str() {
                "Lose" => Delivery::Lost,
                other => Delivery::Answer(Ok(json!({ "operation": other }))),
            }
        }

        fn log(&self) -> Value {
            Value::Array(self.0.lock().unwrap().clone())
        }
    }

    async fn served() -> SocketAddr {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(Echo::default(), listener, std::future::pending()));
        address
    }

    async fn say(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn post(operation: &str) -> String {
        format!(
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.1\r\n\
             x-amz-target: AmazonEC2ContainerServiceV20141113.{operation}\r\ncontent-length: 2\r\n\r\n{{}}"
        )
    }

    #[tokio::test]
    async fn answers_are_served_and_calls_are_logged() {
        let address = served().await;
        let answer = say(address, &post("ListClusters")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.ends_with(r#"{"operation":"ListClusters"}"#), "{answer}");
        assert_eq!(say(address, &post("Lose")).await, "", "closed without a byte");
        let log =
            say(address, "GET /_roadstead/calls HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let (_, body) = log.split_once("\r\n\r\n").unwrap();
        let calls: Value = serde_json::from_str(body).unwrap();
        assert_eq!(calls, json!(["ListClusters", "Lose"]));
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused() {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            MAX_BODY + 1
        );
        assert!(say(served().await, &head).await.starts_with("HTTP/1.1 413"));
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
        let serving = tokio::spawn(serve(Echo::default(), listener, async { drop(stopped.await) }));
        let mut open = TcpStream::connect(address).await.unwrap();
        drop(stop);
        serving.await.unwrap().unwrap();
        assert_eq!(open.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}

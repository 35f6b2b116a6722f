//! Between a run and the embedded cloud: every answer can be changed on its way, and every request is remembered.

use std::fmt;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;

/// A request and its answer, as they were sent.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// The operation, such as `AmazonECS.DescribeServices`, `GET api.github.com/repos/acme/shop` or `POST Action=GetRole`.
    pub(crate) operation: String,
    /// Host and path.
    pub(crate) address: String,
    pub(crate) request: Vec<u8>,
    pub(crate) answer: Answer,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Changes an answer of an operation.
pub(crate) type Edit = Arc<dyn Fn(&str, &mut Answer) + Send + Sync>;

/// The place between.
#[derive(Clone)]
pub(crate) struct Tamper {
    edit: Edit,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Tamper {
    pub(crate) fn new(edit: impl Fn(&str, &mut Answer) + Send + Sync + 'static) -> Self {
        Self { edit: Arc::new(edit), exchanges: Arc::default() }
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap().clone()
    }

    /// `http` with this in front of it.
    pub(crate) fn wrap(&self, http: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(TamperingClient { tamper: self.clone(), http })
    }

    fn keep(&self, operation: String, address: String, request: Vec<u8>, answer: &Answer) {
        let exchange = Exchange { operation, address, request, answer: answer.clone() };
        self.exchanges.lock().unwrap().push(exchange);
    }
}

#[derive(Clone)]
struct TamperingClient {
    tamper: Tamper,
    http: SharedHttpClient,
}

impl fmt::Debug for TamperingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tampering")
    }
}

impl HttpClient for TamperingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.http.http_connector(settings, components);
        SharedHttpConnector::new(TamperingConnector { tamper: self.tamper.clone(), inner })
    }
}

struct TamperingConnector {
    tamper: Tamper,
    inner: SharedHttpConnector,
}

impl fmt::Debug for TamperingConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tampering")
    }
}

impl HttpConnector for TamperingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let address = request.uri().split_once("://").map_or("", |(_, rest)| rest).to_owned();
        let operation = operation_name(&request, &body, &address);
        let (tamper, sent) = (self.tamper.clone(), self.inner.call(request));
        HttpConnectorFuture::new(async move {
            let mut answer = read_answer(sent.await?).await;
            (tamper.edit)(&operation, &mut answer);
            tamper.keep(operation, address, body, &answer);
            Ok(build_response(answer))
        })
    }
}

/// What an answer is of: the target of AWS JSON, the action of a query, or method and path without what differs.
fn operation_name(request: &HttpRequest, body: &[u8], address: &str) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.to_owned();
    }
    let text = String::from_utf8_lossy(body);
    if let Some(action) = text.split('&').find(|pair| pair.starts_with("Action=")) {
        return action.to_owned();
    }
    if address.ends_with("/graphql") {
        let document = text.split_once("\"query\":\"").map_or("", |(_, rest)| rest);
        return format!("graphql {}", document.split(['(', '{']).next().unwrap_or_default().trim());
    }
    let path = address.split('?').next().unwrap_or_default();
    let plain: Vec<&str> = path
        .split('/')
        .map(|part| if part.len() > 20 || part.parse::<u64>().is_ok() { "…" } else { part })
        .collect();
    format!("{} {}", request.method(), plain.join("/"))
}

async fn read_answer(mut response: HttpResponse) -> Answer {
    let headers =
        response.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let body = response.take_body().collect().await.unwrap().to_bytes().to_vec();
    Answer { status: response.status().as_u16(), headers, body }
}

fn build_response(answer: Answer) -> HttpResponse {
    let mut built = http::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        if name != "content-length" {
            built = built.header(name, value);
        }
    }
    HttpResponse::try_from(built.body(SdkBody::from(answer.body)).unwrap()).unwrap()
}

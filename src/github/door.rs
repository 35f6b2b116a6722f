//! The one way to GitHub: octocrab over the HTTP client of the run. Its own transport, retries and errors are not used:
//! they would leave a rehearsal, repeat writes at once, and lose what GitHub said.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use http_body_util::{BodyExt as _, Full};
use octocrab::service::middleware::auth_header::AuthHeaderLayer;
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use serde_json::{Value, json};
use tower_service::Service;

use super::addresses::Addresses;
use super::reply::{self, Aim, Complaint, unclear};
use super::setback::Setback;
use crate::sys::web::{self, Answer, Web};

/// How long one try may take. GitHub itself gives up after ten seconds; a large commit takes its time on the way.
const TRY: Duration = Duration::from_secs(30);

/// How long a question may take with its repetitions, and the pauses between them before chance makes them uneven.
#[derive(Debug, Clone, Copy)]
pub struct Endurance {
    /// All in all.
    pub whole: Duration,
    /// One entry for each repetition.
    pub pauses: &'static [Duration],
}

/// What is asked of the REST API.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    route: String,
    body: Option<Value>,
}

impl Ask {
    /// A GET of a route such as `/repos/acme/shop`.
    pub fn get(route: impl Into<String>) -> Self {
        Self { method: Method::GET, route: route.into(), body: None }
    }

    /// Another method, with a body.
    pub fn send(method: Method, route: impl Into<String>, body: Value) -> Self {
        Self { method, route: route.into(), body: Some(body) }
    }

    /// Another method, without a body.
    pub fn bare(method: Method, route: impl Into<String>) -> Self {
        Self { method, route: route.into(), body: None }
    }
}

/// GitHub, for one token.
pub struct Door {
    client: Octocrab,
    addresses: Addresses,
    /// Limits since the last success.
    strikes: Cell<u32>,
}

impl Door {
    /// Must be called inside a runtime. Errors when an address is none, or the token has characters that no token has.
    pub fn new(http: SharedHttpClient, addresses: &Addresses, token: &str) -> Result<Self, String> {
        let (api, graphql) = addresses.uris()?;
        let visible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| visible);
        let mut header = header.ok_or("the token is empty or has characters that no token has")?;
        header.set_sensitive(true);
        let Ok(client) = OctocrabBuilder::new_empty()
            .with_service(Through(Web::new(http)))
            .with_layer(&AuthHeaderLayer::new(Some(header), api, graphql))
            .with_auth(AuthState::None)
            .build();
        Ok(Self { client, addresses: addresses.clone(), strikes: Cell::new(0) })
    }

    /// The addresses of this GitHub.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Asks until there is an answer. For what may be asked twice.
    pub async fn read(&self, ask: &Ask, endurance: Endurance) -> Result<Value, Setback> {
        patiently(endurance, async || {
            self.judged(ask, |answer, strikes| reply::rest(answer, Aim::Read, strikes), Aim::Read).await
        })
        .await
    }

    /// Asks once. For what must not happen twice.
    pub async fn write(&self, ask: &Ask) -> Result<Value, Setback> {
        self.judged(ask, |answer, strikes| reply::rest(answer, Aim::Write, strikes), Aim::Write).await
    }

    /// Asks a question of GraphQL until there is an answer.
    pub async fn query(
        &self,
        document: &str,
        variables: Value,
        endurance: Endurance,
    ) -> Result<(Value, Vec<Complaint>), Setback> {
        let ask = graphql(document, variables);
        patiently(endurance, async || {
            let told = self
                .judged(&ask, |answer, strikes| reply::graphql(answer, Aim::Read, strikes), Aim::Read)
                .await?;
            // An error of the server comes with status 200 here.
            let failed = told.1.iter().map(|complaint| reply::verdict(complaint, Aim::Read));
            match failed.into_iter().find(|setback| matches!(setback, Setback::Passing(_))) {
                Some(passing) => Err(passing),
                None => Ok(told),
            }
        })
        .await
    }

    /// Sends a mutation once. Any complaint is a setback.
    pub async fn mutate(&self, document: &str, variables: Value) -> Result<Value, Setback> {
        let ask = graphql(document, variables);
        let (data, complaints) = self
            .judged(&ask, |answer, strikes| reply::graphql(answer, Aim::Write, strikes), Aim::Write)
            .await?;
        complaints.first().map_or(Ok(data), |complaint| Err(reply::verdict(complaint, Aim::Write)))
    }

    async fn judged<T>(
        &self,
        ask: &Ask,
        judge: impl Fn(&Answer, u32) -> Result<T, Setback>,
        aim: Aim,
    ) -> Result<T, Setback> {
        let answer = self.once(ask).await.map_err(|why| unclear(aim, why))?;
        let judged = judge(&answer, self.strikes.get());
        self.strikes.set(match &judged {
            Err(Setback::Limited { .. }) => self.strikes.get().saturating_add(1),
            Ok(_) => 0,
            Err(_) => self.strikes.get(),
        });
        judged
    }

    /// One try. An error says why there is no whole answer.
    async fn once(&self, ask: &Ask) -> Result<Answer, String> {
        let url = match ask.route.as_str() {
            GRAPHQL => self.addresses.graphql.clone(),
            route => format!("{}{route}", self.addresses.api),
        };
        let request = http::Request::builder()
            .method(ask.method.clone())
            .uri(url)
            .header("accept", "application/vnd.github+json");
        let request = self.client.build_request(request, ask.body.as_ref()).map_err(|error| plain(&error))?;
        let response = self.client.execute(request).await.map_err(|error| plain(&error))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| plain(&error))?.to_bytes().to_vec();
        Ok(Answer { status: parts.status.as_u16(), headers: texts(&parts.headers), body })
    }
}

/// Stands for the address of GraphQL, which is not below that of REST everywhere.
const GRAPHQL: &str = "graphql";

fn graphql(document: &str, variables: Value) -> Ask {
    Ask::send(Method::POST, GRAPHQL, json!({ "query": document, "variables": variables }))
}

/// Repeats `ask` while it is only unclear, with pauses that grow and are uneven.
async fn patiently<T>(endurance: Endurance, ask: impl AsyncFn() -> Result<T, Setback>) -> Result<T, Setback> {
    let asked = async {
        let mut pauses = endurance.pauses.iter();
        loop {
            match (ask().await, pauses.next()) {
                (Err(Setback::Passing(_)), Some(pause)) => {
                    tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                }
                (answer, _) => return answer,
            }
        }
    };
    let late = || Err(Setback::Passing(format!("no answer in {} s", endurance.whole.as_secs())));
    tokio::time::timeout(endurance.whole, asked).await.unwrap_or_else(|_| late())
}

/// What comes last in the chain of an error: that of the transport, without octocrab's wrapping.
fn plain(error: &octocrab::Error) -> String {
    let chain = std::iter::successors(std::error::Error::source(error), |error| error.source());
    chain.last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Headers whose values are text.
fn texts(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&http::HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

/// The HTTP client of the run, as octocrab wants to have it.
#[derive(Clone)]
struct Through(Web);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

type Answering = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Unanswered>> + Send>>;

impl Service<http::Request<OctoBody>> for Through {
    type Response = Response<Full<Bytes>>;
    type Error = Unanswered;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unanswered>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<OctoBody>) -> Answering {
        let web = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body =
                body.collect().await.map_err(|error| Unanswered(error.to_string()))?.to_bytes().to_vec();
            // The client counts the bytes itself.
            let headers = texts(&parts.headers).into_iter().filter(|(name, _)| name != "content-length");
            let request = web::Request {
                method: parts.method,
                url: parts.uri.to_string(),
                headers: headers.collect(),
                body,
            };
            let answer = web.ask(request, TRY).await.map_err(Unanswered)?;
            let mut response = Response::builder().status(answer.status);
            for (name, value) in answer.headers {
                response = response.header(name, value);
            }
            response.body(Full::from(answer.body)).map_err(|error| Unanswered(error.to_string()))
        })
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

//! How a cluster is reached: its address, its authority, and a token that is renewed. One cluster's authority is trusted for that
//! cluster only.

pub mod eks;
pub mod kubeconfig;
pub mod oidc;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::LocalBoxFuture;
use tokio::sync::OnceCell;

use super::error::{ApiError, ErrorKind};
use super::settings::{ClusterSettings, ServerSettings, TokenSetting};
use crate::aws::Io;
use crate::problem::{Code, Problem};
use crate::sys::http::{HttpClient, Request, Response};
use crate::targets::TargetContext;
use eks::{EksAccess, EksToken};
use oidc::OidcAccess;

/// Time limit of an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The clusters of a run: the services of one share its address and its token.
#[derive(Default)]
pub struct ClusterAccesses(RefCell<BTreeMap<ClusterSettings, Rc<ClusterAccess>>>);

impl ClusterAccesses {
    /// The access to a cluster. Errors where the run has no token for it; no call is made.
    pub fn get_or_open(
        &self,
        settings: &ClusterSettings,
        run: &TargetContext<'_>,
    ) -> Result<Rc<ClusterAccess>, Problem> {
        if let Some(known) = self.0.borrow().get(settings) {
            return Ok(known.clone());
        }
        let opened = Rc::new(ClusterAccess::open(settings, run)?);
        self.0.borrow_mut().insert(settings.clone(), opened.clone());
        Ok(opened)
    }
}

/// An API server with its client.
pub struct Endpoint {
    /// Its URL, without a slash at the end.
    pub server: String,
    /// The client that trusts it.
    pub http: HttpClient,
}

/// Where the token comes from.
enum TokenSource {
    /// It is given.
    Fixed(String),
    /// AWS's credentials make it.
    Eks { access: Box<EksAccess>, current: RefCell<Option<EksToken>> },
    /// GitHub makes it.
    Oidc(OidcAccess),
}

/// The access to one cluster.
pub struct ClusterAccess {
    /// Its name in sentences, such as ``the EKS cluster `acme` ``.
    pub title: String,
    endpoint: OnceCell<Endpoint>,
    tokens: TokenSource,
}

impl ClusterAccess {
    fn open(settings: &ClusterSettings, run: &TargetContext<'_>) -> Result<Self, Problem> {
        match settings {
            ClusterSettings::Eks(name) => {
                let access = Box::new(EksAccess::new(name.as_str(), run));
                Ok(Self {
                    title: format!("the EKS cluster `{}`", name.as_str()),
                    endpoint: OnceCell::new(),
                    tokens: TokenSource::Eks { access, current: RefCell::new(None) },
                })
            }
            ClusterSettings::Server(server) => open_server(server, run),
            ClusterSettings::Kubeconfig(settings) => {
                let text = variable(run.io, settings.variable.as_str())?;
                let read = kubeconfig::read(&text, settings.context.as_deref());
                let read = read.map_err(|why| kubeconfig::problem(settings.variable.as_str(), &why))?;
                check_allowed(&read.server, run)?;
                Self::with_token(&read.server, read.authority.as_deref(), read.token, run)
            }
        }
    }

    fn with_token(
        server: &str,
        authority: Option<&str>,
        token: String,
        run: &TargetContext<'_>,
    ) -> Result<Self, Problem> {
        run.io.mask.add(&token);
        Self::with_source(server, authority, TokenSource::Fixed(token), run)
    }

    fn with_source(
        server: &str,
        authority: Option<&str>,
        tokens: TokenSource,
        run: &TargetContext<'_>,
    ) -> Result<Self, Problem> {
        let server = server.trim_end_matches('/').to_owned();
        let http = match authority {
            None => HttpClient::new(run.http.clone()),
            Some(pem) => private_client(run.io, pem)?,
        };
        let title = format!("the cluster at `{server}`");
        Ok(Self { title, endpoint: OnceCell::new_with(Some(Endpoint { server, http })), tokens })
    }

    async fn endpoint(&self) -> Result<&Endpoint, ApiError> {
        let find = || async move {
            match &self.tokens {
                TokenSource::Eks { access, .. } => {
                    access.find_endpoint().await.map_err(ApiError::before_request)
                }
                TokenSource::Fixed(_) | TokenSource::Oidc(_) => Err(ApiError::before_request(no_endpoint())),
            }
        };
        self.endpoint.get_or_try_init(find).await
    }

    /// A token that is good for some minutes.
    async fn token(&self, is_refused: bool) -> Result<String, ApiError> {
        let (access, current) = match &self.tokens {
            TokenSource::Fixed(token) => return Ok(token.clone()),
            TokenSource::Oidc(access) => {
                return access.token(is_refused).await.map_err(ApiError::before_request);
            }
            TokenSource::Eks { access, current } => (access, current),
        };
        let known = current.borrow().as_ref().filter(|token| !is_refused && token.is_fresh()).cloned();
        if let Some(known) = known {
            return Ok(known.text);
        }
        let made = access.make_token().await.map_err(ApiError::before_request)?;
        let text = made.text.clone();
        *current.borrow_mut() = Some(made);
        Ok(text)
    }

    fn renews_token(&self) -> bool {
        matches!(self.tokens, TokenSource::Eks { .. } | TokenSource::Oidc(_))
    }

    /// Sends a request, whose URL is a path. A token that is refused is renewed once: the request was not carried out then.
    pub fn send<'a>(&'a self, request: &'a Request) -> LocalBoxFuture<'a, Result<Response, ApiError>> {
        // Boxed: what is behind it is deep.
        Box::pin(async move {
            let endpoint = self.endpoint().await?;
            match self.send_once(endpoint, request, false).await {
                Err(error) if error.kind == ErrorKind::Unauthorized && self.renews_token() => {
                    self.send_once(endpoint, request, true).await
                }
                answer => answer,
            }
        })
    }

    async fn send_once(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        is_refused: bool,
    ) -> Result<Response, ApiError> {
        let token = self.token(is_refused).await?;
        let url = format!("{}{}", endpoint.server, request.url);
        let sent = Request { url, ..request.clone() }.header("authorization", &format!("Bearer {token}"));
        let answer = endpoint.http.send(sent, REQUEST_TIMEOUT).await;
        let answer = answer.map_err(|error| ApiError::no_answer(&self.title, error))?;
        match answer.status {
            200..300 => Ok(answer),
            _ => Err(ApiError::from_response(&self.title, &answer)),
        }
    }
}

fn open_server(server: &ServerSettings, run: &TargetContext<'_>) -> Result<ClusterAccess, Problem> {
    check_allowed(server.url.as_str(), run)?;
    let tokens = match &server.token {
        TokenSetting::Variable(name) => {
            let token = variable(run.io, name.as_str())?.trim().to_owned();
            run.io.mask.add(&token);
            TokenSource::Fixed(token)
        }
        TokenSetting::Oidc(audience) => TokenSource::Oidc(OidcAccess::open(audience.as_str(), run)?),
    };
    let authority = server.authority.as_ref().map(|text| authority_pem(text.as_str())).transpose();
    let authority = authority.map_err(|why| Problem::error(Code::ConfigInvalid, format!("{why}.")))?;
    ClusterAccess::with_source(server.url.as_str(), authority.as_deref(), tokens, run)
}

/// Code that is not merged must not choose the server that gets a token.
fn check_allowed(server: &str, run: &TargetContext<'_>) -> Result<(), Problem> {
    if run.run.credential_urls.allows(server) {
        return Ok(());
    }
    let sentence =
        format!("The server `{server}` gets no token, because only code that is not merged names it.");
    Err(Problem::error(Code::CredentialWithheld, sentence)
        .help("Merge the change of the server to get a plan with it."))
}

/// The value of a variable of the run.
fn variable(io: &Io, name: &str) -> Result<String, Problem> {
    let value = io.variables.get(name).filter(|value| !value.trim().is_empty());
    value.cloned().ok_or_else(|| {
        let sentence = format!("The variable `{name}`, which has the access to the cluster, is not set.");
        let help = format!("Set it in the workflow: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}`.");
        Problem::error(Code::CredentialsMissing, sentence).help(help)
    })
}

/// A client that trusts `pem` and nothing else.
fn private_client(io: &Io, pem: &str) -> Result<HttpClient, Problem> {
    let client = io.private_clients.trusting(pem).map_err(|why| {
        let sentence = "The certificate of the cluster's authority cannot be used.";
        Problem::error(Code::ConfigInvalid, sentence).cause(why)
    })?;
    Ok(HttpClient::new(client))
}

fn no_endpoint() -> Problem {
    Problem::error(Code::Internal, "A cluster has neither an address nor a way to find it.")
}

/// Certificates as PEM, of a text that is that or base64 of it.
pub fn authority_pem(text: &str) -> Result<String, String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    if text.contains(BEGIN) {
        return Ok(text.to_owned());
    }
    let compact: String = text.split_whitespace().collect();
    let decoded = STANDARD.decode(compact).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded
        .filter(|pem| pem.contains(BEGIN))
        .ok_or_else(|| "`ca` is neither a certificate as PEM nor base64 of one".to_owned())
}
